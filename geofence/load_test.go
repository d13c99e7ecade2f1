package geofence

import (
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// porter carries a tray in front, a high rack, and a cart that brakes badly.
func porter() Robot {
	r := wheels()
	r.HeightM = 1.4
	r.Loads = []LoadSpec{
		{Name: "tray", Outline: rect(300, -250, 900, 250)},
		{Name: "rack", HeightM: 2.1},
		{Name: "cart", Outline: rect(-1400, -350, -300, 350), DecelMPS2: 0.4, AngularDecelRadPS2: 0.8},
	}
	return r
}

// TestLoadsAreJudged: a load in front stops the robot earlier by as much as it sticks out, a high one below a beam, a heavy
// one by the way that it needs; what nobody knows is all of them. A robot without loads, the off run, does none of it.
func TestLoadsAreJudged(t *testing.T) {
	beam := ZoneSpec{ID: "beam", Kind: Blocked, Outer: rect(5000, -9000, 6000, 9000), Height: &Height{FromM: 1.8, ToM: 3}}
	allowed := func(zone ZoneSpec, robot Robot, in Carried, x float64) float64 {
		r := newRig(t, site(zone), robot)
		r.in.Carried = in
		r.at(x, 0, 0)
		return r.limit(Velocity{VX: 1.2}).AllowedMPS
	}
	bare, all := Carried{Known: true}, LoadSet(7)
	tray, rack, cart := Carried{true, 1}, Carried{true, 2}, Carried{true, 4}
	for _, unknown := range []Carried{{}, {Loads: 1}, {true, all + 1}} {
		for _, zone := range []ZoneSpec{wall(5000), beam} {
			if got, want := allowed(zone, porter(), unknown, 3), allowed(zone, porter(), Carried{true, all}, 3); got != want {
				t.Errorf("%s, %+v: %v m/s, with all loads %v", zone.ID, unknown, got, want)
			}
		}
	}
	// The tray's front is 0.5 m before the contour's.
	if got, want := allowed(wall(5000), porter(), tray, 3), allowed(wall(5000), porter(), bare, 3.5); math.Abs(got-want) > 2e-3 { // the heading's error moves the farther corner by more
		t.Errorf("with the tray at 3 m: %v m/s, without at 3.5 m: %v", got, want)
	}
	if got := allowed(beam, porter(), bare, 4); got != 1.2 {
		t.Errorf("below the beam without a load: %v m/s", got)
	}
	if got := allowed(beam, porter(), rack, 4); !(got < 1) {
		t.Errorf("below the beam with the rack: %v m/s", got)
	}
	slow := wheels()
	slow.DecelMPS2, slow.AngularDecelRadPS2, slow.HeightM = 0.4, 0.8, 1.4
	if got, want := allowed(wall(5000), porter(), cart, 3), allowed(wall(5000), slow, bare, 3); math.Abs(got-want) > 2e-3 {
		t.Errorf("with the cart: %v m/s, a robot that brakes like that: %v", got, want)
	}
	plain := wheels()
	for _, in := range []Carried{{}, bare, {true, all}} {
		if got, want := allowed(wall(5000), plain, in, 3), allowed(wall(5000), plain, bare, 3); got != want {
			t.Errorf("off: a robot without loads, %+v: %v m/s, want %v", in, got, want)
		}
	}
}

// TestALoadIsTakenUpAndSetDown: a robot that takes up a load beside a zone is in it at once, and sets it down again.
func TestALoadIsTakenUpAndSetDown(t *testing.T) {
	r := newRig(t, site(wall(1000)), porter())
	r.in.Carried = Carried{Known: true}
	if v := r.at(0.3, 0, 0); v.Place != Outside || v.Loads != 0 {
		t.Fatalf("without a load: %+v", v)
	}
	r.in.Carried.Loads = 1
	r.pass(20 * time.Millisecond)
	if v := r.at(0.3, 0, 0); v.Place != Inside || !v.Hold || v.Loads != 1 {
		t.Fatalf("with the tray: %+v", v)
	}
	state := r.AppendState(nil)
	back := New(r.set)
	if err := back.RestoreState(state); err != nil || back.mem.loads != 1 || back.body != &r.set.bodies[1] {
		t.Errorf("restored with loads %v: %v", back.mem.loads, err)
	}
	r.in.Carried.Loads = 0
	for range 300 {
		r.pass(20 * time.Millisecond)
		r.at(0.3, 0, 0)
	}
	if r.out.Place != Outside {
		t.Errorf("set down: %+v", r.out)
	}
}

func TestBadLoads(t *testing.T) {
	for name, tc := range map[string]struct {
		change func(*Robot)
		want   string
	}{
		"no name":            {func(r *Robot) { r.Loads[0].Name = "" }, "loads[0] Name: is empty"},
		"the same name":      {func(r *Robot) { r.Loads[1].Name = "tray" }, `loads[1] "tray" Name: is taken by loads[0]`},
		"a bow tie":          {func(r *Robot) { r.Loads[0].Outline = []Vertex{{0, 0}, {9, 9}, {9, 0}, {0, 9}} }, `loads[0] "tray" Outline, outer ring, vertex 2: `},
		"too many corners":   {func(r *Robot) { r.Loads[0].Outline = make([]Vertex, MaxFootprint+1) }, `loads[0] "tray" Outline: has 33 vertices`},
		"too far away":       {func(r *Robot) { r.Loads[0].Outline = rect(0, 0, footprintLimit+1, 9) }, "beyond"},
		"lower than without": {func(r *Robot) { r.Loads[1].HeightM = 1.3 }, `loads[1] "rack" HeightM: is 1.3 m`},
		"endless":            {func(r *Robot) { r.Loads[1].HeightM = math.Inf(1) }, `HeightM: is +Inf m`},
		"eleven metres":      {func(r *Robot) { r.Loads[1].HeightM = 11 }, `HeightM: is 11 m`},
		"brakes better":      {func(r *Robot) { r.Loads[2].DecelMPS2 = 1.1 }, `loads[2] "cart" DecelMPS2: is 1.1, expected [0.01, 1]`},
		"brakes backwards":   {func(r *Robot) { r.Loads[2].AngularDecelRadPS2 = -1 }, `AngularDecelRadPS2: is -1`},
		"brakes like NaN":    {func(r *Robot) { r.Loads[2].DecelMPS2 = math.NaN() }, `DecelMPS2: is NaN`},
		"too many":           {func(r *Robot) { r.Loads = make([]LoadSpec, MaxLoads+1) }, "loads: has 7 entries"},
		"a round hull": {func(r *Robot) {
			var ring []Vertex
			for i := range MaxFootprint {
				s, c := math.Sincos(float64(i) / MaxFootprint * 2 * math.Pi)
				ring = append(ring, Vertex{int32(1000 * c), int32(1000 * s)})
			}
			r.Footprint = ring // and half of each makes a hull of two more
			r.Loads[0].Outline = nil
			for _, v := range ring {
				r.Loads[0].Outline = append(r.Loads[0].Outline, Vertex{v.X + 3000, v.Y})
			}
		}, "hull of more than 32 corners"},
	} {
		r := porter()
		tc.change(&r)
		if _, err := Compile(site(wall(0)), r); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: %v, want %q", name, err, tc.want)
		}
	}
}

