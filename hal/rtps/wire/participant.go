package wire

import (
	"fmt"
	"time"
)

// Builtin endpoints that a participant can have (9.3.2.12), as bits of ParticipantData.Builtin.
const (
	BuiltinSPDPWriter uint32 = 1 << iota
	BuiltinSPDPReader
	BuiltinPubWriter
	BuiltinPubReader
	BuiltinSubWriter
	BuiltinSubReader

	BuiltinLivelinessWriter uint32 = 1 << 10
	BuiltinLivelinessReader uint32 = 1 << 11
)

// DefaultLease is how long a participant that names no lease is believed to be there after its last word (8.5.3.2).
const DefaultLease = 100 * time.Second

// ParticipantData is what a participant says of itself over SPDP. All of it is a claim.
type ParticipantData struct {
	GUID            GUID
	Version, Vendor [2]byte // zero if not given
	Domain          int32   // the domain's number, -1 if not given
	// Where its builtin endpoints (Meta) and its other endpoints hear.
	MetaUnicast, MetaMulticast, Unicast, Multicast Locators
	Lease                                          time.Duration
	Builtin                                        uint32 // Builtin... bits
	UserData                                       []byte // ROS 2: "enclave=/;"
	Name                                           string
	Secured                                        bool  // it has an identity token, so it wants DDS Security
	ManualLiveliness                               int32 // changes whenever its liveliness is asserted by hand
}

// ParseParticipant reads a participant's data from SPDP's payload and keeps no reference to it. If it returns an error,
// p holds what could be read of it, for a report.
func ParseParticipant(payload []byte, p *ParticipantData) error {
	*p = ParticipantData{Domain: -1, Lease: DefaultLease}
	list, err := openList(payload)
	if err != nil {
		return fmt.Errorf("participant data: %w", err)
	}
	var seen identity
	err = list.each("participant data", func(pid uint16, v []byte) Fault { return p.read(list.o, pid, v, &seen) })
	if err != nil {
		return err
	}
	if p.GUID == (GUID{}) {
		return fmt.Errorf("participant data, participant's GUID: %w", FaultMissing)
	}
	if p.GUID.Entity != EntityParticipant {
		return fmt.Errorf("participant data, GUID %s is not a participant's: %w", p.GUID, FaultForeign)
	}
	return nil
}

func (p *ParticipantData) read(o order, pid uint16, v []byte, seen *identity) (f Fault) {
	switch known(pid) {
	case pidParticipantGUID:
		if f = seen.once(isEntity); f == FaultNone {
			p.GUID, f = readGUID(v)
		}
	case pidVersion, pidVendor:
		if len(v) < 2 {
			return FaultLength
		}
		if known(pid) == pidVersion {
			p.Version = [2]byte(v)
		} else {
			p.Vendor = [2]byte(v)
		}
	case pidDomain:
		var d uint32
		if d, f = readU32(o, v); f == FaultNone {
			p.Domain = int32(min(d, 1<<31-1))
		}
	case pidDomainTag:
		var tag []byte
		if tag, f = readText(o, v); f == FaultNone && len(tag) > 0 {
			f = FaultTag
		}
	case pidLease:
		p.Lease, f = readDuration(o, v)
	case pidBuiltinEndpoints:
		p.Builtin, f = readU32(o, v)
	case pidManualLiveliness:
		var n uint32
		n, f = readU32(o, v)
		p.ManualLiveliness = int32(n)
	case pidUserData:
		p.UserData, f = readUserData(o, v)
	case pidEntityName:
		var name []byte
		name, f = readText(o, v)
		p.Name = string(name[:min(len(name), MaxName)])
	case pidIdentityToken:
		p.Secured = true
	case pidMetaUnicast:
		f = readLocator(o, v, &p.MetaUnicast)
	case pidMetaMulticast:
		f = readLocator(o, v, &p.MetaMulticast)
	case pidDefaultUnicast:
		f = readLocator(o, v, &p.Unicast)
	case pidDefaultMulticast:
		f = readLocator(o, v, &p.Multicast)
	default:
		f = unknown(pid)
	}
	return f
}

// AppendParticipant appends the payload with which p is announced over SPDP; Version and Vendor are ours.
func AppendParticipant(b []byte, p *ParticipantData) []byte {
	b = append(b, 0, plCDRLittle, 0, 0)
	b = append(put16(put16(b, pidVersion), 4), OurVersion[0], OurVersion[1], 0, 0)
	b = append(put16(put16(b, pidVendor), 4), OurVendor[0], OurVendor[1], 0, 0)
	b = paramGUID(b, pidParticipantGUID, p.GUID)
	b = paramU32(b, pidBuiltinEndpoints, p.Builtin)
	if p.Domain >= 0 {
		b = paramU32(b, pidDomain, uint32(p.Domain))
	}
	b = paramDuration(b, pidLease, p.Lease)
	b = paramLocators(b, pidMetaUnicast, &p.MetaUnicast)
	b = paramLocators(b, pidMetaMulticast, &p.MetaMulticast)
	b = paramLocators(b, pidDefaultUnicast, &p.Unicast)
	b = paramLocators(b, pidDefaultMulticast, &p.Multicast)
	if p.ManualLiveliness != 0 {
		b = paramU32(b, pidManualLiveliness, uint32(p.ManualLiveliness))
	}
	if len(p.UserData) > 0 {
		b = paramOctets(b, pidUserData, p.UserData[:min(len(p.UserData), MaxUserData)])
	}
	if p.Name != "" {
		b = paramText(b, pidEntityName, p.Name)
	}
	return put32(b, uint32(pidSentinel))
}

// Kinds of what ParticipantMessage says (9.6.2.1).
const (
	LivelinessAutomatic uint32 = 1 // for all writers whose liveliness is automatic
	LivelinessManual    uint32 = 2 // for all writers whose liveliness is manual by participant
)

// ParseLiveliness reads ParticipantMessage's payload: whose writers are alive, by their own word, and of which kind.
func ParseLiveliness(payload []byte) (p Prefix, kind uint32, err error) {
	const size = 4 + 12 + 4 + 4 // encapsulation, prefix, kind, length of the data that follows
	if len(payload) < size {
		return p, 0, fmt.Errorf("participant message of %d octets, expected %d or more: %w", len(payload), size, FaultPayload)
	}
	if payload[0] != 0 || payload[1] > plCDRLittle { // Fast DDS calls the same octets a parameter list
		return p, 0, fmt.Errorf("participant message, encapsulation 0x%02x%02x, expected 0x0000 to 0x0003: %w",
			payload[0], payload[1], FaultEncapsulation)
	}
	if _, f := readOctets(order(payload[1]&1 != 0), payload[20:]); f != FaultNone {
		return p, 0, fmt.Errorf("participant message, data: %w", f)
	}
	return Prefix(payload[4:]), order(false).u32(payload[16:]), nil // the kind is four octets in either order
}

// AppendLiveliness appends ParticipantMessage's payload.
func AppendLiveliness(b []byte, p Prefix, kind uint32) []byte {
	b = append(append(b, 0, cdrLittle, 0, 0), p[:]...)
	return put32(append(b, byte(kind>>24), byte(kind>>16), byte(kind>>8), byte(kind)), 0)
}
