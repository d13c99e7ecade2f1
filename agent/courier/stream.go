package courier

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/robowarden/robowarden/agent/evidencelog"
	"github.com/robowarden/robowarden/agent/journal"
)

// Bounds of one log's stream.
const (
	batchRecords = 64
	batchBytes   = 64 << 10
	// aheadRecords and aheadBytes bound what is read and not sent yet.
	aheadRecords = 64
	aheadBytes   = 128 << 10
	// openRecords and openBytes bound what is sent and not acknowledged by the consumer.
	openRecords = 8192
	openBytes   = 2 << 20
	// maxBootsAhead bounds acknowledgements of what has not been read yet.
	maxBootsAhead = 4

	followPoll = 50 * time.Millisecond
)

// entry is what a follower gives to the loop: a record, a loss, damage, or why it ended.
type entry struct {
	record json.RawMessage
	pos    evidencelog.Position
	kind   journal.Kind
	loss   *evidencelog.Loss
	damage error
	ended  error
}

// follow reads a journal until ctx ends. It waits while the loop takes nothing.
func follow(ctx context.Context, log, dir string, from []evidencelog.Position, out chan<- entry) {
	give := func(e entry) error {
		select {
		case out <- e:
			return nil
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	err := evidencelog.Follow(ctx, evidencelog.Options{
		Dir: dir, Log: log, From: from, Poll: followPoll,
		Lost:    func(l evidencelog.Loss) error { return give(entry{loss: &l}) },
		Damaged: func(err error) { _ = give(entry{damage: err}) }, // a context that ended ends Follow as well
	}, func(r *evidencelog.Record) error {
		raw, err := encodeRecord(log, r)
		if err != nil {
			return fmt.Errorf("record %d: %w", r.Seq, err)
		}
		return give(entry{record: raw, pos: r.Position(), kind: r.Kind})
	})
	_ = give(entry{ended: err})
}

// item is a record on its way to the consumer.
type item struct {
	pos    evidencelog.Position
	record json.RawMessage // nil once it is sent: to send it again, it is read again
	bytes  int
	safety bool
}

// stream is one log's way to the consumer. It belongs to the loop.
type stream struct {
	log   string
	items []item // in order: the first `sent` of them are sent and not acknowledged
	sent  int
	bytes int // of the sent ones
	ahead int // bytes of the others

	// Bounds: how many records, and bytes, are sent and not acknowledged, and how many are read and not sent.
	window, windowBytes, lookahead int

	acked  map[[16]byte]uint64               // by boot
	future map[[16]byte]evidencelog.Position // acknowledgements of what was not read yet
	read   evidencelog.Position              // what was read last, zero after a rewind
	at     evidencelog.Position              // the cursor: what the consumer has acknowledged last
	promise
	stall

	active  time.Duration // when something moved last
	resend  backoff
	timeout time.Duration // 0 before the first send
	again   uint64        // records that were given up for lost on the way
}

func newStream(log string, resend backoff) *stream {
	return &stream{
		log: log, acked: map[[16]byte]uint64{}, future: map[[16]byte]evidencelog.Position{},
		stall: stall{asks: backoff{first: resend.first / askedFraction, most: resend.most, random: resend.random}}, resend: resend, window: openRecords, windowBytes: openBytes, lookahead: aheadRecords,
	}
}

// wants says whether more should be read.
func (s *stream) wants() bool {
	return len(s.items)-s.sent < s.lookahead && s.ahead < aheadBytes
}

// errFork means that the consumer has acknowledged another record than the one that the journal holds.
var errFork = errors.New("the consumer has acknowledged another record than the journal holds")

// add takes a record that was read. It returns where the cursor is to go, or nil. The caller then asks whether the stream is
// astray.
func (s *stream) add(now time.Duration, e *entry) (*evidencelog.Position, error) {
	ended := s.turn(now, e.pos.BootID)
	s.read = e.pos
	to, passed, err := s.pass(now, e)
	if !passed {
		to, err = s.put(now, e)
	}
	if to == nil {
		to = ended
	}
	return to, err
}

// put takes a record that has to be sent.
func (s *stream) put(now time.Duration, e *entry) (*evidencelog.Position, error) {
	s.items = append(s.items, item{pos: e.pos, record: e.record, bytes: len(e.record), safety: isSafety(s.log, e.kind)})
	s.ahead += len(e.record)
	if f, ok := s.future[e.pos.BootID]; ok && f.Seq <= e.pos.Seq {
		delete(s.future, e.pos.BootID)
		if f.Seq == e.pos.Seq {
			return s.ack(now, f)
		}
	}
	return nil, nil
}

// ack takes an acknowledgement that the guard has verified, at boot time now. It returns where the cursor is to go, or nil.
func (s *stream) ack(now time.Duration, p evidencelog.Position) (*evidencelog.Position, error) {
	s.heard = true
	if s.repeats(now, p) {
		return nil, nil
	}
	known := false
	for i := range s.items {
		q := &s.items[i].pos
		if q.BootID != p.BootID {
			continue
		}
		if q.Seq == p.Seq {
			if q.Digest != p.Digest {
				return nil, fmt.Errorf("%w: record %d of log %s, chain value %x, the journal's is %x", errFork, p.Seq, s.log, p.Digest[:6], q.Digest[:6])
			}
			known = true
			break
		}
		if q.Seq > p.Seq {
			return nil, nil // an old one
		}
	}
	if !known {
		s.foresee(now, p)
		return nil, nil
	}
	s.acked[p.BootID] = p.Seq
	return s.release(now), nil
}

// release lets go of what is acknowledged. It returns where the cursor is to go, or nil.
func (s *stream) release(now time.Duration) *evidencelog.Position {
	var to *evidencelog.Position
	n := 0
	for ; n < len(s.items) && s.items[n].pos.Seq <= s.acked[s.items[n].pos.BootID]; n++ {
		it := &s.items[n]
		if s.sent > 0 {
			s.sent--
			s.bytes -= it.bytes
		} else {
			s.ahead -= it.bytes
		}
		to = &evidencelog.Position{BootID: it.pos.BootID, Seq: it.pos.Seq, Digest: it.pos.Digest}
	}
	if n > 0 {
		s.items = append(s.items[:0], s.items[n:]...)
		s.progress(now)
		s.forget()
	}
	return to
}

// progress notes that the consumer has more than before.
func (s *stream) progress(now time.Duration) {
	s.active, s.timeout = max(s.active, now), 0
	s.resend.reset()
	s.moves()
}

// forget drops what is known about boots that no record here belongs to any more.
func (s *stream) forget() {
	for boot := range s.acked {
		used := false
		for i := range s.items {
			if used = s.items[i].pos.BootID == boot; used {
				break
			}
		}
		if !used {
			delete(s.acked, boot)
		}
	}
}

// batch is some records to be sent as one message.
type batch struct {
	boot        [16]byte
	first, last uint64
	records     []json.RawMessage
	bytes       int
}

// ready says whether there is something to send, and whether safety needs it.
func (s *stream) ready() (some, safety bool) {
	if s.sent >= s.window || s.bytes >= s.windowBytes || s.sent == len(s.items) {
		return false, false
	}
	for _, it := range s.items[s.sent:] {
		if it.safety {
			return true, true
		}
	}
	return true, false
}

// take returns the next batch.
func (s *stream) take(now time.Duration) batch {
	b := batch{boot: s.items[s.sent].pos.BootID, first: s.items[s.sent].pos.Seq}
	for s.sent < len(s.items) && len(b.records) < batchRecords {
		it := &s.items[s.sent]
		if it.pos.BootID != b.boot || len(b.records) > 0 && b.bytes+it.bytes > batchBytes {
			break
		}
		b.records, b.last, b.bytes = append(b.records, it.record), it.pos.Seq, b.bytes+it.bytes
		it.record = nil
		s.sent++
		s.ahead -= it.bytes
		s.bytes += it.bytes
	}
	s.touch(now)
	return b
}

// touch notes that something moved.
func (s *stream) touch(now time.Duration) { s.active = now }

// stale says whether nothing has moved for so long that what was sent must be taken for lost.
func (s *stream) stale(now time.Duration) bool {
	if s.sent == 0 {
		return false
	}
	if s.timeout == 0 {
		s.timeout = s.resend.wait()
	}
	return now-s.active >= s.timeout || s.asked(now)
}

// rewind forgets everything behind the cursor; the caller reads it again.
func (s *stream) rewind(now time.Duration) {
	s.again += uint64(s.sent)
	s.items, s.sent, s.bytes, s.ahead, s.timeout = nil, 0, 0, 0, 0
	s.read, s.following, s.astray = evidencelog.Position{}, false, false
	clear(s.acked)
	s.askedAt = 0
	s.touch(now)
}

// oldest is the first record that no acknowledgement covers.
func (s *stream) oldest() (Oldest, bool) {
	if len(s.items) == 0 {
		return Oldest{}, false
	}
	p := s.items[0].pos
	return Oldest{Log: s.log, BootID: evidencelog.FormatBoot(p.BootID), Seq: p.Seq}, true
}
