package rtps

import (
	"testing"
	"time"
)

// TestSamplesForSome: a writer that serves some readers keeps the others out of its samples, with loss and without, and
// neither waits for them nor is asked by them.
func TestSamplesForSome(t *testing.T) {
	for name, loss := range map[string]float64{"no loss": 0, "loss": 0.2} {
		t.Run(name, func(t *testing.T) {
			d := freeDomain(t)
			a, b, c := start(t, d, lossy(t, loss)), start(t, d), start(t, d)
			var in, none inbox
			w := newWriter(t, a, WriterConfig{
				Reliable: true, Depth: 200,
				Serves: func(r *RemoteReader) bool { return r.Participant.GUID == b.GUID() },
			})
			mine := newReader(t, b, ReaderConfig{Reliable: true, Handler: in.take})
			other := newReader(t, c, ReaderConfig{Reliable: true, Handler: none.take})
			eventually(t, "both matches", func() bool { return w.Readers() == 2 && len(mine.Writers()) == 1 && len(other.Writers()) == 1 })
			for i := range 100 {
				s, err := w.Write(uint64(i), cdr(number(i)))
				if err != nil || s.Delivered+s.Behind != 1 {
					t.Fatalf("write: %+v, %v", s, err)
				}
				time.Sleep(time.Millisecond) // the pace of a topic
			}
			eventually(t, "all samples", func() bool { return in.len() == 100 })
			eventually(t, "acknowledgement by both", w.Acked)
			if n := none.len(); n != 0 {
				t.Errorf("%d samples reached whom they were not for", n)
			}
			if st := other.Stats(); st.Received != 0 {
				t.Errorf("%+v", st)
			}
		})
	}
}

func TestServesWithKeptSamples(t *testing.T) {
	p := start(t, freeDomain(t))
	if _, err := p.NewWriter(WriterConfig{
		Topic: topic, Type: typ, Reliable: true, TransientLocal: true, Serves: func(*RemoteReader) bool { return true },
	}); err == nil {
		t.Error("a choice of readers passes with samples that are kept for all")
	}
}
