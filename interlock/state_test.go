package interlock

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// history is a random sequence of inputs, policies and resets for one or more machines in step.
type history struct {
	t   *rapid.T
	now time.Duration
	in  *Inputs
}

func newHistory(t *rapid.T) *history {
	h := &history{t: t, now: time.Hour, in: calm()}
	if rapid.IntRange(0, 3).Draw(t, "begins unknown") == 0 {
		h.in.Conditions[anyTrigger().Draw(t, "unknown")] = Condition{}
	}
	return h
}

func anyTrigger() *rapid.Generator[Trigger] {
	// A few triggers come often, so that histories dwell on them.
	return rapid.OneOf(
		rapid.SampledFrom([]Trigger{PoseStale, PoseCovariance, OrderStop, OrderDock, HeartbeatLate, PublisherSecond, BusLost}),
		rapid.Custom(func(t *rapid.T) Trigger {
			return Trigger(rapid.IntRange(0, int(NumTriggers)-1).Draw(t, "trigger")) //nolint:gosec // small
		}),
	)
}

// next lets time pass and changes a few inputs.
func (h *history) next() {
	t := h.t
	h.now += rapid.SampledFrom([]time.Duration{0, ms, 20 * ms, 50 * ms, 100 * ms, 100 * ms, 500 * ms, 3 * time.Second, -time.Second}).Draw(t, "wait")
	for range rapid.SampledFrom([]int{0, 1, 1, 2}).Draw(t, "changes") {
		tr := anyTrigger().Draw(t, "trigger")
		h.in.Conditions[tr] = Condition{
			State:   State(rapid.SampledFrom([]int{0, 1, 1, 1, 2, 2, 2}).Draw(t, "state")), //nolint:gosec // small
			Cause:   Cause(rapid.IntRange(0, 5).Draw(t, "cause")),                          //nolint:gosec // small
			Subject: uint16(rapid.SampledFrom([]int{0, 3, 7}).Draw(t, "subject")),          //nolint:gosec // small
		}
	}
	switch rapid.IntRange(0, 15).Draw(t, "other") {
	case 0:
		h.in.Standstill = !h.in.Standstill
	case 1:
		h.in.DockPossible = !h.in.DockPossible
	case 2:
		h.in.HoldImpossible = !h.in.HoldImpossible
	case 3:
		h.in.Fence = rapid.OneOf(rapid.Just(Unrestricted()), anyAxes()).Draw(t, "fence")
	case 4:
		h.in.DockChannel = uint16(rapid.SampledFrom([]int{0, 3, 7}).Draw(t, "dock")) //nolint:gosec // small
	}
}

// reset draws a request, or none.
func (h *history) reset() (ResetRequest, bool) {
	if rapid.IntRange(0, 6).Draw(h.t, "reset") > 0 {
		return ResetRequest{}, false
	}
	req := ResetRequest{Persons: []Person{rapid.SampledFrom([]Person{anna, ben, cleo, dirk}).Draw(h.t, "person")}}
	if rapid.Bool().Draw(h.t, "second") {
		req.Persons = append(req.Persons, ben)
	}
	for range rapid.IntRange(1, 4).Draw(h.t, "triggers") {
		req.Triggers.Add(anyTrigger().Draw(h.t, "trigger"))
	}
	return req, true
}

// load draws a policy, or none.
func (h *history) load() (Policy, bool) {
	if rapid.IntRange(0, 12).Draw(h.t, "load") > 0 {
		return Policy{}, false
	}
	return drawPolicy(h.t), true
}

// restoredDecidesAlike checks that a machine restored from a snapshot at a random point decides as the original does.
func restoredDecidesAlike(t *rapid.T, snapshot func(m *Machine) (*Machine, error)) error {
	p := drawPolicy(t)
	a, err := New(p)
	if err != nil {
		return err
	}
	h := newHistory(t)
	var b *Machine
	var x, y Decision
	at := rapid.IntRange(0, 20).Draw(t, "at")
	for i := range at + rapid.IntRange(1, 25).Draw(t, "after") {
		if i == at {
			if b, err = snapshot(a); err != nil {
				return err
			}
		}
		h.next()
		a.Step(h.now, h.in, &x)
		if b != nil {
			b.Step(h.now, h.in, &y)
			if x != y || x.Digest() != y.Digest() {
				return fault("step %d: %s", i, cmp.Diff(x, y))
			}
		}
		if req, ok := h.reset(); ok {
			r := a.Reset(h.now, req)
			if b != nil && r != b.Reset(h.now, req) {
				return fault("step %d: resets differ", i)
			}
		}
		if p, ok := h.load(); ok {
			if err := a.Load(p); err != nil {
				return err
			}
			if b != nil {
				_ = b.Load(p)
			}
		}
	}
	return nil
}

