//go:build qualify

package machine

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/robowarden/robowarden/agent"
	"github.com/robowarden/robowarden/agent/guard"
	"github.com/robowarden/robowarden/hal/modbus/modbustest"
	"github.com/robowarden/robowarden/test/internal/ros"
	"github.com/robowarden/robowarden/test/machine/wire"
	"github.com/robowarden/robowarden/test/oracle"
	"github.com/robowarden/robowarden/test/plant"
)

// deviceLadder is the end of a profile whose robot is stopped by devices alone: what ROS says, this robot does not hear.
const deviceLadder = `stop_ladder:
  - {name: relay, kind: relay, actuator: stop-relay, ack_within: 200ms, without_ros: true, stop_category: 2}
  - {name: drive, kind: can, actuator: drive-frame, ack_within: 200ms, without_ros: true, stop_category: 2}
  - {name: permit, kind: gpio, actuator: permit, ack_within: 200ms, without_ros: true, stop_category: 2}
  - {name: reset, kind: watchdog, actuator: dog, ack_within: 200ms, without_ros: true, stop_category: 1}
actuators:
  - {name: stop-relay, modbus: {serial: /dev/ttyS0, unit: 3, coil: 0, stop_value: 0, timeout: 200ms, refresh: 300ms}}
  - {name: drive-frame, can: {interface: can0, id: 128, stop_data: "00", run_data: "01", period: 100ms, answer_id: 129, answer_stop: "00", silence_stops: 1s}}
  - {name: permit, gpio: {chip: /dev/gpiochip0, line: 5, stop_level: low, toggle: 50ms, drops_after: 1s}}
  - {name: dog, watchdog: {device: /dev/watchdog, timeout: 5s}}
inputs:
  - {name: rear-estop, means: estop, chip: /dev/gpiochip0, line: 6, active_level: low, second_line: 7, debounce: 20ms, discrepancy: 500ms}
`

// byROS is the ladder of the other tests' robot.
const byROS = `stop_ladder:
  - {name: zeros, kind: zero-velocity, without_ros: false, stop_category: 2}
  - {name: lock, kind: lock, without_ros: true, stop_category: 2}
`

// deviceRig is a robot whose computer has devices, and what they are wired to.
type deviceRig struct {
	*robot
	config Config
	wires  *wires
	stick  *stick
}

// creep is how fast the robot drives here, in m/s, backwards: away from every zone.
const creep = -0.4

// newDeviceRig starts master, robot and computer, and the guard in it.
func newDeviceRig(t *testing.T) *deviceRig {
	t.Helper()
	r := &deviceRig{robot: &robot{whole: t, master: ros.StartMaster(t, ros.Options{Address: wire.Host})}}
	r.site = newSiteWith(t, r.master, nil, pharmacy().Outer, func(profile string) string { return replaceOnce(t, profile, byROS, deviceLadder) })
	r.plant = plant.Start(t, r.master, plant.Config{LockTopic: "/robowarden/lock", OdomHz: 25, Extra: slowStreams})
	r.stick, r.wires = newStick(t, r.master), newWires(t)
	r.config = Config{Parts: made.Parts, Disk: r.site.dir, Quick: true, Devices: true, MemoryMiB: 256}
	var err error
	if r.Machine, err = Boot(t, r.config); err != nil {
		t.Fatal(err)
	}
	r.wires.connect(r.Machine)
	r.press(t, false)
	r.start(t)
	return r
}

// press operates the e-stop at the back, or lets it go. Its two contacts always differ.
func (r *deviceRig) press(t testing.TB, on bool) {
	t.Helper()
	for line, high := range map[int]bool{estopLine: !on, estopSecond: on} {
		if err := r.Lines.Set(line, high); err != nil {
			t.Fatal(err)
		}
	}
}

// start starts the product and waits until it has heard everything.
func (r *deviceRig) start(t testing.TB) agent.Status {
	t.Helper()
	if err := r.Start(within(t, patience), "robowarden", wire.Program, "run", "--deployment", wire.Data+"/deployment.yaml"); err != nil {
		t.Fatal(err)
	}
	return r.await(t, "a guard that has started", func(s *agent.Status) bool { return !has(s, "startup") })
}

