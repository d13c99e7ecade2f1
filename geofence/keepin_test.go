package geofence

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func room(id string, ring []Vertex) ZoneSpec { return ZoneSpec{ID: id, Kind: KeepIn, Outer: ring} }

func TestKeepIn(t *testing.T) {
	hall := room("hall", rect(0, 0, 10_000, 5000))
	beside := room("beside", rect(10_000, 0, 20_000, 5000))
	over := room("over", rect(9000, 0, 20_000, 5000))
	door := room("door", rect(9500, 2000, 10_500, 4000))
	holed := ZoneSpec{ID: "holed", Kind: KeepIn, Outer: rect(0, 0, 10_000, 10_000), Holes: [][]Vertex{rect(4900, 4900, 5100, 5100)}}
	frameN, frameS := room("n", rect(0, 3000, 9000, 4000)), room("s", rect(0, 0, 9000, 1000))
	frameW, frameE := room("w", rect(0, 0, 1000, 4000)), room("e", rect(8000, 0, 9000, 4000))
	for _, tc := range []struct {
		name  string
		zones []ZoneSpec
		x, y  float64
		clear float64 // mm to the area's edge, <= 0 is outside the area
	}{
		{"in the middle of a room", []ZoneSpec{hall}, 5, 2.5, 2200},
		{"near its wall", []ZoneSpec{hall}, 9.5, 2.5, 100},
		{"touching its wall", []ZoneSpec{hall}, 9.6, 2.5, 0},
		{"half out", []ZoneSpec{hall}, 10, 2.5, 0},
		{"far out", []ZoneSpec{hall}, 14, 2.5, 0},
		{"rooms that share a wall do not join", []ZoneSpec{hall, beside}, 10, 2.5, 0},
		{"rooms that overlap join", []ZoneSpec{hall, over}, 9.5, 2.5, 2200},
		{"rooms that overlap by less than rounding do not join", []ZoneSpec{hall, room("sliver", rect(9999, 0, 20_000, 5000))}, 10, 2.5, 0},
		{"rooms that overlap by more do", []ZoneSpec{hall, room("strip", rect(9997, 0, 20_000, 5000))}, 10, 2.5, 2200},
		{"a door joins them", []ZoneSpec{hall, beside, door}, 10, 3, 700},
		{"beside the door's frame", []ZoneSpec{hall, beside, door}, 10, 2.4, 100},
		{"on the door's frame", []ZoneSpec{hall, beside, door}, 10, 2.2, 0},
		{"twice the same room", []ZoneSpec{hall, room("again", rect(0, 0, 10_000, 5000))}, 5, 2.5, 2200},
		{"over a hole", []ZoneSpec{holed}, 5.1, 5.1, 0},
		{"beside a hole", []ZoneSpec{holed}, 6, 5, 500},
		{"in the courtyard of four", []ZoneSpec{frameN, frameS, frameW, frameE}, 4, 2, 0},
		{"in a corner of four", []ZoneSpec{frameN, frameS, frameW, frameE}, 0.45, 0.5, 50},
	} {
		r := newRig(t, site(tc.zones...), wheels())
		v := r.at(tc.x, tc.y, 0)
		if len(r.cands) != 1 {
			t.Errorf("%s: %d candidates", tc.name, len(r.cands))
			continue
		}
		c := r.cands[0]
		if c.inside != (tc.clear <= 0) || tc.clear > 0 && !(math.Abs(c.clear-tc.clear) <= 3) {
			t.Errorf("%s: %.1f mm, outside the area %v, want %.1f", tc.name, c.clear, c.inside, tc.clear)
		}
		if v.Hold != (tc.clear <= 0) {
			t.Errorf("%s: hold %v", tc.name, v.Hold)
		}
	}
}

func TestTheCourtyardWithinTheContourCounts(t *testing.T) {
	// Four rooms leave a hole of 0.2 m that fits under the robot.
	zones := []ZoneSpec{
		room("n", rect(-3000, 100, 3000, 3000)), room("s", rect(-3000, -3000, 3000, -100)),
		room("w", rect(-3000, -3000, -100, 3000)), room("e", rect(100, -3000, 3000, 3000)),
	}
	r := newRig(t, site(zones...), wheels())
	if v := r.at(0, 0, 0); !v.Hold {
		t.Error("a hole of the area under the robot does not hold it")
	}
}

func TestWithoutKeepInTheFloorDecides(t *testing.T) {
	for _, access := range []Access{Allow, Deny} {
		spec := Spec{Floors: []FloorSpec{{ID: "f0", WithoutKeepIn: access}}}
		r := newRig(t, spec, wheels())
		v := r.at(0, 0, 0)
		l := r.limit(Velocity{VX: 1})
		if v.Hold != (access == Deny) || (l.Ratio == 0) != (access == Deny) {
			t.Errorf("%d: hold %v, ratio %v, %v", access, v.Hold, l.Ratio, l.Reason)
		}
	}
}

