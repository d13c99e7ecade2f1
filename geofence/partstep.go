package geofence

import (
	"math"
	"slices"
)

// stepParts judges parts and cameras, and joins what they restrict into the verdict.
func (f *Fence) stepParts(usable bool, v *Verdict) {
	out := &v.Parts
	*out = PartsVerdict{Place: Outside, View: Outside}
	if len(f.set.limbs) == 0 {
		return
	}
	if !usable {
		f.blindParts(v)
		return
	}
	l := &f.limb
	if stale := !l.posture.have || f.mem.now-l.posture.boot > f.set.chain.maxAge || f.mem.now < l.posture.boot; stale != l.stale {
		l.stale = stale
		f.forward()
	}
	l.finds = l.finds[:0]
	f.surveyParts(f.spread())
	f.surveyViews()
	over := f.work > maxWork
	f.settleLimbs()
	for i := range l.finds {
		if p := &l.finds[i].PartFinding; p.Place > Outside {
			v.part(p)
		}
	}
	if over {
		for _, view := range [...]bool{false, true} {
			v.part(&PartFinding{Zone: NoZone, Part: -1, View: view, Place: Inside, Reason: ReasonBudget, Certain: true})
		}
	}
}

// part joins a finding: a part inside a zone rests, and a camera that might see into one is closed.
func (v *Verdict) part(p *PartFinding) {
	out := &v.Parts
	if p.View {
		out.View = max(out.View, p.Place)
		v.Perception.restrict(int32(p.Zone), p.Reason, p.Certain) //nolint:gosec // Compile caps zones
	} else {
		out.Place = max(out.Place, p.Place)
		if p.Place == Inside {
			v.Manipulators.restrict(int32(p.Zone), p.Reason, p.Certain) //nolint:gosec // as above
		}
	}
	out.near(p)
}

// blindParts restricts by every zone that the robot may be near to, while nobody knows where it is.
func (f *Fence) blindParts(v *Verdict) {
	l := &f.limb
	for i := 0; i < len(l.levels) && l.held > 0; i++ {
		l.levels[i].timing = false
	}
	for _, i := range f.set.limbs {
		z := &f.set.zones[i]
		if !f.maybeHere(i) {
			continue
		}
		if !z.parts.empty() {
			v.Parts.Place = PlaceUnknown
			v.Manipulators.restrict(i, ReasonPlaceUnknown, false)
		}
		if z.views != 0 {
			v.Parts.View = PlaceUnknown
			v.Perception.restrict(i, ReasonPlaceUnknown, false)
		}
	}
}

// near keeps the most restrictive findings, the worst place first, then the order of the zones.
func (v *PartsVerdict) near(p *PartFinding) {
	i := v.N
	for i > 0 && v.Near[i-1].Place < p.Place {
		i--
	}
	if i == MaxNear {
		return
	}
	v.N = min(v.N+1, MaxNear)
	copy(v.Near[i+1:v.N], v.Near[i:v.N-1])
	v.Near[i] = *p
}

