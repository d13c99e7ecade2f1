package geofence

import (
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// travelled is what the fence does in a cell of a zone with a direction of travel, in the table's words. The robot drives
// along x, and what it is asked leads towards the zone or away from it, each time along, across or against the zone's direction.
func (c *cell) travelled(t *testing.T, variant int, _ []Lease) string {
	t.Helper()
	off := 0.0
	switch {
	case strings.Contains(c.known, "across it"):
		off = math.Pi / 3
	case strings.Contains(c.known, "against it"):
		off = math.Pi
	}
	if c.nearer = 0; c.place == Outside {
		r := c.reach(t, variant, nil)
		if r.out.N == 1 {
			c.nearer = r.out.Near[0].MarginM - r.out.MarginM - 0.03
		}
	}
	ask := func(v Velocity, lead float64) Limit {
		c.direction = math.Remainder(lead+off, 2*math.Pi)
		r := c.reach(t, variant, nil)
		if on := r.out.Manipulators.On || r.out.Perception.On || r.out.Remote.On || r.out.Warn.On || r.out.Dwell.On; on || r.out.Trip {
			t.Errorf("more than motion is restricted: %+v", r.out)
		}
		return r.limit(v)
	}
	towards, away, turn := ask(Velocity{VX: 1}, 0), ask(Velocity{VX: -1}, math.Pi), ask(Velocity{YawRate: 0.5}, 0)
	creep := wheels().CreepMPS
	is := func(l Limit, mps float64) bool { return math.Abs(l.AllowedMPS-mps) < 1e-6 }
	switch {
	case towards.Ratio == 0 && away.Ratio == 0 && turn.Ratio == 0:
		return MotionHold
	case turn.Ratio != 1:
		return "a turn in place is limited"
	case towards.Ratio == 1 && away.Ratio == 1:
		return MotionFree
	case is(towards, creep) && is(away, creep) && towards.Reason == ReasonDirection:
		return MotionCreep
	case towards.Ratio == 0 && away.Ratio == 0 && towards.Reason == ReasonDirection:
		return MotionTurn
	case towards.Ratio == 0 && is(away, creep) && towards.Reason == ReasonDirection:
		return MotionTurnAway
	case away.Ratio != 1 || towards.Reason != ReasonDirectionAhead:
		return "neither way"
	case towards.AllowedMPS >= creep-1e-9 && towards.AllowedMPS < 0.5:
		return MotionSlowBefore
	case towards.AllowedMPS < creep:
		return MotionStopBefore
	}
	return "too fast"
}

// inLane puts a robot that faces along x into the middle of a zone.
func inLane(t tb, kind Kind, l Limitation, direction float64) *rig {
	r := newRig(t, site(ZoneSpec{ID: "lane", Kind: kind, Outer: rect(-9000, -9000, 9000, 9000), Limitation: l, DirectionRad: direction}), wheels())
	r.at(0, 0, 0)
	return r
}

// TestTheHeadingThatCountsIsThatOfTheMotion: the body may face anywhere.
func TestTheHeadingThatCountsIsThatOfTheMotion(t *testing.T) {
	const deg = math.Pi / 180
	for _, c := range []struct {
		name     string
		kind     Kind
		limit    Limitation
		heading  float64 // of the command, degrees from the zone's direction
		measured float64 // of the measured motion
		speed    float64 // of that
		want     float64
	}{
		{"along", Directed, Strict, 0, 0, 1, 1},
		{"29 degrees", Directed, Strict, 29, 0, 0, 1},
		{"31 degrees", Directed, Strict, 31, 0, 0, 0},
		{"-31 degrees", Directed, Strict, -31, 0, 0, 0},
		{"31 degrees, restricted", Directed, Restricted, 31, 0, 0, 0.1},
		{"89 degrees, restricted", Directed, Restricted, 89, 0, 0, 0.1},
		{"91 degrees, restricted", Directed, Restricted, 91, 0, 0, 0},
		{"151 degrees, both ways", Bidirected, Restricted, 151, 0, 0, 1},
		{"149 degrees, both ways", Bidirected, Restricted, 149, 0, 0, 0.1},
		{"anywhere, soft", Directed, Soft, 180, 180, 1, 1},
		{"along, moves across", Directed, Strict, 0, 90, 0.5, 0},
		{"along, moves against", Directed, Restricted, 0, 180, 0.5, 0},
		{"along, moves across, restricted", Directed, Restricted, 0, 60, 0.5, 0.1},
		{"along, moves against, both ways", Bidirected, Restricted, 0, 180, 0.5, 1},
		{"along, noise", Directed, Strict, 0, 180, 0.04, 1},
	} {
		for _, yaw := range []float64{0, 1, -2.5, 3.1} {
			r := newRig(t, site(ZoneSpec{ID: "lane", Kind: c.kind, Outer: rect(-9000, -9000, 9000, 9000), Limitation: c.limit, DirectionRad: 2}), wheels())
			lead := func(heading, speed float64) Velocity {
				s, k := math.Sincos(2 + heading*deg - yaw)
				return Velocity{VX: k * speed, VY: s * speed}
			}
			r.in.Velocity.Velocity = lead(c.measured, c.speed)
			r.at(0, 0, yaw)
			if l := r.limit(lead(c.heading, 1)); math.Abs(l.Ratio-c.want) > 1e-9 || c.want < 1 && l.Reason != ReasonDirection {
				t.Errorf("%s, facing %v: %+v, want %v", c.name, yaw, l, c.want)
			}
		}
	}
}

// TestAnArcIsStoppedWithinTheTolerance: what turns out of the direction is slowed down, what turns back is not.
func TestAnArcIsStoppedWithinTheTolerance(t *testing.T) {
	r := inLane(t, Directed, Strict, -0.4)
	out, back := r.limit(Velocity{VX: 0.5, YawRate: 0.8}), r.limit(Velocity{VX: 0.5, YawRate: -0.5})
	if !(out.Ratio > 0 && out.Ratio < 0.5) || back.Ratio != 1 {
		t.Errorf("out %+v, back %+v", out, back)
	}
	again := r.limit(Velocity{VX: 0.5 * out.Ratio, YawRate: 0.8 * out.Ratio})
	if again.Ratio < 1-1e-5 {
		t.Errorf("what was let pass is limited once more: %+v", again)
	}
}

// TestTheTurningThatCannotBeUndoneCounts: the motion at hand goes on for a while, whatever is commanded.
func TestTheTurningThatCannotBeUndoneCounts(t *testing.T) {
	for w, want := range map[float64]float64{0.8: 0, -0.5: 1, 0: 1} {
		r := newRig(t, site(ZoneSpec{ID: "lane", Kind: Directed, Outer: rect(-9000, -9000, 9000, 9000), Limitation: Strict, DirectionRad: -0.4}), wheels())
		r.in.Velocity.Velocity = Velocity{VX: 0.5, YawRate: w}
		r.at(0, 0, 0)
		if l := r.limit(Velocity{VX: 0.5}); l.Ratio != want {
			t.Errorf("turning at %v rad/s: %+v, want %v", w, l, want)
		}
	}
}

// TestWhoeverStandsInALaneCanLeaveIt: it turns in place as far as it must, and goes along.
func TestWhoeverStandsInALaneCanLeaveIt(t *testing.T) {
	for _, l := range []Limitation{Soft, Restricted, Strict} {
		for yaw := -3.0; yaw <= 3; yaw += 0.5 {
			r := newRig(t, site(ZoneSpec{ID: "lane", Kind: Directed, Outer: rect(-9000, -1000, 9000, 1000), Limitation: l}), wheels())
			r.at(0, 0, yaw)
			if turn := r.limit(Velocity{YawRate: 1}); turn.Ratio != 1 {
				t.Fatalf("%v at %v: turning in place %+v", l, yaw, turn)
			}
			s, c := math.Sincos(-yaw)
			if on := r.limit(Velocity{VX: c, VY: s}); on.Ratio != 1 {
				t.Fatalf("%v at %v: along %+v", l, yaw, on)
			}
		}
	}
}

// TestDirectionsAreWithinTheTolerance asks about arcs of directions, and walks along each: one that leaves the tolerance
// anywhere is not within it, one that stays in it is.
func TestDirectionsAreWithinTheTolerance(t *testing.T) {
	const seed = 20261201
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 1))
	in, all := 0, 0
	for range 20_000 {
		tolerance := DirectionToleranceRad
		if rng.IntN(2) == 0 {
			tolerance = againstRad
		}
		both := rng.IntN(2) == 0 && tolerance < againstRad
		blur, turn := rng.ExpFloat64()*0.3, rng.NormFloat64()*1.5
		along, off := rng.Float64()*7, (rng.Float64()-0.5)*7
		z := zone{kind: Directed}
		if both {
			z.kind = Bidirected
		}
		z.alongY, z.alongX = math.Sincos(along)
		worst := 0.0
		for i := range 400 {
			from, to := min(0, turn)-blur, max(0, turn)+blur
			d := math.Abs(math.Remainder(off+from+(to-from)*float64(i)/399, 2*math.Pi))
			if both {
				d = min(d, math.Pi-d)
			}
			worst = max(worst, d)
		}
		if math.Abs(worst-tolerance) < 0.05 {
			continue // between two steps it may be either
		}
		y, x := math.Sincos(along + off)
		size := 0.1 + 1000*rng.Float64()
		got := z.course(tolerance).spans(arrow{x * size, y * size}, turn, blur, tolerance)
		if got != (worst < tolerance) {
			t.Fatalf("%.3f rad off, turned by %.3f, blur %.3f: %v, it deviates by %.3f of %.3f", off, turn, blur, got, worst, tolerance)
		}
		if all++; got {
			in++
		}
	}
	if in < all/20 || in > all*19/20 {
		t.Errorf("%d of %d were within", in, all)
	}
	ahead := zone{kind: Directed, alongX: 1}
	for a, want := range map[arrow]bool{{1, 0}: true, {-1, 0}: false, {0, 0}: true} {
		if ahead.course(0).admits(a) != want {
			t.Errorf("without tolerance %v: %v, want %v", a, !want, want)
		}
	}
}

