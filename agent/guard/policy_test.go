package guard

import (
	"fmt"
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

// TestTighterPolicyIsTakenWhileOthersWait: a robot drives on under three policies in a row, each of which would be looser
// than the first, and then a zone comes over it, which holds it at once. The first one's speed counts until it stands.
func TestTighterPolicyIsTakenWhileOthersWait(t *testing.T) {
	const corridor = "vertices: [[3, 10], [36, 10], [36, 14], [3, 14]]\n    max_speed_mps: "
	faster := func(mps string) func(string) string { return replaceIn(t, corridor+"0.8", corridor+mps) }
	r := newRig(t, demoParams(t), Start{}).ready()
	r.plant.x = 9
	r.core.fence = geofence.New(r.params.Set) // The robot was carried: no jump.
	r.run(3 * time.Second)
	r.drive = func() (float64, float64) { return 2, 0 }
	r.run(2 * time.Second)
	load := func(edits ...func(string) string) {
		t.Helper()
		if err := r.core.Load(demoParams(t, edits...)); err != nil {
			t.Fatal(err)
		}
		for range 30 {
			if r.step(); r.last.v > 0.8 {
				t.Fatalf("%v m/s with %d policies that wait", r.last.v, len(r.core.pending))
			}
		}
	}
	load(faster("1.0"))
	load(faster("1.2"))
	load(faster("1.0")) // the same again waits once
	if n := len(r.core.pending); n != 3 || r.last.v < 0.7 {
		t.Fatalf("%d policies wait, %v m/s: expected 3, and a robot that drives", n, r.last.v)
	}
	load(faster("1.0"), replaceIn(t, "\n  # ---- upper floor ----", zoneOverCorridor))
	r.until("holds", 100*time.Millisecond, func() bool { return r.active(interlock.ZoneInside) && r.motion() == interlock.MotionHold })
	r.until("lets go of all", 5*time.Second, func() bool { return r.core.pending == nil })
}

// TestTooManyPoliciesHoldTheRobot: what is let go of so that another can be taken counts as if it forbade everything, until
// the robot stands. Off: with as many as can wait it drives on.
func TestTooManyPoliciesHoldTheRobot(t *testing.T) {
	const corridor = "vertices: [[3, 10], [36, 10], [36, 14], [3, 14]]\n    max_speed_mps: "
	for _, n := range []int{mostPending, mostPending + 1} {
		r := newRig(t, demoParams(t), Start{}).ready()
		r.plant.x = 5
		r.core.fence = geofence.New(r.params.Set) // The robot was carried: no jump.
		r.run(3 * time.Second)
		r.drive = func() (float64, float64) { return 2, 0 }
		r.run(2 * time.Second)
		for i := range n {
			if err := r.core.Load(demoParams(t, replaceIn(t, corridor+"0.8", fmt.Sprintf("%s0.9%d", corridor, i)))); err != nil {
				t.Fatal(err)
			}
		}
		r.run(200 * time.Millisecond)
		a := &r.core.decision.Axes
		held := a.Motion == interlock.MotionHold && a.Manipulators == interlock.ManipulatorsDisabled && a.Perception == interlock.PerceptionPrivate
		if held != (n > mostPending) || !held && a.Motion != interlock.MotionLimited || len(r.core.pending) != mostPending {
			t.Errorf("%d policies: %+v, %d wait; %s", n, *a, len(r.core.pending), r.state())
		}
		if !held {
			continue
		}
		r.until("lets go of all", 5*time.Second, func() bool { return r.core.pending == nil && !r.core.crowded })
		r.until("drives by the newest", 10*time.Second, func() bool { return r.last.v > 0.85 })
	}
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

// TestEgressGrant lets a robot that a zone was loaded over creep out, outwards only, and only with a grant for that zone.
func TestEgressGrant(t *testing.T) {
	for name, c := range map[string]struct {
		granted bool
		moves   bool
	}{"granted": {true, true}, "not granted (off)": {false, false}} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, demoParams(t), Start{})
			r.plant.x = 8.3 // Near the new zone's left edge: that way is out.
			r.ready()
			if err := r.core.Load(demoParams(t, replaceIn(t, "\n  # ---- upper floor ----", zoneOverCorridor))); err != nil {
				t.Fatal(err)
			}
			r.run(2 * time.Second)
			zone, ok := r.core.params.Set.ZoneIndex("new-zone")
			if !ok {
				t.Fatal("no zone")
			}
			if c.granted {
				r.apply(Event{Kind: EventOrder, Order: Order{Kind: OrderGrant, Zone: zone, Expires: r.now + time.Minute}})
				if !r.core.OrderResult().Applied {
					t.Error("the grant was not taken")
				}
			}
			// A channel lets go of the stick before it is heard again.
			r.drive = func() (float64, float64) { return 0, 0 }
			r.run(2 * time.Second)
			// Deeper in never, out if granted.
			for _, v := range []float64{0.1, -0.1} {
				from := r.plant.x
				r.drive = func() (float64, float64) { return v, 0 }
				r.run(4 * time.Second)
				if moved, want := math.Abs(r.plant.x-from) > 0.05, c.moves && v < 0; moved != want {
					t.Errorf("told %v m/s: moved %v m, want it to move: %t; %s", v, r.plant.x-from, want, r.state())
				}
				if math.Abs(r.plant.v) > r.core.params.CreepMPS+0.01 && r.core.verdict.Place == geofence.Inside {
					t.Errorf("%v m/s inside the zone, at most %v is creeping", r.plant.v, r.core.params.CreepMPS)
				}
			}
			if !r.core.decision.LatchedSet.Has(interlock.ZoneInside) {
				t.Error("the grant took the latch away: only a reset may")
			}
		})
	}
}