// spread takes parts and cameras from the base frame to the map, with their
// margins, and returns a box around all parts.
func (f *Fence) spread() box {
	c, l, t, r := f.set.chain, &f.limb, &f.mem.track, &f.set.robot
	turn := t.tilt.rotation()
	to := rigid{turn, vec3{t.at.x, t.at.y, 0}}
	age := t.age(f.mem.now).Seconds()
	react := c.reaction.Seconds()
	late := react
	if !l.stale {
		late += (f.mem.now - l.posture.boot).Seconds()
	}
	still := float64(r.SigmaK*t.sigma) + float64(1000*r.MapErrorM) + float64(float64(500*r.AccelMPS2)*float64(age*age)) + roundingMM
	speed, spin := t.velocity.speed(), math.Abs(t.velocity.w)
	if !t.velocityOK {
		speed, spin = float64(1000*topSpeed(r)), topYaw(r)
	}
	// The heading's error and the turn at hand move it by so much per millimetre from the base's axis.
	swing := float64(r.SigmaK*t.spread) + float64(spin*(age+react))
	still += float64(speed * (age + react))
	release := float64(1000 * r.ReleaseMarginM)
	all := emptyBox()
	for i := range l.parts {
		if !c.used.has(i) {
			continue
		}
		p, q := &l.parts[i], &l.at[i]
		*q = capsule{to.apply(p.a), to.apply(p.b), p.r}
		m := still + p.sway(swing, c.tilt) + p.blur + float64(late*p.speed)
		l.margin[i] = m
		g := q.r + m + release + 1 // so that cutting to whole ones cuts off nothing
		b := &l.boxes[i]
		b.x0, b.x1 = int64(min(q.a.x, q.b.x)-g), int64(max(q.a.x, q.b.x)+g)
		b.y0, b.y1 = int64(min(q.a.y, q.b.y)-g), int64(max(q.a.y, q.b.y)+g)
		all.x0, all.y0, all.x1, all.y1 = min(all.x0, b.x0), min(all.y0, b.y0), max(all.x1, b.x1), max(all.y1, b.y1)
	}
	for i := range l.cams {
		p, s := &l.cams[i], &c.cameras[i]
		l.cones[i] = cone{at: to.apply(p.a), axis: turn.apply(p.axis), half: s.half, reach: s.reach}
		if p.lost {
			l.cones[i].half = math.Pi
		}
		l.margin[len(l.parts)+i] = still + p.sway(swing, c.tilt) + p.blur + float64(late*p.speed) + p.r
		l.turn[i] = swing + c.tilt + p.twist + float64(late*p.spin)
	}
	return all
}

// sway is how far a part moves by turns of so many radians about the base's upright
// axis, and by a tilt.
func (p *partPose) sway(turn, tilt float64) float64 {
	a, b := float64(p.a.x*p.a.x)+float64(p.a.y*p.a.y), float64(p.b.x*p.b.x)+float64(p.b.y*p.b.y)
	return float64(turn*math.Sqrt(max(a, b))) + float64(tilt*math.Sqrt(max(a+float64(p.a.z*p.a.z), b+float64(p.b.z*p.b.z))))
}

// surveyParts finds, for each zone near to any part, the part that matters most.
func (f *Fence) surveyParts(all box) {
	x, q := &f.set.floors[f.mem.track.floor].limbs, all.bounds()
	for l, n := x.next(0, &q); l != nil; l, n = x.next(n, &q) {
		if i := l.zone; f.binds[i] != bindsNot && f.work <= maxWork {
			f.considerParts(i, f.set.zones[i].reach())
		}
	}
}

func (f *Fence) considerParts(i int32, around box) {
	z, l := &f.set.zones[i], &f.limb
	release := float64(1000 * f.set.robot.ReleaseMarginM)
	// The base's height may be anything in its range: that makes the prism the taller instead.
	low, high := z.low-f.set.chain.high, z.high-f.set.chain.low
	edges := f.set.ringsOf(z)
	worst, clear, slack := -1, math.Inf(1), math.Inf(1)
	for k := range l.parts {
		if !z.parts.has(k) || !l.boxes[k].meets(around) {
			continue
		}
		q := &l.at[k]
		m := l.margin[k] + z.margin
		limit := q.r + m + release
		if min(q.a.z, q.b.z)-limit > high || max(q.a.z, q.b.z)+limit < low {
			continue
		}
		gap := f.prismGap(edges, z.box, low, high, q, limit) - q.r
		if gap >= m+release {
			continue
		}
		clear = min(clear, gap)
		if gap-m < slack {
			worst, slack = k, gap-m
		}
	}
	if worst < 0 {
		return
	}
	p := PartFinding{Zone: int(i), Part: worst, Place: Outside, MarginM: max(clear, 0) / 1000, NeedM: (l.margin[worst] + z.margin) / 1000, Certain: f.binds[i] == bindsSurely}
	switch {
	case !(clear > 0):
		p.Place, p.Reason = Inside, ReasonPartInside
	case !(slack >= 0):
		p.Place, p.Reason = Margin, ReasonPartMargin
	}
	if l.parts[worst].lost {
		p.Reason = ReasonPartUnknown
	}
	free := slack >= release
	if l.levels[z.slot].place == Inside {
		free = clear >= release
	}
	p.Place = f.settleLimb(z.slot, p.Place, free)
	if p.Reason == ReasonNone {
		p.Reason = ReasonPartMargin
	}
	l.finds = append(l.finds, find{p, z.slot})
}

