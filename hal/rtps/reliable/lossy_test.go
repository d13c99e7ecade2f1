package reliable

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/robowarden/robowarden/hal/rtps/wire"
)

// TestEverySampleOnceInOrder: with a history that holds all, a reliable reader gets every sample once and in order,
// whatever the channel loses, doubles and reorders; and everybody falls silent then.
func TestEverySampleOnceInOrder(t *testing.T) {
	for _, loss := range []float64{0, 0.1, 0.3, 0.6} {
		for _, c := range []struct {
			name        string
			n, bytes    int
			every, most time.Duration
		}{
			{"small", 200, 100, 10 * time.Millisecond, 2 * time.Minute},
			{"some fragments", 60, 6000, 10 * time.Millisecond, 2 * time.Minute},
			{"900 kB", 6, 900_000, 100 * time.Millisecond, 5 * time.Minute},
		} {
			t.Run(fmt.Sprintf("%s at %v", c.name, loss), func(t *testing.T) {
				for seed := range uint64(3) {
					w := newWorld(t, seed, channel{loss, loss / 4, 3 * time.Millisecond},
						OutboxConfig{Reliable: true, Depth: c.n, MaxSample: c.bytes, StallAfter: time.Hour})
					r := w.join(InboxConfig{Reliable: true, MaxSample: c.bytes, MaxHeldBytes: 4 * c.bytes, GiveUp: time.Hour}, false)
					for range c.n {
						w.publish(c.bytes)
						w.run(c.every, nil)
					}
					begun := w.now
					if !w.run(c.most, func() bool { return len(r.got) == c.n && w.out.AllAcked() }) {
						t.Fatalf("after %v: %d of %d delivered, next %d; %+v; %+v", c.most, len(r.got), c.n, r.in.Next(), r.in.Stats(), w.out.Stats())
					}
					took := w.now - begun
					if diff := cmp.Diff(numbers(1, wire.SeqNum(c.n)), r.got); diff != "" {
						t.Fatal(diff)
					}
					// A datagram gets through with 1-loss; so does the request for it, and one more of each round is late.
					each := (c.bytes+DefaultFragmentSize-1)/DefaultFragmentSize + 2
					if most := int(float64(c.n*each)*2/((1-loss)*(1-loss))) + 100; w.total > most {
						t.Errorf("%d datagrams, expected at most %d", w.total, most)
					}
					w.run(10*time.Second, nil)
					before := w.total
					if w.run(time.Minute, nil); w.total != before {
						t.Errorf("%d datagrams in a minute in which nothing happened", w.total-before)
					}
					t.Logf("took %v more, %d datagrams, %+v", took, w.total, w.out.Stats())
				}
			})
		}
	}
}

// TestOverwritingUnderLoss: a history of one sample at a rate that repetition cannot keep up with. What is overwritten is
// counted as lost, nothing waits for it, and the last sample arrives.
func TestOverwritingUnderLoss(t *testing.T) {
	for _, loss := range []float64{0.1, 0.3, 0.6} {
		for _, size := range []int{100, 5000} {
			w := newWorld(t, uint64(size), channel{loss, 0.1, 3 * time.Millisecond}, OutboxConfig{Reliable: true, StallAfter: time.Hour})
			r := w.join(InboxConfig{Reliable: true}, false)
			const n = 1000
			for range n {
				w.publish(size)
				w.run(5*time.Millisecond, nil)
			}
			if !w.run(time.Minute, w.out.AllAcked) {
				t.Fatalf("not acknowledged: %+v; %+v", r.in.Stats(), w.out.Stats())
			}
			s := r.in.Stats()
			if r.got[len(r.got)-1] != n || s.Delivered+s.Lost+s.Irrelevant != n || s.Lost == 0 || s.GivenUp > 0 || w.out.Stats().Overwritten == 0 {
				t.Errorf("%d delivered, the last is %d; %+v; %+v", len(r.got), r.got[len(r.got)-1], s, w.out.Stats())
			}
			t.Logf("%d of %d delivered", len(r.got), n)
		}
	}
}

