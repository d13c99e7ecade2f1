package ros1

import (
	"encoding/binary"
	"math"

	"github.com/robowarden/robowarden/hal/bus"
	"github.com/robowarden/robowarden/hal/msg"
)

// The encoders append to a buffer that has the room: the publisher counts first and appends then, so that nothing
// allocates.

func appendF64(dst []byte, v float64) []byte {
	return binary.LittleEndian.AppendUint64(dst, math.Float64bits(v))
}

func appendVec3(dst []byte, v *msg.Vec3) []byte {
	return appendF64(appendF64(appendF64(dst, v.X), v.Y), v.Z)
}

func appendTwist(dst []byte, t *msg.Twist) []byte {
	return appendVec3(appendVec3(dst, &t.Linear), &t.Angular)
}

func appendHeader(dst []byte, seq uint32, stamp int64, frame string) []byte {
	dst = binary.LittleEndian.AppendUint32(dst, seq)
	dst = binary.LittleEndian.AppendUint32(dst, uint32(stamp/1e9))
	dst = binary.LittleEndian.AppendUint32(dst, uint32(stamp%1e9))
	return appendString(dst, frame)
}

// appendDrive appends an AckermannDrive: rates of 0 mean "as fast as the base does it".
func appendDrive(dst []byte, speed, steering float64) []byte {
	for _, x := range [...]float64{steering, 0, speed, 0, 0} {
		dst = binary.LittleEndian.AppendUint32(dst, math.Float32bits(float32(x)))
	}
	return dst
}

func appendBool(dst []byte, v bool) []byte {
	if v {
		return append(dst, 1)
	}
	return append(dst, 0)
}

func appendString[T string | []byte](dst []byte, s T) []byte {
	dst = binary.LittleEndian.AppendUint32(dst, uint32(len(s)))
	return append(dst, s...)
}

// diagnosticsSize is the size of a DiagnosticArray without a frame.
func diagnosticsSize(status []bus.DiagnosticStatus) int {
	n := 12 + 4 + 4
	for i := range status {
		s := &status[i]
		n += 1 + 4 + len(s.Name) + 4 + len(s.Message) + 4 + len(s.HardwareID) + 4
		for _, v := range s.Values {
			n += 4 + len(v.Key) + 4 + len(v.Value)
		}
	}
	return n
}

func appendDiagnostics(dst []byte, seq uint32, stamp int64, status []bus.DiagnosticStatus) []byte {
	dst = binary.LittleEndian.AppendUint32(dst, seq)
	dst = binary.LittleEndian.AppendUint32(dst, uint32(stamp/1e9))
	dst = binary.LittleEndian.AppendUint32(dst, uint32(stamp%1e9))
	dst = appendString(dst, "")
	dst = binary.LittleEndian.AppendUint32(dst, uint32(len(status)))
	for i := range status {
		s := &status[i]
		dst = append(dst, byte(s.Level))
		dst = appendString(dst, s.Name)
		dst = appendString(dst, s.Message)
		dst = appendString(dst, s.HardwareID)
		dst = binary.LittleEndian.AppendUint32(dst, uint32(len(s.Values)))
		for _, v := range s.Values {
			dst = appendString(dst, v.Key)
			dst = appendString(dst, v.Value)
		}
	}
	return dst
}
