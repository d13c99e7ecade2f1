package geofence

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"
)

// specErrors unwraps what Compile joined.
func specErrors(t tb, err error) []*SpecError {
	t.Helper()
	joined, ok := err.(interface{ Unwrap() []error })
	if !ok {
		t.Fatalf("error %v is not joined", err)
	}
	var list []*SpecError
	for _, e := range joined.Unwrap() {
		var s *SpecError
		if !errors.As(e, &s) {
			t.Fatalf("error %v is not a *SpecError", e)
		}
		if s.Index < -1 || s.Ring < -1 || s.Vertex < -1 || s.Element < -1 {
			t.Fatalf("error %+v: an index that does not apply is -1", *s)
		}
		list = append(list, s)
	}
	return list
}

func TestCompileRejectsShapes(t *testing.T) {
	const (
		lim       = MaxCoordinateMM
		somewhere = -2 // any vertex may be named
	)
	big := rect(0, 0, 1000, 1000)
	for _, tc := range []struct {
		name         string
		outer        []Vertex
		holes        [][]Vertex
		ring, vertex int
		want         string
	}{
		{"no vertices", nil, nil, 0, -1, "needs at least 3"},
		{"two vertices", []Vertex{{0, 0}, {1, 0}}, nil, 0, -1, "needs at least 3"},
		{"closed by hand", append(rect(0, 0, 9, 9), Vertex{0, 0}), nil, 0, 4, "drop it"},
		{"duplicate vertex", []Vertex{{0, 0}, {9, 0}, {9, 0}, {9, 9}}, nil, 0, 2, "repeats vertex 1"},
		{"figure eight through a vertex", []Vertex{{0, 0}, {5, 5}, {9, 9}, {9, 0}, {5, 5}, {0, 9}}, nil, 0, 4, "repeats vertex 1"},
		{"zero area", []Vertex{{0, 0}, {5, 0}, {9, 0}}, nil, 0, -1, "no area"},
		{"spike", []Vertex{{0, 0}, {9, 0}, {9, 9}, {20, 9}, {15, 9}, {0, 9}}, nil, 0, 3, "spike"},
		{"bow tie", []Vertex{{0, 0}, {9, 9}, {9, 0}, {0, 9}}, nil, 0, 2, "touch itself"},
		{"vertex on another side", []Vertex{{0, 0}, {10, 0}, {10, 10}, {5, 0}, {0, 10}}, nil, 0, 3, "touch itself"},
		{"beyond the limit", []Vertex{{0, 0}, {lim + 1, 0}, {9, 9}}, nil, 0, 1, "beyond"},
		{"beyond the limit to the left", []Vertex{{-lim - 1, 0}, {9, 0}, {9, 9}}, nil, 0, 0, "beyond"},
		{"beyond the limit above", []Vertex{{0, 0}, {9, 0}, {9, lim + 1}}, nil, 0, 2, "beyond"},
		{"beyond the limit below", []Vertex{{0, 0}, {9, -lim - 1}, {9, 9}}, nil, 0, 1, "beyond"},
		{"hole outside", big, [][]Vertex{rect(2000, 2000, 2100, 2100)}, 1, -1, "outside the outer ring"},
		{"hole around the outer ring", rect(10, 10, 20, 20), [][]Vertex{rect(0, 0, 30, 30)}, 1, -1, "outside the outer ring"},
		{"hole across the rim", big, [][]Vertex{rect(900, 900, 1100, 1100)}, 1, somewhere, "the outer ring"},
		{"hole touching the rim", big, [][]Vertex{rect(0, 100, 50, 150)}, 1, somewhere, "the outer ring"},
		{"holes touching", big, [][]Vertex{rect(100, 100, 200, 200), rect(200, 100, 300, 200)}, 2, somewhere, "hole 0"},
		{"hole in a hole", big, [][]Vertex{rect(100, 100, 400, 400), rect(200, 200, 300, 300)}, 2, -1, "inside hole 0"},
		{"three vertices, two of them distinct", []Vertex{{0, 0}, {9, 9}, {0, 0}}, nil, 0, 2, "repeats the first"},
		{"spike in a hole", big, [][]Vertex{rect(500, 500, 600, 600), {{100, 100}, {200, 100}, {200, 200}, {300, 200}, {250, 200}, {100, 200}}}, 2, 3, "spike"},
		{"bow tie for a hole", big, [][]Vertex{{{100, 100}, {200, 200}, {200, 100}, {100, 200}}}, 1, 2, "touch itself"},
		{"hole without area", big, [][]Vertex{{{100, 100}, {200, 200}, {300, 300}}}, 1, -1, "no area"},
		{"hole of two vertices", big, [][]Vertex{{{100, 100}, {200, 200}}}, 1, -1, "needs at least 3"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			good := ZoneSpec{ID: "good", Kind: Blocked, Outer: big}
			_, err := Compile(site(good, ZoneSpec{ID: "bad", Kind: Blocked, Outer: tc.outer, Holes: tc.holes}), wheels())
			if err == nil {
				t.Fatal("accepted")
			}
			list := specErrors(t, err)
			e := list[0]
			if len(list) != 1 && tc.want != "touch itself" && tc.vertex != somewhere {
				t.Errorf("one fault, %d errors: %v", len(list), err)
			}
			if e.Section != "zones" || e.Index != 1 || e.ID != "bad" {
				t.Errorf("names %s[%d] %q", e.Section, e.Index, e.ID)
			}
			if tc.ring == 0 && e.Field != "Outer" || tc.ring > 0 && e.Field != "Holes" {
				t.Errorf("names the field %s", e.Field)
			}
			if e.Ring != tc.ring || tc.vertex != somewhere && e.Vertex != tc.vertex || !strings.Contains(e.Problem, tc.want) {
				t.Errorf("ring %d vertex %d %q, want ring %d vertex %d %q", e.Ring, e.Vertex, e.Problem, tc.ring, tc.vertex, tc.want)
			}
		})
	}
}