// TestLateJoinersAndRestarts: with large samples and loss. A reader that starts anew gets the history again, under its new
// GUID; readers of a writer that starts anew begin with its first sample.
func TestLateJoinersAndRestarts(t *testing.T) {
	for seed := range uint64(3) {
		c := OutboxConfig{Reliable: true, TransientLocal: true, Depth: 3, MaxSample: 900_000, StallAfter: time.Hour}
		w := newWorld(t, seed, channel{0.2, 0.05, 3 * time.Millisecond}, c)
		in := InboxConfig{Reliable: true, MaxSample: 900_000, MaxHeldBytes: 3_600_000}
		first := w.join(in, true)
		everybody := func(n int) func() bool {
			return func() bool {
				for _, r := range w.readers {
					if !r.gone && len(r.got) < n {
						return false
					}
				}
				return w.out.AllAcked()
			}
		}
		for range 3 {
			w.publish(900_000)
		}
		if !w.run(time.Minute, everybody(3)) {
			t.Fatalf("%v; %+v", first.got, first.in.Stats())
		}
		w.leave(first)
		again, late, live := w.join(in, true), w.join(in, true), w.join(in, false)
		w.run(5*time.Millisecond, nil)
		w.publish(900_000)
		if !w.run(time.Minute, func() bool {
			return w.out.AllAcked() && len(again.got) >= 3 && len(late.got) >= 3 && len(live.got) == 1
		}) {
			t.Fatalf("%v, %v, %v", again.got, late.got, live.got)
		}
		if diff := cmp.Diff([]wire.SeqNum{4}, live.got); diff != "" || again.got[len(again.got)-1] != 4 {
			t.Error(diff, again.got)
		}
		// The writer's process ends in the middle of a sample, and starts with another GUID.
		w.publish(900_000)
		w.run(time.Millisecond, nil)
		old := w.readers
		w.out, w.flying, w.readers, w.sent = NewOutbox(c), nil, nil, map[wire.SeqNum][]byte{}
		for range old[1:] {
			w.join(in, true)
		}
		w.publish(900_000)
		if !w.run(time.Minute, everybody(1)) {
			t.Fatal("nothing arrives from the writer that started anew")
		}
	}
}

// TestAMuteReaderHoldsUpNobody: one reader's answers never arrive. It is stalled, the others get everything, and it costs
// one datagram for each new sample.
func TestAMuteReaderHoldsUpNobody(t *testing.T) {
	w := newWorld(t, 1, channel{0.1, 0, time.Millisecond}, OutboxConfig{Reliable: true, Depth: 10})
	in := InboxConfig{Reliable: true}
	mute, well := w.join(in, false), w.join(in, false)
	mute.mute = true
	for range 100 {
		w.publish(100)
		w.run(100*time.Millisecond, nil)
	}
	if !w.out.Stalled(mute.id) || w.out.Stalled(well.id) || w.out.AllAcked() || len(well.got) != 100 || len(mute.got) < 50 {
		t.Fatalf("stalled: %v, %v; delivered: %d, %d", w.out.Stalled(mute.id), w.out.Stalled(well.id), len(mute.got), len(well.got))
	}
	w.leave(well)
	to := 0
	w.tap = func(d *datagram) {
		if !d.toWriter {
			to++
		}
	}
	w.channel.loss = 0
	w.run(time.Minute, nil)
	w.publish(100)
	if w.run(time.Minute, nil); to != 1 {
		t.Errorf("%d datagrams to a stalled reader for one sample", to)
	}
	// Its answers arrive again: it is caught up.
	mute.mute = false
	w.publish(100)
	if !w.run(time.Minute, w.out.AllAcked) || w.out.Stalled(mute.id) {
		t.Error("still stalled")
	}
}

// TestWithoutRepetitionSamplesAreLost is the off case: the same channel, best effort.
func TestWithoutRepetitionSamplesAreLost(t *testing.T) {
	w := newWorld(t, 1, channel{0.3, 0, 3 * time.Millisecond}, OutboxConfig{Depth: 10})
	r := w.join(InboxConfig{}, false)
	for range 200 {
		w.publish(100)
		w.run(10*time.Millisecond, nil)
	}
	if n := len(r.got); n < 100 || n > 180 {
		t.Errorf("%d of 200 delivered without repetition at 30 %% loss", n)
	}
}

