package guard

import (
	"math"
	"time"

	"github.com/robowarden/robowarden/geofence"
	"github.com/robowarden/robowarden/hal/msg"
	"github.com/robowarden/robowarden/interlock"
)

// MaxGates is the largest number of gates beside that of the base's velocity.
const MaxGates = 16

// GateMode says what a gate does with what it judges.
type GateMode uint8

// Modes of a gate.
const (
	// GateInline stands between commander and consumer: what may not pass never reaches the consumer.
	GateInline GateMode = iota
	// GateLock stands beside: the consumer obeys a lock topic, which says whether anything may pass at all.
	GateLock
	// GateMonitor stands beside and says what it would have done.
	GateMonitor
)

// String names the mode as topic mappings write it.
func (m GateMode) String() string {
	if m > GateMonitor {
		return "unknown"
	}
	return [...]string{"inline", "lock", "monitor"}[m]
}

// GateParams is one gate for commands that are passed on whole or not at all.
type GateParams struct {
	Name   string
	Mode   GateMode
	Config interlock.DemandConfig
	// Frame is the frame that demands must carry, empty where it does not matter. For a goal without one it is that of the
	// pose, or one of those that choose the floor.
	Frame string
	// Subject is the number by which triggers name the gate: that of its watch.
	Subject uint16
	// Timed is true if a demand's points have times.
	Timed bool
	// Ends is true if the gate can tell the consumer to stop what is under way.
	Ends bool
}

// gateState is what the core keeps of one gate.
type gateState struct {
	core *interlock.DemandGate
	out  interlock.DemandOutput
	// last is what became of the newest demand: its reason, joint and zone. noted is when each reason was recorded last.
	last  demandOutcome
	noted [interlock.NumDemandReasons]time.Duration
	// lockDue and lockSent are those of the gate's lock topic.
	lockDue  time.Duration
	lockSent lockValue
}

// demandOutcome is what became of a demand.
type demandOutcome struct {
	any    bool
	reason interlock.DemandReason
	joint  int16
	zone   int16
	// found and limit are the joint's figures.
	found, limit float64
}

// demands is what the core keeps for judging demands.
type demands struct {
	gates []gateState
	// goal answers about goals, nil without a gate for any.
	goal    *geofence.Fence
	verdict geofence.Verdict
	// measured is the newest joint state, of boot.
	measured interlock.MeasuredJoints
	boot     time.Duration
	joints   interlock.JointDemand // scratch space
}

// demandNoteEvery is the shortest time between two records of one reason at one gate: each event is in the journal anyway,
// and who sends good and bad commands in turn must not fill it with words, nor hide one reason behind others.
const demandNoteEvery = time.Second

func (d *demands) open(p *Params) error {
	for i := range p.Gates {
		g, err := interlock.NewDemandGate(p.Gates[i].Config)
		if err != nil {
			return err
		}
		s := gateState{core: g, last: demandOutcome{joint: -1, zone: geofence.NoZone}}
		for r := range s.noted {
			s.noted[r] = never
		}
		d.gates = append(d.gates, s)
	}
	d.boot = never
	d.ask(p)
	return nil
}

// ask makes the fence that answers about goals.
func (d *demands) ask(p *Params) {
	for i := range p.Gates {
		if p.Gates[i].Config.Kind == interlock.DemandGoal {
			d.goal = geofence.New(p.Set)
			return
		}
	}
}

// takeMeasured keeps where the joints are, for the way to a command's first point.
func (d *demands) takeMeasured(j *msg.Joints, boot time.Duration, p *JointParams) {
	if len(d.gates) == 0 {
		return
	}
	was, passed := d.measured, boot-d.boot
	d.boot, d.measured = boot, interlock.MeasuredJoints{At: boot, Position: j.Position}
	for i := range min(j.N, p.N) {
		if j.Seen&(1<<i) == 0 || p.check(j, i) != interlock.CauseNone {
			continue
		}
		d.measured.Known |= 1 << i
		speed := math.Abs(j.Velocity[i])
		if !j.HasVelocity {
			// One measurement says nothing about speed, and neither do two at one time.
			if passed <= 0 || was.At == 0 || was.Known&(1<<i) == 0 {
				continue
			}
			speed = math.Abs(j.Position[i]-was.Position[i]) / passed.Seconds()
		}
		if speed < p.ArmsBelow {
			d.measured.Still |= 1 << i
		}
	}
}

