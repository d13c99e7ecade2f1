package config

import (
	"slices"
	"time"
)

// Modes of a gate.
const (
	// GateInline stands between whoever commands and the consumer.
	GateInline = "inline"
	// GateLock tells the consumer by a flag whether anything may pass.
	GateLock = "lock"
	// GateMonitor only says what it would have done.
	GateMonitor = "monitor"
)

// What a gate reads of a command.
const (
	// ReadsJoints is a command to joints.
	ReadsJoints = "joints"
	// ReadsGoal is a pose that the base is to reach.
	ReadsGoal = "goal"
	// ReadsNothing passes or blocks bytes whose content nobody here knows.
	ReadsNothing = "raw"
)

// Gate is one way of commanding the robot that is no velocity of its base: what comes in passes whole and unchanged, or not
// at all.
type Gate struct {
	// Name is the gate's name in triggers, status and logs.
	Name string `cfg:"name" form:"id" eg:"name: left-arm"`
	// Kind says on whose behalf commands come.
	Kind string `cfg:"kind" enum:"operator|fleet|vendor|autonomy" eg:"kind: autonomy"`
	// Mode is inline for a gate between topic and out; lock for a flag that the consumer obeys while it listens to topic
	// itself; monitor for a shadow that passes nothing and says what it would have done.
	Mode string `cfg:"mode" enum:"inline|lock|monitor" eg:"mode: inline"`
	// Reads is joints for trajectories and other commands to joints, goal for a pose that the base is to reach, raw for any
	// other type: that one passes or not by its axis alone.
	Reads string `cfg:"reads" enum:"joints|goal|raw" eg:"reads: joints"`
	// Topic is where commands come in: the absolute name, or for a monitor on DDS that of any DDS topic. For an action it is the
	// action's name as its clients know it.
	Topic string `cfg:"topic" form:"anytopic" eg:"topic: /left_arm/command_raw"`
	// Type is the message type. For goals it may be nav2_msgs/NavigateToPose, which is an action of ROS 2: the guard takes the
	// requests for goals, and clients have the rest of the action from the navigator itself as before.
	Type string `cfg:"type" kin:"msg|action" form:"commandtype" eg:"type: trajectory_msgs/JointTrajectory"`
	// MD5 is the md5sum of a raw type on ROS 1, as rosmsg md5 prints it.
	MD5 string `cfg:"md5,optional" form:"md5" eg:"md5: 65b4f94a94d1ed67169da35a02f33d3f"`
	// Publishers are the only nodes that may command this way. Anybody else on the topic is a trigger.
	Publishers []string `cfg:"publishers" len:"1..16" form:"publisher" eg:"publishers: [/move_group]"`
	// MaxPublishers is how many of them may publish at once; the default is 1.
	MaxPublishers int `cfg:"max_publishers,optional" range:"[1,16]" default:"1" eg:"max_publishers: 1"`
	// Dock marks the gate that is let through while the robot may only go to its dock.
	Dock bool `cfg:"dock,optional" eg:"dock: true"`
	// Out is where an inline gate sends what passes. Nobody but the guard may publish there. For an action it is the name under
	// which the navigator takes goals: it runs with <topic>/_action/send_goal remapped to <out>/_action/send_goal, and with
	// nothing else remapped.
	Out string `cfg:"out,optional" form:"topic" eg:"out: /left_arm/command"`
	// Lock is where a gate of mode lock sends its flag (std_msgs/Bool, true means locked), ten times a second.
	Lock string `cfg:"lock,optional" form:"topic" eg:"lock: /left_arm/lock"`
	// Consumer is the node that follows the commands; it is asked whom it is really connected to. Required unless the gate
	// only monitors.
	Consumer string `cfg:"consumer,optional" form:"publisher" eg:"consumer: /arm_controllers"`
	// Frame is the frame_id that commands must carry. A goal needs none: it must be in the pose's frame.
	Frame string `cfg:"frame,optional" form:"frame" eg:"frame: map"`
	// BehaviorTrees are the only behaviour trees that a goal of an action may name, by the names that clients send. A goal that
	// names none has the navigator's own and is never refused for it; the default is that none may be named, since a tree is
	// a program.
	BehaviorTrees []string `cfg:"behavior_trees,optional" len:"1..32" form:"path" eg:"behavior_trees: [/opt/robot/trees/slow.xml]"`
	// Axis is the one that blocks a raw type. Joints obey manipulators, goals motion.
	Axis string `cfg:"axis,optional" enum:"motion|manipulators|perception|remote" eg:"axis: manipulators"`
	// Joints are those that may be commanded here, and for std_msgs/Float64MultiArray which joint each entry is of. The
	// default is every arm and hand of the profile.
	Joints []string `cfg:"joints,optional" len:"1..64" form:"name" eg:"joints: [left_elbow_joint, left_wrist_roll_joint]"`
	// Quantity says what the entries of a std_msgs/Float64MultiArray are.
	Quantity string `cfg:"quantity,optional" enum:"positions|velocities|efforts" eg:"quantity: positions"`
	// AtHold is what an inline gate of trajectories sends at the moment of a hold: an empty trajectory, which ros_controllers
	// take as the command to stop and hold, or one point at the measured positions, for ros2_controllers, which refuse an
	// empty one. The default is empty on ROS 1 and measured on ROS 2.
	AtHold string `cfg:"at_hold,optional" enum:"empty|measured" eg:"at_hold: empty"`
	// StartSlack is how far the first point may be from where a joint is, beyond the way that the joint can make until then,
	// in rad or m; the default is 0.05.
	StartSlack float64 `cfg:"start_slack,optional" range:"(0,1]" default:"0.05" eg:"start_slack: 0.05"`
	// Reach is how soon a position that comes without a time is taken to be reached; the default is 100 ms.
	Reach time.Duration `cfg:"reach,optional" range:"[1ms,5s]" default:"100ms" eg:"reach: 100ms"`
	// MaxBytes is the largest message that is read; the default is 64 KiB.
	MaxBytes int `cfg:"max_bytes,optional" range:"[64,1048576]" default:"65536" eg:"max_bytes: 65536"`
	// MaxRateHz is how many commands of one publisher a second are looked at; more are passed over. The default is 500.
	MaxRateHz int `cfg:"max_rate_hz,optional" range:"[1,1000]" default:"500" eg:"max_rate_hz: 500"`
	// Deadline is the age beyond which a command is dropped; the default is 500 ms.
	Deadline time.Duration `cfg:"deadline,optional" range:"[10ms,5s]" default:"500ms" eg:"deadline: 500ms"`
}

