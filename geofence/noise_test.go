package geofence

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"
)

// stand counts, over an hour at 20 Hz with white or slow noise of 3 cm, how
// often a hold and a margin begin.
func stand(t *testing.T, clear, keep float64, dwell time.Duration, release float64) (holds, margins int) {
	t.Helper()
	robot := wheels()
	robot.ReleaseDwell, robot.ReleaseMarginM = dwell, release
	if release < 0.01 {
		robot.SigmaK, robot.JumpSlackM = 1, 1
	}
	r := newRig(t, site(wall(0)), robot)
	r.in.Pose.VarX, r.in.Pose.VarY = 9e-4, 9e-4
	rng := rand.New(rand.NewPCG(4, uint64(1000*(clear+1))))
	var nx, ny float64
	last := Outside
	for range 72_000 {
		k := math.Sqrt(1 - keep*keep)
		nx, ny = keep*nx+k*rng.NormFloat64()*0.03, keep*ny+k*rng.NormFloat64()*0.03
		r.pass(50 * time.Millisecond)
		v := r.at(-0.4-clear+nx, ny, 0)
		if v.Faults != 0 {
			t.Fatalf("fault %v", v.Faults)
		}
		if v.Place == Inside && last != Inside {
			holds++
		}
		if v.Place != Outside && last == Outside {
			margins++
		}
		last = v.Place
	}
	return holds, margins
}

func TestStandingAtAnEdgeTripsOnce(t *testing.T) {
	for _, keep := range []float64{0, 0.95} {
		for _, clear := range []float64{-0.10, -0.05, 0, 0.05, 0.10} {
			holds, margins := stand(t, clear, keep, 2*time.Second, 0.15)
			if holds > 1 || margins > 1 || clear < -0.05 && holds != 1 {
				t.Errorf("%+.2f m outside, correlation %v: %d holds, %d margins", clear, keep, holds, margins)
			}
		}
	}
	// The off case: with next to no margin and dwell, noise trips all the time.
	if holds, _ := stand(t, 0, 0, time.Millisecond, 0.001); holds < 1000 {
		t.Errorf("without hysteresis only %d holds: the test cannot fail", holds)
	}
}
