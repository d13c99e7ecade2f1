package geofence

// A zone's edges, from outside inwards, are the warn ring, the margin and the zone itself. The ring restricts nothing: it
// tells people and planners of a zone before the braking curve or the margin has to.

// maxWarnM bounds a warn ring, in metres: it widens the reach of every look.
const maxWarnM = 10

// warn checks a zone's warn ring.
func (i item) warn(spec *ZoneSpec, z *zone) {
	v := spec.WarnM
	switch {
	case v == 0:
		return
	case !finite(v) || v < 0 || v > maxWarnM:
		i.fail("WarnM", -1, "is %v m, expected [0, %v], where 0 has no ring", v, maxWarnM)
	case spec.Kind != Blocked && spec.Kind != KeepIn && spec.Kind != Release && spec.Kind != Door:
		i.fail("WarnM", -1, "is %v m for a %v zone, expected none: only Blocked, KeepIn, Release and Door zones have an edge to be warned of", v, spec.Kind)
	case !z.contour:
		i.fail("WarnM", -1, "is %v m for a zone that does not bind the contour, expected none", v)
	}
	z.warn = float64(1000 * v)
}

// warn names the first zone in whose warn ring, or closer, the contour is. Once warned of, a zone is left only by
// ReleaseMarginM more, so that a robot at the ring's edge is not warned again and again.
func (f *Fence) warn(m float64, v *Verdict) {
	was, release := f.mem.warned, float64(1000*f.set.robot.ReleaseMarginM)
	f.mem.warned = -1
	for i := range f.cands {
		c := &f.cands[i]
		if c.warn == 0 {
			continue
		}
		if a, _ := f.access(c, f.mem.now); a == open {
			continue // a lease lets it in
		}
		ring := m + c.margin + c.warn
		if int(c.slot) == was {
			ring += release
		}
		if c.place < Margin && !(c.clear < ring) {
			continue
		}
		// The zone that was warned of before stays the one that is named.
		if first := !v.Warn.On; first || int(c.slot) == was {
			v.Warn = Restriction{On: true, Zone: int(c.zone), Reason: ReasonWarn, Certain: c.bound == bindsSurely}
			f.mem.warned = int(c.slot)
		}
	}
}
