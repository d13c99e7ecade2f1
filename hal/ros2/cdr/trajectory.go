package cdr

import (
	"time"

	"github.com/robowarden/robowarden/hal/bus"
	"github.com/robowarden/robowarden/hal/msg"
)

// Types that only ROS 2's joint controllers use.
const (
	// TypeJointTrajectory is what joint_trajectory_controller follows.
	TypeJointTrajectory = bus.TypeJointTrajectory
	// TypeFloat64MultiArray is what forward_command_controller follows.
	TypeFloat64MultiArray = bus.TypeFloat64MultiArray
)

// trajectoryDecoder reads trajectory_msgs/JointTrajectory.
type trajectoryDecoder struct {
	m     msg.Trajectory
	frame lastText
	order order
	max   int
	h     func(*msg.Trajectory)
	lines msg.Outliner
}

// NewTrajectory reads TypeJointTrajectory: at most msg.MaxDemandNames names and max points; 0 takes msg.MaxDemandPoints.
// What is whole and cannot be understood, as a point whose positions are not as many as its names, is handed on with its
// fault: controllers refuse those too, and whoever asked for it should be named. Velocities, accelerations and efforts may
// be missing.
func NewTrajectory(p *msg.Peer, table *JointTable, channel, max int, h func(*msg.Trajectory)) Decoder {
	if max <= 0 {
		max = msg.MaxDemandPoints
	}
	d := &trajectoryDecoder{order: newOrder(table, msg.MaxDemandNames), max: max, h: h}
	d.m.Peer, d.m.Channel, d.m.N = p, channel, len(table.names)
	return d
}

// pointMin is the size of a point without numbers: four lengths and a duration.
const pointMin = 4*4 + 8

// Decode implements Decoder.
func (d *trajectoryDecoder) Decode(payload []byte, boot time.Duration, seq uint64) error {
	c := open(payload)
	m := &d.m
	frame := c.stdHeader(&m.Header)
	n, names := d.order.demand(&c)
	points := c.count(pointMin, len(c.b))
	check := c
	lengths := true
	for range points {
		p := readPoint(&check)
		lengths = lengths && p.fits(n)
	}
	if err := check.end(); err != nil {
		return err
	}
	m.Boot, m.Seq, m.Points = boot, uint32(seq), points
	m.Frame = d.frame.get(frame)
	d.lines.Begin(m)
	d.order.tell(m, n, names)
	switch {
	case m.Fault != msg.FaultNone:
	case points > d.max:
		m.Fault = msg.FaultCount
	case !lengths:
		m.Fault = msg.FaultLengths
	default:
		for i := range points {
			p := readPoint(&c)
			d.lines.Point(m, i, p.at)
			d.order.point(&d.lines, m, i, &p, c.big)
		}
	}
	d.h(m)
	return nil
}

// named is what a list of joint names turned out to be.
type named struct {
	seen    uint64
	unknown int
	fault   msg.Fault
}

// demand reads a sequence of names of a command into scratch. Unlike read it goes on where a name comes twice or there are
// too many: the rest of the message tells whether it is whole.
func (o *order) demand(c *cursor) (n int, out named) {
	n = c.count(4, len(c.b))
	for i := range n {
		name := c.str()
		if i >= len(o.scratch) {
			out.fault = msg.FaultCount
			continue
		}
		j := o.find(i, name)
		o.scratch[i] = int16(j)
		switch {
		case j < 0:
			out.unknown++
		case out.seen&(1<<j) != 0 && out.fault == msg.FaultNone:
			out.fault = msg.FaultTwice
		default:
			out.seen |= 1 << j
		}
	}
	return n, out
}

// find is the joint of name number i, -1 for one that the profile does not have.
func (o *order) find(i int, name []byte) int {
	if i < len(o.last) {
		if j := int(o.last[i]); j >= 0 && o.table.names[j] == string(name) {
			return j
		}
	}
	if k, found := o.table.index[string(name)]; found {
		return k
	}
	return -1
}

// tell writes what the names are into m.
func (o *order) tell(m *msg.Trajectory, n int, names named) {
	m.Seen, m.Unknown, m.Fault = names.seen, names.unknown, names.fault
	if names.fault == msg.FaultNone {
		o.keep(n)
	}
}

// point takes one point into the outline.
func (o *order) point(lines *msg.Outliner, m *msg.Trajectory, i int, p *point, big bool) {
	for k, j := range o.last {
		knot := msg.Knot{HasPosition: p.pos != nil, HasVelocity: p.vel != nil, HasAcceleration: p.acc != nil, HasEffort: p.eff != nil}
		for _, f := range [...]struct {
			raw []byte
			to  *float64
		}{{p.pos, &knot.Position}, {p.vel, &knot.Velocity}, {p.acc, &knot.Acceleration}, {p.eff, &knot.Effort}} {
			if f.raw != nil {
				*f.to = f64(f.raw[k*8:], big)
			}
		}
		lines.Joint(m, i, int(j), &knot)
	}
}

// point is one JointTrajectoryPoint; the arrays are raw, nil where the message leaves them out.
type point struct {
	pos, vel, acc, eff []byte
	at                 time.Duration
	counts             [4]int
}

func readPoint(c *cursor) (p point) {
	p.pos, p.counts[0] = c.array(8)
	p.vel, p.counts[1] = c.array(8)
	p.acc, p.counts[2] = c.array(8)
	p.eff, p.counts[3] = c.array(8)
	p.at = time.Duration(c.stamp())
	return p
}

// fits tells whether a point has a position for each of n names, and of the rest as many or none.
func (p *point) fits(n int) bool {
	for i, k := range p.counts {
		if k != n && (k != 0 || i == 0) {
			return false
		}
	}
	return true
}

// valuesDecoder reads std_msgs/Float64MultiArray.
type valuesDecoder struct {
	m msg.Values
	h func(*msg.Values)
}

// maxDimensions bounds the dimensions of an array's layout.
const maxDimensions = 16

// NewValues reads TypeFloat64MultiArray, at most msg.MaxValues entries. The dimensions' labels and strides are passed
// over: no controller looks at them.
func NewValues(p *msg.Peer, channel int, h func(*msg.Values)) Decoder {
	d := &valuesDecoder{h: h}
	d.m.Peer, d.m.Channel = p, channel
	return d
}

// Decode implements Decoder.
func (d *valuesDecoder) Decode(payload []byte, boot time.Duration, seq uint64) error {
	c := open(payload)
	for range c.count(4+8, maxDimensions) {
		c.str()
		c.take(4, 8)
	}
	offset := c.u32()
	raw, n := c.array(8)
	if err := c.end(); err != nil {
		return err
	}
	if n > msg.MaxValues || uint64(offset) > uint64(n) {
		return ErrCount
	}
	m := &d.m
	m.Boot, m.Seq = boot, uint32(seq)
	m.N, m.Offset = n, int(offset)
	for i := range n {
		m.Data[i] = f64(raw[i*8:], c.big)
	}
	d.h(m)
	return nil
}
