package explain

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/robowarden/robowarden/agent/config"
	"github.com/robowarden/robowarden/geofence"
)

// factsSite is the demonstration with loads, tasks, operators, a door and a warn ring in the corridor at y = 12 m.
func factsSite(t *testing.T) *config.Config {
	t.Helper()
	dir, out := filepath.Join("..", "..", "configs", "demo"), t.TempDir()
	var files []string
	for name, edit := range map[string][2]string{
		"profile.yaml": {"\nbody:\n", "\nloads: [{id: tray, box: {length_m: 0.6, width_m: 0.6, x_m: 0.6, y_m: 0}}]\nbody:\n"},
		"policy.yaml": {"\n  # ---- upper floor ----", `
  - {zone_id: store, zone_type: BLOCKED, floor: ground, vertices: [[15, 10], [18, 10], [18, 14], [15, 14]], except_tasks: [delivery], operators: [ward], warn_m: 2.0, reason: a test}
  - {zone_id: door, zone_type: DOOR, floor: ground, vertices: [[15, 10], [18, 10], [18, 14], [15, 14]], opened_by: [badge], max_dwell: 9s, reason: a test}

  # ---- upper floor ----`},
	} {
		raw, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		text := strings.Replace(string(raw), edit[0], edit[1], 1)
		if name == "policy.yaml" {
			text = strings.Replace(text, "\nrobots:", "\ntasks: [delivery]\noperators: [ward]\nrobots:", 1)
		}
		file := filepath.Join(out, name)
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		files = append(files, file)
	}
	// Each by itself: the pin of the profile is not what is asked.
	var cfg config.Config
	for _, f := range files {
		one, err := config.Load(nil, f)
		if err != nil {
			t.Fatal(err)
		}
		if one.Policy != nil {
			cfg.Policy = one.Policy
		}
		if one.Profile != nil {
			cfg.Profile = one.Profile
		}
	}
	return &cfg
}

// TestFactsInAQuestion asks with and without each fact, at 1 m before the zones.
func TestFactsInAQuestion(t *testing.T) {
	cfg := factsSite(t)
	granted := Lease{Zone: "door", State: geofence.Granted, MaxSpeedMPS: 0.3, Facts: geofence.FactBadge}
	speed := func(change func(*Question)) (float64, *Answer) {
		q := question(cfg, "ground", 13.5, 12, "2026-11-02T10:00")
		q.Task, q.Operator, q.LoadsKnown, q.Leases = "delivery", "ward", true, []Lease{granted}
		change(q)
		a, err := Ask(q)
		if err != nil {
			t.Fatal(err)
		}
		return a.AllowedMPS, a
	}
	best, a := speed(func(*Question) {})
	if z := find(t, a, "store"); z.State != Exempt || !strings.Contains(z.Why, "delivery") {
		t.Errorf("store: %+v", z)
	}
	if len(a.Others) != 0 || a.Asked.Task != "delivery" || a.Asked.Operator != "ward" {
		t.Errorf("%+v %+v", a.Others, a.Asked)
	}
	for name, change := range map[string]func(*Question){
		"no task":         func(q *Question) { q.Task = "" },
		"none":            func(q *Question) { q.Task = config.FactNone },
		"no lease":        func(q *Question) { q.Leases = nil },
		"a lost lease":    func(q *Question) { q.Leases[0].State = geofence.Revoked },
		"another fact":    func(q *Question) { q.Leases[0].Facts = geofence.FactDoor },
		"an unknown load": func(q *Question) { q.LoadsKnown = false },
		"a tray":          func(q *Question) { q.Loads = []string{"tray"} },
		"nobody, no task": func(q *Question) { q.Task, q.Operator = "", "" },
		"a slow lease":    func(q *Question) { q.Leases[0].MaxSpeedMPS = 0.1 },
		"two, one of them 0": func(q *Question) {
			q.Leases = append(q.Leases, Lease{Zone: "door", State: geofence.Rejected, MaxSpeedMPS: 1})
		},
	} {
		if got, _ := speed(change); !(got < best) {
			t.Errorf("%s: %v m/s, with all facts %v", name, got, best)
		}
	}
	if got, a := speed(func(q *Question) { q.Task, q.Operator = "", config.FactNone }); got != best || find(t, a, "store").State != Exempt {
		t.Errorf("off: surely of no operator: %v m/s, %+v", got, find(t, a, "store"))
	}
	_, a = speed(func(q *Question) { q.Task = "" })
	if z := find(t, a, "store"); z.Certain || len(a.Others) != 1 || a.Others[0].State != geofence.EventWarn || a.Others[0].Zone != "store" {
		t.Errorf("unknown task: %+v, %+v", z, a.Others)
	}
}

func TestBadFacts(t *testing.T) {
	cfg := factsSite(t)
	for want, change := range map[string]func(*Question){
		`task "deliver": the policy has no such task`:        func(q *Question) { q.Task = "deliver" },
		`operator "me": the policy has no such operator`:     func(q *Question) { q.Operator = "me" },
		`load "bed": the profile has no such load`:           func(q *Question) { q.Loads, q.LoadsKnown = []string{"bed"}, true },
		`lease for "store": the policy has no RELEASE or DO`: func(q *Question) { q.Leases = []Lease{{Zone: "store"}} },
		`lease for "x": the policy has no RELEASE or DO`:     func(q *Question) { q.Leases = []Lease{{Zone: "x"}} },
		`33 leases: a robot has at most 32`:                  func(q *Question) { q.Leases = make([]Lease, geofence.MaxLeases+1) },
	} {
		q := question(cfg, "ground", 13.5, 12, "2026-11-02T10:00")
		change(q)
		if _, err := Ask(q); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}
