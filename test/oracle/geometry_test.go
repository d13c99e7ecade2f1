package oracle

import (
	"math"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// ell is an L-shaped ring: a 4 x 4 square less its upper right quarter.
var ell = Ring{{0, 0}, {4, 0}, {4, 2}, {2, 2}, {2, 4}, {0, 4}}

func TestTouchesByHand(t *testing.T) {
	yard := Zone{ID: "yard", Outer: Rectangle(0, 0, 10, 10), Holes: []Ring{Rectangle(3, 3, 7, 7)}}
	for _, c := range []struct {
		name string
		zone Zone
		part Ring
		want bool
		dist float64
	}{
		{"apart", yard, Rectangle(12, 0, 13, 1), false, 2},
		{"apart over a corner", yard, Rectangle(13, 14, 15, 15), false, 5},
		{"edge on edge", yard, Rectangle(10, 2, 11, 3), true, 0},
		{"corner on edge", yard, Ring{{10, 5}, {11, 4}, {11, 6}}, true, 0},
		{"corner on corner", yard, Rectangle(10, 10, 11, 11), true, 0},
		{"one ulp off the edge", yard, Rectangle(math.Nextafter(10, 11), 2, 11, 3), false, math.Nextafter(10, 11) - 10},
		{"overlap", yard, Rectangle(9, 9, 11, 11), true, 0},
		{"wholly in the solid part", yard, Rectangle(1, 1, 2, 2), true, 0},
		{"wholly in the hole", yard, Rectangle(4, 4, 6, 6), false, 1},
		{"in the hole, touching its edge", yard, Rectangle(3, 4, 5, 5), true, 0},
		{"filling the hole exactly", yard, Rectangle(3, 3, 7, 7), true, 0},
		{"around the whole zone", yard, Rectangle(-1, -1, 11, 11), true, 0},
		{"across the hole", yard, Rectangle(4, -1, 5, 11), true, 0},
		{"in the notch of the L", Zone{Outer: ell}, Rectangle(3, 3, 5, 5), false, 1},
		{"bridging the notch", Zone{Outer: ell}, Ring{{1, 3.5}, {3.5, 1}, {3.6, 1.1}, {1.1, 3.6}}, true, 0},
		{"cutting across the notch's corner", Zone{Outer: ell}, Ring{{2, 4}, {4, 2}, {5, 5}}, true, 0},
		{"no area, on the edge", yard, Ring{{10, 1}, {12, 1}, {10, 1}}, true, 0},
	} {
		contour := Contour{c.part}
		if got := contour.Touches(c.zone); got != c.want {
			t.Errorf("%s: touches %v, want %v", c.name, got, c.want)
		}
		if got := contour.Distance(c.zone); math.Abs(got-c.dist) > 1e-12 || (got == 0) != c.want {
			t.Errorf("%s: distance %v, want %v", c.name, got, c.dist)
		}
		back := slices.Clone(c.part)
		slices.Reverse(back)
		if got := c.zone.Touches(back); got != c.want {
			t.Errorf("%s: touches %v with the part's direction reversed", c.name, got)
		}
	}
}

func TestWithinByHand(t *testing.T) {
	yard := Zone{Outer: Rectangle(0, 0, 10, 10), Holes: []Ring{Rectangle(3, 3, 7, 7)}}
	for name, c := range map[string]struct {
		part Ring
		want bool
	}{
		"inside":                {Rectangle(1, 1, 2, 2), true},
		"touching the edge":     {Rectangle(0, 1, 2, 2), false},
		"across the edge":       {Rectangle(-1, 1, 2, 2), false},
		"outside":               {Rectangle(20, 1, 22, 2), false},
		"in the hole":           {Rectangle(4, 4, 5, 5), false},
		"around the hole":       {Rectangle(2, 2, 8, 8), false},
		"into the hole":         {Rectangle(2, 4, 4, 5), false},
		"touching the hole":     {Rectangle(1, 4, 3, 5), false},
		"around the whole yard": {Rectangle(-1, -1, 11, 11), false},
	} {
		if got := (Contour{c.part}).Within(yard); got != c.want {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
}

func TestPlacingTurnsAndMoves(t *testing.T) {
	c := Contour{Rectangle(-0.2, -0.3, 0.6, 0.3)}
	got := c.At(10, 20, math.Pi/2)[0]
	for i, want := range (Ring{{10.3, 19.8}, {10.3, 20.6}, {9.7, 20.6}, {9.7, 19.8}}) {
		if math.Hypot(got[i].X-want.X, got[i].Y-want.Y) > 1e-12 {
			t.Errorf("corner %d at %v, want %v", i, got[i], want)
		}
	}
	if r := c.Radius(); math.Abs(r-math.Hypot(0.6, 0.3)) > 1e-12 {
		t.Errorf("radius %v", r)
	}
}

// TestTurnIsExactWhereArithmeticIsNot walks points along a line by single steps of the last bit.
func TestTurnIsExactWhereArithmeticIsNot(t *testing.T) {
	a, b := Point{12, 12}, Point{24, 24}
	x := 0.5
	for range 64 {
		y := 0.5
		for range 64 {
			want := sign(y - x)
			if got := turn(a, b, Point{x, y}); got != want {
				t.Fatalf("turn at %v, %v is %d, want %d", x, y, got, want)
			}
			y = math.Nextafter(y, 1)
		}
		x = math.Nextafter(x, 1)
	}
}

// convex draws a convex ring with whole coordinates: the hull of a few points.
func convex(t *rapid.T, label string) Ring {
	p := rapid.SliceOfNDistinct(rapid.Custom(func(t *rapid.T) Point {
		return Point{float64(rapid.IntRange(-9, 9).Draw(t, "x")), float64(rapid.IntRange(-9, 9).Draw(t, "y"))}
	}), 3, 8, func(p Point) Point { return p }).Draw(t, label)
	slices.SortFunc(p, func(a, b Point) int {
		if a.X != b.X {
			return sign(a.X - b.X)
		}
		return sign(a.Y - b.Y)
	})
	cross := func(a, b, c Point) float64 { return (b.X-a.X)*(c.Y-a.Y) - (b.Y-a.Y)*(c.X-a.X) }
	half := func(p []Point) []Point {
		var h []Point
		for _, q := range p {
			for len(h) > 1 && cross(h[len(h)-2], h[len(h)-1], q) <= 0 {
				h = h[:len(h)-1]
			}
			h = append(h, q)
		}
		return h[:len(h)-1]
	}
	lower := half(p)
	slices.Reverse(p)
	ring := Ring(append(lower, half(p)...))
	if len(ring) < 3 {
		t.Skip("all points on one line")
	}
	return ring
}

// separated says whether some edge's normal puts a strict gap between two convex rings. Whole coordinates make every
// product here exact, and the method has nothing in common with the one under test.
func separated(r, s Ring) bool {
	for _, pair := range [][2]Ring{{r, s}, {s, r}} {
		for i := range pair[0] {
			a, b := pair[0][i], pair[0][(i+1)%len(pair[0])]
			nx, ny := b.Y-a.Y, a.X-b.X
			limit := math.Inf(-1)
			for _, p := range pair[0] {
				limit = max(limit, nx*p.X+ny*p.Y)
			}
			gap := math.Inf(1)
			for _, p := range pair[1] {
				gap = min(gap, nx*p.X+ny*p.Y)
			}
			if gap > limit {
				return true
			}
		}
	}
	return false
}

func TestTouchesAgreesWithSeparatingAxes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r, s := convex(t, "r"), convex(t, "s")
		shift := float64(rapid.IntRange(0, 12).Draw(t, "shift"))
		for i := range s {
			s[i].X += shift
		}
		if got := (Zone{Outer: r}).Touches(s); got == separated(r, s) {
			t.Fatalf("touches %v, but separated %v: %v %v", got, !got, r, s)
		}
	})
}

