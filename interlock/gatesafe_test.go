package interlock

import (
	"math"
	"testing"
	"time"

	"pgregory.net/rapid"
)

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
