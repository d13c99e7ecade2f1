package interlock

import (
	"errors"
	"fmt"
	"math"
	"math/bits"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// demandConfig is a gate of joints 0 and 1, of which 1 has no end stops and no known effort.
func demandConfig() DemandConfig {
	c := DemandConfig{
		Kind: DemandJoints, Axis: AxisManipulators, Channel: ChannelAutonomy, Timeout: 200 * ms, MaxSkew: 50 * ms, Joints: 0b11,
		Reduced: 0.5, Reach: 100 * ms, Slack: 0.05,
	}
	c.Limits[0] = JointLimit{Min: -1, Max: 1, Velocity: 2, Effort: 10}
	c.Limits[1] = JointLimit{Min: -inf, Max: inf, Velocity: 1, Effort: nan}
	return c
}

// sound is a trajectory of joint 0 that every limit lets pass.
func sound() *JointDemand {
	j := &JointDemand{Points: 2, Seen: 1, Timed: true, Rising: true, Duration: time.Second}
	for _, a := range [...]*[MaxDemandJoints]float64{&j.First, &j.Lowest, &j.Highest, &j.Velocity, &j.Effort, &j.Slope} {
		for i := range a {
			a[i] = nan
		}
	}
	j.First[0], j.Lowest[0], j.Highest[0], j.Slope[0] = 0, 0, 0.5, 0.5
	return j
}

// demandScript drives one gate through time.
type demandScript struct {
	t   testing.TB
	g   *DemandGate
	now time.Duration
	in  DemandInput
	out DemandOutput
	at  MeasuredJoints
}

func newDemandScript(t testing.TB, c DemandConfig) *demandScript {
	t.Helper()
	g, err := NewDemandGate(c)
	if err != nil {
		t.Fatal(err)
	}
	s := &demandScript{t: t, g: g, now: time.Hour, at: MeasuredJoints{Known: 0b11}}
	s.in = DemandInput{Axes: Unrestricted(), Because: NumTriggers, Measured: &s.at}
	s.tick(0)
	return s.tick(10 * ms)
}

func (s *demandScript) tick(d time.Duration) *demandScript {
	s.now += d
	s.in.New = false
	s.g.Step(s.now, &s.in, &s.out)
	return s
}

func (s *demandScript) axes(a Axes) *demandScript {
	s.in.Axes = a
	return s.tick(ms)
}

func (s *demandScript) send(j *JointDemand) DemandReason {
	s.now += 10 * ms
	s.in.New, s.in.Demand = true, DemandItem{Known: true, FrameOK: true, Received: s.now, Joints: j, Goal: GoalAllowed}
	s.g.Step(s.now, &s.in, &s.out)
	if s.out.Pass != (s.out.Reason == DemandPassed) || s.out.Dropped == s.out.Pass {
		s.t.Errorf("%+v", s.out)
	}
	return s.out.Reason
}

func hands(m Manipulators) Axes {
	a := Unrestricted()
	a.Manipulators = m
	return a
}

// TestDemandReasons names each fault by its reason; each is one edit of a demand that passes, so the edit is what it takes.
func TestDemandReasons(t *testing.T) {
	for name, c := range map[string]struct {
		edit  func(d *DemandItem, s *demandScript)
		want  DemandReason
		joint int
	}{
		"none":                {func(*DemandItem, *demandScript) {}, DemandPassed, -1},
		"nobody":              {func(d *DemandItem, _ *demandScript) { d.Known = false }, DemandUnknownPeer, -1},
		"another frame":       {func(d *DemandItem, _ *demandScript) { d.FrameOK = false }, DemandFrame, -1},
		"old stamp":           {func(d *DemandItem, _ *demandScript) { d.Stamped, d.Age = true, 200*ms }, DemandStale, -1},
		"stamp ahead":         {func(d *DemandItem, _ *demandScript) { d.Stamped, d.Age = true, -51*ms }, DemandFuture, -1},
		"received later":      {func(d *DemandItem, _ *demandScript) { d.Received++ }, DemandFuture, -1},
		"received long ago":   {func(d *DemandItem, _ *demandScript) { d.Received -= 200 * ms }, DemandStale, -1},
		"no outline":          {func(d *DemandItem, _ *demandScript) { d.Joints = nil }, DemandMalformed, -1},
		"NaN":                 {func(d *DemandItem, _ *demandScript) { d.Joints.NotFinite = true }, DemandNotFinite, -1},
		"too much":            {func(d *DemandItem, _ *demandScript) { d.Joints.Count = true }, DemandCount, -1},
		"too many points":     {func(d *DemandItem, _ *demandScript) { d.Joints.Points = MaxDemandPoints + 1 }, DemandCount, -1},
		"too long":            {func(d *DemandItem, _ *demandScript) { d.Joints.Duration = MaxDemandDuration + 1 }, DemandCount, -1},
		"twice":               {func(d *DemandItem, _ *demandScript) { d.Joints.Twice = true }, DemandTwice, -1},
		"ragged":              {func(d *DemandItem, _ *demandScript) { d.Joints.Lengths = true }, DemandMalformed, -1},
		"unknown name":        {func(d *DemandItem, _ *demandScript) { d.Joints.Unknown = 1 }, DemandUnknownJoint, -1},
		"another's joint":     {func(d *DemandItem, _ *demandScript) { d.Joints.Seen |= 4 }, DemandForeignJoint, -1},
		"nothing named":       {func(d *DemandItem, _ *demandScript) { d.Joints.Seen = 0 }, DemandMalformed, -1},
		"back in time":        {func(d *DemandItem, _ *demandScript) { d.Joints.Rising = false }, DemandTimes, -1},
		"before the start":    {func(d *DemandItem, _ *demandScript) { d.Joints.Start = -1 }, DemandTimes, -1},
		"below its stop":      {func(d *DemandItem, _ *demandScript) { d.Joints.Lowest[0] = -1.001 }, DemandPosition, 0},
		"above its stop":      {func(d *DemandItem, _ *demandScript) { d.Joints.Highest[0] = 1.001 }, DemandPosition, 0},
		"at its stop":         {func(d *DemandItem, _ *demandScript) { d.Joints.Highest[0] = 1 }, DemandPassed, -1},
		"fast":                {func(d *DemandItem, _ *demandScript) { d.Joints.Velocity[0] = 2.001 }, DemandVelocity, 0},
		"strong":              {func(d *DemandItem, _ *demandScript) { d.Joints.Effort[0] = 10.001 }, DemandEffort, 0},
		"fast between points": {func(d *DemandItem, _ *demandScript) { d.Joints.Slope[0] = 2.001 }, DemandSlope, 0},
		"in no time":          {func(d *DemandItem, _ *demandScript) { d.Joints.Slope[0] = inf }, DemandSlope, 0},
		"from elsewhere":      {func(_ *DemandItem, s *demandScript) { s.at.Position[0] = 0.051 }, DemandStart, 0},
		"from elsewhere, by a curve": {func(d *DemandItem, s *demandScript) {
			s.at.Position[0], d.Joints.Start, d.Joints.Velocity[0] = 0.25, 100*ms, 0 // 2 rad/s on average, 3.75 at its fastest
		}, DemandStart, 0},
		"from elsewhere, in time": {func(d *DemandItem, s *demandScript) { s.at.Position[0], d.Joints.Start = 0.051, 100*ms }, DemandPassed, -1},
		"time is up already": {func(d *DemandItem, s *demandScript) {
			s.at.Position[0], d.Joints.Start = 0.051, 100*ms
			d.Stamped, d.Age = true, 100*ms
		}, DemandStart, 0},
		"from nobody knows where": {func(_ *DemandItem, s *demandScript) { s.at.Known = 0b10 }, DemandUnmeasured, 0},
		"joints not read":         {func(_ *DemandItem, s *demandScript) { s.in.Measured = nil }, DemandUnmeasured, 0},
		"effort without a limit":  {func(d *DemandItem, _ *demandScript) { d.Joints.Seen = 2; d.Joints.Effort[1] = 0.1 }, DemandEffort, 1},
		"no effort, no limit":     {func(d *DemandItem, _ *demandScript) { d.Joints.Seen = 2; d.Joints.Effort[1] = 0 }, DemandPassed, -1},
		"a velocity into the stop": {func(d *DemandItem, s *demandScript) {
			s.at.Position[0] = 0.9
			d.Joints.First[0] = nan
			d.Joints.Velocity[0] = 1
		}, DemandPosition, 0},
		"a velocity with room": {func(d *DemandItem, s *demandScript) {
			s.at.Position[0] = 0.7
			d.Joints.First[0] = nan
			d.Joints.Velocity[0] = 1
		}, DemandPassed, -1},
	} {
		s := newDemandScript(t, demandConfig())
		s.now += 10 * ms
		s.in.New, s.in.Demand = true, DemandItem{Known: true, FrameOK: true, Received: s.now, Joints: sound()}
		c.edit(&s.in.Demand, s)
		s.g.Step(s.now, &s.in, &s.out)
		if s.out.Reason != c.want || s.out.Pass != (c.want == DemandPassed) || s.out.Joint != c.joint || s.g.Counts()[c.want] != 1 {
			t.Errorf("%s: %+v, %s; expected %s", name, s.out, s.out.Reason, c.want)
		}
	}
}

// TestDemandAxes: which axis closes which gate, and what an emptied trajectory may do.
func TestDemandAxes(t *testing.T) {
	joints, goal, raw := demandConfig(), demandConfig(), demandConfig()
	goal.Kind, goal.Axis = DemandGoal, AxisMotion
	raw.Kind, raw.Axis = DemandOpaque, AxisPerception
	docked, remote := goal, raw
	docked.Dock, remote.Channel, remote.Axis = true, ChannelFleet, AxisRemote
	private, blocked, still := Unrestricted(), Unrestricted(), Unrestricted()
	still.Motion = MotionHold
	private.Perception, blocked.Remote = PerceptionPrivate, RemoteViewOnly
	empty := &JointDemand{}
	for name, c := range map[string]struct {
		cfg  DemandConfig
		axes Axes
		j    *JointDemand
		want DemandReason
	}{
		"arms free":                  {joints, hands(ManipulatorsFree), sound(), DemandPassed},
		"arms limited":               {joints, hands(ManipulatorsLimited), sound(), DemandPassed},
		"arms held":                  {joints, hands(ManipulatorsHold), sound(), DemandArmsHeld},
		"arms held, emptied":         {joints, hands(ManipulatorsHold), empty, DemandPassed},
		"arms disabled":              {joints, hands(ManipulatorsDisabled), sound(), DemandDisabled},
		"arms disabled, emptied":     {joints, hands(ManipulatorsDisabled), empty, DemandDisabled},
		"base held":                  {joints, still, sound(), DemandPassed},
		"goal, base stopped":         {goal, stop(), nil, DemandStopped},
		"goal, base held":            {goal, hold(), nil, DemandHeld},
		"goal, dock only":            {goal, dock(), nil, DemandNotDock},
		"the dock's goal, dock only": {docked, dock(), nil, DemandPassed},
		"the dock's goal, held":      {docked, hold(), nil, DemandHeld},
		"raw, private":               {raw, private, nil, DemandPrivate},
		"raw, arms disabled":         {raw, hands(ManipulatorsDisabled), nil, DemandPassed},
		"remote, view only":          {remote, blocked, nil, DemandRemote},
		"own planner, view only":     {raw, blocked, nil, DemandPassed},
	} {
		s := newDemandScript(t, c.cfg).axes(c.axes)
		if got := s.send(c.j); got != c.want {
			t.Errorf("%s: %s, expected %s", name, got, c.want)
		}
	}
}

func TestDemandGoalAnswers(t *testing.T) {
	c := demandConfig()
	c.Kind, c.Axis = DemandGoal, AxisMotion
	for answer, want := range map[GoalAnswer]DemandReason{
		GoalAllowed: DemandPassed, GoalForbidden: DemandForbidden, GoalNotFinite: DemandNotFinite, GoalUnknown: DemandUnjudged,
		GoalUnlisted: DemandUnlisted,
	} {
		s := newDemandScript(t, c)
		s.now += ms
		s.in.New, s.in.Demand = true, DemandItem{Known: true, FrameOK: true, Received: s.now, Goal: answer}
		if s.g.Step(s.now, &s.in, &s.out); s.out.Reason != want {
			t.Errorf("%d: %s, expected %s", answer, s.out.Reason, want)
		}
	}
}

// TestDemandEnds: what is under way is told to stop when it may not go on, once.
func TestDemandEnds(t *testing.T) {
	s := newDemandScript(t, demandConfig())
	if s.send(sound()) != DemandPassed {
		t.Fatal(s.out)
	}
	if s.axes(hands(ManipulatorsLimited)); s.out.End {
		t.Errorf("a quarter of the speed is within the reduced limits: %+v", s.out)
	}
	fast := sound()
	fast.Slope[0] = 1.5
	s.axes(Unrestricted()).send(fast)
	if s.axes(hands(ManipulatorsLimited)); !s.out.End || s.out.Ended != DemandVelocity {
		t.Errorf("three quarters of the speed go on under half of it: %+v", s.out)
	}
	if got := s.send(fast); got != DemandSlope {
		t.Errorf("and pass: %s", got)
	}
	if s.axes(hands(ManipulatorsHold)); !s.out.End || s.out.Ended != DemandArmsHeld {
		t.Errorf("a hold does not end anything: %+v", s.out)
	}
	if s.tick(10 * ms); s.out.End {
		t.Errorf("told twice: %+v", s.out)
	}
	if s.axes(hands(ManipulatorsDisabled)); s.out.End {
		t.Errorf("told again although nothing was under way: %+v", s.out)
	}
	if fresh, _ := NewDemandGate(demandConfig()); true {
		var out DemandOutput
		if fresh.Step(time.Hour, &DemandInput{}, &out); !out.End || out.Open {
			t.Errorf("what a guard before this one let pass goes on: %+v", out)
		}
	}
	c := demandConfig()
	c.Streamed = true
	s = newDemandScript(t, c)
	j := sound()
	j.Timed, j.Duration, j.Points = false, 0, 1
	s.send(j)
	if s.tick(199 * ms); s.out.End {
		t.Errorf("ended too early: %+v", s.out)
	}
	if s.tick(ms); !s.out.End || s.out.Ended != DemandStale {
		t.Errorf("a stream that dried up goes on: %+v", s.out)
	}
}

// TestDemandEndsAFastWayToItsFirstPoint: one point far away and soon is as fast as many.
func TestDemandEndsAFastWayToItsFirstPoint(t *testing.T) {
	one := sound()
	one.Points, one.Start, one.Duration, one.Slope[0], one.First[0] = 1, 500*ms, 500*ms, nan, 0.5
	for name, c := range map[string]struct {
		from float64
		ends bool
	}{"slow": {0, false}, "fast": {-0.5, true}} {
		s := newDemandScript(t, demandConfig())
		s.at.Position[0] = c.from
		if s.send(one) != DemandPassed {
			t.Fatal(name, s.out)
		}
		stop := sound()
		stop.Points = 0
		if s.send(stop) != DemandPassed {
			t.Fatal(name, s.out)
		}
		if s.axes(hands(ManipulatorsLimited)); s.out.End != c.ends {
			t.Errorf("%s: ended %v, expected %v", name, s.out.End, c.ends)
		}
	}
}

// TestDemandSilence: who never stopped sending must not move the arms at the moment when a latch is reset.
func TestDemandSilence(t *testing.T) {
	s := newDemandScript(t, demandConfig())
	s.in.Latched = true
	s.axes(hands(ManipulatorsHold))
	s.send(sound())
	s.in.Latched = false
	s.axes(Unrestricted())
	for range 50 {
		if got := s.send(sound()); got != DemandNeutral {
			t.Fatalf("passed: %s", got)
		}
	}
	if s.tick(190 * ms).send(sound()); s.out.Reason != DemandPassed {
		t.Errorf("after silence: %s", s.out.Reason)
	}
	// Off: without a latch there is nothing to wait for.
	s.axes(hands(ManipulatorsHold)).axes(Unrestricted())
	if got := s.send(sound()); got != DemandPassed {
		t.Errorf("after a hold that ended by itself: %s", got)
	}
}

func TestDemandConfigFaults(t *testing.T) {
	for name, edit := range map[string]func(c *DemandConfig){
		"no kind":          func(c *DemandConfig) { c.Kind = DemandUnknown },
		"no axis":          func(c *DemandConfig) { c.Axis = AxisUnknown },
		"cancels joints":   func(c *DemandConfig) { c.Cancels = true },
		"joints on motion": func(c *DemandConfig) { c.Axis = AxisMotion },
		"goal on arms":     func(c *DemandConfig) { c.Kind = DemandGoal },
		"no joints":        func(c *DemandConfig) { c.Joints = 0 },
		"no limits":        func(c *DemandConfig) { c.Joints = 0b111 },
		"limits crossed":   func(c *DemandConfig) { c.Limits[0].Min = 2 },
		"no velocity":      func(c *DemandConfig) { c.Limits[0].Velocity = 0 },
		"NaN velocity":     func(c *DemandConfig) { c.Limits[0].Velocity = nan },
		"no effort":        func(c *DemandConfig) { c.Limits[0].Effort = 0 },
		"no share":         func(c *DemandConfig) { c.Reduced = 0 },
		"more than all":    func(c *DemandConfig) { c.Reduced = 1.001 },
		"NaN share":        func(c *DemandConfig) { c.Reduced = nan },
		"no timeout":       func(c *DemandConfig) { c.Timeout = 0 },
		"no slack":         func(c *DemandConfig) { c.Slack = 0 },
		"no reach":         func(c *DemandConfig) { c.Reach = 0 },
	} {
		c := demandConfig()
		edit(&c)
		var fault *ConfigError
		if _, err := NewDemandGate(c); !errors.As(err, &fault) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// demander is a demand gate, or one that is wrong on purpose.
type demander interface {
	Step(now time.Duration, in *DemandInput, out *DemandOutput)
}

func anyDemand(now time.Duration, t *rapid.T) DemandItem {
	j := sound()
	number := rapid.OneOf(rapid.Just(nan), rapid.Float64Range(-3, 3), anyNumber())
	j.Points = rapid.SampledFrom([]int{0, 1, 2, 2, 2, MaxDemandPoints + 1}).Draw(t, "points")
	j.Seen = rapid.SampledFrom([]uint64{1, 2, 3, 3, 7}).Draw(t, "seen")
	j.Unknown = rapid.SampledFrom([]int{0, 0, 0, 1}).Draw(t, "unknown")
	often := func(label string) bool { return rapid.IntRange(0, 9).Draw(t, label) == 9 }
	j.NotFinite, j.Twice, j.Lengths, j.Count = often("not finite"), often("twice"), often("lengths"), often("count")
	j.Timed, j.Rising = rapid.Bool().Draw(t, "timed"), !often("falling")
	for i := range 3 {
		for _, a := range [...]*[MaxDemandJoints]float64{&j.First, &j.Lowest, &j.Highest, &j.Velocity, &j.Effort, &j.Slope} {
			if a[i] = a[0]; often("number") {
				a[i] = number.Draw(t, "number")
			}
			j.NotFinite = j.NotFinite || math.IsInf(a[i], 0)
		}
		j.Velocity[i], j.Effort[i], j.Slope[i] = math.Abs(j.Velocity[i]), math.Abs(j.Effort[i]), math.Abs(j.Slope[i])
	}
	return DemandItem{
		Known: !often("nobody"), FrameOK: !often("frame"), Received: now - time.Duration(rapid.SampledFrom([]int{0, 0, 0, 1, 9, 10, -1}).Draw(t, "age"))*20*ms,
		Stamped: rapid.Bool().Draw(t, "stamped"), Age: time.Duration(rapid.SampledFrom([]int{0, 5, 19, 20, -5, -6}).Draw(t, "stamp")) * 10 * ms, Joints: j,
	}
}

// demandsAreSafe checks on a random history that nothing passes that may not: written from the promises, not from the code.
func demandsAreSafe(t *rapid.T, g demander) error {
	c := demandConfig()
	now := time.Hour
	for i := range rapid.IntRange(1, 30).Draw(t, "steps") {
		now += time.Duration(rapid.IntRange(0, 8).Draw(t, "wait")) * 25 * ms
		measured := MeasuredJoints{Known: rapid.SampledFrom([]uint64{3, 3, 3, 2, 1}).Draw(t, "known")}
		in := DemandInput{
			New: rapid.Bool().Draw(t, "new"), Demand: anyDemand(now, t), Measured: &measured, Latched: rapid.Bool().Draw(t, "latched"),
			Axes: rapid.OneOf(rapid.Just(Unrestricted()), rapid.Just(hands(ManipulatorsLimited)), rapid.Just(hands(ManipulatorsHold)), anyAxes()).Draw(t, "axes"),
		}
		var out DemandOutput
		g.Step(now, &in, &out)
		if !out.Pass {
			continue
		}
		d, j, axes := &in.Demand, in.Demand.Joints, in.Axes.Normal()
		part := 1.0
		if axes.Manipulators == ManipulatorsLimited {
			part = c.Reduced
		}
		switch {
		case !in.New, !d.Known, !d.FrameOK, j.NotFinite, j.Unknown > 0, j.Seen&^c.Joints != 0, j.Twice, j.Lengths, j.Count:
			return fault("step %d: %+v passed", i, d)
		case axes.Manipulators == ManipulatorsDisabled, axes.Manipulators == ManipulatorsHold && j.Points != 0:
			return fault("step %d: passed under %v", i, axes)
		case now-d.Received >= c.Timeout, d.Received > now, d.Stamped && (d.Age >= c.Timeout || d.Age < -c.MaxSkew):
			return fault("step %d: passed with a wrong time", i)
		case j.Points > 0 && j.Timed && !j.Rising:
			return fault("step %d: time does not grow", i)
		}
		for seen := j.Seen; seen != 0 && j.Points > 0; seen &= seen - 1 {
			k := bits.TrailingZeros64(seen)
			l := &c.Limits[k]
			if j.Lowest[k] < l.Min || j.Highest[k] > l.Max || j.Velocity[k] > l.Velocity*part || j.Slope[k] > l.Velocity*part ||
				j.Effort[k] != 0 && !math.IsNaN(j.Effort[k]) && !(j.Effort[k] <= l.Effort*part) {
				return fault("step %d: joint %d passed beyond its limits: %+v", i, k, j)
			}
			if !math.IsNaN(j.First[k]) && measured.Known&(1<<k) == 0 {
				return fault("step %d: joint %d goes from nobody knows where", i, k)
			}
		}
	}
	return nil
}

func TestDemandsAreSafe(t *testing.T) {
	check(t, func(t *rapid.T) error {
		g, err := NewDemandGate(demandConfig())
		if err != nil {
			return err
		}
		return demandsAreSafe(t, g)
	})
}

// wrongDemands changes what a gate sees.
type wrongDemands struct {
	*DemandGate
	before func(in *DemandInput)
}

func (w wrongDemands) Step(now time.Duration, in *DemandInput, out *DemandOutput) {
	seen, joints := *in, *in.Demand.Joints
	seen.Demand.Joints = &joints
	w.before(&seen)
	w.DemandGate.Step(now, &seen, out)
}

func TestDemandsAreSafeFindsWrongGates(t *testing.T) {
	for name, before := range map[string]func(in *DemandInput){
		"blind to the axes": func(in *DemandInput) { in.Axes = Unrestricted() },
		"no reduced limits": func(in *DemandInput) {
			if in.Axes.Manipulators == ManipulatorsLimited {
				in.Axes.Manipulators = ManipulatorsFree
			}
		}, //nolint:gofumpt // one line each
		"takes NaN":           func(in *DemandInput) { in.Demand.Joints.NotFinite = false },
		"takes names":         func(in *DemandInput) { in.Demand.Joints.Unknown = 0 },
		"takes any time":      func(in *DemandInput) { in.Demand.Stamped = false },
		"takes anybody":       func(in *DemandInput) { in.Demand.Known = true },
		"takes positions":     func(in *DemandInput) { in.Demand.Joints.Highest[0] = 0 },
		"takes velocities":    func(in *DemandInput) { in.Demand.Joints.Velocity[0] = nan },
		"takes efforts":       func(in *DemandInput) { in.Demand.Joints.Effort[1] = 0 },
		"takes jumps":         func(in *DemandInput) { in.Demand.Joints.Slope[1] = 0 },
		"knows all positions": func(in *DemandInput) { in.Measured = &MeasuredJoints{Known: 3} },
	} {
		t.Run(name, func(t *testing.T) {
			refuted(t, func(t *rapid.T) error {
				g, _ := NewDemandGate(demandConfig())
				return demandsAreSafe(t, wrongDemands{g, before})
			})
		})
	}
}

// stricterPassesLess: of two gates in the same state, the one under tighter axes passes no demand that the other does not.
func stricterPassesLess(t *rapid.T, off bool) error {
	c := demandConfig()
	c.Channel = rapid.SampledFrom([]ChannelKind{ChannelAutonomy, ChannelFleet}).Draw(t, "channel")
	g, err := NewDemandGate(c)
	if err != nil {
		return err
	}
	now := time.Hour
	for range rapid.IntRange(1, 20).Draw(t, "steps") {
		now += time.Duration(rapid.IntRange(0, 8).Draw(t, "wait")) * 25 * ms
		loose := DemandInput{New: true, Demand: anyDemand(now, t), Measured: &MeasuredJoints{Known: 3}, Axes: anyAxes().Draw(t, "axes")}
		tight := loose
		if tight.Axes = Join(loose.Axes, anyAxes().Draw(t, "more")); off {
			tight.Axes, loose.Axes = loose.Axes, tight.Axes
		}
		other := *g
		var a, b DemandOutput
		g.Step(now, &loose, &a)
		other.Step(now, &tight, &b)
		if b.Pass && !a.Pass {
			return fault("%v passes what %v does not: %s", tight.Axes, loose.Axes, a.Reason)
		}
	}
	return nil
}

func TestStricterAxesPassLess(t *testing.T) {
	check(t, func(t *rapid.T) error { return stricterPassesLess(t, false) })
	refuted(t, func(t *rapid.T) error { return stricterPassesLess(t, true) })
}

func TestDemandStateRoundTrip(t *testing.T) {
	check(t, func(t *rapid.T) error {
		a, _ := NewDemandGate(demandConfig())
		b, _ := NewDemandGate(demandConfig())
		now := time.Hour
		cut := rapid.IntRange(0, 20).Draw(t, "cut")
		for i := range 30 {
			now += time.Duration(rapid.IntRange(0, 8).Draw(t, "wait")) * 25 * ms
			in := DemandInput{New: rapid.Bool().Draw(t, "new"), Demand: anyDemand(now, t), Measured: &MeasuredJoints{Known: 3}, Axes: anyAxes().Draw(t, "axes")}
			var out, again DemandOutput
			a.Step(now, &in, &out)
			if i >= cut {
				// By their texts, since a limit that is not there is NaN.
				if b.Step(now, &in, &again); fmt.Sprint(out) != fmt.Sprint(again) {
					return fault("%+v, restored %+v", out, again)
				}
			} else if err := b.RestoreState(a.AppendState(nil)); err != nil {
				return err
			}
			if i < cut {
				continue
			}
		}
		if err := b.RestoreState([]byte("no state")); err == nil {
			return fault("rubbish was restored")
		}
		return nil
	})
}

func TestDemandGateDoesNotAllocate(t *testing.T) {
	s := newDemandScript(t, demandConfig())
	j := sound()
	if n := testing.AllocsPerRun(1000, func() { s.send(j); s.tick(ms) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// TestDemandEndsUntilTheJointsStand: controllers are told again until measurements from after they were told show that the
// joints stand, and for long enough.
func TestDemandEndsUntilTheJointsStand(t *testing.T) {
	held := func(t *testing.T) *demandScript {
		s := newDemandScript(t, demandConfig())
		s.send(sound())
		if s.axes(hands(ManipulatorsHold)); !s.out.End || s.out.Again {
			t.Fatalf("the first time: %+v", s.out)
		}
		return s
	}
	// told counts how often they are told again in 3 s, with joints measured as at says each 10 ms.
	told := func(s *demandScript, at func(i int, m *MeasuredJoints)) (n int) {
		for i := range 300 {
			s.at.At = s.now
			at(i, &s.at)
			if s.tick(10 * ms); s.out.End {
				if !s.out.Again || s.out.Ended != DemandArmsHeld {
					t.Errorf("told again as if it was the first time: %+v", s.out)
				}
				n++
			}
		}
		return n
	}
	for name, c := range map[string]struct {
		at   func(i int, m *MeasuredJoints)
		want int
	}{
		"they stand at once":              {func(_ int, m *MeasuredJoints) { m.Still = 0b11 }, 0},
		"they never do":                   {func(_ int, m *MeasuredJoints) { m.Still = 0 }, 6},
		"one does not":                    {func(_ int, m *MeasuredJoints) { m.Still = 0b01 }, 6},
		"they are slow to":                {func(i int, m *MeasuredJoints) { m.Still = map[bool]uint64{i > 120: 0b11}[true] }, 2},
		"what was seen before":            {func(_ int, m *MeasuredJoints) { m.At, m.Still = time.Minute, 0b11 }, 6},
		"they stand only now and then":    {func(i int, m *MeasuredJoints) { m.Still = map[bool]uint64{i%25 > 1: 0b11}[true] }, 5},
		"they begin to move again, later": {func(i int, m *MeasuredJoints) { m.Still = map[bool]uint64{i < 100: 0b11}[true] }, 0},
	} {
		t.Run(name, func(t *testing.T) {
			s := held(t)
			if got := told(s, c.at); got < c.want-1 || got > c.want || c.want == 0 && got != 0 {
				t.Errorf("told %d times more, expected %d", got, c.want)
			}
			if s.g.Ends() != 1 {
				t.Errorf("%d ends counted, expected 1", s.g.Ends())
			}
		})
	}
	t.Run("joints that nobody sees", func(t *testing.T) {
		s := held(t)
		s.in.Measured = nil
		if got := told(s, func(int, *MeasuredJoints) {}); got < 5 {
			t.Errorf("told %d times more", got)
		}
	})
	t.Run("a new command replaces it", func(t *testing.T) {
		s := held(t)
		s.axes(Unrestricted()).tick(10 * ms)
		if got := s.send(sound()); got != DemandPassed {
			t.Fatal(got)
		}
		if got := told(s, func(_ int, m *MeasuredJoints) { m.Still = 0 }); got != 0 {
			t.Errorf("the new command was ended %d times", got)
		}
	})
}