// judge lets every gate look at the event.
func (c *Core) judge(ev *Event, fx *Effects) {
	d := &c.demands
	for i := range d.gates {
		g, p := &d.gates[i], &c.params.Gates[i]
		in := interlock.DemandInput{Axes: c.decision.Axes, Latched: c.decision.HeldByLatch(), Because: c.because()}
		if fresh(ev.Boot, d.boot, d.boot != never, c.params.Joints.MaxAge) {
			in.Measured = &d.measured
		}
		zone := geofence.NoZone
		if ev.Kind == EventDemand && ev.Demand.Channel == i {
			in.New = true
			in.Demand, zone = c.demand(ev, p)
		}
		g.core.Step(ev.Boot, &in, &g.out)
		if in.New {
			o := &g.out
			g.last = demandOutcome{true, o.Reason, int16(o.Joint), int16(zone), o.Found, o.Limit} //nolint:gosec // at most 64 joints; Compile caps zones at 10 000
			fx.Demand, fx.Gate = true, uint8(i)                                                   //nolint:gosec // at most MaxGates
			fx.Sum = ev.Demand.Sum
			fx.Pass = o.Pass && p.Mode == GateInline
			if p.Mode != GateMonitor {
				c.badCommand.noteDemand(ev.Boot, o.Reason, p.Subject)
			}
		}
		if g.out.End && p.Ends && p.Mode == GateInline {
			fx.End |= 1 << i
		}
		if g.news(ev.Boot, in.New) {
			fx.Judged |= 1 << i
		}
		c.lockGate(ev, i, fx)
	}
	if fx.End != 0 {
		fx.Measured, fx.MeasuredKnown = c.demands.measured.Position, c.demands.measured.Known
		if !fresh(ev.Boot, d.boot, d.boot != never, c.params.Joints.MaxAge) {
			fx.MeasuredKnown = 0
		}
	}
}

// news says whether what the gate just did is to be recorded: that it ended something always, what became of a demand once in
// demandNoteEvery for each reason.
func (g *gateState) news(boot time.Duration, judged bool) bool {
	if !judged {
		return g.out.End && !g.out.Again
	}
	at := &g.noted[g.last.reason]
	if *at != never && boot-*at < demandNoteEvery {
		return g.out.End && !g.out.Again
	}
	*at = boot
	return true
}

// lockGate keeps a gate's lock topic fed.
func (c *Core) lockGate(ev *Event, i int, fx *Effects) {
	g := &c.demands.gates[i]
	if c.params.Gates[i].Mode != GateLock {
		return
	}
	locked := !g.out.Open
	if ev.Boot < g.lockDue && locked == (g.lockSent == lockClosed) {
		return
	}
	g.lockDue, g.lockSent = ev.Boot+gateLockPeriod, lockOpen
	if locked {
		g.lockSent = lockClosed
		fx.GatesLocked |= 1 << i
	}
	fx.SendGateLock |= 1 << i
}

// demand gives a gate a demand in its own terms, and the zone in which a goal lies.
func (c *Core) demand(ev *Event, p *GateParams) (interlock.DemandItem, int) {
	m, zone := ev.Demand, geofence.NoZone
	out := interlock.DemandItem{Received: ev.Boot, FrameOK: p.Frame == "" || m.Frame == p.Frame}
	out.Known = m.Peer != nil && m.Peer.Strength != msg.StrengthUnknown
	if m.Stamp != 0 {
		out.Stamped, out.Age = true, time.Duration(ev.Civil-m.Stamp)
	}
	switch {
	case p.Config.Kind == interlock.DemandJoints && m.Form == msg.FormJoints && m.Joints != nil:
		c.outline(m.Joints, p.Timed)
		out.Joints = &c.demands.joints
	case p.Config.Kind == interlock.DemandGoal && (m.Form == msg.FormGoal || m.Form == msg.FormNavigate):
		var frame bool
		out.Goal, zone, frame = c.goal(ev)
		out.FrameOK = out.FrameOK && frame
	}
	return out, zone
}

