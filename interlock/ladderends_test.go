package interlock

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// climber is a ladder, or one that is wrong on purpose.
type climber interface {
	Step(now time.Duration, in *LadderInput, out *LadderOutput)
}

// ladderEnds checks on a random history that a demand ends confirmed or unconfirmed within the bound, that it is never
// confirmed without a standstill, and that nothing asserted is let go meanwhile.
func ladderEnds(t *rapid.T, l climber, bound time.Duration) error {
	in, out := LadderInput{Demand: DemandStop}, LadderOutput{}
	now := time.Hour
	l.Step(now, &in, &out)
	demanded := now
	var stoodSince time.Duration
	var asserted RungSet
	stood, settled := false, false
	for i := range rapid.IntRange(50, 150).Draw(t, "steps") {
		now += 20 * ms
		before := in.Demand
		if rapid.IntRange(0, 80).Draw(t, "change") == 80 {
			in.Demand = Demand(rapid.IntRange(0, 3).Draw(t, "demand")) //nolint:gosec // small
		}
		if rapid.IntRange(0, 5).Draw(t, "other motion") == 0 {
			in.Motion = MotionState(rapid.SampledFrom([]int{0, 1, 1, 1, 2, 3, 3}).Draw(t, "motion")) //nolint:gosec // small
		}
		in.SpeedKnown, in.SpeedMPS = rapid.Bool().Draw(t, "known"), rapid.Float64Range(0, 2).Draw(t, "speed")
		in.Acks[rapid.IntRange(0, MaxRungs-1).Draw(t, "rung")] = Ack(rapid.IntRange(0, 2).Draw(t, "ack")) //nolint:gosec // small
		l.Step(now, &in, &out)
		if in.Motion != Standing {
			stood = false
		} else if !stood {
			stood, stoodSince = true, now
		}
		if in.Demand < DemandHold {
			asserted, settled = 0, false
			continue
		}
		if before < DemandHold || before == DemandHold && in.Demand == DemandStop {
			demanded, settled = now, false
		}
		if out.Assert&cheap != cheap || out.Assert&asserted != asserted {
			return fault("step %d: asserted %06b after %06b", i, out.Assert, asserted)
		}
		asserted = out.Assert
		switch out.Phase {
		case LadderConfirmed:
			if !settled && (!stood || now-stoodSince < quickLadder().ConfirmDwell) {
				return fault("step %d: confirmed while %v", i, in.Motion)
			}
			settled = true
		case LadderUnconfirmed:
			settled = true
			if out.Unconfirmed.State != Present {
				return fault("step %d: unconfirmed, and nobody is told", i)
			}
		case LadderRequested, LadderIdle, LadderDocking:
			if now-demanded > bound && !settled {
				return fault("step %d: neither confirmed nor unconfirmed after %v", i, now-demanded)
			}
		}
	}
	return nil
}

// quickLadder comes to its end within the second or so that a drawn history lasts.
func quickLadder() LadderConfig {
	c := ladderConfig()
	c.MaxSpeedMPS, c.React, c.SettleDwell, c.ConfirmDwell = 0.05, 50*ms, 40*ms, 40*ms
	c.Rungs[service].AckWithin, c.Rungs[relay].AckWithin = 60*ms, 60*ms
	return c
}

func TestLadderEnds(t *testing.T) {
	check(t, func(t *rapid.T) error {
		l, err := NewLadder(quickLadder())
		if err != nil {
			return err
		}
		return ladderEnds(t, l, l.Bound()+40*ms)
	})
}

type wrongLadder struct {
	*Ladder
	before func(in *LadderInput)
	after  func(out *LadderOutput)
}

func (w wrongLadder) Step(now time.Duration, in *LadderInput, out *LadderOutput) {
	seen := *in
	if w.before != nil {
		w.before(&seen)
	}
	w.Ladder.Step(now, &seen, out)
	if w.after != nil {
		w.after(out)
	}
}

