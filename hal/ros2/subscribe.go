package ros2

import (
	"errors"
	"fmt"
	"slices"

	"github.com/robowarden/robowarden/hal/bus"
	"github.com/robowarden/robowarden/hal/msg"
	"github.com/robowarden/robowarden/hal/ros2/cdr"
	"github.com/robowarden/robowarden/hal/rtps"
	"github.com/robowarden/robowarden/hal/rtps/wire"
)

// Handlers are called on the participant's receiving goroutine, rarely on that of its events, for one writer never on
// both at once; the pointer is valid only during the call.

// decoderFor makes the decoder of one writer's messages.
type decoderFor func(*msg.Peer) cdr.Decoder

// SubscribePose reads nav_msgs/Odometry, geometry_msgs/PoseStamped or geometry_msgs/PoseWithCovarianceStamped.
func (n *Node) SubscribePose(s bus.Subscription, h func(*msg.Pose)) (*Sub, error) {
	mk := func(p *msg.Peer) (cdr.Decoder, error) { return cdr.NewPose(s.Type, p, h) }
	if _, err := mk(nil); err != nil {
		return nil, fmt.Errorf("ros2: topic %s: %w", clip(s.Topic, 80), err)
	}
	return n.subscribe(s, s.Type, bus.Latest, sound(mk))
}

// sound makes a decoderFor of a constructor whose arguments have proved good.
func sound(mk func(*msg.Peer) (cdr.Decoder, error)) decoderFor {
	return func(p *msg.Peer) cdr.Decoder {
		d, _ := mk(p)
		return d
	}
}

// SubscribeTransforms reads tf2_msgs/TFMessage and calls h for each transform, or for those in edges if there are any.
// A topic named "/tf_static" marks its transforms as static.
func (n *Node) SubscribeTransforms(s bus.Subscription, edges []bus.Edge, h func(*msg.Transform)) (*Sub, error) {
	if s.Mode == bus.Latest {
		// One node sends different edges in different messages; the newest message is not the newest of each.
		return nil, fmt.Errorf("ros2: topic %s: transforms are read in mode Every only", clip(s.Topic, 80))
	}
	edges = slices.Clone(edges)
	static := s.Topic == "/tf_static"
	s.MaxRateHz = orDefault(s.MaxRateHz, 10*bus.DefaultMaxRateHz)
	return n.subscribe(s, bus.TypeTFMessage, bus.Every, func(p *msg.Peer) cdr.Decoder {
		return cdr.NewTransforms(p, static, edges, n.cfg.Limits.MaxTransforms, h)
	})
}

// SubscribeJoints reads sensor_msgs/JointState; joint i of the message handed to h is names[i].
func (n *Node) SubscribeJoints(s bus.Subscription, names []string, h func(*msg.Joints)) (*Sub, error) {
	table, err := cdr.NewJointTable(names)
	if err != nil {
		return nil, fmt.Errorf("ros2: topic %s: %w", clip(s.Topic, 80), err)
	}
	return n.subscribe(s, bus.TypeJointState, bus.Latest, func(p *msg.Peer) cdr.Decoder {
		return cdr.NewJoints(p, table, n.cfg.Limits.MaxJointNames, h)
	})
}

// SubscribeTrajectory reads trajectory_msgs/JointTrajectory as trajectories of the given channel, for the same joints.
func (n *Node) SubscribeTrajectory(s bus.Subscription, names []string, channel int, h func(*msg.Trajectory)) (*Sub, error) {
	table, err := cdr.NewJointTable(names)
	if err != nil {
		return nil, fmt.Errorf("ros2: topic %s: %w", clip(s.Topic, 80), err)
	}
	return n.subscribe(s, cdr.TypeJointTrajectory, bus.Every, func(p *msg.Peer) cdr.Decoder {
		return cdr.NewTrajectory(p, table, channel, 0, h)
	})
}

