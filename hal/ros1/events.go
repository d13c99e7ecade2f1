package ros1

import (
	"sync"
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
	// PublisherGone means that a connection that PublisherConnected announced has ended.
	PublisherGone
	// PublisherRefused means that a publisher is not allowed, not reachable or says something else than asked for.
	PublisherRefused
	// PublisherMismatch means that a publisher's header carries another type or md5sum.
	PublisherMismatch
	// PublisherTimeout means that a handshake or a started message did not end in time, or that nothing came at all.
	PublisherTimeout
	// PublisherOversize means that a message or a header was announced with more bytes than its cap.
	PublisherOversize
	// PublisherMalformed means that a message did not decode.
	PublisherMalformed
	// PublisherUnlisted means that the master no longer lists a publisher whose connection lives on.
	PublisherUnlisted
	// SubscriberConnected means that somebody takes one of our topics.
	SubscriberConnected
	// SubscriberGone means that a subscriber has left.
	SubscriberGone
	// SubscriberRefused means that an inbound connection was refused: topic, md5sum, type, caps, header or deadline.
	SubscriberRefused
	// SubscriberStalled means that a subscriber took nothing for Limits.StallTimeout and was dropped.
	SubscriberStalled
	// RequestRefused means that somebody called shutdown, publisherUpdate or paramUpdate on our slave API.
	RequestRefused
	// RequestMalformed means that a request to our slave API did not parse.
	RequestMalformed
	// Registered means that the master lists us for a topic again, or for the first time.
	Registered
	// RegistrationLost means that the master no longer lists our slave URI for a topic.
	RegistrationLost
	// MasterLost means that the master does not answer, or not with sense.
	MasterLost
	// MasterBack means that the master answers again.
	MasterBack
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
	SubscriberConnected: "subscriber-connected",
	SubscriberGone:      "subscriber-gone",
	SubscriberRefused:   "subscriber-refused",
	SubscriberStalled:   "subscriber-stalled",
	RequestRefused:      "request-refused",
	RequestMalformed:    "request-malformed",
	Registered:          "registered",
	RegistrationLost:    "registration-lost",
	MasterLost:          "master-lost",
	MasterBack:          "master-back",
	AcceptFailed:        "accept-failed",
}

// Event is something that happened beside the messages themselves. Texts in it that came from a peer are capped.
type Event struct {
	// Boot is when, on CLOCK_BOOTTIME.
	Boot time.Duration
	Kind EventKind
	// Topic is the topic concerned, empty where there is none.
	Topic string
	// Name is the peer's name as the master lists it or as it calls itself, empty where unknown.
	Name string
	// Peer is the connection, where there is one.
	Peer *msg.Peer
	// Detail says in words what was expected and what was found.
	Detail string
	// Suppressed counts the events of this kind that were not delivered since the last one, for there were too many.
	// Only kinds that a stranger can cause are ever suppressed; connections of publishers, the registration and the
	// master are always told.
	Suppressed uint64
}

// own tells whether events of the kind come at our own pace, so that no stranger can make a flood of them.
func (k EventKind) own() bool {
	const own = 1<<PublisherConnected | 1<<PublisherGone | 1<<Registered | 1<<RegistrationLost | 1<<MasterLost | 1<<MasterBack
	return own>>k&1 == 1
}

// reporter delivers events, a bounded number of each kind per second, so that a flood of attacks is no flood of work.
type reporter struct {
	clock func() time.Duration
	sink  func(*Event)
	rate  int

	mu    sync.Mutex
	kinds [len(eventNames)]struct {
		second     time.Duration
		count      int
		suppressed uint64
	}
}

// flush tells of events that were only counted, so that the end of a flood is not lost.
func (r *reporter) flush() {
	second := r.clock().Truncate(time.Second)
	for kind := range r.kinds {
		r.mu.Lock()
		k := &r.kinds[kind]
		due := k.suppressed > 0 && k.second != second
		if due {
			k.suppressed-- // the event that tells is one of them
		}
		r.mu.Unlock()
		if due {
			r.emit(&Event{Kind: EventKind(kind), Detail: "more of the same"})
		}
	}
}

// emit fills in the time and delivers e, or counts it.
func (r *reporter) emit(e *Event) {
	e.Boot = r.clock()
	if r.sink == nil {
		return
	}
	second := e.Boot.Truncate(time.Second)
	r.mu.Lock()
	k := &r.kinds[e.Kind]
	if k.second != second {
		k.second, k.count = second, 0
	}
	if k.count >= r.rate && !e.Kind.own() {
		k.suppressed++
		r.mu.Unlock()
		return
	}
	k.count++
	e.Suppressed, k.suppressed = k.suppressed, 0
	r.mu.Unlock()
	r.sink(e)
}
