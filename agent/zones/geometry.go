package zones

import (
	"container/heap"
	"math"
	"slices"

	"github.com/robowarden/robowarden/agent/config"
)

// Geometry for people: what Lint says and Draw shows decides nothing about a robot, so it may be in floating point. All
// lengths are in metres.

// touchM is how near to a boundary a point counts as on it: half of the policy's grid.
const touchM = 0.0005

// shape is a zone's rings, the outer one first, with the box around them.
type shape struct {
	rings          [][]config.Point
	x0, y0, x1, y1 float64
}

func shapeOf(z *config.Zone) shape {
	return newShape(append([][]config.Point{z.Vertices}, z.Holes...))
}

func newShape(rings [][]config.Point) shape {
	s := shape{rings, math.Inf(1), math.Inf(1), math.Inf(-1), math.Inf(-1)}
	for _, p := range rings[0] {
		s.x0, s.y0, s.x1, s.y1 = min(s.x0, p.X), min(s.y0, p.Y), max(s.x1, p.X), max(s.y1, p.Y)
	}
	return s
}

// sides calls f with every side of every ring until it returns false.
func (s *shape) sides(f func(a, b config.Point) bool) {
	for _, ring := range s.rings {
		for i, a := range ring {
			if !f(a, ring[(i+1)%len(ring)]) {
				return
			}
		}
	}
}

// signed is a point's distance from the boundary, negative inside.
func (s *shape) signed(x, y float64) float64 {
	best, in := math.Inf(1), false
	s.sides(func(a, b config.Point) bool {
		if (a.Y > y) != (b.Y > y) && x < a.X+(y-a.Y)*(b.X-a.X)/(b.Y-a.Y) {
			in = !in
		}
		best = min(best, toSegment(x, y, a, b))
		return true
	})
	if in {
		return -best
	}
	return best
}

func toSegment(x, y float64, a, b config.Point) float64 {
	dx, dy := b.X-a.X, b.Y-a.Y
	t := 0.0
	if l := dx*dx + dy*dy; l > 0 {
		t = min(max(((x-a.X)*dx+(y-a.Y)*dy)/l, 0), 1)
	}
	return math.Hypot(x-a.X-t*dx, y-a.Y-t*dy)
}

// area is the area in square metres, holes taken off, and length that of all rings.
func (s *shape) area() (area, length float64) {
	for i, ring := range s.rings {
		sum := 0.0
		for k, a := range ring {
			b := ring[(k+1)%len(ring)]
			sum += a.X*b.Y - b.X*a.Y
			length += math.Hypot(b.X-a.X, b.Y-a.Y)
		}
		if i == 0 {
			area += math.Abs(sum) / 2
		} else {
			area -= math.Abs(sum) / 2
		}
	}
	return area, length
}

// sharpest is the smallest angle at any vertex, in degrees.
func (s *shape) sharpest() float64 {
	least := 180.0
	for _, ring := range s.rings {
		for i, b := range ring {
			a, c := ring[(i+len(ring)-1)%len(ring)], ring[(i+1)%len(ring)]
			ux, uy, vx, vy := a.X-b.X, a.Y-b.Y, c.X-b.X, c.Y-b.Y
			least = min(least, math.Abs(math.Atan2(ux*vy-uy*vx, ux*vx+uy*vy))/degree)
		}
	}
	return least
}

func (s *shape) boxes(o *shape) bool {
	return s.x0 <= o.x1 && o.x0 <= s.x1 && s.y0 <= o.y1 && o.y0 <= s.y1
}

// stretches calls f with a point on every stretch of s's boundary between two places where it meets o's, until it
// returns false: on each stretch the boundary is on one side of o's, or on it.
func (s *shape) stretches(o *shape, f func(x, y float64) bool) {
	var cuts []float64
	s.sides(func(a, b config.Point) bool {
		cuts = append(cuts[:0], 0, 1)
		o.sides(func(c, d config.Point) bool {
			cuts = crossings(cuts, a, b, c, d)
			return true
		})
		slices.Sort(cuts)
		for k := 1; k < len(cuts); k++ {
			t := (cuts[k-1] + cuts[k]) / 2
			if cuts[k] > cuts[k-1] && !f(a.X+t*(b.X-a.X), a.Y+t*(b.Y-a.Y)) {
				return false
			}
		}
		return true
	})
}

