package wire

import (
	"bytes"
	"math"
	"net/netip"
	"time"
)

// Caps on what is kept of one discovery datum. What would be cut is refused if a match hangs on it (names, partitions,
// representations: FaultString, FaultList), and cut if it only informs (user data, an entity's name).
const (
	MaxName            = 256  // octets of topic, type, entity name and partition; ROS 2 allows 255 for a topic
	MaxUserData        = 1024 // octets; ROS 2 writes an enclave or a type hash of about 80
	MaxPartitions      = 16
	MaxRepresentations = 8 // three are defined
)

// Infinite is a duration without end.
const Infinite time.Duration = math.MaxInt64

// readDuration reads seconds and binary fraction.
func readDuration(o order, v []byte) (time.Duration, Fault) {
	if len(v) < 8 {
		return 0, FaultLength
	}
	s, frac := o.i32(v), o.u32(v[4:])
	if s == math.MaxInt32 {
		return Infinite, FaultNone
	}
	if s < 0 {
		return 0, FaultValue
	}
	return time.Duration(s)*time.Second + time.Duration(uint64(frac)*uint64(time.Second)>>32), FaultNone
}

// putDuration rounds up by less than a nanosecond, so that reading gives back the same duration.
func putDuration(b []byte, d time.Duration) []byte {
	if d < 0 {
		d = 0
	}
	s := d / time.Second
	if s >= math.MaxInt32 {
		return put32(put32(b, math.MaxInt32), math.MaxUint32)
	}
	f := (uint64(d%time.Second)<<32 + uint64(time.Second) - 1) / uint64(time.Second)
	return put32(put32(b, uint32(s)), uint32(f))
}

// readOctets reads a sequence of octets; what it yields points into v.
func readOctets(o order, v []byte) ([]byte, Fault) {
	if len(v) < 4 {
		return nil, FaultLength
	}
	n := o.u32(v)
	if uint64(n) > uint64(len(v)-4) {
		return nil, FaultLength
	}
	return v[4 : 4+n], FaultNone
}

// readText reads a string without its end; what it yields points into v. A length of 0 is taken as the empty string, as
// some implementations write it.
func readText(o order, v []byte) ([]byte, Fault) {
	s, f := readOctets(o, v)
	if f != FaultNone || len(s) == 0 {
		return nil, f
	}
	if end := bytes.IndexByte(s, 0); end != len(s)-1 {
		return nil, FaultString
	}
	return s[:len(s)-1], FaultNone
}

// readName reads a string that a match hangs on.
func readName(o order, v []byte) (string, Fault) {
	s, f := readText(o, v)
	if f != FaultNone {
		return "", f
	}
	if len(s) > MaxName {
		return "", FaultString
	}
	return string(s), FaultNone
}

// readUserData reads user data, of which a copy of at most MaxUserData octets is kept.
func readUserData(o order, v []byte) ([]byte, Fault) {
	d, f := readOctets(o, v)
	if f != FaultNone || len(d) == 0 {
		return nil, f
	}
	return bytes.Clone(d[:min(len(d), MaxUserData)]), FaultNone
}

// readNames reads a list of partitions.
func readNames(o order, v []byte) ([]string, Fault) {
	if len(v) < 4 {
		return nil, FaultLength
	}
	n := o.u32(v)
	if n > MaxPartitions {
		return nil, FaultList
	}
	v = v[4:]
	var names []string
	for range n {
		name, f := readName(o, v)
		if f != FaultNone {
			return nil, f
		}
		names = append(names, name)
		v = v[min(len(v), (4+int(o.u32(v))+3)&^3):]
	}
	return names, FaultNone
}

func readRepresentations(o order, v []byte) ([]int16, Fault) {
	if len(v) < 4 {
		return nil, FaultLength
	}
	n := o.u32(v)
	if n > MaxRepresentations {
		return nil, FaultList
	}
	if len(v) < 4+2*int(n) {
		return nil, FaultLength
	}
	var list []int16
	for i := range int(n) {
		list = append(list, int16(o.u16(v[4+2*i:])))
	}
	return list, FaultNone
}

func readU32(o order, v []byte) (uint32, Fault) {
	if len(v) < 4 {
		return 0, FaultLength
	}
	return o.u32(v), FaultNone
}

// readEnum reads a value that its type limits to the range from least to most.
func readEnum(o order, v []byte, least, most uint32) (uint8, Fault) {
	u, f := readU32(o, v)
	if f == FaultNone && (u < least || u > most) {
		return 0, FaultValue
	}
	return uint8(u), f
}

func readBool(v []byte) (bool, Fault) {
	if len(v) < 1 {
		return false, FaultLength
	}
	if v[0] > 1 {
		return false, FaultValue
	}
	return v[0] == 1, FaultNone
}

func readGUID(v []byte) (GUID, Fault) {
	if len(v) < 16 {
		return GUID{}, FaultLength
	}
	return GUIDOf([16]byte(v)), FaultNone
}

// readLocator adds a locator to the list, unless UDP cannot speak to it. The unspecified address is none: sent to, it
// would be this host itself.
func readLocator(o order, v []byte, list *Locators) Fault {
	if len(v) < 24 {
		return FaultLength
	}
	l := Locator{Kind: o.i32(v), Port: o.u32(v[4:]), Addr: [16]byte(v[8:])}
	if a, ok := l.AddrPort(); ok && !a.Addr().IsUnspecified() {
		list.Add(a)
	}
	return FaultNone
}

// param appends a parameter whose value add appends to it.
func param(b []byte, pid uint16, add func([]byte) []byte) []byte {
	at := len(b)
	b = add(append(put16(b, pid), 0, 0))
	b = pad(b, at)
	n := len(b) - at - 4
	b[at+2], b[at+3] = byte(n), byte(n>>8)
	return b
}

func paramU32(b []byte, pid uint16, v uint32) []byte { return put32(put16(put16(b, pid), 4), v) }

func paramGUID(b []byte, pid uint16, g GUID) []byte { return putGUID(put16(put16(b, pid), 16), g) }

func paramDuration(b []byte, pid uint16, d time.Duration) []byte {
	return putDuration(put16(put16(b, pid), 8), d)
}

func paramText(b []byte, pid uint16, s string) []byte {
	return param(b, pid, func(b []byte) []byte { return putText(b, s) })
}

func paramOctets(b []byte, pid uint16, v []byte) []byte {
	return param(b, pid, func(b []byte) []byte { return append(put32(b, uint32(len(v))), v...) })
}

func paramLocators(b []byte, pid uint16, list *Locators) []byte {
	for _, a := range list.Slice() {
		b = paramLocator(b, pid, a)
	}
	return b
}

func paramLocator(b []byte, pid uint16, a netip.AddrPort) []byte {
	l := LocatorOf(a)
	b = put32(put32(put16(put16(b, pid), 24), uint32(l.Kind)), l.Port)
	return append(b, l.Addr[:]...)
}

func putText(b []byte, s string) []byte { return append(append(put32(b, uint32(len(s)+1)), s...), 0) }
