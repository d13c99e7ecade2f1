package ros1

import (
	"encoding/binary"
	"math"
	"time"

	"github.com/robowarden/robowarden/hal/msg"
)

// malformed is why a message did not decode. Its values are constants, so that refusing a message allocates nothing.
type malformed string

func (m malformed) Error() string { return string(m) }

const (
	errShort    = malformed("message ends before its last field")
	errTrailing = malformed("message has bytes after its last field")
	errCount    = malformed("array with more entries than the cap or than the message holds")
	errLengths  = malformed("positions are neither as many as names nor none")
	errTwice    = malformed("a joint is named twice in one message")
	errFlag     = malformed("bool field is neither 0 nor 1")
)

// cursor reads ROS's little-endian serialisation. After the first field that does not fit, ok is false and every
// further read yields zeros.
type cursor struct {
	b  []byte
	ok bool
}

// take returns the next n bytes, or nil.
func (c *cursor) take(n int) []byte {
	if n > len(c.b) {
		c.ok, c.b = false, nil
		return nil
	}
	t := c.b[:n:n]
	c.b = c.b[n:]
	return t
}

func (c *cursor) u8() uint8 {
	if t := c.take(1); t != nil {
		return t[0]
	}
	return 0
}

func (c *cursor) u32() uint32 {
	if t := c.take(4); t != nil {
		return binary.LittleEndian.Uint32(t)
	}
	return 0
}

// str returns the bytes of a string field.
func (c *cursor) str() []byte {
	n := c.u32()
	if uint64(n) > uint64(len(c.b)) {
		c.ok, c.b = false, nil
		return nil
	}
	return c.take(int(n))
}

// array returns the raw entries of an array of fixed-size entries, and their number.
func (c *cursor) array(size int) ([]byte, int) {
	n := c.u32()
	if uint64(n)*uint64(size) > uint64(len(c.b)) {
		c.ok, c.b = false, nil
		return nil, 0
	}
	return c.take(int(n) * size), int(n)
}

// end tells why the message is not whole, if it is not.
func (c *cursor) end() error {
	if !c.ok {
		return errShort
	}
	if len(c.b) != 0 {
		return errTrailing
	}
	return nil
}

// stdHeader reads a std_msgs/Header; the frame is returned raw, so that the caller may intern it.
func (c *cursor) stdHeader(h *msg.Header) (frame []byte) {
	t := c.take(12)
	if t == nil {
		return nil
	}
	h.Seq = binary.LittleEndian.Uint32(t)
	h.Stamp = stamp(binary.LittleEndian.Uint32(t[4:]), binary.LittleEndian.Uint32(t[8:]))
	return c.str()
}

// stamp turns ROS time into nanoseconds; 2³² s and 2³² ns still fit.
func stamp(secs, nsecs uint32) int64 {
	return int64(secs)*int64(time.Second) + int64(nsecs)
}

func f64(b []byte) float64 { return math.Float64frombits(binary.LittleEndian.Uint64(b)) }

func vec3(b []byte) msg.Vec3 { return msg.Vec3{X: f64(b), Y: f64(b[8:]), Z: f64(b[16:])} }

func quat(b []byte) msg.Quat {
	return msg.Quat{X: f64(b), Y: f64(b[8:]), Z: f64(b[16:]), W: f64(b[24:])}
}

// maxFrame is the longest frame_id that is passed on, as msg.Header promises.
const maxFrame = 64

// lastText holds the last value of one string field. While a peer repeats itself, reading it allocates nothing.
type lastText string

func (l *lastText) get(b []byte) string {
	if string(*l) == string(b) {
		return string(*l)
	}
	if len(b) > maxFrame {
		return "?"
	}
	*l = lastText(b)
	return string(*l)
}

// interner does the same for the frames of a tf tree. It is direct mapped, so a peer that invents names costs an
// allocation each and no memory.
type interner [128]string

func (in *interner) get(b []byte) string {
	if len(b) == 0 {
		return ""
	}
	if len(b) > maxFrame {
		return "?"
	}
	h := uint32(2166136261) // FNV-1a
	for _, c := range b {
		h = (h ^ uint32(c)) * 16777619
	}
	s := &in[(h^h>>16)%uint32(len(in))]
	if *s != string(b) {
		*s = string(b)
	}
	return *s
}
