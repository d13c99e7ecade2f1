package draft

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/robowarden/robowarden/hal/bus"
)

// maxNodes is how many names one key of a document may hold.
const maxNodes = 16

// topics writes the topic mapping.
func (d *drafter) topics() []byte {
	p := &page{}
	p.line("# yaml-language-server: $schema=topic-mapping.schema.json")
	p.line("#")
	p.line("# A draft from what the robot's bus showed. Nobody has proven that these nodes are who they say they are: read every")
	p.line("# line. A key without a value is a TO DO, and `robowarden check` explains it.")
	p.line("kind: topic-mapping")
	p.line("version: 1\n")
	p.line("id: %s-topics\n", d.name())
	d.source(p, "pose", d.pose, "TO DO: the map's frame; `rostopic echo -n 1` or `ros2 topic echo --once` shows a message's frame_id", true)
	p.with("floor: {fixed: }", "TO DO: the policy's floor on which this robot stays, or topic or frames for several")
	d.source(p, "odometry", d.odometry, "", false)
	d.source(p, "joints", d.joints, "", false)
	d.source(p, "imu", d.imu, "", false)
	d.source(p, "battery", d.battery, "", false)
	p.line("")
	d.commands(p)
	d.flag(p)
	d.services(p)
	p.line("")
	p.with("orders: {topic: /robowarden/orders}", "signed stops, from the bus as well")
	p.line("diagnostics: /diagnostics")
	return []byte(p.String())
}

// source writes what the guard reads of the robot.
func (d *drafter) source(p *page, key string, c *choice, frame string, typed bool) {
	const none = "the bus shows no topic of a type that fits, or nobody publishes it"
	switch {
	case c == nil && key == "pose":
		p.line("pose:")
		p.open("  topic", none)
		p.open("  type", "nav_msgs/Odometry, or PoseStamped or PoseWithCovarianceStamped of geometry_msgs")
		p.open("  frame", "the map's frame")
		p.open("  publishers", "the localisation's node, as in [/amcl]")
		return
	case c == nil && (key == "odometry" || key == "imu" && d.joints == nil):
		p.line("%s:", key)
		p.open("  topic", none)
		p.open("  publishers", "the node that sends it, as in [/driver]")
		return
	case c == nil:
		return
	}
	also := ""
	if len(c.others) > 0 {
		also = "  # also: " + strings.Join(c.others[:min(len(c.others), 4)], ", ")
	}
	p.line("%s:%s", key, also)
	p.line("  topic: %s", c.topic.Name)
	if typed {
		p.line("  type: %s", c.topic.Type)
	}
	if frame != "" {
		p.with("  frame:", frame)
	}
	if typed && c.topic.Type == bus.TypePoseStamped {
		p.open("  assumed_stddev_m", "this type carries no covariance; how far off the localisation is at worst, in m")
		p.open("  assumed_yaw_stddev_rad", "the same for the heading, in rad")
	}
	publishers(p, "  publishers", c.topic.Publishers)
}

// publishers writes a list of names.
func publishers(p *page, key string, nodes []string) {
	names := named(nodes)
	comment := ""
	if len(names) > 1 {
		comment = "several were seen; keep who really has to"
	}
	p.with(fmt.Sprintf("%s: [%s]", key, strings.Join(names[:min(len(names), maxNodes)], ", ")), comment)
}

// commands puts the guard between those who command the base and the base.
func (d *drafter) commands(p *page) {
	if d.command == nil {
		p.open("commands", "the bus shows nobody who reads velocity commands; is the base's driver running?")
		p.open("command_out", "the topic that the base follows")
		return
	}
	t := d.command.topic
	raw := t.Name + "_raw"
	senders := named(t.Publishers)
	p.line("# Who commands the base is moved to %s; the guard alone publishes %s.", raw, t.Name)
	if len(senders) == 0 {
		p.open("commands", "nobody published "+t.Name+" while the bus was looked at; name who will, as in the example of check")
	} else {
		p.line("commands:")
	}
	for i, s := range senders[:min(len(senders), maxNodes)] {
		own := raw
		if i > 0 {
			own = fmt.Sprintf("%s_%d", raw, i+1)
		}
		p.line("  - channel: %s", identifier(s, fmt.Sprintf("commander-%d", i+1)))
		p.open("    kind", "on whose behalf: operator, fleet, vendor or autonomy")
		p.line("    topic: %s", own)
		p.line("    type: %s", t.Type)
		p.line("    publishers: [%s]", s)
		d.note("move %s from %s to %s (remap it in its launch file), so that its commands pass the guard", s, t.Name, own)
	}
	p.line("command_out:")
	p.line("  topic: %s", t.Name)
	p.line("  type: %s", t.Type)
	if strings.HasSuffix(t.Type, "Stamped") {
		p.open("  frame", "the frame_id that the base expects")
	}
	if strings.HasPrefix(t.Type, "ackermann_msgs/") {
		p.open("  wheelbase_m", "the distance between the axles, in m")
	}
	if readers := named(t.Subscribers); len(readers) == 1 {
		p.line("  consumer: %s", readers[0])
	} else {
		p.open("  consumer", "which of these drives the base: "+strings.Join(readers[:min(len(readers), 8)], ", "))
	}
}

// flag writes the lock that the robot seems to have.
func (d *drafter) flag(p *page) {
	if lock := d.lock(); lock != nil {
		p.with("lock:", "TO DO: does "+lock.Name+" stop the base while it is true or silent?")
		p.with("  topic: /robowarden/lock", "configure the reader so")
		p.line("  consumer: %s", named(lock.Subscribers)[0])
		p.open("  timeout", "the silence after which that node locks by itself, as set there")
	}
}

// lockName is the word by itself: a clock is none.
var lockName = regexp.MustCompile(`(^|[/_])lock([/_]|$)`)

// lock returns a Bool that somebody reads as a lock.
func (d *drafter) lock() *bus.TopicEntry {
	i := slices.IndexFunc(d.seen.Topics, func(t bus.TopicEntry) bool {
		return t.Type == bus.TypeBool && lockName.MatchString(t.Name) && fits(topicForm, t.Name) && len(named(t.Subscribers)) > 0
	})
	if i < 0 {
		return nil
	}
	return &d.seen.Topics[i]
}

// services writes the vendor's services that the guard may call.
func (d *drafter) services(p *page) {
	if d.stop == nil && d.dock == nil {
		return
	}
	p.line("\nservices:")
	d.serviceLine(p, "stop", d.stop)
	d.serviceLine(p, "dock", d.dock)
}

func (d *drafter) serviceLine(p *page, key string, s *bus.ServiceEntry) {
	switch {
	case s == nil:
	case slices.Contains([]string{"std_srvs/Trigger", "std_srvs/SetBool", "std_srvs/Empty"}, s.Type):
		p.with(fmt.Sprintf("  %s: {name: %s, type: %s}", key, s.Name, s.Type), "TO DO: does it what its name says?")
	default:
		p.with(fmt.Sprintf("  %s: {name: %s, type: }", key, s.Name), "TO DO: `rosservice type "+s.Name+"`; does it what its name says?")
	}
}
