package can

import (
	"encoding/binary"
	"fmt"
)

// Flags of an identifier and classes of an error frame (linux/can.h, linux/can/error.h).
const (
	extendedFlag = 1 << 31
	errorFlag    = 1 << 29

	errTxTimeout = 0x001
	errNoAck     = 0x020
	errBusOff    = 0x040
	errRestarted = 0x100

	frameLen = 16
)

// frame is a classic CAN frame, or what the controller says about itself.
type frame struct {
	id   uint32 // with flags
	n    int
	data [8]byte
}

// appendFrame appends struct can_frame.
func appendFrame(b []byte, f *frame) []byte {
	b = binary.NativeEndian.AppendUint32(b, f.id)
	b = append(b, byte(f.n), 0, 0, 0) //nolint:gosec // at most 8
	return append(b, f.data[:]...)
}

// parseFrame reads struct can_frame.
func parseFrame(b []byte) (frame, error) {
	if len(b) != frameLen || b[4] > 8 {
		return frame{}, fmt.Errorf("expected a frame of %d bytes with at most 8 of data, found % x", frameLen, b)
	}
	f := frame{id: binary.NativeEndian.Uint32(b), n: int(b[4])}
	copy(f.data[:], b[8:])
	return f, nil
}

// content makes a frame's payload.
func content(id uint32, data []byte) frame {
	f := frame{id: id}
	f.n = copy(f.data[:], data)
	return f
}

// begins says whether the frame's data begins with these bytes.
func (f *frame) begins(with []byte) bool {
	return f.n >= len(with) && string(f.data[:len(with)]) == string(with)
}
