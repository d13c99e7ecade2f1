package ros1

import (
	"time"

	"github.com/robowarden/robowarden/hal/bus"
	"github.com/robowarden/robowarden/hal/msg"
)

// tfDecoder reads tf2_msgs/TFMessage.
type tfDecoder struct {
	m     msg.Transform
	edges []bus.Edge
	names interner
	max   int
	h     func(*msg.Transform)
}

// transformMin is the size of a TransformStamped with empty names: seq, stamp, two lengths, seven numbers.
const transformMin = 12 + 4 + 4 + 7*8

func (d *tfDecoder) decode(b []byte, boot time.Duration) error {
	c := cursor{b: b, ok: true}
	n := c.u32()
	if uint64(n) > uint64(d.max) || uint64(n)*transformMin > uint64(len(c.b)) {
		return errCount
	}
	// First pass: the whole message is sound, or none of it counts.
	check := c
	for range n {
		check.take(12)
		check.str()
		check.str()
		check.take(7 * 8)
	}
	if err := check.end(); err != nil {
		return err
	}
	for range n {
		d.one(&c, boot)
	}
	return nil
}

func (d *tfDecoder) one(c *cursor, boot time.Duration) {
	m := &d.m
	frame := c.stdHeader(&m.Header)
	child := c.str()
	t := c.take(7 * 8)
	if len(d.edges) == 0 {
		m.Frame, m.Child = d.names.get(frame), d.names.get(child)
	} else {
		e := d.edge(frame, child)
		if e == nil {
			return
		}
		m.Frame, m.Child = e.Parent, e.Child
	}
	m.Boot = boot
	m.Translation, m.Rotation = vec3(t), quat(t[24:])
	d.h(m)
}

// edge finds the wanted edge. Old senders write "/map" for "map"; tf2 takes both as the same frame.
func (d *tfDecoder) edge(frame, child []byte) *bus.Edge {
	frame, child = bare(frame), bare(child)
	for i := range d.edges {
		if e := &d.edges[i]; e.Child == string(child) && e.Parent == string(frame) {
			return e
		}
	}
	return nil
}

func bare(b []byte) []byte {
	if len(b) > 0 && b[0] == '/' {
		return b[1:]
	}
	return b
}
