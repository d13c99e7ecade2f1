package zones

import (
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/robowarden/robowarden/agent/config"
	"github.com/robowarden/robowarden/geofence"
)

func rect(x0, y0, x1, y1 float64) []config.Point {
	return []config.Point{{X: x0, Y: y0}, {X: x1, Y: y0}, {X: x1, Y: y1}, {X: x0, Y: y1}}
}

func blocked(id string, ring []config.Point) config.Zone {
	return config.Zone{ID: id, Type: config.ZoneBlocked, Floor: "f", Vertices: ring, Reason: "a test"}
}

func slow(id string, ring []config.Point, mps float64) config.Zone {
	return config.Zone{ID: id, Type: config.ZoneSpeedLimit, Floor: "f", Vertices: ring, MaxSpeedMPS: mps, Reason: "a test"}
}

func keep(id string, ring []config.Point) config.Zone {
	return config.Zone{ID: id, Type: config.ZoneKeepIn, Floor: "f", Vertices: ring, Reason: "a test"}
}

func oneWay(id, zoneType, limitation string, ring []config.Point, rad float64) config.Zone {
	return config.Zone{ID: id, Type: zoneType, Floor: "f", Vertices: ring, DirectionRad: &rad, Limitation: limitation, Reason: "a test"}
}

func with(z config.Zone, change func(*config.Zone)) config.Zone {
	change(&z)
	return z
}

func policyOf(zones ...config.Zone) *config.Policy {
	return &config.Policy{
		ID: "p", Floors: []config.Floor{{ID: "f"}}, Zones: zones, Timezone: config.Timezone{Name: "UTC", Location: time.UTC},
		Shifts: []config.Shift{
			{ID: "day", Days: 127, Start: 6 * 60, End: 20 * 60},
			{ID: "night", Days: 127, Start: 20 * 60, End: 6 * 60},
			{ID: "noon", Days: 127, Start: 12 * 60, End: 13 * 60},
			{ID: "sunday", Days: 1, Start: 0, End: 24 * 60},
		},
		Roles:  []string{"a", "b", "c"},
		Robots: []config.RobotRoles{{Serial: "r1", Roles: []string{"a"}}, {Serial: "r2", Roles: []string{"b"}}},
	}
}

// robot is a body of 0.4 m × 0.6 m.
func robot() *config.Profile {
	return &config.Profile{
		Body:   config.Body{Footprint: rect(-0.3, -0.2, 0.3, 0.2)},
		Motion: config.Motion{CreepMPS: 0.1}, Pose: config.PoseQuality{SigmaK: 3, MinStddevM: 0.02, MapErrorM: 0.05},
	}
}