// TestEachTurningCountsInFull compares with the turning as it adds up by hand: of the age, of the commands in flight, of the
// command until it could be at rest.
func TestEachTurningCountsInFull(t *testing.T) {
	robot := wheels() // 0.3 s of reaction, of which 0.05 s may pass before the next command; it brakes by 1 m/s² and 2 rad/s²
	const reaction, period, dead = 0.3, 0.05, 0.25
	put := func(off float64, moves Velocity, age time.Duration) *rig {
		r := newRig(t, site(ZoneSpec{ID: "lane", Kind: Directed, Outer: rect(-9000, -9000, 9000, 9000), Limitation: Strict, DirectionRad: -off}), robot)
		r.in.Velocity.Velocity = moves
		r.at(0, 0, 0)
		r.pass(age)
		return r
	}
	room := func(off float64, r *rig) float64 { return DirectionToleranceRad - off - r.yawBlur() }
	ratio := func(name string, r *rig, u Velocity, want func(s float64) float64, room float64) {
		t.Helper()
		lo, hi := 0.0, 1.0
		for range 60 {
			if mid := (lo + hi) / 2; want(mid) <= room {
				lo = mid
			} else {
				hi = mid
			}
		}
		if got := r.limit(u).Ratio; lo < 0.05 || lo > 0.95 || math.Abs(got-lo) > 1e-5 {
			t.Errorf("%s: ratio %v, by hand %v", name, got, lo)
		}
	}
	// From rest: the command's own turning for age, reaction and half the time that it brakes.
	const age = 0.1
	r := put(0.2, Velocity{}, 100*time.Millisecond)
	ratio("from rest", r, Velocity{VX: 0.5, YawRate: 0.8}, func(s float64) float64 { return 0.8 * s * (age + reaction + s*0.25) }, room(0.2, r))
	// On the way already, by a motion that ends soon: what is in flight, and the command from there on.
	r = put(0.31, Velocity{VX: 0.1, YawRate: 0.3}, 0)
	ratio("on the way", r, Velocity{VX: 1, YawRate: 0.25}, func(s float64) float64 { return 0.3*dead + 0.25*s*(2*period+s*0.5) }, room(0.31, r))
	// Straight on: the turning at hand for age and flight, and as it ends.
	last := func(name string, set func(off float64) *rig, turned float64) {
		t.Helper()
		blur := set(0).yawBlur()
		for _, d := range []float64{-1e-4, 1e-4} {
			want := 0.0
			if d < 0 {
				want = 1
			}
			if l := set(DirectionToleranceRad - blur - turned + d).limit(Velocity{VX: 0.5}); l.Ratio != want {
				t.Errorf("%s, %g rad beyond: %+v", name, d, l)
			}
		}
	}
	last("as it ends", func(off float64) *rig { return put(off, Velocity{VX: 1, YawRate: 0.4}, 100*time.Millisecond) }, 0.4*(age+dead+period+0.5))
	// It was told to turn back, so that it is turned most at the end of the flight.
	swing := func(off float64) *rig {
		r := put(off, Velocity{}, 0)
		for range 50 {
			r.pass(10 * time.Millisecond)
			r.in.Velocity.Velocity = Velocity{VX: 0.5, YawRate: 0.8}
			r.at(0, 0, 0)
			r.Issued(r.now, Velocity{VX: 0.5, YawRate: 0.8})
		}
		r.pass(5 * time.Millisecond)
		r.Issued(r.now, Velocity{VX: 0.5, YawRate: -0.8})
		return r
	}
	r = swing(0)
	fl := r.flight(r.now.Boot, 0.005)
	if fl.after.w != -0.8 || fl.second.w < 0.6 {
		t.Fatalf("the flight is %+v", fl)
	}
	last("turning back", swing, 0.8*0.005+fl.second.w*dead)
}

