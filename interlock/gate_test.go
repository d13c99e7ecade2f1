package interlock

import (
	"math"
	"testing"
	"time"

	"pgregory.net/rapid"
)

var (
	inf = math.Inf(1)
	nan = math.NaN()
)

func TestGatePassesWhatIsFree(t *testing.T) {
	s := newGateScript(t).drive(0.7)
	if s.out.Reason != GatePassed || s.out.Ratio != 1 || s.out.Dropped || s.out.Next != s.now+200*ms {
		t.Errorf("got %+v", s.out)
	}
	v := Velocity{Linear: [3]float64{0.1, -0.2, 0.3}, Angular: [3]float64{-0.4, 0.5, -0.6}}
	s.in.Command.Velocity = v
	s.tick(10 * ms).send(s.now)
	if s.out.Velocity != v {
		t.Errorf("got %+v", s.out.Velocity)
	}
}

func TestGateSendsZerosBeforeAnyCommand(t *testing.T) {
	g, err := NewGate(gateConfig())
	if err != nil {
		t.Fatal(err)
	}
	var out GateOutput
	g.Step(time.Hour, &GateInput{}, &out)
	if !out.Send || out.Velocity != (Velocity{}) || out.Reason != GateStopped || out.Next != time.Hour+50*ms {
		t.Errorf("got %+v", out)
	}
}

func TestGateStopsAtOnceAndKeepsSendingZeros(t *testing.T) {
	for name, c := range map[string]struct {
		axes   Axes
		reason GateReason
	}{
		"hold": {hold(), GateHeld},
		"stop": {stop(), GateStopped},
	} {
		t.Run(name, func(t *testing.T) {
			s := newGateScript(t).drive(1)
			s.in.Because = OrderStop
			s.now += ms
			s.axes(c.axes)
			if !s.out.Send || s.out.Velocity != (Velocity{}) || s.out.Reason != c.reason || s.out.Because != OrderStop {
				t.Fatalf("got %+v", s.out)
			}
			zeros := 0
			for range 100 {
				s.tick(10 * ms)
				if s.out.Send {
					zeros++
				}
				s.command(1, s.now)
				if s.out.Velocity != (Velocity{}) || !s.out.Dropped || s.out.Reason != c.reason {
					t.Fatalf("a command got through: %+v", s.out)
				}
			}
			if zeros != 20 {
				t.Errorf("%d zeros within a second, want 20", zeros)
			}
		})
	}
}

func TestGateTightensBetweenCommands(t *testing.T) {
	s := newGateScript(t).drive(1)
	s.in.Ratio = 0.5
	s.tick(ms)
	if !s.out.Send || s.out.Velocity.Linear[0] != 0.5 || s.out.Reason != GateScaledByRatio {
		t.Fatalf("got %+v", s.out)
	}
	s.in.Ratio = 0.9
	s.tick(ms)
	if s.out.Send {
		t.Fatalf("raised without a command: %+v", s.out)
	}
	s.axes(limited(0.2))
	if !s.out.Send || s.out.Velocity.Linear[0] != 0.2 || s.out.Reason != GateScaledBySpeed {
		t.Fatalf("got %+v", s.out)
	}
	s.axes(Unrestricted()).command(1, s.now)
	if s.out.Velocity.Linear[0] != 0.9 {
		t.Fatalf("got %+v", s.out)
	}
}

