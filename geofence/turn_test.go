package geofence

import (
	"math"
	"math/rand/v2"
	"testing"
)

// spinning is an approach in a fixed direction of the map by a base that turns
// under it: to keep its direction it would have to accelerate across its motion
// by spin × speed, which these bases cannot.
func spinning(t *testing.T, rng *rand.Rand, trial int) *approach {
	a := drawnApproach(t, rng, 3*trial)
	head, speed := (rng.Float64()-0.5)*2.4, 0.2+rng.Float64()*1.3
	spin := (rng.Float64() - 0.5) * 3
	a.cmd = func(_ float64, p *plant) Velocity {
		mx, my := speed*math.Cos(head), speed*math.Sin(head)
		return Velocity{p.at.c*mx + p.at.s*my, p.at.c*my - p.at.s*mx, spin}
	}
	return a
}

// weaving is an approach by somebody who changes direction, speed and turning
// every now and then, as the map or as the base sees it.
func weaving(t *testing.T, rng *rand.Rand, trial int) *approach {
	a := drawnApproach(t, rng, 3*trial)
	var head, speed, spin, until float64
	mapwise := rng.IntN(2) == 0
	a.cmd = func(now float64, p *plant) Velocity {
		if now >= until {
			until = now + 0.2 + rng.Float64()*1.5
			head, speed, spin = (rng.Float64()-0.5)*3, 0.2+rng.Float64()*1.3, (rng.Float64()-0.5)*3
		}
		mx, my := speed*math.Cos(head), speed*math.Sin(head)
		if !mapwise {
			return Velocity{mx, my, spin}
		}
		return Velocity{p.at.c*mx + p.at.s*my, p.at.c*my - p.at.s*mx, spin}
	}
	return a
}

func TestTurningApproachesNeverEnter(t *testing.T) {
	const seed = 20260602
	t.Logf("seed %d", seed)
	for name, draw := range map[string]func(*testing.T, *rand.Rand, int) *approach{"spinning": spinning, "weaving": weaving} {
		rng := rand.New(rand.NewPCG(seed, 2))
		worst, gap, stood := math.Inf(1), 0.0, 0
		for i := range 120 {
			a := draw(t, rng, i)
			a.run()
			worst = math.Min(worst, a.worst)
			if a.worst <= 0 {
				t.Errorf("%s approach %d entered by %.3f m: %+v", name, i, -a.worst, a.plant)
			}
			if a.minRatio == 0 && math.Hypot(a.plant.vel.VX, a.plant.vel.VY) < 0.005 {
				stood++
				gap = math.Max(gap, a.clear(&a.plant)-a.rig.out.MarginM)
			}
		}
		if name == "spinning" && gap > 0.1 {
			t.Errorf("%s: stood %.3f m before the margin", name, gap)
		}
		t.Logf("%s: smallest clearance %.4f m, widest gap %.4f m, %d stood at the edge", name, worst, gap, stood)
	}
}

// pausing makes an approach start farther away and stop once on its way, as
// somebody who lets a pedestrian pass.
func pausing(a *approach) {
	drive := a.cmd
	a.seconds, a.plant.at.x = 24, a.plant.at.x-8
	a.cmd = func(now float64, p *plant) Velocity {
		if now > 2 && now < 5 {
			return Velocity{}
		}
		return drive(now, p)
	}
}

// weakened runs approaches with a share of the brakes that the profile says, each
// after one stop on the way, and counts those that entered.
func weakened(t *testing.T, share float64, blind bool) (entered int, worst, gap float64) {
	rng := rand.New(rand.NewPCG(20260603, 3))
	worst = math.Inf(1)
	for i := range 40 {
		var a *approach
		if i%4 == 3 {
			a = spinning(t, rng, i)
		} else {
			a = drawnApproach(t, rng, i)
		}
		a.plant.decel, a.plant.yawDecel = a.plant.decel*share, a.plant.yawDecel*share
		pausing(a)
		if blind {
			drive := a.cmd
			a.cmd = func(now float64, p *plant) Velocity {
				a.rig.believe(1, 1)
				return drive(now, p)
			}
		}
		a.run()
		worst = math.Min(worst, a.worst)
		if a.worst <= 0 {
			entered++
		}
		if a.minRatio == 0 && math.Hypot(a.plant.vel.VX, a.plant.vel.VY) < 0.005 {
			gap = math.Max(gap, a.clear(&a.plant)-a.rig.out.MarginM)
		}
	}
	return entered, worst, gap
}

// TestBrakesOnceSeenAreReckonedWith is about a robot that does not keep its
// vendor's promise: the first stop tells, and from then on no edge is passed.
func TestBrakesOnceSeenAreReckonedWith(t *testing.T) {
	for _, share := range []float64{0.9, 0.8, 0.7} {
		entered, worst, gap := weakened(t, share, false)
		t.Logf("share %v: %d of 40 entered, smallest clearance %.3f m, widest gap %.3f m", share, entered, worst, gap)
		if entered > 0 || gap > 0.1 {
			t.Errorf("share %v: %d of 40 entered by up to %.3f m, gap %.3f m", share, entered, -worst, gap)
		}
	}
	// The off case: a fence that believes the promise whatever it sees.
	if entered, _, _ := weakened(t, 0.7, true); entered < 7 {
		t.Errorf("blind to its brakes, only %d of 40 entered: the test cannot fail", entered)
	}
}

