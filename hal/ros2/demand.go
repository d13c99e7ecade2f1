package ros2

import (
	"errors"
	"fmt"

	"github.com/robowarden/robowarden/hal/bus"
	"github.com/robowarden/robowarden/hal/msg"
	"github.com/robowarden/robowarden/hal/ros2/cdr"
)

// DefaultDemandBytes is the usual cap of one command that is passed on as it came.
const DefaultDemandBytes = 64 << 10

// SubscribeDemand reads commands that are passed on whole or not at all. Each counts, so they are read reliably from writers
// that offer that, and wait until it is known who sent them. The topic and the type may be those of plain DDS.
func (n *Node) SubscribeDemand(s bus.DemandSubscription, h func(*msg.Demand)) (*Sub, error) {
	mk := func(p *msg.Peer) (cdr.Decoder, error) { return cdr.NewDemand(&s, p, h) }
	if _, err := mk(nil); err != nil {
		return nil, fmt.Errorf("ros2: topic %s: %w", clip(s.Topic, 80), err)
	}
	t, err := checkVendor(&s.Subscription)
	if err != nil {
		return nil, err
	}
	s.MaxBytes = orDefault(s.MaxBytes, DefaultDemandBytes)
	return n.subscribeWith(s.Subscription, t, s.Type, bus.Every, true, sound(mk))
}

// errNotForwarded means that a topic was not advertised for messages that are passed on.
var errNotForwarded = errors.New("ros2: the topic was not advertised with Forward")

// PublishRaw sends a message's payload as it came, encapsulation included, unless something with a higher seq was sent
// before.
func (p *Publisher) PublishRaw(seq uint64, payload []byte) (bus.Sent, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.forward {
		return bus.Sent{}, errNotForwarded
	}
	if err := p.begin(len(payload), p.typ); err != nil {
		return bus.Sent{}, err
	}
	p.buf = append(p.buf[:0], payload...)
	return p.send(seq)
}

// PublishHold sends the message that tells controllers of joints to stop, unless something with a higher seq was sent
// before: see bus.Hold.
func (p *Publisher) PublishHold(seq uint64, h *bus.Hold) (bus.Sent, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.forward {
		return bus.Sent{}, errNotForwarded
	}
	if err := p.begin(cdr.HoldSize(p.typ, h), bus.TypeJointTrajectory, bus.TypeFloat64MultiArray); err != nil {
		return bus.Sent{}, err
	}
	p.buf = cdr.AppendHold(p.buf[:0], p.typ, h)
	return p.send(seq)
}