func TestLint(t *testing.T) {
	hall := keep("hall", rect(0, 0, 20, 10))
	shift := func(ids ...string) func(*config.Zone) { return func(z *config.Zone) { z.Shifts = ids } }
	outside := func(ids ...string) func(*config.Zone) { return func(z *config.Zone) { z.OutsideShifts = ids } }
	except := func(ids ...string) func(*config.Zone) { return func(z *config.Zone) { z.ExceptRoles = ids } }
	only := func(ids ...string) func(*config.Zone) { return func(z *config.Zone) { z.Roles = ids } }
	holed := with(blocked("wall", rect(2, 2, 8, 8)), func(z *config.Zone) { z.Holes = [][]config.Point{rect(3, 3, 7, 7)} })
	for _, c := range []struct {
		name  string
		zones []config.Zone
		want  string // rules and zones, "" for none
	}{
		{"a plain hall", []config.Zone{hall, blocked("press", rect(15, 8, 19, 9)), slow("aisle", rect(0, 1, 20, 3), 0.5)}, ""},
		{"overlap in part", []config.Zone{hall, blocked("b", rect(2, 2, 6, 6)), slow("s", rect(4, 4, 9, 9), 0.5)}, ""},
		{"a limit in a blocked zone", []config.Zone{hall, blocked("b", rect(2, 2, 8, 8)), slow("s", rect(2, 3, 4, 5), 0.5)}, "within-blocked s"},
		{"a limit in the hole of one", []config.Zone{hall, holed, slow("s", rect(4, 4, 6, 6), 0.5)}, ""},
		{"a limit that fills the hole", []config.Zone{hall, holed, slow("s", rect(3, 3, 7, 7), 0.5)}, ""},
		{"a zone around the hole", []config.Zone{hall, holed, slow("s", rect(2, 2, 8, 8), 0.5)}, ""},
		{"a ring on the ring", []config.Zone{hall, holed, with(slow("s", rect(2, 2, 8, 8), 0.5), func(z *config.Zone) { z.Holes = [][]config.Point{rect(3, 3, 7, 7)} })}, "within-blocked s"},
		{"blocked by day only", []config.Zone{hall, with(blocked("b", rect(2, 2, 8, 8)), shift("day")), slow("s", rect(3, 3, 4, 5), 0.5)}, ""},
		{"noon is within the day", []config.Zone{hall, with(blocked("b", rect(2, 2, 8, 8)), shift("day")), with(slow("s", rect(3, 3, 4, 5), 0.5), shift("noon"))}, "within-blocked s"},
		{"outside the day is the night", []config.Zone{hall, with(blocked("b", rect(2, 2, 8, 8)), shift("night")), with(slow("s", rect(3, 3, 4, 5), 0.5), outside("day"))}, "within-blocked s"},
		{"an exemption without effect", []config.Zone{hall, blocked("b", rect(2, 2, 8, 8)), with(blocked("x", rect(3, 3, 5, 5)), except("a"))}, "within-blocked x"},
		{"another is exempt", []config.Zone{hall, with(blocked("b", rect(2, 2, 8, 8)), except("a")), slow("s", rect(3, 3, 5, 5), 0.5)}, ""},
		{"twice the same", []config.Zone{hall, blocked("b", rect(2, 2, 8, 8)), blocked("c", rect(2, 2, 8, 8))}, "within-blocked c"},
		{"kept in where it is blocked", []config.Zone{hall, keep("room", rect(3, 3, 5, 5)), blocked("b", rect(2, 2, 8, 8))}, "contradiction room"},
		{"two limits for one place", []config.Zone{hall, slow("s", rect(2, 2, 8, 8), 0.5), slow("q", rect(2, 2, 8, 8), 0.3)}, "contradiction s"},
		{"a higher limit in a lower one", []config.Zone{hall, slow("s", rect(2, 2, 8, 8), 0.3), slow("q", rect(3, 3, 4, 4), 0.5)}, "no-effect q"},
		{"a lower limit in a higher one", []config.Zone{hall, slow("s", rect(2, 2, 8, 8), 0.5), slow("q", rect(3, 3, 4, 4), 0.3)}, ""},
		{"two directions for one place", []config.Zone{hall, oneWay("d", "DIRECTED", "STRICT", rect(2, 2, 8, 8), 0), oneWay("e", "DIRECTED", "RESTRICTED", rect(2, 2, 8, 8), 3)}, "contradiction e"},
		{"one direction in another", []config.Zone{hall, oneWay("d", "BIDIRECTED", "RESTRICTED", rect(3, 3, 4, 4), 1.6), oneWay("e", "DIRECTED", "STRICT", rect(2, 2, 8, 8), 0)}, "contradiction d"},
		{"to and fro", []config.Zone{hall, oneWay("d", "BIDIRECTED", "RESTRICTED", rect(3, 3, 4, 4), 3.1), oneWay("e", "DIRECTED", "STRICT", rect(2, 2, 8, 8), 0)}, ""},
		{"about the same direction", []config.Zone{hall, oneWay("d", "DIRECTED", "STRICT", rect(3, 3, 4, 4), -3), oneWay("e", "DIRECTED", "STRICT", rect(2, 2, 8, 8), 3)}, ""},
		{"a soft direction", []config.Zone{hall, oneWay("d", "DIRECTED", "SOFT", rect(3, 3, 4, 4), 0), oneWay("e", "DIRECTED", "STRICT", rect(2, 2, 8, 8), 3)}, ""},
		{"outside the walls", []config.Zone{hall, blocked("b", rect(25, 2, 28, 8))}, "outside-keep-in b"},
		{"along the walls", []config.Zone{hall, blocked("b", rect(20, 2, 28, 8))}, "outside-keep-in b"},
		{"across the wall", []config.Zone{hall, blocked("b", rect(19, 2, 28, 8))}, ""},
		{"below creep", []config.Zone{hall, slow("s", rect(2, 2, 8, 8), 0.05)}, "below-creep s"},
		{"a closet", []config.Zone{keep("closet", rect(0, 0, 0.5, 10))}, "keep-in-swallowed f"},
		{"a margin over everything", []config.Zone{hall, with(blocked("b", rect(9, 4, 11, 6)), func(z *config.Zone) { z.MarginM = 10 })}, "keep-in-swallowed f"},
		{"a large margin that leaves a corner", []config.Zone{hall, with(blocked("b", rect(0, 0, 1, 1)), func(z *config.Zone) { z.MarginM = 10 })}, ""},
		{"tiny", []config.Zone{hall, blocked("t", rect(2, 2, 2.05, 2.05))}, "tiny t"},
		{"a strip of 4 mm", []config.Zone{hall, blocked("n", rect(2, 2, 8, 2.004))}, "needle n"},
		{"a sharp point", []config.Zone{hall, blocked("n", []config.Point{{X: 1, Y: 1}, {X: 15, Y: 1.2}, {X: 1, Y: 1.4}, {X: 1, Y: 1.2}})}, "needle n"},
		{"nobody has the role", []config.Zone{hall, with(blocked("b", rect(2, 2, 8, 8)), only("c"))}, "binds-nobody b"},
		{"everybody is exempt", []config.Zone{hall, with(blocked("b", rect(2, 2, 8, 8)), except("a", "b"))}, "binds-nobody b"},
		{"an empty floor", nil, "empty-floor f"},
	} {
		found := Lint(policyOf(c.zones...), robot(), "policy.yaml")
		var got []string
		for _, p := range found.List {
			got = append(got, p.Rule+" "+p.Path[strings.IndexByte(p.Path, ' ')+1:])
		}
		if strings.Join(got, "; ") != c.want {
			t.Errorf("%s: %q, expected %q", c.name, got, c.want)
		}
	}
}

