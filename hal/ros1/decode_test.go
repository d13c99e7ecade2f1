package ros1

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"testing"
	"time"

	"github.com/bluenviron/goroslib/v2/pkg/msgs/geometry_msgs"
	"github.com/bluenviron/goroslib/v2/pkg/msgs/nav_msgs"
	"github.com/bluenviron/goroslib/v2/pkg/msgs/sensor_msgs"
	"github.com/bluenviron/goroslib/v2/pkg/msgs/std_msgs"
	"github.com/bluenviron/goroslib/v2/pkg/msgs/tf2_msgs"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"github.com/robowarden/robowarden/hal/bus"
	"github.com/robowarden/robowarden/hal/msg"
)

// The expected values are goroslib's: it encodes what rapid draws, our decoders must find the same in it.

var testPeer = &msg.Peer{ID: 1, Name: "/p", Strength: msg.Claimed}

// nanEqual treats NaN as equal to itself, for it has to arrive as it was sent; a peer is the same or it is not.
var nanEqual = cmp.Options{cmpopts.EquateNaNs(), cmp.Comparer(func(a, b *msg.Peer) bool { return a == b })}

func drawHeader(t *rapid.T) std_msgs.Header {
	return std_msgs.Header{
		Seq: rapid.Uint32().Draw(t, "seq"), FrameId: rapid.StringN(0, 16, 64).Draw(t, "frame"),
		// goroslib reads stamps as int32, so the oracle ends in 2038.
		Stamp: time.Unix(rapid.Int64Range(1, math.MaxInt32).Draw(t, "secs"), rapid.Int64Range(0, 999999999).Draw(t, "nsecs")),
	}
}

func wantHeader(h *std_msgs.Header, boot time.Duration) msg.Header {
	return msg.Header{Boot: boot, Stamp: h.Stamp.UnixNano(), Seq: h.Seq, Frame: h.FrameId, Peer: testPeer}
}

func drawVec3(t *rapid.T) geometry_msgs.Vector3 {
	f := rapid.Float64()
	return geometry_msgs.Vector3{X: f.Draw(t, "x"), Y: f.Draw(t, "y"), Z: f.Draw(t, "z")}
}

func drawPose(t *rapid.T) geometry_msgs.Pose {
	p, q := drawVec3(t), drawVec3(t)
	return geometry_msgs.Pose{
		Position:    geometry_msgs.Point{X: p.X, Y: p.Y, Z: p.Z},
		Orientation: geometry_msgs.Quaternion{X: q.X, Y: q.Y, Z: q.Z, W: rapid.Float64().Draw(t, "w")},
	}
}

func drawCov(t *rapid.T) (c [36]float64) {
	for i := range c {
		c[i] = rapid.Float64().Draw(t, "cov")
	}
	return c
}

func setPose(m *msg.Pose, p geometry_msgs.Pose) {
	m.Position = msg.Vec3{X: p.Position.X, Y: p.Position.Y, Z: p.Position.Z}
	m.Orientation = msg.Quat{X: p.Orientation.X, Y: p.Orientation.Y, Z: p.Orientation.Z, W: p.Orientation.W}
}

func v3(v geometry_msgs.Vector3) msg.Vec3 { return msg.Vec3{X: v.X, Y: v.Y, Z: v.Z} }

