package geofence

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"
)

// atEdge is a robot that came into the margin of a wall at x = 0 and backed off
// until its nose is at a distance from it, in metres beyond the margin.
func atEdge(t *testing.T, beyond float64) *rig {
	t.Helper()
	r := newRig(t, site(wall(0)), wheels())
	m := r.at(-10, 0, 0).MarginM
	r.held(-(0.4 + m - 0.001), 0, 0)
	r.pass(time.Second)
	if v := r.at(-(0.4 + m + beyond), 0, 0); v.Place != Margin {
		t.Fatalf("%v m beyond the margin: %v", beyond, v.Place)
	}
	return r
}

func TestTurningAtAnEdge(t *testing.T) {
	turn := Velocity{YawRate: 0.2}
	// The nose is 0.4 m from the middle, the corners 0.5 m: within the time that a
	// turn needs to stop they come some 3 cm closer.
	for _, c := range []struct {
		beyond float64
		want   bool
	}{{-0.005, false}, {0.005, false}, {0.05, true}, {0.12, true}} {
		r := atEdge(t, c.beyond)
		l := r.limit(turn)
		if got := l.Ratio > 0; got != c.want || !got && l.Reason != ReasonMargin {
			t.Errorf("%v m beyond the margin: ratio %v (%v), want turning %v", c.beyond, l.Ratio, l.Reason, c.want)
		}
		// Only a turn in place may use what is left before the margin.
		for name, u := range map[string]Velocity{"ahead": {VX: 0.1}, "an arc ahead": {VX: 0.05, YawRate: 0.2}} {
			if l := r.limit(u); l.Ratio != 0 {
				t.Errorf("%v m beyond the margin, %s: ratio %v", c.beyond, name, l.Ratio)
			}
		}
		if l := r.limit(Velocity{VX: -0.1}); l.Ratio != 1 {
			t.Errorf("%v m beyond the margin, back: %+v", c.beyond, l)
		}
	}
	// Where no corner comes closer, it may turn in the margin too: here its corner
	// points at the wall, and turns away.
	diagonal := math.Atan2(3, 4)
	r := newRig(t, site(wall(0)), wheels())
	r.pass(time.Second)
	if v := r.at(-0.53, 0, diagonal+0.15); v.Place != Margin {
		t.Fatalf("the corner is not in the margin: %v", v.Place)
	}
	if away, back := r.limit(turn), r.limit(Velocity{YawRate: -0.2}); away.Ratio != 1 || back.Ratio != 0 {
		t.Errorf("turning the corner away: ratio %v, and back: %v", away.Ratio, back.Ratio)
	}
}

// TestTurningAtAnEdgeNeverEntersTheMargin keeps turning to and fro, and now and
// then ahead, at an edge.
func TestTurningAtAnEdgeNeverEntersTheMargin(t *testing.T) {
	for trial := range 10 {
		rng := rand.New(rand.NewPCG(uint64(trial), 21))
		r := newRig(t, site(wall(0)), wheels())
		a := &approach{rig: r, rng: rng, posePeriod: 0.05, cmdPeriod: 0.05, seconds: 40}
		a.plant = plant{
			at: frame{-0.6 - rng.Float64()/2, 0, 1, 0}, delay: 0.1, lag: 0.1, accel: 1, decel: 1, yawAccel: 2, yawDecel: 2,
		}
		turned := 0.0
		var cmd Velocity
		a.cmd = func(now float64, p *plant) Velocity {
			if int(now*20)%15 == 0 {
				cmd = Velocity{YawRate: rng.Float64()*2 - 1}
				if rng.IntN(4) == 0 {
					cmd.VX = rng.Float64() - 0.4
				}
			}
			turned += math.Abs(p.vel.YawRate) * a.cmdPeriod
			return cmd
		}
		a.clear = wallClear(&r.body.body, 0)
		a.run()
		if m := r.out.MarginM; a.worst < m-0.012 {
			t.Errorf("trial %d: %.4f m from the wall, the margin is %.4f m", trial, a.worst, m)
		}
		if turned < 1 {
			t.Errorf("trial %d: it turned by %.2f rad in %v s", trial, turned, a.seconds)
		}
	}
}

