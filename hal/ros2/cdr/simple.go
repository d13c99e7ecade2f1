package cdr

import (
	"fmt"
	"time"

	"github.com/robowarden/robowarden/hal/bus"
	"github.com/robowarden/robowarden/hal/msg"
)

// TypeTwistStamped is the other form of velocity command; ros2_control's controllers and newer Nav2 want it.
const TypeTwistStamped = "geometry_msgs/TwistStamped"

// commandDecoder reads geometry_msgs/Twist and TwistStamped, ackermann_msgs/AckermannDrive and AckermannDriveStamped.
type commandDecoder struct {
	m       msg.Command
	frame   lastText
	stamped bool
	// wheelbase is above 0 for Ackermann's types.
	wheelbase float64
	h         func(*msg.Command)
}

// NewAckermann reads bus.TypeAckermannDrive or TypeAckermannDriveStamped as commands of the given channel; wheelbaseM is the
// distance in metres between the axles.
func NewAckermann(typ string, wheelbaseM float64, p *msg.Peer, channel int, h func(*msg.Command)) (Decoder, error) {
	if typ != bus.TypeAckermannDrive && typ != bus.TypeAckermannDriveStamped || !(wheelbaseM > 0) {
		return nil, fmt.Errorf("cdr: command of type %.80q, wheelbase %v m; expected %s or %s and one above 0", typ, wheelbaseM,
			bus.TypeAckermannDrive, bus.TypeAckermannDriveStamped)
	}
	d := &commandDecoder{stamped: typ == bus.TypeAckermannDriveStamped, wheelbase: wheelbaseM, h: h}
	d.m.Peer, d.m.Channel = p, channel
	return d, nil
}

// NewCommand reads bus.TypeTwist or TypeTwistStamped as commands of the given channel.
func NewCommand(typ string, p *msg.Peer, channel int, h func(*msg.Command)) (Decoder, error) {
	d, err := newCommand(typ, p, channel, h)
	if err != nil {
		return nil, err
	}
	return d, nil
}

func newCommand(typ string, p *msg.Peer, channel int, h func(*msg.Command)) (*commandDecoder, error) {
	if typ != bus.TypeTwist && typ != TypeTwistStamped {
		return nil, fmt.Errorf("cdr: command of type %.80q; expected %s or %s", typ, bus.TypeTwist, TypeTwistStamped)
	}
	d := &commandDecoder{stamped: typ == TypeTwistStamped, h: h}
	d.m.Peer, d.m.Channel = p, channel
	return d, nil
}

// Decode implements Decoder.
func (d *commandDecoder) Decode(payload []byte, boot time.Duration, seq uint64) error {
	c := open(payload)
	m := &d.m
	var frame []byte
	if d.stamped {
		frame = c.stdHeader(&m.Header)
	}
	if d.wheelbase > 0 {
		steering, turning, speed, accel, jerk := float64(c.f32()), float64(c.f32()), float64(c.f32()), float64(c.f32()), float64(c.f32())
		if err := c.end(); err != nil {
			return err
		}
		m.Boot, m.Seq = boot, uint32(seq)
		m.Frame = d.frame.get(frame)
		m.Twist = msg.Ackermann(speed, steering, d.wheelbase, turning, accel, jerk)
		d.h(m)
		return nil
	}
	t := c.take(8, twistBytes)
	if err := c.end(); err != nil {
		return err
	}
	m.Boot, m.Seq = boot, uint32(seq)
	m.Frame = d.frame.get(frame)
	m.Linear, m.Angular = vec3(t, c.big), vec3(t[24:], c.big)
	d.h(m)
	return nil
}

// batteryDecoder reads sensor_msgs/BatteryState.
type batteryDecoder struct {
	m     msg.Device
	frame lastText
	h     func(*msg.Device)
}

// powerSupplyCharging is BatteryState's POWER_SUPPLY_STATUS_CHARGING.
const powerSupplyCharging = 1

// NewBattery reads bus.TypeBatteryState as battery number index.
func NewBattery(p *msg.Peer, index int, h func(*msg.Device)) Decoder {
	d := &batteryDecoder{h: h}
	d.m.Peer, d.m.Kind, d.m.Index = p, msg.Battery, index
	return d
}

