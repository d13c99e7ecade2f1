package config

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

const (
	ruleGate    = "gate"
	noBalance   = "a guard in a balance loop would make the robot fall; such commands are watched only: mode: monitor"
	gateHintOut = "the gate would read what it has written; let the commander publish on another topic"
)

// motorLevel recognises topics and types by which single motors are commanded, at the rate of a balance loop.
var motorLevel = regexp.MustCompile(`(?i)low_?(level_?)?(cmd|command|control)|motor_?(cmd|command)|servo`)

// balance are the groups of joints on which a robot stands.
var balance = []string{"leg", "waist"}

// gateTypes are the types that each way of reading knows.
var gateTypes = map[string][]string{
	ReadsJoints: {TypeTrajectory, TypeJointState, TypeValues},
	ReadsGoal:   {TypePose, TypeMoveBaseGoal, TypeNavigate},
}

// checkGates checks what the types cannot say about gates.
func (d *document) checkGates(t *Topics) {
	var names []string
	for i := range t.Gates {
		g := &t.Gates[i]
		names = append(names, g.Name)
		where := at("gates", i)
		d.checkMost(where.child("max_publishers"), g.MaxPublishers, g.Publishers)
		d.checkGateMode(where, i, g)
		d.checkGateType(where, i, g)
		for _, c := range t.Commands {
			if c.Channel == g.Name && g.Name != "" {
				d.wrong(where.child("name"), ruleDuplicate, "another name than the channels under commands", g.Name, "")
			}
		}
	}
	d.unique("gates", "name", names)
}

// checkGateMode checks the keys that a mode needs or has no use for.
func (d *document) checkGateMode(where *path, i int, g *Gate) {
	needs := map[string][]string{GateInline: {"out", "consumer"}, GateLock: {"lock", "consumer"}, GateMonitor: nil}[g.Mode]
	if g.Mode == "" {
		return
	}
	for _, key := range []string{"out", "lock", "consumer", "at_hold"} {
		given := d.has("gates", i, key)
		switch {
		case slices.Contains(needs, key) && !given:
			d.about(where.find(d.root), where.child(key), Problem{
				Rule: ruleGate, Expected: key + ", for mode: " + g.Mode, Found: "nothing",
				Hint: "or mode: monitor, for a gate that only watches", Example: map[string]string{"out": "out: /arm/command", "lock": "lock: /arm/lock", "consumer": "consumer: /arm_controller"}[key],
			})
		case given && !slices.Contains(needs, key) && (key != "at_hold" || g.Holds(BusROS1) == "" || g.Type != TypeTrajectory):
			d.wrong(where.child(key), ruleGate, "no "+key+" for mode: "+g.Mode, key, "delete the key or change mode")
		}
	}
	if motorLevel.MatchString(g.Topic+" "+g.Type) && g.Mode != GateMonitor {
		d.wrong(where.child("mode"), ruleJointGate, GateMonitor+" for commands to single motors", g.Mode, noBalance)
	}
	if g.Mode != GateMonitor && !strings.HasPrefix(g.Topic, "/") && g.Topic != "" {
		d.wrong(where.child("topic"), ruleGate, "a topic of ROS, unless the gate monitors", g.Topic, "")
	}
}