func snapshot(m *Machine) (*Machine, error) {
	n, err := New(DefaultPolicy())
	if err != nil {
		return nil, err
	}
	return n, n.RestoreState(m.AppendState(nil))
}

func TestRestoredDecidesAlike(t *testing.T) {
	check(t, func(t *rapid.T) error { return restoredDecidesAlike(t, snapshot) })
}

func TestRestoredDecidesAlikeFindsForgottenState(t *testing.T) {
	for name, forget := range map[string]func(m *Machine){
		"start delays": func(m *Machine) {
			for t := range NumTriggers {
				if s := &m.slots[t]; !s.on {
					s.budget = m.rules.Rules[t].StartDelay
				}
			}
		},
		"dwells": func(m *Machine) {
			for t := range NumTriggers {
				m.slots[t].quiet = 0
			}
		},
		"trips":                func(m *Machine) { m.trips = [NumClasses]trips{} },
		"what was seen":        func(m *Machine) { m.seen = TriggerSet{} },
		"what was ended":       func(m *Machine) { m.ended = TriggerSet{} },
		"the next policy":      func(m *Machine) { m.next, m.waits = Policy{}, false },
		"the last step":        func(m *Machine) { m.ran = false },
		"that latches changed": func(m *Machine) { m.dirty = false },
	} {
		t.Run(name, func(t *testing.T) {
			refuted(t, func(t *rapid.T) error {
				return restoredDecidesAlike(t, func(m *Machine) (*Machine, error) {
					n, err := snapshot(m)
					forget(n)
					return n, err
				})
			})
		})
	}
}

func TestSnapshotKeepsTheFirstPerson(t *testing.T) {
	s := latched(t, OrderStop, func(p *Policy) { p.Rules[OrderStop].Clear = ClearByTwoPersons })
	s.reset(OrderStop, anna)
	m, err := snapshot(s.m)
	if err != nil {
		t.Fatal(err)
	}
	s.m = m
	if got := s.reset(OrderStop, ben); got != ResetDone {
		t.Errorf("got %v", got)
	}
}

func TestSnapshotKeepsTheDocksDwell(t *testing.T) {
	s := newScript(t, nil)
	s.set(OrderDock, Fault(CauseOrdered, 0)).run(1900 * ms)
	m, err := snapshot(s.m)
	if err != nil {
		t.Fatal(err)
	}
	s.m = m
	s.want(MotionHold, OrderDock)
	s.run(100 * ms)
	s.want(MotionDockOnly, OrderDock)
}

func TestRestoreStateChangesNothingOnAnError(t *testing.T) {
	s := latched(t, OrderStop, nil)
	good := s.m.AppendState(nil)
	for i := 0; i < len(good); i += 7 {
		bad := append([]byte(nil), good...)
		bad[i] ^= 0x10
		if err := s.m.RestoreState(bad); err == nil {
			t.Fatalf("byte %d is not found", i)
		}
		if err := s.m.RestoreState(good[:i]); err == nil {
			t.Fatalf("a cut after %d bytes is not found", i)
		}
	}
	if diff := cmp.Diff(good, s.m.AppendState(nil)); diff != "" {
		t.Error("the machine has changed")
	}
}

func TestPolicyBytesTellPoliciesApart(t *testing.T) {
	check(t, func(t *rapid.T) error {
		a, b := drawPolicy(t), drawPolicy(t)
		x, _ := a.AppendBinary(nil)
		y, _ := b.AppendBinary(nil)
		if (string(x) == string(y)) != (a == b) {
			return fault("equal bytes %v, equal policies %v", string(x) == string(y), a == b)
		}
		return nil
	})
}

func FuzzRestoreState(f *testing.F) {
	m, _ := New(DefaultPolicy())
	f.Add(m.AppendState(nil), uint16(0))
	in, out := calm(), Decision{}
	in.Conditions[GateBypass], in.Conditions[PoseCovariance] = Fault(CauseForeignSource, 0), Fault(CauseOrdered, 0)
	for i := range 20 {
		m.Step(time.Hour+time.Duration(i)*100*ms, in, &out)
	}
	f.Add(m.AppendState(nil), uint16(200))
	g, _ := NewGate(gateConfig())
	f.Add(g.AppendState(nil), uint16(9))
	l, _ := NewLadder(ladderConfig())
	f.Add(l.AppendState(nil), uint16(7))
	h, _ := NewHeartbeat(heartbeatConfig())
	f.Add(h.AppendState(nil), uint16(3))
	s, _ := NewStandstill(standstillConfig())
	f.Add(s.AppendState(nil), uint16(3))
	w, _ := NewPublisherWatch(inputTopic())
	f.Add(w.AppendState(nil), uint16(3))
	o, _ := NewLoopWatch(loopConfig())
	f.Add(o.AppendState(nil), uint16(3))
	c, _ := NewClockWatch(clockConfig())
	f.Add(c.AppendState(nil), uint16(3))
	n, _ := NewChannelWatch(channelConfig())
	f.Add(n.AppendState(nil), uint16(3))
	y, _ := NewFollowWatch(followConfig())
	f.Add(y.AppendState(nil), uint16(3))
	f.Fuzz(func(t *testing.T, b []byte, seed uint16) {
		for _, b := range [][]byte{b, reseal(append([]byte(nil), b...))} {
			fuzzMachine(t, b, seed)
			fuzzParts(t, b)
		}
	})
}

