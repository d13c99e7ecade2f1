package ros2

import (
	"math"
	"testing"

	"github.com/robowarden/robowarden/hal/msg"
	"github.com/robowarden/robowarden/hal/ros2/idl"
)

// acme is a vendor that sends its own types.
const acme = `
module acme {
  struct Motor { octet mode; float q; double dq; };
  struct Joints { string name; sequence<Motor, 8> motors; };
  module msg { module dds_ {
    struct Imu_ { float gyro[3]; float accel[3]; float q[4]; };
    struct Battery_ { octet soc; long current; };
  }; };
};`

// planOf makes a plan for one of acme's types.
func planOf(typ string, paths ...string) *idl.Plan {
	set := idl.NewSet()
	if err := set.AddIDL("acme.idl", acme); err != nil {
		panic(err)
	}
	t, err := set.Type(typ)
	if err != nil {
		panic(err)
	}
	p, err := idl.Compile(t, paths)
	if err != nil {
		panic(err)
	}
	return p
}

// The profile has three joints; the vendor's motor 0 is joint 2, motor 2 is joint 0, and motor 1 is none of them.
var acmeJoints = JointFields{
	Plan:  planOf("acme::Joints", "motors[0].q", "motors[2].q", "motors[0].dq", "motors[2].dq"),
	Index: []int{2, 0}, N: 3, HasVelocity: true, Scale: 0.5,
}

var acmeIMU = IMUFields{
	Plan: planOf("acme/msg/Imu", "gyro[0]", "gyro[1]", "gyro[2]", "accel[0]", "accel[1]", "accel[2]", "q[1]", "q[2]", "q[3]", "q[0]"),

	HasAcceleration: true, HasOrientation: true, GyroScale: 2, AccelerationScale: 10,
}

var acmeBattery = BatteryFields{Plan: planOf("acme/msg/Battery", "soc", "current"), Full: 100, Charging: Positive}

func jointsPayload(big bool) []byte {
	p := newPayload(big).u32(2).u8('x', 0).u32(3)
	for i := range 3 {
		p.u8(uint8(i)).f32(float32(2 + i)).f64(float64(-4 * (1 + i/2)))
	}
	return p.b
}

func imuPayload(big bool) []byte {
	return newPayload(big).f32(1, 2, 3, 4, 5, 6, 0.125, 0.25, 0.5, 0.75).b
}

func batteryPayload(big bool) []byte { return newPayload(big).u8(80).u32(7).b }

// TestVendorUnknowns: what a message does not have is unknown, and no earlier value stays in its place.
func TestVendorUnknowns(t *testing.T) {
	var got msg.Joints
	d := newVendorJoints(&msg.Peer{}, &acmeJoints, func(m *msg.Joints) { got = *m })
	if err := d.Decode(jointsPayload(false), 1, 1); err != nil || got.Position[0] != 2 || got.Seen != 5 {
		t.Fatalf("%v, %+v", err, got)
	}
	if err := d.Decode(newPayload(false).u32(2).u8('x', 0).u32(1).u8(9).f32(3).f64(4).b, 2, 2); err != nil {
		t.Fatal(err)
	}
	if !math.IsNaN(got.Position[0]) || !math.IsNaN(got.Velocity[0]) || !math.IsNaN(got.Position[1]) || got.Position[2] != 1.5 {
		t.Errorf("one motor: %v %v", got.Position[:3], got.Velocity[:3])
	}
	before := got.Seq
	for _, bad := range [][]byte{nil, jointsPayload(false)[:20], newPayload(false).u32(2).u8('x', 0).u32(9).b} {
		if err := d.Decode(bad, 3, 3); err == nil {
			t.Errorf("%x was read", bad)
		}
	}
	if got.Seq != before {
		t.Error("a message that does not decode reached the handler")
	}
}

// TestChargingSigns: which numbers mean that a battery is charged.
func TestChargingSigns(t *testing.T) {
	for _, c := range []struct {
		sign    Sign
		current int32
		want    bool
	}{{NotZero, 0, false}, {NotZero, -1, true}, {NotZero, 1, true}, {Positive, 1, true}, {Positive, -1, false}, {Negative, -1, true}, {Negative, 1, false}} {
		f := acmeBattery
		f.Charging = c.sign
		var got msg.Device
		d := newVendorBattery(&msg.Peer{}, &f, 0, func(m *msg.Device) { got = *m })
		if err := d.Decode(newPayload(true).u8(50).u32(uint32(c.current)).b, 1, 1); err != nil || got.Charging != c.want || got.ChargeRatio != 0.5 {
			t.Errorf("%+v: %v, %+v", c, err, got)
		}
	}
}

// FuzzVendor: whatever bytes come, the decoders neither panic nor hand on what they were not told to read.
func FuzzVendor(f *testing.F) {
	for _, big := range []bool{false, true} {
		f.Add(jointsPayload(big))
		f.Add(imuPayload(big))
		f.Add(batteryPayload(big))
	}
	f.Fuzz(func(t *testing.T, payload []byte) {
		peer := &msg.Peer{}
		_ = newVendorJoints(peer, &acmeJoints, func(m *msg.Joints) {
			if m.N != 3 || m.Seen != 5 || !math.IsNaN(m.Position[1]) || !math.IsNaN(m.Velocity[1]) || m.Peer != peer {
				t.Fatalf("%+v", m)
			}
		}).Decode(payload, 1, 1) // an error is as good
		_ = newVendorIMU(peer, &acmeIMU, func(m *msg.IMU) {
			if !m.HasAngularVelocity || !m.HasOrientation || m.Peer != peer {
				t.Fatalf("%+v", m)
			}
		}).Decode(payload, 1, 1)
		_ = newVendorBattery(peer, &acmeBattery, 0, func(m *msg.Device) {
			if !(m.ChargeRatio >= 0 && m.ChargeRatio <= 2.55) || m.Kind != msg.Battery {
				t.Fatalf("%+v", m)
			}
		}).Decode(payload, 1, 1)
	})
}

// TestRawNames: a name of plain DDS stays as it is, and none that ROS gives to somebody passes for one.
func TestRawNames(t *testing.T) {
	for s, want := range map[string]bool{
		"lowstate": true, "rt": true, "lf/bms.state": true, "rtx/y": true, "": false, "/lowstate": false, "rt/lowstate": false, "rq/x": false,
		"rr/x": false, "ros_discovery_info": false, "a b": false, "a\n": false,
	} {
		if got := validRaw(s); got != want {
			t.Errorf("%q: %v", s, got)
		}
		if want && (ddsTopic(s) != s || rosTopic(s) != s) {
			t.Errorf("%q is %q on the wire and %q in events", s, ddsTopic(s), rosTopic(s))
		}
	}
	for s, want := range map[string]string{
		"a/B": "a::msg::dds_::B_", "a/msg/B": "a::msg::dds_::B_", "a::msg::dds_::B_": "a::msg::dds_::B_", "a::B": "a::B", "B": "B", "a::msg::dds_::_": "a::msg::dds_::_",
		"a::msg::B": "a::msg::B", "a::": "", "::B": "", "a/srv/B": "", "a:B": "", "": "",
	} {
		got, err := parseVendorType(s)
		if (err == nil) != (want != "") || err == nil && got.dds("") != want {
			t.Errorf("type %q: %q, %v; expected %q", s, got.dds(""), err, want)
		}
	}
}