// Inline tells whether commands pass through the guard.
func (g *Gate) Inline() bool { return g.Mode == GateInline }

// Action tells whether commands are the goals of an action of ROS 2, which are no topic.
func (g *Gate) Action() bool { return g.Type == TypeNavigate }

// ActionParts are the services and topics that an action's name stands for.
func ActionParts(name string) []string {
	var out []string
	for _, part := range []string{"send_goal", "cancel_goal", "get_result", "feedback", "status"} {
		out = append(out, name+"/_action/"+part)
	}
	return out
}

// Order is which of the profile's joints each of the gate's joints is, every arm and hand where none is named.
func (g *Gate) Order(p *Profile) []int {
	if p.Joints == nil {
		return nil
	}
	var out []int
	if len(g.Joints) == 0 {
		for i, j := range p.Joints.List {
			if j.Group == "arm" || j.Group == "hand" {
				out = append(out, i)
			}
		}
		return out
	}
	for _, name := range g.Joints {
		if i := slices.IndexFunc(p.Joints.List, func(j Joint) bool { return j.Name == name }); i >= 0 {
			out = append(out, i)
		}
	}
	return out
}

// Holds is what the gate sends at the moment of a hold: empty or measured for trajectories, zeros for velocities, cancel for
// an action, nothing for the rest.
func (g *Gate) Holds(bus string) string {
	switch {
	case g.Inline() && g.Action():
		return "cancel"
	case !g.Inline() || g.Reads != ReadsJoints:
		return ""
	case g.Type == TypeValues && g.Quantity == "velocities":
		return "zeros"
	case g.Type != TypeTrajectory:
		return ""
	case g.AtHold != "":
		return g.AtHold
	case bus == BusROS2:
		return "measured"
	}
	return "empty"
}
