package geofence

import (
	"testing"
	"time"
)

// TestPlaceOfAZone: who asks about a zone that is not here, or that there is not, learns that nobody knows.
func TestPlaceOfAZone(t *testing.T) {
	upstairs := wall(0)
	upstairs.ID, upstairs.Floor = "upstairs", "f1"
	night := wall(0)
	night.ID, night.Roles = "not for this role", []string{"guest"}
	spec := site(wall(5000), upstairs, night, wall(-9000))
	spec.Zones[3].ID, spec.Roles = "around", []string{"porter", "guest"}
	r := newRig(t, spec, wheels())
	want := func(when string, places ...Place) {
		t.Helper()
		for i, p := range places {
			if got := r.Place(i); got != p {
				t.Errorf("%s: zone %d: %v, want %v", when, i, got, p)
			}
		}
		for _, i := range []int{-1, len(places), len(places) + 1, 1 << 40} {
			if got := r.Place(i); got != PlaceUnknown {
				t.Errorf("%s: zone %d, which there is not: %v", when, i, got)
			}
		}
	}
	none := []Place{PlaceUnknown, PlaceUnknown, PlaceUnknown, PlaceUnknown}
	want("before the first step", none...)
	r.at(0, 0, 0)
	want("outside one, inside another", Outside, PlaceUnknown, PlaceUnknown, Inside)
	r.pass(10 * time.Second)
	r.at(4.58, 0, 0)
	want("at the wall", Margin, PlaceUnknown, PlaceUnknown, Inside)
	r.pass(time.Minute)
	r.step()
	want("without a pose", none...)
	for range 20 {
		r.pass(200 * time.Millisecond)
		r.at(4.58, 0, 0)
	}
	want("with one again", Margin, PlaceUnknown, PlaceUnknown, Inside)
	r.overrun = true
	want("beyond the budget", none...)
}

// TestTheLongestStop: the age of a pose, the reaction, and the way down from the top speed, on the axis that takes longer.
func TestTheLongestStop(t *testing.T) {
	f := New(compile(t, site(wall(0)), wheels()))
	// 0.3 s, 0.3 s, and from 1.5 m/s at 1 m/s²; a robot that is measured to be somewhat faster than it can be counts as well.
	if got := f.stopTime(); got < 2100*time.Millisecond || got > 2700*time.Millisecond {
		t.Errorf("%v, want 2.1 s and little more", got)
	}
}

// TestALeaseCountsUntilItEnds: whoever drives into a zone on a lease that is about to end is braked by Limit; that he comes in
// while it lasts is no breach, and once it is over it is one. Whoever is in it then does what the zone says of a loss.
func TestALeaseCountsUntilItEnds(t *testing.T) {
	zone := wall(0)
	zone.Kind, zone.Loss = Release, LossEvacuate
	stop := New(compile(t, site(zone), wheels())).stopTime()
	for _, left := range []time.Duration{10 * time.Second, stop + 1, stop, 500 * time.Millisecond, 1, 0, -time.Second} {
		r := newRig(t, site(zone), wheels())
		r.in.Carried.Known, r.in.Velocity.VX = true, 1
		lease := Lease{Zone: 0, State: Granted, Until: r.now.Boot + left, MaxSpeedMPS: 1.5, Facts: FactTask}
		r.in.Leases[0] = lease
		v := r.at(-0.6, 0, 0)
		if v.Trip != (left <= 0) {
			t.Errorf("a lease for another %v: trip %v", left, v.Trip)
		}
		if most := r.limit(Velocity{VX: 1}).Ratio; left > stop != (most > 0.5) {
			t.Errorf("a lease for another %v: it may go on with %v of its speed", left, most)
		}
		r = newRig(t, site(zone), wheels())
		r.in.Carried.Known, r.in.Leases[0] = true, lease
		if v := r.at(2, 0, 0); v.Hold || v.Lost.On != (left <= 0) {
			t.Errorf("inside, with a lease for another %v: hold %v, lost %+v", left, v.Hold, v.Lost)
		}
	}
}

// TestTheLeastDepthOfWhoLeaves: a robot that has lost its lease and is pushed back in is held to how far out it was already.
func TestTheLeastDepthOfWhoLeaves(t *testing.T) {
	zone := wall(0)
	zone.Kind, zone.Loss = Release, LossEvacuate
	r := newRig(t, site(zone), wheels())
	r.in.Carried.Known = true
	r.in.Leases[0] = Lease{Zone: 0, State: Granted, Until: r.now.Boot - time.Second, MaxSpeedMPS: 1.5, Facts: FactTask}
	depth := func(x float64) float64 {
		r.at(x, 0, 0)
		r.pass(200 * time.Millisecond)
		return r.mem.leaveDepth
	}
	first, out, back := depth(2), depth(1.8), depth(2)
	if !(first > 0 && out < first-100) || back != out {
		t.Errorf("%.0f mm deep, then %.0f, and pushed back in %.0f; expected the last two to be the same, and less than the first", first, out, back)
	}
}
