package geofence

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// naiveQueries answers by the definitions alone: a loop over every zone and every edge, without any box.
type naiveQueries struct{ set *Set }

func (n naiveQueries) zones(floor int, in func(z *zone, edges []edge, i int) bool) []int {
	var out []int
	for i := range n.set.zones {
		if z := &n.set.zones[i]; int(z.floor) == floor && in(z, n.set.ringsOf(z), i) {
			out = append(out, i)
		}
	}
	return out
}

func (n naiveQueries) at(floor int, p Vertex) []int {
	return n.zones(floor, func(_ *zone, edges []edge, _ int) bool { return locate(edges, p.X, p.Y) != away })
}

func (n naiveQueries) signed(floor int, p Vertex, kind Kind) (float64, int) {
	depth, deep, near, nearest := -1.0, NoZone, math.Inf(1), NoZone
	n.zones(floor, func(z *zone, edges []edge, i int) bool {
		if z.kind != kind {
			return false
		}
		d := math.Inf(1)
		for k := range edges {
			d = min(d, vertexEdge2(&edges[k], p.X, p.Y))
		}
		if locate(edges, p.X, p.Y) != away && d > depth {
			depth, deep = d, i
		}
		if d < near {
			near, nearest = d, i
		}
		return false
	})
	if deep != NoZone {
		return 0 - math.Sqrt(depth), deep
	}
	return math.Sqrt(near), nearest
}

func (n naiveQueries) footprint(floor int, ring []Vertex) []int {
	sides := ringEdges(nil, ring)
	return n.zones(floor, func(_ *zone, edges []edge, _ int) bool {
		for i := range edges {
			for k := range sides {
				if touch(&edges[i], &sides[k]) {
					return true
				}
			}
		}
		return locate(edges, ring[0].X, ring[0].Y) != away || locate(sides, edges[0].ax, edges[0].ay) != away
	})
}

func (n naiveQueries) capsuleIn(edges []edge, a, b Vertex, r int32) bool {
	axis := edge{a.X, a.Y, b.X, b.Y}
	for i := range edges {
		if edgesClose(&edges[i], &axis, uint64(r)*uint64(r)) {
			return true
		}
	}
	return locate(edges, a.X, a.Y) != away
}

func (n naiveQueries) capsule(floor int, a, b Vertex, r int32) []int {
	return n.zones(floor, func(_ *zone, edges []edge, _ int) bool { return n.capsuleIn(edges, a, b, r) })
}

func (n naiveQueries) parts(floor int, parts []SpaceCapsule, heights []Span) []int {
	return n.zones(floor, func(_ *zone, edges []edge, i int) bool {
		return slices.ContainsFunc(parts, func(p SpaceCapsule) bool {
			from, to := p.height()
			return to >= int64(heights[i].FromMM) && from <= int64(heights[i].ToMM) && n.capsuleIn(edges, p.A, p.B, p.RadiusMM)
		})
	})
}

// estateOf draws zones of all kinds that overlap, some with a hole, on two floors, round a point that may be far from
// the origin. Coordinates are multiples of a grain, so that ties are frequent where it is coarse.
func estateOf(rng *rand.Rand, n int, off, grain int32) Spec {
	var zones []ZoneSpec
	snap := func(ring []Vertex) []Vertex {
		for i := range ring {
			ring[i].X, ring[i].Y = off+ring[i].X/grain*grain, off-ring[i].Y/grain*grain
		}
		return ring
	}
	for len(zones) < n {
		x, y, size := rng.Float64()*30_000, rng.Float64()*30_000, 200+rng.Float64()*rng.Float64()*8000
		z := ZoneSpec{ID: fmt.Sprint("z", len(zones)), Floor: []string{"f0", "f1"}[rng.IntN(8)/7], Kind: Blocked, MarginM: rng.Float64() * float64(rng.IntN(2))}
		z.Outer = snap(star(rng, x, y, size, 3+rng.IntN(60)))
		if rng.IntN(4) == 0 {
			z.Holes = [][]Vertex{snap(star(rng, x, y, size*0.4, 3+rng.IntN(12)))}
		}
		switch rng.IntN(6) {
		case 0:
			z.Kind, z.MaxSpeedMPS = SpeedLimit, 0.5
		case 1:
			z.Kind = KeepIn
		}
		if len(checkRings(append([][]Vertex{z.Outer}, z.Holes...), MaxCoordinateMM)) == 0 {
			zones = append(zones, z)
		}
	}
	return site(zones...)
}

