package geofence

import (
	"math"
	"time"
)

// The profile's decelerations are the vendor's promise. Odometry shows whether
// it is kept: load, a wet floor, worn brakes or a slope take a share of it away.
// A robot that is faster than every command that can be in force must be slowing
// down at the promised rate; how much farther than that it goes tells the share
// that is left. Predictions brake with the share: never more than the profile,
// less at once when a stop falls short, and more again in small steps, each paid
// for by a stop that was better.

const (
	// leastShare bounds the share, and with it the reach of predictions.
	leastShare = 0.25
	// shareStep is what one good stop gives back.
	shareStep = 0.05
	// leastAskedMM is the way, in millimetres, that a promised slowing down must
	// have saved before it is judged, provenAskedMM before it gives anything back.
	leastAskedMM  = 30.0
	provenAskedMM = 100.0
	// noiseMM of a stop's way is the measurement's own.
	noiseMM = 10.0
)

// lately records the range of speeds that were commanded, slot by slot, for the
// linear and the turning axis, over a good while more than a reaction time.
type lately struct {
	known  bool
	slot   int64 // the newest
	count  int   // how many are filled
	last   [2]float64
	at     time.Duration
	hi, lo [2][latelySlots]float64
}

// A reaction time has latelyParts slots.
const (
	latelySlots = 32
	latelyParts = 8
)

// note records speeds commanded now; those before were in force until then.
func (l *lately) note(now, width time.Duration, speeds [2]float64) {
	slot := int64(now / width)
	if !l.known || now < l.at {
		*l = lately{known: true, slot: slot, count: 1, last: speeds}
		for axis, v := range speeds {
			l.hi[axis][slot%latelySlots], l.lo[axis][slot%latelySlots] = v, v
		}
	}
	for l.slot < slot {
		l.slot = max(l.slot+1, slot-latelySlots+1)
		l.count = min(l.count+1, latelySlots)
		for axis, v := range l.last {
			l.hi[axis][l.slot%latelySlots], l.lo[axis][l.slot%latelySlots] = v, v
		}
	}
	for axis, v := range speeds {
		n := slot % latelySlots
		l.hi[axis][n], l.lo[axis][n] = max(l.hi[axis][n], v), min(l.lo[axis][n], v)
	}
	l.last, l.at = speeds, now
}

// between gives the range of an axis' commands in force from one time to another,
// if the record reaches back that far.
func (l *lately) between(axis int, from, to, width time.Duration) (hi, lo float64, ok bool) {
	first, last := int64(max(from, 0)/width), int64(to/width)
	if !l.known || first <= l.slot-int64(l.count) {
		return 0, 0, false
	}
	lo = math.Inf(1)
	for slot := first; slot <= min(last, l.slot); slot++ {
		hi, lo = max(hi, l.hi[axis][slot%latelySlots]), min(lo, l.lo[axis][slot%latelySlots])
	}
	if last > l.slot {
		hi, lo = max(hi, l.last[axis]), min(lo, l.last[axis])
	}
	return hi, lo, true
}

// brakes is what odometry has shown of the robot's brakes.
type brakes struct {
	sent  lately
	axis  [2]slowing // linear, turning
	boot  time.Duration
	timed bool // boot is the last measurement's
}

// slowing follows one axis through a phase in which it must slow down. Speeds
// are of the contour's fastest point, in millimetres per second.
type slowing struct {
	share float64 // of the profile's deceleration, in [leastShare, 1]
	on    bool
	speed float64 // as measured last
	// top is the speed at the start, promised what it may be now.
	top, promised float64
	// asked is the way that the promise has saved against going on, over the
	// part of it that was not, in millimetres; time is the phase's in seconds,
	// idle how long nothing has been asked any more.
	asked, over, time, idle float64
	delivered               float64 // the share that the phase has shown
}

