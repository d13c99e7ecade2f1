package interlock

import (
	"encoding/binary"
	"errors"
	"math"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// TestCRCIsCastagnoli compares with published values: RFC 3720 B.4 and the usual check string.
func TestCRCIsCastagnoli(t *testing.T) {
	for in, want := range map[string]uint32{
		"": 0, "123456789": 0xe3069283, string(make([]byte, 32)): 0x8a9136aa,
	} {
		if got := crc32c([]byte(in)); got != want {
			t.Errorf("%q: got %08x, want %08x", in, got, want)
		}
	}
}

// reboot returns a script with a new machine that has restored the latches of s, with the boot clock begun anew.
func (s *script) reboot(change func(*Policy)) *script {
	s.t.Helper()
	n := newScript(s.t, change)
	n.now = 20 * time.Second
	if err := n.m.RestoreLatches(n.now, s.m.AppendLatches(nil)); err != nil {
		s.t.Fatal(err)
	}
	return n
}

func TestLatchesSurviveAReboot(t *testing.T) {
	s := newScript(t, nil)
	s.set(GateBypass, Fault(CauseForeignSource, 2)).set(OrderStop, Fault(CauseOrdered, 0)).
		set(PoseStale, Fault(CauseStale, 0)).run(time.Second)
	s.set(GateBypass, OK()).set(OrderStop, OK()).run(time.Minute)
	bypass := find(t, &s.out, GateBypass)

	n := s.reboot(nil)
	n.run(0)
	n.want(MotionStop, GateBypass, OrderStop)
	if n.out.LatchedSet != Set(GateBypass, OrderStop) || !n.out.LatchesChanged {
		t.Errorf("latched %s", names(n.out.LatchedSet))
	}
	got := find(t, &n.out, GateBypass)
	shift := n.now - s.now
	want := bypass
	want.FirstSeen, want.Since = bypass.FirstSeen+shift, bypass.Since+shift
	// It is away again since the first look.
	want.LastClear = n.now
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	n.run(time.Minute)
	n.want(MotionStop, GateBypass, OrderStop)
	if got := n.reset(GateBypass, cleo); got != ResetDone {
		t.Errorf("bypass: %v", got)
	}
	if got := n.reset(OrderStop, anna); got != ResetDone {
		t.Errorf("order: %v", got)
	}
	n.run(0)
	n.want(MotionFree)
	if n = n.reboot(nil); !n.m.latched.Empty() {
		t.Error("a reset latch came back")
	}
}

func find(t *testing.T, d *Decision, tr Trigger) Active {
	t.Helper()
	for _, a := range d.Active[:d.N] {
		if a.Trigger == tr {
			return a
		}
	}
	t.Fatalf("%v is not active", tr)
	return Active{}
}

func TestLatchKeepsItsConstraintUnderALooserPolicyAfterAReboot(t *testing.T) {
	s := newScript(t, nil)
	s.set(PublisherUnknown, Fault(CauseNotListed, 1)).run(0)
	n := s.reboot(func(p *Policy) {
		p.Rules[PublisherUnknown].Enabled, p.Rules[PublisherUnknown].Reason = false, "test"
		p.Rules[PublisherUnknown].Constraint = limited(0.5)
	})
	n.run(time.Minute)
	n.want(MotionStop, PublisherUnknown)
}

func TestRestoredLatchIsNotResetBeforeItsCauseWasLookedFor(t *testing.T) {
	n := latched(t, OrderStop, nil).reboot(nil)
	if got := n.m.Reset(n.now, ResetRequest{Triggers: Set(OrderStop), Persons: []Person{anna}}).Outcomes[OrderStop]; got != ResetCauseUnknown {
		t.Errorf("before a step: got %v", got)
	}
	n.set(OrderStop, Condition{}).run(0)
	if got := n.reset(OrderStop, anna); got != ResetCauseUnknown {
		t.Errorf("unknown: got %v", got)
	}
}

func TestFlapGuardRemembersOverARestart(t *testing.T) {
	s := newScript(t, nil)
	s.flap(PoseStale, 4, 5*time.Second)
	n := s.reboot(nil)
	n.run(time.Second)
	n.flap(PoseStale, 1, 5*time.Second)
	n.want(MotionHold, PoseStale)
	if !n.out.Active[0].Flapped {
		t.Error("a restart makes a clean slate")
	}
	m := n.reboot(nil)
	m.run(0)
	m.want(MotionHold, PoseStale)
	if a := m.out.Active[0]; !a.Flapped || a.Clear != ClearByOperator {
		t.Errorf("got %+v", a)
	}
}

// reseal writes the right checksum under changed content.
func reseal(b []byte) []byte {
	if len(b) < 4 {
		return b
	}
	binary.LittleEndian.PutUint32(b[len(b)-4:], crc32c(b[:len(b)-4]))
	return b
}

func TestUnreadableLatches(t *testing.T) {
	s := latched(t, OrderStop, nil)
	s.set(GateBypass, Fault(CauseForeignSource, 0)).run(0)
	good := s.m.AppendLatches(nil)
	const entry = 6 // where the first latch begins
	for name, c := range map[string]struct {
		change func(b []byte) []byte
		cause  Cause
		is     error
	}{
		"absent":                   {func([]byte) []byte { return nil }, CauseNotFound, ErrEmpty},
		"rubbish":                  {func([]byte) []byte { return []byte("hello, world") }, CauseDamaged, ErrDamaged},
		"cut":                      {func(b []byte) []byte { return b[:len(b)-5] }, CauseDamaged, ErrDamaged},
		"one bit":                  {func(b []byte) []byte { b[20] ^= 4; return b }, CauseDamaged, ErrDamaged},
		"another version":          {func(b []byte) []byte { b[4] = 9; return reseal(b) }, CauseVersionUnknown, ErrVersion},
		"a trigger of the future":  {func(b []byte) []byte { b[entry] = uint8(NumTriggers); return reseal(b) }, CauseVersionUnknown, ErrVersion},
		"a mark that is none":      {func(b []byte) []byte { b[entry+1] = 2; return reseal(b) }, CauseDamaged, ErrDamaged},
		"a latch that does not":    {func(b []byte) []byte { b[entry+2] = uint8(ClearOnDwell); return reseal(b) }, CauseDamaged, ErrDamaged},
		"a negative age":           {func(b []byte) []byte { b[entry+18] = 0x80; return reseal(b) }, CauseDamaged, ErrDamaged},
		"an impossible constraint": {func(b []byte) []byte { b[entry+35] = 77; return reseal(b) }, CauseDamaged, ErrDamaged},
		"a trigger twice":          {func(b []byte) []byte { b[entry+latchBytes] = b[entry]; return reseal(b) }, CauseDamaged, ErrDamaged},
		"fewer latches than said":  {func(b []byte) []byte { b[5] = 40; return reseal(b) }, CauseDamaged, ErrDamaged},
		"bytes left over":          {func(b []byte) []byte { return reseal(append(b, 0)) }, CauseDamaged, ErrDamaged},
		"too many trips":           {func(b []byte) []byte { b[len(b)-4-1] = MaxFlapTrips + 1; return reseal(b) }, CauseDamaged, ErrDamaged},
	} {
		t.Run(name, func(t *testing.T) {
			n := newScript(t, nil)
			err := n.m.RestoreLatches(n.now, c.change(append([]byte(nil), good...)))
			if !errors.Is(err, c.is) {
				t.Fatalf("got %v, want %v", err, c.is)
			}
			n.run(time.Minute)
			n.want(MotionStop, LatchUnreadable)
			if a := n.out.Active[0]; a.Cause != c.cause || a.Clear != ClearByOperator || a.Count != 1 || a.Since != time.Hour {
				t.Errorf("got %+v", a)
			}
			if _, err := snapshot(n.m); err != nil {
				t.Errorf("snapshot: %v", err)
			}
			n = n.reboot(nil)
			n.run(time.Minute)
			n.want(MotionStop, LatchUnreadable)
			if got := n.reset(LatchUnreadable, ben); got != ResetDone {
				t.Errorf("reset: %v", got)
			}
		})
	}
}

func TestEveryFlippedBitAndEveryCutIsFound(t *testing.T) {
	s := latched(t, OrderStop, nil)
	good := s.m.AppendLatches(nil)
	for i := range good {
		for bit := range 8 {
			bad := append([]byte(nil), good...)
			bad[i] ^= 1 << bit
			m, _ := New(DefaultPolicy())
			if m.RestoreLatches(time.Hour, bad) == nil || !m.latched.Has(LatchUnreadable) {
				t.Fatalf("byte %d, bit %d is not found", i, bit)
			}
		}
		m, _ := New(DefaultPolicy())
		if m.RestoreLatches(time.Hour, good[:i]) == nil || !m.latched.Has(LatchUnreadable) {
			t.Fatalf("a cut after %d bytes is not found", i)
		}
	}
	m, _ := New(DefaultPolicy())
	if err := m.RestoreLatches(time.Hour, good); err != nil || m.latched != Set(OrderStop) {
		t.Errorf("the whole: %v", err)
	}
}

func TestLatchesFitTheirBound(t *testing.T) {
	s := newScript(t, nil)
	for tr := range NumTriggers {
		s.m.rules.Rules[tr].Clear = ClearByOperator
		s.set(tr, Fault(CauseNone, 0))
	}
	for i := range s.m.trips {
		s.m.trips[i].n = MaxFlapTrips
	}
	s.run(2 * time.Minute)
	if got := len(s.m.AppendLatches(nil)); got != MaxLatchBytes {
		t.Errorf("%d bytes, the bound is %d", got, MaxLatchBytes)
	}
	if b, _ := s.out.AppendBinary(nil); len(b) != MaxDecisionBytes {
		t.Errorf("a decision of %d bytes, the bound is %d", len(b), MaxDecisionBytes)
	}
}

func TestUnreadableLatchesAreToBeStored(t *testing.T) {
	s := newScript(t, nil)
	_ = s.m.RestoreLatches(s.now, nil)
	s.run(0)
	if !s.out.LatchesChanged {
		t.Error("a latch that nobody is told to store")
	}
}

func TestRestoringOntoALatchKeepsTheWorseOfBoth(t *testing.T) {
	s := newScript(t, nil)
	s.set(PublisherSecond, Fault(CauseTooMany, 0)).run(time.Second)
	mild := s.m.AppendLatches(nil)
	s = newScript(t, func(p *Policy) {
		p.Rules[PublisherSecond].Constraint, p.Rules[PublisherSecond].Clear = stop(), ClearByTwoPersons
	})
	s.set(PublisherSecond, Fault(CauseTooMany, 0)).run(time.Second)
	worse := s.m.AppendLatches(nil)
	for _, order := range [][2][]byte{{mild, worse}, {worse, mild}} {
		n := newScript(t, nil)
		for _, b := range order {
			if err := n.m.RestoreLatches(n.now, b); err != nil {
				t.Fatal(err)
			}
		}
		n.run(0)
		n.want(MotionStop, PublisherSecond)
		if got := n.out.Active[0].Clear; got != ClearByTwoPersons {
			t.Errorf("clears by %v", got)
		}
	}
}

func TestSinceIsBounded(t *testing.T) {
	for _, c := range []struct{ now, then, want time.Duration }{
		{5, 3, 2},
		{3, 5, 0},
		{0, -maxDuration, maxDuration},
		{math.MaxInt64, 0, maxDuration},
		{math.MaxInt64, -maxStored, maxDuration},
		{math.MaxInt64, math.MinInt64, maxDuration},
		{math.MinInt64, math.MaxInt64, 0},
	} {
		if got := since(c.now, c.then); got != c.want {
			t.Errorf("since(%d, %d): got %v, want %v", c.now, c.then, got, c.want)
		}
	}
}

func TestAgesAreBounded(t *testing.T) {
	for _, c := range []struct{ now, then, want time.Duration }{
		{time.Hour, 59 * time.Minute, time.Minute},
		{time.Hour, 2 * time.Hour, 0},
		{time.Hour, -time.Hour, 2 * time.Hour},
		{math.MaxInt64, -time.Hour, maxAge},
		{math.MaxInt64, math.MinInt64, maxAge},
	} {
		if got := age(c.now, c.then); got != c.want {
			t.Errorf("age(%v, %v): got %v, want %v", c.now, c.then, got, c.want)
		}
	}
}

func FuzzRestoreLatches(f *testing.F) {
	m, _ := New(DefaultPolicy())
	f.Add(m.AppendLatches(nil))
	in, out := calm(), Decision{}
	in.Conditions[GateBypass], in.Conditions[OrderStop] = Fault(CauseForeignSource, 0), Fault(CauseOrdered, 0)
	for i := range 20 {
		m.Step(time.Hour+time.Duration(i)*100*ms, in, &out)
	}
	f.Add(m.AppendLatches(nil))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, b := range [][]byte{b, reseal(append([]byte(nil), b...))} {
			m, _ := New(DefaultPolicy())
			err := m.RestoreLatches(time.Hour, b)
			var out Decision
			m.Step(time.Hour, calm(), &out)
			if err != nil {
				if !out.LatchedSet.Has(LatchUnreadable) {
					t.Fatalf("%v, and nothing is latched", err)
				}
				continue
			}
			// What was read is what is written, and holds.
			n, _ := New(DefaultPolicy())
			if err := n.RestoreLatches(time.Hour, m.AppendLatches(nil)); err != nil {
				t.Fatal(err)
			}
			if n.latched != m.latched || out.LatchedSet != m.latched {
				t.Fatalf("latched %s, then %s", names(m.latched), names(n.latched))
			}
		}
	})
}
