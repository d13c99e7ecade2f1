package rtps

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"sync/atomic"
	"time"

	"github.com/robowarden/robowarden/hal/rtps/reliable"
	"github.com/robowarden/robowarden/hal/rtps/wire"
)

// inletState is what the goroutine of user data keeps of a match.
type inletState struct {
	deliver  reliable.Deliver
	reliable bool
	asserted atomic.Int64 // when it last wrote, or said that it is alive

	second time.Duration // the beginning of the second in which taken counts
	taken  int

	// kept holds samples of a writer that is not accepted: the latest, if keeps says so, and those that come while Accept and
	// OnMatch run, which are not lost if the answer is yes.
	keeps     bool
	kept      []Sample
	keptBytes int
	lost      uint64
}

// maxKept bounds the samples that are kept while Accept and OnMatch run; their bytes are bounded by the reader's MaxSample.
const maxKept = 16

// taker looks at user data. Participant.taking guards it.
type taker struct {
	*ear   // of the goroutine that has the lock
	p      *Participant
	mouth  *mouth
	sample Sample
	due    time.Duration // when an answer is due next, of those that are known of
	armed  time.Duration // the socket's deadline; 0 if it has passed
	table  *table
}

func newTaker(p *Participant) *taker {
	return &taker{p: p, mouth: p.newMouth(true), due: time.Duration(never), armed: time.Duration(never)}
}

// serveUser reads the socket of user data and calls the Handlers. It also wakes when an answer is due.
func (p *Participant) serveUser() {
	e, t := &ear{p: p}, p.taker
	for {
		t.prepare(e)
		if p.userKick.Load() {
			continue
		}
		n, from, err := p.user.receive(e)
		if err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
			if !p.survive(err) {
				return
			}
			continue
		}
		p.taking.Lock()
		if err != nil {
			t.armed = 0
		}
		t.turn(e, e.buf[:n], from)
		p.taking.Unlock()
	}
}

// serveNear reads the loopback's socket of user data.
func (p *Participant) serveNear() {
	e, t := &ear{p: p}, p.taker
	for {
		n, from, err := p.near.user.receive(e)
		if err != nil {
			if !p.survive(err) {
				return
			}
			continue
		}
		p.taking.Lock()
		t.turn(e, e.buf[:n], from)
		t.arm()
		p.taking.Unlock()
		if p.userKick.Load() {
			p.kickUser() // arm may have hidden it
		}
	}
}

// turn looks at one datagram, which is empty if it is only time for an answer.
func (t *taker) turn(e *ear, b []byte, from netip.AddrPort) {
	t.ear = e
	e.now = t.p.cfg.Clock()
	e.received = received(e.now, t.p.cfg.Civil(), e.arrived)
	if f := t.p.cfg.drop; len(b) > 0 && (f == nil || !f(false, true, b)) {
		e.from = unmap(from)
		t.table = t.p.table.Load()
		t.hear(b)
	}
	if e.now >= t.due {
		t.answer()
	}
}

// prepare is what is done before waiting: what a kick asks for, and the socket's deadline.
func (t *taker) prepare(e *ear) {
	t.p.taking.Lock()
	defer t.p.taking.Unlock()
	t.ear = e
	if t.p.userKick.Swap(false) {
		t.refresh()
	}
	t.arm()
}

// kickUser makes the goroutine of user data look at the table and at what is due.
func (p *Participant) kickUser() {
	p.userKick.Store(true)
	p.user.deadline(time.Unix(1, 0))
}

// arm sets the socket's deadline, if it has passed or if something is due before it.
func (t *taker) arm() {
	if t.armed != 0 && t.due >= t.armed {
		return
	}
	t.armed = t.due
	var at time.Time
	if t.due != time.Duration(never) {
		at = time.Now().Add(max(0, t.due-t.p.cfg.Clock()))
	}
	t.p.user.deadline(at)
}

