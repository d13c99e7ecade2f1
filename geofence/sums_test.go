package geofence

import (
	"math"
	"testing"
	"time"
)

// The sums that the specification writes down, with numbers of which none is 1 and no two are the same: what is multiplied by
// one, or by the wrong one, does not come out right by chance.

// odd is a robot whose numbers tell a product from a quotient.
func odd() Robot {
	r := limbed()
	r.AccelMPS2, r.DecelMPS2, r.AngularDecelRadPS2 = 1.7, 0.8, 2.3
	r.SigmaK, r.MapErrorM = 3.1, 0.07
	return r
}

// aged is a rig whose pose is so old, with an arm that is lifted and at rest.
func aged(t *testing.T, robot Robot, age time.Duration, zones ...ZoneSpec) *rig {
	t.Helper()
	r := newRig(t, site(zones...), robot)
	r.in.Pose.VarX, r.in.Pose.VarY, r.in.Pose.VarYaw = 4e-4, 4e-4, 9e-6
	r.pose(0, -0.9, -0.1)
	r.at(-0.1, 0, 0)
	r.pass(age)
	r.pose(0, -0.9, -0.1)
	r.step()
	return r
}

// TestTheMarginAddsUp: k standard deviations of the place and of the contour's farthest point by the heading, the map's error,
// what acceleration can have added since the pose, and rounding.
func TestTheMarginAddsUp(t *testing.T) {
	far := math.Hypot(0.4, 0.3)
	for _, accel := range []float64{0.6, 1.7} {
		for _, age := range []time.Duration{0, 100 * time.Millisecond, 250 * time.Millisecond} {
			robot := odd()
			robot.AccelMPS2 = accel
			s := age.Seconds()
			want := 3.1*(0.02+0.003*far) + 0.07 + accel*s*s/2 + 0.001*roundingMM
			if got := aged(t, robot, age, wall(9000)).out.MarginM; math.Abs(got-want) > 1e-9 {
				t.Errorf("%v m/s², %v old: %v m, want %v", accel, age, got, want)
			}
		}
	}
}

// TestAPartsMarginAddsUp compares what a part needs with and without a cause: each adds what the specification says.
func TestAPartsMarginAddsUp(t *testing.T) {
	need := func(edit func(*Robot, *ZoneSpec), age time.Duration) float64 {
		t.Helper()
		robot, z := odd(), counter()
		edit(&robot, &z)
		r := aged(t, robot, age, z)
		if r.out.Parts.N == 0 || r.out.Parts.Near[0].NeedM == 0 {
			t.Fatalf("no part is near to the counter: %+v", r.out.Parts)
		}
		return r.out.Parts.Near[0].NeedM
	}
	base := need(func(*Robot, *ZoneSpec) {}, 0)
	const s = 0.2
	for _, c := range []struct {
		name string
		edit func(*Robot, *ZoneSpec)
		age  time.Duration
		more float64
	}{
		{"an older pose", func(*Robot, *ZoneSpec) {}, 200 * time.Millisecond, 1.7 * s * s / 2},
		{"a worse map", func(r *Robot, _ *ZoneSpec) { r.MapErrorM += 0.05 }, 0, 0.05},
		{"a zone's margin", func(_ *Robot, z *ZoneSpec) { z.MarginM = 0.3 }, 0, 0.3},
	} {
		if got := need(c.edit, c.age) - base; math.Abs(got-c.more) > 1e-9 {
			t.Errorf("%s: %v m more, want %v", c.name, got, c.more)
		}
	}
}

// TestTheContourIsShownInMetres: as it was written, in the base frame.
func TestTheContourIsShownInMetres(t *testing.T) {
	shown := compile(t, site(), wheels()).ContourM(0)
	for _, v := range wheels().Footprint {
		found := false
		for _, p := range shown {
			found = found || math.Hypot(p[0]-float64(v.X)/1000, p[1]-float64(v.Y)/1000) < 1e-9
		}
		if !found {
			t.Errorf("%v is not among %v", v, shown)
		}
	}
}

