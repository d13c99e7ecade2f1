package guard

import (
	"math"
	"time"

	"github.com/robowarden/robowarden/geofence"
	"github.com/robowarden/robowarden/hal/msg"
	"github.com/robowarden/robowarden/interlock"
)

// This file is the only place where messages become the cores' inputs. It is total: every condition is set in every
// step, and what nobody has looked at is left Unknown, which restricts. It is monotone: an input that gets worse (older,
// less finite, missing) never makes a condition better.

// never is the receive time of what has not arrived.
const never = time.Duration(math.MinInt64)

// fenceInputs gives the geofence the robot's pose and motion.
func (c *Core) fenceInputs() geofence.Inputs {
	b := &c.body
	in := geofence.Inputs{
		Pose:   b.pose.fence(b.seen&InputPose != 0, b.floor),
		Second: b.second.fence(b.seen&InputSecondPose != 0, b.floor),
		Velocity: geofence.Measured{
			Known: b.seen&InputOdometry != 0, Boot: b.velocity.boot,
			Velocity: geofence.Velocity{VX: b.velocity.vx, VY: b.velocity.vy, YawRate: b.velocity.wz},
		},
		Motion: c.secondSource(),
		Roles:  c.params.Roles,
		Egress: geofence.Egress{Zone: geofence.NoZone},
	}
	if c.grant.zone != geofence.NoZone && c.now.Boot < c.grant.expires {
		in.Egress = geofence.Egress{Active: true, Zone: c.grant.zone}
	}
	in.Carried, in.Task, in.Operator = c.carried(), c.named(FactTask), c.named(FactOperator)
	c.fenceLeases(&in.Leases)
	if c.trust.attested(c.now.Boot) {
		in.Roles &^= c.params.Unattested
	}
	return in
}

// fence is a pose in the geofence's terms.
func (s *poseState) fence(seen bool, floor int) geofence.Pose {
	return geofence.Pose{
		Seen: seen, Boot: s.boot, StampNS: s.stamp, X: s.p.X, Y: s.p.Y, Z: s.p.Z, QX: s.q.X, QY: s.q.Y, QZ: s.q.Z, QW: s.q.W,
		FrameOK: s.frameOK, Floor: floor, HasCovariance: s.hasCovariance,
		VarX: s.cov[0], CovXY: s.cov[1], VarY: s.cov[2], VarYaw: s.cov[3],
	}
}

// secondSource is what something else than the localisation says about motion: the joints that carry the robot where
// there are any, else the odometry's speed, since a frozen pose with turning wheels is what it has to unmask.
func (c *Core) secondSource() geofence.Motion {
	b, s := &c.body, &c.params.Standstill
	if s.Joints.Used && fresh(c.now.Boot, b.joints.boot, b.seen&InputJoints != 0, s.Joints.MaxAge) {
		return geofence.Motion{Known: !math.IsNaN(b.joints.carrying), Moving: !(b.joints.carrying < s.Joints.Below)}
	}
	if fresh(c.now.Boot, b.velocity.boot, b.seen&InputOdometry != 0, s.Linear.MaxAge) {
		v := b.velocity.speed()
		return geofence.Motion{Known: !math.IsNaN(v), Moving: !(v < s.Linear.Below)}
	}
	return geofence.Motion{}
}

func fresh(now, at time.Duration, seen bool, maxAge time.Duration) bool {
	return seen && now-at <= maxAge
}

// takePosture gives the geofence the joints. What is wrong with one joint makes it unknown: then all that it could reach counts.
func (c *Core) takePosture(j *msg.Joints, boot time.Duration) {
	if !c.params.Set.Limbs() && c.pending == nil {
		return
	}
	p := &c.posture
	*p = geofence.Posture{Boot: boot, HasVelocity: j.HasVelocity, Position: j.Position, Velocity: j.Velocity}
	for i := range min(j.N, c.params.Joints.N) {
		if j.Seen&(1<<i) != 0 && c.params.Joints.check(j, i) == interlock.CauseNone {
			p.Known |= 1 << i
		}
	}
	c.fence.Posture(p)
	for i := range c.pending {
		c.pending[i].fence.Posture(p)
	}
}

