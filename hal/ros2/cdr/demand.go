package cdr

import (
	"fmt"
	"slices"
	"time"

	"github.com/robowarden/robowarden/hal/bus"
	"github.com/robowarden/robowarden/hal/msg"
)

// demandDecoder hands on a command with the bytes that it came in. What it reads of it is the inner decoder's.
type demandDecoder struct {
	m     msg.Demand
	inner Decoder
	h     func(*msg.Demand)
}

// NewDemand reads commands that are passed on whole or not at all; see bus.DemandSubscription for the fields of s that count.
func NewDemand(s *bus.DemandSubscription, p *msg.Peer, h func(*msg.Demand)) (Decoder, error) {
	d := &demandDecoder{h: h}
	d.m.Peer, d.m.Channel, d.m.Form = p, s.Channel, s.Form
	switch s.Form {
	case msg.FormOpaque:
		return d, nil
	case msg.FormGoal:
		inner, err := NewPose(s.Type, p, d.goal)
		if err == nil && s.Type != bus.TypePoseStamped {
			err = fmt.Errorf("cdr: a goal of type %.80q; expected %s", s.Type, bus.TypePoseStamped)
		}
		d.inner = inner
		return d, err
	case msg.FormJoints:
		return d, d.joints(s, p)
	case msg.FormUnknown, msg.FormNavigate: // see NewGoalRequest
	}
	return nil, fmt.Errorf("cdr: form %d of a demand; expected joints, goal or opaque", s.Form)
}

// joints makes the inner decoder of a command to joints.
func (d *demandDecoder) joints(s *bus.DemandSubscription, p *msg.Peer) error {
	table, err := NewJointTable(s.Joints)
	if err != nil {
		return err
	}
	switch s.Type {
	case TypeJointTrajectory:
		d.inner = NewTrajectory(p, table, s.Channel, 0, d.outline)
		return nil
	case bus.TypeJointState:
		j := &jointCommand{order: newOrder(table, msg.MaxDemandNames), h: d.outline}
		j.m.Peer, j.m.Channel, j.m.N = p, s.Channel, len(table.names)
		d.inner = j
		return nil
	case TypeFloat64MultiArray:
		if slices.ContainsFunc(s.Order, func(j int) bool { return j < 0 || j >= len(table.names) }) || len(s.Order) == 0 {
			return fmt.Errorf("cdr: entries of joints %v; expected numbers below %d", s.Order, len(table.names))
		}
		a := &arrayCommand{order: slices.Clone(s.Order), quantity: s.Quantity, h: d.outline}
		a.m.Peer, a.m.Channel, a.m.N = p, s.Channel, len(table.names)
		d.inner = NewValues(p, s.Channel, a.values)
		return nil
	}
	return fmt.Errorf("cdr: a command to joints of type %.80q; expected %s, %s or %s", s.Type, TypeJointTrajectory, bus.TypeJointState, TypeFloat64MultiArray)
}

// Decode implements Decoder.
func (d *demandDecoder) Decode(payload []byte, boot time.Duration, seq uint64) error {
	d.m.Raw, d.m.Size = payload, len(payload)
	defer d.forget()
	if d.inner != nil {
		return d.inner.Decode(payload, boot, seq)
	}
	if c := open(payload); c.err != nil {
		return c.err
	}
	d.m.Boot, d.m.Seq = boot, uint32(seq)
	d.h(&d.m)
	return nil
}

// forget lets go of the payload, which belongs to somebody else after the call.
func (d *demandDecoder) forget() { d.m.Raw, d.m.Sum = nil, [32]byte{} }

func (d *demandDecoder) outline(t *msg.Trajectory) {
	d.m.Header, d.m.Joints = t.Header, t
	d.h(&d.m)
}

func (d *demandDecoder) goal(p *msg.Pose) {
	d.m.Header, d.m.Goal = p.Header, msg.Goal{Position: p.Position, Orientation: p.Orientation}
	d.h(&d.m)
}

// jointCommand reads sensor_msgs/JointState as a command: one point without a time.
type jointCommand struct {
	m     msg.Trajectory
	frame lastText
	order order
	lines msg.Outliner
	h     func(*msg.Trajectory)
}

// Decode implements Decoder.
func (d *jointCommand) Decode(payload []byte, boot time.Duration, seq uint64) error {
	c := open(payload)
	m := &d.m
	frame := c.stdHeader(&m.Header)
	n, names := d.order.demand(&c)
	var p point
	p.pos, p.counts[0] = c.array(8)
	p.vel, p.counts[1] = c.array(8)
	p.eff, p.counts[3] = c.array(8)
	if err := c.end(); err != nil {
		return err
	}
	m.Boot, m.Seq, m.Points = boot, uint32(seq), 1
	m.Frame = d.frame.get(frame)
	d.lines.Begin(m)
	d.order.tell(m, n, names)
	fits := true
	for _, k := range p.counts {
		fits = fits && (k == 0 || k == n)
	}
	switch {
	case m.Fault != msg.FaultNone:
	case !fits:
		m.Fault = msg.FaultLengths
	default:
		d.lines.Point(m, 0, 0)
		d.order.point(&d.lines, m, 0, &p, c.big)
	}
	d.h(m)
	return nil
}

// arrayCommand makes a command to joints of an array without names.
type arrayCommand struct {
	m        msg.Trajectory
	order    []int
	quantity msg.Quantity
	lines    msg.Outliner
	h        func(*msg.Trajectory)
}

func (a *arrayCommand) values(v *msg.Values) {
	a.m.Header = v.Header
	a.lines.Array(&a.m, a.order, a.quantity, v.Data[:v.N])
	if v.Offset != 0 {
		a.m.Fault = msg.FaultLengths // Controllers take the first entry for the first joint, whatever the offset.
	}
	a.h(&a.m)
}

// AppendHold appends the payload that tells controllers of joints to stop, in the topic's type: see bus.Hold.
func AppendHold(b []byte, typ string, h *bus.Hold) []byte {
	w := begin(b)
	w.hold(typ, h)
	return w.done()
}

// HoldSize is the size of what AppendHold appends.
func HoldSize(typ string, h *bus.Hold) int {
	w := writer{dry: true}
	w.hold(typ, h)
	return w.size()
}

func (w *writer) hold(typ string, h *bus.Hold) {
	if typ == TypeFloat64MultiArray {
		w.u32(0) // no dimensions
		w.u32(0) // no offset
		w.u32(uint32(h.Zeros))
		for range h.Zeros {
			w.f64(0)
		}
		return
	}
	w.stdHeader(0, "") // a stamp of zero: at once
	w.u32(uint32(len(h.Names)))
	for _, name := range h.Names {
		w.str(name)
	}
	if len(h.Names) == 0 {
		w.u32(0)
		return
	}
	w.u32(1)
	w.u32(uint32(len(h.Names)))
	for _, x := range h.Positions[:len(h.Names)] {
		w.f64(x)
	}
	for range 3 { // neither velocities nor accelerations nor efforts
		w.u32(0)
	}
	w.stamp(int64(h.In))
}
