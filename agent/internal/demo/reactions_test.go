package demo

import (
	"math"
	"testing"
	"time"

	"github.com/robowarden/robowarden/hal/msg"
	"github.com/robowarden/robowarden/hal/sim"
)

const second = time.Second

// synthetic is a trace of one sample each 100 ms over ten seconds, made by a function of the second.
func synthetic(make func(at float64, s *sample)) *trace {
	t := newTrace(0)
	for i := 1; i <= 100; i++ {
		s := sample{at: time.Duration(i) * 100 * time.Millisecond, nearness: nearness{body: 5, outline: 5}}
		make(float64(i)/10, &s)
		t.samples = append(t.samples, s)
	}
	return t
}

func TestEveryReactionIsDeclaredWhole(t *testing.T) {
	names := map[string]bool{}
	for _, r := range Reactions() {
		if r.Name == "" || r.Trigger == "" || r.Observable == "" || r.measure == nil || r.Least > r.Bar || math.IsNaN(r.Bar) || names[r.Name] {
			t.Errorf("%+v: something is missing, the bars cross, or the name is used twice", r)
		}
		names[r.Name] = true
	}
}

func TestNothingIsOKWithoutItsTrigger(t *testing.T) {
	for _, row := range measure(newTrace(0)) {
		if row.OK {
			t.Errorf("%s: ok although nothing happened", row.Name)
		}
	}
}

func TestDrift(t *testing.T) {
	tr := synthetic(func(at float64, s *sample) { s.X = at })
	tr.marks["a"], tr.marks["b"] = 2*second, 5*second
	if got := drift(tr, "a", "b"); math.Abs(got-2.9) > 1e-9 {
		t.Errorf("drift %v, want 2.9", got)
	}
	if got := drift(tr, "a", "never"); !math.IsNaN(got) {
		t.Errorf("drift to a mark that never came: %v", got)
	}
	if got := drift(tr, "never", "b"); !math.IsNaN(got) {
		t.Errorf("drift from a mark that never came: %v", got)
	}
}

func TestFirstAndSettled(t *testing.T) {
	tr := synthetic(func(at float64, s *sample) { s.Walking = at < 3 || at > 4 && at < 6 })
	tr.marks["a"], tr.marks["b"], tr.marks["c"] = 1*second, 9*second, 5*second
	if got := first(tr, "a", "b", (*sample).still); math.Abs(got-2) > 1e-9 {
		t.Errorf("first rest after %v s, want 2", got)
	}
	if got := settled(tr, "a", "b", (*sample).still); math.Abs(got-5) > 1e-9 {
		t.Errorf("rest for good after %v s, want 5", got)
	}
	if got := settled(tr, "a", "c", (*sample).still); !math.IsNaN(got) {
		t.Errorf("walking at the end, and rest for good after %v s", got)
	}
}

func TestRestGap(t *testing.T) {
	stand := func(zone string, body, outline float64) *trace {
		tr := synthetic(func(at float64, s *sample) {
			s.Walking = at < 4
			s.nearness = nearness{zone: zone, body: body, outline: outline}
		})
		tr.marks["a"], tr.marks["b"] = 1*second, 9*second
		return tr
	}
	if got := restGap(stand("pharmacy", 0.4, 0.15), "a", "b", "pharmacy"); got != 0.15 {
		t.Errorf("gap %v, want the footprint's 0.15", got)
	}
	if got := restGap(stand("ward", 0.4, 0.15), "a", "b", "pharmacy"); !math.IsNaN(got) {
		t.Errorf("gap %v before another zone", got)
	}
	if got := restGap(stand("pharmacy", -0.1, -0.3), "a", "b", "pharmacy"); got != -0.1 {
		t.Errorf("gap %v with the body inside", got)
	}
	moving := synthetic(func(_ float64, s *sample) { s.Walking, s.zone, s.body, s.outline = true, "pharmacy", 0.4, 0.15 })
	moving.marks["a"], moving.marks["b"] = 1*second, 9*second
	if got := restGap(moving, "a", "b", "pharmacy"); !math.IsNaN(got) {
		t.Errorf("gap %v although it never stood", got)
	}
}

func TestCommandsAfterTheLastAnswer(t *testing.T) {
	tr := synthetic(func(at float64, s *sample) { s.Walking = at < 4.5 })
	tr.marks[markLinkBack] = 8 * second
	tr.answers = []time.Duration{1 * second, 3 * second, 9 * second}
	go1 := msg.Twist{Linear: msg.Vec3{X: 0.5}}
	tr.commands = []sent{{2 * second, go1}, {3500 * time.Millisecond, go1}, {4 * second, msg.Twist{}}, {9 * second, go1}}
	if got := lastCommandAfterAnswer(tr); got != 0.5 {
		t.Errorf("last command %v s after the last answer, want 0.5", got)
	}
	if got := restAfterAnswer(tr); math.Abs(got-1.5) > 1e-9 {
		t.Errorf("rest %v s after the last answer, want 1.5", got)
	}
	tr.answers = nil
	if a, b := lastCommandAfterAnswer(tr), restAfterAnswer(tr); !math.IsNaN(a) || !math.IsNaN(b) {
		t.Errorf("without any answer: %v and %v", a, b)
	}
}