// TestMotionThatIsNoneToSpeakOf: a measured motion counts from the speed on at which a robot counts as moving.
func TestMotionThatIsNoneToSpeakOf(t *testing.T) {
	for v, want := range map[float64]float64{freezeMPS: 1, freezeMPS + 1e-5: 0} {
		r := newRig(t, site(ZoneSpec{ID: "lane", Kind: Directed, Outer: rect(-9000, -9000, 9000, 9000), Limitation: Strict, DirectionRad: math.Pi / 2}), wheels())
		r.in.Velocity.Velocity = Velocity{VX: v}
		r.at(0, 0, 0)
		if l := r.limit(Velocity{VY: 0.5}); l.Ratio != want {
			t.Errorf("%v m/s across: %+v, want %v", v, l, want)
		}
	}
}

// TestALaneBesideOtherZones: the strictest counts, whatever the order in which they are looked at.
func TestALaneBesideOtherZones(t *testing.T) {
	lane := ZoneSpec{ID: "lane", Kind: Directed, Outer: rect(-9000, -9000, 9000, 9000), Limitation: Restricted, DirectionRad: math.Pi / 3}
	slow := ZoneSpec{ID: "slow", Kind: SpeedLimit, Outer: rect(-9000, -9000, 9000, 9000), MaxSpeedMPS: 0.02}
	strict := lane
	strict.ID, strict.Limitation = "strict", Strict
	for name, c := range map[string]struct {
		zones []ZoneSpec
		mps   float64
		zone  int
	}{
		"lane first":      {[]ZoneSpec{lane, slow}, 0.02, 1},
		"lane last":       {[]ZoneSpec{slow, lane}, 0.02, 0},
		"strict first":    {[]ZoneSpec{strict, slow}, 0, 0},
		"strict last":     {[]ZoneSpec{slow, strict}, 0, 1},
		"strict and lane": {[]ZoneSpec{lane, strict}, 0, 1},
		"lane alone":      {[]ZoneSpec{lane}, 0.1, 0},
	} {
		r := newRig(t, site(c.zones...), wheels())
		r.at(0, 0, 0)
		if l := r.limit(Velocity{VX: 0.5}); math.Abs(l.AllowedMPS-c.mps) > 1e-9 || l.Zone != c.zone || l.FreeM != 0 {
			t.Errorf("%s: %+v, want %v m/s by zone %d, and no way ahead", name, l, c.mps, c.zone)
		}
	}
}