// devices waits until all devices do what they are told.
func (r *deviceRig) devices(t testing.TB) {
	t.Helper()
	r.await(t, "devices that all work", func(s *agent.Status) bool {
		works := len(s.Actuators) == 4 && len(s.Inputs) == 1
		for _, d := range s.Actuators {
			works = works && d.State == "works"
		}
		return works && !s.Advisory
	})
}

// drives makes the robot drive, whatever was latched, and returns a moment at which it does.
func (r *deviceRig) drives(t testing.TB) time.Duration {
	t.Helper()
	for deadline := time.Now().Add(2 * patience); time.Now().Before(deadline); {
		r.stick.push(0)
		r.release(t)
		r.await(t, "a gate that lets a neutral command pass", func(s *agent.Status) bool {
			return s.Gate == "passed" || strings.HasPrefix(s.Gate, "scaled") || s.Axes.Motion == "hold" || s.Axes.Motion == "stop"
		})
		r.stick.push(creep)
		for try := time.Now().Add(10 * time.Second); time.Now().Before(try); time.Sleep(20 * time.Millisecond) { // The pause of a poll.
			if s := r.newest(t); s.Speed() > 0.2 {
				return s.T
			}
		}
	}
	s, _ := r.status(t)
	text, _ := json.MarshalIndent(s, "", " ")
	t.Fatalf("expected a robot that drives; the guard's status:\n%s\nthe product wrote:\n%s", text, r.log(t))
	return 0
}

// braked is how a robot that had run away was stopped.
type braked struct {
	// trigger is when what was to stop it began, by the robot's clock; after is how much later the wire by braked it.
	trigger, after time.Duration
	by             string
}

// runaway has the robot go on at its present speed whatever it is told, does what is to stop it, and waits for a wire that
// does.
func (r *deviceRig) runaway(t testing.TB, do func() error) braked {
	t.Helper()
	r.plant.Fault(t, "keep_moving")
	r.wires.changed = time.Now()
	b := braked{trigger: r.now(t)}
	done := make(chan error, 1)
	go func() { done <- do() }()
	until(t, patience, "a wire that brakes the robot", func() bool {
		b.by = r.wires.braking(t, r.Machine)
		return b.by != "" || !r.Running()
	})
	r.plant.Fault(t, "clear keep_moving")
	b.after = r.now(t) - b.trigger
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	return b
}

// stopNow gives the guard this order, again if it was too busy.
func (r *deviceRig) stopNow(t testing.TB) func() error {
	t.Helper()
	envelope := r.site.stopOrder(t)
	ctx := within(t, patience)
	return func() error {
		for {
			raw, err := r.Packet(ctx, controlSocket, append([]byte{'O'}, envelope...))
			var receipt agent.Receipt
			if err == nil && json.Unmarshal(raw, &receipt) == nil && receipt.Accepted {
				return nil
			}
			if ctx.Err() != nil {
				return fmt.Errorf("the stop was not taken: %s: %w", raw, err)
			}
		}
	}
}

// rested waits until the robot rests and returns how long after the trigger it began, by the robot's own clock.
func (r *deviceRig) rested(t testing.TB, trigger time.Duration) time.Duration {
	t.Helper()
	still := oracle.Rest{SpeedMPS: 0.01, YawRateRPS: 0.01, Hold: 500 * time.Millisecond}
	var took time.Duration
	until(t, patience, "stable rest", func() bool {
		d, err := oracle.TimeToRest(r.plant.Truth(t), trigger, still)
		took = d
		return err == nil
	})
	return took
}

// loud are the words by which a status says that a stop may not come, worst first.
func loud(s *agent.Status) string {
	var words []string
	if s.Advisory {
		words = append(words, "advisory")
	}
	for _, code := range []string{"stop.unconfirmed", "actuator.silent", "actuator.bus-off", "permit.lost"} {
		if has(s, code) {
			words = append(words, code)
		}
	}
	if len(words) == 0 {
		return "enforcing"
	}
	return strings.Join(words, ", ")
}