func TestGateScalesAllAxesByOneRatio(t *testing.T) {
	for name, c := range map[string]struct {
		in       Velocity
		axes     Axes
		ratio    float64
		fence    float64
		want     Velocity
		reason   GateReason
		wantsMax float64
	}{
		"speed cap": {
			Velocity{[3]float64{3, 4, 0}, [3]float64{0, 0, 2}}, limited(2.5), 1, inf,
			Velocity{[3]float64{1.5, 2, 0}, [3]float64{0, 0, 1}}, GateScaledBySpeed, 0.5,
		},
		"geofence's cap": {
			Velocity{[3]float64{-2, 0, 0}, [3]float64{0, 0, 1}}, limited(2.5), 1, 1,
			Velocity{[3]float64{-1, 0, 0}, [3]float64{0, 0, 0.5}}, GateScaledBySpeed, 0.5,
		},
		"geofence's ratio": {
			Velocity{[3]float64{1, 0, 0}, [3]float64{0, 0, 1}}, Unrestricted(), 0.25, inf,
			Velocity{[3]float64{0.25, 0, 0}, [3]float64{0, 0, 0.25}}, GateScaledByRatio, 0.25,
		},
		"the smaller of both, not their product": {
			Velocity{[3]float64{1, 0, 0}, [3]float64{}}, limited(0.5), 0.5, inf,
			Velocity{[3]float64{0.5, 0, 0}, [3]float64{}}, GateScaledByRatio, 0.5,
		},
		"turn on the spot": {
			Velocity{[3]float64{}, [3]float64{0, 0, 2}}, limited(0.5), 1, inf,
			Velocity{[3]float64{}, [3]float64{0, 0, 1}}, GateScaledBySpeed, 0.5,
		},
		"ratio above one never raises": {
			Velocity{[3]float64{0.3, 0, 0}, [3]float64{}}, Unrestricted(), 7, inf,
			Velocity{[3]float64{0.3, 0, 0}, [3]float64{}}, GatePassed, 1,
		},
		"ratio of nothing":       {Velocity{[3]float64{1, 0, 0}, [3]float64{}}, Unrestricted(), 0, inf, Velocity{}, GateScaledByRatio, 0},
		"ratio NaN":              {Velocity{[3]float64{1, 0, 0}, [3]float64{}}, Unrestricted(), nan, inf, Velocity{}, GateScaledByRatio, 0},
		"negative ratio":         {Velocity{[3]float64{1, 0, 0}, [3]float64{}}, Unrestricted(), -1, inf, Velocity{}, GateScaledByRatio, 0},
		"cap NaN":                {Velocity{[3]float64{1, 0, 0}, [3]float64{}}, Unrestricted(), 1, nan, Velocity{}, GateScaledBySpeed, 0},
		"cap of nothing":         {Velocity{[3]float64{1, 0, 0}, [3]float64{}}, limited(0), 1, inf, Velocity{}, GateScaledBySpeed, 0},
		"largest number":         {Velocity{[3]float64{math.MaxFloat64, math.MaxFloat64, 0}, [3]float64{}}, limited(1), 1, inf, Velocity{}, GateScaledBySpeed, 0},
		"subnormal becomes zero": {Velocity{[3]float64{0x1p-1070, 0, 0}, [3]float64{}}, Unrestricted(), 1, inf, Velocity{}, GatePassed, 1},
		"minus zero becomes zero": {
			Velocity{[3]float64{math.Copysign(0, -1), 0, 0}, [3]float64{0, 0, math.Copysign(0, -1)}}, Unrestricted(), 1, inf,
			Velocity{}, GatePassed, 1,
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := newGateScript(t).drive(0.1)
			s.in.Axes, s.in.Ratio, s.in.MaxSpeedMPS, s.in.Command.Velocity = c.axes, c.ratio, c.fence, c.in
			s.now += ms
			s.send(s.now)
			if s.out.Velocity != c.want || s.out.Reason != c.reason || s.out.Ratio != c.wantsMax || !s.out.Send || s.out.Dropped {
				t.Errorf("got %+v", s.out)
			}
			for i := range 3 {
				if math.Signbit(s.out.Velocity.Linear[i]) && s.out.Velocity.Linear[i] == 0 {
					t.Error("got -0")
				}
			}
		})
	}
}

