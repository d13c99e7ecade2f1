package ros1

import (
	"time"

	"github.com/robowarden/robowarden/hal/bus"
	"github.com/robowarden/robowarden/hal/msg"
)

// maxDimensions bounds the layout of an array of bytes; it means nothing here.
const maxDimensions = 8

// provenDecoder is a decoder whose messages may come in envelopes.
type provenDecoder interface {
	decoder
	// prove takes the proof of the message that decode is called with next.
	prove(p msg.Proof)
	// empty hands on a message of which nothing is known but its proof.
	empty(p msg.Proof, boot time.Duration)
}

// envelopeDecoder takes messages out of envelopes, which come as std_msgs/UInt8MultiArray.
type envelopeDecoder struct {
	open bus.Opener
	in   provenDecoder
}

func (d *envelopeDecoder) decode(b []byte, boot time.Duration) error {
	body, p := d.open(arrayBytes(b))
	if p.Verdict != msg.ProofAuthentic {
		d.in.empty(p, boot)
		return nil // Told by its proof, and no reason to cut the connection: whoever sends it would only come again.
	}
	d.in.prove(p)
	if err := d.in.decode(body, boot); err != nil {
		p.Verdict = msg.ProofWrongContent
		d.in.empty(p, boot)
	}
	return nil
}

// arrayBytes are the data of a std_msgs/UInt8MultiArray, nil if that is not what b is. Dimensions are passed over, an
// offset is refused: what is proven is the whole.
func arrayBytes(b []byte) []byte {
	c := cursor{b: b, ok: true}
	n := c.u32()
	if n > maxDimensions {
		return nil
	}
	for range n {
		c.str()
		c.take(8)
	}
	offset := c.u32()
	data, _ := c.array(1)
	if c.end() != nil || offset != 0 {
		return nil
	}
	return data
}

func (d *commandDecoder) prove(p msg.Proof) { d.m.Proof = p }

func (d *commandDecoder) empty(p msg.Proof, boot time.Duration) {
	d.m.Boot, d.m.Proof, d.m.Twist = boot, p, msg.Twist{}
	d.h(&d.m)
}
