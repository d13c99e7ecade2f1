package geofence

import "math"

// capsule is a part on the map: all points within r of the segment from a to b,
// in millimetres; z counts from the base frame's origin.
type capsule struct {
	a, b vec3
	r    float64
}

// prismGap is the distance of a capsule's segment from the prism over rings whose
// heights are [low, high] in the capsule's z, and limit if it is no less.
//
// The prism consists of upright walls and, where the segment lies above or below,
// a flat cover. The part of the segment between the two heights is as far as in
// the plane; the parts above and below are as far as from the walls' upper and
// lower rims, or, over the polygon, as their nearer end is high.
func (f *Fence) prismGap(edges []edge, bounds box, low, high float64, c *capsule, limit float64) float64 {
	t0, t1 := slab(c.a.z, c.b.z, low, high)
	start := c.a
	gap := 0.0
	if t0 > t1 { // wholly above or below: the nearer end
		gap = max(low-max(c.a.z, c.b.z), min(c.a.z, c.b.z)-high)
		if math.Abs(c.b.z-(low+high)/2) < math.Abs(c.a.z-(low+high)/2) {
			start = c.b
		}
	} else {
		start = c.at(t0)
	}
	if gap >= limit {
		return limit
	}
	f.work += 1 + len(edges)/8
	if x, y := int32(math.Round(start.x)), int32(math.Round(start.y)); bounds.has(x, y) && locate(edges, x, y) != away {
		return gap
	}
	best := float64(limit * limit)
	x0, x1 := min(c.a.x, c.b.x), max(c.a.x, c.b.x)
	y0, y1 := min(c.a.y, c.b.y), max(c.a.y, c.b.y)
	f.work += len(edges) / 4
	for i := range edges {
		e := &edges[i]
		dx := max(0, float64(e.minX())-x1, x0-float64(e.maxX()))
		dy := max(0, float64(e.minY())-y1, y0-float64(e.maxY()))
		if float64(dx*dx)+float64(dy*dy)+float64(gap*gap) >= best {
			continue
		}
		f.work++
		best = min(best, c.wall2(e, low, high, t0, t1))
	}
	return math.Sqrt(best)
}

func (c *capsule) at(t float64) vec3 {
	switch t {
	case 0:
		return c.a
	case 1:
		return c.b
	}
	return c.a.add(c.b.sub(c.a).scale(t))
}

// slab returns the piece of [0, 1] in which a value that goes from a to b lies in
// [low, high]; from > to if there is none.
func slab(a, b, low, high float64) (from, to float64) {
	if a >= low && a <= high && b >= low && b <= high {
		return 0, 1
	}
	if a < low && b < low || a > high && b > high {
		return 1, 0
	}
	from, to = 0, 1
	d := b - a
	switch {
	case a < low:
		from = (low - a) / d
	case a > high:
		from = (high - a) / d
	}
	switch {
	case b < low:
		to = (low - a) / d
	case b > high:
		to = (high - a) / d
	}
	return min(from, 1), max(min(to, 1), min(from, 1))
}

// wall2 is the squared distance of the segment from the upright wall on an edge.
func (c *capsule) wall2(e *edge, low, high, t0, t1 float64) float64 {
	ax, ay := float64(e.ax), float64(e.ay)
	a, b := vec3{c.a.x - ax, c.a.y - ay, c.a.z}, vec3{c.b.x - ax, c.b.y - ay, c.b.z}
	ex, ey := float64(e.bx)-ax, float64(e.by)-ay
	if t0 > t1 {
		if a.z < low {
			return rim2(a, b, ex, ey, low)
		}
		return rim2(a, b, ex, ey, high)
	}
	moved := capsule{a: a, b: b}
	p, q := moved.at(t0), moved.at(t1)
	best := flat2(p, q, ex, ey)
	if t0 > 0 {
		best = min(best, rim2(a, p, ex, ey, nearer(a.z, low, high)))
	}
	if t1 < 1 {
		best = min(best, rim2(q, b, ex, ey, nearer(b.z, low, high)))
	}
	return best
}

func nearer(z, low, high float64) float64 {
	if z < low {
		return low
	}
	return high
}

// flat2 is the squared distance in the plane between the segment from p to q and
// that from the origin to (ex, ey).
func flat2(p, q vec3, ex, ey float64) float64 {
	dx, dy := q.x-p.x, q.y-p.y
	s1 := float64(ex*p.y) - float64(ey*p.x)
	s2 := float64(ex*q.y) - float64(ey*q.x)
	s3 := float64(dy*p.x) - float64(dx*p.y)
	s4 := s3 + float64(dx*ey) - float64(dy*ex)
	if (s1 < 0) != (s2 < 0) && (s3 < 0) != (s4 < 0) && s1 != 0 && s2 != 0 && s3 != 0 && s4 != 0 {
		return 0
	}
	return min(
		pointEdge2(p.x, p.y, q.x, q.y), pointEdge2(p.x-ex, p.y-ey, q.x-ex, q.y-ey),
		pointEdge2(-p.x, -p.y, ex-p.x, ey-p.y), pointEdge2(-q.x, -q.y, ex-q.x, ey-q.y),
	)
}

// rim2 is the squared distance between the segment from p to q and that from the
// origin to (ex, ey), the latter at the height z.
func rim2(p, q vec3, ex, ey, z float64) float64 {
	p.z, q.z = p.z-z, q.z-z
	d, e := q.sub(p), vec3{ex, ey, 0}
	best := min(point2(vec3{}, p, q), point2(e, p, q), point2(p, vec3{}, e), point2(q, vec3{}, e))
	// Both nearest points may be within the segments, unless these are parallel.
	dd, ee, de := d.dot(d), e.dot(e), d.dot(e)
	det := float64(dd*ee) - float64(de*de)
	if !(det > float64(1e-12*dd*ee)) {
		return best
	}
	pd, pe := p.dot(d), p.dot(e)
	s := (float64(de*pe) - float64(ee*pd)) / det
	t := (float64(dd*pe) - float64(de*pd)) / det
	if s > 0 && s < 1 && t > 0 && t < 1 {
		gap := p.add(d.scale(s)).sub(e.scale(t))
		best = min(best, gap.dot(gap))
	}
	return best
}

// point2 is the squared distance of a point from the segment from a to b.
func point2(p, a, b vec3) float64 {
	v, d := p.sub(a), b.sub(a)
	t, l := v.dot(d), d.dot(d)
	switch {
	case t <= 0:
		return v.dot(v)
	case t >= l:
		w := p.sub(b)
		return w.dot(w)
	}
	w := v.sub(d.scale(t / l))
	return w.dot(w)
}