func TestDepthIsExact(t *testing.T) {
	rng := rand.New(rand.NewPCG(31, 31))
	t.Log("seed 31")
	tried := 0
	for range 400 {
		ring := star(rng, 0, 0, 500+rng.Float64()*2500, 3+rng.IntN(12))
		if len(checkRings([][]Vertex{ring}, MaxCoordinateMM)) > 0 {
			continue
		}
		f := New(compile(t, site(ZoneSpec{ID: "z", Kind: Blocked, Outer: ring}), wheels()))
		o := f.solid(0)
		s, c := math.Sincos(rng.Float64() * 7)
		at := frame{rng.Float64()*3000 - 1500, rng.Float64()*3000 - 1500, c, s}
		// The oracle walks along the outline millimetre by millimetre.
		want := 0.0
		b := &f.body.body
		for i := range b.n {
			j := (i + 1) % b.n
			for k := 0.0; k < b.side[j]; k++ {
				x, y := at.apply(b.x[i]+(b.x[j]-b.x[i])*k/b.side[j], b.y[i]+(b.y[j]-b.y[i])*k/b.side[j])
				want = math.Max(want, f.depthAt(&o, x, y))
			}
		}
		f.work = 0
		got := f.depth(&o, at)
		if got > want+1.5 || got < want-1.5 {
			t.Fatalf("depth %.2f mm, walking along the outline finds %.2f mm", got, want)
		}
		if want > 5 {
			tried++
			if !f.deeper(&o, at, want-1.5) || f.deeper(&o, at, want+1.5) {
				t.Fatalf("deeper does not agree with a depth of %.2f mm", want)
			}
		}
	}
	if tried < 100 {
		t.Errorf("only %d contours were in the zone", tried)
	}
}

// TestEgressKeepsToItsRecord: once less deep, the robot may not settle for more,
// but it can always get out.
func TestEgressKeepsToItsRecord(t *testing.T) {
	r := newRig(t, site(wall(0)), wheels())
	r.in.Egress = Egress{Active: true, Zone: 0}
	m := r.at(-10, 0, 0).MarginM
	r.held(0.2, 0, 0) // 0.6 m deep
	r.held(-0.2, 0, 0)
	for _, c := range []struct {
		name string
		x    float64
		u    Velocity
		want bool
	}{
		{"out", -0.2, Velocity{VX: -0.1}, true},
		{"in", -0.2, Velocity{VX: 0.1}, false},
		{"out, half a margin deeper", -0.2 + m/2, Velocity{VX: -0.1}, true},
		{"out at an angle, two margins deeper", -0.2 + 2*m, Velocity{VX: -0.08, VY: 0.06}, true},
		{"out, far deeper", 0.1, Velocity{VX: -0.1}, true},
		{"along, far deeper", 0.1, Velocity{VY: 0.1}, false},
		{"in, far deeper", 0.1, Velocity{VX: 0.1}, false},
	} {
		r.pass(time.Second)
		r.at(c.x, 0, 0)
		if l := r.limit(c.u); (l.Ratio > 0) != c.want {
			t.Errorf("%s: %+v", c.name, l)
		}
	}
	if r.mem.egressDepth > 201 || r.mem.egressDepth < 199 {
		t.Errorf("the least depth was 200 mm, recorded are %.1f", r.mem.egressDepth)
	}
	r.held(-0.5, 0, 0) // out, and not far enough to be released
	if r.mem.egressDepth != 0 {
		t.Errorf("the robot was out, recorded are %.1f mm", r.mem.egressDepth)
	}
	r.held(0.2, 0, 0)
	if r.mem.egressDepth != 0 {
		t.Errorf("the robot was out before it went in again, recorded are %.1f mm", r.mem.egressDepth)
	}
}

