package wire

const (
	headerSize    = 20 // magic, version, vendor, prefix
	subHeaderSize = 4  // kind, flags, octetsToNextHeader

	// MaxDatagram is the largest datagram that UDP over IPv4 carries.
	MaxDatagram = 65507
)

// Kind is a submessage's kind (table 9.5).
type Kind uint8

// The kinds that Next hands out. INFO_SRC, INFO_DST and INFO_TS change the Message; all others are passed over:
// INFO_REPLY on purpose, for it tells where to send answers to, which would make us a reflector.
const (
	AckNack       Kind = 0x06
	Heartbeat     Kind = 0x07
	Gap           Kind = 0x08
	NackFrag      Kind = 0x12
	HeartbeatFrag Kind = 0x13
	Data          Kind = 0x15
	DataFrag      Kind = 0x16
)

const (
	kindPad     Kind = 0x01
	kindInfoTS  Kind = 0x09
	kindInfoSrc Kind = 0x0c
	kindInfoDst Kind = 0x0e
)

const flagLittle = 0x01 // in every submessage

// String is the kind's name in the specification.
func (k Kind) String() string {
	switch k {
	case AckNack:
		return "ACKNACK"
	case Heartbeat:
		return "HEARTBEAT"
	case Gap:
		return "GAP"
	case NackFrag:
		return "NACK_FRAG"
	case HeartbeatFrag:
		return "HEARTBEAT_FRAG"
	case Data:
		return "DATA"
	case DataFrag:
		return "DATA_FRAG"
	default:
		return "other"
	}
}

// Submessage is one submessage that concerns a reader or a writer. Which fields count depends on its kind; the others
// are zero. Payload points into the datagram.
type Submessage struct {
	Kind           Kind
	Reader, Writer EntityID
	Seq            SeqNum // Data, DataFrag, HeartbeatFrag, NackFrag: the sample; Gap: where it starts

	// Data: the serialised payload with the 4 octets of its encapsulation; DataFrag: the fragments' octets, exactly.
	Payload    []byte
	HasPayload bool
	Key        bool // the payload is a serialised key, as it comes with a dispose

	// Data and DataFrag, from the inline QoS.
	Dispose, Unregister bool
	KeyHash             [16]byte
	HasKeyHash          bool
	Related             GUID // the request that a sample answers, or the reader that wants the answer
	RelatedSeq          SeqNum
	HasRelated          bool

	// DataFrag: fragments FirstFrag to FirstFrag+Frags-1 of FragSize octets each (the last may be shorter) of a sample
	// of SampleSize octets; that they lie within it has been checked.
	FirstFrag  uint32
	Frags      uint16
	FragSize   uint16
	SampleSize uint32

	// Heartbeat: what the writer has, Last = First-1 for nothing. HeartbeatFrag: FragLast is the last fragment it has.
	First, Last SeqNum
	FragLast    uint32
	Count       int32 // Heartbeat, HeartbeatFrag, AckNack, NackFrag
	Final       bool  // Heartbeat: no answer is needed; AckNack: no heartbeat is needed
	Liveliness  bool  // Heartbeat: the writer asserts its liveliness

	// AckNack: all below Set.Base are there, those in Set are missing; a reader that knows nothing yet sends Base 0.
	// Gap: Seq to Set.Base-1 and those in Set are irrelevant. The range may be empty, or of any length.
	Set     SeqSet
	FragSet FragSet // NackFrag
}

// Message walks the submessages of one datagram and keeps the receiver's state of the specification's 8.3.4. The zero
// value is ready; Reset takes a datagram. It keeps a reference to the datagram until the next Reset.
type Message struct {
	Version, Vendor [2]byte
	Sender          Prefix // the header's prefix: who sent the datagram, by its own claim
	Source          Prefix // whose submessages these are: Sender, unless an INFO_SRC named somebody else
	Dest            Prefix // whom they are for
	HasDest         bool   // false: for everybody
	Stamp           Time   // the source's time
	HasStamp        bool

	rest []byte
}