// rungCell is one rung with one fault, with the rungs before it that do not stop the robot.
type rungCell struct {
	rung, it string
	// by is the wire that has to stop the robot in the end.
	by string
	// before breaks what comes before, breaks the rung itself; mend undoes what the wires' own mend does not.
	before, breaks func(*deviceRig, testing.TB)
	mend           func(*deviceRig, testing.TB)
}

func relayLies(r *deviceRig, _ testing.TB)        { r.wires.relayCut = true }
func relayAndDriveLie(r *deviceRig, _ testing.TB) { r.wires.relayCut = true; r.wires.drive.be(lies) }
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
		"can", "is off the bus", "can", relayLies,
		func(r *deviceRig, t testing.TB) { r.busOff(t, true) },
		func(r *deviceRig, t testing.TB) { r.busOff(t, false) },
	},
	{"gpio", "works", "gpio", relayAndDriveLie, nothing, nothing},
}

func (r *deviceRig) busOff(t testing.TB, off bool) {
	t.Helper()
	if err := r.SetBusOff(within(t, patience), off); err != nil {
		t.Fatal(err)
	}
}

// TestRobotComputerWithDevices is a robot that no word of ROS stops, and the devices of its computer that do: each of them with
// each of its faults, contacts from outside, a frozen guard, power that goes at any moment, and the disk, the clock and the
// memory that a computer may be left without. All of it is the product as it ships, in one machine.
func TestRobotComputerWithDevices(t *testing.T) {
	able(t)
	r := newDeviceRig(t)
	for _, step := range []struct {
		name string
		do   func(*testing.T)
	}{
		{"every rung meets its faults", r.everyRung},
		{"e-stop pressed from outside", r.pressed},
		{"CAN bus-off and back", r.busOffAndBack},
		{"relay silent and back", r.relaySilent},
		{"last rung resets the computer and the latch survives", r.watchdogBites},
		{"frozen guard loses the permit and is reset", r.frozen},
		{"disk full", r.diskFull},
		{"disk read-only", r.diskReadOnly},
		{"clock at 1970", r.clock1970},
		{"out of memory", r.outOfMemory},
		{"power cuts at any moment", r.powerCuts},
	} {
		begun, before := time.Now(), r.CPU()
		if !t.Run(step.name, step.do) {
			t.Fatalf("step %q failed; the product wrote:\n%s\nits journal ends:\n%s", step.name, r.log(t), r.decisions(t))
		}
		t.Logf("%5.1f s, %5.1f s of processor: %s", time.Since(begun).Seconds(), (r.CPU() - before).Seconds(), step.name)
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
	s := r.await(t, "a controller that has left the bus", func(s *agent.Status) bool { return has(s, "actuator.bus-off") })
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

// again starts the guard in a machine that has started again, and checks that it holds as after any unclean end.
func (r *deviceRig) again(t testing.TB, before *agent.Status, begun time.Time) agent.Status {
	t.Helper()
	if err := r.Booted(t.Context(), begun); err != nil {
		t.Fatal(err)
	}
	r.start(t)
	s := r.await(t, "a guard that holds after an unclean end", func(s *agent.Status) bool { return has(s, "restart.unclean") })
	if s.BootID == before.BootID {
		t.Errorf("boot id %s before and after: the machine was not reset", s.BootID)
	}
	r.kept(t, before, &s)
	return s
}

// kept checks that what was latched still is.
func (r *deviceRig) kept(t testing.TB, before, now *agent.Status) {
	t.Helper()
	for _, trigger := range before.Triggers {
		if trigger.Latched && !has(now, trigger.Code) {
			t.Errorf("%s was latched and is not any more: %v", trigger.Code, codes(now))
		}
	}
}

// watchdogBites has all rungs before the last fail: then only a reset of the computer withdraws the permit.
func (r *deviceRig) watchdogBites(t *testing.T) {
	r.devices(t)
	r.drives(t)
	begun := time.Now()
	stop := r.stopNow(t)
	relayAndDriveLie(r, t)
	// Stuck high: shorted to supply behind the chip's back. Its end is the chip's reset.
	if err := r.Lines.Short(permitLine); err != nil {
		t.Fatal(err)
	}
	b := r.runaway(t, stop)
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
	r.wires.relayCut = true
	b := r.runaway(t, func() error { return r.Signal(ctx, pid, int(syscall.SIGSTOP)) })
	t.Logf("figures: %s after %.2f s, at rest %.2f s after the guard's process was stopped", b.by, b.after.Seconds(), r.rested(t, b.trigger).Seconds())
	if b.by != byCANSilence && b.by != byGPIO {
		t.Errorf("stopped by %q", b.by)
	}
	r.wires.mend()
	r.again(t, &before, begun)
	t.Logf("figures: the guard again %.1f s after it was stopped", time.Since(begun).Seconds())
	r.stick.push(0)
}

// diskFull fills the disk: the guard goes on deciding, says so, and stops when it is told to.
func (r *deviceRig) diskFull(t *testing.T) { r.withoutDisk(t, wire.Disk{Full: true}) }

// diskReadOnly makes the disk what the kernel makes of one that fails.
func (r *deviceRig) diskReadOnly(t *testing.T) { r.withoutDisk(t, wire.Disk{ReadOnly: true}) }

func (r *deviceRig) withoutDisk(t *testing.T, d wire.Disk) {
	r.devices(t)
	r.drives(t)
	r.disk(t, d)
	r.await(t, "a guard that cannot record", func(s *agent.Status) bool { return has(s, "journal.unwritable") })
	trigger := r.now(t)
	r.order(t, r.site.stopOrder)
	t.Logf("figures: at rest %.2f s after a stop without a disk (%+v)", r.rested(t, trigger).Seconds(), d)
	r.stick.push(0)
	r.disk(t, wire.Disk{})
	r.await(t, "a guard that records again, and has not forgotten the stop", func(s *agent.Status) bool {
		return !has(s, "journal.unwritable") && has(s, "order.stop")
	})
	r.verifies(t)
}

func (r *deviceRig) disk(t testing.TB, d wire.Disk) {
	t.Helper()
	if err := r.SetDisk(within(t, patience), d); err != nil {
		t.Fatal(err)
	}
}

// verifies lets the product check the guard's journal: a power cut may cost its tail and leave a gap that is told, never a word
// that somebody changed.
func (r *deviceRig) verifies(t testing.TB) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "journal")
	if err := r.Tree(within(t, patience), wire.Data+"/journal", dir); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command(made.Parts.Host, "journal", "verify", dir).CombinedOutput(); err != nil {
		t.Errorf("the journal does not verify: %v\n%s", err, out)
		keep := filepath.Join(os.TempDir(), "robowarden-journal-of-machine")
		if err := os.CopyFS(keep, os.DirFS(dir)); err == nil {
			t.Logf("it is kept in %s", keep)
		}
	}
}

