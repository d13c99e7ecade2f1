package interlock

import (
	"testing"
	"time"
)

// ladderConfig has 1 m/s, 0.5 m/s² and 0.2 s of reaction: (0.2 + 2) · 1.2 = 2.64 s to stand from top speed.
func ladderConfig() LadderConfig {
	return LadderConfig{
		Rungs: [MaxRungs]Rung{
			{Kind: RungService, AckWithin: 200 * ms},
			{Kind: RungZeroVelocity},
			{Kind: RungDockService, AckWithin: 500 * ms},
			{Kind: RungLock},
			{Kind: RungGPIO, Independent: true},
			{Kind: RungRelay, AckWithin: 300 * ms, Independent: true},
		},
		N: 6, React: 200 * ms, DecelMPS2: 0.5, MaxSpeedMPS: 1, SettleDwell: 300 * ms, ConfirmDwell: 100 * ms, LostGrace: 200 * ms,
	}
}

const (
	service, zeroVelocity, dockService, lock, gpio, relay = 0, 1, 2, 3, 4, 5
	cheap                                                 = RungSet(1<<zeroVelocity | 1<<lock)
)

type ladderScript struct {
	t   testing.TB
	l   *Ladder
	now time.Duration
	in  LadderInput
	out LadderOutput
	// asked are all rungs that were asked since the last clearing.
	asked RungSet
}

func newLadderScript(t testing.TB) *ladderScript {
	t.Helper()
	l, err := NewLadder(ladderConfig())
	if err != nil {
		t.Fatal(err)
	}
	s := &ladderScript{t: t, l: l, now: time.Hour}
	s.in.Motion, s.in.SpeedMPS, s.in.SpeedKnown = Moving, 1, true
	return s
}

func (s *ladderScript) run(d time.Duration) *ladderScript {
	end := s.now + d
	for {
		s.l.Step(s.now, &s.in, &s.out)
		s.asked |= s.out.Asked
		if s.now >= end {
			return s
		}
		s.now += 10 * ms
	}
}

func (s *ladderScript) demand(d Demand) *ladderScript {
	s.in.Demand = d
	s.asked = 0
	return s.run(0)
}

func (s *ladderScript) want(phase LadderPhase, rung int, assert RungSet) {
	s.t.Helper()
	if s.out.Phase != phase || s.out.Rung != rung || s.out.Assert != assert {
		s.t.Fatalf("got %v at rung %d with %06b, want %v at rung %d with %06b",
			s.out.Phase, s.out.Rung, s.out.Assert, phase, rung, assert)
	}
}

func TestLadderAsksServiceFirstAndAssertsTheCheapOnesAtOnce(t *testing.T) {
	s := newLadderScript(t).run(0)
	s.want(LadderIdle, -1, 0)
	s.demand(DemandStop)
	s.want(LadderRequested, service, cheap|1<<service)
	if s.out.Asked != cheap|1<<service || !s.out.Changed || s.out.Deadline != s.now+200*ms {
		t.Errorf("asked %06b, changed %v, deadline in %v", s.out.Asked, s.out.Changed, s.out.Deadline-s.now)
	}
	s.run(10 * ms)
	if s.out.Asked != 0 || s.out.Changed {
		t.Errorf("asked again %06b, changed %v", s.out.Asked, s.out.Changed)
	}
}

func TestLadderConfirms(t *testing.T) {
	s := newLadderScript(t).demand(DemandHold)
	s.in.Acks[service] = AckOK
	s.run(50 * ms)
	s.in.Motion = Standing
	s.run(40 * ms)
	s.want(LadderRequested, service, cheap|1<<service)
	s.in.Motion = Settling
	s.run(10 * ms)
	s.in.Motion = Standing
	s.run(90 * ms)
	s.want(LadderRequested, service, cheap|1<<service)
	s.run(20 * ms)
	s.want(LadderConfirmed, service, cheap|1<<service)
	r := s.out.Records[service]
	if !r.WasRequested || r.Requested != time.Hour || !r.WasAcked || r.Acked != time.Hour || !r.WasConfirmed ||
		r.Confirmed != s.now-10*ms || r.WasFailed {
		t.Errorf("at %v: got %+v", s.now, r)
	}
	if s.out.Unconfirmed.State != Clear || s.out.Untold.State != Clear || s.out.Deadline != 0 {
		t.Errorf("got %+v", s.out)
	}
	s.demand(DemandNone)
	s.want(LadderIdle, -1, 0)
}

