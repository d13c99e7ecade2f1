package bus

import (
	"time"

	"github.com/robowarden/robowarden/hal/msg"
)

// EventKind says what happened.
type EventKind uint8

// Event kinds.
const (
	// EventUnknown is the zero value; no event has it.
	EventUnknown EventKind = iota
	// PublisherConnected means that a publisher's data may arrive from now on.
	PublisherConnected
	// PublisherGone means that what PublisherConnected announced has ended.
	PublisherGone
	// PublisherRefused means that a publisher is not allowed, not reachable or says something else than asked for.
	PublisherRefused
	// PublisherMismatch means that a publisher's type, checksum or quality of service does not fit.
	PublisherMismatch
	// PublisherTimeout means that a handshake or a started message did not end in time, or that nothing came at all.
	PublisherTimeout
	// PublisherOversize means that a message or a header was announced with more bytes than its cap.
	PublisherOversize
	// PublisherMalformed means that a message did not decode.
	PublisherMalformed
	// PublisherUnlisted means that the graph no longer lists a publisher whose connection lives on.
	PublisherUnlisted
	// PublisherConflict means that two senders speak as one publisher: another source address, two contents under one
	// number, numbers that jump, or a farewell that its sender did not send.
	PublisherConflict
	// SubscriberConnected means that somebody takes one of our topics.
	SubscriberConnected
	// SubscriberGone means that a subscriber has left.
	SubscriberGone
	// SubscriberRefused means that a subscriber was refused: topic, type, quality of service, caps, header or deadline.
	SubscriberRefused
	// SubscriberStalled means that a subscriber took nothing for the stall timeout and was dropped.
	SubscriberStalled
	// RequestRefused means that somebody asked for something that is never done, as to shut this node down.
	RequestRefused
	// RequestMalformed means that something sent to this node's own ports did not parse.
	RequestMalformed
	// Registered means that the graph lists us for a topic again, or for the first time.
	Registered
	// RegistrationLost means that the graph no longer lists us for a topic.
	RegistrationLost
	// BusLost means that the graph cannot be asked: the master does not answer, the sockets do not work.
	BusLost
	// BusBack means that the graph can be asked again.
	BusBack
	// AcceptFailed means that a listener could not accept, as when file descriptors run out. It goes on.
	AcceptFailed
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
	EventUnknown:        "unknown",
	PublisherConnected:  "publisher-connected",
	PublisherGone:       "publisher-gone",
	PublisherRefused:    "publisher-refused",
	PublisherMismatch:   "publisher-mismatch",
	PublisherTimeout:    "publisher-timeout",
	PublisherOversize:   "publisher-oversize",
	PublisherMalformed:  "publisher-malformed",
	PublisherUnlisted:   "publisher-unlisted",
	PublisherConflict:   "publisher-conflict",
	SubscriberConnected: "subscriber-connected",
	SubscriberGone:      "subscriber-gone",
	SubscriberRefused:   "subscriber-refused",
	SubscriberStalled:   "subscriber-stalled",
	RequestRefused:      "request-refused",
	RequestMalformed:    "request-malformed",
	Registered:          "registered",
	RegistrationLost:    "registration-lost",
	BusLost:             "bus-lost",
	BusBack:             "bus-back",
	AcceptFailed:        "accept-failed",
}

// Event is something that happened beside the messages themselves. Texts in it that came from a peer are capped.
type Event struct {
	// Boot is when, on CLOCK_BOOTTIME.
	Boot time.Duration
	Kind EventKind
	// Topic is the topic concerned, empty where there is none.
	Topic string
	// Name is the peer's name as the graph lists it or as it calls itself, empty where unknown.
	Name string
	// Peer is the connection, where there is one.
	Peer *msg.Peer
	// Detail says in words what was expected and what was found.
	Detail string
	// Suppressed counts the events of this kind that were not delivered since the last one, for there were too many.
	// Only kinds that a stranger can cause are ever suppressed; connections of publishers, the registration and the
	// graph itself are always told.
	Suppressed uint64
}

// Own tells whether events of the kind come at our own pace, so that no stranger can make a flood of them.
func (k EventKind) Own() bool {
	const own = 1<<PublisherConnected | 1<<PublisherGone | 1<<Registered | 1<<RegistrationLost | 1<<BusLost | 1<<BusBack
	return own>>k&1 == 1
}
