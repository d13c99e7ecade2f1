package interlock

import (
	"errors"
	"testing"
	"time"
)

// cutConfig has a service that makes the robot kneel, a rung that takes its power then, and a watchdog that bites late.
func cutConfig() LadderConfig {
	c := ladderConfig()
	c.Rungs = [MaxRungs]Rung{
		{Kind: RungService, AckWithin: 200 * ms},
		{Kind: RungGPIO, AckWithin: 100 * ms, Independent: true, Settle: 4 * time.Second},
		{Kind: RungWatchdog, AckWithin: 200 * ms, Independent: true, Effect: 5 * time.Second},
	}
	c.N = 3
	return c
}

const kneel, permit, dog = 0, 1, 2

func newCutScript(t testing.TB) *ladderScript {
	t.Helper()
	l, err := NewLadder(cutConfig())
	if err != nil {
		t.Fatal(err)
	}
	s := &ladderScript{t: t, l: l, now: time.Hour}
	s.in.Motion, s.in.SpeedMPS, s.in.SpeedKnown, s.in.PowerOff = Moving, 1, true, true
	return s
}

// TestPowerGoesOnlyFromARobotThatHasSettled takes away one of what has to be there at a time.
func TestPowerGoesOnlyFromARobotThatHasSettled(t *testing.T) {
	for name, c := range map[string]struct {
		change func(in *LadderInput)
		demand Demand
		cut    bool
	}{
		"settled":              {func(*LadderInput) {}, DemandStop, true},
		"nobody told to kneel": {func(in *LadderInput) { in.Acks[kneel] = AckNone }, DemandStop, false},
		"kneeling refused":     {func(in *LadderInput) { in.Acks[kneel] = AckFailed }, DemandStop, false},
		"moves on":             {func(in *LadderInput) { in.Motion = Moving }, DemandStop, false},
		"not measured":         {func(in *LadderInput) { in.Motion = MotionUnknown }, DemandStop, false},
		"category 2":           {func(in *LadderInput) { in.PowerOff = false }, DemandStop, false},
		"held, not stopped":    {func(*LadderInput) {}, DemandHold, false},
	} {
		t.Run(name, func(t *testing.T) {
			s := newCutScript(t).demand(c.demand)
			s.in.Acks[kneel], s.in.Motion = AckOK, Standing
			c.change(&s.in)
			s.run(3 * time.Second)
			if s.asked.Has(permit) {
				t.Fatal("power is taken from a robot that has not settled")
			}
			s.run(time.Minute)
			if s.asked.Has(permit) != c.cut {
				t.Errorf("asked for power off: %t, expected %t", !c.cut, c.cut)
			}
			if s.demand(DemandNone); s.out.Assert != 0 {
				t.Errorf("keeps %03b asserted", s.out.Assert)
			}
		})
	}
}

// TestARungThatActsLateGetsItsTime has a watchdog that bites after five seconds, and the robot's way to stand after it.
func TestARungThatActsLateGetsItsTime(t *testing.T) {
	s := newCutScript(t).demand(DemandStop)
	s.in.Acks[kneel] = AckFailed
	s.run(20 * ms)
	s.want(LadderRequested, dog, 1<<kneel|1<<dog)
	s.in.Acks[dog] = AckOK
	s.run(5*time.Second + 2600*ms)
	s.want(LadderRequested, dog, 1<<kneel|1<<dog)
	s.run(100 * ms)
	s.want(LadderUnconfirmed, dog, 1<<kneel|1<<dog)
	if b := s.l.Bound(); b < 7*time.Second {
		t.Errorf("bound %v leaves out that the watchdog bites late", b)
	}
}

func TestLadderOfPowerCutsAloneIsRefused(t *testing.T) {
	c := cutConfig()
	c.Rungs[0], c.N = c.Rungs[permit], 1
	if _, err := NewLadder(c); err == nil {
		t.Error("expected an error: nothing stops a moving robot")
	}
	for _, change := range []func(r *Rung){func(r *Rung) { r.Settle = -1 }, func(r *Rung) { r.Effect = 25 * time.Hour }} {
		c := cutConfig()
		change(&c.Rungs[2])
		var ce *ConfigError
		if _, err := NewLadder(c); !errors.As(err, &ce) {
			t.Errorf("expected a configuration error, found %v", err)
		}
	}
}

// TestAStopAfterAHoldKeepsItsAnswers: whoever carries out a rung that stays asserted answers no second time, so the stop must
// neither pass on to the next rung for want of an answer, nor leave the power on for ever.
func TestAStopAfterAHoldKeepsItsAnswers(t *testing.T) {
	s := newCutScript(t).demand(DemandHold)
	s.in.Acks[kneel] = AckOK
	s.run(100 * ms)
	s.in.Acks[kneel] = AckNone // as for each request that is made anew
	s.demand(DemandStop).run(400 * ms)
	s.want(LadderRequested, kneel, 1<<kneel)
	s.in.Motion = Standing
	s.run(3 * time.Second)
	if s.asked.Has(permit) {
		t.Error("power is taken from a robot that has not settled")
	}
	s.run(time.Minute)
	if !s.asked.Has(permit) {
		t.Error("power stays on although the robot has knelt")
	}

	s = newCutScript(t).demand(DemandHold)
	s.in.Acks[kneel] = AckFailed
	s.run(20 * ms)
	s.in.Acks[kneel] = AckNone
	s.demand(DemandStop).in.Motion = Standing
	s.run(time.Minute)
	if s.asked.Has(permit) {
		t.Error("power is taken although kneeling was refused")
	}
}
