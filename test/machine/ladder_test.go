//go:build qualify

package machine

import (
	"syscall"
	"testing"
	"time"

	"github.com/robowarden/robowarden/agent"
	"github.com/robowarden/robowarden/agent/guard"
	"github.com/robowarden/robowarden/hal/modbus/modbustest"
)

// rungCell is one rung with one fault, with the rungs before it that do not stop the robot.
type rungCell struct {
	rung, it string
	// by is the wire that has to stop the robot in the end.
	by string
	// before breaks what comes before, breaks the rung itself; mend undoes what the wires' own mend does not.
	before, breaks func(*deviceRig, testing.TB)
	mend           func(*deviceRig, testing.TB)
}

func relayLies(r *deviceRig, _ testing.TB)        { r.wires.cut(true, false) }
func relayAndDriveLie(r *deviceRig, _ testing.TB) { r.wires.cut(true, false); r.wires.drive.be(lies) }
func nothing(*deviceRig, testing.TB)              {}

func relayIs(m modbustest.Mood) func(*deviceRig, testing.TB) {
	return func(r *deviceRig, _ testing.TB) { r.wires.relay.Be(m) }
}

func driveIs(m mood) func(*deviceRig, testing.TB) {
	return func(r *deviceRig, _ testing.TB) { r.wires.drive.be(m) }
}

// rungCells are all that can be done to these devices without a reset of the computer. A relay that lies echoes what it is told
// and leaves its coil; its read-back tells. One whose wire is cut behind the coil is seen by nobody but who measures motion.
var rungCells = []rungCell{
	{"relay", "works", "relay", nothing, nothing, nothing},
	{"relay", "refuses", "can", nothing, relayIs(modbustest.Refuses), nothing},
	{"relay", "hangs", "can", relayLies, relayIs(modbustest.Mute), nothing},
	{"relay", "lies", "can", nothing, relayIs(modbustest.Lies), nothing},
	{"relay", "is wired to nothing", "can", nothing, relayLies, nothing},
	{"relay", "babbles", "can", relayLies, relayIs(modbustest.Babbles), nothing},
	{"relay", "is slow", "", nothing, func(r *deviceRig, _ testing.TB) { r.wires.relay.Delay(lateBy) }, nothing},
	{"can", "works", "can", relayLies, nothing, nothing},
	{"can", "refuses", "gpio", relayLies, driveIs(refuses), nothing},
	{"can", "hangs", "gpio", relayLies, driveIs(mute), nothing},
	{"can", "lies", "gpio", relayLies, driveIs(lies), nothing},
	{"can", "is slow", "", relayLies, driveIs(late), nothing},
	{
		// The drive falls by silence, at the same time as the permit, which is asked at once.
		"can", "is off the bus", "", relayLies,
		func(r *deviceRig, t testing.TB) { r.busOff(t, true) },
		func(r *deviceRig, t testing.TB) { r.busOff(t, false) },
	},
	{"gpio", "works", "gpio", relayAndDriveLie, nothing, nothing},
	{
		"gpio", "is shorted to supply", "gpio", relayAndDriveLie,
		func(r *deviceRig, t testing.TB) { r.short(t, true) },
		func(r *deviceRig, t testing.TB) { r.short(t, false) },
	},
}

func (r *deviceRig) busOff(t testing.TB, off bool) {
	t.Helper()
	if err := r.SetBusOff(within(t, patience), off); err != nil {
		t.Fatal(err)
	}
}

func (r *deviceRig) short(t testing.TB, on bool) {
	t.Helper()
	if err := r.Lines.Short(permitLine, on); err != nil {
		t.Fatal(err)
	}
}

// everyRung drives and stops by each rung with each of its faults.
func (r *deviceRig) everyRung(t *testing.T) {
	t.Log("table: | rung | it | brakes | s after the order | at rest, s after the order | the guard says |")
	t.Log("table: |---|---|---|---:|---:|---|")
	for _, c := range rungCells {
		if !t.Run(c.rung+" "+c.it, func(t *testing.T) { r.cell(t, &c) }) {
			t.FailNow()
		}
	}
}

func (r *deviceRig) cell(t *testing.T, c *rungCell) {
	r.devices(t)
	r.drives(t)
	stop := r.stopNow(t)
	c.before(r, t)
	c.breaks(r, t)
	b := r.runaway(t, stop)
	rest := r.rested(t, b.trigger)
	s := r.await(t, "a stop that is confirmed, or loud words that it is not", func(s *agent.Status) bool {
		return has(s, "order.stop") && (s.AtRest && s.Ladder == "confirmed" || has(s, "stop.unconfirmed"))
	})
	t.Logf("table: | %s | %s | %s | %.2f | %.2f | %s |", c.rung, c.it, b.by, b.after.Seconds(), rest.Seconds(), loud(&s))
	// A busy host may keep frames from the drive for so long that it brakes by silence before anybody asks for it.
	if c.by != "" && b.by != c.by && b.by != byCANSilence {
		t.Errorf("stopped by %q, expected %q; ladder %s, actuators %+v", b.by, c.by, s.Ladder, s.Actuators)
	}
	r.stick.push(0)
	c.mend(r, t)
	r.wires.mend()
}

