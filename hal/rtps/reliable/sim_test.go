package reliable

import (
	"bytes"
	"container/heap"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/robowarden/robowarden/hal/rtps/wire"
)

var (
	writerPrefix = wire.Prefix{1, 2, 3}
	readerPrefix = wire.Prefix{4, 5, 6}
	writerID     = wire.EntityID{0, 0, 1, 0x03}
	readerID     = wire.EntityID{0, 0, 1, 0x04}
)

// channel is what a network does to datagrams: shares of loss and duplication, and delays that reorder.
type channel struct {
	loss, dup float64
	jitter    time.Duration
}

// world is one writer and its readers in virtual time.
type world struct {
	t       testing.TB
	rng     *rand.Rand
	now     time.Duration
	channel channel
	flying  flight
	out     *Outbox
	readers []*simReader
	sent    map[wire.SeqNum][]byte
	stamps  map[wire.SeqNum]wire.Time
	budget  int // datagrams per reader and call
	size    int // of a datagram
	total   int // datagrams sent
	maxSent int // more are a livelock
	order   int
	tap     func(*datagram) // sees what arrives
}

// simReader is one reader of the world's writer.
type simReader struct {
	w    *world
	id   int
	in   *Inbox
	got  []wire.SeqNum
	gone bool
	mute bool // its answers are lost
	// forged takes what is delivered in a world in which somebody else speaks as well.
	forged func(*Sample)
}

type datagram struct {
	at       time.Duration
	order    int
	reader   *simReader
	toWriter bool
	b        []byte
}

type flight []*datagram

func (f flight) Len() int { return len(f) }

func (f flight) Less(a, b int) bool {
	return f[a].at < f[b].at || f[a].at == f[b].at && f[a].order < f[b].order
}
func (f flight) Swap(a, b int) { f[a], f[b] = f[b], f[a] }
func (f *flight) Push(x any)   { *f = append(*f, x.(*datagram)) }

func (f *flight) Pop() any {
	l := len(*f) - 1
	d := (*f)[l]
	*f = (*f)[:l]
	return d
}

func newWorld(t testing.TB, seed uint64, c channel, o OutboxConfig) *world {
	t.Helper()
	t.Logf("seed %d, channel %+v", seed, c)
	w := &world{
		t: t, rng: rand.New(rand.NewPCG(seed, 1)), now: time.Hour, channel: c, out: NewOutbox(o),
		sent: map[wire.SeqNum][]byte{}, stamps: map[wire.SeqNum]wire.Time{}, budget: 64, maxSent: 1 << 20,
	}
	w.size = Overhead + w.out.cfg.FragmentSize
	return w
}

// join matches a new reader.
func (w *world) join(c InboxConfig, history bool) *simReader {
	w.t.Helper()
	r := &simReader{w: w, id: len(w.readers), in: NewInbox(c)}
	if !w.out.Match(w.now, r.id, c.Reliable, history) {
		w.t.Fatalf("reader %d is not matched", r.id)
	}
	w.readers = append(w.readers, r)
	return r
}

// leave ends a reader.
func (w *world) leave(r *simReader) {
	w.out.Unmatch(r.id)
	r.gone = true
}

// publish adds a sample of n bytes that tells its number.
func (w *world) publish(n int) wire.SeqNum {
	w.t.Helper()
	b := make([]byte, max(n, 12))
	for k := range b {
		b[k] = byte(w.rng.Uint32())
	}
	copy(b, fmt.Sprintf("%08d", w.out.Last()+1))
	stamp := wire.TimeOf(int64(w.now))
	if w.out.Last()%5 == 0 {
		stamp = wire.Time{}
	}
	seq, err := w.out.Add(w.now, stamp, b)
	if err != nil {
		w.t.Fatal(err)
	}
	w.stamps[seq] = stamp
	w.sent[seq] = b
	return seq
}

func (r *simReader) deliver(s *Sample) {
	if r.forged != nil {
		r.forged(s)
		return
	}
	want, ok := r.w.sent[s.Seq]
	if !ok || !bytes.Equal(want, s.Payload) {
		r.w.t.Fatalf("reader %d: sample %d of %d bytes is not what was sent, %d bytes", r.id, s.Seq, len(s.Payload), len(want))
	}
	if s.Stamp != r.w.stamps[s.Seq] {
		r.w.t.Fatalf("reader %d: sample %d has the time %v, expected %v", r.id, s.Seq, s.Stamp, r.w.stamps[s.Seq])
	}
	if l := len(r.got); l > 0 && r.got[l-1] >= s.Seq {
		r.w.t.Fatalf("reader %d: sample %d after %d", r.id, s.Seq, r.got[l-1])
	}
	r.got = append(r.got, s.Seq)
}

