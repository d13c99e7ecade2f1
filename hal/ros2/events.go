package ros2

import (
	"fmt"
	"strings"

	"github.com/robowarden/robowarden/hal/bus"
	"github.com/robowarden/robowarden/hal/msg"
	"github.com/robowarden/robowarden/hal/rtps"
	"github.com/robowarden/robowarden/hal/rtps/wire"
)

// event turns what the participant tells into what the agent is told. Connections are told where they are made, see
// Sub.match; what is nobody's fault goes to the log only.
func (n *Node) event(e *rtps.Event) {
	switch e.Kind {
	case rtps.ParticipantJoined, rtps.ParticipantLeft, rtps.ParticipantLeaseEnded, rtps.EndpointAdded:
		n.stir()
	case rtps.EndpointRemoved:
		n.left(e)
		n.stir()
	case rtps.EndpointMismatch:
		n.mismatch(e)
	case rtps.SourceConflict, rtps.ForeignDispose, rtps.ForeignEndpoint, rtps.PayloadConflict, rtps.SequenceJump:
		n.conflict(e)
	case rtps.LivelinessLost:
		n.silent(e)
	case rtps.Malformed:
		n.pass(bus.RequestMalformed, e)
	case rtps.CapReached:
		n.cap(e)
	case rtps.Flood:
		if e.GUID.Entity == wire.EntityParticipant {
			n.strangers.refuse(e.GUID, n.cfg.Clock())
		}
		n.Poke()
		n.pass(bus.RequestRefused, e)
	case rtps.ParticipantRefused:
		n.strangers.refuse(e.GUID, n.cfg.Clock())
		n.pass(bus.RequestRefused, e)
	case rtps.ReaderStalled:
		n.pass(bus.SubscriberStalled, e)
	case rtps.SocketFailed:
		n.pass(bus.AcceptFailed, e)
	case rtps.EventUnknown, rtps.LivelinessBack, rtps.LocatorRefused:
		// Robots with several interfaces announce all of their addresses to everybody.
		n.cfg.Log.Debug().Str("event", e.Kind.String()).Stringer("source", e.Source).Msg(e.Detail)
	}
}

// pass tells an event as it is.
func (n *Node) pass(kind bus.EventKind, e *rtps.Event) {
	n.rep.Emit(&bus.Event{Kind: kind, Topic: rosTopic(e.Topic), Name: n.eventName(e), Detail: e.Detail, Suppressed: e.Suppressed})
}

// unseen notes that there may be an endpoint that discovery did not take in: for a while the graph is not known. The
// participant itself says when it had no room or time for a participant, see rtps.Participant.KeptOut.
func (n *Node) unseen() {
	n.unseenAt.Store(int64(n.cfg.Clock()))
	n.Poke()
}

// hides tells whether what a cap keeps out may write a watched topic: an announcement too long to be read. The endpoints of
// watched topics themselves have room beyond the caps.
func hides(e *rtps.Event) bool { return e.GUID.Entity == wire.EntitySEDPPubWriter }

// cap tells that a cap keeps somebody out. A graph may just be large: only a crowd of participants is nobody's honest doing.
// Of a writer that is listened to it is a message that is too long.
func (n *Node) cap(e *rtps.Event) {
	switch {
	case n.oversize(e):
		return
	case hides(e):
		n.unseen()
	}
	if e.GUID.Entity == wire.EntityParticipant {
		n.strangers.refuse(e.GUID, n.cfg.Clock())
		n.Poke()
	}
	switch {
	case e.GUID.Entity.Writer():
		n.pass(bus.PublisherRefused, e)
	case e.GUID.Entity.Reader():
		n.pass(bus.SubscriberRefused, e)
	default:
		n.pass(bus.RequestRefused, e)
	}
}