func TestLadderEndsFindsWrongLadders(t *testing.T) {
	for name, w := range map[string]wrongLadder{
		"unknown is standing":    {before: func(in *LadderInput) { in.Motion = max(in.Motion, Standing-in.Motion) }},
		"always standing":        {before: func(in *LadderInput) { in.Motion = Standing }},
		"lets go of the lock":    {after: func(out *LadderOutput) { out.Assert &^= 1 << lock }},
		"lets go of the rung":    {after: func(out *LadderOutput) { out.Assert = cheap | 1<<max(0, out.Rung) }},
		"does not tell":          {after: func(out *LadderOutput) { out.Unconfirmed = OK() }},
		"never comes to its end": {after: func(out *LadderOutput) { out.Phase = min(out.Phase, LadderRequested) }},
	} {
		t.Run(name, func(t *testing.T) {
			refuted(t, func(t *rapid.T) error {
				w.Ladder, _ = NewLadder(quickLadder())
				return ladderEnds(t, w, w.Bound()+40*ms)
			})
		})
	}
}

func TestLadderStateRoundTrip(t *testing.T) {
	check(t, func(t *rapid.T) error {
		a, _ := NewLadder(ladderConfig())
		now := time.Hour
		step := func() LadderInput {
			now += time.Duration(rapid.IntRange(0, 50).Draw(t, "wait")) * 10 * ms
			in := LadderInput{
				Demand:     Demand(rapid.SampledFrom([]int{0, 1, 2, 3, 3, 3}).Draw(t, "demand")), //nolint:gosec // small
				Motion:     MotionState(rapid.IntRange(0, 3).Draw(t, "motion")),                  //nolint:gosec // small
				SpeedKnown: true, SpeedMPS: rapid.Float64Range(0, 1).Draw(t, "speed"),
			}
			in.Acks[rapid.IntRange(0, 5).Draw(t, "rung")] = Ack(rapid.IntRange(0, 2).Draw(t, "ack")) //nolint:gosec // small
			return in
		}
		var out, again LadderOutput
		for range rapid.IntRange(0, 20).Draw(t, "before") {
			in := step()
			a.Step(now, &in, &out)
		}
		b, _ := NewLadder(ladderConfig())
		if err := b.RestoreState(a.AppendState(nil)); err != nil {
			return err
		}
		for range rapid.IntRange(1, 20).Draw(t, "after") {
			in := step()
			a.Step(now, &in, &out)
			b.Step(now, &in, &again)
			if out != again {
				return fault("%s", cmp.Diff(out, again))
			}
		}
		return nil
	})
}

func TestLadderDoesNotAllocate(t *testing.T) {
	s := newLadderScript(t).demand(DemandStop)
	if got := testing.AllocsPerRun(1000, func() { s.run(10 * ms) }); got != 0 {
		t.Errorf("%v allocations in a step", got)
	}
}

// TestTheDocksServiceMayComeFirst: where it stands in the ladder makes no difference to how long it has.
func TestTheDocksServiceMayComeFirst(t *testing.T) {
	c := ladderConfig()
	c.Rungs[0], c.Rungs[dockService] = c.Rungs[dockService], c.Rungs[0]
	l, err := NewLadder(c)
	if err != nil {
		t.Fatal(err)
	}
	s := &ladderScript{t: t, l: l, now: time.Hour}
	s.in.Motion = Moving
	s.demand(DemandDock)
	s.want(LadderDocking, 0, 1)
	if want := s.now + 500*ms; s.out.Deadline != want {
		t.Errorf("until %v, want %v", s.out.Deadline, want)
	}
	s.in.Acks[0] = AckOK
	if s.run(10 * ms); s.out.Deadline != 0 || s.out.DockRefused {
		t.Errorf("acknowledged: until %v, refused %v", s.out.Deadline, s.out.DockRefused)
	}
	s.demand(DemandNone)
	s.in.Acks[0] = AckNone
	s.demand(DemandDock)
	if s.run(500 * ms); s.out.Deadline != 0 || !s.out.DockRefused {
		t.Errorf("without an answer: until %v, refused %v", s.out.Deadline, s.out.DockRefused)
	}
}