func TestGateDrops(t *testing.T) {
	for name, c := range map[string]struct {
		change func(s *gateScript)
		reason GateReason
		// stops says whether the command that passed before ends as well.
		stops bool
	}{
		"NaN":                        {func(s *gateScript) { s.in.Command.Linear[2] = nan }, GateNotFinite, true},
		"infinity":                   {func(s *gateScript) { s.in.Command.Angular[1] = -inf }, GateNotFinite, true},
		"NaN from another channel":   {func(s *gateScript) { s.in.Command.Channel, s.in.Command.Linear[0] = 2, nan }, GateNotFinite, false},
		"channel zero":               {func(s *gateScript) { s.in.Command.Channel = 0 }, GateUnknownChannel, false},
		"channel too large":          {func(s *gateScript) { s.in.Command.Channel = MaxChannels + 1 }, GateUnknownChannel, false},
		"kind unknown":               {func(s *gateScript) { s.in.Command.Kind = ChannelUnknown }, GateUnknownChannel, false},
		"kind outside":               {func(s *gateScript) { s.in.Command.Kind = 9 }, GateUnknownChannel, false},
		"received in the future":     {func(s *gateScript) { s.in.Command.Received = s.now + 1 }, GateFuture, true},
		"stamped in the future":      {func(s *gateScript) { s.in.Command.Stamped, s.in.Command.Age = true, -51*ms }, GateFuture, true},
		"stamped too old":            {func(s *gateScript) { s.in.Command.Stamped, s.in.Command.Age = true, 200*ms }, GateStale, true},
		"stamped absurdly":           {func(s *gateScript) { s.in.Command.Stamped, s.in.Command.Age = true, math.MaxInt64 }, GateStale, true},
		"out of order":               {func(s *gateScript) { s.in.Command.Received -= 5 * ms }, GateOutOfOrder, false},
		"remote while blocked":       {func(s *gateScript) { s.in.Axes = remote(RemoteBlocked); s.in.Command.Kind = ChannelOperator }, GateRemote, true},
		"remote while view only":     {func(s *gateScript) { s.in.Axes = remote(RemoteViewOnly); s.in.Command.Kind = ChannelVendor }, GateRemote, true},
		"fleet while blocked":        {func(s *gateScript) { s.in.Axes = remote(RemoteBlocked); s.in.Command.Kind = ChannelFleet }, GateRemote, true},
		"another than the dock's":    {func(s *gateScript) { s.in.Axes = dock() }, GateNotDock, true},
		"another channel, dock only": {func(s *gateScript) { s.in.Axes = dock(); s.in.Command.Channel = 2 }, GateNotDock, true},
	} {
		t.Run(name, func(t *testing.T) {
			s := newGateScript(t).drive(0.5)
			s.in.New, s.in.Command.Received = true, s.now
			c.change(s)
			before := s.g.Counts()[c.reason]
			s.g.Step(s.now, &s.in, &s.out)
			if !s.out.Dropped || s.out.Reason != c.reason {
				t.Fatalf("got %+v", s.out)
			}
			if stopped := s.out.Velocity == (Velocity{}); stopped != c.stops {
				t.Errorf("stopped is %v: %+v", stopped, s.out)
			}
			if c.stops && !s.out.Send {
				t.Error("the zero is not sent")
			}
			if s.g.Counts()[c.reason] != before+1 {
				t.Error("not counted")
			}
		})
	}
}

func TestGateStaleCommandFromAQueue(t *testing.T) {
	s := newGateScript(t).drive(0.5)
	s.tick(300*ms).command(0.5, s.now-250*ms)
	if !s.out.Dropped || s.out.Reason != GateStale || s.out.Velocity != (Velocity{}) {
		t.Errorf("got %+v", s.out)
	}
}

func TestGateTimesOut(t *testing.T) {
	s := newGateScript(t).drive(0.5)
	s.tick(199 * ms)
	if s.out.Send || s.out.Velocity.Linear[0] != 0.5 {
		t.Fatalf("got %+v", s.out)
	}
	s.tick(ms)
	if !s.out.Send || s.out.Velocity != (Velocity{}) || s.out.Reason != GateTimeout {
		t.Fatalf("got %+v", s.out)
	}
	s.tick(10*ms).command(0.5, s.now)
	if s.out.Velocity.Linear[0] != 0.5 {
		t.Errorf("a new command does not pass: %+v", s.out)
	}
}