func TestDecodePosesAsGoroslibEncodes(t *testing.T) {
	const boot = 7 * time.Second
	rapid.Check(t, func(t *rapid.T) {
		h, pose, cov := drawHeader(t), drawPose(t), drawCov(t)
		want := msg.Pose{Header: wantHeader(&h, boot)}
		setPose(&want, pose)
		var m any
		typ := rapid.SampledFrom([]string{bus.TypeOdometry, bus.TypePoseStamped, bus.TypePoseWithCovarianceStamped}).Draw(t, "type")
		switch typ {
		case bus.TypePoseStamped:
			m = &geometry_msgs.PoseStamped{Header: h, Pose: pose}
		case bus.TypePoseWithCovarianceStamped:
			m = &geometry_msgs.PoseWithCovarianceStamped{Header: h, Pose: geometry_msgs.PoseWithCovariance{Pose: pose, Covariance: cov}}
			want.Covariance, want.HasCovariance = cov, true
		case bus.TypeOdometry:
			lin, ang := drawVec3(t), drawVec3(t)
			o := &nav_msgs.Odometry{Header: h, ChildFrameId: rapid.StringN(0, 16, 64).Draw(t, "child")}
			o.Pose = geometry_msgs.PoseWithCovariance{Pose: pose, Covariance: cov}
			o.Twist.Twist = geometry_msgs.Twist{Linear: lin, Angular: ang}
			o.Twist.Covariance = drawCov(t)
			m = o
			want.Child, want.Covariance, want.HasCovariance, want.HasTwist = o.ChildFrameId, cov, true, true
			want.Twist = msg.Twist{Linear: v3(lin), Angular: v3(ang)}
		}
		var got *msg.Pose
		d := newPoseDecoder(typ, testPeer, func(p *msg.Pose) { got = p })
		checkDecode(t, d, encode(t, m), boot)
		if diff := cmp.Diff(&want, got, nanEqual); diff != "" {
			t.Fatal(diff)
		}
	})
}

// checkDecode decodes, and then makes sure that no shorter and no longer body decodes.
func checkDecode(t *rapid.T, d decoder, body []byte, boot time.Duration) {
	t.Helper()
	cut := rapid.IntRange(0, len(body)-1).Draw(t, "cut")
	if err := d.decode(body[:cut], boot); err == nil {
		t.Fatalf("%d of %d bytes decode", cut, len(body))
	}
	if err := d.decode(append(body[:len(body):len(body)], 0), boot); err == nil {
		t.Fatal("a message with a byte too many decodes")
	}
	if err := d.decode(body, boot); err != nil {
		t.Fatal(err)
	}
}

func TestDecodeIMUAsGoroslibEncodes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := &sensor_msgs.Imu{Header: drawHeader(t), AngularVelocity: drawVec3(t), LinearAcceleration: drawVec3(t)}
		m.Orientation = drawPose(t).Orientation
		unknown := rapid.SliceOfN(rapid.Bool(), 3, 3).Draw(t, "unknown")
		for i, c := range []*[9]float64{&m.OrientationCovariance, &m.AngularVelocityCovariance, &m.LinearAccelerationCovariance} {
			if unknown[i] {
				c[0] = -1
			}
		}
		want := msg.IMU{
			Header: wantHeader(&m.Header, 3), HasOrientation: !unknown[0], HasAngularVelocity: !unknown[1],
			HasLinearAcceleration: !unknown[2], AngularVelocity: v3(m.AngularVelocity), LinearAcceleration: v3(m.LinearAcceleration),
			Orientation: msg.Quat{X: m.Orientation.X, Y: m.Orientation.Y, Z: m.Orientation.Z, W: m.Orientation.W},
		}
		var got *msg.IMU
		d := &imuDecoder{h: func(p *msg.IMU) { got = p }}
		d.m.Peer = testPeer
		checkDecode(t, d, encode(t, m), 3)
		if diff := cmp.Diff(&want, got, nanEqual); diff != "" {
			t.Fatal(diff)
		}
	})
}

func TestDecodeBatteryAsGoroslibEncodes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := &sensor_msgs.BatteryState{Header: drawHeader(t), Percentage: rapid.Float32().Draw(t, "percentage")}
		m.PowerSupplyStatus = rapid.Uint8Range(0, 4).Draw(t, "status")
		m.Present = rapid.Bool().Draw(t, "present")
		m.CellVoltage = rapid.SliceOfN(rapid.Float32(), 0, 5).Draw(t, "cells")
		m.Location = rapid.StringN(0, 8, 20).Draw(t, "location")
		want := msg.Device{
			Header: wantHeader(&m.Header, 3), Kind: msg.Battery, Index: 2, Active: m.Present,
			ChargeRatio: float64(m.Percentage), Charging: m.PowerSupplyStatus == 1,
		}
		var got *msg.Device
		d := &batteryDecoder{h: func(p *msg.Device) { got = p }}
		d.m.Peer, d.m.Kind, d.m.Index = testPeer, msg.Battery, 2
		checkDecode(t, d, encode(t, m), 3)
		if diff := cmp.Diff(&want, got, nanEqual); diff != "" {
			t.Fatal(diff)
		}
	})
}

