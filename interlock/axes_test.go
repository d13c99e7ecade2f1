package interlock

import (
	"math"
	"testing"

	"pgregory.net/rapid"
)

// anyAxes draws restrictions, impossible ones included.
func anyAxes() *rapid.Generator[Axes] {
	return rapid.Custom(func(t *rapid.T) Axes {
		return Axes{
			Motion:       Motion(rapid.IntRange(0, 6).Draw(t, "motion")),
			Manipulators: Manipulators(rapid.IntRange(0, 5).Draw(t, "manipulators")),
			Perception:   Perception(rapid.IntRange(0, 3).Draw(t, "perception")),
			Remote:       Remote(rapid.IntRange(0, 4).Draw(t, "remote")),
			MaxSpeedMPS: rapid.OneOf(
				rapid.SampledFrom([]float64{0, math.Copysign(0, -1), 0.3, 1, math.Inf(1), math.Inf(-1), math.NaN(), -1, 0x1p-1074}),
				rapid.Float64Range(0, 3),
			).Draw(t, "speed"),
		}
	})
}

// joinLaws checks what everything else relies on, for any join.
func joinLaws(t *rapid.T, join func(a, b Axes) Axes) error {
	a, b, c := anyAxes().Draw(t, "a"), anyAxes().Draw(t, "b"), anyAxes().Draw(t, "c")
	ab := join(a, b)
	if ab != ab.Normal() {
		return fault("%+v is not in normal form", ab)
	}
	if ab != join(b, a) {
		return fault("not commutative: %v, %v", ab, join(b, a))
	}
	if l, r := join(ab, c), join(a, join(b, c)); l != r {
		return fault("not associative: %v, %v", l, r)
	}
	if join(a, a) != a.Normal() || join(a, Unrestricted()) != a.Normal() {
		return fault("%v changes when it is joined with itself or with nothing", a)
	}
	if !ab.TightAs(a) || !ab.TightAs(b) {
		return fault("%v is looser than %v or %v", ab, a, b)
	}
	// Monotone: a tighter operand never gives a looser result.
	if !join(join(a, c), b).TightAs(ab) {
		return fault("joining %v loosened %v", c, ab)
	}
	return nil
}

func TestJoinLaws(t *testing.T) {
	check(t, func(t *rapid.T) error { return joinLaws(t, Join) })
}

func TestJoinLawsFindWrongJoins(t *testing.T) {
	for name, join := range map[string]func(a, b Axes) Axes{
		"the speed of the second alone": func(a, b Axes) Axes {
			j := Join(a, b)
			if j.Motion > MotionHold {
				j.MaxSpeedMPS = b.Normal().MaxSpeedMPS
			}
			return j.Normal()
		},
		"one order for all axes": func(a, b Axes) Axes {
			if rank(a.Normal()) < rank(b.Normal()) {
				return a.Normal()
			}
			return b.Normal()
		},
		"not in normal form": func(a, b Axes) Axes {
			j := Join(a, b)
			j.MaxSpeedMPS = min(a.MaxSpeedMPS, b.MaxSpeedMPS)
			return j
		},
	} {
		t.Run(name, func(t *testing.T) {
			refuted(t, func(t *rapid.T) error { return joinLaws(t, join) })
		})
	}
}

func TestZeroAxesRestrictEverything(t *testing.T) {
	check(t, func(t *rapid.T) error {
		a := anyAxes().Draw(t, "a")
		if !(Axes{}).TightAs(a) {
			return fault("the zero value is looser than %v", a)
		}
		if !a.TightAs(Unrestricted()) {
			return fault("%v is looser than Unrestricted", a)
		}
		return nil
	})
}

func TestNormal(t *testing.T) {
	inf := math.Inf(1)
	for name, c := range map[string]struct {
		in, want Axes
	}{
		"free with a cap is limited":           {Axes{4, 3, 1, 2, 0.5}, Axes{3, 3, 1, 2, 0.5}},
		"free with NaN stands":                 {Axes{4, 3, 1, 2, math.NaN()}, Axes{3, 3, 1, 2, 0}},
		"negative speed is zero":               {Axes{3, 3, 1, 2, -1}, Axes{3, 3, 1, 2, 0}},
		"hold has no speed":                    {Axes{1, 3, 1, 2, inf}, Axes{1, 3, 1, 2, 0}},
		"dock keeps its cap":                   {Axes{2, 3, 1, 2, 0.3}, Axes{2, 3, 1, 2, 0.3}},
		"dock without cap":                     {Axes{2, 3, 1, 2, inf}, Axes{2, 3, 1, 2, inf}},
		"motion outside the enumeration stops": {Axes{5, 3, 1, 2, inf}, Axes{0, 3, 1, 2, 0}},
		"every other axis outside restricts":   {Axes{4, 9, 9, 9, inf}, Axes{4, 0, 0, 0, inf}},
	} {
		t.Run(name, func(t *testing.T) {
			if got := c.in.Normal(); got != c.want {
				t.Errorf("got %+v, want %+v", got, c.want)
			}
		})
	}
}

func TestModesCanHoldAtOnce(t *testing.T) {
	for name, c := range map[string]struct {
		in   Axes
		mode Mode
		all  []Mode
		text string
	}{
		"normal":  {Unrestricted(), ModeNormal, []Mode{ModeNormal}, "free"},
		"stop":    {stop(), ModeStopSafely, []Mode{ModeStopSafely, ModeDisableManipulators}, "motion stop, manipulators disabled"},
		"hold":    {holdStill(), ModeHold, []Mode{ModeHold}, "motion hold"},
		"limited": {limited(0.25), ModeLimited, []Mode{ModeLimited}, "motion limited (0.25 m/s)"},
		"dock with the arms off": {
			Join(dock(), Join(arms(ManipulatorsDisabled), limited(0.3))), ModeReturnToDock,
			[]Mode{ModeReturnToDock, ModeDisableManipulators},
			"motion dock-only (0.3 m/s), manipulators disabled",
		},
		"arms off":        {arms(ManipulatorsDisabled), ModeDisableManipulators, []Mode{ModeDisableManipulators}, "manipulators disabled"},
		"arms limited":    {arms(ManipulatorsLimited), ModeLimited, []Mode{ModeLimited}, "manipulators limited"},
		"private":         {private(), ModePrivate, []Mode{ModePrivate}, "perception private"},
		"view only":       {remote(RemoteViewOnly), ModeViewOnly, []Mode{ModeViewOnly}, "remote view-only"},
		"free with a cap": {Axes{MotionFree, ManipulatorsFree, PerceptionFree, RemoteFree, 1}, ModeLimited, []Mode{ModeLimited}, "motion limited (1 m/s)"},
		"everything": {
			Axes{},
			ModeStopSafely,
			[]Mode{ModeStopSafely, ModeDisableManipulators, ModeBlockRemote, ModePrivate},
			"motion stop, manipulators disabled, perception private, remote blocked",
		},
	} {
		t.Run(name, func(t *testing.T) {
			var all ModeSet
			for _, m := range c.all {
				all |= 1 << m
			}
			if got := c.in.Modes(); got != all {
				t.Errorf("modes: got %b, want %b", got, all)
			}
			if got := c.in.Mode(); got != c.mode {
				t.Errorf("mode: got %v, want %v", got, c.mode)
			}
			if got := c.in.String(); got != c.text {
				t.Errorf("text: got %q, want %q", got, c.text)
			}
		})
	}
}
