package cdr

import (
	"fmt"
	"time"

	"github.com/robowarden/robowarden/hal/bus"
	"github.com/robowarden/robowarden/hal/msg"
)

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

// NewPose reads bus.TypeOdometry, bus.TypePoseStamped or bus.TypePoseWithCovarianceStamped.
func NewPose(typ string, p *msg.Peer, h func(*msg.Pose)) (Decoder, error) {
	switch typ {
	case bus.TypeOdometry, bus.TypePoseStamped, bus.TypePoseWithCovarianceStamped:
	default:
		return nil, fmt.Errorf("cdr: pose of type %.80q; expected %s, %s or %s", typ,
			bus.TypeOdometry, bus.TypePoseStamped, bus.TypePoseWithCovarianceStamped)
	}
	d := &poseDecoder{h: h, odom: typ == bus.TypeOdometry, cov: typ != bus.TypePoseStamped}
	d.m.Peer, d.m.HasCovariance, d.m.HasTwist = p, d.cov, d.odom
	return d, nil
}

// Decode implements Decoder.
func (d *poseDecoder) Decode(payload []byte, boot time.Duration, seq uint64) error {
	c := open(payload)
	m := &d.m
	frame := c.stdHeader(&m.Header)
	var child []byte
	if d.odom {
		child = c.str()
	}
	pose := c.take(8, poseBytes)
	var cov, twist []byte
	if d.cov {
		cov = c.take(8, covBytes)
	}
	if d.odom {
		twist = c.take(8, twistBytes)
		c.take(8, covBytes)
	}
	if err := c.end(); err != nil {
		return err
	}
	m.Boot, m.Seq = boot, uint32(seq)
	m.Frame = d.frame.get(frame)
	m.Child = d.child.get(child)
	m.Position, m.Orientation = vec3(pose, c.big), quat(pose[24:], c.big)
	if d.cov {
		for i := range m.Covariance {
			m.Covariance[i] = f64(cov[i*8:], c.big)
		}
	}
	if d.odom {
		m.Twist = msg.Twist{Linear: vec3(twist, c.big), Angular: vec3(twist[24:], c.big)}
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

// NewIMU reads bus.TypeImu.
func NewIMU(p *msg.Peer, h func(*msg.IMU)) Decoder {
	d := &imuDecoder{h: h}
	d.m.Peer = p
	return d
}

// Decode implements Decoder.
func (d *imuDecoder) Decode(payload []byte, boot time.Duration, seq uint64) error {
	c := open(payload)
	m := &d.m
	frame := c.stdHeader(&m.Header)
	t := c.take(8, (4+9+3+9+3+9)*8)
	if err := c.end(); err != nil {
		return err
	}
	m.Boot, m.Seq = boot, uint32(seq)
	m.Frame = d.frame.get(frame)
	// A first covariance element of -1 says that the sender has no such measurement (sensor_msgs/Imu).
	m.Orientation, m.HasOrientation = quat(t, c.big), f64(t[4*8:], c.big) != -1
	m.AngularVelocity, m.HasAngularVelocity = vec3(t[13*8:], c.big), f64(t[16*8:], c.big) != -1
	m.LinearAcceleration, m.HasLinearAcceleration = vec3(t[25*8:], c.big), f64(t[28*8:], c.big) != -1
	d.h(m)
	return nil
}
