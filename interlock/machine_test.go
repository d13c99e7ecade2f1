package interlock

import (
	"testing"
	"time"
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

// bench steps one machine through time, as a test script.
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
	out := "["
	for t := range NumTriggers {
		if s.Has(t) {
			out += " " + t.String()
		}
	}
	return out + " ]"
}

func TestCalmIsFree(t *testing.T) {
	s := newScript(t, nil)
	s.run(time.Second)
	s.want(MotionFree)
	if s.out.Mode != ModeNormal || s.out.Category != NoStop || s.out.Axes != Unrestricted() {
		t.Fatalf("got %+v", s.out.Axes)
	}
}

func BenchmarkStep(b *testing.B) {
	for _, c := range []struct {
		name   string
		faults int
	}{{"clear", 0}, {"3 active", 3}, {"all active", int(NumTriggers)}} {
		b.Run(c.name, func(b *testing.B) {
			s := newScript(b, nil)
			s.run(time.Second)
			for t := range c.faults {
				s.in.Conditions[t] = Fault(CauseStale, 0)
			}
			b.ReportAllocs()
			for b.Loop() {
				s.now += ms
				s.m.Step(s.now, s.in, &s.out)
			}
		})
	}
	b.Run("digest", func(b *testing.B) {
		s := newScript(b, nil)
		s.set(PoseStale, Fault(CauseStale, 0)).set(JointsMissing, Fault(CauseStale, 0)).run(time.Second)
		b.ReportAllocs()
		for b.Loop() {
			_ = s.out.Digest()
		}
	})
}
