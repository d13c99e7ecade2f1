// Package cdrtest writes XCDR1 payloads field by field, in both byte orders, for tests of what reads them. It shares no
// code with package cdr and never checks what it is given.
package cdrtest

import (
	"encoding/binary"
	"math"
	"time"
)

// Writer is a payload in the making. New starts it.
type Writer struct {
	order binary.AppendByteOrder
	b     []byte
}

// New starts a payload with its encapsulation.
func New(bigEndian bool) *Writer {
	if bigEndian {
		return &Writer{order: binary.BigEndian, b: []byte{0, 0, 0, 0}}
	}
	return &Writer{order: binary.LittleEndian, b: []byte{0, 1, 0, 0}}
}

// Bytes is the payload as it is.
func (w *Writer) Bytes() []byte { return w.b }

// Padded is the payload padded to a multiple of four, which the options tell of.
func (w *Writer) Padded() []byte {
	b := append([]byte(nil), w.b...)
	for len(b)%4 != 0 {
		b = append(b, 0)
		b[3]++
	}
	return b
}

// Align pads to a multiple of n after the encapsulation.
func (w *Writer) Align(n int) *Writer {
	for (len(w.b)-4)%n != 0 {
		w.b = append(w.b, 0xa5) // padding has no value that anybody may rely on
	}
	return w
}

// U8 writes octets, one by one.
func (w *Writer) U8(v ...uint8) *Writer {
	w.b = append(w.b, v...)
	return w
}

// Bool writes a flag.
func (w *Writer) Bool(v bool) *Writer {
	if v {
		return w.U8(1)
	}
	return w.U8(0)
}

// U16 writes 16-bit numbers.
func (w *Writer) U16(v ...uint16) *Writer {
	for _, x := range v {
		w.b = w.order.AppendUint16(w.Align(2).b, x)
	}
	return w
}

// U32 writes 32-bit numbers.
func (w *Writer) U32(v ...uint32) *Writer {
	for _, x := range v {
		w.b = w.order.AppendUint32(w.Align(4).b, x)
	}
	return w
}

// U64 writes 64-bit numbers.
func (w *Writer) U64(v ...uint64) *Writer {
	for _, x := range v {
		w.b = w.order.AppendUint64(w.Align(8).b, x)
	}
	return w
}

// F32 writes 32-bit floating-point numbers.
func (w *Writer) F32(v ...float32) *Writer {
	for _, x := range v {
		w.U32(math.Float32bits(x))
	}
	return w
}

// F64 writes 64-bit floating-point numbers.
func (w *Writer) F64(v ...float64) *Writer {
	for _, x := range v {
		w.U64(math.Float64bits(x))
	}
	return w
}

// F64s writes a sequence of them.
func (w *Writer) F64s(v []float64) *Writer { return w.U32(uint32(len(v))).F64(v...) }

// Str writes a string.
func (w *Writer) Str(s string) *Writer {
	w.U32(uint32(len(s)) + 1)
	w.b = append(append(w.b, s...), 0)
	return w
}

// Strs writes a sequence of strings.
func (w *Writer) Strs(v []string) *Writer {
	w.U32(uint32(len(v)))
	for _, s := range v {
		w.Str(s)
	}
	return w
}

// Time writes a time or duration of that many nanoseconds, not negative.
func (w *Writer) Time(ns int64) *Writer {
	return w.U32(uint32(ns/int64(time.Second)), uint32(ns%int64(time.Second)))
}

// Header writes a std_msgs/Header.
func (w *Writer) Header(stamp int64, frame string) *Writer { return w.Time(stamp).Str(frame) }
