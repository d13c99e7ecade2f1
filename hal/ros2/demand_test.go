package ros2

import (
	"bytes"
	"testing"

	"github.com/robowarden/robowarden/hal/bus"
	"github.com/robowarden/robowarden/hal/msg"
)

// TestDemandsPassBetweenNodes: a trajectory from one node is judged by its outline and passed on as it came by another; the
// first message counts, for there may be no second. A hold follows it.
func TestDemandsPassBetweenNodes(t *testing.T) {
	d := freeDomain(t)
	planner := startNode(t, d, func(c *Config) { c.Name = "/planner" })
	gate, arm := startNode(t, d), startNode(t, d, func(c *Config) { c.Name = "/arm" })
	raw, err := planner.Advertise(bus.Publication{Topic: "/arm/command_raw", Type: bus.TypeJointTrajectory, Forward: true})
	if err != nil {
		t.Fatal(err)
	}
	out, err := gate.Advertise(bus.Publication{Topic: "/arm/command", Type: bus.TypeJointTrajectory, Forward: true, Consumers: []string{"/arm"}})
	if err != nil {
		t.Fatal(err)
	}
	sub := func(topic, from string) bus.DemandSubscription {
		return bus.DemandSubscription{
			Subscription: bus.Subscription{Topic: topic, Type: bus.TypeJointTrajectory, Allow: []string{from}}, Form: msg.FormJoints, Joints: []string{"hip", "knee"},
		}
	}
	seq := uint64(0)
	if _, err := gate.SubscribeDemand(sub("/arm/command_raw", "/planner"), func(m *msg.Demand) {
		seq++
		if _, err := out.PublishRaw(seq, m.Raw); err != nil {
			t.Error(err)
		}
	}); err != nil {
		t.Fatal(err)
	}
	var got collected[msg.Trajectory]
	var bodies collected[[]byte]
	if _, err := arm.SubscribeDemand(sub("/arm/command", "/robowarden"), func(m *msg.Demand) {
		bodies.add(bytes.Clone(m.Raw))
		got.add(*m.Joints)
	}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "matches", func() bool { return raw.Subscribers() > 0 && out.Subscribers() > 0 })
	body := trajectory(false)
	if _, err := raw.PublishRaw(1, body); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the trajectory", func() bool { return got.len() == 1 })
	if m := got.all()[0]; !bytes.Equal(bodies.all()[0], body) || m.Seen != 3 || m.Points != 1 {
		t.Errorf("sent %x, arrived %x: %+v", body, bodies.all()[0], m)
	}
	if _, err := out.PublishHold(2, &bus.Hold{}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the hold", func() bool { return got.len() == 2 })
	if m := got.all()[1]; m.Points != 0 {
		t.Errorf("the hold is %+v", m)
	}
	if _, err := gate.SubscribeDemand(bus.DemandSubscription{Subscription: bus.Subscription{Topic: "/x", Type: bus.TypeBool, AllowAny: true}}, func(*msg.Demand) {}); err == nil {
		t.Error("a demand without a form is taken")
	}
	plain, err := gate.Advertise(bus.Publication{Topic: "/t", Type: bus.TypeTwist})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := plain.PublishRaw(1, body); err == nil {
		t.Error("raw bytes on a topic of our own messages")
	}
}
