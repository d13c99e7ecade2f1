package interlock

import (
	"math"
	"testing"
	"time"
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
			Velocity{[3]float64{3, 4, 0}, [3]float64{0, 0, 2}},
			limited(2.5), 1, inf,
			Velocity{[3]float64{1.5, 2, 0}, [3]float64{0, 0, 1}},
			GateScaledBySpeed, 0.5,
		},
		"geofence's cap": {
			Velocity{[3]float64{-2, 0, 0}, [3]float64{0, 0, 1}},
			limited(2.5), 1, 1,
			Velocity{[3]float64{-1, 0, 0}, [3]float64{0, 0, 0.5}},
			GateScaledBySpeed, 0.5,
		},
		"geofence's ratio": {
			Velocity{[3]float64{1, 0, 0}, [3]float64{0, 0, 1}},
			Unrestricted(), 0.25, inf,
			Velocity{[3]float64{0.25, 0, 0}, [3]float64{0, 0, 0.25}},
			GateScaledByRatio, 0.25,
		},
		"the smaller of both, not their product": {
			Velocity{[3]float64{1, 0, 0}, [3]float64{}},
			limited(0.5), 0.5, inf,
			Velocity{[3]float64{0.5, 0, 0}, [3]float64{}},
			GateScaledByRatio, 0.5,
		},
		"turn on the spot": {
			Velocity{[3]float64{}, [3]float64{0, 0, 2}},
			limited(0.5), 1, inf,
			Velocity{[3]float64{}, [3]float64{0, 0, 1}},
			GateScaledBySpeed, 0.5,
		},
		"ratio above one never raises": {
			Velocity{[3]float64{0.3, 0, 0}, [3]float64{}},
			Unrestricted(), 7, inf,
			Velocity{[3]float64{0.3, 0, 0}, [3]float64{}},
			GatePassed, 1,
		},
		"ratio of nothing":       {Velocity{[3]float64{1, 0, 0}, [3]float64{}}, Unrestricted(), 0, inf, Velocity{}, GateScaledByRatio, 0},
		"ratio NaN":              {Velocity{[3]float64{1, 0, 0}, [3]float64{}}, Unrestricted(), nan, inf, Velocity{}, GateScaledByRatio, 0},
		"negative ratio":         {Velocity{[3]float64{1, 0, 0}, [3]float64{}}, Unrestricted(), -1, inf, Velocity{}, GateScaledByRatio, 0},
		"cap NaN":                {Velocity{[3]float64{1, 0, 0}, [3]float64{}}, Unrestricted(), 1, nan, Velocity{}, GateScaledBySpeed, 0},
		"cap of nothing":         {Velocity{[3]float64{1, 0, 0}, [3]float64{}}, limited(0), 1, inf, Velocity{}, GateScaledBySpeed, 0},
		"largest number":         {Velocity{[3]float64{math.MaxFloat64, math.MaxFloat64, 0}, [3]float64{}}, limited(1), 1, inf, Velocity{}, GateScaledBySpeed, 0},
		"subnormal becomes zero": {Velocity{[3]float64{0x1p-1070, 0, 0}, [3]float64{}}, Unrestricted(), 1, inf, Velocity{}, GatePassed, 1},
		"minus zero becomes zero": {
			Velocity{[3]float64{math.Copysign(0, -1), 0, 0}, [3]float64{0, 0, math.Copysign(0, -1)}},
			Unrestricted(), 1, inf,
			Velocity{},
			GatePassed, 1,
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

// TestGateAddsTheAgesOfACommand: on the sender's clock before it came, on ours since.
func TestGateAddsTheAgesOfACommand(t *testing.T) {
	for age, want := range map[time.Duration]GateReason{99 * ms: GatePassed, 100 * ms: GateStale, 150 * ms: GateStale} {
		s := newGateScript(t).drive(0.5)
		s.in.Command.Stamped, s.in.Command.Age = true, age
		s.tick(150*ms).command(0.5, s.now-100*ms)
		if s.out.Reason != want {
			t.Errorf("stamped %v before it came, 100ms ago: %v, want %v", age, s.out.Reason, want)
		}
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
	t.Run("silence since the release", func(t *testing.T) {
		for wait, want := range map[time.Duration]GateReason{199 * ms: GateNeutral, 200 * ms: GatePassed} {
			s := newGateScript(t).axes(stop())
			s.tick(time.Second).axes(Unrestricted())
			s.tick(wait).command(0.5, s.now)
			if s.out.Reason != want {
				t.Errorf("after %v: %v", wait, s.out.Reason)
			}
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
