package interlock

import (
	"testing"
	"time"
)

// TestGateWantsNeutralAfterALatchedHold drives on without a pause through a hold. If a person had to reset it, nothing
// passes before a neutral command; if it ended by itself, the robot goes on.
func TestGateWantsNeutralAfterALatchedHold(t *testing.T) {
	for name, latched := range map[string]bool{"reset by a person": true, "off: ended by itself": false} {
		t.Run(name, func(t *testing.T) {
			s := newGateScript(t).drive(1)
			s.in.Latched = latched
			s.axes(hold())
			for range 10 {
				s.tick(20*ms).command(1, s.now)
			}
			s.in.Latched = false
			s.axes(Unrestricted())
			for range 50 {
				s.tick(20*ms).command(1, s.now)
				if passed := s.out.Velocity != (Velocity{}); passed == latched {
					t.Fatalf("passed %t, %s", passed, s.out.Reason)
				}
			}
			if latched && s.out.Reason != GateNeutral {
				t.Errorf("dropped as %q, expected %q", s.out.Reason, GateNeutral)
			}
			// Between two of its commands too: whoever looks why the robot stands reads what it waits for.
			if s.tick(5 * ms).axes(Unrestricted()); latched && s.out.Reason != GateNeutral {
				t.Errorf("between two commands %q, expected %q", s.out.Reason, GateNeutral)
			}
			s.drive(0.5)
		})
	}
}

// TestGateDoesNotWaitForTheSilent: a planner that has fallen silent need not be neutral any more, and the gate does not say so.
func TestGateDoesNotWaitForTheSilent(t *testing.T) {
	s := newGateScript(t).drive(1)
	s.in.Latched = true
	s.axes(hold())
	s.in.Latched = false
	s.axes(Unrestricted())
	if s.tick(20*ms).command(1, s.now); s.out.Reason != GateNeutral {
		t.Fatalf("dropped as %q, expected %q", s.out.Reason, GateNeutral)
	}
	for _, at := range []struct {
		after time.Duration
		want  GateReason
	}{{150 * ms, GateNeutral}, {100 * ms, GateIdle}} {
		if s.tick(at.after).axes(Unrestricted()); s.out.Reason != at.want {
			t.Errorf("%q, expected %q", s.out.Reason, at.want)
		}
	}
	if s.command(1, s.now); s.out.Velocity.Linear[0] != 1 {
		t.Errorf("after silence: %+v", s.out)
	}
}

// TestGateTakesSilenceForNeutral lets a planner stop sending instead: what comes later is meant.
func TestGateTakesSilenceForNeutral(t *testing.T) {
	s := newGateScript(t).drive(1)
	s.in.Latched = true
	s.axes(hold())
	s.in.Latched = false
	s.axes(Unrestricted())
	s.tick(250*ms).command(1, s.now)
	if s.out.Velocity.Linear[0] != 1 {
		t.Errorf("after %s of silence: %+v", 250*ms, s.out)
	}
}

// TestLatchedHoldConcernsEveryChannel: a channel that was not heard during the hold has to be neutral as well.
func TestLatchedHoldConcernsEveryChannel(t *testing.T) {
	s := newGateScript(t).drive(1)
	s.in.Latched = true
	s.axes(hold())
	s.in.Latched = false
	s.axes(Unrestricted())
	s.in.Command.Channel = 2
	s.tick(10*ms).command(1, s.now)
	if s.out.Reason != GateNeutral {
		t.Errorf("another channel: %s", s.out.Reason)
	}
}

func TestHeldByLatch(t *testing.T) {
	one := func(latched bool, constraint, motion Motion) *Decision {
		d := &Decision{N: 1, Axes: Axes{Motion: motion}}
		d.Active[0] = Active{Trigger: RestartUnclean, Constraint: Axes{Motion: constraint}}
		d.ActiveSet.Add(RestartUnclean)
		if latched {
			d.LatchedSet.Add(RestartUnclean)
		}
		return d
	}
	crowd := &Decision{N: MaxActive, Axes: Axes{Motion: MotionHold}}
	for t := range Trigger(MaxActive + 1) {
		crowd.ActiveSet.Add(t)
	}
	for i := range crowd.Active {
		crowd.Active[i] = Active{Trigger: Trigger(i), Constraint: Axes{Motion: MotionHold}}
	}
	unseen := *crowd
	unseen.LatchedSet.Add(MaxActive)
	for name, c := range map[string]struct {
		d    *Decision
		want bool
	}{
		"a latched hold":                        {one(true, MotionHold, MotionHold), true},
		"a latched stop":                        {one(true, MotionStop, MotionStop), true},
		"a hold that ends by itself":            {one(false, MotionHold, MotionHold), false},
		"a latch beside somebody else's hold":   {one(true, MotionFree, MotionHold), false},
		"a latch that slows down":               {one(true, MotionLimited, MotionLimited), false},
		"nothing":                               {one(false, MotionFree, MotionFree), false},
		"more than are listed, none latched":    {crowd, false},
		"more than are listed, one is latched":  {&unseen, true},
		"the zero decision, which holds anyway": {&Decision{}, false},
	} {
		if got := c.d.HeldByLatch(); got != c.want {
			t.Errorf("%s: %t, expected %t", name, got, c.want)
		}
	}
}