func TestDecodeHeatAsGoroslibEncodes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := &sensor_msgs.Temperature{Header: drawHeader(t), Temperature: rapid.Float64().Draw(t, "temperature"), Variance: rapid.Float64().Draw(t, "variance")}
		want := msg.Device{Header: wantHeader(&m.Header, 3), Kind: msg.Heat, Active: true, Celsius: m.Temperature}
		var got *msg.Device
		checkDecode(t, newHeatDecoder(testPeer, func(p *msg.Device) { got = p }), encode(t, m), 3)
		if diff := cmp.Diff(&want, got, nanEqual); diff != "" {
			t.Fatal(diff)
		}
	})
}

func TestDecodeTransformsAsGoroslibEncodes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := &tf2_msgs.TFMessage{}
		var want []msg.Transform
		wanted := bus.Edge{Parent: "map", Child: "base"}
		filter := rapid.Bool().Draw(t, "filter")
		for range rapid.IntRange(0, 6).Draw(t, "n") {
			s := geometry_msgs.TransformStamped{Header: drawHeader(t)}
			s.Header.FrameId = rapid.SampledFrom([]string{"map", "odom", "/map", ""}).Draw(t, "parent")
			s.ChildFrameId = rapid.SampledFrom([]string{"base", "odom"}).Draw(t, "child")
			p := drawPose(t)
			s.Transform.Translation = drawVec3(t)
			s.Transform.Rotation = p.Orientation
			m.Transforms = append(m.Transforms, s)
			w := msg.Transform{
				Header: wantHeader(&s.Header, 3), Child: s.ChildFrameId, Translation: v3(s.Transform.Translation),
				Rotation: msg.Quat{X: p.Orientation.X, Y: p.Orientation.Y, Z: p.Orientation.Z, W: p.Orientation.W},
			}
			if filter {
				if s.ChildFrameId != "base" || s.Header.FrameId != "map" && s.Header.FrameId != "/map" {
					continue
				}
				w.Frame = "map"
			}
			want = append(want, w)
		}
		var got []msg.Transform
		d := &tfDecoder{max: 10, h: func(p *msg.Transform) { got = append(got, *p) }}
		d.m.Peer = testPeer
		if filter {
			d.edges = []bus.Edge{{Parent: "a", Child: "b"}, wanted}
		}
		body := encode(t, m)
		if len(body) > 4 {
			cut := rapid.IntRange(4, len(body)-1).Draw(t, "cut")
			if d.decode(body[:cut], 3) == nil || len(got) != 0 {
				t.Fatalf("%d of %d bytes decode or deliver", cut, len(body))
			}
		}
		if err := d.decode(body, 3); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got, nanEqual); diff != "" {
			t.Fatal(diff)
		}
	})
}

// jointNames are the profile's joints in the tests.
func jointNames(n int) []string {
	names := make([]string, n)
	for i := range names {
		names[i] = fmt.Sprintf("joint_%02d", i)
	}
	return names
}

func testJointDecoder(names []string, h func(*msg.Joints)) *jointDecoder {
	index := map[string]int{}
	for i, n := range names {
		index[n] = i
	}
	return newJointDecoder(testPeer, names, index, DefaultMaxJointNames, h)
}

