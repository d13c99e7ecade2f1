//go:build qualify

package e2e

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/robowarden/robowarden/agent"
	"github.com/robowarden/robowarden/test/internal/bus"
	"github.com/robowarden/robowarden/test/internal/domain"
	"github.com/robowarden/robowarden/test/internal/proc"
)

// mostStewardBytes is DESIGN's bar for the steward while it hashes a model of eight gigabytes.
const mostStewardBytes = 32 << 20

// TestLargeModelInLittleMemory has the steward of the real binary hash eight gigabytes, of which the disk holds none, and looks at the
// most memory that it ever had.
func TestLargeModelInLittleMemory(t *testing.T) {
	const size = 8 << 30
	b := domain.Here(t, bus.Cyclone)
	s := newSite(t, b, siteConfig{more: artifactPolicy})
	slot := s.path("slots/grasp/a")
	if err := os.MkdirAll(slot, 0o700); err != nil {
		t.Fatal(err)
	}
	f := must(os.Create(filepath.Join(slot, "model.bin")))(t)
	if err := f.Truncate(size); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("a", s.path("slots/grasp/active")); err != nil {
		t.Fatal(err)
	}
	s.write(t, "deployment.yaml", string(must(os.ReadFile(s.path("deployment.yaml")))(t))+"steward: {period: 1s, state_dir: steward, artifacts: slots}\n")
	g := s.start(t)
	g.await(t, "a guard", 60*time.Second, func(agent.Status) bool { return true })
	steward := proc.StartT(t, proc.Spec{Name: "steward", Argv: []string{binary(t), "steward", "--deployment", s.path("deployment.yaml")}})
	began := time.Now()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Minute)
	defer cancel()
	// The tree digest of eight gigabytes of zeros.
	if _, err := steward.WaitOutput(ctx, `"artifact":"grasp","sha256":"[0-9a-f]{64}"`); err != nil {
		t.Fatal(err)
	}
	u := must(steward.Usage())(t)
	t.Logf("%d bytes in %v: the steward had at most %.1f MB", int64(size), time.Since(began).Round(time.Second), mb(u.HWMBytes))
	if u.HWMBytes > mostStewardBytes {
		t.Errorf("the steward had %d bytes: expected at most %d", u.HWMBytes, mostStewardBytes)
	}
}