// ward is a hall for everybody and always, and a ward that joins it by day.
func ward(t *testing.T, hallShifts []string) Spec {
	hall, w := room("hall", rect(0, 0, 10_000, 5000)), room("ward", rect(9000, 0, 20_000, 5000))
	hall.Shifts, w.Shifts = hallShifts, []string{"day"}
	spec := site(hall, w)
	spec.Location = berlin(t)
	spec.Shifts = []ShiftSpec{
		{ID: "day", Windows: []WindowSpec{{allDays(), 6 * 60, 22 * 60}}},
		{ID: "night", Windows: []WindowSpec{{allDays(), 22 * 60, 6 * 60}}},
	}
	return spec
}

func TestKeepInByShift(t *testing.T) {
	noon, midnight := epoch(), epoch().Add(12*time.Hour)
	for _, tc := range []struct {
		name   string
		shifts []string // of the hall
		x      float64
		at     time.Time
		trust  ClockTrust
		hold   bool
	}{
		{"in the ward by day", nil, 15, noon, ClockTrusted, false},
		{"in the ward by night", nil, 15, midnight, ClockTrusted, true},
		{"in the hall by night", nil, 5, midnight, ClockTrusted, false},
		{"in the hall, time unknown", nil, 5, noon, ClockUntrusted, false},
		// The ward would make the area larger; what may or may not be does not.
		{"in the ward, time unknown", nil, 15, noon, ClockUntrusted, true},
		{"hall by night, ward by day: in the hall at noon", []string{"night"}, 5, noon, ClockTrusted, true},
		{"hall by night, ward by day: in the overlap, time unknown", []string{"night"}, 9.5, noon, ClockUntrusted, false},
		{"hall by night, ward by day: in the ward, time unknown", []string{"night"}, 15, noon, ClockUntrusted, true},
	} {
		r := newRig(t, ward(t, tc.shifts), wheels())
		r.now.Civil, r.now.Trust = tc.at, tc.trust
		if v := r.at(tc.x, 2.5, 0); v.Hold != tc.hold {
			t.Errorf("%s: hold %v, %v", tc.name, v.Hold, v.Reason)
		}
	}
}

func TestKeepInNamesTheZoneOfTheEdge(t *testing.T) {
	r := newRig(t, site(room("hall", rect(0, 0, 10_000, 5000)), room("over", rect(9000, 0, 20_000, 5000))), wheels())
	if v := r.at(18.5, 2.5, 0); v.N != 1 || r.Set().Zone(v.Near[0].Zone).ID != "over" {
		t.Errorf("near the far end: %+v", v.Near[0])
	}
	r.pass(time.Minute)
	if v := r.at(1, 2.5, 0); v.N != 1 || r.Set().Zone(v.Near[0].Zone).ID != "hall" {
		t.Errorf("near the hall's end: %+v", v.Near[0])
	}
}

// TestTheWidestMarginOfTheAreaCounts: two rooms that join keep the wider of their margins and warn rings all along their edge,
// whichever of the two has it and stands first; a room that does not bind has no say.
func TestTheWidestMarginOfTheAreaCounts(t *testing.T) {
	for _, first := range []bool{true, false} {
		for _, binds := range []bool{true, false} {
			hall, wide := room("hall", rect(0, 0, 10_000, 5000)), room("wide", rect(9000, 0, 20_000, 5000))
			hall.MarginM, hall.WarnM, wide.MarginM, wide.WarnM = 0.1, 0.2, 0.3, 0.5
			if wide.Roles = []string{"porter"}; !binds {
				wide.Roles = []string{"guest"}
			}
			spec := site(wide, hall)
			if !first {
				spec = site(hall, wide)
			}
			spec.Roles = []string{"porter", "guest"}
			margin, ring := 0.1, 0.2
			if binds {
				margin, ring = 0.3, 0.5
			}
			for _, c := range []struct {
				clear      float64 // beyond the pose's own margin, of the hall's far end
				near, warn bool
			}{{margin - 0.02, true, true}, {margin + 0.02, false, true}, {margin + ring - 0.02, false, true}, {margin + ring + 0.02, false, false}} {
				own := newRig(t, spec, wheels()).at(5, 2.5, 0).MarginM
				v := newRig(t, spec, wheels()).at(0.4+c.clear+own, 2.5, 0)
				if (v.Place == Margin) != c.near || v.Warn.On != c.warn || v.Hold {
					t.Errorf("wide first %t, binds %t, %.2f m before the edge: %v, warned %t; want in the margin %t, warned %t", first, binds, c.clear, v.Place, v.Warn.On, c.near, c.warn)
				}
			}
		}
	}
}