// TestDecodeJointsAsGoroslibEncodes sends several messages through one decoder, since it remembers their order.
func TestDecodeJointsAsGoroslibEncodes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		names := jointNames(rapid.IntRange(1, msg.MaxJoints).Draw(t, "joints"))
		var got *msg.Joints
		d := testJointDecoder(names, func(j *msg.Joints) { got = j })
		pool := append([]string{"wheel", "", "gripper"}, names...)
		for range rapid.IntRange(1, 4).Draw(t, "messages") {
			m := &sensor_msgs.JointState{Header: drawHeader(t)}
			m.Name = rapid.SliceOfDistinct(rapid.SampledFrom(pool), func(s string) string { return s }).Draw(t, "names")
			f := func(what string) []float64 {
				if rapid.Bool().Draw(t, "no "+what) {
					return nil
				}
				return rapid.SliceOfN(rapid.Float64(), len(m.Name), len(m.Name)).Draw(t, what)
			}
			m.Position, m.Velocity, m.Effort = f("position"), f("velocity"), f("effort")
			want := msg.Joints{Header: wantHeader(&m.Header, 3), N: len(names)}
			has := func(v []float64) bool { return len(v) > 0 }
			want.HasVelocity, want.HasEffort = has(m.Velocity), has(m.Effort)
			for i := range names {
				want.Position[i], want.Velocity[i], want.Effort[i] = math.NaN(), math.NaN(), math.NaN()
			}
			for i, name := range m.Name {
				j := indexOf(names, name)
				if j < 0 {
					want.Unknown++
					continue
				}
				if has(m.Position) {
					want.Seen |= 1 << j
					want.Position[j] = m.Position[i]
				}
				if has(m.Velocity) {
					want.Velocity[j] = m.Velocity[i]
				}
				if has(m.Effort) {
					want.Effort[j] = m.Effort[i]
				}
			}
			if err := d.decode(encode(t, m), 3); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(&want, got, nanEqual); diff != "" {
				t.Fatal(diff)
			}
		}
	})
}

func indexOf(names []string, s string) int {
	for i, n := range names {
		if n == s {
			return i
		}
	}
	return -1
}

func TestDecodeRefuses(t *testing.T) {
	joints := func(j sensor_msgs.JointState) []byte { return encode(t, &j) }
	js := testJointDecoder(jointNames(3), func(*msg.Joints) { t.Error("delivered") })
	tf := &tfDecoder{max: 2, h: func(*msg.Transform) { t.Error("delivered") }}
	empty := make([]byte, 16+4+5*4)
	binary.LittleEndian.PutUint32(empty[16:], 1<<30)
	for _, c := range []struct {
		name string
		d    decoder
		body []byte
		want error
	}{
		{"joint named twice", js, joints(sensor_msgs.JointState{Name: []string{"joint_01", "joint_01"}, Position: []float64{1, 2}}), errTwice},
		{"fewer positions than names", js, joints(sensor_msgs.JointState{Name: []string{"joint_01", "joint_02"}, Position: []float64{1}}), errLengths},
		{"more positions than names", js, joints(sensor_msgs.JointState{Position: []float64{1}}), errLengths},
		{"more names than the message can hold", js, empty, errCount},
		{"more names than the cap", js, joints(sensor_msgs.JointState{Name: make([]string, DefaultMaxJointNames+1)}), errCount},
		{"more transforms than the cap", tf, encode(t, &tf2_msgs.TFMessage{Transforms: make([]geometry_msgs.TransformStamped, 3)}), errCount},
		{"bool of two", &boolDecoder{h: func(*msg.Bool) { t.Error("delivered") }}, []byte{2}, errFlag},
		{"empty bool", &boolDecoder{h: func(*msg.Bool) { t.Error("delivered") }}, nil, errShort},
		{"string longer than its message", &textDecoder{h: func(*msg.Text) { t.Error("delivered") }}, []byte{5, 0, 0, 0, 'a'}, errShort},
		{"twist with a byte too many", &commandDecoder{h: func(*msg.Command) { t.Error("delivered") }}, make([]byte, 49), errTrailing},
	} {
		t.Run(c.name, func(t *testing.T) {
			if err := c.d.decode(c.body, 1); !errors.Is(err, c.want) {
				t.Errorf("got %v, want %v", err, c.want)
			}
		})
	}
}

