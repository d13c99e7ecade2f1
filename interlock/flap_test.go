package interlock

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

// trips makes a trigger fire and end n times, every period.
func (s *script) flap(tr Trigger, n int, period time.Duration) {
	for range n {
		s.set(tr, Fault(CauseStale, 0)).run(50 * ms)
		s.set(tr, OK()).run(period - 150*ms)
	}
}

func TestFlapGuardLatches(t *testing.T) {
	s := newScript(t, nil)
	s.flap(PoseStale, 4, 5*time.Second)
	s.want(MotionFree)
	s.set(PoseStale, Fault(CauseStale, 0)).run(0)
	if a := s.out.Active[0]; !a.Flapped || a.Clear != ClearByOperator || !s.out.LatchesChanged {
		t.Errorf("got %+v, latches changed %v", a, s.out.LatchesChanged)
	}
	s.set(PoseStale, OK()).run(time.Minute)
	s.want(MotionHold, PoseStale)
	res := s.m.Reset(s.now, ResetRequest{Triggers: Set(PoseStale), Persons: []Person{{1, RoleOperator}}})
	if res.Outcomes[PoseStale] != ResetDone {
		t.Fatalf("reset: %v", res.Outcomes[PoseStale])
	}
	s.run(0)
	s.want(MotionFree)
	// The reset made a clean slate.
	s.flap(PoseStale, 4, 5*time.Second)
	s.want(MotionFree)
}

func TestFlapGuardCountsAClassTogether(t *testing.T) {
	s := newScript(t, nil)
	for _, tr := range []Trigger{PoseStale, PoseJump, PoseFrame, PoseFuture} {
		s.flap(tr, 1, 5*time.Second)
	}
	s.want(MotionFree)
	s.flap(PoseInvalid, 1, 5*time.Second)
	s.want(MotionHold, PoseInvalid)
}

func TestFlapGuardForgets(t *testing.T) {
	s := newScript(t, nil)
	s.flap(PoseStale, 20, 31*time.Second)
	s.want(MotionFree)
}

func TestFlapGuardMergesAStorm(t *testing.T) {
	s := newScript(t, func(p *Policy) {
		p.Rules[HeartbeatLate].Clear = ClearOnClear
		p.FlapMerge = 10 * time.Second
	})
	s.now = time.Hour
	for range 40 {
		s.set(HeartbeatLate, Fault(CauseNoAnswer, 1)).run(50 * ms)
		s.set(HeartbeatLate, OK()).run(50 * ms)
	}
	s.run(time.Second)
	s.want(MotionFree)
}

func TestFlapGuardLeavesOrdersAndLimitsAlone(t *testing.T) {
	s := newScript(t, nil)
	for range 20 {
		for _, tr := range []Trigger{OrderHold, OrderDock, ZoneMargin, ClockUntrusted} {
			s.set(tr, Fault(CauseOrdered, 0)).run(50 * ms)
			s.set(tr, OK()).run(2500 * ms)
		}
	}
	s.want(MotionFree)
}

// togglingFires checks that a cause that is present for at least a third of the time fires, however it toggles.
func togglingFires(t *rapid.T, m decider, p *Policy, tr Trigger) error {
	in, out := calm(), Decision{}
	now := time.Hour
	m.Step(now, in, &out)
	step := time.Duration(rapid.IntRange(1, 100).Draw(t, "step")) * ms
	on := rapid.IntRange(1, 4).Draw(t, "on")
	off := rapid.IntRange(1, 2*on).Draw(t, "off")
	// At a third of the time, half of what burns comes back.
	for spent := time.Duration(0); spent <= 8*p.Rules[tr].StartDelay+8*step; {
		for i := range on + off {
			in.Conditions[tr] = OK()
			if i < on {
				in.Conditions[tr] = Fault(CauseStale, 0)
				spent += step
			}
			now += step
			m.Step(now, in, &out)
			if out.ActiveSet.Has(tr) {
				return nil
			}
		}
	}
	return fault("toggling %d on, %d off every %v never fires %v after %v", on, off, step, tr, p.Rules[tr].StartDelay)
}

// decider is a machine, or one that is wrong on purpose.
type decider interface {
	Step(now time.Duration, in *Inputs, out *Decision)
}

// delayed returns a policy in which every start delay is as long as it may be.
func delayed() Policy {
	p := DefaultPolicy()
	for t := range NumTriggers {
		p.Rules[t].StartDelay = triggerTable[t].Bounds.MaxStartDelay
	}
	return p
}

func TestTogglingFires(t *testing.T) {
	p := delayed()
	check(t, func(t *rapid.T) error {
		m, err := New(p)
		if err != nil {
			return err
		}
		return togglingFires(t, m, &p, Trigger(rapid.IntRange(0, int(NumTriggers)-1).Draw(t, "trigger"))) //nolint:gosec // small
	})
}

// forgiving gives the whole start delay back as soon as a cause is away.
type forgiving struct{ *Machine }

func (f forgiving) Step(now time.Duration, in *Inputs, out *Decision) {
	f.Machine.Step(now, in, out)
	for t := range NumTriggers {
		if s := &f.slots[t]; s.state == Clear && !s.on {
			s.budget = f.rules.Rules[t].StartDelay
		}
	}
}

func TestTogglingIsMissedWithoutTheLeak(t *testing.T) {
	p := delayed()
	refuted(t, func(t *rapid.T) error {
		m, err := New(p)
		if err != nil {
			t.Fatal(err)
		}
		return togglingFires(t, forgiving{m}, &p, BusLost)
	})
}
