package reliable

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/robowarden/robowarden/hal/rtps/wire"
)

// only is the answer's only submessage.
func only(t *testing.T, s []wire.Submessage) *wire.Submessage {
	t.Helper()
	if len(s) != 1 || s[0].Kind != wire.AckNack {
		t.Fatalf("expected one ACKNACK, found %+v", s)
	}
	return &s[0]
}

// TestAsksForTheFirstHeartbeat: from the match on, ever more slowly, until one comes.
func TestAsksForTheFirstHeartbeat(t *testing.T) {
	b := newBench(t, InboxConfig{Reliable: true})
	begun := b.now
	var at []time.Duration
	for count := int32(1); count <= 9; count++ {
		s := only(t, b.reply(time.Minute))
		at = append(at, b.now-begun)
		if s.Set.Base != 1 || s.Set.Bits != 0 || s.Final || s.Count != count || s.Reader != readerID || s.Writer != writerID {
			t.Errorf("%+v", s)
		}
	}
	ms := time.Millisecond
	if diff := cmp.Diff([]time.Duration{0, 100 * ms, 300 * ms, 700 * ms, 1500 * ms, 3100 * ms, 6300 * ms, 11300 * ms, 16300 * ms}, at); diff != "" {
		t.Error(diff)
	}
	b.beat(1, 0, true)
	if s := b.reply(time.Minute); s != nil {
		t.Errorf("asked on: %+v", s)
	}
}

// TestDataBeforeTheFirstHeartbeat: the writer is there, so it is asked again soon, but not for each sample.
func TestDataBeforeTheFirstHeartbeat(t *testing.T) {
	b := newBench(t, InboxConfig{Reliable: true})
	for range 6 {
		b.reply(time.Minute)
	}
	b.now += time.Second
	begun, asked := b.now, 0
	for n := wire.SeqNum(50); b.now-begun < 900*time.Millisecond; n++ {
		b.take(data(n, "x"))
		if b.reply(10*time.Millisecond) != nil {
			asked++
		}
		b.now = begun + 10*time.Millisecond*time.Duration(n-49)
	}
	if asked < 5 || asked > 10 {
		t.Errorf("asked %d times in 0.9 s", asked)
	}
}

// TestFinalHeartbeats: what is final is answered only if something is missing.
func TestFinalHeartbeats(t *testing.T) {
	for name, c := range map[string]struct {
		final   bool
		have    wire.SeqNum
		last    wire.SeqNum
		missing []wire.SeqNum
		answer  bool
	}{
		"all there, not final":          {false, 3, 3, nil, true},
		"all there, final":              {true, 3, 3, nil, false},
		"the end is missing, not final": {false, 3, 5, []wire.SeqNum{4, 5}, true},
		"the end is missing, final":     {true, 3, 5, []wire.SeqNum{4, 5}, true},
	} {
		b := started(t, InboxConfig{})
		for n := range c.have {
			b.take(data(n+1, "a"))
		}
		b.beat(1, c.last, c.final)
		from := b.now
		s := b.reply(20 * time.Millisecond)
		if (s != nil) != c.answer {
			t.Errorf("%s: answered %+v", name, s)
		}
		if !c.answer {
			continue
		}
		a := only(t, s)
		if diff := cmp.Diff(c.missing, in(&a.Set)); diff != "" || a.Set.Base != c.have+1 || a.Final != (c.missing == nil) {
			t.Errorf("%s: base %d, final %v, %s", name, a.Set.Base, a.Final, diff)
		}
		if b.now-from != DefaultAckDelay {
			t.Errorf("%s: answered after %v", name, b.now-from)
		}
	}
}

// TestManyHeartbeatsOneAnswer: a burst is answered once; and what was just asked for is not asked for again at once.
func TestManyHeartbeatsOneAnswer(t *testing.T) {
	b := started(t, InboxConfig{})
	b.take(data(1, "a"))
	for range 50 {
		b.beat(1, 3, false)
	}
	only(t, b.reply(DefaultAckDelay))
	asked := b.now
	for range 50 {
		b.now += 200 * time.Microsecond
		b.beat(1, 3, false)
	}
	if s := b.reply(DefaultNackDelay - 11*time.Millisecond); s != nil {
		t.Errorf("asked again after %v: %+v", b.now-asked, s)
	}
	if only(t, b.reply(time.Second)); b.now-asked < DefaultNackDelay {
		t.Errorf("asked again after %v", b.now-asked)
	}
}

// TestRequestsBackOff: without an answer the pause between requests grows to its cap; with one it begins anew.
func TestRequestsBackOff(t *testing.T) {
	b := started(t, InboxConfig{})
	b.take(data(1, "a"))
	b.beat(1, 9, true)
	last := b.now
	var pauses []time.Duration
	for range 6 {
		only(t, b.reply(time.Minute))
		pauses = append(pauses, b.now-last)
		last = b.now
	}
	ms := time.Millisecond
	if diff := cmp.Diff([]time.Duration{2 * ms, 25 * ms, 50 * ms, 100 * ms, 200 * ms, 200 * ms}, pauses); diff != "" {
		t.Error(diff)
	}
	b.take(data(2, "b"))
	for range 2 {
		only(t, b.reply(time.Minute))
	}
	if b.now-last > 230*ms {
		t.Errorf("two requests took %v after progress", b.now-last)
	}
}

