package guard

import (
	"math"
	"strings"
	"testing"
	"time"

	"github.com/robowarden/robowarden/geofence"
	"github.com/robowarden/robowarden/interlock"
)

const zoneOverCorridor = `
  - zone_id: new-zone
    zone_type: BLOCKED
    floor: ground
    vertices: [[8, 10.5], [20, 10.5], [20, 13.5], [8, 13.5]]
    reason: wet floor

  # ---- upper floor ----`

func TestZoneLoadedOverTheRobotHoldsIt(t *testing.T) {
	r := newRig(t, demoParams(t), Start{}).ready()
	r.drive = func() (float64, float64) { return 0.3, 0 }
	r.run(2 * time.Second)
	next := demoParams(t, replaceIn(t, "\n  # ---- upper floor ----", zoneOverCorridor))
	if err := r.core.Load(next); err != nil {
		t.Fatal(err)
	}
	r.until("holds", 100*time.Millisecond, func() bool { return r.active(interlock.ZoneInside) && r.motion() == interlock.MotionHold })
	if !strings.Contains(r.state(), interlock.CauseLoadedOver.Text()) {
		t.Errorf("the cause does not say that the zone was loaded over the robot: %s", r.state())
	}
	r.until("stands", 3*time.Second, func() bool { return r.plant.v == 0 })
	r.run(3 * time.Second)
	if !strings.Contains(r.state(), interlock.CauseLoadedOver.Text()) {
		t.Errorf("later the cause is another: %s", r.state())
	}
	if err := r.core.Load(demoParams(t)); err != nil && r.core.pending == nil {
		t.Errorf("the way back: %v", err)
	}
}

func TestLooserPolicyWaitsForStandstill(t *testing.T) {
	edit := replaceIn(t, "vertices: [[3, 10], [36, 10], [36, 14], [3, 14]]\n    max_speed_mps: 0.8", "vertices: [[3, 10], [36, 10], [36, 14], [3, 14]]\n    max_speed_mps: 1.0")
	r := newRig(t, demoParams(t), Start{}).ready()
	r.plant.x = 5
	r.core.fence = geofence.New(r.params.Set) // The robot was carried: no jump.
	r.run(3 * time.Second)
	speed := 2.0
	r.drive = func() (float64, float64) { return speed, 0 }
	r.run(3 * time.Second)
	if err := r.core.Load(demoParams(t, edit)); err != nil {
		t.Fatal(err)
	}
	if err := r.core.Load(demoParams(t)); err == nil {
		t.Error("a second policy was taken while the first waits")
	}
	fastest := 0.0
	for range 300 {
		r.step()
		fastest = max(fastest, r.last.v)
	}
	if fastest > 0.8 || r.core.pending == nil {
		t.Errorf("%v m/s before standstill, pending %t", fastest, r.core.pending != nil)
	}
	speed = 0
	r.until("lets go of the old policy", 5*time.Second, func() bool { return r.core.pending == nil })
	speed = -2
	r.until("drives by the new one", 5*time.Second, func() bool { return math.Abs(r.last.v) > 0.8 })
}

func TestPolicyThatCannotBeLoaded(t *testing.T) {
	r := newRig(t, demoParams(t), Start{}).ready()
	for name, edit := range map[string]func(string) string{
		"other floors":   replaceIn(t, "  - {id: ground, name: Ground floor}\n  - {id: upper, name: Upper floor}", "  - {id: upper, name: Upper floor}\n  - {id: ground, name: Ground floor}"),
		"other channels": replaceIn(t, "stop_after: 2s", "stop_after: 3s"),
	} {
		before := string(r.core.AppendState(nil))
		if err := r.core.Load(demoParams(t, edit)); err == nil {
			t.Errorf("%s: loaded while running", name)
		}
		if string(r.core.AppendState(nil)) != before {
			t.Errorf("%s: a refused policy changed something", name)
		}
	}
}

// TestEgressGrant says what a grant does today: the geofence lets the robot creep out, and zone.inside, which holds and
// latches, does not. Until the interlock can suspend an overridable trigger by a grant, a grant moves nothing.
func TestEgressGrantAloneMovesNothing(t *testing.T) {
	r := newRig(t, demoParams(t), Start{}).ready()
	if err := r.core.Load(demoParams(t, replaceIn(t, "\n  # ---- upper floor ----", zoneOverCorridor))); err != nil {
		t.Fatal(err)
	}
	r.run(2 * time.Second)
	zone, ok := r.core.params.Set.ZoneIndex("new-zone")
	if !ok {
		t.Fatal("no zone")
	}
	r.plant.yaw = 0
	r.apply(Event{Kind: EventOrder, Order: Order{Kind: OrderGrant, Zone: zone, Expires: r.now + time.Minute}})
	if !r.core.OrderResult().Applied {
		t.Error("the grant was not taken")
	}
	r.drive = func() (float64, float64) { return 0.1, 0 }
	r.run(3 * time.Second)
	limit := r.core.fence.Limit(r.core.now, geofence.Velocity{VX: 0.1})
	t.Logf("geofence: %+v; %s", limit, r.state())
	if r.plant.v != 0 {
		t.Error("the robot moves: then say so in the grant's receipt, and test that it only creeps outwards")
	}
}