func TestCompileRejectsFields(t *testing.T) {
	zone := func(change func(*ZoneSpec)) Spec {
		z := wall(0)
		change(&z)
		return site(z)
	}
	shift := func(w WindowSpec) Spec {
		s := site(wall(0))
		s.Shifts, s.Location = []ShiftSpec{{ID: "night", Windows: []WindowSpec{w}}}, time.UTC
		return s
	}
	days := []time.Weekday{time.Monday}
	for _, tc := range []struct {
		name, section, field, want string
		spec                       Spec
	}{
		{"no floors", "floors", "", "empty", Spec{}},
		{"floor without id", "floors", "ID", "empty", Spec{Floors: []FloorSpec{{WithoutKeepIn: Allow}}}},
		{"floor without access", "floors", "WithoutKeepIn", "Allow or Deny", Spec{Floors: []FloorSpec{{ID: "a"}}}},
		{"floor twice", "floors", "ID", "taken by floors[0]", Spec{Floors: []FloorSpec{{ID: "a", WithoutKeepIn: Deny}, {ID: "a", WithoutKeepIn: Deny}}}},
		{"too many floors", "floors", "", "at most", Spec{Floors: make([]FloorSpec, MaxFloors+1)}},
		{"zone without id", "zones", "ID", "empty", zone(func(z *ZoneSpec) { z.ID = "" })},
		{"zone twice", "zones", "ID", "taken by zones[0]", site(wall(0), wall(5))},
		{"zone of no kind", "zones", "Kind", "expected Blocked", zone(func(z *ZoneSpec) { z.Kind = 0 })},
		{"zone of a kind to come", "zones", "Kind", "expected Blocked", zone(func(z *ZoneSpec) { z.Kind = 99 })},
		{"unknown floor", "zones", "Floor", "not among", zone(func(z *ZoneSpec) { z.Floor = "cellar" })},
		{"unknown role", "zones", "Roles", "not defined", zone(func(z *ZoneSpec) { z.Roles = []string{"ghost"} })},
		{"unknown shift", "zones", "Shifts", "not defined", zone(func(z *ZoneSpec) { z.Shifts = []string{"never"} })},
		{"speed of a blocked zone", "zones", "MaxSpeedMPS", "none for", zone(func(z *ZoneSpec) { z.MaxSpeedMPS = 1 })},
		{"speed zone of zero", "zones", "MaxSpeedMPS", "expected", zone(func(z *ZoneSpec) { z.Kind = SpeedLimit })},
		{"speed zone of NaN", "zones", "MaxSpeedMPS", "expected", zone(func(z *ZoneSpec) { z.Kind, z.MaxSpeedMPS = SpeedLimit, math.NaN() })},
		{"negative speed", "zones", "MaxSpeedMPS", "expected", zone(func(z *ZoneSpec) { z.Kind, z.MaxSpeedMPS = SpeedLimit, -1 })},
		{"negative margin", "zones", "MarginM", "expected", zone(func(z *ZoneSpec) { z.MarginM = -0.1 })},
		{"infinite margin", "zones", "MarginM", "expected", zone(func(z *ZoneSpec) { z.MarginM = math.Inf(1) })},
		{"lease terms of a blocked zone", "zones", "Loss", "none for others", zone(func(z *ZoneSpec) { z.Loss = LossStop })},
		{"a release zone without", "zones", "Loss", "expected STOP", zone(func(z *ZoneSpec) { z.Kind = Release })},
		{"a release zone with others", "zones", "Loss", "expected STOP", zone(func(z *ZoneSpec) { z.Kind, z.Loss = Release, lossEnd })},
		{"facts of a blocked zone", "zones", "Facts", "none for others", zone(func(z *ZoneSpec) { z.Facts = FactSet(1) })},
		{"a door without facts", "zones", "Facts", "one or more", zone(func(z *ZoneSpec) { z.Kind, z.Loss, z.MaxDwell = Door, LossStop, time.Minute })},
		{"a door with other facts", "zones", "Facts", "one or more", zone(func(z *ZoneSpec) { z.Kind, z.Loss, z.MaxDwell, z.Facts = Door, LossStop, time.Minute, factEnd })},
		{"a dwell limit without", "zones", "MaxDwell", "", zone(func(z *ZoneSpec) { z.Kind = DwellLimit })},
		{"dwell of a blocked zone", "zones", "MaxDwell", "", zone(func(z *ZoneSpec) { z.MaxDwell = time.Minute })},
		{"within of a blocked zone", "zones", "Within", "", zone(func(z *ZoneSpec) { z.Within = time.Second })},
		{"shift without windows", "shifts", "Windows", "0 windows", Spec{Shifts: []ShiftSpec{{ID: "a"}}, Location: time.UTC}},
		{"window without days", "shifts", "Windows", "no weekdays", shift(WindowSpec{nil, 0, 60})},
		{"window of a ninth day", "shifts", "Windows", "weekday 8", shift(WindowSpec{[]time.Weekday{8}, 0, 60})},
		{"empty window", "shifts", "Windows", "not equal", shift(WindowSpec{days, 60, 60})},
		{"window from 24:00", "shifts", "Windows", "start in", shift(WindowSpec{days, 1440, 60})},
		{"window to 0:00 as 0", "shifts", "Windows", "end in", shift(WindowSpec{days, 60, 0})},
		{"window past 24:00", "shifts", "Windows", "end in", shift(WindowSpec{days, 60, 1441})},
		{"shifts without location", "location", "Location", "IANA", Spec{Shifts: []ShiftSpec{{ID: "a"}}}},
		{"role without name", "roles", "", "empty", Spec{Roles: []string{""}}},
		{"role twice", "roles", "", "taken", Spec{Roles: []string{"a", "a"}}},
		{"too many roles", "roles", "", "at most", Spec{Roles: make([]string, MaxRoles+1)}},
		{"valid backwards", "validity", "NotAfter", "later than", Spec{NotBefore: epoch(), NotAfter: epoch()}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, err := Compile(tc.spec, wheels())
			if err == nil {
				t.Fatal("accepted")
			}
			for _, e := range specErrors(t, err) {
				if e.Section == tc.section && e.Field == tc.field && strings.Contains(e.Problem, tc.want) {
					if whole := tc.section == "validity" || tc.section == "location"; whole && (e.Index != -1 || e.Element != -1) {
						t.Errorf("element %d, %d of what is no list", e.Index, e.Element)
					}
					if list := slices.Contains([]string{"Roles", "Shifts", "Windows", ""}, tc.field); !list && e.Element != -1 {
						t.Errorf("element %d of %s, which is no list", e.Element, tc.field)
					}
					return
				}
			}
			t.Fatalf("no error in %s of %s with %q: %v", tc.section, tc.field, tc.want, err)
		})
	}
}

