package cdr

import (
	"encoding/binary"
	"slices"
	"time"

	"github.com/robowarden/robowarden/hal/msg"
)

// GoalRequest is a request to send_goal of nav2_msgs/NavigateToPose, as a demand.
type GoalRequest struct {
	msg.Demand
	// ID is the goal's, which its client drew.
	ID GoalID
	// Request is the request's header; it is zero where requests have none.
	Request RequestID
}

// goalDecoder reads requests to send_goal.
type goalDecoder struct {
	m        GoalRequest
	frame    lastText
	prefixed bool
	trees    []string
	h        func(*GoalRequest)
}

// NewGoalRequest reads requests of type TypeNavigateSendGoal as demands on the given channel. trees are the behaviour trees
// that a goal may name; none at all is always allowed, for it stands for the server's own. prefixed says that requests begin
// with a RequestID.
func NewGoalRequest(p *msg.Peer, channel int, trees []string, prefixed bool, h func(*GoalRequest)) Decoder {
	d := &goalDecoder{prefixed: prefixed, trees: slices.Clone(trees), h: h}
	d.m.Peer, d.m.Channel, d.m.Form = p, channel, msg.FormNavigate
	return d
}

// Decode implements Decoder.
func (d *goalDecoder) Decode(payload []byte, boot time.Duration, seq uint64) error {
	m := &d.m
	c := open(payload)
	if d.prefixed {
		c = openReply(payload, &m.Request)
	}
	copy(m.ID[:], c.take(1, len(m.ID)))
	frame := c.stdHeader(&m.Header)
	pose := c.take(8, poseBytes)
	tree := c.str()
	if err := c.end(); err != nil {
		return err
	}
	m.Boot, m.Seq, m.Frame = boot, uint32(seq), d.frame.get(frame)
	m.Goal = msg.Goal{Position: vec3(pose, c.big), Orientation: quat(pose[24:], c.big), Unlisted: !d.listed(tree)}
	m.Raw, m.Size = payload, len(payload)
	d.h(m)
	m.Raw, m.Sum = nil, [32]byte{} // the payload is somebody else's after the call
	return nil
}

// listed tells whether a goal may name the tree.
func (d *goalDecoder) listed(tree []byte) bool {
	for _, t := range d.trees {
		if t == string(tree) {
			return true
		}
	}
	return len(tree) == 0
}

// AppendAccepted appends the payload of the response to a send-goal request; stamp is when the goal was accepted, in
// nanoseconds since the Unix epoch, and 0 for one that was not.
func AppendAccepted(b []byte, id *RequestID, accepted bool, stamp int64) []byte {
	w := beginRequest(b, id)
	w.flag(accepted)
	w.stamp(stamp)
	return w.done()
}

// requestIDBytes is the size of a RequestID on the wire: a multiple of the widest field, so that with or without one the
// data behind it is aligned in the same way.
const requestIDBytes = 16

// AppendReheaded appends a request or a response with another header: without the one that it begins with, if had says that
// it has one, and with id, unless that is nil. Encapsulation and data stay as they are, byte for byte.
func AppendReheaded(b, payload []byte, had bool, id *RequestID) ([]byte, error) {
	c := open(payload)
	if had {
		c.take(8, requestIDBytes)
	}
	if c.err != nil {
		return b, c.err
	}
	b = append(b, payload[:HeaderBytes]...)
	if id != nil {
		var order binary.AppendByteOrder = binary.LittleEndian
		if c.big {
			order = binary.BigEndian
		}
		b = order.AppendUint64(b, binary.LittleEndian.Uint64(id.Client[:])) // a number, as in openReply
		b = order.AppendUint64(b, uint64(id.Seq))
	}
	return append(b, c.b[c.at:]...), nil
}