// post sends one datagram through the channel.
func (w *world) post(r *simReader, toWriter bool, b []byte) {
	if w.total++; w.total > w.maxSent {
		w.t.Fatalf("%d datagrams sent: a livelock", w.total)
	}
	if len(b) > w.size && !toWriter {
		w.t.Fatalf("a datagram of %d bytes, expected at most %d", len(b), w.size)
	}
	for n := 1; n > 0; n-- {
		if w.rng.Float64() < w.channel.dup {
			n++
		}
		if w.rng.Float64() < w.channel.loss || toWriter && r.mute {
			continue
		}
		w.order++
		delay := 50*time.Microsecond + time.Duration(w.rng.Int64N(int64(w.channel.jitter)+1))
		heap.Push(&w.flying, &datagram{w.now + delay, w.order, r, toWriter, b})
	}
}

// arrive hands a datagram to whom it is for.
func (w *world) arrive(d *datagram) {
	if d.reader.gone {
		return
	}
	if w.tap != nil {
		w.tap(d)
	}
	var m wire.Message
	if err := m.Reset(d.b); err != nil {
		w.t.Fatal(err)
	}
	var s wire.Submessage
	for {
		ok, err := m.Next(&s)
		if err != nil {
			w.t.Fatalf("malformed datagram % x: %v", d.b[:min(len(d.b), 200)], err)
		}
		if !ok {
			return
		}
		if d.toWriter {
			toOutbox(w.out, w.now, d.reader.id, &s)
			continue
		}
		toInbox(d.reader.in, w.now, &s, m.Stamp, d.reader.deliver)
		if n := d.reader.in.HeldBytes(); n > d.reader.in.cfg.MaxHeldBytes {
			w.t.Fatalf("%d bytes held, expected at most %d", n, d.reader.in.cfg.MaxHeldBytes)
		}
	}
}

func toOutbox(o *Outbox, now time.Duration, id int, s *wire.Submessage) {
	switch s.Kind {
	case wire.AckNack:
		o.AckNack(now, id, s)
	case wire.NackFrag:
		o.NackFrag(now, id, s)
	default:
	}
}

func toInbox(i *Inbox, now time.Duration, s *wire.Submessage, stamp wire.Time, d Deliver) Verdict {
	switch s.Kind {
	case wire.Data:
		return i.Data(now, s, stamp, d)
	case wire.DataFrag:
		return i.Frag(now, s, stamp, d)
	case wire.Heartbeat:
		i.Heartbeat(now, s, d)
	case wire.HeartbeatFrag:
		i.HeartbeatFrag(now, s)
	case wire.Gap:
		i.Gap(now, s, d)
	default:
	}
	return 0
}

// act lets everybody send who is due, and tells when the next is.
func (w *world) act() (next time.Duration) {
	next = w.now + time.Hour
	note := func(at time.Duration, ok bool) {
		if ok {
			next = min(next, max(at, w.now+10*time.Microsecond))
		}
	}
	for _, r := range w.readers {
		if r.gone {
			continue
		}
		for n := 0; n < w.budget; n++ {
			head := wire.AppendInfoDst(wire.AppendHeader(nil, writerPrefix), readerPrefix)
			b := w.out.Next(w.now, r.id, head, w.size, readerID, writerID)
			if len(b) == len(head) {
				break
			}
			w.post(r, false, b)
		}
		note(w.out.Due(r.id))
		if at, ok := r.in.Due(); ok && at <= w.now {
			head := wire.AppendInfoDst(wire.AppendHeader(nil, readerPrefix), writerPrefix)
			b := r.in.Reply(w.now, head, readerID, writerID)
			if len(b) > len(head)+MaxReply {
				w.t.Fatalf("an answer of %d bytes, expected at most %d", len(b)-len(head), MaxReply)
			}
			if len(b) > len(head) {
				w.post(r, true, b)
			}
		}
		if at, ok := r.in.Due(); ok && at <= w.now {
			w.t.Fatalf("reader %d is due at %v again", r.id, at)
		}
		note(r.in.Due())
	}
	if len(w.flying) > 0 {
		note(w.flying[0].at, true)
	}
	return next
}

// run lets time pass until a time, or until done.
func (w *world) run(d time.Duration, done func() bool) bool {
	end := w.now + d
	for {
		for len(w.flying) > 0 && w.flying[0].at <= w.now {
			w.arrive(heap.Pop(&w.flying).(*datagram))
		}
		if done != nil && done() {
			return true
		}
		next := w.act()
		if next > end {
			w.now = end
			return done == nil
		}
		w.now = next
	}
}

// numbers is [from, to].
func numbers(from, to wire.SeqNum) (n []wire.SeqNum) {
	for ; from <= to; from++ {
		n = append(n, from)
	}
	return n
}
