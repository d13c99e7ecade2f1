package cdr

import (
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/robowarden/robowarden/hal/msg"
)

// MaxJointNames is the usual cap of names in one JointState or JointTrajectory.
const MaxJointNames = 256

// JointTable is a profile's joints; joint i of every message is name i. It does not change and may be shared.
type JointTable struct {
	names []string
	index map[string]int
}

// NewJointTable checks the names: 1 to msg.MaxJoints of them, none empty, none twice.
func NewJointTable(names []string) (*JointTable, error) {
	if len(names) == 0 || len(names) > msg.MaxJoints {
		return nil, fmt.Errorf("cdr: %d joint names; expected 1 to %d", len(names), msg.MaxJoints)
	}
	t := &JointTable{names: slices.Clone(names), index: make(map[string]int, len(names))}
	for i, name := range names {
		if _, twice := t.index[name]; twice || name == "" {
			return nil, fmt.Errorf("cdr: joint name %.80q is empty or given twice", name)
		}
		t.index[name] = i
	}
	return t, nil
}

// order resolves the names of one publisher's messages. Publishers send the same names in the same order each time, so
// the order of the last message is tried first.
type order struct {
	table *JointTable
	// last[i] is the joint that name i of the last good message was, -1 for one that the profile does not have.
	last []int16
	// scratch takes the order of a message that is still being checked.
	scratch []int16
}

func newOrder(t *JointTable, max int) order {
	if max <= 0 {
		max = MaxJointNames
	}
	return order{table: t, last: make([]int16, 0, max), scratch: make([]int16, max)}
}

// read resolves a sequence of names into scratch.
func (o *order) read(c *cursor) (n int, seen uint64, unknown int) {
	n = c.count(4, len(o.scratch))
	for i := range n {
		name := c.str()
		if c.err != nil {
			return 0, 0, 0
		}
		j := -1
		if i < len(o.last) {
			j = int(o.last[i])
		}
		if j < 0 || o.table.names[j] != string(name) {
			k, found := o.table.index[string(name)]
			if !found {
				o.scratch[i] = -1
				unknown++
				continue
			}
			j = k
		}
		if seen&(1<<j) != 0 {
			c.fail(ErrTwice)
			return 0, 0, 0
		}
		seen |= 1 << j
		o.scratch[i] = int16(j)
	}
	return n, seen, unknown
}

// keep makes the names of the message just read those of the last good one.
func (o *order) keep(n int) { o.last = append(o.last[:0], o.scratch[:n]...) }

// jointDecoder reads sensor_msgs/JointState.
type jointDecoder struct {
	m     msg.Joints
	frame lastText
	order order
	h     func(*msg.Joints)
}

// NewJoints reads bus.TypeJointState; joint i of the message handed to h is the table's name i. A message with more than
// max names is refused; 0 takes MaxJointNames.
func NewJoints(p *msg.Peer, table *JointTable, max int, h func(*msg.Joints)) Decoder {
	d := &jointDecoder{order: newOrder(table, max), h: h}
	d.m.Peer, d.m.N = p, len(table.names)
	return d
}

// Decode implements Decoder.
func (d *jointDecoder) Decode(payload []byte, boot time.Duration, seq uint64) error {
	c := open(payload)
	m := &d.m
	frame := c.stdHeader(&m.Header)
	n, seen, unknown := d.order.read(&c)
	pos, np := c.array(8)
	vel, nv := c.array(8)
	eff, ne := c.array(8)
	if err := c.end(); err != nil {
		return err
	}
	if np != n && np != 0 {
		return ErrLengths
	}
	if np == 0 {
		seen = 0
	}
	d.order.keep(n)
	m.Boot, m.Seq = boot, uint32(seq)
	m.Frame = d.frame.get(frame)
	m.Seen, m.Unknown = seen, unknown
	m.HasVelocity, m.HasEffort = nv == n && n > 0, ne == n && n > 0
	d.fill(&m.Position, pos, np != 0, c.big)
	d.fill(&m.Velocity, vel, m.HasVelocity, c.big)
	d.fill(&m.Effort, eff, m.HasEffort, c.big)
	d.h(m)
	return nil
}

// fill writes one array in the profile's order; joints that the message does not carry become NaN, never the value of
// an earlier message.
func (d *jointDecoder) fill(dst *[msg.MaxJoints]float64, raw []byte, has, big bool) {
	for i := range d.order.table.names {
		dst[i] = math.NaN()
	}
	if !has {
		return
	}
	for i, j := range d.order.last {
		if j >= 0 {
			dst[j] = f64(raw[i*8:], big)
		}
	}
}
