package draft

import (
	"cmp"
	"math"
	"slices"

	"github.com/robowarden/robowarden/agent/config/internal/urdf"
)

// body is what the URDF shows of the robot with every joint at zero.
type body struct {
	name string
	// root is the link that no joint moves; base_link, or the like, is what poses are given for.
	root string
	// joints are those that move by themselves.
	joints []urdf.Joint
	// outline is the convex hull of all shapes seen from above, counter-clockwise in metres in the root's frame, low and high
	// where they begin and end.
	outline   [][2]float64
	low, high float64
	// unknown counts links that are there and whose shape is not known: a mesh, of which only a file's name is read, or what is
	// only seen. With any, outline and height are not the whole robot's.
	unknown int
	// reaches is true if a joint can move something out of the outline or above it.
	reaches bool

	links  map[string]*urdf.Link
	parent map[string]*urdf.Joint
}

// bodyOf measures a model.
func bodyOf(m *urdf.Model) *body {
	b := &body{name: m.Name, low: math.Inf(1), high: math.Inf(-1), links: map[string]*urdf.Link{}, parent: map[string]*urdf.Joint{}}
	for i := range m.Joints {
		j := &m.Joints[i]
		b.parent[j.Child] = j
		if j.Type != urdf.Fixed && j.Mimic == nil {
			b.joints = append(b.joints, *j)
		}
	}
	var points [][2]float64
	for i := range m.Links {
		l := &m.Links[i]
		b.links[l.Name] = l
		if b.parent[l.Name] == nil {
			b.root = cmp.Or(b.root, l.Name)
		}
		known := len(l.Collisions) > 0 || !l.Seen
		for _, c := range l.Collisions {
			known = known && c.Shape != urdf.Mesh
		}
		at, ok := b.place(l.Name, nil, 0)
		if !known || !ok {
			b.unknown++
		}
		for _, p := range shapes(l, at, holding) {
			points = append(points, [2]float64{p[0], p[1]})
			b.low, b.high = min(b.low, p[2]), max(b.high, p[2])
		}
	}
	b.outline = hull(points)
	for i := range m.Joints {
		b.reaches = b.reaches || b.leaves(&m.Joints[i])
	}
	return b
}

// shapes are the corners of a link's known shapes, seen from where the link's place is given.
func shapes(l *urdf.Link, at transform, circle float64) [][3]float64 {
	var out [][3]float64
	for _, c := range l.Collisions {
		own := at.then(transformOf(c.Origin))
		for _, p := range corners(&c, circle) {
			out = append(out, own.apply(p))
		}
	}
	return out
}

// steps is in how many steps a joint without ends is turned once around.
const steps = 64

// leaves says whether a joint can move something out of the outline. Only one that turns without end may stay inside, such as
// a wheel's; it is turned around, and so much as a millimetre counts.
func (b *body) leaves(j *urdf.Joint) bool {
	switch {
	case j.Type == urdf.Fixed:
		return false
	case j.Type != urdf.Continuous || j.Mimic != nil || b.turns(j.Parent):
		return true
	}
	const slack = 0.001
	for name, l := range b.links {
		if !b.below(name, j) {
			continue
		}
		for i := range steps {
			at, _ := b.place(name, j, 2*math.Pi*float64(i)/steps)
			for _, p := range shapes(l, at, touching) {
				if p[2] < b.low-slack || p[2] > b.high+slack || outside(b.outline, [2]float64{p[0], p[1]}) > slack {
					return true
				}
			}
		}
	}
	return false
}

// turns says whether any joint on the way to a link moves: two that turn together reach further than each alone.
func (b *body) turns(link string) bool {
	for range len(b.parent) + 1 {
		j := b.parent[link]
		if j == nil {
			return false
		}
		if j.Type != urdf.Fixed {
			return true
		}
		link = j.Parent
	}
	return true
}

// below says whether a joint moves a link.
func (b *body) below(link string, moving *urdf.Joint) bool {
	for range len(b.parent) + 1 {
		j := b.parent[link]
		if j == nil {
			return false
		}
		if j == moving {
			return true
		}
		link = j.Parent
	}
	return false
}

// place is where a link is in the root's frame with one joint turned by an angle in rad and every other at zero; not ok in a
// loop.
func (b *body) place(link string, turned *urdf.Joint, angle float64) (transform, bool) {
	at := transformOf(urdf.Origin{})
	for range len(b.parent) + 1 {
		j := b.parent[link]
		if j == nil {
			return at, true
		}
		own := transformOf(j.Origin)
		if j == turned {
			own = own.then(about(j.Axis, angle))
		}
		at, link = own.then(at), j.Parent
	}
	return at, false
}

// around is how many corners stand for a circle.
const around = 16

// What the corners that stand for a circle do: hold it, by lying outside of it, or lie on it.
var holding, touching = 1 / math.Cos(math.Pi/around), 1.0

// corners are points whose hull stands for the shape, in its own frame; for a sphere those of the box around it. A circle's
// are circle times its radius from its middle.
func corners(c *urdf.Collision, circle float64) [][3]float64 {
	var out [][3]float64
	box := func(x, y, z float64) {
		for i := range 8 {
			out = append(out, [3]float64{sign(i, 0) * x, sign(i, 1) * y, sign(i, 2) * z})
		}
	}
	switch c.Shape {
	case urdf.Box:
		box(c.Size[0]/2, c.Size[1]/2, c.Size[2]/2)
	case urdf.Sphere:
		box(c.Radius, c.Radius, c.Radius)
	case urdf.Cylinder:
		r := c.Radius * circle
		for i := range around {
			sin, cos := math.Sincos(2 * math.Pi * (float64(i) + 0.5) / around)
			out = append(out, [3]float64{r * cos, r * sin, -c.Length / 2}, [3]float64{r * cos, r * sin, c.Length / 2})
		}
	case urdf.Mesh: // its size is in a file that is not read
	}
	return out
}

