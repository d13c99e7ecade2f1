package ros1

import (
	"encoding/binary"
	"time"

	"github.com/robowarden/robowarden/hal/bus"
	"github.com/robowarden/robowarden/hal/msg"
)

// Commands that are passed on whole or not at all: read as far as a limit needs it, with the bytes that they came in. What
// is whole and cannot be understood is handed on with its fault, so that whoever sent it is named and stays connected.

// demandDecoder is what all of them share.
type demandDecoder struct {
	m     msg.Demand
	frame lastText
	h     func(*msg.Demand)
}

// give hands on the demand; the body belongs to somebody else afterwards.
func (d *demandDecoder) give(b []byte, boot time.Duration) {
	d.m.Boot, d.m.Raw, d.m.Size = boot, b, len(b)
	d.h(&d.m)
	d.m.Raw, d.m.Sum = nil, [32]byte{}
}

// opaqueDecoder reads nothing.
type opaqueDecoder struct{ demandDecoder }

func (d *opaqueDecoder) decode(b []byte, boot time.Duration) error {
	d.give(b, boot)
	return nil
}

// goalDecoder reads geometry_msgs/PoseStamped and move_base_msgs/MoveBaseActionGoal as goals.
type goalDecoder struct {
	demandDecoder
	// action is true for a goal of move_base, which has the action's header and goal id before the pose.
	action bool
}

func (d *goalDecoder) decode(b []byte, boot time.Duration) error {
	c := cursor{b: b, ok: true}
	if d.action {
		var outer msg.Header
		c.stdHeader(&outer)
		c.take(8) // the goal id's stamp
		c.str()   // its text
	}
	frame := c.stdHeader(&d.m.Header)
	pose := c.take(poseBytes)
	if err := c.end(); err != nil {
		return err
	}
	d.m.Frame = d.frame.get(frame)
	d.m.Goal = msg.Goal{Position: vec3(pose), Orientation: quat(pose[24:])}
	d.give(b, boot)
	return nil
}

// jointDemand is what commands to joints share.
type jointDemand struct {
	demandDecoder
	t     msg.Trajectory
	lines msg.Outliner
	names []string
	index map[string]int
	// order[i] is the joint that name i of the last good message was, -1 for one that the profile does not have.
	order   []int16
	scratch [msg.MaxDemandNames]int16
}

func (d *jointDemand) init(s *bus.DemandSubscription, p *msg.Peer, index map[string]int, h func(*msg.Demand)) {
	d.h, d.names, d.index = h, s.Joints, index
	d.m.Peer, d.m.Channel, d.m.Form, d.m.Joints = p, s.Channel, msg.FormJoints, &d.t
	d.t.Peer, d.t.Channel, d.t.N = p, s.Channel, len(s.Joints)
	d.order = make([]int16, 0, msg.MaxDemandNames)
}

// match reads a list of names into scratch.
func (d *jointDemand) match(c *cursor) (n int) {
	t := &d.t
	t.Seen, t.Unknown, t.Fault = 0, 0, msg.FaultNone
	count := c.u32()
	if uint64(count)*4 > uint64(len(c.b)) {
		c.ok, c.b = false, nil
		return 0
	}
	n = int(count)
	for i := range n {
		name := c.str()
		if i >= len(d.scratch) {
			t.Fault = msg.FaultCount
			continue
		}
		j := d.find(i, name)
		d.scratch[i] = int16(j)
		switch {
		case j < 0:
			t.Unknown++
		case t.Seen&(1<<j) != 0 && t.Fault == msg.FaultNone:
			t.Fault = msg.FaultTwice
		default:
			t.Seen |= 1 << j
		}
	}
	return n
}

// find is the joint of name number i, -1 for one that the profile does not have. Publishers send the same names in the same
// order each time.
func (d *jointDemand) find(i int, name []byte) int {
	if i < len(d.order) {
		if j := int(d.order[i]); j >= 0 && d.names[j] == string(name) {
			return j
		}
	}
	if k, found := d.index[string(name)]; found {
		return k
	}
	return -1
}

// begin starts the outline with the names that match has read.
func (d *jointDemand) begin(n, points int) {
	fault := d.t.Fault
	d.t.Points = points
	d.lines.Begin(&d.t)
	d.t.Fault = fault
	if fault == msg.FaultNone {
		d.order = append(d.order[:0], d.scratch[:n]...)
	}
}

func (d *jointDemand) give(b, frame []byte, boot time.Duration) {
	d.m.Frame = d.frame.get(frame)
	d.t.Header = d.m.Header
	d.t.Boot = boot
	d.demandDecoder.give(b, boot)
}

// jointPoint is one point; the arrays are raw, nil where the message leaves them out.
type jointPoint struct {
	pos, vel, acc, eff []byte
	at                 time.Duration
	counts             [4]int
}

