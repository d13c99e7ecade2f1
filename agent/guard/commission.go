package guard

import (
	"math"
	"time"

	"github.com/robowarden/robowarden/agent/commission"
	"github.com/robowarden/robowarden/geofence"
	"github.com/robowarden/robowarden/interlock"
)

// This file is the proof test on the robot: a technician drives by hand, and the core stops the robot and measures. The test
// adds restrictions to those of the policy and takes none away, with one exception that nothing but rest can follow: it sends
// the base no zeros for a bounded time while it may move anyway.

// CommissionState is what the program found about the signed record of the robot's proof test.
type CommissionState uint8

// States. The numbers are part of the journal's format.
const (
	// CommissionUnknown means that nobody has looked yet.
	CommissionUnknown CommissionState = iota
	// CommissionMissing means that there is no record.
	CommissionMissing
	// CommissionRefused means that there is one that does not count: another robot's or profile's, not signed, damaged.
	CommissionRefused
	// CommissionWorse means that the robot measured worse than its profile claims, or that something was not measured.
	CommissionWorse
	// CommissionDueUnknown means that the clock cannot say whether the record still counts.
	CommissionDueUnknown
	// CommissionOverdue means that the record's time is over.
	CommissionOverdue
	// CommissionValid means that the robot stops as its profile claims.
	CommissionValid
	numCommissionStates
)

// String names the state.
func (s CommissionState) String() string {
	if s >= numCommissionStates {
		return "unknown"
	}
	return [numCommissionStates]string{"unknown", "missing", "refused", "worse", "due-unknown", "overdue", "valid"}[s]
}

// Commissioned is the program's finding. A valid record counts until Until, on CLOCK_BOOTTIME.
type Commissioned struct {
	State CommissionState
	Until time.Duration
}

// TrialOp is what the technician wants.
type TrialOp uint8

// What can be wanted. The numbers are part of the journal's format.
const (
	// TrialBegin begins a test: the robot is held from here on.
	TrialBegin TrialOp = iota + 1
	// TrialKeep says that the technician is still there.
	TrialKeep
	// TrialGo says that he is ready for one step.
	TrialGo
	// TrialEnd ends the test.
	TrialEnd
	numTrialOps
)

// String names the wish.
func (o TrialOp) String() string {
	if o >= numTrialOps {
		return "unknown"
	}
	return [numTrialOps]string{"unknown", "begin", "keep", "go", "end"}[o]
}

// TrialWish is what the technician at the robot wants, over the control socket.
type TrialWish struct {
	Op TrialOp
	// ID is his session's, not 0.
	ID uint64
	// Step is for TrialGo, MPS the highest speed in m/s for TrialBegin.
	Step int
	MPS  float64
}

// TrialAnswer is what became of a wish, and how the test stands.
type TrialAnswer struct {
	// Done is true if the wish was taken.
	Done bool
	commission.State
	// Ready is true if a step could begin now; else Standing, Wanted and Trouble say what is in the way.
	Ready, Standing, Wanted bool
	// Trouble names the triggers that were not active when the test began, or that keep it from beginning.
	Trouble []string
	// Speed and Turn are what odometry says, in m/s and rad/s; Told what went out last.
	Speed, Turn float64
	Told        [2]float64
	// Clear is true while the way ahead is free.
	Clear bool
	// Run is the newest run, whole once its number is Runs.
	Run commission.Run
}

// trialState is the proof test as the core remembers it.
type trialState struct {
	commission.Trial
	order commission.Order
	in    commission.Input
	// baseline are the triggers that were active when it began.
	baseline interlock.TriggerSet
	// sent is when anything went out last; clear is what the geofence said at the last tick about the way ahead.
	sent  time.Duration
	clear bool
	// ahead is what the robot was told before it was told nothing: where a base goes that ignores its own timeout.
	ahead interlock.Velocity
	// ceased is true after an event in which what the robot was told in a silence came to an end.
	ceased bool
	// done says what became of the last wish; rungs is what was asserted last.
	done  bool
	rungs uint32
}

// inputTriggers are what operating an input means.
var inputTriggers = interlock.Set(interlock.InputEStop, interlock.InputDoor, interlock.InputBumper)

// ownTriggers may come and go in a test: they are the test itself, or say how far the robot is proven, or are judged by it.
var ownTriggers = interlock.Set(interlock.OrderHold, interlock.Advisory, interlock.CommissioningOverdue, interlock.MotionExcess)

// stepTrial moves the test on, before the decision of the same event.
func (c *Core) stepTrial(ev *Event) {
	t := &c.trial
	if t.Phase == commission.PhaseOff && ev.Kind != EventTrial {
		t.order = commission.Order{Rung: -1}
		return
	}
	c.trialInput(ev)
	if ev.Kind == EventTrial {
		t.done = c.wish(ev)
	}
	t.Step(ev.Boot, &t.in, &t.order)
}

