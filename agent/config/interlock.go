package config

import (
	"math"
	"slices"
	"time"

	"github.com/robowarden/robowarden/interlock"
)

// Interlock returns the built-in rules with the policy's changes. Changes that the interlock does not allow are in the
// result as written; Load reports them.
func (p *Policy) Interlock() interlock.Policy {
	out := interlock.DefaultPolicy()
	out.StopCategory = interlock.Category2
	if p.StopCategory == 1 {
		out.StopCategory = interlock.Category1
	}
	if f := p.Flap; f != nil {
		out.FlapTrips, out.FlapWindow, out.FlapMerge = f.Trips, f.Window, f.Merge
	}
	if u := p.Unauthenticated; u != nil && u.Constraint != nil {
		out.Cap, out.CapLatches = u.Constraint.axes().Normal(), u.Latch
		for t := range interlock.NumTriggers {
			if i := t.Info(); i.Hearsay {
				out.Rules[t] = i.Default // as it is under the cap of this policy, not under the usual one
			}
		}
	}
	for i := range p.Triggers {
		if id, ok := interlock.ParseTrigger(p.Triggers[i].Code); ok {
			p.Triggers[i].apply(&out.Rules[id])
		}
	}
	if p.Startup.Release == "operator" {
		r := &out.Rules[interlock.Startup]
		r.Clear = max(r.Clear, interlock.ClearByOperator)
	}
	return out
}

// apply changes a built-in rule by what the trigger says.
func (t *Trigger) apply(r *interlock.Rule) {
	if t.Enabled != nil {
		r.Enabled = *t.Enabled
	}
	r.Reason = t.Reason
	if t.Constraint != nil {
		r.Constraint = t.Constraint.axes()
	}
	if t.StartDelay != nil {
		r.StartDelay = *t.StartDelay
	}
	if t.Dwell != nil {
		r.Dwell = *t.Dwell
	}
	if c, ok := clearCondition(t.Clear); ok {
		r.Clear = c
	}
	if len(t.ResetBy) > 0 {
		r.Roles = 0
		for _, name := range t.ResetBy {
			if role, ok := interlock.ParseRole(name); ok {
				r.Roles |= interlock.Roles(role)
			}
		}
	}
}

func clearCondition(name string) (interlock.ClearCondition, bool) {
	for c := range interlock.NumClearConditions {
		if c.String() == name {
			return c, true
		}
	}
	return 0, false
}

// axes returns the restriction; what is left out is free.
func (c *Constraint) axes() interlock.Axes {
	a := interlock.Unrestricted()
	for m := interlock.MotionStop; m <= interlock.MotionFree; m++ {
		if m.String() == c.Motion {
			a.Motion = m
		}
	}
	for m := interlock.ManipulatorsDisabled; m <= interlock.ManipulatorsFree; m++ {
		if m.String() == c.Manipulators {
			a.Manipulators = m
		}
	}
	if c.Perception == interlock.PerceptionPrivate.String() {
		a.Perception = interlock.PerceptionPrivate
	}
	for r := interlock.RemoteBlocked; r <= interlock.RemoteFree; r++ {
		if r.String() == c.Remote {
			a.Remote = r
		}
	}
	switch {
	case a.Motion <= interlock.MotionHold:
		a.MaxSpeedMPS = 0
	case c.MaxSpeedMPS > 0:
		a.MaxSpeedMPS = c.MaxSpeedMPS
	}
	return a
}

// LadderSpec returns the way down to stable rest.
func (p *Profile) LadderSpec() interlock.LadderConfig {
	out := interlock.LadderConfig{
		N: min(len(p.Ladder), interlock.MaxRungs), React: p.Motion.Reaction.Total(), DecelMPS2: p.Motion.DecelMPS2,
		MaxSpeedMPS: p.Motion.MaxSpeedMPS, SettleDwell: p.Motion.Standstill.Dwell,
		ConfirmDwell: p.Motion.Standstill.Dwell, LostGrace: p.Motion.Standstill.Dwell,
	}
	for i := range out.N {
		r := &p.Ladder[i]
		out.Rungs[i] = interlock.Rung{Kind: rungKind(r.Kind), AckWithin: r.AckWithin, Independent: r.WithoutROS, Settle: r.SettleFor}
		if a := p.Actuator(r); a != nil {
			out.Rungs[i].Effect = a.effect()
		}
	}
	return out
}

func rungKind(name string) interlock.RungKind {
	for k := range interlock.NumRungKinds {
		if k.String() == name {
			return k
		}
	}
	return interlock.RungUnknown
}

// StandstillSpec returns how rest is told from motion.
func (p *Profile) StandstillSpec() interlock.StandstillConfig {
	s := &p.Motion.Standstill
	source := func(below float64, age time.Duration) interlock.SourceConfig {
		return interlock.SourceConfig{Used: true, Below: below, MaxAge: age}
	}
	out := interlock.StandstillConfig{
		Linear: source(s.SpeedMPS, p.Pose.MaxAge), Angular: source(s.YawRateRadPS, p.Pose.MaxAge), Dwell: s.Dwell,
	}
	if s.IMU != nil {
		out.IMU = source(s.IMU.GyroRadPS, p.Pose.MaxAge)
	}
	if s.Joints != nil && p.Joints != nil {
		out.Joints = source(s.Joints.Velocity, p.Joints.MaxAge)
	}
	return out
}