// Decode implements Decoder.
func (d *batteryDecoder) Decode(payload []byte, boot time.Duration, seq uint64) error {
	c := open(payload)
	m := &d.m
	frame := c.stdHeader(&m.Header)
	c.take(4, 6*4) // voltage, temperature, current, charge, capacity, design capacity
	ratio := c.f32()
	status := c.u8()
	c.take(1, 2) // health, technology
	present := c.flag()
	c.array(4)
	c.array(4)
	c.str()
	c.str()
	if err := c.end(); err != nil {
		return err
	}
	m.Boot, m.Seq = boot, uint32(seq)
	m.Frame = d.frame.get(frame)
	m.ChargeRatio = float64(ratio)
	m.Charging = status == powerSupplyCharging
	m.Active = present
	d.h(m)
	return nil
}

// heatDecoder reads sensor_msgs/Temperature.
type heatDecoder struct {
	m     msg.Device
	frame lastText
	h     func(*msg.Device)
}

// NewHeat reads bus.TypeTemperature as the heat of the motors.
func NewHeat(p *msg.Peer, h func(*msg.Device)) Decoder {
	d := &heatDecoder{h: h}
	d.m.Peer, d.m.Kind, d.m.Active = p, msg.Heat, true
	return d
}

// Decode implements Decoder.
func (d *heatDecoder) Decode(payload []byte, boot time.Duration, seq uint64) error {
	c := open(payload)
	m := &d.m
	frame := c.stdHeader(&m.Header)
	t := c.take(8, 2*8) // temperature, variance
	if err := c.end(); err != nil {
		return err
	}
	m.Boot, m.Seq, m.Frame, m.Celsius = boot, uint32(seq), d.frame.get(frame), f64(t, c.big)
	d.h(m)
	return nil
}

// boolDecoder reads std_msgs/Bool.
type boolDecoder struct {
	m msg.Bool
	h func(*msg.Bool)
}

// NewBool reads bus.TypeBool.
func NewBool(p *msg.Peer, h func(*msg.Bool)) Decoder {
	d := &boolDecoder{h: h}
	d.m.Peer = p
	return d
}

// Decode implements Decoder.
func (d *boolDecoder) Decode(payload []byte, boot time.Duration, seq uint64) error {
	c := open(payload)
	v := c.flag()
	if err := c.end(); err != nil {
		return err
	}
	d.m.Boot, d.m.Seq, d.m.Value = boot, uint32(seq), v
	d.h(&d.m)
	return nil
}

// deviceDecoder reads std_msgs/Bool as a device's activity.
type deviceDecoder struct {
	m msg.Device
	h func(*msg.Device)
}

// NewDevice reads bus.TypeBool as "device number index of that kind is active". A battery has NewBattery.
func NewDevice(p *msg.Peer, kind msg.DeviceKind, index int, h func(*msg.Device)) Decoder {
	d := &deviceDecoder{h: h}
	d.m.Peer, d.m.Kind, d.m.Index = p, kind, index
	return d
}

// Decode implements Decoder.
func (d *deviceDecoder) Decode(payload []byte, boot time.Duration, seq uint64) error {
	c := open(payload)
	v := c.flag()
	if err := c.end(); err != nil {
		return err
	}
	d.m.Boot, d.m.Seq, d.m.Active = boot, uint32(seq), v
	d.h(&d.m)
	return nil
}

// streamDecoder takes every message of a device's stream as a sign that the device is active, also one that nobody could
// decode.
type streamDecoder struct {
	m msg.Device
	h func(*msg.Device)
}

// NewStream reads a device's stream, such as bus.TypeCameraInfo, as "device number index of that kind is active".
func NewStream(p *msg.Peer, kind msg.DeviceKind, index int, h func(*msg.Device)) Decoder {
	d := &streamDecoder{h: h}
	d.m.Peer, d.m.Kind, d.m.Index, d.m.Active = p, kind, index, true
	return d
}

// Decode implements Decoder.
func (d *streamDecoder) Decode(_ []byte, boot time.Duration, seq uint64) error {
	d.m.Boot, d.m.Seq = boot, uint32(seq)
	d.h(&d.m)
	return nil
}

// textDecoder reads std_msgs/String.
type textDecoder struct {
	m msg.Text
	h func(*msg.Text)
}

// NewText reads bus.TypeString, at most msg.MaxText bytes of text. Data points into the payload.
func NewText(p *msg.Peer, h func(*msg.Text)) Decoder {
	d := &textDecoder{h: h}
	d.m.Peer = p
	return d
}

// Decode implements Decoder.
func (d *textDecoder) Decode(payload []byte, boot time.Duration, seq uint64) error {
	c := open(payload)
	s := c.str()
	if err := c.end(); err != nil {
		return err
	}
	if len(s) > msg.MaxText {
		return ErrText
	}
	d.m.Boot, d.m.Seq, d.m.Data = boot, uint32(seq), s
	d.h(&d.m)
	d.m.Data = nil
	return nil
}