func (n *Node) oversize(e *rtps.Event) (told bool) {
	for _, s := range n.subsOn(e.Topic) {
		for _, l := range s.linked(nil) {
			if p := l.now(); p != nil && l.w.GUID == e.GUID {
				told = true
				n.rep.Emit(&bus.Event{
					Kind: bus.PublisherOversize, Topic: s.topic, Name: p.Name, Peer: p, Detail: e.Detail, Suppressed: e.Suppressed,
				})
			}
		}
	}
	return told
}

// eventName is the name to report an event's causer by, "" if nothing of it is known.
func (n *Node) eventName(e *rtps.Event) string {
	switch {
	case e.Endpoint != nil:
		return n.nameOf(e.Endpoint)
	case e.Participant != nil:
		return n.nameOfParticipant(e.Participant)
	case e.Source.IsValid():
		return rawName(e.Source.Addr())
	}
	return ""
}

// mismatch tells of endpoints that cannot meet ours.
func (n *Node) mismatch(e *rtps.Event) {
	if e.Endpoint == nil || !e.Endpoint.Writer {
		n.pass(bus.SubscriberRefused, e)
		return
	}
	for _, s := range n.subsOn(e.Topic) {
		if s.spares(e.Detail) {
			return
		}
	}
	n.pass(bus.PublisherMismatch, e)
}

// spares tells whether a mismatch is one of a reader that asks for more than another one of the subscription, which takes
// the writer then.
func (s *Sub) spares(detail string) bool {
	return (s.want[sure] || s.want[kept]) && (strings.HasPrefix(detail, "reliability:") || strings.HasPrefix(detail, "durability:"))
}

// conflict tells that somebody speaks in the name of another one: on each topic on which that one is listened to, or once
// where it is on none. In our own name it is told by that name: whoever reads us may have believed him.
func (n *Node) conflict(e *rtps.Event) {
	told := false
	tell := func(topic string, p *msg.Peer) {
		told = true
		n.rep.Emit(&bus.Event{
			Kind: bus.PublisherConflict, Topic: topic, Name: p.Name, Peer: p, Suppressed: e.Suppressed,
			Detail: fmt.Sprintf("%v: %s", e.Kind, e.Detail),
		})
	}
	for _, s := range n.subscriptions() {
		for _, l := range s.linked(nil) {
			if !concerns(e, l.w) {
				continue
			}
			if p := l.now(); p != nil {
				tell(s.topic, p)
			}
		}
	}
	if !told {
		name := n.eventName(e)
		if e.GUID.Prefix == n.part.GUID().Prefix {
			name = n.cfg.Name
		}
		n.rep.Emit(&bus.Event{
			Kind: bus.PublisherConflict, Topic: rosTopic(e.Topic), Name: name, Suppressed: e.Suppressed,
			Detail: fmt.Sprintf("%v: %s", e.Kind, e.Detail),
		})
	}
}

// concerns tells whether an event is about a writer: about itself, or about its participant as a whole. What somebody says
// of another one's endpoints is about these, for whoever else reads them may have believed it.
func concerns(e *rtps.Event, w *rtps.RemoteWriter) bool {
	switch {
	case e.Kind == rtps.ForeignDispose || e.Kind == rtps.ForeignEndpoint:
		return e.GUID.Prefix == w.GUID.Prefix && (e.GUID.Entity == wire.EntityParticipant || e.GUID.Entity == w.GUID.Entity)
	case e.Endpoint != nil:
		return e.Endpoint == w.Endpoint
	case e.Participant != nil:
		return e.Participant == w.Participant
	}
	return false
}

// silent tells that a writer no longer keeps the promise to be alive that it made itself.
func (n *Node) silent(e *rtps.Event) {
	for _, s := range n.subscriptions() {
		for _, l := range s.linked(nil) {
			if p := l.now(); p != nil && concerns(e, l.w) {
				n.rep.Emit(&bus.Event{
					Kind: bus.PublisherTimeout, Topic: s.topic, Name: p.Name, Peer: p, Detail: e.Detail, Suppressed: e.Suppressed,
				})
			}
		}
	}
}