// TestUnknownMotionInALaneIsHeld: pose, velocity and their age.
func TestUnknownMotionInALaneIsHeld(t *testing.T) {
	for name, lose := range map[string]func(*rig){
		"pose":     func(r *rig) { r.in.Pose.FrameOK = false; r.pass(10 * time.Millisecond); r.at(0, 0, 0) },
		"velocity": func(r *rig) { r.in.Velocity.Known = false; r.Step(r.now, &r.in, &r.out) },
		"age":      func(r *rig) { r.pass(time.Second) },
		"nothing":  func(*rig) {},
	} {
		r := inLane(t, Directed, Strict, 0)
		lose(r)
		want := 0.0
		if name == "nothing" {
			want = 1
		}
		if l := r.limit(Velocity{VX: 0.5}); l.Ratio != want {
			t.Errorf("%s: %+v", name, l)
		}
	}
}

// TestLaneIsChecked: each value must be given where it counts, and nowhere else.
func TestLaneIsChecked(t *testing.T) {
	for _, z := range []ZoneSpec{
		{Kind: Directed},
		{Kind: Directed, Limitation: limitationEnd},
		{Kind: Bidirected},
		{Kind: Bidirected, Limitation: Strict},
		{Kind: Directed, Limitation: Strict, DirectionRad: math.NaN()},
		{Kind: Directed, Limitation: Strict, DirectionRad: 6.3},
		{Kind: Directed, Limitation: Strict, DirectionRad: math.Inf(-1)},
		{Kind: Directed, Limitation: Strict, MaxSpeedMPS: 1},
		{Kind: Blocked, Limitation: Soft},
		{Kind: Blocked, DirectionRad: 1},
		{Kind: Blocked, DirectionRad: math.NaN()},
	} {
		z.ID, z.Outer = "z", rect(0, 0, 1000, 1000)
		_, err := Compile(site(z), wheels())
		if err == nil {
			t.Errorf("taken: %+v", z)
			continue
		}
		for _, e := range specErrors(t, err) {
			if e.Index != 0 || e.Element != -1 {
				t.Errorf("%v: none of these fields is a list", e)
			}
		}
	}
	for _, v := range []float64{-maxDirectionRad, maxDirectionRad} {
		compile(t, site(ZoneSpec{ID: "z", Kind: Bidirected, Limitation: Soft, DirectionRad: v, Outer: rect(0, 0, 1000, 1000)}), wheels())
	}
	a := compile(t, site(ZoneSpec{ID: "z", Kind: Directed, Limitation: Strict, Outer: rect(0, 0, 1000, 1000)}), wheels())
	b := compile(t, site(ZoneSpec{ID: "z", Kind: Directed, Limitation: Strict, DirectionRad: 1, Outer: rect(0, 0, 1000, 1000)}), wheels())
	c := compile(t, site(ZoneSpec{ID: "z", Kind: Directed, Limitation: Restricted, Outer: rect(0, 0, 1000, 1000)}), wheels())
	if a.Digest() == b.Digest() || a.Digest() == c.Digest() || a.Zone(0).Limitation != Strict || b.Zone(0).DirectionRad != 1 {
		t.Error("direction and limitation are not part of the set")
	}
}

