package ros2

import (
	"fmt"
	"time"

	"github.com/robowarden/robowarden/hal/bus"
	"github.com/robowarden/robowarden/hal/msg"
	"github.com/robowarden/robowarden/hal/ros2/cdr"
	"github.com/robowarden/robowarden/hal/ros2/idl"
)

// SubscribeFields reads chosen fields of a type that only the robot's vendor knows, such as unitree_hg/LowState, as values
// of the given channel: value i is what the plan's path i names, NaN where the message does not have it. The subscription
// names the type that the plan was compiled for.
func (n *Node) SubscribeFields(s bus.Subscription, plan *idl.Plan, channel int, h func(*msg.Values)) (*Sub, error) {
	if plan == nil || plan.Len() > msg.MaxValues {
		return nil, fmt.Errorf("ros2: topic %s: expected a plan of 1 to %d fields", clip(s.Topic, 80), msg.MaxValues)
	}
	return n.subscribeVendor(s, func(p *msg.Peer) cdr.Decoder { return newFields(p, plan, channel, h) })
}

// subscribeVendor subscribes to a type that only the vendor knows. It is read as it comes, best effort: such types say how
// the robot is, many times a second.
func (n *Node) subscribeVendor(s bus.Subscription, mk decoderFor) (*Sub, error) {
	t, err := checkVendor(&s)
	if err != nil {
		return nil, err
	}
	return n.subscribeAs(s, t, s.Type, bus.Latest, mk)
}

// fields decodes what a plan names.
type fields struct {
	plan *idl.Plan
	m    msg.Values
	h    func(*msg.Values)
}

func newFields(p *msg.Peer, plan *idl.Plan, channel int, h func(*msg.Values)) *fields {
	d := &fields{plan: plan, h: h}
	d.m.Peer, d.m.Channel, d.m.N = p, channel, plan.Len()
	return d
}

// Decode implements cdr.Decoder.
func (d *fields) Decode(payload []byte, boot time.Duration, seq uint64) error {
	if err := d.plan.Read(payload, d.m.Data[:d.m.N]); err != nil {
		return err
	}
	d.m.Boot, d.m.Seq = boot, uint32(seq)
	d.h(&d.m)
	return nil
}
