package artifact_test

import (
	"os/exec"
	"path/filepath"
	"slices"
	"syscall"
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
	var ours, theirs, oursCPU, theirsCPU []time.Duration
	for b.Loop() {
		for range 7 {
			begin, used := time.Now(), cpu(b)
			if _, err := artifact.ListFolder(b.Context(), filepath.Dir(name), nil, nil); err != nil {
				b.Fatal(err)
			}
			ours, oursCPU = append(ours, time.Since(begin)), append(oursCPU, cpu(b)-used)
			begin = time.Now()
			cmd := exec.CommandContext(b.Context(), openssl, "dgst", "-sha256", name)
			if err := cmd.Run(); err != nil {
				b.Fatal(err)
			}
			theirs = append(theirs, time.Since(begin))
			theirsCPU = append(theirsCPU, cmd.ProcessState.UserTime()+cmd.ProcessState.SystemTime())
		}
	}
	for _, list := range [][]time.Duration{ours, theirs, oursCPU, theirsCPU} {
		slices.Sort(list)
	}
	a, c := ours[len(ours)/2], theirs[len(theirs)/2]
	b.ReportMetric(size/a.Seconds()/1e6, "MB/s")
	b.ReportMetric(size/c.Seconds()/1e6, "openssl-MB/s")
	b.ReportMetric(c.Seconds()/a.Seconds(), "x-openssl")
	// By processor time, which others on the machine do not change.
	b.ReportMetric(theirsCPU[len(theirsCPU)/2].Seconds()/oursCPU[len(oursCPU)/2].Seconds(), "cpu-x-openssl")
}

// cpu is the processor time that this process has used.
func cpu(tb testing.TB) time.Duration {
	tb.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		tb.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
