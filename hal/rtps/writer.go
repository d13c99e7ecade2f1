package rtps

import (
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/robowarden/robowarden/hal/rtps/reliable"
	"github.com/robowarden/robowarden/hal/rtps/wire"
)

// WriterConfig says what to offer.
type WriterConfig struct {
	// Topic and Type are names as on the wire, 1 to MaxName bytes.
	Topic, Type string
	// Reliable offers repair of lost samples, as long as they are among the last Depth.
	Reliable bool
	// TransientLocal hands the last Depth samples to readers that come later and ask for them. It needs Reliable.
	TransientLocal bool
	// Keyed says that the type has a key; ROS 2's have none.
	Keyed bool
	// Depth is how many samples are kept, 1 to MaxDepth; 0 takes 1.
	Depth int
	// MaxSample caps the payload in bytes, encapsulation included; 0 takes DefaultMaxSample. Depth·MaxSample bytes are
	// kept for the writer.
	MaxSample int
	// UserData is the endpoint's user data, at most MaxUserData bytes.
	UserData []byte
	// FirstReaders names the readers that matter: they are sent to first, and half of Limits.ReadersPerWriter is kept for
	// them. It is asked when a reader is matched and by Rematch, on the goroutine of OnEvent. It may be nil.
	FirstReaders func(*RemoteReader) bool
	// Serves says which matched readers the samples are for; nil serves all. The others are kept up to date that there is
	// nothing for them, so that they do not ask. It is asked as FirstReaders is, and excludes TransientLocal.
	Serves func(*RemoteReader) bool
	// OnMatch is told of readers that are sent to from now on, and of those that are no longer, on the goroutine of
	// OnEvent. It may be nil.
	OnMatch func(r *RemoteReader, matched bool)
}

// Sent says what became of one sample.
type Sent struct {
	// Delivered counts the readers to whom the whole sample was handed to the socket.
	Delivered int
	// Behind counts the readers for whom the socket had no room; reliable ones get it later, or a newer one.
	Behind int
	// Superseded is true if a sample with a higher sequence number was there before; then nothing was sent.
	Superseded bool
	// Seq is the sample's number on the wire, 0 if Superseded.
	Seq wire.SeqNum
}

// Writer writes one topic.
type Writer struct {
	p    *Participant
	guid wire.GUID
	cfg  WriterConfig
	data wire.EndpointData

	wanted map[wire.GUID]*outlet // guarded by Participant.mu

	// mu guards what follows. It is held over state and over sends that do not wait, never over a callback.
	mu      sync.Mutex
	closed  bool
	seq     uint64
	out     *reliable.Outbox
	outlets []*outlet // those that matter first
	byGUID  map[wire.GUID]*outlet
	ids     []bool
	mouth   *mouth

	due atomic.Int64 // when something is to be sent again; never is math.MaxInt64
}

// NewWriter makes a writer and announces it.
func (p *Participant) NewWriter(c WriterConfig) (*Writer, error) {
	c.MaxSample, c.Depth = orDefault(c.MaxSample, DefaultMaxSample), orDefault(c.Depth, 1)
	if err := checkEndpoint("writer", c.Topic, c.Type, c.UserData, c.MaxSample, c.Reliable, c.TransientLocal); err != nil {
		return nil, err
	}
	if c.Depth < 1 || c.Depth > MaxDepth {
		return nil, fmt.Errorf("rtps: writer of %s: depth %d; expected 1 to %d", c.Topic, c.Depth, MaxDepth)
	}
	if c.Serves != nil && c.TransientLocal {
		return nil, fmt.Errorf("rtps: writer of %s: what is kept for late readers is for all; expected no choice of readers with TransientLocal", c.Topic)
	}
	c.UserData = slices.Clone(c.UserData)
	w := &Writer{
		p: p, cfg: c, wanted: map[wire.GUID]*outlet{}, byGUID: map[wire.GUID]*outlet{}, mouth: p.newMouth(true),
		ids: make([]bool, p.lim.ReadersPerWriter),
		out: reliable.NewOutbox(reliable.OutboxConfig{
			Reliable: c.Reliable, TransientLocal: c.TransientLocal, Depth: c.Depth, MaxSample: c.MaxSample, FragmentSize: fragment,
			MaxReaders: p.lim.ReadersPerWriter, StallAfter: neverStall,
		}),
	}
	w.due.Store(never)
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := p.mayAdd(len(p.writers)); err != nil {
		return nil, err
	}
	w.guid = p.newGUID(0x03, 0x02, c.Keyed)
	w.data = p.description(w.guid, c.Topic, c.Type, c.UserData, c.Reliable, c.TransientLocal)
	if err := p.pubs.announce(p.cfg.Clock(), w.guid.Entity, wire.AppendEndpoint(nil, &w.data)); err != nil {
		return nil, err
	}
	p.writers[w.guid.Entity] = w
	p.dirty = true
	p.publish()
	for _, rm := range p.remotes {
		for _, ep := range rm.endpoints {
			if !ep.Writer {
				p.matchReader(w, ep)
			}
		}
	}
	p.flushAll()
	return w, nil
}

