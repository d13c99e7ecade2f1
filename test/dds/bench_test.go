package dds

import (
	"fmt"
	"testing"
	"time"

	"github.com/robowarden/robowarden/test/internal/cpp"
	"github.com/robowarden/robowarden/test/internal/domain"
	"github.com/robowarden/robowarden/test/internal/netns"
	"github.com/robowarden/robowarden/test/internal/proc"
)

// BenchmarkRelay measures a command's way from rt/cmd_vel_raw to rt/cmd_vel and back to who sent it, through ours and
// through a relay in C on CycloneDDS, in turns.
func BenchmarkRelay(b *testing.B) {
	const rounds, count = 5, 500
	for b.Loop() {
		best := map[string]float64{}
		for range rounds {
			for _, relay := range []string{"ours", "C on CycloneDDS"} {
				line, p50 := relayed(b, relay, count)
				b.Logf("%s: %s", relay, line)
				if v, ok := best[relay]; !ok || p50 < v {
					best[relay] = p50
				}
			}
		}
		b.ReportMetric(best["ours"], "µs-p50-ours")
		b.ReportMetric(best["C on CycloneDDS"], "µs-p50-cyclone")
	}
}

func relayed(b *testing.B, relay string, count int) (line string, p50 float64) {
	b.Helper()
	h := netns.New(b)
	var r *proc.Process
	if relay == "ours" {
		r = Start(b, h, Ours, "relay").Process
	} else {
		r = h.Start(b, proc.Spec{Argv: []string{cpp.Binary(b, "ddsrelay"), fmt.Sprint(domain.ID), h.Address}})
	}
	p := Start(b, h, Cyclone, "ddspinger", samples(count), "--rate=200")
	m := p.Await(b, time.Minute, `(?m)^rtt .*p50_us=(\d+).*$`)
	r.Stop(3 * time.Second)
	return m[0], float64(number(b, m[1]))
}

// BenchmarkStream measures what ours costs at 1 kHz of odometry, reading and writing reliably.
func BenchmarkStream(b *testing.B) {
	const n = 10_000
	for b.Loop() {
		for _, w := range ways([]Vendor{Cyclone, Fast}) {
			x, y := netns.Pair(b)
			s := Start(b, y, w.sub, "ddssub", "--depth=0")
			p := Start(b, x, w.pub, "ddspub", "--depth=0", samples(n), "--rate=1000", "--wait=1", "--linger=60")
			ours := p
			if w.sub == Ours {
				ours = s
			}
			p.Matched(b, 1)
			before, start := must(ours.Usage())(b), time.Now()
			p.Await(b, time.Minute, `(?m)^sent `)
			after := must(ours.Usage())(b)
			b.Logf("%s: %.1f %% of a core, resident %.1f MB", w, 100*float64(after.CPU-before.CPU)/float64(time.Since(start)), mb(after.RSSBytes))
			s.Stop(3 * time.Second)
			p.Stop(3 * time.Second)
		}
	}
}

func must[T any](v T, err error) func(testing.TB) T {
	return func(t testing.TB) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}