func TestCompileRejectsEveryRobotNumber(t *testing.T) {
	good := wheels()
	n := len(robotNumbers(&good))
	// Only these may be 0: no error of the map, and no covariance to assume.
	mayBeZero := []string{"MapErrorM", "AssumedStdDevM", "AssumedYawStdDevRad"}
	for i := range n {
		for _, v := range []float64{0, -1, math.NaN(), math.Inf(1), 1e9} {
			r := wheels()
			field := robotNumbers(&r)[i]
			if *field.value = v; v == 0 && slices.Contains(mayBeZero, field.name) {
				continue
			}
			_, err := Compile(site(wall(0)), r)
			if err == nil || !strings.Contains(err.Error(), field.name) {
				t.Errorf("%s = %v: %v", field.name, v, err)
			}
		}
	}
	for i := range robotDurations(&good) {
		for _, v := range []time.Duration{0, -time.Second, 1000 * time.Hour} {
			r := wheels()
			field := robotDurations(&r)[i]
			*field.value = v
			if _, err := Compile(site(wall(0)), r); err == nil || !strings.Contains(err.Error(), field.name) {
				t.Errorf("%s = %v: %v", field.name, v, err)
			}
		}
	}
}

func TestAFootprintThatCrossesItselfIsTheRobots(t *testing.T) {
	r := wheels()
	r.Footprint = []Vertex{{400, 300}, {-400, -300}, {-400, 300}, {400, -300}}
	_, err := Compile(site(wall(0)), r)
	if err == nil {
		t.Fatal("accepted")
	}
	for _, e := range specErrors(t, err) {
		if e.Section != "robot" || e.Index != -1 || e.Field != "Footprint" {
			t.Errorf("%+v", e)
		}
	}
}

