package ros2

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/robowarden/robowarden/hal/bus"
	"github.com/robowarden/robowarden/hal/msg"
	"github.com/robowarden/robowarden/hal/ros2/cdr"
	"github.com/robowarden/robowarden/hal/rtps"
)

// Publisher is one advertised topic. Its Publish methods may be called from any goroutine; none of them allocates,
// blocks or waits for a subscriber.
type Publisher struct {
	n         *Node
	topic     string
	typ       string
	consumers []string
	max       int
	forward   bool
	frame     string
	wheelbase float64
	// steering is the angle in rad that was sent last.
	steering float64
	writer   *rtps.Writer

	// mu is never held while anything waits: writes under it do not block.
	mu     sync.Mutex
	closed bool
	buf    []byte

	// registered belongs to the node's own goroutine.
	registered bool

	// match guards the readers whose names were not told yet.
	match sync.Mutex
	fresh []*rtps.RemoteReader
	told  map[*rtps.RemoteReader]string
}

// Errors of the Publish methods.
var (
	// ErrWrongType means that the topic was advertised with another type.
	ErrWrongType = errors.New("ros2: the topic has another message type")
	// ErrTooLong means that the message is longer than the topic's cap.
	ErrTooLong = errors.New("ros2: the message is longer than the topic's cap")
)

// written are the types that a node writes itself.
var written = []string{bus.TypeTwist, cdr.TypeTwistStamped, bus.TypeAckermannDrive, bus.TypeAckermannDriveStamped, bus.TypeBool, bus.TypeString, bus.TypeDiagnosticArray}

// maxForward is the largest cap of a topic on which messages are passed on.
const maxForward = 1 << 20

// Advertise offers a topic: the writer is announced as soon as Run serves. It is reliable, so that it matches every
// reader, and keeps its last message for those that come later if Publication.Latch says so. The type may also be
// geometry_msgs/TwistStamped or one of Ackermann's, which are stamped with civil time.
func (n *Node) Advertise(c bus.Publication) (*Publisher, error) {
	if !validName(c.Topic) {
		return nil, fmt.Errorf("ros2: topic %s is not a fully qualified name; expected one such as \"/cmd_vel\"", clip(c.Topic, 80))
	}
	if !c.Forward && !slices.Contains(written, c.Type) {
		return nil, fmt.Errorf("ros2: topic %s: type %s; expected one of %s", c.Topic, clip(c.Type, 80), strings.Join(written, ", "))
	}
	for _, name := range c.Consumers {
		if !validPeer(name) {
			return nil, fmt.Errorf("ros2: topic %s: consumer %s; expected a node such as \"/base\", or \"dds:\" and an address",
				c.Topic, clip(name, 80))
		}
	}
	if strings.HasPrefix(c.Type, "ackermann_msgs/") && !c.Forward && !(c.WheelbaseM > 0) {
		return nil, fmt.Errorf("ros2: topic %s: wheelbase %v m; expected one above 0 for %s", c.Topic, c.WheelbaseM, c.Type)
	}
	t, err := parseType(c.Type, "msg")
	if c.Forward {
		t, err = parseVendorType(c.Type)
	}
	if err != nil {
		return nil, fmt.Errorf("ros2: topic %s: %w", c.Topic, err)
	}
	most := usualBytes(bus.TypeString)
	if c.Forward {
		most, c.MaxBytes = maxForward, orDefault(c.MaxBytes, DefaultDemandBytes)
	}
	if c.MaxBytes < 0 || c.MaxBytes > most {
		return nil, fmt.Errorf("ros2: topic %s: MaxBytes %d; expected 1 to %d, or 0 for %d", c.Topic, c.MaxBytes, most, usualBytes(c.Type))
	}
	p := &Publisher{
		n: n, topic: c.Topic, typ: c.Type, forward: c.Forward, frame: c.Frame, wheelbase: c.WheelbaseM, consumers: slices.Clone(c.Consumers), max: orDefault(c.MaxBytes, usualBytes(c.Type)),
		told: map[*rtps.RemoteReader]string{},
	}
	p.buf = make([]byte, 0, p.max)
	return p, p.open(t, c.Latch)
}

// open makes the writer and adds the publisher to the node.
func (p *Publisher) open(t typeName, latch bool) error {
	n := p.n
	n.mu.Lock()
	closed := n.closed
	n.mu.Unlock()
	if closed {
		return ErrClosed
	}
	if n.publisher(p.topic) != nil {
		return fmt.Errorf("ros2: topic %s is advertised already", p.topic)
	}
	w, err := n.part.NewWriter(rtps.WriterConfig{
		Topic: ddsTopic(p.topic), Type: t.dds(""), Reliable: true, TransientLocal: latch, Depth: 1, MaxSample: p.max,
		UserData: n.hashes.data(t.String()), FirstReaders: p.first, OnMatch: p.matched,
	})
	if err != nil {
		return fmt.Errorf("ros2: topic %s: %w", p.topic, err)
	}
	p.writer = w
	n.mu.Lock()
	n.pubs = with(n.pubs, p)
	n.mu.Unlock()
	n.announce()
	n.stir()
	return nil
}

// first tells whether a reader is one of those that matter.
func (p *Publisher) first(r *rtps.RemoteReader) bool {
	return slices.Contains(p.consumers, p.n.nameOf(r.Endpoint))
}

