package config

import (
	"errors"
	"io/fs"
	"path/filepath"
	"strings"
	"testing"

	"github.com/robowarden/robowarden/configs"
)

// armGate is a gate that the demonstration's robot may have.
const armGate = "{name: arm, kind: autonomy, mode: inline, reads: joints, topic: /arm/command_raw, type: trajectory_msgs/JointTrajectory, publishers: [/move_group], out: /arm/command, consumer: /arms}"

// withGates loads the demonstration's profile and mapping with gates, on either bus.
func withGates(t *testing.T, bus string, gates ...string) (*Config, error) {
	t.Helper()
	dir := t.TempDir()
	for _, name := range []string{"profile.yaml", "topics.yaml"} {
		b, err := fs.ReadFile(configs.FS(), configs.Demo+"/"+name)
		if err != nil {
			t.Fatal(err)
		}
		text := string(b)
		switch name {
		case "profile.yaml":
			swap(t, &text, "bus: ros1", "bus: "+bus)
		case "topics.yaml":
			text += "\ngates:\n  - " + strings.Join(gates, "\n  - ") + "\n"
		}
		write(t, filepath.Join(dir, name), text)
	}
	return Load(nil, filepath.Join(dir, "profile.yaml"), filepath.Join(dir, "topics.yaml"))
}

func TestGatesAreRead(t *testing.T) {
	const (
		values = "{name: wrist, kind: operator, mode: inline, reads: joints, quantity: velocities, joints: [left_wrist_roll_joint, left_elbow_joint], topic: /w_raw, type: std_msgs/Float64MultiArray, publishers: [/op], out: /w, consumer: /arms}"
		low    = "{name: motors, kind: vendor, mode: monitor, reads: raw, axis: manipulators, topic: rt/lowcmd, type: \"unitree_hg::msg::dds_::LowCmd_\", publishers: [/walker]}"
	)
	for bus, holds := range map[string]string{BusROS1: "empty", BusROS2: "measured"} {
		gates := []string{armGate, values}
		if bus == BusROS2 {
			gates = append(gates, low)
		}
		cfg, err := withGates(t, bus, gates...)
		if err != nil {
			t.Fatal(err)
		}
		g := cfg.Topics.Gates
		if len(g) != len(gates) || g[0].Holds(bus) != holds || g[1].Holds(bus) != "zeros" || g[0].StartSlack != 0.05 || g[0].MaxRateHz != 500 {
			t.Errorf("%+v", g)
		}
		list := cfg.Profile.Joints.List
		for _, i := range g[0].Order(cfg.Profile) {
			if group := list[i].Group; group != "arm" && group != "hand" {
				t.Errorf("%s of a %s is commanded by default", list[i].Name, group)
			}
		}
		if o := g[1].Order(cfg.Profile); len(o) != 2 || list[o[0]].Name != "left_wrist_roll_joint" || list[o[1]].Name != "left_elbow_joint" {
			t.Errorf("entries are of joints %v", o)
		}
		if cfg.Profile.Joints.LimitedShare != 0.25 {
			t.Errorf("limited share %v", cfg.Profile.Joints.LimitedShare)
		}
	}
}

