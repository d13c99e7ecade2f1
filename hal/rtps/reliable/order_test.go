package reliable

import (
	"math"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/robowarden/robowarden/hal/rtps/wire"
)

// started is a reliable Inbox whose writer has nothing yet.
func started(t *testing.T, c InboxConfig) *bench {
	t.Helper()
	c.Reliable = true
	b := newBench(t, c)
	b.beat(1, 0, true)
	return b
}

func TestReliable(t *testing.T) {
	big := pattern(1000, 1)
	other := pattern(1000, 2)
	type step struct {
		s    *wire.Submessage
		want Verdict
	}
	for name, c := range map[string]struct {
		steps            []step
		got              []wire.SeqNum
		lost, irrelevant uint64
	}{
		"in order": {[]step{{data(1, "a"), Delivered}, {data(2, "b"), Delivered}}, []wire.SeqNum{1, 2}, 0, 0},
		"overtaken": {
			[]step{{data(3, "c"), Held}, {data(2, "b"), Held}, {data(1, "a"), Delivered}}, []wire.SeqNum{1, 2, 3}, 0, 0,
		},
		"doubled while held and after": {
			[]step{{data(2, "b"), Held}, {data(2, "b"), Duplicate}, {data(1, "a"), Delivered}, {data(2, "b"), Duplicate}},
			[]wire.SeqNum{1, 2},
			0, 0,
		},
		"two contents while held and after": {
			[]step{{data(2, "b"), Held}, {data(2, "x"), Conflict}, {data(1, "a"), Delivered}, {data(2, "x"), Conflict}},
			[]wire.SeqNum{1, 2},
			0, 0,
		},
		"behind what is remembered": {[]step{{data(1, "a"), Delivered}, {beat(70, 69, 2, true), 0}, {data(69, "x"), Old}}, []wire.SeqNum{1}, 68, 0},
		"beyond the window":         {[]step{{data(4, "d"), Held}, {data(5, "e"), Refused}}, nil, 0, 0},
		"far beyond":                {[]step{{data(1<<40, "x"), Jump}, {data(1, "a"), Delivered}}, []wire.SeqNum{1}, 0, 0},
		"the writer's first moves past a hole": {
			[]step{{data(3, "c"), Held}, {beat(3, 3, 2, true), 0}, {data(4, "d"), Delivered}}, []wire.SeqNum{3, 4}, 2, 0,
		},
		"the writer's first moves past what is held": {
			[]step{{data(2, "b"), Held}, {frag(3, 1, 1, 300, big), Held}, {beat(10, 10, 2, true), 0}, {data(10, "j"), Delivered}},
			[]wire.SeqNum{2, 10},
			8, 0,
		},
		"a gap at next": {
			[]step{{data(3, "c"), Held}, {gap(1, 3), 0}, {data(4, "d"), Delivered}}, []wire.SeqNum{3, 4}, 0, 2,
		},
		"a gap behind next": {
			[]step{{gap(2, 4), 0}, {data(1, "a"), Delivered}, {data(4, "d"), Delivered}}, []wire.SeqNum{1, 4}, 0, 2,
		},
		"a gap with a set": {
			[]step{{gap(1, 2, 3), 0}, {data(2, "b"), Delivered}, {data(4, "d"), Delivered}}, []wire.SeqNum{2, 4}, 0, 2,
		},
		"a gap over what is there": {
			[]step{{data(2, "b"), Held}, {gap(1, 4), 0}, {data(4, "d"), Delivered}}, []wire.SeqNum{2, 4}, 0, 2,
		},
		"a sample in spite of a gap": {
			[]step{{gap(2, 3), 0}, {data(2, "b"), Held}, {data(1, "a"), Delivered}}, []wire.SeqNum{1, 2}, 0, 0,
		},
		"a gap of nothing":    {[]step{{gap(5, 2), 0}, {data(1, "a"), Delivered}}, []wire.SeqNum{1}, 0, 0},
		"a gap to the end":    {[]step{{gap(1, wire.MaxSeqNum), 0}, {data(1, "a"), Delivered}}, []wire.SeqNum{1}, 0, 0},
		"a gap from the past": {[]step{{data(1, "a"), Delivered}, {gap(1, 2), 0}, {data(2, "b"), Delivered}}, []wire.SeqNum{1, 2}, 0, 0},
		"a gap of billions that there were": {
			[]step{{beat(1, 1<<40, 2, true), 0}, {gap(1, 1<<16), 0}, {data(1<<16, "a"), Delivered}},
			[]wire.SeqNum{1 << 16},
			0, 1<<16 - 1,
		},
		"fragments": {
			[]step{{frag(2, 1, 4, 300, big), Held}, {frag(1, 2, 3, 300, big), Held}, {frag(1, 1, 1, 300, big), Delivered}},
			[]wire.SeqNum{1, 2},
			0, 0,
		},
		"fragments with other bytes": {
			[]step{{frag(1, 1, 2, 300, big), Held}, {frag(1, 2, 1, 300, other), Conflict}, {frag(1, 3, 2, 300, big), Delivered}, {frag(1, 1, 1, 300, other), Conflict}},
			[]wire.SeqNum{1},
			0, 0,
		},
		"fragments of what is held": {
			[]step{{frag(2, 1, 4, 300, big), Held}, {frag(2, 2, 1, 300, big), Duplicate}, {frag(2, 2, 1, 300, other), Conflict}, {frag(2, 1, 1, 300, big[:900]), Conflict}},
			nil, 0, 0,
		},
		"fragments contradict": {
			[]step{{frag(1, 1, 1, 300, big), Held}, {frag(1, 2, 1, 250, big), Refused}, {frag(1, 2, 1, 300, big[:900]), Refused}}, nil, 0, 0,
		},
		"a whole sample against its fragments": {
			[]step{{frag(1, 1, 1, 300, big), Held}, {data(1, string(other)), Conflict}, {data(1, string(big)), Delivered}}, []wire.SeqNum{1}, 0, 0,
		},
	} {
		t.Run(name, func(t *testing.T) {
			b := started(t, InboxConfig{MaxSample: 2000, MaxHeld: 4})
			for _, s := range c.steps {
				b.expect(s.s, s.want)
				b.now += time.Millisecond
			}
			if diff := cmp.Diff(c.got, b.got); diff != "" {
				t.Error(diff)
			}
			if s := b.in.Stats(); s.Lost != c.lost || s.Irrelevant != c.irrelevant {
				t.Errorf("%d lost, %d irrelevant; expected %d, %d", s.Lost, s.Irrelevant, c.lost, c.irrelevant)
			}
		})
	}
}

