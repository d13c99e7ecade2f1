package agent

import (
	"context"
	"net/netip"
	"time"

	"github.com/robowarden/robowarden/agent/config"
	"github.com/robowarden/robowarden/agent/guard"
	"github.com/robowarden/robowarden/hal/actuator"
	"github.com/robowarden/robowarden/hal/modbus"
)

// stallAfter is how long the guard's loop may stand still before its devices take the permit: as long as the core itself
// lets a tick be late before it holds the robot.
const stallAfter = 15 * guard.TickPeriod

// topicTimeout bounds one publication on the e-stop topic; it does not wait for anybody.
const topicTimeout = 50 * time.Millisecond

// devices are the drivers of the profile's actuators, by their rung.
type devices struct {
	rungs [guard.MaxDevices]*deviceRung
}

// deviceRung drives one device of the ladder from a goroutine of its own.
type deviceRung struct {
	name   string
	runner *actuator.Runner
}

// set hands a rung its newest wish.
func (d *devices) set(rung int, seq uint64, asserted bool) {
	if r := d.rungs[rung]; r != nil {
		r.runner.Set(seq, asserted)
	}
}

// each calls f with every device, in the ladder's order.
func (d *devices) each(f func(*deviceRung)) {
	for _, r := range d.rungs {
		if r != nil {
			f(r)
		}
	}
}

// openDevices prepares the drivers of the profile's device rungs. Nothing is opened before they run.
func (b *wiring) openDevices(g *guard.Guard) {
	for i := range b.cfg.Profile.Ladder {
		rung := &b.cfg.Profile.Ladder[i]
		ack := func(ok bool) { g.Ack(i, ok) }
		if rung.Kind == config.RungTopic {
			b.sink.devices.rungs[i] = &deviceRung{rung.Name, actuator.NewRunner(b.sink.estop, actuator.Config{
				Timeout: topicTimeout, Refresh: b.cfg.Topics.EStop.Period, Ack: ack, Health: func(actuator.Fault, actuator.State) {},
			})}
			continue
		}
		a := b.cfg.Profile.Actuator(rung)
		if a == nil {
			continue
		}
		dev, c := newDevice(a)
		n := b.cfg.Profile.ActuatorIndex(a.Name)
		c.Ack, c.Stall, c.Progress, c.Passive = ack, stallAfter, g.Ticks, rung.SettleFor > 0
		c.Health = func(f actuator.Fault, s actuator.State) {
			g.Actuator(guard.ActuatorReport{Actuator: n, Fault: deviceFault(f), Running: s == actuator.Run})
		}
		b.sink.devices.rungs[i] = &deviceRung{rung.Name, actuator.NewRunner(dev, c)}
	}
}

// newDevice makes the driver of an actuator, with how often and how long it is asked.
func newDevice(a *config.Actuator) (actuator.Device, actuator.Config) {
	m := a.Modbus
	c := modbus.Config{
		Serial: m.Serial, Baud: m.Baud, Unit: byte(m.Unit), Coil: uint16(m.Coil), StopOn: m.StopValue == 1, //nolint:gosec // in the mapping's range
		Parity: map[string]modbus.Parity{"even": modbus.Even, "odd": modbus.Odd, "none": modbus.NoParity}[m.Parity],
	}
	if m.Address != "" {
		c.Address, _ = netip.ParseAddrPort(m.Address) // the configuration's check has read it
	}
	return modbus.New(c), actuator.Config{Timeout: m.Timeout, Refresh: m.Refresh}
}

// deviceFault is a driver's fault in the guard's words; a new one that the guard does not know is a device that cannot be
// understood.
func deviceFault(f actuator.Fault) guard.DeviceFault {
	switch f {
	case actuator.None:
		return guard.DeviceWorks
	case actuator.Gone:
		return guard.DeviceGone
	case actuator.Silent:
		return guard.DeviceSilent
	case actuator.Refused:
		return guard.DeviceRefused
	case actuator.Mismatch:
		return guard.DeviceMismatch
	case actuator.BusOff:
		return guard.DeviceBusOff
	case actuator.Malformed, actuator.NumFaults:
	}
	return guard.DeviceMalformed
}

// estopTopic is the vendor's e-stop topic as a device: what it can show is that a reader took the message.
type estopTopic struct {
	out publisher
	seq uint64
}

var errNoReader = &actuator.Error{Fault: actuator.Silent, Device: "e-stop topic", Err: errNobody{}}

type errNobody struct{}

func (errNobody) Error() string { return "nobody reads it" }

// Apply publishes whether the robot must stop.
func (e *estopTopic) Apply(_ context.Context, s actuator.State) error {
	e.seq++
	sent, err := e.out.PublishBool(e.seq, s == actuator.Stop)
	if err != nil {
		return actuator.Fail("e-stop topic", actuator.Silent, err)
	}
	if sent.Delivered == 0 {
		return errNoReader
	}
	return nil
}

// Close leaves the topic to the node.
func (*estopTopic) Close(bool) error { return nil }
