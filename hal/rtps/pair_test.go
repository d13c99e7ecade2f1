package rtps

import (
	"testing"
)

// TestTwoFindEachOther: discovery, best effort and reliable data both ways.
func TestTwoFindEachOther(t *testing.T) {
	for _, c := range []struct {
		name             string
		offer, want, got bool
	}{
		{"reliable", true, true, true},
		{"best effort from reliable", true, false, true},
		{"best effort", false, false, true},
		{"reliable from best effort", false, true, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := freeDomain(t)
			a, b := start(t, d), start(t, d)
			var in inbox
			w, err := a.NewWriter(WriterConfig{Topic: topic, Type: typ, Reliable: c.offer, Depth: 100})
			if err != nil {
				t.Fatal(err)
			}
			r, err := b.NewReader(ReaderConfig{Topic: topic, Type: typ, Reliable: c.want, Handler: in.take})
			if err != nil {
				t.Fatal(err)
			}
			if !c.got {
				eventually(t, "a mismatch", func() bool { return b.ev.count(EndpointMismatch) > 0 && a.ev.count(EndpointMismatch) > 0 })
				return
			}
			eventually(t, "a match", func() bool { return w.Readers() == 1 && len(r.Writers()) == 1 })
			for i := range 50 {
				if s, err := w.Write(uint64(i), cdr(number(i))); err != nil || s.Delivered != 1 {
					t.Fatalf("write: %+v, %v", s, err)
				}
			}
			eventually(t, "all samples", func() bool { return in.len() == 50 })
			for i, s := range in.all() {
				if s != number(i) {
					t.Fatalf("sample %d is %s", i, s)
				}
			}
			if c.offer && c.want {
				eventually(t, "acknowledgement", w.Acked)
			}
		})
	}
}
