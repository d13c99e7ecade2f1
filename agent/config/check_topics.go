package config

import (
	"fmt"
	"slices"
	"strings"
)

// slot is one plain subscription of the mapping with what fits it.
type slot struct {
	where *path
	topic *Topic
	types []string
	// anyone is true where the content proves itself and publishers need not be named.
	anyone bool
	// vendor is true where the type is the vendor's.
	vendor bool
}

// sensor is the slot of a sensor. One with fields has a type of the vendor's, of which checkVendor takes care.
func sensor[F any](where *path, s *Sensor[F], usual string) slot {
	out := slot{where: where, topic: s.Plain(), types: []string{usual}}
	if s != nil {
		out.vendor = s.Fields != nil
	}
	return out
}

func (t *Topics) slots() []slot {
	return []slot{
		{at("odometry"), &t.Odometry, []string{TypeOdometry}, false, false},
		sensor(at("joints"), t.Joints, TypeJointState),
		sensor(at("imu"), t.IMU, TypeIMU),
		sensor(at("battery"), t.Battery, TypeBattery),
		{at("heat"), t.Heat, []string{TypeTemperature}, false, false},
		{at("floor", "topic"), t.Floor.Topic, []string{TypeString}, false, false},
		{at("orders"), t.Orders, []string{TypeString}, true, false},
	}
}

// checkTopics checks what the types cannot say about a topic mapping, and fills in types that leave no choice.
func (d *document) checkTopics(t *Topics) {
	t.spellTopics()
	for _, s := range t.slots() {
		if s.topic != nil && s.topic.Topic != "" {
			d.checkSlot(s)
		}
	}
	d.checkPose(t)
	d.checkFloorSource(t)
	d.checkCommands(t)
	d.checkGates(t)
	d.checkMeetings(t)
	d.unique("cameras", "name", deviceNames(t.Cameras))
	d.unique("microphones", "name", deviceNames(t.Microphones))
	var endpoints []string
	for i, h := range t.Heartbeats {
		endpoints = append(endpoints, h.Endpoint)
		if h.ChallengeTopic == h.ResponseTopic && h.ChallengeTopic != "" {
			d.wrong(at("heartbeats", i, "response_topic"), "topic-clash", "another topic than the challenge's", h.ResponseTopic,
				"")
		}
	}
	d.unique("heartbeats", "endpoint", endpoints)
	d.checkFactSources(t)
	d.checkProcesses(t)
}

// checkProcesses checks that each demand is about somebody who is listened to, and that it demands what can be proven.
func (d *document) checkProcesses(t *Topics) {
	known := t.publishers()
	var nodes []string
	for i, p := range t.Processes {
		nodes = append(nodes, p.Node)
		if p.Node != "" && !slices.Contains(known, p.Node) {
			d.wrong(at("processes", i, "node"), ruleUnknownName, "a node under publishers", p.Node, "nobody else is listened to, so nobody else need be proven")
		}
		if !d.has("processes", i, "unit") && !d.has("processes", i, "uid") {
			d.about(at("processes", i).find(d.root), at("processes", i), Problem{
				Rule: ruleMissing, Expected: "unit or uid", Found: "neither",
				Hint: "an executable alone proves little: many nodes are run by an interpreter", Example: "unit: navigation.service",
			})
		}
	}
	d.unique("processes", "node", nodes)
}

// publishers are all nodes that the mapping listens to.
func (t *Topics) publishers() []string {
	out := slices.Clone(t.Pose.Publishers)
	if t.SecondPose != nil {
		out = append(out, t.SecondPose.Publishers...)
	}
	for _, s := range t.slots() {
		if s.topic != nil {
			out = append(out, s.topic.Publishers...)
		}
	}
	if t.TF != nil {
		out = append(out, t.TF.Publishers...)
	}
	for _, list := range [][]Device{t.Cameras, t.Microphones} {
		for _, dev := range list {
			out = append(out, dev.Publishers...)
		}
	}
	for _, c := range t.Commands {
		out = append(out, c.Publishers...)
	}
	for _, g := range t.Gates {
		out = append(out, g.Publishers...)
	}
	for _, h := range t.Heartbeats {
		out = append(out, h.Publishers...)
	}
	for i := range t.Facts {
		out = append(out, t.Facts[i].Publishers...)
	}
	return out
}

