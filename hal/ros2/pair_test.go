package ros2

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/robowarden/robowarden/hal/bus"
	"github.com/robowarden/robowarden/hal/msg"
)

// TestIPv6: the same over the other family.
func TestIPv6(t *testing.T) {
	d := freeDomain(t)
	six := func(name string) func(*Config) { return func(c *Config) { c.Name, c.Host = name, "::1" } }
	a, b := startNode(t, d, six("/planner")), startNode(t, d, six("/robowarden"))
	p, err := a.Advertise(bus.Publication{Topic: "/lock", Type: bus.TypeBool})
	if err != nil {
		t.Fatal(err)
	}
	var got collected[msg.Peer]
	s, err := b.SubscribeBool(bus.Subscription{Topic: "/lock", AllowAny: true}, func(m *msg.Bool) { got.add(*m.Peer) })
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "a match", func() bool { return p.Subscribers() == 1 && hears(s) })
	if _, err := p.PublishBool(1, true); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the value", func() bool { return got.len() == 1 })
	if peer := got.all()[0]; !peer.Addr.Addr().Is6() || peer.Name != "/planner" {
		t.Errorf("%+v; expected /planner on ::1", peer)
	}
}

// TestTwoNodes: what one node publishes reaches the other, under the publisher's name, and the events say so.
func TestTwoNodes(t *testing.T) {
	d := freeDomain(t)
	a := startNode(t, d, func(c *Config) { c.Name = "/planner" })
	b := startNode(t, d)
	p, err := a.Advertise(bus.Publication{Topic: "/cmd_vel", Type: bus.TypeTwist, Consumers: []string{"/robowarden"}})
	if err != nil {
		t.Fatal(err)
	}
	var got collected[msg.Command]
	s, err := b.SubscribeCommand(bus.Subscription{Topic: "/cmd_vel", Allow: []string{"/planner"}}, 3, func(m *msg.Command) { got.add(*m) })
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "a match", func() bool { return p.Subscribers() == 1 && hears(s) })
	want := msg.Twist{Linear: msg.Vec3{X: 0.5}, Angular: msg.Vec3{Z: -1}}
	if sent, err := p.PublishTwist(7, &want); err != nil || sent != (bus.Sent{Delivered: 1}) {
		t.Fatalf("publish: %+v, %v", sent, err)
	}
	if sent, err := p.PublishTwist(6, &want); err != nil || !sent.Superseded {
		t.Errorf("an older command: %+v, %v; expected that it is superseded", sent, err)
	}
	eventually(t, "the command", func() bool { return got.len() == 1 })
	m := got.all()[0]
	if diff := cmp.Diff(want, m.Twist); diff != "" || m.Channel != 3 {
		t.Errorf("channel %d, expected 3; expected -, got +\n%s", m.Channel, diff)
	}
	if m.Peer == nil || m.Peer.Name != "/planner" || m.Peer.Strength != msg.SourceBound || m.Peer.Addr != a.part.Local() {
		t.Errorf("peer %+v; expected /planner, source-bound, at %v", m.Peer, a.part.Local())
	}
	e := b.ev.await(t, bus.PublisherConnected, "/cmd_vel", "/planner")
	if e.Peer != m.Peer {
		t.Errorf("the event's peer is %p, the message's %p", e.Peer, m.Peer)
	}
	a.ev.await(t, bus.SubscriberConnected, "/cmd_vel", "/robowarden")
	a.stop()
	if e := b.ev.await(t, bus.PublisherGone, "/cmd_vel", "/planner"); e.Peer != m.Peer {
		t.Errorf("the farewell's peer is %p, the message's %p", e.Peer, m.Peer)
	}
	if n := len(b.ev.find(bus.PublisherConnected, "/cmd_vel")); n != 1 {
		t.Errorf("%d connections told, expected 1", n)
	}
}
