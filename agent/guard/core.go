package guard

import (
	"math"
	"time"

	"github.com/robowarden/robowarden/geofence"
	"github.com/robowarden/robowarden/hal/msg"
	"github.com/robowarden/robowarden/interlock"
)

// Core joins the two pure cores and the robot's state into one function from events to effects. It reads no clock,
// starts nothing and allocates nothing while it applies events; it is not safe for concurrent use.
type Core struct {
	params  *Params
	fence   *geofence.Fence
	machine *interlock.Machine
	gate    *interlock.Gate
	ladder  *interlock.Ladder
	still   *interlock.Standstill
	loop    *interlock.LoopWatch
	clock   *interlock.ClockWatch
	beats   []*interlock.Heartbeat
	// proofs are the watches over commanders, by channel; nil where none have to prove themselves.
	proofs  []*interlock.ProofWatch
	watches []watch
	// health watches the command channels, follow the base that is told by them.
	health []*interlock.ChannelWatch
	follow *interlock.FollowWatch
	// fall watches whether the robot stands on its feet.
	fall *interlock.FallWatch
	// down is the way down of a robot that stands by balance.
	down posture

	body  body
	chain chain
	grant grant
	// leases are the answers to requests for zones.
	leases [MaxSignedLeases]leaseSlot
	// facts are what the bus says about load, task, operator, doors and badges.
	facts [MaxFacts]factState
	order orderState
	// authority is what signed orders allow for a while.
	authority authority
	trust     trust
	// host is the program's report on itself; privacy is what cameras and microphones do.
	host    hostState
	privacy privacy
	// devices is what actuators and inputs have reported.
	devices deviceReports
	// trial is the proof test at the robot, commissioned what is known about the record of the last one.
	trial        trialState
	commissioned Commissioned
	// age is what is known of the age of the state on disk.
	age age
	// policyFault says why the policy in force is not proven.
	policyFault interlock.Cause
	// started is when the core began.
	started time.Duration

	// What the last decision was made of.
	now      geofence.Instant
	verdict  geofence.Verdict
	limit    geofence.Limit
	inputs   interlock.Inputs
	decision interlock.Decision
	motion   interlock.StandstillOutput
	gated    interlock.GateOutput
	rungs    interlock.LadderOutput
	acks     [interlock.MaxRungs]interlock.Ack

	seq      uint64
	digest   uint64
	lockDue  time.Duration
	lockSent lockValue
	tick     Tick
	tickBoot time.Duration
	attacks  uint64
	// conflict is when somebody last spoke in the name of a publisher on a topic that no watch follows.
	conflict   time.Duration
	persons    [MaxPersons]interlock.Person
	badCommand badCommand
	// weak is the last command whose sender is known less well than the policy demands.
	weak     badCommand
	composed msg.Pose
	unclean  bool
	// stirred is true once the robot was let move, or was measured to move, since the start; or if the last run may have left it moving.
	stirred bool
	// pending are the policies before, the oldest first, until the robot stands; crowded says that there were too many.
	pending    []*pendingPolicy
	crowded    bool
	posture    geofence.Posture // scratch space
	beatStatus []interlock.HeartbeatStatus
	// healthStatus and followStatus are what the watches of channels and base said last; told is the command that went out last.
	healthStatus []interlock.ChannelStatus
	followStatus interlock.FollowStatus
	told         interlock.Velocity
	// mark is what its channel's watch found about the command that is being applied.
	mark interlock.ArrivalMark
	// refused is what speaks against its sender.
	refused interlock.GateReason
	// The last tick's answers of the two watches that look at ticks.
	loopFault, clockFault interlock.Condition
	ending                bool
	loadedAt              time.Duration
	// passing is the command that the gate passed last, as it came in: it stays in force until the next, so its limit has
	// to follow the robot.
	passing geofence.Velocity
	demands demands
	// inside says how the robot came to be inside a zone, CauseNone while it is not.
	inside interlock.Cause
	// loads are what the robot was taken to carry when it was last outside.
	loads geofence.LoadSet
	// loadKnown is true once it was known what the robot carries.
	loadKnown bool
}

// lockValue is what the lock topic was last told.
type lockValue uint8

const (
	lockUnsent lockValue = iota
	lockOpen
	lockClosed
)

// grant is a verified permission to creep out of one zone.
type grant struct {
	zone    int
	expires time.Duration
}

// orderState is what standing orders demand.
type orderState struct {
	stop   bool
	result OrderResult
}

