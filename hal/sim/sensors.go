package sim

import (
	"math"
	"math/rand/v2"
	"time"

	"github.com/robowarden/robowarden/hal/msg"
)

// Periods of the sensors, and the localisation's own time from sample to message.
const (
	PosePeriod   = 50 * time.Millisecond
	OdomPeriod   = 20 * time.Millisecond
	JointPeriod  = 20 * time.Millisecond
	IMUPeriod    = 10 * time.Millisecond
	DevicePeriod = 500 * time.Millisecond
	FloorPeriod  = 500 * time.Millisecond
	GraphPeriod  = time.Second
	poseLatency  = 30 * time.Millisecond
	poseJitterMS = 15
)

// Localisation noise: what it is, and the larger figure that the covariance admits.
const (
	poseSigmaM, poseClaimM       = 0.015, 0.025
	yawSigmaRad, yawClaimRad     = 0.006, 0.012
	uncertainSigmaM              = 0.6
	encoderSigmaRad              = 0.0005
	gyroSigmaRPS, accelSigmaMPS2 = 0.003, 0.03
	gravityMPS2                  = 9.80665
)

// sensors is the state of what measures.
type sensors struct {
	pose, odom, joints, imu *rand.Rand
	errX, errY, errYaw      float64 // Correlated localisation error, in units of its sigma.
	seq                     [12]uint32
	estimate                Placement // What the localisation said last, as planners use it.
	estimateOK              bool
	odomAt                  Placement
	lastTrue                Placement
	prevV                   velocity // For the IMU's acceleration.
	poseAt                  time.Duration
}

func (s *sensors) init(seed uint64) {
	s.pose, s.odom = stream(seed, 21), stream(seed, 22)
	s.joints, s.imu = stream(seed, 23), stream(seed, 24)
}

func (w *World) startSensors() {
	s := &w.state
	w.sensors.estimate, w.sensors.estimateOK = Placement{s.floor, s.x, s.y, s.yaw}, true
	w.sensors.lastTrue = w.sensors.estimate
	if f := w.opts.Building.Floor(s.floor); f != nil {
		s.z = f.ZM
	}
	w.every(11*time.Millisecond, PosePeriod, w.samplePose)
	w.every(5*time.Millisecond, OdomPeriod, w.sampleOdom)
	w.every(6*time.Millisecond, JointPeriod, w.sampleJoints)
	w.every(2*time.Millisecond, IMUPeriod, w.sampleIMU)
	w.every(17*time.Millisecond, FloorPeriod, w.sendFloor)
	w.every(23*time.Millisecond, DevicePeriod, w.sendDevices)
	w.every(29*time.Millisecond, GraphPeriod, w.sendGraph)
}

// samplePose measures now and delivers after the localisation's latency, never out of order.
func (w *World) samplePose() {
	s, r := &w.sensors, w.sensors.pose
	const keep = 0.95
	fresh := math.Sqrt(1 - keep*keep)
	s.errX = keep*s.errX + fresh*r.NormFloat64()
	s.errY = keep*s.errY + fresh*r.NormFloat64()
	s.errYaw = keep*s.errYaw + fresh*r.NormFloat64()
	wait := poseLatency + time.Duration(r.IntN(poseJitterMS))*time.Millisecond
	sigma := poseSigmaM
	if w.faults.on[FaultPoseUncertain] {
		sigma = uncertainSigmaM
	}
	t := w.Truth()
	p := &msg.Pose{HasCovariance: true}
	at := Placement{
		t.Floor, t.X + sigma*s.errX + w.faults.shift.X, t.Y + sigma*s.errY + w.faults.shift.Y,
		wrap(t.Yaw + yawSigmaRad*s.errYaw),
	}
	if w.faults.on[FaultPoseFrozen] {
		if !w.faults.frozenKnown {
			w.faults.frozen, w.faults.frozenKnown = at, true
		}
		at = w.faults.frozen
	}
	if w.faults.on[FaultPoseSilent] {
		return
	}
	p.Position = msg.Vec3{X: at.X, Y: at.Y, Z: t.ZM}
	p.Orientation = msg.Quat{Z: math.Sin(at.Yaw / 2), W: math.Cos(at.Yaw / 2)}
	claims(p, w.faults.on[FaultPoseUncertain])
	sampled := w.Now()
	w.After(wait, func() { w.deliverPose(p, at, sampled) })
}

