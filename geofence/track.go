package geofence

import (
	"math"
	"time"
)

// track follows the pose feed and defends it: what does not hold together is a
// named fault, and some faults stay until the feed has proved itself again.
type track struct {
	have bool // at is a usable pose
	seen bool // boot and stamp are those of the last message
	boot time.Duration
	// stamp is the sender's time; least the smallest boot-stamp difference seen,
	// the feed's transport delay at its best.
	stamp, least int64
	timed        bool // least is set
	delay        time.Duration
	// at is the last usable pose with its times, its floor, and its standard
	// deviations in mm and rad.
	at            frame
	tilt          quaternion // the whole orientation, heading included
	atBoot        time.Duration
	atStamp       int64
	floor         int
	sigma, spread float64
	content       FaultSet // what is wrong with the last message itself
	latched       FaultSet
	good          int // consistent poses since the last fault
	goodSince     time.Duration
	// anchor is where the pose last was when it moved, moving for how long the
	// robot has been moving since then by other evidence.
	anchor frame
	moving time.Duration
	// velocity is the measured one.
	velocity     twist
	velocityBoot time.Duration
	velocityOK   bool
}

// latching are the faults that stay until the feed has recovered.
const latching = FaultJump | FaultFrozen | FaultStampOrder | FaultClock

// Thresholds of the freeze check: smaller changes of a pose are not motion,
// smaller speeds are not evidence of any.
const (
	freezeMM    = 5.0
	freezeRad   = 0.005
	freezeMPS   = 0.05
	freezeRadPS = 0.1
)

// offsetLeak lets the smallest delay forget one part in so many, which is more
// than two clocks drift apart.
const offsetLeak = 2000

// observe takes in the pose and the velocity and returns the faults that hold
// now.
func (f *Fence) observe(now Instant, in *Inputs) FaultSet {
	t, r := &f.mem.track, &f.set.robot
	var faults FaultSet
	if f.mem.stepped && now.Boot < f.mem.now {
		faults |= FaultClock
	}
	faults |= t.measure(now, &in.Velocity, r)
	f.test()
	arrived := false
	if !in.Pose.Seen {
		faults |= FaultPoseMissing
	} else {
		if !t.seen || in.Pose.Boot != t.boot || in.Pose.StampNS != t.stamp {
			arrived = true
			f.accept(now, &in.Pose)
		}
		faults |= t.content
		faults |= ageFaults(now, t, r)
	}
	faults |= f.frozen(now, in)
	t.latch(now.Boot, faults, r, arrived)
	return faults | t.latched
}

// measure takes in the measured velocity.
func (t *track) measure(now Instant, v *Measured, r *Robot) FaultSet {
	t.velocityOK = false
	age := now.Boot - v.Boot
	if !v.Known || age < 0 || age > r.PoseMaxAge {
		return FaultVelocityUnknown
	}
	u := v.twist()
	if !u.finite() || !(u.speed() <= float64(1000*topSpeed(r))) || !(math.Abs(u.w) <= topYaw(r)) {
		return FaultVelocityRange
	}
	t.velocity, t.velocityBoot, t.velocityOK = u, v.Boot, true
	return 0
}

// topSpeed and topYaw bound a measured velocity: a quarter more than the robot
// can do is noise or a slope, more than that is a lie.
func topSpeed(r *Robot) float64 { return float64(r.MaxSpeedMPS*1.25) + 0.1 }
func topYaw(r *Robot) float64   { return float64(r.MaxYawRateRadPS*1.25) + 0.1 }

// accept takes in a new pose message; unless it cannot be used, it becomes the
// pose to judge by.
func (f *Fence) accept(now Instant, p *Pose) {
	t := &f.mem.track
	next, sigma, spread, faults := f.read(p)
	faults |= t.order(now, p, &f.set.robot)
	dt := t.elapsed(p, &f.set.robot)
	t.clock(p, faults)
	t.seen, t.boot, t.stamp, t.content = true, p.Boot, p.StampNS, faults
	if faults&f.blinding()&^(FaultPoseFuture|FaultCovarianceLarge) != 0 {
		return
	}
	if t.have && f.jumps(next, sigma, spread, dt) {
		t.content |= FaultJump
	}
	if !t.have || movedFrom(t.anchor, next) {
		t.anchor, t.moving = next, 0
	}
	t.have, t.at, t.atBoot, t.atStamp = true, next, p.Boot, p.StampNS
	t.floor, t.sigma, t.spread = p.Floor, sigma, spread
	t.tilt = quaternion{p.QX, p.QY, p.QZ, p.QW}.unit()
	f.dirty = true
}