func TestLintNeverActive(t *testing.T) {
	p := policyOf(keep("hall", rect(0, 0, 20, 10)), with(blocked("b", rect(2, 2, 8, 8)), func(z *config.Zone) { z.Shifts = []string{"sunday"} }))
	if l := Lint(p, nil, "p"); len(l.List) != 0 {
		t.Errorf("%v", l.List)
	}
	p.NotBefore = time.Date(2026, 11, 2, 0, 0, 0, 0, time.UTC) // a Monday
	p.NotAfter = p.NotBefore.Add(6 * 24 * time.Hour)
	if l := Lint(p, nil, "p"); len(l.List) != 1 || l.List[0].Rule != lintNeverActive {
		t.Errorf("%v", l.List)
	}
	p.NotAfter = p.NotAfter.Add(time.Minute)
	if l := Lint(p, nil, "p"); len(l.List) != 0 {
		t.Errorf("a Sunday of one minute: %v", l.List)
	}
}

// TestSpecialDaysOnTheStation: the station's tools judge by the same calendar as the robot, and look past a week for a date of it.
func TestSpecialDaysOnTheStation(t *testing.T) {
	p := policyOf()
	p.Timezone.Location = time.UTC
	const always = 1<<7 - 1
	p.Shifts = []config.Shift{{ID: "all", Days: always, End: minutesPerDay}, {ID: "feast", Days: 1 << geofence.Holiday, Start: 22 * 60, End: 2 * 60}}
	all, feast := &config.Zone{Shifts: []string{"all"}}, &config.Zone{Shifts: []string{"feast"}}
	at := time.Date(2026, 11, 2, 12, 0, 0, 0, time.UTC)
	if next, ok := NextChange(p, all, at); ok {
		t.Errorf("without a calendar a shift of every day changes at %v", next)
	}
	if everActive(p, feast, weekOf(p, feast)) {
		t.Error("a shift of holidays runs though there are none")
	}
	p.SpecialDays = []config.SpecialDay{{Date: "2026-12-25", CountsAs: "holiday", Name: "Christmas Day"}, {Date: "2026-12-24", CountsAs: "sat", Name: "Christmas Eve"}}
	if !everActive(p, feast, weekOf(p, feast)) {
		t.Error("a shift of holidays never runs")
	}
	for _, c := range []struct {
		z    *config.Zone
		from time.Time
		want string
	}{
		{all, at, "2026-12-25T00:00:00Z"},
		{feast, at, "2026-12-25T22:00:00Z"},
		{feast, time.Date(2026, 12, 25, 23, 0, 0, 0, time.UTC), "2026-12-26T02:00:00Z"},
		{feast, time.Date(2026, 12, 26, 2, 0, 0, 0, time.UTC), "never"},
	} {
		got := "never"
		if next, ok := NextChange(p, c.z, c.from); ok {
			got = next.Format(time.RFC3339)
		}
		if got != c.want {
			t.Errorf("from %v shift %v changes at %s, expected %s", c.from, c.z.Shifts, got, c.want)
		}
	}
}

