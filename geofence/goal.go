package geofence

import "math"

// Goal answers, for a fence that is kept for such questions alone, where the robot would be if it stood at in.Pose now: what
// [Fence.Step] says of a robot that has just begun, without hysteresis, earlier faults or what brakes have shown. It
// forgets whatever was asked before, and does not allocate.
func (f *Fence) Goal(now Instant, in *Inputs, out *Verdict) {
	f.mem = memory{}
	f.mem.track.floor = -1
	f.mem.egress.Zone, f.mem.leaves = NoZone, NoZone
	for i := range f.mem.brakes.axis {
		f.mem.brakes.axis[i].share = 1
	}
	clear(f.levels)
	clear(f.stays)
	f.held, f.minute, f.planned = 0, math.MinInt64, -1
	f.cands, f.dirty, f.overrun = f.cands[:0], true, false
	clear(f.limb.levels)
	f.limb.held, f.limb.stale = 0, true
	f.reach = f.reachNow()
	f.Step(now, in, out)
}
