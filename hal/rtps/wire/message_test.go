package wire

import (
	"encoding/binary"
	"errors"
	"testing"
	"time"
)

// walk reads a whole datagram; n counts the submessages that were handed out.
func walk(b []byte) (n int, err error) {
	var m Message
	if err = m.Reset(b); err != nil {
		return 0, err
	}
	var s Submessage
	for {
		ok, err := m.Next(&s)
		if err != nil || !ok {
			return n, err
		}
		n++
	}
}

// TestMalformed: each fault in a datagram is named, and the same datagram without it is sound.
func TestMalformed(t *testing.T) {
	sound := map[string][]byte{}
	for _, s := range specimens() {
		e := newEnc(binary.LittleEndian, testPrefix)
		s.write(e)
		sound[s.name] = e.b
		if n, err := walk(e.b); n != 1 || err != nil {
			t.Fatalf("%s without a fault: %d submessages, %v", s.name, n, err)
		}
	}
	const body = headerSize + subHeaderSize
	set := func(at int, v ...byte) func([]byte) []byte {
		return func(b []byte) []byte { copy(b[at:], v); return b }
	}
	cut := func(n int) func([]byte) []byte {
		return func(b []byte) []byte {
			b = b[:len(b)-n]
			binary.LittleEndian.PutUint16(b[headerSize+2:], uint16(len(b)-body))
			return b
		}
	}
	for _, c := range []struct {
		fault, of string
		make      func([]byte) []byte
		want      Fault
	}{
		{"empty datagram", "DATA", func([]byte) []byte { return nil }, FaultHeader},
		{"header cut", "DATA", func(b []byte) []byte { return b[:19] }, FaultHeader},
		{"other magic", "DATA", set(3, 'X'), FaultHeader},
		{"major version 1", "DATA", set(4, 1), FaultVersion},
		{"major version 3", "DATA", set(4, 3), FaultVersion},
		{"submessage header cut", "DATA", func(b []byte) []byte { return append(b, 0x15, 1, 0) }, FaultCut},
		{"length beyond the datagram", "DATA", set(headerSize+2, 0xff, 0xff), FaultCut},
		{"length in the other order", "DATA", set(headerSize+1, 4), FaultCut},
		{"DATA shorter than its fixed part", "DATA without payload", cut(1), FaultCut},
		{"DATA with data and key", "DATA", set(headerSize+1, 1|4|8), FaultFlags},
		{"DATA, inline QoS within the head", "DATA", set(body+2, 15), FaultInlineOffset},
		{"DATA, inline QoS behind the end", "DATA", set(body+2, 0, 4), FaultInlineOffset},
		{"DATA, payload without encapsulation", "DATA", cut(9), FaultPayload},
		{"DATA, sequence number 0", "DATA", set(body+12, make([]byte, 8)...), FaultSequence},
		{"DATA, negative sequence number", "DATA", set(body+15, 0x80), FaultSequence},
		{"DATA, sequence number unknown", "DATA", set(body+12, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0), FaultSequence},
		{"DATA, sequence number above 2^62", "DATA", set(body+12, 0, 0, 0, 0x40, 1, 0, 0, 0), FaultSequence},
		{"inline QoS without sentinel", "DATA that disposes", set(body+20+20+8, 0x72), FaultCut},
		{"inline QoS cut off", "DATA that disposes", cut(24), FaultSentinel},
		{"inline QoS, key hash too short", "DATA that disposes", set(body+22, 12), FaultLength},
		{"inline QoS, odd length", "DATA that disposes", set(body+22, 15), FaultLength},
		{"inline QoS, status without octets", "DATA that disposes", set(body+20+20+2, 0), FaultLength},
		{"inline QoS, extended parameter", "DATA that disposes", set(body+20, 1, 0x3f), FaultLength},
		{"inline QoS, length beyond the submessage", "DATA that disposes", set(body+22, 0xfc, 0xff), FaultCut},
		{"inline QoS, related sample too short", "DATA that answers", set(body+22, 20), FaultLength},
		{"DATA_FRAG shorter than its fixed part", "DATA_FRAG", cut(13), FaultCut},
		{"DATA_FRAG, inline QoS within the head", "DATA_FRAG", set(body+2, 24), FaultInlineOffset},
		{"DATA_FRAG from fragment 0", "DATA_FRAG", set(body+20, 0), FaultRange},
		{"DATA_FRAG of no fragments", "DATA_FRAG", set(body+24, 0), FaultRange},
		{"DATA_FRAG of size 0", "DATA_FRAG", set(body+26, 0), FaultRange},
		{"DATA_FRAG of an empty sample", "DATA_FRAG", set(body+28, 0), FaultRange},
		{"DATA_FRAG behind the sample", "DATA_FRAG", set(body+20, 4), FaultRange},
		{"DATA_FRAG that ends behind the sample", "DATA_FRAG", set(body+24, 3), FaultRange},
		{"DATA_FRAG right behind the sample", "DATA_FRAG", set(body+20, 3, 0, 0, 0, 1, 0, 7), FaultRange},
		{"DATA_FRAG whose last is right behind the sample", "DATA_FRAG", set(body+20, 2, 0, 0, 0, 2, 0, 7), FaultRange},
		{"DATA_FRAG of no fragments of a large sample", "DATA_FRAG", set(body+24, 0, 0, 5, 0, 0, 0, 0, 0x7f), FaultRange},
		{"DATA_FRAG, start overflows", "DATA_FRAG", set(body+20, 0xff, 0xff, 0xff, 0xff), FaultRange},
		{"DATA_FRAG with fewer octets than its fragments", "DATA_FRAG", cut(4), FaultCut},
		{"DATA_FRAG, sequence number 0", "DATA_FRAG", set(body+12, make([]byte, 8)...), FaultSequence},
		{"HEARTBEAT cut", "HEARTBEAT", cut(1), FaultCut},
		{"HEARTBEAT from 0", "HEARTBEAT", set(body+12, 0), FaultSequence},
		{"HEARTBEAT to a negative number", "HEARTBEAT", set(body+19, 0x80), FaultSequence},
		{"HEARTBEAT above 2^62", "HEARTBEAT", set(body+19, 0x50), FaultSequence},
		{"HEARTBEAT that ends before it begins", "HEARTBEAT of an empty history", set(body+20, 7), FaultRange},
		{"HEARTBEAT_FRAG cut", "HEARTBEAT_FRAG", cut(1), FaultCut},
		{"HEARTBEAT_FRAG of sample 0", "HEARTBEAT_FRAG", set(body+8, make([]byte, 8)...), FaultSequence},
		{"HEARTBEAT_FRAG to fragment 0", "HEARTBEAT_FRAG", set(body+16, 0), FaultRange},
		{"GAP cut in its head", "GAP", cut(21), FaultCut},
		{"GAP cut in its set", "GAP", cut(9), FaultCut},
		{"GAP cut in its base", "GAP", cut(16), FaultCut},
		{"GAP cut in its bits", "GAP", cut(1), FaultCut},
		{"GAP from 0", "GAP", set(body+8, make([]byte, 8)...), FaultSequence},
		{"GAP to 0", "GAP", set(body+16, 0, 0, 0, 0, 0, 0, 0, 0, 0), FaultSet},
		{"GAP to a negative number", "GAP", set(body+19, 0x80), FaultSet},
		{"GAP of 257 bits", "GAP", set(body+24, 1, 1), FaultSet},
		{"GAP of 2^32-1 bits", "GAP", set(body+24, 0xff, 0xff, 0xff, 0xff), FaultSet},
		{"ACKNACK cut in its head", "ACKNACK", cut(25), FaultCut},
		{"ACKNACK without count", "ACKNACK", cut(1), FaultCut},
		{"ACKNACK of 257 bits", "ACKNACK", set(body+16, 1, 1), FaultSet},
		{"ACKNACK with bits from 0", "ACKNACK", set(body+8, make([]byte, 8)...), FaultSet},
		{"ACKNACK from a negative number", "ACKNACK", set(body+11, 0xff), FaultSet},
		{"ACKNACK above 2^62", "ACKNACK", set(body+11, 0x7f), FaultSet},
		{"NACK_FRAG cut in its head", "NACK_FRAG", cut(13), FaultCut},
		{"NACK_FRAG without count", "NACK_FRAG", cut(1), FaultCut},
		{"NACK_FRAG of sample 0", "NACK_FRAG", set(body+8, make([]byte, 8)...), FaultSequence},
		{"NACK_FRAG from fragment 0", "NACK_FRAG", set(body+16, 0), FaultSet},
		{"NACK_FRAG that overflows", "NACK_FRAG", set(body+16, 0xff, 0xff, 0xff, 0xff), FaultSet},
		{"NACK_FRAG of 257 bits", "NACK_FRAG", set(body+20, 1, 1), FaultSet},
		{"INFO_TS without time", "DATA", func(b []byte) []byte { return append(b, 9, 1, 0, 0) }, FaultTime},
		{"INFO_TS with half a time", "DATA", func(b []byte) []byte { return append(b, 9, 1, 4, 0, 1, 2, 3, 4) }, FaultTime},
		{"INFO_DST cut", "DATA", func(b []byte) []byte { return append(b, 0x0e, 1, 4, 0, 1, 2, 3, 4) }, FaultCut},
		{"INFO_SRC cut", "DATA", func(b []byte) []byte { return append(b, 0x0c, 1, 4, 0, 1, 2, 3, 4) }, FaultCut},
		{"INFO_SRC of version 1", "DATA", func(b []byte) []byte {
			return append(b, append([]byte{0x0c, 1, 20, 0, 0, 0, 0, 0, 1}, make([]byte, 15)...)...)
		}, FaultVersion},
	} {
		t.Run(c.fault, func(t *testing.T) {
			n, err := walk(c.make(append([]byte(nil), sound[c.of]...)))
			if !errors.Is(err, c.want) {
				t.Errorf("%d submessages, %v; expected %v", n, err, c.want)
			}
		})
	}
}

