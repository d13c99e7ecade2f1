package e2e

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/robowarden/robowarden/test/bench"
	"github.com/robowarden/robowarden/test/internal/ros"
	"github.com/robowarden/robowarden/test/plant"
)

// DESIGN's bars of latency.
const (
	sameJobBar  = 0.6                   // of roscpp's p50
	additionBar = 15 * time.Microsecond // of the pipeline to that
	loadBar     = 1.5                   // of a relay's p50 and p99, both under SCHED_FIFO beside a full load
	// guardFIFO is the guard's own priority.
	guardFIFO = 40
	// driverFIFO is above all that is measured.
	driverFIFO = 60
)

// Names of the workers beside the standard peers.
const (
	ours        = "robowarden"
	sameJob     = "same job"
	sameJobFIFO = "same job, FIFO"
	robotJob    = "same job, FIFO, robot"
)

// roundsOr is how many rounds a benchmark makes: ROBOWARDEN_ROUNDS, for a first look, or as many as its figures need.
func roundsOr(n int) int {
	if v, err := strconv.Atoi(os.Getenv("ROBOWARDEN_ROUNDS")); err == nil && v > 0 {
		return v
	}
	return n
}

// spanOr is how long a benchmark counts: ten seconds for each of ROBOWARDEN_ROUNDS, for a first look, or the whole span.
func spanOr(whole time.Duration) time.Duration {
	return min(whole, time.Duration(roundsOr(1<<20))*10*time.Second)
}

// BenchmarkGuardBesidePeers measures how long a command takes through the guard with its full pipeline (policy,
// interlock, journal, a robot that feeds it), and through the guard's transport alone, beside a relay, a roscpp and a rospy
// node that do the same job, in turns within one run. With ROBOWARDEN_REPORT it writes the report to that file.
func BenchmarkGuardBesidePeers(b *testing.B) {
	m := ros.StartMaster(b, ros.Options{})
	in, out := bench.Topics(bench.Gate, "guard")
	plant.Start(b, m, plant.Config{CommandTopic: out, LockTopic: "/robowarden/lock"})
	s := newSite(b, m, siteConfig{lock: true, commandIn: in, commandOut: out, commandPublisher: "/bench_driver", journalMiB: 256})
	g := s.start(b)
	g.ready(b)
	workers := append(bench.Peers(b, m, bench.Gate), bench.SameJob(b, m, sameJob, 0), bench.SameJob(b, m, sameJobFIFO, guardFIFO),
		bench.SameJobForRobot(b, m, robotJob, guardFIFO, func(topic string) { secondRobot(b, m, topic) }), bench.Worker{Name: ours, PID: g.PID(), In: in, Out: out})
	ctx, cancel := context.WithTimeout(b.Context(), 20*time.Minute)
	defer cancel()
	for b.Loop() {
		r, err := bench.Run(ctx, bench.Config{
			Master: m.URI(), Job: bench.Gate, Workers: workers, Rates: []float64{100, 1000}, Rounds: roundsOr(12), Visit: time.Second, Log: b.Logf,
		})
		if err != nil {
			b.Fatal(err)
		}
		report(b, g, r)
		for _, rate := range r.Rates {
			b.ReportMetric(r.Ratio(ours, bench.Roscpp, rate, 0.5), fmt.Sprintf("p50/roscpp@%gHz", rate))
			same, added := r.Ratio(sameJob, bench.Roscpp, rate, 0.5), r.Difference(ours, robotJob, rate, 0.5)
			b.ReportMetric(same, fmt.Sprintf("same-job-p50/roscpp@%gHz", rate))
			b.ReportMetric(added/1e3, fmt.Sprintf("pipeline-µs@%gHz", rate))
			figure(b, "%g Hz, same job beside roscpp: p50 %.2f × (bar %.2f), p99 %.2f ×", rate, same, sameJobBar, r.Ratio(sameJob, bench.Roscpp, rate, 0.99))
			figure(b, "%g Hz, the full pipeline's addition to the same job for the same two readers, both under SCHED_FIFO: p50 %.1f µs (bar %.0f µs), p99 %.1f µs; "+
				"with the second reader: p50 %.1f µs, p99 %.1f µs", rate, added/1e3, float64(additionBar)/1e3, r.Difference(ours, robotJob, rate, 0.99)/1e3,
				r.Difference(ours, sameJobFIFO, rate, 0.5)/1e3, r.Difference(ours, sameJobFIFO, rate, 0.99)/1e3)
		}
	}
}