// read checks a message by itself and turns it into a frame and standard deviations.
func (f *Fence) read(p *Pose) (at frame, sigma, spread float64, faults FaultSet) {
	r := &f.set.robot
	if !p.FrameOK {
		faults |= FaultFrame
	}
	if p.Floor < 0 || p.Floor >= len(f.set.floors) {
		faults |= FaultFloor
	}
	for _, v := range [...]float64{p.X, p.Y, p.Z, p.QX, p.QY, p.QZ, p.QW} {
		if !finite(v) {
			return at, 0, 0, faults | FaultPoseNotFinite
		}
	}
	// The contour and its rounding must stay within what zones can describe.
	top := MaxCoordinateMM - f.body.radius - 1
	if !(math.Abs(p.X) <= top/1000) || !(math.Abs(p.Y) <= top/1000) {
		faults |= FaultRange
	}
	c, s, ok := heading(p)
	if !ok {
		faults |= FaultQuaternion
	}
	at = frame{float64(p.X * 1000), float64(p.Y * 1000), c, s}
	varXY, varYaw, ok := p.variance()
	sigma, spread = math.Sqrt(varXY), math.Sqrt(varYaw)
	if !ok {
		faults |= FaultCovarianceUnknown
		sigma, spread = r.AssumedStdDevM, r.AssumedYawStdDevRad
	}
	sigma = float64(1000 * max(sigma, r.MinStdDevM))
	// The contour's farthest vertex swings with the heading.
	if sigma+float64(spread*f.body.radius) > float64(1000*r.MaxStdDevM) {
		faults |= FaultCovarianceLarge
	}
	return at, sigma, spread, faults
}

// heading projects the base's x axis onto the floor. A body that lies on its
// side has no heading, and its footprint is not the one that we know.
func heading(p *Pose) (c, s float64, ok bool) {
	xx, yy, zz, ww := float64(p.QX*p.QX), float64(p.QY*p.QY), float64(p.QZ*p.QZ), float64(p.QW*p.QW)
	if n := xx + yy + zz + ww; !(math.Abs(n-1) <= 0.01) {
		return 1, 0, false
	}
	c = ww + xx - yy - zz
	s = float64(2 * (float64(p.QX*p.QY) + float64(p.QW*p.QZ)))
	n := length(c, s)
	if !(n >= 0.5) || !(ww-xx-yy+zz >= 0.5) {
		return 1, 0, false
	}
	return c / n, s / n, true
}

// variance returns the greatest variance in the plane and that of the yaw, or
// false where the covariance says nothing that could be true.
func (p *Pose) variance() (plane, yaw float64, ok bool) {
	a, b, c := p.VarX, p.VarY, p.CovXY
	// A standard deviation of more than 10^6 m says nothing either.
	sound := func(v float64) bool { return v > 0 && v <= 1e12 }
	if !p.HasCovariance || !sound(a) || !sound(b) || !sound(p.VarYaw) {
		return 0, 0, false
	}
	ab, cc := float64(a*b), float64(c*c)
	if !(cc <= float64(ab*(1+1e-9))) {
		return 0, 0, false
	}
	half := (a - b) / 2
	return (a+b)/2 + math.Sqrt(float64(half*half)+cc), p.VarYaw, true
}

// order checks the message's times against our clocks and the message before.
func (t *track) order(now Instant, p *Pose, r *Robot) FaultSet {
	var faults FaultSet
	if p.StampNS <= 0 || t.seen && (p.StampNS <= t.stamp || p.Boot < t.boot) {
		faults |= FaultStampOrder
	}
	if p.Boot > now.Boot || p.StampNS > now.Civil.UnixNano()+int64(r.PoseMaxFuture) {
		faults |= FaultPoseFuture
	}
	return faults
}

