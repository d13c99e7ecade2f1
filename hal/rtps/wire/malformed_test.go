package wire

import (
	"encoding/binary"
	"errors"
	"slices"
	"strings"
	"testing"
)

// TestMalformedEndpoint: each fault is named, does not keep the rest from being read, and the same data without it are
// sound.
func TestMalformedEndpoint(t *testing.T) {
	if err := ParseEndpoint(list(binary.LittleEndian, func(e *enc) { minimal(e) }), true, &EndpointData{}); err != nil {
		t.Fatalf("without a fault: %v", err)
	}
	long := strings.Repeat("x", MaxName+1)
	foreign := GUID{Prefix{7}, EntityParticipant}
	for _, c := range []struct {
		fault string
		fill  func(*enc)
		want  Fault
	}{
		{"topic without its end", func(e *enc) { e.param(0x5, func(e *enc) { e.u32(2).raw('a', 'b') }) }, FaultString},
		{"topic with a NUL", func(e *enc) { e.param(0x5, func(e *enc) { e.u32(3).raw('a', 0, 0) }) }, FaultString},
		{"topic longer than its parameter", func(e *enc) { e.param(0x5, func(e *enc) { e.u32(9).raw('a', 0) }) }, FaultLength},
		{"topic of 2^32-1 octets", func(e *enc) { e.param(0x5, func(e *enc) { e.u32(0xffffffff).raw('a', 0) }) }, FaultLength},
		{"topic without length", func(e *enc) { e.param(0x5, func(*enc) {}) }, FaultLength},
		{"topic of 257 octets", func(e *enc) { e.param(0x5, func(e *enc) { e.text(long) }) }, FaultString},
		{"type of 257 octets", func(e *enc) { e.param(0x7, func(e *enc) { e.text(long) }) }, FaultString},
		{"partition of 257 octets", func(e *enc) { e.param(0x29, func(e *enc) { e.u32(1).text(long) }) }, FaultString},
		{"17 partitions", func(e *enc) { e.param(0x29, func(e *enc) { e.u32(17).raw(make([]byte, 17*8)...) }) }, FaultList},
		{"2^32-1 partitions", func(e *enc) { e.param(0x29, func(e *enc) { e.u32(0xffffffff) }) }, FaultList},
		{"partitions cut", func(e *enc) { e.param(0x29, func(e *enc) { e.u32(2).text("abc") }) }, FaultLength},
		{"partitions without count", func(e *enc) { e.param(0x29, func(*enc) {}) }, FaultLength},
		{"9 representations", func(e *enc) { e.param(0x73, func(e *enc) { e.u32(9).raw(make([]byte, 20)...) }) }, FaultList},
		{"representations cut", func(e *enc) { e.param(0x73, func(e *enc) { e.u32(3).u16(0, 1) }) }, FaultLength},
		{"representations without count", func(e *enc) { e.param(0x73, func(*enc) {}) }, FaultLength},
		{"reliability 0", func(e *enc) { e.param(0x1a, func(e *enc) { e.u32(0, 0, 0) }) }, FaultValue},
		{"reliability 3", func(e *enc) { e.param(0x1a, func(e *enc) { e.u32(3, 0, 0) }) }, FaultValue},
		{"reliability empty", func(e *enc) { e.param(0x1a, func(*enc) {}) }, FaultLength},
		{"durability 4", func(e *enc) { e.param(0x1d, func(e *enc) { e.u32(4) }) }, FaultValue},
		{"liveliness 3", func(e *enc) { e.param(0x1b, func(e *enc) { e.u32(3, 0, 0) }) }, FaultValue},
		{"liveliness without lease", func(e *enc) { e.param(0x1b, func(e *enc) { e.u32(0) }) }, FaultLength},
		{"negative lease", func(e *enc) { e.param(0x1b, func(e *enc) { e.u32(0, 0xffffffff, 0) }) }, FaultValue},
		{"negative deadline", func(e *enc) { e.param(0x23, func(e *enc) { e.u32(0x80000000, 0) }) }, FaultValue},
		{"deadline cut", func(e *enc) { e.param(0x23, func(e *enc) { e.u32(1) }) }, FaultLength},
		{"ownership 2", func(e *enc) { e.param(0x1f, func(e *enc) { e.u32(2) }) }, FaultValue},
		{"ownership strength empty", func(e *enc) { e.param(0x06, func(*enc) {}) }, FaultLength},
		{"destination order 2", func(e *enc) { e.param(0x25, func(e *enc) { e.u32(2) }) }, FaultValue},
		{"presentation 3", func(e *enc) { e.param(0x21, func(e *enc) { e.u32(3, 0) }) }, FaultValue},
		{"presentation cut", func(e *enc) { e.param(0x21, func(e *enc) { e.u32(1) }) }, FaultLength},
		{"presentation, coherent 2", func(e *enc) { e.param(0x21, func(e *enc) { e.u32(1).raw(2, 0) }) }, FaultValue},
		{"expects inline QoS empty", func(e *enc) { e.param(0x43, func(*enc) {}) }, FaultLength},
		{"locator cut", func(e *enc) { e.locator(0x2f, 1, 7400, 1, 2, 3) }, FaultLength},
		{"user data longer than their parameter", func(e *enc) { e.param(0x2c, func(e *enc) { e.u32(5).raw(1, 2, 3, 4) }) }, FaultLength},
		{"GUID cut", func(e *enc) { e.param(0x50, func(e *enc) { e.u32(1, 2, 3) }) }, FaultLength},
		{"GUID twice", func(e *enc) { e.guid(0x5a, testGUID) }, FaultTwice},
		{"topic twice", func(e *enc) { e.param(0x5, func(e *enc) { e.text("rt/cmd_vel") }) }, FaultTwice},
		{"type twice", func(e *enc) { e.param(0x7, func(e *enc) { e.text("b") }) }, FaultTwice},
		{"another participant's endpoint", func(e *enc) { e.guid(0x50, foreign) }, FaultForeign},
		{"another endpoint's key hash", func(e *enc) { e.guid(0x70, foreign) }, FaultForeign},
		{"a participant that is none", func(e *enc) { e.guid(0x50, testGUID) }, FaultForeign},
		{"what must be understood", func(e *enc) { e.param(0x4abc, func(e *enc) { e.u32(0) }) }, FaultUnderstand},
	} {
		t.Run(c.fault, func(t *testing.T) {
			payload := list(binary.LittleEndian, func(e *enc) {
				if c.want == FaultTwice || c.want == FaultForeign {
					minimal(e)
					c.fill(e)
					return
				}
				c.fill(e)
				minimal(e)
			})
			var got EndpointData
			err := ParseEndpoint(payload, true, &got)
			if !errors.Is(err, c.want) {
				t.Errorf("%v, expected %v", err, c.want)
			}
			if got.GUID != testGUID {
				t.Errorf("the GUID is lost: %v", got.GUID)
			}
			if Incompatible(err) != (c.want == FaultUnderstand) {
				t.Errorf("%v: only incompatible: %v", err, Incompatible(err))
			}
		})
	}
}

