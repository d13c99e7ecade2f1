package rtps

import (
	"bytes"
	"testing"
	"time"
)

// TestLossIsRepaired: a fifth of all datagrams is lost in each direction, discovery included, and every sample arrives, in
// order.
func TestLossIsRepaired(t *testing.T) {
	d := freeDomain(t)
	a, b := start(t, d, lossy(t, 0.2)), start(t, d, lossy(t, 0.2))
	var in inbox
	w := newWriter(t, a, WriterConfig{Reliable: true, Depth: 500})
	r := newReader(t, b, ReaderConfig{Reliable: true, Handler: in.take})
	matched(t, w, r)
	for i := range 400 {
		write(t, w, i, number(i))
		time.Sleep(time.Millisecond) // the pace of a topic, not a wait for something
	}
	eventually(t, "all samples", func() bool { return in.len() >= 400 })
	for i, s := range in.all() {
		if s != number(i) {
			t.Fatalf("sample %d is %s", i, s)
		}
	}
	eventually(t, "acknowledgement", w.Acked)
	if st := r.Stats(); st.Received != 400 || st.Lost != 0 || st.Conflicts != 0 {
		t.Errorf("%+v", st)
	}
}

// TestLossIsLoss: without reliability what is lost stays lost; if not, the loss above was none.
func TestLossIsLoss(t *testing.T) {
	d := freeDomain(t)
	a, b := start(t, d, lossy(t, 0.2)), start(t, d, lossy(t, 0.2))
	var in inbox
	w := newWriter(t, a, WriterConfig{Reliable: true, Depth: 500})
	r := newReader(t, b, ReaderConfig{Handler: in.take})
	matched(t, w, r)
	for i := range 400 {
		write(t, w, i, number(i))
	}
	last := ""
	for i := 400; in.len() == 0 || last < number(400); i++ { // until something from after the 400 arrives
		write(t, w, i, number(i))
		time.Sleep(time.Millisecond)
		all := in.all()
		if len(all) > 0 {
			last = all[len(all)-1]
		}
	}
	all := in.all()
	if n := len(all); n > 390 || n < 150 {
		t.Errorf("%d of 400 samples arrived; expected about 256", n)
	}
	for i := 1; i < len(all); i++ {
		if all[i] <= all[i-1] {
			t.Fatalf("%s after %s", all[i], all[i-1])
		}
	}
}

// TestLongSamples: 900 kB in fragments, with and without loss.
func TestLongSamples(t *testing.T) {
	const size = 900_000
	for name, part := range map[string]float64{"clean": 0, "one in twenty lost": 0.05} {
		t.Run(name, func(t *testing.T) {
			d := freeDomain(t)
			a, b := start(t, d, lossy(t, part)), start(t, d, lossy(t, part))
			got := make(chan []byte, 8)
			w := newWriter(t, a, WriterConfig{Reliable: true, Depth: 2, MaxSample: size + 4})
			r := newReader(t, b, ReaderConfig{Reliable: true, MaxSample: size + 4, Handler: func(s *Sample) {
				got <- bytes.Clone(s.Payload)
			}})
			matched(t, w, r)
			rnd := seeded(t)
			for i := range 3 {
				p := cdr("")
				for len(p) < size+4 {
					p = append(p, byte(rnd.Uint32()))
				}
				begin := time.Now()
				if _, err := w.Write(uint64(i), p); err != nil {
					t.Fatal(err)
				}
				select {
				case g := <-got:
					if !bytes.Equal(g, p) {
						t.Fatalf("sample %d differs: %d of %d bytes", i, len(g), len(p))
					}
					t.Logf("%d bytes in %v", size, time.Since(begin).Round(time.Millisecond))
				case <-time.After(patience):
					t.Fatalf("sample %d: not there after %v; %+v", i, patience, r.Stats())
				}
			}
		})
	}
}

// TestLateJoiners: who comes late gets the last samples if both sides are transient-local, and else nothing old.
func TestLateJoiners(t *testing.T) {
	d := freeDomain(t)
	a, b := start(t, d), start(t, d)
	w := newWriter(t, a, WriterConfig{Reliable: true, TransientLocal: true, Depth: 3})
	for i := range 10 {
		write(t, w, i, number(i))
	}
	var late, volatile, besteffort inbox
	newReader(t, b, ReaderConfig{Reliable: true, TransientLocal: true, Handler: late.take})
	newReader(t, b, ReaderConfig{Reliable: true, Handler: volatile.take})
	newReader(t, b, ReaderConfig{Handler: besteffort.take})
	eventually(t, "three readers", func() bool { return w.Readers() == 3 })
	eventually(t, "the last three", func() bool { return late.len() == 3 })
	write(t, w, 10, number(10))
	eventually(t, "the new one", func() bool { return late.len() == 4 && volatile.len() >= 1 && besteffort.len() >= 1 })
	if g := late.all(); g[0] != number(7) || g[3] != number(10) {
		t.Errorf("the late one got %v", g)
	}
	if v, e := volatile.all(), besteffort.all(); len(v) != 1 || len(e) != 1 {
		t.Errorf("volatile readers got %v and %v; expected the new one only", v, e)
	}
}
