package interlock

import (
	"math"
	"testing"
	"time"
)

// gateScript drives one gate through time.
type gateScript struct {
	t   testing.TB
	g   *Gate
	now time.Duration
	in  GateInput
	out GateOutput
}

func gateConfig() GateConfig {
	return GateConfig{CommandTimeout: 200 * ms, MaxSkew: 50 * ms, ZeroPeriod: 50 * ms, RadiusM: 0.5}
}

func newGateScript(t testing.TB) *gateScript {
	t.Helper()
	g, err := NewGate(gateConfig())
	if err != nil {
		t.Fatal(err)
	}
	s := &gateScript{t: t, g: g, now: time.Hour}
	s.in = GateInput{
		Axes: Unrestricted(), Because: NumTriggers, Ratio: 1, MaxSpeedMPS: math.Inf(1),
		Command: Command{Channel: 1, Kind: ChannelAutonomy},
	}
	s.tick(0)
	return s
}

// tick lets time pass and steps without a command.
func (s *gateScript) tick(d time.Duration) *gateScript {
	s.now += d
	s.in.New = false
	s.g.Step(s.now, &s.in, &s.out)
	return s
}

// axes changes the decision and steps.
func (s *gateScript) axes(a Axes) *gateScript {
	s.in.Axes = a
	return s.tick(0)
}

// send steps with the command of s.in, received at.
func (s *gateScript) send(at time.Duration) *gateScript {
	s.in.New, s.in.Command.Received = true, at
	s.g.Step(s.now, &s.in, &s.out)
	return s
}

// command sends a forward command of v m/s.
func (s *gateScript) command(v float64, at time.Duration) *gateScript {
	s.in.Command.Velocity = Velocity{Linear: [3]float64{v}}
	return s.send(at)
}

// drive makes channel 1 pass v m/s, from neutral.
func (s *gateScript) drive(v float64) *gateScript {
	s.tick(10*ms).command(0, s.now)
	s.tick(10*ms).command(v, s.now)
	if !s.out.Send || s.out.Velocity.Linear[0] != v {
		s.t.Fatalf("the gate does not pass %v: %+v", v, s.out)
	}
	return s
}