// TestMalformedList: faults of the list itself, for all that reads one.
func TestMalformedList(t *testing.T) {
	sound := list(binary.LittleEndian, func(e *enc) {
		minimal(e).guid(0x50, GUID{testPrefix, EntityParticipant})
	})
	for _, c := range []struct {
		fault   string
		payload []byte
		want    Fault
	}{
		{"nothing", nil, FaultPayload},
		{"encapsulation cut", sound[:3], FaultPayload},
		{"XCDR2", append([]byte{0, 7}, sound[2:]...), FaultEncapsulation},
		{"parameter list of XCDR2", append([]byte{0, 0x0b}, sound[2:]...), FaultEncapsulation},
		{"a vendor's encapsulation", append([]byte{0x80, 3}, sound[2:]...), FaultEncapsulation},
		{"the other byte order", append([]byte{0, 2}, sound[2:]...), FaultCut},
		{"no sentinel", sound[:len(sound)-4], FaultSentinel},
		{"half a sentinel", sound[:len(sound)-2], FaultSentinel},
		{"nothing but encapsulation", sound[:4], FaultSentinel},
		{"parameter cut", sound[:20], FaultCut},
		{"odd length", slices.Concat(sound[:4], []byte{0x2c, 0, 2, 0}, sound[4:]), FaultLength},
		{"extended parameter", slices.Concat(sound[:4], []byte{1, 0x7f, 8, 0, 1, 2, 3, 4, 5, 6, 7, 8}, sound[4:]), FaultLength},
	} {
		t.Run(c.fault, func(t *testing.T) {
			if err := ParseParticipant(c.payload, &ParticipantData{}); !errors.Is(err, c.want) {
				t.Errorf("participant: %v, expected %v", err, c.want)
			}
			if err := ParseEndpoint(c.payload, true, &EndpointData{}); !errors.Is(err, c.want) {
				t.Errorf("endpoint: %v, expected %v", err, c.want)
			}
			if _, err := KeyGUID(c.payload); !errors.Is(err, c.want) {
				t.Errorf("key: %v, expected %v", err, c.want)
			}
		})
	}
}

