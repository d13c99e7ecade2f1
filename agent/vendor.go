package agent

import (
	"math"
	"slices"

	"github.com/robowarden/robowarden/agent/config"
	"github.com/robowarden/robowarden/hal/ros2"
)

// connectSensors subscribes to the robot's own sensors, those with a type of the vendor's by the fields that the mapping
// names.
func (b *wiring) connectSensors(try try) {
	t, g, v := b.cfg.Topics, b.guard, &b.cfg.Vendor
	switch s := t.Joints; {
	case s == nil:
	case v.Joints != nil:
		_, err := b.dds.SubscribeJointFields(from(s.Plain()), jointFields(b.cfg), g.Joints)
		try(s.Topic, err)
	default:
		try(s.Topic, b.node.SubscribeJoints(from(s.Plain()), jointNames(b.cfg.Profile), g.Joints))
	}
	switch s := t.IMU; {
	case s == nil:
	case v.IMU != nil:
		_, err := b.dds.SubscribeIMUFields(from(s.Plain()), imuFields(b.cfg), g.IMU)
		try(s.Topic, err)
	default:
		try(s.Topic, b.node.SubscribeIMU(from(s.Plain()), g.IMU))
	}
	switch s := t.Battery; {
	case s == nil:
	case v.Battery != nil:
		_, err := b.dds.SubscribeBatteryFields(from(s.Plain()), batteryFields(b.cfg), 0, g.Device)
		try(s.Topic, err)
	default:
		try(s.Topic, b.node.SubscribeBattery(from(s.Plain()), 0, g.Device))
	}
}

const (
	radPerDegree = math.Pi / 180
	// gravityMPS2 is standard gravity (ISO 80000-3).
	gravityMPS2 = 9.80665
)

// jointFields is how the mapping's joints are read, with the profile's numbers for their names.
func jointFields(cfg *config.Config) ros2.JointFields {
	f, all := cfg.Topics.Joints.Fields, jointNames(cfg.Profile)
	out := ros2.JointFields{Plan: cfg.Vendor.Joints, N: len(all), HasVelocity: f.Velocity != "", HasEffort: f.Effort != "", Scale: 1}
	for _, name := range f.Joints() {
		out.Index = append(out.Index, slices.Index(all, name)) // the configuration's check has found them all
	}
	if f.Degrees {
		out.Scale = radPerDegree
	}
	return out
}

func imuFields(cfg *config.Config) ros2.IMUFields {
	f := cfg.Topics.IMU.Fields
	out := ros2.IMUFields{Plan: cfg.Vendor.IMU, HasAcceleration: f.Accel != "", HasOrientation: f.Quaternion != "", GyroScale: 1, AccelerationScale: 1}
	if f.Degrees {
		out.GyroScale = radPerDegree
	}
	if f.StandardGravity {
		out.AccelerationScale = gravityMPS2
	}
	return out
}

func batteryFields(cfg *config.Config) ros2.BatteryFields {
	f := cfg.Topics.Battery.Fields
	signs := map[string]ros2.Sign{"not-zero": ros2.NotZero, "positive": ros2.Positive, "negative": ros2.Negative}
	return ros2.BatteryFields{Plan: cfg.Vendor.Battery, Full: f.Full, Charging: signs[f.ChargingWhen]}
}
