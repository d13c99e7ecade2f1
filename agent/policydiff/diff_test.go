package policydiff

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/robowarden/robowarden/agent/config"
)

func demo(t *testing.T) *config.Policy {
	t.Helper()
	cfg, err := config.Load(nil, filepath.Join("..", "..", "configs", "demo", "policy.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	return cfg.Policy
}

func zoneOf(p *config.Policy, id string) *config.Zone {
	return find(p.Zones, func(z *config.Zone) bool { return z.ID == id })
}

// TestDiff changes one thing and changes it back: what was tighter is looser the other way round.
func TestDiff(t *testing.T) {
	span := func(d time.Duration) *time.Duration { return &d }
	off := false
	for _, c := range []struct {
		name   string
		change func(p *config.Policy)
		way    Way
		words  string
	}{
		{"limit lower", func(p *config.Policy) { zoneOf(p, "ward-b").MaxSpeedMPS = 0.2 }, Tighter, "zone ward-b: limit 0.4 m/s → 0.2 m/s"},
		{"zone gone", func(p *config.Policy) {
			p.Zones = slices.DeleteFunc(p.Zones, func(z config.Zone) bool { return z.ID == "pharmacy" })
		}, Looser, "zone pharmacy: gone: BLOCKED"},
		{"zone larger", func(p *config.Policy) {
			zoneOf(p, "theatre").Vertices = []config.Point{{X: 23, Y: 14}, {X: 36, Y: 14}, {X: 36, Y: 24}, {X: 23, Y: 24}}
		}, Tighter, "zone theatre: outline changes: 120.00 m² → 130.00 m²"},
		{"area to keep larger", func(p *config.Policy) {
			zoneOf(p, "upper-walls").Vertices = []config.Point{{X: 0, Y: 0}, {X: 50, Y: 0}, {X: 50, Y: 24}, {X: 0, Y: 24}}
		}, Looser, "zone upper-walls: outline"},
		{"zone moved", func(p *config.Policy) {
			zoneOf(p, "theatre").Vertices = []config.Point{{X: 25, Y: 14}, {X: 37, Y: 14}, {X: 37, Y: 24}, {X: 25, Y: 24}}
		}, Other, "outline"},
		{"always", func(p *config.Policy) { zoneOf(p, "ward-a-closed").OutsideShifts = nil }, Tighter, "holds outside shift day → always"},
		{"for fewer robots", func(p *config.Policy) { zoneOf(p, "pharmacy").ExceptRoles = []string{"delivery"} }, Looser, "for every robot → robots without delivery"},
		{"longer delay", func(p *config.Policy) { p.Triggers[1].StartDelay = span(20 * time.Second) }, Looser, "battery.low: fires after 10s → 20s"},
		{"off", func(p *config.Policy) {
			p.Triggers = append(p.Triggers, config.Trigger{Code: "joints.missing", Enabled: &off, Reason: "no arms fitted"})
		}, Looser, "trigger joints.missing: is off: no arms fitted"},
		{"slower to notice", func(p *config.Policy) { p.Channels[0].StopAfter = 5 * time.Second }, Looser, "channel operator: stop_after 2s → 5s"},
		{"no channel", func(p *config.Policy) { p.Channels = nil }, Looser, "channel operator: gone"},
		{"a holiday", func(p *config.Policy) {
			p.SpecialDays = append(p.SpecialDays, config.SpecialDay{Date: "2027-01-01", CountsAs: "holiday", Name: "New Year"})
		}, Other, "new: New Year counts as holiday"},
		{"a holiday less", func(p *config.Policy) { p.SpecialDays = nil }, Other, "gone: Christmas Day counts as its own weekday"},
		{"a holiday counts as another day", func(p *config.Policy) { p.SpecialDays[0].CountsAs = "sat" }, Other, "Christmas Day as sun → Christmas Day as sat"},
		{"shift moves", func(p *config.Policy) { p.Shifts[0].End = 19 * 60 }, Other, "06:00–19:00; it decides when these hold: ward-a-closed"},
		{"release by an operator", func(p *config.Policy) { p.Startup.Release = "operator" }, Tighter, "startup: release inputs → operator"},
	} {
		old, now := demo(t), demo(t)
		c.change(now)
		list := Diff(old, now)
		i := slices.IndexFunc(list, func(x Change) bool { return strings.Contains(x.Where+": "+x.Words, c.words) })
		if i < 0 || list[i].Way != c.way || len(list) != 1 {
			t.Errorf("%s: expected %s %q alone, found %+v", c.name, c.way, c.words, list)
		}
		back := Diff(now, old)
		opposite := map[Way]Way{Tighter: Looser, Looser: Tighter, Other: Other}[c.way]
		if len(back) != 1 || back[0].Way != opposite {
			t.Errorf("%s, back: expected %s, found %+v", c.name, opposite, back)
		}
	}
	if list := Diff(demo(t), demo(t)); len(list) > 0 {
		t.Errorf("a policy differs from itself: %+v", list)
	}
}
