//go:build qualify

package machine

import (
	"bytes"
	"encoding/binary"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/robowarden/robowarden/hal/modbus/modbustest"
	"github.com/robowarden/robowarden/test/internal/ros"
	"github.com/robowarden/robowarden/test/internal/wire"
	mwire "github.com/robowarden/robowarden/test/machine/wire"
	"github.com/robowarden/robowarden/test/plant"
)

// What the drive's electronics say and hear on the CAN bus, and how long they bear silence.
const (
	stopFrameID, answerFrameID = 0x80, 0x81
	driveSilence               = time.Second
)

// mood is how the drive's electronics behave.
type mood int

// Moods.
const (
	// obeys brakes as it is told, and says so.
	obeys mood = iota
	// refuses says that it runs, and runs.
	refuses
	// mute says nothing, and runs.
	mute
	// lies says what it was told, and runs.
	lies
	// late obeys after lateBy.
	late
)

const lateBy = 700 * time.Millisecond

// canDrive are the electronics of a drive at the far end of the CAN bus. It is written from the profile's words and not from
// the driver that speaks to it.
type canDrive struct {
	conn *net.UDPConn

	mu    sync.Mutex
	mood  mood
	heard time.Time
	// stop is what the last frame said.
	stop    bool
	changed time.Time
}

func newCANDrive(t testing.TB) *canDrive {
	t.Helper()
	c := must(net.ListenUDP("udp4", &net.UDPAddr{IP: mwire.HostIP[:], Port: mwire.CANPortUDP}))(t)
	d := &canDrive{conn: c, stop: true, heard: time.Now()}
	done := make(chan struct{})
	go func() { defer close(done); d.serve() }()
	t.Cleanup(func() { _ = c.Close(); <-done })
	return d
}

// serve hears and answers frames (struct can_frame: identifier, length, three bytes of nothing, data).
func (d *canDrive) serve() {
	frame := make([]byte, 16)
	for {
		n, from, err := d.conn.ReadFromUDP(frame)
		if err != nil {
			return
		}
		if n < 9 || binary.NativeEndian.Uint32(frame) != stopFrameID {
			continue
		}
		d.mu.Lock()
		stop := frame[8] == 0
		if d.heard = time.Now(); stop != d.stop {
			d.stop, d.changed = stop, d.heard
		}
		m, slow := d.mood, d.mood == late && time.Since(d.changed) < lateBy
		d.mu.Unlock()
		says := byte(1)
		if m == mute || slow {
			continue
		}
		if stop && m != refuses {
			says = 0
		}
		answer := make([]byte, 16)
		binary.NativeEndian.PutUint32(answer, answerFrameID)
		answer[4], answer[8] = 1, says
		_, _ = d.conn.WriteToUDP(answer, from)
	}
}

func (d *canDrive) be(m mood) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.mood = m
}

// brakes says why the drive has no power now, empty if it has.
func (d *canDrive) brakes() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	switch {
	case d.mood == refuses || d.mood == mute || d.mood == lies:
	case d.stop && (d.mood == obeys || time.Since(d.changed) > lateBy):
		return byCAN
	case time.Since(d.heard) > driveSilence:
		return byCANSilence
	}
	return ""
}

// What brakes the robot.
const byRelay, byCAN, byCANSilence, byGPIO, byReset = "relay", "can", "can, by silence", "gpio", "watchdog"

// stick is who drives by hand: a node of the planner's name whose speed can be changed at any moment.
type stick struct {
	mu    sync.Mutex
	speed float64
}

