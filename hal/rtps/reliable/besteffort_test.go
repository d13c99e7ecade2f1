package reliable

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/robowarden/robowarden/hal/rtps/wire"
)

func TestBestEffort(t *testing.T) {
	big := pattern(1000, 1)
	other := pattern(1000, 2)
	type step struct {
		s    *wire.Submessage
		want Verdict
	}
	for name, c := range map[string]struct {
		steps []step
		got   []wire.SeqNum
		lost  uint64
	}{
		"starts anywhere and goes on": {
			[]step{{data(1000, "a"), Delivered}, {data(1001, "b"), Delivered}}, []wire.SeqNum{1000, 1001}, 0,
		},
		"holes are passed over": {
			[]step{{data(1, "a"), Delivered}, {data(5, "b"), Delivered}}, []wire.SeqNum{1, 5}, 3,
		},
		"overtaken": {
			[]step{{data(1, "a"), Delivered}, {data(3, "c"), Delivered}, {data(2, "b"), Old}, {data(4, "d"), Delivered}},
			[]wire.SeqNum{1, 3, 4},
			1,
		},
		"doubled": {
			[]step{{data(1, "a"), Delivered}, {data(1, "a"), Duplicate}, {data(2, "b"), Delivered}, {data(1, "a"), Duplicate}},
			[]wire.SeqNum{1, 2},
			0,
		},
		"two contents under one number": {
			[]step{{data(1, "a"), Delivered}, {data(1, "x"), Conflict}, {data(2, "b"), Delivered}, {data(1, "y"), Conflict}},
			[]wire.SeqNum{1, 2},
			0,
		},
		"a dispose under the number of a sample": {
			[]step{{data(1, "a"), Delivered}, {&wire.Submessage{Kind: wire.Data, Seq: 1, Dispose: true}, Conflict}},
			[]wire.SeqNum{1},
			0,
		},
		"fragments in any order": {
			[]step{{frag(1, 3, 1, 300, big), Held}, {frag(1, 1, 2, 300, big), Held}, {frag(1, 4, 1, 300, big), Delivered}},
			[]wire.SeqNum{1},
			0,
		},
		"fragments doubled": {
			[]step{{frag(1, 1, 2, 300, big), Held}, {frag(1, 2, 1, 300, big), Duplicate}, {frag(1, 2, 3, 300, big), Delivered}},
			[]wire.SeqNum{1},
			0,
		},
		"fragments with other bytes": {
			[]step{{frag(1, 1, 2, 300, big), Held}, {frag(1, 2, 2, 300, other), Conflict}, {frag(1, 3, 2, 300, big), Delivered}},
			[]wire.SeqNum{1},
			0,
		},
		"fragments of a delivered sample": {
			[]step{{frag(1, 1, 4, 300, big), Delivered}, {frag(1, 2, 1, 300, big), Duplicate}, {frag(1, 2, 1, 300, other), Conflict}},
			[]wire.SeqNum{1},
			0,
		},
		"fragments of a sample delivered whole": {
			[]step{{data(1, string(big)), Delivered}, {frag(1, 2, 1, 300, big), Duplicate}, {frag(1, 1, 1, 300, big[:600]), Conflict}},
			[]wire.SeqNum{1},
			0,
		},
		"a whole sample beside its fragments": {
			[]step{{frag(1, 1, 2, 300, big), Held}, {data(1, string(big)), Delivered}}, []wire.SeqNum{1}, 0,
		},
		"a whole sample against its fragments": {
			[]step{{frag(1, 1, 2, 300, big), Held}, {data(1, string(other)), Conflict}}, nil, 0,
		},
		"the size of fragments changes": {
			[]step{{frag(1, 1, 1, 300, big), Held}, {frag(1, 2, 1, 200, big), Refused}}, nil, 0,
		},
		"the size of the sample changes": {
			[]step{{frag(1, 1, 1, 300, big), Held}, {frag(1, 2, 1, 300, big[:900]), Refused}}, nil, 0,
		},
		"a newer sample ends an older one in fragments": {
			[]step{{frag(1, 1, 3, 300, big), Held}, {data(2, "b"), Delivered}, {frag(1, 4, 1, 300, big), Old}}, []wire.SeqNum{2}, 1,
		},
		"a newer sample in fragments does not end an older one": {
			[]step{{frag(1, 1, 3, 300, big), Held}, {frag(2, 1, 3, 300, big), Held}, {frag(1, 4, 1, 300, big), Delivered}, {frag(2, 4, 1, 300, big), Delivered}},
			[]wire.SeqNum{1, 2},
			0,
		},
		"too large":             {[]step{{data(1, string(pattern(2001, 0))), Refused}, {frag(1, 1, 1, 300, pattern(2001, 0)), Refused}}, nil, 0},
		"too many fragments":    {[]step{{frag(1, 1, 1, 1, pattern(2000, 0)), Refused}}, nil, 0},
		"no fragment size":      {[]step{{&wire.Submessage{Kind: wire.DataFrag, Seq: 1, FirstFrag: 1, Frags: 1, SampleSize: 4}, Refused}}, nil, 0},
		"fragments too short":   {[]step{{&wire.Submessage{Kind: wire.DataFrag, Seq: 1, FirstFrag: 1, Frags: 1, FragSize: 300, SampleSize: 1000}, Refused}}, nil, 0},
		"fragment past the end": {[]step{{&wire.Submessage{Kind: wire.DataFrag, Seq: 1, FirstFrag: 1 << 31, Frags: 9, FragSize: 300, SampleSize: 1000}, Refused}}, nil, 0},
		"number zero":           {[]step{{data(0, "a"), Refused}}, nil, 0},
		"number below zero":     {[]step{{data(-5, "a"), Refused}}, nil, 0},
		"number above all":      {[]step{{data(wire.MaxSeqNum+1, "a"), Refused}}, nil, 0},
		"a number far ahead": {
			[]step{{data(1, "a"), Delivered}, {data(1<<40, "x"), Jump}, {data(2, "b"), Delivered}}, []wire.SeqNum{1, 2}, 0,
		},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, InboxConfig{MaxSample: 2000})
			for _, s := range c.steps {
				b.expect(s.s, s.want)
				b.now += time.Millisecond
			}
			if diff := cmp.Diff(c.got, b.got); diff != "" {
				t.Error(diff)
			}
			if s := b.in.Stats(); s.Lost != c.lost {
				t.Errorf("%d lost, expected %d", s.Lost, c.lost)
			}
		})
	}
}

