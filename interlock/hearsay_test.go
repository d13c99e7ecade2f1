package interlock

import (
	"errors"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// raw is the default policy as the table has it, before any cap.
func raw() Policy {
	p := DefaultPolicy()
	for t := range NumTriggers {
		p.Rules[t] = t.Info().Default
	}
	return p
}

// liar has somebody cause one trigger again and again for some minutes, and then go away for half a minute. It says what that
// cost: whether more than the cap was ever demanded, and whether the robot is free again without anybody's help.
func liar(p Policy, t Trigger) property {
	return func(rt *rapid.T) error {
		m, err := New(p)
		if err != nil {
			return err
		}
		in := calm()
		in.DockPossible, in.DockChannel = true, 1
		var d Decision
		now := time.Hour
		step := func(dt time.Duration) {
			now += dt
			m.Step(now, in, &d)
		}
		for range 150 {
			step(20 * time.Millisecond)
		}
		before := d.Axes
		for range 8 {
			for _, phase := range []struct {
				says        Condition
				least, most int // in steps of 200 ms
			}{{Fault(CauseNone, 0), 1, 35}, {OK(), 50, 60}} {
				in.Conditions[t] = phase.says
				for range rapid.IntRange(phase.least, phase.most).Draw(rt, "steps") {
					if step(200 * time.Millisecond); !DefaultPolicy().Cap.TightAs(d.Axes) {
						return fault("demands %v", d.Axes)
					}
				}
			}
		}
		in.Conditions[t] = OK()
		for range 300 {
			step(100 * time.Millisecond)
		}
		if d.Axes != before || !d.LatchedSet.Empty() {
			return fault("%v half a minute after the liar has gone, latched %v", d.Axes, d.LatchedSet)
		}
		return nil
	}
}

// TestNobodyShutsARobotDownByLying: whatever anybody says, he holds the robot at most, and no longer than he goes on.
func TestNobodyShutsARobotDownByLying(t *testing.T) {
	n := 0
	for tr := range NumTriggers {
		if !tr.Info().Hearsay {
			continue
		}
		n++
		t.Run(tr.String(), func(t *testing.T) {
			check(t, liar(DefaultPolicy(), tr))
			open := raw()
			open.Cap, open.CapLatches = stop(), true
			if open.Rules[tr].Constraint.Motion <= MotionHold {
				refuted(t, liar(open, tr)) // without the cap, the flap guard or the rule itself latches
			}
		})
	}
	if n < 6 {
		t.Errorf("only %d triggers rest on hearsay", n)
	}
}

func TestTheCapIsBounded(t *testing.T) {
	for name, c := range map[string]struct {
		cap Axes
		bad bool
	}{
		"hold": {hold(), false}, "slow": {limited(0.3), false}, "a stop": {stop(), false},
		"the dock": {dock(), true},
		"too fast": {limited(0.6), true}, "nothing (off)": {free(), true}, "no normal form": {Axes{Motion: MotionHold, MaxSpeedMPS: 1}, true},
	} {
		p := raw()
		p.Cap = c.cap
		var pe *PolicyError
		if err := p.Validate(); (err != nil) != c.bad || c.bad && (!errors.As(err, &pe) || pe.Field != FieldCap) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestEffectiveIsEffective: the rules that count stay as they are, are valid, and no trigger that is not hearsay changes.
func TestEffectiveIsEffective(t *testing.T) {
	check(t, func(rt *rapid.T) error {
		p := raw()
		p.Cap = rapid.SampledFrom([]Axes{hold(), holdStill(), stop(), limited(0.2)}).Draw(rt, "cap")
		p.CapLatches = rapid.Bool().Draw(rt, "latches")
		e := p.Effective()
		if e != e.Effective() {
			return fault("not idempotent")
		}
		if err := e.Validate(); err != nil {
			return err
		}
		for tr := range NumTriggers {
			if r, c := p.Rules[tr], e.Rules[tr]; tr.Info().Hearsay {
				if c.Constraint != r.Constraint && !p.Cap.TightAs(c.Constraint) || !p.CapLatches && c.Clear.Latches() {
					return fault("%v: %v, %v became %v, %v", tr, r.Constraint, r.Clear, c.Constraint, c.Clear)
				}
			} else if r != c {
				return fault("%v has changed", tr)
			}
		}
		return nil
	})
}
