package geofence

import "math"

// limbs walks over what a fence must remember of parts.
func (c *codec) limbs(p *posture, levels []level, held int) {
	c.flag(&p.have)
	if p.have {
		whole(c, &p.boot)
		c.uint(&p.known)
		for i := range p.position {
			c.floats(&p.position[i], &p.speed[i])
		}
	}
	c.levels(levels, held)
}

// sane checks what the code relies on: angles that can be reduced, speeds that are none below 0.
func (p *posture) sane() bool {
	ok := p.boot >= 0
	for i := range p.position {
		ok = ok && math.Abs(p.position[i]) <= 2*maxAngle*1000 && p.speed[i] >= 0 && p.speed[i] <= endlessSpeed
	}
	return ok
}

// adoptLimbs takes over a posture and levels, and computes what depends on them.
func (f *Fence) adoptLimbs(from *limbs) {
	l := &f.limb
	l.posture, l.stale, l.held = from.posture, true, 0
	copy(l.levels, from.levels)
	for i := range l.levels {
		if l.levels[i].place >= Margin {
			l.held++
		}
	}
	if f.set.chain != nil {
		f.forward() // the next Step looks at the posture's age
	}
}

// carryLimbs takes over the posture of a robot of the same build, and every hold
// of a zone that both sets have. Otherwise joints are unknown until the next message.
func (f *Fence) carryLimbs(from *Fence) {
	next := limbs{levels: make([]level, len(f.limb.levels))}
	if a, b := f.set.chain, from.set.chain; a != nil && b != nil && a.digest() == b.digest() {
		next.posture = from.limb.posture
	}
	for i, zone := range from.set.limbs {
		to, ok := f.set.ZoneIndex(from.set.zones[zone].info.ID)
		if !ok || !f.set.zones[to].limb {
			continue
		}
		slot := f.set.zones[to].slot
		next.levels[slot], next.levels[slot+1] = from.limb.levels[2*i], from.limb.levels[2*i+1]
	}
	f.adoptLimbs(&next)
}

// digest identifies the chain's content, as [Set.Digest] does the set's.
func (c *chain) digest() uint64 {
	h := newHasher()
	c.sum(&h)
	return uint64(h)
}

func (c *chain) sum(h *hasher) {
	for i := range c.links {
		l := &c.links[i]
		h.uint(uint64(uint32(l.parent))<<32 | uint64(uint32(l.number)))
		for _, m := range [...]*mat3{&l.p, &l.q, &l.s} {
			for _, v := range m {
				h.float(v)
			}
		}
		h.vec(l.at)
		h.vec(l.slide)
		for _, v := range [...]float64{l.scale, l.offset, l.low, l.top, l.fastest} {
			h.float(v)
		}
	}
	for i := range c.parts {
		p := &c.parts[i]
		h.uint(uint64(uint32(p.link)))
		h.vec(p.a)
		h.vec(p.b)
		h.float(p.r)
	}
	for i := range c.cameras {
		p := &c.cameras[i]
		h.uint(uint64(uint32(p.link)))
		h.vec(p.at)
		h.vec(p.axis)
		h.float(p.half)
		h.float(p.reach)
	}
	for _, v := range [...]float64{c.low, c.high, c.tilt, c.errorRad, c.errorMM, c.reaction.Seconds(), c.maxAge.Seconds()} {
		h.float(v)
	}
}

func (h *hasher) vec(v vec3) {
	h.float(v.x)
	h.float(v.y)
	h.float(v.z)
}

// sumLimb adds what a zone asks beyond the plane.
func (z *zone) sumLimb(h *hasher) {
	h.float(z.low)
	h.float(z.high)
	h.uint(z.parts[0])
	h.uint(z.parts[1])
	h.uint(uint64(z.views))
	if z.contour {
		h.byte(1)
	}
	h.byte(0)
}

// Part names the link of capsule i; an index out of range gives "".
func (s *Set) Part(i int) string {
	if s.chain == nil || i < 0 || i >= len(s.chain.partNames) {
		return ""
	}
	return s.chain.partNames[i]
}

// Camera names camera i; an index out of range gives "".
func (s *Set) Camera(i int) string {
	if s.chain == nil || i < 0 || i >= len(s.chain.cameraNames) {
		return ""
	}
	return s.chain.cameraNames[i]
}

// Limbs says whether any zone binds parts or cameras, so that joint states matter.
func (s *Set) Limbs() bool { return len(s.limbs) > 0 }

// Capsule is a part on the map, for people and tests: its axis in metres, z counted
// from the base frame's origin, its radius, and whether its joints are unknown, in
// which case it is all that the part can reach.
type Capsule struct {
	From, To [3]float64
	RadiusM  float64
	Unknown  bool
}

// Capsule gives part i as the last Step saw it; false where no zone binds the part
// or the pose cannot be used.
func (f *Fence) Capsule(i int) (Capsule, bool) {
	c := f.set.chain
	if c == nil || i < 0 || i >= len(c.parts) || !c.used.has(i) || !f.usable() {
		return Capsule{}, false
	}
	q := &f.limb.at[i]
	k := func(v vec3) [3]float64 { return [3]float64{v.x / 1000, v.y / 1000, v.z / 1000} }
	return Capsule{k(q.a), k(q.b), q.r / 1000, f.limb.parts[i].lost}, true
}