// TestNextChangeIsTheNext walks minute by minute and compares.
func TestNextChangeIsTheNext(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := policyOf()
		loc, err := time.LoadLocation("Europe/Berlin")
		if err != nil {
			t.Skip("no time zones here")
		}
		p.Timezone.Location = loc
		z := &config.Zone{Shifts: []string{rapid.SampledFrom([]string{"day", "noon", "sunday"}).Draw(t, "shift")}}
		at := time.Unix(1_790_000_000+rapid.Int64Range(0, 366*24*3600).Draw(t, "second"), 0)
		next, ok := NextChange(p, z, at)
		if !ok || !next.After(at) || ActiveAt(p, z, next) == ActiveAt(p, z, at) {
			t.Fatalf("%v then %v", at, next)
		}
		for m := at; m.Before(next); m = m.Add(time.Minute) {
			if ActiveAt(p, z, m) != ActiveAt(p, z, at) {
				t.Fatalf("it changed at %v already, not at %v", m, next)
			}
		}
	})
}

// TestWithinAgreesWithSamples holds the subset test to random points.
func TestWithinAgreesWithSamples(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		draw := func(label string) config.Zone {
			v := func() float64 { return float64(rapid.IntRange(0, 12).Draw(t, label)) }
			x, y := v(), v()
			z := blocked(label, rect(x, y, x+1+v(), y+1+v()))
			if w, h := z.Vertices[2].X-x, z.Vertices[2].Y-y; w > 2 && h > 2 && rapid.Bool().Draw(t, "hole") {
				z.Holes = [][]config.Point{rect(x+1, y+1, x+w-1, y+h-1)}
			}
			return z
		}
		za, zb := draw("a"), draw("b")
		a, b := shapeOf(&za), shapeOf(&zb)
		subset, disjoint := true, true
		for i := range 26 {
			for k := range 26 {
				x, y := float64(i)+0.5, float64(k)+0.5 // centres of unit squares: the truth for shapes on whole metres
				in, on := a.signed(x, y) < 0, b.signed(x, y) < 0
				subset = subset && (!in || on)
				disjoint = disjoint && (!in || !on)
			}
		}
		if got := a.within(&b); got != subset {
			t.Fatalf("within is %v, samples say %v: %v %v in %v %v", got, subset, za.Vertices, za.Holes, zb.Vertices, zb.Holes)
		}
		if got := a.apart(&b); got != disjoint {
			t.Fatalf("apart is %v, samples say %v: %v %v and %v %v", got, disjoint, za.Vertices, za.Holes, zb.Vertices, zb.Holes)
		}
	})
}
