package geofence

import (
	"math"
	"time"
)

// minDrive is the speed of the contour's fastest point, in millimetres per
// second, below which the approach to an edge ends: the robot stands.
const minDrive = 20.0

// leastTip is the speed in millimetres per second below which a command is
// refused as no motion that anybody can mean: formulas divide by it.
const leastTip = 1e-3

// query is one command on its way through the rules. The command is first cut
// to the robot's own bounds; the rules then find the ratio of what is left.
type query struct {
	f      *Fence
	now    time.Duration
	age    float64 // of the pose, in seconds
	margin float64 // the static margin in millimetres
	u      twist   // the command after the caps
	tip    float64 // the contour's greatest speed under u, in mm/s
	brake  float64 // see Fence.brake, of u
	react  float64 // age and reaction time in seconds

	flight  flight
	coast   flight // set if coasts
	flies   bool   // flight is set
	coasts  bool   // the robot may go on as it does for a while, whatever was commanded
	ratio   float64
	zone    int
	reason  Reason
	freeMM  float64
	blocked bool // nothing can raise the ratio from 0 again
	refuge  bool // only what leads out of a NoStop zone may pass
	led     bool // the robot is in a NoStop zone
}

// Limit answers the gate: by which ratio must the command be scaled, on all
// axes, so that the robot obeys every zone that binds. It changes nothing; what
// is really sent on must be told to Issued. The zero command always passes.
func (f *Fence) Limit(now Instant, cmd Velocity) Limit { return f.answer(now, cmd, false) }

func (f *Fence) answer(now Instant, cmd Velocity, refuge bool) Limit {
	f.work = 0
	if reason := f.closed(now, cmd); reason != ReasonNone {
		return Limit{Zone: NoZone, Reason: reason}
	}
	u := cmd.twist()
	if u == (twist{}) {
		return Limit{Ratio: 1, Zone: NoZone, FreeM: math.Inf(1)}
	}
	q := query{f: f, now: now.Boot, ratio: 1, zone: NoZone, freeMM: math.Inf(1), refuge: refuge}
	first := q.caps(u)
	if !(first > 0) || !(float64(f.tip(u)*first) >= leastTip) {
		return Limit{Zone: NoZone, Reason: ReasonProfileSpeed}
	}
	q.prepare(u.scale(first))
	for i := range f.cands {
		if q.judge(&f.cands[i]); q.blocked || f.work > maxWork {
			break
		}
	}
	if f.work > maxWork {
		q.block(NoZone, ReasonBudget)
	}
	if refuge && !q.led && !q.blocked {
		q.block(NoZone, ReasonRefuge)
	}
	ratio := min(float64(first*q.ratio), 1)
	return Limit{
		Ratio: ratio, Zone: q.zone, Reason: q.reason,
		FreeM: q.freeMM / 1000, AllowedMPS: float64(u.speed()*ratio) / 1000,
	}
}

// closed gives the reason why nothing may move, if there is one.
func (f *Fence) closed(now Instant, cmd Velocity) Reason {
	t, r := &f.mem.track, &f.set.robot
	switch {
	case !f.mem.stepped:
		return ReasonNotReady
	case !cmd.twist().finite():
		return ReasonCommandNotFinite
	case f.mem.faults&f.holding() != 0, !t.have, !t.velocityOK, now.Boot < f.mem.now:
		return ReasonPoseFault
	case t.age(now.Boot) > r.PoseMaxAge, now.Boot-t.velocityBoot > r.PoseMaxAge:
		return ReasonPoseFault
	case f.keep.mode == keepDenied:
		return ReasonFloorDenied
	case f.overrun:
		return ReasonBudget
	}
	return ReasonNone
}

// caps returns the ratio to which the robot's bounds and the pose's quality cut a command.
func (q *query) caps(u twist) float64 {
	r := &q.f.set.robot
	first := 1.0
	cut := func(speed, yaw float64, reason Reason) {
		if k := min(float64(1000*speed)/u.speed(), yaw/math.Abs(u.w)); k < first {
			first, q.reason = k, reason
		}
	}
	cut(r.MaxSpeedMPS, r.MaxYawRateRadPS, ReasonProfileSpeed)
	if q.f.poor() {
		cut(r.CreepMPS, r.CreepYawRateRadPS, ReasonPoseQuality)
	}
	return first
}

// poor says that the pose is good for creeping only.
func (f *Fence) poor() bool {
	t := &f.mem.track
	return t.sigma+float64(t.spread*f.body.radius) > float64(1000*f.set.robot.SlowStdDevM)
}

func (q *query) prepare(u twist) {
	f := q.f
	q.age = f.mem.track.age(q.now).Seconds()
	q.margin = f.margin(q.age)
	q.u, q.tip, q.brake = u, f.tip(u), f.brake(u)
	q.react = q.age + f.set.robot.Reaction.Seconds()
}

// lower takes a ratio if it is below the one that holds.
func (q *query) lower(ratio float64, zone int32, reason Reason, freeMM float64) {
	if ratio < q.ratio {
		q.ratio, q.zone, q.reason, q.freeMM = max(ratio, 0), int(zone), reason, freeMM
	}
}

func (q *query) block(zone int32, reason Reason) {
	q.ratio, q.zone, q.reason, q.freeMM, q.blocked = 0, int(zone), reason, 0, true
}

