package geofence

import (
	"math"
	"time"
)

// slots divides the reaction time for the record of commands.
const slots = 16

// maxIssued is a contour speed in millimetres per second beyond anything real.
const maxIssued = 1e8

// history is the record of the commands that were really sent on. A command may
// take up to the reaction time to show, so those of the last reaction time are
// still in flight.
type history struct {
	known bool
	// slot numbers the newest entry, count is how many are filled.
	slot  int64
	count int
	sent  [slots]twist
	last  twist
	at    time.Duration
}

// Issued records a command as it left the gate, after every limit and at each
// sending, zeros included. Without it, Limit takes the robot to go on as
// measured for the whole reaction time.
func (f *Fence) Issued(now Instant, v Velocity) {
	h, u := &f.mem.issued, v.twist()
	slot := int64(now.Boot / f.slotWidth())
	if !(f.tip(u) <= maxIssued) || now.Boot < h.at {
		// Nonsense: then nothing is known of what is in flight.
		*h = history{}
		return
	}
	if !h.known {
		*h = history{known: true, slot: slot, count: 1}
		h.sent[slot%slots] = u
	}
	for h.slot < slot {
		// The command before stays in force until this one; a long silence fills every slot.
		h.slot = max(h.slot+1, slot-slots+1)
		h.count = min(h.count+1, slots)
		h.sent[h.slot%slots] = h.last
	}
	if f.tip(u) > f.tip(h.sent[slot%slots]) {
		h.sent[slot%slots] = u
	}
	h.last, h.at = u, now.Boot
}

func (f *Fence) slotWidth() time.Duration { return max(f.set.robot.Reaction/slots, 1) }

// tip bounds the speed of the contour's points, in millimetres per second.
func (f *Fence) tip(u twist) float64 { return u.speed() + float64(math.Abs(u.w)*f.set.body.radius) }

// inForce is the command that was in force in a slot, if the record knows.
func (h *history) inForce(slot int64) (twist, bool) {
	switch {
	case !h.known || slot <= h.slot-int64(h.count):
		return twist{}, false
	case slot > h.slot:
		return h.last, true
	}
	return h.sent[slot%slots], true
}

// flight is the way that the robot goes whatever is commanded now: on as
// measured for the pose's age, then through the commands in flight.
type flight struct {
	first, second  twist
	firstS, totalS float64 // seconds: of the first part, of the reaction time
	mid, end       frame
	// way bounds the contour's way in millimetres, after is the motion left at the end.
	way   float64
	after twist
}

// flight predicts for a pose of the given age in seconds.
func (f *Fence) flight(now time.Duration, age float64) flight {
	r, t, h := &f.set.robot, &f.mem.track, &f.mem.issued
	fl := flight{first: t.velocity, firstS: age, totalS: r.Reaction.Seconds()}
	// A record that stopped long ago says nothing about who commands now.
	current := h.known && now >= h.at && now-h.at <= r.Reaction+r.PoseMaxAge
	width := f.slotWidth()
	base := int64(now/width) - slots + 1
	brake, tip := f.brake(t.velocity), f.tip(t.velocity)
	var sum twist
	for j := int64(0); j < slots; j++ {
		// Faster than all that can be in force, the robot brakes already.
		left := 0.0
		if tip > 0 {
			left = max(0, 1-float64(brake*float64(float64(j)*width.Seconds())))
		}
		u := t.velocity.scale(left)
		cmd, ok := h.inForce(base + j)
		switch {
		case !current || !ok:
			u = t.velocity
		case f.tip(cmd) >= float64(tip*left):
			u = cmd
		}
		sum.vx, sum.vy, sum.w = sum.vx+u.vx, sum.vy+u.vy, sum.w+u.w
		fl.way += float64(f.tip(u)*fl.totalS) / slots
		fl.after = u
	}
	fl.second = sum.scale(1.0 / slots)
	fl.way += float64(tip * age)
	fl.mid = t.at.advance(fl.first, age)
	fl.end = fl.mid.advance(fl.second, fl.totalS)
	return fl
}

// brake is the part of a motion that the brakes take away in a second, the
// same on all axes: +Inf for no motion.
func (f *Fence) brake(u twist) float64 {
	r := &f.set.robot
	return min(float64(1000*r.DecelMPS2)/u.speed(), r.AngularDecelRadPS2/math.Abs(u.w))
}

// flies says whether the flight comes closer than r to the obstacle.
func (f *Fence) flies(fl *flight, o *obstacle, r, near float64) bool {
	if near-fl.way >= r {
		return false
	}
	if _, hit := f.sweep(o, f.mem.track.at, fl.first, fl.firstS, r, near); hit {
		return true
	}
	near -= float64(f.tip(fl.first) * fl.firstS)
	_, hit := f.sweep(o, fl.mid, fl.second, fl.totalS, r, near)
	return hit
}

// stops says whether the robot, braking after the flight, stays at least r
// millimetres away from the obstacle. The flight itself must not come closer.
func (f *Fence) stops(fl *flight, o *obstacle, r, near float64) bool {
	s := f.stopS(fl.after)
	near -= fl.way
	if near-float64(f.tip(fl.after)*s) >= r {
		return true
	}
	_, hit := f.sweep(o, fl.end, fl.after, s, r, near)
	return !hit
}

// stopS is how long, in seconds at its present speed, the motion u goes on
// while the brakes take it away evenly.
func (f *Fence) stopS(u twist) float64 { return 0.5 / f.brake(u) }
