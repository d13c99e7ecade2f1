package e2e

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/robowarden/robowarden/agent"
	guardcore "github.com/robowarden/robowarden/agent/guard"
)

const (
	// opening is how long a robot may take to drive: at its guard's start, and after a reset. A machine that once kept its
	// processors to itself fills the loop watch's bucket, which forgives a late step every ten seconds.
	opening = 3 * time.Minute
	// phase is over how long the moment of an attack is spread: longer than any period of the guard.
	phase = 600 * time.Millisecond
	// between is the pause between two signed resets while a cause has not been away for long enough.
	between = 200 * time.Millisecond
	// standsStill is twice the profile's command timeout: a channel that says nothing for that long may drive again.
	standsStill = time.Second
	// pause is that of a poll. Every look at a guard and a plant takes something from all other robots.
	pause = 40 * time.Millisecond
)

// harmless are triggers of a robot without a TPM, a verifier and an actuator beside ROS, by their rules; they restrict nothing.
var harmless = []string{"attestation.missing", "actuator.advisory", "state.unproven", "clock.untrusted"}

// unclean says why the robot's state is not the one from which every attack begins: nothing restricted, no trigger but those
// that restrict nothing anyway, and the robot drives as told by ground truth. "" if it is.
func (l *lane) unclean(t testing.TB) string {
	t.Helper()
	st, ok := l.g.status()
	if !ok {
		return "the guard does not answer"
	}
	if bad := restricted(st); bad != "" {
		return bad
	}
	if x := l.p.Truth(t).Samples; len(x) == 0 || x[len(x)-1].Speed() < 0.9*attackCruise {
		return "the robot does not drive as told; gate: " + st.Gate
	}
	if l.kit.session && len(st.Sessions) != 1 {
		return fmt.Sprintf("%d sessions", len(st.Sessions))
	}
	return ""
}

// restricted says what restricts the robot, or would soon.
func restricted(st agent.Status) string {
	for _, tr := range st.Triggers {
		if !slices.Contains(harmless, tr.Code) {
			return fmt.Sprintf("trigger %s (latched %t, present %t): %s", tr.Code, tr.Latched, tr.Present, tr.Cause)
		}
	}
	// The yard's own limit is above what the robot can do.
	free := st.Axes.Motion == "free" || st.Axes.Motion == "limited" && st.Axes.MaxSpeedMPS >= maxSpeedMPS
	if st.Axes.Manipulators != "free" || st.Axes.Perception != "free" || st.Axes.Remote != "free" || !free {
		return fmt.Sprintf("axes %+v", st.Axes)
	}
	return ""
}

// open starts the guard if there is none, drives the robot on after the attack before, waits for a clean state and then for a
// random moment, and asserts that the state is clean still.
func (l *lane) open(t testing.TB) {
	t.Helper()
	if l.g == nil {
		l.start(t)
	}
	if back := l.back; back != nil {
		l.back = nil
		back(t)
	}
	for range 10 {
		l.untilClean(t)
		l.wait()
		// A session may have ended, or the machine may have held somebody up, in that moment.
		if l.unclean(t) == "" {
			return
		}
	}
	t.Fatalf("the robot's state does not stay clean: %s", l.unclean(t))
}

// untilClean waits for a clean state. Whatever is latched is reset, as the machine may have held up the robot, and after a stop
// the gate wants a planner that stands before it lets one drive.
func (l *lane) untilClean(t testing.TB) {
	t.Helper()
	why := ""
	for limit := time.Now().Add(opening); time.Now().Before(limit) && l.g.Running(); {
		l.enrol(t)
		if why = l.unclean(t); why == "" {
			return
		}
		if strings.Contains(why, "latched true") || strings.Contains(why, waitsForNeutral) {
			l.recover(t)
		}
		time.Sleep(pause)
	}
	t.Fatalf("within %v: expected a clean state; found: %s", opening, why)
}

