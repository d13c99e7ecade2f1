package cdr

import (
	"time"

	"github.com/robowarden/robowarden/hal/bus"
	"github.com/robowarden/robowarden/hal/msg"
)

// provenDecoder is a decoder whose messages may come in envelopes.
type provenDecoder interface {
	Decoder
	// prove takes the proof of the message that Decode is called with next.
	prove(p msg.Proof)
	// empty hands on a message of which nothing is known but its proof.
	empty(p msg.Proof, boot time.Duration, seq uint64)
}

// envelopeDecoder takes messages out of envelopes, which come as bus.TypeUInt8MultiArray.
type envelopeDecoder struct {
	open bus.Opener
	in   provenDecoder
}

// NewEnvelopedCommand is [NewCommand] for commands in envelopes. What an envelope holds is the command with its own
// encapsulation, as a serialised message of ROS 2 has it.
func NewEnvelopedCommand(typ string, p *msg.Peer, channel int, opener bus.Opener, h func(*msg.Command)) (Decoder, error) {
	d, err := newCommand(typ, p, channel, h)
	if err != nil {
		return nil, err
	}
	return &envelopeDecoder{open: opener, in: d}, nil
}

// Decode implements Decoder.
func (d *envelopeDecoder) Decode(payload []byte, boot time.Duration, seq uint64) error {
	body, p := d.open(arrayBytes(payload))
	if p.Verdict != msg.ProofAuthentic {
		d.in.empty(p, boot, seq)
		return nil // Told by its proof.
	}
	d.in.prove(p)
	if err := d.in.Decode(body, boot, seq); err != nil {
		p.Verdict = msg.ProofWrongContent
		d.in.empty(p, boot, seq)
	}
	return nil
}

// arrayBytes are the data of a UInt8MultiArray, nil if that is not what the payload is. Dimensions are passed over, an
// offset is refused: what is proven is the whole.
func arrayBytes(payload []byte) []byte {
	c := open(payload)
	for range c.count(4+8, maxDimensions) {
		c.str()
		c.take(4, 8)
	}
	offset := c.u32()
	data, _ := c.array(1)
	if c.end() != nil || offset != 0 {
		return nil
	}
	return data
}

func (d *commandDecoder) prove(p msg.Proof) { d.m.Proof = p }

func (d *commandDecoder) empty(p msg.Proof, boot time.Duration, seq uint64) {
	m := &d.m
	m.Boot, m.Seq, m.Stamp, m.Proof, m.Twist = boot, uint32(seq), 0, p, msg.Twist{} //nolint:gosec // as Decode counts
	d.h(m)
}
