package ros2

import (
	"fmt"
	"math"
	"time"

	"github.com/robowarden/robowarden/hal/bus"
	"github.com/robowarden/robowarden/hal/msg"
	"github.com/robowarden/robowarden/hal/ros2/cdr"
	"github.com/robowarden/robowarden/hal/ros2/idl"
)

// JointFields says how joints are read from a type that only the robot's vendor knows.
type JointFields struct {
	// Plan reads the positions of all joints in Index, then their velocities, then their efforts, as far as there are any.
	Plan *idl.Plan
	// Index is the profile's number of each joint that the type carries, and N how many joints the profile has.
	Index []int
	N     int
	// HasVelocity and HasEffort say what the plan reads besides positions.
	HasVelocity, HasEffort bool
	// Scale makes rad and rad/s of positions and velocities as they come, 1 where they are so already.
	Scale float64
}

// SubscribeJointFields reads joints from a type that only the vendor knows. A joint that a sequence does not reach to is
// NaN, as one whose value is: neither is fine.
func (n *Node) SubscribeJointFields(s bus.Subscription, f JointFields, h func(*msg.Joints)) (*Sub, error) {
	if err := f.check(); err != nil {
		return nil, fmt.Errorf("ros2: topic %s: %w", clip(s.Topic, 80), err)
	}
	return n.subscribeVendor(s, func(p *msg.Peer) cdr.Decoder { return newVendorJoints(p, &f, h) })
}

func (f *JointFields) check() error {
	groups := 1
	for _, has := range []bool{f.HasVelocity, f.HasEffort} {
		if has {
			groups++
		}
	}
	if f.Plan == nil || len(f.Index) == 0 || f.Plan.Len() != groups*len(f.Index) || f.N > msg.MaxJoints || !(f.Scale > 0) {
		return fmt.Errorf("a plan for %d joints of %d; expected one value for each joint and quantity, at most %d joints, and a scale above 0",
			len(f.Index), f.N, msg.MaxJoints)
	}
	var seen uint64
	for _, j := range f.Index {
		if j < 0 || j >= f.N || seen&(1<<j) != 0 {
			return fmt.Errorf("joint %d of %d is none of the profile's or is there twice", j, f.N)
		}
		seen |= 1 << j
	}
	return nil
}

// vendorJoints decodes joints that a plan names.
type vendorJoints struct {
	fields *JointFields
	values []float64
	m      msg.Joints
	h      func(*msg.Joints)
}

func newVendorJoints(p *msg.Peer, f *JointFields, h func(*msg.Joints)) *vendorJoints {
	d := &vendorJoints{fields: f, values: make([]float64, f.Plan.Len()), h: h}
	d.m.Peer, d.m.N, d.m.HasVelocity, d.m.HasEffort = p, f.N, f.HasVelocity, f.HasEffort
	for _, list := range []*[msg.MaxJoints]float64{&d.m.Position, &d.m.Velocity, &d.m.Effort} {
		for i := range f.N {
			list[i] = math.NaN()
		}
	}
	for _, j := range f.Index {
		d.m.Seen |= 1 << j
	}
	return d
}

// Decode implements cdr.Decoder.
func (d *vendorJoints) Decode(payload []byte, boot time.Duration, seq uint64) error {
	if err := d.fields.Plan.Read(payload, d.values); err != nil {
		return err
	}
	rest := d.spread(&d.m.Position, d.values, d.fields.Scale)
	if d.m.HasVelocity {
		rest = d.spread(&d.m.Velocity, rest, d.fields.Scale)
	}
	if d.m.HasEffort {
		d.spread(&d.m.Effort, rest, 1)
	}
	d.m.Boot, d.m.Seq = boot, uint32(seq)
	d.h(&d.m)
	return nil
}

// spread puts the first values where their joints are, and returns the others.
func (d *vendorJoints) spread(dst *[msg.MaxJoints]float64, values []float64, scale float64) []float64 {
	for i, j := range d.fields.Index {
		dst[j] = values[i] * scale
	}
	return values[len(d.fields.Index):]
}

// IMUFields says how an inertial unit is read from a type that only the robot's vendor knows.
type IMUFields struct {
	// Plan reads the angular velocity's x, y and z, then the acceleration's, then the orientation's x, y, z and w, as far as
	// there are the latter two.
	Plan *idl.Plan
	// HasAcceleration and HasOrientation say what the plan reads besides the angular velocity.
	HasAcceleration, HasOrientation bool
	// GyroScale makes rad/s, and AccelerationScale m/s², of what comes.
	GyroScale, AccelerationScale float64
}

// SubscribeIMUFields reads an inertial unit from a type that only the vendor knows.
func (n *Node) SubscribeIMUFields(s bus.Subscription, f IMUFields, h func(*msg.IMU)) (*Sub, error) {
	if err := f.check(); err != nil {
		return nil, fmt.Errorf("ros2: topic %s: %w", clip(s.Topic, 80), err)
	}
	return n.subscribeVendor(s, func(p *msg.Peer) cdr.Decoder { return newVendorIMU(p, &f, h) })
}

