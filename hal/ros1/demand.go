package ros1

import (
	"encoding/binary"
	"errors"
	"fmt"
	"regexp"
	"slices"

	"github.com/robowarden/robowarden/hal/bus"
	"github.com/robowarden/robowarden/hal/msg"
)

// DefaultDemandBytes is the usual cap of one command that is passed on as it came.
const DefaultDemandBytes = 64 << 10

// SubscribeDemand reads commands that are passed on whole or not at all. Each one is delivered, up to the rate: a newer
// trajectory does not make an older one void.
func (n *Node) SubscribeDemand(s bus.DemandSubscription, h func(*msg.Demand)) (*Sub, error) {
	mk, err := demandDecoderFor(&s, h)
	if err != nil {
		return nil, fmt.Errorf("ros1: topic %s: %w", clip(s.Topic, 80), err)
	}
	t, err := demandType(s.Type, s.MD5, s.Form == msg.FormOpaque)
	if err != nil {
		return nil, fmt.Errorf("ros1: topic %s: %w", clip(s.Topic, 80), err)
	}
	return n.subscribeAs(s.Subscription, t, bus.Every, mk)
}

// demandDecoderFor chooses the decoder of a connection.
func demandDecoderFor(s *bus.DemandSubscription, h func(*msg.Demand)) (func(*msg.Peer) decoder, error) {
	switch {
	case s.Form == msg.FormOpaque:
		return func(p *msg.Peer) decoder {
			d := &opaqueDecoder{demandDecoder{h: h}}
			d.m.Peer, d.m.Channel, d.m.Form = p, s.Channel, s.Form
			return d
		}, nil
	case s.Form == msg.FormGoal && (s.Type == bus.TypePoseStamped || s.Type == bus.TypeMoveBaseActionGoal):
		return func(p *msg.Peer) decoder {
			d := &goalDecoder{demandDecoder: demandDecoder{h: h}, action: s.Type == bus.TypeMoveBaseActionGoal}
			d.m.Peer, d.m.Channel, d.m.Form = p, s.Channel, s.Form
			return d
		}, nil
	case s.Form == msg.FormJoints:
		return jointDemandFor(s, h)
	}
	return nil, fmt.Errorf("form %d of type %s; expected a goal of %s or %s, joints, or opaque", s.Form, clip(s.Type, 80),
		bus.TypePoseStamped, bus.TypeMoveBaseActionGoal)
}

func jointDemandFor(s *bus.DemandSubscription, h func(*msg.Demand)) (func(*msg.Peer) decoder, error) {
	index, err := jointIndex(s.Joints)
	if err != nil {
		return nil, err
	}
	own := *s
	own.Joints, own.Order = slices.Clone(s.Joints), slices.Clone(s.Order)
	switch s.Type {
	case bus.TypeJointTrajectory:
		return func(p *msg.Peer) decoder {
			d := &trajectoryDecoder{}
			d.init(&own, p, index, h)
			return d
		}, nil
	case bus.TypeJointState:
		return func(p *msg.Peer) decoder {
			d := &jointStateDemand{}
			d.init(&own, p, index, h)
			return d
		}, nil
	case bus.TypeFloat64MultiArray:
		if len(own.Order) == 0 || slices.ContainsFunc(own.Order, func(j int) bool { return j < 0 || j >= len(own.Joints) }) {
			return nil, fmt.Errorf("entries of joints %v; expected numbers below %d", own.Order, len(own.Joints))
		}
		return func(p *msg.Peer) decoder {
			d := &arrayDemand{entries: own.Order, quantity: own.Quantity}
			d.init(&own, p, index, h)
			return d
		}, nil
	}
	return nil, fmt.Errorf("a command to joints of type %s; expected %s, %s or %s", clip(s.Type, 80), bus.TypeJointTrajectory,
		bus.TypeJointState, bus.TypeFloat64MultiArray)
}

var md5Form = regexp.MustCompile(`^[0-9a-f]{32}$`)

