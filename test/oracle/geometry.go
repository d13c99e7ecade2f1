// Package oracle judges what a robot really did, from the ground truth that its plant wrote down; it never looks at
// anything that the product says about itself.
//
// It was written from the specification alone. Its geometry shares nothing with the product's: coordinates stay
// float64, and every decision about inside, outside and touching is exact, because a sign that plain arithmetic cannot
// settle goes to a referee in math/big.
package oracle

import (
	"math"
	"math/big"
	"slices"
)

// Point is a place in metres.
type Point struct{ X, Y float64 }

// Ring is a simple polygon's outline in metres, in either direction; the last corner joins the first.
type Ring []Point

// Zone is a closed set: the outer ring with all inside it, less the insides of the holes. The rings themselves belong
// to it, those of the holes too.
type Zone struct {
	// ID names the zone in results.
	ID string
	// Outer is the outline, Holes lie inside it.
	Outer Ring
	Holes []Ring
}

// Contour is the robot's outline: one ring per body part, in metres in the robot's frame (x forward).
type Contour []Ring

// Rectangle is an axis-parallel rectangle between two opposite corners.
func Rectangle(x0, y0, x1, y1 float64) Ring {
	return Ring{{x0, y0}, {x1, y0}, {x1, y1}, {x0, y1}}
}

// At is the contour of a robot that stands at x, y (m) with heading yaw (rad).
func (c Contour) At(x, y, yaw float64) Contour {
	sin, cos := math.Sincos(yaw)
	placed := make(Contour, len(c))
	for i, r := range c {
		placed[i] = make(Ring, len(r))
		for j, p := range r {
			placed[i][j] = Point{x + p.X*cos - p.Y*sin, y + p.X*sin + p.Y*cos}
		}
	}
	return placed
}

// Radius is the distance of the contour's farthest corner from the robot's origin, in metres.
func (c Contour) Radius() float64 {
	far := 0.0
	for _, r := range c {
		for _, p := range r {
			far = max(far, math.Hypot(p.X, p.Y))
		}
	}
	return far
}

// turn is the sign of the area of triangle a, b, c: +1 if c lies left of the line from a to b, -1 right, 0 on it.
func turn(a, b, c Point) int {
	l, r := (b.X-a.X)*(c.Y-a.Y), (b.Y-a.Y)*(c.X-a.X)
	det := l - r
	// Each of the five roundings loses at most 2^-53 of its result (Shewchuk 1997, bound A, widened). Products too
	// small for a relative bound are settled below.
	bound := 8 * 0x1p-53 * (math.Abs(l) + math.Abs(r))
	if math.Abs(det) > bound+math.SmallestNonzeroFloat64*16 {
		return sign(det)
	}
	return exactTurn(a, b, c)
}

func exactTurn(a, b, c Point) int {
	diff := func(x, y float64) *big.Rat {
		return new(big.Rat).Sub(new(big.Rat).SetFloat64(x), new(big.Rat).SetFloat64(y))
	}
	l := new(big.Rat).Mul(diff(b.X, a.X), diff(c.Y, a.Y))
	r := new(big.Rat).Mul(diff(b.Y, a.Y), diff(c.X, a.X))
	return l.Cmp(r)
}

func sign(v float64) int {
	switch {
	case v > 0:
		return 1
	case v < 0:
		return -1
	}
	return 0
}

// between says whether p, known to lie on the line through a and b, lies on the segment.
func between(a, b, p Point) bool {
	return min(a.X, b.X) <= p.X && p.X <= max(a.X, b.X) && min(a.Y, b.Y) <= p.Y && p.Y <= max(a.Y, b.Y)
}

// segmentsMeet says whether two closed segments share a point.
func segmentsMeet(a, b, c, d Point) bool {
	t1, t2, t3, t4 := turn(a, b, c), turn(a, b, d), turn(c, d, a), turn(c, d, b)
	if t1*t2 < 0 && t3*t4 < 0 {
		return true
	}
	return t1 == 0 && between(a, b, c) || t2 == 0 && between(a, b, d) ||
		t3 == 0 && between(c, d, a) || t4 == 0 && between(c, d, b)
}