// refresh looks at everything anew: matches may have come, or may have been accepted.
func (t *taker) refresh() {
	t.armed = 0
	t.table = t.p.table.Load()
	t.now = t.p.cfg.Clock()
	for _, m := range t.table.reliable {
		switch {
		case m.kept == nil:
		case m.accepted.Load():
			m.release()
		case !m.keeps && !m.deciding.Load():
			m.kept, m.keptBytes = nil, 0 // the answer was no
		}
	}
	t.answer()
}

// answer acknowledges and asks for what is missing, where that is due.
func (t *taker) answer() {
	t.due = time.Duration(never)
	for _, m := range t.table.reliable {
		t.reply(m)
	}
}

func (t *taker) reply(m *match) {
	at, ok := m.in.Due()
	if ok && at <= t.now {
		if m.to != nil {
			head := t.mouth.begin(m.w.GUID.Prefix)
			if b := m.in.Reply(t.now, head, m.r.guid.Entity, m.w.GUID.Entity); len(b) > len(head) {
				t.mouth.send(b, m.to)
			}
		}
		at, ok = m.in.Due()
	}
	if ok && m.to != nil {
		t.due = min(t.due, max(at, t.now+time.Millisecond/4))
	}
}

// hear looks at one datagram of user data.
func (t *taker) hear(b []byte) {
	p, m, s := t.p, &t.msg, &t.sub
	if err := m.Reset(b); err != nil {
		p.malformed(t.from, wire.GUID{}, err)
		return
	}
	r := t.table.peers[m.Sender]
	if r == nil {
		if m.Sender == p.prefix {
			p.ownPrefix(t.ear)
		}
		return // not announced, or not yet: nothing of it is matched
	}
	if !p.speaks(r, t.from, pathUnicast) {
		t.impostor(r)
		return
	}
	r.heard.Store(int64(t.now))
	for {
		ok, err := m.Next(s)
		if err != nil {
			p.malformed(t.from, r.GUID, err)
		}
		if !ok {
			return
		}
		if m.Source != m.Sender {
			p.relayed(t.ear)
			return
		}
		if m.HasDest && m.Dest != p.prefix {
			continue
		}
		t.submessage(r)
	}
}

func (t *taker) impostor(r *RemoteParticipant) {
	r.conflicts.Add(1)
	if t.p.rep.wants(SourceConflict) {
		t.p.rep.emit(&Event{
			Kind: SourceConflict, GUID: r.GUID, Participant: r, Source: t.from,
			Detail: "user data in its name; expected from " + r.Source.String() + " only" + t.p.advice(r.Source.Addr(), t.from.Addr()),
		})
	}
}

func (t *taker) submessage(r *RemoteParticipant) {
	s := &t.sub
	if s.Kind == wire.AckNack || s.Kind == wire.NackFrag {
		if w := t.table.writers[s.Writer]; w != nil {
			w.acknowledged(wire.GUID{Prefix: r.GUID.Prefix, Entity: s.Reader}, s, t.now)
		}
		return
	}
	for _, m := range t.table.inlets[wire.GUID{Prefix: r.GUID.Prefix, Entity: s.Writer}] {
		if s.Reader == wire.EntityUnknown || s.Reader == m.r.guid.Entity {
			t.give(m)
		}
	}
}

// give gives a submessage to a match.
func (t *taker) give(m *match) {
	s, v, jump := &t.sub, reliable.Delivered, false
	switch s.Kind {
	case wire.Data:
		v = m.in.Data(t.now, s, t.stamp(), m.deliver)
	case wire.DataFrag:
		v = m.in.Frag(t.now, s, t.stamp(), m.deliver)
	case wire.Gap:
		jump = m.in.Gap(t.now, s, m.deliver)
	case wire.Heartbeat:
		jump = m.in.Heartbeat(t.now, s, m.deliver)
	case wire.HeartbeatFrag:
		m.in.HeartbeatFrag(t.now, s)
	case wire.AckNack, wire.NackFrag:
	}
	m.w.heard.Store(int64(t.now))
	if s.Kind == wire.Data || s.Kind == wire.DataFrag || s.Liveliness {
		m.asserted.Store(int64(t.now))
	}
	if v != reliable.Delivered || jump {
		t.judged(m, v, jump)
	}
	if n := m.in.Stats().Lost; n != m.lost {
		m.r.counts.lost.Add(n - m.lost)
		m.lost = n
	}
	if m.reliable {
		t.reply(m)
	}
}