// wish does what the technician wants, if that may be.
func (c *Core) wish(ev *Event) bool {
	t, w := &c.trial, &ev.Trial
	switch w.Op {
	case TrialBegin:
		if c.decision.Axes.Motion < interlock.MotionLimited || c.motion.State != interlock.Standing || t.in.Wanted || c.pending != nil {
			return false
		}
		t.baseline = c.decision.ActiveSet
		return t.Begin(ev.Boot, w.ID, w.MPS, &c.params.Trial)
	case TrialKeep:
		return t.Keep(ev.Boot, w.ID)
	case TrialGo:
		if w.Step >= 0 && w.Step < t.Config().N {
			t.in.Trouble = !c.troubles(t.Config().Steps[w.Step].Kind).Empty()
		}
		return t.Go(ev.Boot, w.ID, w.Step, &t.in)
	case TrialEnd:
		return t.End(ev.Boot, w.ID)
	case numTrialOps:
	}
	return false
}

// troubles are the triggers that end a test in a step of a kind.
func (c *Core) troubles(k commission.Kind) interlock.TriggerSet {
	set := c.decision.ActiveSet.Minus(c.trial.baseline).Minus(ownTriggers)
	if k == commission.KindInput {
		set = set.Minus(inputTriggers)
	}
	return set
}

// trialInput gathers what the test looks at.
func (c *Core) trialInput(ev *Event) {
	t, b, s := &c.trial, &c.body, &c.params.Standstill
	step := &t.Config().Steps[t.Place]
	odometry := ev.Kind == EventOdometry || ev.Kind == EventPose && c.params.Pose.OdometryIsPose
	in := commission.Input{
		MPS: b.velocity.speed(), RadPS: math.Abs(b.velocity.wz), Sent: t.sent, Motion: c.motion.State,
		Told:    [2]float64{speedOver(c.told.Linear[0], c.told.Linear[1]), math.Abs(c.told.Angular[2])},
		Trouble: !c.troubles(step.Kind).Empty(), Excess: c.decision.ActiveSet.Has(interlock.MotionExcess),
		Ceased: t.ceased,
	}
	t.ceased = false
	in.New = odometry && !math.IsNaN(in.MPS) && !math.IsNaN(in.RadPS)
	in.Wanted = ev.Kind == EventCommand && c.refused == interlock.GatePassed &&
		(ev.Command.Linear.X != 0 || ev.Command.Linear.Y != 0 || ev.Command.Angular.Z != 0)
	if s.Joints.Used && fresh(ev.Boot, b.joints.boot, b.seen&InputJoints != 0, s.Joints.MaxAge) {
		in.JointsRest = b.joints.carrying < s.Joints.Below
		in.Joints = b.joints.carrying >= s.Joints.Below
	}
	if s.IMU.Used && fresh(ev.Boot, b.imu.boot, b.seen&InputIMU != 0, s.IMU.MaxAge) {
		in.GyroRest, in.Gyro = b.imu.value < s.IMU.Below, b.imu.value >= s.IMU.Below
	}
	if ev.Kind == EventTick {
		t.clear = c.wayAhead()
	}
	in.Clear = t.clear && c.decision.Axes.Motion >= interlock.MotionLimited
	switch step.Kind {
	case commission.KindRung:
		if i := step.Index; i < len(c.acks) {
			in.Ack = c.acks[i]
		}
	case commission.KindWatchdog:
		if i := step.Actuator; i >= 0 && i < MaxDevices {
			in.Fed = c.devices.actuators[i].works(ev.Boot) && c.devices.actuators[i].running
		}
	case commission.KindInput:
		if i := step.Index; i < MaxDevices {
			l := &c.devices.inputs[i]
			read := fresh(ev.Boot, l.boot, l.seen, deviceMaxAge)
			in.Pressed, in.Released = read && l.state == InputActive, read && l.state == InputReleased
			in.Unreadable = !read || !in.Pressed && !in.Released
		}
	default:
	}
	t.in = in
}

// wayAhead says whether the robot could stop from the fastest that it may drive here before anything that binds it, in the
// direction in which it was told to drive: so it can from a test's speed although the test begins to stop it late.
func (c *Core) wayAhead() bool {
	told := &c.told
	if c.trial.order.Silent && c.told == (interlock.Velocity{}) {
		told = &c.trial.ahead // a base that has promised to stop may not keep it: that is what is tested
	}
	v := geofence.Velocity{VX: told.Linear[0], VY: told.Linear[1], YawRate: told.Angular[2]}
	if c.verdict.Place != geofence.Outside || c.verdict.Faults != 0 {
		return false
	}
	speed := speedOver(v.VX, v.VY)
	if speed > 0 {
		top := c.params.Ladder.MaxSpeedMPS
		if c.verdict.SpeedLimited {
			top = min(top, c.verdict.MaxSpeedMPS)
		}
		k := 0.99 * top / speed // a whisker less, so that no bound but braking scales it
		v.VX, v.VY, v.YawRate = v.VX*k, v.VY*k, 0
	}
	return c.limitAll(v).Ratio == 1
}

