//go:build qualify

package machine

import (
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/robowarden/robowarden/agent"
	"github.com/robowarden/robowarden/test/machine/wire"
)

// diskFull fills the disk: the guard goes on deciding, says so, and stops when it is told to.
func (r *deviceRig) diskFull(t *testing.T) { r.withoutDisk(t, wire.Disk{Full: true}) }

// diskReadOnly makes the disk what the kernel makes of one that fails.
func (r *deviceRig) diskReadOnly(t *testing.T) { r.withoutDisk(t, wire.Disk{ReadOnly: true}) }

func (r *deviceRig) withoutDisk(t *testing.T, d wire.Disk) {
	r.drives(t)
	r.disk(t, d)
	if d.Full {
		// The journal's segment has its room already; a guard that starts needs a new one.
		if err := r.Signal(within(t, patience), r.role(t, "guard").PID, int(syscall.SIGKILL)); err != nil {
			t.Fatal(err)
		}
		r.await(t, "a guard that holds after an unclean end", func(s *agent.Status) bool { return has(s, "restart.unclean") })
	}
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

// clock1970 sets the civil clock to the beginning of time under a guard that runs, and has one start under it.
func (r *deviceRig) clock1970(t *testing.T) {
	r.drives(t)
	if err := r.SetWildClock(within(t, patience), time.Unix(3600, 0)); err != nil {
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
	r.launch(t)
	s = r.await(t, "a guard that does not trust its clock", func(s *agent.Status) bool { return has(s, "clock.untrusted") && len(s.Missing) == 0 })
	t.Logf("started at 1970: clock %s, motion %s, triggers %v", s.Clock, s.Axes.Motion, codes(&s))
	if s.Clock == "trusted" || s.Axes.Motion != "hold" && s.Axes.Motion != "stop" {
		t.Errorf("clock %s, motion %s: all stamps of this robot are half a century ahead", s.Clock, s.Axes.Motion)
	}
	// A stop gets through all the same.
	r.order(t, r.site.stopOrder)
	r.await(t, "a latched stop", func(s *agent.Status) bool { return has(s, "order.stop") })
	if err := r.SetClock(within(t, patience)); err != nil {
		t.Fatal(err)
	}
	s = r.await(t, "a clock that is trusted again", func(s *agent.Status) bool { return s.Clock == "trusted" && !has(s, "startup") })
	if !has(&s, "order.stop") {
		t.Errorf("the stop has gone: %v", codes(&s))
	}
	r.drives(t)
	r.stick.push(0)
}

// outOfMemory takes the machine's memory until the kernel ends the guard. If it is started again before the watchdog bites, it
// holds; if not, the computer is reset, and it holds then.
func (r *deviceRig) outOfMemory(t *testing.T) {
	trigger := r.drives(t)
	old, resets, begun := r.role(t, "guard").PID, must(r.Resets())(t), time.Now()
	before, _ := r.status(t)
	if err := r.Hog(within(t, patience), r.config.MemoryMiB); err != nil {
		t.Fatal(err)
	}
	var s agent.Status
	until(t, 2*patience, "a guard that was ended and is there again, or a computer that was reset", func() bool {
		if must(r.Resets())(t) != resets {
			return true
		}
		var ok bool
		s, ok = r.status(t)
		return ok && has(&s, "restart.unclean")
	})
	if out, err := r.Output(within(t, patience), wire.HogArg, false); err == nil {
		t.Logf("%s", out.Text)
	}
	t.Logf("figures: at rest %.2f s after a computer began to lose its memory", r.rested(t, trigger).Seconds())
	if must(r.Resets())(t) != resets {
		s = r.again(t, &before, begun)
	} else if r.role(t, "guard").PID == old {
		t.Errorf("no guard was ended: %v", codes(&s))
	}
	r.kept(t, &before, &s)
	t.Logf("figures: the guard again after %.1f s", time.Since(begun).Seconds())
	r.drives(t)
	r.stick.push(0)
}

// cuts is how often the power goes.
const cuts = 4

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
