package wire

import (
	"bytes"
	"encoding/binary"
	"flag"
	"fmt"
	"math/rand/v2"
	"reflect"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var seed = flag.Uint64("seed", 0, "seed of the mutations, 0 for a new one")

// judge walks a datagram and tells what its submessages promise and do not keep.
func judge(b []byte) (n int, refused bool, err error) {
	var m Message
	var s Submessage
	refused = m.Reset(b) != nil
	for !refused {
		ok, f := m.Next(&s)
		if refused = f != nil; !ok {
			break
		}
		if n++; n > len(b)/subHeaderSize {
			return n, false, fmt.Errorf("%d submessages in %d octets", n, len(b))
		}
		if err = judgeSubmessage(b, &s); err != nil {
			return n, false, fmt.Errorf("submessage %d, %v: %w", n, s.Kind, err)
		}
		if s.Kind != Data {
			continue
		}
		if err = judgeDiscovery(s.Payload); err != nil {
			return n, false, fmt.Errorf("submessage %d: %w", n, err)
		}
	}
	return n, refused, nil
}

func judgeSubmessage(b []byte, s *Submessage) error {
	if at := cap(b) - cap(s.Payload); s.Payload != nil && (at < headerSize || at+len(s.Payload) > len(b)) {
		return fmt.Errorf("payload at %d, %d octets, of a datagram of %d", at, len(s.Payload), len(b))
	}
	if s.HasPayload != (s.Payload != nil) {
		return fmt.Errorf("payload %v, but says %v", s.Payload != nil, s.HasPayload)
	}
	numbered := s.Kind != Heartbeat && s.Kind != AckNack
	if numbered && (s.Seq < 1 || s.Seq > MaxSeqNum) {
		return fmt.Errorf("sequence number %d", s.Seq)
	}
	if s.Kind == Heartbeat && (s.First < 1 || s.Last < s.First-1 || s.Last > MaxSeqNum) {
		return fmt.Errorf("from %d to %d", s.First, s.Last)
	}
	if s.Kind == DataFrag {
		end := uint64(s.FirstFrag+uint32(s.Frags)-1) * uint64(s.FragSize)
		whole := uint64(s.Frags) * uint64(s.FragSize)
		if start := end - whole; s.FirstFrag == 0 || s.Frags == 0 || start >= uint64(s.SampleSize) ||
			uint64(len(s.Payload)) != min(whole, uint64(s.SampleSize)-start) {
			return fmt.Errorf("fragments %d+%d of %d octets, sample of %d, here %d",
				s.FirstFrag, s.Frags, s.FragSize, s.SampleSize, len(s.Payload))
		}
	}
	if err := judgeSets(s); err != nil {
		return err
	}
	return judgeAgain(s)
}

func judgeSets(s *Submessage) error {
	last, n := SeqNum(0), 0
	for q := range s.Set.All() {
		if n++; q <= last || q < s.Set.Base || q-s.Set.Base >= SeqNum(s.Set.Bits) || !s.Set.Has(q) {
			return fmt.Errorf("%d is none of the set from %d, %d bits", q, s.Set.Base, s.Set.Bits)
		}
		last = q
	}
	for q := range s.FragSet.All() {
		if n++; q == 0 || q < s.FragSet.Base || q-s.FragSet.Base >= s.FragSet.Bits || !s.FragSet.Has(q) {
			return fmt.Errorf("%d is none of the set from %d, %d bits", q, s.FragSet.Base, s.FragSet.Bits)
		}
	}
	if n > MaxSetBits || s.Set.Bits > MaxSetBits || s.FragSet.Bits > MaxSetBits {
		return fmt.Errorf("%d numbers in a set of %d bits", n, s.Set.Bits+s.FragSet.Bits)
	}
	return nil
}

// judgeAgain writes what was understood, reads it again, and compares.
func judgeAgain(s *Submessage) error {
	b := AppendHeader(nil, testPrefix)
	switch s.Kind {
	case Data:
		if !s.HasPayload || s.Key || len(s.Payload) > 60000 {
			return nil
		}
		b = AppendData(b, s.Reader, s.Writer, s.Seq, s.Payload)
	case DataFrag:
		b = AppendDataFrag(b, s.Reader, s.Writer, s.Seq, s.FirstFrag, s.Frags, s.FragSize, s.SampleSize, s.Payload)
	case Heartbeat:
		b = AppendHeartbeat(b, s.Reader, s.Writer, s.First, s.Last, s.Count, s.Final, s.Liveliness)
	case HeartbeatFrag:
		b = AppendHeartbeatFrag(b, s.Reader, s.Writer, s.Seq, s.FragLast, s.Count)
	case Gap:
		b = AppendGap(b, s.Reader, s.Writer, s.Seq, &s.Set)
	case AckNack:
		b = AppendAckNack(b, s.Reader, s.Writer, &s.Set, s.Count, s.Final)
	default:
		b = AppendNackFrag(b, s.Reader, s.Writer, s.Seq, &s.FragSet, s.Count)
	}
	var m Message
	var again Submessage
	if err := m.Reset(b); err != nil {
		return err
	}
	if ok, err := m.Next(&again); !ok || err != nil {
		return fmt.Errorf("written again it is not read: %w", err)
	}
	want := *s
	want.Dispose, want.Unregister, want.HasKeyHash, want.KeyHash = false, false, false, [16]byte{}
	want.HasRelated, want.Related, want.RelatedSeq, want.Key = false, GUID{}, 0, false
	if s.Kind == Data { // padded to four octets
		again.Payload = again.Payload[:min(len(again.Payload), len(s.Payload))]
	}
	if !reflect.DeepEqual(want, again) {
		return fmt.Errorf("read again: %s", cmp.Diff(want, again))
	}
	return nil
}

// judgeDiscovery reads octets as every kind of discovery data. What is accepted keeps to the caps, holds on to none of the
// octets, and is the same when written and read again.
func judgeDiscovery(payload []byte) error {
	own := bytes.Clone(payload)
	var p ParticipantData
	if ParseParticipant(own, &p) == nil {
		if err := judgeParticipant(own, &p); err != nil {
			return err
		}
	}
	for _, writer := range []bool{true, false} {
		own = bytes.Clone(payload)
		var e EndpointData
		if ParseEndpoint(own, writer, &e) == nil {
			if err := judgeEndpoint(own, writer, &e); err != nil {
				return err
			}
		}
	}
	if g, err := KeyGUID(payload); err != nil && g != (GUID{}) {
		return fmt.Errorf("key %v with %w", g, err)
	}
	if p, kind, err := ParseLiveliness(payload); err == nil {
		if q, k, err := ParseLiveliness(AppendLiveliness(nil, p, kind)); q != p || k != kind || err != nil {
			return fmt.Errorf("liveliness read again: %x %d %w", q, k, err)
		}
	}
	return nil
}

func judgeParticipant(own []byte, p *ParticipantData) error {
	first := AppendParticipant(nil, p)
	clear(own)
	if !bytes.Equal(first, AppendParticipant(nil, p)) {
		return fmt.Errorf("a participant's data keep a reference to the datagram")
	}
	if len(p.Name) > MaxName || len(p.UserData) > MaxUserData || p.GUID.Entity != EntityParticipant || p.Lease < 0 {
		return fmt.Errorf("participant %+v", p)
	}
	var again ParticipantData
	if err := ParseParticipant(first, &again); err != nil {
		return fmt.Errorf("participant written again: %w", err)
	}
	want := *p
	want.Secured, want.Version, want.Vendor = false, OurVersion, OurVendor
	if !reflect.DeepEqual(want, again) {
		return fmt.Errorf("participant read again: %s", cmp.Diff(want, again, sameAddr))
	}
	return nil
}

func judgeEndpoint(own []byte, writer bool, e *EndpointData) error {
	first := AppendEndpoint(nil, e)
	clear(own)
	if !bytes.Equal(first, AppendEndpoint(nil, e)) {
		return fmt.Errorf("an endpoint's data keep a reference to the datagram")
	}
	if len(e.Topic) > MaxName || len(e.Type) > MaxName || len(e.UserData) > MaxUserData ||
		len(e.QoS.Partitions) > MaxPartitions || len(e.QoS.Representations) > MaxRepresentations ||
		e.GUID.Prefix != e.Participant.Prefix || e.GUID.Entity.Writer() != writer {
		return fmt.Errorf("endpoint %+v", e)
	}
	var again EndpointData
	if err := ParseEndpoint(first, writer, &again); err != nil {
		return fmt.Errorf("endpoint written again: %w", err)
	}
	want := *e
	if !writer {
		want.QoS.OwnershipStrength = 0
	}
	if !reflect.DeepEqual(want, again) {
		return fmt.Errorf("endpoint read again: %s", cmp.Diff(want, again, sameAddr))
	}
	Mismatch(e, &again)
	return nil
}

// TestJudge shows that the judge of the mutations and the fuzzing can say no.
func TestJudge(t *testing.T) {
	b := AppendData(AppendHeader(nil, testPrefix), testReader, testWriter, 1, []byte{0, 1, 0, 0})
	for name, s := range map[string]Submessage{
		"payload from elsewhere":  {Kind: Data, Seq: 1, Payload: make([]byte, 4, 1000), HasPayload: true},
		"payload that is not one": {Kind: Data, Seq: 1, HasPayload: true},
		"sequence number 0":       {Kind: Gap},
		"heartbeat backwards":     {Kind: Heartbeat, First: 5, Last: 3},
		"fragments that are none": {Kind: DataFrag, Seq: 1, FirstFrag: 1, Frags: 1, FragSize: 4, SampleSize: 2},
		"bits behind the count":   {Kind: Gap, Seq: 1, Set: SeqSet{Base: 1, Bits: 1, Map: bitmap{3 << 30}}},
		"too many bits":           {Kind: AckNack, Set: SeqSet{Base: 1, Bits: 257}},
	} {
		if judgeSubmessage(b, &s) == nil {
			t.Errorf("%s: no objection", name)
		}
	}
	p := ParticipantData{GUID: testGUID, Lease: 1}
	if judgeParticipant(nil, &p) == nil {
		t.Error("participant with an endpoint's GUID: no objection")
	}
	shared := []byte("typehash")
	e := EndpointData{GUID: testGUID, Participant: GUID{testPrefix, EntityParticipant}, Topic: "t", Type: "y", UserData: shared}
	if judgeEndpoint(shared, true, &e) == nil {
		t.Error("endpoint that points into the datagram: no objection")
	}
}

// mutate changes a datagram as noise, a bug or an attacker would.
func mutate(r *rand.Rand, b []byte) []byte {
	b = bytes.Clone(b)
	for range 1 + r.IntN(4) {
		if len(b) < headerSize+subHeaderSize {
			break
		}
		at := r.IntN(len(b))
		switch r.IntN(6) {
		case 0:
			b[at] ^= 1 << r.IntN(8)
		case 1:
			b[at] = byte(r.Uint32())
		case 2:
			b = b[:at]
		case 3: // any 16-bit word, lengths among them
			binary.LittleEndian.PutUint16(b[min(at&^1, len(b)-2):], []uint16{0, 1, 3, 4, 0x7fff, 0x8000, 0xffff, uint16(r.Uint32())}[r.IntN(8)])
		case 4: // counts and sizes
			binary.LittleEndian.PutUint32(b[min(at&^3, len(b)-4):], []uint32{0, 1, 255, 256, 257, 1 << 31, 1<<32 - 1, r.Uint32()}[r.IntN(8)])
		default: // a piece twice, or moved
			from := r.IntN(len(b))
			b = append(b[:at:at], b[min(from, at):]...)
			b = b[:min(len(b), MaxDatagram)]
		}
	}
	return b
}

// TestMutations: no mutation of a real datagram makes a submessage promise what it does not keep.
func TestMutations(t *testing.T) {
	start := *seed
	if start == 0 {
		start = rand.Uint64()
	}
	t.Logf("-seed %d", start)
	r := rand.New(rand.NewPCG(start, 0))
	refusals, accepted, submessages := 0, 0, 0
	for _, d := range recorded(t) {
		for range 150 {
			b := mutate(r, d.bytes)
			n, refused, err := judge(b)
			if err != nil {
				t.Fatalf("%s as %x: %v", d.name, b, err)
			}
			submessages += n
			if refused {
				refusals++
			} else {
				accepted++
			}
		}
	}
	t.Logf("%d refused, %d accepted, %d submessages", refusals, accepted, submessages)
	if refusals < 1000 || accepted < 1000 || submessages < 1000 {
		t.Error("the mutations test one side only")
	}
}

// payloads are those of all recorded datagrams, and discovery data in the order that none of them has.
func payloads(f *testing.F) (list [][]byte) {
	for _, d := range recorded(f) {
		var m Message
		var s Submessage
		if err := m.Reset(d.bytes); err != nil {
			f.Fatal(err)
		}
		for ok, err := m.Next(&s); ok && err == nil; ok, err = m.Next(&s) {
			if s.HasPayload && s.Kind == Data {
				list = append(list, bytes.Clone(s.Payload))
			}
		}
	}
	return append(list, bigEndian())
}

func bigEndian() []byte {
	return list(binary.BigEndian, func(e *enc) {
		minimal(e).guid(0x50, GUID{testPrefix, EntityParticipant}).param(0x29, func(e *enc) { e.u32(1).text("lab*") })
		e.param(0x73, func(e *enc) { e.u32(2).u16(2, 0) }).param(0x1b, func(e *enc) { e.u32(1, 3, 0) })
	})
}

func FuzzMessage(f *testing.F) {
	for _, d := range recorded(f) {
		f.Add(d.bytes)
	}
	for _, s := range specimens() {
		for _, o := range testOrders {
			e := newEnc(o, testPrefix)
			s.write(e)
			f.Add(e.b)
		}
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if _, _, err := judge(b); err != nil {
			t.Error(err)
		}
	})
}

func FuzzParseParticipant(f *testing.F) {
	for _, b := range payloads(f) {
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		b = bytes.Clone(b) // judging clears it
		var p ParticipantData
		if ParseParticipant(b, &p) != nil {
			return
		}
		if err := judgeParticipant(b, &p); err != nil {
			t.Error(err)
		}
	})
}

func FuzzParseEndpoint(f *testing.F) {
	for _, b := range payloads(f) {
		f.Add(true, b)
		f.Add(false, b)
	}
	f.Fuzz(func(t *testing.T, writer bool, b []byte) {
		b = bytes.Clone(b) // judging clears it
		var e EndpointData
		if ParseEndpoint(b, writer, &e) != nil {
			return
		}
		if err := judgeEndpoint(b, writer, &e); err != nil {
			t.Error(err)
		}
	})
}

func FuzzKeyGUID(f *testing.F) {
	for _, b := range payloads(f) {
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		g, err := KeyGUID(b)
		if err != nil && g != (GUID{}) {
			t.Errorf("key %v with %v", g, err)
		}
		if err == nil && b[1] > cdrLittle && !bytes.Contains(b, g.Prefix[:]) {
			t.Errorf("key %v is not in the payload", g)
		}
	})
}