// TestWhoWasNeverSeenMayBeOnAnyFloor: before the first pose, what binds on any floor restricts.
func TestWhoWasNeverSeenMayBeOnAnyFloor(t *testing.T) {
	for _, floor := range []string{"f0", "f1"} {
		quiet := wall(0)
		quiet.Kind, quiet.Floor = NoManipulation, floor
		r := newRig(t, site(quiet), wheels())
		if v := r.step(); !v.Manipulators.On || v.Manipulators.Certain {
			t.Errorf("a zone on %s: %+v", floor, v.Manipulators)
		}
	}
}

// TestACommandHoldsForItsPeriod: from its sending, whenever that was.
func TestACommandHoldsForItsPeriod(t *testing.T) {
	for ago, want := range map[time.Duration]float64{0: 0.05, 20 * time.Millisecond: 0.03, 50 * time.Millisecond: 0, 90 * time.Millisecond: 0} {
		r := newRig(t, site(wall(50_000)), wheels())
		r.in.Velocity.VX = 1
		r.at(0, 0, 0)
		r.send(1000, int(ago.Milliseconds()), Velocity{VX: 1})
		r.Issued(Instant{Boot: r.now.Boot - ago}, Velocity{VX: 1})
		if got := r.flight(r.now.Boot, 0).holdS; math.Abs(got-want) > 1e-9 {
			t.Errorf("sent %v ago: it holds for %v s more, want %v", ago, got, want)
		}
	}
}

// TestWhatIsSavedIsTakenBack: a lease with a speed that is none opens nothing, and spoils no state.
func TestWhatIsSavedIsTakenBack(t *testing.T) {
	zone := wall(0)
	zone.Kind, zone.Loss = Release, LossStop
	for _, mps := range []float64{math.NaN(), math.Inf(1), math.Inf(-1), -1, 0} {
		r := newRig(t, site(zone), wheels())
		r.in.Leases[0] = Lease{Zone: 0, State: Granted, Until: r.now.Boot + time.Hour, MaxSpeedMPS: mps, Facts: FactTask}
		if v := r.at(1, 0, 0); !v.Hold {
			t.Errorf("a lease at %v m/s lets in", mps)
		}
		if got := r.mem.leases[0].MaxSpeedMPS; got != 0 {
			t.Errorf("a lease at %v m/s is kept as %v", mps, got)
		}
	}
}

// TestAVarianceThatSaysNothing: a deviation of more than a thousand kilometres is no bad pose but none that is known.
func TestAVarianceThatSaysNothing(t *testing.T) {
	for v, unknown := range map[float64]bool{1e12: false, 1.1e12: true, math.Inf(1): true, math.NaN(): true, 0: true, -1: true} {
		for axis := range 3 {
			r := newRig(t, site(wall(5000)), wheels())
			*[]*float64{&r.in.Pose.VarX, &r.in.Pose.VarY, &r.in.Pose.VarYaw}[axis] = v
			if got := r.at(0, 0, 0).Faults&FaultCovarianceUnknown != 0; got != unknown {
				t.Errorf("axis %d, variance %v: unknown %t", axis, v, got)
			}
		}
	}
}

// TestAMapEndsAlikeOnAllSides: a place is in range as far as the contour there still lies on the map.
func TestAMapEndsAlikeOnAllSides(t *testing.T) {
	end := (MaxCoordinateMM - 500 - 1) / 1000.0 // the contour's radius, and its rounding
	for _, to := range [][2]float64{{1, 0}, {-1, 0}, {0, 1}, {0, -1}} {
		for d, out := range map[float64]bool{-0.01: false, 0.01: true} {
			r := newRig(t, site(wall(0)), wheels())
			if got := r.at(to[0]*(end+d), to[1]*(end+d), 0).Faults&FaultRange != 0; got != out {
				t.Errorf("%v m from the end towards %v: out of range %t", -d, to, got)
			}
		}
	}
}
