package wire

import (
	"iter"
	"math/bits"
)

const (
	// MaxSetBits is how many numbers one set can tell of (specification 9.4.2.6).
	MaxSetBits = 256

	// MaxSeqNum is the highest sequence number taken from the wire. A writer of a million samples a second reaches it
	// after 146,000 years; below it no sum of two sequence numbers overflows.
	MaxSeqNum SeqNum = 1 << 62
)

type bitmap = [MaxSetBits / 32]uint32

// SeqSet is a set of sequence numbers in [Base, Base+Bits). Bit 0 is the highest bit of Map's first word.
type SeqSet struct {
	Base SeqNum
	Bits uint32 // 0 to 256
	Map  bitmap
}

// Has tells whether n is in the set.
func (s *SeqSet) Has(n SeqNum) bool {
	return n >= s.Base && n-s.Base < SeqNum(min(s.Bits, MaxSetBits)) && hasBit(&s.Map, uint32(n-s.Base))
}

// Add puts n in; false if the set cannot reach it.
func (s *SeqSet) Add(n SeqNum) bool {
	if n < s.Base || n-s.Base >= MaxSetBits {
		return false
	}
	addBit(&s.Map, &s.Bits, uint32(n-s.Base))
	return true
}

// Empty tells whether no number is in the set.
func (s *SeqSet) Empty() bool { return s.Map == bitmap{} }

// All yields the numbers in the set, ascending.
func (s *SeqSet) All() iter.Seq[SeqNum] {
	return func(yield func(SeqNum) bool) {
		for i, ok := nextBit(&s.Map, s.Bits, 0); ok; i, ok = nextBit(&s.Map, s.Bits, i+1) {
			if !yield(s.Base + SeqNum(i)) {
				return
			}
		}
	}
}

// FragSet is a set of fragment numbers in [Base, Base+Bits); fragments are numbered from 1.
type FragSet struct {
	Base uint32
	Bits uint32 // 0 to 256
	Map  bitmap
}

// Has tells whether n is in the set.
func (s *FragSet) Has(n uint32) bool {
	return n >= s.Base && n-s.Base < min(s.Bits, MaxSetBits) && hasBit(&s.Map, n-s.Base)
}

// Add puts n in; false if the set cannot reach it.
func (s *FragSet) Add(n uint32) bool {
	if n < s.Base || n-s.Base >= MaxSetBits {
		return false
	}
	addBit(&s.Map, &s.Bits, n-s.Base)
	return true
}

// Empty tells whether no number is in the set.
func (s *FragSet) Empty() bool { return s.Map == bitmap{} }

// All yields the numbers in the set, ascending.
func (s *FragSet) All() iter.Seq[uint32] {
	return func(yield func(uint32) bool) {
		for i, ok := nextBit(&s.Map, s.Bits, 0); ok; i, ok = nextBit(&s.Map, s.Bits, i+1) {
			if !yield(s.Base + i) {
				return
			}
		}
	}
}

func hasBit(m *bitmap, i uint32) bool { return m[i/32]&(1<<(31-i%32)) != 0 }

func addBit(m *bitmap, n *uint32, i uint32) {
	m[i/32] |= 1 << (31 - i%32)
	*n = max(*n, i+1)
}

// nextBit is the first bit that is set from i on and below n.
func nextBit(m *bitmap, n, i uint32) (uint32, bool) {
	n = min(n, MaxSetBits)
	for i < n {
		if w := m[i/32] << (i % 32); w != 0 {
			i += uint32(bits.LeadingZeros32(w))
			return i, i < n
		}
		i = (i/32 + 1) * 32
	}
	return 0, false
}

// readBits reads the count of bits and the words that hold them; n is how many octets that took. Bits behind the count
// are cleared.
func readBits(o order, b []byte, m *bitmap) (count uint32, n int, f Fault) {
	if len(b) < 4 {
		return 0, 0, FaultCut
	}
	count = o.u32(b)
	if count > MaxSetBits {
		return 0, 0, FaultSet
	}
	words := int(count+31) / 32
	if len(b) < 4+4*words {
		return 0, 0, FaultCut
	}
	for i := range words {
		m[i] = o.u32(b[4+4*i:])
	}
	if count%32 != 0 {
		m[words-1] &= ^uint32(0) << (32 - count%32)
	}
	return count, 4 + 4*words, FaultNone
}

func putBits(b []byte, count uint32, m *bitmap) []byte {
	count = min(count, MaxSetBits)
	b = put32(b, count)
	for i := range (count + 31) / 32 {
		b = put32(b, m[i])
	}
	return b
}
