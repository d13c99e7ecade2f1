package reliable

import (
	"testing"
	"time"

	"github.com/robowarden/robowarden/hal/rtps/wire"
)

// These tests are not parallel: testing.AllocsPerRun counts what the whole process allocates.

// TestInboxAllocatesNothing in steady state, whatever its way.
func TestInboxAllocatesNothing(t *testing.T) {
	small, big := pattern(700, 0), pattern(100_000, 0)
	sink := 0
	take := func(s *Sample) { sink += len(s.Payload) }
	answer := make([]byte, 0, MaxReply)
	// Each way delivers two samples from n on.
	whole := func(in *Inbox, now time.Duration, n wire.SeqNum, s *wire.Submessage) {
		s.Kind, s.Seq, s.Payload, s.HasPayload = wire.Data, n, small, true
		in.Data(now, s, wire.Time{}, take)
	}
	pieces := func(in *Inbox, now time.Duration, n wire.SeqNum, s *wire.Submessage) {
		s.Kind, s.Seq, s.FragSize, s.SampleSize, s.Frags = wire.DataFrag, n, 10_000, uint32(len(big)), 1
		for k := range 10 {
			s.FirstFrag, s.Payload = uint32(10-k), big[(9-k)*10_000:(10-k)*10_000]
			in.Frag(now, s, wire.Time{}, take)
		}
	}
	for name, way := range map[string]struct {
		reliable bool
		f        func(in *Inbox, now time.Duration, n wire.SeqNum, s *wire.Submessage)
	}{
		"best effort": {false, func(in *Inbox, now time.Duration, n wire.SeqNum, s *wire.Submessage) {
			whole(in, now, n, s)
			whole(in, now, n+1, s)
		}},
		"best effort in fragments": {false, func(in *Inbox, now time.Duration, n wire.SeqNum, s *wire.Submessage) {
			pieces(in, now, n, s)
			pieces(in, now, n+1, s)
		}},
		"in order": {true, func(in *Inbox, now time.Duration, n wire.SeqNum, s *wire.Submessage) {
			whole(in, now, n, s)
			whole(in, now, n+1, s)
			s.First, s.Last, s.Count, s.Final = 1, n+1, int32(n), false
			in.Heartbeat(now, s, take)
			if at, ok := in.Due(); ok {
				answer = in.Reply(at, answer[:0], readerID, writerID)
			}
		}},
		"overtaken, with a request": {true, func(in *Inbox, now time.Duration, n wire.SeqNum, s *wire.Submessage) {
			whole(in, now, n+1, s)
			s.First, s.Last, s.Count, s.Final = 1, n+1, int32(n), false
			in.Heartbeat(now, s, take)
			if at, ok := in.Due(); ok {
				answer = in.Reply(at, answer[:0], readerID, writerID)
			}
			whole(in, now, n, s)
		}},
		"overtaken in fragments": {true, func(in *Inbox, now time.Duration, n wire.SeqNum, s *wire.Submessage) {
			pieces(in, now, n+1, s)
			pieces(in, now, n, s)
		}},
		"gaps": {true, func(in *Inbox, now time.Duration, n wire.SeqNum, s *wire.Submessage) {
			s.Seq, s.Set = n+1, wire.SeqSet{Base: n + 2}
			in.Gap(now, s, take)
			whole(in, now, n, s)
		}},
	} {
		in := NewInbox(InboxConfig{Reliable: way.reliable, MaxSample: 100_000, MaxHeldBytes: 500_000})
		var s wire.Submessage
		now, n := time.Hour, wire.SeqNum(1)
		in.Heartbeat(now, &wire.Submessage{First: 1, Count: -9}, take)
		step := func() {
			way.f(in, now, n, &s)
			n += 2
			now += 10 * time.Millisecond
		}
		for range 200 {
			step()
		}
		if allocs := testing.AllocsPerRun(200, step); allocs != 0 {
			t.Errorf("%s: %v allocations", name, allocs)
		}
		if in.next != n || sink == 0 {
			t.Errorf("%s: next is %d, expected %d: %+v", name, in.next, n, in.Stats())
		}
	}
}

// TestOutboxAllocatesNothing from the first sample on.
func TestOutboxAllocatesNothing(t *testing.T) {
	for name, size := range map[string]int{"whole": 100, "in fragments": 5000} {
		o := NewOutbox(OutboxConfig{Reliable: true, Depth: 4})
		now := time.Hour
		for id := range 8 {
			o.Match(now, id, id%2 == 0, false)
		}
		payload, b, s := pattern(size, 0), make([]byte, 0, 1500), wire.Submessage{}
		count := int32(0)
		step := func() {
			now += 10 * time.Millisecond
			seq, err := o.Add(now, wire.Time{Seconds: 1}, payload)
			if err != nil {
				t.Fatal(err)
			}
			for id := range 8 {
				for l := 1; l > 0; {
					b = o.Next(now, id, b[:0], 1500, readerID, writerID)
					l = len(b)
				}
				count++
				s.Count, s.Final, s.Set, s.Seq, s.FragSet = count, true, wire.SeqSet{Base: seq}, seq, wire.FragSet{Base: 1}
				s.Set.Add(seq)
				s.FragSet.Add(2)
				o.AckNack(now, id, &s)
				o.NackFrag(now, id, &s)
				for l := 1; l > 0; {
					b = o.Next(now+time.Second, id, b[:0], 1500, readerID, writerID)
					l = len(b)
				}
				s.Count, s.Set = count, wire.SeqSet{Base: seq + 1}
				count++
				o.AckNack(now, id, &s)
			}
		}
		if allocs := testing.AllocsPerRun(100, step); allocs != 0 {
			t.Errorf("%s: %v allocations", name, allocs)
		}
	}
}

func BenchmarkInboxInOrder(b *testing.B) {
	in := NewInbox(InboxConfig{Reliable: true})
	s := data(0, string(pattern(724, 0)))
	take := func(*Sample) {}
	for b.Loop() {
		s.Seq++
		in.Data(time.Hour, s, wire.Time{}, take)
	}
}

func BenchmarkOutboxOneReader(b *testing.B) {
	o := NewOutbox(OutboxConfig{Reliable: true})
	o.Match(0, 0, true, false)
	payload, buf := pattern(60, 0), make([]byte, 0, 1500)
	var s wire.Submessage
	for b.Loop() {
		seq, err := o.Add(0, wire.Time{}, payload)
		if err != nil {
			b.Fatal(err)
		}
		buf = o.Next(0, 0, buf[:0], 1500, readerID, writerID)
		s.Count, s.Set.Base = int32(seq), seq+1
		o.AckNack(0, 0, &s)
	}
}
