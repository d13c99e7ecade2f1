package interlock

import (
	"errors"
	"math"
	"testing"
	"time"
)

// The tests of this file came from leaving out each guard clause in turn (test/mutate -kind guards): what they check
// nothing else did.

// part is something that stores its state and takes it back.
type part interface {
	AppendState(b []byte) []byte
	RestoreState(b []byte) error
}

func allParts(t *testing.T) map[string]part {
	t.Helper()
	clock, err1 := NewClockWatch(clockConfig())
	loop, err2 := NewLoopWatch(loopConfig())
	publisher, err3 := NewPublisherWatch(inputTopic())
	if err := errors.Join(err1, err2, err3); err != nil {
		t.Fatal(err)
	}
	return map[string]part{
		"machine": newScript(t, nil).m, "gate": newGateScript(t).g, "ladder": newLadderScript(t).l, "standstill": newStandstill(t, nil),
		"heartbeat": newDesk(t).h, "clock": clock, "loop": loop, "publisher": publisher,
	}
}

func TestStoredStateIsRefusedByItsKindOfFault(t *testing.T) {
	for name, p := range allParts(t) {
		good := p.AppendState(nil)
		change := func(f func(b []byte) []byte) []byte { return reseal(f(append([]byte(nil), good...))) }
		for what, c := range map[string]struct {
			b    []byte
			want error
		}{
			"nothing":                 {nil, ErrEmpty},
			"another version":         {change(func(b []byte) []byte { b[4]++; return b }), ErrVersion},
			"a byte too many":         {change(func(b []byte) []byte { return append(b, 0) }), ErrDamaged},
			"a byte too few":          {change(func(b []byte) []byte { return b[:len(b)-1] }), ErrDamaged},
			"nothing but a beginning": {change(func(b []byte) []byte { return b[:9] }), ErrDamaged},
		} {
			if err := p.RestoreState(c.b); !errors.Is(err, c.want) {
				t.Errorf("%s, %s: got %v, want %v", name, what, err, c.want)
			}
			if string(p.AppendState(nil)) != string(good) {
				t.Errorf("%s, %s: what is refused has changed something", name, what)
			}
		}
		if err := p.RestoreState(good); err != nil {
			t.Errorf("%s, as written: %v", name, err)
		}
	}
}

func TestStoredMachineThatContradictsItselfIsRefused(t *testing.T) {
	for name, wrong := range map[string]func(m *Machine){
		"nothing (off)":              func(*Machine) {},
		"active without its slot":    func(m *Machine) { m.on.Remove(OrderStop) },
		"latched without its slot":   func(m *Machine) { m.latched.Remove(OrderStop) },
		"a policy that is invalid":   func(m *Machine) { m.rules.FlapTrips = 1 },
		"a set beyond the table":     func(m *Machine) { m.seen = TriggerSet{^uint64(0), ^uint64(0)} },
		"a dock's dwell below zero":  func(m *Machine) { m.dockQuiet = -1 },
		"a dock's dwell out of days": func(m *Machine) { m.dockQuiet = math.MaxInt64 },
	} {
		m := latched(t, OrderStop, nil).m
		wrong(m)
		n := &Machine{}
		if err := n.RestoreState(m.AppendState(nil)); (err == nil) != (name == "nothing (off)") {
			t.Errorf("%s: got %v", name, err)
		}
	}
	b := newScript(t, nil).m.AppendState(nil)
	b[5]++
	if err := (&Machine{}).RestoreState(reseal(b)); !errors.Is(err, ErrDamaged) {
		t.Errorf("a policy of more triggers: got %v", err)
	}
	g := newGateScript(t).drive(1).g
	g.out.Angular[2] = math.NaN()
	if err := (&Gate{}).RestoreState(g.AppendState(nil)); !errors.Is(err, ErrDamaged) {
		t.Errorf("a velocity that is none: got %v", err)
	}
	l := newLadderScript(t).l
	l.demand = DemandHold
	if err := l.RestoreState(l.AppendState(nil)); !errors.Is(err, ErrDamaged) {
		t.Errorf("a stop that no rung is tried for: got %v", err)
	}
}

func TestLatchesCutWithinATriggerThatIsNotInTheTableAreDamaged(t *testing.T) {
	b := seal(append(begin(nil, latchMagic, latchVersion), 1, uint8(NumTriggers)), 0)
	if _, _, err := readLatches(0, b); !errors.Is(err, ErrDamaged) {
		t.Errorf("got %v", err)
	}
}

func TestSlowerLimitComesFirst(t *testing.T) {
	s := newScript(t, func(p *Policy) { p.Rules[HeartbeatLate].Constraint = limited(0.5) })
	s.run(time.Second)
	s.set(HeartbeatLate, Fault(CauseNoAnswer, 1)).run(time.Second)
	s.set(OdometryMissing, Fault(CauseMissing, 0)).run(time.Second)
	if s.out.N != 2 || s.out.Active[0].Trigger != OdometryMissing {
		t.Errorf("the first of %d is %v, expected the one of 0.3 m/s although it came later", s.out.N, s.out.Active[0].Trigger)
	}
}

