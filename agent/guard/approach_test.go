package guard

import (
	"fmt"
	"math"
	"testing"
	"time"

	"github.com/robowarden/robowarden/interlock"
)

// front is how far the demonstration's footprint reaches ahead of its base.
const front = 0.45

// TestApproachStopsBeforeTheEdge drives straight at the pharmacy, whose southern edge is y = 14, at several speeds and
// with planners that speak often and seldom: between two commands the last one is followed.
func TestApproachStopsBeforeTheEdge(t *testing.T) {
	p := demoParams(t)
	for _, period := range []int{20, 50, 100, 200, 290} {
		for _, speed := range []float64{0.3, 0.6, 1.0, 3.0} {
			t.Run(fmt.Sprintf("every %d ms at %v", period, speed), func(t *testing.T) {
				r := newRig(t, p, Start{})
				r.plant.x, r.plant.y, r.plant.yaw = 5, 10.8, math.Pi/2
				r.ready()
				r.period = time.Duration(period) * time.Millisecond
				r.drive = func() (float64, float64) { return speed, 0 }
				tripped := false
				r.each = func(*Event, *Effects) { tripped = tripped || r.active(interlock.ZoneOverrun) }
				deepest := 0.0
				for range 2000 {
					r.step()
					deepest = max(deepest, r.plant.y+front)
				}
				gap := 14 - deepest
				t.Logf("gap %.3f m", gap)
				if gap <= 0 {
					t.Errorf("the contour went %.3f m into the zone; %s", -gap, r.state())
				}
				if gap > 0.6 {
					t.Errorf("stopped %.3f m before the edge: a nuisance", gap)
				}
				if tripped {
					t.Errorf("zone.overrun fired: a planner that is merely slow must be slowed, not tripped")
				}
			})
		}
	}
}

func TestAProofThatTheApproachCanFail(t *testing.T) {
	r := newRig(t, demoParams(t), Start{})
	r.plant.x, r.plant.y, r.plant.yaw = 5, 10.8, math.Pi/2
	r.ready()
	r.plant.ignore = true
	r.plant.want.v = 1
	for range 400 {
		r.plant.want.v, r.plant.queue = 1, nil
		r.step()
	}
	if r.plant.y+front < 14 {
		t.Error("a robot that obeys nobody stayed out: the scenario proves nothing")
	}
	if !r.active(interlock.ZoneOverrun) && !r.active(interlock.ZoneInside) {
		t.Errorf("nothing noticed it: %s", r.state())
	}
	if r.asserted == 0 {
		t.Error("no rung was asserted")
	}
}

// TestShrinkingRoomSlowsACommandThatIsInForce gives one command and lets the robot come near the edge on it.
func TestShrinkingRoomSlowsACommandThatIsInForce(t *testing.T) {
	r := newRig(t, demoParams(t), Start{})
	r.plant.x, r.plant.y, r.plant.yaw = 5, 11.6, math.Pi/2
	r.ready()
	r.period = 280 * time.Millisecond
	r.drive = func() (float64, float64) { return 0.8, 0 }
	between := 0
	r.each = func(ev *Event, fx *Effects) {
		if ev.Kind != EventCommand && fx.Send && fx.Command.Linear.X > 0 {
			between++
		}
	}
	r.run(4 * time.Second)
	if between == 0 {
		t.Error("no command was lowered between two commands of the planner")
	}
}