func (f *IMUFields) check() error {
	want := 3
	if f.HasAcceleration {
		want += 3
	}
	if f.HasOrientation {
		want += 4
	}
	if f.Plan == nil || f.Plan.Len() != want || !(f.GyroScale > 0) || !(f.AccelerationScale > 0) {
		return fmt.Errorf("expected a plan of %d values and scales above 0", want)
	}
	return nil
}

// vendorIMU decodes an inertial unit that a plan names.
type vendorIMU struct {
	fields *IMUFields
	values [10]float64
	m      msg.IMU
	h      func(*msg.IMU)
}

func newVendorIMU(p *msg.Peer, f *IMUFields, h func(*msg.IMU)) *vendorIMU {
	d := &vendorIMU{fields: f, h: h}
	d.m.Peer, d.m.HasAngularVelocity, d.m.HasLinearAcceleration, d.m.HasOrientation = p, true, f.HasAcceleration, f.HasOrientation
	return d
}

// Decode implements cdr.Decoder.
func (d *vendorIMU) Decode(payload []byte, boot time.Duration, seq uint64) error {
	v := d.values[:d.fields.Plan.Len()]
	if err := d.fields.Plan.Read(payload, v); err != nil {
		return err
	}
	g, a := d.fields.GyroScale, d.fields.AccelerationScale
	d.m.AngularVelocity, v = msg.Vec3{X: v[0] * g, Y: v[1] * g, Z: v[2] * g}, v[3:]
	if d.m.HasLinearAcceleration {
		d.m.LinearAcceleration, v = msg.Vec3{X: v[0] * a, Y: v[1] * a, Z: v[2] * a}, v[3:]
	}
	if d.m.HasOrientation {
		d.m.Orientation = msg.Quat{X: v[0], Y: v[1], Z: v[2], W: v[3]}
	}
	d.m.Boot, d.m.Seq = boot, uint32(seq)
	d.h(&d.m)
	return nil
}

// Sign says which values of a field mean that the battery is being charged.
type Sign uint8

// Signs.
const (
	// NotZero takes every number but 0 for charging.
	NotZero Sign = iota + 1
	// Positive takes numbers above 0, as a current into the battery.
	Positive
	// Negative takes numbers below 0, as a current out of what charges it.
	Negative
)

// BatteryFields says how the battery is read from a type that only the robot's vendor knows.
type BatteryFields struct {
	// Plan reads the charge, and then, if Charging is not 0, what tells charging.
	Plan *idl.Plan
	// Full is the charge of a full battery: 100 where it comes in percent.
	Full float64
	// Charging says what of the second value means charging, 0 if there is none.
	Charging Sign
}

// SubscribeBatteryFields reads the battery from a type that only the vendor knows, as battery number index.
func (n *Node) SubscribeBatteryFields(s bus.Subscription, f BatteryFields, index int, h func(*msg.Device)) (*Sub, error) {
	if err := f.check(); err != nil {
		return nil, fmt.Errorf("ros2: topic %s: %w", clip(s.Topic, 80), err)
	}
	return n.subscribeVendor(s, func(p *msg.Peer) cdr.Decoder { return newVendorBattery(p, &f, index, h) })
}

func (f *BatteryFields) check() error {
	want := 1
	if f.Charging != 0 {
		want++
	}
	if f.Plan == nil || f.Plan.Len() != want || !(f.Full > 0) || f.Charging > Negative {
		return fmt.Errorf("expected a plan of %d values and a full charge above 0", want)
	}
	return nil
}

// vendorBattery decodes a battery that a plan names.
type vendorBattery struct {
	fields *BatteryFields
	values [2]float64
	m      msg.Device
	h      func(*msg.Device)
}

func newVendorBattery(p *msg.Peer, f *BatteryFields, index int, h func(*msg.Device)) *vendorBattery {
	d := &vendorBattery{fields: f, h: h}
	d.m.Peer, d.m.Kind, d.m.Index, d.m.Active = p, msg.Battery, index, true
	return d
}

// Decode implements cdr.Decoder.
func (d *vendorBattery) Decode(payload []byte, boot time.Duration, seq uint64) error {
	if err := d.fields.Plan.Read(payload, d.values[:d.fields.Plan.Len()]); err != nil {
		return err
	}
	d.m.ChargeRatio = d.values[0] / d.fields.Full
	switch v := d.values[1]; d.fields.Charging {
	case NotZero:
		d.m.Charging = v < 0 || v > 0
	case Positive:
		d.m.Charging = v > 0
	case Negative:
		d.m.Charging = v < 0
	}
	d.m.Boot, d.m.Seq = boot, uint32(seq)
	d.h(&d.m)
	return nil
}