// elapsed is the time in seconds in which the robot can have moved since the
// last usable pose. Messages that queued up arrive together, so the sender's
// clock may stretch it, though not by more than a pose may be old.
func (t *track) elapsed(p *Pose, r *Robot) float64 {
	dt := max(p.Boot-t.atBoot, 0)
	sent := min(max(p.StampNS-t.atStamp, 0), int64(dt+r.PoseMaxAge))
	return max(dt, time.Duration(sent)).Seconds()
}

// clock follows the feed's delay: what a message took longer than the quickest
// one it spent in a queue, and by that the pose is older than its arrival.
func (t *track) clock(p *Pose, faults FaultSet) {
	if faults&FaultStampOrder != 0 {
		// The sender's clock was set back, or somebody replays: start anew.
		t.delay, t.timed = 0, false
		return
	}
	offset := int64(p.Boot) - p.StampNS
	if t.timed {
		t.least += int64(max(p.Boot-t.boot, 0)) / offsetLeak
	}
	if !t.timed || offset < t.least {
		t.least, t.timed = offset, true
	}
	t.delay = time.Duration(offset - t.least)
}

// jumps says whether the robot cannot have come from the last pose to the next.
func (f *Fence) jumps(next frame, sigma, spread, dt float64) bool {
	t, r := &f.mem.track, &f.set.robot
	way := float64(1000*(float64(r.MaxSpeedMPS*dt)+r.JumpSlackM)) + float64(r.SigmaK*(sigma+t.sigma))
	if !(length(next.x-t.at.x, next.y-t.at.y) <= way) {
		return true
	}
	turn := float64(r.MaxYawRateRadPS*dt) + r.JumpSlackRad + float64(r.SigmaK*(spread+t.spread))
	if turn >= math.Pi {
		return false
	}
	_, least := sincos(turn)
	return !(float64(next.c*t.at.c)+float64(next.s*t.at.s) >= least)
}

func movedFrom(a, b frame) bool {
	turned := math.Abs(float64(a.c*b.s) - float64(a.s*b.c))
	facing := float64(a.c*b.c) + float64(a.s*b.s)
	return length(b.x-a.x, b.y-a.y) > freezeMM || turned > freezeRad || facing < 0
}

// age is the pose's age, the time it spent in queues included.
func (t *track) age(now time.Duration) time.Duration { return max(now-t.boot, 0) + t.delay }

func ageFaults(now Instant, t *track, r *Robot) FaultSet {
	var faults FaultSet
	if t.age(now.Boot) > r.PoseMaxAge {
		faults |= FaultPoseStale
	}
	if t.boot > now.Boot {
		faults |= FaultPoseFuture
	}
	return faults
}

// frozen compares a pose that stands still with what else says that the robot moves.
func (f *Fence) frozen(now Instant, in *Inputs) FaultSet {
	t := &f.mem.track
	moving := in.Motion.Known && in.Motion.Moving
	if t.velocityOK && (t.velocity.speed() > 1000*freezeMPS || math.Abs(t.velocity.w) > freezeRadPS) {
		moving = true
	}
	if !moving || !t.have || !f.mem.stepped {
		t.moving = 0
		return 0
	}
	t.moving += max(now.Boot-f.mem.now, 0)
	if t.moving >= f.set.robot.FreezeAfter {
		return FaultFrozen
	}
	return 0
}

// latch keeps the latching faults until RecoverPoses faultless poses have come
// and RecoverDwell has passed since the first of them.
func (t *track) latch(now time.Duration, faults FaultSet, r *Robot, arrived bool) {
	// A message that could not be followed stays on record until the next one,
	// but it ends a recovery only once, when it arrives.
	sudden := FaultJump | FaultStampOrder
	switch {
	case faults&^sudden != 0 || arrived && faults != 0:
		t.good = 0
	case arrived && t.latched != 0:
		if t.good == 0 {
			t.goodSince = now
		}
		t.good++
	}
	t.latched |= faults & latching
	if t.latched != 0 && t.good >= r.RecoverPoses && now-t.goodSince >= r.RecoverDwell {
		t.latched = 0
	}
}
