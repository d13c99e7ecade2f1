package wire

import (
	"encoding/binary"
	"errors"
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

var sameAddr = cmp.Comparer(func(a, b netip.AddrPort) bool { return a == b })

func drawName(t *rapid.T, label string, least int) string {
	return string(rapid.SliceOfN(rapid.ByteRange(1, 255), least, MaxName).Draw(t, label))
}

func drawDuration(t *rapid.T, label string) time.Duration {
	if rapid.Bool().Draw(t, label+" infinite") {
		return Infinite
	}
	return time.Duration(rapid.Int64Range(0, int64(0x7ffffffe)*int64(time.Second)).Draw(t, label))
}

func drawLocators(t *rapid.T, label string) (l Locators) {
	for range rapid.IntRange(0, MaxLocators+2).Draw(t, label) {
		v6 := rapid.Bool().Draw(t, "v6")
		ip := [16]byte(rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "address"))
		a := netip.AddrFrom16(ip)
		if !v6 {
			a = netip.AddrFrom4([4]byte(ip[:4]))
		}
		if a = a.Unmap(); !a.IsUnspecified() {
			l.Add(netip.AddrPortFrom(a, rapid.Uint16Range(1, 65535).Draw(t, "port")))
		}
	}
	return l
}

func drawPrefix(t *rapid.T) Prefix {
	p := Prefix(rapid.SliceOfN(rapid.Byte(), 12, 12).Draw(t, "prefix"))
	p[0] |= 1
	return p
}

func drawQoS(t *rapid.T, writer bool) QoS {
	q := QoS{
		Reliable: rapid.Bool().Draw(t, "reliable"), Durability: rapid.Uint8Range(0, Persistent).Draw(t, "durability"),
		Deadline: drawDuration(t, "deadline"), LatencyBudget: drawDuration(t, "budget"),
		Liveliness: rapid.Uint8Range(0, ManualByTopic).Draw(t, "liveliness"), LivelinessLease: drawDuration(t, "lease"),
		Exclusive: rapid.Bool().Draw(t, "exclusive"), BySource: rapid.Bool().Draw(t, "by source"),
		Presentation: rapid.Uint8Range(0, PresentGroup).Draw(t, "presentation"),
		Coherent:     rapid.Bool().Draw(t, "coherent"), Ordered: rapid.Bool().Draw(t, "ordered"),
	}
	if writer {
		q.OwnershipStrength = rapid.Int32().Draw(t, "strength")
	}
	for range rapid.IntRange(0, MaxPartitions).Draw(t, "partitions") {
		q.Partitions = append(q.Partitions, drawName(t, "partition", 0))
	}
	for range rapid.IntRange(0, MaxRepresentations).Draw(t, "representations") {
		q.Representations = append(q.Representations, rapid.Int16().Draw(t, "representation"))
	}
	return q
}

// TestParticipantRoundTrip: what is announced is read back.
func TestParticipantRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := ParticipantData{
			GUID: GUID{drawPrefix(t), EntityParticipant}, Version: OurVersion, Vendor: OurVendor,
			Domain:      rapid.Int32Range(-1, 1<<31-1).Draw(t, "domain"),
			MetaUnicast: drawLocators(t, "meta unicast"), MetaMulticast: drawLocators(t, "meta multicast"),
			Unicast: drawLocators(t, "unicast"), Multicast: drawLocators(t, "multicast"),
			Lease: drawDuration(t, "lease"), Builtin: rapid.Uint32().Draw(t, "builtin"),
			UserData: rapid.SliceOfN(rapid.Byte(), 0, MaxUserData).Draw(t, "user data"), Name: drawName(t, "name", 0),
			ManualLiveliness: rapid.Int32().Draw(t, "manual"),
		}
		if len(p.UserData) == 0 {
			p.UserData = nil
		}
		payload := AppendParticipant(nil, &p)
		var got ParticipantData
		if err := ParseParticipant(payload, &got); err != nil {
			t.Fatal(err)
		}
		clear(payload) // nothing may still point there
		if diff := cmp.Diff(p, got, sameAddr); diff != "" {
			t.Fatal(diff)
		}
	})
}

