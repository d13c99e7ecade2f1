package main

import (
	"context"
	"fmt"
	"time"

	"github.com/rs/zerolog"

	"github.com/robowarden/robowarden/agent/config"
	"github.com/robowarden/robowarden/hal/bus"
	"github.com/robowarden/robowarden/hal/msg"
	"github.com/robowarden/robowarden/hal/ros2"
)

// body reads a vendor's sensors as the topic mapping says and writes down what they say, until it is told to stop.
func body(ctx context.Context, w *out, o options) error {
	cfg, err := config.Load(nil, o.mapping)
	if err != nil {
		return err
	}
	n, err := ros2.New(ros2.Config{
		Name: "/robowarden", Domain: o.domain, Host: o.host, Multicast: bool(o.multicast), Clock: boot,
		Civil: func() int64 { return time.Now().UnixNano() }, Log: zerolog.Nop(),
		OnEvent: func(e *bus.Event) { w.line("event %s %s %q", e.Kind, e.Topic, e.Detail) },
	})
	if err != nil {
		return err
	}
	ended := make(chan error, 1)
	go func() { ended <- n.Run(context.Background()) }()
	from := func(s *config.Topic) bus.Subscription {
		return bus.Subscription{Topic: s.Topic, Type: s.Type, AllowAny: true, MaxBytes: s.MaxBytes}
	}
	t := cfg.Topics
	all := make([]int, len(t.Joints.Fields.Joints()))
	for i := range all {
		all[i] = i
	}
	joints := ros2.JointFields{Plan: cfg.Vendor.Joints, Index: all, N: len(all), HasVelocity: true, HasEffort: true, Scale: 1}
	if _, err := n.SubscribeJointFields(from(t.Joints.Plain()), joints, func(m *msg.Joints) {
		last := m.N - 1
		w.line("joints %d seen=%x %v %v %v from %s", m.N, m.Seen, m.Position[last], m.Velocity[last], m.Effort[last], m.Peer.Name)
	}); err != nil {
		return err
	}
	imu := ros2.IMUFields{Plan: cfg.Vendor.IMU, HasAcceleration: true, HasOrientation: true, GyroScale: 1, AccelerationScale: 1}
	if _, err := n.SubscribeIMUFields(from(t.IMU.Plain()), imu, func(m *msg.IMU) {
		w.line("imu %v %v %v", m.AngularVelocity, m.LinearAcceleration, m.Orientation)
	}); err != nil {
		return err
	}
	battery := ros2.BatteryFields{Plan: cfg.Vendor.Battery, Full: t.Battery.Fields.Full}
	if _, err := n.SubscribeBatteryFields(from(t.Battery.Plain()), battery, 0, func(m *msg.Device) {
		w.line("battery %v", m.ChargeRatio)
	}); err != nil {
		return err
	}
	<-ctx.Done()
	if err := n.Close(); err != nil {
		return fmt.Errorf("ours: %w", err)
	}
	return <-ended
}