// OrderResult is what the core did with an order.
type OrderResult struct {
	// Applied is true if the order changed anything.
	Applied bool
	// Reset says for each trigger what became of a reset.
	Reset interlock.ResetResult
	// Override says for each trigger what became of an override, Session what became of an order about a session.
	Override interlock.OverrideResult
	Session  SessionOutcome
}

// Apply takes one event and says what has to be done.
func (c *Core) Apply(ev *Event, fx *Effects) {
	c.seq++
	*fx = Effects{Seq: c.seq}
	c.now = geofence.Instant{Boot: ev.Boot, Civil: time.Unix(0, ev.Civil).UTC(), Trust: geofence.ClockTrust(c.tick.Trust)}
	c.authority.n = 0
	c.ageSessions(ev.Boot)
	c.take(ev)
	if looks(ev.Kind) || ev.Kind == EventJoints && c.params.Set.Limbs() {
		// Otherwise the verdict of the last look stands; the geofence adds the pose's further age to every limit.
		c.look()
	}
	before := c.decision
	c.stepTrial(ev)
	c.overridden(ev.Boot, &c.inputs, whyEnded(ev))
	c.decide(ev.Boot)
	c.stopSessions()
	fx.Decided = differs(&before, &c.decision)
	c.move(ev, fx)
	c.judge(ev, fx)
	c.climb(ev, fx)
	c.ask(ev.Boot, fx)
	c.askCommanders(ev.Boot, fx)
	c.sendLock(ev, fx)
	fx.LatchesChanged = c.decision.LatchesChanged
	fx.Private = c.privacy.since != never
	fx.CloseDevices = c.privacy.ask(ev.Boot)
	c.digest = c.mix(fx)
	fx.Digest = c.digest
}

// differs says whether a decision is news for people: axes, category, or which triggers are active.
func differs(a, b *interlock.Decision) bool {
	return a.Axes != b.Axes || a.Category != b.Category || a.ActiveSet != b.ActiveSet || a.LatchedSet != b.LatchedSet || a.Seq == 0
}

// looks says whether an event of this kind makes the geofence look again.
func looks(k EventKind) bool {
	switch k {
	case EventTick, EventPose, EventOdometry, EventTransform, EventFloor, EventOrder, EventAttestation, EventSession, EventFact:
		return true
	default:
		return false
	}
}

// look asks the geofence where the robot is and whether it can stop in time.
func (c *Core) look() {
	in := c.fenceInputs()
	if in.Carried.Known && c.awaitsLoad() {
		c.fence.Anew() // what a load might have reached that is not there
	}
	c.loadKnown = c.loadKnown || in.Carried.Known
	c.fence.Step(c.now, &in, &c.verdict)
	c.moveLeases(c.now.Boot)
	c.stepPending(&in, c.motion.State == interlock.Standing)
}

// decide joins every condition into one decision.
func (c *Core) decide(boot time.Duration) {
	in := c.standstillInput()
	c.still.Step(boot, &in, &c.motion)
	c.watchChannels(boot)
	c.conditions(boot)
	c.machine.Step(boot, &c.inputs, &c.decision)
	c.stirred = c.stirred || c.motion.State == interlock.Moving || c.decision.Axes.Motion > interlock.MotionHold
	c.privacy.follow(boot, c.decision.Axes.Perception)
}

