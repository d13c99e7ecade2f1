package interlock

import (
	"math/bits"
	"time"
)

// DemandGate passes commands whole or not at all: trajectories and other commands to joints, goals, and commands whose
// content nobody here knows. It changes none: a trajectory that was cut or slowed down is no longer what its planner found
// free of collisions. It is not safe for use by several goroutines.
type DemandGate struct {
	cfg DemandConfig
	// open is true while the axis lets anything pass; released is since when. begun is true after the first step.
	open, begun bool
	released    time.Duration
	// armed is false after a stop or a latched hold, until the channel was silent.
	armed bool
	// heard is when the newest demand arrived, if any is true.
	any   bool
	heard time.Duration
	// running is true until until: a demand that went out is being followed. share is the largest part of a velocity or
	// effort limit that it asks for, in [0, 1].
	running bool
	until   time.Duration
	share   float64
	// lead is the share that the way to the first point takes; it belongs to the demand that is judged.
	lead   float64
	counts [NumDemandReasons]uint64
	// ending is true from an end until measurements confirm it: told is when controllers were told last, why the reason, and
	// still since when the joints have been seen to stand still since, if stands is true.
	ending, stands bool
	told, still    time.Duration
	why            DemandReason
	// ends counts how often what went out before had to be ended.
	ends uint64
}

// NewDemandGate returns a closed gate. Every fault of the configuration is a *ConfigError.
func NewDemandGate(cfg DemandConfig) (*DemandGate, error) {
	c := checker{part: "demand gate"}
	c.duration("Timeout", cfg.Timeout)
	c.duration("MaxSkew", cfg.MaxSkew)
	c.require("Kind", cfg.Kind > DemandUnknown && cfg.Kind <= DemandOpaque, "a kind of demand")
	c.require("Axis", cfg.Axis > AxisUnknown && cfg.Axis <= AxisRemote, "an axis")
	c.require("Cancels", !cfg.Cancels || cfg.Kind == DemandGoal, "false but for goals")
	if cfg.Kind == DemandGoal {
		c.require("Axis", cfg.Axis == AxisMotion, "motion for a goal")
	}
	if cfg.Kind == DemandJoints {
		c.require("Axis", cfg.Axis == AxisManipulators, "manipulators for joints")
		c.require("Joints", cfg.Joints != 0, "at least one joint")
		c.require("Reduced", cfg.Reduced > 0 && cfg.Reduced <= 1, "a share in (0, 1]")
		c.duration("Reach", cfg.Reach)
		c.positive("Slack", cfg.Slack)
		for i := range MaxDemandJoints {
			if l := &cfg.Limits[i]; cfg.Joints&(1<<i) != 0 {
				c.require("Limits", l.Min <= l.Max && l.Velocity > 0 && !(l.Effort <= 0), "limits in order, velocity and effort above 0")
			}
		}
	}
	if err := c.err(); err != nil {
		return nil, err
	}
	return &DemandGate{cfg: cfg, armed: true}, nil
}

// Counts returns for each reason how many demands met it.
func (g *DemandGate) Counts() [NumDemandReasons]uint64 { return g.counts }

// Ends returns how often what went out before had to be ended.
func (g *DemandGate) Ends() uint64 { return g.ends }

// Step takes the demand that arrived, if any, and says whether it goes out. It does not allocate. The caller steps with
// every demand, with every new decision, and at least every tick.
func (g *DemandGate) Step(now time.Duration, in *DemandInput, out *DemandOutput) {
	*out = DemandOutput{Because: in.Because, Joint: -1}
	axes := in.Axes.Normal()
	shut := g.shut(axes)
	g.follow(now, axes, shut, in.Latched, out)
	g.confirm(now, in.Measured, out)
	if in.New {
		out.Reason = g.admit(now, in, axes, shut, out)
		g.counts[out.Reason]++
		out.Pass, out.Dropped = out.Reason == DemandPassed, out.Reason != DemandPassed
		if out.Pass {
			g.ending = false // Whatever was under way is replaced.
			g.note(now, &in.Demand)
		}
	}
	out.Open = shut == DemandPassed
	if out.End && !out.Again {
		g.ends++
	}
}

