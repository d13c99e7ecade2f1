package interlock

import "time"

// Gate cuts one stream of velocity commands down to what a Decision and the geofence allow. It scales all axes by one
// ratio, so that the robot keeps its path, never raises a component, and sends zeros while nothing may pass. It limits
// no rate of change. It is not safe for use by several goroutines.
type Gate struct {
	cfg GateConfig
	// current is the command that passes now, if any is true.
	any     bool
	current Command
	// open is true while motion is not held; released is since when.
	open     bool
	released time.Duration
	// armed has bit i-1 set for each channel i that need not be neutral any more since the last stop or latched hold.
	armed uint64
	// heard is when each channel's newest command arrived, of those in known.
	heard [MaxChannels]time.Duration
	known uint64
	// sent is true once something went out: out, at sentAt.
	sent   bool
	sentAt time.Duration
	out    Velocity
	why    GateReason
	counts [NumGateReasons]uint64
}

// NewGate returns a closed gate. Every fault of the configuration is a *ConfigError.
func NewGate(cfg GateConfig) (*Gate, error) {
	c := checker{part: "gate"}
	c.duration("CommandTimeout", cfg.CommandTimeout)
	c.duration("MaxSkew", cfg.MaxSkew)
	c.duration("ZeroPeriod", cfg.ZeroPeriod)
	c.positive("RadiusM", cfg.RadiusM)
	if err := c.err(); err != nil {
		return nil, err
	}
	return &Gate{cfg: cfg, why: GateIdle, armed: ^uint64(0)}, nil
}

// Counts returns for each reason how many commands met it.
func (g *Gate) Counts() [NumGateReasons]uint64 { return g.counts }

// Step takes the command that arrived, if any, and says what goes out at now. It does not allocate. The caller steps
// with every command, with every new decision, and at GateOutput.Next.
func (g *Gate) Step(now time.Duration, in *GateInput, out *GateOutput) {
	*out = GateOutput{Because: in.Because}
	axes := in.Axes.Normal()
	g.follow(now, axes.Motion, in.Latched)
	if in.New {
		reason := g.admit(now, &in.Command, axes)
		out.Dropped = reason != GatePassed
		if out.Dropped {
			g.counts[reason]++
			g.drop(&in.Command, reason)
			out.Reason = reason
		} else {
			g.any, g.current = true, in.Command
		}
	}
	g.expire(now, axes, in.Closed)
	if g.any {
		g.pass(now, in, axes, out)
	} else {
		g.zero(now, out)
	}
}

// follow keeps track of whether motion is held, and disarms every channel by a stop and by a hold that somebody has to
// reset: who resets it may stand beside the robot, and a planner that never stopped sending must not drive it on.
func (g *Gate) follow(now time.Duration, motion Motion, latched bool) {
	switch motion {
	case MotionStop:
		g.armed, g.open, g.any, g.why = 0, false, false, GateStopped
	case MotionHold:
		g.open, g.any, g.why = false, false, GateHeld
		if latched {
			g.armed = 0
		}
	case MotionDockOnly, MotionLimited, MotionFree:
		if !g.open {
			g.open, g.released, g.why = true, now, GateIdle
		}
	}
}

// admit says whether a command may pass, whatever its size.
func (g *Gate) admit(now time.Duration, c *Command, axes Axes) GateReason {
	if c.Channel == 0 || c.Channel > MaxChannels || c.Kind == ChannelUnknown || c.Kind > ChannelAutonomy {
		return GateUnknownChannel
	}
	if c.Refused != GatePassed {
		// Before anything is remembered of the channel: what nobody may send must not disturb who may.
		return c.Refused
	}
	if c.Received > now {
		return GateFuture
	}
	i := c.Channel - 1
	bit := uint64(1) << i
	last, known := g.heard[i], g.known&bit != 0
	if known && c.Received < last {
		return GateOutOfOrder
	}
	g.heard[i], g.known = c.Received, g.known|bit
	age := since(now, c.Received)
	switch {
	case !finite(c.Velocity):
		return GateNotFinite
	case c.Mark != ArrivalNew:
		return marked(c.Mark)
	case c.WrongFrame:
		return GateFrame
	case c.Stamped && c.Age < -g.cfg.MaxSkew:
		return GateFuture
	case age >= g.cfg.CommandTimeout, c.Stamped && c.Age >= g.cfg.CommandTimeout-age:
		return GateStale
	case axes.Motion == MotionStop:
		return GateStopped
	case axes.Motion == MotionHold:
		return GateHeld
	}
	if reason := permitted(c, axes); reason != GatePassed {
		return reason
	}
	if c.Received <= g.released {
		return GateBeforeRelease
	}
	if g.armed&bit == 0 {
		silent := since(c.Received, g.released) >= g.cfg.CommandTimeout &&
			(!known || since(c.Received, last) >= g.cfg.CommandTimeout)
		if !silent && c.Velocity != (Velocity{}) {
			return GateNeutral
		}
		g.armed |= bit
	}
	return GatePassed
}

