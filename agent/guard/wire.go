package guard

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"time"
)

// errShort means that a recorded event ends before its last field.
var errShort = errors.New("record ends early")

// encoder appends little-endian values. It allocates nothing while the buffer has room, which the runtime sees to.
type encoder struct{ b []byte }

func (e *encoder) u8(v uint8)               { e.b = append(e.b, v) }
func (e *encoder) u16(v uint16)             { e.b = binary.LittleEndian.AppendUint16(e.b, v) }
func (e *encoder) u32(v uint32)             { e.b = binary.LittleEndian.AppendUint32(e.b, v) }
func (e *encoder) u64(v uint64)             { e.b = binary.LittleEndian.AppendUint64(e.b, v) }
func (e *encoder) i64(v int64)              { e.u64(uint64(v)) }
func (e *encoder) duration(v time.Duration) { e.u64(uint64(v)) }
func (e *encoder) f64(v float64)            { e.u64(math.Float64bits(v)) }

func (e *encoder) f64s(v []float64) {
	for _, x := range v {
		e.f64(x)
	}
}

func (e *encoder) flag(v bool) {
	if v {
		e.u8(1)
		return
	}
	e.u8(0)
}

// maxText is the longest text in a record.
const maxText = 255

// text writes at most maxText bytes, which is more than any source passes on.
func (e *encoder) text(s string) {
	s = s[:min(len(s), maxText)]
	e.u8(uint8(len(s)))
	e.b = append(e.b, s...)
}

// decoder reads what encoder wrote. After the first error every further read gives zeros and the error stays.
type decoder struct {
	b   []byte
	err error
}

func (d *decoder) take(n int) []byte {
	if d.err != nil || len(d.b) < n {
		d.err = cmpErr(d.err, errShort)
		return nil
	}
	out := d.b[:n]
	d.b = d.b[n:]
	return out
}

func cmpErr(have, otherwise error) error {
	if have != nil {
		return have
	}
	return otherwise
}

func (d *decoder) u8() uint8 {
	if b := d.take(1); b != nil {
		return b[0]
	}
	return 0
}

func (d *decoder) u16() uint16 {
	if b := d.take(2); b != nil {
		return binary.LittleEndian.Uint16(b)
	}
	return 0
}

func (d *decoder) u32() uint32 {
	if b := d.take(4); b != nil {
		return binary.LittleEndian.Uint32(b)
	}
	return 0
}

func (d *decoder) u64() uint64 {
	if b := d.take(8); b != nil {
		return binary.LittleEndian.Uint64(b)
	}
	return 0
}

func (d *decoder) i64() int64              { return int64(d.u64()) }
func (d *decoder) duration() time.Duration { return time.Duration(d.u64()) }
func (d *decoder) f64() float64            { return math.Float64frombits(d.u64()) }

func (d *decoder) f64s(out []float64) {
	for i := range out {
		out[i] = d.f64()
	}
}

func (d *decoder) flag() bool {
	switch v := d.u8(); v {
	case 0:
		return false
	case 1:
		return true
	default:
		d.err = cmpErr(d.err, fmt.Errorf("flag: expected 0 or 1, found %d", v))
		return false
	}
}

func (d *decoder) text() string { return string(d.take(int(d.u8()))) }

// end reports the first error, or bytes that nobody read.
func (d *decoder) end() error {
	if d.err == nil && len(d.b) > 0 {
		return fmt.Errorf("%d bytes after the last field", len(d.b))
	}
	return d.err
}