// TestEndpointRoundTrip: what is announced is read back.
func TestEndpointRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		writer := rapid.Bool().Draw(t, "writer")
		kinds := []byte{kindReaderNoKey, kindReaderWithKey}
		if writer {
			kinds = []byte{kindWriterNoKey, kindWriterWithKey}
		}
		p := drawPrefix(t)
		e := EndpointData{
			GUID: GUID{p, EntityID{1, 2, 3, rapid.SampledFrom(kinds).Draw(t, "kind")}}, Participant: GUID{p, EntityParticipant},
			Topic: drawName(t, "topic", 1), Type: drawName(t, "type", 1), QoS: drawQoS(t, writer),
			Unicast: drawLocators(t, "unicast"), Multicast: drawLocators(t, "multicast"),
			UserData:  rapid.SliceOfN(rapid.Byte(), 1, MaxUserData).Draw(t, "user data"),
			InlineQoS: rapid.Bool().Draw(t, "inline"),
		}
		payload := AppendEndpoint(nil, &e)
		var got EndpointData
		if err := ParseEndpoint(payload, writer, &got); err != nil {
			t.Fatal(err)
		}
		clear(payload)
		if diff := cmp.Diff(e, got, sameAddr); diff != "" {
			t.Fatal(diff)
		}
		if err := ParseEndpoint(AppendEndpoint(nil, &e), !writer, &got); !errors.Is(err, FaultForeign) {
			t.Fatalf("taken for the other kind: %v", err)
		}
	})
}

// list writes discovery data in the given order; fill writes the parameters.
func list(o byteOrder, fill func(*enc)) []byte {
	kind := byte(2)
	if o == binary.LittleEndian {
		kind = 3
	}
	e := &enc{o, []byte{0, kind, 0, 0}}
	fill(e)
	return e.sentinel().b
}

func (e *enc) guid(pid uint16, g GUID) *enc {
	return e.param(pid, func(e *enc) { e.raw(g.Prefix[:]...).raw(g.Entity[:]...) })
}

func (e *enc) locator(pid uint16, kind, port uint32, addr ...byte) *enc {
	return e.param(pid, func(e *enc) { e.u32(kind, port).raw(addr...) })
}

// minimal is the least that a writer's data consists of.
func minimal(e *enc) *enc {
	e.guid(0x5a, testGUID).param(5, func(e *enc) { e.text("rt/odom") })
	return e.param(7, func(e *enc) { e.text("nav_msgs::msg::dds_::Odometry_") })
}

// TestDefaults: what discovery data leaves out is what the specification's table 9.14 says, for either kind of endpoint.
func TestDefaults(t *testing.T) {
	for _, writer := range []bool{true, false} {
		g := testGUID
		if !writer {
			g.Entity = testReader
		}
		payload := list(binary.LittleEndian, func(e *enc) {
			e.guid(0x5a, g).param(5, func(e *enc) { e.text("t") }).param(7, func(e *enc) { e.text("y") })
		})
		want := EndpointData{
			GUID: g, Participant: GUID{testPrefix, EntityParticipant}, Topic: "t", Type: "y",
			QoS: QoS{Reliable: writer, Deadline: Infinite, LivelinessLease: Infinite},
		}
		var got EndpointData
		if err := ParseEndpoint(payload, writer, &got); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got, sameAddr); diff != "" {
			t.Error(diff)
		}
	}
	var p ParticipantData
	if err := ParseParticipant(list(binary.LittleEndian, func(e *enc) { e.guid(0x50, GUID{testPrefix, EntityParticipant}) }), &p); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(ParticipantData{GUID: GUID{testPrefix, EntityParticipant}, Domain: -1, Lease: 100 * time.Second}, p, sameAddr); diff != "" {
		t.Error(diff)
	}
}

// TestNothingExtra: what is the default of every implementation is not written.
func TestNothingExtra(t *testing.T) {
	pids := func(payload []byte) (all []uint16) {
		p, err := openList(payload)
		if err != nil {
			t.Fatal(err)
		}
		if err := p.each("test", func(pid uint16, _ []byte) Fault { all = append(all, pid); return FaultNone }); err != nil {
			t.Fatal(err)
		}
		return all
	}
	p := ParticipantData{GUID: GUID{testPrefix, EntityParticipant}, Domain: -1}
	if diff := cmp.Diff([]uint16{0x15, 0x16, 0x50, 0x58, 0x02}, pids(AppendParticipant(nil, &p))); diff != "" {
		t.Error(diff)
	}
	e := EndpointData{GUID: testGUID, Topic: "t", Type: "y", QoS: DefaultQoS(true)}
	want := []uint16{0x5a, 0x50, 0x05, 0x07, 0x1a, 0x1d, 0x1b, 0x23, 0x1f}
	if diff := cmp.Diff(want, pids(AppendEndpoint(nil, &e))); diff != "" {
		t.Error(diff)
	}
	e.UserData, p.UserData = make([]byte, 5000), make([]byte, 5000)
	if n := len(AppendEndpoint(nil, &e)) + len(AppendParticipant(nil, &p)); n > 2*MaxUserData+600 {
		t.Errorf("%d octets with user data above the cap", n)
	}
}

