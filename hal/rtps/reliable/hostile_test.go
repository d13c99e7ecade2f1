package reliable

import (
	"bytes"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/robowarden/robowarden/hal/rtps/wire"
)

// fataler is what testing and rapid have in common.
type fataler interface {
	Helper()
	Fatalf(format string, args ...any)
}

// checkInbox holds an Inbox to its caps and to its own order.
func checkInbox(t fataler, i *Inbox) {
	t.Helper()
	s, c := &i.store, &i.cfg
	held, partials := cap(s.done.buf), 0
	for k := range s.entries {
		e := &s.entries[k]
		held += cap(e.buf)
		switch {
		case e.status == vacant:
			continue
		case e.status == partial:
			partials++
		}
		if n := e.sample.Seq; n < i.next || c.Reliable && n-i.next >= i.window() {
			t.Fatalf("%d is kept, next is %d", n, i.next)
		}
		if !bytes.Equal(e.buf, e.sample.Payload) || len(e.buf) > c.MaxSample {
			t.Fatalf("%d is kept in %d bytes", e.sample.Seq, len(e.buf))
		}
	}
	for _, idle := range s.idle {
		for _, b := range idle {
			held += cap(b)
		}
	}
	if held != s.bytes || held > c.MaxHeldBytes {
		t.Fatalf("%d bytes held, counted as %d, expected at most %d", held, s.bytes, c.MaxHeldBytes)
	}
	if partials != s.partials || partials > c.MaxPartials || len(s.bitmaps)+partials > c.MaxPartials {
		t.Fatalf("%d partial samples, counted as %d, expected at most %d; %d bitmaps", partials, s.partials, c.MaxPartials, len(s.bitmaps))
	}
}

// drainReplies calls Reply as long as it is due, which must end, and checks what it writes.
func drainReplies(t fataler, i *Inbox, now time.Duration) {
	t.Helper()
	for n := 0; ; n++ {
		at, ok := i.Due()
		if !ok || at > now {
			return
		}
		if n > 2 {
			t.Fatalf("due at %v again and again", at)
		}
		head := wire.AppendHeader(nil, readerPrefix)
		b := i.Reply(now, head, readerID, writerID)
		if len(b) > len(head)+MaxReply {
			t.Fatalf("an answer of %d bytes", len(b))
		}
		var m wire.Message
		var s wire.Submessage
		if err := m.Reset(b); err != nil {
			t.Fatalf("%v", err)
		}
		for {
			ok, err := m.Next(&s)
			if err != nil {
				t.Fatalf("malformed answer: %v", err)
			}
			if !ok {
				break
			}
			if s.Kind == wire.AckNack && s.Set.Base != max(1, i.Next()) {
				t.Fatalf("acknowledged up to %d, next is %d", s.Set.Base, i.Next())
			}
		}
	}
}

// rising checks what an Inbox hands on.
type rising struct {
	t       fataler
	in      *Inbox
	last    wire.SeqNum
	resyncs uint64
}

func (r *rising) deliver(s *Sample) {
	if n := r.in.stats.Resyncs; n != r.resyncs {
		r.resyncs, r.last = n, 0
	}
	if s.Seq <= r.last {
		r.t.Fatalf("%d after %d", s.Seq, r.last)
	}
	if len(s.Payload) > r.in.cfg.MaxSample {
		r.t.Fatalf("%d bytes handed on", len(s.Payload))
	}
	r.last = s.Seq
}

// drawNumber draws a number near another one, or anywhere.
func drawNumber(t *rapid.T, near wire.SeqNum, label string) wire.SeqNum {
	switch rapid.IntRange(0, 9).Draw(t, label+" where") {
	case 0:
		return wire.SeqNum(rapid.Int64().Draw(t, label))
	case 1:
		return near + wire.SeqNum(rapid.Int64Range(0, 1<<20).Draw(t, label))
	default:
		return near + wire.SeqNum(rapid.Int64Range(-5, 20).Draw(t, label))
	}
}

