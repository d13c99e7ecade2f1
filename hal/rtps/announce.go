package rtps

import (
	"time"

	"github.com/robowarden/robowarden/hal/rtps/reliable"
	"github.com/robowarden/robowarden/hal/rtps/wire"
)

// maxOwnAnnouncement bounds what we announce of one endpoint: two names of MaxName, MaxUserData, addresses and quality of
// service.
const maxOwnAnnouncement = 2048

// announcer is one of our two SEDP writers: its history is what we have, for whoever comes.
type announcer struct {
	reader, writer wire.EntityID
	out            *reliable.Outbox
	depth          int
	live           map[wire.EntityID]*announcement
}

// announcement is what an announcer says of one endpoint of ours.
type announcement struct {
	seq  wire.SeqNum
	data []byte
}

func newAnnouncer(p *Participant, reader, writer wire.EntityID) *announcer {
	depth := 2 * p.lim.LocalEndpoints
	return &announcer{
		reader: reader, writer: writer, depth: depth, live: map[wire.EntityID]*announcement{},
		out: reliable.NewOutbox(reliable.OutboxConfig{
			Reliable: true, TransientLocal: true, Depth: depth, MaxSample: maxOwnAnnouncement, FragmentSize: fragment,
			MaxReaders: p.lim.Participants, StallAfter: neverStall, HeartbeatMax: burstEvery * 5,
		}),
	}
}

// announce says that an endpoint is there.
func (a *announcer) announce(now time.Duration, id wire.EntityID, data []byte) error {
	seq, err := a.out.Add(now, wire.Time{}, data)
	if err != nil {
		return err
	}
	a.live[id] = &announcement{seq, data}
	return a.renew(now)
}

// withdraw says that it is gone.
func (a *announcer) withdraw(now time.Duration, g wire.GUID) error {
	old := a.live[g.Entity]
	if old == nil {
		return nil
	}
	delete(a.live, g.Entity)
	a.out.Remove(old.seq)
	a.out.AddDispose(now, wire.Time{}, g, wire.StatusDisposed|wire.StatusUnregistered)
	return a.renew(now)
}

// renew says again what would leave the history soon: farewells push it out, and latecomers need it.
func (a *announcer) renew(now time.Duration) error {
	for _, l := range a.live {
		if a.out.Last()-l.seq < wire.SeqNum(a.depth*3/4) {
			continue
		}
		a.out.Remove(l.seq)
		seq, err := a.out.Add(now, wire.Time{}, l.data)
		if err != nil {
			return err
		}
		l.seq = seq
	}
	return nil
}

// send sends what is due for one participant; at most so many datagrams at once.
func (a *announcer) send(m *mouth, r *remote, now time.Duration) {
	const budget = 32
	for range budget {
		head := m.begin(r.GUID.Prefix)
		b := a.out.Next(now, r.id, head, maxDatagram, a.reader, a.writer)
		if len(b) == len(head) || !m.send(b, r.meta) {
			return
		}
	}
}

// flush sends everything of discovery that is due for one participant.
func (p *Participant) flush(r *remote, now time.Duration) {
	p.pubs.send(p.mouth, r, now)
	p.subs.send(p.mouth, r, now)
	for _, st := range []*stream{r.pubs, r.subs, r.alive} {
		head := p.mouth.begin(r.GUID.Prefix)
		if b := st.in.Reply(now, head, st.reader, st.writer); len(b) > len(head) {
			p.mouth.send(b, r.meta)
		}
	}
	if at, ok := p.dueFor(r); ok {
		p.kickTimers(at)
	}
}

// dueFor is when flush has something to do for one participant next; ok is false if it has not.
func (p *Participant) dueFor(r *remote) (at time.Duration, ok bool) {
	least := func(t time.Duration, is bool) {
		if is && (!ok || t < at) {
			at, ok = t, true
		}
	}
	least(p.pubs.out.Due(r.id))
	least(p.subs.out.Due(r.id))
	least(r.pubs.in.Due())
	least(r.subs.in.Due())
	least(r.alive.in.Due())
	return at, ok
}

