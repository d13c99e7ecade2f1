package guard

import (
	"math"
	"testing"
	"time"

	"github.com/robowarden/robowarden/geofence"
	"github.com/robowarden/robowarden/hal/msg"
	"github.com/robowarden/robowarden/interlock"
)

// Scenarios of docs/scenarios.md that need geofence and interlock together, and no bus.

// zoneAhead is a closed part of the corridor, east of where a rig begins.
const zoneAhead = `
  - zone_id: new-zone
    zone_type: BLOCKED
    floor: ground
    vertices: [[16, 10], [20, 10], [20, 14], [16, 14]]
    reason: wet floor

  # ---- upper floor ----`

// dockChannel is the docking commander's channel among the demonstration's.
const dockChannel = 2

// TestDockPathThroughAZoneStopsBeforeIt lets the dock's commander drive straight at a zone: asking for the dock opens no zone.
func TestDockPathThroughAZoneStopsBeforeIt(t *testing.T) {
	for name, closed := range map[string]bool{"a zone on the way": true, "off: no zone": false} {
		t.Run(name, func(t *testing.T) {
			p := demoParams(t)
			if closed {
				p = demoParams(t, replaceIn(t, "\n  # ---- upper floor ----", zoneAhead))
			}
			r := newRig(t, p, Start{}).ready()
			r.journal = JournalFailing
			r.until("docks", 5*time.Second, func() bool { return r.motion() == interlock.MotionDockOnly })
			// A channel lets go of the stick before it is heard again.
			for i := range 600 {
				v := 0.4
				if i < 20 {
					v = 0
				}
				r.command(dockChannel, v, 0)
				r.run(50 * time.Millisecond)
			}
			if inside := r.plant.x > 16; inside == closed {
				t.Errorf("the robot's middle is at x = %.2f m: %s", r.plant.x, r.state())
			}
			if closed && (r.active(interlock.ZoneInside) || math.Abs(r.plant.v) > 0.01 || r.plant.x < 13) {
				t.Errorf("expected it to wait before the zone: x = %.2f m, %.2f m/s, %s", r.plant.x, r.plant.v, r.state())
			}
		})
	}
}

// TestGrantThatEndsInsideHoldsTheRobotThere lets a permission to creep out of a zone run out on the way.
func TestGrantThatEndsInsideHoldsTheRobotThere(t *testing.T) {
	for name, c := range map[string]struct {
		lasts time.Duration
		out   bool
	}{"ends inside": {4 * time.Second, false}, "off: lasts": {time.Minute, true}} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, demoParams(t), Start{})
			r.plant.x = 8.6
			r.ready()
			if err := r.core.Load(demoParams(t, replaceIn(t, "\n  # ---- upper floor ----", zoneOverCorridor))); err != nil {
				t.Fatal(err)
			}
			r.run(2 * time.Second)
			zone, _ := r.core.params.Set.ZoneIndex("new-zone")
			r.apply(Event{Kind: EventOrder, Order: Order{Kind: OrderGrant, Zone: zone, Expires: r.now + c.lasts}})
			r.drive = func() (float64, float64) { return 0, 0 }
			r.run(2 * time.Second)
			r.drive = func() (float64, float64) { return -0.1, 0 }
			r.run(time.Second)
			if r.plant.v > -0.05 {
				t.Fatalf("does not creep out: %.2f m/s, %s", r.plant.v, r.state())
			}
			r.run(2 * time.Second)
			from := r.plant.x
			r.run(20 * time.Second)
			if moved := from-r.plant.x > 0.05; moved != c.out {
				t.Errorf("went on for %.2f m: %s", from-r.plant.x, r.state())
			}
			if !c.out && (r.motion() != interlock.MotionHold || !r.latched(interlock.ZoneInside)) {
				t.Errorf("expected a latched hold: %s", r.state())
			}
		})
	}
}

// TestTheSamePlaceOnAnotherFloor stands where one floor has a zone and the other none.
func TestTheSamePlaceOnAnotherFloor(t *testing.T) {
	for name, c := range map[string]struct {
		floor int
		held  bool
	}{"the zone's": {0, true}, "the other": {1, false}} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, demoParams(t), Start{})
			r.plant.x, r.floor = 12, c.floor
			r.ready()
			if err := r.core.Load(demoParams(t, replaceIn(t, "\n  # ---- upper floor ----", zoneOverCorridor))); err != nil {
				t.Fatal(err)
			}
			r.run(2 * time.Second)
			if r.active(interlock.ZoneInside) != c.held || r.open() == c.held {
				t.Errorf("held %t, expected %t: %s", !r.open(), c.held, r.state())
			}
		})
	}
}

// TestNoWayToTheDockWithALoad: what the robot carries, or may carry, stays where it is unless the profile lets it go to the dock.
func TestNoWayToTheDockWithALoad(t *testing.T) {
	const hooked, free = 0, 1
	for name, c := range map[string]struct {
		tray, cart int
		docks      geofence.LoadSet
		motion     interlock.Motion
	}{
		"nothing":                             {trayOff, free, 0, interlock.MotionDockOnly},
		"a tray":                              {trayOn, free, 0, interlock.MotionHold},
		"a tray that may dock":                {trayOn, free, 1, interlock.MotionDockOnly},
		"a cart, where the tray may dock":     {trayOff, hooked, 1, interlock.MotionHold},
		"both, where the tray may dock":       {trayOn, hooked, 1, interlock.MotionHold},
		"both, which may dock":                {trayOn, hooked, 3, interlock.MotionDockOnly},
		"nobody knows":                        {-1, free, 1, interlock.MotionHold},
		"nobody knows, and whatever may dock": {-1, free, 3, interlock.MotionDockOnly},
	} {
		t.Run(name, func(t *testing.T) {
			p := factParams(t, "source-bound")
			p.DockLoads = c.docks
			r := factRig(t, p, nil)
			carry := func(tray, cart int) {
				for range 25 {
					r.tell(map[int]int{srcTray: tray, srcCart: cart}, msg.SourceBound)
					r.run(200 * time.Millisecond)
				}
			}
			carry(trayOff, free)
			r.journal = JournalFailing
			carry(c.tray, c.cart)
			s := r.core.Status()
			if denied := s.DockDenied == "carrying"; r.motion() != c.motion || denied != (c.motion == interlock.MotionHold) {
				t.Errorf("motion %v, dock denied %q: %s", r.motion(), s.DockDenied, r.state())
			}
			// Set down, it may go.
			carry(trayOff, free)
			if r.motion() != interlock.MotionDockOnly {
				t.Errorf("with free hands: %s", r.state())
			}
		})
	}
}
