package simulate

import (
	"math"
	"path/filepath"
	"testing"
	"time"

	"github.com/robowarden/robowarden/agent/config"
	"github.com/robowarden/robowarden/hal/msg"
	"github.com/robowarden/robowarden/hal/sim"
	"github.com/robowarden/robowarden/interlock"
)

// torso is that of the simulated humanoid with watches for falls beside it: one goes by the orientation, one by the acceleration
// alone. The plant gives no orientation but its heading, so that of its torso is integrated from the turn rates that it gives.
type torso struct {
	w            *sim.World
	watches      [2]*interlock.FallWatch
	roll, pitch  float64
	sway, bump   float64 // the largest lean in rad and acceleration in m/s²
	trips, blind int
	// bend is what the torso leans forward beside its sway, in rad.
	bend func() float64
}

// newTorso takes the humanoid example's section for falls.
func newTorso(t *testing.T, seed uint64, change func(c *interlock.FallConfig)) *torso {
	t.Helper()
	cfg, err := config.Load(nil, filepath.Join("..", "..", "configs", "examples", "humanoid", "profile.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	spec := cfg.Profile.FallSpec()
	if !spec.Used || !spec.FreeFall || !spec.Impact {
		t.Fatalf("the example looks for less than all: %+v", spec)
	}
	if change != nil {
		change(&spec)
	}
	k := &torso{bend: func() float64 { return 0 }}
	for i := range k.watches {
		if k.watches[i], err = interlock.NewFallWatch(spec); err != nil {
			t.Fatal(err)
		}
	}
	o := sim.DefaultOptions()
	o.Seed, o.NoLock, o.Start = seed, true, sim.Placement{Floor: "ground", X: 5, Y: 12}
	if k.w, err = sim.New(o, sim.Handlers{IMU: k.imu}); err != nil {
		t.Fatal(err)
	}
	return k
}

// imu shows the watches a message with the torso's lean, and counts what they say.
func (k *torso) imu(m *msg.IMU) {
	const period, keep, gravity = 0.01, 0.99, 9.80665
	k.roll = keep*k.roll + period*m.AngularVelocity.X
	k.pitch = keep*k.pitch + period*m.AngularVelocity.Y
	pitch := k.pitch + k.bend()
	a := m.LinearAcceleration
	force := [3]float64{a.X - gravity*math.Sin(pitch), a.Y + gravity*math.Sin(k.roll), a.Z - gravity*(1-math.Cos(pitch)*math.Cos(k.roll))}
	k.sway = max(k.sway, math.Abs(k.roll), math.Abs(pitch))
	k.bump = max(k.bump, math.Sqrt(force[0]*force[0]+force[1]*force[1]+force[2]*force[2]))
	sr, cr := math.Sincos(k.roll / 2)
	sp, cp := math.Sincos(pitch / 2)
	for i, w := range k.watches {
		w.Observe(&interlock.FallReading{
			Received: m.Boot, HasOrientation: i == 0, Orientation: [4]float64{sr * cp, cr * sp, -sr * sp, cr * cp},
			HasAcceleration: true, Acceleration: force,
		})
		s := w.Status(m.Boot)
		if s.Fallen.State == interlock.Present {
			k.trips++
		}
		if s.Missing.State != interlock.Clear {
			k.blind++
		}
	}
}

// hour is what a robot does in a while: it walks to and fro at several speeds, turns, carries, stops hard and kneels, each from
// the other.
func (k *torso) hour(rounds int) {
	drive := func(v, turn float64, d time.Duration) {
		for end := k.w.Now() + d; k.w.Now() < end; k.w.Advance(50 * time.Millisecond) {
			k.w.Command(msg.Twist{Linear: msg.Vec3{X: v}, Angular: msg.Vec3{Z: turn}})
		}
	}
	// Kneeling, the torso bends forward by half a radian.
	k.bend = func() float64 { return 0.5 * (1 - k.w.Truth().HeightRatio) }
	for i := range rounds {
		k.w.SetLoad(i%2 == 1)
		for _, v := range []float64{0.3, 0.9, -0.2} {
			drive(v, 0, 4*time.Second)
			drive(v/2, 0.8, 4*time.Second)
		}
		drive(0.9, 0, 3*time.Second)
		k.w.Call(sim.Call{Service: sim.ServiceStop, ID: uint64(i), On: true}) //nolint:gosec // a count
		drive(0, 0, 2*time.Second+sim.RestTime+sim.KneelTime)
	}
}

// TestWalkingIsNoFall: neither sway and bumps of a walk, nor a hard stop, nor a kneel is taken for a fall, by orientation or by
// acceleration; under limits within them it is, and so is a robot that goes on bending.
func TestWalkingIsNoFall(t *testing.T) {
	s := seed(t)
	k := newTorso(t, s, nil)
	k.hour(number(t, "ROBOWARDEN_FALL_ROUNDS", 10, 200))
	t.Logf("figures: a walk of %v sways by up to %.2f rad, kneeling, and hits with up to %.1f m/s²: %d trips", k.w.Now().Round(time.Second), k.sway, k.bump, k.trips)
	if k.trips > 0 || k.blind > 0 {
		t.Errorf("%d times fallen, %d times not to be judged", k.trips, k.blind)
	}
	if k.sway < 0.5 || k.bump < 11 {
		t.Errorf("off: it never kneels or bumps: %.2f rad, %.1f m/s²", k.sway, k.bump)
	}
	for name, change := range map[string]func(c *interlock.FallConfig){
		"a limit within the kneel":      func(c *interlock.FallConfig) { c.TiltRad = 0.3 },
		"a limit within the bumps":      func(c *interlock.FallConfig) { c.ImpactMPS2 = 11 },
		"a free fall that a step makes": func(c *interlock.FallConfig) { c.FreeFallMPS2, c.FreeFallFor = 9.5, 30*time.Millisecond },
	} {
		k := newTorso(t, s, change)
		if k.hour(1); k.trips == 0 {
			t.Errorf("off: %s is not seen either", name)
		}
	}
	k = newTorso(t, s, nil)
	k.hour(1)
	begun := k.w.Now()
	k.bend = func() float64 { return min(1.5, 1.5*(k.w.Now()-begun).Seconds()) }
	if k.w.Advance(2 * time.Second); k.trips == 0 {
		t.Error("off: a robot that topples is not seen")
	}
}
