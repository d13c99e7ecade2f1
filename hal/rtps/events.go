package rtps

import (
	"fmt"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/robowarden/robowarden/hal/rtps/reliable"
	"github.com/robowarden/robowarden/hal/rtps/wire"
)

// EventKind says what happened.
type EventKind uint8

// Event kinds.
const (
	// EventUnknown is the zero value; no event has it.
	EventUnknown EventKind = iota
	// ParticipantJoined means that somebody has announced itself and is taken in.
	ParticipantJoined
	// ParticipantLeft means that a participant said farewell, from its own source.
	ParticipantLeft
	// ParticipantLeaseEnded means that a participant has said nothing for its lease.
	ParticipantLeaseEnded
	// ParticipantRefused means that an announcement was not taken: a cap, another domain, no address that we would send to.
	ParticipantRefused
	// EndpointAdded means that a remote writer or reader is known.
	EndpointAdded
	// EndpointRemoved means that one is no longer known.
	EndpointRemoved
	// EndpointMismatch means that a remote endpoint on a topic of ours does not fit ours: type or quality of service.
	EndpointMismatch
	// SourceConflict means that a datagram came in the name of a participant, or in ours, from another UDP source. It was
	// not taken.
	SourceConflict
	// ForeignDispose means that somebody said the farewell of another one. It was not taken.
	ForeignDispose
	// ForeignEndpoint means that somebody announced an endpoint of another participant. It was not taken.
	ForeignEndpoint
	// PayloadConflict means that a writer's number came with two contents: two speak as one.
	PayloadConflict
	// SequenceJump means that a writer's numbers went where no writer goes: far ahead, or back.
	SequenceJump
	// LocatorRefused means that an announcement named addresses that no participant hears at: out in the internet,
	// multicast, privileged ports. Nothing is sent to them.
	LocatorRefused
	// Malformed means that a datagram or an announcement did not parse.
	Malformed
	// Flood means that a source says more than its budget; what is above it is not looked at.
	Flood
	// CapReached means that a cap of Limits keeps something out, which Detail names.
	CapReached
	// LivelinessLost means that a matched writer did not assert its liveliness within the lease that it offers.
	LivelinessLost
	// LivelinessBack means that it does again.
	LivelinessBack
	// ReaderStalled means that a matched reliable reader has acknowledged nothing for Limits.StallTimeout while there was
	// something to acknowledge.
	ReaderStalled
	// SocketFailed means that a socket gave an error that is not about one peer. The participant goes on.
	SocketFailed
)

// String names the kind as logs write it.
func (k EventKind) String() string {
	if int(k) < len(eventNames) {
		return eventNames[k]
	}
	return eventNames[EventUnknown]
}

// EventKinds is the number of kinds, for tables over them.
const EventKinds = len(eventNames)

var eventNames = [...]string{
	EventUnknown:          "unknown",
	ParticipantJoined:     "participant-joined",
	ParticipantLeft:       "participant-left",
	ParticipantLeaseEnded: "participant-lease-ended",
	ParticipantRefused:    "participant-refused",
	EndpointAdded:         "endpoint-added",
	EndpointRemoved:       "endpoint-removed",
	EndpointMismatch:      "endpoint-mismatch",
	SourceConflict:        "source-conflict",
	ForeignDispose:        "foreign-dispose",
	ForeignEndpoint:       "foreign-endpoint",
	PayloadConflict:       "payload-conflict",
	SequenceJump:          "sequence-jump",
	LocatorRefused:        "locator-refused",
	Malformed:             "malformed",
	Flood:                 "flood",
	CapReached:            "cap-reached",
	LivelinessLost:        "liveliness-lost",
	LivelinessBack:        "liveliness-back",
	ReaderStalled:         "reader-stalled",
	SocketFailed:          "socket-failed",
}

// Event is something that happened beside the samples. Texts in it that came from a peer are capped.
type Event struct {
	// Boot is when, on the boot clock.
	Boot time.Duration
	Kind EventKind
	// GUID is the participant or endpoint concerned, zero where there is none.
	GUID wire.GUID
	// Participant is the remote participant concerned, nil where there is none or it is not taken in.
	Participant *RemoteParticipant
	// Endpoint is the remote endpoint concerned, nil where there is none.
	Endpoint *Endpoint
	// Source is where the datagram came from that caused the event, zero where none did.
	Source netip.AddrPort
	// Topic is the topic concerned, empty where there is none.
	Topic string
	// Detail says in words what was expected and what was found.
	Detail string
	// Suppressed counts the events of this kind that were not told since the last one, for there were too many. All kinds
	// may be; OnMatch and Generation always tell.
	Suppressed uint64
}

// reporter lets a bounded number of events of each kind through per second, so that a flood of attacks is no flood of work.
type reporter struct {
	clock func() time.Duration
	rate  int
	on    atomic.Bool
	tell  func(*Event)

	mu    sync.Mutex
	kinds [EventKinds]struct {
		second     time.Duration
		count      int
		suppressed uint64
	}
}

// wants tells whether an event of the kind would be told now, and else counts it. What an event costs to describe is spent
// after that only.
func (r *reporter) wants(kind EventKind) bool {
	if !r.on.Load() {
		return false
	}
	second := r.clock().Truncate(time.Second)
	r.mu.Lock()
	defer r.mu.Unlock()
	k := &r.kinds[kind]
	if k.second != second {
		k.second, k.count = second, 0
	}
	if k.count >= r.rate {
		k.suppressed++
		return false
	}
	k.count++
	return true
}

// mute ends it.
func (r *reporter) mute() { r.on.Store(false) }

// emit tells an event that was wanted.
func (r *reporter) emit(e *Event) {
	e.Boot = r.clock()
	r.mu.Lock()
	k := &r.kinds[e.Kind]
	e.Suppressed, k.suppressed = k.suppressed, 0
	r.mu.Unlock()
	r.tell(e)
}

// flush tells of events that were only counted, so that the end of a flood is not lost.
func (r *reporter) flush(now time.Duration) {
	second := now.Truncate(time.Second)
	for kind := range r.kinds {
		r.mu.Lock()
		k := &r.kinds[kind]
		due := k.suppressed > 0 && k.second != second
		if due {
			k.suppressed-- // the event that tells is one of them
		}
		r.mu.Unlock()
		if due && r.wants(EventKind(kind)) {
			r.emit(&Event{Kind: EventKind(kind), Detail: "more of the same"})
		}
	}
}

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
		detail := fmt.Sprintf("more than %d datagrams of discovery in a second; the rest is not looked at", rate)
		p.rep.emit(&Event{Kind: Flood, GUID: g, Source: from, Detail: detail})
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

// advice says what to do about a participant that speaks from two addresses.
func (p *Participant) advice(bound, other netip.Addr) string {
	if p.sameComputer(bound, other) {
		return ""
	}
	return "; if both addresses are one computer's, name them in the deployment, dds: {computers: [[" + bound.String() + ", " + other.String() + "]]}"
}

// swapped tells of a source that was taken for the participant's until that one was heard itself.
func (p *Participant) swapped(r *RemoteParticipant, thief netip.AddrPort) {
	r.conflicts.Add(1)
	if p.rep.wants(SourceConflict) {
		p.rep.emit(&Event{
			Kind: SourceConflict, GUID: r.GUID, Participant: r, Source: thief,
			Detail: "it was taken for " + r.Source.String() + ", which has spoken itself now",
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
