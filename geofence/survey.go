package geofence

import (
	"math"
	"slices"
)

// survey finds the obstacles within reach of the pose and how far they are. It
// depends on the pose and on what binds, not on time.
func (f *Fence) survey() {
	if !f.dirty {
		return
	}
	t := &f.mem.track
	f.cands, f.dirty, f.overrun = f.cands[:0], false, false
	f.contour.set(&f.body.body, t.at)
	solid, around := &f.set.floors[t.floor].solid, f.contour.box.grow(int64(f.reach)).bounds()
	f.found = f.found[:0]
	for l, n := solid.next(0, &around); l != nil; l, n = solid.next(n, &around) {
		if i := l.zone; f.binds[i] != bindsNot && f.set.zones[i].low <= f.body.high {
			f.found = append(f.found, i)
		}
	}
	// In the order of the slots, whatever the index did: so ties fall alike.
	slices.Sort(f.found)
	for _, i := range f.found {
		if f.work <= maxWork {
			f.consider(f.solid(i), f.binds[i])
		}
	}
	switch f.keep.mode {
	case keepUnion:
		f.consider(f.area(), bindsSurely)
	case keepEach:
		f.consider(f.area(), bindsMaybe)
	case keepFree, keepDenied: // no edge to measure
	}
	f.overrun = f.work > maxWork
}

// solid is zone i as an obstacle.
func (f *Fence) solid(i int32) obstacle {
	z := &f.set.zones[i]
	return obstacle{
		outline: f.set.outline(z), kind: z.kind, zone: i, slot: i, margin: z.margin, speed: z.speed, warn: z.warn,
		size: float64(min(z.box.x1-z.box.x0, z.box.y1-z.box.y0)) / 2,
	}
}

// area is the edge of the current floor's keep-in area as an obstacle.
func (f *Fence) area() obstacle {
	return obstacle{
		outline: f.keep.outline, open: true, kind: KeepIn, zone: f.keep.zone[0],
		slot: int32(len(f.set.zones) + f.mem.track.floor), margin: f.keep.margin, warn: f.keep.warn, size: math.Inf(1),
	}
}

// consider adds an obstacle to the candidates if it is within reach.
func (f *Fence) consider(o obstacle, b bound) {
	c := candidate{obstacle: o, bound: b}
	var nearest int
	limit := f.reach + o.margin
	c.clear, c.inside, nearest = f.look(&c.obstacle, &f.contour, limit)
	if !c.inside && nearest < 0 {
		return
	}
	if o.kind == KeepIn && nearest >= 0 {
		c.zone = f.keep.zone[nearest]
	}
	if c.inside {
		c.clear = 0
		if o.kind.deep() {
			c.clear = -f.depth(&c.obstacle, f.mem.track.at)
		}
	}
	f.cands = append(f.cands, c)
}

// look measures a contour against an obstacle: its distance up to limit, whether
// any part of it is where it must not be, and the nearest edge, -1 if none is
// within limit.
func (f *Fence) look(o *obstacle, c *contour, limit float64) (clear float64, inside bool, nearest int) {
	// Locating a point costs about an eighth of measuring a distance, per edge.
	if o.kind == KeepIn {
		f.work += len(o.edges) * c.n / 8
		inside = f.leaves(o, c)
	} else {
		f.work += len(o.edges) / 8
		z := &f.set.zones[o.zone]
		// Without a crossing edge, one point of either tells whether one contains the other.
		x, y := c.sides[0].ax, c.sides[0].ay
		inside = z.box.has(x, y) && o.locate(x, y) != away || c.contains(o.edges[0].ax, o.edges[0].ay)
	}
	if inside {
		return 0, true, -1
	}
	clear, nearest = c.distance(&o.outline, o.open, limit, &f.work)
	return clear, clear == 0, nearest
}

// leaves says whether a corner of the contour is not in the keep-in area, or a
// piece of the area's edge is within the contour.
func (f *Fence) leaves(o *obstacle, c *contour) bool {
	for i := range c.n {
		if !f.keep.holds(f.set, &f.set.floors[f.mem.track.floor], f.binds, c.sides[i].ax, c.sides[i].ay) {
			return true
		}
	}
	for i := range o.edges {
		if c.contains(o.edges[i].ax, o.edges[i].ay) {
			return true
		}
	}
	return false
}

// breaches says whether a point is where an obstacle allows no part of the robot.
func (f *Fence) breaches(o *obstacle, x, y int32) bool {
	if o.kind == KeepIn {
		return !f.keep.holds(f.set, &f.set.floors[f.mem.track.floor], f.binds, x, y)
	}
	return f.set.zones[o.zone].box.has(x, y) && o.locate(x, y) != away
}

