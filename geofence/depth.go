package geofence

import "math"

// How deep the contour is in a zone is measured on its outline: what a moving
// contour newly covers, its outline has crossed first. The depth is the greatest
// distance of a point of the outline, where it must not be, to the zone's edge.

// depthErrorMM bounds how much a depth may be too small.
const depthErrorMM = 0.5

// depth is how deep, in millimetres, the contour's outline is where it must not
// be, or up to depthErrorMM less.
func (f *Fence) depth(o *obstacle, at frame) float64 {
	low, high := 0.0, 0.0
	b := &f.body.body
	for i := range b.n {
		// Between two corners no point is farther from both than half the side.
		x, y := at.apply(b.x[i], b.y[i])
		low, high = max(low, f.depthAt(o, x, y)), max(high, b.side[i]/2)
	}
	high += low + depthErrorMM
	// Most often a corner is the deepest point.
	for try := low + depthErrorMM; high-low > depthErrorMM && f.work <= maxWork; try = (low + high) / 2 {
		if f.deeper(o, at, try) {
			low = try
		} else {
			high = try
		}
	}
	return low
}

// depthAt is the depth of one point.
func (f *Fence) depthAt(o *obstacle, x, y float64) float64 {
	f.work += len(o.edges) / 4
	if !f.breaches(o, int32(math.Round(x)), int32(math.Round(y))) {
		return 0
	}
	near2 := math.Inf(1)
	for r := range o.runs {
		if beyond(o.runs[r].middle2(x, y), near2) {
			continue
		}
		run := o.run(r)
		for k := range run {
			near2 = min(near2, middle2(&run[k], x, y))
		}
	}
	return math.Sqrt(near2)
}

// deeper says whether any point of the contour's outline at a frame is deeper
// than most millimetres. Once the budget is spent it says so too.
func (f *Fence) deeper(o *obstacle, at frame, most float64) bool {
	b := &f.body.body
	ax, ay := at.apply(b.x[b.n-1], b.y[b.n-1])
	for i := range b.n {
		bx, by := at.apply(b.x[i], b.y[i])
		if f.sideDeeper(o, ax, ay, bx-ax, by-ay, most) || f.work > maxWork {
			return true
		}
		ax, ay = bx, by
	}
	return false
}

// sideDeeper does so for one side, from a along d. The points that are at most
// so far from an edge are, for each edge, one piece of the side; where all these
// pieces leave a gap, it is wholly deeper or wholly where the robot may be.
func (f *Fence) sideDeeper(o *obstacle, ax, ay, dx, dy, most float64) bool {
	const joint = 1e-9 // pieces that meet leave no gap
	x0, x1 := min(ax, ax+dx)-most, max(ax, ax+dx)+most
	y0, y1 := min(ay, ay+dy)-most, max(ay, ay+dy)+most
	for t := 0.0; t < 1 && f.work <= maxWork; {
		reach, next := t, 1.0
		for r := range o.runs {
			if s := &o.runs[r]; float64(s.x0) > x1 || float64(s.x1) < x0 || float64(s.y0) > y1 || float64(s.y1) < y0 {
				continue
			}
			run := o.run(r)
			for i := range run {
				e := &run[i]
				if float64(e.minX()) > x1 || float64(e.maxX()) < x0 || float64(e.minY()) > y1 || float64(e.maxY()) < y0 {
					continue
				}
				f.work++
				switch from, to := pieceNear(e, ax, ay, dx, dy, most); {
				case to <= t || from >= next:
				case from <= t+joint:
					reach = max(reach, to)
				default:
					next = from
				}
			}
		}
		f.work += 1 + len(o.edges)/8
		if reach > t {
			t = reach
			continue
		}
		f.work += len(o.edges) / 8
		mid := (t + next) / 2
		if f.breaches(o, int32(math.Round(ax+float64(mid*dx))), int32(math.Round(ay+float64(mid*dy)))) {
			return true
		}
		t = next
	}
	return false
}

// pieceNear returns the part of the line a + t·d that is at most r from an edge,
// from > to if there is none: a line meets the rectangle along the edge and the
// discs round its ends, which together are convex, in one piece.
func pieceNear(e *edge, ax, ay, dx, dy, r float64) (from, to float64) {
	px, py := ax-float64(e.ax), ay-float64(e.ay)
	ex, ey := float64(e.bx)-float64(e.ax), float64(e.by)-float64(e.ay)
	size := length(ex, ey)
	from, to = discPiece(px, py, dx, dy, r)
	f2, t2 := discPiece(px-ex, py-ey, dx, dy, r)
	from, to = min(from, f2), max(to, t2)
	// Across the edge within r, along it within its length.
	f2, t2 = clip(float64(ex*py)-float64(ey*px), float64(ex*dy)-float64(ey*dx), -float64(r*size), float64(r*size), math.Inf(-1), math.Inf(1))
	f2, t2 = clip(float64(ex*px)+float64(ey*py), float64(ex*dx)+float64(ey*dy), 0, float64(size*size), f2, t2)
	if f2 <= t2 {
		from, to = min(from, f2), max(to, t2)
	}
	return from, to
}

// discPiece is the part of the line p + t·d within r of the origin.
func discPiece(px, py, dx, dy, r float64) (from, to float64) {
	a := float64(dx*dx) + float64(dy*dy)
	b := float64(px*dx) + float64(py*dy)
	disc := float64(b*b) - float64(a*(float64(px*px)+float64(py*py)-float64(r*r)))
	if !(disc >= 0) || a == 0 {
		return math.Inf(1), math.Inf(-1)
	}
	root := math.Sqrt(disc)
	return (-b - root) / a, (root - b) / a
}

// clip narrows a piece of a line to where value + t·rate lies in [low, top].
func clip(value, rate, low, top, from, to float64) (float64, float64) {
	if rate == 0 {
		if value < low || value > top {
			return math.Inf(1), math.Inf(-1)
		}
		return from, to
	}
	t0, t1 := (low-value)/rate, (top-value)/rate
	return max(from, min(t0, t1)), min(to, max(t0, t1))
}
