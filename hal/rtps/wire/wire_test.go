package wire

import (
	"github.com/google/go-cmp/cmp"
	"net/netip"
	"testing"
	"time"
)

func TestSmoke(t *testing.T) {
	p := Prefix{1, 2, 3}
	b := AppendHeader(nil, p)
	b = AppendInfoDst(b, Prefix{9})
	b = AppendInfoTS(b, TimeOf(1500000000))
	b = AppendData(b, EntityID{0, 0, 1, 4}, EntityID{0, 0, 2, 3}, 7, []byte{0, 1, 0, 0, 5})
	b = AppendHeartbeat(b, EntityID{}, EntityID{0, 0, 2, 3}, 1, 7, 3, true, false)
	set := SeqSet{Base: 3}
	set.Add(5)
	set.Add(40)
	b = AppendAckNack(b, EntityID{}, EntityID{}, &set, 4, true)
	var m Message
	if err := m.Reset(b); err != nil {
		t.Fatal(err)
	}
	var s Submessage
	for {
		ok, err := m.Next(&s)
		if err != nil {
			t.Fatal(err)
		}
		if !ok {
			break
		}
		t.Logf("%v %+v", s.Kind, s)
	}
	var pd, back ParticipantData
	pd = ParticipantData{GUID: GUID{p, EntityParticipant}, Domain: 5, Lease: 20 * time.Second, Name: "x", UserData: []byte("enclave=/;"), Builtin: 0x3f, Version: OurVersion, Vendor: OurVendor}
	pd.Unicast.Add(netip.MustParseAddrPort("127.0.0.1:7411"))
	if err := ParseParticipant(AppendParticipant(nil, &pd), &back); err != nil {
		t.Fatal(err)
	}
	if back.Lease != pd.Lease || back.Unicast != pd.Unicast {
		t.Fatal(back)
	}
	e := EndpointData{GUID: GUID{p, EntityID{0, 0, 1, 3}}, Participant: pd.GUID, Topic: "rt/x", Type: "y", QoS: DefaultQoS(true), UserData: []byte("typehash=1;")}
	e.QoS.Partitions = []string{"a", "bcdef"}
	e.QoS.Representations = []int16{0, 2}
	var eb EndpointData
	if err := ParseEndpoint(AppendEndpoint(nil, &e), true, &eb); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(e, eb, cmp.Comparer(func(a, b netip.AddrPort) bool { return a == b })); d != "" {
		t.Fatal(d)
	}
}