func TestNothingIsHeldByALatchWhileMotionIsFree(t *testing.T) {
	d := Decision{Axes: Unrestricted(), N: MaxActive, ActiveSet: every(), LatchedSet: Set(PublisherSecond)}
	if d.HeldByLatch() {
		t.Error("free, and held")
	}
	if d.Axes = hold(); !d.HeldByLatch() {
		t.Error("held, with latches that are not listed, and not said to be")
	}
}

func TestADisabledRuleAddsNothingToATighterPolicy(t *testing.T) {
	off, on := DefaultPolicy().Rules[PublisherUnknown], DefaultPolicy().Rules[PublisherUnknown]
	off.Enabled, off.Reason = false, "test"
	on.Constraint, on.StartDelay = limited(0.5), time.Second
	if got := tighterRule(&off, &on); got != on {
		t.Errorf("disabled before: got %+v", got)
	}
	if got := tighterRule(&on, &off); got != on {
		t.Errorf("disabled after: got %+v", got)
	}
}

func TestALongerStartDelayCountsInFullOnceItIsInForce(t *testing.T) {
	s := newScript(t, nil)
	s.in.Standstill = true
	s.run(time.Second)
	load(s, func(p *Policy) { p.Rules[BusLost].StartDelay = 2 * time.Second })
	s.run(0)
	s.set(BusLost, Fault(CauseNoReply, 0)).run(1900 * ms)
	s.want(MotionFree)
	s.run(200 * ms)
	s.want(MotionHold, BusLost)
}

func TestAReasonIsNotLongerThanIsStored(t *testing.T) {
	p := DefaultPolicy()
	p.Rules[PublisherUnknown].Enabled, p.Rules[PublisherUnknown].Reason = false, string(make([]byte, maxReason))
	if err := p.Validate(); err != nil {
		t.Errorf("at the bound: %v", err)
	}
	p.Rules[PublisherUnknown].Reason += "x"
	if err := p.Validate(); !hasPolicyError(err, PublisherUnknown, FieldReason) {
		t.Errorf("beyond it: %v", err)
	}
}

func TestGateCapThatIsNoneLetsANeutralCommandPass(t *testing.T) {
	g := newGateScript(t).drive(1)
	g.in.MaxSpeedMPS = math.NaN()
	g.tick(10*ms).command(0, g.now)
	if g.out.Reason != GatePassed || g.out.Ratio != 1 || g.out.Velocity != (Velocity{}) {
		t.Errorf("neutral: %+v", g.out)
	}
	g.tick(10*ms).command(1, g.now)
	if g.out.Velocity != (Velocity{}) || g.out.Reason != GateScaledBySpeed {
		t.Errorf("1 m/s: %+v", g.out)
	}
}

func TestDemandThatIsOlderThanTheLastOneIsOutOfOrder(t *testing.T) {
	s := newDemandScript(t, demandConfig())
	if got := s.send(sound()); got != DemandPassed {
		t.Fatal(got)
	}
	s.in.New, s.in.Demand.Received = true, s.in.Demand.Received-ms
	if s.g.Step(s.now, &s.in, &s.out); s.out.Reason != DemandOutOfOrder || s.out.Pass {
		t.Errorf("got %+v", s.out)
	}
}

func TestRefusedCommandDisturbsNobody(t *testing.T) {
	g := newGateScript(t).drive(1)
	before := g.g.heard
	g.in.New = true
	g.in.Command = Command{Channel: 1, Kind: ChannelAutonomy, Received: g.now, Refused: GateUnproven}
	g.now += ms
	g.in.Command.Received = g.now
	if g.g.Step(g.now, &g.in, &g.out); g.out.Reason != GateUnproven || !g.out.Dropped || g.g.heard != before {
		t.Errorf("got %+v, heard %v, before %v", g.out, g.g.heard[1], before[1])
	}
}

func TestPositionWithoutATimeIsReachedWithinReach(t *testing.T) {
	c := demandConfig()
	for timed, want := range map[bool]DemandReason{false: DemandPassed, true: DemandStart} {
		j := sound()
		j.Points, j.Duration, j.Timed = 1, 0, timed
		j.Slope[0], j.First[0] = nan, c.Slack+float64(c.Limits[0].Velocity*c.Reach.Seconds())/2
		j.Lowest[0], j.Highest[0] = j.First[0], j.First[0]
		if got := newDemandScript(t, c).send(j); got != want {
			t.Errorf("timed %v: %v, expected %v", timed, got, want)
		}
	}
}