func TestDistanceAgreesWithSampling(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r, s := convex(t, "r"), convex(t, "s")
		for i := range s {
			s[i].X += 14
		}
		got := Contour{s}.Distance(Zone{Outer: r})
		if (got == 0) == separated(r, s) {
			t.Fatalf("distance %v, separated %v", got, separated(r, s))
		}
		if got == 0 {
			return
		}
		const n = 40
		least := math.Inf(1)
		for _, p := range points(r, n) {
			for _, q := range points(s, n) {
				least = min(least, math.Hypot(p.X-q.X, p.Y-q.Y))
			}
		}
		if got > least+1e-12 || got < least-1.5 {
			t.Fatalf("distance %v, but sampled points are %v apart", got, least)
		}
	})
}

// points are n points on each edge.
func points(r Ring, n int) []Point {
	var out []Point
	for i := range r {
		a, b := r[i], r[(i+1)%len(r)]
		for k := range n {
			f := float64(k) / float64(n)
			out = append(out, Point{a.X + f*(b.X-a.X), a.Y + f*(b.Y-a.Y)})
		}
	}
	return out
}

func TestHoleIsOutsideMinusItsEdge(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		hole := convex(t, "hole")
		part := convex(t, "part")
		for i := range part {
			part[i].X, part[i].Y = part[i].X/3, part[i].Y/3
		}
		z := Zone{Outer: Rectangle(-50, -50, 50, 50), Holes: []Ring{hole}}
		free := true // strictly inside the convex hole: left of every edge
		for i := range hole {
			for _, p := range part {
				free = free && exactTurn(hole[i], hole[(i+1)%len(hole)], p) > 0
			}
		}
		if got := z.Touches(part); got == free {
			t.Fatalf("touches %v, strictly inside the hole %v: part %v hole %v", got, free, part, hole)
		}
	})
}
