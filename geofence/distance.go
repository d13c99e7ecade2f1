package geofence

import "math"

// Distances are floating-point, in millimetres, and always between points whose
// coordinates were subtracted first: far from the map's origin nothing is lost.

// pointEdge2 is the squared distance from the origin to the segment from
// (ax, ay) to (bx, by).
func pointEdge2(ax, ay, bx, by float64) float64 {
	dx, dy := bx-ax, by-ay
	t := -(float64(ax*dx) + float64(ay*dy))
	l2 := float64(dx*dx) + float64(dy*dy)
	if t <= 0 {
		return float64(ax*ax) + float64(ay*ay)
	}
	if t >= l2 {
		return float64(bx*bx) + float64(by*by)
	}
	c := float64(ax*dy) - float64(ay*dx)
	return float64(c*c) / l2
}

// contour is the body's outline somewhere on the map: x and y in millimetres,
// ix and iy the same rounded to whole ones, for the exact predicates.
type contour struct {
	n     int
	x, y  [MaxFootprint]float64
	sides [MaxFootprint]edge
	box   box
}

// set places the body at a frame.
func (c *contour) set(b *body, p frame) {
	c.outline(b, p)
	c.box = emptyBox()
	last := b.n - 1
	lx, ly := int32(math.Round(c.x[last])), int32(math.Round(c.y[last]))
	for i := range c.n {
		x, y := int32(math.Round(c.x[i])), int32(math.Round(c.y[i]))
		c.sides[i] = edge{lx, ly, x, y}
		c.box = c.box.add(int64(x), int64(y))
		lx, ly = x, y
	}
}

// outline places only the vertices.
func (c *contour) outline(b *body, p frame) {
	c.n = b.n
	for i := range b.n {
		c.x[i], c.y[i] = p.apply(b.x[i], b.y[i])
	}
}

// gap2 is a lower bound of the squared distance between an edge and a box.
func gap2(e *edge, b box) float64 {
	return boundsGap2(&bounds{e.minX(), e.minY(), e.maxX(), e.maxY()}, b)
}

// boundsGap2 is the squared distance between two boxes.
func boundsGap2(s *bounds, b box) float64 {
	dx := max(0, int64(s.x0)-b.x1, b.x0-int64(s.x1))
	dy := max(0, int64(s.y0)-b.y1, b.y0-int64(s.y1))
	fx, fy := float64(dx), float64(dy)
	return float64(fx*fx) + float64(fy*fy)
}

// edge2 is the squared distance between the contour and an edge, if they do not
// cross: then the nearest pair of points has a vertex of one or the other. In a
// closed ring the edge's end is left to the next edge, which starts there.
func (c *contour) edge2(e *edge, open bool) float64 {
	ax, ay, bx, by := float64(e.ax), float64(e.ay), float64(e.bx), float64(e.by)
	best := math.Inf(1)
	px, py := c.x[c.n-1], c.y[c.n-1]
	for i := range c.n {
		x, y := c.x[i], c.y[i]
		if d := pointEdge2(ax-x, ay-y, bx-x, by-y); d < best {
			best = d
		}
		if d := pointEdge2(px-ax, py-ay, x-ax, y-ay); d < best {
			best = d
		}
		if open {
			best = min(best, pointEdge2(px-bx, py-by, x-bx, y-by))
		}
		px, py = x, y
	}
	return best
}

