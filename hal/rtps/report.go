package rtps

import (
	"fmt"
	"net/netip"

	"github.com/robowarden/robowarden/hal/rtps/reliable"
	"github.com/robowarden/robowarden/hal/rtps/wire"
)

// maxDetail bounds an event's text.
const maxDetail = 400

func clip(s string) string {
	if len(s) > maxDetail {
		return s[:maxDetail]
	}
	return s
}

func (p *Participant) malformed(from netip.AddrPort, g wire.GUID, err error) {
	if p.rep.wants(Malformed) {
		p.rep.emit(&Event{Kind: Malformed, GUID: g, Source: from, Detail: clip(err.Error())})
	}
}

func (p *Participant) flood(from netip.AddrPort, g wire.GUID, rate int) {
	if p.rep.wants(Flood) {
		p.rep.emit(&Event{Kind: Flood, GUID: g, Source: from, Detail: fmt.Sprintf("more than %d datagrams of discovery in a second; the rest is not looked at", rate)})
	}
}

func (p *Participant) cap(g wire.GUID, from netip.AddrPort, topic, detail string) {
	if p.rep.wants(CapReached) {
		p.rep.emit(&Event{Kind: CapReached, GUID: g, Source: from, Topic: topic, Detail: clip(detail)})
	}
}

// ownPrefix hears our own prefix: our own multicast, or somebody who uses it.
func (p *Participant) ownPrefix(e *ear) {
	if e.from != p.meta.local && p.rep.wants(SourceConflict) {
		p.rep.emit(&Event{
			Kind: SourceConflict, GUID: p.GUID(), Source: e.from,
			Detail: "a datagram in our own name; we speak from " + p.meta.local.String() + " only",
		})
	}
}

// relayed hears somebody who speaks for another (INFO_SRC). No implementation does so without DDS Security.
func (p *Participant) relayed(e *ear) {
	if p.rep.wants(SourceConflict) {
		p.rep.emit(&Event{
			Kind: SourceConflict, GUID: wire.GUID{Prefix: e.msg.Source, Entity: wire.EntityParticipant}, Source: e.from,
			Detail: fmt.Sprintf("%x relays a datagram in its name; each participant has to speak for itself", e.msg.Sender),
		})
	}
}

// doubted tells of numbers and contents that no single writer sends.
func (p *Participant) doubted(v reliable.Verdict, g wire.GUID, r *RemoteParticipant, ep *Endpoint, from netip.AddrPort, seq wire.SeqNum) {
	kind, detail := SequenceJump, "number %d is further from the last than a writer goes at once"
	if v == reliable.Conflict {
		kind, detail = PayloadConflict, "number %d came with two contents: somebody else speaks in the writer's name"
	}
	if !p.rep.wants(kind) {
		return
	}
	e := &Event{Kind: kind, GUID: g, Participant: r, Endpoint: ep, Source: from, Detail: fmt.Sprintf(detail, seq)}
	if ep != nil {
		e.Topic = ep.Topic
	}
	p.rep.emit(e)
}
