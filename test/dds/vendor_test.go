package dds

import (
	"path/filepath"
	"regexp"
	"strconv"
	"testing"

	"github.com/robowarden/robowarden/test/internal/cpp"
	"github.com/robowarden/robowarden/test/internal/domain"
	"github.com/robowarden/robowarden/test/internal/netns"
	"github.com/robowarden/robowarden/test/internal/proc"
)

// TestVendorsBody: a body on CycloneDDS whose types were generated from the example's definition by the vendor's own
// compiler, and the product, which reads its fields by that definition alone.
func TestVendorsBody(t *testing.T) {
	t.Parallel()
	a, b := netns.Pair(t)
	a.Start(t, proc.Spec{Argv: []string{cpp.Binary(t, "ddsbody"), strconv.Itoa(domain.ID), a.Address}})
	p := Start(t, b, Ours, "body", "--mapping="+filepath.Join(cpp.Root(), "..", "configs", "examples", "humanoid-dds", "topics.yaml"))
	// Joint 28 is motor 28 of the body; the quaternion goes out as w, x, y, z.
	for _, want := range []string{
		"joints 29 seen=1fffffff 7 -14 28 from dds:" + a.Address,
		"imu {1.5 2.5 3.5} {-2.5 -3.5 -4.5} {0.25 0.375 0.5 0.125}",
		"battery 0.75",
	} {
		p.Await(t, patience, "(?m)^"+regexp.QuoteMeta(want)+"$")
	}
}
