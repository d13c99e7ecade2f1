package geofence

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"
)

// plant is a crude base: dead time, a first-order lag, and limits of
// acceleration and braking. It knows nothing of how the fence predicts.
type plant struct {
	at                 frame // metres in x and y
	vel                Velocity
	delay, lag         float64 // seconds
	accel, decel       float64
	yawAccel, yawDecel float64
	pending            []delayed
	in                 Velocity // what the drive works at
}

type delayed struct {
	at  float64
	cmd Velocity
}

func (p *plant) command(t float64, v Velocity) {
	p.pending = append(p.pending, delayed{t + p.delay, v})
}

func (p *plant) step(t, dt float64) {
	for len(p.pending) > 0 && p.pending[0].at <= t {
		p.in, p.pending = p.pending[0].cmd, p.pending[1:]
	}
	// The linear velocity moves towards its target as a vector, at a rate that
	// braking bounds differently from accelerating.
	dx, dy := p.in.VX-p.vel.VX, p.in.VY-p.vel.VY
	rate := p.accel
	if p.vel.VX*dx+p.vel.VY*dy < 0 {
		rate = p.decel
	}
	k := math.Min(dt/p.lag, 1)
	if d := math.Hypot(dx, dy); d*k > rate*dt {
		k = rate * dt / d
	}
	p.vel.VX, p.vel.VY = p.vel.VX+k*dx, p.vel.VY+k*dy
	dw := p.in.YawRate - p.vel.YawRate
	rate = p.yawAccel
	if p.vel.YawRate*dw < 0 {
		rate = p.yawDecel
	}
	step := math.Min(math.Abs(dw)*math.Min(dt/p.lag, 1), rate*dt)
	p.vel.YawRate += math.Copysign(step, dw)
	s, c := math.Sincos(math.Atan2(p.at.s, p.at.c) + p.vel.YawRate*dt/2)
	p.at.x += (p.vel.VX*c - p.vel.VY*s) * dt
	p.at.y += (p.vel.VX*s + p.vel.VY*c) * dt
	p.at.s, p.at.c = math.Sincos(math.Atan2(p.at.s, p.at.c) + p.vel.YawRate*dt)
}

// approach is one closed loop of plant, localisation and gate.
type approach struct {
	rig                *rig
	plant              plant
	cmd                func(t float64, p *plant) Velocity
	posePeriod         float64
	cmdPeriod          float64
	poseLatency        float64
	noise              float64
	seconds            float64
	rng                *rand.Rand
	open               bool // the gate passes everything: the off case
	clear              func(p *plant) float64
	worst              float64 // smallest true clearance in metres
	minRatio           float64
	trips              int
	topSpeed, tripTime float64
}

type heldPose struct {
	at    float64
	boot  float64
	frame frame
	vel   Velocity
}

func (a *approach) run() {
	const dt = 0.002
	a.worst, a.minRatio = math.Inf(1), 1
	nextPose, nextCmd := 0.0, 0.0
	var queue []heldPose
	var held Velocity
	start := a.rig.now
	tripping := false
	for t := 0.0; t < a.seconds; t += dt {
		a.rig.now = start
		a.rig.pass(time.Duration(t * 1e9))
		if t >= nextPose {
			nextPose += a.posePeriod
			fr := a.plant.at
			if a.noise > 0 {
				fr.x += a.rng.NormFloat64() * a.noise
				fr.y += a.rng.NormFloat64() * a.noise
			}
			queue = append(queue, heldPose{t + a.poseLatency, t, fr, a.plant.vel})
		}
		for len(queue) > 0 && queue[0].at <= t {
			q := queue[0]
			queue = queue[1:]
			p := &a.rig.in.Pose
			p.Seen, p.Boot = true, a.rig.now.Boot
			p.StampNS = start.Civil.UnixNano() + int64(q.boot*1e9)
			p.X, p.Y = q.frame.x, q.frame.y
			half := math.Atan2(q.frame.s, q.frame.c) / 2
			p.QZ, p.QW = math.Sin(half), math.Cos(half)
			a.rig.in.Velocity = Measured{Known: true, Boot: a.rig.now.Boot, Velocity: q.vel}
			a.rig.Step(a.rig.now, &a.rig.in, &a.rig.out)
			if a.rig.out.Trip && !tripping {
				a.trips++
				a.tripTime = t
			}
			tripping = a.rig.out.Trip
		}
		if t >= nextCmd && a.rig.in.Pose.Seen {
			nextCmd += a.cmdPeriod
			cmd := a.cmd(t, &a.plant)
			l := a.rig.limit(cmd)
			a.minRatio = math.Min(a.minRatio, l.Ratio)
			held = Velocity{cmd.VX * l.Ratio, cmd.VY * l.Ratio, cmd.YawRate * l.Ratio}
			if a.open {
				held = cmd
			}
			a.rig.Issued(a.rig.now, held)
			a.plant.command(t, held)
		}
		a.plant.step(t, dt)
		a.topSpeed = math.Max(a.topSpeed, math.Hypot(a.plant.vel.VX, a.plant.vel.VY))
		a.worst = math.Min(a.worst, a.clear(&a.plant))
	}
}

