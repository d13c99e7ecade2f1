package agent

import "github.com/robowarden/robowarden/agent/internal/vendorfields"

// connectSensors subscribes to the robot's own sensors, those with a type of the vendor's by the fields that the mapping
// names.
func (b *wiring) connectSensors(try try) {
	t, g, v := b.cfg.Topics, b.guard, &b.cfg.Vendor
	switch s := t.Joints; {
	case s == nil:
	case v.Joints != nil:
		_, err := b.dds.SubscribeJointFields(from(s.Plain()), vendorfields.Joints(b.cfg), g.Joints)
		try(s.Topic, err)
	default:
		try(s.Topic, b.node.SubscribeJoints(from(s.Plain()), vendorfields.JointNames(b.cfg.Profile), g.Joints))
	}
	switch s := t.IMU; {
	case s == nil:
	case v.IMU != nil:
		_, err := b.dds.SubscribeIMUFields(from(s.Plain()), vendorfields.IMU(b.cfg), g.IMU)
		try(s.Topic, err)
	default:
		try(s.Topic, b.node.SubscribeIMU(from(s.Plain()), g.IMU))
	}
	if t.Heat != nil {
		try(t.Heat.Topic, b.node.SubscribeHeat(from(t.Heat), g.Device))
	}
	switch s := t.Battery; {
	case s == nil:
	case v.Battery != nil:
		_, err := b.dds.SubscribeBatteryFields(from(s.Plain()), vendorfields.Battery(b.cfg), 0, g.Device)
		try(s.Topic, err)
	default:
		try(s.Topic, b.node.SubscribeBattery(from(s.Plain()), 0, g.Device))
	}
}
