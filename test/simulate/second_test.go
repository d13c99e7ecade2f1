package simulate

import (
	"math"
	"testing"
	"time"

	"github.com/robowarden/robowarden/hal/msg"
	"github.com/robowarden/robowarden/interlock"
)

// second is the mapping's section for a second source of poses.
var second = Edit{
	"topics", "# On which floor the robot is: fixed",
	"second_pose: {topic: /uwb/pose, type: geometry_msgs/PoseWithCovarianceStamped, frame: map, publishers: [/uwb], slack_m: 0.15, slack_rad: 0.2, after: 500ms}\n# On which floor the robot is: fixed",
}

// fault is what a second source does wrong from some time on.
type fault struct {
	dx, dyaw     float64
	lost, frozen bool
	frame        string
}

// TestASecondSourceOfPoses drives along the corridor while a second source of poses goes wrong, through the documents, the
// guard's core and its triggers.
func TestASecondSourceOfPoses(t *testing.T) {
	for _, c := range []struct {
		name    string
		edits   []Edit
		fault   fault
		trigger interlock.Trigger
		motion  interlock.Motion
		within  time.Duration
	}{
		{"a metre aside", []Edit{second}, fault{dx: 1}, interlock.PoseDisagreement, interlock.MotionHold, 700 * time.Millisecond},
		{"turned", []Edit{second}, fault{dyaw: 1}, interlock.PoseDisagreement, interlock.MotionHold, 700 * time.Millisecond},
		{"frozen while the robot drives", []Edit{second}, fault{frozen: true}, interlock.PoseDisagreement, interlock.MotionHold, 2 * time.Second},
		{"lost", []Edit{second}, fault{lost: true}, interlock.PoseSecondMissing, interlock.MotionLimited, 1100 * time.Millisecond},
		{"in another frame", []Edit{second}, fault{frame: "odom"}, interlock.PoseSecondMissing, interlock.MotionLimited, 700 * time.Millisecond},
		{"off: in order", []Edit{second}, fault{}, interlock.NumTriggers, interlock.MotionFree, 0},
		{"off: the mapping names none", nil, fault{dx: 1}, interlock.NumTriggers, interlock.MotionFree, 0},
	} {
		t.Run(c.name, func(t *testing.T) { t.Parallel(); goesWrong(t, c.edits, c.fault, c.trigger, c.motion, c.within) })
	}
}

func goesWrong(t *testing.T, edits []Edit, f fault, trigger interlock.Trigger, motion interlock.Motion, within time.Duration) {
	cfg := Documents(t, edits...)
	var from time.Duration
	var last msg.Vec3
	s := New(t, Config{
		Params: Params(t, cfg), Seed: seed(t), Civil: morning, X: 8, Y: 12, Step: 10 * time.Millisecond,
		Body: Body{Accel: 0.6, Decel: 0.9, TurnAccel: 1, TurnDecel: 1.6, DeadTime: 80 * time.Millisecond, Lag: 120 * time.Millisecond, Timeout: 400 * time.Millisecond},
		Senses: Senses{
			Pose: 50 * time.Millisecond, Rest: 50 * time.Millisecond, Tick: 20 * time.Millisecond, Latency: 15 * time.Millisecond,
			Jitter: 5 * time.Millisecond, White: 0.01, Yaw: 0.004, Speed: 0.003,
		},
		Period: 50 * time.Millisecond,
		Plan:   func(*Sim) (float64, float64, float64, bool) { return 0.6, 0, 0, true },
		Second: func(s *Sim) (msg.Pose, bool) {
			bad := fault{}
			if from > 0 && s.now >= from {
				bad = f
			}
			b := &s.base
			yaw := b.yaw + bad.dyaw
			p := msg.Pose{
				Header: s.header("map"), HasCovariance: true, Orientation: msg.Quat{Z: math.Sin(yaw / 2), W: math.Cos(yaw / 2)},
				Position: msg.Vec3{X: b.x + bad.dx + 0.02*s.rng.NormFloat64(), Y: b.y + 0.02*s.rng.NormFloat64()},
			}
			if bad.frozen {
				p.Position = last
			}
			if last = p.Position; bad.frame != "" {
				p.Frame = bad.frame
			}
			p.Covariance[0], p.Covariance[7], p.Covariance[35] = 4e-4, 4e-4, 1e-4
			return p, !bad.lost
		},
	})
	s.Ready()
	s.Run(5 * time.Second)
	if s.core.Decision().ActiveSet.Has(interlock.PoseDisagreement) || s.core.Decision().ActiveSet.Has(interlock.PoseSecondMissing) || s.base.speed() < 0.3 {
		t.Fatalf("before anything is wrong: %v at %.2f m/s", s.motion(), s.base.speed())
	}
	from = s.now
	var fired time.Duration
	worst := interlock.MotionFree
	s.Each = func(s *Sim) {
		if trigger < interlock.NumTriggers && fired == 0 && s.core.Decision().ActiveSet.Has(trigger) {
			fired = s.now - from
		}
		worst = min(worst, s.motion())
	}
	s.Run(4 * time.Second)
	t.Logf("figures: fired after %v, motion %v", fired, worst)
	switch {
	case trigger == interlock.NumTriggers && worst < interlock.MotionLimited:
		t.Errorf("%v although nothing is wrong", worst)
	case trigger == interlock.NumTriggers:
	case fired == 0 || fired > within || worst != motion:
		t.Errorf("%v fired after %v with %v, expected within %v with %v", trigger, fired, worst, within, motion)
	}
	if motion == interlock.MotionHold && s.base.speed() > 0.01 {
		t.Errorf("still at %.2f m/s", s.base.speed())
	}
}