// claims fills the covariance that a sane localisation admits.
func claims(p *msg.Pose, uncertain bool) {
	xy := poseClaimM * poseClaimM
	if uncertain {
		xy = uncertainSigmaM * uncertainSigmaM
	}
	p.Covariance[0], p.Covariance[7], p.Covariance[14] = xy, xy, 1e-4
	p.Covariance[21], p.Covariance[28], p.Covariance[35] = 1e-4, 1e-4, yawClaimRad*yawClaimRad
}

func (w *World) deliverPose(p *msg.Pose, at Placement, sampled time.Duration) {
	frame, f := w.opts.Frame, &w.faults.on
	switch {
	case f[FaultPoseNaN]:
		p.Position.X = math.NaN()
	case f[FaultPoseZeroCovariance]:
		p.Covariance = [36]float64{}
	case f[FaultPoseNoCovariance]:
		p.Covariance, p.HasCovariance = [36]float64{}, false
	case f[FaultPoseWrongFrame]:
		frame = "odom"
	case f[FaultPoseZeroQuaternion]:
		p.Orientation = msg.Quat{}
	case f[FaultPoseFuture]:
		sampled += 10 * time.Second
	}
	if sampled > w.sensors.poseAt || f[FaultPoseFuture] {
		w.sensors.poseAt = sampled
	}
	w.sensors.estimate, w.sensors.estimateOK = at, !f[FaultPoseNaN]
	if w.on.Pose == nil {
		return
	}
	p.Header = w.header(&w.peers.localisation, frame, sampled, &w.sensors.seq[0])
	w.on.Pose(p)
}

// sampleOdom integrates what the legs believe: it does not know slip and drifts in yaw.
func (w *World) sampleOdom() {
	s, t := &w.sensors, w.Truth()
	dx, dy := t.X-s.lastTrue.X, t.Y-s.lastTrue.Y
	turn := s.odomAt.Yaw - s.lastTrue.Yaw
	sin, cos := math.Sincos(turn)
	s.odomAt.X += dx*cos - dy*sin
	s.odomAt.Y += dx*sin + dy*cos
	noise := s.odom.NormFloat64()
	s.odomAt.Yaw = wrap(s.odomAt.Yaw + wrap(t.Yaw-s.lastTrue.Yaw) + 1e-4*noise*math.Abs(t.SpeedMPS))
	s.lastTrue = t.Placement
	if w.on.Odom == nil || w.faults.on[FaultOdomSilent] {
		return
	}
	still := 0.0
	if t.Walking {
		still = 1
	}
	o := &msg.Pose{
		Header: w.header(&w.peers.base, "odom", w.Now(), &s.seq[1]), Child: "base_link", HasCovariance: true, HasTwist: true,
		Position:    msg.Vec3{X: s.odomAt.X, Y: s.odomAt.Y},
		Orientation: msg.Quat{Z: math.Sin(s.odomAt.Yaw / 2), W: math.Cos(s.odomAt.Yaw / 2)},
		Twist: msg.Twist{
			Linear:  msg.Vec3{X: t.VX + (0.002+0.02*still)*noise, Y: t.VY + (0.002+0.01*still)*noise},
			Angular: msg.Vec3{Z: t.YawRPS + (0.001+0.01*still)*noise},
		},
	}
	claims(o, false)
	w.on.Odom(o)
}