// margin is the static margin in millimetres for a pose of the given age: its
// uncertainty, the map's, rounding, and what acceleration can have added to the
// motion since.
func (f *Fence) margin(age float64) float64 {
	r := &f.set.robot
	drift := float64(float64(500*r.AccelMPS2) * float64(age*age))
	return f.blur() + float64(1000*r.MapErrorM) + drift + roundingMM
}

// blur is what the pose's uncertainty alone can move the contour by, in millimetres.
func (f *Fence) blur() float64 {
	r, t := &f.set.robot, &f.mem.track
	return float64(r.SigmaK * (t.sigma + float64(t.spread*f.body.radius)))
}

// settle applies the hysteresis to every level.
func (f *Fence) settle() {
	now := f.mem.now
	m := f.margin(f.mem.track.age(now).Seconds())
	slot := 0
	for i := range f.cands {
		c := &f.cands[i]
		f.settleFar(slot, int(c.slot))
		slot = int(c.slot) + 1
		c.place = f.settleOne(int(c.slot), c.clear, c.inside, m+c.margin)
	}
	f.settleFar(slot, len(f.levels))
	if e := f.mem.egress; e.Zone != NoZone {
		for i := range f.cands {
			if c := &f.cands[i]; f.granted(c) {
				f.mem.egressDepth = min(f.mem.egressDepth, max(-c.clear, 0))
			}
		}
	}
	f.settleLeaving()
}

// settleLeaving notes the first zone that the robot leaves without a lease, and how deep it was since it does.
func (f *Fence) settleLeaving() {
	for i := range f.cands {
		c := &f.cands[i]
		if a, _ := f.access(c, f.mem.now); a != leaving {
			continue
		}
		if f.mem.leaves != int(c.zone) {
			f.mem.leaves, f.mem.leaveDepth = int(c.zone), math.Inf(1)
		}
		f.mem.leaveDepth = min(f.mem.leaveDepth, max(-c.clear, 0))
		return
	}
	f.mem.leaves, f.mem.leaveDepth = NoZone, 0
}

// settleFar lets the levels of obstacles out of reach run out.
func (f *Fence) settleFar(from, to int) {
	for i := from; i < to && f.held > 0; i++ {
		switch {
		case f.levels[i].place <= Outside:
		case i < len(f.binds) && f.binds[i] == bindsNot:
			f.free(i)
		case i == len(f.binds)+f.mem.track.floor:
			f.free(i) // this floor has no keep-in area now
		default:
			f.settleOne(i, math.Inf(1), false, 0)
		}
	}
}

func (f *Fence) free(slot int) {
	f.levels[slot] = level{}
	f.held--
}

// settleOne moves one level and returns the place that holds. Worse places hold
// at once, better ones after a margin and a dwell: from inside, ReleaseMarginM
// and the pose's blur beyond the edge; from the margin, ReleaseMarginM beyond
// the margin. Without the blur, a slow error of the pose that put a standing
// robot inside would end the hold by itself when it swings back, and hold again.
func (f *Fence) settleOne(slot int, clear float64, inside bool, m float64) Place {
	l, r := &f.levels[slot], &f.set.robot
	release := float64(1000 * r.ReleaseMarginM)
	is := Outside
	switch {
	case inside:
		is = Inside
	case !(clear >= m):
		is = Margin
	}
	if l.place < Margin {
		if is == Outside {
			return Outside
		}
		f.held++
		*l = level{place: is}
		return is
	}
	if is > l.place {
		*l = level{place: is}
		return is
	}
	if l.place == Margin {
		release += m
	} else {
		release += f.blur()
	}
	if !(clear >= release) || inside {
		l.timing = false
		return l.place
	}
	now := f.mem.now
	if !l.timing {
		l.timing, l.since = true, now
	}
	if now-l.since < r.ReleaseDwell {
		return l.place
	}
	if l.place == Inside {
		*l = level{place: Margin}
		return Margin
	}
	f.free(slot)
	return Outside
}

// unsettle stops every dwell: while nothing can be judged, nothing comes free.
func (f *Fence) unsettle() {
	for i := 0; i < len(f.levels) && f.held > 0; i++ {
		f.levels[i].timing = false
	}
}

// granted says whether the egress grant names the candidate.
func (f *Fence) granted(c *candidate) bool {
	e := f.mem.egress
	if e.Zone == NoZone {
		return false
	}
	if c.kind == KeepIn {
		z := &f.set.zones[e.Zone]
		return z.kind == KeepIn && int(z.floor) == f.mem.track.floor
	}
	return int(c.zone) == e.Zone
}
