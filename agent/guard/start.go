package guard

import (
	"errors"
	"fmt"
	"time"

	"github.com/robowarden/robowarden/geofence"
	"github.com/robowarden/robowarden/interlock"
)

// Start is what a core has to know about the run before it.
type Start struct {
	// Boot is the boot clock at the start.
	Boot time.Duration
	// Latches is what [Core.AppendLatches] gave before, nil for a robot that never ran; bytes that cannot be read latch
	// latch.unreadable.
	Latches []byte
	// Unclean is true if the last run did not end in order.
	Unclean bool
	// Crashed is true if it may have done so since this computer was started: then the robot may still move as it was let. After
	// a start of the computer its drivers come up as at every start.
	Crashed bool
	// Policy says why the policy that the parameters come from is not proven, [interlock.CauseNone] if it is. Until a
	// signed one is loaded, policy.missing then stops the robot, whatever that policy says.
	Policy interlock.Cause
}

// NewCore returns a core that knows nothing about the robot yet and therefore holds it.
func NewCore(p *Params, start Start) (*Core, error) {
	c := &Core{params: p, unclean: start.Unclean, stirred: start.Crashed, policyFault: start.Policy, started: start.Boot, fence: geofence.New(p.Set), loadedAt: never, conflict: never}
	var errs []error
	keep := func(err error) { errs = append(errs, err) }
	var err error
	c.machine, err = interlock.New(p.Rules)
	keep(err)
	c.gate, err = interlock.NewGate(p.Gate)
	keep(err)
	c.ladder, err = interlock.NewLadder(p.Ladder)
	keep(err)
	c.still, err = interlock.NewStandstill(p.Standstill)
	keep(err)
	c.loop, err = interlock.NewLoopWatch(p.Loop)
	keep(err)
	c.clock, err = interlock.NewClockWatch(p.Clock)
	keep(err)
	for i := range p.Heartbeats {
		b, err := interlock.NewHeartbeat(p.Heartbeats[i])
		keep(err)
		c.beats = append(c.beats, b)
	}
	for i := range p.Health {
		h, err := interlock.NewChannelWatch(p.Health[i])
		keep(err)
		c.health = append(c.health, h)
	}
	c.healthStatus = make([]interlock.ChannelStatus, len(c.health))
	c.follow, err = interlock.NewFollowWatch(p.Follow)
	keep(err)
	c.fall, err = interlock.NewFallWatch(p.Fall)
	keep(err)
	c.down.core, err = interlock.NewPostures(p.Posture.Config)
	keep(err)
	c.down.out.Due, c.down.out.Failed, c.down.out.Step = interlock.OK(), interlock.OK(), -1
	c.beatStatus = make([]interlock.HeartbeatStatus, len(c.beats))
	for i := range p.Watches {
		w, err := newWatch(&p.Watches[i])
		keep(err)
		c.watches = append(c.watches, w)
	}
	c.proofs, err = newProofs(p.Channels)
	keep(err)
	c.authority.overrides, err = interlock.NewOverrides(p.Overrides)
	keep(err)
	keep(c.demands.open(p))
	if err := errors.Join(errs...); err != nil {
		return nil, fmt.Errorf("guard: %w", err)
	}
	if start.Latches != nil {
		// What cannot be read latches a trigger of its own; there is nothing else to do about it here.
		_ = c.machine.RestoreLatches(start.Boot, start.Latches)
	}
	c.chain.frames = p.Pose.Chain
	c.body.setFloor(p.Pose.Floor)
	c.grant.zone = geofence.NoZone
	c.privacy.since = never
	c.trial.order.Rung = -1
	return c, nil
}
