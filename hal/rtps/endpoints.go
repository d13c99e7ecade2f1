package rtps

import (
	"fmt"
	"hash/maphash"
	"net/netip"
	"time"

	"github.com/robowarden/robowarden/hal/rtps/reliable"
	"github.com/robowarden/robowarden/hal/rtps/wire"
)

// delivery takes what a participant says of its writers, or of its readers.
func (p *Participant) delivery(r *remote, writer bool) reliable.Deliver {
	return func(s *reliable.Sample) {
		if s.Dispose || s.Unregister || s.Key {
			p.withdrawn(r, s, writer)
			return
		}
		if len(s.Payload) > 0 {
			p.described(r, s.Payload, writer)
		}
	}
}

// withdrawn takes a dispose of one of a participant's endpoints.
func (p *Participant) withdrawn(r *remote, s *reliable.Sample, writer bool) {
	key := wire.GUID{Prefix: wire.Prefix(s.KeyHash[:12]), Entity: wire.EntityID(s.KeyHash[12:])}
	if len(s.Payload) > 0 {
		g, err := wire.KeyGUID(s.Payload)
		if err != nil {
			p.malformed(r.Source, r.GUID, err)
			return
		}
		key = g
	} else if !s.HasKeyHash {
		return
	}
	if key.Prefix != r.GUID.Prefix {
		if p.rep.wants(ForeignDispose) {
			p.rep.emit(&Event{
				Kind: ForeignDispose, GUID: key, Participant: r.RemoteParticipant, Source: r.Source,
				Detail: fmt.Sprintf("%s says its farewell; only its own participant can", r.GUID),
			})
		}
		return
	}
	if ep := r.endpoints[key.Entity]; ep != nil && ep.Writer == writer {
		p.forget(r, ep, "it said farewell")
	}
}

// described takes what a participant says of one of its endpoints.
func (p *Participant) described(r *remote, payload []byte, writer bool) {
	d := &p.parsedEnd
	err := wire.ParseEndpoint(payload, writer, d)
	if err != nil {
		p.malformed(r.Source, d.GUID, err)
		if !p.preferred[d.Topic] || d.GUID.Entity.Writer() != writer || !writer && !d.GUID.Entity.Reader() {
			return
		}
		// Others may read more into it than we do: it is there, but matches nothing of ours.
	}
	if d.GUID.Prefix != r.GUID.Prefix {
		if p.rep.wants(ForeignEndpoint) {
			p.rep.emit(&Event{
				Kind: ForeignEndpoint, GUID: d.GUID, Participant: r.RemoteParticipant, Source: r.Source, Topic: d.Topic,
				Detail: fmt.Sprintf("%s announces it; only its own participant can", r.GUID),
			})
		}
		return
	}
	digest := maphash.Bytes(p.seed, payload)
	old := r.endpoints[d.GUID.Entity]
	if old != nil {
		if old.digest == digest {
			return
		}
		p.forget(r, old, "it is announced anew")
	}
	size := endpointBytes(d)
	extra := false
	if why := p.endpointCap(r, size); why != "" {
		if extra = p.preferred[d.Topic] && p.extra < extraEndpoints; !extra {
			p.cap(d.GUID, r.Source, d.Topic, "an endpoint is not taken in: "+why)
			return
		}
		p.extra++
	}
	ep := &Endpoint{
		GUID: d.GUID, Participant: r.RemoteParticipant, Topic: d.Topic, Type: d.Type, QoS: d.QoS, UserData: d.UserData, Writer: writer,
		endpointState: endpointState{digest: digest, bytes: size, to: r.data, extra: extra, unreadable: err != nil},
	}
	if d.Unicast.N > 0 {
		if to, ok := p.reachable(&d.Unicast, r.Source.Addr()); ok {
			ep.to = to
		}
	}
	r.endpoints[d.GUID.Entity] = ep
	p.count(r, 0, 1, size)
	p.generation.Add(1)
	if p.rep.wants(EndpointAdded) {
		p.rep.emit(&Event{
			Kind: EndpointAdded, GUID: ep.GUID, Participant: r.RemoteParticipant, Endpoint: ep, Source: r.Source, Topic: ep.Topic, Detail: ep.Type,
		})
	}
	p.matchEndpoint(ep)
}

// endpointBytes is what of an endpoint's description has a length of the sender's choice.
func endpointBytes(d *wire.EndpointData) int {
	n := len(d.Topic) + len(d.Type) + len(d.UserData) + 2*len(d.QoS.Representations)
	for _, s := range d.QoS.Partitions {
		n += len(s) + 16 // a string's header
	}
	return n
}