// observe follows an axis to a measured speed s, dt seconds after the one before.
// Commands between lo and hi can be in force; decel is the promise per second,
// react the reaction time in seconds.
func (b *slowing) observe(dt, s, hi, lo, decel, react float64) {
	before := b.speed
	b.speed = s
	if !b.on {
		// An odometer's scale and noise are no lack of brakes.
		if s > hi+float64(0.05*hi)+1000*freezeMPS {
			*b = slowing{share: b.share, on: true, speed: s, top: s, promised: s}
		}
		return
	}
	next := max(b.promised-float64(decel*dt), hi)
	if s <= hi || next > b.promised || b.idle > react {
		b.end()
		return
	}
	mean := (b.promised + next) / 2
	b.asked += float64((b.top - mean) * dt)
	b.over += float64(((before+s)/2 - mean) * dt)
	b.time += dt
	b.idle += dt
	if next < b.promised {
		b.idle = 0
	}
	b.promised = next
	// The last of a drive's lag is no lack of brakes either.
	if b.asked >= leastAskedMM && b.idle < react/4 && s-lo > float64(decel*react)/3 {
		b.share = max(min(b.share, 1-max(b.over-noiseMM, 0)/b.asked), leastShare)
		rate := float64(2*b.asked) / float64(float64(decel*b.time)*b.time)
		b.delivered = float64(min(rate, 1) * (1 - max(b.over, 0)/b.asked))
	}
}

// end closes a phase; one that did better than is believed gives a step back.
func (b *slowing) end() {
	if b.asked >= provenAskedMM && b.delivered > b.share {
		b.share = min(b.share+shareStep, b.delivered, 1)
	}
	*b = slowing{share: b.share, speed: b.speed}
}

// reset forgets a phase that can no longer be followed, never the share.
func (b *brakes) reset() {
	for i := range b.axis {
		b.axis[i] = slowing{share: b.axis[i].share}
	}
}

// test judges the brakes by the newest measured velocity.
func (f *Fence) test() {
	t, b, r := &f.mem.track, &f.mem.brakes, &f.set.robot
	if !t.velocityOK || b.timed && t.velocityBoot == b.boot {
		return
	}
	dt := t.velocityBoot - b.boot
	timed := b.timed && dt > 0 && dt <= r.PoseMaxAge
	from := t.velocityBoot - dt - r.Reaction
	b.boot, b.timed = t.velocityBoot, true
	speeds, decels := f.axes(t.velocity), [2]float64{f.body.decel, float64(f.body.turn * f.body.radius)}
	known := timed && t.velocityBoot-b.sent.at <= r.Reaction+r.PoseMaxAge
	changed := false
	for i := range b.axis {
		hi, lo, ok := b.sent.between(i, from, t.velocityBoot, f.latelyWidth())
		if !known || !ok {
			b.axis[i] = slowing{share: b.axis[i].share, speed: speeds[i]}
			continue
		}
		share := b.axis[i].share
		b.axis[i].observe(dt.Seconds(), speeds[i], hi, lo, decels[i], r.Reaction.Seconds())
		changed = changed || share != b.axis[i].share
	}
	if changed {
		f.reach, f.dirty = f.reachNow(), true
	}
}

// axes are the speeds of the contour's fastest point under u, for each axis.
func (f *Fence) axes(u twist) [2]float64 {
	return [2]float64{u.speed(), float64(math.Abs(u.w) * f.body.radius)}
}

func (f *Fence) latelyWidth() time.Duration { return max(f.set.robot.Reaction/latelyParts, 1) }

// decels are the decelerations to reckon with, in mm/s² and rad/s².
func (f *Fence) decels() (linear, turning float64) {
	b := &f.mem.brakes
	return float64(f.body.decel * b.axis[0].share), float64(f.body.turn * b.axis[1].share)
}

// inherit takes over the shares that another robot profile's fence has found.
// They are kept as decelerations, of the robot without a load: a new promise is no evidence.
func (f *Fence) inherit(from *Fence, b *brakes) {
	was, is := &from.set.bodies[0], &f.set.bodies[0]
	b.axis[0].share = max(min(float64(was.decel*from.mem.brakes.axis[0].share)/is.decel, 1), leastShare)
	b.axis[1].share = max(min(float64(was.turn*from.mem.brakes.axis[1].share)/is.turn, 1), leastShare)
	b.timed = false
	b.reset()
	if f.latelyWidth() != from.latelyWidth() {
		b.sent = lately{}
	}
}