// TestHolesInOneSet: at most 256 numbers, from the lowest on.
func TestHolesInOneSet(t *testing.T) {
	b := started(t, InboxConfig{MaxHeld: 1000})
	b.take(data(3, "c"))
	b.take(data(200, "z"))
	b.beat(1, 1<<16, true)
	s := only(t, b.reply(time.Second))
	if s.Set.Base != 1 || s.Set.Bits != 256 || s.Set.Has(3) || s.Set.Has(200) || !s.Set.Has(1) || !s.Set.Has(256) || len(in(&s.Set)) != 254 {
		t.Errorf("%+v", s.Set)
	}
}

// TestHolesWithoutHeartbeat: what later samples reveal is asked for after a while, though the writer says nothing.
func TestHolesWithoutHeartbeat(t *testing.T) {
	b := started(t, InboxConfig{})
	b.take(data(3, "c"))
	from := b.now
	s := only(t, b.reply(time.Second))
	if diff := cmp.Diff([]wire.SeqNum{1, 2}, in(&s.Set)); diff != "" || b.now-from != DefaultNackDelay {
		t.Errorf("after %v: %s", b.now-from, diff)
	}
}

// TestMissingFragments: they are asked for in a NACK_FRAG, and the sample is not asked for whole, which CycloneDDS needs
// to repeat anything but the whole.
func TestMissingFragments(t *testing.T) {
	big := pattern(3000, 0)
	nackFrags := func(t *testing.T, s []wire.Submessage, wholes []wire.SeqNum, seq wire.SeqNum, frags []uint32) {
		t.Helper()
		if len(s) != 2 || s[0].Kind != wire.AckNack || s[1].Kind != wire.NackFrag || s[1].Seq != seq {
			t.Fatalf("expected ACKNACK and NACK_FRAG, found %+v", s)
		}
		if diff := cmp.Diff(wholes, in(&s[0].Set)); diff != "" || s[0].Final {
			t.Error(diff)
		}
		if diff := cmp.Diff(frags, fragsIn(&s[1].FragSet)); diff != "" {
			t.Error(diff)
		}
	}
	t.Run("after a heartbeat", func(t *testing.T) {
		b := started(t, InboxConfig{})
		b.take(frag(1, 2, 2, 300, big))
		b.take(frag(1, 5, 5, 300, big))
		b.now += time.Millisecond
		b.beat(1, 2, false)
		from := b.now
		nackFrags(t, b.reply(time.Second), []wire.SeqNum{2}, 1, []uint32{1, 4, 10})
		if b.now-from != DefaultAckDelay {
			t.Errorf("after %v", b.now-from)
		}
	})
	t.Run("not while they arrive", func(t *testing.T) {
		b := started(t, InboxConfig{})
		for k := 1; k <= 9; k++ {
			b.take(frag(1, k, 1, 300, big))
			b.beat(1, 1, true)
			if s := b.reply(DefaultAckDelay / 2); s != nil {
				t.Fatalf("asked for fragments on their way: %+v", s)
			}
			b.now += DefaultAckDelay / 2
		}
		nackFrags(t, b.reply(time.Second), nil, 1, []uint32{10})
	})
	t.Run("after a HEARTBEAT_FRAG", func(t *testing.T) {
		b := started(t, InboxConfig{})
		b.take(frag(1, 1, 1, 300, big))
		b.take(frag(1, 4, 1, 300, big))
		b.take(&wire.Submessage{Kind: wire.HeartbeatFrag, Seq: 1, FragLast: 5, Count: 1})
		from := b.now
		nackFrags(t, b.reply(time.Second), nil, 1, []uint32{2, 3, 5})
		if b.now-from != DefaultAckDelay {
			t.Errorf("after %v", b.now-from)
		}
	})
	t.Run("after a hostile HEARTBEAT_FRAG", func(t *testing.T) {
		b := started(t, InboxConfig{})
		b.take(frag(1, 1, 9, 300, big))
		b.take(&wire.Submessage{Kind: wire.HeartbeatFrag, Seq: 1, FragLast: 1<<32 - 1, Count: 1})
		b.take(&wire.Submessage{Kind: wire.HeartbeatFrag, Seq: wire.MaxSeqNum, FragLast: 1<<32 - 1, Count: 2})
		nackFrags(t, b.reply(time.Second), nil, 1, []uint32{10})
	})
	t.Run("without a word", func(t *testing.T) {
		b := started(t, InboxConfig{})
		b.take(frag(1, 1, 8, 300, big))
		from := b.now
		nackFrags(t, b.reply(time.Second), nil, 1, []uint32{9, 10})
		if b.now-from != DefaultNackDelay {
			t.Errorf("after %v", b.now-from)
		}
	})
	t.Run("more than one set holds", func(t *testing.T) {
		b := started(t, InboxConfig{MaxSample: 1 << 20})
		huge := pattern(900_000, 0)
		b.take(frag(1, 1, 1, 1344, huge))
		b.take(frag(1, 400, 1, 1344, huge))
		b.beat(1, 1, true)
		s := b.reply(time.Second)
		var frags []uint32
		for k := range s[1:] {
			frags = append(frags, fragsIn(&s[k+1].FragSet)...)
			if s[k+1].Count != int32(k+1) {
				t.Errorf("count %d", s[k+1].Count)
			}
		}
		if len(s) != 4 || len(frags) != 668 || frags[0] != 2 || frags[667] != 670 {
			t.Errorf("%d submessages, %d fragments", len(s), len(frags))
		}
	})
	t.Run("no more samples than can be put together", func(t *testing.T) {
		b := started(t, InboxConfig{MaxPartials: 3})
		b.take(frag(1, 1, 1, 300, big))
		b.beat(1, 9, true)
		nackFrags(t, b.reply(time.Second), []wire.SeqNum{2, 3}, 1, []uint32{2, 3, 4, 5, 6, 7, 8, 9, 10})
	})
}
