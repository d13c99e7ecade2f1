package geos

import "math/big"

// The referee decides by the definitions, in whole and rational numbers of any size. It is slow and knows no index.

// vec is a vector of whole numbers of any size.
type vec struct{ x, y *big.Int }

func from(a, b Point) vec {
	return vec{
		new(big.Int).Sub(big.NewInt(int64(b.X)), big.NewInt(int64(a.X))),
		new(big.Int).Sub(big.NewInt(int64(b.Y)), big.NewInt(int64(a.Y))),
	}
}

func cross(u, v vec) *big.Int {
	return new(big.Int).Sub(new(big.Int).Mul(u.x, v.y), new(big.Int).Mul(u.y, v.x))
}

func dot(u, v vec) *big.Int {
	return new(big.Int).Add(new(big.Int).Mul(u.x, v.x), new(big.Int).Mul(u.y, v.y))
}

// turn is the sign of the area of a, b, c.
func turn(a, b, c Point) int { return cross(from(a, b), from(a, c)).Sign() }

// onSegment says whether p lies on the closed segment a b.
func onSegment(p, a, b Point) bool {
	return turn(a, b, p) == 0 && dot(from(p, a), from(p, b)).Sign() <= 0
}

// meet says whether two closed segments have a point in common.
func meet(a, b, c, d Point) bool {
	if onSegment(a, c, d) || onSegment(b, c, d) || onSegment(c, a, b) || onSegment(d, a, b) {
		return true
	}
	return turn(a, b, c)*turn(a, b, d) < 0 && turn(c, d, a)*turn(c, d, b) < 0
}

// sides calls f for each side of rings until it says no.
func sides(rings [][]Point, f func(a, b Point) bool) bool {
	for _, r := range rings {
		for i, a := range r {
			if !f(a, r[(i+1)%len(r)]) {
				return false
			}
		}
	}
	return true
}

// has says whether a point is in a closed polygon with holes, whose boundaries belong to it.
func has(rings [][]Point, p Point) bool {
	odd := false
	if !sides(rings, func(a, b Point) bool {
		if onSegment(p, a, b) {
			return false
		}
		if (a.Y > p.Y) != (b.Y > p.Y) && (turn(a, b, p) > 0) == (b.Y > a.Y) {
			odd = !odd
		}
		return true
	}) {
		return true
	}
	return odd
}

// square2 is the squared distance of a point from a closed segment.
func square2(p, a, b Point) *big.Rat {
	d, ap, bp := from(a, b), from(a, p), from(b, p)
	l2 := dot(d, d)
	switch {
	case l2.Sign() == 0 || dot(d, ap).Sign() <= 0:
		return new(big.Rat).SetInt(dot(ap, ap))
	case dot(d, bp).Sign() >= 0:
		return new(big.Rat).SetInt(dot(bp, bp))
	}
	c := cross(d, ap)
	return new(big.Rat).SetFrac(c.Mul(c, c), l2)
}

// outline2 is the squared distance of a point from the boundary of a polygon.
func outline2(rings [][]Point, p Point) *big.Rat {
	var best *big.Rat
	sides(rings, func(a, b Point) bool {
		if d := square2(p, a, b); best == nil || d.Cmp(best) < 0 {
			best = d
		}
		return true
	})
	return best
}

// footprintIn says whether two closed polygons have a point in common.
func footprintIn(rings [][]Point, foot []Point) bool {
	own := [][]Point{foot}
	clear := sides(rings, func(a, b Point) bool {
		return sides(own, func(c, d Point) bool { return !meet(a, b, c, d) })
	})
	return !clear || has(rings, foot[0]) || has(own, rings[0][0])
}

// capsuleIn says whether a disk of radius r that goes from p to q has a point in common with a polygon.
func capsuleIn(rings [][]Point, p, q Point, r int32) bool {
	r2 := new(big.Rat).SetInt64(int64(r) * int64(r))
	near := func(x, a, b Point) bool { return square2(x, a, b).Cmp(r2) <= 0 }
	clear := sides(rings, func(a, b Point) bool {
		return !meet(a, b, p, q) && !near(p, a, b) && !near(q, a, b) && !near(a, p, q) && !near(b, p, q)
	})
	return !clear || has(rings, p)
}

// apart says of rings and points that even the boxes round them are farther apart than r. It spares the
// referee most of its work, in plain whole numbers that cannot be wrong.
func apart(rings [][]Point, r int64, points ...Point) bool {
	x0, y0, x1, y1 := span(rings[0])
	px0, py0, px1, py1 := span(points)
	return px0-r > x1 || px1+r < x0 || py0-r > y1 || py1+r < y0
}

func span(points []Point) (x0, y0, x1, y1 int64) {
	x0, y0, x1, y1 = 1<<40, 1<<40, -1<<40, -1<<40
	for _, p := range points {
		x0, x1 = min(x0, int64(p.X)), max(x1, int64(p.X))
		y0, y1 = min(y0, int64(p.Y)), max(y1, int64(p.Y))
	}
	return x0, y0, x1, y1
}

// touches is the truth about a query and a zone.
func touches(k Kind, q *Query, z *Zone) bool {
	switch k {
	case At, Distance:
		return !apart(z.Rings, 0, q.P) && has(z.Rings, q.P)
	case Footprint:
		return !apart(z.Rings, 0, q.Foot...) && footprintIn(z.Rings, q.Foot)
	case Capsule:
		return !apart(z.Rings, int64(q.R), q.P, q.End) && capsuleIn(z.Rings, q.P, q.End, q.R)
	case Parts:
		for _, l := range q.Links {
			low, top := min(l.AZ, l.BZ)-l.R, max(l.AZ, l.BZ)+l.R
			if top >= z.From && low <= z.To && !apart(z.Rings, int64(l.R), l.A, l.B) && capsuleIn(z.Rings, l.A, l.B, l.R) {
				return true
			}
		}
	}
	return false
}

// signed2 is the squared distance of a point from the blocked zones, and whether it is in one: then the
// greatest depth counts. It is nil without a blocked zone.
func signed2(w *World, p Point) (best *big.Rat, inside bool) {
	for i := range w.Zones {
		z := &w.Zones[i]
		if !z.Blocked {
			continue
		}
		if best != nil && (inside && apart(z.Rings, 0, p) || !inside && apart(z.Rings, root(best), p)) {
			continue
		}
		in, d := has(z.Rings, p), outline2(z.Rings, p)
		if best == nil || in && (!inside || d.Cmp(best) > 0) || !in && !inside && d.Cmp(best) < 0 {
			best, inside = d, in || inside
		}
	}
	return best, inside
}

// root is a whole number that is not less than the root of a square.
func root(square *big.Rat) int64 {
	n := new(big.Int).Quo(square.Num(), square.Denom())
	return n.Sqrt(n).Int64() + 1
}

// simple says whether a ring has no sides that meet but neighbours, and those at their vertex alone.
func simple(ring []Point) bool {
	n := len(ring)
	for i := range n {
		for j := i + 1; j < n; j++ {
			a, b, c, d := ring[i], ring[(i+1)%n], ring[j], ring[(j+1)%n]
			switch {
			case j == i+1: // b is c
				if onSegment(d, a, b) || onSegment(a, c, d) {
					return false
				}
			case (j+1)%n == i: // d is a
				if onSegment(c, a, b) || onSegment(b, c, d) {
					return false
				}
			case meet(a, b, c, d):
				return false
			}
		}
	}
	return true
}
