package demo

import (
	"encoding/binary"
	"math"

	"github.com/robowarden/robowarden/hal/msg"
)

// payload writes what the robot's own nodes send on a DDS domain: little-endian XCDR1, as their C++ does it. It is written
// from the messages' definitions and not from the guard's decoders, which only read these types.
type payload struct{ b []byte }

// body is where alignment counts from: behind the four bytes of encapsulation.
const body = 4

func newPayload(b []byte) *payload { return &payload{append(b[:0], 0, 1, 0, 0)} }

func (p *payload) align(n int) {
	for (len(p.b)-body)%n != 0 {
		p.b = append(p.b, 0)
	}
}

func (p *payload) u8(v ...uint8) { p.b = append(p.b, v...) }

func (p *payload) u32(v uint32) { p.align(4); p.b = binary.LittleEndian.AppendUint32(p.b, v) }

func (p *payload) f32(v ...float64) {
	for _, x := range v {
		p.u32(math.Float32bits(float32(x)))
	}
}

func (p *payload) f64(v ...float64) {
	p.align(8)
	for _, x := range v {
		p.b = binary.LittleEndian.AppendUint64(p.b, math.Float64bits(x))
	}
}

func (p *payload) text(s string) { p.u32(uint32(len(s) + 1)); p.b = append(append(p.b, s...), 0) }

func (p *payload) vec(v msg.Vec3) { p.f64(v.X, v.Y, v.Z) }

func (p *payload) quat(q msg.Quat) { p.f64(q.X, q.Y, q.Z, q.W) }

// header is a std_msgs/Header.
func (p *payload) header(h *msg.Header) {
	p.u32(uint32(h.Stamp / 1e9))
	p.u32(uint32(h.Stamp % 1e9))
	p.text(h.Frame)
}

// poseCovariance is a geometry_msgs/PoseWithCovarianceStamped.
func (p *payload) poseCovariance(m *msg.Pose) {
	p.header(&m.Header)
	p.vec(m.Position)
	p.quat(m.Orientation)
	p.f64(m.Covariance[:]...)
}

// odometry is a nav_msgs/Odometry.
func (p *payload) odometry(m *msg.Pose) {
	var none [36]float64
	p.header(&m.Header)
	p.text(m.Child)
	p.vec(m.Position)
	p.quat(m.Orientation)
	p.f64(m.Covariance[:]...)
	p.vec(m.Twist.Linear)
	p.vec(m.Twist.Angular)
	p.f64(none[:]...)
}

// joints is a sensor_msgs/JointState of the joints that were seen.
func (p *payload) joints(m *msg.Joints, names []string) {
	p.header(&m.Header)
	seen := 0
	for i := range m.N {
		seen += int(m.Seen >> i & 1)
	}
	p.u32(uint32(seen))
	for i := range m.N {
		if m.Seen>>i&1 == 1 {
			p.text(names[i])
		}
	}
	for _, values := range [...]*[msg.MaxJoints]float64{&m.Position, &m.Velocity, &m.Effort} {
		p.u32(uint32(seen))
		for i := range m.N {
			if m.Seen>>i&1 == 1 {
				p.f64(values[i])
			}
		}
	}
}

// imu is a sensor_msgs/Imu.
func (p *payload) imu(m *msg.IMU) {
	var some [9]float64
	p.header(&m.Header)
	p.quat(m.Orientation)
	p.f64(some[:]...)
	p.vec(m.AngularVelocity)
	p.f64(some[:]...)
	p.vec(m.LinearAcceleration)
	p.f64(some[:]...)
}

// battery is a sensor_msgs/BatteryState.
func (p *payload) battery(m *msg.Device) {
	const charging, discharging = 1, 2
	status := uint8(discharging)
	if m.Charging {
		status = charging
	}
	nan := math.NaN()
	p.header(&m.Header)
	p.f32(nan, nan, nan, nan, nan, nan, m.ChargeRatio)
	p.u8(status, 0, 0, 1)
	p.u32(0) // cells' voltages
	p.u32(0) // cells' temperatures
	p.text("")
	p.text("")
}