func TestLadderGoesOnWithoutAnAck(t *testing.T) {
	s := newLadderScript(t).demand(DemandStop)
	s.run(190 * ms)
	s.want(LadderRequested, service, cheap|1<<service)
	s.run(10 * ms)
	s.want(LadderRequested, zeroVelocity, cheap|1<<service)
	// Zero velocity and lock were asked with the demand: their time runs from there.
	s.run(2640*ms - 210*ms)
	s.want(LadderRequested, zeroVelocity, cheap|1<<service)
	s.run(10 * ms)
	s.want(LadderRequested, gpio, cheap|1<<service|1<<gpio)
	if s.asked.Has(dockService) {
		t.Error("the dock's service was asked to stop the robot")
	}
}

func TestLadderGoesOnAfterARefusal(t *testing.T) {
	s := newLadderScript(t).demand(DemandStop)
	s.in.Acks[relay] = AckFailed // was never asked
	s.run(0)
	if s.out.Changed {
		t.Error("an answer to nothing is said to be news")
	}
	s.in.Acks[service] = AckFailed
	s.run(0)
	s.want(LadderRequested, zeroVelocity, cheap|1<<service)
	if !s.out.Changed {
		t.Error("the refusal is not said to be news")
	}
	if r := s.out.Records[service]; !r.WasFailed || r.Failed != s.now {
		t.Errorf("got %+v", r)
	}
}

func TestLadderGivesASlowRobotLessTime(t *testing.T) {
	s := newLadderScript(t)
	s.in.SpeedMPS = 0.1 // (0.2 + 0.2) · 1.2 = 0.48 s
	s.demand(DemandStop)
	s.in.Acks[service] = AckOK
	s.run(470 * ms)
	s.want(LadderRequested, service, cheap|1<<service)
	s.run(10 * ms)
	s.want(LadderRequested, gpio, cheap|1<<service|1<<gpio)
}

func TestLadderWaitsForARobotThatHasComeToRest(t *testing.T) {
	s := newLadderScript(t)
	s.in.SpeedMPS, s.in.Acks[service] = 0, AckOK
	s.in.Motion = Settling
	s.demand(DemandStop).run(10 * ms)
	// (0.2 + 0) · 1.2 s for the stop, and 0.3 s to be seen standing.
	s.run(520 * ms)
	s.want(LadderRequested, service, cheap|1<<service)
	if s.out.Deadline != time.Hour+540*ms {
		t.Errorf("deadline %v after the demand", s.out.Deadline-time.Hour)
	}
	s.run(10 * ms)
	s.want(LadderRequested, gpio, cheap|1<<service|1<<gpio)
}

func TestLadderTakesAnUnknownSpeedForTheTopSpeed(t *testing.T) {
	for name, change := range map[string]func(in *LadderInput){
		"unknown":   func(in *LadderInput) { in.SpeedKnown = false },
		"NaN":       func(in *LadderInput) { in.SpeedMPS = nan },
		"negative":  func(in *LadderInput) { in.SpeedMPS = -1 },
		"infinite":  func(in *LadderInput) { in.SpeedMPS = inf },
		"above top": func(in *LadderInput) { in.SpeedMPS = 50 },
	} {
		t.Run(name, func(t *testing.T) {
			s := newLadderScript(t)
			change(&s.in)
			s.demand(DemandStop)
			s.in.Acks[service] = AckOK
			s.run(2630 * ms)
			s.want(LadderRequested, service, cheap|1<<service)
			s.run(10 * ms)
			s.want(LadderRequested, gpio, cheap|1<<service|1<<gpio)
		})
	}
}