// marked is the reason for what a channel's watch found.
func marked(m ArrivalMark) GateReason {
	switch m {
	case ArrivalOvertaken:
		return GateOutOfOrder
	case ArrivalWrongFrame:
		return GateWrongFrame
	case ArrivalNew, ArrivalRepeated:
	}
	return GateRepeated
}

// permitted says whether the axes let the command's channel command the robot.
func permitted(c *Command, axes Axes) GateReason {
	switch {
	case axes.Motion == MotionDockOnly && !c.Dock:
		return GateNotDock
	case axes.Remote != RemoteFree && c.Kind.Remote():
		return GateRemote
	}
	return GatePassed
}

// drop forgets the command that passes now if its own channel has gone wrong. Another channel's fault does not end it:
// else whoever can send rubbish could stop the robot.
func (g *Gate) drop(c *Command, reason GateReason) {
	if !g.any {
		if g.open && reason == GateNeutral && g.why == GateIdle {
			g.why = reason // Also between two of its commands: whoever wonders why the robot stands has to read it.
		}
		return
	}
	if c.Channel != g.current.Channel {
		return
	}
	switch reason {
	case GateNotFinite, GateFrame, GateStale, GateFuture, GateNotDock, GateRemote:
		g.any, g.why = false, reason
	default:
	}
}

// expire forgets the command that passes now once it has run out or may not pass any longer.
func (g *Gate) expire(now time.Duration, axes Axes, closed uint64) {
	if !g.any {
		return
	}
	if closed&(1<<(g.current.Channel-1)) != 0 {
		g.any, g.why = false, GateNoSession
		return
	}
	if reason := permitted(&g.current, axes); reason != GatePassed {
		g.any, g.why = false, reason
		return
	}
	if now < g.current.Received || since(now, g.current.Received) >= g.cfg.CommandTimeout {
		g.any, g.why = false, GateTimeout
	}
}

// pass sends the current command, scaled: when it is new, and again at once when it has to become smaller.
func (g *Gate) pass(now time.Duration, in *GateInput, axes Axes, out *GateOutput) {
	limit := min(axes.MaxSpeedMPS, in.MaxSpeedMPS)
	if !(limit > 0) {
		limit = 0
	}
	fence := in.Ratio
	if in.OfNew && out.Dropped {
		fence = 1 // What went out is not raised: only what is smaller goes out again.
	}
	v, ratio, reason := g.scale(g.current.Velocity, fence, limit)
	fresh := in.New && !out.Dropped
	if fresh {
		g.counts[reason]++
	}
	out.Velocity, out.Ratio = v, ratio
	if !out.Dropped {
		out.Reason = reason
	}
	out.Next = g.current.Received + g.cfg.CommandTimeout
	if fresh || !g.sent || smaller(v, g.out) {
		out.Send = true
		g.sent, g.sentAt, g.out = true, now, v
	}
}

// waits says whether a channel that has to be neutral was heard within CommandTimeout. Later its silence has been that, see
// [Gate.admit], and its next command passes.
func (g *Gate) waits(now time.Duration) bool {
	for i, at := range g.heard {
		if bit := uint64(1) << i; g.known&bit != 0 && g.armed&bit == 0 && since(now, at) < g.cfg.CommandTimeout {
			return true
		}
	}
	return false
}

// zero sends zeros: at once, then every ZeroPeriod.
func (g *Gate) zero(now time.Duration, out *GateOutput) {
	if g.why == GateNeutral && !g.waits(now) {
		g.why = GateIdle
	}
	if !out.Dropped {
		out.Reason = g.why
	}
	if !g.sent || g.out != (Velocity{}) || now < g.sentAt || since(now, g.sentAt) >= g.cfg.ZeroPeriod {
		out.Send = true
		g.sent, g.sentAt, g.out = true, now, Velocity{}
	}
	out.Next = g.sentAt + g.cfg.ZeroPeriod
}