func TestGateDockOnlyPassesTheDock(t *testing.T) {
	s := newGateScript(t).drive(0.5)
	s.axes(Join(dock(), limited(0.25)))
	if s.out.Velocity != (Velocity{}) || s.out.Reason != GateNotDock {
		t.Fatalf("the planner's command goes on: %+v", s.out)
	}
	s.in.Command.Channel, s.in.Command.Dock = 2, true
	s.tick(10*ms).command(0.5, s.now)
	if s.out.Velocity.Linear[0] != 0.25 || s.out.Dropped {
		t.Fatalf("got %+v", s.out)
	}
}

func TestGateAfterAHoldWantsAFreshCommand(t *testing.T) {
	s := newGateScript(t).drive(0.5)
	s.tick(10 * ms).axes(hold())
	queued := s.now
	s.tick(10 * ms).axes(Unrestricted())
	if s.out.Velocity != (Velocity{}) {
		t.Fatalf("the old command came back: %+v", s.out)
	}
	s.command(0.5, queued)
	if !s.out.Dropped || s.out.Reason != GateBeforeRelease || s.out.Velocity != (Velocity{}) {
		t.Fatalf("a command from before the release passed: %+v", s.out)
	}
	s.tick(10*ms).command(0.5, s.now)
	if s.out.Velocity.Linear[0] != 0.5 {
		t.Errorf("got %+v", s.out)
	}
}

func TestGateAfterAStopWantsNeutral(t *testing.T) {
	stopped := func(t *testing.T) *gateScript {
		s := newGateScript(t).drive(0.5)
		s.tick(10 * ms).axes(stop())
		s.tick(50*ms).command(0.5, s.now)
		s.tick(50 * ms).axes(Unrestricted())
		// The stream that ran through the stop goes on, and does not pass.
		for range 20 {
			s.tick(50*ms).command(0.5, s.now)
			if s.out.Velocity != (Velocity{}) || s.out.Reason != GateNeutral {
				t.Fatalf("got %+v", s.out)
			}
		}
		return s
	}
	t.Run("a zero", func(t *testing.T) {
		stopped(t).drive(0.5)
	})
	t.Run("silence", func(t *testing.T) {
		s := stopped(t)
		s.tick(200*ms).command(0.5, s.now)
		if s.out.Velocity.Linear[0] != 0.5 {
			t.Errorf("got %+v", s.out)
		}
	})
	t.Run("too short a silence", func(t *testing.T) {
		s := stopped(t)
		s.tick(199*ms).command(0.5, s.now)
		if s.out.Reason != GateNeutral {
			t.Errorf("got %+v", s.out)
		}
	})
	t.Run("another channel's zero", func(t *testing.T) {
		s := stopped(t)
		s.in.Command.Channel = 2
		s.tick(50*ms).command(0, s.now)
		s.in.Command.Channel = 1
		s.tick(50*ms).command(0.5, s.now)
		if s.out.Reason != GateNeutral {
			t.Errorf("got %+v", s.out)
		}
	})
}

func TestGateRefusesConfigurations(t *testing.T) {
	for field, change := range map[string]func(c *GateConfig){
		"CommandTimeout": func(c *GateConfig) { c.CommandTimeout = 0 },
		"MaxSkew":        func(c *GateConfig) { c.MaxSkew = -1 },
		"ZeroPeriod":     func(c *GateConfig) { c.ZeroPeriod = 0 },
		"RadiusM":        func(c *GateConfig) { c.RadiusM = nan },
	} {
		c := gateConfig()
		change(&c)
		if _, err := NewGate(c); !hasConfigError(err, field) {
			t.Errorf("%s: got %v", field, err)
		}
	}
}