// Names are all topics that the mapping names.
func (t *Topics) Names() []string {
	out := []string{t.Pose.Topic, t.CommandOut.Topic}
	if t.SecondPose != nil {
		out = append(out, t.SecondPose.Topic)
	}
	for _, s := range t.slots() {
		if s.topic != nil {
			out = append(out, s.topic.Topic)
		}
	}
	if t.TF != nil {
		out = append(out, t.TF.Topic, t.TF.StaticTopic)
	}
	for _, list := range [][]Device{t.Cameras, t.Microphones} {
		for _, dev := range list {
			out = append(out, dev.Topic)
		}
	}
	for _, c := range t.Commands {
		out = append(out, c.Topic)
	}
	for _, m := range t.Monitored {
		out = append(out, m.Topic)
	}
	for _, g := range t.Gates {
		out = append(out, g.Topic, g.Out, g.Lock)
	}
	if t.Lock != nil {
		out = append(out, t.Lock.Topic)
	}
	if t.EStop != nil {
		out = append(out, t.EStop.Topic)
	}
	for _, h := range t.Heartbeats {
		out = append(out, h.ChallengeTopic, h.ResponseTopic)
	}
	for i := range t.Facts {
		out = append(out, t.Facts[i].Topic)
	}
	return slices.DeleteFunc(append(out, t.Diagnostics), func(s string) bool { return s == "" })
}

func deviceNames(devices []Device) []string {
	var names []string
	for _, dev := range devices {
		names = append(names, dev.Name)
	}
	return names
}

func (d *document) checkSlot(s slot) {
	switch {
	case s.vendor:
	case s.topic.Type == "":
		s.topic.Type = s.types[0]
	case !slices.Contains(s.types, s.topic.Type):
		d.wrong(s.where.child("type"), "not-allowed", strings.Join(s.types, " or "), s.topic.Type, "the key may be left out here")
	}
	if len(s.topic.Publishers) == 0 && !s.anyone && s.where.child("publishers").find(d.root) == s.where.find(d.root) {
		d.about(s.where.find(d.root), s.where.child("publishers"), Problem{
			Rule: ruleMissing, Expected: "publishers: the nodes that are listened to", Found: "nothing",
			Hint: "anybody on the bus can publish on a topic", Example: "publishers: [/base_driver]",
		})
	}
}

func (d *document) checkPose(t *Topics) {
	p := &t.Pose
	bare := p.Type == TypePose || p.Type == TypeTF
	position, heading := d.has("pose", "assumed_stddev_m"), d.has("pose", "assumed_yaw_stddev_rad")
	switch {
	case position != heading:
		d.wrong(at("pose"), "covariance", "assumed_stddev_m and assumed_yaw_stddev_rad together", "one of them", "")
	case bare && !position:
		d.about(at("pose").find(d.root), at("pose", "assumed_stddev_m"), Problem{
			Rule: "covariance", Expected: "assumed_stddev_m and assumed_yaw_stddev_rad for " + p.Type, Found: "nothing",
			Hint: "this type carries no covariance, and an unknown one holds the robot", Example: "assumed_stddev_m: 0.05",
		})
	}
	byFrame := len(t.Floor.Frames) > 0 || d.has("floor", "frames")
	if !byFrame && d.has("pose") && !d.has("pose", "frame") {
		d.about(at("pose").find(d.root), at("pose", "frame"), Problem{
			Rule: ruleMissing, Expected: "frame: the map frame that poses are given in", Found: "nothing", Example: "frame: map",
		})
	}
	if byFrame && p.Frame != "" {
		d.wrong(at("pose", "frame"), ruleExclusive, "the frames under floor.frames alone", p.Frame, "delete the key")
	}
	d.checkSecondPose(t)
	if p.Type != TypeTF {
		return
	}
	if t.TF == nil && !d.has("tf") {
		d.wrong(at("pose", "type"), ruleMissing, "tf: the chain of frames, for a pose from tf", "nothing",
			"add tf with topic, chain and publishers")
		return
	}
	if t.TF == nil || len(t.TF.Chain) == 0 {
		return
	}
	if p.Topic != t.TF.Topic && t.TF.Topic != "" {
		d.wrong(at("pose", "topic"), "chain", t.TF.Topic+", the topic under tf", p.Topic, "")
	}
	if first := t.TF.Chain[0]; !byFrame && first != p.Frame && p.Frame != "" {
		d.wrong(at("tf", "chain", 0), "chain", p.Frame+", the pose's frame", first, "the chain leads from the map to the base")
	}
}

