package ros2

import (
	"github.com/robowarden/robowarden/hal/msg"
	"github.com/robowarden/robowarden/hal/ros2/cdr"
)

// NewJointFields decodes joints from payloads that do not come from a writer, such as those of a recording, by the very
// decoder that a subscription uses.
func NewJointFields(p *msg.Peer, f JointFields, h func(*msg.Joints)) (cdr.Decoder, error) {
	if err := f.check(); err != nil {
		return nil, err
	}
	return newVendorJoints(p, &f, h), nil
}

// NewIMUFields is the same for an inertial unit.
func NewIMUFields(p *msg.Peer, f IMUFields, h func(*msg.IMU)) (cdr.Decoder, error) {
	if err := f.check(); err != nil {
		return nil, err
	}
	return newVendorIMU(p, &f, h), nil
}

// NewBatteryFields is the same for the battery number index.
func NewBatteryFields(p *msg.Peer, f BatteryFields, index int, h func(*msg.Device)) (cdr.Decoder, error) {
	if err := f.check(); err != nil {
		return nil, err
	}
	return newVendorBattery(p, &f, index, h), nil
}
