package recording

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/robowarden/robowarden/agent/config"
	"github.com/robowarden/robowarden/agent/internal/vendorfields"
	"github.com/robowarden/robowarden/hal/bus"
	"github.com/robowarden/robowarden/hal/msg"
	"github.com/robowarden/robowarden/hal/ros1"
	"github.com/robowarden/robowarden/hal/ros2"
	"github.com/robowarden/robowarden/hal/ros2/cdr"
)

// Handler takes what a recording holds, decoded. What it is handed is valid only during the call.
type Handler interface {
	Pose(m *msg.Pose)
	SecondPose(m *msg.Pose)
	Odometry(m *msg.Pose)
	Transform(m *msg.Transform)
	Joints(m *msg.Joints)
	IMU(m *msg.IMU)
	Command(m *msg.Command)
	Device(m *msg.Device)
	Floor(m *msg.Text)
	Lock(m *msg.Bool)
	Answer(endpoint int, m *msg.Text)
	// Fact is what the mapping's source of that number says: the number of a value that it lists, -1 for another one.
	Fact(source, value int, h *msg.Header)
}

// Role is what a channel is to the guard, such as "pose" or "command planner".
type Role string

// Router reads channels by the topic mapping, as the guard subscribes by it: the same topics, types, publishers and
// decoders.
type Router struct {
	cfg *config.Config
	h   Handler
	// any takes messages of publishers that the mapping does not list.
	any    bool
	routes map[*Channel]*Route
	next   uint32
}

// Route is what becomes of a channel's messages.
type Route struct {
	// Role is empty for a channel that the guard does not read.
	Role Role
	// Refused says why a channel of the mapping's topic is not read, empty if it is.
	Refused string
	// Messages counts what was decoded, Malformed what could not be; FirstError says why, FirstOffset where.
	Messages, Malformed uint64
	FirstError          string
	FirstOffset         int64

	decode func(b []byte, boot time.Duration, seq uint64) error
}

// NewRouter returns a router by cfg's topics and profile. With any true it listens to whoever published: for recordings of
// another node's playback, in which every message has the player's name.
func NewRouter(cfg *config.Config, h Handler, any bool) *Router {
	return &Router{cfg: cfg, h: h, any: any, routes: map[*Channel]*Route{}}
}

// Want says which channels are read.
func (r *Router) Want(ch *Channel) bool { return r.Route(ch).decode != nil }

// Routes are the channels that were met.
func (r *Router) Routes() map[*Channel]*Route { return r.routes }

// Take decodes a message and hands it on, with boot as the time of its receipt.
func (r *Router) Take(m *Message, boot time.Duration) {
	t := r.Route(m.Channel)
	if t.decode == nil || m.Data == nil {
		return
	}
	if err := t.decode(m.Data, boot, t.Messages); err != nil {
		if t.Malformed++; t.Malformed == 1 {
			t.FirstError, t.FirstOffset = err.Error(), m.Offset
		}
		return
	}
	t.Messages++
}

// Route says what becomes of a channel.
func (r *Router) Route(ch *Channel) *Route {
	if t := r.routes[ch]; t != nil {
		return t
	}
	t := &Route{}
	r.routes[ch] = t
	role, types, publishers := r.role(ch.Topic)
	if ch.Role != "" && r.has(Role(ch.Role)) {
		// A flight recording has the common type for what the guard decoded, whatever the vendor's was, of those it listened to.
		role, types, publishers = Role(ch.Role), nil, nil
	}
	if role == "" {
		return t
	}
	t.Role = role
	switch {
	case ch.Encoding != EncodingROS1 && ch.Encoding != EncodingCDR:
		t.Refused = fmt.Sprintf("expected the encoding ros1 or cdr, found %q", ch.Encoding)
	case len(types) > 0 && !slices.Contains(types, ch.Type):
		t.Refused = fmt.Sprintf("expected the type %s, found %s", types[0], ch.Type)
	case !r.any && ch.Publisher != "" && len(publishers) > 0 && !slices.Contains(publishers, ch.Publisher):
		t.Refused = fmt.Sprintf("expected it from %v, found it from %s", publishers, ch.Publisher)
	default:
		if err := r.bind(ch, t); err != nil {
			t.Refused, t.decode = err.Error(), nil
		}
	}
	return t
}