// SubscribeValues reads std_msgs/Float64MultiArray as values of the given channel.
func (n *Node) SubscribeValues(s bus.Subscription, channel int, h func(*msg.Values)) (*Sub, error) {
	return n.subscribe(s, cdr.TypeFloat64MultiArray, bus.Latest, func(p *msg.Peer) cdr.Decoder {
		return cdr.NewValues(p, channel, h)
	})
}

// SubscribeDiagnostics reads diagnostic_msgs/DiagnosticArray and calls h for each component in it.
func (n *Node) SubscribeDiagnostics(s bus.Subscription, h func(*msg.Diagnostic)) (*Sub, error) {
	return n.subscribe(s, bus.TypeDiagnosticArray, bus.Every, func(p *msg.Peer) cdr.Decoder {
		return cdr.NewDiagnostics(p, h)
	})
}

// SubscribeIMU reads sensor_msgs/Imu.
func (n *Node) SubscribeIMU(s bus.Subscription, h func(*msg.IMU)) (*Sub, error) {
	return n.subscribe(s, bus.TypeImu, bus.Latest, func(p *msg.Peer) cdr.Decoder { return cdr.NewIMU(p, h) })
}

// SubscribeBattery reads sensor_msgs/BatteryState as battery number index.
func (n *Node) SubscribeBattery(s bus.Subscription, index int, h func(*msg.Device)) (*Sub, error) {
	return n.subscribe(s, bus.TypeBatteryState, bus.Latest, func(p *msg.Peer) cdr.Decoder {
		return cdr.NewBattery(p, index, h)
	})
}

// SubscribeHeat reads sensor_msgs/Temperature as the heat of the motors.
func (n *Node) SubscribeHeat(s bus.Subscription, h func(*msg.Device)) (*Sub, error) {
	return n.subscribe(s, bus.TypeTemperature, bus.Latest, func(p *msg.Peer) cdr.Decoder { return cdr.NewHeat(p, h) })
}

// SubscribeCommand reads geometry_msgs/Twist, or geometry_msgs/TwistStamped where the subscription names it, or one of Ackermann's
// types where it names that and a wheelbase, as commands of
// the given channel.
func (n *Node) SubscribeCommand(s bus.Subscription, channel int, h func(*msg.Command)) (*Sub, error) {
	typ := orDefault(s.Type, bus.TypeTwist)
	mk := func(p *msg.Peer) (cdr.Decoder, error) {
		if s.WheelbaseM > 0 {
			return cdr.NewAckermann(typ, s.WheelbaseM, p, channel, h)
		}
		return cdr.NewCommand(typ, p, channel, h)
	}
	if _, err := mk(nil); err != nil {
		return nil, fmt.Errorf("ros2: topic %s: %w", clip(s.Topic, 80), err)
	}
	if open := s.Open; open != nil {
		if _, err := cdr.NewEnvelopedCommand(typ, nil, channel, open, h); err != nil || s.WheelbaseM > 0 {
			return nil, fmt.Errorf("ros2: topic %s: %s does not come in envelopes", clip(s.Topic, 80), clip(typ, 80))
		}
		s.Type = ""
		return n.subscribe(s, bus.TypeUInt8MultiArray, bus.Latest, func(p *msg.Peer) cdr.Decoder {
			d, _ := cdr.NewEnvelopedCommand(typ, p, channel, open, h)
			return d
		})
	}
	return n.subscribe(s, typ, bus.Latest, sound(mk))
}

// SubscribeBool reads std_msgs/Bool.
func (n *Node) SubscribeBool(s bus.Subscription, h func(*msg.Bool)) (*Sub, error) {
	return n.subscribe(s, bus.TypeBool, bus.Latest, func(p *msg.Peer) cdr.Decoder { return cdr.NewBool(p, h) })
}