// TestTheTurnInPlaceIsSwept stops a robot that could come to rest on its arc and
// on a straight line, but not if its way stops before its turn.
func TestTheTurnInPlaceIsSwept(t *testing.T) {
	r := newRig(t, site(wall(0)), wheels())
	// Just outside the margin it drives away and turns: the
	// corners of 0.5 m come nearer while it stays.
	u := Velocity{VX: -0.3, YawRate: 1.5}
	r.in.Velocity.Velocity = u
	r.at(-0.474, 0, 0)
	r.Issued(r.now, u)
	l := r.limit(u)
	t.Logf("ratio %.3f", l.Ratio)
	if l.Ratio > 0.9 {
		t.Errorf("ratio %v, and the turn in place reaches the wall", l.Ratio)
	}
	straight := Velocity{VX: -0.3}
	r.in.Velocity.Velocity = straight
	r.pass(20 * 1e6)
	r.at(-0.474, 0, 0)
	r.Issued(r.now, straight)
	if l := r.limit(straight); l.Ratio != 1 {
		t.Errorf("straight away: ratio %v", l.Ratio)
	}
}

func TestWaysOf(t *testing.T) {
	want := [5]twist{{4, 2, 1}, {4, 2, 0}, {0, 0, 1}, {4, 2, 0.5}, {2, 1, 1}}
	if got := waysOf(twist{4, 2, 1}); got != want {
		t.Errorf("%v, want %v", got, want)
	}
}

// rests follows a motion to rest from the end of a flight, each axis braking at
// its own multiple of the promise, and returns the smallest clearance on the way.
func (r *rig) rests(c *candidate, at frame, u twist, linear, turning float64) float64 {
	const dt = 0.01
	speed, spin, least := u.speed(), math.Abs(u.w), math.Inf(1)
	dir := u.scale(1 / u.speed())
	for speed > 0 || spin > 0 {
		at = at.advance(twist{dir.vx * speed, dir.vy * speed, math.Copysign(spin, u.w)}, dt)
		speed, spin = math.Max(0, speed-1000*linear*dt), math.Max(0, spin-2*turning*dt)
		r.probe.set(&r.body.body, at)
		clear, inside, _ := r.look(&c.obstacle, &r.probe, 1000)
		if inside {
			return 0
		}
		least = math.Min(least, clear)
	}
	return least
}

// TestEveryWayToRestIsSeen lets the axes of a turning, driving robot brake at
// rates of their own, at least as hard as promised: where the fence says that it
// stays clear of the margin, it does.
func TestEveryWayToRestIsSeen(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 5))
	t.Log("seed 5")
	said, arcOnly := 0, 0
	for range 5000 {
		a, d := rng.Float64()*7, 300+rng.Float64()*900
		ring := star(rng, d*math.Cos(a), d*math.Sin(a), 100+rng.Float64()*500, 3+rng.IntN(6))
		if len(checkRings([][]Vertex{ring}, MaxCoordinateMM)) > 0 {
			continue
		}
		r := newRig(t, site(ZoneSpec{ID: "z", Kind: Blocked, Outer: ring}), wheels())
		s, c := math.Sincos(rng.Float64() * 7)
		speed := 0.05 + rng.Float64()*1.2
		r.in.Velocity.Velocity = Velocity{speed * s, speed * c, (rng.Float64() - 0.5) * 3}
		u := r.in.Velocity.twist()
		linear, turning := 1+rng.ExpFloat64()*3*float64(rng.IntN(2)), 1+rng.ExpFloat64()*3*float64(rng.IntN(2))
		if r.at(0, 0, 0); len(r.cands) == 0 || r.cands[0].inside {
			continue
		}
		o, m := &r.cands[0], r.margin(0)
		fl := r.coast(0)
		fl.holdS = 0
		if o.clear < m || r.flies(&fl, &o.obstacle, m, o.clear) {
			continue
		}
		clear := r.rests(o, fl.end, u, linear, turning)
		if _, hit := r.sweep(&o.obstacle, fl.end, u, r.stopS(u), m, 0); !hit && clear < m-3 {
			arcOnly++
		}
		if !r.stops(&fl, &o.obstacle, m, o.clear) {
			continue
		}
		if said++; clear < m-5 {
			t.Errorf("%+v braking at %.2f and %.2f times the promise comes to %.1f mm, the margin is %.1f mm", u, linear, turning, clear, m)
		}
	}
	if said < 500 || arcOnly < 1 {
		t.Errorf("%d times it was said to stay clear; the arc alone would have been wrong %d times: the test cannot fail", said, arcOnly)
	}
}