// lanePast is a robot's motion in a lane along x and what it is asked.
type lanePast struct {
	yaw, vary       float64
	measured, asked Velocity
	turned          float64
}

func drawLanePast(t *rapid.T) lanePast {
	f := func(lo, hi float64, name string) float64 { return rapid.Float64Range(lo, hi).Draw(t, name) }
	return lanePast{
		yaw: f(-3, 3, "yaw"), vary: f(1e-6, 0.02, "vary"), turned: f(-3, 3, "turned"),
		measured: Velocity{f(-1, 1, "mx"), f(-1, 1, "my"), f(-1, 1, "mw")}, asked: Velocity{f(-1, 1, "x"), f(-1, 1, "y"), f(-1, 1, "w")},
	}
}

// judge asks in a world that is turned by a; the zone's direction is turned by b.
func (p lanePast) judge(t tb, kind Kind, l Limitation, a, b float64) float64 {
	robot := wheels()
	robot.SlowStdDevM, robot.MaxStdDevM = 0.9, 1
	r := newRig(t, site(ZoneSpec{ID: "lane", Kind: kind, Outer: rect(-9000, -9000, 9000, 9000), Limitation: l, DirectionRad: b}), robot)
	r.in.Pose.VarYaw, r.in.Velocity.Velocity = p.vary, p.measured
	r.at(0, 0, p.yaw+a)
	return r.limit(p.asked).Ratio
}

// TestLanesProperties: stricter words and a vaguer heading never loosen; what turns with the world is answered alike.
func TestLanesProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := drawLanePast(t)
		soft, some, strict := p.judge(t, Directed, Soft, 0, 0), p.judge(t, Directed, Restricted, 0, 0), p.judge(t, Directed, Strict, 0, 0)
		if soft < some || some < strict {
			t.Fatalf("soft %v, restricted %v, strict %v", soft, some, strict)
		}
		if both := p.judge(t, Bidirected, Restricted, 0, 0); both < some-1e-9 {
			t.Fatalf("both ways %v, one way %v", both, some)
		}
		vague := p
		vague.vary *= rapid.Float64Range(1, 10).Draw(t, "vaguer")
		if v := vague.judge(t, Directed, Restricted, 0, 0); v > some+1e-9 {
			t.Fatalf("with a heading known less well %v, before %v", v, some)
		}
		for _, l := range []Limitation{Restricted, Strict} {
			want := p.judge(t, Directed, l, 0, 0)
			if got := p.judge(t, Directed, l, p.turned, p.turned); math.Abs(got-want) > 1e-5 {
				t.Fatalf("%v turned by %v: %v, want %v", l, p.turned, got, want)
			}
		}
	})
	// Off: the world turns, the direction does not.
	p := lanePast{vary: 1e-6, turned: 1, asked: Velocity{VX: 0.5}}
	if a, b := p.judge(t, Directed, Strict, p.turned, p.turned), p.judge(t, Directed, Strict, p.turned, 0); a != 1 || b != 0 {
		t.Errorf("along, turned with the world: %v, without it: %v", a, b)
	}
}