// TestParticipantOrders: a participant's data in either byte order, with everything that is to be passed over.
func TestParticipantOrders(t *testing.T) {
	v4 := []byte{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 192, 168, 123, 161}
	v6 := netip.MustParseAddr("fd00::161").As16()
	for name, o := range testOrders {
		payload := list(o, func(e *enc) {
			e.param(0x15, func(e *enc) { e.raw(2, 4) }).param(0x16, func(e *enc) { e.raw(1, 0x10) })
			e.guid(0x50, GUID{testPrefix, EntityParticipant}).param(0x0f, func(e *enc) { e.u32(7) })
			e.param(2, func(e *enc) { e.u32(11, 0x80000000) }).param(0x58, func(e *enc) { e.u32(0xfc3f) })
			e.param(0x34, func(e *enc) { e.u32(3) })
			e.locator(0x32, 1, 7410, v4...).locator(0x32, 1, 7410, v4...).locator(0x32, 2, 7410, v6[:]...)
			e.locator(0x31, 1, 7411, v4...).locator(0x33, 1, 7400, v4...).locator(0x48, 1, 7401, v4...)
			e.locator(0x31, 16, 7411, v4...)              // shared memory
			e.locator(0x31, 4, 7411, v4...)               // TCP
			e.locator(0x31, 1, 0, v4...)                  // no port
			e.locator(0x31, 1, 65536, v4...)              // no port of UDP
			e.locator(0x31, 1, 7411, make([]byte, 16)...) // no address
			e.param(0x2c, func(e *enc) { e.u32(10).raw([]byte("enclave=/;")...) })
			e.param(0x62, func(e *enc) { e.text("/") }).param(0x4014, func(e *enc) { e.text("") })
			e.param(0x1001, func(e *enc) { e.text("DDS:Auth:PKI-DH:1.0") })
			e.param(0x8007, func(e *enc) { e.u32(1, 2) }).param(0xc007, func(e *enc) { e.u32(1, 2) })
			e.param(0, func(e *enc) { e.u32(0) }).param(0x1234, func(*enc) {})
		})
		meta := netip.AddrPortFrom(netip.AddrFrom4([4]byte{192, 168, 123, 161}), 7410)
		want := ParticipantData{
			GUID: GUID{testPrefix, EntityParticipant}, Version: [2]byte{2, 4}, Vendor: [2]byte{1, 0x10}, Domain: 7,
			Lease: 11500 * time.Millisecond, Builtin: 0xfc3f, UserData: []byte("enclave=/;"), Name: "/", Secured: true,
			ManualLiveliness: 3,
		}
		want.MetaUnicast.Add(meta)
		want.MetaUnicast.Add(netip.AddrPortFrom(netip.AddrFrom16(v6), 7410))
		want.Unicast.Add(netip.AddrPortFrom(meta.Addr(), 7411))
		want.MetaMulticast.Add(netip.AddrPortFrom(meta.Addr(), 7400))
		want.Multicast.Add(netip.AddrPortFrom(meta.Addr(), 7401))
		var got ParticipantData
		if err := ParseParticipant(payload, &got); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if diff := cmp.Diff(want, got, sameAddr); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

// TestEndpointOrders: a writer's data in either byte order.
func TestEndpointOrders(t *testing.T) {
	for name, o := range testOrders {
		payload := list(o, func(e *enc) {
			minimal(e).guid(0x50, GUID{testPrefix, EntityParticipant}).guid(0x70, testGUID)
			e.param(0x1a, func(e *enc) { e.u32(1, 0, 0) }).param(0x1d, func(e *enc) { e.u32(2) })
			e.param(0x23, func(e *enc) { e.u32(0, 0x40000000) }).param(0x27, func(e *enc) { e.u32(0x7fffffff, 0xffffffff) })
			e.param(0x1b, func(e *enc) { e.u32(2, 3, 0) }).param(0x1f, func(e *enc) { e.u32(1) }).param(6, func(e *enc) { e.u32(9) })
			e.param(0x25, func(e *enc) { e.u32(1) }).param(0x21, func(e *enc) { e.u32(2).raw(1, 0) })
			e.param(0x29, func(e *enc) { e.u32(2).text("ab").raw(0).text("") }).param(0x73, func(e *enc) { e.u32(3).u16(2, 0, 1) })
			e.param(0x43, func(e *enc) { e.raw(1) }).param(0x75, func(e *enc) { e.u32(4, 5) })
		})
		want := EndpointData{
			GUID: testGUID, Participant: GUID{testPrefix, EntityParticipant}, Topic: "rt/odom",
			Type: "nav_msgs::msg::dds_::Odometry_", InlineQoS: true,
			QoS: QoS{
				Durability: Transient, Deadline: 250 * time.Millisecond, LatencyBudget: Infinite, Liveliness: ManualByTopic,
				LivelinessLease: 3 * time.Second, Exclusive: true, OwnershipStrength: 9, BySource: true, Presentation: PresentGroup,
				Coherent: true, Partitions: []string{"ab", ""}, Representations: []int16{XCDR2, XCDR1, XML},
			},
		}
		var got EndpointData
		if err := ParseEndpoint(payload, true, &got); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if diff := cmp.Diff(want, got, sameAddr); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}
