package machine

import (
	"context"
	"encoding/json"
	"math"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/robowarden/robowarden/agent"
	"github.com/robowarden/robowarden/test/driver"
	"github.com/robowarden/robowarden/test/internal/proc"
	"github.com/robowarden/robowarden/test/internal/ros"
	"github.com/robowarden/robowarden/test/machine/wire"
	"github.com/robowarden/robowarden/test/oracle"
	"github.com/robowarden/robowarden/test/plant"
)

// robot is a robot on the host's side of the cable, and the computer on the other side that guards it.
type robot struct {
	*Machine
	master  *ros.Master
	plant   *plant.Plant
	planner *proc.Process
	site    *site
	station *station
	// bootIDs are those of the machine's starts.
	bootIDs []string
	// whole is the test that the robot lives as long as; its steps end sooner.
	whole *testing.T
}

// patience is how long effects may take: generous, since everything in the machine is emulated on a busy host.
const patience = 60 * time.Second

// within is a context for one exchange with the machine.
func within(t testing.TB, d time.Duration) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}

// until polls for an effect.
func until(t testing.TB, limit time.Duration, what string, done func() bool) {
	t.Helper()
	deadline := time.Now().Add(limit)
	for !done() {
		if time.Now().After(deadline) {
			t.Fatalf("within %v: expected %s", limit, what)
		}
		time.Sleep(50 * time.Millisecond) // The pause of a poll.
	}
}

// drive replaces the planner by one that sends this forward speed for ever.
func (r *robot) drive(speed float64) {
	r.whole.Helper()
	if r.planner != nil {
		r.planner.Kill()
	}
	r.planner = driver.StartDrive(r.whole, r.master, driver.Drive{VX: speed, Rate: 20})
}

// guard starts the product in the machine as a robot without systemd would: measured first, then all roles.
func (r *robot) guard(t testing.TB) {
	t.Helper()
	r.measure(t)
	if err := r.Start(within(t, patience), "robowarden", wire.Program, "run", "--deployment", wire.Data+"/deployment.yaml"); err != nil {
		t.Fatal(err)
	}
}

// role finds the process of one role.
func (r *robot) role(t testing.TB, name string) wire.Running {
	t.Helper()
	for _, p := range must(r.Processes(within(t, patience)))(t) {
		if len(p.Argv) > 1 && p.Argv[1] == name {
			return p
		}
	}
	t.Fatalf("the machine runs no %s; it wrote:\n%s", name, r.log(t))
	return wire.Running{}
}

// log is the end of what the product wrote.
func (r *robot) log(t testing.TB) string {
	t.Helper()
	out, err := r.Output(within(t, patience), "robowarden", false)
	if err != nil {
		return err.Error()
	}
	return out.Text
}

// decisions is the end of what the guard's journal says that it decided.
func (r *robot) decisions(t testing.TB) string {
	t.Helper()
	dir := t.TempDir()
	if err := r.Tree(within(t, patience), wire.Data+"/journal", dir); err != nil {
		return err.Error()
	}
	out, err := exec.Command(made.Parts.Host, "journal", "cat", dir).CombinedOutput()
	if err != nil {
		return err.Error()
	}
	return string(out[max(0, len(out)-8000):])
}

// status reads the guard's status; ok is false while it does not answer.
func (r *robot) status(t testing.TB) (s agent.Status, ok bool) {
	t.Helper()
	raw, err := r.Packet(within(t, 15*time.Second), controlSocket, []byte{'S'})
	if err != nil {
		return s, false
	}
	return s, json.Unmarshal(raw, &s) == nil
}

// await polls the status until it is as wanted, and fails the test with the last one if it does not get so.
func (r *robot) await(t testing.TB, what string, want func(*agent.Status) bool) agent.Status {
	t.Helper()
	deadline := time.Now().Add(patience)
	var last agent.Status
	for time.Now().Before(deadline) && r.Running() {
		if s, ok := r.status(t); ok {
			if last = s; want(&s) {
				return s
			}
		} else if out, err := r.Output(within(t, patience), "robowarden", false); err == nil && !out.Running {
			t.Fatalf("expected %s; the product ended with %q:\n%s", what, out.Exit, out.Text)
		}
		time.Sleep(50 * time.Millisecond) // The pause of a poll.
	}
	text, _ := json.MarshalIndent(last, "", " ")
	t.Fatalf("within %v: expected %s; last status:\n%s\nthe product wrote:\n%s", patience, what, text, r.log(t))
	return last
}

// send gives the guard a signed order and returns its receipt. An error says that the guard could not be asked.
func (r *robot) send(t testing.TB, envelope []byte) (receipt agent.Receipt, err error) {
	t.Helper()
	raw, err := r.Packet(within(t, patience), controlSocket, append([]byte{'O'}, envelope...))
	if err != nil {
		return receipt, err
	}
	if err := json.Unmarshal(raw, &receipt); err != nil || !receipt.Accepted {
		t.Fatalf("the order was not accepted: %s (%v)", raw, err)
	}
	return receipt, nil
}