func sign(i, bit int) float64 {
	if i>>bit&1 == 1 {
		return 1
	}
	return -1
}

// transform is a rotation, by rows, and a translation in m.
type transform struct {
	r [3][3]float64
	t [3]float64
}

// transformOf reads roll, pitch and yaw about the fixed axes, as URDF has them: R = Rz(yaw)·Ry(pitch)·Rx(roll).
func transformOf(o urdf.Origin) transform {
	sr, cr := math.Sincos(o.RPY[0])
	sp, cp := math.Sincos(o.RPY[1])
	sy, cy := math.Sincos(o.RPY[2])
	return transform{[3][3]float64{
		{cy * cp, cy*sp*sr - sy*cr, cy*sp*cr + sy*sr},
		{sy * cp, sy*sp*sr + cy*cr, sy*sp*cr - cy*sr},
		{-sp, cp * sr, cp * cr},
	}, o.XYZ}
}

// about is a turn about an axis of the length 1, by Rodrigues' formula.
func about(u [3]float64, angle float64) transform {
	sin, cos := math.Sincos(angle)
	v := 1 - cos
	return transform{r: [3][3]float64{
		{cos + u[0]*u[0]*v, u[0]*u[1]*v - u[2]*sin, u[0]*u[2]*v + u[1]*sin},
		{u[1]*u[0]*v + u[2]*sin, cos + u[1]*u[1]*v, u[1]*u[2]*v - u[0]*sin},
		{u[2]*u[0]*v - u[1]*sin, u[2]*u[1]*v + u[0]*sin, cos + u[2]*u[2]*v},
	}}
}

func (a transform) apply(p [3]float64) (out [3]float64) {
	for i := range 3 {
		out[i] = a.t[i]
		for k := range 3 {
			out[i] += a.r[i][k] * p[k]
		}
	}
	return out
}

// then is b, given in a's frame, as seen from where a is given.
func (a transform) then(b transform) transform {
	out := transform{t: a.apply(b.t)}
	for i := range 3 {
		for j := range 3 {
			for k := range 3 {
				out.r[i][j] += a.r[i][k] * b.r[k][j]
			}
		}
	}
	return out
}

// hull is the convex hull, counter-clockwise, by Andrew's monotone chain. It is nil for what has no area.
func hull(points [][2]float64) [][2]float64 {
	slices.SortFunc(points, func(a, b [2]float64) int { return cmp.Or(cmp.Compare(a[0], b[0]), cmp.Compare(a[1], b[1])) })
	points = slices.Compact(points)
	if len(points) < 3 {
		return nil
	}
	half := func(order func(yield func(int) bool)) (out [][2]float64) {
		for i := range order {
			for len(out) > 1 && turn(out[len(out)-2], out[len(out)-1], points[i]) <= 0 {
				out = out[:len(out)-1]
			}
			out = append(out, points[i])
		}
		return out[:len(out)-1]
	}
	lower := half(func(yield func(int) bool) {
		for i := 0; i < len(points) && yield(i); i++ {
		}
	})
	upper := half(func(yield func(int) bool) {
		for i := len(points) - 1; i >= 0 && yield(i); i-- {
		}
	})
	return append(lower, upper...)
}

// turn is twice the area of a triangle, positive to the left.
func turn(a, b, c [2]float64) float64 {
	return (b[0]-a[0])*(c[1]-a[1]) - (b[1]-a[1])*(c[0]-a[0])
}

// outside is how far a point is out of a hull, in m; at most 0 inside, and without end for a hull without area.
func outside(ring [][2]float64, p [2]float64) float64 {
	if len(ring) < 3 {
		return math.Inf(1)
	}
	far := math.Inf(-1)
	for i, a := range ring {
		c := ring[(i+1)%len(ring)]
		far = max(far, -turn(a, c, p)/math.Hypot(c[0]-a[0], c[1]-a[1]))
	}
	return far
}

// outward rounds a hull's corners to whole millimetres, each away from the middle, so that nothing gets out.
func outward(ring [][2]float64) [][2]float64 {
	var middle [2]float64
	for _, p := range ring {
		middle[0] += p[0] / float64(len(ring))
		middle[1] += p[1] / float64(len(ring))
	}
	away := func(v, from float64) float64 {
		if v >= from {
			return math.Ceil(v*1000-1e-6) / 1000
		}
		return math.Floor(v*1000+1e-6) / 1000
	}
	var out [][2]float64
	for _, p := range ring {
		out = append(out, [2]float64{away(p[0], middle[0]), away(p[1], middle[1])})
	}
	return hull(out)
}

// atMost makes a ring of at most n corners that holds the given one: where there are more, the polygon of the n directions'
// tangents.
func atMost(ring [][2]float64, n int) [][2]float64 {
	if len(ring) <= n {
		return ring
	}
	reach := make([]float64, n)
	for i := range reach {
		sin, cos := math.Sincos(2 * math.Pi * float64(i) / float64(n))
		reach[i] = math.Inf(-1)
		for _, p := range ring {
			reach[i] = max(reach[i], p[0]*cos+p[1]*sin)
		}
	}
	var out [][2]float64
	for i := range reach {
		s0, c0 := math.Sincos(2 * math.Pi * float64(i) / float64(n))
		s1, c1 := math.Sincos(2 * math.Pi * float64(i+1) / float64(n))
		a, b := reach[i], reach[(i+1)%n]
		det := c0*s1 - s0*c1
		out = append(out, [2]float64{(a*s1 - b*s0) / det, (b*c0 - a*c1) / det})
	}
	return hull(out)
}
