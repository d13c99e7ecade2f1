// Package cdr reads and writes the serialised data of ROS 2: XCDR1 in both byte orders, decoded in place into hal/msg. It
// opens no socket, keeps nothing of a payload after a call, and whatever bytes come in, it neither panics nor allocates
// more than its caps.
//
// A payload begins with four bytes of encapsulation: which encoding, and in the lowest two bits of the options how many
// bytes of padding follow the data. Alignment counts from the byte after them. Other encodings (XCDR2, parameter lists)
// are refused with ErrEncapsulation: ROS 2 uses none of them, and a reader that offers only XCDR1 is not sent any.
package cdr

import (
	"encoding/binary"
	"fmt"
	"math"
	"time"

	"github.com/robowarden/robowarden/hal/msg"
)

// HeaderBytes is the size of the encapsulation at the beginning of each payload.
const HeaderBytes = 4

// MaxFrame is the longest frame or child name that is passed on, as msg.Header promises; a longer one arrives as "?".
const MaxFrame = 64

// Error is why a payload did not decode. Its values are constants, so that refusing a payload allocates nothing.
type Error string

// Error says in words what is wrong with the payload.
func (e Error) Error() string { return string(e) }

// Errors of all decoders.
const (
	// ErrEncapsulation means that the payload is encoded in another way than XCDR1.
	ErrEncapsulation = Error("encapsulation is neither CDR_BE (0x0000) nor CDR_LE (0x0001): XCDR2 and parameter lists are not read")
	// ErrShort means that the payload ends before its last field.
	ErrShort = Error("message ends before its last field")
	// ErrTrailing means that more follows the last field than padding.
	ErrTrailing = Error("message has bytes after its last field")
	// ErrCount means that a sequence is announced with more entries than its cap, or than the payload can hold.
	ErrCount = Error("sequence with more entries than the cap or than the message holds")
	// ErrLengths means that the arrays of one message do not fit each other.
	ErrLengths = Error("positions are neither as many as names nor none")
	// ErrTwice means that one joint is named twice.
	ErrTwice = Error("a joint is named twice in one message")
	// ErrFlag means that a bool is neither 0 nor 1.
	ErrFlag = Error("bool field is neither 0 nor 1")
	// ErrString means that a string is not ended by a zero byte.
	ErrString = Error("string is not ended by a zero byte")
	// ErrText means that a string is longer than its cap.
	ErrText = Error("string is longer than its cap")
	// ErrTime means that a time has a second's worth of nanoseconds or more.
	ErrTime = Error("time with 1000000000 nanoseconds or more")
)

// Encapsulations that are read (RTPS 2.3, 10.2.1.2).
const (
	encapBE = 0x0000
	encapLE = 0x0001
)

// Name tells what encoding a payload says that it has, for a report on one that was refused.
func Name(payload []byte) string {
	if len(payload) < HeaderBytes {
		return "a payload without an encapsulation"
	}
	id := binary.BigEndian.Uint16(payload)
	names := [...]string{
		"CDR_BE", "CDR_LE", "PL_CDR_BE", "PL_CDR_LE", "", "", "CDR2_BE", "CDR2_LE", "D_CDR2_BE", "D_CDR2_LE", "PL_CDR2_BE", "PL_CDR2_LE",
	}
	if int(id) < len(names) && names[id] != "" {
		return names[id]
	}
	return fmt.Sprintf("encapsulation 0x%04x", id)
}

// Decoder turns one payload into the value that it holds and hands that to its handler. Each matched writer has its own,
// so it needs no lock. It checks the whole payload before the handler sees any of it, and allocates only when a name
// comes that it has not seen.
type Decoder interface {
	// Decode reads a payload that begins with its encapsulation. boot is the time of its receipt on CLOCK_BOOTTIME, seq
	// the sender's number of the sample, of which msg.Header holds the lower 32 bits: ROS 2 headers have no counter.
	Decode(payload []byte, boot time.Duration, seq uint64) error
}

// cursor reads a payload. After the first field that does not fit, err says why and every further read yields zeros.
type cursor struct {
	b []byte // without the encapsulation; alignment counts from its first byte
	// at is the offset of the next field.
	at  int
	big bool
	pad uint8
	// padded says that the payload may be the whole of a DATA submessage, whose length is a multiple of four.
	padded bool
	err    error
}

// open looks at the encapsulation.
func open(payload []byte) cursor {
	if len(payload) < HeaderBytes {
		return cursor{err: ErrShort}
	}
	c := cursor{b: payload[HeaderBytes:], pad: payload[3] & 3, padded: len(payload)%4 == 0}
	switch binary.BigEndian.Uint16(payload) {
	case encapBE:
		c.big = true
	case encapLE:
	default:
		return cursor{err: ErrEncapsulation}
	}
	return c
}

