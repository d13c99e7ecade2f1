// Package rtps writes and reads RTPS 2.3 packets byte by byte for tests, from the specification (OMG formal/2019-04-03); it
// shares nothing with the product's own wire format, and lets a test say what no proper participant would.
package rtps

import (
	"encoding/binary"
	"fmt"
	"net/netip"
)

// Prefix names a participant.
type Prefix [12]byte

// EntityID names one of a participant's endpoints.
type EntityID [4]byte

// GUID names an endpoint among all.
type GUID [16]byte

// GUID puts both together.
func (p Prefix) GUID(e EntityID) GUID {
	var g GUID
	copy(g[:], p[:])
	copy(g[12:], e[:])
	return g
}

// Prefix is the participant's part.
func (g GUID) Prefix() Prefix { return Prefix(g[:12]) }

// Entity is the endpoint's part.
func (g GUID) Entity() EntityID { return EntityID(g[12:]) }

// String is the GUID in hexadecimal digits, as the peers print it.
func (g GUID) String() string { return fmt.Sprintf("%x", g[:]) }

// Entities of every participant (9.3.1.5).
var (
	Unknown             = EntityID{}
	ParticipantEntity   = EntityID{0, 0, 1, 0xc1}
	ParticipantWriter   = EntityID{0, 1, 0, 0xc2}
	ParticipantReader   = EntityID{0, 1, 0, 0xc7}
	PublicationsWriter  = EntityID{0, 0, 3, 0xc2}
	PublicationsReader  = EntityID{0, 0, 3, 0xc7}
	SubscriptionsWriter = EntityID{0, 0, 4, 0xc2}
	SubscriptionsReader = EntityID{0, 0, 4, 0xc7}
)

// Kinds of submessages (9.4.5.1.1).
const (
	KindAckNack   = 0x06
	KindHeartbeat = 0x07
	KindGap       = 0x08
	KindInfoTS    = 0x09
	KindInfoDst   = 0x0e
	KindNackFrag  = 0x12
	KindHeartFrag = 0x13
	KindData      = 0x15
	KindDataFrag  = 0x16
)

// Parameters of discovery data and of inline QoS (9.6.2.2.2).
const (
	PIDSentinel           = 0x0001
	PIDLease              = 0x0002
	PIDTopic              = 0x0005
	PIDType               = 0x0007
	PIDVersion            = 0x0015
	PIDVendor             = 0x0016
	PIDReliability        = 0x001a
	PIDDurability         = 0x001d
	PIDUserData           = 0x002c
	PIDUnicast            = 0x002f
	PIDDefaultUnicast     = 0x0031
	PIDMetatrafficUnicast = 0x0032
	PIDParticipantGUID    = 0x0050
	PIDBuiltin            = 0x0058
	PIDEndpointGUID       = 0x005a
	PIDKeyHash            = 0x0070
	PIDStatusInfo         = 0x0071
)

// Encapsulations of payloads (10.2).
var (
	CDRLittle   = []byte{0, 1, 0, 0}
	PLCDRLittle = []byte{0, 3, 0, 0}
)

var le = binary.LittleEndian

// Param appends one parameter, padded to four bytes.
func Param(b []byte, pid uint16, value []byte) []byte {
	n := (len(value) + 3) &^ 3
	b = le.AppendUint16(b, pid)
	b = le.AppendUint16(b, uint16(n))
	b = append(b, value...)
	return append(b, make([]byte, n-len(value))...)
}

// Locator is a UDP address as a parameter's value.
func Locator(a netip.AddrPort) []byte {
	b := le.AppendUint32(nil, 1)
	b = le.AppendUint32(b, uint32(a.Port()))
	b = append(b, make([]byte, 12)...)
	ip := a.Addr().As4()
	return append(b, ip[:]...)
}

// Text is a string as CDR has it.
func Text(s string) []byte {
	b := le.AppendUint32(nil, uint32(len(s)+1))
	b = append(b, s...)
	return append(b, 0)
}
