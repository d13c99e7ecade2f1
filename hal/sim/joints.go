package sim

import "math"

// Joints is the number of the robot's joints.
const Joints = 29

// First joints of the limbs, in JointNames. A leg is hip pitch, roll, yaw, knee, ankle pitch, roll; an arm is shoulder
// pitch, roll, yaw, elbow, wrist roll, pitch, yaw.
const (
	jointLeftHip       = 0
	jointRightHip      = 6
	jointWaist         = 12
	jointLeftShoulder  = 15
	jointRightShoulder = 22
)

// JointNames are the joints in the order of the Joints message, in the field's usual naming.
func JointNames() [Joints]string {
	names := make([]string, 0, Joints)
	leg := []string{"hip_pitch", "hip_roll", "hip_yaw", "knee", "ankle_pitch", "ankle_roll"}
	arm := []string{"shoulder_pitch", "shoulder_roll", "shoulder_yaw", "elbow", "wrist_roll", "wrist_pitch", "wrist_yaw"}
	add := func(side string, parts []string) {
		for _, n := range parts {
			names = append(names, side+n+"_joint")
		}
	}
	add("left_", leg)
	add("right_", leg)
	add("", []string{"waist_yaw", "waist_roll", "waist_pitch"})
	add("left_", arm)
	add("right_", arm)
	return [Joints]string(names)
}

// Joint finds a joint's number by name, or −1.
func Joint(name string) int {
	for i, n := range JointNames() {
		if n == name {
			return i
		}
	}
	return -1
}

// arms is the upper body's own controller: it moves between hanging, carrying and reaching, and holds when disabled.
type arms struct {
	lift, bend, open float64 // Shoulder pitch, elbow and shoulder roll, in rad, the same for both arms.
	reach            bool    // Manipulating: the hands go to and fro.
	clock            float64 // Seconds of manipulation.
	moving           bool
}

// Angles of hanging arms in rad.
const hangLift, hangBend, hangOpen = 0.05, 0.15, 0.08

// ArmRateRPS bounds the speed of arm joints in rad/s.
const ArmRateRPS = 1.2

// Manipulate starts or ends the manipulation task: both hands reach forward and work there.
func (w *World) Manipulate(on bool) { w.arms.reach = on }

func (a *arms) step(dt float64, disabled, loaded bool) {
	if disabled {
		// The brake of a joint holds at once; the arms stay where they are.
		a.moving = false
		return
	}
	lift, bend, open := hangLift, hangBend, hangOpen
	switch {
	case a.reach:
		a.clock += dt
		lift, bend, open = 1.1+0.25*math.Sin(2*a.clock), 0.4+0.3*math.Sin(2*a.clock), 0.12
	case loaded:
		lift, bend, open = 0.2, 1.35, 0.05
	}
	before := *a
	a.lift, a.bend, a.open = approach(a.lift, lift, dt), approach(a.bend, bend, dt), approach(a.open, open, dt)
	a.moving = math.Abs(a.lift-before.lift)+math.Abs(a.bend-before.bend)+math.Abs(a.open-before.open) > 1e-3*dt
}

func approach(v, to, dt float64) float64 { return v + clamp(to-v, -ArmRateRPS*dt, ArmRateRPS*dt) }

// angles is every joint's true position in rad at a phase of the present step.
func (w *World) angles(phase float64) *[Joints]float64 {
	s, b := &w.state, &w.opts.Body
	var q [Joints]float64
	stride := 0.0
	if s.walking {
		stride = clamp((math.Abs(s.v.x)*s.stepS+0.02*s.amount)/2, 0, 0.3)
	}
	swing := math.Asin(clamp(stride/b.Leg, -0.9, 0.9)) * -math.Cos(math.Pi*phase)
	if s.v.x < 0 {
		swing = -swing
	}
	lift := 0.0
	if s.walking {
		lift = 0.9 * (0.2 + 0.8*s.amount) * math.Sin(math.Pi*phase)
	}
	crouch := 0.12 + 0.6*(1-w.posture.height)
	leg(&q, jointLeftHip, swing*s.side, crouch, lift*max(0, s.side), s.v.w, s.amount)
	leg(&q, jointRightHip, -swing*s.side, crouch, lift*max(0, -s.side), s.v.w, s.amount)
	q[jointWaist] = 0.08 * swing * s.side
	q[jointWaist+2] = 0.03 + 0.05*s.amount
	for i, side := range []float64{1, -1} {
		at := jointLeftShoulder + i*(jointRightShoulder-jointLeftShoulder)
		counter := 0.0
		if !w.arms.reach && !s.loaded && !w.services.armsOff {
			counter = 0.6 * swing * s.side * side
		}
		q[at], q[at+1], q[at+3] = -(w.arms.lift - counter), side*w.arms.open, w.arms.bend
		q[at+5] = 0.1 * w.arms.lift
	}
	return &q
}

// leg bends hip, knee and ankle so that the foot stays level as far as the ankle turns; ahead is the thigh's angle forward.
func leg(q *[Joints]float64, hip int, ahead, crouch, lift, yaw, amount float64) {
	q[hip] = -(ahead + crouch + lift/2)
	q[hip+1] = 0.02 * amount
	q[hip+2] = clamp(0.1*yaw, -0.2, 0.2)
	q[hip+3] = 2*crouch + lift
	q[hip+4] = clamp(-(q[hip] + q[hip+3]), -0.8, 0.45)
	q[hip+5] = -0.02 * amount
}