// checkGateType checks what is read of a type.
func (d *document) checkGateType(where *path, i int, g *Gate) {
	if types := gateTypes[g.Reads]; types != nil && g.Type != "" && !slices.Contains(types, g.Type) {
		d.wrong(where.child("type"), ruleGate, strings.Join(types, ", ")+" for reads: "+g.Reads, g.Type, "any other type can be passed or blocked with reads: raw")
	}
	for key, of := range map[string]struct {
		fits bool
		what string
	}{
		"axis":           {g.Reads == ReadsNothing, "reads: raw"},
		"joints":         {g.Reads == ReadsJoints, "reads: joints"},
		"quantity":       {g.Type == TypeValues && g.Reads == ReadsJoints, "type: " + TypeValues},
		"md5":            {g.Reads == ReadsNothing, "reads: raw"},
		"behavior_trees": {g.Action() && g.Reads == ReadsGoal, "type: " + TypeNavigate},
	} {
		if d.has("gates", i, key) && !of.fits && g.Reads != "" {
			d.wrong(where.child(key), ruleGate, key+" with "+of.what+" only", key, "delete the key")
		}
	}
	if g.Action() && g.Reads != "" && g.Reads != ReadsGoal {
		d.wrong(where.child("reads"), ruleGate, ReadsGoal+" for "+TypeNavigate, g.Reads, "an action is no topic that could be passed by its bytes")
	}
	if g.Action() && g.Topic != "" && !strings.HasPrefix(g.Topic, "/") {
		d.wrong(where.child("topic"), ruleGate, "an action of ROS, such as /navigate_to_pose", g.Topic, "")
	}
	missing := func(key, why, example string) {
		d.about(where.find(d.root), where.child(key), Problem{Rule: ruleGate, Expected: key + ", " + why, Found: "nothing", Example: example})
	}
	if g.Reads == ReadsNothing && !d.has("gates", i, "axis") {
		missing("axis", "since nobody knows what a raw type does", "axis: manipulators")
	}
	if g.Type != TypeValues || g.Reads != ReadsJoints {
		return
	}
	if !d.has("gates", i, "joints") {
		missing("joints", "since entries have no names", "joints: [left_elbow_joint]")
	}
	if !d.has("gates", i, "quantity") {
		missing("quantity", "since numbers have no meaning of their own", "quantity: positions")
	}
}

// checkGateJoints holds gates against the profile: its joints, its limits, its bus.
func (d *document) checkGateJoints(p *Profile, t *Topics) {
	var known []string
	if p.Joints != nil {
		known = names(p.Joints.List, func(j Joint) string { return j.Name })
	}
	for i := range t.Gates {
		g, where := &t.Gates[i], at("gates", i)
		d.checkGateBus(where, g, p.Bus)
		if g.Reads != ReadsJoints {
			continue
		}
		first := map[string]bool{}
		for n, name := range g.Joints {
			switch {
			case !slices.Contains(known, name) && name != "":
				d.unknownName(where.child("joints").item(n), name, known, "the profile's joints")
			case first[name]:
				d.wrong(where.child("joints").item(n), ruleDuplicate, "each joint once", name+" again", "")
			}
			first[name] = true
		}
		order := g.Order(p)
		if len(order) == 0 && d.clean("gates", i) {
			d.wrong(where.child("reads"), "unmapped", "joints of an arm or hand in the profile", "none", "name the joints under joints")
		}
		for _, n := range order {
			if j := &p.Joints.List[n]; slices.Contains(balance, j.Group) && g.Mode != GateMonitor {
				d.wrong(where.child("mode"), ruleJointGate, GateMonitor+" for joints of a "+j.Group, g.Mode+" for "+j.Name, noBalance)
				break
			}
		}
		if t.Joints == nil {
			d.wrong(where.child("reads"), "unmapped", "joints in the topic mapping", "a mapping without them", "without the joints' state nobody knows where a command begins, and none would pass")
		}
	}
}

// checkGateBus reports what the profile's bus does not have.
func (d *document) checkGateBus(where *path, g *Gate, bus string) {
	switch {
	case bus == BusROS1 && g.Reads == ReadsNothing && g.MD5 == "":
		d.about(where.find(d.root), where.child("md5"), Problem{
			Rule: ruleGate, Expected: "md5 of " + g.Type + ", for a profile with bus: ros1", Found: "nothing",
			Hint: "rosmsg md5 " + g.Type + " prints it", Example: "md5: 65b4f94a94d1ed67169da35a02f33d3f",
		})
	case bus == BusROS1 && strings.Contains(g.Type, "::"):
		d.wrong(where.child("type"), ruleWrongBus, "a type of ROS, for a profile with bus: ros1", g.Type, "")
	case bus == BusROS1 && g.Action():
		d.wrong(where.child("type"), ruleWrongBus, TypeMoveBaseGoal+", for a profile with bus: ros1", g.Type, "actions of ROS 1 are topics")
	case bus == BusROS2 && g.Type == TypeMoveBaseGoal:
		d.wrong(where.child("type"), ruleWrongBus, TypeNavigate+" or "+TypePose+", for a profile with bus: ros2", g.Type, "Nav2 takes goals by its action, and on /goal_pose")
	case bus == BusROS2 && g.MD5 != "":
		d.wrong(where.child("md5"), ruleWrongBus, "no md5, for a profile with bus: ros2", fmt.Sprint(g.MD5), "DDS has no md5sums")
	}
}