func TestLadderEndsUnconfirmedAndKeepsAsserting(t *testing.T) {
	for motion, cause := range map[MotionState]Cause{
		Moving: CauseStillMoving, MotionUnknown: CauseSpeedUnknown, Settling: CauseSpeedUnknown,
	} {
		t.Run(motion.String(), func(t *testing.T) {
			s := newLadderScript(t)
			s.in.Motion = motion
			s.demand(DemandStop).run(s.l.Bound())
			all := cheap | 1<<service | 1<<gpio | 1<<relay
			s.want(LadderUnconfirmed, relay, all)
			if s.out.Unconfirmed != Fault(cause, 0) {
				t.Errorf("got %+v", s.out.Unconfirmed)
			}
			s.run(time.Minute)
			s.want(LadderUnconfirmed, relay, all)
			s.in.Motion = Standing
			s.run(100 * ms)
			s.want(LadderConfirmed, relay, all)
			if s.out.Unconfirmed.State != Clear {
				t.Errorf("got %+v", s.out.Unconfirmed)
			}
		})
	}
}

func TestLadderGoesOnWhenTheRobotMovesAgain(t *testing.T) {
	confirmed := func(t *testing.T) *ladderScript {
		s := newLadderScript(t).demand(DemandHold)
		s.in.Acks[service], s.in.Motion = AckOK, Standing
		s.run(time.Second)
		s.want(LadderConfirmed, service, cheap|1<<service)
		return s
	}
	t.Run("moving", func(t *testing.T) {
		s := confirmed(t)
		s.in.Motion = Moving
		s.run(190 * ms)
		s.want(LadderConfirmed, service, cheap|1<<service)
		s.run(10 * ms)
		s.want(LadderRequested, gpio, cheap|1<<service|1<<gpio)
		if s.out.Untold != Fault(CauseMovedAgain, 0) {
			t.Errorf("got %+v", s.out.Untold)
		}
		s.in.Motion = Standing
		s.run(100 * ms)
		s.want(LadderConfirmed, gpio, cheap|1<<service|1<<gpio)
		if s.out.Untold.State != Clear {
			t.Errorf("got %+v", s.out.Untold)
		}
	})
	t.Run("unmeasured", func(t *testing.T) {
		s := confirmed(t)
		s.in.Motion = MotionUnknown
		s.run(220 * ms)
		s.want(LadderRequested, gpio, cheap|1<<service|1<<gpio)
		if s.out.Untold.State != Clear {
			t.Errorf("got %+v", s.out.Untold)
		}
	})
	t.Run("moving, then unmeasured", func(t *testing.T) {
		s := confirmed(t)
		s.in.Motion = Moving
		s.run(100 * ms)
		s.in.Motion = Standing
		s.run(20 * ms)
		s.in.Motion = MotionUnknown
		s.run(200 * ms)
		if s.out.Untold.State != Present {
			t.Errorf("motion is forgotten before the grace is full again: %+v", s.out)
		}
	})
	t.Run("moving, long ago, then unmeasured", func(t *testing.T) {
		s := confirmed(t)
		s.in.Motion = Moving
		s.run(100 * ms)
		s.in.Motion = Standing
		s.run(time.Second)
		s.in.Motion = MotionUnknown
		s.run(220 * ms)
		if s.out.Untold.State != Clear || s.out.Phase != LadderRequested {
			t.Errorf("got %+v", s.out)
		}
	})
	t.Run("twitching", func(t *testing.T) {
		s := confirmed(t)
		for range 30 {
			s.in.Motion = Moving
			s.run(20 * ms)
			s.in.Motion = Settling
			s.run(20 * ms)
		}
		if s.out.Untold.State != Present || !s.out.Assert.Has(gpio) {
			t.Errorf("got %+v", s.out)
		}
	})
	t.Run("a single sample", func(t *testing.T) {
		s := confirmed(t)
		for range 10 {
			s.in.Motion = Moving
			s.run(10 * ms)
			s.in.Motion = Standing
			s.run(time.Second)
		}
		s.want(LadderConfirmed, service, cheap|1<<service)
	})
}

