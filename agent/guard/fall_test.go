package guard

import (
	"bytes"
	"math"
	"testing"
	"time"

	"github.com/robowarden/robowarden/hal/msg"
	"github.com/robowarden/robowarden/interlock"
)

// fallParams are the demonstration's, with a section for falls.
func fallParams(tb testing.TB) *Params {
	tb.Helper()
	p := demoParams(tb)
	p.Fall = interlock.FallConfig{
		Used: true, TiltRad: 0.9, Dwell: 300 * time.Millisecond, Up: [3]float64{0, 0, 1}, MaxAge: 300 * time.Millisecond,
		FreeFall: true, FreeFallMPS2: 3, FreeFallFor: 150 * time.Millisecond, Impact: true, ImpactMPS2: 80,
	}
	return p
}

// onIMU changes every message of the inertial unit from now on.
func onIMU(f func(m *msg.IMU)) func(r *rig) {
	return func(r *rig) {
		r.edit = func(ev *Event) bool {
			if ev.Kind == EventIMU {
				f(ev.IMU)
			}
			return true
		}
	}
}

// lie is what the unit of a robot on its face measures.
func lie(m *msg.IMU) {
	m.Orientation = msg.Quat{Y: math.Sqrt2 / 2, W: math.Sqrt2 / 2}
	m.LinearAcceleration = msg.Vec3{X: -9.81}
}

// TestFallsRestrict lets a robot fall that drives, or its inertial unit fail.
func TestFallsRestrict(t *testing.T) {
	for name, c := range map[string]struct {
		fault func(r *rig)
		want  interlock.Trigger
		most  interlock.Motion
		in    time.Duration
		stays bool
	}{
		"falls":                                {onIMU(lie), interlock.RobotFallen, interlock.MotionStop, 400 * time.Millisecond, true},
		"falls, by acceleration alone":         {onIMU(func(m *msg.IMU) { lie(m); m.HasOrientation = false }), interlock.RobotFallen, interlock.MotionStop, 600 * time.Millisecond, true},
		"falls freely":                         {onIMU(func(m *msg.IMU) { m.LinearAcceleration = msg.Vec3{} }), interlock.RobotFallen, interlock.MotionStop, 200 * time.Millisecond, true},
		"hits the ground":                      {onIMU(func(m *msg.IMU) { m.LinearAcceleration.X = 100 }), interlock.RobotFallen, interlock.MotionStop, 50 * time.Millisecond, true},
		"inertial unit silent":                 {func(r *rig) { r.off["imu"] = true }, interlock.IMUMissing, interlock.MotionHold, 600 * time.Millisecond, false},
		"inertial unit NaN":                    {onIMU(func(m *msg.IMU) { m.Orientation.W = math.NaN() }), interlock.IMUMissing, interlock.MotionHold, 300 * time.Millisecond, false},
		"inertial unit without an orientation": {onIMU(func(m *msg.IMU) { m.HasOrientation, m.HasLinearAcceleration = false, false }), interlock.IMUMissing, interlock.MotionHold, 300 * time.Millisecond, false},
	} {
		t.Run(name, func(t *testing.T) {
			run := func(p *Params) *rig {
				r := newRig(t, p, Start{})
				r.drive = func() (float64, float64) { return 0.2, 0 }
				r.plant.x = 4.2
				r.ready()
				c.fault(r)
				return r
			}
			r := run(fallParams(t))
			r.until(c.want.String(), c.in, func() bool { return r.active(c.want) })
			if r.motion() > c.most || r.latched(c.want) != c.stays {
				t.Errorf("motion %s, expected at most %s; latched %t, expected %t: %s", r.motion(), c.most, r.latched(c.want), c.stays, r.state())
			}
			if c.stays && r.core.decision.Axes.Manipulators != interlock.ManipulatorsDisabled {
				t.Errorf("arms are %s", r.core.decision.Axes.Manipulators)
			}
			r.until("stands", 3*time.Second, func() bool { return math.Abs(r.plant.v) < 0.001 })
			p := fallParams(t)
			p.Fall = interlock.FallConfig{}
			off := run(p)
			if off.run(time.Second); off.active(interlock.RobotFallen) || off.active(interlock.IMUMissing) {
				t.Errorf("off: a profile without fall trips as well: %s", off.state())
			}
		})
	}
}

// TestFallenIsResetBySomebodyWhoAnswersForIt: a robot that was raised stays stopped until a supervisor has reset it, and while
// nobody knows whether it is upright nobody can.
func TestFallenIsResetBySomebodyWhoAnswersForIt(t *testing.T) {
	r := newRig(t, fallParams(t), Start{}).ready()
	onIMU(lie)(r)
	r.until("fallen", time.Second, func() bool { return r.latched(interlock.RobotFallen) })
	r.run(2 * time.Second)
	if r.reset(interlock.RoleSupervisor); !r.latched(interlock.RobotFallen) {
		t.Fatal("reset while it lies")
	}
	onIMU(func(m *msg.IMU) { m.Orientation.W = math.NaN() })(r)
	r.run(5 * time.Second)
	if r.reset(interlock.RoleSupervisor); !r.latched(interlock.RobotFallen) {
		t.Fatal("reset while nobody knows whether it lies")
	}
	r.edit = nil
	r.run(5 * time.Second)
	if r.reset(interlock.RoleOperator); !r.latched(interlock.RobotFallen) {
		t.Fatal("reset by an operator")
	}
	if r.reset(interlock.RoleSupervisor); r.latched(interlock.RobotFallen) {
		t.Fatalf("not reset by a supervisor: %s", r.state())
	}
	r.until("opens", 5*time.Second, r.open)
}

// TestLeanIsInTheSnapshot takes a snapshot while the robot leans and goes on from it: both see the fall at the same event.
func TestLeanIsInTheSnapshot(t *testing.T) {
	p := fallParams(t)
	r := newRig(t, p, Start{}).ready()
	onIMU(lie)(r)
	r.run(150 * time.Millisecond)
	snapshot := r.core.AppendState(nil)
	other, err := NewCore(p, Start{})
	if err == nil {
		err = other.RestoreState(snapshot)
	}
	if err != nil {
		t.Fatal(err)
	}
	var fx Effects
	seen := false
	r.each = func(ev *Event, mine *Effects) {
		other.Apply(ev, &fx)
		if fx.Digest != mine.Digest {
			t.Fatalf("%v: digest %x, restored %x", ev.Kind, mine.Digest, fx.Digest)
		}
		seen = seen || other.decision.LatchedSet.Has(interlock.RobotFallen)
	}
	if r.run(time.Second); !seen || !bytes.Equal(r.core.AppendState(nil), other.AppendState(nil)) {
		t.Errorf("the restored core sees the fall: %t", seen)
	}
}