// TestReceiverState: what INFO_… say holds for what follows, as the specification's 8.3.7 has it.
func TestReceiverState(t *testing.T) {
	other, stamp := Prefix{0xaa}, TimeOf(1_700_000_000_123_456_789)
	beat := func(e *enc) { e.sub(Heartbeat, 0, func(e *enc) { e.ids().seq(1).seq(1).u32(1) }) }
	for name, o := range testOrders {
		t.Run(name, func(t *testing.T) {
			e := newEnc(o, testPrefix)
			beat(e)
			e.sub(kindInfoDst, 0, func(e *enc) { e.raw(other[:]...) })
			e.sub(kindInfoTS, 0, func(e *enc) { e.u32(uint32(stamp.Seconds), stamp.Fraction) })
			beat(e)
			e.sub(kindInfoSrc, 0, func(e *enc) { e.u32(0).raw(2, 1, 1, 0x0f).raw(other[:]...) })
			beat(e)
			e.sub(kindInfoDst, 0, func(e *enc) { e.raw(make([]byte, 12)...) })
			e.sub(kindInfoTS, 0, func(e *enc) { e.u32(uint32(stamp.Seconds), stamp.Fraction) })
			e.sub(kindInfoTS, 2, func(*enc) {})
			beat(e)
			e.sub(kindInfoTS, 0, func(e *enc) { e.u32(0xffffffff, 0xffffffff) })
			e.sub(kindPad, 0, func(*enc) {})
			e.sub(0x80, 0, func(e *enc) { e.u32(1, 2, 3) })
			e.sub(0x0d, 0, func(e *enc) { e.u32(1, 2, 3) })
			beat(e)
			var m Message
			if err := m.Reset(e.b); err != nil {
				t.Fatal(err)
			}
			for i, want := range []Message{
				{Source: testPrefix},
				{Source: testPrefix, Dest: other, HasDest: true, Stamp: stamp, HasStamp: true},
				{Source: other, Dest: other, HasDest: true},
				{Source: other},
				{Source: other, Stamp: Time{-1, 0xffffffff}},
			} {
				var s Submessage
				if ok, err := m.Next(&s); !ok || err != nil {
					t.Fatalf("submessage %d: %v %v", i, ok, err)
				}
				if m.Sender != testPrefix || m.Source != want.Source || m.Dest != want.Dest || m.HasDest != want.HasDest ||
					m.Stamp != want.Stamp || m.HasStamp != want.HasStamp {
					t.Errorf("submessage %d: %+v, expected %+v", i, m, want)
				}
			}
			if m.Version != [2]byte{2, 1} || m.Vendor != vendorFast {
				t.Errorf("version %v, vendor %x", m.Version, m.Vendor)
			}
		})
	}
}

