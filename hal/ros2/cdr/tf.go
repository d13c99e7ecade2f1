package cdr

import (
	"time"

	"github.com/robowarden/robowarden/hal/bus"
	"github.com/robowarden/robowarden/hal/msg"
)

// MaxTransforms is the usual cap of transforms in one TFMessage.
const MaxTransforms = 512

// tfDecoder reads tf2_msgs/TFMessage.
type tfDecoder struct {
	m     msg.Transform
	edges []bus.Edge
	names interner
	max   int
	h     func(*msg.Transform)
}

// NewTransforms reads bus.TypeTFMessage and calls h for each transform, or for those in edges if there are any. static
// marks them as /tf_static's. A message with more than max transforms is refused; 0 takes MaxTransforms.
func NewTransforms(p *msg.Peer, static bool, edges []bus.Edge, max int, h func(*msg.Transform)) Decoder {
	if max <= 0 {
		max = MaxTransforms
	}
	d := &tfDecoder{max: max, h: h, edges: make([]bus.Edge, len(edges))}
	for i, e := range edges {
		d.edges[i] = bus.Edge{Parent: string(bare([]byte(e.Parent))), Child: string(bare([]byte(e.Child)))}
	}
	d.m.Peer, d.m.Static = p, static
	return d
}

// transformMin is less than the size of a TransformStamped with empty names: stamp, two lengths, seven numbers.
const transformMin = 8 + 4 + 4 + 7*8

// Decode implements Decoder.
func (d *tfDecoder) Decode(payload []byte, boot time.Duration, seq uint64) error {
	c := open(payload)
	n := c.count(transformMin, d.max)
	// First pass: the whole message is sound, or none of it counts.
	check := c
	for range n {
		check.stamp()
		check.str()
		check.str()
		check.take(8, 7*8)
	}
	if err := check.end(); err != nil {
		return err
	}
	d.m.Boot, d.m.Seq = boot, uint32(seq)
	for range n {
		d.one(&c)
	}
	return nil
}

func (d *tfDecoder) one(c *cursor) {
	m := &d.m
	frame := c.stdHeader(&m.Header)
	child := c.str()
	t := c.take(8, 7*8)
	if len(d.edges) == 0 {
		m.Frame, m.Child = d.names.get(frame), d.names.get(child)
	} else {
		e := d.edge(frame, child)
		if e == nil {
			return
		}
		m.Frame, m.Child = e.Parent, e.Child
	}
	m.Translation, m.Rotation = vec3(t, c.big), quat(t[24:], c.big)
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
