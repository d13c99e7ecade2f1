package config

import (
	"io/fs"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/robowarden/robowarden/configs"
)

// meaning is a shipped document without its comments and digests.
func meaning(t *testing.T, name string) string {
	t.Helper()
	src, err := fs.ReadFile(configs.FS(), name)
	if err != nil {
		t.Fatal(err)
	}
	text := regexp.MustCompile(`(?m)^\s*#.*\n`).ReplaceAllString(string(src), "")
	return regexp.MustCompile(`sha256:[0-9a-f]{64}`).ReplaceAllString(text, "sha256")
}

// TestOneRobotOnTwoBuses: profile, mapping and policy of the two examples differ in the profile's bus alone.
func TestOneRobotOnTwoBuses(t *testing.T) {
	for _, name := range []string{"topics.yaml", "policy.yaml", "profile.yaml"} {
		ros1, ros2 := meaning(t, configs.DiffDrive+"/"+name), meaning(t, configs.DiffDriveROS2+"/"+name)
		if name == "profile.yaml" {
			if !strings.Contains(ros2, "\nbus: ros2\n") {
				t.Error("the ROS 2 example has another bus")
			}
			ros2 = strings.Replace(ros2, "\nbus: ros2\n", "\nbus: ros1\n", 1)
		}
		if diff := cmp.Diff(ros1, ros2); diff != "" {
			t.Errorf("%s:\n%s", name, diff)
		}
	}
}

// TestBothSpellingsOfATypeAreOne: a mapping that was written for ROS 2 means the same.
func TestBothSpellingsOfATypeAreOne(t *testing.T) {
	const shared = `kind: topic-mapping
version: 1
id: small-topics
pose: {topic: /odom, type: nav_msgs/Odometry, frame: map, publishers: [/base]}
floor: {topic: {topic: /map_id, type: std_msgs/String, publishers: [/maps]}, values: [{value: a, floor: hall}]}
odometry: {topic: /odom, type: nav_msgs/Odometry, frame: map, publishers: [/base]}
cameras: [{name: head, topic: /camera/active, type: std_msgs/Bool, publishers: [/camera]}]
commands:
  - {channel: planner, kind: autonomy, topic: /cmd_vel_raw, type: geometry_msgs/Twist, publishers: [/planner]}
command_out: {topic: /cmd_vel, type: geometry_msgs/Twist, consumer: /base}
services: {stop: {name: /stop, type: std_srvs/Trigger}}
`
	ros2 := strings.ReplaceAll(strings.ReplaceAll(shared, "_msgs/", "_msgs/msg/"), "_srvs/", "_srvs/srv/")
	var got [2]Topics
	for i, text := range []string{shared, ros2} {
		p := newProblems()
		l := &loader{out: p, docs: map[string]*document{}, cfg: &Config{}}
		l.take("topics.yaml", []byte(text))
		cfg, err := l.finish()
		if err != nil {
			t.Fatal(err)
		}
		got[i] = *cfg.Topics
	}
	if diff := cmp.Diff(got[0], got[1]); diff != "" {
		t.Error(diff)
	}
}

// TestNodeIsThatOfTheBus: with both sections, the guard has the name that belongs to the profile's bus.
func TestNodeIsThatOfTheBus(t *testing.T) {
	d := &Deployment{ROS: &ROS{Node: "/on_ros1"}, DDS: &DDS{Node: "/on_dds"}}
	for bus, want := range map[string]string{BusROS1: "/on_ros1", BusROS2: "/on_dds", "": ""} {
		if got := d.Node(bus); got != want {
			t.Errorf("bus %q: node %q; want %q", bus, got, want)
		}
	}
	if got := (&Deployment{}).Node(BusROS2); got != "" {
		t.Errorf("node %q without a section; want none", got)
	}
}
