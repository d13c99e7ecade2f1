package cdr

import (
	"encoding/binary"
	"math"
	"time"

	"github.com/robowarden/robowarden/hal/bus"
	"github.com/robowarden/robowarden/hal/msg"
)

// Sizes of payloads that do not vary, encapsulation and padding included.
const (
	// TwistBytes is the size of what AppendTwist appends.
	TwistBytes = HeaderBytes + twistBytes
	// BoolBytes is the size of what AppendBool appends.
	BoolBytes = HeaderBytes + 4
)

// writer appends little-endian fields to a payload that begins at start. The encoders append to a buffer that has the
// room: a publisher counts first and appends then, so that nothing allocates.
type writer struct {
	b     []byte
	start int
	// dry only counts, in n.
	dry bool
	n   int
}

// begin appends the encapsulation.
func begin(b []byte) writer {
	return writer{b: append(b, 0, encapLE, 0, 0), start: len(b)}
}

// beginRequest appends the encapsulation and, where the service wants one, the request's header.
func beginRequest(b []byte, id *RequestID) writer {
	w := begin(b)
	if id != nil {
		w.bytes(id.Client[:])
		w.u64(uint64(id.Seq))
	}
	return w
}

// done pads the payload to a multiple of four and says in the options by how much, so that its exact length survives a
// transport that pads to words.
func (w *writer) done() []byte {
	pad := -(len(w.b) - w.start) & 3
	w.b[w.start+3] = byte(pad)
	return append(w.b, make([]byte, 3)[:pad]...)
}

// size is the padded size of what a dry writer was given.
func (w *writer) size() int { return HeaderBytes + (w.n+3)&^3 }

func (w *writer) align(to int) {
	if w.dry {
		w.n = (w.n + to - 1) &^ (to - 1)
		return
	}
	for (len(w.b)-w.start-HeaderBytes)&(to-1) != 0 {
		w.b = append(w.b, 0)
	}
}

func (w *writer) u8(v uint8) {
	if w.dry {
		w.n++
		return
	}
	w.b = append(w.b, v)
}

func (w *writer) flag(v bool) {
	if v {
		w.u8(1)
		return
	}
	w.u8(0)
}

func (w *writer) bytes(b []byte) {
	if w.dry {
		w.n += len(b)
		return
	}
	w.b = append(w.b, b...)
}

func (w *writer) u32(v uint32) {
	w.align(4)
	if w.dry {
		w.n += 4
		return
	}
	w.b = binary.LittleEndian.AppendUint32(w.b, v)
}

func (w *writer) u64(v uint64) {
	w.align(8)
	if w.dry {
		w.n += 8
		return
	}
	w.b = binary.LittleEndian.AppendUint64(w.b, v)
}

func (w *writer) f64(v float64) { w.u64(math.Float64bits(v)) }

func (w *writer) vec3(v *msg.Vec3) {
	w.f64(v.X)
	w.f64(v.Y)
	w.f64(v.Z)
}

func (w *writer) quat(q *msg.Quat) {
	w.f64(q.X)
	w.f64(q.Y)
	w.f64(q.Z)
	w.f64(q.W)
}

func (w *writer) twist(t *msg.Twist) {
	w.vec3(&t.Linear)
	w.vec3(&t.Angular)
}

func (w *writer) str(s string) {
	w.u32(uint32(len(s)) + 1)
	if w.dry {
		w.n += len(s) + 1
		return
	}
	w.b = append(append(w.b, s...), 0)
}

// stamp writes a time in nanoseconds since the Unix epoch. ROS 2 counts seconds in 32 bits with sign.
func (w *writer) stamp(ns int64) {
	secs, nsecs := ns/int64(time.Second), ns%int64(time.Second)
	if nsecs < 0 {
		secs, nsecs = secs-1, nsecs+int64(time.Second)
	}
	w.u32(uint32(int32(secs)))
	w.u32(uint32(nsecs))
}

func (w *writer) stdHeader(stamp int64, frame string) {
	w.stamp(stamp)
	w.str(frame)
}

// AppendTwist appends the payload of a geometry_msgs/Twist: TwistBytes bytes.
func AppendTwist(b []byte, t *msg.Twist) []byte {
	w := begin(b)
	w.twist(t)
	return w.done()
}

// AppendTwistStamped appends the payload of a geometry_msgs/TwistStamped with a stamp in nanoseconds since the Unix
// epoch.
func AppendTwistStamped(b []byte, stamp int64, frame string, t *msg.Twist) []byte {
	w := begin(b)
	w.stdHeader(stamp, frame)
	w.twist(t)
	return w.done()
}

// TwistStampedSize is the size of what AppendTwistStamped appends.
func TwistStampedSize(frame string) int {
	return HeaderBytes + (8+4+len(frame)+1+7)&^7 + twistBytes
}

// AppendBool appends the payload of a std_msgs/Bool: BoolBytes bytes.
func AppendBool(b []byte, v bool) []byte {
	w := begin(b)
	w.flag(v)
	return w.done()
}

// AppendString appends the payload of a std_msgs/String. A zero byte within the text ends it for readers in C.
func AppendString(b, text []byte) []byte {
	w := begin(b)
	w.u32(uint32(len(text)) + 1)
	w.bytes(text)
	w.u8(0)
	return w.done()
}

// StringSize is the size of what AppendString appends for a text of n bytes.
func StringSize(n int) int { return HeaderBytes + (4+n+1+3)&^3 }

// AppendDiagnostics appends the payload of a diagnostic_msgs/DiagnosticArray with a stamp in nanoseconds since the Unix
// epoch.
func AppendDiagnostics(b []byte, stamp int64, status []bus.DiagnosticStatus) []byte {
	w := begin(b)
	w.diagnostics(stamp, status)
	return w.done()
}

// DiagnosticsSize is the size of what AppendDiagnostics appends.
func DiagnosticsSize(status []bus.DiagnosticStatus) int {
	w := writer{dry: true}
	w.diagnostics(0, status)
	return w.size()
}

func (w *writer) diagnostics(stamp int64, status []bus.DiagnosticStatus) {
	w.stdHeader(stamp, "")
	w.u32(uint32(len(status)))
	for i := range status {
		s := &status[i]
		w.u8(uint8(s.Level))
		w.str(s.Name)
		w.str(s.Message)
		w.str(s.HardwareID)
		w.u32(uint32(len(s.Values)))
		for _, v := range s.Values {
			w.str(v.Key)
			w.str(v.Value)
		}
	}
}

// AppendDrive appends the payload of an ackermann_msgs/AckermannDrive, or with a stamp in nanoseconds since the Unix epoch and
// a frame that of an AckermannDriveStamped. Speed is in m/s, steering in rad; rates of 0 mean "as fast as the base does it".
func AppendDrive(b []byte, stamped bool, stamp int64, frame string, speed, steering float64) []byte {
	w := begin(b)
	if stamped {
		w.stdHeader(stamp, frame)
	}
	for _, x := range [...]float64{steering, 0, speed, 0, 0} {
		w.u32(math.Float32bits(float32(x)))
	}
	return w.done()
}

// DriveSize bounds the size of what AppendDrive appends.
func DriveSize(frame string) int { return HeaderBytes + (8+4+len(frame)+1+3)&^3 + 5*4 }
