package ros2

import (
	"fmt"
	"net"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/robowarden/robowarden/hal/bus"
	"github.com/robowarden/robowarden/hal/msg"
	"github.com/robowarden/robowarden/hal/rtps"
	"github.com/robowarden/robowarden/hal/rtps/wire"
)

// hider is a participant of a test's own making that says what it likes of its endpoints.
type hider struct {
	t    *testing.T
	conn *net.UDPConn
	at   netip.AddrPort
	who  wire.Prefix
	seq  wire.SeqNum
}

// startHider makes n know a participant.
func startHider(t *testing.T, n *running) *hider {
	t.Helper()
	c, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(netip.AddrPortFrom(localhost, 0)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	h := &hider{t: t, conn: c, at: n.part.Local(), who: wire.Prefix{0xee, 0xee, 1}}
	h.hello()
	eventually(t, "the participant", func() bool { return len(n.part.Participants()) == 1 })
	return h
}

func (h *hider) send(b []byte) {
	h.t.Helper()
	if _, err := h.conn.WriteToUDPAddrPort(b, h.at); err != nil {
		h.t.Fatal(err)
	}
}

// hello announces the participant.
func (h *hider) hello() {
	h.t.Helper()
	d := wire.ParticipantData{GUID: wire.GUID{Prefix: h.who, Entity: wire.EntityParticipant}, Domain: -1, Lease: wire.DefaultLease, Builtin: 0x3f}
	d.MetaUnicast.Add(netip.MustParseAddrPort(h.conn.LocalAddr().String()))
	h.send(wire.AppendData(wire.AppendHeader(nil, h.who), wire.EntitySPDPReader, wire.EntitySPDPWriter, 1, wire.AppendParticipant(nil, &d)))
}

// writer announces writer number k of a topic.
func (h *hider) writer(topic string, k int, change func(*wire.EndpointData)) {
	h.t.Helper()
	h.seq++
	e := wire.EndpointData{
		GUID:  wire.GUID{Prefix: h.who, Entity: wire.EntityID{0, byte(k >> 8), byte(k), 3}},
		Topic: ddsTopic(topic), Type: "std_msgs::msg::dds_::String_", QoS: wire.DefaultQoS(true),
	}
	change(&e)
	b := wire.AppendHeader(nil, h.who)
	b = wire.AppendData(b, wire.EntitySEDPPubReader, wire.EntitySEDPPubWriter, h.seq, wire.AppendEndpoint(nil, &e))
	h.send(wire.AppendHeartbeat(b, wire.EntitySEDPPubReader, wire.EntitySEDPPubWriter, 1, h.seq, int32(h.seq), false, false))
}

// TestHiding: a writer of a watched topic is seen however it is announced.
func TestHiding(t *testing.T) {
	plain := func(*wire.EndpointData) {}
	for name, hide := range map[string]func(n *running, h *hider){
		"announced anew all the time": func(n *running, h *hider) {
			n.wg.Go(func() {
				for k := byte(0); n.ctx.Err() == nil; k++ {
					h.writer("/lowcmd", 1, func(e *wire.EndpointData) { e.UserData = []byte{k} })
					time.Sleep(20 * time.Millisecond)
				}
			})
		},
		"behind a crowd": func(n *running, h *hider) {
			for k := range rtps.DefaultEndpointsPerParticipant {
				h.writer(fmt.Sprintf("/crowd%d", k), 2+k, plain)
				if k%50 == 0 {
					time.Sleep(5 * time.Millisecond)
				}
			}
			eventually(h.t, "the crowd", func() bool { return n.part.Stats().Endpoints == rtps.DefaultEndpointsPerParticipant })
			h.writer("/lowcmd", 1, plain)
		},
		"with more partitions than are read": func(_ *running, h *hider) {
			h.writer("/lowcmd", 1, func(e *wire.EndpointData) {
				for k := range wire.MaxPartitions + 1 {
					e.QoS.Partitions = append(e.QoS.Partitions, fmt.Sprint(k))
				}
			})
		},
	} {
		t.Run(name, func(t *testing.T) {
			n := startNode(t, freeDomain(t))
			var g graphs
			if _, err := n.WatchTopic("/lowcmd", "", g.take); err != nil {
				t.Fatal(err)
			}
			h := startHider(t, n)
			hide(n, h)
			eventually(t, "the writer in the graph", func() bool { return g.last().Total == 1 && g.last().Publishers[0] == "dds:127.0.0.1" })
		})
	}
}

// TestUnseenIsNotKnown: while somebody may be there whom discovery could not take in, the graph is not known.
func TestUnseenIsNotKnown(t *testing.T) {
	n := startNode(t, freeDomain(t), func(c *Config) { c.Limits.RTPS.ParticipantsPerAddress = 1 })
	var g graphs
	if _, err := n.WatchTopic("/cmd_vel", "", g.take); err != nil {
		t.Fatal(err)
	}
	h := startHider(t, n)
	eventually(t, "a known graph", func() bool { return g.last().Known })
	h.who[2]++
	h.hello()
	eventually(t, "word of the refusal", func() bool { return len(n.ev.find(bus.RequestRefused, "")) > 0 })
	eventually(t, "an unknown graph", func() bool { return !g.last().Known })
	// Who comes meanwhile and is seen is told nevertheless.
	h.who[2]--
	h.writer("/cmd_vel", 1, func(*wire.EndpointData) {})
	eventually(t, "the writer in a known graph", func() bool {
		return slices.ContainsFunc(g.all(), func(m msg.Graph) bool { return m.Known && m.Total == 1 })
	})
	eventually(t, "an unknown graph again", func() bool { return !g.last().Known })
}

// TestFloodIsTold: whom a flood of forgeries crowds out leaves the graph known, and it says so; as many participants as there
// is room for do not.
func TestFloodIsTold(t *testing.T) {
	const room = 20
	n := startNode(t, freeDomain(t), func(c *Config) { c.Limits.RTPS.ParticipantsPerAddress = room })
	var g graphs
	if _, err := n.WatchTopic("/cmd_vel", "", g.take); err != nil {
		t.Fatal(err)
	}
	h := startHider(t, n)
	forge := func() {
		h.who[2]++
		h.hello()
	}
	for range room - 1 {
		forge()
	}
	eventually(t, "participants that never answer", func() bool { return len(n.part.Participants()) == room })
	eventually(t, "a known graph", func() bool { return g.last().Known })
	if slices.ContainsFunc(g.all(), func(m msg.Graph) bool { return m.Flooded }) {
		t.Error("a flood, although everybody was taken in (off)")
	}
	forge()
	eventually(t, "word of the flood in a known graph", func() bool { return g.last().Known && g.last().Flooded })
}

// TestFarewellByAnother: a farewell of a publisher that somebody says under his own name is told on the publisher's topic:
// others on the domain may have believed it.
func TestFarewellByAnother(t *testing.T) {
	d := freeDomain(t)
	n := startNode(t, d)
	if _, err := n.SubscribePose(bus.Subscription{Topic: "/odom", Type: bus.TypeOdometry, Allow: []string{"/base"}}, func(*msg.Pose) {}); err != nil {
		t.Fatal(err)
	}
	h := startHider(t, n)
	base := startProcess(t, d, true)
	w := base.writer("/odom", bus.TypeOdometry, quality{})
	base.node("/base", w)
	n.ev.await(t, bus.PublisherConnected, "/odom", "/base")
	h.send(wire.AppendDispose(wire.AppendHeader(nil, h.who), wire.EntitySPDPReader, wire.EntitySPDPWriter, 2, base.GUID(), wire.StatusDisposed))
	n.ev.await(t, bus.PublisherConflict, "/odom", "/base")
}

// TestCrowdOfLists: one participant with as many lists of nodes as are read does not keep out those of others, whose nodes
// would be strangers then.
func TestCrowdOfLists(t *testing.T) {
	d := freeDomain(t)
	n := startNode(t, d)
	if _, err := n.SubscribePose(bus.Subscription{Topic: "/odom", Type: bus.TypeOdometry, Allow: []string{"/base"}}, func(*msg.Pose) {}); err != nil {
		t.Fatal(err)
	}
	h := startHider(t, n)
	for k := range DefaultMatches {
		h.writer("/x", 1+k, func(e *wire.EndpointData) {
			e.Topic, e.Type, e.QoS.Durability = discoveryTopic, "rmw_dds_common::msg::dds_::ParticipantEntitiesInfo_", wire.TransientLocal
		})
		if k%50 == 0 {
			time.Sleep(5 * time.Millisecond)
		}
	}
	eventually(t, "the crowd", func() bool { return n.part.Stats().Endpoints == DefaultMatches })
	base := startProcess(t, d, true)
	base.node("/base", base.writer("/odom", bus.TypeOdometry, quality{}))
	n.ev.await(t, bus.PublisherConnected, "/odom", "/base")
}
