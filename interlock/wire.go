package interlock

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"math"
	"time"
)

// Errors of stored state. Each is wrapped with what was found.
var (
	// ErrEmpty means that there is nothing to restore from.
	ErrEmpty = errors.New("stored state is empty")
	// ErrDamaged means that the bytes are not what was written.
	ErrDamaged = errors.New("stored state is damaged")
	// ErrVersion means that another version wrote the bytes.
	ErrVersion = errors.New("stored state is from an unknown version")
)

// maxStored bounds every stored time, so that differences of two never overflow.
const maxStored = time.Duration(1) << 61

// castagnoli is the table of CRC-32C (RFC 3720); the processor's own instruction is used where it has one, since whole
// states are sealed under the guard's lock. It is never written to.
var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// crc32c returns the CRC-32C of b.
func crc32c(b []byte) uint32 { return crc32.Checksum(b, castagnoli) }

// Every stored state is a frame: four letters that say what it is, a version, the content, and the CRC-32C of all of
// it. Numbers are little-endian, times are nanoseconds.

func begin(b []byte, magic string, version uint8) []byte {
	b = append(b, magic...)
	return append(b, version)
}

func seal(b []byte, start int) []byte {
	return binary.LittleEndian.AppendUint32(b, crc32c(b[start:]))
}

// open checks a frame and returns a reader of its content.
func open(b []byte, magic string, version uint8) (reader, error) {
	if len(b) == 0 {
		return reader{}, fmt.Errorf("%w: expected %q version %d", ErrEmpty, magic, version)
	}
	if len(b) < len(magic)+1+4 || string(b[:len(magic)]) != magic {
		return reader{}, fmt.Errorf("%w: found %d bytes that do not begin with %q", ErrDamaged, len(b), magic)
	}
	body := b[:len(b)-4]
	if found, want := binary.LittleEndian.Uint32(b[len(b)-4:]), crc32c(body); found != want {
		return reader{}, fmt.Errorf("%w: found checksum %08x, expected %08x", ErrDamaged, found, want)
	}
	if v := b[len(magic)]; v != version {
		return reader{}, fmt.Errorf("%w: found %q version %d, expected %d", ErrVersion, magic, v, version)
	}
	return reader{b: body[len(magic)+1:]}, nil
}

// reader takes values from the front of b. After the first fault every value is zero and fault names it.
type reader struct {
	b     []byte
	fault string
}

func (r *reader) fail(what string) {
	if r.fault == "" {
		r.fault = what
	}
}

// close returns an error if a value was wrong or bytes are left over.
func (r *reader) close() error {
	if r.fault == "" && len(r.b) != 0 {
		r.fault = fmt.Sprintf("%d bytes are left over", len(r.b))
	}
	if r.fault == "" {
		return nil
	}
	return fmt.Errorf("%w: %s", ErrDamaged, r.fault)
}

func (r *reader) take(n int) []byte {
	if r.fault != "" || len(r.b) < n {
		r.fail("it ends too early")
		return nil
	}
	b := r.b[:n]
	r.b = r.b[n:]
	return b
}

func (r *reader) u8() uint8 {
	if b := r.take(1); b != nil {
		return b[0]
	}
	return 0
}

// enum takes a value below n.
func (r *reader) enum(n uint8, what string) uint8 {
	v := r.u8()
	if v >= n {
		r.fail(fmt.Sprintf("%s is %d, expected below %d", what, v, n))
		return 0
	}
	return v
}

func (r *reader) bool(what string) bool { return r.enum(2, what) == 1 }

func (r *reader) u16() uint16 {
	if b := r.take(2); b != nil {
		return binary.LittleEndian.Uint16(b)
	}
	return 0
}

func (r *reader) u32() uint32 {
	if b := r.take(4); b != nil {
		return binary.LittleEndian.Uint32(b)
	}
	return 0
}

func (r *reader) u64() uint64 {
	if b := r.take(8); b != nil {
		return binary.LittleEndian.Uint64(b)
	}
	return 0
}

func (r *reader) f64() float64 { return math.Float64frombits(r.u64()) }

// duration takes a time within [-most, most].
func (r *reader) duration(most time.Duration, what string) time.Duration {
	d := time.Duration(r.u64()) //nolint:gosec // two's complement, as written
	if d > most || d < -most {
		r.fail(fmt.Sprintf("%s is %v, expected within ±%v", what, d, most))
		return 0
	}
	return d
}

// span takes a duration within [0, most].
func (r *reader) span(most time.Duration, what string) time.Duration {
	d := r.duration(most, what)
	if d < 0 {
		r.fail(what + " is negative")
		return 0
	}
	return d
}

// axes takes a restriction in normal form.
func (r *reader) axes() Axes {
	a := Axes{
		Motion:       Motion(r.u8()),
		Manipulators: Manipulators(r.u8()),
		Perception:   Perception(r.u8()),
		Remote:       Remote(r.u8()),
		MaxSpeedMPS:  r.f64(),
	}
	if a != a.Normal() {
		r.fail("a restriction is not in its normal form")
		return Axes{}
	}
	return a
}

// triggers takes a set without members outside the table.
func (r *reader) triggers() TriggerSet {
	s := TriggerSet{r.u64(), r.u64()}
	for t := Trigger(0); ; t++ {
		next, ok := s.Next(t)
		if !ok {
			return s
		}
		if next >= NumTriggers {
			r.fail(fmt.Sprintf("trigger %d is not in the table", next))
			return TriggerSet{}
		}
		t = next
	}
}

func appendTime(b []byte, d time.Duration) []byte {
	return binary.LittleEndian.AppendUint64(b, uint64(d)) //nolint:gosec // two's complement
}

// appendStored appends a time that is kept: times beyond any real one are cut, so that what is written can be read.
func appendStored(b []byte, d time.Duration) []byte {
	return appendTime(b, max(-maxStored, min(maxStored, d)))
}

func appendBool(b []byte, v bool) []byte {
	if v {
		return append(b, 1)
	}
	return append(b, 0)
}

func appendFloat(b []byte, v float64) []byte {
	return binary.LittleEndian.AppendUint64(b, math.Float64bits(v))
}

func appendAxes(b []byte, a Axes) []byte {
	b = append(b, uint8(a.Motion), uint8(a.Manipulators), uint8(a.Perception), uint8(a.Remote))
	return appendFloat(b, a.MaxSpeedMPS)
}

func appendSet(b []byte, s TriggerSet) []byte {
	b = binary.LittleEndian.AppendUint64(b, s[0])
	return binary.LittleEndian.AppendUint64(b, s[1])
}

// hash64 folds b into 64 bits, eight bytes at a time. It tells decisions apart; it is no signature.
func hash64(b []byte) uint64 {
	const prime = 0x9e3779b97f4a7c15
	h := uint64(len(b)) * prime
	mix := func(w uint64) {
		h = (h ^ w) * prime
		h ^= h >> 32
	}
	for len(b) >= 8 {
		mix(binary.LittleEndian.Uint64(b))
		b = b[8:]
	}
	var last [8]byte
	copy(last[:], b)
	mix(binary.LittleEndian.Uint64(last[:]))
	return h
}