// TestGateFaults: each is one edit of a gate that is read, and names place, rule and remedy.
func TestGateFaults(t *testing.T) {
	const joint = "{name: arm, kind: autonomy, mode: inline, reads: joints, joints: [left_elbow_joint], topic: /r, type: std_msgs/Float64MultiArray, quantity: positions, publishers: [/p], out: /o, consumer: /c}"
	const raw = "{name: grip, kind: autonomy, mode: inline, reads: raw, axis: manipulators, topic: /r, type: a_msgs/B, md5: 0123456789abcdef0123456789abcdef, publishers: [/p], out: /o, consumer: /c}"
	for name, c := range map[string]struct {
		gate, old, with string
		bus, path, rule string
	}{
		"no output":                 {armGate, "out: /arm/command, ", "", BusROS1, "gates[0].out", ruleGate},
		"no consumer":               {armGate, ", consumer: /arms", "", BusROS1, "gates[0].consumer", ruleGate},
		"a monitor that writes":     {armGate, "inline", "monitor", BusROS1, "gates[0].out", ruleGate},
		"a lock without a topic":    {armGate, "inline", "lock", BusROS1, "gates[0].lock", ruleGate},
		"low-level, inline":         {armGate, "/arm/command_raw", "/lowcmd", BusROS1, "gates[0].mode", ruleJointGate},
		"low-level type, inline":    {raw, "a_msgs/B", "unitree_hg/LowCmd", BusROS1, "gates[0].mode", ruleJointGate},
		"low-level, locked":         {raw, "mode: inline, reads: raw, axis: manipulators, topic: /r", "mode: lock, lock: /l, reads: raw, axis: manipulators, topic: /motor_cmd", BusROS1, "gates[0].mode", ruleJointGate},
		"a leg":                     {joint, "left_elbow_joint", "left_knee_joint", BusROS1, "gates[0].mode", ruleJointGate},
		"unknown joint":             {joint, "left_elbow_joint", "left_elbow", BusROS1, "gates[0].joints[0]", ruleUnknownName},
		"a joint twice":             {joint, "[left_elbow_joint]", "[left_elbow_joint, left_elbow_joint]", BusROS1, "gates[0].joints[1]", ruleDuplicate},
		"numbers without a meaning": {joint, "quantity: positions, ", "", BusROS1, "gates[0].quantity", ruleGate},
		"entries without names":     {joint, "joints: [left_elbow_joint], ", "", BusROS1, "gates[0].joints", ruleGate},
		"quantity of a trajectory":  {armGate, "reads: joints", "reads: joints, quantity: positions", BusROS1, "gates[0].quantity", ruleGate},
		"hold of an array":          {joint, "reads: joints", "reads: joints, at_hold: empty", BusROS1, "gates[0].at_hold", ruleGate},
		"joints of a twist":         {armGate, "trajectory_msgs/JointTrajectory", "geometry_msgs/Twist", BusROS1, "gates[0].type", ruleGate},
		"goal of a trajectory":      {armGate, "reads: joints", "reads: goal", BusROS1, "gates[0].type", ruleGate},
		"raw without an axis":       {raw, "axis: manipulators, ", "", BusROS1, "gates[0].axis", ruleGate},
		"raw without md5":           {raw, "md5: 0123456789abcdef0123456789abcdef, ", "", BusROS1, "gates[0].md5", ruleGate},
		"md5 on DDS":                {raw, "a_msgs/B", "a_msgs/B", BusROS2, "gates[0].md5", ruleWrongBus},
		"move_base on DDS":          {armGate, "reads: joints, topic: /arm/command_raw, type: trajectory_msgs/JointTrajectory", "reads: goal, topic: /g, type: move_base_msgs/MoveBaseActionGoal", BusROS2, "gates[0].type", ruleWrongBus},
		"an axis for joints":        {armGate, "reads: joints", "reads: joints, axis: motion", BusROS1, "gates[0].axis", ruleGate},
		"its own output":            {armGate, "out: /arm/command", "out: /arm/command_raw", BusROS1, "gates[0].topic", "topic-clash"},
		"a channel's name":          {armGate, "name: arm", "name: planner", BusROS1, "gates[0].name", ruleDuplicate},
		"more publishers":           {armGate, "publishers: [/move_group]", "publishers: [/move_group], max_publishers: 2", BusROS1, "gates[0].max_publishers", ruleOrder},
	} {
		gate := c.gate
		swap(t, &gate, c.old, c.with)
		_, err := withGates(t, c.bus, gate)
		var problems *Problems
		if !errors.As(err, &problems) {
			t.Errorf("%s: %v", name, err)
			continue
		}
		found := false
		for _, p := range problems.List {
			found = found || p.Path == c.path && p.Rule == c.rule && p.Expected != "" && p.Line > 0
		}
		if !found {
			t.Errorf("%s: expected %s at %s, found %v", name, c.rule, c.path, problems.List)
		}
	}
}

// goalGate is a gate for the goals of an action.
const goalGate = "{name: nav2, kind: fleet, mode: inline, reads: goal, topic: /navigate_to_pose, type: nav2_msgs/action/NavigateToPose, publishers: [/fleet], out: /guarded/navigate_to_pose, consumer: /bt_navigator}"

func TestActionGates(t *testing.T) {
	cfg, err := withGates(t, BusROS2, goalGate)
	if err != nil {
		t.Fatal(err)
	}
	g := &cfg.Topics.Gates[0]
	if !g.Action() || g.Type != TypeNavigate || g.Holds(BusROS2) != "cancel" || len(g.BehaviorTrees) != 0 {
		t.Errorf("%+v, at a hold %q", g, g.Holds(BusROS2))
	}
	if parts := ActionParts(g.Topic); len(parts) != 5 || parts[0] != "/navigate_to_pose/_action/send_goal" {
		t.Errorf("parts %q", parts)
	}
	for name, c := range map[string]struct{ old, with, bus, path, rule string }{
		"on ROS 1":         {"fleet", "fleet", BusROS1, "gates[0].type", ruleWrongBus},
		"by its bytes":     {"reads: goal", "reads: raw, axis: motion", BusROS2, "gates[0].reads", ruleGate},
		"a topic of DDS":   {"mode: inline, reads: goal, topic: /navigate_to_pose", "mode: monitor, reads: goal, topic: \"dds:nav\"", BusROS2, "gates[0].topic", ruleGate},
		"trees of a topic": {"type: nav2_msgs/action/NavigateToPose", "type: geometry_msgs/PoseStamped, behavior_trees: [a.xml]", BusROS2, "gates[0].behavior_trees", ruleGate},
		"at hold":          {"reads: goal", "reads: goal, at_hold: empty", BusROS2, "gates[0].at_hold", ruleGate},
		"to itself":        {"out: /guarded/navigate_to_pose", "out: /navigate_to_pose", BusROS2, "gates[0].topic", "topic-clash"},
	} {
		gate := goalGate
		swap(t, &gate, c.old, c.with)
		_, err := withGates(t, c.bus, gate)
		var problems *Problems
		if !errors.As(err, &problems) {
			t.Errorf("%s: %v", name, err)
			continue
		}
		found := false
		for _, p := range problems.List {
			found = found || p.Path == c.path && p.Rule == c.rule
		}
		if !found {
			t.Errorf("%s: expected %s at %s, found %v", name, c.rule, c.path, problems.List)
		}
	}
}