// pressed presses the e-stop while the robot drives. It has to be let go and reset by a signed order.
func (r *deviceRig) pressed(t *testing.T) {
	r.devices(t)
	trigger := r.drives(t)
	r.press(t, true)
	rest := r.rested(t, trigger)
	s := r.await(t, "the e-stop seen", func(s *agent.Status) bool { return has(s, "input.estop") })
	t.Logf("figures: at rest %.2f s after the e-stop was pressed; motion %s", rest.Seconds(), s.Axes.Motion)
	if _, err := r.send(t, r.site.resetOrder(t, &s)); err != nil {
		t.Logf("reset while pressed: %v", err)
	}
	if s, _ = r.status(t); !has(&s, "input.estop") {
		t.Error("a reset opened an e-stop that is pressed")
	}
	r.press(t, false)
	r.drives(t)
	r.stick.push(0)
}

// busOffAndBack takes the CAN controller off its bus while the robot stands, and back.
func (r *deviceRig) busOffAndBack(t *testing.T) {
	r.devices(t)
	r.busOff(t, true)
	s := r.await(t, "a controller that has left the bus", func(s *agent.Status) bool { return s.Actuators[1].State == "bus-off" })
	if !has(&s, "actuator.bus-off") {
		t.Errorf("triggers %v", codes(&s))
	}
	t.Logf("says %s; %+v", loud(&s), s.Actuators)
	until(t, patience, "a drive that brakes by silence", func() bool { return r.wires.drive.brakes() != "" })
	r.busOff(t, false)
	r.await(t, "a controller that is back", func(s *agent.Status) bool { return !has(s, "actuator.bus-off") })
	r.devices(t)
	r.drives(t)
	r.stick.push(0)
}

// relaySilent has the relay say nothing, and then answer again.
func (r *deviceRig) relaySilent(t *testing.T) {
	r.devices(t)
	r.wires.relay.Be(modbustest.Mute)
	s := r.await(t, "a relay that is silent", func(s *agent.Status) bool { return has(s, "actuator.silent") })
	t.Logf("says %s; %+v", loud(&s), s.Actuators)
	r.wires.mend()
	r.devices(t)
}

// watchdogBites has all rungs before the last fail: then only a reset of the computer withdraws the permit.
func (r *deviceRig) watchdogBites(t *testing.T) {
	r.devices(t)
	r.drives(t)
	begun := time.Now()
	stop := r.stopNow(t)
	r.wires.cut(true, true)
	r.wires.drive.be(lies)
	b := r.runaway(t, stop)
	if b.by != byReset {
		t.Errorf("stopped by %q", b.by)
	}
	t.Logf("table: | watchdog | works | %s | %.2f | %.2f | (reset) |", b.by, b.after.Seconds(), r.rested(t, b.trigger).Seconds())
	before := agent.Status{Status: guard.Status{Triggers: []guard.TriggerStatus{{Code: "order.stop", Latched: true}}}}
	r.stick.push(0)
	r.wires.mend()
	s := r.again(t, &before, begun)
	if !has(&s, "order.stop") {
		t.Errorf("the stop is not latched any more: %v", codes(&s))
	}
	t.Logf("figures: the guard again %.1f s after the order", time.Since(begun).Seconds())
}

// frozen stops the guard's process as it drives: the permit lapses, the watchdog resets the computer.
func (r *deviceRig) frozen(t *testing.T) {
	r.devices(t)
	r.drives(t)
	before, _ := r.status(t)
	begun, pid, ctx := time.Now(), r.role(t, "guard").PID, within(t, patience)
	// The relay is a level, so it stays; the drive and the permit are what falls.
	r.wires.cut(true, false)
	b := r.runaway(t, func() error { return r.Signal(ctx, pid, int(syscall.SIGSTOP)) })
	t.Logf("figures: %s after %.2f s, at rest %.2f s after the guard's process was stopped", b.by, b.after.Seconds(), r.rested(t, b.trigger).Seconds())
	if b.by != byCANSilence && b.by != byGPIO && b.by != byReset {
		t.Errorf("stopped by %q", b.by)
	}
	r.wires.mend()
	r.again(t, &before, begun)
	t.Logf("figures: the guard again %.1f s after it was stopped", time.Since(begun).Seconds())
	r.stick.push(0)
}