// outline gives the interlock a command to joints in its own terms.
// timed says that its points have times, be it time 0: as soon as can be is a time as well.
func (c *Core) outline(t *msg.Trajectory, timed bool) {
	c.demands.joints = interlock.JointDemand{
		Points: t.Points, Seen: t.Seen, Unknown: t.Unknown,
		Lengths: t.Fault == msg.FaultLengths, Twice: t.Fault == msg.FaultTwice, Count: t.Fault > msg.FaultTwice,
		NotFinite: t.NotFinite, Timed: timed || t.Points > 1 || t.Start != 0, Rising: t.Monotonic, Start: t.Start, Duration: t.Duration,
		First: t.First, Lowest: t.Lowest, Highest: t.Highest, Velocity: t.Velocity, Effort: t.Effort, Slope: t.Slope,
	}
}

// goal asks the geofence about a goal: whether the robot's contour may be there now, in its roles.
func (c *Core) goal(ev *Event) (answer interlock.GoalAnswer, zone int, frameOK bool) {
	m, floor := ev.Demand, c.body.floor
	frameOK = c.params.Pose.Frame != "" && m.Frame == c.params.Pose.Frame
	for i := range c.params.Pose.Frames {
		if f := &c.params.Pose.Frames[i]; f.Frame == m.Frame {
			frameOK, floor = true, f.Floor
		}
	}
	if !finitePose(&m.Goal) {
		return interlock.GoalNotFinite, geofence.NoZone, frameOK
	}
	if m.Goal.Unlisted {
		return interlock.GoalUnlisted, geofence.NoZone, frameOK
	}
	if c.demands.goal == nil || floor < 0 {
		return interlock.GoalUnknown, geofence.NoZone, frameOK
	}
	in := c.fenceInputs()
	in.Egress = geofence.Egress{Zone: geofence.NoZone}
	in.Velocity, in.Motion = geofence.Measured{Known: true, Boot: ev.Boot}, geofence.Motion{}
	v := goalVariance
	in.Pose = geofence.Pose{
		Seen: true, Boot: ev.Boot, StampNS: ev.Civil, X: m.Goal.Position.X, Y: m.Goal.Position.Y, Z: m.Goal.Position.Z,
		QX: m.Goal.Orientation.X, QY: m.Goal.Orientation.Y, QZ: m.Goal.Orientation.Z, QW: m.Goal.Orientation.W,
		FrameOK: true, Floor: floor, HasCovariance: true, VarX: v, VarY: v, VarYaw: v,
	}
	in.Second = in.Pose
	c.demands.goal.Goal(c.now, &in, &c.demands.verdict)
	answer, zone = goalAnswer(&c.demands.verdict)
	for _, p := range c.pending {
		if p.goal == nil || answer != interlock.GoalAllowed {
			continue
		}
		old := in
		c.before(&old, p.goal.Set())
		p.goal.Goal(c.now, &old, &c.demands.verdict)
		answer, _ = goalAnswer(&c.demands.verdict)
	}
	return answer, zone, frameOK
}

// goalVariance is that of a goal's pose, in m² and rad²: a goal is exact. The geofence believes nobody to be better than the
// profile's min_stddev_m.
const goalVariance = 1e-6

func goalAnswer(v *geofence.Verdict) (interlock.GoalAnswer, int) {
	switch {
	case v.Place == geofence.PlaceUnknown:
		return interlock.GoalUnknown, v.Zone
	case v.Place == geofence.Inside, v.Hold:
		return interlock.GoalForbidden, v.Zone
	case v.Refuge.On: // a NO_STOP zone: whoever reaches a goal stands there
		return interlock.GoalForbidden, v.Refuge.Zone
	}
	return interlock.GoalAllowed, v.Zone
}

func finitePose(g *msg.Goal) bool {
	p, q := &g.Position, &g.Orientation
	for _, x := range [...]float64{p.X, p.Y, p.Z, q.X, q.Y, q.Z, q.W} {
		if x-x != 0 { // 0 for every finite x, and NaN for the others
			return false
		}
	}
	return true
}

// noteDemand is note for demands.
func (b *badCommand) noteDemand(boot time.Duration, reason interlock.DemandReason, subject uint16) {
	switch reason {
	case interlock.DemandNotFinite:
		*b = badCommand{boot, interlock.Fault(interlock.CauseNotFinite, subject)}
	case interlock.DemandStale:
		*b = badCommand{boot, interlock.Fault(interlock.CauseStale, subject)}
	case interlock.DemandFuture:
		*b = badCommand{boot, interlock.Fault(interlock.CauseFuture, subject)}
	default:
	}
}