func newStick(t testing.TB, m *ros.Master) *stick {
	t.Helper()
	n := must(wire.NewNode(wire.NodeConfig{Name: "/planner", Master: m.URI(), Host: mwire.Host}))(t)
	p := must(n.Advertise(within(t, patience), wire.PublisherConfig{Topic: "/cmd_vel_raw", Type: wire.Twist}))(t)
	s, end, done := &stick{}, make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		every := time.NewTicker(50 * time.Millisecond)
		defer every.Stop()
		for {
			select {
			case <-end:
				return
			case <-every.C:
				s.mu.Lock()
				body := wire.TwistMsg{Linear: [3]float64{s.speed}}.Append(nil)
				s.mu.Unlock()
				p.Send(body)
			}
		}
	}()
	t.Cleanup(func() { close(end); <-done; _ = n.Close() })
	return s
}

func (s *stick) push(speed float64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.speed = speed
}

// Lines of the GPIO chip, as the robot is wired.
const permitLine, estopLine, estopSecond = 5, 6, 7

// permitDrops is after how long without a change the permit's receiver takes it for withdrawn.
const permitDrops = time.Second

// wires are what is wired to the computer's devices, and brake the robot without asking ROS.
type wires struct {
	relay *modbustest.Relay
	drive *canDrive

	mu sync.Mutex
	// relayCut and permitCut are wires that are cut where they would brake the robot: whoever looks at the device sees nothing.
	relayCut, permitCut bool
	// reset is true while the computer is one that was just reset, and its drive without whoever would command it.
	reset   bool
	high    bool
	changed time.Time
	by      string
}

const relayUnit = 3

// newWires serves relay, drive and permit for the length of the test.
func newWires(t testing.TB, m *Machine, p *plant.Plant) *wires {
	t.Helper()
	w := &wires{relay: modbustest.New(relayUnit), drive: newCANDrive(t)}
	w.connect(m)
	end, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		every := time.NewTicker(5 * time.Millisecond)
		defer every.Stop()
		for {
			select {
			case <-end:
				return
			case <-every.C:
				w.look(t, m.Lines, p)
			}
		}
	}()
	t.Cleanup(func() { close(end); <-done })
	return w
}

// connect serves the serial line of a machine that was just switched on.
func (w *wires) connect(m *Machine) {
	go w.relay.ServeSerial(m.Relay)
}

// look finds out whether the robot is braked now, and brakes it or lets it go. A computer without power gives no permit.
func (w *wires) look(t testing.TB, lines *Lines, p *plant.Plant) {
	high, err := lines.High(permitLine)
	w.mu.Lock()
	before := w.by
	if err == nil && high != w.high {
		w.high, w.changed = high, time.Now()
	}
	w.by = w.brakes()
	now := w.by
	w.mu.Unlock()
	switch {
	case before == "" && now != "":
		p.Tell(t, "brake")
	case before != "" && now == "":
		p.Tell(t, "clear brake")
	}
}

// brakes names the first of the wires that brakes the robot now, empty for none. The lock is held.
func (w *wires) brakes() string {
	if !w.relayCut && !w.relay.Coil(0) {
		return byRelay
	}
	if by := w.drive.brakes(); by != "" {
		return by
	}
	if !w.permitCut && time.Since(w.changed) > permitDrops {
		return byGPIO
	}
	if w.reset {
		return byReset
	}
	return ""
}

// braking names what brakes the robot now, empty for nothing.
func (w *wires) braking() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.by
}

// cut cuts wires, or mends them.
func (w *wires) cut(relay, permit bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.relayCut, w.permitCut = relay, permit
}

// isReset says whether the computer was just reset.
func (w *wires) isReset(now bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.reset = now
}

// mend undoes every fault outside the machine.
func (w *wires) mend() {
	w.cut(false, false)
	w.isReset(false)
	w.relay.Be(modbustest.Good)
	w.relay.Delay(0)
	w.drive.be(obeys)
}

// replaceOnce replaces text that has to be there once.
func replaceOnce(t testing.TB, text, old, by string) string {
	t.Helper()
	if n := bytes.Count([]byte(text), []byte(old)); n != 1 {
		t.Fatalf("expected %q once, found it %d times", old, n)
	}
	return string(bytes.Replace([]byte(text), []byte(old), []byte(by), 1))
}