// shut says why the axes let nothing pass, DemandPassed if they let something.
func (g *DemandGate) shut(axes Axes) DemandReason {
	if axes.Remote != RemoteFree && g.cfg.Channel.Remote() {
		return DemandRemote // before the rest: who may not command may not end anything either
	}
	switch g.cfg.Axis {
	case AxisMotion:
		switch {
		case axes.Motion == MotionStop:
			return DemandStopped
		case axes.Motion == MotionHold:
			return DemandHeld
		case axes.Motion == MotionDockOnly && !g.cfg.Dock:
			return DemandNotDock
		}
	case AxisManipulators:
		switch axes.Manipulators {
		case ManipulatorsDisabled:
			return DemandDisabled
		case ManipulatorsHold:
			return DemandArmsHeld
		case ManipulatorsLimited, ManipulatorsFree:
		}
	case AxisPerception:
		if axes.Perception == PerceptionPrivate {
			return DemandPrivate
		}
	case AxisRemote:
		if axes.Remote != RemoteFree {
			return DemandRemote
		}
	case AxisUnknown:
		return DemandStopped
	}
	return DemandPassed
}

// follow keeps track of whether anything may pass, and ends what is under way when it may not go on: at the moment of a
// hold, when the reduced limits that hold now are less than it asks for, and when a stream has dried up.
func (g *DemandGate) follow(now time.Duration, axes Axes, shut DemandReason, latched bool, out *DemandOutput) {
	if shut != DemandPassed {
		// Also at the first step: what a guard before this one let pass may still be under way.
		if (g.cfg.Kind == DemandJoints || g.cfg.Cancels) && (g.open || !g.begun) {
			out.End, out.Ended = true, shut
		}
		g.open, g.running = false, false
		if latched || shut == DemandStopped || shut == DemandDisabled {
			g.armed = false
		}
	} else if !g.open {
		g.open, g.released = true, now
	}
	g.begun = true
	if !g.running {
		return
	}
	switch {
	case now >= g.until:
		g.running = false
		if g.cfg.Streamed {
			out.End, out.Ended = true, DemandStale
		}
	case g.cfg.Kind == DemandJoints && axes.Manipulators == ManipulatorsLimited && g.share > g.cfg.Reduced:
		g.running, out.End, out.Ended = false, true, DemandVelocity
	}
}

const (
	// endEvery is how often controllers are told to end what is under way until they are seen to: a message can be lost, and a
	// controller may not have been there yet.
	endEvery = 500 * time.Millisecond
	// endDwell is for how long the joints have to stand still for that: what has just begun does not move yet.
	endDwell = 300 * time.Millisecond
)

// confirm keeps telling controllers to end what is under way until the joints have stood still for endDwell, by measurements
// from after they were told. Joints that nobody sees confirm nothing.
func (g *DemandGate) confirm(now time.Duration, m *MeasuredJoints, out *DemandOutput) {
	if g.cfg.Kind != DemandJoints {
		return // Whoever is told to cancel goals answers.
	}
	if out.End {
		g.ending, g.stands, g.told, g.why = true, false, now, out.Ended
		return
	}
	if !g.ending {
		return
	}
	switch {
	case m == nil || m.At <= g.told && !g.stands || m.Still&g.cfg.Joints != g.cfg.Joints:
		g.stands = false
	case !g.stands:
		g.stands, g.still = true, m.At
	case since(m.At, g.still) >= endDwell:
		g.ending = false
		return
	}
	if now < g.told || since(now, g.told) >= endEvery && !g.stands {
		g.told = now
		out.End, out.Again, out.Ended = true, true, g.why
	}
}