// TestMalformedParticipant: faults of a participant's data; those that only inform are cut instead.
func TestMalformedParticipant(t *testing.T) {
	self := GUID{testPrefix, EntityParticipant}
	for _, c := range []struct {
		fault string
		fill  func(*enc)
		want  Fault
	}{
		{"no GUID", func(e *enc) { e.param(2, func(e *enc) { e.u32(1, 0) }) }, FaultMissing},
		{"an endpoint's GUID", func(e *enc) { e.guid(0x50, testGUID) }, FaultForeign},
		{"GUID twice", func(e *enc) { e.guid(0x50, self).guid(0x50, self) }, FaultTwice},
		{"negative lease", func(e *enc) { e.guid(0x50, self).param(2, func(e *enc) { e.u32(0xffffffff, 0) }) }, FaultValue},
		{"lease cut", func(e *enc) { e.guid(0x50, self).param(2, func(e *enc) { e.u32(1) }) }, FaultLength},
		{"version cut", func(e *enc) { e.guid(0x50, self).param(0x15, func(*enc) {}) }, FaultLength},
		{"domain cut", func(e *enc) { e.guid(0x50, self).param(0x0f, func(*enc) {}) }, FaultLength},
		{"builtin endpoints cut", func(e *enc) { e.guid(0x50, self).param(0x58, func(*enc) {}) }, FaultLength},
		{"manual liveliness cut", func(e *enc) { e.guid(0x50, self).param(0x34, func(*enc) {}) }, FaultLength},
		{"name without end", func(e *enc) { e.guid(0x50, self).param(0x62, func(e *enc) { e.u32(4).raw('a', 'b', 'c', 'd') }) }, FaultString},
		{"domain tag", func(e *enc) { e.guid(0x50, self).param(0x4014, func(e *enc) { e.text("lab") }) }, FaultTag},
		{"what must be understood", func(e *enc) { e.guid(0x50, self).param(0x4015+0x100, func(*enc) {}) }, FaultUnderstand},
	} {
		var p ParticipantData
		if err := ParseParticipant(list(binary.BigEndian, c.fill), &p); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, expected %v", c.fault, err, c.want)
		}
	}
	var p ParticipantData
	err := ParseParticipant(list(binary.BigEndian, func(e *enc) {
		e.guid(0x50, self).param(0x62, func(e *enc) { e.text(strings.Repeat("n", 5000)) })
		e.param(0x2c, func(e *enc) { e.u32(5000).raw(make([]byte, 5000)...) }).param(0x0f, func(e *enc) { e.u32(0xffffffff) })
		for i := range byte(20) {
			e.locator(0x31, 1, 7400, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 10, 0, 0, i)
		}
	}), &p)
	if err != nil || len(p.Name) != MaxName || len(p.UserData) != MaxUserData || cap(p.UserData) > 2*MaxUserData ||
		p.Unicast.N != MaxLocators || p.Domain < 0 {
		t.Errorf("%v %+v", err, p)
	}
}