// TestHull holds the hull to what a hull is: convex, with corners among the points, and round all of them.
func TestHull(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rng := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 3))
		points := rect(-10, -10, 10, 10) // not all on one line
		for range rng.IntN(40) {
			points = append(points, Vertex{int32(rng.IntN(60) - 30), int32(rng.IntN(60) - 30)})
		}
		given := map[Vertex]bool{}
		for _, p := range points {
			given[p] = true
		}
		ring := hull(points)
		for i := range ring {
			a, b, c := ring[i], ring[(i+1)%len(ring)], ring[(i+2)%len(ring)]
			if !given[a] || side(a.X, a.Y, b.X, b.Y, c.X, c.Y) <= 0 {
				t.Fatalf("%v: corner %v, turn at %v", ring, a, b)
			}
			for p := range given {
				if side(a.X, a.Y, b.X, b.Y, p.X, p.Y) < 0 {
					t.Fatalf("%v leaves out %v", ring, p)
				}
			}
		}
	})
}

func TestLoadNames(t *testing.T) {
	set := compile(t, site(wall(0)), porter())
	if i, ok := set.LoadIndex("cart"); i != 2 || !ok {
		t.Errorf("cart is %d, %t", i, ok)
	}
	if _, ok := set.LoadIndex("bed"); ok {
		t.Error("a load that is none")
	}
	if got := strings.Join(set.LoadNames(5), "+"); got != "tray+cart" {
		t.Error(got)
	}
	for loads, corners := range map[LoadSet]int{0: 4, 1: 6, 2: 4, 200: 8} {
		if got := set.ContourM(loads); len(got) != corners {
			t.Errorf("loads %d: %v", loads, got)
		}
	}
	if a, b := set.Digest(), compile(t, site(wall(0)), wheels()).Digest(); a == b {
		t.Error("loads are not in the digest")
	}
}

// TestFactsCompile: names are checked, and at most one of both forms is given.
func TestFactsCompile(t *testing.T) {
	spec := site(wall(0))
	spec.Tasks, spec.Operators = []string{"delivery", ""}, []string{"ward", "ward"}
	z := &spec.Zones[0]
	z.Tasks, z.ExceptTasks, z.ExceptOperators = []string{"deliver"}, []string{"delivery"}, []string{"ward", "ward"}
	_, err := Compile(spec, wheels())
	for _, want := range []string{
		"tasks[1]: is empty", `operators[1] "ward": is taken`, `Tasks[0]: names "deliver", which is not defined`, "ExceptTasks: is given together with Tasks",
		`ExceptOperators[1]: names "ward" twice`,
	} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
	spec = site(wall(0))
	for i := range MaxNames + 1 {
		spec.Tasks = append(spec.Tasks, strings.Repeat("t", i+1))
	}
	if _, err := Compile(spec, wheels()); err == nil || !strings.Contains(err.Error(), "tasks: has 64 entries, expected at most 63") {
		t.Error(err)
	}
	spec.Tasks = spec.Tasks[:MaxNames]
	set := compile(t, spec, wheels())
	if i, ok := set.TaskIndex("ttt"); i != 2 || !ok {
		t.Errorf("task %d, %t", i, ok)
	}
	if _, ok := set.OperatorIndex("ttt"); ok {
		t.Error("a task is no operator")
	}
}