// standstillInput gives the estimator the newest measurement of each source.
func (c *Core) standstillInput() interlock.StandstillInput {
	b := &c.body
	odometry := b.seen&InputOdometry != 0
	return interlock.StandstillInput{
		Linear:  interlock.Source{Received: b.velocity.boot, Seen: odometry, Value: b.velocity.speed()},
		Angular: interlock.Source{Received: b.velocity.boot, Seen: odometry, Value: math.Abs(b.velocity.wz)},
		Joints:  interlock.Source{Received: b.joints.boot, Seen: b.seen&InputJoints != 0, Value: b.joints.carrying},
		IMU:     interlock.Source{Received: b.imu.boot, Seen: b.seen&InputIMU != 0, Value: b.imu.value},
	}
}

// conditions sets every trigger's condition and the rest of the machine's inputs.
func (c *Core) conditions(boot time.Duration) {
	in := &c.inputs
	in.Conditions = [interlock.NumTriggers]interlock.Condition{}
	set := &in.Conditions
	c.poseConditions(set)
	c.zoneConditions(set)
	c.bodyConditions(boot, set)
	c.channelConditions(boot, set)
	c.busConditions(boot, set)
	c.selfConditions(boot, set)
	c.orderConditions(set)
	c.trustConditions(boot, set)
	c.commanderConditions(boot, set)
	c.actuationConditions(boot, set)
	in.Fence = c.fenceAxes()
	in.Standstill = c.motion.State == interlock.Standing
	in.DockChannel = c.dockChannel()
	in.DockPossible = c.params.HasDock && in.DockChannel != 0 && c.verdict.Place == geofence.Outside && !c.rungs.DockRefused
	in.Carrying = c.verdict.Loads&^c.params.DockLoads != 0
	in.HoldImpossible = c.down.out.HoldImpossible
	// The way out of a zone in which it must not stand is that of the policy in force alone.
	in.Refuge = interlock.Refuge{Possible: c.verdict.Refuge.On && c.pending == nil, MPS: c.params.CreepMPS, Within: c.verdict.RefugeWithin}
	in.Suspended, in.SuspendedMPS = interlock.TriggerSet{}, 0
	if c.verdict.Place == geofence.Inside && c.grant.zone == c.verdict.Zone && boot < c.grant.expires {
		// A grant lifts the hold of the one zone that it names; the geofence then lets only motion out of it pass.
		in.Suspended, in.SuspendedMPS = interlock.Set(interlock.ZoneInside), c.params.CreepMPS
	}
}

// present says whether a fault that somebody looked for is there.
func present(there bool, cause interlock.Cause) interlock.Condition {
	if there {
		return interlock.Fault(cause, 0)
	}
	return interlock.OK()
}

// poseFault maps one of the geofence's faults to a trigger.
type poseFault struct {
	fault   geofence.FaultSet
	trigger interlock.Trigger
	cause   interlock.Cause
}

// poseFaults is total over geofence's faults; a test compares the two.
var poseFaults = [...]poseFault{
	{geofence.FaultPoseMissing, interlock.PoseMissing, interlock.CauseNeverSeen},
	{geofence.FaultPoseStale, interlock.PoseStale, interlock.CauseStale},
	{geofence.FaultPoseFuture, interlock.PoseFuture, interlock.CauseFuture},
	{geofence.FaultPoseNotFinite, interlock.PoseInvalid, interlock.CauseNotFinite},
	{geofence.FaultQuaternion, interlock.PoseInvalid, interlock.CauseBadRotation},
	{geofence.FaultFrame, interlock.PoseFrame, interlock.CauseWrongFrame},
	{geofence.FaultFloor, interlock.PoseFloor, interlock.CauseFloorUnknown},
	{geofence.FaultRange, interlock.PoseInvalid, interlock.CauseOutOfLimits},
	{geofence.FaultCovarianceUnknown, interlock.PoseCovariance, interlock.CauseCovarianceUnknown},
	{geofence.FaultCovarianceLarge, interlock.PoseCovariance, interlock.CauseCovarianceHigh},
	{geofence.FaultJump, interlock.PoseJump, interlock.CauseJump},
	{geofence.FaultFrozen, interlock.PoseFrozen, interlock.CauseFrozen},
	{geofence.FaultStampOrder, interlock.PoseInvalid, interlock.CauseBackwards},
	{geofence.FaultVelocityUnknown, interlock.OdometryMissing, interlock.CauseMissing},
	{geofence.FaultVelocityRange, interlock.OdometryMissing, interlock.CauseOutOfLimits},
	{geofence.FaultClock, interlock.ClockJump, interlock.CauseBootClockBack},
	{geofence.FaultNotValid, interlock.PolicyExpired, interlock.CauseExpired},
	{geofence.FaultDisagree, interlock.PoseDisagreement, interlock.CauseSourcesDiffer},
	{geofence.FaultSecondLost, interlock.PoseSecondMissing, interlock.CauseUnusable},
}

