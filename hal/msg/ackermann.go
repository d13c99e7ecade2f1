package msg

import "math"

// maxSteering is the largest steering angle in rad that means anything: wheels that stand across do not roll.
const maxSteering = 1.5

// Ackermann is the velocity of a base with steered wheels: its rear axle's speed in m/s, and the turn rate that the
// steering angle in rad makes of it (R. Rajamani, Vehicle Dynamics and Control, 2nd ed., section 2.2). An angle at which
// wheels do not roll, and any of the message's other numbers that is none, gives NaN: a command that nobody can mean.
func Ackermann(speed, steering, wheelbaseM float64, others ...float64) Twist {
	t := Twist{Linear: Vec3{X: speed}, Angular: Vec3{Z: float64(speed*math.Tan(steering)) / wheelbaseM}}
	bad := !(math.Abs(steering) <= maxSteering)
	for _, x := range others {
		bad = bad || x-x != 0
	}
	if bad {
		t.Angular.Z = math.NaN()
	}
	return t
}

// Steering is the angle in rad that makes the base turn as t says. A base that stands keeps its wheels as they were: to turn
// them is motion too.
func (t *Twist) Steering(wheelbaseM, before float64) float64 {
	if t.Linear.X == 0 {
		return before
	}
	return math.Atan(float64(wheelbaseM*t.Angular.Z) / t.Linear.X)
}