func (t *taker) stamp() wire.Time {
	if t.msg.HasStamp {
		return t.msg.Stamp
	}
	return wire.Time{}
}

// judged counts and tells what became of a sample that was not simply delivered.
func (t *taker) judged(m *match, v reliable.Verdict, jump bool) {
	c, p := &m.r.counts, t.p
	switch v {
	case reliable.Duplicate:
		c.duplicates.Add(1)
	case reliable.Refused:
		c.refused.Add(1) // for lack of room it is asked for again
		if n := max(int(t.sub.SampleSize), len(t.sub.Payload)); n > m.r.max {
			p.cap(m.w.GUID, t.from, m.w.Topic, fmt.Sprintf("a sample of %d bytes is refused: the limit of this reader is %d", n, m.r.max))
		}
	case reliable.Conflict:
		c.conflicts.Add(1)
		p.doubted(v, m.w.GUID, m.w.Participant, m.w.Endpoint, t.from, t.sub.Seq)
	case reliable.Delivered, reliable.Held, reliable.Old, reliable.Jump:
	}
	if v == reliable.Jump || jump {
		p.doubted(reliable.Jump, m.w.GUID, m.w.Participant, m.w.Endpoint, t.from, max(t.sub.Seq, t.sub.Last))
	}
}

// take hands a sample to the reader's Handler.
func (m *match) take(s *reliable.Sample) {
	if len(s.Payload) < 4 || s.Key {
		return // a dispose; what it disposes of is the consumer's own
	}
	t := m.r.p.taker
	if !m.accepted.Load() {
		m.keep(s, t.received)
		return
	}
	if m.kept != nil {
		m.release()
	}
	x := &t.sample
	*x = Sample{Writer: m.w, Seq: s.Seq, Stamp: s.Stamp.UnixNano(), Boot: t.received, Payload: s.Payload}
	if s.HasRelated {
		x.Related, x.RelatedSeq = s.Related, s.RelatedSeq
	}
	m.hand(x)
}

func (m *match) hand(x *Sample) {
	c, now := &m.r.counts, m.r.p.taker.now
	if m.r.closed.Load() {
		return
	}
	if now-m.second >= time.Second {
		m.second, m.taken = now, 0
	}
	if m.taken++; m.taken > m.r.cfg.MaxRateHz {
		c.skipped.Add(1)
		return
	}
	c.received.Add(1)
	c.bytes.Add(uint64(len(x.Payload)))
	m.r.cfg.Handler(x)
}

// keep holds what may still be wanted of a writer that is not accepted.
func (m *match) keep(s *reliable.Sample, now time.Duration) {
	m.r.counts.unaccepted.Add(1)
	deciding := m.reliable && m.deciding.Load()
	if !deciding || len(m.kept) >= maxKept || m.keptBytes+len(s.Payload) > m.r.max {
		m.kept, m.keptBytes = nil, 0
	}
	if !deciding && !m.keeps {
		return
	}
	m.kept = append(m.kept, Sample{
		Writer: m.w, Seq: s.Seq, Stamp: s.Stamp.UnixNano(), Boot: now, Payload: slices.Clone(s.Payload), Related: s.Related, RelatedSeq: s.RelatedSeq,
	})
	m.keptBytes += len(s.Payload)
}

// release hands on what was kept.
func (m *match) release() {
	kept := m.kept
	m.kept, m.keptBytes = nil, 0
	for i := range kept {
		m.hand(&kept[i])
	}
}