// hasConfigError looks for one error among the joined ones.
func hasConfigError(err error, field string) bool {
	joined, ok := err.(interface{ Unwrap() []error }) //nolint:errorlint // the joined error itself
	if !ok {
		return false
	}
	for _, e := range joined.Unwrap() {
		if ce, ok := e.(*ConfigError); ok && ce.Field == field && ce.Found != "" && ce.Want != "" { //nolint:errorlint // as above
			return true
		}
	}
	return false
}

// gater is a gate, or one that is wrong on purpose.
type gater interface {
	Step(now time.Duration, in *GateInput, out *GateOutput)
}

func anyNumber() *rapid.Generator[float64] {
	return rapid.OneOf(
		rapid.Float64Range(-3, 3),
		rapid.SampledFrom([]float64{
			0, math.Copysign(0, -1), 1, -1, nan, inf, -inf, 0x1p-1074, -0x1p-1030, math.MaxFloat64, -1e300, 1e-300,
		}),
	)
}

func anyGateInput(now time.Duration, t *rapid.T) GateInput {
	in := GateInput{
		New:         rapid.Bool().Draw(t, "new"),
		Axes:        rapid.OneOf(rapid.Just(Unrestricted()), rapid.Just(limited(0.5)), rapid.Just(dock()), anyAxes()).Draw(t, "axes"),
		Because:     NumTriggers,
		Ratio:       rapid.OneOf(rapid.Just(1.0), anyNumber()).Draw(t, "ratio"),
		MaxSpeedMPS: rapid.OneOf(rapid.Just(inf), anyNumber()).Draw(t, "cap"),
	}
	c := &in.Command
	for i := range 3 {
		c.Linear[i], c.Angular[i] = anyNumber().Draw(t, "linear"), anyNumber().Draw(t, "angular")
	}
	c.Channel = uint16(rapid.IntRange(0, 4).Draw(t, "channel")) //nolint:gosec // small
	c.Kind = ChannelKind(rapid.IntRange(0, 5).Draw(t, "kind"))  //nolint:gosec // small
	c.Dock = rapid.Bool().Draw(t, "dock")
	c.Received = now - time.Duration(rapid.IntRange(-2, 20).Draw(t, "age"))*10*ms
	c.Stamped = rapid.Bool().Draw(t, "stamped")
	c.Age = time.Duration(rapid.IntRange(-10, 30).Draw(t, "stamp")) * 10 * ms
	return in
}

// gateIsSafe checks on a random history that the gate never sends what it may not.
func gateIsSafe(t *rapid.T, g gater) error {
	now, heldAt := time.Hour, time.Hour
	var sent Velocity
	var current Command
	for i := range rapid.IntRange(1, 40).Draw(t, "steps") {
		now += time.Duration(rapid.IntRange(0, 8).Draw(t, "wait")) * 25 * ms
		in := anyGateInput(now, t)
		axes := in.Axes.Normal()
		var out GateOutput
		g.Step(now, &in, &out)
		if out.Send {
			sent = out.Velocity
		}
		if in.New && !out.Dropped {
			current = in.Command
		}
		if out.Send && out.Next <= now {
			return fault("step %d: the next step is due at once", i)
		}
		if axes.Motion <= MotionHold {
			heldAt = now
			if sent != (Velocity{}) {
				return fault("step %d: %+v goes on under %v", i, sent, axes)
			}
		}
		if sent == (Velocity{}) {
			continue
		}
		switch {
		case now-current.Received >= gateConfig().CommandTimeout:
			return fault("step %d: %+v goes on although its command has run out", i, sent)
		case current.Received <= heldAt:
			return fault("step %d: a command passed that came before the release", i)
		case axes.Motion == MotionDockOnly && !current.Dock:
			return fault("step %d: somebody else than the dock commands", i)
		case axes.Remote != RemoteFree && current.Kind.Remote():
			return fault("step %d: a remote channel commands under %v", i, axes)
		case norm(sent.Linear) > min(axes.MaxSpeedMPS, in.MaxSpeedMPS), math.IsNaN(in.MaxSpeedMPS), !(in.Ratio > 0):
			return fault("step %d: %+v is above the cap %v, %v, ratio %v", i, sent, axes, in.MaxSpeedMPS, in.Ratio)
		}
		for k := range 3 {
			for _, p := range [...][2]float64{{sent.Linear[k], current.Linear[k]}, {sent.Angular[k], current.Angular[k]}} {
				if !(math.Abs(p[0]) <= math.Abs(p[1])) || p[0]*p[1] < 0 || math.Abs(p[0]) > math.Abs(in.Ratio)*math.Abs(p[1]) && in.Ratio < 1 {
					return fault("step %d: component %v came from %v, ratio %v", i, p[0], p[1], in.Ratio)
				}
			}
		}
	}
	return nil
}

