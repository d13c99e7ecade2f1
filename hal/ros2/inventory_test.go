package ros2

import (
	"slices"
	"testing"

	"github.com/robowarden/robowarden/hal/bus"
	"github.com/robowarden/robowarden/hal/msg"
)

// TestInventory: what others write, read and offer is listed by its ROS names; what we do ourselves is not.
func TestInventory(t *testing.T) {
	t.Parallel()
	domain := freeDomain(t)
	robot := startNode(t, domain, func(c *Config) { c.Name = "/base" })
	if _, err := robot.Advertise(bus.Publication{Topic: "/odom_lock", Type: bus.TypeBool}); err != nil {
		t.Fatal(err)
	}
	if _, err := robot.SubscribeCommand(bus.Subscription{Topic: "/cmd_vel", AllowAny: true}, 0, func(*msg.Command) {}); err != nil {
		t.Fatal(err)
	}
	watcher := startNode(t, domain, func(c *Config) { c.Name = "/onlooker" })
	if _, err := watcher.Advertise(bus.Publication{Topic: "/own", Type: bus.TypeBool}); err != nil {
		t.Fatal(err)
	}
	var v *bus.Inventory
	eventually(t, "the robot's topics are listed under its name", func() bool {
		v = watcher.Inventory()
		return slices.Equal(v.Topic("/odom_lock").Publishers, []string{"/base"}) && slices.Equal(v.Topic("/cmd_vel").Subscribers, []string{"/base"})
	})
	if v.Topic("/odom_lock").Type != bus.TypeBool || v.Topic("/cmd_vel").Type != bus.TypeTwist {
		t.Errorf("types %q and %q", v.Topic("/odom_lock").Type, v.Topic("/cmd_vel").Type)
	}
	if own := v.Topic("/own"); len(own.Publishers) != 0 {
		t.Errorf("our own topic has %v", own.Publishers)
	}
}

func TestReadableNames(t *testing.T) {
	for in, want := range map[string]string{
		"nav_msgs::msg::dds_::Odometry_":                "nav_msgs/Odometry",
		"std_srvs::srv::dds_::Trigger_Request_":         "std_srvs/Trigger_Request",
		"unitree_hg::msg::dds_::LowState_":              "unitree_hg/LowState",
		"LowState":                                      "LowState",
		"a::b::dds_::c":                                 "a::b::dds_::c",
		"action_msgs::srv::dds_::CancelGoal_Response_x": "action_msgs::srv::dds_::CancelGoal_Response_x",
	} {
		if got := readableType(in); got != want {
			t.Errorf("%s: %q, want %q", in, got, want)
		}
	}
	for in, want := range map[string]string{"rq/motor_stopRequest": "/motor_stop", "rq/x": "", "rt/xRequest": "", "rqxRequest": ""} {
		if got, ok := serviceOf(in); ok != (want != "") || ok && got != want {
			t.Errorf("%s: %q %v", in, got, ok)
		}
	}
}