// admit says whether a demand may pass.
func (g *DemandGate) admit(now time.Duration, in *DemandInput, axes Axes, shut DemandReason, out *DemandOutput) DemandReason {
	d := &in.Demand
	if !d.Known || g.cfg.Channel == ChannelUnknown || g.cfg.Channel > ChannelAutonomy {
		return DemandUnknownPeer
	}
	if d.Received > now {
		return DemandFuture
	}
	last, known := g.heard, g.any
	if known && d.Received < last {
		return DemandOutOfOrder
	}
	g.heard, g.any = d.Received, true
	age := since(now, d.Received)
	switch {
	case d.Stamped && d.Age < -g.cfg.MaxSkew:
		return DemandFuture
	case age >= g.cfg.Timeout, d.Stamped && d.Age >= g.cfg.Timeout-age:
		return DemandStale
	case !d.FrameOK:
		return DemandFrame
	}
	if reason, stop := g.understand(d); reason != DemandPassed || stop {
		return stopping(reason, shut)
	}
	if shut != DemandPassed {
		return shut
	}
	if d.Received <= g.released {
		return DemandBeforeRelease
	}
	if !g.armed {
		if since(d.Received, g.released) < g.cfg.Timeout || known && since(d.Received, last) < g.cfg.Timeout {
			return DemandNeutral
		}
		g.armed = true
	}
	if g.cfg.Kind == DemandJoints {
		return g.limit(now, in, axes, out)
	}
	return DemandPassed
}

// stopping lets an emptied command to joints pass under a hold as well: it only stops. Where manipulators are disabled their
// controllers are to be released, and where somebody may not command he may not stop either.
func stopping(reason, shut DemandReason) DemandReason {
	if reason == DemandPassed && shut != DemandArmsHeld {
		return shut
	}
	return reason
}

// understand says what is wrong with a demand whatever the axes say, and whether it only stops what is under way.
func (g *DemandGate) understand(d *DemandItem) (reason DemandReason, stop bool) {
	switch g.cfg.Kind {
	case DemandGoal:
		switch d.Goal {
		case GoalNotFinite:
			return DemandNotFinite, false
		case GoalForbidden:
			return DemandForbidden, false
		case GoalUnknown:
			return DemandUnjudged, false
		case GoalUnlisted:
			return DemandUnlisted, false
		case GoalAllowed:
		}
	case DemandJoints:
		return g.joints(d.Joints)
	case DemandOpaque, DemandUnknown:
	}
	return DemandPassed, false
}

func (g *DemandGate) joints(j *JointDemand) (reason DemandReason, stop bool) {
	switch {
	case j == nil:
		return DemandMalformed, false
	case j.NotFinite:
		return DemandNotFinite, false
	case j.Count, j.Points > MaxDemandPoints, j.Points < 0, j.Duration > MaxDemandDuration:
		return DemandCount, false
	case j.Twice:
		return DemandTwice, false
	case j.Lengths:
		return DemandMalformed, false
	case j.Unknown > 0:
		return DemandUnknownJoint, false
	case j.Seen&^g.cfg.Joints != 0:
		return DemandForeignJoint, false
	case j.Points == 0:
		return DemandPassed, true
	case j.Seen == 0:
		return DemandMalformed, false
	case j.Timed && (!j.Rising || j.Start < 0 || j.Duration < j.Start):
		return DemandTimes, false
	}
	return DemandPassed, false
}

// note remembers what is under way.
func (g *DemandGate) note(now time.Duration, d *DemandItem) {
	if g.cfg.Kind != DemandJoints {
		return
	}
	j := d.Joints
	if j.Points == 0 {
		return // Not every controller takes it for a stop, so what is under way still counts.
	}
	g.running, g.share = true, g.lead
	g.until = now + j.Duration + g.cfg.MaxSkew + g.cfg.Reach
	if g.cfg.Streamed {
		g.until = d.Received + g.cfg.Timeout
	}
	for seen := j.Seen; seen != 0; seen &= seen - 1 {
		i := bits.TrailingZeros64(seen)
		l := &g.cfg.Limits[i]
		for _, p := range [...]float64{j.Velocity[i] / l.Velocity, j.Slope[i] / l.Velocity, j.Effort[i] / l.Effort} {
			if p > g.share {
				g.share = p
			}
		}
	}
}

// require reports a field that does not hold.
func (c *checker) require(field string, holds bool, want string) {
	if !holds {
		c.bad(field, "another value", want)
	}
}