// TestTextBounds: the empty string in both forms, and the longest that is taken.
func TestTextBounds(t *testing.T) {
	long := strings.Repeat("x", MaxName)
	e := EndpointData{GUID: testGUID, Topic: long, Type: long, QoS: QoS{Partitions: []string{long, ""}}, UserData: make([]byte, MaxUserData)}
	var got EndpointData
	if err := ParseEndpoint(AppendEndpoint(nil, &e), true, &got); err != nil || got.Topic != long || len(got.UserData) != MaxUserData {
		t.Errorf("%v %+v", err, got)
	}
	self := GUID{testPrefix, EntityParticipant}
	for _, fill := range []func(*enc){func(e *enc) { e.u32(0) }, func(e *enc) { e.text("") }} {
		var p ParticipantData
		if err := ParseParticipant(list(binary.LittleEndian, func(e *enc) { e.guid(0x50, self).param(0x62, fill) }), &p); err != nil || p.Name != "" {
			t.Errorf("%v %q", err, p.Name)
		}
		payload := list(binary.LittleEndian, func(e *enc) {
			e.guid(0x5a, testGUID).param(5, fill).param(7, func(e *enc) { e.text("y") })
		})
		if err := ParseEndpoint(payload, true, &got); !errors.Is(err, FaultMissing) {
			t.Errorf("a topic without a name: %v", err)
		}
	}
}

// TestEmptyLists: a list of nothing is the same as no list.
func TestEmptyLists(t *testing.T) {
	var e EndpointData
	err := ParseEndpoint(list(binary.LittleEndian, func(e *enc) {
		minimal(e).param(0x29, func(e *enc) { e.u32(0) }).param(0x73, func(e *enc) { e.u32(0) }).param(0x2c, func(e *enc) { e.u32(0) })
	}), true, &e)
	if err != nil || e.QoS.Partitions != nil || e.QoS.Representations != nil || e.UserData != nil {
		t.Errorf("%v %+v", err, e)
	}
}

