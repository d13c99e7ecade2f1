package guard

import (
	"math"
	"time"

	"github.com/robowarden/robowarden/hal/msg"
	"github.com/robowarden/robowarden/interlock"
)

// body is the newest state of the robot as its messages tell it. It has a fixed size and no pointers, so that a
// snapshot is a copy.
type body struct {
	seen     InputSet
	pose     poseState
	second   poseState
	floor    int
	velocity velocityState
	joints   jointState
	imu      scalar
	battery  batteryState
}

const maxDevices = 16

// poseState is the newest pose in geofence's terms.
type poseState struct {
	boot          time.Duration
	stamp         int64
	p             msg.Vec3
	q             msg.Quat
	frameOK       bool
	hasCovariance bool
	cov           [4]float64 // xx, xy, yy, yaw-yaw
}

// velocityState is the base's velocity, in its own frame.
type velocityState struct {
	boot       time.Duration
	vx, vy, wz float64
}

// jointState is what the core keeps of a joint state.
type jointState struct {
	boot     time.Duration
	complete bool
	// bad is the first joint out of its limits, counted from 1; cause says how.
	bad   uint16
	cause interlock.Cause
	// carrying and arms are the largest joint speeds of those groups; NaN if not known.
	carrying, arms float64
}

// scalar is one measured magnitude.
type scalar struct {
	boot  time.Duration
	value float64
}

type batteryState struct {
	boot     time.Duration
	ratio    float64
	charging bool
}

// takePose stores a pose and, where the frame says it, the floor.
func (b *body) takePose(p *msg.Pose, boot time.Duration, params *PoseParams) {
	b.seen |= InputPose
	s := &b.pose
	s.take(p, boot, params.Frame)
	for i := range params.Frames {
		if p.Frame == params.Frames[i].Frame {
			s.frameOK = true
			b.setFloor(params.Frames[i].Floor)
		}
	}
}

// takeSecond stores a pose of the second source. It says nothing about the floor.
func (b *body) takeSecond(p *msg.Pose, boot time.Duration, params *PoseParams) {
	b.seen |= InputSecondPose
	b.second.take(p, boot, params.SecondFrame)
}

// take stores a message. The covariance's xy block is the rows' upper half; a lower half that differs makes the matrix no
// covariance, which shows as NaN.
func (s *poseState) take(p *msg.Pose, boot time.Duration, frame string) {
	s.boot, s.stamp, s.p, s.q = boot, p.Stamp, p.Position, p.Orientation
	s.frameOK = frame != "" && p.Frame == frame
	s.hasCovariance = p.HasCovariance
	c := &p.Covariance
	s.cov = [4]float64{c[0], c[1], c[7], c[35]}
	if c[1] != c[6] {
		s.cov[1] = math.NaN()
	}
}

func (b *body) setFloor(floor int) {
	b.floor = floor
	if floor >= 0 {
		b.seen |= InputFloor
	}
}

// takeVelocity stores the base's velocity from an odometry message; without a twist nothing is known.
func (b *body) takeVelocity(p *msg.Pose, boot time.Duration) {
	if !p.HasTwist {
		return
	}
	b.seen |= InputOdometry
	b.velocity = velocityState{boot: boot, vx: p.Twist.Linear.X, vy: p.Twist.Linear.Y, wz: p.Twist.Angular.Z}
}

// speed returns the base's linear speed in m/s; NaN stays NaN.
func (v *velocityState) speed() float64 {
	return math.Sqrt(float64(v.vx*v.vx) + float64(v.vy*v.vy))
}

// takeIMU stores the turn rate that the inertial sensor measures.
func (b *body) takeIMU(m *msg.IMU, boot time.Duration) {
	if !m.HasAngularVelocity {
		return
	}
	b.seen |= InputIMU
	b.imu = scalar{boot: boot, value: norm(m.AngularVelocity)}
}

// takeJoints checks a joint state against the profile and stores the speeds that matter.
func (b *body) takeJoints(j *msg.Joints, boot time.Duration, p *JointParams) {
	s := jointState{boot: boot, carrying: math.NaN(), arms: math.NaN()}
	want := uint64(1)<<p.N - 1
	if p.N == 64 {
		want = math.MaxUint64
	}
	s.complete = j.N == p.N && j.Seen&want == want
	for i := range min(j.N, p.N) {
		if j.Seen&(1<<i) == 0 {
			continue
		}
		if cause := p.check(j, i); cause != interlock.CauseNone && s.bad == 0 {
			s.bad, s.cause = uint16(i+1), cause
		}
	}
	if j.HasVelocity && s.complete {
		s.carrying = largest(&j.Velocity, p.Carrying)
		s.arms = largest(&j.Velocity, p.Arms)
	}
	b.seen |= InputJoints
	b.joints = s
}

// check names what is wrong with joint i. A little beyond an end stop is the encoder's tolerance; velocities may
// overshoot their nominal limit by half.
func (p *JointParams) check(j *msg.Joints, i int) interlock.Cause {
	const slack, overshoot = 0.05, 1.5
	pos, vel := j.Position[i], j.Velocity[i]
	switch {
	case math.IsNaN(pos) || math.IsInf(pos, 0) || j.HasVelocity && (math.IsNaN(vel) || math.IsInf(vel, 0)):
		return interlock.CauseNotFinite
	case pos < p.Min[i]-slack || pos > p.Max[i]+slack:
		return interlock.CauseOutOfLimits
	case j.HasVelocity && math.Abs(vel) > float64(overshoot*p.MaxVelocity[i]):
		return interlock.CauseOutOfLimits
	}
	return interlock.CauseNone
}

// largest returns the greatest magnitude among the chosen joints; NaN wins, since it is not rest.
func largest(v *[msg.MaxJoints]float64, chosen uint64) float64 {
	most := 0.0
	for i := range v {
		if chosen&(1<<i) == 0 {
			continue
		}
		if a := math.Abs(v[i]); math.IsNaN(a) {
			return a
		} else if a > most {
			most = a
		}
	}
	return most
}

// takeDevice stores a device's state.
func (b *body) takeDevice(d *msg.Device, boot time.Duration) {
	switch d.Kind {
	case msg.Battery:
		b.seen |= InputBattery
		b.battery = batteryState{boot: boot, ratio: d.ChargeRatio, charging: d.Charging}
	case msg.Camera:
		b.seen |= InputCameras
	case msg.Microphone:
		b.seen |= InputMicrophones
	case msg.DeviceUnknown, msg.Heat:
	}
}
