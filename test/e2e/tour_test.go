package e2e

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/robowarden/robowarden/test/driver"
	"github.com/robowarden/robowarden/test/internal/bus"
	"github.com/robowarden/robowarden/test/oracle"
	"github.com/robowarden/robowarden/test/plant"
)

// maxMissionRatio is how much longer a delivery tour may take with the guard than without.
const maxMissionRatio = 1.10

// TestDeliveryTour drives a ward with and without the guard: it may cost time, but hardly any. make test drives the first
// legs, make qualify the ten minutes.
func TestDeliveryTour(t *testing.T) {
	for _, kind := range append([]bus.Kind{bus.ROS}, onDDS()...) {
		t.Run(string(kind), func(t *testing.T) {
			if kind != bus.ROS { // the two vendors' take as long as one
				t.Parallel()
			}
			deliveryTour(t, kind)
		})
	}
}

func deliveryTour(t *testing.T, kind bus.Kind) {
	tour := driver.WardTour(1, 1.0).First(2)
	if longTier() {
		tour = driver.WardTour(4, 1.0)
	}
	// Two robots at a time, each on a bus of its own: one after the other takes twice as long and shows the same.
	took := map[bool]time.Duration{}
	var mu sync.Mutex
	t.Run("both", func(t *testing.T) {
		for guarded, name := range map[bool]string{false: "without", true: "with"} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				d := drive(t, kind, tour, guarded)
				mu.Lock()
				defer mu.Unlock()
				took[guarded] = d
			})
		}
	})
	with, without := took[true], took[false]
	if with == 0 || without == 0 {
		t.FailNow() // The runs have said why.
	}
	ratio, err := oracle.MissionRatio(with, without)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("mission time %v with the guard, %v without: ratio %.3f", with, without, ratio)
	if ratio > maxMissionRatio {
		t.Errorf("ratio %.3f: expected at most %.2f", ratio, maxMissionRatio)
	}
}

// drive runs the tour once and returns its time by the planner's clock.
func drive(t *testing.T, kind bus.Kind, tour driver.Tour, guarded bool) time.Duration {
	t.Helper()
	b := meet(t, kind)
	p := plant.Start(t, b, plant.Config{X: driver.WardStart.X, Y: driver.WardStart.Y})
	tour.Topic = "/cmd_vel"
	var g *guard
	if guarded {
		tour.Topic = "/cmd_vel_raw"
		s := newSite(t, b, siteConfig{zones: zonesYAML(driver.WardZones())})
		g = s.start(t)
		g.ready(t)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Minute)
	defer cancel()
	took, err := driver.TourTime(ctx, driver.StartTour(t, b, tour))
	if err != nil {
		t.Fatal(err)
	}
	if guarded {
		k, err := oracle.JudgeKeepOut(p.Truth(t), contour, driver.WardZones())
		if err != nil || k.Inside {
			t.Errorf("inside %t at %+v (%v)", k.Inside, k.At, err)
		}
		g.replayed(t)
	}
	return took
}

// zonesYAML writes BLOCKED zones, holes included.
func zonesYAML(zones []oracle.Zone) string {
	var out strings.Builder
	for _, z := range zones {
		holes := make([]string, 0, len(z.Holes))
		for _, h := range z.Holes {
			holes = append(holes, "["+pointsYAML(h)+"]")
		}
		extra := ""
		if len(holes) > 0 {
			extra = ", holes: [" + strings.Join(holes, ", ") + "]"
		}
		out.WriteString(zoneYAML(z.ID, "BLOCKED", z.Outer, extra))
	}
	return out.String()
}

func pointsYAML(r oracle.Ring) string {
	points := make([]string, 0, len(r))
	for _, p := range r {
		points = append(points, fmt.Sprintf("[%.3f, %.3f]", p.X, p.Y))
	}
	return strings.Join(points, ", ")
}
