package geofence

import "math"

// A sweep asks when a moving contour first comes closer to an edge than a
// radius. Along a short chord a vertex moves straight against a fixed edge, and,
// seen from the body, a zone's vertex moves straight against a fixed side; both
// are solved in closed form. An arc is cut into chords, and the radius grows by
// what a chord can deviate from its arc.

// Bounds of the chords' deviation from their arc, in millimetres, and of their number.
const (
	minSag    = 0.5
	maxSag    = 8.0
	maxChords = 64
	fullTurn  = 2 * math.Pi
	// straightRad is a turn that moves nothing by as much as it is rounded.
	straightRad = 1e-9
)

// never is the fraction that means no hit within a chord.
const never = 2.0

// mover is one chord: the contour at its start, each vertex's way, and the frames.
type mover struct {
	n          int
	x, y       [MaxFootprint]float64
	dx, dy     [MaxFootprint]float64
	start, end frame
	box        box
}

// sweep returns the time in seconds, at most dur, for which the contour can
// follow u from a frame before it is closer than r millimetres to an edge, and
// whether anything was hit at all. near is a lower bound of the distance at the
// start; the closer it is to r, the finer the chords.
func (f *Fence) sweep(o *obstacle, from frame, u twist, dur, r, near float64) (float64, bool) {
	b := &f.body.body
	// A full circle comes back to where it began and sees nothing new after that.
	drive := dur
	if math.Abs(float64(u.w*dur)) > fullTurn {
		drive = fullTurn / math.Abs(u.w)
	}
	step, sag := drive, 0.0
	if math.Abs(float64(u.w*drive)) > straightRad {
		step, sag = chord(u, drive, b.radius+r, near-r)
	}
	m := &f.mover
	m.begin(b, from)
	for i := 0.0; float64(i*step) < drive || i == 0; i++ {
		start, end := float64(i*step), min(float64((i+1)*step), drive)
		m.next(b, from.advance(u, end), r+sag)
		if t := m.hit(b, o, r+sag, &f.work); t <= 1 {
			return start + float64(t*(end-start)), true
		}
		if f.work > maxWork {
			return 0, true
		}
	}
	return dur, false
}

// chord returns how long, in seconds, a chord of u's arc may be, and by how many
// millimetres it deviates from the arc. It depends on how long u is driven only
// where the number of chords would exceed its bound.
func chord(u twist, drive, beyond, room float64) (step, sag float64) {
	// No point that can touch lies farther from the turning centre than this.
	turn := u.speed()/math.Abs(u.w) + beyond
	sag = min(max(room/4, minSag), maxSag)
	angle := min(max(math.Sqrt(8*sag/turn), math.Abs(float64(u.w*drive))/maxChords), 1)
	return angle / math.Abs(u.w), float64(turn*float64(angle*angle)) / 8
}

func (m *mover) begin(b *body, at frame) {
	m.n, m.end = b.n, at
	for i := range b.n {
		m.x[i], m.y[i] = at.apply(b.x[i], b.y[i])
		m.dx[i], m.dy[i] = 0, 0
	}
}

// next sets the chord from the last end to a frame.
func (m *mover) next(b *body, to frame, r float64) {
	m.start, m.end = m.end, to
	x0, y0, x1, y1 := math.Inf(1), math.Inf(1), math.Inf(-1), math.Inf(-1)
	for i := range m.n {
		ax, ay := m.x[i]+m.dx[i], m.y[i]+m.dy[i]
		bx, by := to.apply(b.x[i], b.y[i])
		m.x[i], m.y[i], m.dx[i], m.dy[i] = ax, ay, bx-ax, by-ay
		x0, x1 = min(x0, ax, bx), max(x1, ax, bx)
		y0, y1 = min(y0, ay, by), max(y1, ay, by)
	}
	m.box = box{int64(math.Floor(x0 - r)), int64(math.Floor(y0 - r)), int64(math.Ceil(x1 + r)), int64(math.Ceil(y1 + r))}
}