// role finds what the mapping uses a topic for, which types it may have there (any if none) and who may publish.
func (r *Router) role(topic string) (role Role, types, publishers []string) {
	t := r.cfg.Topics
	one := func(role Role, typ string, publishers []string) (Role, []string, []string) {
		return role, []string{baseType(typ)}, publishers
	}
	sensor := func(role Role, s *config.Topic, fields bool, typ string) (Role, []string, []string) {
		if fields {
			typ = s.Type
		}
		return one(role, typ, s.Publishers)
	}
	switch {
	case t.Pose.Type == config.TypeTF && t.TF != nil && (topic == t.TF.Topic || topic == t.TF.StaticTopic):
		return one("transform", config.TypeTF, t.TF.Publishers)
	case topic == t.Pose.Topic && t.Pose.Type != config.TypeTF:
		return one("pose", t.Pose.Type, t.Pose.Publishers)
	case t.SecondPose != nil && topic == t.SecondPose.Topic:
		return one("second pose", t.SecondPose.Type, t.SecondPose.Publishers)
	case topic == t.Odometry.Topic:
		return one("odometry", orType(t.Odometry.Type, config.TypeOdometry), t.Odometry.Publishers)
	case t.Joints != nil && sameTopic(topic, t.Joints.Topic):
		return sensor("joints", t.Joints.Plain(), t.Joints.Fields != nil, config.TypeJointState)
	case t.IMU != nil && sameTopic(topic, t.IMU.Topic):
		return sensor("imu", t.IMU.Plain(), t.IMU.Fields != nil, config.TypeIMU)
	case t.Battery != nil && sameTopic(topic, t.Battery.Topic):
		return sensor("battery", t.Battery.Plain(), t.Battery.Fields != nil, config.TypeBattery)
	case t.Heat != nil && topic == t.Heat.Topic:
		return one("heat", config.TypeTemperature, t.Heat.Publishers)
	case t.Floor.Topic != nil && topic == t.Floor.Topic.Topic:
		return one("floor", config.TypeString, t.Floor.Topic.Publishers)
	case t.Lock != nil && topic == t.Lock.Topic:
		return one("lock", config.TypeBool, nil)
	}
	return r.listed(topic, one)
}

// has says whether the mapping has what a flight recording calls a role.
func (r *Router) has(role Role) bool {
	t := r.cfg.Topics
	switch kind, _ := r.index(role); kind {
	case "pose":
		return t.Pose.Type != config.TypeTF
	case "transform":
		return t.Pose.Type == config.TypeTF && t.TF != nil
	case "second pose":
		return t.SecondPose != nil
	case "joints":
		return t.Joints != nil
	case "imu":
		return t.IMU != nil
	case "battery":
		return t.Battery != nil
	case "heat":
		return t.Heat != nil
	case "floor":
		return t.Floor.Topic != nil
	case "odometry", "command", "camera", "microphone":
		return true
	}
	return false
}

// listed is role for the topics of which the mapping has lists.
func (r *Router) listed(topic string, one func(Role, string, []string) (Role, []string, []string)) (Role, []string, []string) {
	t := r.cfg.Topics
	for _, c := range t.Commands {
		if c.Topic == topic {
			return one(Role("command "+c.Channel), c.Type, c.Publishers)
		}
	}
	for i, list := range [][]config.Device{t.Cameras, t.Microphones} {
		for _, d := range list {
			if d.Topic == topic {
				return one(Role([]string{"camera ", "microphone "}[i]+d.Name), config.TypeBool, d.Publishers)
			}
		}
	}
	for i := range t.Facts {
		if s := &t.Facts[i]; s.Topic == topic {
			return one(Role("fact "+s.ID), s.Type, s.Publishers)
		}
	}
	for _, h := range t.Heartbeats {
		if h.ResponseTopic == topic {
			return one(Role("answer "+h.Endpoint), config.TypeString, h.Publishers)
		}
	}
	return "", nil, nil
}

