package rtps

import (
	"encoding/binary"
	"strings"
)

// Sub is one submessage of a packet that was read. Which fields count depends on the kind.
type Sub struct {
	Kind           byte
	Flags          byte
	Source         Prefix
	Reader, Writer EntityID
	Seq            int64 // of data and fragments; the first of a heartbeat
	Last           int64 // of a heartbeat
	Payload        []byte
	Body           []byte
}

// Subs reads a datagram's submessages as far as they can be read.
func Subs(b []byte) []Sub {
	if len(b) < 20 || string(b[:4]) != "RTPS" {
		return nil
	}
	var out []Sub
	source := Prefix(b[8:20])
	for b = b[20:]; len(b) >= 4; {
		var order binary.ByteOrder = binary.BigEndian
		if b[1]&1 != 0 {
			order = binary.LittleEndian
		}
		n := int(order.Uint16(b[2:]))
		if n == 0 && b[0] != 1 && b[0] != KindInfoTS {
			n = len(b) - 4
		}
		if 4+n > len(b) {
			break
		}
		s := Sub{Kind: b[0], Flags: b[1], Source: source, Body: b[4 : 4+n]}
		s.read(order)
		out = append(out, s)
		b = b[4+n:]
	}
	return out
}

func (s *Sub) read(order binary.ByteOrder) {
	b := s.Body
	seq := func(at int) int64 { return int64(order.Uint32(b[at:]))<<32 | int64(order.Uint32(b[at+4:])) }
	switch s.Kind {
	case KindHeartbeat:
		if len(b) >= 28 {
			s.Reader, s.Writer, s.Seq, s.Last = EntityID(b[:4]), EntityID(b[4:8]), seq(8), seq(16)
		}
	case KindAckNack, KindGap, KindNackFrag, KindHeartFrag:
		if len(b) >= 16 {
			s.Reader, s.Writer, s.Seq = EntityID(b[:4]), EntityID(b[4:8]), seq(8)
		}
	case KindData, KindDataFrag:
		if len(b) < 20 {
			return
		}
		s.Reader, s.Writer, s.Seq = EntityID(b[4:8]), EntityID(b[8:12]), seq(12)
		rest := 4 + int(order.Uint16(b[2:]))
		if s.Kind == KindDataFrag || rest > len(b) {
			return
		}
		b = b[rest:]
		if s.Flags&2 != 0 {
			var ok bool
			if _, b, ok = params(b, order); !ok {
				return
			}
		}
		if s.Flags&12 != 0 {
			s.Payload = b
		}
	}
}

// params reads a list of parameters and returns what follows it.
func params(b []byte, order binary.ByteOrder) (list map[uint16][]byte, rest []byte, ok bool) {
	list = map[uint16][]byte{}
	for len(b) >= 4 {
		pid, n := order.Uint16(b), int(order.Uint16(b[2:]))
		if pid == PIDSentinel {
			return list, b[4:], true
		}
		if 4+n > len(b) {
			return list, nil, false
		}
		if list[pid] == nil {
			list[pid] = b[4 : 4+n]
		}
		b = b[4+n:]
	}
	return list, nil, false
}

// Discovered reads discovery data: the parameters by their ids, the first of each.
func Discovered(payload []byte) map[uint16][]byte {
	if len(payload) < 4 || payload[0] != 0 || payload[1] != 3 && payload[1] != 2 {
		return nil
	}
	var order binary.ByteOrder = binary.BigEndian
	if payload[1] == 3 {
		order = binary.LittleEndian
	}
	list, _, _ := params(payload[4:], order)
	return list
}

// ParamText reads a string parameter, little endian.
func ParamText(value []byte) string {
	if len(value) < 4 {
		return ""
	}
	n := int(le.Uint32(value))
	if n < 1 || 4+n > len(value) {
		return ""
	}
	return strings.TrimRight(string(value[4:4+n]), "\x00")
}
