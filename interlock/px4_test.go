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