func (c *Core) poseConditions(set *[interlock.NumTriggers]interlock.Condition) {
	for i := range poseFaults {
		f := &poseFaults[i]
		set[f.trigger] = interlock.Worse(set[f.trigger], present(c.verdict.Faults&f.fault != 0, f.cause))
		if set[f.trigger].State == interlock.Unknown {
			set[f.trigger] = interlock.OK()
		}
	}
}

// zoneConditions passes on where the contour is. While the place is unknown, so is whether it is inside: that keeps
// what was latched, and the unknown verdict is a trigger of its own.
func (c *Core) zoneConditions(set *[interlock.NumTriggers]interlock.Condition) {
	v := &c.verdict
	zone := uint16(0)
	if v.Zone != geofence.NoZone {
		zone = uint16(v.Zone + 1) //nolint:gosec // Compile caps zones at 10 000
	}
	if v.Place == geofence.PlaceUnknown && v.Faults == 0 && !c.crowded {
		set[interlock.ZoneUnknown] = interlock.Fault(interlock.CauseUnknownInput, 0)
		return // nobody has looked yet
	}
	c.restrictions(set)
	if v.Place == geofence.PlaceUnknown || c.awaitsLoad() {
		set[interlock.ZoneUnknown] = interlock.Fault(interlock.CauseUnknownInput, 0)
		return
	}
	set[interlock.ZoneUnknown] = interlock.OK()
	set[interlock.ZoneInside], set[interlock.ZoneMargin], set[interlock.ZoneOverrun] = interlock.OK(), interlock.OK(), interlock.OK()
	switch {
	case v.Place != geofence.Inside:
		c.inside, c.loads = interlock.CauseNone, v.Loads
	case c.inside == interlock.CauseNone:
		// How it came about is seen at the first moment only: whoever went in stands there later too.
		c.inside = c.insideCause()
	}
	switch {
	case v.Place == geofence.Inside:
		set[interlock.ZoneInside] = interlock.Fault(c.inside, zone)
	case v.Place == geofence.Margin:
		set[interlock.ZoneMargin] = interlock.Fault(interlock.CauseNone, zone)
	}
	if v.Trip {
		set[interlock.ZoneOverrun] = interlock.Fault(interlock.CauseCannotStop, zone)
	}
}

// restrictions passes on what zones restrict beside motion, and what they tell. Under an unknown place it counts as well:
// the geofence then restricts by every zone in which the robot may be.
func (c *Core) restrictions(set *[interlock.NumTriggers]interlock.Condition) {
	v := &c.verdict
	lost := interlock.CauseExpired
	if l, ok := c.lease(v.Lost.Zone); ok && v.Lost.On && l.State == geofence.Revoked {
		lost = interlock.CauseOrdered
	}
	for _, r := range [...]struct {
		of      []*geofence.Restriction
		trigger interlock.Trigger
		cause   interlock.Cause
	}{
		{[]*geofence.Restriction{&v.Manipulators}, interlock.ZoneNoManipulation, interlock.CauseNone},
		{[]*geofence.Restriction{&v.Perception, &v.Remote}, interlock.ZonePrivacy, interlock.CauseNone},
		{[]*geofence.Restriction{&v.Dwell}, interlock.ZoneDwell, interlock.CauseNone},
		{[]*geofence.Restriction{&v.DoorHeld}, interlock.ZoneDoorHeld, interlock.CauseNone},
		{[]*geofence.Restriction{&v.Lost}, interlock.ZoneLeaseLost, lost},
		{[]*geofence.Restriction{&v.Warn}, interlock.ZoneWarn, interlock.CauseNone},
	} {
		set[r.trigger] = interlock.OK()
		for _, o := range r.of {
			if o.On {
				set[r.trigger] = interlock.Fault(causeOf(o, r.cause), uint16(o.Zone+1)) //nolint:gosec // Compile caps zones at 10 000
			}
		}
	}
}

