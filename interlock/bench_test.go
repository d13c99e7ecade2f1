package interlock

import (
	"testing"
	"time"
)

func BenchmarkStep(b *testing.B) {
	for _, c := range []struct {
		name   string
		faults int
	}{{"clear", 0}, {"3 active", 3}, {"all active", int(NumTriggers)}} {
		b.Run(c.name, func(b *testing.B) {
			s := newScript(b, nil)
			s.run(time.Second)
			for t := range c.faults {
				s.in.Conditions[t] = Fault(CauseStale, 0)
			}
			b.ReportAllocs()
			for b.Loop() {
				s.now += ms
				s.m.Step(s.now, s.in, &s.out)
			}
		})
	}
	b.Run("digest", func(b *testing.B) {
		s := newScript(b, nil)
		s.set(PoseStale, Fault(CauseStale, 0)).set(JointsMissing, Fault(CauseStale, 0)).run(time.Second)
		b.ReportAllocs()
		for b.Loop() {
			_ = s.out.Digest()
		}
	})
}
