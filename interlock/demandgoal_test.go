package interlock

import (
	"testing"
	"time"
)

// TestDemandEndsGoals: goals that can be cancelled are, once, at the moment when the base may not go on, and at the start of a
// guard that is closed. Without Cancels nobody is told.
func TestDemandEndsGoals(t *testing.T) {
	c := demandConfig()
	c.Kind, c.Axis, c.Cancels = DemandGoal, AxisMotion, true
	for axes, want := range map[Axes]DemandReason{hold(): DemandHeld, stop(): DemandStopped, dock(): DemandNotDock} {
		s := newDemandScript(t, c)
		if s.send(nil) != DemandPassed {
			t.Fatal(s.out)
		}
		if s.axes(axes); !s.out.End || s.out.Ended != want || s.out.Again {
			t.Errorf("%s: %+v", want, s.out)
		}
		for range 100 {
			if s.tick(50 * ms); s.out.End {
				t.Fatalf("%s: told twice: %+v", want, s.out)
			}
		}
		if s.axes(Unrestricted()).axes(axes); !s.out.End || s.g.Ends() != 2 {
			t.Errorf("%s: the second time: %+v", want, s.out)
		}
	}
	var out DemandOutput
	fresh, err := NewDemandGate(c)
	if err != nil {
		t.Fatal(err)
	}
	if fresh.Step(time.Hour, &DemandInput{}, &out); !out.End {
		t.Errorf("what a guard before this one let pass goes on: %+v", out)
	}
	c.Cancels = false
	s := newDemandScript(t, c)
	s.send(nil)
	if s.axes(hold()); s.out.End {
		t.Errorf("ended although nobody can: %+v", s.out)
	}
}
