package geofence

import "math/bits"

// Exact predicates on integer millimetres. Coordinates are at most 2^30 in
// magnitude, so differences fit 32 bits, products 62 bits and a difference of
// two products 63 bits: nothing overflows, nothing rounds.

// edge is a directed side of a ring.
type edge struct{ ax, ay, bx, by int32 }

func (e *edge) minX() int32 { return min(e.ax, e.bx) }
func (e *edge) maxX() int32 { return max(e.ax, e.bx) }
func (e *edge) minY() int32 { return min(e.ay, e.by) }
func (e *edge) maxY() int32 { return max(e.ay, e.by) }

// meets says whether the edge's box meets a rectangle.
func (e *edge) meets(q *bounds) bool {
	return (int64(e.maxX())-int64(q.x0))|(int64(q.x1)-int64(e.minX()))|(int64(e.maxY())-int64(q.y0))|(int64(q.y1)-int64(e.minY())) >= 0
}

// side is positive if c lies to the left of the line from a to b, negative to
// the right, and 0 on it.
func side(ax, ay, bx, by, cx, cy int32) int64 {
	return (int64(bx)-int64(ax))*(int64(cy)-int64(ay)) - (int64(by)-int64(ay))*(int64(cx)-int64(ax))
}

func sign(v int64) int {
	if v > 0 {
		return 1
	}
	if v < 0 {
		return -1
	}
	return 0
}

// inBox says whether p, known to be on the line of e, is on e itself.
func inBox(e *edge, x, y int32) bool {
	return x >= e.minX() && x <= e.maxX() && y >= e.minY() && y <= e.maxY()
}

// touch says whether two closed segments have a point in common.
func touch(e, g *edge) bool {
	if e.maxX() < g.minX() || g.maxX() < e.minX() || e.maxY() < g.minY() || g.maxY() < e.minY() {
		return false
	}
	d1 := sign(side(e.ax, e.ay, e.bx, e.by, g.ax, g.ay))
	d2 := sign(side(e.ax, e.ay, e.bx, e.by, g.bx, g.by))
	d3 := sign(side(g.ax, g.ay, g.bx, g.by, e.ax, e.ay))
	d4 := sign(side(g.ax, g.ay, g.bx, g.by, e.bx, e.by))
	if d1*d2 < 0 && d3*d4 < 0 {
		return true
	}
	return d1 == 0 && inBox(e, g.ax, g.ay) || d2 == 0 && inBox(e, g.bx, g.by) ||
		d3 == 0 && inBox(g, e.ax, e.ay) || d4 == 0 && inBox(g, e.bx, e.by)
}

// where is the place of a point against a set of rings.
type where int8

const (
	away   where = -1
	onEdge where = 0
	within where = 1
)

// locate places a point against the rings whose edges are given, by the
// even-odd rule: holes need no mark and winding does not matter.
func locate(edges []edge, x, y int32) where {
	switch odd, on := crossings(edges, x, y); {
	case on:
		return onEdge
	case odd:
		return within
	}
	return away
}

// crossings says whether a ray from a point towards greater x crosses an odd
// number of edges, and whether the point is on one of them.
func crossings(edges []edge, x, y int32) (odd, on bool) {
	for i := range edges {
		e := &edges[i]
		// Most edges lie wholly on one side of the ray, and which one cannot be guessed.
		if (int64(e.ay)-int64(y))*(int64(e.by)-int64(y)) > 0 {
			continue
		}
		if (e.ay > y) == (e.by > y) {
			// No crossing of the ray; the point may still lie on a horizontal
			// edge or on an upper end.
			if (e.ay == y || e.by == y) && inBox(e, x, y) && side(e.ax, e.ay, e.bx, e.by, x, y) == 0 {
				return odd, true
			}
			continue
		}
		s := side(e.ax, e.ay, e.bx, e.by, x, y)
		if s == 0 {
			return odd, true
		}
		if (s > 0) == (e.by > e.ay) {
			odd = !odd
		}
	}
	return odd, false
}

