package ros1

import (
	"bytes"
	"encoding/binary"
	"testing"
	"time"

	"github.com/bluenviron/goroslib/v2/pkg/msgs/geometry_msgs"
	"github.com/bluenviron/goroslib/v2/pkg/msgs/nav_msgs"
	"github.com/bluenviron/goroslib/v2/pkg/msgs/sensor_msgs"
	"github.com/bluenviron/goroslib/v2/pkg/msgs/std_msgs"
	"github.com/bluenviron/goroslib/v2/pkg/msgs/tf2_msgs"
	"github.com/bluenviron/goroslib/v2/pkg/msgs/trajectory_msgs"
	"github.com/bluenviron/goroslib/v2/pkg/protocommon"

	"github.com/robowarden/robowarden/hal/bus"
	"github.com/robowarden/robowarden/hal/msg"
)

// fuzzed pairs each decoder with goroslib's type.
func fuzzed(seen func(string)) []struct {
	d decoder
	m any
} {
	frames := func(h *msg.Header, more ...string) {
		seen(h.Frame)
		for _, s := range more {
			seen(s)
		}
	}
	joints := jointNames(8)
	pose := func(typ string) decoder {
		return newPoseDecoder(typ, testPeer, func(m *msg.Pose) { frames(&m.Header, m.Child) })
	}
	type pair = struct {
		d decoder
		m any
	}
	demand := func(typ string, m any) pair {
		s := bus.DemandSubscription{Subscription: bus.Subscription{Type: typ}, Form: msg.FormJoints, Joints: joints, Order: []int{1}, Quantity: msg.Positions}
		if typ == bus.TypeMoveBaseActionGoal {
			s.Form = msg.FormGoal
		}
		mk, err := demandDecoderFor(&s, func(m *msg.Demand) {
			frames(&m.Header)
			if m.Joints != nil && m.Joints.Seen>>m.Joints.N != 0 {
				panic("joints that the profile does not have")
			}
		})
		if err != nil {
			panic(err)
		}
		return pair{mk(testPeer), m}
	}
	return []pair{
		{pose(bus.TypeOdometry), &nav_msgs.Odometry{}},
		{pose(bus.TypePoseStamped), &geometry_msgs.PoseStamped{}},
		{pose(bus.TypePoseWithCovarianceStamped), &geometry_msgs.PoseWithCovarianceStamped{}},
		{&tfDecoder{max: 64, h: func(m *msg.Transform) { frames(&m.Header, m.Child) }}, &tf2_msgs.TFMessage{}},
		{testJointDecoder(joints, func(m *msg.Joints) { frames(&m.Header) }), &sensor_msgs.JointState{}},
		{&imuDecoder{h: func(m *msg.IMU) { frames(&m.Header) }}, &sensor_msgs.Imu{}},
		{&batteryDecoder{h: func(m *msg.Device) { frames(&m.Header) }}, &sensor_msgs.BatteryState{}},
		{&commandDecoder{h: func(*msg.Command) {}}, &geometry_msgs.Twist{}},
		{&boolDecoder{h: func(*msg.Bool) {}}, &std_msgs.Bool{}},
		{&deviceDecoder{h: func(*msg.Device) {}}, &std_msgs.Bool{}},
		{&textDecoder{h: func(*msg.Text) {}}, &std_msgs.String{}},
		demand(bus.TypeJointTrajectory, &trajectory_msgs.JointTrajectory{}),
		demand(bus.TypeJointState, &sensor_msgs.JointState{}),
		demand(bus.TypeFloat64MultiArray, &std_msgs.Float64MultiArray{}),
		demand(bus.TypeMoveBaseActionGoal, &moveBaseActionGoal{}),
		{newHeatDecoder(nil, func(m *msg.Device) { frames(&m.Header) }), &sensor_msgs.Temperature{}},
	}
}

// FuzzDecoders: no decoder panics, none passes on a frame of more than 64 bytes, and what one accepts goroslib accepts.
func FuzzDecoders(f *testing.F) {
	h := std_msgs.Header{Seq: 1, Stamp: time.Unix(5, 6), FrameId: "map"}
	for i, m := range []any{
		&nav_msgs.Odometry{Header: h, ChildFrameId: "base"}, &geometry_msgs.PoseStamped{Header: h},
		&geometry_msgs.PoseWithCovarianceStamped{Header: h},
		&tf2_msgs.TFMessage{Transforms: []geometry_msgs.TransformStamped{{Header: h, ChildFrameId: "base"}}},
		&sensor_msgs.JointState{Header: h, Name: []string{"joint_01", "x"}, Position: []float64{1, 2}},
		&sensor_msgs.Imu{Header: h}, &sensor_msgs.BatteryState{Header: h}, &geometry_msgs.Twist{}, &std_msgs.Bool{Data: true},
		&std_msgs.Bool{}, &std_msgs.String{Data: "x"}, swing(true),
		&sensor_msgs.JointState{Header: h, Name: []string{"joint_01", "x"}, Position: []float64{1, 2}},
		&std_msgs.Float64MultiArray{Data: []float64{1}}, &moveBaseActionGoal{Header: h}, &sensor_msgs.Temperature{Header: h, Temperature: 60},
	} {
		f.Add(byte(i), encode(f, m))
	}
	f.Fuzz(func(t *testing.T, kind byte, b []byte) {
		all := fuzzed(func(frame string) {
			if len(frame) > maxFrame {
				t.Errorf("frame of %d bytes", len(frame))
			}
		})
		c := all[int(kind)%len(all)]
		if c.d.decode(b, 1) != nil {
			return
		}
		framed := append(binary.LittleEndian.AppendUint32(nil, uint32(len(b))), b...)
		if err := protocommon.MessageDecode(bytes.NewReader(framed), c.m); err != nil {
			t.Fatalf("%T accepts %x, goroslib says %v", c.d, b, err)
		}
	})
}