// recover drives the robot on after the attack is over: its planner stands, somebody with authority resets what is latched as
// soon as its cause has gone, and then the planner drives.
func (l *lane) recover(t testing.TB) {
	t.Helper()
	l.stand(t, true)
	why := ""
	for limit, next := time.Now().Add(opening), time.Now(); l.g.Running(); {
		st, ok := l.g.status()
		if ok {
			if why = restricted(st); why == "" && l.armed(t, st) {
				break
			}
		}
		if time.Now().After(limit) {
			t.Fatalf("within %v after the attack: expected nothing that restricts the robot; found: %s", opening, why)
		}
		if ok && time.Now().After(next) && resettable(st) {
			l.refused(t, st)
			l.reset(t)
			next = time.Now().Add(between)
		}
		time.Sleep(pause)
	}
	l.stand(t, false)
}

// waitsForNeutral is the gate's reason while it wants to see a commander stand before it lets one drive.
const waitsForNeutral = "waiting for neutral"

// armed says whether the gate has seen the planner stand since the robot was released: only then may it drive on. A planner that
// proves itself has no order to stand, so it is silent for as long as the gate wants it to be.
func (l *lane) armed(t testing.TB, st agent.Status) bool {
	t.Helper()
	if l.kit.proven {
		if st.Gate == waitsForNeutral {
			l.commander.Fault(t, "silent")
			time.Sleep(standsStill)
			l.commander.Fault(t, "clear")
		}
		return true
	}
	return st.Gate == "passed"
}

// resettable says whether something is latched whose cause has gone.
func resettable(st agent.Status) bool {
	return slices.ContainsFunc(st.Triggers, func(tr guardcore.TriggerStatus) bool { return tr.Latched && !tr.Present })
}

// reset asks for an end of all that is latched. It is the one place where these tests do so.
func (l *lane) reset(t testing.TB) {
	t.Helper()
	if st, ok := l.g.status(); ok {
		l.g.order(t, l.s.resetOrder(t, st, l.s.security))
	}
}

// refused asks once for the reset of an intruder's trigger by an operator, whose role does not suffice for that.
func (l *lane) refused(t testing.TB, st agent.Status) {
	t.Helper()
	intruder := func(st agent.Status) bool {
		return slices.ContainsFunc(st.Triggers, func(tr guardcore.TriggerStatus) bool {
			return tr.Latched && (tr.Code == "publisher.unknown" || tr.Code == "publisher.second" || tr.Code == "gate.bypass")
		})
	}
	if l.tried || !intruder(st) {
		return
	}
	l.tried = true
	got := l.g.order(t, l.s.resetOrder(t, st, l.s.operator))
	if now, ok := l.g.status(); ok && !intruder(now) {
		t.Errorf("an operator's reset ended what only a supervisor or security may end: %+v", got)
	}
}

// stand lets the planner command zero, or drive on, and waits until it says that it does: of two signals to a program that does
// not get the processor, the second may be heard first. A planner that proves itself has no such order: it is reset while it drives.
func (l *lane) stand(t testing.TB, still bool) {
	t.Helper()
	if l.kit.proven {
		return
	}
	sig := syscall.SIGUSR2
	if still {
		sig = syscall.SIGUSR1
	}
	for limit, next := time.Now().Add(opening), time.Now(); l.planner.Running() && l.stands() != still; time.Sleep(pause) {
		if time.Now().After(limit) {
			t.Fatalf("within %v: expected a planner that heard %v; it wrote:\n%s", opening, sig, l.planner.Output())
		}
		if time.Now().Before(next) {
			continue
		}
		if err := l.planner.Signal(sig); err != nil && !errors.Is(err, os.ErrProcessDone) {
			t.Fatal(err)
		}
		next = time.Now().Add(between)
	}
}

// stands says whether the planner commands zero, by its own last word.
func (l *lane) stands() bool {
	out := l.planner.Output()
	return strings.LastIndex(out, "planner stands") > strings.LastIndex(out, "planner drives")
}

// drivesOn says whether the robot drives as told, now or soon.
func (l *lane) drivesOn(t testing.TB) bool {
	t.Helper()
	for limit := time.Now().Add(20 * time.Second); time.Now().Before(limit); {
		if l.unclean(t) == "" {
			return true
		}
		time.Sleep(pause)
	}
	return false
}

// wait puts the next attack at another moment of every period.
func (l *lane) wait() { time.Sleep(time.Duration(l.r.Int64N(int64(phase)))) }