// checkSecondPose checks that the second source is another one: in the same frame, but by somebody else on another topic.
func (d *document) checkSecondPose(t *Topics) {
	s, p := t.SecondPose, &t.Pose
	if s == nil {
		return
	}
	if p.Frame != "" && s.Frame != p.Frame && s.Frame != "" {
		d.wrong(at("second_pose", "frame"), ruleOrder, p.Frame+", the pose's frame", s.Frame, "poses in two frames cannot be compared")
	}
	if len(t.Floor.Frames) > 0 {
		d.wrong(at("second_pose"), ruleExclusive, "a floor that is fixed or said on a topic", "floor.frames",
			"with one map frame per floor there is no frame in which both could be given")
	}
	for i, name := range s.Publishers {
		if slices.Contains(p.Publishers, name) {
			d.wrong(at("second_pose", "publishers", i), ruleDuplicate, "another node than the pose's", name, "who forges one would forge both")
		}
	}
}

func (d *document) checkFloorSource(t *Topics) {
	given := 0
	for _, key := range []string{"fixed", "topic", "frames"} {
		if d.has("floor", key) {
			given++
		}
	}
	if given != 1 && d.has("floor") {
		d.wrong(at("floor"), ruleExclusive, "exactly one of fixed, topic and frames", fmt.Sprintf("%d of them", given),
			"fixed for one floor, topic for a map's name on a topic, frames for one map frame per floor")
	}
	if d.has("floor", "values") != d.has("floor", "topic") && d.has("floor") {
		d.wrong(at("floor"), ruleExclusive, "topic and values together", "one of them",
			"values say which floor each text on the topic means")
	}
	for key, names := range map[string][]FloorName{"values": t.Floor.Values, "frames": t.Floor.Frames} {
		seen := map[string]bool{}
		for i, n := range names {
			if seen[n.Value] && n.Value != "" {
				d.wrong(at("floor", key, i, "value"), ruleDuplicate, "each value once", n.Value+" again", "")
			}
			seen[n.Value] = true
		}
	}
}

func (d *document) checkCommands(t *Topics) {
	var channels []string
	for i, c := range t.Commands {
		channels = append(channels, c.Channel)
		topic, typ := d.text("commands", i, "topic"), sharedSpelling(d.text("commands", i, "type"), "msg")
		if isLowLevel(topic) {
			d.wrong(at("commands", i, "topic"), ruleJointGate, "a topic of velocity commands", topic, noJointGate)
		}
		switch {
		case isLowLevel(typ):
			d.wrong(at("commands", i, "type"), ruleJointGate, TypeTwist, typ, noJointGate)
		case c.Type != "" && !slices.Contains(commandTypes, c.Type):
			d.wrong(at("commands", i, "type"), "not-allowed", strings.Join(commandTypes, ", "), c.Type, "commands of other types belong under gates")
		case ackermann(c.Type) && !d.has("command_out", "wheelbase_m"):
			d.wrong(at("commands", i, "type"), ruleGate, "command_out.wheelbase_m, for "+c.Type, "nothing", "the turn rate follows from the angle and the wheelbase")
		case d.has("commands", i, "frame") && !stamped(c.Type):
			d.wrong(at("commands", i, "frame"), ruleGate, "no frame for "+c.Type, c.Frame, "the type carries none")
		}
		d.checkMost(at("commands", i, "max_publishers"), c.MaxPublishers, c.Publishers)
	}
	var monitored []string
	for i, m := range t.Monitored {
		monitored = append(monitored, m.Name)
		d.checkMost(at("monitored", i, "max_publishers"), m.MaxPublishers, m.Publishers)
	}
	d.unique("monitored", "name", monitored)
	d.unique("commands", "channel", channels)
	if o := &t.CommandOut; ackermann(o.Type) && !d.has("command_out", "wheelbase_m") {
		d.wrong(at("command_out", "type"), ruleGate, "wheelbase_m, for "+o.Type, "nothing", "the angle follows from the turn rate and the wheelbase")
	} else if d.has("command_out", "frame") && !stamped(o.Type) && o.Type != "" {
		d.wrong(at("command_out", "frame"), ruleGate, "no frame for "+o.Type, o.Frame, "the type carries none")
	}
	if out := d.text("command_out", "topic"); isLowLevel(out) {
		d.wrong(at("command_out", "topic"), ruleJointGate, "a topic of velocity commands", out, noJointGate)
	}
}

