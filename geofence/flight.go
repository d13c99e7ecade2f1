package geofence

import (
	"math"
	"time"
)

// The time that commands stay in flight is divided into windowSlots slots; the
// ring has room for more than one window.
const (
	windowSlots = 16
	ringSlots   = 32
)

// history is the record of the commands that were really sent on. A command may
// take up to the reaction time to show, so those of the last reaction time are
// still in flight.
type history struct {
	known bool
	// slot numbers the newest entry, count is how many are filled.
	slot  int64
	count int
	sent  [ringSlots]twist
	last  twist
	at    time.Duration
}

// Issued records a command as it left the gate, after every limit and at each
// sending, zeros included. Without it, Limit takes the robot to go on as
// measured for the whole reaction time.
func (f *Fence) Issued(now Instant, v Velocity) {
	h, u := &f.mem.issued, v.twist()
	slot := int64(now.Boot / f.slotWidth())
	if !finite(f.tip(u)) || now.Boot < h.at {
		// Nonsense: then nothing is known of what is in flight.
		*h, f.mem.brakes.sent = history{}, lately{}
		return
	}
	// The robot cannot do more than it can do.
	r := &f.set.robot
	u = u.scale(min(1, float64(1000*topSpeed(r))/u.speed(), topYaw(r)/math.Abs(u.w)))
	f.mem.brakes.sent.note(now.Boot, f.latelyWidth(), f.axes(u))
	if !h.known {
		*h = history{known: true, slot: slot, count: 1}
		h.sent[slot%ringSlots] = u
	}
	for h.slot < slot {
		// The command before stays in force until this one; a long silence fills every slot.
		h.slot = max(h.slot+1, slot-ringSlots+1)
		h.count = min(h.count+1, ringSlots)
		h.sent[h.slot%ringSlots] = h.last
	}
	if f.tip(u) > f.tip(h.sent[slot%ringSlots]) {
		h.sent[slot%ringSlots] = u
	}
	h.last, h.at = u, now.Boot
}

// dead is the time for which a command can be in flight: what is left of the
// reaction once the next command may come.
func (f *Fence) dead() time.Duration { return f.set.robot.Reaction - f.set.robot.CommandPeriod }

func (f *Fence) slotWidth() time.Duration { return max(f.dead()/windowSlots, 1) }

// tip bounds the speed of the contour's points, in millimetres per second.
func (f *Fence) tip(u twist) float64 { return u.speed() + float64(math.Abs(u.w)*f.body.radius) }

// inForce is the command that was in force in a slot, if the record knows.
func (h *history) inForce(slot int64) (twist, bool) {
	switch {
	case !h.known || slot <= h.slot-int64(h.count):
		return twist{}, false
	case slot > h.slot:
		return h.last, true
	}
	return h.sent[slot%ringSlots], true
}

// flight is the way that the robot goes whatever is commanded now: on as
// measured for the pose's age, then through the commands in flight.
type flight struct {
	first, second twist
	firstS, deadS float64 // seconds for which each holds
	mid, end      frame
	// way bounds the contour's way in millimetres.
	way float64
	// after is the motion left at the end, and holdS for how many seconds it
	// goes on before a command of now can begin to brake it.
	after twist
	holdS float64
	// odd says that the measured motion is none that the commands explain.
	odd bool
}

// flight predicts for a pose of the given age in seconds.
func (f *Fence) flight(now time.Duration, age float64) flight {
	r, h := &f.set.robot, &f.mem.issued
	// A record that stopped long ago says nothing about who commands now.
	if !h.known || now < h.at || now-h.at > r.Reaction+r.PoseMaxAge {
		return f.coast(age)
	}
	fl := flight{first: f.mem.track.velocity, firstS: age, deadS: f.dead().Seconds()}
	fl.holdS = max(r.CommandPeriod-(now-h.at), 0).Seconds()
	f.window(&fl, now)
	f.land(&fl)
	return fl
}

// window averages the motion over the commands in flight.
func (f *Fence) window(fl *flight, now time.Duration) {
	t, h, width := &f.mem.track, &f.mem.issued, f.slotWidth()
	newest := int64(now / width)
	brake, tip := f.brake(t.velocity), f.tip(t.velocity)
	var sum, cmd twist
	fast := 0.0 // the tip of cmd
	// led says that some command is taken to show by now, along that the robot moves as one of these says.
	led, along, astray := false, false, false
	for j := 0; j <= windowSlots; j++ {
		weight := slotWeight(j, now%width, width)
		// Faster than all that can be in force, the robot brakes already.
		left := 0.0
		if tip > 0 {
			left = max(0, 1-float64(brake*float64(float64(j)*width.Seconds())))
		}
		u, quick := t.velocity.scale(left), float64(tip*left)
		next, ok := h.inForce(newest - windowSlots + int64(j))
		if next != cmd {
			cmd, fast = next, f.tip(next)
			astray = f.strays(cmd, t.velocity)
		}
		switch {
		case !ok:
			u, quick = t.velocity, tip
		case fast >= quick:
			u, quick = cmd, fast
			led, along = true, along || !astray
		}
		v := u.scale(weight)
		sum = twist{sum.vx + v.vx, sum.vy + v.vy, sum.w + v.w}
		fl.way += float64(float64(quick*weight) * fl.deadS)
		if fl.after = u; u == cmd {
			fl.after = h.last // a slot holds the fastest of its commands, not the newest
		}
	}
	fl.second = sum
	fl.odd = tip > 0 && (!f.explained(newest) || led && !along)
}