// fuzzMachine restores b; what is taken can be stepped, and is written as it was read.
func fuzzMachine(t *testing.T, b []byte, seed uint16) {
	m, _ := New(DefaultPolicy())
	if m.RestoreState(b) != nil {
		return
	}
	if string(m.AppendState(nil)) != string(b) {
		t.Fatal("what was read is not what is written")
	}
	in, out := calm(), Decision{}
	for i := range 20 {
		in.Conditions[Trigger(uint16(i)*seed%uint16(NumTriggers))] = Fault(CauseStale, seed) //nolint:gosec // small
		m.Step(time.Duration(i)*time.Duration(seed)*ms, in, &out)
		before := out.LatchedSet
		m.Step(time.Duration(i)*time.Duration(seed)*ms, in, &out)
		if !before.Minus(out.LatchedSet).Empty() {
			t.Fatal("a latch is lost")
		}
	}
	if n, err := snapshot(m); err != nil || n.AppendState(nil) == nil {
		t.Fatalf("a machine that was restored and stepped cannot be restored: %v", err)
	}
}

// fuzzParts restores b into each smaller part and steps it.
func fuzzParts(t *testing.T, b []byte) {
	now := time.Hour
	g, _ := NewGate(gateConfig())
	if g.RestoreState(b) == nil {
		var out GateOutput
		g.Step(now, &GateInput{Axes: hold(), Ratio: 1, MaxSpeedMPS: 1}, &out)
		if out.Velocity != (Velocity{}) {
			t.Fatal("a command passes a hold")
		}
	}
	l, _ := NewLadder(ladderConfig())
	if l.RestoreState(b) == nil {
		var out LadderOutput
		for i := range 1000 {
			l.Step(now+time.Duration(i)*100*ms, &LadderInput{Demand: DemandStop, Motion: Moving}, &out)
		}
		if out.Phase == LadderIdle || out.Assert&cheap == 0 && l.asserted == 0 {
			t.Fatalf("a stop is demanded and nothing is asserted: %+v", out)
		}
	}
	h, _ := NewHeartbeat(heartbeatConfig())
	if h.RestoreState(b) == nil {
		h.Answer(now, nonce(1), true, LevelRun)
		h.Status(now)
		_ = h.Issue(now, nonce(5))
	}
	s, _ := NewStandstill(standstillConfig())
	if s.RestoreState(b) == nil {
		var out StandstillOutput
		s.Step(now, &StandstillInput{}, &out)
		if out.State != MotionUnknown {
			t.Fatal("something is known from nothing")
		}
	}
	w, _ := NewPublisherWatch(inputTopic())
	if w.RestoreState(b) == nil {
		w.Status(now)
	}
	o, _ := NewLoopWatch(loopConfig())
	if o.RestoreState(b) == nil {
		o.Observe(now, ms)
	}
	c, _ := NewClockWatch(clockConfig())
	if c.RestoreState(b) == nil {
		c.Observe(now, civil2026)
	}
	n, _ := NewChannelWatch(channelConfig())
	if n.RestoreState(b) == nil {
		if string(n.AppendState(nil)) != string(b) {
			t.Fatal("what was read of a channel is not what is written")
		}
		n.Arrive(&Arrival{Received: now, Civil: civil2026, Seq: 3, Stamp: civil2026})
		n.Status(now)
	}
	y, _ := NewFollowWatch(followConfig())
	if y.RestoreState(b) == nil {
		if string(y.AppendState(nil)) != string(b) {
			t.Fatal("what was read of a base is not what is written")
		}
		for i := range 1000 {
			y.Step(now+time.Duration(i)*100*ms, &FollowInput{})
		}
		if y.top != [2]float64{} {
			t.Fatalf("a base that was told nothing for 100 s may still do %v", y.top)
		}
	}
}
