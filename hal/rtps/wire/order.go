package wire

import "encoding/binary"

// order is the byte order of what is being read: true is little endian. It is no interface, so that nothing escapes.
type order bool

const little order = true

func (o order) u16(b []byte) uint16 {
	if o {
		return binary.LittleEndian.Uint16(b)
	}
	return binary.BigEndian.Uint16(b)
}

func (o order) u32(b []byte) uint32 {
	if o {
		return binary.LittleEndian.Uint32(b)
	}
	return binary.BigEndian.Uint32(b)
}

func (o order) i32(b []byte) int32 { return int32(o.u32(b)) }

// seq is a sequence number: the high word comes first in both orders.
func (o order) seq(b []byte) SeqNum { return SeqNum(int64(o.i32(b))<<32 | int64(o.u32(b[4:]))) }

func put16(b []byte, v uint16) []byte { return binary.LittleEndian.AppendUint16(b, v) }

func put32(b []byte, v uint32) []byte { return binary.LittleEndian.AppendUint32(b, v) }

func putSeq(b []byte, s SeqNum) []byte { return put32(put32(b, uint32(s>>32)), uint32(s)) }

// pad appends zeros until the part of b from start on is a multiple of four.
func pad(b []byte, start int) []byte {
	for (len(b)-start)%4 != 0 {
		b = append(b, 0)
	}
	return b
}
