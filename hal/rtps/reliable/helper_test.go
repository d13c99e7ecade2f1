package reliable

import (
	"testing"
	"time"

	"github.com/robowarden/robowarden/hal/rtps/wire"
)

func data(seq wire.SeqNum, payload string) *wire.Submessage {
	return &wire.Submessage{Kind: wire.Data, Seq: seq, Payload: []byte(payload), HasPayload: true}
}

// frag is n fragments from first on of a sample.
func frag(seq wire.SeqNum, first, n, size int, sample []byte) *wire.Submessage {
	from := (first - 1) * size
	return &wire.Submessage{
		Kind: wire.DataFrag, Seq: seq, HasPayload: true, FirstFrag: uint32(first), Frags: uint16(n), FragSize: uint16(size),
		SampleSize: uint32(len(sample)), Payload: sample[from:min(from+n*size, len(sample))],
	}
}

func beat(first, last wire.SeqNum, count int32, final bool) *wire.Submessage {
	return &wire.Submessage{Kind: wire.Heartbeat, First: first, Last: last, Count: count, Final: final}
}

func seqSet(base wire.SeqNum, in ...wire.SeqNum) wire.SeqSet {
	s := wire.SeqSet{Base: base}
	for _, n := range in {
		if uint64(n-base) < wire.MaxSetBits {
			s.Add(n)
		}
	}
	return s
}

func fragSet(base uint32, in ...uint32) wire.FragSet {
	s := wire.FragSet{Base: base}
	for _, n := range in {
		s.Add(n)
	}
	return s
}

func gap(from, base wire.SeqNum, in ...wire.SeqNum) *wire.Submessage {
	return &wire.Submessage{Kind: wire.Gap, Seq: from, Set: seqSet(base, in...)}
}

func ack(base wire.SeqNum, count int32, final bool, missing ...wire.SeqNum) *wire.Submessage {
	return &wire.Submessage{Kind: wire.AckNack, Set: seqSet(base, missing...), Count: count, Final: final}
}

func nackFrag(seq wire.SeqNum, count int32, base uint32, missing ...uint32) *wire.Submessage {
	return &wire.Submessage{Kind: wire.NackFrag, Seq: seq, FragSet: fragSet(base, missing...), Count: count}
}

// bench is an Inbox with what it handed on.
type bench struct {
	t     testing.TB
	in    *Inbox
	now   time.Duration
	got   []wire.SeqNum
	texts []string
	last  Sample
	beats int32
}

func newBench(t testing.TB, c InboxConfig) *bench {
	t.Helper()
	return &bench{t: t, in: NewInbox(c), now: time.Hour}
}

func (b *bench) deliver(s *Sample) {
	b.got = append(b.got, s.Seq)
	b.texts = append(b.texts, string(s.Payload))
	b.last = *s
	b.last.Payload = append([]byte(nil), s.Payload...)
}

func (b *bench) take(s *wire.Submessage) Verdict {
	b.t.Helper()
	defer checkInbox(b.t, b.in)
	return toInbox(b.in, b.now, s, wire.Time{Seconds: 7}, b.deliver)
}

// expect takes a submessage and wants a verdict.
func (b *bench) expect(s *wire.Submessage, want Verdict) {
	b.t.Helper()
	if got := b.take(s); got != want {
		b.t.Fatalf("%v %d: %v, expected %v", s.Kind, s.Seq, got, want)
	}
}

// beat takes a fresh heartbeat.
func (b *bench) beat(first, last wire.SeqNum, final bool) (jump bool) {
	b.beats++
	return b.in.Heartbeat(b.now, beat(first, last, b.beats, final), b.deliver)
}

// reply is what the Inbox writes when it is due within d; nil if it is not.
func (b *bench) reply(d time.Duration) []wire.Submessage {
	b.t.Helper()
	end := b.now + d
	for {
		at, ok := b.in.Due()
		if !ok || at > end {
			return nil
		}
		b.now = max(b.now, at)
		if s := parse(b.t, b.in.Reply(b.now, wire.AppendHeader(nil, readerPrefix), readerID, writerID)); len(s) > 0 {
			return s
		}
	}
}

// parse reads a datagram.
func parse(t testing.TB, b []byte) (all []wire.Submessage) {
	t.Helper()
	var m wire.Message
	if err := m.Reset(b); err != nil {
		t.Fatal(err)
	}
	for {
		var s wire.Submessage
		ok, err := m.Next(&s)
		if err != nil {
			t.Fatalf("malformed: %v", err)
		}
		if !ok {
			return all
		}
		all = append(all, s)
	}
}

// in is the numbers in a set.
func in(s *wire.SeqSet) (n []wire.SeqNum) {
	for k := range s.All() {
		n = append(n, k)
	}
	return n
}

func fragsIn(s *wire.FragSet) (n []uint32) {
	for k := range s.All() {
		n = append(n, k)
	}
	return n
}

// pattern is n bytes that are not the same everywhere.
func pattern(n int, salt byte) []byte {
	b := make([]byte, n)
	for k := range b {
		b[k] = byte(k*7+k>>8) ^ salt
	}
	return b
}