func (c *cursor) fail(err error) {
	if c.err == nil {
		c.err = err
	}
	c.b, c.at = nil, 0
}

// take returns the next n bytes at the given alignment (a power of two), or nil.
func (c *cursor) take(align, n int) []byte {
	at := (c.at + align - 1) &^ (align - 1)
	if n < 0 || at > len(c.b) || n > len(c.b)-at {
		c.fail(ErrShort)
		return nil
	}
	c.at = at + n
	return c.b[at:c.at:c.at]
}

// left is the number of bytes that are not read yet.
func (c *cursor) left() int { return len(c.b) - c.at }

func (c *cursor) u8() uint8 {
	if t := c.take(1, 1); t != nil {
		return t[0]
	}
	return 0
}

func (c *cursor) flag() bool {
	v := c.u8()
	if v > 1 {
		c.fail(ErrFlag)
	}
	return v == 1
}

func (c *cursor) u16() uint16 {
	t := c.take(2, 2)
	switch {
	case t == nil:
		return 0
	case c.big:
		return binary.BigEndian.Uint16(t)
	}
	return binary.LittleEndian.Uint16(t)
}

func (c *cursor) u32() uint32 {
	t := c.take(4, 4)
	switch {
	case t == nil:
		return 0
	case c.big:
		return binary.BigEndian.Uint32(t)
	}
	return binary.LittleEndian.Uint32(t)
}

func (c *cursor) u64() uint64 {
	t := c.take(8, 8)
	if t == nil {
		return 0
	}
	return bits(t, c.big)
}

func (c *cursor) f32() float32 { return math.Float32frombits(c.u32()) }

// str returns the bytes of a string field without the zero byte at its end. Some senders write an empty string as
// length 0, without that byte; it is taken as one.
func (c *cursor) str() []byte {
	n := c.u32()
	if n == 0 {
		return nil
	}
	if uint64(n) > uint64(c.left()) {
		c.fail(ErrShort)
		return nil
	}
	t := c.take(1, int(n))
	if t == nil {
		return nil
	}
	if t[n-1] != 0 {
		c.fail(ErrString)
		return nil
	}
	return t[: n-1 : n-1]
}

// count reads the length of a sequence whose entries take at least the given bytes each.
func (c *cursor) count(least, most int) int {
	n := c.u32()
	if uint64(n) > uint64(most) || uint64(n)*uint64(least) > uint64(c.left()) {
		c.fail(ErrCount)
		return 0
	}
	return int(n)
}

// array returns the raw entries of a sequence of numbers, and how many they are.
func (c *cursor) array(size int) ([]byte, int) {
	n := c.u32()
	if n == 0 {
		return nil, 0 // no entry, no alignment
	}
	if uint64(n)*uint64(size) > uint64(c.left()) {
		c.fail(ErrCount)
		return nil, 0
	}
	return c.take(size, int(n)*size), int(n)
}

// end tells why the payload is not whole, if it is not. Padding is what the options announce; and since a DATA submessage
// is a multiple of four bytes long, up to three more bytes may be the transport's when the payload is one too.
func (c *cursor) end() error {
	if c.err != nil {
		return c.err
	}
	rest := c.left()
	if rest == 0 || rest == int(c.pad) || rest < 4 && c.padded {
		return nil
	}
	return ErrTrailing
}

// bits reads a number of eight bytes.
func bits(b []byte, big bool) uint64 {
	if big {
		return binary.BigEndian.Uint64(b)
	}
	return binary.LittleEndian.Uint64(b)
}

func f64(b []byte, big bool) float64 { return math.Float64frombits(bits(b, big)) }

func vec3(b []byte, big bool) msg.Vec3 {
	return msg.Vec3{X: f64(b, big), Y: f64(b[8:], big), Z: f64(b[16:], big)}
}

func quat(b []byte, big bool) msg.Quat {
	return msg.Quat{X: f64(b, big), Y: f64(b[8:], big), Z: f64(b[16:], big), W: f64(b[24:], big)}
}

// stamp reads a builtin_interfaces/Time, or a Duration, in nanoseconds.
func (c *cursor) stamp() int64 {
	secs, nsecs := int32(c.u32()), c.u32()
	if nsecs >= uint32(time.Second) {
		c.fail(ErrTime)
		return 0
	}
	return int64(secs)*int64(time.Second) + int64(nsecs)
}

// stdHeader reads a std_msgs/Header; the frame is returned raw, so that the caller may intern it.
func (c *cursor) stdHeader(h *msg.Header) (frame []byte) {
	h.Stamp = c.stamp()
	return c.str()
}
