package ros1

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/bluenviron/goroslib/v2/pkg/apimaster"

	"github.com/robowarden/robowarden/hal/bus"
	"github.com/robowarden/robowarden/hal/msg"
)

// Publisher is one advertised topic. Its Publish methods may be called from any goroutine; none of them allocates,
// blocks or waits for a subscriber.
type Publisher struct {
	n         *Node
	topic     string
	typ       wireType
	latch     bool
	forward   bool
	frameID   string
	wheelbase float64
	consumers []string
	max       int
	// registered belongs to the poll loop.
	registered bool

	// mu is never held while anything waits: writes under it do not block.
	mu     sync.Mutex
	closed bool
	conns  []*pubConn // consumers first
	// frame is the last message with its length; it is empty before the first one.
	frame []byte
	seq   uint64
	sent  uint32
	// steering is the angle in rad that was sent last.
	steering float64
}

// Errors of the Publish methods.
var (
	// ErrWrongType means that the topic was advertised with another type.
	ErrWrongType = errors.New("ros1: the topic has another message type")
	// ErrTooLong means that the message is longer than the topic's cap.
	ErrTooLong = errors.New("ros1: the message is longer than the topic's cap")
	// ErrClosed means that the publisher or the node is closed.
	ErrClosed = errors.New("ros1: closed")
)

// written are the types that a node writes itself.
var written = []string{
	bus.TypeTwist, bus.TypeTwistStamped, bus.TypeAckermannDrive, bus.TypeAckermannDriveStamped, bus.TypeBool, bus.TypeString, bus.TypeDiagnosticArray,
}

// maxForward is the largest cap of a topic on which messages are passed on.
const maxForward = 1 << 20

// Advertise offers a topic: subscribers may connect as soon as Run serves, and Run registers it with the master.
func (n *Node) Advertise(c bus.Publication) (*Publisher, error) {
	if !validName(c.Topic) {
		return nil, fmt.Errorf("ros1: topic %s is not a global name; expected one such as \"/cmd_vel\"", clip(c.Topic, 80))
	}
	if !c.Forward && !slices.Contains(written, c.Type) {
		return nil, fmt.Errorf("ros1: topic %s: type %s; expected one of %s", c.Topic, clip(c.Type, 80), strings.Join(written, ", "))
	}
	for _, name := range c.Consumers {
		if !validName(name) {
			return nil, fmt.Errorf("ros1: topic %s: consumer %s is not a global node name", c.Topic, clip(name, 80))
		}
	}
	if strings.HasPrefix(c.Type, "ackermann_msgs/") && !c.Forward && !(c.WheelbaseM > 0) {
		return nil, fmt.Errorf("ros1: topic %s: wheelbase %v m; expected one above 0 for %s", c.Topic, c.WheelbaseM, c.Type)
	}
	t, err := lookupType(c.Type)
	if c.Forward {
		t, err = demandType(c.Type, c.MD5, true)
	}
	if err != nil {
		return nil, err
	}
	if c.Forward && c.MaxBytes <= maxForward {
		t.max = max(t.max, c.MaxBytes)
		c.MaxBytes = 0
	}
	if c.MaxBytes < 0 || c.MaxBytes > 4+msg.MaxText {
		return nil, fmt.Errorf("ros1: topic %s: MaxBytes %d; expected 1 to %d, or 0 for %d", c.Topic, c.MaxBytes, 4+msg.MaxText, t.max)
	}
	max := orDefault(c.MaxBytes, t.max)
	p := &Publisher{
		n: n, topic: c.Topic, typ: t, latch: c.Latch, forward: c.Forward, frameID: c.Frame, wheelbase: c.WheelbaseM, consumers: slices.Clone(c.Consumers), max: max,
		frame: make([]byte, 0, 4+max),
	}
	if err := n.addPublisher(p); err != nil {
		return nil, err
	}
	n.Poke()
	return p, nil
}

// begin checks a publication and empties the frame for its length and body. The caller holds mu.
func (p *Publisher) begin(typ string, seq uint64, size int) (superseded bool, err error) {
	switch {
	case p.typ.name != typ:
		return false, ErrWrongType
	case size > p.max:
		return false, ErrTooLong
	case p.closed:
		return false, ErrClosed
	case seq < p.seq:
		return true, nil
	}
	p.seq = seq
	p.sent++
	p.frame = binary.LittleEndian.AppendUint32(p.frame[:0], uint32(size))
	return false, nil
}

