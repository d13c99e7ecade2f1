package geofence

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"pgregory.net/rapid"
)

// place evaluates one zone at one pose, by the code under test.
func place(t tb, z ZoneSpec, robot Robot, x, y, yaw float64) (clear float64, inside bool) {
	t.Helper()
	robot.Reaction = robot.CommandPeriod * 100 // a wide reach
	robot.Reaction = min(robot.Reaction, 5e9)
	r := newRig(t, site(z), robot)
	r.at(x, y, yaw)
	if len(r.cands) != 1 {
		t.Fatalf("%d candidates at (%v, %v)", len(r.cands), x, y)
	}
	return r.cands[0].clear, r.cands[0].inside
}

func TestContourAgainstZone(t *testing.T) {
	robot := wheels() // 0.8 m × 0.6 m
	square := ZoneSpec{ID: "z", Kind: Blocked, Outer: rect(0, 0, 4000, 4000)}
	ring := ZoneSpec{ID: "z", Kind: Blocked, Outer: rect(0, 0, 6000, 6000), Holes: [][]Vertex{rect(1000, 1000, 5000, 5000)}}
	post := ZoneSpec{ID: "z", Kind: Blocked, Outer: rect(-50, -50, 50, 50)}
	fence := ZoneSpec{ID: "z", Kind: Blocked, Outer: rect(-10, -3000, 10, 3000)}
	for _, tc := range []struct {
		name      string
		z         ZoneSpec
		x, y, yaw float64
		clear     float64 // mm; <= 0 means inside
	}{
		{"side to side", square, -1, 2, 0, 600},
		{"turned a quarter", square, -1, 2, math.Pi / 2, 700},
		{"corner to corner", square, -0.7, -0.7, 0, 500},
		{"touching with a side", square, -0.4, 2, 0, 0},
		{"a millimetre apart", square, -0.401, 2, 0, 1},
		{"touching with a corner", square, -0.4, -0.3, 0, 0},
		{"half in", square, 0, 2, 0, 0},
		{"all in", square, 2, 2, 0, 0},
		{"in the hole", ring, 3, 3, 0, 1600},
		{"in the hole, at its rim", ring, 1.4, 3, 0, 0},
		{"in the hole, a millimetre off", ring, 1.401, 3, 0, 1},
		{"across the hole's rim", ring, 1.2, 3, 0, 0},
		{"between rim and hole", ring, 0.5, 3, math.Pi / 2, 0},
		{"a zone within the contour", post, 0.2, 0.1, 0, 0},
		{"a zone beside the contour", post, 0.65, 0, 0, 200},
		{"a zone through the contour, no vertex of either inside", fence, 0.1, 0.2, 0, 0},
		{"turned by 45°, corner towards the edge", square, -1, 2, math.Pi / 4, 1000 - 700/math.Sqrt2},
	} {
		clear, inside := place(t, tc.z, robot, tc.x, tc.y, tc.yaw)
		if inside != (tc.clear <= 0) || tc.clear > 0 && !(math.Abs(clear-tc.clear) <= 1) {
			t.Errorf("%s: %.2f mm, inside %v, want %.2f", tc.name, clear, inside, tc.clear)
		}
	}
}

func TestFarFromTheOriginNothingIsLost(t *testing.T) {
	for _, off := range []int32{0, 10_000_000, 1_000_000_000} {
		z := ZoneSpec{ID: "z", Kind: Blocked, Outer: rect(off, off, off+4000, off+4000)}
		o := float64(off) / 1000
		clear, _ := place(t, z, wheels(), o-1, o+2, 0.3)
		near, _ := place(t, ZoneSpec{ID: "z", Kind: Blocked, Outer: rect(0, 0, 4000, 4000)}, wheels(), -1, 2, 0.3)
		if !(math.Abs(clear-near) <= 1e-3) {
			t.Errorf("at %d km the distance is %.6f mm, at the origin %.6f mm", off/1_000_000, clear, near)
		}
	}
}

// naive measures with nothing but the definitions: every edge against every side.
func naive(c *contour, edges []edge) (float64, bool) {
	for i := range edges {
		for k := range c.n {
			if touch(&edges[i], &c.sides[k]) {
				return 0, true
			}
		}
	}
	if locate(edges, c.sides[0].ax, c.sides[0].ay) != away || locate(c.sides[:c.n], edges[0].ax, edges[0].ay) != away {
		return 0, true
	}
	best := math.Inf(1)
	for i := range edges {
		best = min(best, c.edge2(&edges[i], true))
	}
	return math.Sqrt(best), false
}

