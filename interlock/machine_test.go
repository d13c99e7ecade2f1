package interlock

import (
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

const ms = time.Millisecond

// calm returns inputs under which nothing is wrong.
func calm() *Inputs {
	in := &Inputs{Fence: Unrestricted(), DockPossible: true, DockChannel: 7}
	for t := range NumTriggers {
		in.Conditions[t] = OK()
	}
	return in
}

// script steps one machine through time, as a test script.
type script struct {
	t   testing.TB
	m   *Machine
	now time.Duration
	in  *Inputs
	out Decision
}

func newScript(t testing.TB, change func(*Policy)) *script {
	t.Helper()
	p := DefaultPolicy()
	if change != nil {
		change(&p)
	}
	m, err := New(p)
	if err != nil {
		t.Fatal(err)
	}
	return &script{t: t, m: m, in: calm(), now: time.Hour}
}

// run steps every 50 ms until d has passed, at least once.
func (s *script) run(d time.Duration) *Decision {
	end := s.now + d
	for {
		s.m.Step(s.now, s.in, &s.out)
		if s.now >= end {
			return &s.out
		}
		s.now += 50 * ms
	}
}

func (s *script) set(tr Trigger, c Condition) *script {
	s.in.Conditions[tr] = c
	return s
}

func (s *script) want(motion Motion, active ...Trigger) {
	s.t.Helper()
	if s.out.Axes.Motion != motion || s.out.ActiveSet != Set(active...) {
		s.t.Fatalf("at %v: got %v with %s, want %v with %s", s.now, s.out.Axes, names(s.out.ActiveSet), motion, names(Set(active...)))
	}
}

func names(s TriggerSet) string {
	var out strings.Builder
	out.WriteString("[")
	for t := range NumTriggers {
		if s.Has(t) {
			out.WriteString(" " + t.String())
		}
	}
	return out.String() + " ]"
}

func TestCalmIsFree(t *testing.T) {
	s := newScript(t, nil)
	s.run(time.Second)
	s.want(MotionFree)
	if s.out.Mode != ModeNormal || s.out.Category != NoStop || s.out.Axes != Unrestricted() {
		t.Fatalf("got %+v", s.out.Axes)
	}
}

func TestFiresAtOnceAndClearsAfterDwell(t *testing.T) {
	s := newScript(t, nil)
	s.run(time.Second)
	s.set(PoseStale, Fault(CauseStale, 2)).run(0)
	s.want(MotionHold, PoseStale)
	if s.out.Mode != ModeHold || s.out.Category != Category2 || !s.out.FiredSet.Has(PoseStale) {
		t.Errorf("got %v, %v, fired %s", s.out.Mode, s.out.Category, names(s.out.FiredSet))
	}
	a := s.out.Active[0]
	if s.out.N != 1 || a.Trigger != PoseStale || a.Cause != CauseStale || a.Subject != 2 || a.FirstSeen != s.now ||
		a.Since != s.now || a.Count != 1 || a.State != Present || a.Clear != ClearOnDwell {
		t.Errorf("got %+v", a)
	}
	s.set(PoseStale, OK()).run(0)
	s.want(MotionHold, PoseStale)
	if a := s.out.Active[0]; a.State != Clear || a.LastClear != s.now || a.Cause != CauseStale {
		t.Errorf("got %+v", a)
	}
	s.run(950 * ms)
	s.want(MotionHold, PoseStale)
	s.run(100 * ms)
	s.want(MotionFree)
}

func TestDwellStartsAnewWhenTheCauseComesBack(t *testing.T) {
	s := newScript(t, nil)
	s.set(PoseStale, Fault(CauseStale, 0)).run(0)
	for range 10 {
		s.set(PoseStale, OK()).run(900 * ms)
		s.set(PoseStale, Fault(CauseStale, 0)).run(50 * ms)
		s.want(MotionHold, PoseStale)
	}
	if got := s.out.Active[0].Count; got != 11 {
		t.Errorf("counted %d, want 11", got)
	}
}

func TestStartDelayIsExact(t *testing.T) {
	s := newScript(t, nil)
	s.run(time.Second)
	s.set(PoseCovariance, Fault(CauseCovarianceHigh, 0))
	first := s.now
	s.run(450 * ms)
	s.want(MotionFree)
	if !s.out.PresentSet.Has(PoseCovariance) {
		t.Error("a pending cause is not shown as present")
	}
	s.run(50 * ms)
	s.want(MotionLimited, PoseCovariance)
	if a := s.out.Active[0]; a.FirstSeen != first || a.Since != first+500*ms {
		t.Errorf("first seen %v after, fired %v after", a.FirstSeen-first, a.Since-first)
	}
}

func TestShortCauseDoesNotFire(t *testing.T) {
	s := newScript(t, nil)
	for range 20 {
		s.set(PoseCovariance, Fault(CauseCovarianceHigh, 0)).run(100 * ms)
		s.set(PoseCovariance, OK()).run(2 * time.Second)
		s.want(MotionFree)
	}
}

func TestGapInWhichNobodyLooked(t *testing.T) {
	t.Run("burns the start delay", func(t *testing.T) {
		s := newScript(t, nil)
		s.set(PoseCovariance, Fault(CauseCovarianceHigh, 0)).run(0)
		s.now += time.Hour
		s.run(0)
		s.want(MotionLimited, PoseCovariance)
	})
	t.Run("is no evidence for the dwell", func(t *testing.T) {
		s := newScript(t, nil)
		s.set(PoseStale, Fault(CauseStale, 0)).run(0)
		s.set(PoseStale, OK()).run(0)
		s.now += time.Hour
		s.run(0)
		s.want(MotionHold, PoseStale)
	})
}

func TestLatchStaysWithoutItsCause(t *testing.T) {
	s := newScript(t, nil)
	s.set(OrderStop, Fault(CauseOrdered, 0)).run(0)
	s.set(OrderStop, OK()).run(time.Hour / 60)
	s.want(MotionStop, OrderStop)
	if s.out.LatchedSet != Set(OrderStop) || s.out.Category != Category2 || s.out.Mode != ModeStopSafely {
		t.Errorf("got latched %s, %v, %v", names(s.out.LatchedSet), s.out.Category, s.out.Mode)
	}
}

func TestStopCategoryIsThePolicys(t *testing.T) {
	s := newScript(t, func(p *Policy) { p.StopCategory = Category1 })
	s.set(OrderStop, Fault(CauseOrdered, 0)).run(0)
	if s.out.Category != Category1 {
		t.Errorf("stop: got %v", s.out.Category)
	}
	s = newScript(t, func(p *Policy) { p.StopCategory = Category1 })
	s.set(OrderHold, Fault(CauseOrdered, 0)).run(0)
	if s.out.Category != Category2 {
		t.Errorf("hold: got %v", s.out.Category)
	}
}

func TestLatchesChangedOnlyWhenTheyDo(t *testing.T) {
	s := newScript(t, nil)
	s.run(0)
	if s.out.LatchesChanged {
		t.Error("changed although nothing latched")
	}
	s.set(OrderStop, Fault(CauseOrdered, 0)).run(0)
	if !s.out.LatchesChanged {
		t.Error("not changed although a trigger latched")
	}
	for range 5 {
		s.set(OrderStop, OK()).run(0)
		s.set(OrderStop, Fault(CauseOrdered, 0)).run(0)
		if s.out.LatchesChanged {
			t.Fatal("changed by a cause that comes and goes: each change costs a disk write")
		}
	}
}

func TestCountsStayAtTheirLargest(t *testing.T) {
	s := newScript(t, nil)
	s.m.slots[OrderStop].count, s.m.slots[PoseStale].count = math.MaxUint32-1, math.MaxUint32-1
	for range 4 {
		s.set(OrderStop, Fault(CauseOrdered, 0)).set(PoseStale, Fault(CauseStale, 0)).run(0)
		s.set(OrderStop, OK()).set(PoseStale, OK()).run(2 * time.Second)
	}
	if a, b := s.m.slots[OrderStop].count, s.m.slots[PoseStale].count; a != math.MaxUint32 || b != math.MaxUint32 {
		t.Errorf("counted to %d and %d", a, b)
	}
}

func TestDisabledTriggerEnds(t *testing.T) {
	off := func(p *Policy) { p.Rules[JointsMissing].Enabled, p.Rules[JointsMissing].Reason = false, "no arms" }
	s := newScript(t, off)
	s.set(JointsMissing, Fault(CauseMissing, 0)).run(time.Minute)
	s.want(MotionFree)
}

func TestBootClockBackwardsIsAClockJump(t *testing.T) {
	s := newScript(t, nil)
	s.run(time.Second)
	s.now -= time.Minute
	s.run(0)
	s.want(MotionHold, ClockJump)
	if a := s.out.Active[0]; a.Cause != CauseBootClockBack {
		t.Errorf("got %v", a.Cause)
	}
	s.run(4900 * ms)
	s.want(MotionHold, ClockJump)
	s.run(time.Second)
	s.want(MotionFree)
}

func TestWorstComesFirstAndTheListIsBounded(t *testing.T) {
	s := newScript(t, nil)
	s.set(PoseCovariance, Fault(CauseCovarianceHigh, 0)).run(time.Second)
	s.set(JointsInvalid, Fault(CauseNotFinite, 0)).run(time.Second)
	s.set(PoseStale, Fault(CauseStale, 0)).run(time.Second)
	s.set(OrderStop, Fault(CauseOrdered, 0)).run(0)
	var got []Trigger
	for _, a := range s.out.Active[:s.out.N] {
		got = append(got, a.Trigger)
	}
	// Joints failed before the pose did: of equals, the first stands first.
	if diff := cmp.Diff([]Trigger{OrderStop, JointsInvalid, PoseStale, PoseCovariance}, got); diff != "" {
		t.Error(diff)
	}
	for tr := range NumTriggers {
		s.set(tr, Fault(CauseNone, 0))
	}
	s.run(2 * time.Minute)
	if s.out.N != MaxActive || s.out.ActiveSet != every() {
		t.Fatalf("listed %d of %d", s.out.N, s.out.ActiveSet.Len())
	}
	for i := range s.out.N - 1 {
		a, b := s.out.Active[i].Constraint, s.out.Active[i+1].Constraint
		if rank(a) > rank(b) {
			t.Errorf("%v stands before %v", a, b)
		}
	}
	for tr := range NumTriggers {
		if rank(s.m.rules.Rules[tr].Constraint) < rank(s.out.Active[MaxActive-1].Constraint) &&
			!slices.ContainsFunc(s.out.Active[:], func(a Active) bool { return a.Trigger == tr }) {
			t.Errorf("%v is worse than the last of the list and is not in it", tr)
		}
	}
}

func TestFenceIsJoined(t *testing.T) {
	s := newScript(t, nil)
	s.in.Fence = Join(limited(0.4), private())
	s.run(0)
	if want := s.in.Fence; s.out.Axes != want || !s.out.ByFence || !s.out.Modes.Has(ModePrivate) {
		t.Errorf("got %v by fence %v, want %v", s.out.Axes, s.out.ByFence, want)
	}
	s.set(PoseCovariance, Fault(CauseCovarianceHigh, 0)).run(time.Second)
	if s.out.Axes.MaxSpeedMPS != 0.3 {
		t.Errorf("got %v", s.out.Axes)
	}
	s.in.Fence = limited(0.4)
	s.run(0)
	if s.out.ByFence {
		t.Error("the fence is said to bind where a trigger binds more")
	}
}

func TestAxesComeTogether(t *testing.T) {
	s := newScript(t, nil)
	s.run(3 * time.Second)
	s.set(OrderDock, Fault(CauseOrdered, 0)).set(OrderManipulators, Fault(CauseOrdered, 0)).
		set(OrderRemote, Fault(CauseOrdered, 0)).run(0)
	s.want(MotionDockOnly, OrderDock, OrderManipulators, OrderRemote)
	for _, m := range []Mode{ModeReturnToDock, ModeDisableManipulators, ModeBlockRemote} {
		if !s.out.Modes.Has(m) {
			t.Errorf("%v is missing", m)
		}
	}
	if s.out.Mode != ModeReturnToDock || s.out.Category != NoStop {
		t.Errorf("got %v, %v", s.out.Mode, s.out.Category)
	}
}

func TestStepDoesNotAllocate(t *testing.T) {
	s := newScript(t, nil)
	n := 0
	if got := testing.AllocsPerRun(1000, func() {
		n++
		tr := Trigger(n % int(NumTriggers)) //nolint:gosec // small
		s.in.Conditions[tr] = Condition{State: State(n / 7 % 3), Cause: CauseStale}
		s.now += 20 * ms
		s.m.Step(s.now, s.in, &s.out)
		_ = s.out.Digest()
	}); got != 0 {
		t.Errorf("%v allocations in a step", got)
	}
}

func TestSuspendedTriggersCapAndOthersStand(t *testing.T) {
	for trigger, moves := range map[Trigger]bool{ZoneInside: true, OrderStop: false} {
		m, err := New(DefaultPolicy())
		if err != nil {
			t.Fatal(err)
		}
		var in Inputs
		for i := range in.Conditions {
			in.Conditions[i] = OK()
		}
		in.Fence = Unrestricted()
		in.Conditions[trigger] = Fault(CauseNone, 1)
		in.Suspended, in.SuspendedMPS = Set(trigger), 0.15
		var out Decision
		for now := time.Duration(0); now < time.Second; now += 20 * time.Millisecond {
			m.Step(now, &in, &out)
		}
		if got := out.Axes.Motion == MotionLimited && out.Axes.MaxSpeedMPS == 0.15; got != moves {
			t.Errorf("%v suspended: %v", trigger, out.Axes)
		}
		if !out.LatchedSet.Has(trigger) {
			t.Errorf("%v is not latched any more", trigger)
		}
	}
}
