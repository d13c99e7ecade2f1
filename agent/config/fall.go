package config

import (
	"slices"
	"time"

	"github.com/robowarden/robowarden/interlock"
)

// Fall says when a robot that could fall counts as fallen. It is judged by the orientation that the inertial unit gives, or
// where its sender marks that as unknown by the acceleration; a unit that cannot be believed holds the robot.
type Fall struct {
	// TiltRad is the angle in rad between upright and the body's lean at which the robot no longer stands: beyond every lean
	// of walking, kneeling and bending, short of lying.
	TiltRad float64 `cfg:"tilt_rad" range:"[0.2,1.57]" eg:"tilt_rad: 0.8"`
	// Dwell is how long it must lean so far.
	Dwell time.Duration `cfg:"dwell" range:"[50ms,5s]" eg:"dwell: 300ms"`
	// Up is the direction in the inertial unit's own frame that points up while the robot stands, [x, y, z] of any length; the
	// default is [0, 0, 1].
	Up []float64 `cfg:"up,optional" len:"3..3" range:"[-1,1]" eg:"up: [0, 0, 1]"`
	// FreeFall looks for a free fall as well; it needs the acceleration.
	FreeFall *FreeFall `cfg:"free_fall,optional" eg:"free_fall: {below_mps2: 3, for: 150ms}"`
	// ImpactMPS2 is the acceleration in m/s², gravity included, at which the body has hit the ground or was hit: well above
	// every step of a run. Absent, nobody looks for it.
	ImpactMPS2 *float64 `cfg:"impact_mps2,optional" range:"[15,2000]" eg:"impact_mps2: 80"`
}

// FreeFall says when a robot falls freely.
type FreeFall struct {
	// BelowMPS2 is the acceleration in m/s² below which nothing carries the robot; at rest it is 9.8.
	BelowMPS2 float64 `cfg:"below_mps2" range:"(0,8]" eg:"below_mps2: 3"`
	// For is how long it must stay below.
	For time.Duration `cfg:"for" range:"[20ms,2s]" eg:"for: 150ms"`
}

// FallSpec returns how a fall is seen.
func (p *Profile) FallSpec() interlock.FallConfig {
	f := p.Fall
	if f == nil {
		return interlock.FallConfig{}
	}
	out := interlock.FallConfig{Used: true, TiltRad: f.TiltRad, Dwell: f.Dwell, Up: [3]float64{0, 0, 1}, MaxAge: p.Pose.MaxAge}
	if len(f.Up) == len(out.Up) {
		copy(out.Up[:], f.Up)
	}
	if f.FreeFall != nil {
		out.FreeFall, out.FreeFallMPS2, out.FreeFallFor = true, f.FreeFall.BelowMPS2, f.FreeFall.For
	}
	if f.ImpactMPS2 != nil {
		out.Impact, out.ImpactMPS2 = true, *f.ImpactMPS2
	}
	return out
}

func (d *document) checkFall(p *Profile) {
	if p.Fall == nil {
		return
	}
	if len(p.Fall.Up) == 3 && !slices.ContainsFunc(p.Fall.Up, func(v float64) bool { return v != 0 }) {
		d.wrong(at("fall", "up"), "no-direction", "a direction, such as [0, 0, 1]", "no length", "where the unit's own z points up, leave it out")
	}
}

// checkFallMapped says whether the mapping gives what a fall is seen by.
func (d *document) checkFallMapped(p *Profile, t *Topics) {
	if p.Fall == nil {
		return
	}
	if t.IMU == nil {
		d.wrong(at("fall"), "unmapped", "imu in the topic mapping", "a mapping without it", "a fall could not be seen")
		return
	}
	f := t.IMU.Fields
	switch {
	case f == nil:
	case f.Accel == "" && f.Quaternion == "":
		d.wrong(at("fall"), "unmapped", "accel or quaternion among the imu's fields in the topic mapping", "neither", "a turn rate alone says nothing about the lean")
	case f.Accel == "" && (p.Fall.FreeFall != nil || p.Fall.ImpactMPS2 != nil):
		d.wrong(at("fall"), "unmapped", "accel among the imu's fields in the topic mapping", "a mapping without it", "free_fall and impact_mps2 are judged by it")
	}
}
