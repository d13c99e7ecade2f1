package rtps

import (
	"fmt"
	"hash/maphash"
	"net/netip"
	"sync/atomic"
	"time"

	"github.com/robowarden/robowarden/hal/rtps/wire"
)

// Ways on which a datagram reaches us.
const (
	pathUnicast = iota
	pathGroup
)

// remoteState is what changes about a participant.
type remoteState struct {
	heard     atomic.Int64
	conflicts atomic.Uint64
	answers   atomic.Bool  // it has acknowledged our announcements
	proven    atomic.Bool  // see quiz
	manual    atomic.Int64 // when it last asserted its manual liveliness
	// ways are the sources by the way, nil until first heard on that way.
	ways [2]atomic.Pointer[netip.AddrPort]
	// homes are likewise those at the addresses of a computer that the operator says has several.
	homes [2][maxHomes]atomic.Pointer[netip.AddrPort]
}

// speaks tells whether a datagram from src may be the participant's own. It must come from the computer of its first
// announcement. On each of the two ways the first source heard counts, and Source itself, once heard on a way, is the only
// one: implementations that serve several interfaces have one socket for unicast and another for each interface's
// multicast, but none speaks on one way from two.
//
// A computer that the operator says has several addresses may speak from each of them: there, too, the first source heard on
// a way counts. Without his word a second address stays a stranger's, and a conflict, for as long as both speak: a question
// that goes to the second address shows only that somebody answers there. Once the first falls silent for its lease, the
// second one is taken in anew.
//
// Where somebody else of its computer was heard on a way before Source was, two have spoken as one: that is told, for what
// the other said until then was taken.
func (p *Participant) speaks(r *RemoteParticipant, src netip.AddrPort, path int) bool {
	way := r.ways[path].Load()
	if way != nil && *way == src {
		return true
	}
	if src == r.Source {
		if old := r.ways[path].Swap(&r.Source); old != nil && *old != src {
			p.swapped(r, *old)
		}
		return true
	}
	first := src
	if src.Addr() != r.Source.Addr() && p.together(src.Addr(), r.Source.Addr()) {
		at := &r.homes[path][p.homes[src.Addr()].address]
		known := at.Load()
		return known != nil && *known == src || known == nil && at.CompareAndSwap(nil, &first)
	}
	if way != nil || !p.sameComputer(src.Addr(), r.Source.Addr()) {
		return false
	}
	return r.ways[path].CompareAndSwap(nil, &first)
}

// remote is a remote participant with what discovery needs of it.
type remote struct {
	*RemoteParticipant
	id     int // with SEDP's outboxes
	lease  time.Duration
	digest uint64 // of its announcement
	meta   *dest
	data   netip.AddrPort // where its endpoints hear, zero if nowhere that we send to
	// refused says which of its addresses we do not send to.
	refused string

	pubs, subs, alive *stream
	endpoints         map[wire.EntityID]*Endpoint
	bytes             int
	bucket            bucket
	greetAt           time.Duration
	greeted           time.Duration
	greets            int

	quiz
	builtin  uint32
	admitted bool // what we have is announced to it
}

// endpointState is what discovery needs of an endpoint.
type endpointState struct {
	digest uint64
	bytes  int
	to     netip.AddrPort // where it hears
	// extra says that it is beyond the caps, unreadable that its announcement did not parse as a whole.
	extra, unreadable bool
}

// admit begins to announce our endpoints to a participant. That waits for a sign that there is one at its address: to a
// forged source only a little is sent.
func (p *Participant) admit(r *remote, now time.Duration) {
	if r.admitted {
		return
	}
	r.admitted = true
	for _, a := range []*announcer{p.pubs, p.subs} {
		if r.hears(r.builtin, a) {
			a.out.Match(now, r.id, true, true)
		}
	}
}

// hears tells whether it has a reader for what an announcer says. One that names none of its builtin endpoints has them
// all.
func (r *remote) hears(builtin uint32, a *announcer) bool {
	bit := wire.BuiltinPubReader
	if a.writer == wire.EntitySEDPSubWriter {
		bit = wire.BuiltinSubReader
	}
	return builtin == 0 || builtin&bit != 0
}

func (r *remote) stream(writer wire.EntityID) *stream {
	switch writer {
	case wire.EntitySEDPPubWriter:
		return r.pubs
	case wire.EntitySEDPSubWriter:
		return r.subs
	case wire.EntityLivelinessWriter:
		return r.alive
	}
	return nil
}