func TestInterleave(t *testing.T) {
	for v, want := range map[uint32]uint64{0: 0, 1: 1, 2: 4, 3: 5, 0xff: 0x5555, 0x8001: 0x40000001, 0xffffffff: 0x5555555555555555} {
		if got := interleave(v); got != want {
			t.Errorf("%#x: %#x, want %#x", v, got, want)
		}
	}
}

func TestCompileRejectsRobots(t *testing.T) {
	for _, tc := range []struct {
		name, field string
		change      func(*Robot)
	}{
		{"no footprint", "Footprint", func(r *Robot) { r.Footprint = nil }},
		{"crossing footprint", "Footprint", func(r *Robot) { r.Footprint = []Vertex{{0, 0}, {9, 9}, {9, 0}, {0, 9}} }},
		{"giant footprint", "Footprint", func(r *Robot) { r.Footprint = rect(0, 0, 60_000, 10) }},
		{"footprint of 33", "Footprint", func(r *Robot) { r.Footprint = make([]Vertex, 33) }},
		{"no recovery", "RecoverPoses", func(r *Robot) { r.RecoverPoses = 0 }},
		{"slow after hold", "SlowStdDevM", func(r *Robot) { r.SlowStdDevM = 0.5 }},
		{"half an assumption", "AssumedStdDevM", func(r *Robot) { r.AssumedStdDevM = 0.1 }},
		{"creep above top", "CreepMPS", func(r *Robot) { r.MaxSpeedMPS = 0.05 }},
		{"period above reaction", "CommandPeriod", func(r *Robot) { r.CommandPeriod = r.Reaction }},
	} {
		r := wheels()
		tc.change(&r)
		_, err := Compile(site(wall(0)), r)
		if err == nil {
			t.Errorf("%s: accepted", tc.name)
			continue
		}
		if e := specErrors(t, err)[0]; e.Section != "robot" || e.Field != tc.field {
			t.Errorf("%s: %v", tc.name, e)
		}
	}
}

func TestCompileReportsEverything(t *testing.T) {
	spec := site(
		ZoneSpec{ID: "a", Kind: Blocked, Outer: []Vertex{{0, 0}, {9, 9}, {9, 0}, {0, 9}}},
		ZoneSpec{ID: "a", Kind: SpeedLimit, Outer: rect(0, 0, 9, 9)},
		ZoneSpec{ID: "b", Kind: Blocked, Outer: rect(0, 0, 9, 9), Roles: []string{"x", "y"}},
	)
	r := wheels()
	r.SigmaK = 0
	_, err := Compile(spec, r)
	var got []string
	for _, e := range specErrors(t, err) {
		got = append(got, fmt.Sprintf("%s[%d].%s/%d", e.Section, e.Index, e.Field, e.Element))
	}
	want := "robot[-1].SigmaK/-1 zones[0].Outer/-1 zones[1].ID/-1 zones[1].MaxSpeedMPS/-1 zones[2].Roles/0 zones[2].Roles/1"
	if strings.Join(got, " ") != want {
		t.Errorf("got  %v\nwant %s", got, want)
	}
	for _, part := range []string{`zones[0] "a" Outer, outer ring, vertex 2: starts an edge`, `zones[2] "b" Roles[1]: names "y"`} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("%q is not in the message:\n%v", part, err)
		}
	}
}