// place draws a point: anywhere, on a vertex, or in line with one.
func (n naiveQueries) place(rng *rand.Rand, off int32) Vertex {
	p := Vertex{off + rng.Int32N(34_000) - 2000, off - rng.Int32N(34_000) + 2000}
	e := n.set.edges[rng.IntN(len(n.set.edges))]
	switch rng.IntN(6) {
	case 0:
		p = Vertex{e.ax, e.ay}
	case 1:
		p.Y = e.ay
	case 2:
		p.X = e.ax
	case 3:
		p = Vertex{int32((int64(e.ax) + int64(e.bx)) / 2), int32((int64(e.ay) + int64(e.by)) / 2)}
	}
	return p
}

func TestQueriesEqualTheNaiveLoop(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rng := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 11))
		off := []int32{0, 0, 10_000_000, 1_000_000_000, -1_000_000_000}[rng.IntN(5)]
		n := naiveQueries{compile(t, estateOf(rng, 1+rng.IntN(120), off, []int32{1, 1, 50, 500}[rng.IntN(4)]), wheels())}
		heights := make([]Span, n.set.Zones())
		for i := range heights {
			heights[i].FromMM = rng.Int32N(2000) - 200
			heights[i].ToMM = heights[i].FromMM + rng.Int32N(1500)
		}
		same := func(what string, got, want any) {
			t.Helper()
			if d := cmp.Diff(want, got); d != "" {
				t.Fatalf("%s differs from the naive loop (-want +got):\n%s", what, d)
			}
		}
		for range 40 {
			floor, p, q, r := rng.IntN(4)/3, n.place(rng, off), n.place(rng, off), rng.Int32N(1500)
			got, err := n.set.At(floor, p, nil)
			same("At", got, n.at(floor, p))
			for _, kind := range []Kind{Blocked, KeepIn} {
				d, zone, _ := n.set.SignedDistance(floor, p, kind)
				wantD, wantZone := n.signed(floor, p, kind)
				same(fmt.Sprint("SignedDistance of ", p), []any{math.Float64bits(d), zone}, []any{math.Float64bits(wantD), wantZone})
			}
			ring := star(rng, float64(p.X), float64(p.Y), 100+rng.Float64()*2000, 3+rng.IntN(MaxFootprint-2))
			foot, err2 := n.set.Footprint(floor, ring, nil)
			same("Footprint", foot, n.footprint(floor, ring))
			swept, err3 := n.set.Capsule(floor, p, q, r, nil)
			same("Capsule", swept, n.capsule(floor, p, q, r))
			var parts []SpaceCapsule
			for range 1 + rng.IntN(30) {
				a := n.place(rng, off)
				if len(parts) > 0 && rng.IntN(4) > 0 { // near to each other, as those of a body
					a = parts[0].A
					a.X += rng.Int32N(800) - 400
				}
				b := Vertex{a.X + rng.Int32N(300) - 150, a.Y + rng.Int32N(300) - 150}
				parts = append(parts, SpaceCapsule{a, b, rng.Int32N(1800), rng.Int32N(1800), rng.Int32N(120)})
			}
			met, err4 := n.set.Parts(floor, parts, heights, nil)
			same("Parts", met, n.parts(floor, parts, heights))
			if err := errors.Join(err, err2, err3, err4); err != nil {
				t.Fatal(err)
			}
		}
	})
}