func TestSurveyEqualsTheNaiveLoop(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rng := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 7))
		robot := wheels()
		robot.Footprint = star(rng, rng.Float64()*200, 0, 500, 3+rng.IntN(8))
		var zones []ZoneSpec
		for range 60 {
			z := ZoneSpec{Kind: Blocked, Outer: star(rng, rng.Float64()*30_000, rng.Float64()*30_000, 200+rng.Float64()*4000, 3+rng.IntN(20))}
			z.ID = string(rune('0' + len(zones)))
			z.MarginM = rng.Float64() * float64(rng.IntN(2))
			zones = append(zones, z)
		}
		set, err := Compile(site(zones...), robot)
		if err != nil {
			t.Skip("a star crossed itself")
		}
		f := New(set)
		x, y, yaw := rng.Float64()*30, rng.Float64()*30, rng.Float64()*7
		if rng.IntN(3) == 0 { // on a vertex
			e := set.edges[rng.IntN(len(set.edges))]
			x, y = float64(e.ax)/1000, float64(e.ay)/1000
		}
		s, c := math.Sincos(yaw)
		f.mem.track.at, f.mem.track.floor, f.mem.track.have = frame{x * 1000, y * 1000, c, s}, 0, true
		f.bind()
		f.survey()
		next := 0
		for i := range set.zones {
			edges := set.ringsOf(&set.zones[i])
			clear, inside := naive(&f.contour, edges)
			found := next < len(f.cands) && int(f.cands[next].zone) == i
			if !found {
				if inside || clear < f.reach+set.zones[i].margin {
					t.Fatalf("zone %d at %.3f mm is missing, reach %v", i, clear, f.reach)
				}
				continue
			}
			got := f.cands[next]
			next++
			if got.inside != inside || !inside && got.clear != clear {
				t.Fatalf("zone %d: %.9f mm inside %v, naive %.9f mm inside %v", i, got.clear, got.inside, clear, inside)
			}
		}
		if next != len(f.cands) {
			t.Fatalf("%d candidates are out of order", len(f.cands)-next)
		}
	})
}

func TestMovingTheWorldChangesNothing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rng := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 8))
		ring := star(rng, 0, 0, 3000, 12)
		dx, dy := rapid.Int32Range(-1e6, 1e6).Draw(t, "dx"), rapid.Int32Range(-1e6, 1e6).Draw(t, "dy")
		moved, turned := make([]Vertex, len(ring)), make([]Vertex, len(ring))
		for i, v := range ring {
			moved[i], turned[i] = Vertex{v.X + dx, v.Y + dy}, Vertex{-v.Y, v.X} // turned by a quarter
		}
		if len(checkRings([][]Vertex{ring}, MaxCoordinateMM)) > 0 {
			t.Skip("a star crossed itself")
		}
		at := rapid.IntRange(-4000, 4000)
		x, y := at.Draw(t, "x"), at.Draw(t, "y")
		yaw := rng.Float64() * 6
		look := func(ring []Vertex, x, y int, yaw float64) (float64, bool) {
			var c contour
			b := newBody(wheels().Footprint)
			s, co := math.Sincos(yaw)
			c.set(&b, frame{float64(x), float64(y), co, s})
			return naive(&c, ringEdges(nil, ring))
		}
		want, in := look(ring, x, y, yaw)
		m, inM := look(moved, x+int(dx), y+int(dy), yaw)
		q, inQ := look(turned, -y, x, yaw+math.Pi/2)
		// The contour's rounding may decide a touch within a millimetre differently.
		if !(math.Abs(m-want) <= 1.5) || !(math.Abs(q-want) <= 1.5) || (in != inM || in != inQ) && max(want, m, q) > 1.5 {
			t.Fatalf("%.4f %v, moved %.4f %v, turned %.4f %v", want, in, m, inM, q, inQ)
		}
	})
}

func TestSweepAgreesWithSampling(t *testing.T) {
	// A zone's corner that comes beside a body's side over that side's end, in the middle of a chord.
	if why := sweepAgrees(0x164104f); why != "" {
		t.Fatal(why)
	}
	rapid.Check(t, func(t *rapid.T) {
		if why := sweepAgrees(rapid.Uint64().Draw(t, "seed")); why != "" {
			t.Fatal(why)
		}
	})
}

// sweepAgrees compares one sweep of a world of chance with samples of the way, and says how they differ.
func sweepAgrees(seed uint64) string {
	rng := rand.New(rand.NewPCG(seed, 9))
	ring := star(rng, 2000+rng.Float64()*1500, (rng.Float64()-0.5)*3000, 1000, 3+rng.IntN(9))
	if len(checkRings([][]Vertex{ring}, MaxCoordinateMM)) > 0 {
		return ""
	}
	robot := wheels()
	robot.Footprint = star(rng, 0, 0, 500, 4+rng.IntN(6))
	set, err := Compile(site(ZoneSpec{ID: "z", Kind: Blocked, Outer: ring}), robot)
	if err != nil {
		return ""
	}
	f := New(set)
	o := f.solid(0)
	u := twist{(rng.Float64() - 0.3) * 1500, (rng.Float64() - 0.5) * 1000, (rng.Float64() - 0.5) * 3}
	if rng.IntN(3) == 0 {
		u.w = 0
	}
	r, dur := rng.Float64()*300, 0.5+rng.Float64()*2
	clearAt := func(tm float64) float64 {
		f.probe.set(&set.bodies[0].body, frame{c: 1}.advance(u, tm))
		clear, inside, _ := f.look(&o, &f.probe, 1e6)
		if inside {
			return 0
		}
		return clear
	}
	start := clearAt(0)
	if start <= r {
		return ""
	}
	free, hit := f.sweep(&o, frame{c: 1}, u, dur, r, start)
	const steps = 400
	for i := 0; i <= steps; i++ {
		tm := dur * float64(i) / steps
		clear := clearAt(tm)
		if clear < r-2 && (!hit || tm < free) {
			return fmt.Sprintf("at %.4f s of %.4f s the contour is at %.2f mm < %.2f, the sweep gave %.4f s (hit %v)", tm, dur, clear, r, free, hit)
		}
	}
	// And it may not be afraid of nothing: near the answer it must really be close.
	if hit && free < dur {
		if clear := clearAt(free); clear > r+2*maxSag+2 {
			return fmt.Sprintf("stopped at %.4f s where the contour is still at %.2f mm, radius %.2f", free, clear, r)
		}
	}
	return ""
}