// TestBackingOffFromContact starts half a millimetre from a wall.
func TestBackingOffFromContact(t *testing.T) {
	r := newRig(t, site(wall(0)), wheels())
	r.pass(time.Second)
	r.at(-0.4005, 0, 0)
	if l := r.limit(Velocity{VX: -0.1}); l.Ratio != 1 {
		t.Errorf("back: %+v", l)
	}
	if l := r.limit(Velocity{VX: 0.1}); l.Ratio != 0 {
		t.Errorf("ahead: %+v", l)
	}
}

func TestADepthBeyondTheBudgetIsDeep(t *testing.T) {
	f := New(compile(t, site(wall(0)), wheels()))
	o := f.solid(0)
	out := frame{-1000, 0, 1, 0}
	if f.deeper(&o, out, 0) {
		t.Error("a metre outside is deep")
	}
	f.work = maxWork + 1
	if !f.deeper(&o, out, 0) {
		t.Error("with the budget spent, nothing is deep")
	}
}

// TestLookingForADepthCounts: a side is cut at the edges near to it, and then asked about once more; each goes over all edges.
func TestLookingForADepthCounts(t *testing.T) {
	var ring []Vertex
	for i := range int32(80) {
		s, c := math.Sincos(2 * math.Pi * float64(i) / 80)
		ring = append(ring, Vertex{int32(5000 * c), int32(5000 * s)})
	}
	f := New(compile(t, site(ZoneSpec{ID: "z", Kind: Blocked, Outer: ring}), wheels()))
	o := f.solid(0)
	f.work = 0
	if f.sideDeeper(&o, 20_000, 0, 100, 0, 1) {
		t.Error("deep outside")
	}
	if f.work < 2*(80/8) {
		t.Errorf("%d units for a side beside 80 edges, expected at least %d", f.work, 2*(80/8))
	}
}

// TestEgressStaysWithinItsBound measures how much deeper a driven robot gets than
// it ever was, without noise: half a step and the error of a depth.
func TestEgressStaysWithinItsBound(t *testing.T) {
	worst := 0.0
	for trial := range 12 {
		rng := rand.New(rand.NewPCG(uint64(trial), 22))
		r := newRig(t, site(ZoneSpec{ID: "ward", Kind: Blocked, Outer: rect(0, -5000, 20_000, 5000)}), wheels())
		r.in.Pose.VarX, r.in.Pose.VarY, r.in.Pose.VarYaw = 1e-12, 1e-12, 1e-12
		r.in.Egress = Egress{Active: true, Zone: 0}
		yaw := rng.Float64() * 6
		at := frame{float64(int(rng.Float64() * 400)), 0, math.Cos(yaw), math.Sin(yaw)}
		depth := func(at frame) float64 {
			least := math.Inf(-1)
			for i := range r.body.n {
				x, _ := at.apply(r.body.x[i], r.body.y[i])
				least = math.Max(least, x)
			}
			return least
		}
		first := depth(at)
		r.pass(time.Second)
		for range 400 {
			r.pass(50 * time.Millisecond)
			r.at(at.x/1000, at.y/1000, math.Atan2(at.s, at.c))
			// Of some commands that pass, the one that leads deepest.
			next, deepest := at, -math.MaxFloat64
			for range 10 {
				u := Velocity{rng.Float64()*2 - 1, rng.Float64()*2 - 1, (rng.Float64()*2 - 1) * float64(rng.IntN(2))}
				to := at.advance(u.twist().scale(r.limit(u).Ratio), 0.05)
				if d := depth(to); d > deepest {
					next, deepest = to, d
				}
			}
			at = next
			worst = math.Max(worst, depth(at)-first)
		}
	}
	t.Logf("at most %.2f mm deeper than at first", worst)
	if bound := egressStep/2 + 2*depthErrorMM; worst > bound {
		t.Errorf("%.2f mm deeper than at first, want at most %.2f", worst, bound)
	}
}
