package idl

import (
	"encoding/binary"
	"math"

	"github.com/robowarden/robowarden/hal/ros2/cdr"
)

// Read reads the plan's numbers from a payload, which begins with its encapsulation, into dst, which has Len elements. It
// does not allocate. The whole payload is checked first to last; if it is not of the plan's type, dst is all NaN and the
// error is one of package cdr's. An element that a sequence does not have is NaN. A bool is 0 or 1; a 64-bit integer above
// 2⁵³ is rounded.
func (p *Plan) Read(payload []byte, dst []float64) error {
	if len(dst) != p.n {
		return ErrSlots
	}
	b, err := cdr.Open(payload)
	if err == nil {
		r := reader{body: b, dst: dst}
		unknown(dst)
		r.run(p.ops)
		if err = r.err; err == nil {
			err = b.End(r.at)
		}
	}
	if err != nil {
		unknown(dst)
	}
	return err
}

// ErrSlots means that Read was given room for more or fewer values than the plan has.
const ErrSlots = cdr.Error("the plan reads another number of values than there is room for")

func unknown(dst []float64) {
	for i := range dst {
		dst[i] = math.NaN()
	}
}

// reader is the state of one Read.
type reader struct {
	body cdr.Body
	at   int
	dst  []float64
	err  error
}

func (r *reader) fail(err error) {
	if r.err == nil {
		r.err = err
	}
}

func (r *reader) run(ops []op) {
	for i := range ops {
		if r.err != nil {
			return
		}
		switch o := &ops[i]; o.kind {
		case opFixed:
			r.numbers(o.numbers, &o.span)
		case opString:
			r.text(o.count)
		case opItems:
			r.items(o)
		case opLoop:
			r.loop(o)
		}
	}
}

// numbers reads a run of fixed size.
func (r *reader) numbers(list []pick1, size *span) {
	start := r.at & 7
	end := r.at + int(size[start])
	if end > len(r.body.Data) {
		r.fail(cdr.ErrShort)
		return
	}
	for i := range list {
		n := &list[i]
		v := r.number(r.at+int(n.offset[start]), n.kind)
		for _, slot := range n.slots {
			r.dst[slot] = v
		}
	}
	r.at = end
}

// number reads one number; it lies within the data.
func (r *reader) number(at int, k Kind) float64 {
	b := r.body.Data[at:]
	order := binary.ByteOrder(binary.LittleEndian)
	if r.body.BigEndian {
		order = binary.BigEndian
	}
	switch k {
	case Bool:
		if b[0] > 1 {
			r.fail(cdr.ErrFlag)
		}
		return float64(b[0])
	case Byte, Char, Uint8:
		return float64(b[0])
	case Int8:
		return float64(int8(b[0]))
	case Int16:
		return float64(int16(order.Uint16(b)))
	case Uint16:
		return float64(order.Uint16(b))
	case Int32, Enum:
		return float64(int32(order.Uint32(b)))
	case Uint32:
		return float64(order.Uint32(b))
	case Int64:
		return float64(int64(order.Uint64(b)))
	case Uint64:
		return float64(order.Uint64(b))
	case Float32:
		return float64(math.Float32frombits(order.Uint32(b)))
	case Float64:
		return math.Float64frombits(order.Uint64(b))
	case String, Composite, Array, Sequence:
	}
	return math.NaN()
}

// length reads the number of a sequence's elements or a string's bytes.
func (r *reader) length() uint32 {
	at := (r.at + 3) &^ 3
	if at+4 > len(r.body.Data) {
		r.fail(cdr.ErrShort)
		return 0
	}
	r.at = at + 4
	if r.body.BigEndian {
		return binary.BigEndian.Uint32(r.body.Data[at:])
	}
	return binary.LittleEndian.Uint32(r.body.Data[at:])
}

// text passes over a string of at most bound bytes, 0 for no bound.
func (r *reader) text(bound uint32) {
	n := r.length()
	switch {
	case n == 0: // some senders write the empty string so
	case uint64(n) > uint64(len(r.body.Data)-r.at):
		r.fail(cdr.ErrShort)
	case bound > 0 && n-1 > bound:
		r.fail(cdr.ErrText)
	case r.body.Data[r.at+int(n)-1] != 0:
		r.fail(cdr.ErrString)
	default:
		r.at += int(n)
	}
}

// elements is how many elements an array or sequence has.
func (r *reader) elements(o *op) uint32 {
	if !o.sequence {
		return o.count
	}
	n := r.length()
	if o.count > 0 && n > o.count || uint64(n)*uint64(o.least) > uint64(len(r.body.Data)-r.at) {
		r.fail(cdr.ErrCount)
		return 0
	}
	return n
}

// items reads a sequence whose elements are of fixed size.
func (r *reader) items(o *op) {
	n := r.elements(o)
	next := uint32(0)
	for i := range o.items {
		it := &o.items[i]
		if it.index >= n || r.err != nil {
			break
		}
		r.pass(&o.span, it.index-next)
		r.numbers(it.numbers, &o.span)
		next = it.index + 1
	}
	r.pass(&o.span, n-next)
}

// pass passes over n elements of fixed size.
func (r *reader) pass(size *span, n uint32) {
	if r.err != nil || n == 0 {
		return
	}
	const few = 16
	if n > few {
		// Where an element's end is aligned as its beginning, all further ones are the same.
		first := size[r.at&7]
		r.at += int(first)
		n--
		if stride := size[r.at&7]; stride&7 == 0 || allEqual(size, r.at&7) {
			r.at += int(stride) * int(n)
			n = 0
		}
	}
	for ; n > 0; n-- {
		r.at += int(size[r.at&7])
	}
	if r.at > len(r.body.Data) {
		r.fail(cdr.ErrShort)
	}
}

// allEqual tells whether elements have one size at every position that one of them can begin at.
func allEqual(size *span, at int) bool {
	for range 8 {
		next := (at + int(size[at])) & 7
		if size[next] != size[at] {
			return false
		}
		at = next
	}
	return true
}

// loop reads an array or sequence whose elements have strings or sequences within.
func (r *reader) loop(o *op) {
	n := r.elements(o)
	k := 0
	for i := uint32(0); i < n && r.err == nil; i++ {
		if k < len(o.items) && o.items[k].index == i {
			r.run(o.items[k].ops)
			k++
			continue
		}
		r.run(o.rest)
	}
}
