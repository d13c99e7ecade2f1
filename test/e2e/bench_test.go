package e2e

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/robowarden/robowarden/test/bench"
	"github.com/robowarden/robowarden/test/internal/ros"
	"github.com/robowarden/robowarden/test/plant"
)

// BenchmarkGuardBesidePeers measures how long a command takes through the guard with its full pipeline (policy,
// interlock, journal, a robot that feeds it), beside a relay, a roscpp and a rospy node that only pass it on, in turns
// within one run. With ROBOWARDEN_REPORT it writes the report to that file.
func BenchmarkGuardBesidePeers(b *testing.B) {
	m := ros.StartMaster(b, ros.Options{})
	in, out := bench.Topics(bench.Gate, "guard")
	plant.Start(b, m, plant.Config{CommandTopic: out, LockTopic: "/robowarden/lock"})
	s := newSite(b, m, siteConfig{lock: true, commandIn: in, commandOut: out, commandPublisher: "/bench_driver", journalMiB: 256})
	g := s.start(b)
	g.ready(b)
	workers := append(bench.Peers(b, m, bench.Gate), bench.Worker{Name: "robowarden", PID: g.PID(), In: in, Out: out})
	ctx, cancel := context.WithTimeout(b.Context(), 20*time.Minute)
	defer cancel()
	for b.Loop() {
		r, err := bench.Run(ctx, bench.Config{
			Master: m.URI(), Job: bench.Gate, Workers: workers, Rates: []float64{100, 1000}, Rounds: 10, Visit: time.Second, Log: b.Logf,
		})
		if err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(r.Ratio("robowarden", "roscpp", 1000, 0.5), "p50/roscpp@1kHz")
		b.ReportMetric(r.Ratio("robowarden", "roscpp", 100, 0.5), "p50/roscpp@100Hz")
		report(b, g, r)
	}
}

func report(b *testing.B, g *guard, r *bench.Report) {
	b.Helper()
	var text strings.Builder
	commit, _ := exec.Command("git", "rev-parse", "HEAD").Output()
	fmt.Fprintf(&text, "# Benchmarks\n\nWritten by `make bench`; do not edit.\n\n- commit: `%s`\n- machine: %s, %d cores, %s\n- date: %s\n",
		strings.TrimSpace(string(commit)), cpuName(), runtime.NumCPU(), runtime.Version(), time.Now().UTC().Format(time.RFC3339))
	if s, ok := g.status(); ok {
		fmt.Fprintf(&text, "- guard: scheduling %s, %d channels, journal %s\n", s.Scheduling, len(s.Channels), s.Journal)
	}
	if u, err := g.Usage(); err == nil {
		fmt.Fprintf(&text, "- guard after the run: resident %.1f MB, peak %.1f MB, %d threads, %d files\n",
			float64(u.RSSBytes)/1e6, float64(u.HWMBytes)/1e6, u.Threads, u.Files)
	}
	text.WriteString("\nThe guard runs its full pipeline (zones, triggers, ladder, journal, a robot that sends poses, joints and IMU);\n" +
		"the others only pass the command on. Ratios are medians over rounds that visit everybody in turn.\n\n")
	if err := r.WriteMarkdown(&text, "roscpp"); err != nil {
		b.Fatal(err)
	}
	b.Log("\n" + text.String())
	path := os.Getenv("ROBOWARDEN_REPORT")
	if path == "" {
		return
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		b.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text.String()), 0o644); err != nil {
		b.Fatal(err)
	}
}

func cpuName() string {
	raw, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		return runtime.GOARCH
	}
	for line := range strings.SplitSeq(string(raw), "\n") {
		if name, ok := strings.CutPrefix(line, "model name\t: "); ok {
			return name
		}
	}
	return runtime.GOARCH
}