// move passes a command through the gate, or lets the gate's own timeouts run.
func (c *Core) move(ev *Event, fx *Effects) {
	in := interlock.GateInput{
		Closed: c.closed(), Axes: c.decision.Axes, Latched: c.decision.HeldByLatch(), Because: c.because(), Ratio: 1, MaxSpeedMPS: math.Inf(1),
	}
	if ev.Kind == EventCommand {
		in.New, in.OfNew = true, true
		in.Command = c.command(ev)
		l := &in.Command.Linear
		c.limit = c.limitAll(geofence.Velocity{VX: l[0], VY: l[1], YawRate: in.Command.Angular[2]})
		in.Ratio = c.limit.Ratio
	} else if c.passing != (geofence.Velocity{}) && looks(ev.Kind) {
		// The robot nears the edge on a command that it was given before: the gate lowers that one without waiting for
		// the next.
		c.limit = c.limitAll(c.passing)
		in.Ratio = c.limit.Ratio
	}
	if c.verdict.SpeedLimited {
		in.MaxSpeedMPS = c.verdict.MaxSpeedMPS
	}
	if o := &c.trial.order; o.On {
		in.MaxSpeedMPS = min(in.MaxSpeedMPS, o.MPS)
	}
	c.gate.Step(ev.Boot, &in, &c.gated)
	c.badCommand.note(ev.Boot, &c.gated, in.Command.Channel)
	switch {
	case in.New && !c.gated.Dropped:
		v := &in.Command.Velocity
		c.passing = geofence.Velocity{VX: v.Linear[0], VY: v.Linear[1], YawRate: v.Angular[2]}
	case c.gated.Ratio == 0:
		c.passing = geofence.Velocity{} // Nothing passes; what is at zero already cannot be lowered.
	}
	send := c.testing(ev.Boot, &c.gated)
	told := send
	v := &c.gated.Velocity
	if c.params.Deaf {
		told, v = in.New, &in.Command.Velocity
	}
	if told {
		c.told = *v
		// The geofence has to know what is on its way to a robot that follows late.
		sent := geofence.Velocity{VX: v.Linear[0], VY: v.Linear[1], YawRate: v.Angular[2]}
		c.fence.Issued(c.now, sent)
		for _, p := range c.pending {
			p.fence.Issued(c.now, sent)
		}
	}
	fx.Send = send
	fx.Command = twist(c.gated.Velocity)
}

// climb moves the stop ladder on.
func (c *Core) climb(ev *Event, fx *Effects) {
	in := interlock.LadderInput{
		Demand: interlock.DemandOf(c.decision.Axes), Motion: c.motion.State,
		SpeedMPS: c.motion.SpeedMPS, SpeedKnown: c.motion.SpeedKnown, Acks: c.acks,
		PowerOff: c.decision.Category == interlock.Category1, GoingDown: c.down.out.GoingDown && c.motion.BaseRests,
	}
	before := c.rungs.Assert
	c.ladder.Step(ev.Boot, &in, &c.rungs)
	c.goDown(ev, fx)
	for i := range c.acks {
		// A request that is made anew has not been answered yet.
		if c.rungs.Asked.Has(i) || !c.rungs.Assert.Has(i) && i != c.trial.order.Rung {
			c.acks[i] = interlock.AckNone
		}
		if c.rungs.Asked.Has(i) && !before.Has(i) && c.trial.rungs&(1<<i) != 0 {
			c.down.calls[i]++ // a step goes by it already, but the ladder has not been answered
		}
	}
	fx.Rungs, fx.Calls = c.asserted(), c.down.calls
	fx.RungsChanged = c.rungs.Changed || c.down.out.Asked != 0 || fx.Rungs != c.trial.rungs
	c.trial.rungs = fx.Rungs
}

// ask says which heartbeat endpoints are due for a challenge.
func (c *Core) ask(boot time.Duration, fx *Effects) {
	for i, b := range c.beats {
		if b.Due(boot) {
			fx.Challenge |= 1 << i
		}
	}
}

// sendLock keeps the lock topic fed: silence reads as locked there, which is right when the guard is dead.
func (c *Core) sendLock(ev *Event, fx *Effects) {
	if c.params.LockPeriod <= 0 {
		return
	}
	locked := c.decision.Axes.Motion <= interlock.MotionHold || c.locksAlone()
	if ev.Boot < c.lockDue && locked == (c.lockSent == lockClosed) {
		return
	}
	c.lockDue = ev.Boot + c.params.LockPeriod
	c.lockSent = lockOpen
	if locked {
		c.lockSent = lockClosed
	}
	fx.SendLock, fx.Locked = true, locked
}

// Decision is what the core decided last. It is valid until the next event.
func (c *Core) Decision() *interlock.Decision { return &c.decision }

// Latches gives the mark of each latched trigger, and the zero mark for the others.
func (c *Core) Latches() [interlock.NumTriggers]interlock.LatchMark { return c.machine.Latches() }

// Verdict is what the geofence said last. It is valid until the next event.
func (c *Core) Verdict() *geofence.Verdict { return &c.verdict }

// twist turns interlock's velocity into the wire-neutral one.
func twist(v interlock.Velocity) msg.Twist {
	return msg.Twist{
		Linear:  msg.Vec3{X: v.Linear[0], Y: v.Linear[1], Z: v.Linear[2]},
		Angular: msg.Vec3{X: v.Angular[0], Y: v.Angular[1], Z: v.Angular[2]},
	}
}