// fits tells whether each array has a number for each of n names, or none; positions may be missing only if the type says so.
func (p *jointPoint) fits(n int, positions bool) bool {
	for i, k := range p.counts {
		if k != n && (k != 0 || positions && i == 0) {
			return false
		}
	}
	return true
}

// point takes point number i into the outline.
func (d *jointDemand) point(i int, p *jointPoint) {
	for k, j := range d.order {
		var knot msg.Knot
		for _, f := range [...]struct {
			n   int
			raw []byte
			to  *float64
			has *bool
		}{
			{p.counts[0], p.pos, &knot.Position, &knot.HasPosition},
			{p.counts[1], p.vel, &knot.Velocity, &knot.HasVelocity},
			{p.counts[2], p.acc, &knot.Acceleration, &knot.HasAcceleration},
			{p.counts[3], p.eff, &knot.Effort, &knot.HasEffort},
		} {
			if f.n != 0 {
				*f.to, *f.has = f64(f.raw[k*8:]), true
			}
		}
		d.lines.Joint(&d.t, i, int(j), &knot)
	}
}

// trajectoryDecoder reads trajectory_msgs/JointTrajectory.
type trajectoryDecoder struct{ jointDemand }

func (c *cursor) jointPoint() (p jointPoint) {
	p.pos, p.counts[0] = c.array(8)
	p.vel, p.counts[1] = c.array(8)
	p.acc, p.counts[2] = c.array(8)
	p.eff, p.counts[3] = c.array(8)
	if t := c.take(8); t != nil {
		secs, nsecs := int32(binary.LittleEndian.Uint32(t)), int32(binary.LittleEndian.Uint32(t[4:])) //nolint:gosec // as the wire has them
		p.at = time.Duration(secs)*time.Second + time.Duration(nsecs)
	}
	return p
}

// pointMin is the size of a point without numbers: four lengths and a duration.
const pointMin = 4*4 + 8

func (d *trajectoryDecoder) decode(b []byte, boot time.Duration) error {
	c := cursor{b: b, ok: true}
	frame := c.stdHeader(&d.m.Header)
	n := d.match(&c)
	points := int(c.u32())
	if uint64(points)*pointMin > uint64(len(c.b)) {
		return errCount
	}
	check, fits := c, true
	for range points {
		p := check.jointPoint()
		fits = fits && p.fits(n, true)
	}
	if err := check.end(); err != nil {
		return err
	}
	d.begin(n, points)
	switch {
	case d.t.Fault != msg.FaultNone:
	case points > msg.MaxDemandPoints:
		d.t.Fault = msg.FaultCount
	case !fits:
		d.t.Fault = msg.FaultLengths
	default:
		for i := range points {
			p := c.jointPoint()
			d.lines.Point(&d.t, i, p.at)
			d.point(i, &p)
		}
	}
	d.give(b, frame, boot)
	return nil
}

// jointStateDemand reads sensor_msgs/JointState as a command: one point without a time.
type jointStateDemand struct{ jointDemand }

func (d *jointStateDemand) decode(b []byte, boot time.Duration) error {
	c := cursor{b: b, ok: true}
	frame := c.stdHeader(&d.m.Header)
	n := d.match(&c)
	var p jointPoint
	p.pos, p.counts[0] = c.array(8)
	p.vel, p.counts[1] = c.array(8)
	p.eff, p.counts[3] = c.array(8)
	if err := c.end(); err != nil {
		return err
	}
	d.begin(n, 1)
	switch {
	case d.t.Fault != msg.FaultNone:
	case !p.fits(n, false):
		d.t.Fault = msg.FaultLengths
	default:
		d.lines.Point(&d.t, 0, 0)
		d.point(0, &p)
	}
	d.give(b, frame, boot)
	return nil
}

// arrayDemand reads std_msgs/Float64MultiArray as a command to joints.
type arrayDemand struct {
	jointDemand
	entries  []int
	quantity msg.Quantity
	data     [msg.MaxValues]float64
}

func (d *arrayDemand) decode(b []byte, boot time.Duration) error {
	c := cursor{b: b, ok: true}
	dims := c.u32()
	if uint64(dims)*12 > uint64(len(c.b)) {
		return errCount
	}
	for range dims {
		c.str()
		c.take(8)
	}
	offset := c.u32()
	raw, n := c.array(8)
	if err := c.end(); err != nil {
		return err
	}
	kept := min(n, len(d.data))
	for i := range kept {
		d.data[i] = f64(raw[i*8:])
	}
	d.lines.Array(&d.t, d.entries, d.quantity, d.data[:kept])
	switch {
	case n > len(d.data):
		d.t.Fault = msg.FaultCount
	case offset != 0:
		d.t.Fault = msg.FaultLengths // Controllers take the first entry for the first joint, whatever the offset.
	}
	d.give(b, nil, boot)
	return nil
}