func TestCompileBoundsVertices(t *testing.T) {
	ring := func(n int) []Vertex {
		var v []Vertex
		for i := range n / 2 {
			v = append(v, Vertex{int32(i), 0})
		}
		for i := n/2 - 1; i >= 0; i-- {
			v = append(v, Vertex{int32(i), 10})
		}
		return v
	}
	if _, err := Compile(site(ZoneSpec{ID: "a", Kind: Blocked, Outer: ring(MaxZoneVertices)}), wheels()); err != nil {
		t.Errorf("at the cap: %v", err)
	}
	if _, err := Compile(site(ZoneSpec{ID: "a", Kind: Blocked, Outer: ring(MaxZoneVertices + 2)}), wheels()); err == nil {
		t.Error("over the cap: accepted")
	}
	var many []ZoneSpec
	for i := range 5 {
		many = append(many, ZoneSpec{ID: fmt.Sprint(i), Kind: KeepIn, Outer: ring(MaxZoneVertices)})
	}
	if _, err := Compile(site(many...), wheels()); err == nil || !strings.Contains(err.Error(), "keep-in zones with") {
		t.Errorf("too large a keep-in area: %v", err)
	}
	// Each zone keeps to its own bound, all together do not. Their shapes are refused as well, which is quicker than to look at them.
	beyond := make([]Vertex, MaxZoneVertices)
	for i := range beyond {
		beyond[i] = Vertex{MaxCoordinateMM + 1, 0}
	}
	many = nil
	for i := range MaxVertices/MaxZoneVertices + 3 {
		many = append(many, ZoneSpec{ID: fmt.Sprint(i), Kind: Blocked, Outer: beyond})
	}
	_, err := Compile(site(many...), wheels())
	var refused []int
	for _, e := range specErrors(t, err) {
		if strings.Contains(e.Problem, "so far in all zones") {
			refused = append(refused, e.Index)
		}
	}
	if want := []int{MaxVertices / MaxZoneVertices, MaxVertices/MaxZoneVertices + 1, MaxVertices/MaxZoneVertices + 2}; !slices.Equal(refused, want) {
		t.Errorf("beyond %d vertices in all: zones %v are refused, want %v", MaxVertices, refused, want)
	}
	if _, err := Compile(site(make([]ZoneSpec, MaxZones+1)...), wheels()); err == nil || !strings.Contains(err.Error(), "at most 10000") {
		t.Error("too many zones: accepted")
	}
}

func TestCompileKeepsNothingOfItsArguments(t *testing.T) {
	spec, robot := site(wall(5000)), wheels()
	set := compile(t, spec, robot)
	want := set.sum()
	spec.Zones[0].Outer[0].X, robot.Footprint[0].X = 1, 1
	if set.sum() != want {
		t.Error("a change of the Spec changed the Set")
	}
}

