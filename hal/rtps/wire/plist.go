package wire

import (
	"encoding/binary"
	"fmt"
)

// Parameters of lists (tables 9.12 to 9.14 and DDS Security 7.4.1; related sample: DDS-RPC 7.8.2 and Fast DDS's own).
const (
	pidPad                uint16 = 0x0000
	pidSentinel           uint16 = 0x0001
	pidLease              uint16 = 0x0002
	pidTopicName          uint16 = 0x0005
	pidOwnershipStrength  uint16 = 0x0006
	pidTypeName           uint16 = 0x0007
	pidDomain             uint16 = 0x000f
	pidDomainTag          uint16 = 0x0014 // written as 0x4014: must be understood
	pidVersion            uint16 = 0x0015
	pidVendor             uint16 = 0x0016
	pidReliability        uint16 = 0x001a
	pidLiveliness         uint16 = 0x001b
	pidDurability         uint16 = 0x001d
	pidOwnership          uint16 = 0x001f
	pidPresentation       uint16 = 0x0021
	pidDeadline           uint16 = 0x0023
	pidDestinationOrder   uint16 = 0x0025
	pidLatencyBudget      uint16 = 0x0027
	pidPartition          uint16 = 0x0029
	pidUserData           uint16 = 0x002c
	pidUnicast            uint16 = 0x002f
	pidMulticast          uint16 = 0x0030
	pidDefaultUnicast     uint16 = 0x0031
	pidMetaUnicast        uint16 = 0x0032
	pidMetaMulticast      uint16 = 0x0033
	pidManualLiveliness   uint16 = 0x0034
	pidExpectsInline      uint16 = 0x0043
	pidDefaultMulticast   uint16 = 0x0048
	pidParticipantGUID    uint16 = 0x0050
	pidBuiltinEndpoints   uint16 = 0x0058
	pidEndpointGUID       uint16 = 0x005a
	pidEntityName         uint16 = 0x0062
	pidKeyHash            uint16 = 0x0070
	pidStatusInfo         uint16 = 0x0071
	pidDataRepresentation uint16 = 0x0073
	pidRelated            uint16 = 0x0083
	pidIdentityToken      uint16 = 0x1001
	pidRelatedFast        uint16 = 0x800f

	pidVendorBit     uint16 = 0x8000
	pidUnderstandBit uint16 = 0x4000
	pidExtended      uint16 = 0x3f01 // XTypes' long form, whose length is elsewhere; no discovery data uses it
)

// Encapsulations (table 10.3): the second of two octets, the first is 0.
const (
	cdrBig, cdrLittle     byte = 0, 1
	plCDRBig, plCDRLittle byte = 2, 3
)

// vendorFast is eProsima's vendor id.
var vendorFast = [2]byte{0x01, 0x0f}

// order is the byte order of what is being read: true is little endian. It is no interface, so that nothing escapes.
type order bool

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

// params walks a parameter list.
type params struct {
	o    order
	rest []byte
}

// next takes the next parameter off the list; ok is false at the sentinel, behind which rest then starts.
func (p *params) next() (pid uint16, value []byte, ok bool, f Fault) {
	for {
		if len(p.rest) < 4 {
			return 0, nil, false, FaultSentinel
		}
		id, n := p.o.u16(p.rest), int(p.o.u16(p.rest[2:]))
		p.rest = p.rest[4:]
		if id == pidSentinel { // its length means nothing
			return 0, nil, false, FaultNone
		}
		if n > len(p.rest) {
			return id, nil, false, FaultCut
		}
		if n%4 != 0 || id&^pidUnderstandBit == pidExtended {
			return id, nil, false, FaultLength
		}
		value, p.rest = p.rest[:n], p.rest[n:]
		if id != pidPad {
			return id, value, true, FaultNone
		}
	}
}

// unknown judges a parameter that the caller has no use for: one that must be understood makes the whole unusable.
// Vendors' own parameters are never binding for others (9.6.2.2.1).
func unknown(pid uint16) Fault {
	if pid&pidUnderstandBit != 0 && pid&pidVendorBit == 0 {
		return FaultUnderstand
	}
	return FaultNone
}

// known is the parameter without the bit that says it must be understood.
func known(pid uint16) uint16 {
	if pid&pidVendorBit != 0 {
		return pid
	}
	return pid &^ pidUnderstandBit
}

// openList starts with discovery data, which is a parameter list in its own encapsulation.
func openList(payload []byte) (p params, err error) {
	if len(payload) < 4 {
		return p, FaultPayload
	}
	if payload[0] != 0 || payload[1] != plCDRBig && payload[1] != plCDRLittle {
		return p, fmt.Errorf("encapsulation 0x%02x%02x, expected a parameter list (0x0002 or 0x0003): %w",
			payload[0], payload[1], FaultEncapsulation)
	}
	return params{order(payload[1] == plCDRLittle), payload[4:]}, nil
}

// each reads every parameter. A fault in one value does not keep the others from being read, so that a report can tell
// whose data it was: the first fault is returned in the end. A fault of the list itself ends it.
func (p *params) each(what string, read func(pid uint16, v []byte) Fault) error {
	var first Fault
	var in uint16
	for {
		pid, v, ok, f := p.next()
		if ok {
			f = read(pid, v)
		}
		if f != FaultNone && first == FaultNone {
			first, in = f, pid
		}
		if ok {
			continue
		}
		if first == FaultNone {
			return nil
		}
		return fmt.Errorf("%s, parameter 0x%04x: %w", what, in, first)
	}
}

// readInline reads the parameters between a DATA's head and its payload. One that must be understood and is not known
// makes the sample unreadable, not the datagram.
func (s *Submessage) readInline(o order, vendor [2]byte, b []byte) (rest []byte, opaque bool, f Fault) {
	p := params{o, b}
	for {
		pid, v, ok, f := p.next()
		if f != FaultNone || !ok {
			return p.rest, opaque, f
		}
		switch known(pid) {
		case pidStatusInfo:
			if len(v) < 4 {
				return nil, false, FaultLength
			}
			s.Dispose, s.Unregister = v[3]&byte(StatusDisposed) != 0, v[3]&byte(StatusUnregistered) != 0
		case pidKeyHash:
			if len(v) < 16 {
				return nil, false, FaultLength
			}
			s.KeyHash, s.HasKeyHash = [16]byte(v), true
		case pidRelated:
			f = s.readRelated(o, v)
		case pidRelatedFast:
			if vendor == vendorFast || vendor == OurVendor {
				f = s.readRelated(o, v)
			}
		default:
			opaque = opaque || unknown(pid) != FaultNone
		}
		if f != FaultNone {
			return nil, false, f
		}
	}
}

func (s *Submessage) readRelated(o order, v []byte) Fault {
	if len(v) < 24 {
		return FaultLength
	}
	s.Related, s.RelatedSeq, s.HasRelated = GUIDOf([16]byte(v)), o.seq(v[16:]), true
	return FaultNone
}