func orType(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

// sameTopic compares a recorded topic with the mapping's, which may name a DDS topic: rt/lowstate is ROS's /lowstate.
func sameTopic(recorded, mapped string) bool {
	return recorded == mapped || len(mapped) > 3 && mapped[:3] == "rt/" && recorded == mapped[2:] || len(mapped) > 4 && mapped[:4] == "dds:" && recorded == mapped[4:]
}

// bind makes the decoder of a channel.
func (r *Router) bind(ch *Channel, t *Route) error {
	r.next++
	p := &msg.Peer{ID: r.next, Name: ch.Publisher, Strength: msg.SourceBound}
	if ch.Encoding == EncodingROS1 {
		b, err := r.ros1(ch, t.Role, p)
		if err != nil {
			return err
		}
		if want, err := ros1.MD5(ch.Type); err != nil || ch.MD5 != "" && ch.MD5 != "*" && ch.MD5 != want {
			return fmt.Errorf("expected the md5sum %s of %s, found %s: another version of the type", want, ch.Type, ch.MD5)
		}
		t.decode = func(b1 []byte, boot time.Duration, _ uint64) error { return b.Decode(b1, boot) }
		return nil
	}
	d, err := r.cdr(ch, t.Role, p)
	if err != nil {
		return err
	}
	t.decode = d.Decode
	return nil
}

// index finds the kind of a role, and its number in the list that the mapping or the policy has of it.
func (r *Router) index(role Role) (kind string, index int) {
	t := r.cfg.Topics
	for i, c := range t.Commands {
		if role == Role("command "+c.Channel) {
			return "command", i
		}
	}
	for i, d := range t.Cameras {
		if role == Role("camera "+d.Name) {
			return "camera", i
		}
	}
	for i, d := range t.Microphones {
		if role == Role("microphone "+d.Name) {
			return "microphone", i
		}
	}
	for i := range t.Facts {
		if role == Role("fact "+t.Facts[i].ID) {
			return "fact", i
		}
	}
	for i, c := range r.channels() {
		if role == Role("answer "+c.Endpoint) {
			return "answer", i
		}
	}
	return string(role), 0
}

func (r *Router) channels() []config.Channel {
	if r.cfg.Policy == nil {
		return nil
	}
	return r.cfg.Policy.Channels
}

func (r *Router) poses(role string) func(*msg.Pose) {
	switch role {
	case "pose":
		return r.h.Pose
	case "second pose":
		return r.h.SecondPose
	}
	return r.h.Odometry
}

// flag and text read a source of facts, as the guard does.
func (r *Router) flag(source int) func(*msg.Bool) {
	s := &r.cfg.Topics.Facts[source]
	return func(m *msg.Bool) { r.h.Fact(source, s.Index(strconv.FormatBool(m.Value)), &m.Header) }
}

func (r *Router) text(source int) func(*msg.Text) {
	s := &r.cfg.Topics.Facts[source]
	return func(m *msg.Text) { r.h.Fact(source, s.Index(strings.TrimSpace(string(m.Data))), &m.Header) }
}

func deviceKind(role string) msg.DeviceKind {
	if role == "camera" {
		return msg.Camera
	}
	return msg.Microphone
}

func (r *Router) edges() []bus.Edge {
	var out []bus.Edge
	tf := r.cfg.Topics.TF
	for i := range len(tf.Chain) - 1 {
		out = append(out, bus.Edge{Parent: tf.Chain[i], Child: tf.Chain[i+1]})
	}
	return out
}

func (r *Router) ros1(ch *Channel, role Role, p *msg.Peer) (ros1.Body, error) {
	switch kind, i := r.index(role); kind {
	case "pose", "second pose", "odometry":
		return ros1.PoseBody(ch.Type, p, r.poses(kind))
	case "transform":
		return ros1.TransformsBody(p, ch.Topic == "/tf_static", r.edges(), r.h.Transform), nil
	case "joints":
		return ros1.JointsBody(p, vendorfields.JointNames(r.cfg.Profile), r.h.Joints)
	case "imu":
		return ros1.IMUBody(p, r.h.IMU), nil
	case "battery":
		return ros1.BatteryBody(p, 0, r.h.Device), nil
	case "heat":
		return ros1.HeatBody(p, r.h.Device), nil
	case "command":
		return ros1.CommandBody(p, i, r.h.Command), nil
	case "camera", "microphone":
		return ros1.DeviceBody(p, deviceKind(kind), i, r.h.Device), nil
	case "floor":
		return ros1.TextBody(p, r.h.Floor), nil
	case "answer":
		return ros1.TextBody(p, func(m *msg.Text) { r.h.Answer(i, m) }), nil
	case "fact":
		if r.cfg.Topics.Facts[i].Type == config.TypeBool {
			return ros1.BoolBody(p, r.flag(i)), nil
		}
		return ros1.TextBody(p, r.text(i)), nil
	}
	return ros1.BoolBody(p, r.h.Lock), nil
}

func (r *Router) cdr(ch *Channel, role Role, p *msg.Peer) (cdr.Decoder, error) {
	v := &r.cfg.Vendor
	switch kind, i := r.index(role); kind {
	case "pose", "second pose", "odometry":
		return cdr.NewPose(ch.Type, p, r.poses(kind))
	case "transform":
		return cdr.NewTransforms(p, ch.Topic == "/tf_static", r.edges(), ros1.DefaultMaxTransforms, r.h.Transform), nil
	case "joints":
		if v.Joints != nil {
			return ros2.NewJointFields(p, vendorfields.Joints(r.cfg), r.h.Joints)
		}
		table, err := cdr.NewJointTable(vendorfields.JointNames(r.cfg.Profile))
		if err != nil {
			return nil, err
		}
		return cdr.NewJoints(p, table, ros1.DefaultMaxJointNames, r.h.Joints), nil
	case "imu":
		if v.IMU != nil {
			return ros2.NewIMUFields(p, vendorfields.IMU(r.cfg), r.h.IMU)
		}
		return cdr.NewIMU(p, r.h.IMU), nil
	case "battery":
		if v.Battery != nil {
			return ros2.NewBatteryFields(p, vendorfields.Battery(r.cfg), 0, r.h.Device)
		}
		return cdr.NewBattery(p, 0, r.h.Device), nil
	case "heat":
		return cdr.NewHeat(p, r.h.Device), nil
	case "command":
		return cdr.NewCommand(ch.Type, p, i, r.h.Command)
	case "camera", "microphone":
		return cdr.NewDevice(p, deviceKind(kind), i, r.h.Device), nil
	case "floor":
		return cdr.NewText(p, r.h.Floor), nil
	case "answer":
		return cdr.NewText(p, func(m *msg.Text) { r.h.Answer(i, m) }), nil
	case "fact":
		if r.cfg.Topics.Facts[i].Type == config.TypeBool {
			return cdr.NewBool(p, r.flag(i)), nil
		}
		return cdr.NewText(p, r.text(i)), nil
	}
	return cdr.NewBool(p, r.h.Lock), nil
}
