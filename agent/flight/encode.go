package flight

import (
	"encoding/binary"
	"encoding/json"
	"math"
	"time"

	"github.com/robowarden/robowarden/agent/config"
	"github.com/robowarden/robowarden/agent/guard"
	"github.com/robowarden/robowarden/hal/bus"
	"github.com/robowarden/robowarden/hal/msg"
	"github.com/robowarden/robowarden/hal/ros1"
)

// stream is where an event goes: a kind, a topic, and a ROS 1 type, or JSON if it has none.
type stream struct {
	kind, topic, role, typ string
}

// Topics of our own, whose messages are JSON.
const (
	topicEvents    = "/robowarden/events"
	topicDecisions = "/robowarden/decisions"
)

// encoder turns events back into messages. The journal has what was decoded of a message, not its bytes: fields that the guard
// does not read are zero, and a vendor's own type becomes the common one for the same thing.
type encoder struct {
	topics *config.Topics
	joints []string
	floors []config.Floor
	b      []byte
}

// event returns where an event belongs, and its message. ok is false for what is no input: ticks and challenges.
func (e *encoder) event(ev *guard.Event) (s stream, data []byte, ok bool) {
	t := e.topics
	switch ev.Kind {
	case guard.EventPose:
		return e.pose(ev.Pose, "pose", t.Pose.Topic)
	case guard.EventSecondPose:
		if t.SecondPose != nil {
			return e.pose(ev.Pose, "second pose", t.SecondPose.Topic)
		}
	case guard.EventOdometry:
		return e.pose(ev.Pose, "odometry", t.Odometry.Topic)
	case guard.EventTransform:
		return e.transform(ev.Transform)
	case guard.EventJoints:
		if t.Joints != nil {
			return stream{config.RecordMotion, t.Joints.Topic, "joints", bus.TypeJointState}, e.jointState(ev.Joints), true
		}
	case guard.EventIMU:
		if t.IMU != nil {
			return stream{config.RecordMotion, t.IMU.Topic, "imu", bus.TypeImu}, e.imu(ev.IMU), true
		}
	case guard.EventCommand:
		if i := ev.Command.Channel; i >= 0 && i < len(t.Commands) {
			c := &t.Commands[i]
			e.b = vec(vec(e.b[:0], &ev.Command.Linear), &ev.Command.Angular)
			return stream{config.RecordMotion, c.Topic, "command " + c.Channel, bus.TypeTwist}, e.b, true
		}
	case guard.EventDevice:
		return e.device(ev.Device)
	case guard.EventFloor:
		if i := ev.Floor; t.Floor.Topic != nil && i >= 0 && i < len(e.floors) {
			return stream{config.RecordMotion, t.Floor.Topic.Topic, "floor", bus.TypeString}, text(e.b[:0], e.floors[i].ID), true
		}
	case guard.EventTick, guard.EventChallenge, guard.EventCommandChallenge, guard.EventNone:
		return s, nil, false
	case guard.EventOrder, guard.EventSession, guard.EventFact, guard.EventAnswer:
		return stream{kind: config.RecordPeople, topic: topicEvents}, words(ev.Boot, ev.String()), true
	case guard.EventRecorders:
		return stream{kind: config.RecordCameras, topic: topicEvents}, words(ev.Boot, ev.String()), true
	default:
	}
	return stream{kind: config.RecordMotion, topic: topicEvents}, words(ev.Boot, ev.String()), true
}

// words is an event or a decision for people.
func words(boot time.Duration, s string) []byte {
	b, _ := json.Marshal(struct {
		Boot  float64 `json:"boot_s"`
		Words string  `json:"words"`
	}{boot.Seconds(), s}) // Numbers of a clock and text are always JSON.
	return b
}

func (e *encoder) pose(p *msg.Pose, role, topic string) (stream, []byte, bool) {
	s := stream{config.RecordMotion, topic, role, bus.TypePoseStamped}
	b := header(e.b[:0], &p.Header)
	if p.HasTwist {
		s.typ = bus.TypeOdometry
		b = text(b, p.Child)
	} else if p.HasCovariance {
		s.typ = bus.TypePoseWithCovarianceStamped
	}
	b = quat(vec(b, &p.Position), &p.Orientation)
	if s.typ != bus.TypePoseStamped {
		for _, v := range p.Covariance {
			b = f64(b, v)
		}
	}
	if p.HasTwist {
		b = zeros(vec(vec(b, &p.Twist.Linear), &p.Twist.Angular), len(p.Covariance))
	}
	e.b = b
	return s, b, true
}

func (e *encoder) transform(m *msg.Transform) (stream, []byte, bool) {
	s := stream{config.RecordMotion, "/tf", "transform", bus.TypeTFMessage}
	if m.Static {
		s.topic = "/tf_static"
	}
	if tf := e.topics.TF; tf != nil {
		if s.topic = tf.Topic; m.Static {
			s.topic = tf.StaticTopic
		}
	}
	b := text(header(u32(e.b[:0], 1), &m.Header), m.Child)
	e.b = quat(vec(b, &m.Translation), &m.Rotation)
	return s, e.b, true
}

