package interlock

import (
	"math"
	"testing"
	"time"
)

// rig is a robot on one axis with every part of the package around it, stepped every 10 ms.
type rig struct {
	t           *testing.T
	now         time.Duration
	in          *Inputs
	m           *Machine
	g           *Gate
	l           *Ladder
	s           *Standstill
	d           Decision
	gout        GateOutput
	lout        LadderOutput
	rest        StandstillOutput
	command     float64
	speed       float64
	lastSent    float64
	deaf        bool // the base ignores the gate
	blind       bool // no joints, no inertial sensor
	acks        bool // the service answers
	independent bool // the line stops the motors
}

func newRig(t *testing.T) *rig {
	t.Helper()
	r := &rig{t: t, now: time.Hour, in: calm(), acks: true, independent: true}
	r.m = newScript(t, nil).m
	r.g, _ = NewGate(gateConfig())
	r.l, _ = NewLadder(ladderConfig())
	r.s = newStandstill(t, nil)
	return r
}

// run steps for d; it fails if done is never true, and returns when it is.
func (r *rig) run(d time.Duration, done func() bool) time.Duration {
	r.t.Helper()
	start := r.now
	for r.now-start <= d {
		r.step()
		if done != nil && done() {
			return r.now - start
		}
		r.now += 10 * ms
	}
	if done != nil {
		r.t.Fatalf("not within %v: %v, %v, %.3f m/s, ladder %v", d, r.d.Axes, names(r.d.ActiveSet), r.speed, r.lout.Phase)
	}
	return d
}

func (r *rig) step() {
	m := StandstillInput{}
	m.Linear = Source{Received: r.now, Seen: true, Value: math.Abs(r.speed)}
	m.Angular = Source{Received: r.now, Seen: true}
	if !r.blind {
		m.Joints, m.IMU = Source{Received: r.now, Seen: true, Value: math.Abs(r.speed)}, Source{Received: r.now, Seen: true}
	}
	r.s.Step(r.now, &m, &r.rest)
	r.in.Conditions[OdometryMissing], r.in.Conditions[SecondSourceMissing] = r.rest.Odometry, r.rest.Second
	if r.blind {
		r.in.Conditions[SecondSourceMissing] = Fault(CauseMissing, 0)
	}
	r.in.Standstill = r.rest.State == Standing
	if r.lout.Phase != LadderIdle || r.now > time.Hour {
		r.in.Conditions[StopUnconfirmed], r.in.Conditions[MotionUntold] = r.lout.Unconfirmed, r.lout.Untold
	}
	r.m.Step(r.now, r.in, &r.d)
	gin := GateInput{
		New: r.now%(50*ms) == 0, Axes: r.d.Axes, Because: NumTriggers, Ratio: 1, MaxSpeedMPS: math.Inf(1),
		Command: Command{Velocity: Velocity{Linear: [3]float64{r.command}}, Channel: 1, Kind: ChannelAutonomy, Received: r.now},
	}
	r.g.Step(r.now, &gin, &r.gout)
	if r.gout.Send {
		r.lastSent = r.gout.Velocity.Linear[0]
	}
	lin := LadderInput{Demand: DemandOf(r.d.Axes), Motion: r.rest.State, SpeedMPS: r.rest.SpeedMPS, SpeedKnown: r.rest.SpeedKnown}
	if r.acks {
		lin.Acks[service] = AckOK
	}
	r.l.Step(r.now, &lin, &r.lout)
	r.move()
}

// move lets the base follow with 1 m/s² at most.
func (r *rig) move() {
	target := r.lastSent
	if r.deaf {
		target = r.command
	}
	if r.independent && r.lout.Assert.Has(gpio) {
		target = 0
	}
	r.speed += max(-0.01, min(0.01, target-r.speed))
}

func (r *rig) drive(v float64) {
	r.t.Helper()
	r.command = v
	r.run(5*time.Second, func() bool { return math.Abs(r.speed-v) < 1e-9 })
}

func TestScenarioChannelLostWhileDriving(t *testing.T) {
	r := newRig(t)
	r.drive(0.8)
	// The desk falls silent: late after its first timeout, lost after its second.
	r.in.Conditions[HeartbeatLate] = Fault(CauseNoAnswer, 1)
	if took := r.run(time.Second, func() bool { return r.lastSent == 0 }); took != 0 {
		t.Errorf("zero went out after %v", took)
	}
	if r.d.Mode != ModeHold {
		t.Errorf("got %v", r.d.Mode)
	}
	r.run(3*time.Second, func() bool { return r.lout.Phase == LadderConfirmed })
	r.in.Conditions[HeartbeatLost] = Fault(CauseNoAnswer, 1)
	r.run(3*time.Second, func() bool { return r.d.Mode == ModeStopSafely && r.lout.Phase == LadderConfirmed })
	// It comes back. Nothing moves before a person has reset it, and the planner has been neutral.
	r.in.Conditions[HeartbeatLate], r.in.Conditions[HeartbeatLost] = OK(), OK()
	r.run(time.Minute, nil)
	if r.speed != 0 || r.d.Mode != ModeStopSafely {
		t.Fatalf("moves at %v in %v", r.speed, r.d.Mode)
	}
	r.m.Reset(r.now-10*ms, ResetRequest{Triggers: Set(HeartbeatLost), Persons: []Person{anna}})
	r.run(time.Minute, nil)
	if r.speed != 0 || r.d.Mode != ModeNormal || r.gout.Reason != GateNeutral && r.gout.Reason != GateIdle {
		t.Fatalf("moves at %v in %v: %v", r.speed, r.d.Mode, r.gout.Reason)
	}
	r.command = 0
	r.run(time.Second, nil)
	r.drive(0.8)
}

