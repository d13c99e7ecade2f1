package rtps

import (
	"slices"
	"testing"
	"time"
)

// BenchmarkRelay measures from a command's sending to its arrival behind a relay of ours, all over sockets of the loopback,
// at the pace of commands: the process sleeps in between, as on a robot. Its figures compare versions of this package in one
// run; how it stands beside others is measured in test/dds.
func BenchmarkRelay(b *testing.B) {
	const pace = time.Millisecond
	d := freeDomain(b)
	a, relay := start(b, d), start(b, d)
	back := make(chan struct{}, 16)
	out := newWriter(b, relay, WriterConfig{Topic: "rt/out", Type: typ, Reliable: true, Depth: 8})
	var seq uint64
	in := newReader(b, relay, ReaderConfig{Topic: "rt/in", Type: typ, Reliable: true, Handler: func(s *Sample) {
		seq++
		if _, err := out.Write(seq, s.Payload); err != nil {
			b.Error(err)
		}
	}})
	end := newReader(b, a, ReaderConfig{Topic: "rt/out", Type: typ, Reliable: true, Handler: func(*Sample) { back <- struct{}{} }})
	w := newWriter(b, a, WriterConfig{Topic: "rt/in", Type: typ, Reliable: true, Depth: 8})
	matched(b, w, in)
	matched(b, out, end)
	payload, n := cdr("a command of the usual size, which has six numbers in it"), uint64(0)
	var took []time.Duration
	for b.Loop() {
		time.Sleep(pace) // what is measured is the way, not the pace
		n++
		at := time.Now()
		if _, err := w.Write(n, payload); err != nil {
			b.Fatal(err)
		}
		<-back
		took = append(took, time.Since(at))
	}
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)/2].Nanoseconds())/1000, "µs-p50")
	b.ReportMetric(float64(took[len(took)*9/10].Nanoseconds())/1000, "µs-p90")
}
