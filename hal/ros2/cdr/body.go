package cdr

// Body is a payload without its encapsulation, for readers of types that this package does not know.
type Body struct {
	// Data is what follows the encapsulation; alignment counts from its first byte.
	Data []byte
	// BigEndian is the byte order of its numbers.
	BigEndian bool

	pad    uint8
	padded bool
}

// Open looks at a payload's encapsulation: ErrEncapsulation or ErrShort if it is not XCDR1.
func Open(payload []byte) (Body, error) {
	c := open(payload)
	return Body{Data: c.b, BigEndian: c.big, pad: c.pad, padded: c.padded}, c.err
}

// End tells whether the data may end after its first n bytes, or why not: what follows must be padding.
func (b *Body) End(n int) error {
	c := cursor{b: b.Data, at: n, pad: b.pad, padded: b.padded}
	return c.end()
}
