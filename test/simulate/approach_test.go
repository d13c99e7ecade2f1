package simulate

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/robowarden/robowarden/agent/config"
	"github.com/robowarden/robowarden/agent/guard"
	"github.com/robowarden/robowarden/geofence"
	"github.com/robowarden/robowarden/test/oracle"
	"github.com/robowarden/robowarden/test/scenario"
)

// robot is a profile and what it promises.
type robot struct {
	name    string
	cfg     *config.Config
	params  *guard.Params
	promise scenario.Promise
	// margin is k·σ and the map's error in metres: the required distance of a robot that stands.
	margin float64
}

// lateMost is what a command may be held up on the way to the base; it counts as part of the actuation.
const lateMost = 20 * time.Millisecond

// robots are the demonstration's walker and a quick base on wheels with the same outline.
func robots(t *testing.T) []robot {
	t.Helper()
	wheels := []Edit{
		{"profile", "max_speed_mps: 1.0 ", "max_speed_mps: 1.5 "},
		{"profile", "accel_mps2: 0.8 ", "accel_mps2: 2.0 "},
		{"profile", "decel_mps2: 0.7 ", "decel_mps2: 1.0 "},
		{"profile", "actuation: 700ms", "actuation: 180ms"},
	}
	var out []robot
	for name, edits := range map[string][]Edit{"walker": nil, "wheels": wheels} {
		cfg := Documents(t, edits...)
		_, r := cfg.Policy.Fence(cfg.Profile, cfg.Topics)
		p := scenario.Promise{
			Decel: r.DecelMPS2, MaxSpeed: r.MaxSpeedMPS, Sigma: r.MinStdDevM, Contour: contour(cfg),
			Actuation: cfg.Profile.Motion.Reaction.Actuation - lateMost,
		}
		out = append(out, robot{name, cfg, Params(t, cfg), p, r.SigmaK*r.MinStdDevM + r.MapErrorM})
	}
	slices.SortFunc(out, func(a, b robot) int { return len(a.name) - len(b.name) + int(a.name[1]) - int(b.name[1]) })
	return out
}

// approach is how one drive at a zone ended.
type approach struct {
	oracle.KeepOut
	what   scenario.Approach
	stands bool
	trips  int
	// arc says that the robot was told to turn as well: it may then pass the zone and never stand.
	arc bool
}

// drive draws a robot, a zone and troubles, and drives at the zone until the robot has stood for two seconds.
func (r *robot) drive(t *testing.T, seed uint64, open bool) approach {
	t.Helper()
	a := scenario.DrawApproach(seed, r.promise)
	rng := rand.New(rand.NewPCG(seed, 0x617070))
	between := func(lo, hi time.Duration) time.Duration { return lo + time.Duration(rng.Int64N(int64(hi-lo))) }
	senses := Senses{
		Pose: time.Duration(float64(time.Second) / a.Plant.OdomHz), Rest: 20 * time.Millisecond, Tick: 20 * time.Millisecond,
		Latency: between(time.Millisecond, 25*time.Millisecond), Jitter: max(a.Plant.OdomJitter, 1), Yaw: 0.003, Speed: 0.003,
		SlowTime: between(time.Second, 20*time.Second),
	}
	// The drawn deviation is white, slow, or some of both.
	part := []float64{0, 1, rng.Float64()}[rng.IntN(3)]
	senses.White, senses.Slow = a.Plant.PoseSigma*math.Sqrt(1-part*part), a.Plant.PoseSigma*part
	s := New(t, Config{
		Params: With(t, r.cfg, r.params, []geofence.ZoneSpec{blocked(a.Zone)}, nil), Seed: seed, Civil: morning,
		X: a.Plant.X, Y: a.Plant.Y, Yaw: a.Plant.Yaw, Senses: senses, Open: open, Step: 5 * time.Millisecond, Truth: true,
		Body: Body{
			Accel: a.Plant.Accel, Decel: a.Plant.Decel, TurnAccel: 2, TurnDecel: 2, DeadTime: a.Plant.DeadTime, Lag: a.Plant.Lag,
			StepPeriod: a.Plant.StepPeriod, Slip: 0.05 * rng.Float64(), Timeout: a.Plant.CommandTimeout,
		},
		Up:     Link{Delay: time.Millisecond, Jitter: between(1, 10*time.Millisecond), Loss: 0.02 * rng.Float64(), Burst: 1 + rng.IntN(3)},
		Down:   Link{Delay: 0, Jitter: between(1, lateMost), Loss: a.Plant.LossProbability, Burst: a.Plant.LossLength},
		Period: []time.Duration{20 * time.Millisecond, 50 * time.Millisecond}[rng.IntN(2)],
	})
	out := approach{what: a, arc: !open && rng.IntN(4) == 0}
	if out.arc {
		a.Drive.W = (rng.Float64() - 0.5) * 1.2
		out.what = a
	}
	s.Ready()
	s.Plan = func(*Sim) (float64, float64, float64, bool) { return a.Drive.VX, a.Drive.VY, a.Drive.W, true }
	tripping := false
	s.Each = func(s *Sim) {
		trip := s.core.Verdict().Trip
		if trip && !tripping {
			out.trips++
		}
		tripping = trip
	}
	from, stood := len(s.truth.Samples), s.now
	moved := false
	out.stands = s.Until(a.Duration+30*time.Second, func() bool {
		if s.base.speed() > 0.005 {
			moved, stood = true, s.now
		}
		return moved && s.now-stood > 2*time.Second
	})
	s.truth.Samples = s.truth.Samples[from:]
	k, err := oracle.JudgeKeepOut(s.truth, r.promise.Contour, []oracle.Zone{a.Zone})
	if err != nil {
		t.Error(err)
	}
	out.KeepOut = k
	return out
}

