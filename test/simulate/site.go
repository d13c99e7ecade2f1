package simulate

import (
	"crypto/sha256"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/robowarden/robowarden/agent/config"
	"github.com/robowarden/robowarden/agent/guard"
	"github.com/robowarden/robowarden/geofence"
	"github.com/robowarden/robowarden/test/oracle"
)

const (
	serial = "demo-humanoid-01"
	self   = "/robowarden"
)

// morning is a Monday, 09:00 in the demonstration's hospital: the wards are open.
var morning = time.Date(2026, 3, 2, 8, 0, 0, 0, time.UTC)

// Edit changes a document's text before it is loaded. Old must be there.
type Edit struct{ Document, Old, New string }

// Documents loads the shipped demonstration with some edits.
func Documents(tb testing.TB, edits ...Edit) *config.Config {
	tb.Helper()
	var files, digests []string
	folder := tb.TempDir()
	for _, name := range []string{"profile", "topics", "policy"} {
		raw, err := os.ReadFile(filepath.Join("..", "..", "configs", "demo", name+".yaml"))
		if err != nil {
			tb.Fatal(err)
		}
		text := string(raw)
		for _, e := range edits {
			if e.Document != name {
				continue
			}
			if !strings.Contains(text, e.Old) {
				tb.Fatalf("the shipped %s has no %q", name, e.Old)
			}
			text = strings.Replace(text, e.Old, e.New, 1)
		}
		if name == "policy" {
			// The policy pins the others by content.
			for i, pin := range []string{"profile", "topics"} {
				at := strings.Index(text, pin+`: "sha256:`) + len(pin+`: "sha256:`)
				text = text[:at] + digests[i] + text[at+64:]
			}
		}
		digests = append(digests, fmt.Sprintf("%x", sha256.Sum256([]byte(text))))
		file := filepath.Join(folder, name+".yaml")
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			tb.Fatal(err)
		}
		files = append(files, file)
	}
	cfg, err := config.Load(nil, files...)
	if err != nil {
		tb.Fatal(err)
	}
	cfg.Deployment = &config.Deployment{Serial: serial}
	return cfg
}

// Params are what a core decides by under these documents.
func Params(tb testing.TB, cfg *config.Config) *guard.Params {
	tb.Helper()
	p, err := guard.NewParams(cfg, self, time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC).UnixNano())
	if err != nil {
		tb.Fatal(err)
	}
	return p
}

// With returns the parameters with other zones, for a robot whose figures may be changed.
func With(tb testing.TB, cfg *config.Config, p *guard.Params, zones []geofence.ZoneSpec, robot func(*geofence.Robot)) *guard.Params {
	tb.Helper()
	spec, r := cfg.Policy.Fence(cfg.Profile, cfg.Topics)
	spec.Zones = zones
	for i := range spec.Floors {
		spec.Floors[i].WithoutKeepIn = geofence.Allow
	}
	if robot != nil {
		robot(&r)
	}
	set, err := geofence.Compile(spec, r)
	if err != nil {
		tb.Fatal(err)
	}
	out := *p
	out.Set = set
	return &out
}

// blocked is an oracle's zone as a policy has it.
func blocked(z oracle.Zone) geofence.ZoneSpec {
	out := geofence.ZoneSpec{ID: z.ID, Floor: "ground", Kind: geofence.Blocked, Reason: "nobody may be here"}
	for _, p := range z.Outer {
		out.Outer = append(out.Outer, geofence.Vertex{X: millimetres(p.X), Y: millimetres(p.Y)})
	}
	return out
}

func millimetres(m float64) int32 { return int32(math.Round(m * 1000)) }

// contour is the robot's outline as the profile gives it.
func contour(cfg *config.Config) oracle.Contour {
	_, r := cfg.Policy.Fence(cfg.Profile, cfg.Topics)
	var ring oracle.Ring
	for _, v := range r.Footprint {
		ring = append(ring, oracle.Point{X: float64(v.X) / 1000, Y: float64(v.Y) / 1000})
	}
	return oracle.Contour{ring}
}
