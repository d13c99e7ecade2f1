package e2e

import (
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/robowarden/robowarden/test/driver"
	"github.com/robowarden/robowarden/test/internal/ros"
	"github.com/robowarden/robowarden/test/oracle"
	"github.com/robowarden/robowarden/test/plant"
)

func ringOf(x0, y0, x1, y1 float64) oracle.Ring { return oracle.Rectangle(x0, y0, x1, y1) }

// TestDriveAtBlockedZone is the main job in its smallest form: a planner drives at a wall of air and the robot stands
// before it.
func TestDriveAtBlockedZone(t *testing.T) {
	m := ros.StartMaster(t, ros.Options{})
	zone := oracle.Zone{ID: "pharmacy", Outer: ringOf(4, -2, 8, 2)}
	p := plant.Start(t, m, plant.Config{})
	s := newSite(t, m, siteConfig{zones: blockedZone("pharmacy", zone.Outer), lock: true})
	driver.StartDrive(t, m, driver.Drive{VX: 1.2})
	g := s.start(t)
	g.ready(t)
	time.Sleep(8 * time.Second) // The length of the drive, which is what is measured.
	truth := p.Truth(t)
	k, err := oracle.JudgeKeepOut(truth, contour, []oracle.Zone{zone})
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("gap %.3f m, max speed %.2f m/s, final speed %.3f", k.FinalGapM, k.MaxSpeedMPS, k.FinalSpeedMPS)
	required := sigmaK*sigmaM + mapErrorM
	if k.Inside || k.FinalGapM > required+0.10 || k.FinalSpeedMPS > 0.02 || math.IsNaN(k.FinalGapM) {
		t.Errorf("inside %t, gap %.3f m (required %.3f), final speed %.3f m/s", k.Inside, k.FinalGapM, required, k.FinalSpeedMPS)
	}
	r := g.replayed(t)
	t.Logf("replayed %d events, digest %016x", r.Events, r.Digest)
	if got, want := g.replayedOnARM64(t), fmt.Sprintf("digest %016x", r.Digest); !strings.Contains(got, want) {
		t.Errorf("arm64 replays to %q, amd64 to %s", got, want)
	}
}
