package config

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/robowarden/robowarden/geofence"
	"github.com/robowarden/robowarden/interlock"
)

// withZone is the demonstration's policy with one more zone.
func withZone(t *testing.T, zone string) (*Policy, error) {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(configsDir, "demo", "policy.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	text := strings.Replace(string(raw), "\n  # ---- upper floor ----",
		"\n  - {zone_id: test-zone, floor: ground, vertices: [[15, 10], [18, 10], [18, 14], [15, 14]], reason: a test, "+zone+"}\n\n  # ---- upper floor ----", 1)
	file := filepath.Join(t.TempDir(), "policy.yaml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg, err := Load(nil, file)
	if err != nil {
		return nil, err
	}
	return cfg.Policy, nil
}

func TestTermsOfAZone(t *testing.T) {
	for zone, fault := range map[string]string{
		"zone_type: NO_MANIPULATION":                                          "",
		"zone_type: PRIVACY":                                                  "",
		"zone_type: DWELL_LIMIT, max_dwell: 90s":                              "",
		"zone_type: RELEASE":                                                  "",
		"zone_type: RELEASE, release_loss: EVACUATE":                          "",
		"zone_type: RELEASE, release_loss: CONTINUE, within: 10s":             "",
		"zone_type: DOOR, opened_by: [badge, door, task], max_dwell: 90s":     "",
		"zone_type: NO_STOP, within: 10s":                                     "",
		"zone_type: BLOCKED, unless_attested: true":                           "",
		"zone_type: DIRECTED, direction_rad: 0, limitation: STRICT":           "",
		"zone_type: DIRECTED, direction_rad: -3.1, limitation: RESTRICTED":    "",
		"zone_type: BIDIRECTED, direction_rad: 1.57, limitation: SOFT":        "",
		"zone_type: BIDIRECTED, direction_rad: 1.57, limitation: STRICT":      "limitation",
		"zone_type: DIRECTED, direction_rad: 7, limitation: STRICT":           "direction_rad",
		"zone_type: DIRECTED, direction_rad: .nan, limitation: STRICT":        "direction_rad",
		"zone_type: DIRECTED, limitation: STRICT":                             "direction_rad",
		"zone_type: DIRECTED, direction_rad: 1":                               "limitation",
		"zone_type: DIRECTED, direction_rad: 1, limitation: HARD":             "limitation",
		"zone_type: BLOCKED, direction_rad: 0":                                "direction_rad",
		"zone_type: BLOCKED, limitation: SOFT":                                "limitation",
		"zone_type: BLOCKED, unless_attested: false":                          "unless_attested",
		"zone_type: BLOCKED, unless_attested: true, roles: [delivery]":        "unless_attested",
		"zone_type: BLOCKED, unless_attested: true, except_roles: [delivery]": "unless_attested",
		"zone_type: DWELL_LIMIT":                                              "max_dwell",
		"zone_type: RELEASE, release_loss: CONTINUE":                          "within",
		"zone_type: RELEASE, within: 10s":                                     "within",
		"zone_type: RELEASE, release_loss: GO":                                "release_loss",
		"zone_type: RELEASE, max_dwell: 10s":                                  "max_dwell",
		"zone_type: RELEASE, max_speed_mps: 0.3":                              "max_speed_mps",
		"zone_type: DOOR, max_dwell: 90s":                                     "opened_by",
		"zone_type: DOOR, opened_by: [badge]":                                 "max_dwell",
		"zone_type: DOOR, opened_by: [key], max_dwell: 90s":                   "opened_by",
		"zone_type: DOOR, opened_by: [badge, badge], max_dwell: 90s":          "opened_by",
		"zone_type: DOOR, opened_by: [], max_dwell: 90s":                      "opened_by",
		"zone_type: NO_STOP":                                                  "within",
		"zone_type: NO_STOP, within: 20m":                                     "within",
		"zone_type: NO_STOP, within: 0s":                                      "within",
		"zone_type: BLOCKED, release_loss: STOP":                              "release_loss",
		"zone_type: PRIVACY, opened_by: [badge]":                              "opened_by",
		"zone_type: DWELL_LIMIT, max_dwell: 25h":                              "max_dwell",
	} {
		p, err := withZone(t, zone)
		switch {
		case fault == "" && err != nil:
			t.Errorf("%s: %v", zone, err)
		case fault == "":
			spec, _ := p.Fence(mustProfile(t), nil)
			found := false
			for _, z := range spec.Zones {
				found = found || z.ID == "test-zone" && z.Kind != geofence.KindUnset && strings.HasPrefix(zone, "zone_type: "+z.Kind.String())
			}
			if !found {
				t.Errorf("%s: not in the geofence's spec", zone)
			}
		case err == nil || !strings.Contains(err.Error(), fault):
			t.Errorf("%s: found %v, expected a fault of %s", zone, err, fault)
		}
	}
}

// TestTermsReachTheGeofence compares what the document says with what the core is given.
func TestTermsReachTheGeofence(t *testing.T) {
	for zone, want := range map[string]geofence.ZoneSpec{
		"zone_type: RELEASE": {Kind: geofence.Release, Loss: geofence.LossStop},
		"zone_type: RELEASE, release_loss: CONTINUE, within: 10s": {Kind: geofence.Release, Loss: geofence.LossContinue, Within: 10 * time.Second},
		"zone_type: DOOR, opened_by: [badge, task], max_dwell: 90s, release_loss: EVACUATE": {
			Kind: geofence.Door, Loss: geofence.LossEvacuate, Facts: geofence.FactBadge | geofence.FactTask, MaxDwell: 90 * time.Second,
		},
		"zone_type: DIRECTED, direction_rad: -1.5, limitation: STRICT":       {Kind: geofence.Directed, DirectionRad: -1.5, Limitation: geofence.Strict},
		"zone_type: BIDIRECTED, direction_rad: 0.25, limitation: RESTRICTED": {Kind: geofence.Bidirected, DirectionRad: 0.25, Limitation: geofence.Restricted},
	} {
		p, err := withZone(t, zone)
		if err != nil {
			t.Fatal(err)
		}
		spec, _ := p.Fence(mustProfile(t), nil)
		for _, z := range spec.Zones {
			if z.ID == "test-zone" && (z.Kind != want.Kind || z.Loss != want.Loss || z.Facts != want.Facts || z.MaxDwell != want.MaxDwell || z.Within != want.Within ||
				z.DirectionRad != want.DirectionRad || z.Limitation != want.Limitation) {
				t.Errorf("%s: %+v", zone, z)
			}
		}
	}
}

// TestZoneTypesOfPlannersAreRefusedWithTheReason: a zone that is drawn and not enforced would be worse than none.
func TestZoneTypesOfPlannersAreRefusedWithTheReason(t *testing.T) {
	for _, k := range geofence.PlannerKinds() {
		_, err := withZone(t, "zone_type: "+k.Word)
		var p *Problems
		if !errors.As(err, &p) || len(p.List) != 1 || !strings.Contains(p.List[0].Hint, k.Why) {
			t.Errorf("%s: %v, expected %q", k.Word, err, k.Why)
		}
	}
	if len(ZoneTypes()) != int(geofence.Bidirected) {
		t.Errorf("%d zone types, the geofence has %d kinds", len(ZoneTypes()), geofence.Bidirected)
	}
	for _, name := range ZoneTypes() {
		if KindOf(name) == geofence.KindUnset {
			t.Errorf("%s is no kind of the geofence", name)
		}
	}
}

func mustProfile(t *testing.T) *Profile {
	t.Helper()
	cfg, err := Load(nil, filepath.Join(configsDir, "demo", "profile.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	return cfg.Profile
}

// TestCapOnUnauthenticatedSignals: what the policy says is what the interlock has, and what the cap takes back is told.
func TestCapOnUnauthenticatedSignals(t *testing.T) {
	const shipped = "unauthenticated: {constraint: {motion: hold, manipulators: hold}, latch: false}"
	raw, err := os.ReadFile(filepath.Join(configsDir, "demo", "policy.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	load := func(with string) (*Config, error) {
		file := filepath.Join(t.TempDir(), "policy.yaml")
		if err := os.WriteFile(file, []byte(strings.Replace(string(raw), shipped, with, 1)), 0o600); err != nil {
			t.Fatal(err)
		}
		return Load(nil, file)
	}
	for with, fault := range map[string]string{
		shipped: "",
		"unauthenticated: {constraint: {motion: limited, max_speed_mps: 0.3}, latch: false}": "",
		"unauthenticated: {constraint: {motion: stop, manipulators: disabled}, latch: true}": "",
		"unauthenticated: {constraint: {motion: limited, max_speed_mps: 0.9}, latch: false}": "unauthenticated.constraint",
		"unauthenticated: {constraint: {motion: dock-only}, latch: false}":                   "unauthenticated.constraint",
		"unauthenticated: {constraint: {}, latch: false}":                                    "unauthenticated.constraint",
		"unauthenticated: {constraint: {motion: hold}}":                                      "unauthenticated",
		"unauthenticated: {latch: false}":                                                    "unauthenticated",
	} {
		cfg, err := load(with)
		switch {
		case fault != "" && (err == nil || !strings.Contains(err.Error(), fault)):
			t.Errorf("%s: %v, expected a fault of %s", with, err, fault)
		case fault == "" && err != nil:
			t.Errorf("%s: %v", with, err)
		case fault == "":
			p := cfg.Policy.Interlock()
			untold := p.Effective().Rules[interlock.ManipulatorsUntold]
			if latches := strings.Contains(with, "latch: true"); untold.Clear.Latches() != latches || p.CapLatches != latches || !p.Cap.TightAs(untold.Constraint) && !latches {
				t.Errorf("%s: cap %v, %t; manipulators.untold %v, %v", with, p.Cap, p.CapLatches, untold.Constraint, untold.Clear)
			}
		}
	}
	none, err := load("")
	if err != nil {
		t.Fatal(err)
	}
	same, err := load(shipped)
	if err != nil {
		t.Fatal(err)
	}
	if a, b := none.Policy.Interlock(), same.Policy.Interlock(); a.Effective() != b.Effective() {
		t.Error("what the demonstration writes down is not what holds without the key")
	}
}