// SubscribeDevice reads std_msgs/Bool as "camera or microphone number index is active", and every sensor_msgs/CameraInfo, which
// a driver sends with each picture, as "it is active".
func (n *Node) SubscribeDevice(s bus.Subscription, kind msg.DeviceKind, index int, h func(*msg.Device)) (*Sub, error) {
	if kind != msg.Camera && kind != msg.Microphone {
		return nil, errors.New("ros2: SubscribeDevice reads a camera or a microphone; use SubscribeBattery for the battery")
	}
	stream, err := parseType(bus.TypeCameraInfo, "msg")
	if err != nil {
		return nil, err
	}
	if t, err := parseType(s.Type, "msg"); err == nil && t == stream {
		return n.subscribe(s, bus.TypeCameraInfo, bus.Latest, func(p *msg.Peer) cdr.Decoder { return cdr.NewStream(p, kind, index, h) })
	}
	return n.subscribe(s, bus.TypeBool, bus.Latest, func(p *msg.Peer) cdr.Decoder { return cdr.NewDevice(p, kind, index, h) })
}

// SubscribeText reads std_msgs/String. Texts are read reliably from writers that offer that, and wait until it is known
// who sent them.
func (n *Node) SubscribeText(s bus.Subscription, h func(*msg.Text)) (*Sub, error) {
	return n.subscribe(s, bus.TypeString, bus.Every, func(p *msg.Peer) cdr.Decoder { return cdr.NewText(p, h) })
}

// usualBytes is the cap of one message of a type, encapsulation included.
func usualBytes(typ string) int {
	switch typ {
	case bus.TypeTwist:
		return cdr.TwistBytes
	case bus.TypeBool:
		return cdr.BoolBytes
	case bus.TypeString:
		return cdr.StringSize(msg.MaxText)
	case bus.TypeTFMessage, cdr.TypeJointTrajectory:
		return 64 << 10
	case bus.TypeJointState, bus.TypeDiagnosticArray:
		return 32 << 10
	}
	return 4 << 10
}

// check looks at what the caller asked for.
func check(c *bus.Subscription, typ string) (typeName, error) {
	if !validName(c.Topic) {
		return typeName{}, fmt.Errorf("ros2: topic %s is not a fully qualified name; expected one such as \"/odom\"", clip(c.Topic, 80))
	}
	t, err := parseType(typ, "msg")
	if err != nil {
		return t, fmt.Errorf("ros2: topic %s: %w", c.Topic, err)
	}
	if c.Type != "" {
		if asked, err := parseType(c.Type, "msg"); err != nil || asked != t {
			return t, fmt.Errorf("ros2: topic %s: type %s; expected %s", c.Topic, clip(c.Type, 80), typ)
		}
	}
	return t, checkRest(c, typ)
}

// checkVendor is check for a type that only the vendor knows, on a topic of ROS or of plain DDS.
func checkVendor(c *bus.Subscription) (typeName, error) {
	if !validName(c.Topic) && !validRaw(c.Topic) {
		return typeName{}, fmt.Errorf("ros2: topic %s; expected a name such as \"/odom\", or one of plain DDS that ROS gives to nobody", clip(c.Topic, 80))
	}
	t, err := parseVendorType(c.Type)
	if err != nil {
		return t, fmt.Errorf("ros2: topic %s: %w", c.Topic, err)
	}
	return t, checkRest(c, c.Type)
}

// checkRest looks at what is said besides topic and type.
func checkRest(c *bus.Subscription, typ string) error {
	if (len(c.Allow) == 0) == !c.AllowAny {
		return fmt.Errorf("ros2: topic %s: give the names of the nodes that may publish, or AllowAny, and not both", c.Topic)
	}
	for _, a := range c.Allow {
		if !validPeer(a) {
			return fmt.Errorf("ros2: topic %s: allowed publisher %s; expected a node such as \"/planner\", or \"dds:\" and an address",
				c.Topic, clip(a, 80))
		}
	}
	if c.MaxBytes < 0 || c.MaxRateHz < 0 || c.IdleTimeout < 0 || c.Mode > bus.Every {
		return fmt.Errorf("ros2: topic %s: MaxBytes %d, MaxRateHz %d, IdleTimeout %v, Mode %d; expected none negative and a known mode",
			c.Topic, c.MaxBytes, c.MaxRateHz, c.IdleTimeout, c.Mode)
	}
	if typ == bus.TypeString && c.MaxBytes > usualBytes(typ) || c.MaxBytes > rtps.MaxMaxSample {
		return fmt.Errorf("ros2: topic %s: MaxBytes %d; expected at most %d", c.Topic, c.MaxBytes, usualBytes(typ))
	}
	return nil
}

