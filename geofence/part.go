package geofence

import (
	"math"
	"slices"
	"time"
)

// limbs is what a fence knows of the robot's parts. posture is all that a restored
// fence needs beside the levels; the rest follows from it.
type limbs struct {
	posture posture
	// levels holds two entries for each zone of Set.limbs: for parts, and for views.
	levels []level
	held   int // levels that are not free

	stale bool
	// frames are the links in the base frame; lost is the first link on the way from
	// the base whose position is not known, -1 if all are.
	frames []rigid
	lost   []int32
	parts  []partPose
	cams   []partPose
	// What follows is on the map.
	at     []capsule
	boxes  []box // grown by margin and release
	cones  []cone
	margin []float64 // of parts, then of cameras
	turn   []float64 // of cameras
	finds  []find
}

// posture is a Posture as it is kept.
type posture struct {
	have     bool
	boot     time.Duration
	known    uint64
	position [MaxJoints]float64
	speed    [MaxJoints]float64
}

// partPose is a part or a camera in the base frame.
type partPose struct {
	capsule
	axis vec3
	// blur is how far wrong joints can move it, in mm, and twist how far they can turn
	// it, in rad; speed and spin are the rates of both by the joints' velocities.
	blur, twist, speed, spin float64
	lost                     bool // the capsule is all that it can reach
}

// find is a zone that something is near to.
type find struct {
	PartFinding
	slot int32 // in limbs.levels
}

// limbIndex holds the zones of a floor that bind parts, and lists those that bind cameras.
type limbIndex struct {
	tree
	views []int32
}

// limbsOf sorts the zones of a floor that bind parts or cameras.
func (s *Set) limbsOf(list []int32) limbIndex {
	var x limbIndex
	for _, i := range list {
		if s.zones[i].views != 0 {
			x.views = append(x.views, i)
		}
	}
	x.tree = newTree(s.zones, slices.DeleteFunc(list, func(i int32) bool { return s.zones[i].parts.empty() }))
	return x
}

func newLimbs(set *Set) limbs {
	l := limbs{levels: make([]level, 2*len(set.limbs)), stale: true, finds: make([]find, 0, 2*len(set.limbs))}
	if c := set.chain; c != nil {
		n, m := len(c.parts), len(c.cameras)
		l.frames, l.lost = make([]rigid, len(c.links)), make([]int32, len(c.links))
		l.parts, l.cams = make([]partPose, n), make([]partPose, m)
		l.at, l.boxes, l.cones = make([]capsule, n), make([]box, n), make([]cone, m)
		l.margin, l.turn = make([]float64, n+m), make([]float64, m)
	}
	return l
}

// endlessSpeed is a joint's speed, in rad/s or m/s, at which whatever it moves sweeps all that it can reach at once. A sensor
// that says more makes it no faster.
const endlessSpeed = 1e9

// Posture takes in joint states. Call it for each message, before the Step that
// shall judge by it. A robot without a chain ignores it.
func (f *Fence) Posture(p *Posture) {
	c := f.set.chain
	if c == nil {
		return
	}
	m := &f.limb.posture
	m.have, m.boot, m.known = true, p.Boot, p.Known
	for i := range c.links {
		l := &c.links[i]
		m.position[l.number], m.speed[l.number] = 0, 0
	}
	for i := range c.links {
		l := &c.links[i]
		n := l.number
		q, v := p.Position[n], math.Abs(p.Velocity[n])
		// A position beyond the end stops is none; NaN fails each comparison.
		if p.Known>>n&1 == 0 || !(q >= l.low-limitSlack) || !(q <= l.top+limitSlack) || !(math.Abs(float64(l.scale*q)+l.offset) <= maxAngle) {
			m.known &^= 1 << n
			continue
		}
		m.position[n] = q
		if !p.HasVelocity || !finite(v) {
			v = l.fastest
		}
		m.speed[n] = max(m.speed[n], min(v, endlessSpeed))
	}
	f.limb.stale = false
	f.forward()
}

// forward computes where links, parts and cameras are in the base frame.
func (f *Fence) forward() {
	c, l := f.set.chain, &f.limb
	base := rigid{r: identity()}
	for i := range c.links {
		k := &c.links[i]
		parent := &base
		l.lost[i] = -1
		if k.parent >= 0 {
			parent, l.lost[i] = &l.frames[k.parent], l.lost[k.parent]
		}
		switch {
		case l.lost[i] >= 0:
		case l.stale || l.posture.known>>k.number&1 == 0:
			// Its origin is still known, what hangs from it is not.
			l.lost[i] = int32(i) //nolint:gosec // at most 64
			l.frames[i] = rigid{parent.r, parent.apply(k.at)}
		default:
			k.place(parent, float64(k.scale*l.posture.position[k.number])+k.offset, &l.frames[i])
		}
	}
	for i := range c.parts {
		p := &c.parts[i]
		if c.used.has(i) {
			l.parts[i].capsule = capsule{p.a, p.b, p.r}
			f.hold(&l.parts[i], p.link, p.lo, p.hi)
		}
	}
	for i := range c.cameras {
		p := &c.cameras[i]
		if c.usedCameras>>i&1 != 0 {
			l.cams[i].capsule, l.cams[i].axis = capsule{a: p.at, b: p.at}, p.axis
			f.hold(&l.cams[i], p.link, p.lo, p.hi)
		}
	}
}

// hold takes a part from its link's frame to the base's. Beyond a joint whose
// position is not known, it is everything that it can reach from there.
func (f *Fence) hold(p *partPose, on, lo, hi int32) {
	l := &f.limb
	way := f.set.chain.path[lo:hi]
	p.blur, p.twist, p.speed, p.spin, p.lost = 0, 0, 0, 0, on >= 0 && l.lost[on] >= 0
	for k := range way {
		v := &way[k]
		if p.lost && l.lost[v.link] >= 0 {
			at := l.frames[v.link].t
			p.capsule = capsule{at, at, v.reach}
			return
		}
		speed := l.posture.speed[v.number]
		p.speed += float64(v.rate * speed)
		p.spin += float64(v.turn * speed)
		p.blur, p.twist = v.blur, v.twist
	}
	if on >= 0 {
		at := &l.frames[on]
		p.a, p.b = at.apply(p.a), at.apply(p.b)
		if p.axis != (vec3{}) { // a camera's
			p.axis = at.r.apply(p.axis)
		}
	}
}

// settleLimb moves a level: worse places hold at once, better ones after free has
// lasted for the dwell, one place at a time.
func (f *Fence) settleLimb(slot int32, is Place, free bool) Place {
	l := &f.limb.levels[slot]
	if l.place < Margin {
		if is == Outside {
			return Outside
		}
		f.limb.held++
		*l = level{place: is}
		return is
	}
	if is > l.place {
		*l = level{place: is}
		return is
	}
	if !free {
		l.timing = false
		return l.place
	}
	now := f.mem.now
	if !l.timing {
		l.timing, l.since = true, now
	}
	if now-l.since < f.set.robot.ReleaseDwell {
		return l.place
	}
	if l.place == Inside {
		*l = level{place: Margin}
		return Margin
	}
	*l = level{}
	f.limb.held--
	return Outside
}