// drawForReader draws what a peer, or somebody in its name, may send to a reader.
func drawForReader(t *rapid.T, near wire.SeqNum, most int) *wire.Submessage {
	seq := drawNumber(t, near, "number")
	content := pattern(rapid.IntRange(0, most+10).Draw(t, "bytes"), byte(rapid.IntRange(0, 1).Draw(t, "salt")))
	count := rapid.Int32().Draw(t, "count")
	switch rapid.IntRange(0, 6).Draw(t, "kind") {
	case 0:
		return beat(seq, drawNumber(t, seq, "last"), count, rapid.Bool().Draw(t, "final"))
	case 1:
		return gap(seq, drawNumber(t, seq, "base"), drawNumber(t, seq, "in"), drawNumber(t, seq, "in too"))
	case 2:
		return &wire.Submessage{Kind: wire.HeartbeatFrag, Seq: seq, FragLast: rapid.Uint32().Draw(t, "last"), Count: count}
	case 3, 4:
		size := rapid.SampledFrom([]int{1, 100, 300}).Draw(t, "size")
		if len(content) == 0 || rapid.IntRange(0, 9).Draw(t, "wild") == 0 {
			return &wire.Submessage{
				Kind: wire.DataFrag, Seq: seq, FirstFrag: rapid.Uint32().Draw(t, "first"), Frags: rapid.Uint16().Draw(t, "n"),
				FragSize: rapid.Uint16().Draw(t, "size"), SampleSize: rapid.Uint32().Draw(t, "sample"), Payload: content,
			}
		}
		frags := (len(content)-1)/size + 1
		first := rapid.IntRange(1, frags).Draw(t, "first")
		return frag(seq, first, rapid.IntRange(1, frags-first+1).Draw(t, "n"), size, content)
	}
	return data(seq, string(content))
}

// TestInboxUnderArbitraryInput: no submessages, in whatever order, take it above its caps, out of order, into a panic or
// into answers without end.
func TestInboxUnderArbitraryInput(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		in := NewInbox(InboxConfig{
			Reliable: rapid.Bool().Draw(t, "reliable"), SkipBacklog: rapid.Bool().Draw(t, "skip"), MaxSample: 1000,
			MaxHeld: rapid.IntRange(1, 20).Draw(t, "held"), MaxHeldBytes: rapid.IntRange(1000, 4000).Draw(t, "held bytes"),
			MaxPartials: rapid.IntRange(1, 5).Draw(t, "partials"), JumpWindow: rapid.Int64Range(256, 1<<12).Draw(t, "window"),
		})
		now := time.Duration(0)
		r := &rising{t: t, in: in}
		for range rapid.IntRange(1, 100).Draw(t, "steps") {
			toInbox(in, now, drawForReader(t, in.next, 1000), wire.Time{}, r.deliver)
			checkInbox(t, in)
			now += rapid.SampledFrom([]time.Duration{0, time.Millisecond, 30 * time.Millisecond, time.Second, 31 * time.Second}).Draw(t, "pause")
			drainReplies(t, in, now)
			checkInbox(t, in)
		}
	})
}

// drawForWriter draws what a peer may send to a writer.
func drawForWriter(t *rapid.T, near wire.SeqNum) *wire.Submessage {
	seq, count := drawNumber(t, near, "number"), rapid.Int32().Draw(t, "count")
	if rapid.Bool().Draw(t, "fragments") {
		s := nackFrag(seq, count, rapid.Uint32Range(0, 20).Draw(t, "base"))
		s.FragSet.Bits, s.FragSet.Map[0] = 32, rapid.Uint32().Draw(t, "map")
		return s
	}
	s := ack(seq, count, rapid.Bool().Draw(t, "final"))
	s.Set.Bits = rapid.Uint32Range(0, 256).Draw(t, "bits")
	for k := range (s.Set.Bits + 31) / 32 {
		s.Set.Map[k] = rapid.Uint32().Draw(t, "map")
	}
	return s
}