func TestDecodeCommandBoolAndText(t *testing.T) {
	var cmd msg.Command
	c := &commandDecoder{h: func(m *msg.Command) { cmd = *m }}
	c.m.Peer, c.m.Channel = testPeer, 4
	in := geometry_msgs.Twist{Linear: geometry_msgs.Vector3{X: 1, Y: 2, Z: math.Inf(1)}, Angular: geometry_msgs.Vector3{Z: math.NaN()}}
	if err := c.decode(encode(t, &in), 5); err != nil {
		t.Fatal(err)
	}
	want := msg.Command{Header: msg.Header{Boot: 5, Peer: testPeer}, Channel: 4}
	want.Linear, want.Angular = msg.Vec3{X: 1, Y: 2, Z: math.Inf(1)}, msg.Vec3{Z: math.NaN()}
	if diff := cmp.Diff(want, cmd, nanEqual); diff != "" {
		t.Error(diff)
	}
	for _, v := range []bool{true, false} {
		got := !v
		b := &boolDecoder{h: func(m *msg.Bool) { got = m.Value }}
		if err := b.decode(encode(t, &std_msgs.Bool{Data: v}), 5); err != nil || got != v {
			t.Errorf("bool %v: got %v, %v", v, got, err)
		}
		d := &deviceDecoder{h: func(m *msg.Device) { got = m.Active }}
		if err := d.decode(encode(t, &std_msgs.Bool{Data: v}), 5); err != nil || got != v {
			t.Errorf("device %v: got %v, %v", v, got, err)
		}
	}
	text := ""
	s := &textDecoder{h: func(m *msg.Text) { text = string(m.Data) }}
	if err := s.decode(encode(t, &std_msgs.String{Data: "a signed order"}), 5); err != nil || text != "a signed order" {
		t.Errorf("text %q, %v", text, err)
	}
}

func TestStampsReachTheEndOfTheirRange(t *testing.T) {
	if got, want := stamp(math.MaxUint32, 999999999), int64(4294967295999999999); got != want {
		t.Errorf("stamp %d; want %d", got, want)
	}
}

func TestLongFramesArriveAsQuestionMark(t *testing.T) {
	var l lastText
	var in interner
	long := make([]byte, maxFrame+1)
	if l.get(long) != "?" || in.get(long) != "?" {
		t.Error("a frame of 65 bytes is passed on")
	}
	if l.get(long[:maxFrame]) != string(long[:maxFrame]) {
		t.Error("a frame of 64 bytes is not passed on")
	}
}

// TestMD5SumsAreTheRealOnes holds goroslib's definitions to the md5sums of ROS itself (rosmsg md5, rossrv md5).
func TestMD5SumsAreTheRealOnes(t *testing.T) {
	for name, want := range map[string]string{
		bus.TypeOdometry: "cd5e73d190d741a2f92e81eda573aca7", bus.TypePoseStamped: "d3812c3cbc69362b77dc0b19b345f8f5",
		bus.TypePoseWithCovarianceStamped: "953b798c0f514ff060a53a3498ce6246", bus.TypeTFMessage: "94810edda583a504dfda3829e70d7eec",
		bus.TypeJointState: "3066dcd76a6cfaef579bd0f34173e9fd", bus.TypeImu: "6a62c6daae103f4ff57a132d6f95cec2",
		bus.TypeBatteryState: "4ddae7f048e32fda22cac764685e3974", bus.TypeTwist: "9f195f881246fdfa2798d1d3eebca84a",
		bus.TypeBool: "8b94c1b53db61fb6aed406028ad6332a", bus.TypeString: "992ce8a1687cec8c8bd883ec73ca41d1",
		bus.TypeDiagnosticArray: "60810da900de1dd6ddd437c3503511da", bus.TypeTemperature: "ff71b307acdbe7c871a5a6d7ed359100",
	} {
		if typ, err := lookupType(name); err != nil || typ.md5 != want {
			t.Errorf("%s: %s, %v; want %s", name, typ.md5, err, want)
		}
	}
	for name, want := range map[string]string{
		typeSetBool: "09fb03525b03e7ea1fd3992bafd87e16", typeTrigger: "937c9679a518e3a18d831e57125ea522",
		typeEmpty: "d41d8cd98f00b204e9800998ecf8427e",
	} {
		if got, err := serviceMD5(name); err != nil || got != want {
			t.Errorf("%s: %s, %v; want %s", name, got, err, want)
		}
	}
	if _, err := lookupType("a/B"); err == nil {
		t.Error("an unknown type has a definition")
	}
}
