package rtps

import (
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"github.com/robowarden/robowarden/hal/rtps/reliable"
	"github.com/robowarden/robowarden/hal/rtps/wire"
)

// match is a remote writer with one of our readers.
type match struct {
	r  *Reader
	w  *RemoteWriter
	in *reliable.Inbox // the goroutine of user data's alone, once it is in the table
	to *dest           // likewise; nil if we have nowhere to acknowledge to

	accepted atomic.Bool
	deciding atomic.Bool // Accept and OnMatch are running

	// Of the teller's goroutine: OnMatch was told of it.
	told bool

	// Guarded by Participant.mu.
	queued, inTable, gone bool
	silent                bool // it has lost its liveliness
	cost                  int  // bytes that it can have us hold

	// Of the goroutine of user data.
	inletState
}

// outlet is a remote reader with one of our writers.
type outlet struct {
	w    *Writer
	r    *RemoteReader
	to   *dest
	told bool // of the teller's goroutine

	queued, gone bool // guarded by Participant.mu

	// Guarded by Writer.mu.
	id        int
	reliable  bool
	first     bool
	passed    bool // the samples are not for it
	stalled   bool
	connected bool
	owes      time.Duration // since when it has something to acknowledge, 0 if it has not
	heard     time.Duration // when it last acknowledged
}

// table is what the goroutine of user data looks at. It is never changed, only replaced.
type table struct {
	peers    map[wire.Prefix]*RemoteParticipant
	inlets   map[wire.GUID][]*match // by remote writer
	reliable []*match
	writers  map[wire.EntityID]*Writer
	list     []*Writer
}

// publish makes the table anew, if something changed. The caller holds mu.
func (p *Participant) publish() {
	if !p.dirty {
		return
	}
	p.dirty = false
	t := &table{
		peers:  make(map[wire.Prefix]*RemoteParticipant, len(p.remotes)),
		inlets: map[wire.GUID][]*match{}, writers: make(map[wire.EntityID]*Writer, len(p.writers)),
	}
	for prefix, r := range p.remotes {
		t.peers[prefix] = r.RemoteParticipant
	}
	for id, w := range p.writers {
		t.writers[id] = w
		t.list = append(t.list, w)
	}
	for _, r := range p.readers {
		for _, m := range r.matches {
			if !m.inTable {
				continue
			}
			t.inlets[m.w.GUID] = append(t.inlets[m.w.GUID], m)
			if m.reliable {
				t.reliable = append(t.reliable, m)
			}
		}
	}
	p.table.Store(t)
	p.kickUser()
}

// describe is the endpoint as discovery data has it, for the match.
func (e *Endpoint) describe() wire.EndpointData {
	return wire.EndpointData{GUID: e.GUID, Topic: e.Topic, Type: e.Type, QoS: e.QoS}
}

// matchEndpoint looks for local endpoints that fit a remote one. The caller holds mu.
func (p *Participant) matchEndpoint(ep *Endpoint) {
	if ep.Writer {
		for _, r := range p.readers {
			p.matchWriter(r, ep)
		}
		return
	}
	for _, w := range p.writers {
		p.matchReader(w, ep)
	}
}

// matchWriter matches a remote writer with one of our readers, if they fit. The caller holds mu.
func (p *Participant) matchWriter(r *Reader, ep *Endpoint) {
	if ep.Topic != r.cfg.Topic || ep.unreadable {
		return
	}
	d := ep.describe()
	if why := wire.Mismatch(&d, &r.data); why != "" {
		p.mismatch(ep, why)
		return
	}
	m := &match{r: r, w: &RemoteWriter{Endpoint: ep}, cost: r.max + p.lim.HeldBytes}
	if why := p.matchCap(m); why != "" {
		p.cap(ep.GUID, ep.Participant.Source, ep.Topic, "a writer is not matched: "+why)
		return
	}
	p.held += m.cost
	m.reliable = r.cfg.Reliable
	m.keeps = r.cfg.TransientLocal
	if ep.to.IsValid() {
		m.to = newDest(ep.to)
	}
	m.in = reliable.NewInbox(reliable.InboxConfig{
		// A volatile writer itself decides what a reader that comes late gets.
		Reliable: r.cfg.Reliable, SkipBacklog: !r.cfg.TransientLocal && ep.QoS.Durability != wire.Volatile,
		AskFromZero: ep.Participant.Vendor == vendorFastDDS, MaxSample: r.max, MaxHeldBytes: m.cost,
	})
	m.deliver = m.take
	r.matches[ep.GUID] = m
	p.ask(m)
}

