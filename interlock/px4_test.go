package interlock

import (
	"testing"
	"time"
)

// The sequences of this file follow the scenarios of PX4's failsafe framework tests, in this package's terms: there is
// no single order of actions, and a person's takeover is a signed reset.

func TestPX4General(t *testing.T) {
	s := newScript(t, func(p *Policy) {
		p.Rules[HeartbeatLate].StartDelay = time.Second
		p.Rules[HeartbeatLate].Clear = ClearOnClear
	})
	s.run(time.Second)
	s.want(MotionFree)
	// The link is lost: nothing within the delay, then hold.
	s.set(HeartbeatLate, Fault(CauseNoAnswer, 1)).run(950 * ms)
	s.want(MotionFree)
	s.run(100 * ms)
	s.want(MotionHold, HeartbeatLate)
	// A second cause that asks for more.
	s.set(HeartbeatLost, Fault(CauseNoAnswer, 1)).run(0)
	s.want(MotionStop, HeartbeatLate, HeartbeatLost)
	// The first goes, the second keeps.
	s.set(HeartbeatLate, OK()).run(0)
	s.want(MotionStop, HeartbeatLost)
	// Its cause goes; it was latched.
	s.set(HeartbeatLost, OK()).run(time.Minute)
	s.want(MotionStop, HeartbeatLost)
	if got := s.reset(HeartbeatLost, anna); got != ResetDone {
		t.Fatal(got)
	}
	s.run(0)
	s.want(MotionFree)
}

func TestPX4TakeoverDeniedAndTerminationIsFinal(t *testing.T) {
	s := newScript(t, func(p *Policy) { p.Rules[MotionUntold].Clear = ClearNever })
	s.set(MotionUntold, Fault(CauseMovedAgain, 0)).run(time.Second)
	if got := s.reset(MotionUntold, ben); got != ResetCausePresent && got != ResetNever {
		t.Errorf("got %v while the cause is there", got)
	}
	s.set(MotionUntold, OK()).run(time.Hour)
	if got := s.reset(MotionUntold, anna, ben, cleo, dirk); got != ResetNever {
		t.Errorf("got %v", got)
	}
	s.run(0)
	s.want(MotionStop, MotionUntold)
}

func TestPX4DegradedFailsafe(t *testing.T) {
	// Return to dock is asked for, then the position is lost: the next thing that can be done is to hold.
	s := newScript(t, nil)
	s.run(3 * time.Second)
	s.set(BatteryLow, Fault(CauseBelowLimit, 0)).run(6 * time.Second)
	s.want(MotionDockOnly, BatteryLow)
	s.set(PoseMissing, Fault(CauseMissing, 0)).run(0)
	s.want(MotionHold, BatteryLow, PoseMissing)
	// The position is back: docking goes on, after the pose has proven itself.
	s.set(PoseMissing, OK()).run(900 * ms)
	s.want(MotionHold, BatteryLow, PoseMissing)
	s.run(4 * time.Second)
	s.want(MotionDockOnly, BatteryLow)
}

func TestPX4NoActionDoesNotRestrict(t *testing.T) {
	s := newScript(t, nil)
	s.set(ClockUntrusted, Fault(CauseCivilTooOld, 0)).set(ZoneMargin, Fault(CauseEnteredZone, 4)).run(time.Minute)
	s.want(MotionFree, ClockUntrusted, ZoneMargin)
	if s.out.Mode != ModeNormal || s.out.Axes != Unrestricted() {
		t.Errorf("got %v, %v", s.out.Mode, s.out.Axes)
	}
}

func TestPX4FallbackChain(t *testing.T) {
	s := newScript(t, nil)
	s.run(3 * time.Second)
	s.set(OrderDock, Fault(CauseOrdered, 0)).run(0)
	s.want(MotionDockOnly, OrderDock)
	s.in.DockPossible = false
	s.run(0)
	s.want(MotionHold, OrderDock)
	s.in.HoldImpossible = true
	s.run(0)
	s.want(MotionStop, OrderDock)
	s.in.HoldImpossible = false
	s.run(0)
	s.want(MotionHold, OrderDock)
}

