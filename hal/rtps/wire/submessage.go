package wire

const entities = 8 // reader and writer

// readEntities reads the two entities; the rest of the body follows.
func (s *Submessage) readEntities(b []byte, size int) Fault {
	if len(b) < size {
		return FaultCut
	}
	s.Reader, s.Writer = EntityID(b), EntityID(b[4:])
	return FaultNone
}

// valid tells whether n can be a sample's number.
func (n SeqNum) valid() bool { return n >= 1 && n <= MaxSeqNum }

// readData reads DATA and DATA_FRAG. A DATA that cannot be understood, since its payload is in a form of the sender's own
// (N flag) or its inline QoS asks for more than is known here, takes its number but has nothing in it: to a reliable
// writer it counts as heard. Such a DATA_FRAG is passed over.
func (s *Submessage) readData(o order, flags byte, vendor [2]byte, b []byte) (ok bool, f Fault) {
	const (
		flagInline, flagData, flagKey, flagOwnForm = 0x02, 0x04, 0x08, 0x10 // DATA
		fragKey, fragOwnForm                       = 0x04, 0x08             // DATA_FRAG
		fixed, fixedFrag                           = 16, 28                 // after octetsToInlineQos
	)
	size, opaque := fixed, flags&flagOwnForm != 0
	s.HasPayload, s.Key = flags&(flagData|flagKey) != 0, flags&flagKey != 0
	if s.Kind == DataFrag {
		size, opaque = fixedFrag, flags&fragOwnForm != 0
		s.HasPayload, s.Key = true, flags&fragKey != 0
	} else if flags&flagData != 0 && flags&flagKey != 0 {
		return false, FaultFlags
	}
	if len(b) < 4+size {
		return false, FaultCut
	}
	offset := int(o.u16(b[2:]))
	b = b[4:]
	if offset < size || offset > len(b) {
		return false, FaultInlineOffset
	}
	s.Reader, s.Writer, s.Seq = EntityID(b), EntityID(b[4:]), o.seq(b[8:])
	if !s.Seq.valid() {
		return false, FaultSequence
	}
	rest := b[offset:]
	if flags&flagInline != 0 {
		var alien bool
		if rest, alien, f = s.readInline(o, vendor, rest); f != FaultNone {
			return false, f
		}
		opaque = opaque || alien
	}
	switch {
	case s.Kind == DataFrag:
		f = s.readFragment(o, b[16:fixedFrag], rest)
		return f == FaultNone && !opaque, f
	case opaque:
		*s = Submessage{Kind: s.Kind, Reader: s.Reader, Writer: s.Writer, Seq: s.Seq}
	case s.HasPayload && len(rest) < 4:
		return false, FaultPayload
	case s.HasPayload:
		s.Payload = rest
	}
	return true, FaultNone
}

// readFragment checks that the fragments lie within the sample and cuts the payload to them.
func (s *Submessage) readFragment(o order, head, rest []byte) Fault {
	s.FirstFrag, s.Frags, s.FragSize, s.SampleSize = o.u32(head), o.u16(head[4:]), o.u16(head[6:]), o.u32(head[8:])
	if s.FirstFrag == 0 || s.Frags == 0 || s.FragSize == 0 || s.SampleSize == 0 {
		return FaultRange
	}
	size, sample := uint64(s.FragSize), uint64(s.SampleSize)
	start := uint64(s.FirstFrag-1) * size
	if start >= sample || start+uint64(s.Frags-1)*size >= sample {
		return FaultRange
	}
	n := min(uint64(s.Frags)*size, sample-start)
	if n > uint64(len(rest)) {
		return FaultCut
	}
	s.Payload = rest[:n]
	return FaultNone
}

func (s *Submessage) readHeartbeat(o order, flags byte, b []byte) Fault {
	const final, liveliness = 0x02, 0x04
	if f := s.readEntities(b, entities+20); f != FaultNone {
		return f
	}
	s.First, s.Last, s.Count = o.seq(b[8:]), o.seq(b[16:]), o.i32(b[24:])
	s.Final, s.Liveliness = flags&final != 0, flags&liveliness != 0
	if !s.First.valid() || s.Last < 0 || s.Last > MaxSeqNum {
		return FaultSequence
	}
	if s.Last < s.First-1 {
		return FaultRange
	}
	return FaultNone
}

func (s *Submessage) readGap(o order, b []byte) Fault {
	if f := s.readEntities(b, entities+8); f != FaultNone {
		return f
	}
	if s.Seq = o.seq(b[8:]); !s.Seq.valid() {
		return FaultSequence
	}
	_, f := s.readSeqSet(o, b[16:])
	if f == FaultNone && s.Set.Base < 1 {
		return FaultSet
	}
	return f
}

func (s *Submessage) readAckNack(o order, flags byte, b []byte) Fault {
	const final = 0x02
	if f := s.readEntities(b, entities); f != FaultNone {
		return f
	}
	b = b[entities:]
	n, f := s.readSeqSet(o, b)
	if f != FaultNone {
		return f
	}
	if len(b) < n+4 {
		return FaultCut
	}
	s.Count, s.Final = o.i32(b[n:]), flags&final != 0
	return FaultNone
}

// readSeqSet reads Set; a base of 0 is taken with no bits only, as the first ACKNACK of some readers has it.
func (s *Submessage) readSeqSet(o order, b []byte) (n int, f Fault) {
	if len(b) < 8 {
		return 0, FaultCut
	}
	s.Set.Base = o.seq(b)
	s.Set.Bits, n, f = readBits(o, b[8:], &s.Set.Map)
	if f != FaultNone {
		return 0, f
	}
	if s.Set.Base < 0 || s.Set.Base > MaxSeqNum || s.Set.Base == 0 && s.Set.Bits > 0 {
		return 0, FaultSet
	}
	return 8 + n, FaultNone
}

func (s *Submessage) readHeartbeatFrag(o order, b []byte) Fault {
	if f := s.readEntities(b, entities+16); f != FaultNone {
		return f
	}
	s.Seq, s.FragLast, s.Count = o.seq(b[8:]), o.u32(b[16:]), o.i32(b[20:])
	if !s.Seq.valid() {
		return FaultSequence
	}
	if s.FragLast == 0 {
		return FaultRange
	}
	return FaultNone
}

func (s *Submessage) readNackFrag(o order, b []byte) Fault {
	if f := s.readEntities(b, entities+12); f != FaultNone {
		return f
	}
	s.Seq, s.FragSet.Base = o.seq(b[8:]), o.u32(b[16:])
	if !s.Seq.valid() {
		return FaultSequence
	}
	var n int
	var f Fault
	if s.FragSet.Bits, n, f = readBits(o, b[20:], &s.FragSet.Map); f != FaultNone {
		return f
	}
	if s.FragSet.Base == 0 || s.FragSet.Base > ^uint32(0)-MaxSetBits {
		return FaultSet
	}
	if len(b) < 20+n+4 {
		return FaultCut
	}
	s.Count = o.i32(b[20+n:])
	return FaultNone
}