// causeOf is the cause of a restriction, for one that is there only because the place is unknown that.
func causeOf(r *geofence.Restriction, cause interlock.Cause) interlock.Cause {
	if r.Reason == geofence.ReasonPlaceUnknown || cause == interlock.CauseNone && !r.Certain {
		return interlock.CauseUnknownInput
	}
	return cause
}

// insideCause tells a robot that went in from a zone that came over it.
func (c *Core) insideCause() interlock.Cause {
	const settle = 2 * time.Second
	l, leased := c.lease(c.verdict.Zone)
	switch {
	case leased && l.State == geofence.Revoked:
		return interlock.CauseOrdered
	case leased && l.State == geofence.Expired:
		return interlock.CauseExpired
	case c.verdict.Zone != geofence.NoZone && c.params.Set.Zone(c.verdict.Zone).Kind == geofence.KeepIn:
		return interlock.CauseLeftKeepIn
	case c.loadedAt != never && c.now.Boot-c.loadedAt < settle:
		return interlock.CauseLoadedOver
	case c.verdict.Loads != c.loads:
		return interlock.CauseLoadTaken
	case c.motion.State == interlock.Standing:
		return interlock.CauseShiftChanged
	}
	return interlock.CauseEnteredZone
}

// fenceAxes is what the geofence demands without a trigger: the speed of the zones that the robot is in, and slow arms
// close to a zone that binds them. The gate applies the braking curve to each command by itself.
func (c *Core) fenceAxes() interlock.Axes {
	axes := interlock.Unrestricted()
	if c.verdict.SpeedLimited {
		axes.Motion, axes.MaxSpeedMPS = interlock.MotionLimited, c.verdict.MaxSpeedMPS
	}
	if c.verdict.Parts.Place == geofence.Margin {
		// Inside is a trigger; in the margin arms may still work, with reduced limits.
		axes.Manipulators = interlock.ManipulatorsLimited
	}
	return axes
}

func (c *Core) bodyConditions(boot time.Duration, set *[interlock.NumTriggers]interlock.Condition) {
	b, p := &c.body, &c.params.Joints
	set[interlock.JointsMissing], set[interlock.JointsInvalid] = interlock.OK(), interlock.OK()
	if p.N > 0 {
		switch {
		case b.seen&InputJoints == 0:
			set[interlock.JointsMissing] = interlock.Fault(interlock.CauseNeverSeen, 0)
		case boot-b.joints.boot > p.MaxAge:
			set[interlock.JointsMissing] = interlock.Fault(interlock.CauseStale, 0)
		case !b.joints.complete:
			set[interlock.JointsMissing] = interlock.Fault(interlock.CauseIncomplete, 0)
		case b.joints.bad != 0:
			set[interlock.JointsInvalid] = interlock.Fault(b.joints.cause, b.joints.bad)
		}
	}
	set[interlock.OdometryMissing] = interlock.Worse(set[interlock.OdometryMissing], c.motion.Odometry)
	set[interlock.SecondSourceMissing] = c.motion.Second
	set[interlock.BatteryLow] = c.batteryCondition(boot)
	fall := c.fall.Status(boot)
	set[interlock.RobotFallen], set[interlock.IMUMissing] = fall.Fallen, fall.Missing
	set[interlock.PostureDue], set[interlock.PostureFailed] = c.down.out.Due, c.down.out.Failed
}

// takeLean shows a message of the inertial unit to the watch for falls.
func (c *Core) takeLean(m *msg.IMU, boot time.Duration) {
	q, a := &m.Orientation, &m.LinearAcceleration
	c.fall.Observe(&interlock.FallReading{
		Received: boot, HasOrientation: m.HasOrientation, Orientation: [4]float64{q.X, q.Y, q.Z, q.W},
		HasAcceleration: m.HasLinearAcceleration, Acceleration: [3]float64{a.X, a.Y, a.Z},
	})
}