// Reset starts with a datagram. An error says that it is none of RTPS 2.
func (m *Message) Reset(datagram []byte) error {
	*m = Message{}
	if len(datagram) < headerSize || string(datagram[:4]) != "RTPS" {
		return FaultHeader
	}
	if datagram[4] != 2 {
		return FaultVersion
	}
	m.Version, m.Vendor = [2]byte(datagram[4:]), [2]byte(datagram[6:])
	m.Sender = Prefix(datagram[8:])
	m.Source = m.Sender
	m.rest = datagram[headerSize:]
	return nil
}

// Next reads on to the next submessage that concerns a reader or a writer. At the datagram's end ok is false. An error,
// which is always a Fault, ends the walk: what follows a malformed submessage is not to be believed (8.3.4.1).
func (m *Message) Next(s *Submessage) (ok bool, err error) {
	for len(m.rest) > 0 {
		kind, flags, body, f := m.cut()
		if f == FaultNone {
			ok, f = m.take(s, kind, flags, body)
		}
		if f != FaultNone {
			m.rest = nil
			return false, f
		}
		if ok {
			return true, nil
		}
	}
	return false, nil
}

// cut takes the next submessage off the rest. A length of 0 means "to the datagram's end", except for the two kinds that
// may have no body (9.4.5.1.3).
func (m *Message) cut() (kind Kind, flags byte, body []byte, f Fault) {
	b := m.rest
	if len(b) < subHeaderSize {
		return 0, 0, nil, FaultCut
	}
	kind, flags = Kind(b[0]), b[1]
	n := int(order(flags&flagLittle != 0).u16(b[2:]))
	b = b[subHeaderSize:]
	if n == 0 && kind != kindPad && kind != kindInfoTS {
		n = len(b)
	}
	if n > len(b) {
		return 0, 0, nil, FaultCut
	}
	m.rest = b[n:]
	return kind, flags, b[:n], FaultNone
}

// take handles one submessage; ok tells that it is one for the caller.
func (m *Message) take(s *Submessage, kind Kind, flags byte, body []byte) (ok bool, f Fault) {
	o := order(flags&flagLittle != 0)
	switch kind {
	case kindInfoTS:
		return false, m.infoTS(o, flags, body)
	case kindInfoSrc:
		return false, m.infoSrc(body)
	case kindInfoDst:
		return false, m.infoDst(body)
	case AckNack, Heartbeat, Gap, NackFrag, HeartbeatFrag, Data, DataFrag:
	default:
		return false, FaultNone
	}
	*s = Submessage{Kind: kind}
	switch kind {
	case Data, DataFrag:
		return s.readData(o, flags, m.Vendor, body)
	case Heartbeat:
		f = s.readHeartbeat(o, flags, body)
	case Gap:
		f = s.readGap(o, body)
	case AckNack:
		f = s.readAckNack(o, flags, body)
	case HeartbeatFrag:
		f = s.readHeartbeatFrag(o, body)
	default:
		f = s.readNackFrag(o, body)
	}
	return f == FaultNone, f
}

func (m *Message) infoTS(o order, flags byte, b []byte) Fault {
	const invalidate = 0x02
	if flags&invalidate != 0 {
		m.Stamp, m.HasStamp = Time{}, false
		return FaultNone
	}
	if len(b) < 8 {
		return FaultTime
	}
	m.Stamp = Time{o.i32(b), o.u32(b[4:])}
	m.HasStamp = m.Stamp != Time{-1, 0xffffffff} // TIME_INVALID
	return FaultNone
}

func (m *Message) infoSrc(b []byte) Fault {
	if len(b) < 20 {
		return FaultCut
	}
	if b[4] != 2 {
		return FaultVersion
	}
	m.Version, m.Vendor, m.Source = [2]byte(b[4:]), [2]byte(b[6:]), Prefix(b[8:])
	m.Stamp, m.HasStamp = Time{}, false
	return FaultNone
}

func (m *Message) infoDst(b []byte) Fault {
	if len(b) < len(Prefix{}) {
		return FaultCut
	}
	m.Dest = Prefix(b)
	m.HasDest = m.Dest != Prefix{}
	return FaultNone
}
