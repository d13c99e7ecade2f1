package ros1

import (
	"math"
	"time"

	"github.com/robowarden/robowarden/hal/msg"
)

// jointDecoder reads sensor_msgs/JointState. Publishers send the same names in the same order each time, so the order
// of the last message is tried first.
type jointDecoder struct {
	m     msg.Joints
	frame lastText
	h     func(*msg.Joints)

	names []string
	index map[string]int
	// order[i] is the joint that name i of the last good message was, -1 for one that the profile does not have.
	order []int16
	// scratch takes the order of a message that is still being checked.
	scratch []int16
}

func newJointDecoder(peer *msg.Peer, names []string, index map[string]int, max int, h func(*msg.Joints)) *jointDecoder {
	d := &jointDecoder{
		names: names, index: index, h: h,
		order: make([]int16, 0, max), scratch: make([]int16, max),
	}
	d.m.Peer, d.m.N = peer, len(names)
	return d
}

func (d *jointDecoder) decode(b []byte, boot time.Duration) error {
	c := cursor{b: b, ok: true}
	m := &d.m
	frame := c.stdHeader(&m.Header)
	n := c.u32()
	if uint64(n) > uint64(cap(d.order)) || uint64(n)*4 > uint64(len(c.b)) {
		return errCount
	}
	seen, unknown, err := d.match(&c, int(n))
	if err != nil {
		return err
	}
	pos, np := c.array(8)
	vel, nv := c.array(8)
	eff, ne := c.array(8)
	if err := c.end(); err != nil {
		return err
	}
	if np != int(n) && np != 0 {
		return errLengths
	}
	if np == 0 {
		seen = 0
	}
	d.order = append(d.order[:0], d.scratch[:n]...)
	m.Boot = boot
	m.Frame = d.frame.get(frame)
	m.Seen, m.Unknown = seen, unknown
	m.HasVelocity, m.HasEffort = nv == int(n) && n > 0, ne == int(n) && n > 0
	d.fill(&m.Position, pos, np != 0)
	d.fill(&m.Velocity, vel, m.HasVelocity)
	d.fill(&m.Effort, eff, m.HasEffort)
	d.h(m)
	return nil
}

// match resolves n names into scratch.
func (d *jointDecoder) match(c *cursor, n int) (seen uint64, unknown int, err error) {
	for i := range n {
		name := c.str()
		if !c.ok {
			return 0, 0, errShort
		}
		j := -1
		if i < len(d.order) {
			j = int(d.order[i])
		}
		if j < 0 || d.names[j] != string(name) {
			k, found := d.index[string(name)]
			if !found {
				d.scratch[i] = -1
				unknown++
				continue
			}
			j = k
		}
		if seen&(1<<j) != 0 {
			return 0, 0, errTwice
		}
		seen |= 1 << j
		d.scratch[i] = int16(j)
	}
	return seen, unknown, nil
}

// fill writes one array in the profile's order; joints that the message does not carry become NaN, never the value of
// an earlier message.
func (d *jointDecoder) fill(dst *[msg.MaxJoints]float64, raw []byte, has bool) {
	for i := range d.names {
		dst[i] = math.NaN()
	}
	if !has {
		return
	}
	for i, j := range d.order {
		if j >= 0 {
			dst[j] = f64(raw[i*8:])
		}
	}
}