// secondRobot is a robot as the guard's, that listens to a topic and says nothing which the guard would hear.
func secondRobot(b *testing.B, m *ros.Master, topic string) {
	b.Helper()
	plant.Start(b, m, plant.Config{NodeName: "/second_plant", CommandTopic: topic, Extra: []string{
		"--odom-topic=/second/odom", "--joints-topic=/second/joint_states", "--imu-topic=/second/imu", "--tf=false", "--battery-hz=0",
		"--stop-service=/second/stop", "--dock-service=/second/dock",
	}})
}

// BenchmarkGuardUnderLoad measures the guard beside a roscpp relay, both under SCHED_FIFO, while every processor is kept
// busy: each reads the same robot's poses, joints and IMU at 1 kHz and a command at 1 kHz, and passes the command on.
func BenchmarkGuardUnderLoad(b *testing.B) {
	m := ros.StartMaster(b, ros.Options{})
	in, out := bench.Topics(bench.Gate, "guard")
	plant.Start(b, m, plant.Config{
		CommandTopic: out, LockTopic: "/robowarden/lock", OdomHz: 1000, Extra: []string{"--joints-hz=1000", "--imu-hz=1000"},
	})
	s := newSite(b, m, siteConfig{lock: true, commandIn: in, commandOut: out, commandPublisher: "/bench_driver", journalMiB: 256})
	g := s.start(b)
	g.ready(b)
	const relay = "roscpp relay, FIFO"
	workers := []bench.Worker{bench.BusyRelay(b, m, relay, guardFIFO), {Name: ours, PID: g.PID(), In: in, Out: out}}
	load := bench.Load(b)
	bench.Realtime(b, driverFIFO)
	ctx, cancel := context.WithTimeout(b.Context(), 10*time.Minute)
	defer cancel()
	for b.Loop() {
		r, err := bench.Run(ctx, bench.Config{
			Master: m.URI(), Job: bench.Gate, Workers: workers, Rates: []float64{1000}, Rounds: roundsOr(12), Visit: 2 * time.Second, Log: b.Logf,
		})
		if err != nil {
			b.Fatal(err)
		}
		p50, p99 := r.Ratio(ours, relay, 1000, 0.5), r.Ratio(ours, relay, 1000, 0.99)
		b.ReportMetric(p50, "p50/relay")
		b.ReportMetric(p99, "p99/relay")
		figure(b, "4 topics × 1 kHz under full load (%s), guard and a roscpp relay under SCHED_FIFO: p50 %.1f and %.1f µs, %.2f × (bar %.1f); p99 %.1f and %.1f µs, %.2f × (bar %.1f)",
			load, us(r.Quantile(ours, 1000, 0.5)), us(r.Quantile(relay, 1000, 0.5)), p50, loadBar,
			us(r.Quantile(ours, 1000, 0.99)), us(r.Quantile(relay, 1000, 0.99)), p99, loadBar)
	}
}

func us(d time.Duration) float64 { return float64(d) / float64(time.Microsecond) }

// figure logs a line and adds it to the report of make bench.
func figure(b *testing.B, format string, args ...any) {
	b.Helper()
	line := fmt.Sprintf(format, args...)
	b.Log(line)
	keepFigure(b, line)
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
		"the others only pass the command on: the same job is its transport without the rest, and with a robot it writes to two readers as the guard does, the robot first. A message that a worker passed over for a newer one\n" +
		"counts until that one came back. Ratios are medians over rounds that visit everybody in turn.\n\n")
	if err := r.WriteMarkdown(&text, "roscpp"); err != nil {
		b.Fatal(err)
	}
	text.WriteString("### Against the bars\n\n")
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