// TestLooserTriggerRulesWaitForStandstill loads a policy that delays and weakens a trigger while the robot drives: until
// it stands, the rule before holds.
func TestLooserTriggerRulesWaitForStandstill(t *testing.T) {
	tight := replaceIn(t, "\ntriggers:\n", "\ntriggers:\n  - {code: odometry.missing, constraint: {motion: hold}}\n")
	for name, c := range map[string]struct {
		stand bool
		want  interlock.Motion
	}{"driving": {false, interlock.MotionHold}, "standing (off)": {true, interlock.MotionLimited}} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, demoParams(t, tight), Start{}).ready()
			if !c.stand {
				r.drive = func() (float64, float64) { return 0.3, 0 }
			}
			r.run(2 * time.Second)
			if err := r.core.Load(demoParams(t)); err != nil {
				t.Fatal(err)
			}
			r.run(200 * time.Millisecond)
			if r.core.decision.PolicyWaits == c.stand {
				t.Errorf("the policy waits: %t", r.core.decision.PolicyWaits)
			}
			r.off["odometry"] = true
			r.until("odometry is missed", 5*time.Second, func() bool { return r.active(interlock.OdometryMissing) })
			for i := range r.core.decision.N {
				if a := &r.core.decision.Active[i]; a.Trigger == interlock.OdometryMissing && a.Constraint.Motion != c.want {
					t.Errorf("motion %v by odometry.missing, expected %v", a.Constraint.Motion, c.want)
				}
			}
		})
	}
}

// TestInputsOverdueAreNamed: after the policy's time, missing inputs are a fault with a name of its own.
func TestInputsOverdueAreNamed(t *testing.T) {
	p := demoParams(t)
	r := newRig(t, p, Start{})
	r.off["imu"] = true
	r.run(p.InputTimeout - time.Second)
	if overdue, missing := r.core.Overdue(); overdue || len(missing) == 0 {
		t.Errorf("overdue %t, missing %v before the time", overdue, missing)
	}
	r.run(2 * time.Second)
	overdue, missing := r.core.Overdue()
	if !overdue || len(missing) != 1 || missing[0] != "imu" {
		t.Errorf("overdue %t, missing %v", overdue, missing)
	}
	if c := r.core.inputs.Conditions[interlock.Startup]; c.Cause != interlock.CauseInputsOverdue || r.open() {
		t.Errorf("startup is %+v, open %t", c, r.open())
	}
	r.off["imu"] = false
	r.until("opens once they come", 10*time.Second, r.open)
}