// place is where a point lies with respect to a ring.
type place int

const (
	outside place = iota
	onEdge
	inside
)

// locate counts the edges that a ray from p to the right crosses.
func (r Ring) locate(p Point) place {
	in := false
	for i := range r {
		a, b := r[i], r[(i+1)%len(r)]
		t := turn(a, b, p)
		if t == 0 && between(a, b, p) {
			return onEdge
		}
		// Half-open in y, so that a corner on the ray is counted once.
		if (a.Y > p.Y) != (b.Y > p.Y) && (t > 0) == (b.Y > a.Y) {
			in = !in
		}
	}
	if in {
		return inside
	}
	return outside
}

// edgesMeet says whether any edges of two rings share a point.
func edgesMeet(r, s Ring) bool {
	for i := range r {
		a, b := r[i], r[(i+1)%len(r)]
		for j := range s {
			if segmentsMeet(a, b, s[j], s[(j+1)%len(s)]) {
				return true
			}
		}
	}
	return false
}

// contains says whether the closed zone holds the point.
func (z Zone) contains(p Point) bool {
	if z.Outer.locate(p) == outside {
		return false
	}
	for _, h := range z.Holes {
		if h.locate(p) == inside {
			return false
		}
	}
	return true
}

// Touches says whether any point of the part, its inside included, lies in the closed zone.
func (z Zone) Touches(part Ring) bool {
	if edgesMeet(part, z.Outer) {
		return true
	}
	for _, h := range z.Holes {
		if edgesMeet(part, h) {
			return true
		}
	}
	// No outlines meet, so the part's outline lies wholly in the zone or wholly out of it, and so does the zone's with
	// respect to the part.
	return z.contains(part[0]) || part.locate(z.Outer[0]) != outside
}

// Touches says whether any part of a placed contour touches the zone.
func (c Contour) Touches(z Zone) bool {
	return slices.ContainsFunc(c, z.Touches)
}

// Within says whether a placed contour lies wholly in the inside of the zone: on the edge counts as out.
func (c Contour) Within(z Zone) bool {
	for _, part := range c {
		if edgesMeet(part, z.Outer) || z.Outer.locate(part[0]) != inside {
			return false
		}
		for _, h := range z.Holes {
			if edgesMeet(part, h) || h.locate(part[0]) != outside || part.locate(h[0]) != outside {
				return false
			}
		}
	}
	return true
}

// Distance is the smallest distance in metres between a placed contour and the zone; 0 exactly when they touch.
func (c Contour) Distance(z Zone) float64 {
	if c.Touches(z) {
		return 0
	}
	d := math.Inf(1)
	for _, part := range c {
		d = min(d, ringDistance(part, z.Outer))
		for _, h := range z.Holes {
			d = min(d, ringDistance(part, h))
		}
	}
	// Apart by less than the arithmetic can tell is still apart.
	return max(d, math.SmallestNonzeroFloat64)
}

func ringDistance(r, s Ring) float64 {
	d := math.Inf(1)
	for i := range r {
		for j := range s {
			a, b, p, q := r[i], r[(i+1)%len(r)], s[j], s[(j+1)%len(s)]
			d = min(d, pointSegment(a, p, q), pointSegment(p, a, b))
		}
	}
	return d
}

// pointSegment is the distance of p from the segment a, b.
func pointSegment(p, a, b Point) float64 {
	ux, uy := b.X-a.X, b.Y-a.Y
	length := ux*ux + uy*uy
	along := 0.0
	if length > 0 {
		along = min(1, max(0, ((p.X-a.X)*ux+(p.Y-a.Y)*uy)/length))
	}
	return math.Hypot(p.X-a.X-along*ux, p.Y-a.Y-along*uy)
}