// TestApproaches drives at zones with robots that are as bad as their profiles allow: none may enter, and none may stop
// farther from the edge than the required distance and 0.10 m.
func TestApproaches(t *testing.T) {
	s, n := seed(t), number(t, "ROBOWARDEN_APPROACHES", 120, 13_400) // about a quarter of them on arcs
	for _, r := range robots(t) {
		t.Run(r.name, func(t *testing.T) {
			start := time.Now()
			var mu sync.Mutex
			var over []float64
			least, entered, wide, restless, tripped, arcs := math.Inf(1), 0, 0, 0, 0, 0
			spread(n/2, func(i int) {
				a := r.drive(t, s+uint64(i), false) //nolint:gosec // a count
				mu.Lock()
				defer mu.Unlock()
				least = min(least, a.MinGapM)
				fail := func(count *int, format string, args ...any) {
					if *count++; *count <= 5 {
						t.Errorf("%s; %v", fmt.Sprintf(format, args...), a.what)
					}
				}
				if a.Inside {
					fail(&entered, "inside at %+v", a.At)
				}
				if a.trips > 0 {
					tripped++
				}
				if a.arc {
					arcs++
					return
				}
				over = append(over, a.FinalGapM-r.margin)
				if a.FinalGapM > r.margin+0.10 {
					fail(&wide, "stopped %.3f m before the edge, %.3f m are required", a.FinalGapM, r.margin)
				}
				if !a.stands {
					fail(&restless, "still moving at the end: %.3f m/s", a.FinalSpeedMPS)
				}
			})
			slices.Sort(over)
			q := func(p float64) float64 { return over[int(p*float64(len(over)-1))] }
			t.Logf("figures: %s: %d straight approaches and %d on arcs, %d entered, %d of the straight stopped farther than required (%.2f m) + 0.10 m, %d still moved; gap beyond required: median %+.3f, 99 %% %+.3f, greatest %+.3f m; smallest gap %.3f m; %d tripped; took %v",
				r.name, len(over), arcs, entered, wide, r.margin, restless, q(0.5), q(0.99), q(1), least, tripped, time.Since(start).Round(time.Second))
		})
	}
}

// TestWithoutAGuardApproachesEnter is the off case.
func TestWithoutAGuardApproachesEnter(t *testing.T) {
	s := seed(t)
	for _, r := range robots(t) {
		entered := 0
		for i := range 20 {
			if a := r.drive(t, s+uint64(i), true); a.Inside { //nolint:gosec // a count
				entered++
			}
		}
		t.Logf("figures: %s without a guard: %d of 20 entered", r.name, entered)
		if entered < 20 {
			t.Errorf("%s: only %d of 20 entered without a guard: the approaches prove nothing", r.name, entered)
		}
	}
}