// hit returns the fraction of the chord at which the first edge is met, or never.
func (m *mover) hit(b *body, o *obstacle, r float64, work *int) float64 {
	first := never
	reach := m.box.bounds()
	for k := range o.runs {
		if !o.runs[k].meets(&reach) {
			continue
		}
		run := o.run(k)
		for i := range run {
			e := &run[i]
			if !e.meets(&reach) {
				continue
			}
			*work += m.n
			first = min(first, m.edge(e, r, o.open), m.corner(b, float64(e.ax), float64(e.ay), r))
			if o.open {
				first = min(first, m.corner(b, float64(e.bx), float64(e.by), r))
			}
			if first <= 0 {
				return 0
			}
		}
	}
	return first
}

// edge moves the contour's vertices against an edge and its first end, and
// against its second end where no other edge starts there.
func (m *mover) edge(e *edge, r float64, open bool) float64 {
	first := never
	ax, ay := float64(e.ax), float64(e.ay)
	ex, ey := float64(e.bx)-ax, float64(e.by)-ay
	size := length(ex, ey)
	for i := range m.n {
		px, py := m.x[i]-ax, m.y[i]-ay
		first = min(first, slabHit(px, py, m.dx[i], m.dy[i], ex, ey, size, r), capHit(px, py, m.dx[i], m.dy[i], r))
		if open {
			first = min(first, capHit(px-ex, py-ey, m.dx[i], m.dy[i], r))
		}
	}
	return first
}

// corner moves a zone's vertex, as the body sees it, against the body's sides.
func (m *mover) corner(b *body, x, y, r float64) float64 {
	first := never
	px, py := m.start.invert(x, y)
	qx, qy := m.end.invert(x, y)
	dx, dy := qx-px, qy-py
	ax, ay := b.x[b.n-1], b.y[b.n-1]
	for i := range b.n {
		bx, by := b.x[i], b.y[i]
		first = min(first, slabHit(px-ax, py-ay, dx, dy, bx-ax, by-ay, b.side[i], r))
		ax, ay = bx, by
	}
	return first
}

// slabHit moves the point p by d against the sides of the rectangle that lies r
// to either side of the edge from the origin to e, whose length is size.
func slabHit(px, py, dx, dy, ex, ey, size, r float64) float64 {
	off := float64(ex*py) - float64(ey*px)
	rate := float64(ex*dy) - float64(ey*dx)
	if off < 0 {
		off, rate = -off, -rate
	}
	gap := off - float64(r*size)
	t := 0.0
	if gap >= 0 {
		// Not yet as close; only moving towards the line can bring it there.
		if rate >= 0 || gap > -rate {
			return never
		}
		t = gap / -rate
	}
	along := float64(ex*(px+float64(t*dx))) + float64(ey*(py+float64(t*dy)))
	way := float64(ex*dx) + float64(ey*dy)
	switch full := float64(size * size); {
	case along < 0 && way > 0:
		t += -along / way
	case along > full && way < 0:
		t += (along - full) / -way
	case along < 0 || along > full:
		return never
	default:
		return t
	}
	// It comes in over an end: the end's own circle sees that as well, but a zone's vertex is moved against the body's sides
	// as the body sees it, and the circles round the body's vertices move as the world does. Where each chord deviates from
	// its own arc, only this sees it.
	if t > 1 || math.Abs(off+float64(rate*t)) > float64(r*size) {
		return never
	}
	return t
}

// capHit moves the point p by d against the circle of radius r round the origin.
func capHit(px, py, dx, dy, r float64) float64 {
	c := float64(px*px) + float64(py*py) - float64(r*r)
	if c < 0 {
		return 0
	}
	b := float64(px*dx) + float64(py*dy)
	if b >= 0 {
		return never
	}
	a := float64(dx*dx) + float64(dy*dy)
	disc := float64(b*b) - float64(a*c)
	if disc <= 0 {
		return never
	}
	if t := c / (math.Sqrt(disc) - b); t <= 1 {
		return t
	}
	return never
}
