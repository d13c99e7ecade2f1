package interlock

import (
	"testing"
	"time"
)

func TestUnknownNamesTheInputThatIsMissing(t *testing.T) {
	s := newScript(t, func(p *Policy) {
		p.Rules[PublisherUnknown].Enabled, p.Rules[PublisherUnknown].Reason = false, "test"
	})
	s.set(GateUnregistered, Condition{}).run(time.Second)
	s.set(GateUnregistered, OK()).run(time.Second)
	// One that is disabled, one that answers for another, and the one.
	s.set(PublisherUnknown, Condition{}).set(JointsInvalid, Condition{}).set(GateUnregistered, Condition{}).run(0)
	s.want(MotionHold, BusLost)
	if a := find(t, &s.out, BusLost); a.Cause != CauseUnknownInput || a.Subject != uint16(GateUnregistered)+1 {
		t.Errorf("got %v of %d", a.Cause, a.Subject)
	}
}

func TestUnknownAndNeverSeenAtOnce(t *testing.T) {
	s := newScript(t, nil)
	s.set(BatteryLow, Condition{}).run(0)
	s.set(GateUnregistered, Condition{}).run(0)
	s.want(MotionHold, Startup, BusLost)
	if a, b := find(t, &s.out, Startup), find(t, &s.out, BusLost); a.Cause != CauseNeverSeen || b.Cause != CauseUnknownInput {
		t.Errorf("got %v and %v", a.Cause, b.Cause)
	}
	s.now -= time.Second
	s.run(0)
	if a := find(t, &s.out, ClockJump); a.Cause != CauseBootClockBack {
		t.Errorf("got %v", a.Cause)
	}
}

func TestUnknown(t *testing.T) {
	t.Run("from the start keeps the robot closed and latches nothing", func(t *testing.T) {
		s := newScript(t, nil)
		s.set(HeartbeatLost, Condition{}).run(time.Minute)
		s.want(MotionHold, Startup)
		if a := s.out.Active[0]; a.Cause != CauseNeverSeen || a.Subject != uint16(HeartbeatLost)+1 {
			t.Errorf("got %v of %d", a.Cause, a.Subject)
		}
		s.set(HeartbeatLost, OK()).run(time.Second)
		s.want(MotionFree)
	})
	t.Run("later makes the trigger present", func(t *testing.T) {
		s := newScript(t, nil)
		s.run(0)
		s.set(HeartbeatLost, Condition{}).run(0)
		s.want(MotionStop, HeartbeatLost)
		if a := s.out.Active[0]; a.Cause != CauseUnknownInput || a.Subject != uint16(HeartbeatLost)+1 {
			t.Errorf("got %v of %d", a.Cause, a.Subject)
		}
	})
	t.Run("later makes the trigger present that answers for it", func(t *testing.T) {
		s := newScript(t, nil)
		s.run(0)
		s.set(PublisherUnknown, Condition{}).run(0)
		s.want(MotionHold, BusLost)
		s.set(PublisherUnknown, OK()).run(3 * time.Second)
		s.want(MotionFree)
	})
	t.Run("makes the trigger itself present where the other is disabled", func(t *testing.T) {
		s := newScript(t, func(p *Policy) {
			p.Rules[JointsMissing].Enabled, p.Rules[JointsMissing].Reason = false, "no arms"
		})
		s.run(0)
		s.set(JointsInvalid, Condition{}).run(0)
		s.want(MotionHold, JointsInvalid)
	})
	t.Run("does not clear", func(t *testing.T) {
		s := newScript(t, nil)
		s.set(PublisherSecond, Fault(CauseTooMany, 0)).run(time.Second)
		s.set(PublisherSecond, Condition{}).run(time.Minute)
		s.want(MotionHold, PublisherSecond, BusLost)
	})
	t.Run("of a disabled trigger does not matter", func(t *testing.T) {
		s := newScript(t, func(p *Policy) {
			p.Rules[BatteryLow].Enabled, p.Rules[BatteryLow].Reason = false, "mains"
		})
		s.set(BatteryLow, Condition{}).run(time.Second)
		s.want(MotionFree)
	})
	t.Run("state outside the enumeration is present", func(t *testing.T) {
		s := newScript(t, nil)
		s.set(OrderHold, Condition{State: 77}).run(0)
		s.want(MotionHold, OrderHold)
	})
	t.Run("zero inputs restrict everything", func(t *testing.T) {
		s := newScript(t, nil)
		s.in = &Inputs{}
		s.run(0)
		s.want(MotionStop, Startup)
		if s.out.Axes != (Axes{}) || !s.out.ByFence {
			t.Errorf("got %v", s.out.Axes)
		}
	})
}

// TestOnlyItsOwnConditionsMayBeUnknown: the machine itself finds out whether it is starting up and whether its latches
// were readable. Whatever else is unknown holds the robot.
func TestOnlyItsOwnConditionsMayBeUnknown(t *testing.T) {
	for tr := range NumTriggers {
		s := newScript(t, nil)
		s.in.Conditions[tr] = Condition{}
		s.run(0)
		own := tr == Startup || tr == LatchUnreadable
		if free := s.out.Axes == Unrestricted(); free != own {
			t.Errorf("%v unknown: %v", tr, s.out.Axes)
		}
	}
}
