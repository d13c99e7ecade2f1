package artifact_test

import (
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/robowarden/robowarden/attest/artifact"
)

// BenchmarkHashRate hashes one file beside `openssl dgst -sha256`, in turns, and reports the ratio of the medians. The bar is
// 0.9: what verifying costs is the hash and nothing else.
func BenchmarkHashRate(b *testing.B) {
	openssl, err := exec.LookPath("openssl")
	if err != nil {
		b.Skip("no openssl here: it is what the rate is held against")
	}
	const size = 256 << 20
	name := sparse(b, size)
	var ours, theirs []time.Duration
	for b.Loop() {
		for range 7 {
			begin := time.Now()
			if _, err := artifact.ListFolder(b.Context(), filepath.Dir(name), nil, nil); err != nil {
				b.Fatal(err)
			}
			ours = append(ours, time.Since(begin))
			begin = time.Now()
			if err := exec.CommandContext(b.Context(), openssl, "dgst", "-sha256", name).Run(); err != nil {
				b.Fatal(err)
			}
			theirs = append(theirs, time.Since(begin))
		}
	}
	slices.Sort(ours)
	slices.Sort(theirs)
	a, c := ours[len(ours)/2], theirs[len(theirs)/2]
	b.ReportMetric(size/a.Seconds()/1e6, "MB/s")
	b.ReportMetric(size/c.Seconds()/1e6, "openssl-MB/s")
	b.ReportMetric(c.Seconds()/a.Seconds(), "x-openssl")
}