// matchCap says what keeps a match out, "" if nothing. Writers that are not accepted give way.
func (p *Participant) matchCap(m *match) string {
	r := m.r
	if p.teller.full() {
		return "a callback does not return"
	}
	if most := r.cfg.PerParticipant; most > 0 && r.matchedOf(m.w.Participant) >= most {
		return fmt.Sprintf("the limit of %d writers of one participant", most)
	}
	if len(r.matches) >= p.lim.WritersPerReader && !p.giveWay(r) {
		return fmt.Sprintf("the limit of %d writers of one reader", p.lim.WritersPerReader)
	}
	for p.held+m.cost > p.lim.HeldTotal {
		gave := false
		for _, o := range p.readers {
			if gave = p.giveWay(o); gave {
				break
			}
		}
		if !gave {
			return fmt.Sprintf("the limit of %d bytes that all writers together may have us hold", p.lim.HeldTotal)
		}
	}
	return ""
}

// matchedOf counts a participant's writers that are matched with the reader. The caller holds Participant.mu.
func (r *Reader) matchedOf(rp *RemoteParticipant) (n int) {
	for _, m := range r.matches {
		if m.w.Participant == rp {
			n++
		}
	}
	return n
}

// giveWay ends a match of a reader whose writer was refused, if there is one.
func (p *Participant) giveWay(r *Reader) bool {
	for _, m := range r.matches {
		if m.inTable && !m.accepted.Load() {
			p.end(m)
			return true
		}
	}
	return false
}

// matchReader matches a remote reader with one of our writers, if they fit. One whose participant has not answered yet has
// to wait for that: a forged source cannot have data sent to its victim. The caller holds mu.
func (p *Participant) matchReader(w *Writer, ep *Endpoint) {
	if ep.Topic != w.cfg.Topic || ep.unreadable || !ep.Participant.answers.Load() {
		return
	}
	d := ep.describe()
	if why := wire.Mismatch(&w.data, &d); why != "" {
		p.mismatch(ep, why)
		return
	}
	if !ep.to.IsValid() || p.teller.full() {
		p.cap(ep.GUID, ep.Participant.Source, ep.Topic, "a reader is not matched: it gives no address that we send to")
		return
	}
	o := &outlet{w: w, r: &RemoteReader{Endpoint: ep}, to: newDest(ep.to), reliable: w.cfg.Reliable && ep.QoS.Reliable}
	w.wanted[ep.GUID] = o
	o.queued = true
	p.teller.add(news{outlet: o})
}

func (p *Participant) mismatch(ep *Endpoint, why string) {
	if p.rep.wants(EndpointMismatch) {
		p.rep.emit(&Event{
			Kind: EndpointMismatch, GUID: ep.GUID, Participant: ep.Participant, Endpoint: ep, Source: ep.Participant.Source,
			Topic: ep.Topic, Detail: clip(why),
		})
	}
}

// ask has Accept asked about a match. The caller holds mu.
func (p *Participant) ask(m *match) {
	if !m.queued {
		m.queued = true
		p.teller.add(news{match: m})
	}
}

// end ends a match. The caller holds mu.
func (p *Participant) end(m *match) {
	m.gone = true
	m.accepted.Store(false)
	delete(m.r.matches, m.w.GUID)
	p.held -= m.cost
	if m.inTable {
		m.inTable = false
		p.dirty = true
	}
	p.ask(m)
}

// cut ends an outlet. The caller holds mu.
func (p *Participant) cut(o *outlet) {
	o.gone = true
	delete(o.w.wanted, o.r.GUID)
	o.w.disconnect(o)
	if !o.queued {
		o.queued = true
		p.teller.add(news{outlet: o})
	}
}

// unmatchEndpoint ends the matches of a remote endpoint. The caller holds mu.
func (p *Participant) unmatchEndpoint(ep *Endpoint) {
	for _, r := range p.readers {
		if m := r.matches[ep.GUID]; m != nil {
			p.end(m)
		}
	}
	for _, w := range p.writers {
		if o := w.wanted[ep.GUID]; o != nil {
			p.cut(o)
		}
	}
}

