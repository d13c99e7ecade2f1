package cdr

import (
	"math"
	"time"

	"github.com/robowarden/robowarden/hal/msg"
)

// Types that only ROS 2's joint controllers use.
const (
	// TypeJointTrajectory is what joint_trajectory_controller follows.
	TypeJointTrajectory = "trajectory_msgs/JointTrajectory"
	// TypeFloat64MultiArray is what forward_command_controller follows.
	TypeFloat64MultiArray = "std_msgs/Float64MultiArray"
)

// MaxPoints is the usual cap of points in one JointTrajectory.
const MaxPoints = 4096

// trajectoryDecoder reads trajectory_msgs/JointTrajectory.
type trajectoryDecoder struct {
	m     msg.Trajectory
	frame lastText
	order order
	max   int
	h     func(*msg.Trajectory)
	// before holds the positions of the point before, for slopes.
	before [msg.MaxJoints]float64
}

// NewTrajectory reads TypeJointTrajectory. A message with more than MaxJointNames names or max points is refused; 0 takes
// MaxPoints. So is one with a point whose positions are not as many as its names: controllers refuse those too.
// Velocities and efforts may be missing.
func NewTrajectory(p *msg.Peer, table *JointTable, channel, max int, h func(*msg.Trajectory)) Decoder {
	if max <= 0 {
		max = MaxPoints
	}
	d := &trajectoryDecoder{order: newOrder(table, MaxJointNames), max: max, h: h}
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
	n, seen, unknown := d.order.read(&c)
	points := c.count(pointMin, d.max)
	check := c
	for range points {
		if _, err := readPoint(&check, n); err != nil {
			return err
		}
	}
	if err := check.end(); err != nil {
		return err
	}
	d.order.keep(n)
	m.Boot, m.Seq = boot, uint32(seq)
	m.Frame = d.frame.get(frame)
	m.Seen, m.Unknown, m.Points = seen, unknown, points
	d.reset()
	for i := range points {
		p, err := readPoint(&c, n)
		if err != nil {
			return err // cannot be: it was read before
		}
		d.add(i, &p, c.big)
	}
	d.h(m)
	return nil
}

// point is one JointTrajectoryPoint; the arrays are raw, nil where the message leaves them out.
type point struct {
	pos, vel, eff []byte
	at            time.Duration
}

func readPoint(c *cursor, n int) (p point, err error) {
	var counts [4]int
	p.pos, counts[0] = c.array(8)
	p.vel, counts[1] = c.array(8)
	_, counts[2] = c.array(8) // accelerations
	p.eff, counts[3] = c.array(8)
	p.at = time.Duration(c.stamp())
	if c.err != nil {
		return p, c.err
	}
	for i, k := range counts {
		if k != n && (k != 0 || i == 0) {
			return p, ErrLengths
		}
	}
	return p, nil
}

// reset makes everything unknown.
func (d *trajectoryDecoder) reset() {
	m := &d.m
	m.Duration, m.Monotonic = 0, true
	for _, a := range [...]*[msg.MaxJoints]float64{&m.First, &m.Last, &m.Lowest, &m.Highest, &m.Velocity, &m.Effort, &m.Slope} {
		for i := range m.N {
			a[i] = math.NaN()
		}
	}
}

// add takes point number i into the outline.
func (d *trajectoryDecoder) add(i int, p *point, big bool) {
	m := &d.m
	dt := (p.at - m.Duration).Seconds()
	if i > 0 && dt <= 0 {
		m.Monotonic = false
	}
	m.Duration = p.at
	for k, j := range d.order.last {
		if j < 0 {
			continue
		}
		x := f64(p.pos[k*8:], big)
		m.Last[j] = x
		if i == 0 {
			m.First[j], m.Lowest[j], m.Highest[j] = x, x, x
		} else {
			m.Lowest[j], m.Highest[j] = math.Min(m.Lowest[j], x), math.Max(m.Highest[j], x)
			m.Slope[j] = most(m.Slope[j], slope(x-d.before[j], dt), i == 1)
		}
		d.before[j] = x
		m.Velocity[j] = most(m.Velocity[j], entry(p.vel, k, big), i == 0)
		m.Effort[j] = most(m.Effort[j], entry(p.eff, k, big), i == 0)
	}
}

// slope is a velocity without the time's sign: to go back in time is no way to be slow.
func slope(dx, dt float64) float64 {
	if dx == 0 {
		return 0
	}
	return dx / max(dt, 0)
}

// most is the larger of what was there and |v|, NaN if either is; the first value takes the place of "unknown".
func most(was, v float64, first bool) float64 {
	if first {
		return math.Abs(v)
	}
	return math.Max(was, math.Abs(v))
}

func entry(raw []byte, k int, big bool) float64 {
	if raw == nil {
		return math.NaN()
	}
	return f64(raw[k*8:], big)
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
