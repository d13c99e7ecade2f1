package guard

import (
	"math"
	"testing"
	"time"

	"github.com/robowarden/robowarden/geofence"
	"github.com/robowarden/robowarden/hal/msg"
	"github.com/robowarden/robowarden/hal/sim"
)

// TestHandsAreWhereTheSimulationHasThem compares forward kinematics over the example's URDF with the arms of the simulated
// humanoid, which knows neither: its hands follow from lengths and two angles seen from above. The URDF's hand ends where
// that arm does. The simulation leaves out that the waist leans by up to 0.08 rad, and its encoders are noisy.
func TestHandsAreWhereTheSimulationHasThem(t *testing.T) {
	const tolerance = 0.035
	params := humanoidParams(t)
	fence := geofence.New(params.Set)
	var joints msg.Joints
	opts := sim.DefaultOptions()
	w, err := sim.New(opts, sim.Handlers{Joints: func(m *msg.Joints) { joints = *m }})
	if err != nil {
		t.Fatal(err)
	}
	hands := map[string]int{}
	for i := range 32 {
		hands[params.Set.Part(i)] = i
	}
	low, high, worst := math.Inf(1), math.Inf(-1), 0.0
	now := geofence.Instant{Boot: time.Second, Civil: time.Unix(0, rigCivil), Trust: geofence.ClockTrusted}
	w.Manipulate(true)
	for range 60 {
		w.Advance(100 * time.Millisecond)
		now.Boot, now.Civil = now.Boot+100*time.Millisecond, now.Civil.Add(100*time.Millisecond)
		p := geofence.Posture{Boot: now.Boot, Known: joints.Seen, Position: joints.Position, HasVelocity: true}
		fence.Posture(&p)
		// The example's practice is elsewhere: the robot stands at (2, 2), facing along x.
		in := geofence.Inputs{
			Pose: geofence.Pose{
				Seen: true, Boot: now.Boot, StampNS: now.Civil.UnixNano(), X: 2, Y: 2, QW: 1, FrameOK: true,
				HasCovariance: true, VarX: 1e-4, VarY: 1e-4, VarYaw: 1e-6,
			},
			Velocity: geofence.Measured{Known: true, Boot: now.Boot}, Roles: params.Roles,
		}
		var v geofence.Verdict
		fence.Step(now, &in, &v)
		truth := w.Truth()
		sin, cos := math.Sincos(truth.Yaw)
		for _, part := range w.Contour() {
			hand := map[string]string{"left_arm": "left_hand", "right_arm": "right_hand"}[part.Name]
			if hand == "" {
				continue
			}
			ahead := math.Inf(-1)
			for _, q := range part.Points {
				ahead = max(ahead, (q.X-truth.X)*cos+(q.Y-truth.Y)*sin)
			}
			c, ok := fence.Capsule(hands[hand])
			if !ok || c.Unknown {
				t.Fatalf("%s is not known: %+v", hand, c)
			}
			got := max(c.From[0], c.To[0]) - 2
			low, high, worst = min(low, ahead), max(high, ahead), max(worst, math.Abs(got-ahead))
			if math.Abs(got-ahead) > tolerance {
				t.Fatalf("%s is %.3f m ahead, the simulation has it %.3f m ahead", hand, got, ahead)
			}
		}
	}
	t.Logf("hands went from %.3f to %.3f m ahead; forward kinematics differs by %.3f m at most", low, high, worst)
	if high-low < 0.05 {
		t.Error("the arms hardly moved")
	}
}
