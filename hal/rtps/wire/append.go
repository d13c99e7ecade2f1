package wire

// Ours are the protocol version and vendor that this implementation writes. The vendor is none that the OMG has assigned,
// so that no peer works around another vendor's habits with us.
var (
	OurVersion = [2]byte{2, 3}
	OurVendor  = [2]byte{0x01, 0x7e}
)

// Status bits of a sample that is no data (9.6.3.9).
const (
	StatusDisposed     uint32 = 1
	StatusUnregistered uint32 = 2
)

// begin starts a submessage in little endian; end fills in its length, counted from at.
func begin(b []byte, kind Kind, flags byte) []byte {
	return append(b, byte(kind), flags|flagLittle, 0, 0)
}

func end(b []byte, at int) []byte {
	b = pad(b, at)
	n := len(b) - at - subHeaderSize
	b[at+2], b[at+3] = byte(n), byte(n>>8)
	return b
}

// AppendHeader starts a datagram of the participant p.
func AppendHeader(b []byte, p Prefix) []byte {
	b = append(b, 'R', 'T', 'P', 'S', OurVersion[0], OurVersion[1], OurVendor[0], OurVendor[1])
	return append(b, p[:]...)
}

// AppendInfoDst says that what follows is for the participant p only.
func AppendInfoDst(b []byte, p Prefix) []byte {
	at := len(b)
	return end(append(begin(b, kindInfoDst, 0), p[:]...), at)
}

// AppendInfoTS says that what follows was made at t.
func AppendInfoTS(b []byte, t Time) []byte {
	at := len(b)
	return end(put32(put32(begin(b, kindInfoTS, 0), uint32(t.Seconds)), t.Fraction), at)
}

// beginData writes DATA's fixed part.
func beginData(b []byte, flags byte, reader, writer EntityID, seq SeqNum) []byte {
	b = append(begin(b, Data, flags), 0, 0, 16, 0)
	b = append(append(b, reader[:]...), writer[:]...)
	return putSeq(b, seq)
}

// AppendData appends a sample; payload starts with its encapsulation. The caller keeps to MaxDatagram in all.
func AppendData(b []byte, reader, writer EntityID, seq SeqNum, payload []byte) []byte {
	at := len(b)
	return end(append(beginData(b, 0x04, reader, writer, seq), payload...), at)
}

// AppendDataRelated is AppendData for a request or an answer between a client and a service: rmw_fastrtps tells them apart
// by the identity of a sample in the inline QoS, in its own and in the standard's form.
func AppendDataRelated(b []byte, reader, writer EntityID, seq SeqNum, of GUID, ofSeq SeqNum, payload []byte) []byte {
	at := len(b)
	b = beginData(b, 0x02|0x04, reader, writer, seq)
	for _, pid := range [...]uint16{pidRelatedFast, pidRelated} {
		b = put16(put16(b, pid), 24)
		b = putSeq(putGUID(b, of), ofSeq)
	}
	return end(append(put32(b, uint32(pidSentinel)), payload...), at)
}

// AppendDispose tells that the instance that key names is gone: status is the sum of StatusDisposed and
// StatusUnregistered. The payload is the key in the form that the writer's topic has.
func AppendDispose(b []byte, reader, writer EntityID, seq SeqNum, key GUID, status uint32) []byte {
	at := len(b)
	b = beginData(b, 0x02|0x08, reader, writer, seq)
	b = putGUID(put16(put16(b, pidKeyHash), 16), key)
	b = append(put16(put16(b, pidStatusInfo), 4), byte(status>>24), byte(status>>16), byte(status>>8), byte(status))
	b = put32(b, uint32(pidSentinel))
	switch writer {
	case EntitySPDPWriter:
		b = putGUID(put16(put16(append(b, 0, plCDRLittle, 0, 0), pidParticipantGUID), 16), key)
		b = put32(b, uint32(pidSentinel))
	case EntitySEDPPubWriter, EntitySEDPSubWriter:
		b = putGUID(put16(put16(append(b, 0, plCDRLittle, 0, 0), pidEndpointGUID), 16), key)
		b = put32(b, uint32(pidSentinel))
	default:
		b = putGUID(append(b, 0, cdrLittle, 0, 0), key)
	}
	return end(b, at)
}

// AppendDataFrag appends count fragments from first on, each of size octets, of a sample of sampleSize octets.
func AppendDataFrag(
	b []byte, reader, writer EntityID, seq SeqNum, first uint32, count, size uint16, sampleSize uint32, octets []byte,
) []byte {
	at := len(b)
	b = append(begin(b, DataFrag, 0), 0, 0, 28, 0)
	b = append(append(b, reader[:]...), writer[:]...)
	b = put32(put16(put16(put32(putSeq(b, seq), first), count), size), sampleSize)
	return end(append(b, octets...), at)
}

// AppendHeartbeat tells which samples the writer has, last = first-1 for none; final: no answer is needed.
func AppendHeartbeat(b []byte, reader, writer EntityID, first, last SeqNum, count int32, final, liveliness bool) []byte {
	at := len(b)
	b = begin(b, Heartbeat, flagIf(final, 0x02)|flagIf(liveliness, 0x04))
	b = append(append(b, reader[:]...), writer[:]...)
	return end(put32(putSeq(putSeq(b, first), last), uint32(count)), at)
}

// AppendHeartbeatFrag tells that the writer has the sample's fragments up to last.
func AppendHeartbeatFrag(b []byte, reader, writer EntityID, seq SeqNum, last uint32, count int32) []byte {
	at := len(b)
	b = begin(b, HeartbeatFrag, 0)
	b = append(append(b, reader[:]...), writer[:]...)
	return end(put32(put32(putSeq(b, seq), last), uint32(count)), at)
}

// AppendGap tells that the samples from start to set.Base-1 and those in set will not come.
func AppendGap(b []byte, reader, writer EntityID, start SeqNum, set *SeqSet) []byte {
	at := len(b)
	b = begin(b, Gap, 0)
	b = append(append(b, reader[:]...), writer[:]...)
	return end(putBits(putSeq(putSeq(b, start), set.Base), set.Bits, &set.Map), at)
}

// AppendAckNack tells that all below set.Base are there and those in set are missing; final: no heartbeat is needed.
func AppendAckNack(b []byte, reader, writer EntityID, set *SeqSet, count int32, final bool) []byte {
	at := len(b)
	b = begin(b, AckNack, flagIf(final, 0x02))
	b = append(append(b, reader[:]...), writer[:]...)
	return end(put32(putBits(putSeq(b, set.Base), set.Bits, &set.Map), uint32(count)), at)
}

// AppendNackFrag tells that fragments of a sample are missing.
func AppendNackFrag(b []byte, reader, writer EntityID, seq SeqNum, set *FragSet, count int32) []byte {
	at := len(b)
	b = begin(b, NackFrag, 0)
	b = append(append(b, reader[:]...), writer[:]...)
	return end(put32(putBits(put32(putSeq(b, seq), set.Base), set.Bits, &set.Map), uint32(count)), at)
}

func flagIf(on bool, bit byte) byte {
	if on {
		return bit
	}
	return 0
}

func putGUID(b []byte, g GUID) []byte { return append(append(b, g.Prefix[:]...), g.Entity[:]...) }