// judge applies one obstacle's rule for the place where the robot is.
func (q *query) judge(c *candidate) {
	m := q.margin + c.margin
	place := c.place
	if place == Outside && !(c.clear >= m) {
		place = Margin // the pose has aged since the Step
	}
	a, speed := q.f.access(c, q.now)
	switch {
	case q.refuge && c.kind == NoStop:
		q.leaveNoStop(c, place, m)
	case c.kind.lane():
		q.direct(c, place, m)
	case a == open && math.IsInf(speed, 1):
	case a == open:
		q.speedZone(c, speed, place, m)
	case place == Outside:
		q.outside(c, m, 0, ReasonEdgeAhead)
	case place == Margin:
		q.creep(c, m, ReasonMargin, ReasonMargin)
	case a == finishing && c.inside:
		_, k := q.creeping()
		q.lower(min(k, speed/q.u.speed()), c.zone, ReasonContinue, 0)
	case a == finishing: // out again, but not released
		q.creep(c, m, ReasonContinue, ReasonEgressDirection)
		q.lower(speed/q.u.speed(), c.zone, ReasonContinue, 0)
	case a == leaving && !q.f.granted(c):
		q.leave(c, m, q.f.leaveRecord(c), ReasonEvacuate)
		q.lower(speed/q.u.speed(), c.zone, ReasonEvacuate, 0)
	case !q.f.granted(c):
		q.block(c.zone, ReasonInside)
	default:
		q.leave(c, m, q.f.mem.egressDepth, ReasonEgress)
	}
}

// entryShare of a zone's speed limit is what the approach aims at, so that a
// drive that settles late is at the limit, not above it, upon entering.
const entryShare = 0.95

// speedZone limits the linear speed, inside and before.
func (q *query) speedZone(c *candidate, speed float64, place Place, m float64) {
	most := speed / q.u.speed()
	entry := float64(entryShare * most)
	switch {
	case c.inside && most < 1:
		q.lower(most, c.zone, ReasonSpeedZone, 0)
	case c.inside || entry >= 1:
	case place == Outside:
		q.outside(c, m, entry, ReasonSpeedAhead)
	default:
		q.lower(entry, c.zone, ReasonSpeedZone, 0)
	}
}

// outside is the braking curve. Of the motion u, a ratio s is safe if
//
//	s·(age + reaction) + (s² − most²)/(2·brake) ≤ free
//
// with free the time that the contour can follow u before the margin: the
// stopping distance v·t + v²/(2a) ≤ d, written for all axes at once. The same
// must hold after the commands in flight were driven, with only a command period
// left of the reaction, else a drive that lags behind its commands would overrun
// the curve it was given. A robot that moves as no command explains is taken to
// go on like that.
func (q *query) outside(c *candidate, m, most float64, reason Reason) {
	stop := 0.5 / q.brake
	if gap := c.clear - m; gap < float64(q.tip*(q.react+stop)) {
		if free, hit := q.f.sweep(&c.obstacle, q.f.mem.track.at, q.u, q.react+stop, m, c.clear); hit {
			q.curve(c, free, q.react, q.brake, most, reason)
		}
	}
	if q.ratio <= most {
		return
	}
	q.fly()
	q.after(&q.flight, c, m, most, reason)
	if q.coasts && q.ratio > most {
		q.after(&q.coast, c, m, most, reason)
		if !q.f.stops(&q.coast, &c.obstacle, m, c.clear) {
			q.lower(most, c.zone, reason, 0)
		}
	}
	q.blocked = q.blocked || q.ratio == 0
}

// after is the braking curve at the end of a flight, where the command of now
// takes over: it holds for a command period before it can be corrected. Axes may
// brake each at its own rate, so the way to rest lies between the command's arc,
// the straight line on which the turning has stopped at once, and the turn in
// place on which the way has.
func (q *query) after(fl *flight, c *candidate, m, most float64, reason Reason) {
	hold := q.f.set.robot.CommandPeriod.Seconds()
	near := c.clear - fl.way
	if near-float64(q.tip*(hold+0.5/q.brake)) >= m {
		return
	}
	if q.f.flies(fl, &c.obstacle, m, c.clear) {
		q.lower(most, c.zone, reason, 0)
		return
	}
	for i, u := range waysOf(q.u) {
		if i > 0 && (q.u.w == 0 || q.u.speed() == 0) {
			break // one axis has one way
		}
		brake := q.f.brake(u)
		if free, hit := q.f.sweep(&c.obstacle, fl.end, u, hold+0.5/brake, m, near); hit {
			q.curve(c, free, hold, brake, most, reason)
		}
	}
}

// curve turns the free time into a ratio.
func (q *query) curve(c *candidate, free, react, brake, most float64, reason Reason) {
	late := float64(brake * react)
	room := float64(2*float64(brake*free)) + float64(most*most)
	s := 0.0
	if room > 0 {
		s = room / (late + math.Sqrt(float64(late*late)+room))
	}
	if most == 0 && s < 1 && float64(s*q.tip) < minDrive {
		s = 0
	}
	q.lower(max(s, most), c.zone, reason, float64(free*q.tip))
}

func (q *query) fly() {
	if !q.flies {
		q.flight, q.flies = q.f.flight(q.now, q.age), true
		// Brakes that turn a motion into another direction slow it down the less.
		q.coasts = q.flight.odd || q.f.strays(q.u, q.f.mem.track.velocity)
		if q.coasts {
			q.coast = q.f.coast(q.age)
		}
	}
}