// TestUnionIsNeverTooLarge compares with points: what the area takes in must be
// in one of its zones, and what lies well within one must be in the area.
func TestUnionIsNeverTooLarge(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rng := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 10))
		var zones []ZoneSpec
		for i := range 2 + rng.IntN(4) {
			zones = append(zones, room(string(rune('a'+i)), star(rng, rng.Float64()*4000, rng.Float64()*4000, 3000, 4+rng.IntN(8))))
		}
		robot := wheels()
		robot.Footprint = rect(-150, -150, 150, 150)
		set, err := Compile(site(zones...), robot)
		if err != nil {
			t.Skip("a star crossed itself")
		}
		f := New(set)
		f.mem.track.have, f.mem.track.floor = true, 0
		f.bind()
		o := f.area()
		for range 40 {
			at := frame{rng.Float64() * 5000, rng.Float64() * 5000, 1, 0}
			f.probe.set(&set.bodies[0].body, at)
			_, out, _ := f.look(&o, &f.probe, 1e6)
			// The truth, by a grid over the contour.
			covered, deep := true, false
			for i := -150; i <= 150; i += 10 {
				for j := -150; j <= 150; j += 10 {
					x, y := int32(math.Round(at.x))+int32(i), int32(math.Round(at.y))+int32(j)
					in := false
					for k := range set.zones {
						in = in || locate(set.ringsOf(&set.zones[k]), x, y) == within
					}
					covered = covered && in
				}
			}
			for k := range set.zones {
				rings := set.ringsOf(&set.zones[k])
				if clear, touches := naive(&f.probe, rings); touches && clear == 0 {
					alone := true
					for i := range f.probe.n {
						alone = alone && locate(rings, f.probe.sides[i].ax, f.probe.sides[i].ay) == within
					}
					for i := range rings {
						for s := range f.probe.n {
							alone = alone && !touch(&rings[i], &f.probe.sides[s])
						}
					}
					deep = deep || alone && !f.probe.contains(rings[0].ax, rings[0].ay)
				}
			}
			if !out && !covered {
				t.Fatalf("at %+v the area takes in what no zone covers", at)
			}
			if out && deep {
				// Within one zone, but it may lie on the raw edge of a cut by less
				// than the trim: only then the area may refuse.
				d, _ := f.probe.distance(&f.keep.outline, true, 1e6, &f.work)
				if d > 5 {
					t.Fatalf("at %+v the area refuses what one zone covers, %.2f mm from its edge", at, d)
				}
			}
		}
	})
}

func TestKeepInAreaNeedsNoMemory(t *testing.T) {
	set := compile(t, ward(t, nil), wheels())
	f := New(set)
	binds := make([]bound, set.Zones())
	all := func(b bound) {
		for i := range binds {
			binds[i] = b
		}
	}
	if most := set.floors[0].pieces; cap(f.keep.edges) < most || cap(f.keep.zone) < most || most < 8 {
		t.Errorf("room for %d of %d pieces", cap(f.keep.edges), most)
	}
	n := testing.AllocsPerRun(20, func() {
		for _, b := range []bound{bindsSurely, bindsMaybe, bindsNot} {
			all(b)
			f.keep.build(set, &set.floors[0], binds)
		}
	})
	if n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestEachFloorHasItsOwnKeepInHold(t *testing.T) {
	low, high := room("low", rect(0, 0, 10_000, 5000)), room("high", rect(0, 0, 10_000, 5000))
	low.Floor, high.Floor = "f0", "f1"
	r := newRig(t, site(low, high), wheels())
	r.in.Pose.Floor = 1
	r.at(0, 2.5, 0)
	if r.levels[2].place != PlaceUnknown || r.levels[3].place != Inside {
		t.Errorf("levels %v", r.levels)
	}
}

func TestCutsOf(t *testing.T) {
	e := edge{ax: 0, ay: 0, bx: 1000, by: 0}
	for name, tc := range map[string]struct {
		ring []Vertex
		want []float64
	}{
		"apart":               {rect(0, 100, 1000, 200), []float64{0, 1}},
		"across the middle":   {rect(400, -100, 600, 100), []float64{0, 0.4, 0.6, 1}},
		"over the second end": {rect(400, -100, 1600, 100), []float64{0, 0.4, 1}},
		"along":               {rect(250, 0, 750, 100), []float64{0, 0.25, 0.25, 0.25, 0.75, 0.75, 0.75, 1}},
		"along and beyond":    {rect(-500, 0, 1500, 100), []float64{0, 0, 1, 1}},
	} {
		got := cutsOf(&e, ringEdges(nil, tc.ring), nil)
		if got[0] != 0 || got[len(got)-1] != 1 {
			t.Errorf("%s: %v, want 0 first and 1 last", name, got)
		}
		if diff := cmp.Diff(slices.Compact(tc.want), slices.Compact(got)); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}