func TestPX4ToggleOfAShortCauseIsRemembered(t *testing.T) {
	s := newScript(t, func(p *Policy) { p.Rules[BusLost].StartDelay = time.Second })
	s.run(0)
	fired := time.Duration(0)
	for i := 0; i < 200 && fired == 0; i++ {
		s.set(BusLost, Fault(CauseNoReply, 0)).run(50 * ms)
		s.set(BusLost, OK()).run(50 * ms)
		if s.out.ActiveSet.Has(BusLost) {
			fired = s.now - time.Hour
		}
	}
	if fired < time.Second || fired > 4*time.Second {
		t.Errorf("fired after %v", fired)
	}
}

func TestPX4NothingResumesByItselfAfterAStop(t *testing.T) {
	// The decision is free again after the reset; the gate still wants a command that was given after it, from
	// neutral. See TestGateAfterAStopWantsNeutral.
	s := latched(t, OrderStop, nil)
	s.reset(OrderStop, anna)
	s.run(0)
	s.want(MotionFree)
	g := newGateScript(t)
	g.axes(stop()).command(1, g.now)
	g.axes(s.out.Axes).command(1, g.now)
	if g.out.Velocity != (Velocity{}) || g.out.Reason != GateBeforeRelease {
		t.Errorf("got %+v because %v", g.out.Velocity, g.out.Reason)
	}
}

func TestPX4Takeover(t *testing.T) {
	// A person takes over: a signed grant replaces one hold by a creep, and no other.
	s := newScript(t, nil)
	s.run(time.Second)
	s.set(ZoneInside, Fault(CauseEnteredZone, 3)).run(0)
	s.want(MotionHold, ZoneInside)
	s.in.Suspended, s.in.SuspendedMPS = Set(ZoneInside), 0.1
	s.run(0)
	if s.out.Axes.Motion != MotionLimited || s.out.Axes.MaxSpeedMPS != 0.1 || !s.out.LatchedSet.Has(ZoneInside) {
		t.Fatalf("got %v, latched %s", s.out.Axes, names(s.out.LatchedSet))
	}
	// A second cause breaks through, whatever was granted for the first.
	s.set(PoseStale, Fault(CauseStale, 0)).run(0)
	s.want(MotionHold, ZoneInside, PoseStale)
	s.set(PoseStale, OK()).run(2 * time.Second)
	s.want(MotionLimited, ZoneInside)
	s.in.Suspended = TriggerSet{}
	s.run(0)
	s.want(MotionHold, ZoneInside)
}

func TestPX4WarningWaitsForNoDelay(t *testing.T) {
	s := newScript(t, func(p *Policy) { p.Rules[BusLost].StartDelay = 5 * time.Second })
	s.run(3 * time.Second)
	s.set(BusLost, Fault(CauseNoReply, 0)).set(ZoneMargin, Fault(CauseEnteredZone, 4)).run(0)
	s.want(MotionFree, ZoneMargin)
	s.run(5 * time.Second)
	s.want(MotionHold, ZoneMargin, BusLost)
}

func TestPX4NoTakeoverByAnotherChannel(t *testing.T) {
	// In a stop nobody drives, whoever takes the stick; and after it nobody does from where the stick is.
	g := newGateScript(t).drive(1)
	g.axes(stop())
	g.in.Command = Command{Channel: 2, Kind: ChannelOperator}
	g.tick(10*ms).command(1, g.now)
	if g.out.Velocity != (Velocity{}) || g.out.Reason != GateStopped {
		t.Errorf("in the stop: %+v because %v", g.out.Velocity, g.out.Reason)
	}
	g.axes(Unrestricted()).tick(10*ms).command(1, g.now)
	if g.out.Velocity != (Velocity{}) || g.out.Reason != GateNeutral {
		t.Errorf("after it: %+v because %v", g.out.Velocity, g.out.Reason)
	}
	g.tick(10*ms).command(0, g.now)
	g.tick(10*ms).command(1, g.now)
	if g.out.Velocity.Linear[0] != 1 {
		t.Errorf("from neutral: %+v because %v", g.out.Velocity, g.out.Reason)
	}
}