// tellMatch asks Accept and tells OnMatch, on the teller's goroutine. A match enters the table after it was asked about, so
// that what Accept and OnMatch put into Tag is there when Handler looks. What a reliable writer says until then is not
// acknowledged, so it is said again.
func (p *Participant) tellMatch(m *match) {
	p.mu.Lock()
	m.queued = false
	gone := m.gone
	p.mu.Unlock()
	m.deciding.Store(true)
	c := &m.r.cfg
	ok := !gone && (c.Accept == nil || c.Accept(m.w))
	if ok != m.told && c.OnMatch != nil {
		if !ok {
			m.accepted.Store(false)
		}
		c.OnMatch(m.w, ok)
	}
	m.told = ok
	p.mu.Lock()
	defer p.mu.Unlock()
	if m.gone {
		return // if that is news, it is queued
	}
	m.accepted.Store(ok)
	m.deciding.Store(false)
	if !m.inTable {
		m.inTable, p.dirty = true, true
		p.publish()
	} else {
		p.kickUser()
	}
}

// tellOutlet asks FirstReaders, connects the reader, and tells OnMatch, on the teller's goroutine.
func (p *Participant) tellOutlet(o *outlet) {
	c := &o.w.cfg
	first := c.FirstReaders != nil && c.FirstReaders(o.r)
	served := c.Serves == nil || c.Serves(o.r)
	p.mu.Lock()
	o.queued = false
	ok := !o.gone
	if ok && !o.w.connect(o, first, served, p.lim.ReadersPerWriter) {
		p.cap(o.r.GUID, o.r.Participant.Source, o.r.Topic,
			fmt.Sprintf("a reader is not sent to: the limit of %d readers of one writer, half of them for the named ones", p.lim.ReadersPerWriter))
		ok = false
	}
	p.mu.Unlock()
	if ok {
		p.kickTimers(p.cfg.Clock())
	}
	if ok != o.told && c.OnMatch != nil {
		c.OnMatch(o.r, ok)
	}
	o.told = ok
}

func (p *Participant) rematch(r *Reader) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, m := range r.matches {
		p.ask(m)
	}
	for _, rm := range p.remotes { // those that gave way
		for _, ep := range rm.endpoints {
			if d := ep.describe(); ep.Writer && r.matches[ep.GUID] == nil && wire.Mismatch(&d, &r.data) == "" {
				p.matchWriter(r, ep)
			}
		}
	}
	p.publish()
}

func (p *Participant) reorder(w *Writer) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, o := range w.wanted {
		if !o.queued {
			o.queued = true
			p.teller.add(news{outlet: o})
		}
	}
}

func (p *Participant) writersOf(r *Reader) []*RemoteWriter {
	p.mu.Lock()
	defer p.mu.Unlock()
	var out []*RemoteWriter
	for _, m := range r.matches {
		if m.accepted.Load() {
			out = append(out, m.w)
		}
	}
	slices.SortFunc(out, func(a, b *RemoteWriter) int { return slices.Compare(a.GUID.Prefix[:], b.GUID.Prefix[:]) })
	return out
}

// checkLiveliness tells of matched writers that do not assert themselves within the lease that they offer. The caller holds
// mu.
func (p *Participant) checkLiveliness(now time.Duration) {
	for _, r := range p.readers {
		for _, m := range r.matches {
			lease := m.w.QoS.LivelinessLease
			if lease == wire.Infinite || !m.accepted.Load() {
				continue
			}
			if lost := now-m.assertedAt() > lease; lost != m.silent {
				m.silent = lost
				kind, detail := LivelinessLost, "not asserted within its lease of "
				if !lost {
					kind, detail = LivelinessBack, "asserted again within its lease of "
				}
				if p.rep.wants(kind) {
					p.rep.emit(&Event{
						Kind: kind, GUID: m.w.GUID, Participant: m.w.Participant, Endpoint: m.w.Endpoint,
						Source: m.w.Participant.Source, Topic: m.w.Topic, Detail: detail + lease.String(),
					})
				}
			}
		}
	}
}

// assertedAt is when the writer last was alive, in the way that it offers.
func (m *match) assertedAt() time.Duration {
	at := max(m.w.heard.Load(), m.asserted.Load(), int64(m.w.Participant.Since))
	switch m.w.QoS.Liveliness {
	case wire.Automatic:
		at = max(at, m.w.Participant.heard.Load())
	case wire.ManualByParticipant:
		at = max(at, m.w.Participant.manual.Load())
	}
	return time.Duration(at)
}
