package ros1

import (
	"encoding/binary"
	"math"
	"time"

	"github.com/robowarden/robowarden/hal/msg"
)

// decoder turns the body of one message into the value that it holds and hands that to the handler. Each connection
// has its own, so it needs no lock. It checks the whole message before the handler sees any of it.
type decoder interface {
	decode(b []byte, boot time.Duration) error
}

const (
	poseBytes  = 7 * 8
	covBytes   = 36 * 8
	twistBytes = 6 * 8
)

// poseDecoder reads the three pose messages.
type poseDecoder struct {
	m     msg.Pose
	frame lastText
	child lastText
	odom  bool
	cov   bool
	h     func(*msg.Pose)
}

func (d *poseDecoder) decode(b []byte, boot time.Duration) error {
	c := cursor{b: b, ok: true}
	m := &d.m
	frame := c.stdHeader(&m.Header)
	var child []byte
	if d.odom {
		child = c.str()
	}
	pose := c.take(poseBytes)
	var cov, twist []byte
	if d.cov {
		cov = c.take(covBytes)
	}
	if d.odom {
		twist = c.take(twistBytes)
		c.take(covBytes)
	}
	if err := c.end(); err != nil {
		return err
	}
	m.Boot = boot
	m.Frame = d.frame.get(frame)
	m.Child = d.child.get(child)
	m.Position, m.Orientation = vec3(pose), quat(pose[24:])
	if d.cov {
		for i := range m.Covariance {
			m.Covariance[i] = f64(cov[i*8:])
		}
	}
	if d.odom {
		m.Twist = msg.Twist{Linear: vec3(twist), Angular: vec3(twist[24:])}
	}
	d.h(m)
	return nil
}

// imuDecoder reads sensor_msgs/Imu.
type imuDecoder struct {
	m     msg.IMU
	frame lastText
	h     func(*msg.IMU)
}

func (d *imuDecoder) decode(b []byte, boot time.Duration) error {
	c := cursor{b: b, ok: true}
	m := &d.m
	frame := c.stdHeader(&m.Header)
	t := c.take((4 + 9 + 3 + 9 + 3 + 9) * 8)
	if err := c.end(); err != nil {
		return err
	}
	m.Boot = boot
	m.Frame = d.frame.get(frame)
	// A first covariance element of -1 says that the sender has no such measurement (sensor_msgs/Imu).
	m.Orientation, m.HasOrientation = quat(t), f64(t[4*8:]) != -1
	m.AngularVelocity, m.HasAngularVelocity = vec3(t[13*8:]), f64(t[16*8:]) != -1
	m.LinearAcceleration, m.HasLinearAcceleration = vec3(t[25*8:]), f64(t[28*8:]) != -1
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

func (d *batteryDecoder) decode(b []byte, boot time.Duration) error {
	c := cursor{b: b, ok: true}
	m := &d.m
	frame := c.stdHeader(&m.Header)
	t := c.take(7*4 + 4)
	c.array(4)
	c.array(4)
	c.str()
	c.str()
	if err := c.end(); err != nil {
		return err
	}
	if t[31] > 1 {
		return errFlag
	}
	m.Boot = boot
	m.Frame = d.frame.get(frame)
	percentage := uint32(t[24]) | uint32(t[25])<<8 | uint32(t[26])<<16 | uint32(t[27])<<24
	m.ChargeRatio = float64(math.Float32frombits(percentage))
	m.Charging = t[28] == powerSupplyCharging
	m.Active = t[31] == 1
	d.h(m)
	return nil
}

// heatDecoder reads sensor_msgs/Temperature.
type heatDecoder struct {
	m     msg.Device
	frame lastText
	h     func(*msg.Device)
}

func newHeatDecoder(p *msg.Peer, h func(*msg.Device)) *heatDecoder {
	d := &heatDecoder{h: h}
	d.m.Peer, d.m.Kind, d.m.Active = p, msg.Heat, true
	return d
}

func (d *heatDecoder) decode(b []byte, boot time.Duration) error {
	c := cursor{b: b, ok: true}
	m := &d.m
	frame := c.stdHeader(&m.Header)
	t := c.take(2 * 8) // temperature, variance
	if err := c.end(); err != nil {
		return err
	}
	m.Boot, m.Frame, m.Celsius = boot, d.frame.get(frame), f64(t)
	d.h(m)
	return nil
}

// commandDecoder reads geometry_msgs/Twist and TwistStamped, ackermann_msgs/AckermannDrive and AckermannDriveStamped.
type commandDecoder struct {
	m       msg.Command
	frame   lastText
	stamped bool
	// wheelbase is above 0 for Ackermann's types.
	wheelbase float64
	h         func(*msg.Command)
}

// driveBytes is the size of an AckermannDrive: steering angle, its velocity, speed, acceleration and jerk.
const driveBytes = 5 * 4

func (d *commandDecoder) decode(b []byte, boot time.Duration) error {
	c := cursor{b: b, ok: true}
	var frame []byte
	if d.stamped {
		frame = c.stdHeader(&d.m.Header)
	}
	size := twistBytes
	if d.wheelbase > 0 {
		size = driveBytes
	}
	t := c.take(size)
	if err := c.end(); err != nil {
		return err
	}
	d.m.Boot, d.m.Frame = boot, d.frame.get(frame)
	if d.wheelbase > 0 {
		d.m.Twist = msg.Ackermann(f32(t[8:]), f32(t), d.wheelbase, f32(t[4:]), f32(t[12:]), f32(t[16:]))
	} else {
		d.m.Linear, d.m.Angular = vec3(t), vec3(t[24:])
	}
	d.h(&d.m)
	return nil
}

func f32(b []byte) float64 { return float64(math.Float32frombits(binary.LittleEndian.Uint32(b))) }

// boolDecoder reads std_msgs/Bool.
type boolDecoder struct {
	m msg.Bool
	h func(*msg.Bool)
}

func (d *boolDecoder) decode(b []byte, boot time.Duration) error {
	v, err := flag(b)
	if err != nil {
		return err
	}
	d.m.Boot, d.m.Value = boot, v
	d.h(&d.m)
	return nil
}

// deviceDecoder reads std_msgs/Bool as a device's activity. Of a stream, whatever comes shows that the device is active, also
// what nobody could decode.
type deviceDecoder struct {
	m      msg.Device
	stream bool
	h      func(*msg.Device)
}

func (d *deviceDecoder) decode(b []byte, boot time.Duration) error {
	if d.stream {
		d.m.Boot, d.m.Active = boot, true
		d.h(&d.m)
		return nil
	}
	v, err := flag(b)
	if err != nil {
		return err
	}
	d.m.Boot, d.m.Active = boot, v
	d.h(&d.m)
	return nil
}

func flag(b []byte) (bool, error) {
	c := cursor{b: b, ok: true}
	v := c.u8()
	if err := c.end(); err != nil {
		return false, err
	}
	if v > 1 {
		return false, errFlag
	}
	return v == 1, nil
}

// textDecoder reads std_msgs/String.
type textDecoder struct {
	m msg.Text
	h func(*msg.Text)
}

func (d *textDecoder) decode(b []byte, boot time.Duration) error {
	c := cursor{b: b, ok: true}
	s := c.str()
	if err := c.end(); err != nil {
		return err
	}
	d.m.Boot, d.m.Data = boot, s
	d.h(&d.m)
	return nil
}
