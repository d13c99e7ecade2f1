package sim

import "math"

// Part is a piece of the robot's contour on the ground: the convex hull of Points, widened by Radius in metres. One
// point makes a disc, two a capsule.
type Part struct {
	Name   string
	Points []Point
	Radius float64
}

// Polygon is a simple ring, either way round, closed by itself. A polygon is a closed set: its edge belongs to it.
type Polygon []Point

// Contains says whether p lies inside or on the edge.
func (g Polygon) Contains(p Point) bool {
	if len(g) < 3 {
		return false
	}
	inside := false
	for i, a := range g {
		b := g[(i+1)%len(g)]
		if segmentDistance(p, a, b) == 0 {
			return true
		}
		if (a.Y > p.Y) != (b.Y > p.Y) && p.X < a.X+(p.Y-a.Y)/(b.Y-a.Y)*(b.X-a.X) {
			inside = !inside
		}
	}
	return inside
}

// Clearance is the distance in metres between the part and the polygon, at most 0 if they touch or overlap. Below zero
// it tells by how much the part's deepest corner reaches in, which is a lower bound of the depth for wide parts.
func (p Part) Clearance(g Polygon) float64 {
	if len(p.Points) == 0 || len(g) < 3 {
		return math.Inf(1)
	}
	deepest := math.Inf(1)
	for _, q := range p.Points {
		d := g.edgeDistance(q)
		if g.Contains(q) {
			d = -d
		}
		deepest = min(deepest, d)
	}
	if deepest > 0 {
		deepest = min(deepest, p.edgesTo(g))
	}
	return deepest - p.Radius
}

// edgesTo is the distance between the outlines, 0 where they cross or the polygon lies inside the part.
func (p Part) edgesTo(g Polygon) float64 {
	if len(p.Points) >= 3 && Polygon(p.Points).Contains(g[0]) {
		return 0
	}
	best := math.Inf(1)
	for i, a := range p.Points {
		b := p.Points[(i+1)%len(p.Points)]
		for j, c := range g {
			d := g[(j+1)%len(g)]
			if cross(a, b, c, d) {
				return 0
			}
			best = min(best, segmentDistance(a, c, d), segmentDistance(c, a, b))
		}
	}
	return best
}

func (g Polygon) edgeDistance(p Point) float64 {
	best := math.Inf(1)
	for i, a := range g {
		best = min(best, segmentDistance(p, a, g[(i+1)%len(g)]))
	}
	return best
}

func segmentDistance(p, a, b Point) float64 {
	dx, dy := b.X-a.X, b.Y-a.Y
	length := dx*dx + dy*dy
	if length == 0 {
		return dist(p, a)
	}
	t := clamp(((p.X-a.X)*dx+(p.Y-a.Y)*dy)/length, 0, 1)
	return dist(p, Point{a.X + t*dx, a.Y + t*dy})
}

// cross says whether two segments have a point in common; touching counts, collinear overlap shows as distance 0.
func cross(a, b, c, d Point) bool {
	side := func(p, q, r Point) float64 { return (q.X-p.X)*(r.Y-p.Y) - (q.Y-p.Y)*(r.X-p.X) }
	s1, s2 := side(a, b, c), side(a, b, d)
	s3, s4 := side(c, d, a), side(c, d, b)
	return ((s1 > 0) != (s2 > 0)) && ((s3 > 0) != (s4 > 0))
}

// hull is the convex hull, counterclockwise (Andrew's monotone chain). It sorts and overwrites nothing of its input.
func hull(points []Point) []Point {
	pts := append([]Point(nil), points...)
	for i := 1; i < len(pts); i++ {
		for j := i; j > 0 && (pts[j].X < pts[j-1].X || (pts[j].X == pts[j-1].X && pts[j].Y < pts[j-1].Y)); j-- {
			pts[j], pts[j-1] = pts[j-1], pts[j]
		}
	}
	if len(pts) < 3 {
		return pts
	}
	half := func(order func(int) Point) []Point {
		var out []Point
		for i := range pts {
			p := order(i)
			for len(out) >= 2 && turn(out[len(out)-2], out[len(out)-1], p) <= 0 {
				out = out[:len(out)-1]
			}
			out = append(out, p)
		}
		return out[:len(out)-1]
	}
	lower := half(func(i int) Point { return pts[i] })
	upper := half(func(i int) Point { return pts[len(pts)-1-i] })
	return append(lower, upper...)
}

func turn(a, b, c Point) float64 { return (b.X-a.X)*(c.Y-a.Y) - (b.Y-a.Y)*(c.X-a.X) }

// Truth is what is really so, for oracles; no message carries it.
type Truth struct {
	Placement
	// ZM is the height of the ground under the robot in metres.
	ZM float64
	// SpeedMPS is the ground speed, YawRPS the rate of turn; VX and VY are the velocity in the robot's frame in m/s.
	SpeedMPS, YawRPS, VX, VY float64
	// Walking is true from the first shift of weight until both feet rest.
	Walking bool
	// Loaded is true while a tray is carried, Docked while the robot charges.
	Loaded, Docked bool
	// ArmsMoving is true while an arm joint moves.
	ArmsMoving bool
	// Stopped is true from the stop service's effect until the robot has risen again.
	Stopped bool
	// HeightRatio is 1 upright and 0 kneeling.
	HeightRatio float64
	// Locked is true while the base is locked.
	Locked bool
	// RefusedCommands counts commands that were not finite.
	RefusedCommands int64
}

// Truth tells how things stand now.
func (w *World) Truth() Truth {
	s := &w.state
	x, y := s.torso(&w.opts.Plant)
	k := 1 + s.slip
	if !s.walking {
		k = 1
	}
	return Truth{
		Placement: Placement{s.floor, x, y, s.yaw}, ZM: s.z,
		SpeedMPS: k * math.Sqrt(s.v.x*s.v.x+s.v.y*s.v.y), YawRPS: s.v.w, VX: s.v.x, VY: s.v.y,
		Walking: s.walking, Loaded: s.loaded, Docked: w.devices.docked, ArmsMoving: w.arms.moving,
		Stopped: w.posture.stopped, HeightRatio: w.posture.height, Locked: w.Locked(), RefusedCommands: w.base.refused,
	}
}

// Clearance is the smallest distance in metres of the true contour from the polygon, which lies on the named floor. It
// is at most 0 if any part is inside or touches, and +Inf on another floor.
func (w *World) Clearance(floor string, g Polygon) float64 {
	best := math.Inf(1)
	if w.state.floor != floor {
		return best
	}
	for _, p := range w.Contour() {
		best = min(best, p.Clearance(g))
	}
	return best
}

// OutlineClearance is the same for a convex outline in the robot's own frame, at the true pose: for a footprint that
// somebody states for the robot.
func (w *World) OutlineClearance(outline []Point, floor string, g Polygon) float64 {
	at := w.Truth()
	if at.Floor != floor {
		return math.Inf(1)
	}
	sin, cos := math.Sincos(at.Yaw)
	p := Part{Name: "outline"}
	for _, c := range outline {
		p.Points = append(p.Points, Point{at.X + c.X*cos - c.Y*sin, at.Y + c.X*sin + c.Y*cos})
	}
	return p.Clearance(g)
}

// Inside says whether any part of the true contour is inside the polygon or on its edge.
func (w *World) Inside(floor string, g Polygon) bool { return w.Clearance(floor, g) <= 0 }