// TestOutboxUnderArbitraryInput: whatever readers say, a writer sends well-formed datagrams of the size it may, and falls
// silent towards those that say no more.
func TestOutboxUnderArbitraryInput(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		o := NewOutbox(OutboxConfig{
			Reliable: true, TransientLocal: true, Depth: rapid.IntRange(1, 10).Draw(t, "depth"), MaxSample: 3000, FragmentSize: 256, MaxReaders: 3,
		})
		now := time.Duration(0)
		send := func() {
			for id := range 3 {
				for n := 0; ; n++ {
					head := wire.AppendHeader(nil, writerPrefix)
					b := o.Next(now, id, head, Overhead+256, readerID, writerID)
					if len(b) == len(head) {
						break
					}
					if len(b) > Overhead+256 || n > 1000 {
						t.Fatalf("datagram %d of %d bytes", n, len(b))
					}
					var m wire.Message
					if err := m.Reset(b); err != nil {
						t.Fatalf("%v", err)
					}
					var s wire.Submessage
					ok, err := m.Next(&s)
					for ok {
						if s.Kind == wire.Gap && s.Set.Base <= s.Seq {
							t.Fatalf("a GAP from %d to %d", s.Seq, s.Set.Base)
						}
						ok, err = m.Next(&s)
					}
					if err != nil {
						t.Fatalf("malformed: %v", err)
					}
				}
				if at, ok := o.Due(id); ok && at <= now {
					t.Fatalf("reader %d is due at %v, it is %v, and nothing is sent", id, at, now)
				}
			}
		}
		for range rapid.IntRange(1, 100).Draw(t, "steps") {
			id := rapid.IntRange(0, 2).Draw(t, "reader")
			switch rapid.IntRange(0, 7).Draw(t, "step") {
			case 0:
				o.Match(now, id, rapid.Bool().Draw(t, "reliable"), rapid.Bool().Draw(t, "history"))
			case 1:
				o.Unmatch(id)
			case 2:
				o.Remove(drawNumber(t, o.Last(), "removed"))
			case 3, 4:
				if _, err := o.Add(now, wire.Time{}, pattern(rapid.SampledFrom([]int{4, 50, 256, 257, 3000}).Draw(t, "bytes"), 0)); err != nil {
					t.Fatalf("%v", err)
				}
			default:
				toOutbox(o, now, id, drawForWriter(t, o.Last()))
			}
			if rapid.Bool().Draw(t, "send") {
				send()
			}
			now += rapid.SampledFrom([]time.Duration{0, time.Millisecond, 30 * time.Millisecond, time.Second}).Draw(t, "pause")
		}
		for end := now + DefaultStallAfter + 5*time.Second; now < end; now += 10 * time.Millisecond {
			send()
		}
		for id := range 3 {
			if at, ok := o.Due(id); ok {
				t.Fatalf("reader %d is due at %v, though it is mute", id, at)
			}
		}
	})
}

// TestGenuineSamplesArriveAfterAnAttack: somebody speaks in the writer's and the readers' names for a while. Afterwards,
// when what they forged has run out, every genuine sample arrives.
func TestGenuineSamplesArriveAfterAnAttack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		tb := rapidTB{t: t}
		w := newWorld(tb, rapid.Uint64().Draw(t, "seed"), channel{loss: 0.1, jitter: time.Millisecond},
			OutboxConfig{Reliable: true, Depth: 200, MaxSample: 5000})
		readers := []*simReader{
			w.join(InboxConfig{Reliable: true, MaxHeld: 16, MaxSample: 5000}, false), w.join(InboxConfig{MaxSample: 5000}, false),
		}
		got := map[*simReader][]wire.SeqNum{}
		for _, r := range readers {
			r.forged = func(s *Sample) {
				if want, ok := w.sent[s.Seq]; ok && bytes.Equal(want, s.Payload) {
					got[r] = append(got[r], s.Seq)
				}
			}
		}
		publish := func(n int) {
			w.publish(rapid.SampledFrom([]int{12, 5000}).Draw(t, "bytes"))
			w.run(time.Duration(n)*100*time.Millisecond, nil)
		}
		for range rapid.IntRange(1, 30).Draw(t, "attacks") {
			if rapid.IntRange(0, 3).Draw(t, "publish") == 0 {
				publish(1)
			}
			r := rapid.SampledFrom(readers).Draw(t, "victim")
			if rapid.IntRange(0, 3).Draw(t, "to") == 0 {
				toOutbox(w.out, w.now, r.id, drawForWriter(t, w.out.Last()))
			} else {
				toInbox(r.in, w.now, drawForReader(t, w.out.Last(), 5000), wire.Time{}, r.deliver)
			}
		}
		// The last forged sample that waits in a window is at most 16 numbers ahead of the genuine ones, and what was
		// taken for a loss is waited for no longer than GiveUp.
		for range 60 {
			publish(10)
		}
		from := w.out.Last() + 1
		w.channel.loss = 0
		for range 10 {
			publish(1)
		}
		if !w.run(time.Minute, w.out.AllAcked) {
			tb.Fatalf("not acknowledged: %+v; %+v", w.out.Stats(), readers[0].in.Stats())
		}
		late := func(n wire.SeqNum) bool { return n < from }
		if missed := slices.DeleteFunc(got[readers[0]], late); !slices.Equal(missed, numbers(from, w.out.Last())) {
			tb.Fatalf("reliable, from %d to %d: %v; %+v", from, w.out.Last(), missed, readers[0].in.Stats())
		}
		if n := len(slices.DeleteFunc(got[readers[1]], late)); n != 10 {
			tb.Fatalf("best effort, from %d: %v; %+v", from, got[readers[1]], readers[1].in.Stats())
		}
	})
}
