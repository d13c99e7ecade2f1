package geos

import (
	"math"
	"math/rand/v2"
)

// Point is a place in whole millimetres.
type Point struct{ X, Y int32 }

// Zone is a prism over rings, the outer one first, between two heights in millimetres.
type Zone struct {
	Rings    [][]Point
	Blocked  bool
	From, To int32
}

// World is one floor of zones and the queries about it.
type World struct {
	Seed  uint64
	Zones []Zone
	// edge is the half width of the floor, off where its middle is, both in millimetres.
	edge, off int32
}

// The sizes of the peer's records.
const (
	maxFoot = 12
	links   = 30
)

// Link is a body part: a ball of radius R that goes straight from one point to another.
type Link struct {
	A, B      Point
	AZ, BZ, R int32
}

// Query is a place and all that is asked there; Boundary says that it was put exactly on a zone's boundary or in line with a vertex.
type Query struct {
	P, End   Point
	R        int32
	Foot     []Point
	Links    [links]Link
	Boundary bool
}

// words appends what the peer needs to know for a kind of query.
func (q *Query) words(k Kind, b []byte) []byte {
	switch k {
	case At, Distance:
		return words(b, q.P.X, q.P.Y)
	case Footprint:
		b = words(b, int32(len(q.Foot)))
		for i := range maxFoot {
			v := q.Foot[min(i, len(q.Foot)-1)]
			b = words(b, v.X, v.Y)
		}
		return b
	case Capsule:
		return words(b, q.P.X, q.P.Y, q.End.X, q.End.Y, q.R)
	case Parts:
		for _, l := range q.Links {
			b = words(b, l.A.X, l.A.Y, l.B.X, l.B.Y, l.AZ, l.BZ, l.R)
		}
	}
	return b
}

// NewWorld draws n zones that overlap two to three deep: stars of 4 to 200 vertices, some with a hole, needles,
// and rows of rooms that share their walls. Some worlds lie 10 km from the origin.
func NewWorld(seed uint64, n int) *World {
	rng := rand.New(rand.NewPCG(seed, 0x9e05))
	w := &World{Seed: seed, edge: int32(800 * math.Sqrt(float64(n))), off: int32(rng.IntN(3)-1) * 10_000_000}
	for len(w.Zones) < n {
		x, y := w.anywhere(rng)
		var z Zone
		switch kind := rng.IntN(20); {
		case kind == 0:
			z.Rings = [][]Point{needle(rng, x, y)}
		case kind < 4 && len(w.Zones)+4 <= n:
			w.rooms(rng, x, y)
			continue
		default:
			size := 300 + 3500*rng.Float64()*rng.Float64()
			vertices := 4 + int(196*rng.Float64()*rng.Float64())
			z.Rings = [][]Point{star(rng, x, y, max(size, float64(vertices)*12), vertices)}
			if rng.IntN(5) == 0 {
				z.Rings = append(z.Rings, star(rng, x, y, 0.4*max(size, float64(vertices)*12), 4+rng.IntN(12)))
			}
		}
		w.add(rng, z)
	}
	return w
}

func (w *World) add(rng *rand.Rand, z Zone) {
	z.Blocked = rng.IntN(3) > 0
	z.From = rng.Int32N(1500)
	z.To = z.From + 1 + rng.Int32N(1500)
	w.Zones = append(w.Zones, z)
}

func (w *World) anywhere(rng *rand.Rand) (x, y float64) {
	at := func() float64 { return float64(w.off) + float64(w.edge)*(2*rng.Float64()-1) }
	return at(), at()
}

// star is a polygon that its middle sees all of.
func star(rng *rand.Rand, x, y, size float64, n int) []Point {
	ring := make([]Point, n)
	for i := range ring {
		angle := (float64(i) + 0.5*rng.Float64()) / float64(n) * 2 * math.Pi
		r := size * (0.5 + 0.5*rng.Float64())
		ring[i] = Point{int32(math.Round(x + r*math.Cos(angle))), int32(math.Round(y + r*math.Sin(angle)))}
	}
	return ring
}

// needle is metres long and a few millimetres wide.
func needle(rng *rand.Rand, x, y float64) []Point {
	angle, long := 2*math.Pi*rng.Float64(), 1000+9000*rng.Float64()
	a := Point{int32(x), int32(y)}
	b := Point{int32(x + long*math.Cos(angle)), int32(y + long*math.Sin(angle))}
	return []Point{a, b, {b.X - 1 - rng.Int32N(3), b.Y + 1 + rng.Int32N(3)}}
}