func (w *World) sampleJoints() {
	s := &w.sensors
	const ahead = 1e-3
	phase := w.state.phase
	rate := 0.0
	if w.state.walking {
		rate = ahead / w.state.stepS
	}
	now, next := w.angles(phase), w.angles(phase+rate)
	if down := w.posture.rate(); down != 0 {
		w.posture.height += down * ahead
		next = w.angles(phase + rate)
		w.posture.height -= down * ahead
	}
	m := &msg.Joints{N: Joints, HasVelocity: true, HasEffort: true}
	for i := range Joints {
		noise := encoderSigmaRad * s.joints.NormFloat64()
		m.Position[i] = now[i] + noise
		m.Velocity[i] = (next[i]-now[i])/ahead + 4*noise
		m.Effort[i] = w.effort(i, now[i])
		if w.faults.nanJoints&(1<<i) != 0 {
			m.Position[i] = math.NaN()
		}
		if w.faults.lostJoints&(1<<i) != 0 {
			m.Position[i], m.Velocity[i], m.Effort[i] = 0, 0, 0
			continue
		}
		m.Seen |= 1 << i
	}
	if w.arms.moving {
		w.armVelocity(m)
	}
	if w.on.Joints == nil || w.faults.on[FaultJointsSilent] {
		return
	}
	m.Header = w.header(&w.peers.base, "", w.Now(), &s.seq[2])
	w.on.Joints(m)
}

// armVelocity adds the arms' own movement, which does not follow from the phase of the gait.
func (w *World) armVelocity(m *msg.Joints) {
	before := w.arms
	a := w.arms
	a.step(1e-3, w.services.armsOff, w.state.loaded)
	for _, at := range []int{jointLeftShoulder, jointRightShoulder} {
		if m.Seen&(1<<at) != 0 {
			m.Velocity[at] -= (a.lift - before.lift) / 1e-3
		}
		if m.Seen&(1<<(at+3)) != 0 {
			m.Velocity[at+3] += (a.bend - before.bend) / 1e-3
		}
	}
}

// effort is a rough share of the body's weight at the legs and of the load at the arms, in N·m.
func (w *World) effort(joint int, angle float64) float64 {
	if joint < jointWaist {
		return 25 * math.Sin(angle)
	}
	load := 1.5
	if w.state.loaded && joint >= jointLeftShoulder {
		load = 6
	}
	return load * math.Sin(angle)
}

func (w *World) sampleIMU() {
	s, st, r := &w.sensors, &w.state, w.sensors.imu
	dt := IMUPeriod.Seconds()
	ax, ay := (st.v.x-s.prevV.x)/dt, (st.v.y-s.prevV.y)/dt
	s.prevV = st.v
	n := func() float64 { return r.NormFloat64() }
	m := &msg.IMU{
		HasOrientation: true, HasAngularVelocity: true, HasLinearAcceleration: true,
		Orientation:     msg.Quat{Z: math.Sin(st.yaw / 2), W: math.Cos(st.yaw / 2)},
		AngularVelocity: msg.Vec3{X: gyroSigmaRPS * n(), Y: gyroSigmaRPS * n(), Z: st.v.w + gyroSigmaRPS*n()},
		LinearAcceleration: msg.Vec3{
			X: ax + accelSigmaMPS2*n(), Y: ay + accelSigmaMPS2*n(), Z: gravityMPS2 + accelSigmaMPS2*n(),
		},
	}
	if st.walking {
		// Each step rolls the torso and hits the ground.
		swing := 2 * math.Pi * st.phase
		m.AngularVelocity.X += 0.35 * (0.3 + 0.7*st.amount) * math.Cos(math.Pi*st.phase) * st.side
		m.AngularVelocity.Y += 0.15 * (0.3 + 0.7*st.amount) * math.Sin(swing)
		m.LinearAcceleration.Z += 2.5 * (0.3 + 0.7*st.amount) * math.Cos(swing)
		m.LinearAcceleration.Y += 1.2 * (0.3 + 0.7*st.amount) * math.Sin(math.Pi*st.phase) * st.side
	}
	if w.on.IMU == nil || w.faults.on[FaultIMUSilent] {
		return
	}
	m.Header = w.header(&w.peers.base, "imu_link", w.Now(), &s.seq[3])
	w.on.IMU(m)
}