// TestBestEffortAsksForNothing: whatever a reliable writer says to all, a best-effort reader does not answer.
func TestBestEffortAsksForNothing(t *testing.T) {
	b := newBench(t, InboxConfig{})
	b.take(data(1, "a"))
	b.beat(1, 9, false)
	b.take(gap(2, 5))
	b.take(frag(2, 1, 1, 300, pattern(1000, 0)))
	b.take(&wire.Submessage{Kind: wire.HeartbeatFrag, Seq: 2, FragLast: 4, Count: 1})
	if s := b.reply(time.Minute); s != nil {
		t.Errorf("answered %+v", s)
	}
	b.expect(data(3, "b"), Delivered)
}

// TestConflictNeedsTwoContents is detection with its off run: one writer alone, with doubled and overtaken samples, whole
// and in fragments, makes none.
func TestConflictNeedsTwoContents(t *testing.T) {
	for _, forged := range []bool{true, false} {
		b := newBench(t, InboxConfig{})
		conflicts := 0
		for n := wire.SeqNum(1); n <= 200; n++ {
			s := data(n, string(pattern(500, byte(n))))
			if n%3 == 0 {
				s = frag(n, 1, 2, 300, pattern(500, byte(n)))
			}
			b.take(s)
			b.take(s)
			if n > 3 {
				b.take(data(n-2, string(pattern(500, byte(n-2)))))
			}
			if forged && n%10 == 0 {
				s.Payload = pattern(len(s.Payload), 99)
				if b.take(s) == Conflict {
					conflicts++
				}
			}
		}
		if want := map[bool]int{true: 20, false: 0}[forged]; conflicts != want || b.in.Stats().Conflicts != uint64(want) {
			t.Errorf("forged %v: %d conflicts, %+v; expected %d", forged, conflicts, b.in.Stats(), want)
		}
	}
}

// TestBestEffortIsNotLedAstray: a forged number ahead takes the Inbox there at most until the genuine samples were the
// only ones for a while.
func TestBestEffortIsNotLedAstray(t *testing.T) {
	for name, ahead := range map[string]wire.SeqNum{"within the window": 5000, "beyond the window": 1 << 50} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, InboxConfig{})
			n := wire.SeqNum(100)
			for range 10 {
				b.expect(data(n, "genuine"), Delivered)
				n++
			}
			b.take(data(n+ahead, "forged"))
			start := b.now
			for b.take(data(n, "genuine")) != Delivered {
				n++
				if b.now += 100 * time.Millisecond; b.now-start > 3*time.Second {
					t.Fatalf("blind after %v: %+v", b.now-start, b.in.Stats())
				}
			}
			b.expect(data(n+1, "genuine"), Delivered)
			if s := b.in.Stats(); s.Resyncs != map[bool]uint64{true: 1}[ahead < DefaultJumpWindow] {
				t.Errorf("%+v", s)
			}
			if took := b.now - start; ahead > DefaultJumpWindow && took > 0 {
				t.Errorf("blind for %v though the number was beyond the window", took)
			}
		})
	}
}

