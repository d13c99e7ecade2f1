package agent

import (
	"context"
	"encoding/hex"
	"net/netip"
	"time"

	"github.com/robowarden/robowarden/agent/config"
	"github.com/robowarden/robowarden/agent/guard"
	"github.com/robowarden/robowarden/hal/actuator"
	"github.com/robowarden/robowarden/hal/can"
	"github.com/robowarden/robowarden/hal/gpio"
	"github.com/robowarden/robowarden/hal/modbus"
	"github.com/robowarden/robowarden/hal/watchdog"
)

// stallAfter is how long the guard's loop may stand still before its devices take the permit: as long as the core itself
// lets a tick be late before it holds the robot.
const stallAfter = 15 * guard.TickPeriod

// lineTimeout is how long a line of this computer or a watchdog may take to be set; levelRefresh is how often a line is read
// back that is not toggled.
const lineTimeout, levelRefresh = 50 * time.Millisecond, 100 * time.Millisecond

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
func (d *devices) set(rung int, seq uint64, asserted bool, asked uint8) {
	if r := d.rungs[rung]; r != nil {
		r.runner.Set(seq, asserted, asked)
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
		ack := func(ok bool, number uint8) { g.Ack(i, ok, number) }
		if rung.Kind == config.RungTopic {
			b.sink.devices.rungs[i] = &deviceRung{rung.Name, actuator.NewRunner(b.sink.estop, actuator.Config{
				Timeout: topicTimeout, Refresh: b.cfg.Topics.EStop.Period, Stall: stallAfter, Progress: g.Ticks, Ack: ack,
				Health: func(actuator.Fault, actuator.State) {},
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
	switch {
	case a.GPIO != nil:
		g, refresh := a.GPIO, levelRefresh
		if g.Toggle > 0 {
			refresh = g.Toggle
		}
		return gpio.NewPermit(gpio.PermitConfig{
			Chip: g.Chip, Line: uint32(g.Line), StopHigh: g.StopLevel == "high", Toggle: g.Toggle > 0, //nolint:gosec // in the profile's range
		}), actuator.Config{Timeout: lineTimeout, Refresh: refresh}
	case a.CAN != nil:
		// An answer comes within a period of the drive's own; two of ours are enough for any.
		return can.New(canConfig(a.CAN)), actuator.Config{Timeout: max(lineTimeout, min(2*a.CAN.Period, 80*time.Millisecond)), Refresh: a.CAN.Period}
	case a.Watchdog != nil:
		w := a.Watchdog
		// Fed eight times in its timeout, so that one late turn does not reset a computer.
		return watchdog.New(watchdog.Config{Device: w.Device, Timeout: w.Timeout, Pretimeout: w.Pretimeout}),
			actuator.Config{Timeout: lineTimeout, Refresh: min(w.Timeout/8, actuator.HealthPeriod)}
	}
	return newRelay(a.Modbus)
}

func canConfig(c *config.StopFrame) can.Config {
	out := can.Config{Interface: c.Interface, ID: uint32(c.ID), Extended: c.Extended} //nolint:gosec // in the profile's range
	// The configuration's check has read the bytes.
	out.Stop, _ = hex.DecodeString(c.StopData)
	out.Run, _ = hex.DecodeString(c.RunData)
	out.AnswerStop, _ = hex.DecodeString(c.AnswerStop)
	if c.AnswerID != nil {
		out.AnswerID, out.HasAnswer = uint32(*c.AnswerID), true //nolint:gosec // in the profile's range
	}
	return out
}

func newRelay(m *config.ModbusRelay) (actuator.Device, actuator.Config) {
	c := modbus.Config{
		Serial: m.Serial, Baud: m.Baud, Unit: byte(m.Unit), Coil: uint16(m.Coil), StopOn: m.StopValue == 1, //nolint:gosec // in the mapping's range
		Parity: map[string]modbus.Parity{"even": modbus.Even, "odd": modbus.Odd, "none": modbus.NoParity}[m.Parity],
	}
	if m.Address != "" {
		c.Address, _ = netip.ParseAddrPort(m.Address) // the configuration's check has read it
	}
	return modbus.New(c), actuator.Config{Timeout: m.Timeout, Refresh: m.Refresh}
}

// newInputs makes the readers of the profile's inputs.
func newInputs(list []config.InputLine) []*gpio.Input {
	biases := map[string]gpio.Bias{"as-is": gpio.BiasAsIs, "none": gpio.BiasNone, "pull-up": gpio.BiasUp, "pull-down": gpio.BiasDown}
	var out []*gpio.Input
	for _, in := range list {
		c := gpio.InputConfig{
			Chip: in.Chip, Line: uint32(in.Line), ActiveHigh: in.ActiveLevel == "high", Bias: biases[in.Bias], //nolint:gosec // in the profile's range
			Debounce: in.Debounce, Discrepancy: in.Discrepancy,
		}
		if in.SecondLine != nil {
			c.Second, c.HasSecond = uint32(*in.SecondLine), true //nolint:gosec // in the profile's range
		}
		out = append(out, gpio.NewInput(c))
	}
	return out
}

// inputState is a reading in the guard's words.
func inputState(s gpio.InputState) guard.InputState {
	switch s {
	case gpio.Released:
		return guard.InputReleased
	case gpio.Active:
		return guard.InputActive
	case gpio.Differ:
		return guard.InputDiffers
	case gpio.Chatter:
		return guard.InputChatters
	case gpio.Unreadable:
	}
	return guard.InputUnreadable
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