// crossings appends where, between 0 and 1, the side ab meets the side cd or passes its ends.
func crossings(cuts []float64, a, b, c, d config.Point) []float64 {
	if max(a.X, b.X) < min(c.X, d.X)-touchM || max(c.X, d.X) < min(a.X, b.X)-touchM ||
		max(a.Y, b.Y) < min(c.Y, d.Y)-touchM || max(c.Y, d.Y) < min(a.Y, b.Y)-touchM {
		return cuts
	}
	dx, dy := b.X-a.X, b.Y-a.Y
	add := func(t float64) {
		if t > 0 && t < 1 {
			cuts = append(cuts, t)
		}
	}
	if cross := dx*(d.Y-c.Y) - dy*(d.X-c.X); cross != 0 {
		add(((c.X-a.X)*(d.Y-c.Y) - (c.Y-a.Y)*(d.X-c.X)) / cross)
	}
	l := dx*dx + dy*dy
	add(((c.X-a.X)*dx + (c.Y-a.Y)*dy) / l)
	add(((d.X-a.X)*dx + (d.Y-a.Y)*dy) / l)
	return cuts
}

// within says whether all of s lies in o, edges included.
func (s *shape) within(o *shape) bool {
	if s.x0 < o.x0-touchM || s.x1 > o.x1+touchM || s.y0 < o.y0-touchM || s.y1 > o.y1+touchM {
		return false
	}
	in := true
	s.stretches(o, func(x, y float64) bool { in = o.signed(x, y) <= touchM; return in })
	if in { // and no hole of o lies in s
		o.stretches(s, func(x, y float64) bool { in = s.signed(x, y) >= -touchM; return in })
	}
	if !in {
		return false
	}
	// No edge of o crosses s, so one point inside tells for all: s may just fill a hole.
	x, y, room := roomiest(s, 10*touchM, func(x, y float64) float64 { return -s.signed(x, y) })
	return room <= 0 || o.signed(x, y) <= touchM
}

// apart says whether two shapes have no more than edges in common.
func (s *shape) apart(o *shape) bool {
	if !s.boxes(o) {
		return true
	}
	apart := true
	out := func(of *shape) func(x, y float64) bool {
		return func(x, y float64) bool { apart = of.signed(x, y) >= -touchM; return apart }
	}
	if s.stretches(o, out(o)); apart {
		o.stretches(s, out(s))
	}
	// Equal outlines have all of their boundaries on each other.
	return apart && !s.within(o) && !o.within(s)
}

// Distance is how far a contour in the base frame, at a pose in metres and radians, is from a zone, 0 if they touch. It is
// for telling people about what is far away; near zones are the geofence's to measure.
func Distance(z *config.Zone, contour []config.Point, x, y, yaw float64) float64 {
	sin, cos := math.Sincos(yaw)
	ring := make([]config.Point, len(contour))
	for i, p := range contour {
		ring[i] = config.Point{X: x + p.X*cos - p.Y*sin, Y: y + p.X*sin + p.Y*cos}
	}
	body, zone := newShape([][]config.Point{ring}), shapeOf(z)
	if !body.apart(&zone) {
		return 0
	}
	best := math.Inf(1)
	for _, p := range ring {
		best = min(best, zone.signed(p.X, p.Y))
	}
	zone.sides(func(a, _ config.Point) bool {
		best = min(best, body.signed(a.X, a.Y))
		return true
	})
	return max(best, 0)
}

// square is a part of the plane in the search for the roomiest place.
type square struct{ x, y, half, room, bound float64 }

type squares []square

func (q squares) Len() int           { return len(q) }
func (q squares) Less(i, j int) bool { return q[i].bound > q[j].bound }
func (q squares) Swap(i, j int)      { q[i], q[j] = q[j], q[i] }
func (q *squares) Push(v any)        { *q = append(*q, v.(square)) } //nolint:errcheck,forcetypeassert // only squares are pushed
func (q *squares) Pop() any {
	last := (*q)[len(*q)-1]
	*q = (*q)[:len(*q)-1]
	return last
}

// roomiest finds the point in a box at which room is greatest, to a centimetre; it stops early once it has found enough.
// room must not change faster than the distance: then a square's centre and half diagonal bound it.
func roomiest(s *shape, enough float64, room func(x, y float64) float64) (x, y, most float64) {
	const precision = 0.01
	most = math.Inf(-1)
	var queue squares
	add := func(cx, cy, half float64) {
		r := room(cx, cy)
		if r > most {
			x, y, most = cx, cy, r
		}
		if bound := r + half*math.Sqrt2; bound > most+precision {
			heap.Push(&queue, square{cx, cy, half, r, bound})
		}
	}
	half := max(s.x1-s.x0, s.y1-s.y0) / 2
	add((s.x0+s.x1)/2, (s.y0+s.y1)/2, half)
	for n := 0; len(queue) > 0 && most < enough && n < 20_000; n++ {
		top := heap.Pop(&queue).(square) //nolint:errcheck,forcetypeassert // only squares are pushed
		if top.bound <= most+precision {
			break
		}
		h := top.half / 2
		for _, d := range [4][2]float64{{-h, -h}, {h, -h}, {-h, h}, {h, h}} {
			add(top.x+d[0], top.y+d[1], h)
		}
	}
	return x, y, most
}