// order gives the guard a signed order that has to be applied. A guard that is late may hang up on whoever asks; each try
// is a new order.
func (r *robot) order(t testing.TB, sign func(testing.TB) []byte) {
	t.Helper()
	until(t, patience, "an order that is applied", func() bool {
		receipt, err := r.send(t, sign(t))
		if err != nil {
			t.Logf("asked again: %v", err)
		}
		return err == nil && receipt.Applied
	})
}

// release resets latches as an operator would: again, if something else has latched meanwhile.
func (r *robot) release(t testing.TB) {
	t.Helper()
	r.await(t, "a guard that opens when all latches are reset", func(s *agent.Status) bool {
		if s.Axes.Motion == "free" || s.Axes.Motion == "limited" {
			return true
		}
		for _, trigger := range s.Triggers {
			if trigger.Latched && !trigger.Present {
				// It is not applied if the cause has come back meanwhile; then the next try is.
				if _, err := r.send(t, r.site.resetOrder(t, s)); err != nil {
					t.Logf("asked again: %v", err)
				}
				break
			}
		}
		return false
	})
}

// goes makes the robot drive at this speed: with all latches reset, and with a neutral command first, which the gate wants
// after a stop. A busy host may stop the robot in between, rightly; then it is tried again.
func (r *robot) goes(t testing.TB, speed float64) {
	t.Helper()
	const soon = 10 * time.Second
	deadline := time.Now().Add(3 * patience)
	for time.Now().Before(deadline) {
		r.drive(0)
		r.release(t)
		r.await(t, "a gate that lets a neutral command pass", func(s *agent.Status) bool {
			return s.Gate == "passed" || strings.HasPrefix(s.Gate, "scaled") || s.Axes.Motion == "hold" || s.Axes.Motion == "stop"
		})
		r.drive(speed)
		for try := time.Now().Add(soon); time.Now().Before(try); time.Sleep(20 * time.Millisecond) { // The pause of a poll.
			// A guard that is late lets it go slowly.
			if s := r.plant.Truth(t).Samples; len(s) > 0 && s[len(s)-1].Speed() > 0.25 {
				return
			}
		}
	}
	status, _ := r.status(t)
	text, _ := json.MarshalIndent(status, "", " ")
	t.Fatalf("within %v: expected a robot that drives; the guard's status:\n%s\nthe planner wrote:\n%s", 3*patience, text, r.planner.Output())
}

// codes are the triggers that restrict the robot now.
func codes(s *agent.Status) []string {
	var out []string
	for _, t := range s.Triggers {
		out = append(out, t.Code)
	}
	slices.Sort(out)
	return out
}

func has(s *agent.Status, code string) bool { return slices.Contains(codes(s), code) }

// now is the plant's time of the newest sample.
func (r *robot) now(t testing.TB) time.Duration { return r.newest(t).T }

func (r *robot) newest(t testing.TB) oracle.Sample {
	t.Helper()
	s := r.plant.Truth(t).Samples
	return s[len(s)-1]
}

// underWay makes the robot drive and returns a moment at which it really does: one that stands already would prove
// nothing about being brought to rest.
func (r *robot) underWay(t testing.TB) time.Duration {
	t.Helper()
	for range 5 {
		r.goes(t, -cruise)
		if s := r.newest(t); s.Speed() > 0.2 {
			return s.T
		}
	}
	t.Fatal("something stops the robot again and again")
	return 0
}

// stands waits until the robot has stood for a second, by ground truth.
func (r *robot) stands(t testing.TB) {
	t.Helper()
	until(t, patience, "a robot that stands", func() bool {
		s := r.plant.Truth(t).Samples
		for _, x := range slices.Backward(s) {
			if x.Speed() > 0.005 || math.Abs(x.W) > 0.005 {
				return false
			}
			if s[len(s)-1].T-x.T > time.Second {
				return true
			}
		}
		return false
	})
}

// restsWithin waits for rest and checks by the plant's own clock how long after the trigger it began.
func (r *robot) restsWithin(t testing.TB, trigger, bar time.Duration) {
	t.Helper()
	still := oracle.Rest{SpeedMPS: 0.01, YawRateRPS: 0.01, Hold: 500 * time.Millisecond}
	var took time.Duration
	until(t, bar+patience, "stable rest", func() bool {
		d, err := oracle.TimeToRest(r.plant.Truth(t), trigger, still)
		took = d
		return err == nil
	})
	t.Logf("at rest %v after the trigger (bar %v)", took, bar)
	if took > bar {
		t.Errorf("at rest after %v: expected at most %v", took, bar)
	}
}

// end ends the product in order and waits until it has.
func (r *robot) end(t testing.TB) wire.Output {
	t.Helper()
	if err := r.Signal(within(t, patience), r.role(t, "run").PID, int(syscall.SIGTERM)); err != nil {
		t.Fatal(err)
	}
	return must(r.Output(within(t, patience), "robowarden", true))(t)
}
