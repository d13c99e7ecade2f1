package simulate

import (
	"math"
	"math/rand/v2"
	"time"
)

// Body is what a robot's base really does with a command. It may be as bad as its profile promises, not worse.
type Body struct {
	// Accel and Decel bound the change of speed in m/s², TurnAccel and TurnDecel that of the turn rate in rad/s².
	Accel, Decel, TurnAccel, TurnDecel float64
	// DeadTime passes before a command has any effect; Lag is the drive's first-order lag.
	DeadTime, Lag time.Duration
	// StepPeriod makes new commands take effect only at the robot's steps; 0 means wheels.
	StepPeriod time.Duration
	// Slip is the share of the drive's motion, in [0, 1), that does not reach the floor.
	Slip float64
	// Timeout is after how long without commands the base stops by itself. It is also the lock's.
	Timeout time.Duration
	// LockDelay is how long the lock takes to stop the base.
	LockDelay time.Duration
}

// base is a body in motion.
type base struct {
	Body
	x, y, yaw float64
	// vx, vy (m/s) and w (rad/s) are the drive's, in the robot's frame.
	vx, vy, w float64
	// queue holds commands that have arrived and still wait out the dead time.
	queue []order
	heard time.Duration
	want  order
	// stride is when the next step begins, at what the drive works until then.
	stride time.Duration
	at     order
	// locked and lockHeard are the lock topic, stopped the vendor's stop service.
	locked, stopped bool
	lockHeard       time.Duration
	// closed is when the lock was closed.
	closed time.Duration
	// runaway makes the base follow its last command for ever: the off case.
	runaway bool
	// deaf makes it follow its last command when none come, lies makes the stop service only say that it stops, and stiff lets
	// the joints show rest always.
	deaf, lies, stiff bool
}

type order struct {
	at        time.Duration
	vx, vy, w float64
}

// hear takes a command off the wire.
func (b *base) hear(now time.Duration, vx, vy, w float64) {
	b.heard = now
	b.queue = append(b.queue, order{now + b.DeadTime, vx, vy, w})
}

// lock takes a value of the lock topic.
func (b *base) lock(now time.Duration, locked bool) {
	if locked && !b.locked {
		b.closed = now
	}
	b.locked, b.lockHeard = locked, now
}

// target is what the drive is told to do now.
func (b *base) target(now time.Duration) order {
	for len(b.queue) > 0 && b.queue[0].at <= now {
		b.want = b.queue[0]
		b.queue = b.queue[1:]
	}
	t := b.want
	late := now-b.heard > b.Timeout && !b.deaf || now-b.lockHeard > b.Timeout
	if !b.runaway && (late || b.locked && now-b.closed >= b.LockDelay || b.stopped && !b.lies) {
		t = order{}
	}
	if b.StepPeriod > 0 {
		if now >= b.stride {
			b.stride, b.at = now+b.StepPeriod, t
		}
		t = b.at
	}
	return t
}

// step moves the base from now-dt to now. The drive approaches its target exponentially, within what its motors can do;
// the way is the arc of the mean motion.
func (b *base) step(now, dt time.Duration) {
	t, s := b.target(now), dt.Seconds()
	share := 1.0
	if b.Lag > 0 {
		share = -math.Expm1(-s / b.Lag.Seconds())
	}
	ox, oy, ow := b.vx, b.vy, b.w
	dx, dy := share*(t.vx-b.vx), share*(t.vy-b.vy)
	most := b.Accel * s
	if dx*b.vx+dy*b.vy < 0 {
		most = b.Decel * s
	}
	if d := math.Hypot(dx, dy); d > most {
		dx, dy = dx*most/d, dy*most/d
	}
	b.vx, b.vy = settle(b.vx+dx), settle(b.vy+dy)
	dw := share * (t.w - b.w)
	most = b.TurnAccel * s
	if dw*b.w < 0 {
		most = b.TurnDecel * s
	}
	b.w = settle(b.w + min(max(dw, -most), most))
	k := (1 - b.Slip) * s / 2
	yaw := b.yaw + (ow+b.w)*k/2
	sin, cos := math.Sincos(yaw)
	b.x += ((ox+b.vx)*cos - (oy+b.vy)*sin) * k
	b.y += ((ox+b.vx)*sin + (oy+b.vy)*cos) * k
	b.yaw += (ow + b.w) * k
}

// settle lets friction end what is left of a motion.
func settle(v float64) float64 {
	if math.Abs(v) < 1e-4 {
		return 0
	}
	return v
}

// speed is the drive's, in m/s.
func (b *base) speed() float64 { return math.Hypot(b.vx, b.vy) }

// noise is white noise and a slow error beside it, an Ornstein-Uhlenbeck process; deviations are per axis.
type noise struct {
	white, slow float64
	time        time.Duration
	now         float64
	at          time.Duration
}

// draw returns the error at a time. The slow part keeps exp(-dt/time) of what it was, and its deviation for ever.
func (n *noise) draw(rng *rand.Rand, at time.Duration) float64 {
	if n.slow > 0 {
		keep := 0.0
		if n.at > 0 {
			keep = math.Exp(-float64(at-n.at) / float64(n.time))
		}
		n.now = keep*n.now + n.slow*math.Sqrt(1-keep*keep)*rng.NormFloat64()
		n.at = at
	}
	return n.now + n.white*rng.NormFloat64()
}