func TestLadderFromHoldToStopAsksAnew(t *testing.T) {
	s := newLadderScript(t).demand(DemandHold)
	s.in.Acks[service], s.in.Motion = AckOK, Standing
	s.run(time.Second)
	s.in.Acks[service] = AckNone
	s.demand(DemandStop)
	s.want(LadderRequested, service, cheap|1<<service)
	if s.asked != cheap|1<<service {
		t.Errorf("asked %06b", s.asked)
	}
	s.in.Acks[service] = AckOK
	s.run(time.Second)
	s.want(LadderConfirmed, service, cheap|1<<service)
	s.demand(DemandHold)
	s.want(LadderConfirmed, service, cheap|1<<service)
	if s.asked != 0 {
		t.Errorf("asked %06b for less", s.asked)
	}
}

func TestLadderKeepsTheStrongRungsFromHoldToStop(t *testing.T) {
	s := newLadderScript(t).demand(DemandHold).run(3 * time.Second)
	s.want(LadderRequested, gpio, cheap|1<<service|1<<gpio)
	s.demand(DemandStop)
	s.want(LadderRequested, service, cheap|1<<service|1<<gpio)
}

func TestLadderDocks(t *testing.T) {
	s := newLadderScript(t).demand(DemandDock)
	s.want(LadderDocking, dockService, 1<<dockService)
	if want := s.now + 500*ms; s.out.Deadline != want {
		t.Errorf("the dock's service has until %v, want %v", s.out.Deadline, want)
	}
	s.in.Acks[dockService] = AckOK
	s.run(time.Minute)
	s.want(LadderDocking, dockService, 1<<dockService)
	if s.out.DockRefused {
		t.Error("refused although it was acknowledged")
	}
	s.demand(DemandHold)
	s.want(LadderRequested, service, cheap|1<<service)
}

func TestLadderDockRefusedStaysUntilNothingIsDemanded(t *testing.T) {
	for name, ack := range map[string]Ack{"no answer": AckNone, "refused": AckFailed} {
		t.Run(name, func(t *testing.T) {
			s := newLadderScript(t).demand(DemandDock)
			s.in.Acks[dockService] = ack
			s.run(500 * ms)
			if !s.out.DockRefused {
				t.Fatal("not refused")
			}
			s.demand(DemandHold).run(time.Second)
			s.demand(DemandDock)
			if !s.out.DockRefused {
				t.Error("forgotten while something is demanded")
			}
			s.demand(DemandNone)
			if s.out.DockRefused {
				t.Error("not forgotten")
			}
		})
	}
}

func TestLadderWithoutADockService(t *testing.T) {
	c := ladderConfig()
	c.Rungs[dockService] = Rung{Kind: RungCAN, Independent: true}
	l, err := NewLadder(c)
	if err != nil {
		t.Fatal(err)
	}
	s := &ladderScript{t: t, l: l, now: time.Hour}
	s.demand(DemandDock).run(time.Minute)
	s.want(LadderDocking, -1, 0)
	if s.out.DockRefused {
		t.Error("refused where the commander drives through the gate")
	}
}

func TestLadderDemandOutsideTheEnumerationIsAStop(t *testing.T) {
	s := newLadderScript(t).demand(200)
	s.run(10 * ms)
	s.want(LadderRequested, service, cheap|1<<service)
	if s.out.Asked != 0 {
		t.Errorf("asked again: %06b", s.out.Asked)
	}
}

func TestDemandOf(t *testing.T) {
	for _, c := range []struct {
		in   Axes
		want Demand
	}{
		{Unrestricted(), DemandNone},
		{limited(0), DemandNone},
		{dock(), DemandDock},
		{hold(), DemandHold},
		{stop(), DemandStop},
		{Axes{}, DemandStop},
		{Axes{Motion: 99}, DemandStop},
	} {
		if got := DemandOf(c.in); got != c.want {
			t.Errorf("%v: got %v, want %v", c.in, got, c.want)
		}
	}
}