// TestPartsAmongManyEdges: a body beside more edges than are kept, and beside fewer, with parts of which some beginnings lie
// across an edge from others, is answered as by the naive loop.
func TestPartsAmongManyEdges(t *testing.T) {
	const seed = 20261202
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 1))
	many, few, hits := 0, 0, 0
	for range 60 {
		vertices := []int{5, 20, 60, 400}[rng.IntN(4)]
		ring := star(rng, 0, 0, 1500, vertices)
		n := naiveQueries{compile(t, site(ZoneSpec{ID: "z", Kind: Blocked, Outer: ring}), wheels())}
		heights := []Span{{0, 1000}}
		for range 50 {
			var parts []SpaceCapsule
			at := Vertex{rng.Int32N(4000) - 2000, rng.Int32N(4000) - 2000}
			for range 1 + rng.IntN(30) {
				a := Vertex{at.X + rng.Int32N(900) - 450, at.Y + rng.Int32N(900) - 450}
				b := Vertex{a.X + rng.Int32N(60) - 30, a.Y + rng.Int32N(60) - 30}
				parts = append(parts, SpaceCapsule{a, b, rng.Int32N(1800), rng.Int32N(1800), rng.Int32N(20)})
			}
			var body parts3
			o := n.set.leafOutline(&n.set.floors[0].solid.leaves[0])
			body.set(parts)
			if near, all := body.gather(&o); !all {
				many++
			} else if near > 0 {
				few++
			}
			got, err := n.set.Parts(0, parts, heights, nil)
			if want := n.parts(0, parts, heights); err != nil || !slices.Equal(got, want) {
				t.Fatalf("%d vertices, %v: %v, %v, the naive loop says %v", vertices, parts, got, err, want)
			}
			hits += len(got)
		}
	}
	if many < 100 || few < 100 || hits < 300 || hits > 2700 {
		t.Errorf("%d bodies beside more edges than are kept, %d beside fewer, %d hits: the comparison proves nothing", many, few, hits)
	}
}

// TestALooseIndexIsCaught is the off run: a box that is too small by a millimetre must show.
func TestALooseIndexIsCaught(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 5))
	n := naiveQueries{compile(t, estateOf(rng, 80, 0, 1), wheels())}
	for i := range n.set.runs {
		n.set.runs[i].x1--
	}
	for range 20_000 {
		p := n.place(rng, 0)
		if got, _ := n.set.At(0, p, nil); !slices.Equal(got, n.at(0, p)) {
			return
		}
	}
	t.Fatal("boxes that are too small change no answer: the comparison sees nothing")
}

func TestQueriesRefuse(t *testing.T) {
	set := compile(t, site(wall(5000)), wheels())
	far, sq := Vertex{MaxCoordinateMM + 1, 0}, rect(0, 0, 100, 100)
	for name, tc := range map[string]struct {
		want error
		ask  func() error
	}{
		"At, floor":         {ErrFloor, func() error { _, err := set.At(2, Vertex{}, nil); return err }},
		"At, no floor":      {ErrFloor, func() error { _, err := set.At(-1, Vertex{}, nil); return err }},
		"At, range":         {ErrQuery, func() error { _, err := set.At(0, far, nil); return err }},
		"distance, floor":   {ErrFloor, func() error { _, _, err := set.SignedDistance(2, Vertex{}, Blocked); return err }},
		"distance, range":   {ErrQuery, func() error { _, _, err := set.SignedDistance(0, far, Blocked); return err }},
		"distance, kind":    {ErrQuery, func() error { _, _, err := set.SignedDistance(0, Vertex{}, KindUnset); return err }},
		"footprint, two":    {ErrQuery, func() error { _, err := set.Footprint(0, sq[:2], nil); return err }},
		"footprint, many":   {ErrQuery, func() error { _, err := set.Footprint(0, make([]Vertex, MaxFootprint+1), nil); return err }},
		"footprint, range":  {ErrQuery, func() error { _, err := set.Footprint(0, []Vertex{{}, {1, 0}, far}, nil); return err }},
		"footprint, floor":  {ErrFloor, func() error { _, err := set.Footprint(9, sq, nil); return err }},
		"capsule, radius":   {ErrQuery, func() error { _, err := set.Capsule(0, Vertex{}, Vertex{}, -1, nil); return err }},
		"capsule, wide":     {ErrQuery, func() error { _, err := set.Capsule(0, Vertex{}, Vertex{}, MaxRadiusMM+1, nil); return err }},
		"capsule, range":    {ErrQuery, func() error { _, err := set.Capsule(0, far, Vertex{}, 1, nil); return err }},
		"capsule, floor":    {ErrFloor, func() error { _, err := set.Capsule(2, Vertex{}, Vertex{}, 1, nil); return err }},
		"parts, floor":      {ErrFloor, func() error { _, err := set.Parts(2, nil, nil, nil); return err }},
		"parts, heights":    {ErrQuery, func() error { _, err := set.Parts(0, nil, make([]Span, 2), nil); return err }},
		"parts, many":       {ErrQuery, func() error { _, err := set.Parts(0, make([]SpaceCapsule, MaxQueryParts+1), nil, nil); return err }},
		"parts, far":        {ErrQuery, func() error { _, err := set.Parts(0, []SpaceCapsule{{A: far}}, nil, nil); return err }},
		"parts, bad radius": {ErrQuery, func() error { _, err := set.Parts(0, []SpaceCapsule{{RadiusMM: -1}}, nil, nil); return err }},
	} {
		if err := tc.ask(); !errors.Is(err, tc.want) {
			t.Errorf("%s: %v, want %v", name, err, tc.want)
		}
	}
	if d, i, err := set.SignedDistance(1, Vertex{}, Blocked); !math.IsInf(d, 1) || i != NoZone || err != nil {
		t.Errorf("a floor without zones: %v mm, zone %d, %v", d, i, err)
	}
}