func TestScenarioBaseIgnoresTheGate(t *testing.T) {
	r := newRig(t)
	r.drive(0.8)
	r.deaf = true
	r.in.Conditions[OrderStop] = Fault(CauseOrdered, 0)
	// (0.2 + 1.6) · 1.2 s from the demand on the line is set, and the robot stands a second later.
	took := r.run(5*time.Second, func() bool { return r.lout.Assert.Has(gpio) })
	if took != 2160*ms {
		t.Errorf("the line was set after %v", took)
	}
	r.run(3*time.Second, func() bool { return r.lout.Phase == LadderConfirmed })
	if r.lout.Rung != gpio || r.d.ActiveSet.Has(StopUnconfirmed) {
		t.Errorf("confirmed by rung %d, %s", r.lout.Rung, names(r.d.ActiveSet))
	}
}

func TestScenarioNothingStopsTheRobot(t *testing.T) {
	r := newRig(t)
	r.drive(0.8)
	r.deaf, r.independent, r.acks = true, false, false
	r.in.Conditions[OrderStop] = Fault(CauseOrdered, 0)
	r.run(r.l.Bound(), func() bool { return r.d.ActiveSet.Has(StopUnconfirmed) })
	if r.lout.Phase != LadderUnconfirmed || r.lout.Assert.Has(dockService) || !r.lout.Assert.Has(relay) {
		t.Errorf("got %+v", r.lout)
	}
}

func TestScenarioOdometryAloneConfirmsNothing(t *testing.T) {
	r := newRig(t)
	r.drive(0.3)
	r.blind = true
	r.in.Conditions[OrderStop] = Fault(CauseOrdered, 0)
	r.run(r.l.Bound(), func() bool { return r.d.ActiveSet.Has(StopUnconfirmed) })
	if r.speed != 0 {
		t.Errorf("moves at %v", r.speed)
	}
}

func TestScenarioPushedWhileHeld(t *testing.T) {
	r := newRig(t)
	r.in.Conditions[OrderHold] = Fault(CauseOrdered, 0)
	r.run(3*time.Second, func() bool { return r.lout.Phase == LadderConfirmed })
	r.deaf, r.command = true, 0.5
	r.run(time.Second, func() bool { return r.d.LatchedSet.Has(MotionUntold) })
	if r.d.Mode != ModeStopSafely {
		t.Errorf("got %v", r.d.Mode)
	}
	r.run(3*time.Second, func() bool { return r.lout.Phase == LadderConfirmed })
	if r.speed != 0 || !r.lout.Assert.Has(gpio) {
		t.Errorf("moves at %v under %06b", r.speed, r.lout.Assert)
	}
}

// TestScenarioObstacleMetrics scores a stop as Nav2's collision monitor is scored on a recording: clear for 3 s, an
// obstacle for 5 s, clear again.
func TestScenarioObstacleMetrics(t *testing.T) {
	r := newRig(t)
	r.drive(0.5)
	begin := r.now
	var falseStop, held, during, after time.Duration
	stopped, resumed := time.Duration(-1), time.Duration(-1)
	r.run(12*time.Second, func() bool {
		at := r.now - begin
		obstacle := at >= 3*time.Second && at < 8*time.Second
		r.in.Conditions[ZoneOverrun] = OK()
		if obstacle {
			r.in.Conditions[ZoneOverrun] = Fault(CauseCannotStop, 1)
		}
		moves := r.lastSent != 0
		switch {
		case at < 3*time.Second && !moves:
			falseStop += 10 * ms
		case obstacle:
			during += 10 * ms
			if !moves {
				held += 10 * ms
				if stopped < 0 {
					stopped = at - 3*time.Second
				}
			}
		case at >= 8*time.Second && moves && resumed < 0:
			resumed = at - 8*time.Second
		}
		after = at
		return after >= 12*time.Second-10*ms
	})
	if falseStop != 0 || stopped < 0 || stopped > 20*ms || float64(held) < 0.99*float64(during) {
		t.Errorf("false stop %v, stopped after %v, held %v of %v", falseStop, stopped, held, during)
	}
	// The dwell is a second, and the planner commands every 50 ms.
	if resumed < time.Second || resumed > 1100*ms {
		t.Errorf("resumed after %v", resumed)
	}
}

func TestScenarioStormAtOneKilohertz(t *testing.T) {
	s := newScript(t, nil)
	changes := 0
	for i := range 60_000 {
		for _, tr := range []Trigger{PoseStale, PublisherUnknown, HeartbeatLate, LoopOverrun, OrderStop} {
			s.in.Conditions[tr] = Condition{State: Clear + State(i&1), Cause: Cause(i % 7), Subject: uint16(i)} //nolint:gosec // small
		}
		s.now += ms
		s.m.Step(s.now, s.in, &s.out)
		if s.out.LatchesChanged {
			changes++
		}
	}
	if s.out.ActiveSet != Set(PoseStale, PublisherUnknown, HeartbeatLate, LoopOverrun, OrderStop) {
		t.Errorf("active are %s", names(s.out.ActiveSet))
	}
	if changes > 4 {
		t.Errorf("the latches changed %d times: each costs a disk write", changes)
	}
	if got := find(t, &s.out, OrderStop).Count; got != 30_000 {
		t.Errorf("counted %d", got)
	}
}
