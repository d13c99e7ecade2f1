package interlock

import (
	"math"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// posturer is the part, or one that is wrong on purpose.
type posturer interface {
	Step(now time.Duration, in *PostureInput, out *PostureOutput)
}

type wrongPostures struct {
	*Postures
	before func(in *PostureInput)
	after  func(p *Postures, in *PostureInput, out *PostureOutput)
}

func (w wrongPostures) Step(now time.Duration, in *PostureInput, out *PostureOutput) {
	seen := *in
	if w.before != nil {
		w.before(&seen)
	}
	w.Postures.Step(now, &seen, out)
	if w.after != nil {
		w.after(w.Postures, in, out)
	}
}

// drawPosture draws one look at a robot, from nowhere in particular.
func drawPosture(t *rapid.T, now time.Duration) (in PostureInput, q [MaxPostureJoints]float64) {
	states := rapid.SampledFrom([]State{Clear, Clear, Present, Unknown})
	value := rapid.SampledFrom([]float64{0.03, 0.06, 0.07, 0.5, 0.9, math.NaN(), -3, math.Inf(1)})
	heat := rapid.SampledFrom([]float64{-40, -85, -95, -20, math.NaN()})
	age := rapid.SampledFrom([]time.Duration{0, 20 * ms, time.Minute, -time.Second})
	in = PostureInput{
		Held: rapid.Bool().Draw(t, "held"), Motion: rapid.SampledFrom([]MotionState{Standing, Standing, Moving, MotionUnknown, Settling}).Draw(t, "motion"),
		Fallen: states.Draw(t, "fallen"), Carrying: states.Draw(t, "carrying"),
		Battery: Gauge{rapid.Bool().Draw(t, "battery"), now - age.Draw(t, "age"), value.Draw(t, "charge"), rapid.Bool().Draw(t, "charging")},
		Heat:    Gauge{rapid.Bool().Draw(t, "heat"), now, heat.Draw(t, "temperature"), false},
	}
	for i := range in.Acks {
		in.Acks[i] = rapid.SampledFrom([]Ack{AckNone, AckOK, AckFailed}).Draw(t, "ack")
	}
	q[knee] = rapid.SampledFrom([]float64{0.2, 1.5, math.NaN()}).Draw(t, "knee")
	q[hip] = rapid.SampledFrom([]float64{0.1, 1.6}).Draw(t, "hip")
	return in, q
}

// neverInfeasible checks by itself that each step that is asked for is possible, that power is never taken from a robot that
// is not shown to be down unless the profile calls it the last resort, and that nothing is taken back without a reset.
func neverInfeasible(t *rapid.T, wrap func(p *Postures) posturer) error {
	cfg := postureConfig()
	resort := rapid.Bool().Draw(t, "last resort")
	cfg.Steps[stepOff].LastResort = resort
	core, _ := NewPostures(cfg)
	p := wrap(core)
	now := time.Hour
	var out PostureOutput
	var committed bool
	var assert StepSet
	var charge float64
	chargeAt, known := now, false
	var shownAt [MaxPostures]time.Duration
	for i := range rapid.IntRange(1, 60).Draw(t, "steps") {
		now += rapid.SampledFrom([]time.Duration{20 * ms, 100 * ms, 250 * ms, time.Second, 10 * time.Second}).Draw(t, "dt")
		in, q := drawPosture(t, now)
		in.Active = committed && rapid.IntRange(0, 9).Draw(t, "reset") > 0
		core.Observe(now, math.MaxUint64, &q)
		if g := in.Battery; g.Seen && g.Received <= now && g.Value >= 0 && g.Value <= 1.05 {
			charge, chargeAt, known = g.Value, g.Received, true
		}
		for s, on := range map[int]bool{stepKneel: q[knee] >= 1.2, stepSit: q[hip] >= 1.4} {
			if on {
				shownAt[s] = now
			}
		}
		p.Step(now, &in, &out)
		for s := 1; s < cfg.N; s++ {
			if !out.Asked.Has(s) {
				continue
			}
			step := &cfg.Steps[s]
			switch {
			case step.Needs&NeedStandstill != 0 && in.Motion != Standing:
				return fault("step %d: %s asked while %s", i, step.Kind, in.Motion)
			case step.Needs&NeedUpright != 0 && in.Fallen != Clear:
				return fault("step %d: %s asked, fallen %s", i, step.Kind, in.Fallen)
			case step.Needs&NeedEmptyHands != 0 && in.Carrying != Clear:
				return fault("step %d: %s asked, carrying %s", i, step.Kind, in.Carrying)
			case step.MinCharge > 0 && (!known || charge-1e-3*(now-chargeAt).Seconds() < step.MinCharge):
				return fault("step %d: %s asked at a charge of %v", i, step.Kind, charge)
			case step.Kind == PostureOff && !resort && in.Fallen != Present && shownAt[stepKneel]+shownAt[stepSit] == 0:
				return fault("step %d: off asked, and it never knelt or sat", i)
			}
		}
		if committed && in.Active && (out.Phase == PostureFree || !out.HoldImpossible || assert&^out.Assert != 0) {
			return fault("step %d: taken back without a reset: %s, demands %b after %b", i, out.Phase, out.Assert, assert)
		}
		committed, assert = committed && in.Active || out.HoldImpossible, out.Assert
	}
	return nil
}

func TestNeverInfeasible(t *testing.T) {
	check(t, func(t *rapid.T) error { return neverInfeasible(t, func(p *Postures) posturer { return p }) })
}

func TestNeverInfeasibleFindsWrongPostures(t *testing.T) {
	for name, w := range map[string]wrongPostures{
		"takes motion for rest":         {before: func(in *PostureInput) { in.Motion = Standing }},
		"takes unknown for upright":     {before: func(in *PostureInput) { in.Fallen = Clear }},
		"takes unknown for empty hands": {before: func(in *PostureInput) { in.Carrying = Clear }},
		"believes any charge":           {before: func(in *PostureInput) { in.Battery.Value = 0.9 }},
		"takes power first": {after: func(_ *Postures, _ *PostureInput, out *PostureOutput) {
			if out.Asked != 0 {
				out.Asked = 1 << stepOff
			}
		}},
		"forgets": {after: func(_ *Postures, _ *PostureInput, out *PostureOutput) {
			if out.Phase == PostureReached {
				out.HoldImpossible = false
			}
		}},
		"lets go": {after: func(_ *Postures, _ *PostureInput, out *PostureOutput) {
			if out.Phase == PostureExhausted {
				out.Assert = 0
			}
		}},
	} {
		t.Run(name, func(t *testing.T) {
			refuted(t, func(t *rapid.T) error {
				return neverInfeasible(t, func(p *Postures) posturer { return wrongPostures{p, w.before, w.after} })
			})
		})
	}
}

// neverTooLate lets any steps fail in any way but one that is always possible, with any drain up to the profile's: it is down
// before the deadline.
func neverTooLate(t *rapid.T, tb testing.TB, change func(p *Postures)) error {
	b := newBody(tb, func(c *PostureConfig) { c.Steps[stepKneel].Needs = NeedUpright | NeedStandstill })
	change(b.p)
	works := rapid.SampledFrom([]int{stepKneel, stepSit}).Draw(t, "works")
	for i := range b.does {
		if b.does[i] = how(rapid.IntRange(0, int(late)).Draw(t, "does")); i == works {
			b.does[i] = obeys
		}
	}
	b.drain = 1e-3 * rapid.Float64Range(0.1, 1).Draw(t, "drain")
	whole := postureConfig()
	b.charge = 0.05 + 1e-3*whole.Need().Seconds() + rapid.Float64Range(0, 0.01).Draw(t, "more")
	stop := time.Duration(rapid.IntRange(0, 4000).Draw(t, "stop")) * ms
	b.in.Motion = Moving
	var due time.Duration
	for range 10_000 {
		b.run(20 * ms)
		if due == 0 && b.out.Due.State == Present {
			due = b.now
		}
		if due > 0 && b.now >= due+stop {
			b.in.Motion = Standing
		}
		switch {
		case b.out.Phase == PostureReached:
			return nil
		case b.charge <= 0.05:
			return fault("the battery is empty: %s, asked %v, does %v", b.out.Phase, b.log, b.does)
		}
	}
	return fault("it never goes down")
}

func TestNeverTooLate(t *testing.T) {
	check(t, func(r *rapid.T) error { return neverTooLate(r, t, func(*Postures) {}) })
}

func TestNeverTooLateFindsWrongPostures(t *testing.T) {
	for name, change := range map[string]func(p *Postures){
		"plans for one step":        func(p *Postures) { p.need = p.cfg.Stop + p.cfg.Steps[stepKneel].Within },
		"waits for ever for a step": func(p *Postures) { p.cfg.Steps[stepKneel].Within, p.cfg.Steps[stepKneel].AckWithin = time.Hour, 0 },
		"takes a slower drain":      func(p *Postures) { p.cfg.Battery.PerSecond /= 2 },
		"begins at the very end":    func(p *Postures) { p.need = 0 },
	} {
		t.Run(name, func(t *testing.T) {
			refuted(t, func(r *rapid.T) error { return neverTooLate(r, t, change) })
		})
	}
}

// TestPostureOutranksHold: a hold becomes a stop while the robot has to go down, and stays one until a person resets it.
func TestPostureOutranksHold(t *testing.T) {
	s := newScript(t, nil)
	s.run(time.Second)
	s.set(HeartbeatLate, Fault(CauseNoAnswer, 0)).run(time.Second)
	s.want(MotionHold, HeartbeatLate)
	s.set(PostureDue, Fault(CauseBatteryEnds, 0)).run(100 * ms)
	s.want(MotionStop, HeartbeatLate, PostureDue)
	s.set(HeartbeatLate, OK()).set(PostureDue, OK()).run(time.Minute)
	s.want(MotionStop, PostureDue)
	for _, tr := range []Trigger{PostureDue, PostureFailed} {
		if i := tr.Info(); i.Overridable || i.Bounds.MayDisable || i.Bounds.LeastClear < ClearByOperator || i.Hearsay {
			t.Errorf("%s may be talked away: %+v", i.Code, i.Bounds)
		}
	}
}

// TestKneelingContradictsNoStandstill: legs that move because they were told to neither break a standstill nor make the ladder go
// on, as long as the base rests; without that word they do.
func TestKneelingContradictsNoStandstill(t *testing.T) {
	run := func(going bool) LadderOutput {
		s := newLadderScript(t)
		s.in.Demand, s.in.Motion = DemandStop, Standing
		s.run(5 * time.Second)
		if s.out.Phase != LadderConfirmed {
			t.Fatalf("phase %s", s.out.Phase)
		}
		s.in.Motion, s.in.GoingDown = Moving, going
		s.run(4 * time.Second)
		return s.out
	}
	if out := run(true); out.Phase != LadderConfirmed || out.Untold.State != Clear {
		t.Errorf("%s, untold %s", out.Phase, out.Untold.State)
	}
	if out := run(false); out.Untold.State != Present {
		t.Error("off: legs that move untold are not seen either")
	}
}
