package draft

import (
	"slices"
	"strings"

	"github.com/robowarden/robowarden/hal/bus"
)

// choice is a topic that was chosen for a purpose, and those that would have fitted as well.
type choice struct {
	topic  *bus.TopicEntry
	others []string
}

// want is what a purpose needs: types in the order of preference, and parts of names that speak for a topic.
type want struct {
	what  string
	types []string
	hints []string
	// not are parts of names that speak against a topic.
	not []string
	// read is true where the robot reads the topic; else somebody must publish it.
	read bool
}

const (
	twist        = bus.TypeTwist
	twistStamped = "geometry_msgs/TwistStamped"
	ackermann    = "ackermann_msgs/AckermannDrive"
	ackermannSt  = "ackermann_msgs/AckermannDriveStamped"
)

// choose finds a topic for each purpose.
func (d *drafter) choose() {
	d.command = d.pick(want{"the base's commands", []string{twist, twistStamped, ackermann, ackermannSt}, []string{"/cmd_vel", "cmd_vel", "command", "drive"}, nil, true})
	d.odometry = d.pick(want{"odometry", []string{bus.TypeOdometry}, []string{"/odom", "odom", "odometry"}, nil, false})
	d.pose = d.pick(want{
		"the pose",
		[]string{bus.TypePoseWithCovarianceStamped, bus.TypePoseStamped, bus.TypeOdometry},
		[]string{"amcl_pose", "localization", "localisation", "pose", "odom"},
		// What a person or a fleet tells the robot, and not where it is.
		[]string{"initial", "goal", "target", "clicked"},
		false,
	})
	d.joints = d.pick(want{"joints", []string{bus.TypeJointState}, []string{"joint_states"}, nil, false})
	d.imu = d.pick(want{"the inertial unit", []string{bus.TypeImu}, []string{"/imu/data", "imu"}, nil, false})
	d.battery = d.pick(want{"the battery", []string{bus.TypeBatteryState}, []string{"battery"}, nil, false})
	d.stop = d.service("stop", "halt")
	d.dock = d.service("dock")
	if d.seen.Omitted > 0 {
		d.note("the bus showed more than a draft looks at: %d names were left out", d.seen.Omitted)
	}
}

// pick returns the best topic for a purpose, nil for none.
func (d *drafter) pick(w want) *choice {
	type candidate struct {
		topic      *bus.TopicEntry
		kind, hint int
	}
	var all []candidate
	for i := range d.seen.Topics {
		t := &d.seen.Topics[i]
		kind := slices.Index(w.types, t.Type)
		nodes := t.Publishers
		if w.read {
			nodes = t.Subscribers
		}
		if kind < 0 || slices.ContainsFunc(w.not, func(n string) bool { return strings.Contains(t.Name, n) }) || !fits(topicForm, t.Name) || len(named(nodes)) == 0 {
			continue
		}
		hint := slices.IndexFunc(w.hints, func(h string) bool { return t.Name == h || !strings.HasPrefix(h, "/") && strings.Contains(t.Name, h) })
		if hint < 0 {
			hint = len(w.hints)
		}
		all = append(all, candidate{t, kind, hint})
	}
	if len(all) == 0 {
		return nil
	}
	slices.SortStableFunc(all, func(a, b candidate) int {
		if a.kind != b.kind {
			return a.kind - b.kind
		}
		return a.hint - b.hint
	})
	c := &choice{topic: all[0].topic}
	for _, o := range all[1:] {
		c.others = append(c.others, o.topic.Name)
	}
	if len(c.others) > 0 {
		d.note("%s: %s was chosen; %s would fit as well", w.what, c.topic.Name, strings.Join(c.others[:min(len(c.others), 8)], ", "))
	}
	return c
}

// service returns the first service whose own name has one of the words, nil for none.
func (d *drafter) service(words ...string) *bus.ServiceEntry {
	for i := range d.seen.Services {
		s := &d.seen.Services[i]
		last := s.Name[strings.LastIndexByte(s.Name, '/')+1:]
		if fits(topicForm, s.Name) && slices.ContainsFunc(words, func(w string) bool { return strings.Contains(last, w) }) {
			return s
		}
	}
	return nil
}

// named are the names that a document may hold.
func named(nodes []string) []string {
	return slices.DeleteFunc(slices.Clone(nodes), func(n string) bool { return !fits(nodeForm, n) })
}
