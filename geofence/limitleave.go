package geofence

import "math"

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