// clock1970 sets the civil clock to the beginning of time under a guard that runs, and has one start under it.
func (r *deviceRig) clock1970(t *testing.T) {
	r.devices(t)
	r.drives(t)
	if err := r.SetWildClock(within(t, patience), time.Unix(0, 0)); err != nil {
		t.Fatal(err)
	}
	s := r.await(t, "a guard that holds while its clock has jumped", func(s *agent.Status) bool {
		return has(s, "clock.jump") && (s.Axes.Motion == "hold" || s.Axes.Motion == "stop")
	})
	t.Logf("clock %s, triggers %v", s.Clock, codes(&s))
	r.stands(t)
	r.stick.push(0)
	if out := r.end(t); out.Exit != "exit status 0" {
		t.Errorf("the product ended with %q:\n%s", out.Exit, out.Text)
	}
	s = r.start(t)
	t.Logf("started at 1970: clock %s, motion %s, triggers %v", s.Clock, s.Axes.Motion, codes(&s))
	if s.Clock == "trusted" {
		t.Error("a clock that nobody disciplines, and that is older than what was signed, is trusted")
	}
	// A stop must get through all the same.
	r.order(t, r.site.stopOrder)
	r.await(t, "a latched stop", func(s *agent.Status) bool { return has(s, "order.stop") })
	if err := r.SetClock(within(t, patience)); err != nil {
		t.Fatal(err)
	}
	r.await(t, "a clock that is trusted again", func(s *agent.Status) bool { return s.Clock == "trusted" })
}