// releaseTurn is how many radians beyond the margin a camera must look away.
const releaseTurn = 0.05

// surveyViews asks which zones the cameras may see into.
func (f *Fence) surveyViews() {
	x, l, c := &f.set.floors[f.mem.track.floor].limbs, &f.limb, f.set.chain
	release := float64(1000 * f.set.robot.ReleaseMarginM)
	for _, i := range x.views {
		z := &f.set.zones[i]
		if f.binds[i] == bindsNot || f.work > maxWork {
			continue
		}
		low, high := z.low-c.high, z.high-c.low
		p := PartFinding{Zone: int(i), Part: -1, View: true, Place: Outside, Certain: f.binds[i] == bindsSurely, Reason: ReasonView}
		free := true
		for k := range l.cams {
			if z.views>>k&1 == 0 {
				continue
			}
			m := l.margin[len(l.parts)+k] + z.margin
			s := f.looks(&l.cones[k], z, low, high, m, l.turn[k], release)
			held := l.levels[z.slot+1].place
			free = free && (s == looksAway || held == Inside && s == looksClose)
			is := Outside
			switch s {
			case looksIn:
				is = Inside
			case looksMaybe:
				is = Margin
			case looksClose, looksAway:
			}
			if is > p.Place || p.Part < 0 {
				p.Place, p.Part, p.NeedM, p.Reason = is, k, m/1000, ReasonView
				if l.cams[k].lost {
					p.Reason = ReasonPartUnknown
				}
			}
		}
		if p.Place == Outside && l.levels[z.slot+1].place < Margin {
			continue
		}
		p.Place = f.settleLimb(z.slot+1, p.Place, free)
		l.finds = append(l.finds, find{p, z.slot + 1})
	}
}

// look is how a camera stands to a zone.
type look uint8

const (
	looksAway  look = iota // farther than the release margin
	looksClose             // not into it, but not released yet
	looksMaybe             // into it with all errors, or before it could be turned away
	looksIn
)

func (f *Fence) looks(c *cone, z *zone, low, high, m, turn, release float64) look {
	edges := f.set.ringsOf(z)
	w := c.wedge(m+release, turn+releaseTurn)
	reach := int64(math.Ceil(w.reach))
	if x, y := int64(w.x), int64(w.y); !z.box.grow(reach).meets(box{x, y, x, y}) || !f.sees(&w, edges, z.box, low, high) {
		return looksAway
	}
	if w = c.wedge(m, turn); !f.sees(&w, edges, z.box, low, high) {
		return looksClose
	}
	if w = c.wedge(roundingMM, 0); !f.sees(&w, edges, z.box, low, high) {
		return looksMaybe
	}
	return looksIn
}

// settleLimbs lets the levels of zones out of reach run out, and puts the findings
// into the order of the zones, whatever the index did.
func (f *Fence) settleLimbs() {
	l := &f.limb
	slices.SortFunc(l.finds, func(a, b find) int { return int(a.slot) - int(b.slot) })
	n := 0
	for i := 0; i < len(l.levels) && l.held > 0; i++ {
		for n < len(l.finds) && int(l.finds[n].slot) < i {
			n++
		}
		if n < len(l.finds) && int(l.finds[n].slot) == i || l.levels[i].place <= Outside {
			continue
		}
		zone := f.set.limbs[i/2]
		if f.binds[zone] == bindsNot {
			l.levels[i] = level{}
			l.held--
			continue
		}
		slot := int32(i) //nolint:gosec // at most 20 000
		p := PartFinding{Zone: int(zone), Part: -1, View: i%2 == 1, Certain: f.binds[zone] == bindsSurely, Reason: ReasonPartMargin}
		if p.View {
			p.Reason = ReasonView
		}
		if p.Place = f.settleLimb(slot, Outside, true); p.Place >= Margin {
			l.finds = append(l.finds, find{p, slot})
		}
	}
}