// drawChannel draws a network.
func drawChannel(t *rapid.T) channel {
	return channel{
		loss:   rapid.SampledFrom([]float64{0, 0.1, 0.3, 0.6}).Draw(t, "loss"),
		dup:    rapid.SampledFrom([]float64{0, 0.1, 0.5}).Draw(t, "dup"),
		jitter: rapid.SampledFrom([]time.Duration{0, time.Millisecond, 20 * time.Millisecond}).Draw(t, "jitter"),
	}
}

// TestHistoryReachesEverybody: readers come at any time, volatile or not, and may come again under a new GUID; the history
// is shorter than what is published. Each gets numbers that rise, and in the end all that is still in the history and was
// for it.
func TestHistoryReachesEverybody(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		tb := rapidTB{t: t}
		depth := rapid.SampledFrom([]int{1, 2, 10, 100}).Draw(t, "depth")
		w := newWorld(tb, rapid.Uint64().Draw(t, "seed"), drawChannel(t),
			OutboxConfig{Reliable: true, TransientLocal: true, Depth: depth, MaxSample: 5000, StallAfter: time.Hour})
		w.budget = rapid.IntRange(1, 40).Draw(t, "budget")
		type want struct {
			r        *simReader
			from     wire.SeqNum
			reliable bool
		}
		var wants []want
		for range rapid.IntRange(1, 40).Draw(t, "steps") {
			switch rapid.IntRange(0, 9).Draw(t, "step") {
			case 0:
				reliable, history := rapid.Bool().Draw(t, "reliable"), rapid.Bool().Draw(t, "history")
				c := InboxConfig{
					Reliable: reliable, MaxSample: 5000, GiveUp: time.Hour,
					MaxHeld: rapid.IntRange(1, 256).Draw(t, "held"), MaxPartials: rapid.IntRange(1, 8).Draw(t, "partials"),
				}
				from := w.out.Last() + 1
				if history && reliable {
					from = 1
				}
				if len(wants) < 10 {
					wants = append(wants, want{w.join(c, history), from, reliable})
				}
			case 1:
				if len(wants) > 0 {
					k := rapid.IntRange(0, len(wants)-1).Draw(t, "leaves")
					w.leave(wants[k].r)
					wants = slices.Delete(wants, k, k+1)
				}
			case 2:
				if last := int64(w.out.Last()); last > 0 {
					w.out.Remove(wire.SeqNum(rapid.Int64Range(1, last).Draw(t, "removed")))
				}
			default:
				w.publish(rapid.SampledFrom([]int{12, 300, 1500, 5000}).Draw(t, "bytes"))
			}
			w.run(time.Duration(rapid.IntRange(0, 50).Draw(t, "pause"))*time.Millisecond, nil)
		}
		if !w.run(5*time.Minute, w.out.AllAcked) {
			tb.Fatalf("not acknowledged after five minutes: %+v", w.out.Stats())
		}
		w.run(time.Second, nil)
		for _, x := range wants {
			for n := w.out.history.from(x.from); x.reliable && n <= w.out.Last(); n = w.out.history.from(n + 1) {
				if !slices.Contains(x.r.got, n) {
					tb.Fatalf("reader %d, from %d on, got %v: %d is missing though it is in the history; %+v", x.r.id, x.from, x.r.got, n, x.r.in.Stats())
				}
			}
			if s := x.r.in.Stats(); s.GivenUp+s.Conflicts+s.Resyncs+s.Jumps > 0 {
				tb.Fatalf("among honest peers: %+v", s)
			}
		}
	})
}

// rapidTB lets a world report to rapid.
type rapidTB struct {
	testing.TB
	t *rapid.T
}

func (r rapidTB) Helper()                        { r.t.Helper() }
func (r rapidTB) Logf(format string, a ...any)   { r.t.Logf(format, a...) }
func (r rapidTB) Fatalf(format string, a ...any) { r.t.Fatalf(format, a...) }
func (r rapidTB) Fatal(a ...any)                 { r.t.Fatal(a...) }