// distance returns the distance in millimetres between the contour's sides and
// the edges, at most limit, and the index of the nearest edge, -1 if none is
// closer. It is 0 where any of them meet, decided exactly on the rounded contour.
func (c *contour) distance(o *outline, open bool, limit float64, work *int) (float64, int) {
	best2, nearest := float64(limit*limit), -1
	// Rounding moves a vertex by less than the millimetre by which the box grows.
	around := c.box.grow(1)
	// An edge cannot be closer than its distance to a circle round the contour.
	// The edge nearest to the circle is tried first: it rules out most others.
	twiceX, twiceY := c.box.x0+c.box.x1, c.box.y0+c.box.y1
	mx, my := float64(twiceX)/2, float64(twiceY)/2
	radius := length(mx-float64(around.x0), my-float64(around.y0))
	far2 := float64((limit + radius) * (limit + radius))
	first := o.likely(mx, my, twiceX, twiceY, far2)
	if open { // of pieces that are as near, the one that the middle is nearest to has the name
		first = o.closest(mx, my, far2)
	}
	if first < 0 {
		return math.Sqrt(best2), nearest
	}
	for r := -1; r < len(o.runs); r++ {
		// The first one stands before all runs.
		from, run := first, o.edges[first:first+1]
		if r >= 0 {
			if s := &o.runs[r]; boundsGap2(s, around) >= best2 || beyond(s.twice2(twiceX, twiceY), far2) {
				continue
			}
			from, run = r*runEdges, o.run(r)
		}
		for k := range run {
			e, i := &run[k], from+k
			gap := gap2(e, around)
			if gap >= best2 || middle2(e, mx, my) > far2 || r >= 0 && i == first {
				continue
			}
			*work += c.n
			if gap == 0 && c.meets(e) {
				return 0, i
			}
			if d := c.edge2(e, open); d < best2 {
				best2, nearest = d, i
				reach := math.Sqrt(d) + radius
				far2 = float64(reach * reach)
			}
		}
	}
	return math.Sqrt(best2), nearest
}

// likely is an edge that is about as near to a point as any: the nearest one of those that share the nearest box; -1 if no
// box is within far2.
func (o *outline) likely(x, y float64, twiceX, twiceY int64, far2 float64) int {
	least, at := math.Inf(1), -1
	for r := range o.runs {
		if d := o.runs[r].twice2(twiceX, twiceY); d < least {
			least, at = d, r
		}
	}
	if at < 0 || beyond(least, far2) {
		return -1
	}
	first, near2 := 0, math.Inf(1)
	run := o.run(at)
	for k := range run {
		if d := middle2(&run[k], x, y); d < near2 {
			first, near2 = k, d
		}
	}
	return at*runEdges + first
}

// twice2 is the middle2 of a point whose coordinates, doubled, are whole: to the bit, and without a branch.
func (s *bounds) twice2(x, y int64) float64 {
	dx := float64(max(0, 2*int64(s.x0)-x, x-2*int64(s.x1))) / 2
	dy := float64(max(0, 2*int64(s.y0)-y, y-2*int64(s.y1))) / 2
	return float64(dx*dx) + float64(dy*dy)
}

// closest is the edge that is nearest to a point, the first one if none is nearer than far2.
func (o *outline) closest(x, y, far2 float64) int {
	first := 0
	for r := range o.runs {
		if beyond(o.runs[r].middle2(x, y), far2) {
			continue
		}
		run := o.run(r)
		for k := range run {
			if d := middle2(&run[k], x, y); d < far2 {
				first, far2 = r*runEdges+k, d
			}
		}
	}
	return first
}

// middle2 is the squared distance between a rectangle and the middle of a contour.
func (s *bounds) middle2(x, y float64) float64 {
	dx := max(0, float64(s.x0)-x, x-float64(s.x1))
	dy := max(0, float64(s.y0)-y, y-float64(s.y1))
	return float64(dx*dx) + float64(dy*dy)
}

// middle2 is the squared distance between an edge and the middle of a contour.
func middle2(e *edge, mx, my float64) float64 {
	return pointEdge2(float64(e.ax)-mx, float64(e.ay)-my, float64(e.bx)-mx, float64(e.by)-my)
}

// meets says exactly whether an edge meets a side of the rounded contour.
func (c *contour) meets(e *edge) bool {
	for i := range c.n {
		if touch(e, &c.sides[i]) {
			return true
		}
	}
	return false
}

// contains says whether a point is in the rounded contour, its sides included.
func (c *contour) contains(x, y int32) bool {
	return c.box.has(x, y) && locate(c.sides[:c.n], x, y) != away
}
