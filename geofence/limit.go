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

// leave lets the robot creep out of a zone, and no closer once it is out but not released.
func (q *query) leave(c *candidate, m, record float64, reason Reason) {
	if c.inside {
		q.egress(c, record, reason)
		return
	}
	q.creep(c, m, reason, ReasonEgressDirection)
}

// leaveRecord is the smallest depth of a robot that leaves without a lease, +Inf for a zone that has none.
func (f *Fence) leaveRecord(c *candidate) float64 {
	if f.mem.leaves != int(c.zone) {
		return math.Inf(1)
	}
	return f.mem.leaveDepth
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

// Creeping motion is sampled every creepStep millimetres, at most creepSamples times.
const (
	creepStep    = 10.0
	creepSamples = 32
)

// creep lets the robot move at creep speed if that takes no part of the contour
// closer to the obstacle before it could stop. A turn in place may bring corners
// closer up to the margin m: with them at rest there it could not have come so
// far. Between two samples only the sweep looks, to wayMM.
func (q *query) creep(c *candidate, m float64, reason, refusal Reason) {
	if !q.retreats(c, m) {
		q.block(c.zone, refusal)
		return
	}
	_, k := q.creeping()
	q.lower(k, c.zone, reason, 0)
}

// retreats says whether the command at creep speed takes no part of the contour
// closer to the obstacle, as creep asks.
func (q *query) retreats(c *candidate, m float64) bool {
	q.fly()
	least := c.clear
	if q.u.speed() == 0 {
		least = min(least, m)
	}
	if q.flight.way > driftMM && (q.closer(c, q.flight.mid, least-driftMM) || q.closer(c, q.flight.end, least-driftMM)) {
		return false
	}
	u, _ := q.creeping()
	at, dur := q.f.mem.track.at, q.react+0.5/q.f.brake(u)
	if _, hit := q.f.sweep(&c.obstacle, at, u, dur, max(least-wayMM, 0), c.clear); hit {
		return false
	}
	step := min(max(creepStep/q.f.tip(u), dur/creepSamples), dur)
	for i := 1.0; float64(step*(i-1)) < dur && i <= creepSamples; i++ {
		if q.closer(c, at.advance(u, float64(step*i)), least-sameMM) {
			return false
		}
	}
	return true
}

// closer says whether the contour is closer to the obstacle at a frame than
// least millimetres.
func (q *query) closer(c *candidate, at frame, least float64) bool {
	q.f.probe.set(&q.f.body.body, at)
	clear, inside, _ := q.f.look(&c.obstacle, &q.f.probe, c.clear+1)
	return inside || !(clear >= least) || q.f.work > maxWork
}

// sameMM is how much two computed distances may differ and still be the same;
// driftMM is how much closer the motion at hand may come by the noise of its
// measurement before it counts as motion towards the zone.
const (
	sameMM  = 1e-6
	driftMM = 10.0
	wayMM   = 1.0
)

// creeping is u cut to creep speed, and the ratio of the cut.
func (q *query) creeping() (twist, float64) {
	r := &q.f.set.robot
	k := min(1, float64(1000*r.CreepMPS)/q.u.speed(), r.CreepYawRateRadPS/math.Abs(q.u.w))
	return q.u.scale(k), k
}

// Egress looks for a way out of egressSamples steps, as long as the contour. Where
// the robot goes before it can stop, it looks every egressStep millimetres: from
// one look to the next a point gets half of that deeper at most.
const (
	egressSamples = 16
	egressStep    = 4.0
	// lessMM is how much less deep a way must lead that does not lead out.
	lessMM = 20.0
)

// egress lets the robot creep out of a zone in which it was at least depth deep: nowhere on the way deeper
// than by egressStep/2 and the error of a depth, and at the end outside or less
// deep. Where it is deeper than it ever was by more than the pose's blur, it must
// get less deep all the way. A zone narrower than the contour has no depth to
// speak of; there, only getting out counts.
func (q *query) egress(c *candidate, depth float64, reason Reason) {
	f := q.f
	u, k := q.creeping()
	dur := min((f.body.size+q.margin)/f.tip(u), fullTurn/math.Abs(u.w))
	now, record := -c.clear, depth+f.margin(0)
	most, less, fall := now+depthErrorMM, now-lessMM, 0.0
	if now > record {
		less, fall = min(less, record), egressStep/4
	}
	thin := c.size < f.body.size
	if !thin && q.deepens(c, u, most, fall) {
		q.block(c.zone, ReasonEgressDirection)
		return
	}
	at := f.mem.track.at
	for i := 1.0; i <= egressSamples; i++ {
		at = f.mem.track.at.advance(u, float64(dur*i)/egressSamples)
		f.probe.set(&f.body.body, at)
		if _, inside, _ := f.look(&c.obstacle, &f.probe, 1); !inside && f.work <= maxWork {
			q.lower(k, c.zone, reason, 0)
			return
		}
		if !thin && f.deeper(&c.obstacle, at, most) {
			q.block(c.zone, ReasonEgressDirection)
			return
		}
	}
	if thin || less < 0 || f.deeper(&c.obstacle, at, less) {
		q.block(c.zone, ReasonEgressDirection)
		return
	}
	q.lower(k, c.zone, reason, 0)
}

// deepens says whether the contour gets deeper than most under u before it can
// stop again, which falls from step to step.
func (q *query) deepens(c *candidate, u twist, most, fall float64) bool {
	f := q.f
	dur := q.react + 0.5/f.brake(u)
	for n, i := math.Ceil(float64(f.tip(u)*dur)/egressStep), 1.0; i <= n; i++ {
		if f.deeper(&c.obstacle, f.mem.track.at.advance(u, float64(dur*i)/n), most-float64(fall*i)) {
			return true
		}
	}
	return false
}