// flush hands the frame to every subscriber. The caller holds mu.
func (p *Publisher) flush() bus.Sent {
	var s bus.Sent
	for _, c := range p.conns {
		if c.offer(p.frame) {
			s.Delivered++
		} else {
			s.Behind++
		}
	}
	return s
}

// PublishTwist sends t in the topic's type, unless something with a higher seq was sent before.
func (p *Publisher) PublishTwist(seq uint64, t *msg.Twist) (bus.Sent, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	size, stamped, drive := twistBytes, false, false
	switch p.typ.name {
	case bus.TypeTwist:
	case bus.TypeTwistStamped:
		stamped = true
	case bus.TypeAckermannDrive:
		size, drive = driveBytes, true
	case bus.TypeAckermannDriveStamped:
		size, drive, stamped = driveBytes, true, true
	default:
		return bus.Sent{}, ErrWrongType
	}
	if stamped {
		size += 12 + 4 + len(p.frameID)
	}
	if old, err := p.begin(p.typ.name, seq, size); old || err != nil {
		return bus.Sent{Superseded: old}, err
	}
	if stamped {
		p.frame = appendHeader(p.frame, p.sent, time.Now().UnixNano(), p.frameID)
	}
	if drive {
		p.steering = t.Steering(p.wheelbase, p.steering)
		p.frame = appendDrive(p.frame, t.Linear.X, p.steering)
	} else {
		p.frame = appendTwist(p.frame, t)
	}
	return p.flush(), nil
}

// PublishBool sends v, unless something with a higher seq was sent before.
func (p *Publisher) PublishBool(seq uint64, v bool) (bus.Sent, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if old, err := p.begin(bus.TypeBool, seq, 1); old || err != nil {
		return bus.Sent{Superseded: old}, err
	}
	p.frame = appendBool(p.frame, v)
	return p.flush(), nil
}

// PublishString sends text, unless something with a higher seq was sent before.
func (p *Publisher) PublishString(seq uint64, text []byte) (bus.Sent, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if old, err := p.begin(bus.TypeString, seq, 4+len(text)); old || err != nil {
		return bus.Sent{Superseded: old}, err
	}
	p.frame = appendString(p.frame, text)
	return p.flush(), nil
}

// PublishDiagnostics sends a DiagnosticArray stamped with stamp (ns since the Unix epoch), unless something with a
// higher seq was sent before.
func (p *Publisher) PublishDiagnostics(seq uint64, stamp int64, status []bus.DiagnosticStatus) (bus.Sent, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if old, err := p.begin(bus.TypeDiagnosticArray, seq, diagnosticsSize(status)); old || err != nil {
		return bus.Sent{Superseded: old}, err
	}
	p.frame = appendDiagnostics(p.frame, p.sent, stamp, status)
	return p.flush(), nil
}

// Subscribers is the number of nodes connected to the topic now.
func (p *Publisher) Subscribers() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.conns)
}

// Close unregisters the topic, within Limits.CloseTimeout, and disconnects its subscribers.
func (p *Publisher) Close() {
	p.shut()
	p.n.removePublisher(p)
	ctx, cancel := context.WithTimeout(p.n.ctx, p.n.cfg.Limits.CloseTimeout)
	defer cancel()
	p.n.unregister(ctx, p)
}

// shut disconnects the subscribers and takes no more.
func (p *Publisher) shut() {
	p.mu.Lock()
	p.closed = true
	conns := slices.Clone(p.conns)
	p.mu.Unlock()
	for _, c := range conns {
		c.drop(bus.SubscriberGone, "the topic is closed")
	}
}

// unregister tells the master. An error is only logged: the master may be gone, and it may have forgotten us.
func (n *Node) unregister(ctx context.Context, p *Publisher) {
	err := n.callMaster(ctx, func(c *apimaster.Client) error { return c.UnregisterPublisher(p.topic, n.URI()) })
	if err != nil {
		n.cfg.Log.Debug().Str("topic", p.topic).Err(err).Msg("unregister publisher")
	}
}

// peers lists who is connected.
func (p *Publisher) peers() []*msg.Peer {
	p.mu.Lock()
	defer p.mu.Unlock()
	out := make([]*msg.Peer, 0, len(p.conns))
	for _, c := range p.conns {
		out = append(out, c.peer)
	}
	return out
}