// TestBeginning: where a reliable Inbox starts.
func TestBeginning(t *testing.T) {
	type step struct {
		after time.Duration
		s     *wire.Submessage
	}
	for name, c := range map[string]struct {
		skip  bool
		steps []step
		got   []wire.SeqNum
	}{
		"heartbeat, all of the history": {false, []step{{0, beat(5, 7, 1, true)}, {0, data(5, "")}, {0, data(6, "")}}, []wire.SeqNum{5, 6}},
		"heartbeat, no backlog":         {true, []step{{0, beat(5, 7, 1, true)}, {0, data(6, "")}, {0, data(8, "")}}, []wire.SeqNum{8}},
		"data, no backlog":              {true, []step{{0, data(6, "")}, {0, beat(5, 7, 1, true)}, {0, data(7, "")}}, []wire.SeqNum{6, 7}},
		"the very first sample":         {false, []step{{0, data(1, "")}, {0, data(2, "")}}, []wire.SeqNum{1, 2}},
		"data waits for a heartbeat":    {false, []step{{0, data(6, "")}, {0, data(7, "")}}, nil},
		"data, then a heartbeat":        {false, []step{{0, data(7, "")}, {0, data(6, "")}, {0, beat(6, 7, 1, true)}}, []wire.SeqNum{6, 7}},
		"data, then a heartbeat about more before": {
			false, []step{{0, data(7, "")}, {0, beat(5, 7, 1, true)}, {0, data(6, "")}, {0, data(5, "")}}, []wire.SeqNum{5, 6, 7},
		},
		"data, then a heartbeat about less": {false, []step{{0, data(6, "")}, {0, data(7, "")}, {0, beat(7, 7, 1, true)}}, []wire.SeqNum{7}},
		"data, then never a heartbeat": {
			false, []step{{0, data(6, "")}, {0, data(7, "")}, {2 * time.Second, data(8, "")}}, []wire.SeqNum{6, 7, 8},
		},
		"data, then a number far below": {false, []step{{0, data(600, "")}, {0, data(6, "")}, {0, beat(6, 6, 1, true)}}, []wire.SeqNum{6}},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, InboxConfig{Reliable: true, SkipBacklog: c.skip})
			for _, s := range c.steps {
				b.now += s.after
				b.take(s.s)
			}
			if diff := cmp.Diff(c.got, b.got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// TestMalformedHeartbeats move nothing.
func TestMalformedHeartbeats(t *testing.T) {
	b := started(t, InboxConfig{})
	b.take(data(1, "a"))
	for k, s := range []*wire.Submessage{
		beat(0, 5, 2, false), beat(-1, 5, 3, false), beat(9, 5, 4, false), beat(1, wire.MaxSeqNum+1, 5, false),
		beat(math.MinInt64, math.MaxInt64, 6, false), beat(math.MaxInt64, math.MaxInt64, 7, false),
	} {
		if b.in.Heartbeat(b.now, s, b.deliver) || b.in.Next() != 2 {
			t.Errorf("heartbeat %d: next is %d", k, b.in.Next())
		}
	}
}

// TestHeartbeatCounts: a count that is not higher was seen or overtaken, across the wrap; but not for long.
func TestHeartbeatCounts(t *testing.T) {
	for name, c := range map[string]struct {
		before, then int32
		after        time.Duration
		taken        bool
	}{
		"next":            {1, 2, 0, true},
		"doubled":         {2, 2, 0, false},
		"overtaken":       {5, 2, 0, false},
		"wrap":            {math.MaxInt32, math.MinInt32, 0, true},
		"before the wrap": {math.MinInt32 + 3, math.MaxInt32, 0, false},
		"to zero":         {-1, 0, 0, true},
		"forged, early":   {1 << 30, 3, 900 * time.Millisecond, false},
		"forged, later":   {1 << 30, 3, 1100 * time.Millisecond, true},
	} {
		b := newBench(t, InboxConfig{Reliable: true})
		b.take(beat(1, 0, c.before, true))
		b.now += c.after
		b.take(beat(5, 4, c.then, true))
		if taken := b.in.Next() == 5; taken != c.taken {
			t.Errorf("%s: taken %v, expected %v", name, taken, c.taken)
		}
	}
}

// TestWhatIsSaidReachesTheReader: all that a sample says goes with it, also when it was held or came in fragments.
func TestWhatIsSaidReachesTheReader(t *testing.T) {
	s := data(2, "key")
	s.Key, s.Dispose, s.Unregister, s.KeyHash, s.HasKeyHash = true, true, true, [16]byte{9}, true
	s.Related, s.RelatedSeq, s.HasRelated = wire.GUID{Prefix: wire.Prefix{8}}, 77, true
	want := Sample{
		Seq: 2, Stamp: wire.Time{Seconds: 7}, Payload: []byte("key"), Key: true, Dispose: true, Unregister: true,
		KeyHash: [16]byte{9}, HasKeyHash: true, Related: s.Related, RelatedSeq: 77, HasRelated: true,
	}
	b := started(t, InboxConfig{})
	b.take(s)
	b.take(data(1, "a"))
	if diff := cmp.Diff(want, b.last); diff != "" {
		t.Error("held:", diff)
	}
	f, g := *s, *s
	f.Kind, f.FirstFrag, f.Frags, f.FragSize, f.SampleSize, f.Payload = wire.DataFrag, 1, 1, 2, 3, []byte("ke")
	g.Kind, g.FirstFrag, g.Frags, g.FragSize, g.SampleSize, g.Payload = wire.DataFrag, 2, 1, 2, 3, []byte("y")
	f.HasRelated, f.HasKeyHash, f.Dispose, f.Unregister = false, false, false, false
	b = started(t, InboxConfig{})
	b.take(data(1, "a"))
	b.take(&f)
	b.take(&g)
	if diff := cmp.Diff(want, b.last); diff != "" {
		t.Error("in fragments:", diff)
	}
	hashOnly := &wire.Submessage{Kind: wire.Data, Seq: 3, Dispose: true, KeyHash: [16]byte{4}, HasKeyHash: true}
	b.expect(hashOnly, Delivered)
	b.expect(hashOnly, Duplicate)
	again := *hashOnly
	again.KeyHash[0]++
	b.expect(&again, Conflict)
	if b.last.Payload != nil || b.last.KeyHash[0] != 4 {
		t.Errorf("by its hash only: %+v", b.last)
	}
}

// TestTheNextSampleAlwaysHasRoom: later samples, held or partial, give way to earlier ones; the lowest is never refused.
func TestTheNextSampleAlwaysHasRoom(t *testing.T) {
	b := started(t, InboxConfig{MaxSample: 1000, MaxHeldBytes: 2000, MaxPartials: 2})
	big := pattern(1000, 0)
	b.expect(data(5, string(big)), Held)
	b.expect(frag(4, 1, 1, 300, big), Held)
	b.expect(data(6, string(big)), Refused)
	b.expect(frag(3, 1, 1, 300, big), Held)
	b.expect(frag(2, 1, 1, 300, big), Held)
	b.expect(frag(1, 1, 1, 300, big), Held)
	b.expect(frag(7, 1, 1, 300, big), Refused)
	b.expect(frag(1, 2, 3, 300, big), Delivered)
	b.expect(frag(2, 2, 3, 300, big), Delivered)
	if s := b.in.Stats(); s.Evicted != 3 || b.in.HeldBytes() > 2000 {
		t.Errorf("%+v, %d bytes", s, b.in.HeldBytes())
	}
}

// TestNobodyIsEvictedInVain: a sample that would not fit anyway leaves the others alone.
func TestNobodyIsEvictedInVain(t *testing.T) {
	b := started(t, InboxConfig{MaxSample: 1024, MaxHeldBytes: 1900})
	b.expect(data(2, string(pattern(1000, 0))), Held)
	b.expect(data(5, string(pattern(500, 0))), Held)
	b.expect(data(4, string(pattern(1000, 0))), Refused)
	b.expect(data(5, string(pattern(500, 0))), Duplicate)
	b.expect(data(3, "small"), Held)
}

// TestSmallPartialsAreBounded: there are no more of them than MaxPartials, though the memory would do; the lowest stay.
func TestSmallPartialsAreBounded(t *testing.T) {
	b := started(t, InboxConfig{MaxPartials: 2})
	for n := wire.SeqNum(9); n >= 2; n-- {
		b.expect(frag(n, 1, 1, 5, pattern(10, 0)), Held)
	}
	b.expect(frag(4, 1, 1, 5, pattern(10, 0)), Refused)
	b.expect(frag(3, 2, 1, 5, pattern(10, 0)), Held)
	b.expect(frag(2, 2, 1, 5, pattern(10, 0)), Held)
	if b.expect(data(1, ""), Delivered); len(b.got) != 3 {
		t.Errorf("%v", b.got)
	}
}

// TestSmallSamplesAreBounded: the window's samples have room together only as far as the cap on bytes goes.
func TestSmallSamplesAreBounded(t *testing.T) {
	b := started(t, InboxConfig{MaxSample: 256, MaxHeldBytes: 256 * 5, MaxHeld: 100})
	for n := wire.SeqNum(100); n > 1; n-- {
		b.expect(data(n, "x"), Held)
		if got := b.in.HeldBytes(); got > 256*5 {
			t.Fatalf("%d bytes held", got)
		}
	}
	b.expect(data(1, "x"), Delivered)
	if diff := cmp.Diff(numbers(1, 6), b.got); diff != "" {
		t.Error(diff)
	}
}

// TestNoEndlessWait: what the writer has by its word and never sends is given up, and so is a hole before later samples.
func TestNoEndlessWait(t *testing.T) {
	for name, c := range map[string]struct{ beats, data bool }{
		"with heartbeats": {true, true}, "without": {false, true}, "heartbeats alone": {true, false},
	} {
		b := started(t, InboxConfig{})
		b.expect(data(3, "c"), Held)
		begun := b.now
		for n := wire.SeqNum(4); len(b.got) == 0; n++ {
			b.now += time.Second
			if c.data {
				b.take(data(n, "x"))
			}
			if c.beats {
				b.beat(1, n, true)
			}
			if b.now-begun > DefaultGiveUp+3*time.Second {
				t.Fatalf("%s: still waiting after %v", name, b.now-begun)
			}
		}
		if s := b.in.Stats(); b.got[0] != 3 || s.GivenUp != 2 || s.Lost != 2 || b.now-begun < DefaultGiveUp {
			t.Errorf("%s: after %v: %v, %+v", name, b.now-begun, b.got, s)
		}
	}
}

// TestReliableIsNotLedAstray: after one forged submessage ahead, the genuine writer's samples arrive again.
func TestReliableIsNotLedAstray(t *testing.T) {
	for name, c := range map[string]struct {
		forged []*wire.Submessage
		most   time.Duration // until the reader hears the genuine writer again
		jump   bool
	}{
		"heartbeat, first ahead":                 {[]*wire.Submessage{beat(5000, 5000, 1<<20, true)}, 4 * time.Second, false},
		"heartbeat, last ahead":                  {[]*wire.Submessage{beat(1, 5000, 1<<20, true)}, 0, false},
		"heartbeat, first far ahead":             {[]*wire.Submessage{beat(1<<50, 1<<50, 1<<20, true)}, 0, true},
		"heartbeat, last far ahead":              {[]*wire.Submessage{beat(1, 1<<50, 1<<20, true)}, 0, true},
		"gap ahead":                              {[]*wire.Submessage{gap(1, 5000)}, 4 * time.Second, false},
		"gap far ahead":                          {[]*wire.Submessage{gap(1, 1<<50)}, 0, true},
		"sample far ahead":                       {[]*wire.Submessage{data(1<<50, "x")}, 0, false},
		"sample ahead":                           {[]*wire.Submessage{data(40, "x")}, 0, false},
		"heartbeat and sample ahead":             {[]*wire.Submessage{beat(5000, 5000, 1<<20, true), data(5000, "x"), data(5001, "y")}, 4 * time.Second, false},
		"a heartbeat a window ahead, repeatedly": {[]*wire.Submessage{beat(60000, 60000, 1<<20, true), beat(120000, 120000, 1<<20+1, true)}, 4 * time.Second, false},
	} {
		t.Run(name, func(t *testing.T) {
			b := started(t, InboxConfig{})
			n := wire.SeqNum(1)
			for ; n <= 10; n++ {
				b.expect(data(n, "genuine"), Delivered)
			}
			jumped := false
			for _, s := range c.forged {
				switch s.Kind {
				case wire.Heartbeat:
					jumped = b.in.Heartbeat(b.now, s, b.deliver) || jumped
				case wire.Gap:
					jumped = b.in.Gap(b.now, s, b.deliver) || jumped
				default:
					b.take(s)
				}
			}
			if jumped != c.jump {
				t.Errorf("jump reported: %v", jumped)
			}
			begun := b.now
			b.got = nil
			for ; b.in.Next() != n; n++ {
				b.take(data(n, "genuine"))
				b.beat(1, n, false)
				for k := b.in.Next(); k <= n; k++ {
					b.take(data(k, "genuine"))
				}
				if took := b.now - begun; took > c.most {
					t.Fatalf("deaf for %v: next %d, genuine %d, %+v", took, b.in.Next(), n, b.in.Stats())
				}
				b.now += 200 * time.Millisecond
			}
			// What was sent in the meantime is still the writer's, and none of what was handed on comes again.
			for k := wire.SeqNum(1); k <= n; k++ {
				b.take(data(k, "genuine"))
			}
			if diff := cmp.Diff(numbers(11, n), b.got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// TestAheadWhileTheGenuineGoesOn: numbers far ahead are not believed, however long they come, while the genuine writer's
// samples arrive.
func TestAheadWhileTheGenuineGoesOn(t *testing.T) {
	for name, reliable := range map[string]bool{"reliable": true, "best effort": false} {
		b := newBench(t, InboxConfig{Reliable: reliable})
		b.beat(1, 0, true)
		for n := wire.SeqNum(1); n < 50; n++ {
			b.expect(data(n, "genuine"), Delivered)
			if !reliable {
				b.expect(data(1<<40+n, "forged"), Jump)
			} else if !b.beat(1, 1<<40+n, true) {
				t.Fatalf("%s: believed after %v", name, b.now-time.Hour)
			}
			b.now += 500 * time.Millisecond
		}
	}
}

// TestLedAheadInSteps: the Inbox goes back to before the first step, and what it handed on in between does not come again.
func TestLedAheadInSteps(t *testing.T) {
	b := started(t, InboxConfig{})
	for n := wire.SeqNum(1); n <= 10; n++ {
		b.take(data(n, "genuine"))
	}
	b.take(beat(13, 13, 1<<20, true))
	b.expect(data(13, "genuine"), Delivered)
	b.take(beat(5000, 5000, 1<<20+1, true))
	for range 20 {
		b.now += 200 * time.Millisecond
		b.beat(1, 14, true)
	}
	b.expect(data(12, "genuine"), Held)
	b.expect(data(11, "genuine"), Delivered)
	b.expect(data(13, "genuine"), Duplicate)
	b.expect(data(14, "genuine"), Delivered)
	if diff := cmp.Diff(append(numbers(1, 10), 13, 11, 12, 14), b.got); diff != "" {
		t.Error(diff)
	}
}

// TestTooLongHoldsUpNobody: a sample that is never taken is passed over at once, whole or in fragments, before or behind the
// next one; it is not asked for again.
func TestTooLongHoldsUpNobody(t *testing.T) {
	long := pattern(1000, 1)
	for name, c := range map[string]*wire.Submessage{"whole": data(2, string(long)), "in fragments": frag(2, 1, 1, 300, long)} {
		b := started(t, InboxConfig{MaxSample: 256})
		b.expect(data(1, "a"), Delivered)
		b.expect(c, Refused)
		b.expect(data(3, "c"), Delivered)
		if diff := cmp.Diff([]wire.SeqNum{1, 3}, b.got); diff != "" {
			t.Errorf("%s: expected -, got +\n%s", name, diff)
		}
		b = started(t, InboxConfig{MaxSample: 256})
		b.expect(c, Refused)
		b.beat(1, 2, false)
		for _, r := range b.reply(time.Second) {
			if n := in(&r.Set); len(n) != 1 || n[0] != 1 {
				t.Errorf("%s: asks for %v, expected only 1", name, n)
			}
		}
		b.expect(data(1, "a"), Delivered)
		b.expect(data(3, "c"), Delivered)
	}
}