func TestDigestTellsSetsApart(t *testing.T) {
	base := compile(t, site(wall(5000)), wheels()).Digest()
	if again := compile(t, site(wall(5000)), wheels()).Digest(); again != base {
		t.Error("equal sets have different digests")
	}
	variants := map[string]*Set{}
	full := func() Spec {
		z := wall(5000)
		z.Kind, z.MaxSpeedMPS, z.Roles, z.Shifts = SpeedLimit, 0.5, []string{"porter"}, []string{"day"}
		z.Holes = [][]Vertex{rect(6000, 0, 7000, 1000)}
		s := site(z)
		s.Roles, s.Location = []string{"porter", "cleaner"}, time.UTC
		s.Shifts = []ShiftSpec{{"day", []WindowSpec{{allDays(), 360, 720}}, false}, {"night", []WindowSpec{{allDays(), 720, 360}}, false}}
		s.NotBefore, s.NotAfter = epoch(), epoch().Add(time.Hour)
		return s
	}
	for name, change := range map[string]func(s *Spec){
		"nothing":         func(*Spec) {},
		"zone id":         func(s *Spec) { s.Zones[0].ID = "other" },
		"zone floor":      func(s *Spec) { s.Zones[0].Floor = "f1" },
		"zone kind":       func(s *Spec) { s.Zones[0].Kind, s.Zones[0].MaxSpeedMPS = Blocked, 0 },
		"zone speed":      func(s *Spec) { s.Zones[0].MaxSpeedMPS = 0.6 },
		"zone margin":     func(s *Spec) { s.Zones[0].MarginM = 0.01 },
		"zone x":          func(s *Spec) { s.Zones[0].Outer[0].X-- },
		"zone y":          func(s *Spec) { s.Zones[0].Outer[0].Y-- },
		"zone hole":       func(s *Spec) { s.Zones[0].Holes = nil },
		"zone roles":      func(s *Spec) { s.Zones[0].Roles = []string{"cleaner"} },
		"zone shifts":     func(s *Spec) { s.Zones[0].Shifts = []string{"night"} },
		"a zone more":     func(s *Spec) { z := wall(9000); z.ID, z.Floor = "more", "f0"; s.Zones = append(s.Zones, z) },
		"floor id":        func(s *Spec) { s.Floors[1].ID = "attic" },
		"without keep-in": func(s *Spec) { s.Floors[1].WithoutKeepIn = Deny },
		"role name":       func(s *Spec) { s.Roles[1] = "guest" },
		"window day":      func(s *Spec) { s.Shifts[0].Windows[0].Days = allDays()[1:] },
		"window start":    func(s *Spec) { s.Shifts[0].Windows[0].StartMin++ },
		"window end":      func(s *Spec) { s.Shifts[0].Windows[0].EndMin++ },
		"a window more":   func(s *Spec) { s.Shifts[0].Windows = append(s.Shifts[0].Windows, WindowSpec{allDays(), 1, 2}) },
		"outside":         func(s *Spec) { s.Shifts[0].Outside = true },
		"a special day":   func(s *Spec) { s.SpecialDays = []SpecialDay{{2026, 12, 25, Holiday}} },
		"another one":     func(s *Spec) { s.SpecialDays = []SpecialDay{{2026, 12, 26, Holiday}} },
		"as a Sunday":     func(s *Spec) { s.SpecialDays = []SpecialDay{{2026, 12, 25, time.Sunday}} },
		"location":        func(s *Spec) { s.Location = berlin(t) },
		"not before":      func(s *Spec) { s.NotBefore = s.NotBefore.Add(time.Second) },
		"not after":       func(s *Spec) { s.NotAfter = s.NotAfter.Add(time.Second) },
	} {
		s := full()
		change(&s)
		variants[name] = compile(t, s, wheels())
	}
	robot := wheels()
	for i, n := range robotNumbers(&robot) {
		other := wheels()
		other.AssumedStdDevM, other.AssumedYawStdDevRad = 0.1, 0.1
		*robotNumbers(&other)[i].value *= 0.99
		variants["robot "+n.name] = compile(t, site(wall(5000)), other)
	}
	for i, d := range robotDurations(&robot) {
		other := wheels()
		*robotDurations(&other)[i].value += time.Microsecond
		variants["robot "+d.name] = compile(t, site(wall(5000)), other)
	}
	robot.RecoverPoses++
	variants["robot RecoverPoses"] = compile(t, site(wall(5000)), robot)
	robot = wheels()
	robot.Footprint[0].X++
	variants["robot Footprint"] = compile(t, site(wall(5000)), robot)
	seen := map[uint64]string{base: "the base"}
	for name, set := range variants {
		if other := seen[set.Digest()]; other != "" {
			t.Errorf("%s and %s have the same digest", name, other)
		}
		seen[set.Digest()] = name
	}
}

func TestSetIsAskedByName(t *testing.T) {
	spec := site(wall(0))
	spec.Roles = []string{"porter", "cleaner"}
	spec.Zones[0].Name, spec.Zones[0].Reason = "The wall", "there is nothing behind it"
	set := compile(t, spec, wheels())
	if i, ok := set.ZoneIndex("wall"); !ok || i != 0 || set.Zone(i).Reason != spec.Zones[0].Reason || set.Zone(i).Kind != Blocked {
		t.Errorf("zone %d %v %+v", i, ok, set.Zone(i))
	}
	if i, ok := set.FloorIndex("f1"); !ok || i != 1 || set.Floor(1) != "f1" {
		t.Errorf("floor %d %v", i, ok)
	}
	if i, ok := set.FloorIndex("f9"); ok || i != -1 {
		t.Errorf("unknown floor %d %v", i, ok)
	}
	if i, ok := set.RoleIndex("cleaner"); !ok || i != 1 {
		t.Errorf("role %d %v", i, ok)
	}
	if set.Zones() != 1 || set.Floors() != 2 || set.Zone(7) != (ZoneInfo{}) || set.Floor(-1) != "" {
		t.Error("sizes or out of range")
	}
}