// speedOver is the speed over ground of a velocity.
func speedOver(x, y float64) float64 { return math.Sqrt(float64(x*x) + float64(y*y)) }

// testing changes what the guard sends while a test asks for it: the robot drives no faster than the test allows, and the base
// hears nothing at all while its silence is tested, unless whoever drives stops or the guard has to.
func (c *Core) testing(boot time.Duration, gated *interlock.GateOutput) (send bool) {
	t := &c.trial
	if t.order.Silent && c.decision.Axes.Motion >= interlock.MotionLimited {
		if boot-t.sent >= c.params.BaseTimeout && c.told != (interlock.Velocity{}) {
			t.ahead = c.told
			c.told = interlock.Velocity{} // the base has promised to have stopped following
		}
		t.ceased = gated.Send && gated.Velocity == interlock.Velocity{}
		if !t.ceased {
			return false
		}
	}
	if gated.Send {
		t.sent = boot
	}
	return gated.Send
}

// asserted are the rungs that are asked: the ladder's, and the one that is tested alone.
func (c *Core) asserted() uint32 {
	out := uint32(c.rungs.Assert) | c.downRungs()
	if i := c.trial.order.Rung; i >= 0 {
		out |= 1 << i
	}
	return out
}

// locksAlone says whether the lock is the rung that is tested.
func (c *Core) locksAlone() bool {
	i := c.trial.order.Rung
	return i >= 0 && c.params.Ladder.Rungs[i].Kind == interlock.RungLock
}

// commissioned is what the record of the proof test says now.
func (c *Core) commissionState(boot time.Duration) CommissionState {
	s := c.commissioned.State
	if s == CommissionValid && boot >= c.commissioned.Until {
		return CommissionOverdue
	}
	return s
}

// unproven says whether no record says that the robot stops as its profile claims. One whose time is over still does.
func (c *Core) unproven(boot time.Duration) bool {
	if !c.params.Commissioning {
		return false
	}
	switch c.commissionState(boot) {
	case CommissionValid, CommissionOverdue:
		return false
	default:
		return true
	}
}

// dueCondition is that of CommissioningOverdue.
func (c *Core) dueCondition(boot time.Duration) interlock.Condition {
	if !c.params.Commissioning {
		return interlock.OK()
	}
	switch c.commissionState(boot) {
	case CommissionOverdue:
		return interlock.Fault(interlock.CauseExpired, 0)
	case CommissionDueUnknown:
		return interlock.Fault(interlock.CauseDueUnknown, 0)
	default:
		return interlock.OK()
	}
}

// Commissioned takes what the program found about the record of the robot's proof test.
func (g *Guard) Commissioned(r Commissioned) { g.begin(EventCommissioned).Commissioned = r; g.finish() }

// Trial takes what the technician at the robot wants, and says what became of it. The measurements of a run come with the answer
// once it has ended and its number is above seen.
func (g *Guard) Trial(w TrialWish, seen uint32) TrialAnswer {
	g.begin(EventTrial).Trial = w
	g.opt.Core.Apply(&g.ev, &g.fx)
	answer := g.opt.Core.trialAnswer(seen)
	g.record()
	fx := g.fx
	g.mu.Unlock()
	g.act(&fx)
	return answer
}

// TrialNow says how the test stands, for who wants nothing of it; seen is that of [Guard.Trial].
func (g *Guard) TrialNow(seen uint32) TrialAnswer {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.opt.Core.trialAnswer(seen)
}

// TrialAnswer says what became of the last wish and how the test stands. It allocates.
func (c *Core) TrialAnswer() TrialAnswer { return c.trialAnswer(0) }

// trialAnswer copies the measurements of a run that is not known yet: they are 16 KiB, and the guard's lock is held meanwhile.
func (c *Core) trialAnswer(seen uint32) TrialAnswer {
	t := &c.trial
	a := TrialAnswer{
		Done: t.done, State: t.State, Ready: t.Ready(c.now.Boot, &t.in), Standing: c.motion.State == interlock.Standing, Wanted: c.now.Boot-t.Loud < time.Second,
		Speed: number(t.in.MPS), Turn: number(t.in.RadPS), Told: t.in.Told, Clear: t.clear, Run: *t.Run(),
	}
	a.Run.Samples = nil
	if t.Runs > seen && a.Run.Number == t.Runs {
		a.Run.Samples = append([]commission.Sample(nil), t.Run().Samples...)
	}
	set := c.troubles(t.Config().Steps[t.Place].Kind)
	if t.Phase == commission.PhaseOff && c.decision.Axes.Motion < interlock.MotionLimited {
		set = c.decision.ActiveSet
	}
	for tr, ok := set.Next(0); ok; tr, ok = set.Next(tr + 1) {
		a.Trouble = append(a.Trouble, tr.Info().Code)
	}
	return a
}
