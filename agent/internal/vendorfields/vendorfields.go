// Package vendorfields turns the mapping's paths into a vendor's message types into what hal/ros2 decodes by: for the guard,
// which subscribes, and for recordings. It reads nothing itself.
package vendorfields

import (
	"math"
	"slices"

	"github.com/robowarden/robowarden/agent/config"
	"github.com/robowarden/robowarden/hal/ros2"
)

// JointNames are the profile's joints in its order.
func JointNames(p *config.Profile) []string {
	if p.Joints == nil {
		return nil
	}
	names := make([]string, len(p.Joints.List))
	for i, j := range p.Joints.List {
		names[i] = j.Name
	}
	return names
}

const (
	radPerDegree = math.Pi / 180
	// gravityMPS2 is standard gravity (ISO 80000-3).
	gravityMPS2 = 9.80665
)

// Joints is how the mapping's joints are read, with the profile's numbers for their names.
func Joints(cfg *config.Config) ros2.JointFields {
	f, all := cfg.Topics.Joints.Fields, JointNames(cfg.Profile)
	out := ros2.JointFields{Plan: cfg.Vendor.Joints, N: len(all), HasVelocity: f.Velocity != "", HasEffort: f.Effort != "", Scale: 1}
	for _, name := range f.Joints() {
		out.Index = append(out.Index, slices.Index(all, name)) // the configuration's check has found them all
	}
	if f.Degrees {
		out.Scale = radPerDegree
	}
	return out
}

// IMU is how the mapping's inertial unit is read.
func IMU(cfg *config.Config) ros2.IMUFields {
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

// Battery is how the mapping's battery is read.
func Battery(cfg *config.Config) ros2.BatteryFields {
	f := cfg.Topics.Battery.Fields
	signs := map[string]ros2.Sign{"not-zero": ros2.NotZero, "positive": ros2.Positive, "negative": ros2.Negative}
	return ros2.BatteryFields{Plan: cfg.Vendor.Battery, Full: f.Full, Charging: signs[f.ChargingWhen]}
}