func TestQueriesDoNotAllocate(t *testing.T) {
	set := compile(t, estate(400), wheels())
	dst, ring := make([]int, 0, 64), star(rand.New(rand.NewPCG(1, 1)), 3000, 3000, 2000, 8)
	parts := []SpaceCapsule{{A: Vertex{3000, 3000}, B: Vertex{3500, 3000}, RadiusMM: 100}}
	if n := testing.AllocsPerRun(100, func() {
		dst, _ = set.At(0, Vertex{6000, 6000}, dst[:0])
		_, _, _ = set.SignedDistance(0, Vertex{3000, 3000}, Blocked)
		dst, _ = set.Footprint(0, ring, dst[:0])
		dst, _ = set.Capsule(0, Vertex{0, 0}, Vertex{9000, 6000}, 400, dst[:0])
		dst, _ = set.Parts(0, parts, nil, dst[:0])
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// TestCloseToAtTheLimits compares with 128-bit arithmetic written out, at the outermost coordinates too.
func TestCloseToAtTheLimits(t *testing.T) {
	const m = MaxCoordinateMM
	for _, tc := range []struct {
		e    edge
		x, y int32
		r    uint64
		want bool
	}{
		{edge{-m, -m, m, m}, m, m, 0, true},
		{edge{m, m, -m, -m}, m, m, 0, true},
		{edge{-m, -m, m, m}, m, -m, 1518500249, false}, // the diagonal's half is √2·2^30 = 1518500249.98…
		{edge{-m, -m, m, m}, m, -m, 1518500250, true},
		{edge{-m, 0, m, 0}, 7, 400, 400, true},
		{edge{-m, 0, m, 0}, 7, 401, 400, false},
		{edge{0, 0, 3000, 4000}, 3000 + 4*80, 4000 - 3*80 + 0, 400, true},
		{edge{0, 0, 3000, 4000}, 1500 + 4*80, 2000 - 3*80, 400, true},
		{edge{0, 0, 3000, 4000}, 1500 + 4*80, 2000 - 3*80, 399, false},
		{edge{0, 0, 10, 0}, -3, 4, 5, true},
		{edge{0, 0, 10, 0}, -3, 4, 4, false},
	} {
		if got := closeTo(&tc.e, tc.x, tc.y, tc.r*tc.r); got != tc.want {
			t.Errorf("%+v: %v", tc, got)
		}
	}
}
