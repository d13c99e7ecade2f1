package explain

import (
	"bytes"
	"flag"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/robowarden/robowarden/agent/config"
	"github.com/robowarden/robowarden/agent/zones"
	"github.com/robowarden/robowarden/geofence"
)

var update = flag.Bool("update", false, "write the expected outputs anew")

func demo(t *testing.T) *config.Config {
	t.Helper()
	dir := filepath.Join("..", "..", "configs", "demo")
	cfg, err := config.Load(nil, filepath.Join(dir, "policy.yaml"), filepath.Join(dir, "profile.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	return cfg
}

func question(cfg *config.Config, floor string, x, y float64, at string) *Question {
	when, err := time.ParseInLocation("2006-01-02T15:04", at, cfg.Policy.Timezone.Location)
	if err != nil {
		panic(err)
	}
	return &Question{
		Policy: cfg.Policy, Profile: cfg.Profile, X: x, Y: y, Floor: floor, At: when, Trust: geofence.ClockTrusted,
		Roles: []string{"delivery"}, RolesKnown: true,
	}
}

func find(t *testing.T, a *Answer, id string) *Zone {
	t.Helper()
	for i := range a.Zones {
		if a.Zones[i].ID == id {
			return &a.Zones[i]
		}
	}
	t.Fatalf("zone %s is not in the answer", id)
	return nil
}

func TestAsk(t *testing.T) {
	cfg := demo(t)
	ahead := &geofence.Velocity{VX: 0.8}
	for _, c := range []struct {
		name           string
		q              *Question
		change         func(*Question)
		decision, rule string
		zone           string
		states         map[string]string
	}{
		{
			"free on the open floor", question(cfg, "ground", 30, 5, "2026-11-02T10:00"), nil, Free, "none", "",
			map[string]string{"ground-walls": InReach, "pharmacy": OutOfReach, "theatre": Elsewhere, "kitchen-meals": Idle},
		},
		{
			"inside the pharmacy", question(cfg, "ground", 4, 18, "2026-11-02T10:00"), nil, Denied, "inside", "pharmacy",
			map[string]string{"pharmacy": Decides, "ward-a-closed": Idle},
		},
		{
			"the ward closes at eight", question(cfg, "ground", 14, 18, "2026-11-02T20:00"), nil, Denied, "inside", "ward-a-closed",
			map[string]string{"ward-a-closed": Decides},
		},
		{
			"the ward is open a minute before", question(cfg, "ground", 14, 18, "2026-11-02T19:59"), nil, Free, "none", "",
			map[string]string{"ward-a-closed": Idle},
		},
		{
			"the clock is not trusted", question(cfg, "ground", 14, 18, "2026-11-02T12:00"),
			func(q *Question) { q.Trust = geofence.ClockUntrusted }, Denied, "inside", "ward-a-closed", nil,
		},
		{
			"sterile deliveries are exempt", question(cfg, "upper", 30, 19, "2026-11-02T12:00"),
			func(q *Question) { q.Roles = []string{"theatre-delivery"} }, Free, "none", "",
			map[string]string{"theatre": Exempt},
		},
		{
			"roles are not known", question(cfg, "upper", 30, 19, "2026-11-02T12:00"),
			func(q *Question) { q.RolesKnown, q.Roles = false, nil }, Denied, "inside", "theatre", nil,
		},
		{
			"a limit in the corridor", question(cfg, "ground", 15, 12, "2026-11-02T12:00"), nil, Limited, "speed-zone", "ground-corridor", nil,
		},
		{
			"too fast to stop", question(cfg, "ground", 10, 12.5, "2026-11-02T22:00"),
			func(q *Question) { q.Yaw, q.Speed = math.Pi/2, ahead }, Denied, "measured-motion", "ward-a-closed", nil,
		},
		{
			"through the wall", question(cfg, "ground", 39.8, 5, "2026-11-02T12:00"), nil, Denied, "inside", "ground-walls",
			map[string]string{"ground-walls": Decides},
		},
		{
			"in the margin", question(cfg, "ground", 39.5, 5, "2026-11-02T12:00"),
			func(q *Question) { q.Speed = &geofence.Velocity{} }, Limited, "margin", "ground-walls",
			map[string]string{"ground-walls": Decides},
		},
		{
			"from the margin into the wall", question(cfg, "ground", 39.5, 5, "2026-11-02T12:00"), nil, Denied, "margin", "ground-walls",
			map[string]string{"ground-walls": Decides},
		},
		{
			"a pose that is nowhere", question(cfg, "ground", math.NaN(), 5, "2026-11-02T12:00"), nil, Denied, "pose-fault", "",
			map[string]string{"ground-walls": OutOfReach},
		},
	} {
		if c.change != nil {
			c.change(c.q)
		}
		a, err := Ask(c.q)
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		if a.Decision != c.decision || a.Rule != c.rule || a.Zone != c.zone {
			t.Errorf("%s: %s by %s, zone %q; expected %s by %s, zone %q", c.name, a.Decision, a.Rule, a.Zone, c.decision, c.rule, c.zone)
		}
		for id, want := range c.states {
			if z := find(t, a, id); z.State != want {
				t.Errorf("%s: %s is %s (%s), expected %s", c.name, id, z.State, z.Why, want)
			}
		}
		if a.Decision == Denied && a.AllowedMPS != 0 {
			t.Errorf("%s: denied, and %v m/s allowed", c.name, a.AllowedMPS)
		}
	}
}

func TestNextChangeIsTold(t *testing.T) {
	a, err := Ask(question(demo(t), "ground", 14, 18, "2026-11-02T12:00"))
	if err != nil {
		t.Fatal(err)
	}
	if z := find(t, a, "ward-a-closed"); z.NextChange != "2026-11-02T20:00:00+01:00" || !strings.Contains(z.Why, "outside shift day") {
		t.Errorf("%+v", z)
	}
	// Past the last Sunday of March the clock is an hour ahead.
	a, err = Ask(question(demo(t), "ground", 14, 18, "2027-03-28T01:30"))
	if err != nil {
		t.Fatal(err)
	}
	if z := find(t, a, "ward-a-closed"); z.NextChange != "2027-03-28T06:00:00+02:00" {
		t.Errorf("%+v", z)
	}
}

func TestRefused(t *testing.T) {
	cfg := demo(t)
	for _, change := range []func(*Question){
		func(q *Question) { q.Floor = "cellar" }, func(q *Question) { q.Roles = []string{"king"} },
	} {
		q := question(cfg, "ground", 5, 5, "2026-11-02T12:00")
		change(q)
		if _, err := Ask(q); err == nil {
			t.Errorf("%+v was answered", q)
		}
	}
}

// TestSilenceAgreesWithTheCore holds what is said about roles and shifts to the core: a robot in the middle of a BLOCKED
// zone is denied if and only if the zone is said to bind it.
func TestSilenceAgreesWithTheCore(t *testing.T) {
	cfg := demo(t)
	base := cfg.Policy
	rapid.Check(t, func(t *rapid.T) {
		z := config.Zone{
			ID: "z", Type: config.ZoneBlocked, Floor: "f", Vertices: []config.Point{{X: -5, Y: -5}, {X: 5, Y: -5}, {X: 5, Y: 5}, {X: -5, Y: 5}},
			Reason: "a zone",
		}
		some := func(all []string, label string) []string {
			return slices.Compact(slices.Sorted(slices.Values(rapid.SliceOfN(rapid.SampledFrom(all), 1, 2).Draw(t, label))))
		}
		switch rapid.IntRange(0, 2).Draw(t, "when") {
		case 1:
			z.Shifts = some([]string{"day", "night", "meals"}, "shifts")
		case 2:
			z.OutsideShifts = some([]string{"day", "meals"}, "outside")
		}
		switch rapid.IntRange(0, 2).Draw(t, "whom") {
		case 1:
			z.Roles = some(base.Roles, "roles")
		case 2:
			z.ExceptRoles = some(base.Roles, "except")
		}
		p := *base
		p.Floors, p.Zones = []config.Floor{{ID: "f", Unbounded: "for the test"}}, []config.Zone{z}
		minute := rapid.Int64Range(0, 2*366*24*60).Draw(t, "minute")
		p.Shifts = slices.Clone(base.Shifts)
		p.SpecialDays = nil
		for i := range p.Shifts {
			if rapid.Bool().Draw(t, "on holidays") {
				p.Shifts[i].Days |= 1 << geofence.Holiday
			}
		}
		day := time.Unix(1_790_000_000+60*minute, 0).In(p.Timezone.Location).AddDate(0, 0, rapid.IntRange(-2, 1).Draw(t, "special day"))
		for i, as := range rapid.SliceOfN(rapid.SampledFrom([]string{"holiday", "sun", "wed"}), 0, 2).Draw(t, "counts as") {
			p.SpecialDays = append(p.SpecialDays, config.SpecialDay{Date: day.AddDate(0, 0, i).Format(time.DateOnly), CountsAs: as, Name: "a feast"})
		}
		q := &Question{
			Policy: &p, Profile: cfg.Profile, Floor: "f", At: time.Unix(1_790_000_000+60*minute, 0), Trust: geofence.ClockTrusted, RolesKnown: true,
		}
		if rapid.Bool().Draw(t, "any role") {
			q.Roles = some(base.Roles, "own")
		}
		a, err := Ask(q)
		if err != nil {
			t.Fatal(err)
		}
		binds := a.Zones[0].State == Decides
		if own := zones.Binds(&z, q.Roles) && zones.ActiveAt(&p, &z, q.At); binds != own || binds != (a.Decision == Denied) {
			t.Fatalf("decision %s by %s, zone %s (%s), own judgement %v", a.Decision, a.Rule, a.Zones[0].State, a.Zones[0].Why, own)
		}
	})
}

// TestAnswerIsTheCores asks the core directly, as the guard does, and compares.
func TestAnswerIsTheCores(t *testing.T) {
	cfg := demo(t)
	set, err := geofence.Compile(cfg.Policy.Fence(cfg.Profile, nil))
	if err != nil {
		t.Fatal(err)
	}
	names, _ := cfg.Policy.FenceRoles("demo-humanoid-01")
	var bits uint64
	for _, n := range names {
		i, _ := set.RoleIndex(n)
		bits |= 1 << i
	}
	rapid.Check(t, func(t *rapid.T) {
		q := question(cfg, rapid.SampledFrom([]string{"ground", "upper"}).Draw(t, "floor"),
			rapid.Float64Range(-1, 41).Draw(t, "x"), rapid.Float64Range(-1, 25).Draw(t, "y"), "2026-11-02T12:00")
		q.Yaw = rapid.Float64Range(-4, 4).Draw(t, "yaw")
		q.At = q.At.Add(time.Duration(rapid.IntRange(0, 10_000).Draw(t, "minutes")) * time.Minute)
		a, err := Ask(q)
		if err != nil {
			t.Fatal(err)
		}
		f := geofence.New(set)
		floor, _ := set.FloorIndex(q.Floor)
		now := geofence.Instant{Boot: time.Hour, Civil: q.At, Trust: geofence.ClockTrusted}
		f.Issued(now, geofence.Velocity{})
		var v geofence.Verdict
		dev := cfg.Profile.Pose.MinStddevM
		f.Step(now, &geofence.Inputs{
			Pose: geofence.Pose{
				Seen: true, Boot: now.Boot, StampNS: q.At.UnixNano(), X: q.X, Y: q.Y, QZ: math.Sin(q.Yaw / 2), QW: math.Cos(q.Yaw / 2), FrameOK: true,
				Floor: floor, HasCovariance: true, VarX: dev * dev, VarY: dev * dev, VarYaw: leastYaw * leastYaw,
			},
			Velocity: geofence.Measured{Known: true, Boot: now.Boot}, Roles: bits,
		}, &v)
		if a.Hold != v.Hold || a.Place != v.Place.String() || a.MarginM != v.MarginM || v.Hold && a.Decision != Denied {
			t.Fatalf("explain says %+v, the core %+v", a, v)
		}
		for _, n := range v.Near[:v.N] {
			z := a.Zones[n.Zone]
			if z.Place != n.Place.String() || z.DistanceM == nil || *z.DistanceM != n.MarginM {
				t.Fatalf("zone %+v, the core says %+v", z, n)
			}
		}
	})
}

func TestTextIsStable(t *testing.T) {
	q := question(demo(t), "ground", 10, 12, "2026-11-02T22:00")
	q.Yaw = math.Pi / 2
	var first, second bytes.Buffer
	for _, b := range []*bytes.Buffer{&first, &second} {
		a, err := Ask(q)
		if err != nil {
			t.Fatal(err)
		}
		if err := a.WriteText(b); err != nil {
			t.Fatal(err)
		}
	}
	golden := filepath.Join("testdata", "corridor.txt")
	if *update {
		if err := os.WriteFile(golden, first.Bytes(), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), first.String()); diff != "" || first.String() != second.String() {
		t.Error(diff)
	}
}

// TestMoreZonesThanAVerdictNames puts thirty zones around the robot: a verdict has room for eight, an answer for all, and
// each is as far as a formula of its own says.
func TestMoreZonesThanAVerdictNames(t *testing.T) {
	cfg := demo(t)
	p := *cfg.Policy
	p.Floors, p.Zones = []config.Floor{{ID: "f", Unbounded: "for the test"}}, nil
	for i := range 30 {
		sin, cos := math.Sincos(float64(i) * math.Pi / 15)
		x, y := math.Round(1500*cos)/1000, math.Round(1500*sin)/1000
		p.Zones = append(p.Zones, config.Zone{
			ID: string(rune('A' + i)), Type: config.ZoneBlocked, Floor: "f", Reason: "a post",
			Vertices: []config.Point{{X: x, Y: y}, {X: x + 0.1, Y: y}, {X: x, Y: y + 0.1}},
		})
	}
	q := question(cfg, "f", 0, 0, "2026-11-02T12:00")
	q.Policy, q.Speed = &p, &geofence.Velocity{}
	a, err := Ask(q)
	if err != nil {
		t.Fatal(err)
	}
	for i := range a.Zones {
		z := &a.Zones[i]
		want := zones.Distance(&p.Zones[i], cfg.Profile.Body.Footprint, 0, 0, 0)
		if z.State != InReach || z.DistanceM == nil || math.Abs(*z.DistanceM-want) > 0.002 {
			t.Errorf("%+v, expected to be %v m away", z, want)
		}
	}
}