func TestAdvisory(t *testing.T) {
	l := newLadderScript(t).l
	for available, want := range map[RungSet]bool{
		0: true, 1<<service | cheap: true, 1 << gpio: false, 1<<relay | cheap: false, 1 << dockService: true,
	} {
		if got := l.Advisory(available); got != want {
			t.Errorf("%06b: got %v", available, got)
		}
	}
}

func TestLadderRefusesConfigurations(t *testing.T) {
	for field, change := range map[string]func(c *LadderConfig){
		"N":                  func(c *LadderConfig) { c.N = 0 },
		"React":              func(c *LadderConfig) { c.React = 0 },
		"DecelMPS2":          func(c *LadderConfig) { c.DecelMPS2 = 0 },
		"MaxSpeedMPS":        func(c *LadderConfig) { c.MaxSpeedMPS = inf },
		"SettleDwell":        func(c *LadderConfig) { c.SettleDwell = 0 },
		"ConfirmDwell":       func(c *LadderConfig) { c.ConfirmDwell = -1 },
		"LostGrace":          func(c *LadderConfig) { c.LostGrace = 0 },
		"Rungs[1].Kind":      func(c *LadderConfig) { c.Rungs[1].Kind = RungUnknown },
		"Rungs[0].AckWithin": func(c *LadderConfig) { c.Rungs[0].AckWithin = -1 },
		"Rungs": func(c *LadderConfig) {
			c.N = 1
			c.Rungs[0] = Rung{Kind: RungDockService}
		},
	} {
		c := ladderConfig()
		change(&c)
		if _, err := NewLadder(c); !hasConfigError(err, field) {
			t.Errorf("%s: got %v", field, err)
		}
	}
	c := ladderConfig()
	c.DecelMPS2 = 1e-9
	if _, err := NewLadder(c); !hasConfigError(err, "DecelMPS2") {
		t.Errorf("endless braking: got %v", err)
	}
}

func TestStandstillIsNotConfirmedBeforeTheRobotCouldHaveBegunToMove(t *testing.T) {
	// Released, told to move and held again within the reaction time: the robot still stands, and then begins its step.
	cfg := LadderConfig{
		N: 1, Rungs: [MaxRungs]Rung{{Kind: RungZeroVelocity}}, React: 900 * time.Millisecond, DecelMPS2: 0.7, MaxSpeedMPS: 1,
		SettleDwell: 300 * time.Millisecond, ConfirmDwell: 300 * time.Millisecond, LostGrace: 300 * time.Millisecond,
	}
	l, err := NewLadder(cfg)
	if err != nil {
		t.Fatal(err)
	}
	var out LadderOutput
	for now := time.Duration(0); now < 4*time.Second; now += 20 * time.Millisecond {
		in := LadderInput{Demand: DemandHold, Motion: Standing, SpeedKnown: true}
		if now > 600*time.Millisecond && now < 900*time.Millisecond {
			in.Motion, in.SpeedMPS = Moving, 0.4
		}
		l.Step(now, &in, &out)
		if out.Untold.State == Present || out.Unconfirmed.State == Present {
			t.Fatalf("at %v: untold %v, unconfirmed %v", now, out.Untold, out.Unconfirmed)
		}
	}
	if out.Phase != LadderConfirmed {
		t.Errorf("phase %v, want confirmed", out.Phase)
	}
}

func TestLadderIsUnconfirmedWhenNothingIsLeftAndTheRobotMovesAgain(t *testing.T) {
	s := newLadderScript(t).demand(DemandStop)
	for s.out.Rung != relay {
		s.run(10 * ms)
	}
	all := cheap | 1<<service | 1<<gpio | 1<<relay
	// The relay answers and the robot stands, well before it would be overdue.
	s.in.Acks[relay], s.in.Motion = AckOK, Standing
	s.run(500 * ms)
	s.want(LadderConfirmed, relay, all)
	s.in.Motion = Moving
	s.run(200 * ms)
	s.want(LadderUnconfirmed, relay, all)
	if s.out.Untold != Fault(CauseMovedAgain, 0) {
		t.Errorf("got %+v", s.out.Untold)
	}
}
