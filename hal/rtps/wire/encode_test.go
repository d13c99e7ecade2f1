package wire

import (
	"encoding/binary"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// byteOrder is either of the two, written out by the standard library rather than by this package.
type byteOrder interface {
	binary.ByteOrder
	binary.AppendByteOrder
}

// enc writes submessages after the specification's tables, independently of the code under test and in either order.
type enc struct {
	o byteOrder
	b []byte
}

func newEnc(o byteOrder, p Prefix) *enc {
	return (&enc{o, []byte("RTPS\x02\x03\x01\x7e")}).raw(p[:]...)
}

func (e *enc) raw(b ...byte) *enc { e.b = append(e.b, b...); return e }

func (e *enc) u16(v ...uint16) *enc {
	for _, x := range v {
		e.b = e.o.AppendUint16(e.b, x)
	}
	return e
}

func (e *enc) u32(v ...uint32) *enc {
	for _, x := range v {
		e.b = e.o.AppendUint32(e.b, x)
	}
	return e
}

func (e *enc) seq(n SeqNum) *enc { return e.u32(uint32(n>>32), uint32(n)) }

func (e *enc) ids() *enc { return e.raw(testReader[:]...).raw(testWriter[:]...) }

// sub writes a submessage with the body that fill writes.
func (e *enc) sub(kind Kind, flags byte, fill func(*enc)) *enc {
	if e.o == binary.LittleEndian {
		flags |= 1
	}
	e.raw(byte(kind), flags).u16(0)
	at := len(e.b)
	fill(e)
	e.o.PutUint16(e.b[at-2:], uint16(len(e.b)-at))
	return e
}

// param writes a parameter of a list.
func (e *enc) param(pid uint16, fill func(*enc)) *enc {
	e.u16(pid, 0)
	at := len(e.b)
	fill(e)
	for (len(e.b)-at)%4 != 0 {
		e.raw(0)
	}
	e.o.PutUint16(e.b[at-2:], uint16(len(e.b)-at))
	return e
}

func (e *enc) text(s string) *enc { return e.u32(uint32(len(s) + 1)).raw([]byte(s)...).raw(0) }

func (e *enc) sentinel() *enc { return e.u16(1, 0) }

var (
	testPrefix = Prefix{1, 0x7e, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}
	testReader = EntityID{0, 0, 5, 0x04}
	testWriter = EntityID{0, 0, 6, 0x03}
	testGUID   = GUID{testPrefix, testWriter}
	testOrders = map[string]byteOrder{"little endian": binary.LittleEndian, "big endian": binary.BigEndian}
)

const testSeq SeqNum = 0x1_0000_0203

// specimen is a submessage in three forms: as the specification writes it, as it is to be understood, and as this
// package appends it.
type specimen struct {
	name   string
	write  func(*enc)
	want   Submessage
	append func([]byte) []byte // nil: we never send it
}

func seqSet(base SeqNum, bits uint32, words ...uint32) SeqSet {
	s := SeqSet{Base: base, Bits: bits}
	copy(s.Map[:], words)
	return s
}

func specimens() []specimen {
	payload := []byte{0, 1, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8}
	key := testGUID.Bytes()
	related := GUID{Prefix{9}, EntityID{0, 0, 9, 3}}
	set := seqSet(testSeq, 40, 0x80000001, 0x01000000)
	frags := FragSet{Base: 7, Bits: 3, Map: bitmap{0xa0000000}}
	head := func(e *enc) *enc { return e.u16(0, 16).ids().seq(testSeq) }
	keyPayload := append([]byte{0, 1, 0, 0}, key[:]...)
	return []specimen{
		{
			"DATA", func(e *enc) { e.sub(Data, 4, func(e *enc) { head(e).raw(payload...) }) },
			Submessage{Kind: Data, Seq: testSeq, Payload: payload, HasPayload: true},
			func(b []byte) []byte { return AppendData(b, testReader, testWriter, testSeq, payload) },
		},
		{
			"DATA without payload", func(e *enc) { e.sub(Data, 0, func(e *enc) { head(e) }) },
			Submessage{Kind: Data, Seq: testSeq},
			nil,
		},
		{
			"DATA with a later inline QoS", func(e *enc) {
				e.sub(Data, 4, func(e *enc) { e.u16(0, 24).ids().seq(testSeq).u32(1, 2).raw(payload...) })
			},
			Submessage{Kind: Data, Seq: testSeq, Payload: payload, HasPayload: true},
			nil,
		},
		{
			"DATA that disposes", func(e *enc) {
				e.sub(Data, 2|8, func(e *enc) {
					head(e).param(0x70, func(e *enc) { e.raw(key[:]...) }).param(0x71, func(e *enc) { e.raw(0, 0, 0, 3) })
					e.sentinel().raw(keyPayload...)
				})
			},
			Submessage{
				Kind: Data, Seq: testSeq, Payload: keyPayload, HasPayload: true, Key: true, Dispose: true, Unregister: true,
				KeyHash: key, HasKeyHash: true,
			},
			func(b []byte) []byte { return AppendDispose(b, testReader, testWriter, testSeq, testGUID, 3) },
		},
		{
			"DATA that answers", func(e *enc) {
				id := related.Bytes()
				e.sub(Data, 2|4, func(e *enc) {
					head(e).param(0x800f, func(e *enc) { e.raw(id[:]...).seq(8) })
					e.param(0x0083, func(e *enc) { e.raw(id[:]...).seq(8) }).sentinel().raw(payload...)
				})
			},
			Submessage{
				Kind: Data, Seq: testSeq, Payload: payload, HasPayload: true, Related: related, RelatedSeq: 8, HasRelated: true,
			},
			func(b []byte) []byte {
				return AppendDataRelated(b, testReader, testWriter, testSeq, related, 8, payload)
			},
		},
		{
			"DATA_FRAG", func(e *enc) {
				e.sub(DataFrag, 0, func(e *enc) { e.u16(0, 28).ids().seq(testSeq).u32(2).u16(2, 5).u32(14).raw(payload...) })
			},
			Submessage{
				Kind: DataFrag, Seq: testSeq, Payload: payload[:9], HasPayload: true,
				FirstFrag: 2, Frags: 2, FragSize: 5, SampleSize: 14,
			},
			func(b []byte) []byte {
				return AppendDataFrag(b, testReader, testWriter, testSeq, 2, 2, 5, 14, payload)
			},
		},
		{
			"HEARTBEAT", func(e *enc) { e.sub(Heartbeat, 2|4, func(e *enc) { e.ids().seq(3).seq(testSeq).u32(77) }) },
			Submessage{Kind: Heartbeat, First: 3, Last: testSeq, Count: 77, Final: true, Liveliness: true},
			func(b []byte) []byte { return AppendHeartbeat(b, testReader, testWriter, 3, testSeq, 77, true, true) },
		},
		{
			"HEARTBEAT of an empty history", func(e *enc) { e.sub(Heartbeat, 0, func(e *enc) { e.ids().seq(9).seq(8).u32(1) }) },
			Submessage{Kind: Heartbeat, First: 9, Last: 8, Count: 1},
			func(b []byte) []byte { return AppendHeartbeat(b, testReader, testWriter, 9, 8, 1, false, false) },
		},
		{
			"HEARTBEAT_FRAG", func(e *enc) { e.sub(HeartbeatFrag, 0, func(e *enc) { e.ids().seq(testSeq).u32(12, 5) }) },
			Submessage{Kind: HeartbeatFrag, Seq: testSeq, FragLast: 12, Count: 5},
			func(b []byte) []byte { return AppendHeartbeatFrag(b, testReader, testWriter, testSeq, 12, 5) },
		},
		{
			"GAP", func(e *enc) {
				e.sub(Gap, 0, func(e *enc) { e.ids().seq(testSeq-9).seq(testSeq).u32(40, 0x80000001, 0x01000000) })
			},
			Submessage{Kind: Gap, Seq: testSeq - 9, Set: set},
			func(b []byte) []byte { return AppendGap(b, testReader, testWriter, testSeq-9, &set) },
		},
		{
			"ACKNACK", func(e *enc) {
				e.sub(AckNack, 2, func(e *enc) { e.ids().seq(testSeq).u32(40, 0x80000001, 0x01000000, 6) })
			},
			Submessage{Kind: AckNack, Set: set, Count: 6, Final: true},
			func(b []byte) []byte { return AppendAckNack(b, testReader, testWriter, &set, 6, true) },
		},
		{
			"ACKNACK of a reader that knows nothing", func(e *enc) { e.sub(AckNack, 0, func(e *enc) { e.ids().seq(0).u32(0, 1) }) },
			Submessage{Kind: AckNack, Count: 1},
			func(b []byte) []byte { return AppendAckNack(b, testReader, testWriter, &SeqSet{}, 1, false) },
		},
		{
			"NACK_FRAG", func(e *enc) { e.sub(NackFrag, 0, func(e *enc) { e.ids().seq(testSeq).u32(7, 3, 0xa0000000, 8) }) },
			Submessage{Kind: NackFrag, Seq: testSeq, FragSet: frags, Count: 8},
			func(b []byte) []byte { return AppendNackFrag(b, testReader, testWriter, testSeq, &frags, 8) },
		},
	}
}

// TestSubmessages: each kind is understood in both byte orders, and written as the specification has it.
func TestSubmessages(t *testing.T) {
	for _, c := range specimens() {
		c.want.Reader, c.want.Writer = testReader, testWriter
		for name, o := range testOrders {
			t.Run(c.name+", "+name, func(t *testing.T) {
				e := newEnc(o, testPrefix)
				c.write(e)
				var m Message
				if err := m.Reset(e.b); err != nil {
					t.Fatal(err)
				}
				got := Submessage{Seq: 99, Key: true}
				if ok, err := m.Next(&got); !ok || err != nil {
					t.Fatalf("%v %v", ok, err)
				}
				if diff := cmp.Diff(c.want, got); diff != "" {
					t.Error(diff)
				}
				if ok, err := m.Next(&got); ok || err != nil {
					t.Errorf("behind the last: %v %v", ok, err)
				}
			})
		}
		if c.append == nil {
			continue
		}
		e := newEnc(binary.LittleEndian, testPrefix)
		c.write(e)
		if diff := cmp.Diff(e.b, c.append(AppendHeader(nil, testPrefix))); diff != "" {
			t.Errorf("%s as appended: %s", c.name, diff)
		}
	}
}
