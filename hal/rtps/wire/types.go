// Package wire reads and writes the bytes of RTPS 2.3 (OMG formal/2019-04-03): submessages, parameter lists, discovery
// data. It opens no socket, keeps no state between datagrams, and whatever bytes come in, it neither panics nor
// allocates more than its stated caps.
package wire

import (
	"encoding/hex"
	"net/netip"
	"slices"
	"time"
)

// Prefix names one participant; it is the first twelve octets of all its entities' GUIDs.
type Prefix [12]byte

// EntityID names one entity within a participant, in the order of the wire.
type EntityID [4]byte

// GUID names one entity on the domain. Without DDS Security it is a claim: anybody can write it into a packet.
type GUID struct {
	Prefix Prefix
	Entity EntityID
}

// String writes the GUID as both vendors' tools do: prefix, a bar, entity, in hexadecimal.
func (g GUID) String() string {
	return hex.EncodeToString(g.Prefix[:]) + "|" + hex.EncodeToString(g.Entity[:])
}

// Entity ids that the specification fixes (table 9.2).
var (
	EntityUnknown               = EntityID{}
	EntityParticipant           = EntityID{0, 0, 1, 0xc1}
	EntitySPDPWriter            = EntityID{0, 1, 0, 0xc2}
	EntitySPDPReader            = EntityID{0, 1, 0, 0xc7}
	EntitySEDPPubWriter         = EntityID{0, 0, 3, 0xc2}
	EntitySEDPPubReader         = EntityID{0, 0, 3, 0xc7}
	EntitySEDPSubWriter         = EntityID{0, 0, 4, 0xc2}
	EntitySEDPSubReader         = EntityID{0, 0, 4, 0xc7}
	EntityLivelinessWriter      = EntityID{0, 2, 0, 0xc2} // ParticipantMessage (WLP)
	EntityLivelinessReader      = EntityID{0, 2, 0, 0xc7}
	kindWriterWithKey           = byte(0x02)
	kindWriterNoKey             = byte(0x03)
	kindReaderNoKey             = byte(0x04)
	kindReaderWithKey           = byte(0x07)
	kindMask               byte = 0x3f
)

// Writer tells whether the entity is a writer, by its kind.
func (e EntityID) Writer() bool {
	k := e[3] & kindMask
	return k == kindWriterWithKey || k == kindWriterNoKey
}

// Reader tells whether the entity is a reader, by its kind.
func (e EntityID) Reader() bool {
	k := e[3] & kindMask
	return k == kindReaderWithKey || k == kindReaderNoKey
}

// Keyed tells whether the entity's topic has keys.
func (e EntityID) Keyed() bool {
	k := e[3] & kindMask
	return k == kindWriterWithKey || k == kindReaderWithKey
}

// SeqNum numbers a writer's samples from 1.
type SeqNum int64

// Time is a point in time as RTPS writes it: seconds since the Unix epoch and a 32-bit binary fraction.
type Time struct {
	Seconds  int32
	Fraction uint32
}

// UnixNano is t in nanoseconds since the Unix epoch, rounded down; zero and the special values are 0, which stands for
// "not given". The seconds are unsigned on the wire since RTPS 2.3, so the negative ones are those from 2038 to 2106.
func (t Time) UnixNano() int64 {
	endless := t.Fraction == 0xffffffff && t.Seconds == 0x7fffffff // before 2.3
	if t.Seconds == 0 || t.Seconds == -1 || endless {
		return 0
	}
	return int64(uint32(t.Seconds))*int64(time.Second) + int64(uint64(t.Fraction)*uint64(time.Second)>>32)
}

// TimeOf is the wire's form of a time in nanoseconds since the Unix epoch; what it cannot write is the zero time.
func TimeOf(ns int64) Time {
	s := ns / int64(time.Second)
	if ns < 0 || s >= 0xffffffff {
		return Time{}
	}
	f := uint64(ns%int64(time.Second)) << 32
	return Time{int32(s), uint32((f + uint64(time.Second) - 1) / uint64(time.Second))}
}

// Kinds of locators that this package understands (table 9.4).
const (
	LocatorUDPv4 int32 = 1
	LocatorUDPv6 int32 = 2
)

// Locator is an address on the wire. Kinds other than UDP are kept out of lists.
type Locator struct {
	Kind int32
	Port uint32
	Addr [16]byte
}

// LocatorOf is the wire's form of an address and port.
func LocatorOf(a netip.AddrPort) Locator {
	l := Locator{Kind: LocatorUDPv6, Port: uint32(a.Port())}
	ip := a.Addr().Unmap()
	if ip.Is4() {
		l.Kind = LocatorUDPv4
		v4 := ip.As4()
		copy(l.Addr[12:], v4[:])
		return l
	}
	l.Addr = ip.As16()
	return l
}

// AddrPort is the address and port; ok is false for kinds and ports that UDP does not have.
func (l Locator) AddrPort() (a netip.AddrPort, ok bool) {
	if l.Port == 0 || l.Port > 0xffff {
		return a, false
	}
	switch l.Kind {
	case LocatorUDPv4:
		return netip.AddrPortFrom(netip.AddrFrom4([4]byte(l.Addr[12:])), uint16(l.Port)), true
	case LocatorUDPv6:
		return netip.AddrPortFrom(netip.AddrFrom16(l.Addr).Unmap(), uint16(l.Port)), true
	}
	return a, false
}

// MaxLocators bounds a list of locators; what comes after it is passed over.
const MaxLocators = 8

// Locators is a list of UDP addresses of fixed size.
type Locators struct {
	N    int
	List [MaxLocators]netip.AddrPort
}

// Add appends a, unless it is there already or the list is full.
func (l *Locators) Add(a netip.AddrPort) {
	if l.N < MaxLocators && !slices.Contains(l.Slice(), a) {
		l.List[l.N] = a
		l.N++
	}
}

// Slice is the list as a slice of its own memory.
func (l *Locators) Slice() []netip.AddrPort { return l.List[:l.N] }

// GUIDOf is the GUID that a key hash or a serialised key consists of.
func GUIDOf(key [16]byte) GUID { return GUID{Prefix(key[:12]), EntityID(key[12:])} }

// Bytes is the GUID as it stands on the wire.
func (g GUID) Bytes() (b [16]byte) {
	copy(b[:], g.Prefix[:])
	copy(b[12:], g.Entity[:])
	return b
}
