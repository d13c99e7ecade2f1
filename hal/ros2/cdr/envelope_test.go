package cdr

import (
	"encoding/binary"
	"testing"

	"github.com/robowarden/robowarden/hal/bus"
	"github.com/robowarden/robowarden/hal/msg"
)

// firstByte opens what begins with a 1, and knows nothing of codes.
func firstByte(b []byte) ([]byte, msg.Proof) {
	if len(b) == 0 || b[0] != 1 {
		return nil, msg.Proof{Verdict: msg.ProofMalformed}
	}
	return b[1:], msg.Proof{Verdict: msg.ProofAuthentic, Key: 1, Seq: 5}
}

// byteArray is a std_msgs/UInt8MultiArray without dimensions, little-endian.
func byteArray(offset uint32, data []byte) []byte {
	b := []byte{0, 1, 0, 0}
	for _, v := range []uint32{0, offset, uint32(len(data))} { //nolint:gosec // small
		b = binary.LittleEndian.AppendUint32(b, v)
	}
	return append(b, data...)
}

func TestDecodeEnvelopedCommand(t *testing.T) {
	twist := AppendTwist(nil, goldenTwist())
	inside := func(first byte, b []byte) []byte { return append([]byte{first}, b...) }
	for name, c := range map[string]struct {
		payload []byte
		want    msg.ProofVerdict
	}{
		"proven":         {byteArray(0, inside(1, twist)), msg.ProofAuthentic},
		"not proven":     {byteArray(0, inside(2, twist)), msg.ProofMalformed},
		"offset":         {byteArray(1, inside(1, twist)), msg.ProofMalformed},
		"empty":          {byteArray(0, nil), msg.ProofMalformed},
		"a bare twist":   {twist, msg.ProofMalformed},
		"cut":            {byteArray(0, inside(1, twist))[:30], msg.ProofMalformed},
		"nothing":        {nil, msg.ProofMalformed},
		"another inside": {byteArray(0, inside(1, twist[:40])), msg.ProofWrongContent},
	} {
		var got []msg.Command
		d, err := NewEnvelopedCommand(bus.TypeTwist, &msg.Peer{ID: 3}, 2, firstByte, func(m *msg.Command) { got = append(got, *m) })
		if err != nil {
			t.Fatal(err)
		}
		for range 2 {
			if err := d.Decode(byteArray(0, inside(1, twist)), 4, 1); err != nil {
				t.Fatal(err)
			}
			if err := d.Decode(c.payload, 5, 2); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
		last := got[len(got)-1]
		moves := last.Twist == *goldenTwist()
		if len(got) != 4 || last.Proof.Verdict != c.want || moves != (c.want == msg.ProofAuthentic) || !moves && last.Twist != (msg.Twist{}) ||
			last.Channel != 2 || last.Boot != 5 {
			t.Errorf("%s: found %d commands, the last %+v", name, len(got), last)
		}
	}
	if _, err := NewEnvelopedCommand("nav_msgs/Odometry", nil, 0, firstByte, nil); err == nil {
		t.Error("an odometry was taken for a command")
	}
}

// TestEnvelopeAlignment reads a command at every offset in memory: its alignment counts from its own beginning.
func TestEnvelopeAlignment(t *testing.T) {
	for pad := range 9 {
		open := func(b []byte) ([]byte, msg.Proof) { return b[pad:], msg.Proof{Verdict: msg.ProofAuthentic} }
		var got msg.Command
		d, err := NewEnvelopedCommand(bus.TypeTwist, &msg.Peer{}, 0, open, func(m *msg.Command) { got = *m })
		if err != nil {
			t.Fatal(err)
		}
		if err := d.Decode(byteArray(0, append(make([]byte, pad), AppendTwist(nil, goldenTwist())...)), 1, 1); err != nil || got.Twist != *goldenTwist() {
			t.Errorf("after %d bytes: %+v, %v", pad, got.Twist, err)
		}
	}
}
