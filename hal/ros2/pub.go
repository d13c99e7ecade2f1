package ros2

import (
	"errors"

	"github.com/robowarden/robowarden/hal/bus"
	"github.com/robowarden/robowarden/hal/msg"
)

// Errors of the Publish methods.
var (
	// ErrWrongType means that the topic was advertised with another type.
	ErrWrongType = errors.New("ros2: the topic has another message type")
	// ErrTooLong means that the message is longer than the topic's cap.
	ErrTooLong = errors.New("ros2: the message is longer than the topic's cap")
)

// Publisher is one advertised topic. Its Publish methods may be called from any goroutine; none of them allocates,
// blocks or waits for a subscriber.
type Publisher struct{}

// Advertise offers a topic: the writer is announced as soon as Run serves.
func (n *Node) Advertise(c bus.Publication) (*Publisher, error) { return nil, errNotYet }

// PublishTwist sends t, unless something with a higher seq was sent before.
func (p *Publisher) PublishTwist(seq uint64, t *msg.Twist) (bus.Sent, error) {
	return bus.Sent{}, errNotYet
}

// PublishBool sends v, unless something with a higher seq was sent before.
func (p *Publisher) PublishBool(seq uint64, v bool) (bus.Sent, error) { return bus.Sent{}, errNotYet }

// PublishString sends text, unless something with a higher seq was sent before.
func (p *Publisher) PublishString(seq uint64, text []byte) (bus.Sent, error) {
	return bus.Sent{}, errNotYet
}

// PublishDiagnostics sends a DiagnosticArray stamped with stamp (ns since the Unix epoch), unless something with a
// higher seq was sent before.
func (p *Publisher) PublishDiagnostics(seq uint64, stamp int64, status []bus.DiagnosticStatus) (bus.Sent, error) {
	return bus.Sent{}, errNotYet
}

// Subscribers is the number of readers matched with the topic now.
func (p *Publisher) Subscribers() int { return 0 }

// Close withdraws the topic.
func (p *Publisher) Close() {}