func (e *encoder) jointState(m *msg.Joints) []byte {
	b := header(e.b[:0], &m.Header)
	n := min(m.N, len(e.joints))
	seen := 0
	at := len(b)
	b = u32(b, 0)
	for i := range n {
		if m.Seen&(1<<i) != 0 {
			b = text(b, e.joints[i])
			seen++
		}
	}
	binary.LittleEndian.PutUint32(b[at:], uint32(seen)) //nolint:gosec // at most 64
	for _, a := range []struct {
		has  bool
		list *[msg.MaxJoints]float64
	}{{true, &m.Position}, {m.HasVelocity, &m.Velocity}, {m.HasEffort, &m.Effort}} {
		if !a.has {
			b = u32(b, 0)
			continue
		}
		b = u32(b, seen)
		for i := range n {
			if m.Seen&(1<<i) != 0 {
				b = f64(b, a.list[i])
			}
		}
	}
	e.b = b
	return b
}

// imu marks what the sender did not know as sensor_msgs/Imu does: its first covariance is -1.
func (e *encoder) imu(m *msg.IMU) []byte {
	b := quat(header(e.b[:0], &m.Header), &m.Orientation)
	b = covariance(b, m.HasOrientation)
	b = covariance(vec(b, &m.AngularVelocity), m.HasAngularVelocity)
	e.b = covariance(vec(b, &m.LinearAcceleration), m.HasLinearAcceleration)
	return e.b
}

//go:noinline
func covariance(b []byte, has bool) []byte {
	first := -1.0
	if has {
		first = 0
	}
	return zeros(f64(b, first), 8)
}

func (e *encoder) device(d *msg.Device) (stream, []byte, bool) {
	t, i := e.topics, d.Index
	for _, c := range []struct {
		kind msg.DeviceKind
		list []config.Device
		role string
	}{{msg.Camera, t.Cameras, "camera "}, {msg.Microphone, t.Microphones, "microphone "}} {
		if d.Kind == c.kind && i >= 0 && i < len(c.list) {
			e.b = append(e.b[:0], 0)
			if d.Active {
				e.b[0] = 1
			}
			return stream{config.RecordCameras, c.list[i].Topic, c.role + c.list[i].Name, bus.TypeBool}, e.b, true
		}
	}
	if d.Kind == msg.Heat && t.Heat != nil {
		e.b = f64(f64(header(e.b[:0], &d.Header), d.Celsius), 0)
		return stream{config.RecordMotion, t.Heat.Topic, "heat", bus.TypeTemperature}, e.b, true
	}
	if d.Kind != msg.Battery || t.Battery == nil {
		return stream{}, nil, false
	}
	b := header(e.b[:0], &d.Header)
	for range 6 { // voltage, temperature, current, charge, capacity, design capacity
		b = u32(b, int(math.Float32bits(float32(math.NaN()))))
	}
	b = u32(b, int(math.Float32bits(float32(d.ChargeRatio))))
	const charging, discharging = 1, 2
	status := byte(discharging)
	if d.Charging {
		status = charging
	}
	b = append(b, status, 0, 0, 0)
	if d.Active {
		b[len(b)-1] = 1 // present
	}
	b = u32(u32(b, 0), 0) // cells: voltages, temperatures
	e.b = text(text(b, ""), "")
	return stream{config.RecordMotion, t.Battery.Topic, "battery", bus.TypeBatteryState}, e.b, true
}

// describe gives a stream's channel.
func (s *stream) describe() channel {
	if s.typ == "" {
		return channel{
			topic: s.topic, encoding: "json", schema: "robowarden/Words", language: "jsonschema",
			schemaText: `{"type":"object","properties":{"boot_s":{"type":"number"},"words":{"type":"string"}}}`,
		}
	}
	c := channel{topic: s.topic, encoding: "ros1", schema: s.typ, language: "ros1msg", meta: map[string]string{"robowarden_role": s.role}}
	if md5, definition, err := ros1.Definition(s.typ); err == nil {
		c.meta["md5sum"], c.schemaText = md5, definition
	}
	return c
}

//go:noinline
func header(b []byte, h *msg.Header) []byte {
	const second = int64(time.Second)
	stamp := h.Stamp
	if stamp < 0 || stamp/second > math.MaxUint32 {
		stamp = 0 // no time that ROS 1 can say
	}
	b = u32(u32(u32(b, int(h.Seq)), int(stamp/second)), int(stamp%second))
	return text(b, h.Frame)
}

//go:noinline
func f64(b []byte, v float64) []byte { return u64(b, math.Float64bits(v)) }

//go:noinline
func vec(b []byte, v *msg.Vec3) []byte { return f64(f64(f64(b, v.X), v.Y), v.Z) }

//go:noinline
func quat(b []byte, q *msg.Quat) []byte { return f64(f64(f64(f64(b, q.X), q.Y), q.Z), q.W) }

//go:noinline
func zeros(b []byte, n int) []byte { return append(b, make([]byte, 8*n)...) }
