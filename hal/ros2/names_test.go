package ros2

import (
	"net/netip"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestValidName(t *testing.T) {
	for name, want := range map[string]bool{
		"/odom": true, "/a/b_2/c": true, "/_hidden": true, "/navigate_to_pose/_action/send_goal": true,
		"":                                 false, // empty
		"/":                                false, // no token
		"odom":                             false, // relative
		"~/odom":                           false, // private
		"/a//b":                            false, // empty token
		"/a/":                              false, // ends in a slash
		"/2d":                              false, // begins with a digit
		"/a/2d":                            false, // token begins with a digit
		"/a b":                             false, // space
		"/a-b":                             false, // hyphen
		"/ä":                               false, // not ASCII
		"/a\x00":                           false, // NUL
		"/" + strings.Repeat("a", maxName): false, // too long
	} {
		if got := validName(name); got != want {
			t.Errorf("%q: %v, expected %v", name, got, want)
		}
	}
}

func TestRawNamesAreNobodysNode(t *testing.T) {
	for addr, want := range map[string]string{
		"192.168.123.161": "dds:192.168.123.161", "::ffff:10.0.0.1": "dds:10.0.0.1", "fe80::1%eth0": "dds:fe80::1",
	} {
		got := rawName(netip.MustParseAddr(addr))
		if got != want || validName(got) || !validPeer(got) {
			t.Errorf("%s: %s, node %v, peer %v; expected %s that is a peer and no node", addr, got, validName(got), validPeer(got), want)
		}
	}
	for _, bad := range []string{"dds:", "dds:host", "dds:::ffff:10.0.0.1", "dds:10.0.0.01", "raw:10.0.0.1", "10.0.0.1"} {
		if validPeer(bad) {
			t.Errorf("%s passes as a peer", bad)
		}
	}
}

func TestNodeName(t *testing.T) {
	for _, c := range []struct{ namespace, name, want string }{
		{"/", "base", "/base"},
		{"/left/arm", "driver", "/left/arm/driver"},
		{"", "base", "/base"}, // some senders leave the root out
		{"/", "", ""},
		{"left", "arm", ""},      // relative namespace
		{"/left/", "arm", ""},    // ends in a slash
		{"/", "a/b", ""},         // a name with a namespace in it could pose as another node
		{"/", "dds:1.2.3.4", ""}, // nor as a raw writer
		{"/", "a\nb", ""},
	} {
		if got := nodeName(c.namespace, c.name); got != c.want {
			t.Errorf("%q, %q: %q, expected %q", c.namespace, c.name, got, c.want)
		}
	}
}

func TestNodeNameRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		full := rapid.StringMatching(`(/[a-zA-Z_][a-zA-Z0-9_]{0,8}){1,4}`).Draw(t, "name")
		if got := nodeName(splitNode(full)); got != full {
			t.Fatalf("%s became %s", full, got)
		}
	})
}

func TestTopicsOnTheWire(t *testing.T) {
	for got, want := range map[string]string{
		ddsTopic("/cmd_vel"):       "rt/cmd_vel",
		ddsTopic("/a/b"):           "rt/a/b",
		requestTopic("/stop"):      "rq/stopRequest",
		replyTopic("/stop"):        "rr/stopReply",
		rosTopic("rt/cmd_vel"):     "/cmd_vel",
		rosTopic("rt_cmd_vel"):     "rt_cmd_vel",
		rosTopic("rtx/cmd_vel"):    "rtx/cmd_vel",
		rosTopic("rq/stopRequest"): "/stopRequest",
		requestTopic(action("/navigate_to_pose", "send_goal")): "rq/navigate_to_pose/_action/send_goalRequest",
	} {
		if got != want {
			t.Errorf("%s, expected %s", got, want)
		}
	}
}

func TestTypesOnTheWire(t *testing.T) {
	for _, c := range []struct{ typ, kind, suffix, want string }{
		{"nav_msgs/Odometry", "msg", "", "nav_msgs::msg::dds_::Odometry_"},
		{"nav_msgs/msg/Odometry", "msg", "", "nav_msgs::msg::dds_::Odometry_"},
		{"std_srvs/SetBool", "srv", "_Request", "std_srvs::srv::dds_::SetBool_Request_"},
		{"std_srvs/srv/Trigger", "srv", "_Response", "std_srvs::srv::dds_::Trigger_Response_"},
		{"nav2_msgs/action/NavigateToPose_SendGoal", "action", "_Request", "nav2_msgs::action::dds_::NavigateToPose_SendGoal_Request_"},
	} {
		got, err := parseType(c.typ, c.kind)
		if err != nil || got.dds(c.suffix) != c.want {
			t.Errorf("%s: %s, %v; expected %s", c.typ, got.dds(c.suffix), err, c.want)
		}
	}
	for _, bad := range []string{
		"", "Odometry", "nav_msgs/", "/Odometry", "nav_msgs/srv/Odometry", "a/b/c/d", "nav_msgs/Odo metry", "nav_msgs::Odometry", "2d/X",
		"a/" + strings.Repeat("x", maxName),
	} {
		if got, err := parseType(bad, "msg"); err == nil {
			t.Errorf("%q passes as %v", bad, got)
		}
	}
}
