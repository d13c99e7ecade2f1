package interlock

import (
	"math"
	"math/bits"
	"time"
)

// limit holds a command to joints against every limit.
func (g *DemandGate) limit(now time.Duration, in *DemandInput, axes Axes, out *DemandOutput) DemandReason {
	part := 1.0
	if axes.Manipulators == ManipulatorsLimited {
		part = g.cfg.Reduced
	}
	g.lead = 0
	reach := g.reach(now, &in.Demand)
	for seen := in.Demand.Joints.Seen; seen != 0; seen &= seen - 1 {
		i := bits.TrailingZeros64(seen)
		l := g.cfg.Limits[i]
		l.Velocity, l.Effort = float64(l.Velocity*part), float64(l.Effort*part)
		reason := g.points(in.Demand.Joints, i, &l, out)
		if reason == DemandPassed {
			reason = g.way(in, i, &l, reach, out)
		}
		if reason != DemandPassed {
			out.Joint = i
			return reason
		}
	}
	return DemandPassed
}

// points holds what the command says about joint i against its limits. NaN is what it does not say; that it says NaN has
// been found before.
func (g *DemandGate) points(j *JointDemand, i int, l *JointLimit, out *DemandOutput) DemandReason {
	if low := j.Lowest[i]; low < l.Min {
		out.Found, out.Limit = low, l.Min
		return DemandPosition
	}
	if high := j.Highest[i]; high > l.Max {
		out.Found, out.Limit = high, l.Max
		return DemandPosition
	}
	for _, c := range [...]struct {
		reason       DemandReason
		found, limit float64
	}{{DemandVelocity, j.Velocity[i], l.Velocity}, {DemandEffort, j.Effort[i], l.Effort}, {DemandSlope, j.Slope[i], l.Velocity}} {
		// No effort needs no limit; any other with an unknown one is too much.
		if !math.IsNaN(c.found) && c.found != 0 && !(c.found <= c.limit) {
			out.Found, out.Limit = c.found, c.limit
			return c.reason
		}
	}
	return DemandPassed
}

// reach is how long the way to the first point takes: a stamp that lies back leaves less of it.
func (g *DemandGate) reach(now time.Duration, d *DemandItem) time.Duration {
	if !d.Joints.Timed {
		return g.cfg.Reach
	}
	late := since(now, d.Received)
	if d.Stamped {
		late += max(d.Age, 0)
	}
	return max(d.Joints.Start-late, 0)
}

// way holds the way from where the joint is against its limits.
func (g *DemandGate) way(in *DemandInput, i int, l *JointLimit, reach time.Duration, out *DemandOutput) DemandReason {
	first, velocity := in.Demand.Joints.First[i], in.Demand.Joints.Velocity[i]
	if math.IsNaN(first) && !(velocity > 0) {
		return DemandPassed // An effort alone goes nowhere that could be foretold.
	}
	if in.Measured == nil || in.Measured.Known&(1<<i) == 0 {
		return DemandUnmeasured
	}
	at := in.Measured.Position[i]
	if math.IsNaN(first) {
		// A velocity goes on until the next one: within the timeout it must not run into an end stop. The outline has no
		// sign, so either way counts.
		far := float64(velocity * g.cfg.Timeout.Seconds())
		if !(at-far >= l.Min && at+far <= l.Max) {
			out.Found, out.Limit = velocity, max(min(at-l.Min, l.Max-at)/g.cfg.Timeout.Seconds(), 0)
			return DemandPosition
		}
		return DemandPassed
	}
	peak := 1.0
	if in.Demand.Joints.Timed && !math.IsNaN(velocity) {
		peak = splinePeak
	}
	allowed := float64(l.Velocity*reach.Seconds())/peak + g.cfg.Slack
	gap := math.Abs(first - at)
	if !(gap <= allowed) {
		out.Found, out.Limit = gap, allowed
		return DemandStart
	}
	if full := float64(g.cfg.Limits[i].Velocity*reach.Seconds()) / peak; full > 0 {
		g.lead = max(g.lead, (gap-g.cfg.Slack)/full)
	}
	return DemandPassed
}

// splinePeak is how much faster than on average a way from rest to rest is at its fastest: with velocities a controller
// follows a cubic (3/2) or a quintic (15/8), without a line.
const splinePeak = 15.0 / 8
