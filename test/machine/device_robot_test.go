//go:build qualify

package machine

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/robowarden/robowarden/agent"
	"github.com/robowarden/robowarden/test/internal/ros"
	"github.com/robowarden/robowarden/test/machine/wire"
	"github.com/robowarden/robowarden/test/oracle"
	"github.com/robowarden/robowarden/test/plant"
)

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
  - {name: dog, watchdog: {device: /dev/watchdog, timeout: 20s}}
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
	r.stick = newStick(t, r.master)
	r.config = Config{Parts: made.Parts, Disk: r.site.dir, Quick: true, Devices: true, MemoryMiB: 256}
	var err error
	if r.Machine, err = Boot(t, r.config); err != nil {
		t.Fatal(err)
	}
	r.wires = newWires(t, r.Machine, r.plant)
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
	r.launch(t)
	return r.await(t, "a guard that has started", func(s *agent.Status) bool { return !has(s, "startup") })
}

func (r *deviceRig) launch(t testing.TB) {
	t.Helper()
	if err := r.Start(within(t, patience), "robowarden", wire.Program, "run", "--deployment", wire.Data+"/deployment.yaml"); err != nil {
		t.Fatal(err)
	}
}

// devices waits until each device has done what it is told. On a busy host a frame's answer is late now and then, so not all of
// them may do so at the same moment.
func (r *deviceRig) devices(t testing.TB) {
	t.Helper()
	worked := map[string]bool{}
	r.await(t, "devices that all work", func(s *agent.Status) bool {
		for _, d := range s.Actuators {
			if d.State == "works" {
				worked[d.Name] = true
			}
		}
		return len(worked) == 4 && len(s.Inputs) == 1
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
// does, or for a reset of the computer.
func (r *deviceRig) runaway(t testing.TB, do func() error) braked {
	t.Helper()
	r.runAway(t)
	b, resets, begun := braked{trigger: r.now(t)}, must(r.Resets())(t), time.Now()
	done := make(chan error, 1)
	go func() { done <- do() }()
	until(t, patience, "a wire that brakes the robot", func() bool {
		if b.by = r.wires.braking(); b.by == "" && must(r.Resets())(t) != resets {
			r.wires.isReset(true)
		}
		return b.by != ""
	})
	b.after = time.Since(begun)
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	r.rested(t, b.trigger)
	// A robot that stands and is braked hears its commands again.
	r.plant.Fault(t, "clear keep_moving")
	return b
}

// runAway has a robot that drives keep its speed whatever it is told. What it keeps is its present target: if that was zero for a
// moment, the robot has to drive again.
func (r *deviceRig) runAway(t testing.TB) {
	t.Helper()
	for range 5 {
		r.plant.Fault(t, "keep_moving")
		from := r.now(t)
		until(t, patience, "half a second more of the robot's time", func() bool { return r.now(t) > from+500*time.Millisecond })
		if s := r.newest(t); s.Speed() > 0.15 {
			return
		}
		r.plant.Fault(t, "clear keep_moving")
		r.drives(t)
	}
	t.Fatal("expected a robot that keeps its speed, found one that stops, five times")
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
