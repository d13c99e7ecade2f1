package dds

import (
	"path/filepath"
	"testing"

	"github.com/robowarden/robowarden/test/internal/netns"
)

// TestStopOfTwoVendors: a stop service that robots of both vendors offer at once is called at both, each in its own way, and
// that there are two is told.
func TestStopOfTwoVendors(t *testing.T) {
	t.Parallel()
	a, b := netns.Pair(t)
	for _, v := range []Vendor{Cyclone, Fast} {
		Start(t, a, v, "plant", "--node=/plant", "--stop-service=/stop", "--truth="+filepath.Join(t.TempDir(), "truth.csv"))
	}
	p := Start(t, b, Ours, "call", "--topic=/stop", "--count=5")
	p.Await(t, patience, `(?m)^event publisher-conflict /stop "2 servers offer this service; they are asked in two ways`)
	p.Await(t, patience, `(?m)^called success=true error=<nil>\n(?s:.*)^called success=true error=<nil>$`)
}
