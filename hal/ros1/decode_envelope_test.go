package ros1

import (
	"encoding/binary"
	"testing"
	"time"

	"github.com/bluenviron/goroslib/v2/pkg/msgs/geometry_msgs"
	"github.com/bluenviron/goroslib/v2/pkg/msgs/std_msgs"

	"github.com/robowarden/robowarden/hal/msg"
)

// firstByte opens what begins with a 1, and knows nothing of codes.
func firstByte(b []byte) ([]byte, msg.Proof) {
	if len(b) == 0 || b[0] != 1 {
		return nil, msg.Proof{Verdict: msg.ProofMalformed}
	}
	return b[1:], msg.Proof{Verdict: msg.ProofAuthentic, Key: 1, Seq: 5}
}

func TestDecodeEnvelopedCommand(t *testing.T) {
	twist := encode(t, &geometry_msgs.Twist{Linear: geometry_msgs.Vector3{X: 0.5}, Angular: geometry_msgs.Vector3{Z: 0.25}})
	array := func(first uint8, message []byte, dims ...std_msgs.MultiArrayDimension) []byte {
		return encode(t, &std_msgs.UInt8MultiArray{
			Layout: std_msgs.MultiArrayLayout{Dim: dims}, Data: append([]uint8{first}, message...),
		})
	}
	offset := array(1, twist)
	binary.LittleEndian.PutUint32(offset[4:], 1)
	for name, c := range map[string]struct {
		body []byte
		want msg.ProofVerdict
	}{
		"proven":         {array(1, twist), msg.ProofAuthentic},
		"with a layout":  {array(1, twist, std_msgs.MultiArrayDimension{Label: "bytes", Size: 49, Stride: 49}), msg.ProofAuthentic},
		"not proven":     {array(2, twist), msg.ProofMalformed},
		"empty":          {encode(t, &std_msgs.UInt8MultiArray{}), msg.ProofMalformed},
		"offset":         {offset, msg.ProofMalformed},
		"a bare twist":   {twist, msg.ProofMalformed},
		"cut":            {array(1, twist)[:20], msg.ProofMalformed},
		"more":           {append(array(1, twist), 0), msg.ProofMalformed},
		"nothing":        {nil, msg.ProofMalformed},
		"another inside": {array(1, twist[:47]), msg.ProofWrongContent},
	} {
		var got []msg.Command
		in := &commandDecoder{h: func(m *msg.Command) { got = append(got, *m) }}
		in.m.Peer, in.m.Channel = testPeer, 2
		d := &envelopeDecoder{open: firstByte, in: in}
		for range 2 { // What was decoded before must not show through.
			if err := d.decode(array(1, twist), 4*time.Second); err != nil {
				t.Fatal(err)
			}
			if err := d.decode(c.body, 5*time.Second); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
		last := got[len(got)-1]
		moves := last.Linear.X == 0.5 && last.Angular.Z == 0.25
		if len(got) != 4 || last.Proof.Verdict != c.want || moves != (c.want == msg.ProofAuthentic) || !moves && last.Twist != (msg.Twist{}) ||
			last.Channel != 2 || last.Peer != testPeer || last.Boot != 5*time.Second {
			t.Errorf("%s: found %d commands, the last %+v", name, len(got), last)
		}
	}
}

func TestEnvelopedCommandDoesNotAllocate(t *testing.T) {
	body := encode(t, &std_msgs.UInt8MultiArray{Data: append([]uint8{1}, make([]byte, twistBytes)...)})
	d := &envelopeDecoder{open: firstByte, in: &commandDecoder{h: func(*msg.Command) {}}}
	if n := testing.AllocsPerRun(200, func() { _ = d.decode(body, 1); _ = d.decode(body[:9], 1) }); n != 0 {
		t.Errorf("found %v allocations, expected none", n)
	}
}