// TestKeys: the GUID of a dispose in all forms that occur.
func TestKeys(t *testing.T) {
	self := GUID{testPrefix, EntityParticipant}
	k := testGUID.Bytes()
	both := list(binary.BigEndian, func(e *enc) { e.guid(0x50, self).guid(0x5a, testGUID) })
	for name, c := range map[string]struct {
		s    Submessage
		want GUID
		f    Fault
	}{
		"payload":                    {Submessage{Payload: list(binary.LittleEndian, func(e *enc) { e.guid(0x50, self) }), HasPayload: true}, self, 0},
		"payload with both":          {Submessage{Payload: both, HasPayload: true}, testGUID, 0},
		"payload in the other order": {Submessage{Payload: list(binary.LittleEndian, func(e *enc) { e.guid(0x5a, testGUID).guid(0x50, self) }), HasPayload: true}, testGUID, 0},
		"plain CDR":                  {Submessage{Payload: append([]byte{0, 0, 0, 0}, k[:]...), HasPayload: true}, testGUID, 0},
		"hash":                       {Submessage{KeyHash: k, HasKeyHash: true}, testGUID, 0},
		"hash and payload":           {Submessage{KeyHash: k, HasKeyHash: true, Payload: both, HasPayload: true}, testGUID, 0},
		"hash against payload":       {Submessage{KeyHash: self.Bytes(), HasKeyHash: true, Payload: both, HasPayload: true}, GUID{}, FaultForeign},
		"neither":                    {Submessage{}, GUID{}, FaultMissing},
		"plain CDR cut":              {Submessage{Payload: k[:12], HasPayload: true}, GUID{}, FaultEncapsulation},
		"plain CDR short":            {Submessage{Payload: make([]byte, 19), HasPayload: true}, GUID{}, FaultLength},
		"list without a GUID":        {Submessage{Payload: list(binary.LittleEndian, func(*enc) {}), HasPayload: true}, GUID{}, FaultMissing},
		"list of two participants":   {Submessage{Payload: list(binary.LittleEndian, func(e *enc) { e.guid(0x50, self).guid(0x50, GUID{Prefix{8}, EntityParticipant}) }), HasPayload: true}, GUID{}, FaultForeign},
		"list of two endpoints":      {Submessage{Payload: list(binary.LittleEndian, func(e *enc) { e.guid(0x5a, testGUID).guid(0x70, GUID{testPrefix, testReader}) }), HasPayload: true}, GUID{}, FaultForeign},
		"list, must be understood":   {Submessage{Payload: list(binary.LittleEndian, func(e *enc) { e.guid(0x5a, testGUID).param(0x4100, func(*enc) {}) }), HasPayload: true}, GUID{}, FaultUnderstand},
		"an endpoint of another":     {Submessage{Payload: list(binary.LittleEndian, func(e *enc) { e.guid(0x50, GUID{Prefix{8}, EntityParticipant}).guid(0x5a, testGUID) }), HasPayload: true}, GUID{}, FaultForeign},
	} {
		g, err := KeyOf(&c.s)
		if g != c.want || c.f == 0 && err != nil || c.f != 0 && !errors.Is(err, c.f) {
			t.Errorf("%s: %v %v", name, g, err)
		}
	}
	for _, w := range []EntityID{EntitySPDPWriter, EntitySEDPPubWriter, EntitySEDPSubWriter, EntityLivelinessWriter} {
		var m Message
		var s Submessage
		if err := m.Reset(AppendDispose(AppendHeader(nil, testPrefix), EntityUnknown, w, 3, testGUID, StatusDisposed)); err != nil {
			t.Fatal(err)
		}
		if ok, err := m.Next(&s); !ok || err != nil || !s.Dispose || s.Unregister {
			t.Errorf("%x: %v %v %+v", w, ok, err, s)
		}
		if g, err := KeyOf(&s); g != testGUID || err != nil {
			t.Errorf("%x: %v %v", w, g, err)
		}
	}
}

// TestLiveliness: a participant's message in the forms of both implementations, and its faults.
func TestLiveliness(t *testing.T) {
	sound := AppendLiveliness(nil, testPrefix, LivelinessManual)
	for _, enc := range [][]byte{{0, 1}, {0, 3}} {
		p, kind, err := ParseLiveliness(append(slices.Clone(enc), sound[2:]...))
		if p != testPrefix || kind != LivelinessManual || err != nil {
			t.Errorf("%x: %x %d %v", enc, p, kind, err)
		}
	}
	big := append([]byte{0, 0}, sound[2:]...)
	big[20] = 1 // data of 2^24 octets, in that order
	for name, c := range map[string]struct {
		payload []byte
		want    Fault
	}{
		"cut": {sound[:23], FaultPayload}, "XCDR2": {append([]byte{0, 7}, sound[2:]...), FaultEncapsulation},
		"data cut": {big, FaultLength},
	} {
		if _, _, err := ParseLiveliness(c.payload); !errors.Is(err, c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestFaultTexts: every fault is in words, each in its own.
func TestFaultTexts(t *testing.T) {
	seen := map[string]Fault{}
	for f := range faults {
		if before, twice := seen[f.Error()]; twice || len(f.Error()) < 8 {
			t.Errorf("fault %d: %q, the same as %d", f, f.Error(), before)
		}
		seen[f.Error()] = f
	}
	for _, f := range []Fault{faults, 255} {
		if f.Error() != "unknown fault" {
			t.Errorf("fault %d: %q", f, f.Error())
		}
	}
	if Incompatible(nil) || Incompatible(errors.ErrUnsupported) || Incompatible(FaultCut) || !Incompatible(FaultTag) {
		t.Error("what is only incompatible is mistaken")
	}
}
