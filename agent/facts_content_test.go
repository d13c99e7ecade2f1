package agent

import (
	"slices"
	"testing"
	"time"

	"github.com/robowarden/robowarden/agent/contract"
)

// TestContentIsToldWhileItsLeaseLasts: the status shows what the steward has measured, and nothing that has run out.
func TestContentIsToldWhileItsLeaseLasts(t *testing.T) {
	now := time.Minute
	f := newFacts(func() time.Duration { return now }, nil)
	if got := f.content(); got != nil {
		t.Errorf("content %v of a steward that has said nothing", got)
	}
	f.takeArtifacts(&contract.Artifacts{LeaseMS: 3000, Artifacts: []contract.Artifact{{Name: "b", SHA256: "22"}, {Name: "a", SHA256: "11", Why: contract.KeptVerity}, {Name: "c", Why: "no slot is active"}}})
	if got := f.content(); !slices.Equal(got, []ContentStatus{{Name: "a", SHA256: "11", Kept: contract.KeptVerity}, {Name: "b", SHA256: "22"}, {Name: "c", Why: "no slot is active"}}) {
		t.Errorf("content %v", got)
	}
	now += 3 * time.Second
	if got := f.content(); got != nil {
		t.Errorf("content %v after its lease", got)
	}
}