// TestLengthZero: a length of 0 reaches to the end of the datagram, except in PAD and INFO_TS.
func TestLengthZero(t *testing.T) {
	b := AppendData(AppendHeader(nil, testPrefix), testReader, testWriter, 5, []byte{0, 1, 0, 0, 9, 9, 9, 9})
	b[headerSize+2], b[headerSize+3] = 0, 0
	var m Message
	var s Submessage
	if err := m.Reset(b); err != nil {
		t.Fatal(err)
	}
	if ok, err := m.Next(&s); !ok || err != nil || len(s.Payload) != 8 {
		t.Errorf("%v %v, payload of %d octets", ok, err, len(s.Payload))
	}
	if n, err := walk(AppendHeader(nil, testPrefix)); n != 0 || err != nil {
		t.Errorf("nothing but a header: %d submessages, %v", n, err)
	}
	b = append(AppendHeader(nil, testPrefix), byte(kindPad), 1, 0, 0, byte(kindInfoTS), 3, 0, 0)
	b = AppendHeartbeat(b, testReader, testWriter, 1, 1, 1, false, false)
	if n, err := walk(b); n != 1 || err != nil {
		t.Errorf("behind PAD and INFO_TS: %d submessages, %v", n, err)
	}
}

// TestOpaqueData: a sample in a form of the sender's own, or with inline QoS that must be understood and is not, takes its
// number and says nothing.
func TestOpaqueData(t *testing.T) {
	opaque := func(flags byte, pid uint16) (s Submessage) {
		e := newEnc(binary.LittleEndian, testPrefix)
		e.sub(Data, flags, func(e *enc) {
			e.u16(0, 16).ids().seq(4).param(pid, func(e *enc) { e.u32(1) }).param(0x71, func(e *enc) { e.raw(0, 0, 0, 1) })
			e.sentinel().raw(0, 1, 0, 0)
		})
		var m Message
		if err := m.Reset(e.b); err != nil {
			t.Fatal(err)
		}
		if ok, err := m.Next(&s); !ok || err != nil || s.Seq != 4 || s.Writer != testWriter {
			t.Fatalf("%v %v %+v", ok, err, s)
		}
		return s
	}
	for name, c := range map[string]struct {
		flags byte
		pid   uint16
		clear bool
	}{
		"plain":                          {2 | 4, 0x0055, true},
		"own form":                       {2 | 4 | 16, 0x0055, false},
		"must be understood":             {2 | 4, 0x4055, false},
		"a vendor's must be understood":  {2 | 4, 0xc055, true},
		"known and must be understood":   {2 | 4, 0x4071, true},
		"padding that claims to be more": {2 | 4, 0x0000, true},
	} {
		if s := opaque(c.flags, c.pid); s.HasPayload != c.clear || s.Dispose != c.clear || (s.Payload != nil) != c.clear {
			t.Errorf("%s: %+v", name, s)
		}
	}
}