// announced takes a participant's announcement or farewell; r is nil if it is new. False ends the look at the datagram.
func (e *ear) announced(r *remote) bool {
	p, s := e.p, &e.sub
	if s.Dispose || s.Unregister {
		return e.farewell(r)
	}
	if !s.HasPayload || s.Key {
		return true
	}
	digest := maphash.Bytes(p.seed, s.Payload)
	if r != nil && r.digest == digest {
		p.greetAgain(r, e.now)
		return true
	}
	d := &p.parsed
	if err := wire.ParseParticipant(s.Payload, d); err != nil {
		p.malformed(e.from, wire.GUID{Prefix: e.msg.Sender, Entity: wire.EntityParticipant}, err)
		return false
	}
	if d.GUID.Prefix != e.msg.Sender {
		if p.rep.wants(ForeignEndpoint) {
			p.rep.emit(&Event{Kind: ForeignEndpoint, GUID: d.GUID, Source: e.from, Detail: fmt.Sprintf("%x announces it as itself", e.msg.Sender)})
		}
		return false
	}
	if r != nil {
		r.digest = digest
		p.readdress(r, d)
		p.greetAgain(r, e.now)
		return true
	}
	e.join(d, digest)
	return false // what else is in the datagram comes again
}

// farewell takes a dispose of a participant, if it is the sender's own.
func (e *ear) farewell(r *remote) bool {
	p, s := e.p, &e.sub
	key := wire.GUID{Prefix: wire.Prefix(s.KeyHash[:12]), Entity: wire.EntityID(s.KeyHash[12:])}
	if s.HasPayload {
		g, err := wire.KeyGUID(s.Payload)
		if err != nil {
			p.malformed(e.from, wire.GUID{Prefix: e.msg.Sender, Entity: wire.EntityParticipant}, err)
			return false
		}
		key = g
	} else if !s.HasKeyHash {
		return false
	}
	if key.Prefix != e.msg.Sender {
		if p.rep.wants(ForeignDispose) {
			p.rep.emit(&Event{Kind: ForeignDispose, GUID: key, Source: e.from, Detail: fmt.Sprintf("%x says its farewell; only itself can", e.msg.Sender)})
		}
		return false
	}
	if r != nil {
		p.leave(r, ParticipantLeft, e.from, "it said farewell")
	}
	return false
}

// join takes in a new participant, if there is room and a way to answer.
func (e *ear) join(d *wire.ParticipantData, digest uint64) {
	p := e.p
	if why := p.unwelcome(d, e.from.Addr()); why != "" {
		if p.rep.wants(ParticipantRefused) {
			p.rep.emit(&Event{Kind: ParticipantRefused, GUID: d.GUID, Source: e.from, Detail: why})
		}
		return
	}
	if !p.room(d.GUID, e.from, e.now) {
		return
	}
	r := &remote{
		RemoteParticipant: &RemoteParticipant{
			GUID: d.GUID, Vendor: e.msg.Vendor, Source: e.from, Name: d.Name, UserData: d.UserData,
			Secured: d.Secured, Domain: d.Domain, Since: e.now,
		},
		digest: digest, endpoints: map[wire.EntityID]*Endpoint{},
	}
	r.heard.Store(int64(e.now))
	r.ways[e.path].Store(&r.Source)
	r.pubs = newStream(r, wire.EntitySEDPPubReader, wire.EntitySEDPPubWriter, p.delivery(r, true))
	r.subs = newStream(r, wire.EntitySEDPSubReader, wire.EntitySEDPSubWriter, p.delivery(r, false))
	r.alive = newStream(r, wire.EntityLivelinessReader, wire.EntityLivelinessWriter, p.asserted(r))
	for id, other := range p.ids {
		if other == nil {
			r.id, p.ids[id] = id, r
			break
		}
	}
	p.remotes[d.GUID.Prefix] = r
	p.count(r, 1, 0, 0)
	p.readdress(r, d)
	r.quiz.deaf = d.Builtin&wire.BuiltinLivelinessReader == 0
	r.builtin = d.Builtin
	p.dirty = true
	p.generation.Add(1)
	if p.rep.wants(ParticipantJoined) {
		p.rep.emit(&Event{Kind: ParticipantJoined, GUID: d.GUID, Participant: r.RemoteParticipant, Source: e.from, Detail: clip(r.Name)})
	}
	p.greet(r, e.now)
	p.flush(r, e.now)
}