// TestATrailIsNotHeldByAForgedNumber: after two forged numbers, of which the second is behind the first and ahead of the
// genuine ones, those are believed as soon.
func TestATrailIsNotHeldByAForgedNumber(t *testing.T) {
	b := newBench(t, InboxConfig{})
	b.expect(data(6, "genuine"), Delivered)
	b.expect(data(67, "forged"), Delivered)
	b.expect(data(64, "forged"), Old)
	begun := b.now
	for n := wire.SeqNum(7); b.take(data(n, "genuine")) == Old; n++ {
		if b.now += 500 * time.Millisecond; b.now-begun > 4*time.Second {
			t.Fatalf("blind after %v", b.now-begun)
		}
	}
}

// TestAJumpThatLasts: after a pause in which a writer sent more than the window, the Inbox goes on where it is.
func TestAJumpThatLasts(t *testing.T) {
	b := newBench(t, InboxConfig{})
	b.expect(data(1, "a"), Delivered)
	start := b.now
	n := wire.SeqNum(1 << 30)
	for ; b.take(data(n, "b")) == Jump; n++ {
		if b.now += 100 * time.Millisecond; b.now-start > 3*time.Second {
			t.Fatal("not believed")
		}
	}
	if b.now-start < DefaultResyncAfter {
		t.Errorf("believed after %v", b.now-start)
	}
	b.expect(data(n+1, "c"), Delivered)
	if s := b.in.Stats(); s.Jumps < 20 {
		t.Errorf("%d jumps reported", s.Jumps)
	}
}

// TestAForgedNumberComesInTurn: when the genuine writer reaches a number that was forged, its sample is handed on with
// the word that there were two.
func TestAForgedNumberComesInTurn(t *testing.T) {
	b := newBench(t, InboxConfig{})
	b.take(data(1, "a"))
	b.take(data(60, "forged"))
	for n := wire.SeqNum(2); n < 60; n++ {
		b.take(data(n, "genuine"))
		b.now += 100 * time.Millisecond
	}
	b.expect(data(60, "genuine"), Conflict)
	if b.texts[len(b.texts)-1] != "genuine" || b.got[len(b.got)-1] != 60 || b.in.Stats().Resyncs != 1 {
		t.Errorf("%v, %+v", b.got, b.in.Stats())
	}
	b.expect(data(60, "genuine"), Duplicate)
}

// TestPartialsAreBounded: fragments of ever new samples cost no more than the caps; the newest stay.
func TestPartialsAreBounded(t *testing.T) {
	b := newBench(t, InboxConfig{MaxSample: 1000, MaxHeldBytes: 2500, MaxPartials: 3})
	big := pattern(1000, 0)
	for n := wire.SeqNum(1); n <= 100; n++ {
		b.expect(frag(n, 1, 3, 300, big), Held)
		if got := b.in.HeldBytes(); got > 2500 {
			t.Fatalf("%d bytes held", got)
		}
	}
	b.expect(frag(100, 4, 1, 300, big), Delivered)
	b.expect(frag(99, 4, 1, 300, big), Old)
	if s := b.in.Stats(); s.Evicted < 90 {
		t.Errorf("%d evicted", s.Evicted)
	}
}

// TestPartialsTimeOut: without a new fragment a partial sample is dropped, and its memory is free for others.
func TestPartialsTimeOut(t *testing.T) {
	b := newBench(t, InboxConfig{MaxSample: 1000, PartialTimeout: time.Second})
	big := pattern(1000, 0)
	b.expect(frag(1, 1, 1, 300, big), Held)
	b.now += 900 * time.Millisecond
	b.expect(frag(1, 2, 1, 300, big), Held)
	if at, ok := b.in.Due(); !ok || at > b.now+time.Second {
		t.Fatalf("due at %v, %v", at, ok)
	}
	if b.reply(1100 * time.Millisecond); b.in.Stats().Expired != 1 {
		t.Fatalf("%+v", b.in.Stats())
	}
	b.expect(frag(1, 3, 2, 300, big), Held)
	if len(b.got) != 0 {
		t.Error("delivered though two fragments are gone")
	}
}
