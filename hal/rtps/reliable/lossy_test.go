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