// corners are the true contour in metres.
func corners(b *body, p *plant) [][2]float64 {
	out := make([][2]float64, b.n)
	for i := range b.n {
		x, y := b.x[i]/1000, b.y[i]/1000
		out[i] = [2]float64{p.at.x + p.at.c*x - p.at.s*y, p.at.y + p.at.s*x + p.at.c*y}
	}
	return out
}

// wallClear is the true clearance before a half-plane x >= at.
func wallClear(b *body, at float64) func(*plant) float64 {
	return func(p *plant) float64 {
		least := math.Inf(1)
		for _, c := range corners(b, p) {
			least = math.Min(least, at-c[0])
		}
		return least
	}
}

func drawnApproach(t *testing.T, rng *rand.Rand, trial int) *approach {
	robot := wheels()
	r := newRig(t, site(wall(0)), robot)
	a := &approach{rig: r, rng: rng, seconds: 14}
	a.posePeriod = []float64{0.02, 0.05, 0.1}[rng.IntN(3)]
	a.cmdPeriod = []float64{0.01, 0.02, 0.05}[rng.IntN(3)]
	a.poseLatency = rng.Float64() * 0.02
	total := 0.25 - a.poseLatency
	split := rng.Float64()
	a.plant = plant{
		delay: total * split, lag: math.Max(total*(1-split)*0.98, 0.004),
		accel: 0.5 + rng.Float64()*0.5, decel: 1.0, yawAccel: 2, yawDecel: 2,
	}
	yaw := rng.Float64() * 2 * math.Pi
	a.plant.at = frame{-3 - rng.Float64()*2, 0, math.Cos(yaw), math.Sin(yaw)}
	// Drive in a direction of the map that leads to the wall, whatever the yaw.
	head, speed := (rng.Float64()-0.5)*2.4, 0.2+rng.Float64()*1.3
	spin := 0.0
	if trial%3 == 1 {
		// Turning the base under a fixed direction accelerates it by spin × speed.
		spin = (rng.Float64() - 0.5) * math.Min(2, a.plant.accel/speed)
	}
	arc := 0.0
	if trial%3 == 2 {
		arc = (rng.Float64() - 0.5)
	}
	a.cmd = func(_ float64, p *plant) Velocity {
		if arc != 0 {
			// A fixed twist: an arc that leads somewhere.
			return Velocity{speed * math.Cos(head-yaw), speed * math.Sin(head-yaw), arc}
		}
		mx, my := speed*math.Cos(head), speed*math.Sin(head)
		return Velocity{p.at.c*mx + p.at.s*my, p.at.c*my - p.at.s*mx, spin}
	}
	a.clear = wallClear(&r.body.body, 0)
	return a
}

func TestApproachesNeverEnter(t *testing.T) {
	const seed = 20260601
	t.Logf("seed %d", seed)
	for _, noise := range []float64{0, 0.01} {
		rng := rand.New(rand.NewPCG(seed, 1))
		worst, gap, trips, stood := math.Inf(1), 0.0, 0, 0
		for i := range 150 {
			a := drawnApproach(t, rng, i)
			a.noise = noise
			a.run()
			worst, trips = math.Min(worst, a.worst), trips+a.trips
			if a.worst <= 0 {
				t.Errorf("noise %v, approach %d entered by %.3f m: %+v", noise, i, -a.worst, a.plant)
			}
			if a.minRatio == 0 && math.Hypot(a.plant.vel.VX, a.plant.vel.VY) < 0.005 {
				stood++
				gap = math.Max(gap, a.clear(&a.plant)-a.rig.out.MarginM)
			}
		}
		if gap > 0.05 || stood < 60 || trips > 5 {
			t.Errorf("noise %v: widest gap beyond the margin %.3f m, %d stood at the edge, %d trips", noise, gap, stood, trips)
		}
		t.Logf("noise %v: smallest clearance %.4f m, widest gap %.4f m, %d stood at the edge, %d trips", noise, worst, gap, stood, trips)
	}
}

