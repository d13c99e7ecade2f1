package geofence

import "time"

// stay is for how long the robot has been in a zone that counts it.
type stay struct {
	on    bool
	since time.Duration
}

// restrict sets a restriction unless an earlier zone has.
func (r *Restriction) restrict(zone int32, reason Reason, certain bool) {
	if !r.On {
		*r = Restriction{On: true, Zone: int(zone), Reason: reason, Certain: certain}
	}
}

// axes joins what a zone that the robot is in, or may be in, asks of the axes other than motion.
func (v *Verdict) axes(kind Kind, zone int32, reason Reason, certain bool) {
	switch kind {
	case NoManipulation:
		v.Manipulators.restrict(zone, or(reason, ReasonNoManipulation), certain)
	case Privacy:
		v.Perception.restrict(zone, or(reason, ReasonPrivacy), certain)
		v.Remote.restrict(zone, or(reason, ReasonPrivacy), certain)
	default:
	}
}

func or(reason, other Reason) Reason {
	if reason != ReasonNone {
		return reason
	}
	return other
}

// maybeHere says whether the robot may be in zone i, for all that a pose that
// cannot be used, or a survey that ran out of its budget, leaves open.
func (f *Fence) maybeHere(i int32) bool {
	n := f.mem.track.floor
	return f.binds[i] != bindsNot && (n < 0 || f.mem.faults&FaultFloor != 0 || int(f.set.zones[i].floor) == n)
}

// blind restricts the axes by every zone that the robot may be in.
func (f *Fence) blind(v *Verdict) {
	for _, i := range f.set.quiet {
		if f.maybeHere(i) {
			v.axes(f.set.zones[i].kind, i, ReasonPlaceUnknown, false)
		}
	}
	for _, i := range f.set.warns {
		if f.maybeHere(i) {
			v.Warn.restrict(i, ReasonPlaceUnknown, false)
		}
	}
}

// count moves the clocks of the zones that count how long the robot stays. A
// place that is not known goes on counting, and begins to.
func (f *Fence) count(usable bool) {
	sure := usable && !f.overrun
	for k, i := range f.set.stays {
		s := &f.stays[k]
		here := f.binds[i] != bindsNot && f.levels[i].place >= Margin
		if !sure {
			here = f.maybeHere(i)
		}
		switch {
		case !here:
			*s = stay{}
		case !s.on:
			*s = stay{on: true, since: f.mem.now}
		}
	}
}

// overstayed names the zones in which the robot has been for too long.
func (f *Fence) overstayed(sure bool, v *Verdict) {
	for k, i := range f.set.stays {
		z := &f.set.zones[i]
		if s := &f.stays[k]; !s.on || f.mem.now-s.since < z.info.MaxDwell {
			continue
		}
		certain := sure && f.binds[i] == bindsSurely
		if z.kind == Door {
			v.DoorHeld.restrict(i, ReasonDoorHeld, certain)
		} else {
			v.Dwell.restrict(i, ReasonDwell, certain)
		}
	}
}

// refuge says whether the robot may be let out of the NoStop zone in which it
// is: by a good pose, with nothing here against it, where the zone surely binds
// and the contour is surely in it, since it permits something, and where the way out is short enough to creep it
// within the zone's bound.
func (f *Fence) refuge(m float64, v *Verdict) {
	if v.Faults&f.holding() != 0 || v.Hold || v.Trip || f.poor() || f.overrun || !f.mem.loadsKnown {
		return
	}
	for i := range f.cands {
		c := &f.cands[i]
		if c.kind != NoStop || c.bound != bindsSurely || c.place != Inside || !(c.clear < m+c.margin) {
			continue
		}
		within := f.set.zones[c.zone].info.Within
		if way := m + c.margin - c.clear; way > float64(float64(1000*f.set.robot.CreepMPS)*within.Seconds()) {
			continue
		}
		v.Refuge.restrict(c.zone, ReasonRefuge, true)
		if v.Refuge.Zone == int(c.zone) {
			v.RefugeWithin = within
		}
	}
}

// Place says where the contour is, seen from zone i, after the last Step:
// PlaceUnknown while the pose cannot be used or the zone is not in force here.
func (f *Fence) Place(i int) Place {
	if !f.mem.stepped || !f.usable() || f.overrun || i < 0 || i >= len(f.binds) || f.binds[i] == bindsNot ||
		int(f.set.zones[i].floor) != f.mem.track.floor {
		return PlaceUnknown
	}
	return max(f.levels[i].place, Outside)
}