// commandTypes are those of commands to the base's velocity.
var commandTypes = []string{TypeTwist, TypeTwistStamped, TypeAckermann, TypeAckermannStamped}

func ackermann(typ string) bool { return typ == TypeAckermann || typ == TypeAckermannStamped }

func stamped(typ string) bool { return typ == TypeTwistStamped || typ == TypeAckermannStamped }

// checkMost reports a number of publishers that those who are named cannot reach. An address without a node may be that
// of any number of writers.
func (d *document) checkMost(where *path, most int, named []string) {
	if most > len(named) && len(named) > 0 && !slices.ContainsFunc(named, IsAddress) {
		d.wrong(where, ruleOrder, "at most as many as are named, "+count(len(named), "publisher"), fmt.Sprint(most), "")
	}
}

// checkMeetings reports topics on which two purposes meet that must not.
func (d *document) checkMeetings(t *Topics) {
	type use struct {
		topic, purpose string
		where          *path
	}
	var uses []use
	add := func(topic, purpose string, where *path) {
		if topic != "" {
			uses = append(uses, use{topic, purpose, where})
		}
	}
	add(t.CommandOut.Topic, "command_out", at("command_out", "topic"))
	for i, c := range t.Commands {
		add(c.Topic, "the command input of "+c.Channel, at("commands", i, "topic"))
	}
	for i, m := range t.Monitored {
		add(m.Topic, "monitored "+m.Name, at("monitored", i, "topic"))
	}
	for i, g := range t.Gates {
		add(g.Out, "the output of gate "+g.Name, at("gates", i, "out"))
		add(g.Lock, "the lock of gate "+g.Name, at("gates", i, "lock"))
	}
	for i, g := range t.Gates {
		add(g.Topic, "the input of gate "+g.Name, at("gates", i, "topic"))
	}
	if t.Lock != nil {
		add(t.Lock.Topic, "lock", at("lock", "topic"))
	}
	if t.EStop != nil {
		add(t.EStop.Topic, "estop", at("estop", "topic"))
	}
	if t.Orders != nil {
		add(t.Orders.Topic, "orders", at("orders", "topic"))
	}
	for i, h := range t.Heartbeats {
		add(h.ResponseTopic, "the heartbeat of "+h.Endpoint, at("heartbeats", i, "response_topic"))
	}
	for i := range t.Facts {
		add(t.Facts[i].Topic, "the fact "+t.Facts[i].ID, at("facts", i, "topic"))
	}
	first := map[string]string{}
	for _, u := range uses {
		if other, twice := first[u.topic]; twice {
			hint := "give each purpose its own topic"
			if other == "command_out" || strings.HasPrefix(other, "the output of gate") {
				hint = gateHintOut
			}
			d.wrong(u.where, "topic-clash", "a topic of its own", u.topic+", which "+other+" uses", hint)
			continue
		}
		first[u.topic] = u.purpose
	}
}