func TestFastestAndLastPlanned(t *testing.T) {
	tr := newTrace(0)
	tr.marks["a"], tr.marks["b"] = 1*second, 5*second
	back := msg.Twist{Linear: msg.Vec3{X: -0.2}}
	turn := msg.Twist{Angular: msg.Vec3{Z: 0.7}}
	tr.commands = []sent{{500 * time.Millisecond, turn}, {2 * second, turn}, {3 * second, back}, {6 * second, back}}
	if got := fastest(tr, "a", "b"); got != 0.7 {
		t.Errorf("fastest %v, want 0.7", got)
	}
	if got := lastPlanned(tr, "a", "b"); got != 2 {
		t.Errorf("last planned %v, want 2", got)
	}
}

func TestSmallestClearance(t *testing.T) {
	tr := synthetic(func(at float64, s *sample) { s.body = math.Abs(at-5) - 0.25 })
	if got := smallestClearance(tr); math.Abs(got+0.25) > 1e-9 {
		t.Errorf("smallest clearance %v, want −0.25", got)
	}
	if got := smallestClearance(newTrace(0)); !math.IsInf(got, 1) {
		t.Errorf("of nothing: %v", got)
	}
}

func TestZonesByShift(t *testing.T) {
	cfg := demoConfig(t)
	zones := map[string]Zone{}
	for _, z := range ZonesOf(cfg.Policy, "demo-humanoid-01") {
		zones[z.ID] = z
	}
	berlin := cfg.Policy.Timezone.Location
	at := func(day, hour, minute int) time.Time {
		return time.Date(2026, time.March, day, hour, minute, 0, 0, berlin)
	}
	for name, c := range map[string]struct {
		zone string
		at   time.Time
		want bool
	}{
		"pharmacy at noon":                 {"pharmacy", at(10, 12, 0), true},
		"ward A in the last day minute":    {"ward-a-closed", at(10, 19, 59), false},
		"ward A when the shift ends":       {"ward-a-closed", at(10, 20, 0), true},
		"ward A in the last night minute":  {"ward-a-closed", at(11, 5, 59), true},
		"ward A when the shift begins":     {"ward-a-closed", at(11, 6, 0), false},
		"ward D before midnight":           {"ward-d-night", at(10, 23, 0), true},
		"ward D after midnight":            {"ward-d-night", at(11, 3, 0), true},
		"ward D by day":                    {"ward-d-night", at(11, 12, 0), false},
		"kitchen at lunch on a Tuesday":    {"kitchen-meals", at(10, 12, 0), true},
		"kitchen at lunch on a Sunday":     {"kitchen-meals", at(15, 12, 0), false},
		"ward A in summer time, 20:00":     {"ward-a-closed", time.Date(2026, time.July, 1, 18, 0, 0, 0, time.UTC), true},
		"ward A in summer time, 19:30":     {"ward-a-closed", time.Date(2026, time.July, 1, 17, 30, 0, 0, time.UTC), false},
		"theatre, for whom it is not open": {"theatre", at(10, 12, 0), true},
	} {
		z, ok := zones[c.zone]
		if !ok || z.InForce(c.at) != c.want {
			t.Errorf("%s: known %v, in force %v, want %v", name, ok, ok && z.InForce(c.at), c.want)
		}
	}
}

func TestNearLooksAtBlockedZonesOfThisFloorInForce(t *testing.T) {
	o := sim.DefaultOptions()
	o.Start = sim.Placement{Floor: "ground", X: 10, Y: 10}
	w, err := sim.New(o, sim.Handlers{})
	if err != nil {
		t.Fatal(err)
	}
	square := sim.Polygon{{X: 11, Y: 9}, {X: 12, Y: 9}, {X: 12, Y: 11}, {X: 11, Y: 11}}
	print := []sim.Point{{X: 0.5, Y: 0.3}, {X: -0.5, Y: 0.3}, {X: -0.5, Y: -0.3}, {X: 0.5, Y: -0.3}}
	zone := func(kind, floor string, in bool) []Zone {
		return []Zone{{ID: "z", Type: kind, Floor: floor, Outer: square, InForce: func(time.Time) bool { return in }}}
	}
	n := near(w, zone(TypeBlocked, "ground", true), print)
	if n.zone != "z" || math.Abs(n.outline-0.5) > 1e-9 || n.body < n.outline || n.body > 1 {
		t.Errorf("before the zone: %+v", n)
	}
	for name, zones := range map[string][]Zone{
		"another type": zone(TypeSpeedLimit, "ground", true), "another floor": zone(TypeBlocked, "upper", true),
		"not in force": zone(TypeBlocked, "ground", false), "none": nil,
	} {
		if n := near(w, zones, print); n.zone != "" || !math.IsInf(n.body, 1) {
			t.Errorf("%s: %+v", name, n)
		}
	}
}
