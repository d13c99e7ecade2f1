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
	overrides, err4 := NewOverrides(overridePolicy())
	demand, err5 := NewDemandGate(demandConfig())
	channel, err6 := NewChannelWatch(channelConfig())
	follow, err7 := NewFollowWatch(followConfig())
	fall, err8 := NewFallWatch(fallConfig())
	if err := errors.Join(err1, err2, err3, err4, err5, err6, err7, err8); err != nil {
		t.Fatal(err)
	}
	return map[string]part{
		"machine": newScript(t, nil).m, "gate": newGateScript(t).g, "ladder": newLadderScript(t).l, "standstill": newStandstill(t, nil),
		"heartbeat": newDesk(t).h, "clock": clock, "loop": loop, "publisher": publisher,
		"overrides": overrides, "demand": demand, "channel": channel, "follow": follow, "fall": fall, "proof": proofWatch(t),
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

// TestStoredNumbersThatCannotBeAreRefused: what a watch has written with its checksum, but can never have seen.
func TestStoredNumbersThatCannotBeAreRefused(t *testing.T) {
	for name, wrong := range map[string]func(parts map[string]part){
		"a speed that is no number":      func(p map[string]part) { p["follow"].(*FollowWatch).most[0][0] = math.NaN() },
		"a turn below zero":              func(p map[string]part) { p["follow"].(*FollowWatch).most[1][1] = -1 },
		"a speed before without end":     func(p map[string]part) { p["follow"].(*FollowWatch).before[0] = math.Inf(1) },
		"a greatest turn without end":    func(p map[string]part) { p["follow"].(*FollowWatch).top[1] = math.Inf(1) },
		"a share below zero":             func(p map[string]part) { p["demand"].(*DemandGate).share = -1 },
		"a share that is no number":      func(p map[string]part) { p["demand"].(*DemandGate).share = math.NaN() },
		"a mean acceleration of nothing": func(p map[string]part) { p["fall"].(*FallWatch).mean[2] = math.NaN() },
		"one that no unit can measure":   func(p map[string]part) { p["fall"].(*FallWatch).mean[0] = 2 * fallMostMPS2 },
		"nothing (off)":                  func(map[string]part) {},
	} {
		parts := allParts(t)
		wrong(parts)
		refused := 0
		for _, p := range parts {
			if err := p.RestoreState(p.AppendState(nil)); errors.Is(err, ErrDamaged) {
				refused++
			} else if err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
		want := 1
		if name == "nothing (off)" {
			want = 0
		}
		if refused != want {
			t.Errorf("%s: %d parts refused their state", name, refused)
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

// TestGateHeedsWhatTheWatchFound: what a channel's watch says of a command keeps it out, and ends nothing that passes already,
// since anybody who gets onto the bus can send again what he heard.
func TestGateHeedsWhatTheWatchFound(t *testing.T) {
	for mark, want := range map[ArrivalMark]GateReason{
		ArrivalRepeated: GateRepeated, ArrivalOvertaken: GateOutOfOrder, ArrivalWrongFrame: GateWrongFrame, ArrivalNew: GatePassed,
	} {
		s := newGateScript(t).drive(0.5)
		s.in.Command.Mark = mark
		if s.send(s.now); s.out.Reason != want || s.out.Dropped != (want != GatePassed) || s.out.Velocity == (Velocity{}) {
			t.Errorf("mark %d: %+v, expected %v and a robot that drives on", mark, s.out, want)
		}
	}
}

// TestGateEndsWhatMayNotGoOn: a command in a frame that the gate does not know, and the end of the session that it came by.
func TestGateEndsWhatMayNotGoOn(t *testing.T) {
	s := newGateScript(t).drive(0.5)
	s.in.Command.WrongFrame = true
	if s.send(s.now); s.out.Reason != GateFrame || s.out.Velocity != (Velocity{}) {
		t.Errorf("a command in another frame: %+v", s.out)
	}
	for closed, drives := range map[uint64]bool{0b01: false, 0b10: true} {
		s := newGateScript(t).drive(0.5)
		s.in.Closed = closed
		if s.tick(ms); s.out.Velocity != (Velocity{}) != drives {
			t.Errorf("channel 1 drives, the session of %02b is over: %+v", closed, s.out)
		}
	}
}

// TestDemandGateOfRemoteControl: who commands from afar neither moves nor ends anything while remote control is restricted, whichever
// axis the gate is of; and a gate of that axis is closed for everybody.
func TestDemandGateOfRemoteControl(t *testing.T) {
	watched, held := Unrestricted(), hands(ManipulatorsHold)
	watched.Remote, held.Remote = RemoteViewOnly, RemoteViewOnly
	afar, axis := demandConfig(), demandConfig()
	afar.Channel = ChannelOperator
	axis.Kind, axis.Axis = DemandOpaque, AxisRemote
	for name, c := range map[string]struct {
		cfg  DemandConfig
		axes Axes
		j    *JointDemand
	}{
		"from afar":              {afar, watched, sound()},
		"from afar, a stop":      {afar, held, &JointDemand{}},
		"the axis, by a planner": {axis, watched, nil},
	} {
		s := newDemandScript(t, c.cfg).axes(c.axes)
		if got := s.send(c.j); got != DemandRemote || s.out.Open {
			t.Errorf("%s: %s, open %v", name, got, s.out.Open)
		}
		if s.axes(Unrestricted()); !s.out.Open {
			t.Errorf("%s, off: %+v", name, s.out)
		}
	}
}

// TestDemandGateWithoutAnAxisIsClosed, as a zero value is.
func TestDemandGateWithoutAnAxisIsClosed(t *testing.T) {
	var g DemandGate
	var out DemandOutput
	if g.Step(time.Hour, &DemandInput{Axes: Unrestricted()}, &out); out.Open {
		t.Errorf("open: %+v", out)
	}
}

// TestDemandStreamEndsOnlyWhatRuns: where nothing is under way there is nothing to end, however long nothing comes.
func TestDemandStreamEndsOnlyWhatRuns(t *testing.T) {
	c := demandConfig()
	c.Streamed = true
	s := newDemandScript(t, c)
	for range 20 {
		if s.tick(50 * ms); s.out.End {
			t.Fatalf("ended, and nothing was under way: %+v", s.out)
		}
	}
}

// TestDemandFromBeforeTheRelease was made while nothing might pass, though it is taken up later.
func TestDemandFromBeforeTheRelease(t *testing.T) {
	for before, want := range map[time.Duration]DemandReason{0: DemandBeforeRelease, ms: DemandBeforeRelease, -ms: DemandPassed} {
		s := newDemandScript(t, demandConfig()).axes(hands(ManipulatorsHold)).axes(Unrestricted())
		released := s.now
		s.now += 5 * ms
		s.in.New, s.in.Demand = true, DemandItem{Known: true, FrameOK: true, Received: released - before, Joints: sound()}
		if s.g.Step(s.now, &s.in, &s.out); s.out.Reason != want {
			t.Errorf("received %v before the release: %s, expected %s", before, s.out.Reason, want)
		}
	}
	s := newDemandScript(t, demandConfig())
	j := sound()
	j.Points = -1
	if got := s.send(j); got != DemandCount {
		t.Errorf("fewer points than none: %s", got)
	}
}

// TestAnEmptiedDemandHidesNothing: not every controller takes it for a stop, so what was sent before is still under way, and ends when
// the limits become less than it asks for.
func TestAnEmptiedDemandHidesNothing(t *testing.T) {
	s := newDemandScript(t, demandConfig())
	fast := sound()
	fast.Slope[0] = 1.5
	if s.send(fast) != DemandPassed || s.send(&JointDemand{}) != DemandPassed {
		t.Fatal(s.out)
	}
	if s.axes(hands(ManipulatorsLimited)); !s.out.End {
		t.Errorf("three quarters of the speed go on under half of it: %+v", s.out)
	}
}

// TestASlowCommanderIsEven: the first command is no interval, and the first interval is no deviation from anything.
func TestASlowCommanderIsEven(t *testing.T) {
	c := newCommander(t, channelConfig())
	c.now = 50 * ms // just after the robot's computer has started
	c.w.Arrive(&Arrival{Received: c.now, Civil: civilStart, Peer: 7, Moving: true})
	if s := c.w.Status(c.now); s.Period != 0 || s.Jitter != 0 {
		t.Errorf("after one command: %+v", s)
	}
	c = newCommander(t, channelConfig())
	for range 40 {
		if c.send(1, 295*ms); c.last.Health > HealthGood {
			t.Fatalf("an even commander is %v by %v: %+v", c.last.Health, c.last.Cause, c.last)
		}
	}
}

// TestAFewStampsFromAheadAreForgiven: each counts once.
func TestAFewStampsFromAheadAreForgiven(t *testing.T) {
	for forged, want := range map[int]ChannelHealth{4: HealthGood, 8: HealthDegraded} {
		c := newCommander(t, channelConfig())
		c.send(20, 100*ms)
		for range forged {
			a := c.make()
			a.Stamp += int64(time.Hour)
			c.put(a)
			c.send(2, 50*ms)
		}
		c.send(12, 100*ms)
		if c.last.Health != want {
			t.Errorf("after %d stamps from ahead: %v by %v, expected %v", forged, c.last.Health, c.last.Cause, want)
		}
	}
}

// TestDelayFromTheTurnOfAWindowOn: what the quickest command of the window before took stays known in the next one, else whoever
// begins to hold commands back at its first would be seen by nobody.
func TestDelayFromTheTurnOfAWindowOn(t *testing.T) {
	cfg := channelConfig()
	c := newCommander(t, cfg)
	c.send(int(cfg.LatencyWindow/(100*ms)), 100*ms)
	c.want(HealthGood, CauseNone)
	c.delay += 200 * ms
	c.send(25, 100*ms)
	c.want(HealthDegraded, CauseDelayed)
}

func TestWhatIsNoOutcomeIsUnknown(t *testing.T) {
	if got := NumOverrideOutcomes.String(); got != "unknown" {
		t.Errorf("found %q", got)
	}
}
