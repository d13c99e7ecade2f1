package ros1

import (
	"errors"
	"fmt"
	"slices"

	"github.com/robowarden/robowarden/hal/bus"
	"github.com/robowarden/robowarden/hal/msg"
)

// Handlers are called on the reader's goroutine of the connection; the pointer is valid only during the call.
// Subscription.Latched changes nothing here: a ROS 1 publisher that latches sends its last message to everybody.

// SubscribePose reads nav_msgs/Odometry, geometry_msgs/PoseStamped or geometry_msgs/PoseWithCovarianceStamped.
func (n *Node) SubscribePose(s bus.Subscription, h func(*msg.Pose)) (*Sub, error) {
	switch s.Type {
	case bus.TypeOdometry, bus.TypePoseStamped, bus.TypePoseWithCovarianceStamped:
	default:
		return nil, fmt.Errorf("ros1: topic %s: type %s; expected %s, %s or %s", clip(s.Topic, 80), clip(s.Type, 80),
			bus.TypeOdometry, bus.TypePoseStamped, bus.TypePoseWithCovarianceStamped)
	}
	return n.subscribe(s, s.Type, bus.Latest, func(p *msg.Peer) decoder { return newPoseDecoder(s.Type, p, h) })
}

func newPoseDecoder(typ string, p *msg.Peer, h func(*msg.Pose)) *poseDecoder {
	d := &poseDecoder{h: h, odom: typ == bus.TypeOdometry, cov: typ != bus.TypePoseStamped}
	d.m.Peer, d.m.HasCovariance, d.m.HasTwist = p, d.cov, d.odom
	return d
}

// SubscribeTransforms reads tf2_msgs/TFMessage and calls h for each transform, or for those in edges if there are any.
// A topic named "/tf_static" marks its transforms as static.
func (n *Node) SubscribeTransforms(s bus.Subscription, edges []bus.Edge, h func(*msg.Transform)) (*Sub, error) {
	if s.Mode == bus.Latest {
		// One node sends different edges in different messages; the newest message is not the newest of each.
		return nil, fmt.Errorf("ros1: topic %s: transforms are read in mode Every only", clip(s.Topic, 80))
	}
	edges = bareEdges(edges)
	s.MaxRateHz = orDefault(s.MaxRateHz, 10*bus.DefaultMaxRateHz)
	return n.subscribe(s, bus.TypeTFMessage, bus.Every, func(p *msg.Peer) decoder {
		d := &tfDecoder{edges: edges, max: n.cfg.Limits.MaxTransforms, h: h}
		d.m.Peer, d.m.Static = p, s.Topic == "/tf_static"
		return d
	})
}

// bareEdges is a copy of the edges without the slashes that old senders begin frames with.
func bareEdges(edges []bus.Edge) []bus.Edge {
	edges = slices.Clone(edges)
	for i, e := range edges {
		edges[i] = bus.Edge{Parent: string(bare([]byte(e.Parent))), Child: string(bare([]byte(e.Child)))}
	}
	return edges
}

// SubscribeJoints reads sensor_msgs/JointState; joint i of the message handed to h is names[i].
func (n *Node) SubscribeJoints(s bus.Subscription, names []string, h func(*msg.Joints)) (*Sub, error) {
	names = slices.Clone(names)
	index, err := jointIndex(names)
	if err != nil {
		return nil, fmt.Errorf("ros1: topic %s: %w", clip(s.Topic, 80), err)
	}
	return n.subscribe(s, bus.TypeJointState, bus.Latest, func(p *msg.Peer) decoder {
		return newJointDecoder(p, names, index, n.cfg.Limits.MaxJointNames, h)
	})
}

// jointIndex numbers the names.
func jointIndex(names []string) (map[string]int, error) {
	if len(names) == 0 || len(names) > msg.MaxJoints {
		return nil, fmt.Errorf("%d joint names; expected 1 to %d", len(names), msg.MaxJoints)
	}
	index := make(map[string]int, len(names))
	for i, name := range names {
		if _, twice := index[name]; twice || name == "" {
			return nil, fmt.Errorf("joint name %s is empty or given twice", clip(name, 80))
		}
		index[name] = i
	}
	return index, nil
}

// SubscribeIMU reads sensor_msgs/Imu.
func (n *Node) SubscribeIMU(s bus.Subscription, h func(*msg.IMU)) (*Sub, error) {
	return n.subscribe(s, bus.TypeImu, bus.Latest, func(p *msg.Peer) decoder {
		d := &imuDecoder{h: h}
		d.m.Peer = p
		return d
	})
}