// matched is told of readers.
func (p *Publisher) matched(r *rtps.RemoteReader, matched bool) {
	defer p.n.stir()
	p.match.Lock()
	if matched {
		p.fresh = append(p.fresh, r)
		p.match.Unlock()
		return
	}
	p.fresh = slices.DeleteFunc(p.fresh, func(x *rtps.RemoteReader) bool { return x == r })
	name, told := p.told[r]
	delete(p.told, r)
	p.match.Unlock()
	if told {
		p.n.rep.Emit(&bus.Event{Kind: bus.SubscriberGone, Topic: p.topic, Name: name, Detail: "the reader has left"})
	}
}

// tell reports whether the topic is announced, and the readers whose node is known by now. It is called on the node's own
// goroutine.
func (p *Publisher) tell(healthy bool) {
	if healthy != p.registered {
		p.registered = healthy
		e := bus.Event{Kind: bus.Registered, Topic: p.topic, Name: p.n.cfg.Name, Detail: "the participant works"}
		if !healthy {
			e.Kind, e.Detail = bus.RegistrationLost, "the participant does not work"
		}
		p.n.rep.Emit(&e)
	}
	p.match.Lock()
	defer p.match.Unlock()
	for i := 0; i < len(p.fresh); {
		r := p.fresh[i]
		id := p.n.identify(r.Endpoint)
		if !id.settled {
			i++
			continue
		}
		p.fresh = slices.Delete(p.fresh, i, i+1)
		p.told[r] = id.name
		p.n.rep.Emit(&bus.Event{
			Kind: bus.SubscriberConnected, Topic: p.topic, Name: id.name,
			Detail: fmt.Sprintf("reader %v at %v", r.GUID, r.Participant.Source),
		})
	}
}

// begin checks a publication of the given size. The caller holds mu.
func (p *Publisher) begin(size int, types ...string) error {
	switch {
	case !slices.Contains(types, p.typ):
		return ErrWrongType
	case size > p.max:
		return ErrTooLong
	case p.closed:
		return ErrClosed
	}
	return nil
}

// send writes what was encoded. The caller holds mu.
func (p *Publisher) send(seq uint64) (bus.Sent, error) {
	s, err := p.writer.Write(seq, p.buf)
	switch {
	case errors.Is(err, rtps.ErrTooLong):
		err = ErrTooLong
	case errors.Is(err, rtps.ErrClosed):
		err = ErrClosed
	}
	return bus.Sent{Delivered: s.Delivered, Behind: s.Behind, Superseded: s.Superseded}, err
}

// PublishTwist sends t, unless something with a higher seq was sent before.
func (p *Publisher) PublishTwist(seq uint64, t *msg.Twist) (bus.Sent, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch p.typ {
	case cdr.TypeTwistStamped:
		if err := p.begin(cdr.TwistStampedSize(p.frame), cdr.TypeTwistStamped); err != nil {
			return bus.Sent{}, err
		}
		p.buf = cdr.AppendTwistStamped(p.buf[:0], p.n.cfg.Civil(), p.frame, t)
		return p.send(seq)
	case bus.TypeAckermannDrive, bus.TypeAckermannDriveStamped:
		if err := p.begin(cdr.DriveSize(p.frame), p.typ); err != nil {
			return bus.Sent{}, err
		}
		angle := t.Steering(p.wheelbase, p.steering)
		p.buf = cdr.AppendDrive(p.buf[:0], p.typ == bus.TypeAckermannDriveStamped, p.n.cfg.Civil(), p.frame, t.Linear.X, angle)
		s, err := p.send(seq)
		if err == nil && !s.Superseded {
			p.steering = angle // what was not sent has turned no wheels
		}
		return s, err
	}
	if err := p.begin(cdr.TwistBytes, bus.TypeTwist); err != nil {
		return bus.Sent{}, err
	}
	p.buf = cdr.AppendTwist(p.buf[:0], t)
	return p.send(seq)
}

// PublishBool sends v, unless something with a higher seq was sent before.
func (p *Publisher) PublishBool(seq uint64, v bool) (bus.Sent, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := p.begin(cdr.BoolBytes, bus.TypeBool); err != nil {
		return bus.Sent{}, err
	}
	p.buf = cdr.AppendBool(p.buf[:0], v)
	return p.send(seq)
}

// PublishString sends text, unless something with a higher seq was sent before.
func (p *Publisher) PublishString(seq uint64, text []byte) (bus.Sent, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := p.begin(cdr.StringSize(len(text)), bus.TypeString); err != nil {
		return bus.Sent{}, err
	}
	p.buf = cdr.AppendString(p.buf[:0], text)
	return p.send(seq)
}

// PublishDiagnostics sends a DiagnosticArray stamped with stamp (ns since the Unix epoch), unless something with a
// higher seq was sent before.
func (p *Publisher) PublishDiagnostics(seq uint64, stamp int64, status []bus.DiagnosticStatus) (bus.Sent, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := p.begin(cdr.DiagnosticsSize(status), bus.TypeDiagnosticArray); err != nil {
		return bus.Sent{}, err
	}
	p.buf = cdr.AppendDiagnostics(p.buf[:0], stamp, status)
	return p.send(seq)
}

// Subscribers is the number of readers matched with the topic now.
func (p *Publisher) Subscribers() int { return p.writer.Readers() }

// Close withdraws the topic.
func (p *Publisher) Close() {
	p.mu.Lock()
	p.closed = true
	p.mu.Unlock()
	p.writer.Close()
	p.n.mu.Lock()
	p.n.pubs = without(p.n.pubs, p)
	closed := p.n.closed
	p.n.mu.Unlock()
	if !closed {
		p.n.announce()
		p.n.stir()
	}
}