// acknowledged takes a participant's answer to our announcements.
func (p *Participant) acknowledged(r *remote, s *wire.Submessage, now time.Duration) {
	a := p.pubs
	switch s.Writer {
	case wire.EntityLivelinessWriter:
		p.answered(r, s, now)
		return
	case wire.EntitySEDPPubWriter:
	case wire.EntitySEDPSubWriter:
		a = p.subs
	default:
		return
	}
	if s.Reader != a.reader {
		return
	}
	// One without a reader for our questions, or with one that does not answer them, shows itself by asking.
	if !r.admitted && (r.deaf || now-r.Since > quizPatience) {
		p.admit(r, now)
	}
	if s.Kind == wire.NackFrag {
		a.out.NackFrag(now, r.id, s)
		return
	}
	a.out.AckNack(now, r.id, s)
	if r.admitted && !r.answers.Load() && p.pubs.out.Acked(r.id) && p.subs.out.Acked(r.id) {
		r.answers.Store(true)
		for _, ep := range r.endpoints {
			if !ep.Writer {
				p.matchEndpoint(ep)
			}
		}
	}
}

// Pauses of greetings.
const (
	greetFirst = 100 * time.Millisecond // doubles up to greetMax
	greetMax   = 4 * time.Second
	greetLeast = 50 * time.Millisecond // between two that are asked for by the other's announcements
)

// greet announces us to one participant. Some take what we say of our endpoints only after they have taken in ourselves, so
// this is repeated until it has acknowledged.
func (p *Participant) greet(r *remote, now time.Duration) {
	p.mouth.send(p.hello, r.meta)
	r.greeted = now
	r.greetAt = now + min(greetFirst<<min(r.greets, 8), greetMax)
	r.greets++
	p.question(r, now)
}

// greetAgain answers an announcement of one that has not acknowledged yet.
func (p *Participant) greetAgain(r *remote, now time.Duration) {
	if !r.answers.Load() && now-r.greeted >= greetLeast {
		p.greet(r, now)
	}
}

// Pauses of our own announcements: a burst at the start, for one datagram may be lost, then three in a lease.
const (
	burst      = 10
	burstEvery = 100 * time.Millisecond
)

// sayHello announces us to everybody, known or not.
func (p *Participant) sayHello(now time.Duration) {
	tried, went := false, false
	if p.groupDest != nil {
		tried = true
		if err := p.renewGroup(); err == nil {
			went = p.mouth.send(p.hello, p.groupDest)
		} else if p.rep.wants(SocketFailed) {
			p.rep.emit(&Event{Kind: SocketFailed, Detail: clip("multicast: " + err.Error())})
		}
	}
	for _, to := range p.probes {
		tried = true
		went = p.mouth.send(p.hello, to) || went
	}
	p.healthy.Store(went || !tried)
	if p.hellos++; p.hellos < burst {
		p.helloAt = now + burstEvery
		return
	}
	p.helloAt = now + p.cfg.Lease/3
	for _, r := range p.remotes {
		p.mouth.send(p.hello, r.meta)
	}
}

// farewell takes leave of everybody and stops discovery.
func (p *Participant) farewell() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return
	}
	now := p.cfg.Clock()
	for _, r := range p.readers {
		r.closed.Store(true)
		_ = p.subs.withdraw(now, r.guid) // as long as what was announced before
	}
	for _, w := range p.writers {
		w.shut()
		_ = p.pubs.withdraw(now, w.guid)
	}
	bye := wire.AppendDispose(wire.AppendHeader(nil, p.prefix), wire.EntitySPDPReader, wire.EntitySPDPWriter, 2, p.GUID(),
		wire.StatusDisposed|wire.StatusUnregistered)
	for _, r := range p.remotes {
		p.flush(r, now)
		p.mouth.send(bye, r.meta)
	}
	if p.groupDest != nil {
		p.mouth.send(bye, p.groupDest)
	}
	p.healthy.Store(false)
	p.closed = true
	p.rep.mute() // that all others are gone for us is no news
	for _, r := range p.remotes {
		p.leave(r, ParticipantLeft, r.Source, "we leave")
	}
	p.publish()
}