// outOfMemory takes the machine's memory until the kernel has to end the guard.
func (r *deviceRig) outOfMemory(t *testing.T) {
	r.devices(t)
	trigger := r.drives(t)
	old := r.role(t, "guard").PID
	before, _ := r.status(t)
	begun := time.Now()
	pid, err := r.Hog(within(t, patience), r.config.MemoryMiB)
	if err != nil {
		t.Fatal(err)
	}
	// Whatever the kernel ends or the guard says, the robot comes to rest, or drives on with a guard that still decides.
	killed := false
	until(t, 2*patience, "a guard that was ended, or says that memory is short", func() bool {
		if s, ok := r.status(t); ok && has(&s, "guard.memory") {
			return true
		}
		out, err := r.Output(within(t, patience), "robowarden", false)
		killed = err == nil && !out.Running || strings.Contains(r.Console(), "Out of memory")
		return killed
	})
	rest := r.rested(t, trigger)
	t.Logf("figures: killed %t; at rest %.2f s after the last sight of the robot driving", killed, rest.Seconds())
	if err := r.Signal(within(t, patience), pid, int(syscall.SIGTERM)); err != nil {
		t.Fatal(err)
	}
	r.stick.push(0)
	if out, err := r.Output(within(t, patience), "robowarden", false); err == nil && !out.Running {
		t.Logf("the product ended: %s", out.Exit)
		r.start(t)
	}
	s := r.await(t, "a guard", func(s *agent.Status) bool { return !has(s, "startup") })
	if p := r.role(t, "guard"); p.PID != old && !has(&s, "restart.unclean") {
		t.Errorf("a guard that was ended has forgotten it: %v", codes(&s))
	}
	if s.BootID != before.BootID {
		t.Logf("the computer was reset meanwhile")
	}
	r.kept(t, &before, &s)
	t.Logf("a guard again after %.1f s", time.Since(begun).Seconds())
}

// cuts is how often the power goes.
const cuts = 6

// powerCuts takes the power away at random moments of a robot that is driven, stopped and released. Whatever was latched when
// somebody could still see it stays latched, and every journal verifies.
func (r *deviceRig) powerCuts(t *testing.T) {
	seed := uint64(time.Now().UnixNano()) //nolint:gosec // any will do
	if text := os.Getenv("ROBOWARDEN_SEED"); text != "" {
		if _, err := fmt.Sscan(text, &seed); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("seed %d (repeat with ROBOWARDEN_SEED=%d)", seed, seed)
	random := rand.New(rand.NewPCG(seed, 7)) //nolint:gosec // to be repeated
	for i := range cuts {
		stopped := i%2 == 0
		before, _ := r.status(t)
		if stopped {
			r.order(t, r.site.stopOrder)
			before = r.await(t, "a latched stop", func(s *agent.Status) bool { return has(s, "order.stop") })
		} else {
			r.devices(t)
			r.drives(t)
			before, _ = r.status(t)
			// A stop on its way: it may be latched or not when the power goes.
			if random.IntN(2) == 0 {
				go func() { _, _ = r.Packet(t.Context(), controlSocket, append([]byte{'O'}, r.site.stopOrder(t)...)) }()
			}
		}
		time.Sleep(time.Duration(random.IntN(1500)) * time.Millisecond) // The moment is what is drawn.
		trigger := r.now(t)
		var begun time.Time
		var err error
		if random.IntN(2) == 0 {
			begun, err = r.Reset()
		} else {
			begun, err = r.Cut(r.config)
			r.wires.connect(r.Machine)
		}
		if err != nil {
			t.Fatal(err)
		}
		rest := r.rested(t, trigger)
		s := r.again(t, &before, begun)
		r.stick.push(0)
		r.verifies(t)
		t.Logf("cut %d: stopped %t, at rest %.2f s later, latched %v, now %v", i, stopped, rest.Seconds(), latched(&before), codes(&s))
	}
}

func latched(s *agent.Status) []string {
	var out []string
	for _, t := range s.Triggers {
		if t.Latched {
			out = append(out, t.Code)
		}
	}
	slices.Sort(out)
	return out
}