func TestPX4Defer(t *testing.T) {
	// The start delay defers; the table bounds it, it defers nothing that is active, and what has none breaks through.
	p := DefaultPolicy()
	p.Rules[BusLost].StartDelay = triggerTable[BusLost].Bounds.MaxStartDelay + 1
	if err := p.Validate(); !hasPolicyError(err, BusLost, FieldStartDelay) {
		t.Errorf("a deferral without bound: %v", err)
	}
	s := newScript(t, func(p *Policy) { p.Rules[BusLost].StartDelay = 10 * time.Second })
	s.run(3 * time.Second)
	s.set(BusLost, Fault(CauseNoReply, 0)).run(5 * time.Second)
	s.want(MotionFree)
	s.set(GateBypass, Fault(CauseForeignSource, 0)).run(0)
	s.want(MotionStop, GateBypass)
	s.run(5 * time.Second)
	s.want(MotionStop, GateBypass, BusLost)
	longer := s.m.Policy()
	longer.Rules[PoseStale].StartDelay = time.Second
	s.set(PoseStale, Fault(CauseStale, 0)).run(0)
	if err := s.m.Load(longer); err != nil {
		t.Fatal(err)
	}
	s.in.Standstill = true
	s.run(500 * ms)
	s.want(MotionStop, GateBypass, BusLost, PoseStale)
}

func TestPX4DeferAndClear(t *testing.T) {
	// The cause goes while it is still deferred: nothing has fired, nothing is latched, whatever its rule says.
	s := newScript(t, func(p *Policy) { p.Rules[PublisherSecond].StartDelay = 2 * time.Second })
	s.run(time.Second)
	s.set(PublisherSecond, Fault(CauseTooMany, 1)).run(1900 * ms)
	s.set(PublisherSecond, OK()).run(10 * time.Second)
	s.want(MotionFree)
	if s.out.LatchedSet != (TriggerSet{}) {
		t.Errorf("latched %s", names(s.out.LatchedSet))
	}
}

func TestPX4SkipFailsafe(t *testing.T) {
	// The robot is on its way to the dock already; a cause that asks for no more than that is told, and changes nothing.
	s := newScript(t, func(p *Policy) {
		p.Rules[HeartbeatLate].Constraint = limited(0.5)
		p.Rules[HeartbeatLate].Clear = ClearOnClear
	})
	s.run(3 * time.Second)
	s.set(OrderDock, Fault(CauseOrdered, 0)).run(0)
	s.want(MotionDockOnly, OrderDock)
	l, _ := NewLadder(ladderConfig())
	var out LadderOutput
	l.Step(s.now, &LadderInput{Demand: DemandOf(s.out.Axes), Motion: Moving}, &out)
	s.set(HeartbeatLate, Fault(CauseNoAnswer, 1)).run(time.Second)
	s.want(MotionDockOnly, OrderDock, HeartbeatLate)
	l.Step(s.now, &LadderInput{Demand: DemandOf(s.out.Axes), Motion: Moving, Acks: [MaxRungs]Ack{dockService: AckOK}}, &out)
	if out.Asked != 0 || out.Phase != LadderDocking {
		t.Errorf("asked %06b in phase %v: the dock is being gone to already", out.Asked, out.Phase)
	}
}

func TestPX4UserTermination(t *testing.T) {
	// A person stops the robot with nothing wrong at all: it stays, without a cause, over any time and a restart.
	s := newScript(t, nil)
	s.run(time.Second)
	s.set(OrderStop, Fault(CauseOrdered, 0)).run(0)
	s.want(MotionStop, OrderStop)
	s.set(OrderStop, OK()).run(time.Hour)
	s.want(MotionStop, OrderStop)
	n := s.reboot(nil)
	n.run(time.Minute)
	n.want(MotionStop, OrderStop)
	if got := n.reset(OrderStop, dirk); got != ResetWrongRole {
		t.Errorf("service: %v", got)
	}
	n.want(MotionStop, OrderStop)
}