// latestRateHz bounds the messages per second of one publisher in mode Latest: ten times what any controller sends.
const latestRateHz = 10 * bus.DefaultMaxRateHz

// subscribe makes the readers. fallback is the mode for Subscription.Mode 0.
func (n *Node) subscribe(c bus.Subscription, typ string, fallback bus.Mode, mk decoderFor) (*Sub, error) {
	t, err := check(&c, typ)
	if err != nil {
		return nil, err
	}
	return n.subscribeAs(c, t, typ, fallback, mk)
}

// subscribeAs makes the readers of what has been checked.
func (n *Node) subscribeAs(c bus.Subscription, t typeName, typ string, fallback bus.Mode, mk decoderFor) (*Sub, error) {
	return n.subscribeWith(c, t, typ, fallback, typ == bus.TypeString, mk)
}

// subscribeWith does it; each is true where no message may be lost while its sender's name is not known yet.
func (n *Node) subscribeWith(c bus.Subscription, t typeName, typ string, fallback bus.Mode, each bool, mk decoderFor) (*Sub, error) {
	s := n.newSub(&c, usualBytes(typ), func(p *msg.Peer, _ *rtps.RemoteWriter) cdr.Decoder { return mk(p) })
	s.dds, s.holds = ddsTopic(c.Topic), each
	every := orDefault(c.Mode, fallback) == bus.Every
	s.want = [reaches]bool{best: true, sure: each && every, kept: c.Latched}
	rate := latestRateHz
	if every {
		rate = orDefault(c.MaxRateHz, bus.DefaultMaxRateHz)
	}
	if err := s.listen(rtps.ReaderConfig{Type: t.dds(""), MaxRateHz: rate, UserData: n.hashes.data(t.String())}); err != nil {
		return nil, err
	}
	return s, nil
}

// newSub makes a subscription that has no readers yet.
func (n *Node) newSub(c *bus.Subscription, usual int, mk func(*msg.Peer, *rtps.RemoteWriter) cdr.Decoder) *Sub {
	return &Sub{
		n: n, topic: c.Topic, allow: slices.Clone(c.Allow), any: c.AllowAny,
		max: orDefault(c.MaxBytes, usual), idle: orDefault(c.IdleTimeout, n.cfg.Limits.IdleTimeout),
		newDecoder: mk, links: map[*rtps.RemoteWriter]*link{}, refused: map[wire.GUID]string{},
	}
}

// listen makes the readers that the subscription wants, with type, rate and user data as given.
func (s *Sub) listen(like rtps.ReaderConfig) error {
	n := s.n
	if err := n.adoptSub(s); err != nil {
		return err
	}
	for kind := range reaches {
		if !s.want[kind] {
			continue
		}
		as := like
		as.Topic, as.Reliable, as.TransientLocal, as.MaxSample = s.dds, kind != best, kind == kept, s.max
		as.Accept = func(w *rtps.RemoteWriter) bool { return s.accept(kind, w) }
		as.Handler, as.OnMatch = s.sample, s.match
		r, err := n.part.NewReader(as)
		if err != nil {
			s.Close()
			return fmt.Errorf("ros2: topic %s: %w", s.topic, err)
		}
		s.setReader(kind, r)
	}
	n.announce()
	n.Poke()
	return nil
}
