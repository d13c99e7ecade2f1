//go:build qualify

package e2e

import (
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/robowarden/robowarden/agent"
	"github.com/robowarden/robowarden/test/internal/bus"
	"github.com/robowarden/robowarden/test/internal/need"
)

// These tests spin at the guard's own priority for a second or two, so they run beside no other of this package.

// spinBar is for how long at most an ordinary process waits while a thread of a guard spins on its processor: the kernel gives
// starved classes their share after 0.95 s.
const spinBar = 1200 * time.Millisecond

// bounded is a robot whose guard has put its own limit of spinning into force, which it does 10 s after its start.
func bounded(t *testing.T, kind bus.Kind) (r *robot, pid int) {
	t.Helper()
	r, pid = realTime(t, meet(t, kind))
	limits := fmt.Sprintf("/proc/%d/limits", pid)
	until(t, 20*time.Second, "a guard whose spinning is bounded once its start is over", func() bool { return spinning.Match(must(os.ReadFile(limits))(t)) })
	return r, pid
}

// TestSpinningGuardStarvesNobody: a thread of a guard spins in real time, at its own priority and under its own limit. Ordinary
// processes go on on every processor, and after a second of spinning the guard is gone.
func TestSpinningGuardStarvesNobody(t *testing.T) {
	for _, kind := range []bus.Kind{bus.ROS, bus.Cyclone} {
		t.Run(string(kind), func(t *testing.T) {
			r, pid := bounded(t, kind)
			first := r.g.run(t)
			work := startOrdinary(t)
			s := makeSpin(t, pid, 0)
			ended, ok := s.gone(spinLimit)
			if !ok {
				s.kill()
				t.Fatalf("a guard that spins is still there after %v", spinLimit)
			}
			work.wentOn(t, s.began, ended)
			work.stop()
			if took := ended - s.began; took < 900*time.Millisecond || took > 2*time.Second {
				t.Errorf("the guard was gone after %v: expected a second, and what the kernel gives others", took)
			}
			r.endsAndComesBack(t, s, first)
		})
	}
}

// wentOn checks that every process had some of its processor in a span, and never waited for longer than the bar.
func (o ordinary) wentOn(t testing.TB, from, to time.Duration) {
	t.Helper()
	for _, p := range o {
		until(t, 5*time.Second, p.Name()+" after the span", func() bool { _, _, past := progressed(p, from, to); return past })
		had, longest, _ := progressed(p, from, to)
		t.Logf("figures: %s had %v of %v, and waited for at most %v", p.Name(), had, to-from, longest)
		if had <= 0 || longest > spinBar {
			t.Errorf("%s had %v of %v and waited for %v: expected some, and at most %v", p.Name(), had, to-from, longest, spinBar)
		}
	}
}

func (o ordinary) stop() {
	for _, p := range o {
		p.Kill()
	}
}

// TestGuardThatSpinsWithoutALimit is the off run: a guard that is starting still, whose limit is 20 s, goes on spinning until the test
// ends it. Nobody may take a limit back that is in force, not even a test.
func TestGuardThatSpinsWithoutALimit(t *testing.T) {
	need.Root(t)
	g := newSite(t, meet(t, bus.ROS), siteConfig{}).start(t)
	if st := g.await(t, "a guard that answers", 8*time.Second, func(agent.Status) bool { return true }); st.Scheduling != "real-time" {
		need.Missing(t, "no real-time scheduling here: %s", st.Scheduling)
	}
	s := makeSpin(t, g.PID(), 0)
	before := s.used(t)
	if at, gone := s.gone(2500 * time.Millisecond); gone {
		t.Fatalf("off run: the guard was gone after %v", at-s.began)
	}
	used, limits := s.used(t)-before, must(os.ReadFile(fmt.Sprintf("/proc/%d/limits", g.PID())))(t)
	s.kill()
	if _, gone := s.gone(spinLimit); !gone {
		t.Error("the guard that spins cannot be killed")
	}
	t.Logf("off run: the thread had used %v of %v when the test ended it", used, boottime()-s.began)
	if spinning.Match(limits) {
		t.Fatal("off run: this machine is so slow that the start was over; the limit was in force")
	}
	if used < 1500*time.Millisecond {
		t.Errorf("off run: the thread used %v: expected that it spins for longer than the limit allows", used)
	}
}