// slotWeight is the part of the window that slot j takes up: the window ends
// now, so the first and the last slot share the width of one.
func slotWeight(j int, past, width time.Duration) float64 {
	part := float64(past) / float64(width)
	switch j {
	case 0:
		return (1 - part) / windowSlots
	case windowSlots:
		return part / windowSlots
	}
	return 1.0 / windowSlots
}

// coast is the flight of a robot that goes on as measured.
func (f *Fence) coast(age float64) flight {
	u := f.mem.track.velocity
	fl := flight{first: u, firstS: age, second: u, deadS: f.dead().Seconds(), after: u}
	fl.holdS = f.set.robot.CommandPeriod.Seconds()
	fl.way = float64(f.tip(u) * fl.deadS)
	f.land(&fl)
	return fl
}

func (f *Fence) land(fl *flight) {
	fl.way += float64(f.tip(fl.first) * fl.firstS)
	fl.mid = f.mem.track.at.advance(fl.first, fl.firstS)
	fl.end = fl.mid.advance(fl.second, fl.deadS)
}

// explained says whether any command on record accounts for the measured
// velocity. The record goes back for two reaction times, because brakes at their
// limit come after their commands.
func (f *Fence) explained(newest int64) bool {
	for slot := newest; slot > newest-ringSlots; slot-- {
		cmd, ok := f.mem.issued.inForce(slot)
		if !ok || f.explains(cmd, f.mem.track.velocity) {
			return true
		}
	}
	return false
}

// strays says whether a robot that follows cmd, and is on its way there or slows
// down to it, moves like u in another direction or on another arc.
func (f *Fence) strays(cmd, u twist) bool {
	return !f.near(cmd, u, math.Inf(1))
}

// explains says whether a robot that was given cmd, and is still on its way
// there from rest, may move like u.
func (f *Fence) explains(cmd, u twist) bool { return f.near(cmd, u, 1) }

// near says whether u is about as much of cmd as there is, up to most times cmd.
func (f *Fence) near(cmd, u twist, most float64) bool {
	r := f.body.radius
	a, b := float64(cmd.w*r), float64(u.w*r)
	size2 := float64(cmd.vx*cmd.vx) + float64(cmd.vy*cmd.vy) + float64(a*a)
	dot := float64(cmd.vx*u.vx) + float64(cmd.vy*u.vy) + float64(a*b)
	k := 0.0
	if size2 > 0 {
		k = min(max(dot/size2, 0), most)
	}
	x, y, z := u.vx-float64(k*cmd.vx), u.vy-float64(k*cmd.vy), b-float64(k*a)
	off := float64(x*x) + float64(y*y) + float64(z*z)
	slack := float64(0.1*f.tip(u)) + 1000*freezeMPS
	return off <= float64(slack*slack)
}

// brake is the part of a motion that the brakes take away in a second, the
// same on all axes: +Inf for no motion.
func (f *Fence) brake(u twist) float64 {
	linear, turning := f.decels()
	return min(linear/u.speed(), turning/math.Abs(u.w))
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
	_, hit := f.sweep(o, fl.mid, fl.second, fl.deadS, r, near)
	return hit
}

// stops says whether the robot, braking after the flight, stays at least r
// millimetres away from the obstacle, on its arc, on the straight line that is
// left of it if the turning stops first, and turning in place if the way does. The flight itself must be clear.
func (f *Fence) stops(fl *flight, o *obstacle, r, near float64) bool {
	s := fl.holdS + f.stopS(fl.after)
	near -= fl.way
	if near-float64(f.tip(fl.after)*s) >= r {
		return true
	}
	for i, u := range waysOf(fl.after) {
		if i > 0 && (fl.after.w == 0 || fl.after.speed() == 0) {
			break // one axis has one way
		}
		if _, hit := f.sweep(o, fl.end, u, fl.holdS+f.stopS(u), r, near); hit {
			return false
		}
	}
	return true
}

// waysOf are the arcs on which u may come to rest, as each axis brakes at a rate
// of its own: both evenly, one twice as fast as the other, one at once.
func waysOf(u twist) [5]twist {
	x, y, w := u.vx/2, u.vy/2, u.w/2
	return [5]twist{u, {u.vx, u.vy, 0}, {0, 0, u.w}, {u.vx, u.vy, w}, {x, y, u.w}}
}

// stopS is how long, in seconds at its present speed, the motion u goes on
// while the brakes take it away evenly.
func (f *Fence) stopS(u twist) float64 { return 0.5 / f.brake(u) }