func TestWithoutTheFenceApproachesEnter(t *testing.T) {
	rng := rand.New(rand.NewPCG(20260601, 1))
	entered, tripped := 0, 0
	for i := range 30 {
		a := drawnApproach(t, rng, i)
		a.open = true
		a.run()
		if a.worst <= 0 {
			entered++
			if a.trips > 0 {
				tripped++
			}
		}
	}
	if entered < 15 || tripped < entered-2 {
		t.Errorf("with an open gate %d of 30 entered and %d of these tripped: the test cannot fail", entered, tripped)
	}
}

// lane drives a straight line along x at a lateral distance of the contour from
// a wall, and returns the time it took and the smallest ratio on the way.
func lane(t *testing.T, zones []ZoneSpec, goal, speed, noise float64) (seconds, ratio float64) {
	t.Helper()
	r := newRig(t, site(zones...), wheels())
	rng := rand.New(rand.NewPCG(3, 3))
	a := &approach{rig: r, rng: rng, noise: noise, posePeriod: 0.05, cmdPeriod: 0.02, poseLatency: 0.01, seconds: 60}
	a.plant = plant{at: frame{0, 0, 1, 0}, delay: 0.1, lag: 0.1, accel: 1, decel: 1, yawAccel: 2, yawDecel: 2}
	a.clear = func(*plant) float64 { return 0 }
	arrived := math.Inf(1)
	a.cmd = func(now float64, p *plant) Velocity {
		if left := goal - p.at.x; left > 0.02 {
			return Velocity{VX: math.Min(speed, 1.0*left)} // as a planner approaches its goal
		}
		arrived = math.Min(arrived, now)
		return Velocity{}
	}
	a.run()
	return arrived, a.minRatio
}

func TestDriveByIsNotSlowed(t *testing.T) {
	// m is 0.058 m: a wall beside the lane, 2 cm outside the margin, and a wall
	// across its end, beyond the required distance of the goal.
	beside := ZoneSpec{ID: "beside", Kind: Blocked, Outer: rect(-5000, 380, 25_000, 2000)}
	ahead := ZoneSpec{ID: "ahead", Kind: Blocked, Outer: rect(20_600, -5000, 25_000, 5000)}
	free, _ := lane(t, []ZoneSpec{wall(900_000)}, 20, 1.4, 0)
	for name, zones := range map[string][]ZoneSpec{"beside": {beside}, "ahead": {ahead}, "both": {beside, ahead}} {
		took, ratio := lane(t, zones, 20, 1.4, 0)
		if took > free*1.01 || name == "beside" && ratio < 1 {
			t.Errorf("%s: %.2f s, %.2f s without, smallest ratio %v", name, took, free, ratio)
		}
		t.Logf("%s: %.2f s, %.2f s without, smallest ratio %.3f", name, took, free, ratio)
	}
	// The off case: within the margin it creeps.
	near := ZoneSpec{ID: "near", Kind: Blocked, Outer: rect(-5000, 340, 25_000, 2000)}
	if _, ratio := lane(t, []ZoneSpec{near}, 20, 1.4, 0); ratio > 0.1 {
		t.Errorf("within the margin the ratio is still %v", ratio)
	}
}

func TestSpeedIsReachedUponEntering(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 5))
	for i := range 30 {
		slow := ZoneSpec{ID: "slow", Kind: SpeedLimit, MaxSpeedMPS: 0.3 + rng.Float64()*0.5, Outer: rect(0, -50_000, 50_000, 50_000)}
		a := drawnApproach(t, rng, 3*i)
		r := newRig(t, site(slow), wheels())
		a.rig = r
		over := 0.0
		a.clear = func(p *plant) float64 {
			d := wallClear(&r.body.body, 0)(p)
			if d <= 0 {
				over = math.Max(over, math.Hypot(p.vel.VX, p.vel.VY)-slow.MaxSpeedMPS)
			}
			return d
		}
		a.run()
		if over > 0.02 {
			t.Errorf("approach %d: %.3f m/s above the limit in the zone", i, over)
		}
	}
}

