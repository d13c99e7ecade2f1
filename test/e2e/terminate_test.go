package e2e

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/robowarden/robowarden/agent"
	"github.com/robowarden/robowarden/test/internal/bus"
	"github.com/robowarden/robowarden/test/internal/proc"
	"github.com/robowarden/robowarden/test/oracle"
	"github.com/robowarden/robowarden/test/plant"
)

const (
	// settleLimit is how long an orderly end waits for rest.
	settleLimit = 5 * time.Second
	// silentFor is how long a robot is watched whose guard has ended: twice as long as its lock and its base take to notice.
	silentFor = time.Second
	// endLimit is how long the end may take beyond rest: the guard's own measurement of it, its writers and the disk.
	endLimit = 3 * time.Second
)

// heldAtExit is rest as it has to be when the guard ends: it has measured it for 300 ms at less than 0.03 m/s, and from there to
// what counts as rest here takes a robot under 200 ms.
var heldAtExit = oracle.Rest{SpeedMPS: rest.SpeedMPS, YawRateRPS: rest.YawRateRPS, Hold: 100 * time.Millisecond}

// exited waits for the guard's end and says when it was, on CLOCK_BOOTTIME.
func (g *guard) exited(t testing.TB, within time.Duration) (exit proc.Exit, at time.Duration) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), within)
	defer cancel()
	exit = must(g.Wait(ctx))(t)
	return exit, boottime() - time.Since(exit.At)
}

// upTo is what the robot did up to a time.
func upTo(truth oracle.Truth, end time.Duration) oracle.Truth {
	var out oracle.Truth
	for _, s := range truth.Samples {
		if s.T <= end {
			out.Samples = append(out.Samples, s)
		}
	}
	return out
}

// endedAtRest judges an end of the guard by ground truth alone: the robot stood before the guard was gone, and afterwards nothing
// reached it and it did not move, although its planner drives on.
func endedAtRest(truth oracle.Truth, asked, ended time.Duration) (took time.Duration, err error) {
	took, err = oracle.TimeToRest(upTo(truth, ended), asked, heldAtExit)
	if err != nil {
		return took, fmt.Errorf("when the guard was gone, %v after it was asked: %w", ended-asked, err)
	}
	var faults []error
	for _, e := range truth.Events {
		if e.T > ended && e.Kind == "cmd" && e.Text == "moving" {
			faults = append(faults, fmt.Errorf("a command reached the base %v after the guard was gone", e.T-ended))
		}
	}
	for _, s := range truth.Since(ended).Samples {
		if s.Speed() > rest.SpeedMPS || !s.CmdZero() {
			faults = append(faults, fmt.Errorf("the robot goes at %.3f m/s, told %.3f, %v after the guard was gone", s.Speed(), s.CmdVX, s.T-ended))
			break
		}
	}
	return took, errors.Join(faults...)
}

// watchedFor waits until the plant has written down what it did for as long after the end as it is watched.
func (r *robot) watchedFor(t testing.TB, ended time.Duration) oracle.Truth {
	t.Helper()
	until(t, 10*time.Second, "a plant that was watched after the guard's end", func() bool { return r.now(t) > ended+silentFor })
	return r.p.Truth(t)
}

// TestTerminatedGuardSettlesFirst: SIGTERM to the guard of a robot at cruise speed. The robot stands before the guard ends, nothing
// passes afterwards although the planner drives on, the journal says how the run ended, and the next start needs nobody.
func TestTerminatedGuardSettlesFirst(t *testing.T) {
	t.Parallel()
	onBuses(t, []bus.Kind{bus.Cyclone}, func(t *testing.T, b bus.Bus) {
		r := driving(t, b, siteConfig{lock: true}, plant.Config{})
		asked := boottime()
		if err := r.g.Signal(syscall.SIGTERM); err != nil {
			t.Fatal(err)
		}
		exit, ended := r.g.exited(t, settleLimit+2*endLimit)
		if exit.Code != 0 {
			t.Errorf("the guard ended with %v: expected 0", exit)
		}
		took, err := endedAtRest(r.watchedFor(t, ended), asked, ended)
		t.Logf("figures: at rest %v after SIGTERM (bar %v), the guard gone after %v", took, stopTime(), ended-asked)
		if err != nil {
			t.Error(err)
		}
		if took > stopTime() {
			t.Errorf("at rest after %v: expected at most %v", took, stopTime())
		}
		if late := ended - asked - took; late > endLimit {
			t.Errorf("the guard ended %v after rest: expected at most %v", late, endLimit)
		}
		r.farewell(t)
		r.g = r.s.start(t)
		seen := r.g.watchTriggers(t)
		r.drives(t) // by the same planner, and without a reset
		if st := r.g.run(t); has(st, "restart.unclean") || strings.Contains(strings.Join(seen(), " "), "restart.unclean") {
			t.Error("the next start takes the end for an unclean one")
		}
	})
}

// farewell checks that the journal tells of the end: why the robot was held, and that everything was written.
func (r *robot) farewell(t testing.TB) {
	t.Helper()
	out := string(must(exec.CommandContext(t.Context(), binary(t), "journal", "cat", r.s.path("journal")).CombinedOutput())(t))
	lines := strings.Split(strings.TrimSpace(out), "\n")
	if last := lines[len(lines)-1]; !strings.Contains(last, "closed in order, 0 records lost") {
		t.Errorf("the journal's last record is %q: expected that it was closed in order", last)
	}
	if !strings.Contains(out, "guard.terminating present") {
		t.Errorf("the journal does not say that the guard was ending:\n%s", tail(out, 3000))
	}
}

// TestKilledGuardDoesNotSettleFirst is the off run: a guard that is killed is gone while the robot drives, which the judge has to
// say, and the next start is an unclean one.
func TestKilledGuardDoesNotSettleFirst(t *testing.T) {
	t.Parallel()
	onBuses(t, nil, func(t *testing.T, b bus.Bus) {
		r := driving(t, b, siteConfig{lock: true}, plant.Config{})
		asked := r.now(t)
		exit := r.g.Kill()
		ended := boottime() - time.Since(exit.At)
		_, err := endedAtRest(r.watchedFor(t, ended), asked, ended)
		if err == nil || !strings.Contains(err.Error(), "rest: at the end") {
			t.Errorf("off run: of a robot that drives without its guard the judge says %v: expected how fast it was", err)
		}
		t.Logf("off run: %v", err)
		r.g = r.s.start(t)
		r.g.await(t, "a guard that holds after an unclean end", 20*time.Second, func(s agent.Status) bool {
			return has(s, "restart.unclean") && !has(s, "startup")
		})
	})
}