func TestSweepSeesAPostBetweenTheCorners(t *testing.T) {
	// A post thinner than any step, straight ahead between two corners.
	set := compile(t, site(ZoneSpec{ID: "post", Kind: Blocked, Outer: rect(1500, -2, 1504, 2)}), wheels())
	f := New(set)
	o := f.solid(0)
	free, hit := f.sweep(&o, frame{c: 1}, twist{1000, 0, 0}, 3, 100, 1100)
	if !hit || !(math.Abs(free-1.0) <= 1e-9) {
		t.Errorf("free for %v s, want 1.0", free)
	}
	// Turning on the spot, the front side sweeps over a post at its flank.
	set = compile(t, site(ZoneSpec{ID: "post", Kind: Blocked, Outer: rect(-2, 448, 2, 452)}), wheels())
	f = New(set)
	o = f.solid(0)
	if free, hit = f.sweep(&o, frame{c: 1}, twist{0, 0, 1}, 3, 10, 148); !hit || free < 0.3 || free > 1.2 {
		t.Errorf("turning: free for %v s, hit %v", free, hit)
	}
	if _, hit = f.sweep(&o, frame{c: 1}, twist{0, 0, 1}, 0.1, 10, 148); hit {
		t.Error("turning a little hits already")
	}
}

// TestChord compares with the height of a circle's segment.
func TestChord(t *testing.T) {
	for _, w := range []float64{0.05, 0.3, -1.5} {
		for _, room := range []float64{0, 3, 12, 100} {
			u := twist{300, -400, w}
			step, sag := chord(u, 1, 700, room)
			radius, angle := 500/math.Abs(w)+700, step*math.Abs(w)
			height := radius * (1 - math.Cos(angle/2))
			if sag < height-1e-9 || sag > 1.05*height {
				t.Errorf("turning at %v: a chord of %v s deviates by %v mm, said are %v", w, step, height, sag)
			}
			if want := min(max(room/4, minSag), maxSag); angle > 1.001/maxChords*math.Abs(w) && angle < 0.999 && !(math.Abs(sag-want) <= 1e-9) {
				t.Errorf("turning at %v with %v mm of room: sag %v, want %v", w, room, sag, want)
			}
		}
	}
}

func TestBoxesThatTouchMeet(t *testing.T) {
	a := box{0, 0, 10, 10}
	for _, b := range []box{{10, 10, 20, 20}, {-5, -5, 0, 0}, {10, -5, 12, 0}, {3, 3, 4, 4}} {
		if !a.meets(b) || !b.meets(a) {
			t.Errorf("%v does not meet %v", a, b)
		}
	}
	for _, b := range []box{{11, 0, 20, 10}, {0, 11, 10, 20}, {-9, 0, -1, 10}, {0, -9, 10, -1}} {
		if a.meets(b) || b.meets(a) {
			t.Errorf("%v meets %v", a, b)
		}
	}
}

func TestDepthOfTheContour(t *testing.T) {
	deep := func(z ZoneSpec, x, y float64) float64 {
		clear, inside := place(t, z, wheels(), x, y, 0)
		if !inside {
			t.Fatalf("not inside at (%v, %v)", x, y)
		}
		return -clear
	}
	square := ZoneSpec{ID: "z", Kind: Blocked, Outer: rect(0, 0, 8000, 8000)}
	for _, tc := range []struct{ x, want float64 }{{-0.3, 100}, {0, 400}, {0.6, 1000}, {2, 2400}} {
		if got := deep(square, tc.x, 4); !(math.Abs(got-tc.want) <= 2*depthErrorMM) {
			t.Errorf("nose %v m in: depth %.1f mm, want %.0f", tc.x+0.4, got, tc.want)
		}
	}
	if got := deep(ZoneSpec{ID: "z", Kind: Blocked, Outer: rect(-100, -3000, 100, 3000)}, 0, 0); got < 99.5 || got > 100.5 {
		t.Errorf("across a fence of 200 mm: depth %.1f mm, want nearly 100", got)
	}
}
