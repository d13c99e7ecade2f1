package idl

// span is how many bytes something without strings and sequences takes, by the position modulo 8 at which it begins, its
// padding in front included: XCDR1 aligns every number to its size, at most 8. Spans are put together by then and times,
// so that the size of any array is known without walking it.
type span [8]uint32

// alignTo is the padding in front of a number of that size.
func alignTo(size int) (s span) {
	for r := range s {
		s[r] = uint32(-r & (size - 1))
	}
	return s
}

// numbers is the span of a number of that size.
func numbers(size int) span {
	s := alignTo(size)
	for r := range s {
		s[r] += uint32(size)
	}
	return s
}

// then is a followed by b. It stops growing a little above MaxFixed, so that nothing overflows before it is refused.
func (a span) then(b span) (s span) {
	for r := range s {
		s[r] = min(a[r]+b[(uint32(r)+a[r])&7], MaxFixed+8)
	}
	return s
}

// times is a, n times in a row.
func (a span) times(n uint32) (s span) {
	for ; n > 0; n >>= 1 {
		if n&1 == 1 {
			s = s.then(a)
		}
		a = a.then(a)
	}
	return s
}

// most is the largest size.
func (a span) most() uint32 {
	m := a[0]
	for _, n := range a[1:] {
		m = max(m, n)
	}
	return m
}

// layout is what a plan has to know of a type.
type layout struct {
	// fixed is true without strings and sequences; then span says the size.
	fixed bool
	span  span
	// least is the smallest number of bytes that the type takes, without padding, at least 1.
	least uint32
}