// demandType describes the type of commands that are passed on. One that nobody here reads is known by what the mapping
// says alone; it has no definition to show, which only tools that decode by it miss.
func demandType(name, md5 string, opaque bool) (wireType, error) {
	t, err := lookupType(name)
	switch {
	case err == nil && md5 != "" && md5 != t.md5:
		return t, fmt.Errorf("md5sum %s of %s; expected %s", clip(md5, 40), name, t.md5)
	case err == nil:
		t.max = max(t.max, DefaultDemandBytes)
		return t, nil
	case !opaque:
		return t, err
	case !md5Form.MatchString(md5):
		return t, fmt.Errorf("md5sum %s of %s; expected 32 hexadecimal digits in lower case, as rosmsg md5 prints them", clip(md5, 40), clip(name, 80))
	}
	return wireType{name: name, md5: md5, max: DefaultDemandBytes}, nil
}

// errNotForwarded means that a topic was not advertised for messages that are passed on.
var errNotForwarded = errors.New("ros1: the topic was not advertised with Forward")

// PublishRaw sends a message's bytes as they came, unless something with a higher seq was sent before.
func (p *Publisher) PublishRaw(seq uint64, body []byte) (bus.Sent, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.forward {
		return bus.Sent{}, errNotForwarded
	}
	if old, err := p.begin(p.typ.name, seq, len(body)); old || err != nil {
		return bus.Sent{Superseded: old}, err
	}
	p.frame = append(p.frame, body...)
	return p.flush(), nil
}

// PublishHold sends the message that tells controllers of joints to stop, unless something with a higher seq was sent
// before: see bus.Hold.
func (p *Publisher) PublishHold(seq uint64, h *bus.Hold) (bus.Sent, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	size := holdSize(p.typ.name, h)
	if size == 0 || !p.forward {
		return bus.Sent{}, ErrWrongType
	}
	if old, err := p.begin(p.typ.name, seq, size); old || err != nil {
		return bus.Sent{Superseded: old}, err
	}
	p.frame = appendHold(p.frame, p.typ.name, p.sent, h)
	return p.flush(), nil
}

// holdSize is the size of a hold in the topic's type, 0 for one that has none.
func holdSize(typ string, h *bus.Hold) int {
	switch typ {
	case bus.TypeJointTrajectory:
		n := 12 + 4 + 4 + 4
		if len(h.Names) == 0 {
			return n
		}
		for _, name := range h.Names {
			n += 4 + len(name)
		}
		return n + 4 + 8*len(h.Names) + 3*4 + 8
	case bus.TypeFloat64MultiArray:
		return 4 + 4 + 4 + 8*h.Zeros
	}
	return 0
}

func appendHold(dst []byte, typ string, seq uint32, h *bus.Hold) []byte {
	le := binary.LittleEndian
	if typ == bus.TypeFloat64MultiArray {
		dst = le.AppendUint64(dst, 0) // no dimensions, no offset
		dst = le.AppendUint32(dst, uint32(h.Zeros))
		for range h.Zeros {
			dst = appendF64(dst, 0)
		}
		return dst
	}
	dst = le.AppendUint32(dst, seq)
	dst = le.AppendUint64(dst, 0) // a stamp of zero: at once
	dst = appendString(dst, "")
	dst = le.AppendUint32(dst, uint32(len(h.Names)))
	for _, name := range h.Names {
		dst = appendString(dst, name)
	}
	if len(h.Names) == 0 {
		return le.AppendUint32(dst, 0)
	}
	dst = le.AppendUint32(dst, 1)
	dst = le.AppendUint32(dst, uint32(len(h.Names)))
	for _, x := range h.Positions[:len(h.Names)] {
		dst = appendF64(dst, x)
	}
	dst = append(dst, make([]byte, 12)...) // neither velocities nor accelerations nor efforts
	dst = le.AppendUint32(dst, uint32(h.In/1e9))
	return le.AppendUint32(dst, uint32(h.In%1e9))
}
