package geofence

import (
	"math"
	"time"
)

// access is what a zone allows the motion of a robot near or in it.
type access uint8

const (
	// closed: no part of the robot may be in it.
	closed access = iota
	// leaving: whoever is inside may creep out, nobody may enter.
	leaving
	// finishing: whoever is inside may creep on, nobody may enter.
	finishing
	// open: it does not forbid; it may limit the speed.
	open
)

// access says what a candidate's zone allows now, and at which speed in mm/s.
func (f *Fence) access(c *candidate, now time.Duration) (access, float64) {
	switch c.kind {
	case SpeedLimit:
		return open, c.speed
	case NoManipulation, Privacy, DwellLimit, NoStop, Directed, Bidirected:
		return open, math.Inf(1)
	case Release, Door:
		return f.leased(c, now)
	case KindUnset, Blocked, KeepIn, kindEnd:
	}
	return closed, 0
}

// leased joins the leases for a candidate's zone: the most restrictive counts.
func (f *Fence) leased(c *candidate, now time.Duration) (access, float64) {
	found, a, speed := false, open, math.Inf(1)
	for i := range f.mem.leases {
		l := &f.mem.leases[i]
		if l.State == NoLease || l.Zone != int(c.zone) {
			continue
		}
		one, mps := f.lease(c, l, now)
		found, a, speed = true, min(a, one), min(speed, mps)
	}
	if !found {
		return closed, 0
	}
	return a, speed
}

// lease says what one lease allows. Whoever is outside needs one that lasts for
// longer than the robot could need to stop: else the end would find it at speed
// on its way in. What a lease allows to whoever is inside it allows to nobody who
// may only seem to be, for a load that he may not carry.
func (f *Fence) lease(c *candidate, l *Lease, now time.Duration) (access, float64) {
	z := &f.set.zones[c.zone].info
	speed := float64(1000 * l.MaxSpeedMPS)
	if !(speed > 0) || math.IsInf(speed, 0) || z.Kind == Door && l.Facts&z.Facts == 0 {
		return closed, 0
	}
	left := l.Until - now
	switch {
	case l.State == Granted && left > 0 && (c.inside && f.mem.loadsKnown || left > f.stopTime()):
		return open, speed
	case l.State == Granted && left > 0:
		return closed, 0
	case l.State != Granted && l.State != Revoked && l.State != Expired, c.place != Inside, !f.mem.loadsKnown:
		return closed, 0
	}
	creep := min(speed, float64(1000*f.set.robot.CreepMPS))
	switch {
	case z.Loss == LossEvacuate:
		return leaving, creep
	case z.Loss == LossContinue && left > -z.Within:
		return finishing, creep
	}
	return closed, 0
}

// stopTime bounds how long the robot takes to stop from any speed that it can have.
func (f *Fence) stopTime() time.Duration {
	r := &f.set.robot
	linear, turning := f.decels()
	s := max(float64(1000*topSpeed(r))/linear, topYaw(r)/turning)
	return r.PoseMaxAge + r.Reaction + time.Duration(math.Ceil(float64(s*1e9)))
}

// LimitRefuge is Limit for a robot that is held in a NoStop zone and may creep
// out of it: it passes what leads out and obeys every other zone, and nothing
// else. Where Verdict.Refuge is not set it passes nothing.
func (f *Fence) LimitRefuge(now Instant, cmd Velocity) Limit {
	return f.answer(now, cmd, true)
}

// leaveNoStop lets a robot creep out of a NoStop zone. Other NoStop zones are closed to it.
func (q *query) leaveNoStop(c *candidate, place Place, m float64) {
	switch {
	case c.inside:
		q.led = true
		q.egress(c, math.Inf(1), ReasonRefuge)
	case place == Outside:
		q.outside(c, m, 0, ReasonEdgeAhead)
	case c.place == Inside:
		q.led = true
		q.creep(c, m, ReasonRefuge, ReasonEgressDirection)
	default:
		q.creep(c, m, ReasonMargin, ReasonMargin)
	}
}