// GUID is the writer's own.
func (w *Writer) GUID() wire.GUID { return w.guid }

// Topic is the topic's name on the wire.
func (w *Writer) Topic() string { return w.cfg.Topic }

// Write sends payload (with its four bytes of encapsulation) to every matched reader, unless something with a higher seq
// was written before. It copies payload, never waits and never allocates.
func (w *Writer) Write(seq uint64, payload []byte) (Sent, error) {
	return w.write(seq, payload, wire.GUID{}, 0)
}

// WriteRelated is Write for a request or an answer of a service of Fast DDS: the sample carries another's identity.
func (w *Writer) WriteRelated(seq uint64, payload []byte, of wire.GUID, ofSeq wire.SeqNum) (Sent, error) {
	return w.write(seq, payload, of, ofSeq)
}

func (w *Writer) write(seq uint64, payload []byte, of wire.GUID, ofSeq wire.SeqNum) (s Sent, err error) {
	now, stamp := w.p.cfg.Clock(), wire.TimeOf(w.p.cfg.Civil())
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case w.closed:
		return s, ErrClosed
	case len(payload) > w.cfg.MaxSample:
		return s, ErrTooLong
	case seq < w.seq:
		return Sent{Superseded: true}, nil
	}
	w.seq = seq
	if of == (wire.GUID{}) {
		s.Seq, err = w.out.Add(now, stamp, payload)
	} else {
		s.Seq, err = w.out.AddRelated(now, stamp, payload, of, ofSeq)
	}
	if err != nil {
		return Sent{}, ErrTooLong
	}
	for _, o := range w.outlets {
		switch {
		case o.passed:
			w.pass(o, now)
		case w.send(o, now):
			s.Delivered++
		default:
			s.Behind++
		}
	}
	w.schedule(now)
	return s, nil
}

// pass makes a sample none of a reader's: for it the writer begins behind that sample, as for one that has just come. The
// caller holds mu.
func (w *Writer) pass(o *outlet, now time.Duration) {
	w.out.Unmatch(o.id)
	w.out.Match(now, o.id, o.reliable, false)
	w.send(o, now)
}

const (
	never = int64(1<<63 - 1)
	// neverStall keeps heartbeats coming, one a second, for a reader that does not acknowledge: without them one that has
	// lost the last sample would not learn that there is one. A reader that is gone goes with its participant's lease.
	neverStall = 365 * 24 * time.Hour
)

// send sends what is due for one reader; at most so many datagrams at once, that a long sample does not keep the caller:
// what is left follows from the timers' goroutine. False says that the socket had no room. The caller holds mu.
func (w *Writer) send(o *outlet, now time.Duration) bool {
	const budget = 64
	for range budget {
		head := w.mouth.begin(o.r.GUID.Prefix)
		b := w.out.Next(now, o.id, head, maxDatagram, o.r.GUID.Entity, w.guid.Entity)
		if len(b) == len(head) {
			return true
		}
		if !w.mouth.send(b, o.to) {
			return false
		}
	}
	return true
}

// schedule notes when the timers have something to send next. The caller holds mu.
func (w *Writer) schedule(now time.Duration) {
	at := never
	for _, o := range w.outlets {
		if d, ok := w.out.Due(o.id); ok {
			at = min(at, int64(d))
		}
		if o.reliable {
			w.stalls(o, now)
		}
	}
	w.due.Store(at)
	if at < w.p.timerAt.Load() {
		w.p.kickTimers(max(now, time.Duration(at)))
	}
}

