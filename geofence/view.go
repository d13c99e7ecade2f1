package geofence

import "math"

// cone is what a camera may see, on the map: every direction within half of axis,
// as far as reach from at. Walls do not shorten it.
type cone struct {
	at, axis    vec3
	half, reach float64
}

// wedge is a cone's outline on the floor, grown by a margin, and how its edges
// rise with the distance.
type wedge struct {
	all            bool // it looks in every direction of the floor
	x, y, dx, dy   float64
	ux, uy, vx, vy float64 // directions of its left and right edges
	backX, backY   float64 // its point, moved back so that the edges are margin away
	margin, reach  float64
	z, rise, fall  float64 // height, and the slopes of the highest and lowest ray
}

// wedge grows the cone by turn radians and margin millimetres.
func (c *cone) wedge(margin, turn float64) wedge {
	w := wedge{x: c.at.x, y: c.at.y, z: c.at.z, margin: margin, reach: c.reach + margin}
	w.rise, w.fall = math.Inf(1), math.Inf(-1)
	half := c.half + turn
	flat := length(c.axis.x, c.axis.y)
	if half >= quarterTurn {
		w.all = true
		return w
	}
	sin, cos := sincos(half)
	// The slopes of the axis' elevation plus and minus half, where these are below upright.
	if up := float64(flat*cos) - float64(c.axis.z*sin); up > 0 {
		w.rise = (float64(c.axis.z*cos) + float64(flat*sin)) / up
	}
	if down := float64(flat*cos) + float64(c.axis.z*sin); down > 0 {
		w.fall = (float64(c.axis.z*cos) - float64(flat*sin)) / down
	}
	if !(flat > float64(sin*1.001)) {
		w.all = true // it looks straight up or down, and so to all sides
		return w
	}
	w.dx, w.dy = c.axis.x/flat, c.axis.y/flat
	// A ray that leaves the axis by half turns by asin(sin half / cos elevation) on the floor.
	s := sin / flat
	k := math.Sqrt(1 - float64(s*s))
	w.ux, w.uy = float64(k*w.dx)-float64(s*w.dy), float64(s*w.dx)+float64(k*w.dy)
	w.vx, w.vy = float64(k*w.dx)+float64(s*w.dy), float64(k*w.dy)-float64(s*w.dx)
	w.backX, w.backY = w.x-float64(w.dx*margin)/s, w.y-float64(w.dy*margin)/s
	return w
}

const quarterTurn = math.Pi / 2

// sees says whether a wedge meets the prism over rings with heights [low, high],
// counted as the wedge's are.
func (f *Fence) sees(w *wedge, edges []edge, bounds box, low, high float64) bool {
	near, far := math.Inf(1), 0.0
	if x, y := int32(math.Round(w.x)), int32(math.Round(w.y)); bounds.has(x, y) && locate(edges, x, y) != away {
		near = 0
	}
	f.work += len(edges)
	for i := range edges {
		e := &edges[i]
		ax, ay := float64(e.ax), float64(e.ay)
		dx, dy := float64(e.bx)-ax, float64(e.by)-ay
		from, to := 0.0, 1.0
		if !w.all {
			px, py := ax-w.backX, ay-w.backY
			from, to = clip(float64(w.ux*py)-float64(w.uy*px), float64(w.ux*dy)-float64(w.uy*dx), math.Inf(-1), 0, from, to)
			from, to = clip(float64(w.vx*py)-float64(w.vy*px), float64(w.vx*dy)-float64(w.vy*dx), 0, math.Inf(1), from, to)
			px, py = ax-w.x, ay-w.y
			from, to = clip(float64(w.dx*px)+float64(w.dy*py), float64(w.dx*dx)+float64(w.dy*dy), -w.margin, math.Inf(1), from, to)
		}
		if from > to {
			continue
		}
		ax, ay = ax-w.x, ay-w.y
		bx, by := ax+float64(to*dx), ay+float64(to*dy)
		ax, ay = ax+float64(from*dx), ay+float64(from*dy)
		near = min(near, math.Sqrt(pointEdge2(ax, ay, bx, by)))
		far = max(far, length(ax, ay), length(bx, by))
	}
	if !(near <= w.reach) {
		return false
	}
	return w.tall(max(near-w.margin, 0), min(far, w.reach)+w.margin, low, high)
}

// tall says whether at any distance in [near, far] the rays' heights meet [low, high].
func (w *wedge) tall(near, far, low, high float64) bool {
	// lowest(d) = z − margin + fall·d <= high, and highest(d) = z + margin + rise·d >= low.
	from, to := near, far
	if !math.IsInf(w.fall, 0) {
		from, to = clip(w.z-w.margin, w.fall, math.Inf(-1), high, from, to)
	}
	if !math.IsInf(w.rise, 0) {
		from, to = clip(w.z+w.margin, w.rise, low, math.Inf(1), from, to)
	}
	return from <= to
}
