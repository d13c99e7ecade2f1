package e2e

import (
	"context"
	"fmt"
	"net/netip"
	"runtime"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/robowarden/robowarden/hal/host"
	"github.com/robowarden/robowarden/hal/rtps"
	"github.com/robowarden/robowarden/test/bench"
	"github.com/robowarden/robowarden/test/internal/bus"
	"github.com/robowarden/robowarden/test/internal/domain"
	"github.com/robowarden/robowarden/test/internal/proc"
)

// reading is one process that reads a stream.
type reading struct {
	name string
	*proc.Process
	cpu []time.Duration // by round
}

// BenchmarkDDSReading measures what it costs to read 1 000 Odometry a second reliably: the participant, which decodes all of
// each, and the simplest subscriber in C on CycloneDDS. Both read the same stream in the same seconds.
func BenchmarkDDSReading(b *testing.B) {
	const rate, window = 1000, 5 * time.Second
	d := domain.Start(b, bus.Cyclone)
	pub := d.Node(b, bus.Peer(b, d, "ddspub", "/ddspub", "--topic=/odom", "--type=odometry", fmt.Sprintf("--rate=%d", rate), "--wait=2"))
	all := []*reading{
		{name: cyclone, Process: bench.CycloneReader(b, d, "odometry", "/odom")},
		{name: participant, Process: bench.ParticipantReader(b, d, "/odom")},
	}
	said(b, pub, `(?m)^matched 2 `)
	idle(b, 2*time.Second)
	for b.Loop() {
		for range roundsOr(12) {
			before := []time.Duration{must(proc.CPUOf(all[0].PID()))(b), must(proc.CPUOf(all[1].PID()))(b)}
			start := time.Now()
			idle(b, window)
			for i, r := range all {
				used := must(proc.CPUOf(r.PID()))(b) - before[i]
				r.cpu = append(r.cpu, time.Duration(float64(used)/time.Since(start).Seconds()))
			}
		}
		var ratios []float64
		for i := range all[0].cpu {
			ratios = append(ratios, float64(all[1].cpu[i])/float64(all[0].cpu[i]))
		}
		slices.Sort(ratios)
		ratio := ratios[len(ratios)/2]
		b.ReportMetric(ratio, "CPU/cyclone")
		for _, r := range all {
			slices.Sort(r.cpu)
			u := must(r.Usage())(b)
			r.Stop(3 * time.Second)
			m := said(b, r.Process, `(?m)^read (\d+)`)
			figure(b, "DDS, reliable Odometry at %d Hz, %s: %.2f ms of CPU a second (%.2f to %.2f), resident %.1f MB, %s samples in all",
				rate, r.name, ms(r.cpu[len(r.cpu)/2]), ms(r.cpu[0]), ms(r.cpu[len(r.cpu)-1]), mb(u.RSSBytes), m[1])
		}
		figure(b, "DDS, reliable Odometry at %d Hz, CPU of the participant beside the C subscriber on CycloneDDS: %.2f ×", rate, ratio)
	}
}

// said waits for a line of a process.
func said(t testing.TB, p *proc.Process, pattern string) []string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	return must(p.WaitOutput(ctx, pattern))(t)
}

func ms(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// BenchmarkDDSParticipantHeap counts the heap objects of the participant alone: it reads a reliable stream at several
// kilohertz and writes each sample on to a reliable reader; both peers are processes on CycloneDDS.
func BenchmarkDDSParticipantHeap(b *testing.B) {
	const rate, patience = 5000, 4 * time.Minute
	d := domain.Here(b, bus.Cyclone)
	p := must(rtps.New(rtps.Config{
		Domain: d.Number, Host: netip.MustParseAddr(d.Address()), Clock: host.Clock{}.Boot, Civil: host.Clock{}.Civil,
	}))(b)
	const odometry = "nav_msgs::msg::dds_::Odometry_"
	w := must(p.NewWriter(rtps.WriterConfig{Topic: "rt/on", Type: odometry, Reliable: true, Depth: 100, MaxSample: 1024}))(b)
	var count atomic.Uint64
	must(p.NewReader(rtps.ReaderConfig{Topic: "rt/odom", Type: odometry, Reliable: true, MaxRateHz: 1 << 20, Handler: func(s *rtps.Sample) {
		_, _ = w.Write(count.Add(1), s.Payload) // a reader that is gone is counted by the peer
	}}))(b)
	ctx, cancel := context.WithCancel(b.Context())
	done := make(chan error, 1)
	go func() { done <- p.Run(ctx) }()
	d.Node(b, bus.Peer(b, d, "ddssub", "/ddssub", "--topic=/on", "--type=odometry"))
	until(b, 20*time.Second, "a reader", func() bool { return w.Readers() == 1 })
	d.Node(b, bus.Peer(b, d, "ddspub", "/ddspub", "--topic=/odom", "--type=odometry", fmt.Sprintf("--rate=%d", rate), "--wait=1"))
	until(b, 20*time.Second, "a stream", func() bool { return count.Load() > rate })
	for b.Loop() {
		runtime.GC()
		first, objects, start := count.Load(), allocated(), time.Now()
		idle(b, min(spanOr(patience), heapMessages*time.Second/rate))
		objects = allocated() - objects
		samples := count.Load() - first
		figure(b, "DDS, participant alone: %d samples of Odometry read and written in %v, %d heap objects, %.5f a sample (bar %g); %d readers",
			samples, time.Since(start).Round(time.Second), objects, float64(objects)/float64(samples), heapBar, w.Readers())
		b.ReportMetric(float64(objects)/float64(samples), "objects/sample")
	}
	cancel()
	if err := <-done; err != nil {
		b.Fatal(err)
	}
}