// What one participant, and one computer, can have of the bytes and endpoints of all: no one keeps all others out.
const (
	participantShare         = 16   // one in so many of the bytes
	computerNum, computerDen = 3, 4 // three quarters of both
)

// extraEndpoints is how many endpoints of preferred topics are taken in beyond the caps.
const extraEndpoints = 256

// Prefer names a topic whose endpoints are always taken in, up to extraEndpoints beyond the caps and even if their
// announcements do not parse as a whole, so that nobody hides there behind a crowd or an odd announcement. It is called
// before Run.
func (p *Participant) Prefer(topic string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.preferred[topic] = true
}

// endpointCap says which cap keeps one more endpoint of a participant out, "" if none. Where a cap is shared, others who
// have not answered give way.
func (p *Participant) endpointCap(r *remote, size int) string {
	switch l := &p.lim; {
	case len(r.endpoints) >= l.EndpointsPerParticipant:
		return fmt.Sprintf("the limit of %d endpoints of one participant", l.EndpointsPerParticipant)
	case r.bytes+size > l.DiscoveryBytes/participantShare:
		return fmt.Sprintf("the limit of %d bytes of names and user data of one participant", l.DiscoveryBytes/participantShare)
	}
	a := p.computer(r.Source.Addr())
	now := time.Duration(r.heard.Load())
	for {
		why, may := p.sharedCap(a, size)
		if why == "" || !p.evict(now, func(x *remote) bool { return x != r && len(x.endpoints) > 0 && may(x) }) {
			return why
		}
	}
}

// sharedCap says which cap of a computer, or of all, is reached, and who shares it.
func (p *Participant) sharedCap(a netip.Addr, size int) (why string, sharer func(*remote) bool) {
	share := func(n int) int { return n * computerNum / computerDen }
	l, here := &p.lim, p.computers[a]
	same := func(x *remote) bool { return p.computer(x.Source.Addr()) == a }
	anybody := func(*remote) bool { return true }
	switch {
	case here.endpoints >= share(l.Endpoints):
		return fmt.Sprintf("the limit of %d endpoints of one address", share(l.Endpoints)), same
	case here.bytes+size > share(l.DiscoveryBytes):
		return fmt.Sprintf("the limit of %d bytes of names and user data of one address", share(l.DiscoveryBytes)), same
	case p.all.endpoints >= l.Endpoints:
		return fmt.Sprintf("the limit of %d endpoints", l.Endpoints), anybody
	case p.all.bytes+size > l.DiscoveryBytes:
		return fmt.Sprintf("the limit of %d bytes of names and user data", l.DiscoveryBytes), anybody
	}
	return "", nil
}

// forget removes an endpoint.
func (p *Participant) forget(r *remote, ep *Endpoint, why string) {
	delete(r.endpoints, ep.GUID.Entity)
	p.count(r, 0, -1, -ep.bytes)
	if ep.extra {
		p.extra--
	}
	p.generation.Add(1)
	p.unmatchEndpoint(ep)
	if p.rep.wants(EndpointRemoved) {
		p.rep.emit(&Event{
			Kind: EndpointRemoved, GUID: ep.GUID, Participant: r.RemoteParticipant, Endpoint: ep, Source: r.Source, Topic: ep.Topic, Detail: why,
		})
	}
}

func (p *Participant) endpointsNow() []*Endpoint {
	p.mu.Lock()
	defer p.mu.Unlock()
	out := make([]*Endpoint, 0, p.all.endpoints)
	for _, r := range p.remotes {
		for _, ep := range r.endpoints {
			out = append(out, ep)
		}
	}
	return out
}

func (p *Participant) participantsNow() []*RemoteParticipant {
	p.mu.Lock()
	defer p.mu.Unlock()
	out := make([]*RemoteParticipant, 0, len(p.remotes))
	for _, r := range p.remotes {
		out = append(out, r.RemoteParticipant)
	}
	return out
}

// asserted takes a participant's liveliness (ParticipantMessageData, 9.6.3.1): its prefix and a kind. That it was heard of
// at all has renewed its lease already.
func (p *Participant) asserted(r *remote) reliable.Deliver {
	const manual = 2 // PARTICIPANT_MESSAGE_DATA_KIND_MANUAL_LIVELINESS_UPDATE, four octets in the order of the wire
	return func(s *reliable.Sample) {
		b := s.Payload
		if len(b) < 4+16 || s.Key || wire.Prefix(b[4:]) != r.GUID.Prefix {
			return
		}
		if [4]byte(b[16:]) == [4]byte{0, 0, 0, manual} {
			r.manual.Store(r.heard.Load())
		}
	}
}