// unwelcome says why a participant is not taken in, if so.
func (p *Participant) unwelcome(d *wire.ParticipantData, source netip.Addr) string {
	if d.Domain >= 0 && int(d.Domain) != p.cfg.Domain {
		return fmt.Sprintf("it is of domain %d; this is %d", d.Domain, p.cfg.Domain)
	}
	if _, ok := p.reachable(&d.MetaUnicast, source); !ok {
		return fmt.Sprintf("none of its addresses is one that we send to: %v; expected its own source's, %s", d.MetaUnicast.Slice(), source)
	}
	return ""
}

// room makes room for one more participant, or says that there is none. When a table is full, one that has not answered
// for Limits.Unproven gives way: a forged announcement has nobody behind it who would.
func (p *Participant) room(g wire.GUID, from netip.AddrPort, now time.Duration) bool {
	var why string
	a := p.computer(from.Addr())
	here := p.computers[a]
	switch {
	case here != nil && here.participants >= p.lim.ParticipantsPerAddress &&
		!p.evict(now, func(r *remote) bool { return p.computer(r.Source.Addr()) == a }):
		why = fmt.Sprintf("the limit of %d participants of one address", p.lim.ParticipantsPerAddress)
	case len(p.remotes) >= p.lim.Participants && !p.evict(now, func(*remote) bool { return true }):
		why = fmt.Sprintf("the limit of %d participants", p.lim.Participants)
	default:
		return true
	}
	p.missed(from.Addr(), now)
	p.cap(g, from, "", "a participant is not taken in: "+why)
	return false
}

// count counts what a participant brings or takes away.
func (p *Participant) count(r *remote, participants, endpoints, bytes int) {
	a := p.computer(r.Source.Addr())
	t := p.computers[a]
	if t == nil {
		t = &tally{}
		p.computers[a] = t
	}
	t.add(participants, endpoints, bytes)
	p.all.add(participants, endpoints, bytes)
	r.bytes += bytes
	if t.empty() {
		delete(p.computers, a)
	}
}

// computer is the address that a computer is counted under.
func (p *Participant) computer(a netip.Addr) netip.Addr {
	if p.own(a) {
		return p.cfg.Host
	}
	return a
}

// evict removes the participant that has been there longest without an answer, of those that may be.
func (p *Participant) evict(now time.Duration, may func(*remote) bool) bool {
	var oldest *remote
	for _, r := range p.remotes {
		if !r.answers.Load() && now-r.Since > p.lim.Unproven && may(r) && (oldest == nil || r.Since < oldest.Since) {
			oldest = r
		}
	}
	if oldest != nil {
		p.leave(oldest, ParticipantLeft, oldest.Source, "it never answered, and gives way to another")
	}
	return oldest != nil
}

// leave forgets a participant and its endpoints.
func (p *Participant) leave(r *remote, kind EventKind, from netip.AddrPort, why string) {
	for _, ep := range r.endpoints {
		p.forget(r, ep, why)
	}
	delete(p.remotes, r.GUID.Prefix)
	p.count(r, -1, 0, 0)
	p.ids[r.id] = nil
	p.pubs.out.Unmatch(r.id)
	p.subs.out.Unmatch(r.id)
	p.dirty = true
	p.generation.Add(1)
	if p.rep.wants(kind) {
		p.rep.emit(&Event{Kind: kind, GUID: r.GUID, Participant: r.RemoteParticipant, Source: from, Detail: why})
	}
}

// readdress takes a participant's addresses and lease from an announcement.
func (p *Participant) readdress(r *remote, d *wire.ParticipantData) {
	r.lease = min(max(d.Lease, p.lim.MinLease), p.lim.MaxLease)
	source := r.Source.Addr()
	if meta, ok := p.reachable(&d.MetaUnicast, source); ok && (r.meta == nil || r.meta.addr != meta) {
		r.meta = newDest(meta)
	}
	data, _ := p.reachable(&d.Unicast, source)
	if data != r.data {
		r.data = data
	}
	why := p.suspect(source, &d.MetaUnicast, &d.Unicast)
	if why != "" && why != r.refused && p.rep.wants(LocatorRefused) {
		p.rep.emit(&Event{Kind: LocatorRefused, GUID: r.GUID, Participant: r.RemoteParticipant, Source: r.Source, Detail: why})
	}
	r.refused = why
}
