package ros1

import (
	"sync/atomic"
	"testing"

	"github.com/robowarden/robowarden/hal/bus"
	"github.com/robowarden/robowarden/hal/msg"
	"github.com/robowarden/robowarden/hal/ros1/rostest"
)

func TestCommandInCommandOut(t *testing.T) {
	t.Parallel()
	master := newTestMaster(t)
	var ev events
	n := startNode(t, testConfig(master.URI(), &ev))
	pub, err := n.Advertise(bus.Publication{Topic: "/cmd_vel", Type: bus.TypeTwist, Consumers: []string{"/base"}})
	if err != nil {
		t.Fatal(err)
	}
	var seq atomic.Uint64
	var strength atomic.Uint32
	_, err = n.SubscribeCommand(bus.Subscription{Topic: "/cmd_vel_raw", Allow: []string{"/planner"}}, 3, func(c *msg.Command) {
		if c.Channel != 3 || c.Boot == 0 || c.Peer.Name != "/planner" {
			t.Errorf("command %+v from %+v", c, c.Peer)
		}
		strength.Store(uint32(c.Peer.Strength))
		if _, err := pub.PublishTwist(seq.Add(1), &c.Twist); err != nil {
			t.Error(err)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	planner := startPublisher(t, master.URI(), "/planner", "/cmd_vel_raw", bus.TypeTwist, nil)
	eventually(t, "registered at the master", func() bool { return len(master.Publishers("/cmd_vel")) == 1 })
	base, err := rostest.Subscribe(n.URI(), "/base", "/cmd_vel", bus.TypeTwist, mustType(t, bus.TypeTwist).md5)
	if err != nil {
		t.Fatal(err)
	}
	defer base.Close()
	eventually(t, "planner connected", func() bool { return planner.Subscribers() == 1 })
	for i := range 100 {
		want := twistBody(float64(i))
		planner.Send(want)
		got, err := base.Message()
		if err != nil {
			t.Fatal(err)
		}
		if string(got) != string(want) {
			t.Fatalf("message %d: got %x, want %x", i, got, want)
		}
	}
	if s := msg.Strength(strength.Load()); s != msg.SourceBound {
		t.Errorf("strength %v; want %v", s, msg.SourceBound)
	}
}