// SubscribeBattery reads sensor_msgs/BatteryState as battery number index.
func (n *Node) SubscribeBattery(s bus.Subscription, index int, h func(*msg.Device)) (*Sub, error) {
	return n.subscribe(s, bus.TypeBatteryState, bus.Latest, func(p *msg.Peer) decoder {
		d := &batteryDecoder{h: h}
		d.m.Peer, d.m.Kind, d.m.Index = p, msg.Battery, index
		return d
	})
}

// SubscribeHeat reads sensor_msgs/Temperature as the heat of the motors.
func (n *Node) SubscribeHeat(s bus.Subscription, h func(*msg.Device)) (*Sub, error) {
	return n.subscribe(s, bus.TypeTemperature, bus.Latest, func(p *msg.Peer) decoder { return newHeatDecoder(p, h) })
}

// SubscribeCommand reads geometry_msgs/Twist, or the type of TwistStamped, AckermannDrive and AckermannDriveStamped that the
// subscription names, as commands of the given channel.
func (n *Node) SubscribeCommand(s bus.Subscription, channel int, h func(*msg.Command)) (*Sub, error) {
	typ := orDefault(s.Type, bus.TypeTwist)
	ackermann := typ == bus.TypeAckermannDrive || typ == bus.TypeAckermannDriveStamped
	if typ != bus.TypeTwist && typ != bus.TypeTwistStamped && !ackermann || ackermann != (s.WheelbaseM > 0) {
		return nil, fmt.Errorf("ros1: topic %s: type %s, wheelbase %v m; expected %s, %s, %s or %s, the last two with a wheelbase above 0",
			clip(s.Topic, 80), clip(typ, 80), s.WheelbaseM, bus.TypeTwist, bus.TypeTwistStamped, bus.TypeAckermannDrive, bus.TypeAckermannDriveStamped)
	}
	wire, open := typ, s.Open
	if open != nil {
		wire, s.Type = bus.TypeUInt8MultiArray, ""
	}
	return n.subscribe(s, wire, bus.Latest, func(p *msg.Peer) decoder {
		d := &commandDecoder{h: h, stamped: typ == bus.TypeTwistStamped || typ == bus.TypeAckermannDriveStamped, wheelbase: s.WheelbaseM}
		d.m.Peer, d.m.Channel = p, channel
		if open != nil {
			return &envelopeDecoder{open: open, in: d}
		}
		return d
	})
}

// SubscribeBool reads std_msgs/Bool.
func (n *Node) SubscribeBool(s bus.Subscription, h func(*msg.Bool)) (*Sub, error) {
	return n.subscribe(s, bus.TypeBool, bus.Latest, func(p *msg.Peer) decoder {
		d := &boolDecoder{h: h}
		d.m.Peer = p
		return d
	})
}

// SubscribeDevice reads std_msgs/Bool as "camera or microphone number index is active", and every sensor_msgs/CameraInfo, which
// a driver sends with each picture, as "it is active".
func (n *Node) SubscribeDevice(s bus.Subscription, kind msg.DeviceKind, index int, h func(*msg.Device)) (*Sub, error) {
	if kind != msg.Camera && kind != msg.Microphone {
		return nil, errors.New("ros1: SubscribeDevice reads a camera or a microphone; use SubscribeBattery for the battery")
	}
	typ := bus.TypeBool
	if s.Type == bus.TypeCameraInfo {
		typ = s.Type
	}
	return n.subscribe(s, typ, bus.Latest, func(p *msg.Peer) decoder {
		d := &deviceDecoder{h: h, stream: typ == bus.TypeCameraInfo}
		d.m.Peer, d.m.Kind, d.m.Index = p, kind, index
		return d
	})
}

// SubscribeText reads std_msgs/String.
func (n *Node) SubscribeText(s bus.Subscription, h func(*msg.Text)) (*Sub, error) {
	if s.MaxBytes > 4+msg.MaxText {
		return nil, fmt.Errorf("ros1: topic %s: MaxBytes %d; expected at most %d", clip(s.Topic, 80), s.MaxBytes, 4+msg.MaxText)
	}
	return n.subscribe(s, bus.TypeString, bus.Every, func(p *msg.Peer) decoder {
		d := &textDecoder{h: h}
		d.m.Peer = p
		return d
	})
}
