package e2e

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/robowarden/robowarden/test/bench"
	"github.com/robowarden/robowarden/test/internal/bus"
	"github.com/robowarden/robowarden/test/internal/domain"
	"github.com/robowarden/robowarden/test/plant"
)

// ddsBar is DESIGN's: the participant's p50 beside that of the same relay in C on CycloneDDS.
const ddsBar = 0.9

// Names of the workers on DDS.
const (
	cyclone         = "cyclone"
	cycloneFIFO     = "cyclone, FIFO"
	participant     = "participant"
	participantFIFO = "participant, FIFO"
	nodeFIFO        = "node, FIFO"
)

// guardOnDDS starts a robot and a guard that lets commands of the benchmark's driver through to it.
func guardOnDDS(b *testing.B, d *domain.Domain) (*guard, bench.Worker) {
	b.Helper()
	in, out := bench.Topics(bench.Gate, "guard")
	plant.Start(b, d, plant.Config{CommandTopic: out, LockTopic: "/robowarden/lock"})
	s := newSite(b, d, siteConfig{lock: true, commandIn: in, commandOut: out, commandPublisher: "/bench_driver", journalMiB: 256})
	g := s.start(b)
	g.ready(b)
	return g, bench.Worker{Name: ours, PID: g.PID(), In: in, Out: out}
}

// BenchmarkDDSGate measures how long a command takes over DDS: through a relay in C on CycloneDDS, through the participant
// that does just the same, and through the guard with its full pipeline, in turns within one run, as ordinary processes and
// under the guard's own scheduling. The driver is a program on CycloneDDS, too.
func BenchmarkDDSGate(b *testing.B) {
	d := domain.Start(b, bus.Cyclone)
	g, w := guardOnDDS(b, d)
	workers := []bench.Worker{
		bench.CycloneRelay(b, d, cyclone, 0), bench.Participant(b, d, participant, 0),
		bench.CycloneRelay(b, d, cycloneFIFO, guardFIFO), bench.Participant(b, d, participantFIFO, guardFIFO),
		bench.Node(b, d, nodeFIFO, guardFIFO), w,
	}
	ctx, cancel := context.WithTimeout(b.Context(), 20*time.Minute)
	defer cancel()
	for b.Loop() {
		r, err := bench.RunOn(ctx, b, d, driverFIFO, bench.Config{
			Job: bench.Gate, Workers: workers, Rates: []float64{100, 1000}, Rounds: roundsOr(12), Visit: time.Second, Log: b.Logf,
		})
		if err != nil {
			b.Fatal(err)
		}
		section(b, "DDS", "The driver and the relay named cyclone are C on CycloneDDS 0.10.2; the participant does what that relay does. The node is the\n"+
			"guard's own with nothing behind it: like the guard it reads commands as a best-effort reader and writes them to two readers, the\n"+
			"robot and the driver. All are on one loopback in a network of its own.")
		table(b, r.Only(" on DDS", func(int) bool { return true }), cyclone)
		for _, rate := range r.Rates {
			ratio, fifo := r.Ratio(participant, cyclone, rate, 0.5), r.Ratio(participantFIFO, cycloneFIFO, rate, 0.5)
			added := r.Difference(ours, nodeFIFO, rate, 0.5)
			b.ReportMetric(ratio, fmt.Sprintf("p50/cyclone@%gHz", rate))
			b.ReportMetric(added/1e3, fmt.Sprintf("pipeline-µs@%gHz", rate))
			figure(b, "DDS, %g Hz, participant beside the same relay in C on CycloneDDS: p50 %.2f × (bar %.1f), p99 %.2f ×; both under SCHED_FIFO p50 %.2f ×, p99 %.2f ×",
				rate, ratio, ddsBar, r.Ratio(participant, cyclone, rate, 0.99), fifo, r.Ratio(participantFIFO, cycloneFIFO, rate, 0.99))
			figure(b, "DDS, %g Hz, the guard beside the C relay, both under SCHED_FIFO: p50 %.2f ×, p99 %.2f ×; the full pipeline's addition to its node: p50 %.1f µs, p99 %.1f µs",
				rate, r.Ratio(ours, cycloneFIFO, rate, 0.5), r.Ratio(ours, cycloneFIFO, rate, 0.99), added/1e3, r.Difference(ours, nodeFIFO, rate, 0.99)/1e3)
		}
		if u, err := g.Usage(); err == nil {
			figure(b, "DDS, guard after the run: resident %.1f MB, peak %.1f MB, %d threads", mb(u.RSSBytes), mb(u.HWMBytes), u.Threads)
		}
	}
}

// section begins a chapter of the report of make bench.
func section(b *testing.B, title, text string) {
	b.Helper()
	keepText(b, fmt.Sprintf("\n## %s\n\n%s\n\n", title, text))
}

// table logs a report's tables and adds them to the report of make bench.
func table(b *testing.B, r *bench.Report, baseline string) {
	b.Helper()
	var text strings.Builder
	if err := r.WriteMarkdown(&text, baseline); err != nil {
		b.Fatal(err)
	}
	b.Log("\n" + text.String())
	keepText(b, text.String())
}