// batteryCondition is clear for a battery that was heard of lately, with a charge that can be true and is enough.
// Before the first message, startup holds the robot anyway.
func (c *Core) batteryCondition(boot time.Duration) interlock.Condition {
	const full = 1.05 // gauges overshoot a little; a charge in percent is no ratio
	b := &c.body.battery
	if !c.params.HasBattery || c.params.Required&InputBattery == 0 || c.body.seen&InputBattery == 0 {
		return interlock.OK()
	}
	switch r := b.ratio; {
	case boot-b.boot > batteryMaxAge:
		return interlock.Fault(interlock.CauseStale, 0)
	case !(r <= full):
		return interlock.Fault(interlock.CauseOutOfLimits, 0)
	case !(r >= c.params.BatteryLow) && !b.charging:
		return interlock.Fault(interlock.CauseBelowLimit, 0)
	}
	return interlock.OK()
}

func (c *Core) channelConditions(boot time.Duration, set *[interlock.NumTriggers]interlock.Condition) {
	triggers := [...]interlock.Trigger{
		interlock.HeartbeatLate, interlock.HeartbeatLost, interlock.HeartbeatHostile, interlock.StopRequested, interlock.CommandInvalid,
	}
	for _, t := range triggers {
		set[t] = interlock.OK()
	}
	for i, b := range c.beats {
		s := b.Status(boot)
		c.beatStatus[i] = s
		if i == 0 {
			// Worse keeps an Unknown only against OK; start from the first endpoint's own state.
			set[interlock.HeartbeatLate], set[interlock.HeartbeatLost] = s.Late, s.Lost
			set[interlock.HeartbeatHostile], set[interlock.StopRequested] = s.Hostile, s.StopRequested
			continue
		}
		set[interlock.HeartbeatLate] = interlock.Worse(set[interlock.HeartbeatLate], s.Late)
		set[interlock.HeartbeatLost] = interlock.Worse(set[interlock.HeartbeatLost], s.Lost)
		set[interlock.HeartbeatHostile] = interlock.Worse(set[interlock.HeartbeatHostile], s.Hostile)
		set[interlock.StopRequested] = interlock.Worse(set[interlock.StopRequested], s.StopRequested)
	}
	if b := &c.badCommand; b.condition.State == interlock.Present && boot-b.boot < badCommandHold {
		set[interlock.CommandInvalid] = b.condition
	}
	c.healthConditions(set)
}

// because is the trigger that restricts motion most, for the gate's reasons.
func (c *Core) because() interlock.Trigger {
	if c.decision.N > 0 {
		return c.decision.Active[0].Trigger
	}
	return interlock.NumTriggers
}

// command gives the gate a command in its own terms.
func (c *Core) command(ev *Event) interlock.Command {
	m := ev.Command
	cmd := interlock.Command{
		Velocity: interlock.Velocity{
			Linear:  [3]float64{m.Linear.X, m.Linear.Y, m.Linear.Z},
			Angular: [3]float64{m.Angular.X, m.Angular.Y, m.Angular.Z},
		},
		Received: ev.Boot,
		Mark:     c.mark,
	}
	if m.Channel >= 0 && m.Channel < len(c.params.Channels) {
		p := &c.params.Channels[m.Channel]
		cmd.Channel, cmd.Kind, cmd.Dock = uint16(m.Channel+1), p.Kind, p.Dock
		cmd.Refused = c.refused
		if cmd.Refused == interlock.GatePassed && !c.controlled(m.Channel) {
			cmd.Refused = interlock.GateNoSession
		}
		cmd.WrongFrame = p.Frame != "" && m.Frame != p.Frame
	}
	if m.Stamp != 0 {
		cmd.Stamped, cmd.Age = true, time.Duration(ev.Civil-m.Stamp)
	}
	if m.Peer == nil || m.Peer.Strength == msg.StrengthUnknown {
		cmd.Kind = interlock.ChannelUnknown // A command from nobody passes nowhere.
	}
	return cmd
}
