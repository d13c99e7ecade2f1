package simulate

import (
	"fmt"
	"testing"
	"time"

	"github.com/robowarden/robowarden/geofence"
	"github.com/robowarden/robowarden/interlock"
	"github.com/robowarden/robowarden/test/oracle"
)

// standing is how often each began. The geofence's own verdicts are counted, since a latch of the guard's decision would
// hide what comes again and again.
type standing struct{ holds, trips, margins, decided int }

// watch counts what begins from one event to the next.
func (n *standing) watch(place geofence.Place) func(*Sim) {
	trip, held := false, false
	return func(s *Sim) {
		v, d := s.core.Verdict(), s.core.Decision().Axes.Motion <= interlock.MotionHold
		count := func(n *int, begins bool) {
			if begins {
				*n++
			}
		}
		count(&n.holds, v.Place == geofence.Inside && place != geofence.Inside)
		count(&n.margins, v.Place > geofence.Outside && place == geofence.Outside)
		count(&n.trips, v.Trip && !trip)
		count(&n.decided, d && !held)
		place, trip, held = v.Place, v.Trip, d
	}
}

// stand lets a robot stand for a time with its contour's front clear metres before an edge, negative inside.
func stand(t *testing.T, seed uint64, clear, white, slow float64, d time.Duration, robot func(*geofence.Robot)) standing {
	t.Helper()
	cfg := Documents(t)
	front := 0.0
	for _, p := range contour(cfg)[0] {
		front = max(front, p.X)
	}
	zone := blocked(oracle.Zone{ID: "edge", Outer: oracle.Rectangle(10, 0, 20, 20)})
	s := New(t, Config{
		Params: With(t, cfg, Params(t, cfg), []geofence.ZoneSpec{zone}, robot), Seed: seed, Civil: morning,
		X: 10 - front - clear, Y: 10, Step: 20 * time.Millisecond,
		Body: Body{Accel: 0.8, Decel: 0.8, TurnAccel: 2, TurnDecel: 2, Lag: 100 * time.Millisecond, Timeout: 400 * time.Millisecond},
		Senses: Senses{
			Pose: 50 * time.Millisecond, Rest: 50 * time.Millisecond, Tick: 50 * time.Millisecond, Latency: 10 * time.Millisecond,
			Jitter: 5 * time.Millisecond, White: white, Slow: slow, SlowTime: 5 * time.Second, Yaw: 0.003, Speed: 0.003,
		},
		Period: 50 * time.Millisecond,
		Plan:   func(*Sim) (float64, float64, float64, bool) { return 0, 0, 0, true },
	})
	var n standing
	// Between the first poses the guard opens, and counting begins.
	s.Run(10 * time.Second)
	s.Each = n.watch(geofence.Outside)
	s.Run(d)
	return n
}

// TestStandingAtAnEdge lets a robot stand for an hour just inside and outside an edge: it may trip once.
func TestStandingAtAnEdge(t *testing.T) {
	s, hours := seed(t), number(t, "ROBOWARDEN_STANDING_HOURS", 1, 4)
	noises := map[string][2]float64{"white": {0.03, 0}, "correlated": {0, 0.03}}
	if long {
		noises["both"] = [2]float64{0.02, 0.0224}
	}
	for name, n := range noises {
		for _, clear := range []float64{-0.10, -0.05, 0, 0.05, 0.10} {
			t.Run(fmt.Sprintf("%s %+.2f m", name, clear), func(t *testing.T) {
				t.Parallel()
				most := standing{}
				for h := range hours {
					got := stand(t, s+uint64(h), clear, n[0], n[1], time.Hour, nil) //nolint:gosec // a count
					most = standing{max(most.holds, got.holds), max(most.trips, got.trips), max(most.margins, got.margins), max(most.decided, got.decided)}
				}
				t.Logf("figures: %s noise of 0.03 m, %+.2f m outside, %d h: in an hour at most %d times inside, %d trips of the braking curve, %d times in the margin, %d decisions to hold",
					name, clear, hours, most.holds, most.trips, most.margins, most.decided)
				if most.holds+most.trips > 1 || most.margins > 1 || most.decided > 1 {
					t.Errorf("%+v in an hour, expected at most one trip", most)
				}
				if clear < 0 && most.holds == 0 {
					t.Error("inside, and nobody noticed")
				}
			})
		}
	}
}

// TestStandingWithoutHysteresis is the off case: without dwell and release margin the same noise trips all the time.
func TestStandingWithoutHysteresis(t *testing.T) {
	got := stand(t, seed(t), 0, 0.03, 0, 10*time.Minute, func(r *geofence.Robot) {
		r.ReleaseMarginM, r.ReleaseDwell = 0.001, time.Millisecond
		r.SigmaK, r.MapErrorM = 1, 0
	})
	t.Logf("figures: without hysteresis: %+v in ten minutes", got)
	if got.holds < 100 {
		t.Errorf("only %d holds in ten minutes: the test cannot fail", got.holds)
	}
}