// laneRun drives a plant in a lane with commands of all kinds through the fence, and returns by how much its motion deviated at most.
func laneRun(t *testing.T, l Limitation, rng *rand.Rand) (worst float64, moved bool) {
	const dt = 0.01
	r := newRig(t, site(ZoneSpec{ID: "lane", Kind: Directed, Outer: rect(-60_000, -60_000, 60_000, 60_000), Limitation: l}), wheels())
	var x, y, yaw float64
	var vel, asked Velocity
	yaw = (rng.Float64() - 0.5) * 2
	for i := range 1500 {
		if i%60 == 0 {
			asked = Velocity{rng.Float64() * 1.2, (rng.Float64() - 0.5) * 0.6, (rng.Float64() - 0.5) * 2}
		}
		r.in.Velocity.Velocity = vel
		r.at(x, y, yaw)
		k := r.limit(asked).Ratio
		sent := Velocity{asked.VX * k, asked.VY * k, asked.YawRate * k}
		r.Issued(r.now, sent)
		// The drive follows along the straight line between two motions, at the brakes' rate.
		dx, dy, dw := sent.VX-vel.VX, sent.VY-vel.VY, sent.YawRate-vel.YawRate
		if size := max(math.Hypot(dx, dy)/1, math.Abs(dw)/2); size > dt {
			dx, dy, dw = dx*dt/size, dy*dt/size, dw*dt/size
		}
		vel = Velocity{vel.VX + dx, vel.VY + dy, vel.YawRate + dw}
		s, c := math.Sincos(yaw)
		vx, vy := c*vel.VX-s*vel.VY, s*vel.VX+c*vel.VY
		x, y, yaw = x+vx*dt, y+vy*dt, yaw+vel.YawRate*dt
		if math.Hypot(vx, vy) > freezeMPS {
			worst, moved = max(worst, math.Abs(math.Atan2(vy, vx))), true
		}
		r.pass(10 * time.Millisecond)
	}
	return worst, moved
}

// TestNobodyDeviatesInAStrictLane drives at random; the off run has a soft lane.
func TestNobodyDeviatesInAStrictLane(t *testing.T) {
	const seed = 20261129
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 1))
	worst, moved, off := 0.0, 0, 0
	for range 20 {
		w, m := laneRun(t, Strict, rng)
		if worst = max(worst, w); m {
			moved++
		}
		if w, _ := laneRun(t, Soft, rng); w > DirectionToleranceRad {
			off++
		}
	}
	t.Logf("worst %.1f°, %d moved, %d of the soft ones deviated", worst*180/math.Pi, moved, off)
	if worst > DirectionToleranceRad+1e-6 || moved < 10 || off < 10 {
		t.Errorf("worst %v rad, %d moved, %d of the soft ones deviated", worst, moved, off)
	}
}

// TestNobodyEntersALaneAgainstIt approaches one with the plant of the other simulations; the off run has a soft lane.
func TestNobodyEntersALaneAgainstIt(t *testing.T) {
	const seed = 20261130
	t.Logf("seed %d", seed)
	for _, l := range []Limitation{Strict, Restricted, Soft} {
		rng := rand.New(rand.NewPCG(seed, 1))
		worst, entered := math.Inf(1), 0
		for i := range 24 {
			a := drawnApproach(t, rng, i)
			lane := wall(0)
			lane.Kind, lane.Limitation, lane.DirectionRad = Directed, l, math.Pi
			a.rig = newRig(t, site(lane), wheels())
			a.seconds = 8
			a.run()
			worst = min(worst, a.worst)
			if a.worst <= 0 {
				entered++
			}
		}
		t.Logf("%v: smallest clearance %.4f m, %d entered", l, worst, entered)
		if l != Soft && entered > 0 || l == Soft && entered < 12 {
			t.Errorf("%v: %d entered", l, entered)
		}
	}
}
