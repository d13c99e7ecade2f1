package replay

import (
	"testing"
	"time"

	"github.com/robowarden/robowarden/agent/guard"
	"github.com/robowarden/robowarden/interlock"
)

// TestAssumedRobotStandsUpright: a world's own inertial unit shows a robot that stands as its profile says, however the unit is
// mounted; taken away, nobody knows whether it does.
func TestAssumedRobotStandsUpright(t *testing.T) {
	_, p := documents(t, t.TempDir(), same)
	for _, up := range [][3]float64{{0, 0, 1}, {0.6, 0, -0.8}} {
		p.Fall = interlock.FallConfig{
			Used: true, TiltRad: 0.9, Dwell: 300 * time.Millisecond, Up: up, MaxAge: 300 * time.Millisecond,
			FreeFall: true, FreeFallMPS2: 3, FreeFallFor: 150 * time.Millisecond, Impact: true, ImpactMPS2: 80,
		}
		w, err := NewWorld(p, epoch, Assume{Inputs: guard.InputJoints | guard.InputIMU | guard.InputBattery, Floor: 0})
		if err != nil {
			t.Fatal(err)
		}
		w.Advance(WorldStart + 10*time.Second)
		if d := w.Core().Decision(); d.ActiveSet.Has(interlock.IMUMissing) || d.ActiveSet.Has(interlock.RobotFallen) {
			t.Errorf("up is %v: fallen %t, unknown %t", up, d.ActiveSet.Has(interlock.RobotFallen), d.ActiveSet.Has(interlock.IMUMissing))
		}
		w.Supply(guard.InputIMU, false)
		w.Advance(WorldStart + 12*time.Second)
		if d := w.Core().Decision(); !d.ActiveSet.Has(interlock.IMUMissing) || d.ActiveSet.Has(interlock.RobotFallen) {
			t.Errorf("off, up is %v: without the unit it is known to stand, or to have fallen", up)
		}
	}
}
