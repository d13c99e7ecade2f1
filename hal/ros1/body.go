package ros1

import (
	"fmt"
	"slices"
	"time"

	"github.com/robowarden/robowarden/hal/bus"
	"github.com/robowarden/robowarden/hal/msg"
)

// Body decodes message bodies that do not come from a connection, such as those of a recording. It is the very decoder that
// a subscription uses, so that what is read from a recording is what the guard would have read.
type Body struct{ d decoder }

// Decode reads one message and hands it to the handler; boot is the time of its receipt. Nothing of b is kept.
func (r Body) Decode(b []byte, boot time.Duration) error { return r.d.decode(b, boot) }

// MD5 is the sum that both ends of a connection compare, for a type that is read here.
func MD5(typ string) (string, error) {
	t, err := lookupType(typ)
	return t.md5, err
}

// PoseBody reads one of the three types that carry a pose.
func PoseBody(typ string, p *msg.Peer, h func(*msg.Pose)) (Body, error) {
	switch typ {
	case bus.TypeOdometry, bus.TypePoseStamped, bus.TypePoseWithCovarianceStamped:
		return Body{newPoseDecoder(typ, p, h)}, nil
	}
	return Body{}, fmt.Errorf("ros1: type %s carries no pose; expected %s, %s or %s", clip(typ, 80),
		bus.TypeOdometry, bus.TypePoseStamped, bus.TypePoseWithCovarianceStamped)
}

// TransformsBody reads tf2_msgs/TFMessage; h is called for the edges alone, or for each transform if there are none.
func TransformsBody(p *msg.Peer, static bool, edges []bus.Edge, h func(*msg.Transform)) Body {
	d := &tfDecoder{edges: bareEdges(edges), max: DefaultMaxTransforms, h: h}
	d.m.Peer, d.m.Static = p, static
	return Body{d}
}

// JointsBody reads sensor_msgs/JointState; joint i of the message is names[i].
func JointsBody(p *msg.Peer, names []string, h func(*msg.Joints)) (Body, error) {
	index, err := jointIndex(names)
	if err != nil {
		return Body{}, fmt.Errorf("ros1: %w", err)
	}
	return Body{newJointDecoder(p, slices.Clone(names), index, DefaultMaxJointNames, h)}, nil
}

// IMUBody reads sensor_msgs/Imu.
func IMUBody(p *msg.Peer, h func(*msg.IMU)) Body {
	d := &imuDecoder{h: h}
	d.m.Peer = p
	return Body{d}
}

// BatteryBody reads sensor_msgs/BatteryState as battery number index.
func BatteryBody(p *msg.Peer, index int, h func(*msg.Device)) Body {
	d := &batteryDecoder{h: h}
	d.m.Peer, d.m.Kind, d.m.Index = p, msg.Battery, index
	return Body{d}
}

// HeatBody reads sensor_msgs/Temperature as the heat of the motors.
func HeatBody(p *msg.Peer, h func(*msg.Device)) Body { return Body{newHeatDecoder(p, h)} }

// CommandBody reads geometry_msgs/Twist as commands of a channel.
func CommandBody(p *msg.Peer, channel int, h func(*msg.Command)) Body {
	d := &commandDecoder{h: h}
	d.m.Peer, d.m.Channel = p, channel
	return Body{d}
}

// BoolBody reads std_msgs/Bool.
func BoolBody(p *msg.Peer, h func(*msg.Bool)) Body {
	d := &boolDecoder{h: h}
	d.m.Peer = p
	return Body{d}
}

// DeviceBody reads std_msgs/Bool as a camera's or microphone's activity.
func DeviceBody(p *msg.Peer, kind msg.DeviceKind, index int, h func(*msg.Device)) Body {
	d := &deviceDecoder{h: h}
	d.m.Peer, d.m.Kind, d.m.Index = p, kind, index
	return Body{d}
}

// TextBody reads std_msgs/String.
func TextBody(p *msg.Peer, h func(*msg.Text)) Body {
	d := &textDecoder{h: h}
	d.m.Peer = p
	return Body{d}
}

// Definition is the md5sum of a type that is read or written here, and its text with all that it includes.
func Definition(typ string) (md5, text string, err error) {
	t, err := lookupType(typ)
	return t.md5, t.definition, err
}
