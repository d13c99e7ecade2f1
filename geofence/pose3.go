package geofence

import "math"

// vec3 is a point or a direction; points are in millimetres.
type vec3 struct{ x, y, z float64 }

// mat3 is a rotation (or a part of one), row by row.
type mat3 [9]float64

func (a vec3) add(b vec3) vec3 { return vec3{a.x + b.x, a.y + b.y, a.z + b.z} }
func (a vec3) sub(b vec3) vec3 { return vec3{a.x - b.x, a.y - b.y, a.z - b.z} }

func (a vec3) scale(k float64) vec3 {
	return vec3{float64(a.x * k), float64(a.y * k), float64(a.z * k)}
}

func (a vec3) dot(b vec3) float64 {
	return float64(a.x*b.x) + float64(a.y*b.y) + float64(a.z*b.z)
}

func (a vec3) norm() float64 { return math.Sqrt(a.dot(a)) }

func (a vec3) finite() bool { return finite(a.x) && finite(a.y) && finite(a.z) }

func identity() mat3 { return mat3{1, 0, 0, 0, 1, 0, 0, 0, 1} }

func (m *mat3) apply(v vec3) vec3 {
	return vec3{
		float64(m[0]*v.x) + float64(m[1]*v.y) + float64(m[2]*v.z),
		float64(m[3]*v.x) + float64(m[4]*v.y) + float64(m[5]*v.z),
		float64(m[6]*v.x) + float64(m[7]*v.y) + float64(m[8]*v.z),
	}
}

// times returns m·n.
func (m *mat3) times(n *mat3) (out mat3) {
	out.product(m, n)
	return out
}

// product sets m to l·r; it is written out since forward kinematics consists of it.
func (m *mat3) product(l, r *mat3) {
	a, b, c := l[0], l[1], l[2]
	m[0] = float64(a*r[0]) + float64(b*r[3]) + float64(c*r[6])
	m[1] = float64(a*r[1]) + float64(b*r[4]) + float64(c*r[7])
	m[2] = float64(a*r[2]) + float64(b*r[5]) + float64(c*r[8])
	a, b, c = l[3], l[4], l[5]
	m[3] = float64(a*r[0]) + float64(b*r[3]) + float64(c*r[6])
	m[4] = float64(a*r[1]) + float64(b*r[4]) + float64(c*r[7])
	m[5] = float64(a*r[2]) + float64(b*r[5]) + float64(c*r[8])
	a, b, c = l[6], l[7], l[8]
	m[6] = float64(a*r[0]) + float64(b*r[3]) + float64(c*r[6])
	m[7] = float64(a*r[1]) + float64(b*r[4]) + float64(c*r[7])
	m[8] = float64(a*r[2]) + float64(b*r[5]) + float64(c*r[8])
}

func (m *mat3) transposed() mat3 {
	return mat3{m[0], m[3], m[6], m[1], m[4], m[7], m[2], m[5], m[8]}
}

// rigid is a rotation and then a translation.
type rigid struct {
	r mat3
	t vec3
}

func (a *rigid) apply(v vec3) vec3 { return a.t.add(a.r.apply(v)) }

func (a *rigid) times(b *rigid) rigid { return rigid{a.r.times(&b.r), a.apply(b.t)} }

func (a *rigid) inverse() rigid {
	r := a.r.transposed()
	return rigid{r, r.apply(a.t).scale(-1)}
}

// rigid is the origin in millimetres: R = Rz(yaw)·Ry(pitch)·Rx(roll), as URDF defines it.
func (o *Origin) rigid() rigid {
	sr, cr := sincos(o.RPY[0])
	sp, cp := sincos(o.RPY[1])
	sy, cy := sincos(o.RPY[2])
	x := mat3{1, 0, 0, 0, cr, -sr, 0, sr, cr}
	y := mat3{cp, 0, sp, 0, 1, 0, -sp, 0, cp}
	z := mat3{cy, -sy, 0, sy, cy, 0, 0, 0, 1}
	r := z.times(&y)
	return rigid{r.times(&x), metres(o.XYZ)}
}

// metres turns a point of a spec into millimetres.
func metres(v [3]float64) vec3 { return vec3{v[0], v[1], v[2]}.scale(1000) }

// quaternion is an orientation of norm 1.
type quaternion struct{ x, y, z, w float64 }

// unit scales a quaternion to norm 1; what has none stands upright.
func (q quaternion) unit() quaternion {
	n := math.Sqrt(float64(q.x*q.x) + float64(q.y*q.y) + float64(q.z*q.z) + float64(q.w*q.w))
	if !(n >= 0.5) || !finite(n) {
		return quaternion{w: 1}
	}
	return quaternion{q.x / n, q.y / n, q.z / n, q.w / n}
}

func (q quaternion) rotation() mat3 {
	xx, yy, zz := float64(2*q.x*q.x), float64(2*q.y*q.y), float64(2*q.z*q.z)
	xy, xz, yz := float64(2*q.x*q.y), float64(2*q.x*q.z), float64(2*q.y*q.z)
	wx, wy, wz := float64(2*q.w*q.x), float64(2*q.w*q.y), float64(2*q.w*q.z)
	return mat3{
		1 - yy - zz, xy - wz, xz + wy,
		xy + wz, 1 - xx - zz, yz - wx,
		xz - wy, yz + wx, 1 - xx - yy,
	}
}

// link is a compiled moving joint. Its rotation at an angle is P + cos·Q + sin·S
// (Rodrigues' formula with the origin's rotation multiplied in), and fixed for a
// sliding joint, where P is the rotation and slide the way of one unit.
type link struct {
	parent        int32 // in chain.links, -1 for the base
	number        int32
	slides        bool
	at            vec3 // the joint's origin in the parent's frame
	p, q, s       mat3
	slide         vec3
	scale, offset float64
	low, top      float64
	fastest       float64
	name          string
}

// newLink folds a joint's origin and axis into the matrices.
func newLink(origin *rigid, axis vec3, slides bool) link {
	l := link{at: origin.t, slides: slides, p: origin.r}
	a := axis.scale(1 / axis.norm())
	if slides {
		l.slide = origin.r.apply(a.scale(1000))
		return l
	}
	outer := mat3{
		float64(a.x * a.x), float64(a.x * a.y), float64(a.x * a.z),
		float64(a.y * a.x), float64(a.y * a.y), float64(a.y * a.z),
		float64(a.z * a.x), float64(a.z * a.y), float64(a.z * a.z),
	}
	rest := identity()
	for i := range rest {
		rest[i] -= outer[i]
	}
	cross := mat3{0, -a.z, a.y, a.z, 0, -a.x, -a.y, a.x, 0}
	l.p, l.q, l.s = origin.r.times(&outer), origin.r.times(&rest), origin.r.times(&cross)
	return l
}

// place puts the link into the base frame for a motion value, given its parent there.
func (l *link) place(parent *rigid, value float64, out *rigid) {
	if l.slides {
		out.t = parent.apply(l.at.add(l.slide.scale(value)))
		out.r.product(&parent.r, &l.p)
		return
	}
	sin, cos := sincos(value)
	var turn mat3
	for i := range turn {
		turn[i] = l.p[i] + float64(cos*l.q[i]) + float64(sin*l.s[i])
	}
	out.t = parent.apply(l.at)
	out.r.product(&parent.r, &turn)
}