func TestEgressNeverDeepens(t *testing.T) {
	// A robot in a ward, under grant, is driven by somebody who wants to go
	// deeper as often as out: it must never get deeper than it was.
	for trial := range 12 {
		rng := rand.New(rand.NewPCG(uint64(trial), 6))
		r := newRig(t, site(ZoneSpec{ID: "ward", Kind: Blocked, Outer: rect(0, -5000, 20_000, 5000)}), wheels())
		r.in.Egress = Egress{Active: true, Zone: 0}
		a := &approach{rig: r, rng: rng, posePeriod: 0.05, cmdPeriod: 0.05, seconds: 60}
		yaw := rng.Float64() * 6
		a.plant = plant{
			at: frame{-0.2 + rng.Float64(), 0, math.Cos(yaw), math.Sin(yaw)}, delay: 0.05, lag: 0.05,
			accel: 1, decel: 1, yawAccel: 2, yawDecel: 2,
		}
		var cmd Velocity
		a.cmd = func(now float64, _ *plant) Velocity {
			if int(now*20)%10 == 0 {
				cmd = Velocity{rng.Float64()*2 - 1, rng.Float64()*2 - 1, (rng.Float64()*2 - 1) * float64(rng.IntN(2))}
			}
			return cmd
		}
		a.clear = wallClear(&r.body.body, 0)
		first := a.clear(&a.plant)
		if first > 0 {
			continue
		}
		a.run()
		if a.worst < first-0.03 {
			t.Errorf("trial %d: %.3f m deep became %.3f m", trial, -first, -a.worst)
		}
		if end := a.clear(&a.plant); end < first+0.05 {
			t.Errorf("trial %d: it did not get out, from %.3f to %.3f m", trial, first, end)
		}
	}
}

// tour drives a car-like round through a ring of corridors, 2.4 m wide, with a
// shelf at each corner's inside, and returns the time that it took.
func tour(t *testing.T, open bool, noise float64) (seconds, worst float64) {
	t.Helper()
	zones := []ZoneSpec{
		{ID: "corridors", Kind: KeepIn, Outer: rect(-1200, -1200, 21_200, 11_200), Holes: [][]Vertex{rect(1200, 1200, 18_800, 8800)}},
		{ID: "pharmacy", Kind: Blocked, Outer: rect(9000, -1200, 11_000, -600)},
		{ID: "lift", Kind: Blocked, Outer: rect(20_500, 4000, 21_200, 6000)},
	}
	r := newRig(t, site(zones...), wheels())
	r.in.Pose.VarX, r.in.Pose.VarY = 1e-4, 1e-4
	a := &approach{rig: r, rng: rand.New(rand.NewPCG(8, 8)), noise: noise, posePeriod: 0.05, cmdPeriod: 0.02, poseLatency: 0.01, seconds: 150, open: open}
	a.plant = plant{at: frame{0, 0, 1, 0}, delay: 0.08, lag: 0.08, accel: 0.8, decel: 1, yawAccel: 2, yawDecel: 2}
	stops := [][2]float64{{20, 0}, {20, 10}, {0, 10}, {0, 0}, {20, 0}, {20, 10}, {0, 10}, {0, 0}}
	next, arrived := 0, math.Inf(1)
	a.cmd = func(now float64, p *plant) Velocity {
		if next == len(stops) {
			arrived = math.Min(arrived, now)
			return Velocity{}
		}
		dx, dy := stops[next][0]-p.at.x, stops[next][1]-p.at.y
		left := math.Hypot(dx, dy)
		off := math.Atan2(p.at.c*dy-p.at.s*dx, p.at.c*dx+p.at.s*dy)
		if left < 0.15 {
			next++
			return Velocity{}
		}
		v := math.Min(1.2, math.Sqrt(2*0.6*left)) * math.Max(0, math.Cos(off)*3-2)
		return Velocity{VX: v, YawRate: math.Max(-1, math.Min(1, 2.5*off))}
	}
	edges := r.set.edges
	a.clear = func(p *plant) float64 {
		least := math.Inf(1)
		for _, c := range corners(&r.body.body, p) {
			least = math.Min(least, clearOf(edges, c[0]*1000, c[1]*1000)/1000)
		}
		return least
	}
	a.run()
	return arrived, a.worst
}

func TestTourIsNotSlowed(t *testing.T) {
	free, _ := tour(t, true, 0)
	for _, noise := range []float64{0, 0.01} {
		took, worst := tour(t, false, noise)
		t.Logf("noise %v: %.1f s, %.1f s without the fence, smallest clearance %.3f m", noise, took, free, worst)
		if took > 1.10*free {
			t.Errorf("noise %v: %.1f s, %.1f s without the fence", noise, took, free)
		}
	}
}