// TestOpaqueFragment: of a sample in a form of the sender's own nothing is handed out.
func TestOpaqueFragment(t *testing.T) {
	b := AppendDataFrag(AppendHeader(nil, testPrefix), testReader, testWriter, 1, 1, 1, 4, 4, []byte{0, 1, 0, 0})
	if n, err := walk(b); n != 1 || err != nil {
		t.Errorf("%d submessages, %v", n, err)
	}
	b[headerSize+1] |= 8
	if n, err := walk(b); n != 0 || err != nil {
		t.Errorf("in its own form: %d submessages, %v", n, err)
	}
}

// TestBounds: the lowest and the highest numbers that are taken.
func TestBounds(t *testing.T) {
	payload, one := []byte{0, 1, 0, 0}, SeqSet{Base: 1}
	b := AppendHeader(nil, testPrefix)
	b = AppendData(b, testReader, testWriter, 1, payload)
	b = AppendData(b, testReader, testWriter, MaxSeqNum, payload)
	b = AppendHeartbeat(b, testReader, testWriter, 1, MaxSeqNum, 1, false, false)
	b = AppendHeartbeat(b, testReader, testWriter, 1, 0, 1, false, false)
	b = AppendGap(b, testReader, testWriter, 1, &one)
	b = AppendAckNack(b, testReader, testWriter, &SeqSet{Base: MaxSeqNum}, 1, false)
	b = AppendNackFrag(b, testReader, testWriter, 1, &FragSet{Base: ^uint32(0) - MaxSetBits}, 1)
	if n, err := walk(b); n != 7 || err != nil {
		t.Errorf("%d submessages, %v", n, err)
	}
	for i, b := range [][]byte{
		AppendData(AppendHeader(nil, testPrefix), testReader, testWriter, MaxSeqNum+1, payload),
		AppendHeartbeat(AppendHeader(nil, testPrefix), testReader, testWriter, 1, MaxSeqNum+1, 1, false, false),
		AppendAckNack(AppendHeader(nil, testPrefix), testReader, testWriter, &SeqSet{Base: MaxSeqNum + 1}, 1, false),
		AppendNackFrag(AppendHeader(nil, testPrefix), testReader, testWriter, 1, &FragSet{Base: ^uint32(0) - MaxSetBits + 1}, 1),
	} {
		if n, err := walk(b); n != 0 || err == nil {
			t.Errorf("%d: one more is taken", i)
		}
	}
}

// TestTime: every nanosecond of the range survives; what the wire has no form for is "not given".
func TestTime(t *testing.T) {
	for _, ns := range []int64{0, 1, 999_999_999, 1_700_000_000_000_000_001, int64(0x7fffffff) * 1e9, int64(0x80000000)*1e9 + 7, int64(0xfffffffe) * 1e9} {
		if got := TimeOf(ns).UnixNano(); got != ns && ns >= int64(time.Second) {
			t.Errorf("%d comes back as %d", ns, got)
		}
	}
	for _, ns := range []int64{-1, -1 << 63, int64(0xffffffff) * 1e9, 1<<63 - 1} {
		if TimeOf(ns) != (Time{}) {
			t.Errorf("%d is written as %v", ns, TimeOf(ns))
		}
	}
	for _, v := range []Time{{}, {-1, 0xffffffff}, {-1, 0xfffffffe}, {0x7fffffff, 0xffffffff}} {
		if v.UnixNano() != 0 {
			t.Errorf("%v is %d", v, v.UnixNano())
		}
	}
}