// rooms are four rectangles in a row that share their walls.
func (w *World) rooms(rng *rand.Rand, x, y float64) {
	x0, y0, y1 := int32(x), int32(y), int32(y)+1000+rng.Int32N(3000)
	for range 4 {
		x1 := x0 + 800 + rng.Int32N(2500)
		w.add(rng, Zone{Rings: [][]Point{{{x0, y0}, {x1, y0}, {x1, y1}, {x0, y1}}}})
		x0 = x1
	}
}

// Queries draws places, one in five of them on a boundary.
func (w *World) Queries(n int) []Query {
	rng := rand.New(rand.NewPCG(w.Seed, 0x0e11))
	out := make([]Query, n)
	for i := range out {
		q := &out[i]
		x, y := w.anywhere(rng)
		q.P, q.R = Point{int32(x), int32(y)}, 400
		if q.Boundary = rng.IntN(5) == 0; q.Boundary {
			w.onBoundary(rng, q)
		}
		angle, way := 2*math.Pi*rng.Float64(), 200+2800*rng.Float64()
		q.End = Point{q.P.X + int32(way*math.Cos(angle)), q.P.Y + int32(way*math.Sin(angle))}
		q.Foot = star(rng, float64(q.P.X), float64(q.P.Y), 300+300*rng.Float64(), 4+rng.IntN(maxFoot-3))
		q.body(rng)
		if q.Boundary {
			q.touch(rng)
		}
	}
	return out
}

// body is a chain of links that starts at the place of the query, its height from the floor to a head's.
func (q *Query) body(rng *rand.Rand) {
	at, z := q.P, rng.Int32N(300)
	for i := range q.Links {
		next := Point{at.X + rng.Int32N(241) - 120, at.Y + rng.Int32N(241) - 120}
		top := max(0, z+rng.Int32N(301)-100)
		q.Links[i] = Link{at, next, z, top, 40 + rng.Int32N(60)}
		at, z = next, top
		if i%6 == 5 { // the next limb
			at, z = q.P, 300+rng.Int32N(1200)
		}
	}
}

// onBoundary puts the place on a vertex, on a whole point of an edge, or in line with a vertex.
func (w *World) onBoundary(rng *rand.Rand, q *Query) {
	z := &w.Zones[rng.IntN(len(w.Zones))]
	ring := z.Rings[rng.IntN(len(z.Rings))]
	i := rng.IntN(len(ring))
	a, b := ring[i], ring[(i+1)%len(ring)]
	switch rng.IntN(3) {
	case 0:
		q.P = a
	case 1:
		dx, dy := b.X-a.X, b.Y-a.Y
		n := max(gcd(dx, dy), 1)
		k := rng.Int32N(n)
		q.P = Point{a.X + dx/n*k, a.Y + dy/n*k}
	default:
		q.P.Y = a.Y
	}
}

// touch moves what is asked at a place on a boundary so that it touches just there: the capsule by its
// radius, away by a triangle of 3, 4 and 5, the footprint with a vertex, a link with its end or its top.
func (q *Query) touch(rng *rand.Rand) {
	p := q.P
	dir := [...]Point{{4, 3}, {3, -4}, {-4, -3}, {-3, 4}, {5, 0}, {0, 5}, {-5, 0}, {0, -5}}[rng.IntN(8)]
	q.P = Point{p.X + dir.X*q.R/5, p.Y + dir.Y*q.R/5}
	q.End = Point{q.P.X + dir.X*int32(rng.IntN(400)), q.P.Y + dir.Y*int32(rng.IntN(400))}
	if rng.IntN(4) == 0 { // or right along the tangent
		q.End = Point{q.P.X - dir.Y*int32(rng.IntN(400)), q.P.Y + dir.X*int32(rng.IntN(400))}
	}
	if rng.IntN(2) == 0 {
		q.P = p
	}
	q.Foot[rng.IntN(len(q.Foot))] = p
	if rng.IntN(2) == 0 || !simple(q.Foot) { // small, so that it touches from outside as well
		q.Foot = []Point{p, {p.X + 5*dir.X, p.Y + 5*dir.Y}, {p.X + 5*dir.X - 2*dir.Y, p.Y + 5*dir.Y + 2*dir.X}}
	}
	l := &q.Links[rng.IntN(links)]
	l.R = 5 * (8 + rng.Int32N(12))
	l.A = Point{p.X + dir.X*l.R/5, p.Y + dir.Y*l.R/5}
	l.B = Point{l.A.X + 20*dir.X, l.A.Y + 20*dir.Y}
}

func gcd(a, b int32) int32 {
	for b != 0 {
		a, b = b, a%b
	}
	return max(a, -a)
}
