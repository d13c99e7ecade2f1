package rtps

import (
	"net/netip"
	"time"
)

// Packet is a datagram under construction, little endian. The zero value is not ready: use NewPacket.
type Packet struct{ b []byte }

// NewPacket begins a datagram that claims to come from the participant.
func NewPacket(source Prefix) *Packet {
	b := append([]byte("RTPS"), 2, 3, 0x01, 0x10)
	return &Packet{append(b, source[:]...)}
}

// Bytes is the datagram so far.
func (p *Packet) Bytes() []byte { return p.b }

// Submessage appends any submessage; flags are without the one for the byte order.
func (p *Packet) Submessage(kind, flags byte, body []byte) *Packet {
	p.b = append(p.b, kind, flags|1)
	p.b = le.AppendUint16(p.b, uint16(len(body)))
	p.b = append(p.b, body...)
	return p
}

// To names the participant that the next submessages are for.
func (p *Packet) To(dest Prefix) *Packet { return p.Submessage(KindInfoDst, 0, dest[:]) }

// At gives the next submessages a time.
func (p *Packet) At(t time.Time) *Packet {
	b := le.AppendUint32(nil, uint32(t.Unix()))
	return p.Submessage(KindInfoTS, 0, le.AppendUint32(b, uint32((int64(t.Nanosecond())<<32)/1e9)))
}

func ids(reader, writer EntityID) []byte {
	return append(append([]byte{}, reader[:]...), writer[:]...)
}

func number(b []byte, n int64) []byte {
	b = le.AppendUint32(b, uint32(n>>32))
	return le.AppendUint32(b, uint32(n))
}

// Data appends a sample. inline is a list of parameters without its end, or nil. key says that the payload is a key.
func (p *Packet) Data(reader, writer EntityID, seq int64, inline, payload []byte, key bool) *Packet {
	b := append([]byte{0, 0, 16, 0}, ids(reader, writer)...)
	b = number(b, seq)
	var flags byte
	if inline != nil {
		flags |= 2
		b = append(b, inline...)
		b = append(b, 1, 0, 0, 0)
	}
	if payload != nil {
		if key {
			flags |= 8
		} else {
			flags |= 4
		}
		b = append(b, payload...)
	}
	return p.Submessage(KindData, flags, b)
}

// Dispose appends the end of what the key names: a participant or an endpoint.
func (p *Packet) Dispose(reader, writer EntityID, seq int64, pid uint16, key GUID) *Packet {
	inline := Param(nil, PIDStatusInfo, []byte{0, 0, 0, 3})
	inline = Param(inline, PIDKeyHash, key[:])
	payload := Param(append([]byte{}, PLCDRLittle...), pid, key[:])
	return p.Data(reader, writer, seq, inline, append(payload, 1, 0, 0, 0), true)
}

// Fragments appends some fragments of a sample: the first of them, counted from 1, how many, their size, and the size of
// the whole sample.
func (p *Packet) Fragments(reader, writer EntityID, seq int64, first uint32, count, size uint16, whole uint32, bytes []byte) *Packet {
	b := append([]byte{0, 0, 28, 0}, ids(reader, writer)...)
	b = number(b, seq)
	b = le.AppendUint32(b, first)
	b = le.AppendUint16(b, count)
	b = le.AppendUint16(b, size)
	b = le.AppendUint32(b, whole)
	return p.Submessage(KindDataFrag, 4, append(b, bytes...))
}

// Heartbeat appends what the writer has.
func (p *Packet) Heartbeat(reader, writer EntityID, first, last int64, count uint32, final bool) *Packet {
	b := number(number(ids(reader, writer), first), last)
	var flags byte
	if final {
		flags |= 2
	}
	return p.Submessage(KindHeartbeat, flags, le.AppendUint32(b, count))
}

// Gap appends that the numbers from start to before next are of no interest to the reader.
func (p *Packet) Gap(reader, writer EntityID, start, next int64) *Packet {
	b := number(number(ids(reader, writer), start), next)
	return p.Submessage(KindGap, 0, le.AppendUint32(b, 0))
}

// AckNack appends that the reader has all before base, and misses base and those after it that the bits say, the highest
// bit first. Final means that no heartbeat is asked for.
func (p *Packet) AckNack(reader, writer EntityID, base int64, bits uint32, missing []uint32, count uint32, final bool) *Packet {
	b := le.AppendUint32(number(ids(reader, writer), base), bits)
	for _, m := range missing {
		b = le.AppendUint32(b, m)
	}
	var flags byte
	if final {
		flags |= 2
	}
	return p.Submessage(KindAckNack, flags, le.AppendUint32(b, count))
}

// Of makes the packet one of that vendor's.
func (p *Packet) Of(vendor [2]byte) *Packet {
	copy(p.b[6:], vendor[:])
	return p
}

// Participant is what SPDP says.
type Participant struct {
	Prefix Prefix
	// Vendor is whose implementation it says to be.
	Vendor [2]byte
	// Meta and User are where it says that it listens.
	Meta, User netip.AddrPort
	Lease      time.Duration
	UserData   string
}

// Payload is the announcement.
func (a Participant) Payload() []byte {
	b := append([]byte{}, PLCDRLittle...)
	b = Param(b, PIDVersion, []byte{2, 3})
	b = Param(b, PIDVendor, a.Vendor[:])
	g := a.Prefix.GUID(ParticipantEntity)
	b = Param(b, PIDParticipantGUID, g[:])
	b = Param(b, PIDBuiltin, []byte{0x3f, 0, 0, 0})
	b = Param(b, PIDLease, le.AppendUint32(le.AppendUint32(nil, uint32(a.Lease/time.Second)), 0))
	b = Param(b, PIDMetatrafficUnicast, Locator(a.Meta))
	b = Param(b, PIDDefaultUnicast, Locator(a.User))
	if a.UserData != "" {
		b = Param(b, PIDUserData, append(le.AppendUint32(nil, uint32(len(a.UserData))), a.UserData...))
	}
	return append(b, 1, 0, 0, 0)
}

// Announce is the whole datagram.
func (a Participant) Announce(seq int64) []byte {
	return NewPacket(a.Prefix).Of(a.Vendor).At(time.Now()).Data(Unknown, ParticipantWriter, seq, nil, a.Payload(), false).Bytes()
}

// Endpoint is what SEDP says.
type Endpoint struct {
	GUID           GUID
	Topic, Type    string
	Reliable, Keep bool // Keep is transient-local
	UserData       string
}

// Payload is the announcement.
func (e Endpoint) Payload() []byte {
	b := append([]byte{}, PLCDRLittle...)
	b = Param(b, PIDEndpointGUID, e.GUID[:])
	participant := e.GUID.Prefix().GUID(ParticipantEntity)
	b = Param(b, PIDParticipantGUID, participant[:])
	b = Param(b, PIDTopic, Text(e.Topic))
	b = Param(b, PIDType, Text(e.Type))
	kind := uint32(1)
	if e.Reliable {
		kind = 2
	}
	b = Param(b, PIDReliability, le.AppendUint64(le.AppendUint32(nil, kind), 0))
	if e.Keep {
		b = Param(b, PIDDurability, []byte{1, 0, 0, 0})
	}
	if e.UserData != "" {
		b = Param(b, PIDUserData, append(le.AppendUint32(nil, uint32(len(e.UserData))), e.UserData...))
	}
	return append(b, 1, 0, 0, 0)
}

// Raw is a datagram of any bytes.
func Raw(b []byte) *Packet { return &Packet{b} }