// dot is (b - a)·(p - a) of an edge from a to b. It would overflow where all three lie
// in the outermost corners and p is b.
func dot(e *edge, x, y int32) int64 {
	return (int64(e.bx)-int64(e.ax))*(int64(x)-int64(e.ax)) + (int64(e.by)-int64(e.ay))*(int64(y)-int64(e.ay))
}

// square2 is the squared distance between two points; it fits 64 bits without a sign.
func square2(ax, ay, bx, by int32) uint64 {
	dx, dy := int64(bx)-int64(ax), int64(by)-int64(ay)
	return uint64(dx*dx) + uint64(dy*dy)
}

// vertexEdge2 is the squared distance between a point and an edge, each step of it
// exact but the last ones, which are rounded: it is never wrong by more than 2^-50 of itself.
func vertexEdge2(e *edge, x, y int32) float64 {
	back := edge{e.bx, e.by, e.ax, e.ay}
	switch {
	case x == e.ax && y == e.ay || x == e.bx && y == e.by:
		return 0
	case dot(e, x, y) <= 0:
		return float64(square2(e.ax, e.ay, x, y))
	case dot(&back, x, y) <= 0:
		return float64(square2(e.bx, e.by, x, y))
	}
	c := float64(side(e.ax, e.ay, e.bx, e.by, x, y))
	return float64(c*c) / float64(square2(e.ax, e.ay, e.bx, e.by))
}

// closeTo says whether a point is at most so far from an edge that the square of
// the distance is r2, which is at most 2^62.
func closeTo(e *edge, x, y int32, r2 uint64) bool {
	back := edge{e.bx, e.by, e.ax, e.ay}
	switch {
	case x == e.ax && y == e.ay || x == e.bx && y == e.by:
		return true
	case dot(e, x, y) <= 0:
		return square2(e.ax, e.ay, x, y) <= r2
	case dot(&back, x, y) <= 0:
		return square2(e.bx, e.by, x, y) <= r2
	}
	// (c/l)² <= r², written without a quotient, in 128 bits.
	c := side(e.ax, e.ay, e.bx, e.by, x, y)
	c = max(c, -c)
	hi, lo := bits.Mul64(uint64(c), uint64(c))
	rhi, rlo := bits.Mul64(r2, square2(e.ax, e.ay, e.bx, e.by))
	return hi < rhi || hi == rhi && lo <= rlo
}

// edgesClose says whether two closed segments are at most so far from each other
// that the square of the distance is r2: if they do not meet, then an end of one
// is a nearest point.
func edgesClose(e, g *edge, r2 uint64) bool {
	return touch(e, g) || closeTo(e, g.ax, g.ay, r2) || closeTo(e, g.bx, g.by, r2) ||
		closeTo(g, e.ax, e.ay, r2) || closeTo(g, e.bx, e.by, r2)
}

// ringEdges appends the edges of a ring.
func ringEdges(dst []edge, ring []Vertex) []edge {
	for i, a := range ring {
		b := ring[(i+1)%len(ring)]
		dst = append(dst, edge{a.X, a.Y, b.X, b.Y})
	}
	return dst
}

// box is a closed axis-parallel rectangle. Its numbers are wide, so that it can be grown.
type box struct{ x0, y0, x1, y1 int64 }

func emptyBox() box { return box{1 << 62, 1 << 62, -1 << 62, -1 << 62} }

func (b box) add(x, y int64) box {
	return box{min(b.x0, x), min(b.y0, y), max(b.x1, x), max(b.y1, y)}
}

func (b box) grow(d int64) box { return box{b.x0 - d, b.y0 - d, b.x1 + d, b.y1 + d} }

func (b box) meets(o box) bool {
	return b.x0 <= o.x1 && o.x0 <= b.x1 && b.y0 <= o.y1 && o.y0 <= b.y1
}

func boxOf(edges []edge) box {
	b := emptyBox()
	for i := range edges {
		b = b.add(int64(edges[i].ax), int64(edges[i].ay)).add(int64(edges[i].bx), int64(edges[i].by))
	}
	return b
}