// stalls tells when a reader has stopped to acknowledge. The caller holds mu.
func (w *Writer) stalls(o *outlet, now time.Duration) {
	switch {
	case w.out.Acked(o.id):
		o.owes = 0
	case o.owes == 0:
		o.owes = now
	}
	stalled := o.owes != 0 && now-max(o.owes, o.heard) > w.p.lim.StallTimeout
	if stalled && !o.stalled && w.p.rep.wants(ReaderStalled) {
		w.p.rep.emit(&Event{
			Kind: ReaderStalled, GUID: o.r.GUID, Participant: o.r.Participant, Endpoint: o.r.Endpoint, Source: o.r.Participant.Source,
			Topic: w.cfg.Topic, Detail: "it acknowledges nothing; expected within " + w.p.lim.StallTimeout.String(),
		})
	}
	o.stalled = stalled
}

// tick sends what is due.
func (w *Writer) tick(now time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, o := range w.outlets {
		w.send(o, now)
	}
	w.schedule(now)
}

// acknowledged takes a reader's ACKNACK or NACK_FRAG and answers it.
func (w *Writer) acknowledged(g wire.GUID, s *wire.Submessage, now time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	o := w.byGUID[g]
	if o == nil || !o.reliable {
		return
	}
	o.heard = now
	o.r.heard.Store(int64(now))
	if s.Kind == wire.NackFrag {
		w.out.NackFrag(now, o.id, s)
	} else {
		w.out.AckNack(now, o.id, s)
	}
	w.send(o, now)
	w.scheduleOne(o, now)
}

// scheduleOne is schedule for one reader. What the others are due was noted before, so an acknowledgement costs the same
// however many readers there are: one datagram holds two thousand. The caller holds mu.
func (w *Writer) scheduleOne(o *outlet, now time.Duration) {
	w.stalls(o, now)
	at, ok := w.out.Due(o.id)
	if !ok || int64(at) >= w.due.Load() {
		return
	}
	w.due.Store(int64(at))
	w.p.kickTimers(max(now, at))
}

// connect begins to send to a reader, or puts it into its place; false if there is no room. Half of the room is kept for the
// readers that matter.
func (w *Writer) connect(o *outlet, first, served bool, most int) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed {
		return false
	}
	o.passed = !served
	if !o.connected {
		others := 0
		for _, x := range w.outlets {
			if !x.first {
				others++
			}
		}
		id := slices.Index(w.ids, false)
		if id < 0 || !first && others >= max(1, most/2) {
			return false
		}
		w.ids[id], o.id, o.connected = true, id, true
		now := w.p.cfg.Clock()
		w.out.Match(now, id, o.reliable, o.reliable && w.cfg.TransientLocal && o.r.QoS.Durability >= wire.TransientLocal)
		w.byGUID[o.r.GUID] = o
		w.outlets = append(w.outlets, o)
		w.send(o, now)
		w.schedule(now)
	}
	o.first = first
	slices.SortStableFunc(w.outlets, func(a, b *outlet) int { return rank(a) - rank(b) })
	return true
}

func rank(o *outlet) int {
	if o.first {
		return 0
	}
	return 1
}

// disconnect ends to send to a reader.
func (w *Writer) disconnect(o *outlet) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !o.connected {
		return
	}
	o.connected = false
	w.ids[o.id] = false
	w.out.Unmatch(o.id)
	delete(w.byGUID, o.r.GUID)
	w.outlets = slices.DeleteFunc(w.outlets, func(x *outlet) bool { return x == o })
}

func (w *Writer) shut() (first bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	first = !w.closed
	w.closed = true
	w.due.Store(never)
	return first
}

// Acked tells whether every reliable reader has acknowledged everything that was written. Without readers it is true.
func (w *Writer) Acked() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.out.AllAcked()
}

// Readers is the number of readers that are sent to now.
func (w *Writer) Readers() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.outlets)
}

// Matched lists the readers that are sent to now.
func (w *Writer) Matched() []*RemoteReader {
	w.mu.Lock()
	defer w.mu.Unlock()
	out := make([]*RemoteReader, 0, len(w.outlets))
	for _, o := range w.outlets {
		out = append(out, o.r)
	}
	return out
}

// Rematch asks FirstReaders again about every matched reader. It does not wait for the answers.
func (w *Writer) Rematch() { w.p.reorder(w) }

// Close ends the writer and announces that.
func (w *Writer) Close() {
	p := w.p
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed || !w.shut() {
		return
	}
	for _, o := range w.wanted {
		p.cut(o)
	}
	delete(p.writers, w.guid.Entity)
	p.dirty = true
	p.publish()
	_ = p.pubs.withdraw(p.cfg.Clock(), w.guid) // no longer than what was announced before
	p.flushAll()
}