func TestGateIsSafe(t *testing.T) {
	check(t, func(t *rapid.T) error {
		g, err := NewGate(gateConfig())
		if err != nil {
			return err
		}
		return gateIsSafe(t, g)
	})
}

// wrongGate changes what a gate sees or says.
type wrongGate struct {
	*Gate
	before func(in *GateInput)
	after  func(in *GateInput, out *GateOutput)
}

func (w wrongGate) Step(now time.Duration, in *GateInput, out *GateOutput) {
	seen := *in
	if w.before != nil {
		w.before(&seen)
	}
	w.Gate.Step(now, &seen, out)
	if w.after != nil {
		w.after(in, out)
	}
}

func TestGateIsSafeFindsWrongGates(t *testing.T) {
	for name, w := range map[string]wrongGate{
		"blind to the axes":      {before: func(in *GateInput) { in.Axes = Unrestricted() }},
		"blind to the fence":     {before: func(in *GateInput) { in.MaxSpeedMPS = inf }},
		"blind to the ratio":     {before: func(in *GateInput) { in.Ratio = 1 }},
		"everybody is the dock":  {before: func(in *GateInput) { in.Command.Dock = true }},
		"nobody is remote":       {before: func(in *GateInput) { in.Axes.Remote = RemoteFree }},
		"raises":                 {after: func(_ *GateInput, out *GateOutput) { out.Velocity.Linear[0] *= 1.0000001 }},
		"caps each axis alone":   {after: func(in *GateInput, out *GateOutput) { out.Velocity.Linear = in.Command.Linear }},
		"forgets to send a zero": {after: func(_ *GateInput, out *GateOutput) { out.Send = out.Send && out.Velocity != (Velocity{}) }},
	} {
		t.Run(name, func(t *testing.T) {
			refuted(t, func(t *rapid.T) error {
				w.Gate, _ = NewGate(gateConfig())
				return gateIsSafe(t, w)
			})
		})
	}
}

func TestGateStateRoundTrip(t *testing.T) {
	check(t, func(t *rapid.T) error {
		a, _ := NewGate(gateConfig())
		now := time.Hour
		var out, again GateOutput
		for range rapid.IntRange(0, 20).Draw(t, "before") {
			now += time.Duration(rapid.IntRange(0, 8).Draw(t, "wait")) * 25 * ms
			in := anyGateInput(now, t)
			a.Step(now, &in, &out)
		}
		b, _ := NewGate(gateConfig())
		if err := b.RestoreState(a.AppendState(nil)); err != nil {
			return err
		}
		for range rapid.IntRange(1, 20).Draw(t, "after") {
			now += time.Duration(rapid.IntRange(0, 8).Draw(t, "wait")) * 25 * ms
			in := anyGateInput(now, t)
			a.Step(now, &in, &out)
			b.Step(now, &in, &again)
			if out != again {
				return fault("%+v, restored %+v", out, again)
			}
		}
		return nil
	})
}

func TestGateDoesNotAllocate(t *testing.T) {
	s := newGateScript(t).drive(0.5)
	s.in.Axes = limited(0.2)
	if got := testing.AllocsPerRun(1000, func() {
		s.tick(10*ms).command(0.5, s.now)
	}); got != 0 {
		t.Errorf("%v allocations in a step", got)
	}
}
