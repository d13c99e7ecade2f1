package agent

import (
	"testing"

	"github.com/robowarden/robowarden/hal/bus"
	"github.com/robowarden/robowarden/hal/msg"
)

// TestDrivesOnADomain: a base with steered wheels is told by drives alone, and by a gate that is closed to stand with its
// wheels as they are, while the planner is heard by the type that the mapping names and by no other.
func TestDrivesOnADomain(t *testing.T) {
	t.Parallel()
	s := newDomainSite(t,
		"/cmd_vel_raw, type: geometry_msgs/Twist", "/cmd_vel_raw, type: ackermann_msgs/AckermannDriveStamped",
		"/cmd_vel, type: geometry_msgs/Twist, consumer: /plant", "/cmd_vel, type: ackermann_msgs/AckermannDrive, wheelbase_m: 0.8, consumer: /plant")
	base, planner := s.join("/plant"), s.join("/planner")
	drives := make(chan msg.Command, 1000)
	_, err := base.SubscribeCommand(bus.Subscription{
		Topic: "/cmd_vel", Type: bus.TypeAckermannDrive, WheelbaseM: 0.8, Allow: []string{"/robowarden"},
	}, 0, func(c *msg.Command) { drives <- *c })
	s.must(err)
	cmd, err := planner.Advertise(bus.Publication{Topic: "/cmd_vel_raw", Type: bus.TypeAckermannDriveStamped, Frame: "base_link", WheelbaseM: 0.8})
	s.must(err)
	s.eventually("the planner is heard", func() bool { p, ok := s.publisher("/planner"); return ok && p.Gated })
	for seq := range uint64(50) {
		_, err := cmd.PublishTwist(seq+1, &msg.Twist{Linear: msg.Vec3{X: 1}, Angular: msg.Vec3{Z: 0.3}})
		s.must(err)
	}
	if n := cmd.Subscribers(); n != 1 {
		t.Errorf("%d read the planner's drives, expected the guard", n)
	}
	s.eventually("zeros at the base", func() bool { return len(drives) > 20 })
	for range 20 {
		if c := <-drives; c.Linear != (msg.Vec3{}) || c.Angular != (msg.Vec3{}) {
			t.Fatalf("a gate that is closed sent %+v", c.Twist)
		}
	}
	for _, code := range []string{"publisher.unknown", "publisher.conflict", "gate.bypass"} {
		if present, latched := s.trigger(code); present || latched {
			t.Errorf("%s without a reason", code)
		}
	}
}