// StandstillJoints returns the numbers of the joints whose speed says whether the robot stands.
func (p *Profile) StandstillJoints() []int {
	var out []int
	if p.Joints == nil || p.Motion.Standstill.Joints == nil {
		return nil
	}
	for i, j := range p.Joints.List {
		if slices.Contains(p.Motion.Standstill.Joints.Groups, j.Group) {
			out = append(out, i)
		}
	}
	return out
}

// Bad answers to a heartbeat's challenges that make its channel hostile, and the time after which one is forgiven.
const (
	hostileCount  = 5
	hostileWindow = 2 * time.Second
	// answerPeriods is how many periods a challenge may be answered at most: as many as the interlock keeps open.
	answerPeriods = 6
)

// HeartbeatSpecs returns the heartbeats in the order of Channels; subjects count from 1.
func (p *Policy) HeartbeatSpecs() []interlock.HeartbeatConfig {
	out := make([]interlock.HeartbeatConfig, len(p.Channels))
	for i, c := range p.Channels {
		out[i] = interlock.HeartbeatConfig{
			Subject: uint16(i + 1), Period: c.Period, AnswerWithin: min(c.HoldAfter, answerPeriods*c.Period), LateAfter: c.HoldAfter, LostAfter: c.StopAfter, //nolint:gosec // at most 16
			HostileCount: hostileCount, HostileWindow: hostileWindow,
		}
	}
	return out
}

// Signs of a channel's trouble that count together, and the time after which one is forgiven; and over how long the quickest
// way is learnt.
const (
	channelSigns   = 5
	channelForgive = 4 * time.Second
	latencyWindow  = 30 * time.Second
	// floodTime is for how long commands may come at twice the highest rate before they are a flood.
	floodTime = 250 * time.Millisecond
	minBurst  = 8
)

// ChannelSpecs returns what each of the mapping's command channels has to be like, in the mapping's order; subjects count
// from 1. ahead is how far ahead of the robot's clock a command's stamp may lie.
func (p *Policy) ChannelSpecs(t *Topics, ahead time.Duration) []interlock.ChannelConfig {
	out := make([]interlock.ChannelConfig, len(t.Commands))
	for i := range t.Commands {
		in := &t.Commands[i]
		var c CommandChannel
		if j := slices.IndexFunc(p.CommandChannels, func(c CommandChannel) bool { return c.Channel == in.Channel }); j >= 0 {
			c = p.CommandChannels[j]
		}
		hz := or(c.MaxHz, 200)
		out[i] = interlock.ChannelConfig{
			Subject: uint16(i + 1), Needed: c.Needed, Several: in.MaxPublishers > 1, //nolint:gosec // at most 16
			Timeout: in.Deadline, LostAfter: or(c.LostAfter, 4*in.Deadline),
			MinPeriod: time.Duration(float64(time.Second) / hz), Burst: min(max(minBurst, int(float64(hz)*floodTime.Seconds())), 1000),
			MaxJitter: or(c.MaxJitter, in.Deadline/2), MaxLatency: or(c.MaxLatency, in.Deadline/2), LatencyWindow: latencyWindow,
			MaxSkew: or(c.MaxSkew, time.Second), MaxAhead: ahead,
			MaxLossPerMille: int(math.Round(or(c.MaxLossRatio, 0.1) * 1000)),
			Signs:           channelSigns, Forgive: channelForgive, Dwell: or(c.Dwell, time.Second),
		}
	}
	return out
}

// or returns v, or what holds without it.
func or[T time.Duration | float64](v, without T) T {
	if v == 0 {
		return without
	}
	return v
}

// FollowSpec returns what is demanded of the base: it does what it is told, after its latency.
func (p *Profile) FollowSpec() interlock.FollowConfig {
	m := &p.Motion
	return interlock.FollowConfig{
		React: m.Reaction.Total() + m.Reaction.CommandPeriod + followGrace, DecelMPS2: m.DecelMPS2, DecelRadPS2: m.AngularDecelRadPS2,
		StillMPS: m.Standstill.SpeedMPS, StillRadPS: m.Standstill.YawRateRadPS,
		SlackMPS: max(followSlackMPS, 3*m.Standstill.SpeedMPS), SlackRadPS: max(followSlackRadPS, 3*m.Standstill.YawRateRadPS),
		SlackRatio: followSlackRatio, After: followAfter, MaxAge: p.Pose.MaxAge,
	}
}

// What a base may be faster than told, in m/s, rad/s and as a share, and how long it may stand although it was told to move.
// A walker sways, a wheel slips, and a short start against a threshold is no fault.
const (
	followSlackMPS   = 0.15
	followSlackRadPS = 0.25
	followSlackRatio = 0.2
	followAfter      = 3 * time.Second
	// followGrace is what filters in a base and its odometry add to the reaction time, which is that of a stop.
	followGrace = 200 * time.Millisecond
)

// RadiusM returns the distance in metres of the footprint's farthest point from the base's origin.
func (b *Body) RadiusM() float64 {
	r := 0.0
	for _, p := range b.Footprint {
		r = max(r, math.Sqrt(float64(p.X*p.X)+float64(p.Y*p.Y)))
	}
	return r
}
