package interlock

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

func load(s *script, change func(p *Policy)) {
	s.t.Helper()
	p := s.m.Policy()
	if s.m.PolicyWaits() {
		p = s.m.next
	}
	change(&p)
	if err := s.m.Load(p); err != nil {
		s.t.Fatal(err)
	}
}

func TestTighterHoldsAtOnceAndLooserWaits(t *testing.T) {
	s := newScript(t, nil)
	s.set(PoseCovariance, Fault(CauseCovarianceHigh, 0)).set(PoseStale, Fault(CauseStale, 0)).run(time.Second)
	s.want(MotionHold, PoseCovariance, PoseStale)
	load(s, func(p *Policy) {
		p.Rules[PoseStale].Constraint = limited(0.2)
		p.Rules[PoseCovariance].Constraint = limited(0.1)
	})
	s.run(time.Minute)
	s.want(MotionHold, PoseCovariance, PoseStale)
	if !s.out.PolicyWaits || s.m.Policy().Rules[PoseCovariance].Constraint != limited(0.1) {
		t.Errorf("waits %v, covariance %v", s.out.PolicyWaits, s.m.Policy().Rules[PoseCovariance].Constraint)
	}
	s.in.Standstill = true
	s.run(0)
	s.want(MotionLimited, PoseCovariance, PoseStale)
	if s.out.PolicyWaits || s.out.Axes.MaxSpeedMPS != 0.1 {
		t.Errorf("waits %v, %v", s.out.PolicyWaits, s.out.Axes)
	}
}

func TestOnlyTighterDoesNotWait(t *testing.T) {
	s := newScript(t, nil)
	load(s, func(p *Policy) { p.Rules[PoseCovariance].Constraint = hold() })
	if s.m.PolicyWaits() {
		t.Error("a policy that is only tighter waits")
	}
	s.set(PoseCovariance, Fault(CauseCovarianceHigh, 0)).run(time.Second)
	s.want(MotionHold, PoseCovariance)
}

func TestSecondLoadWhileOneWaits(t *testing.T) {
	s := newScript(t, nil)
	load(s, func(p *Policy) { p.Rules[PoseStale].Constraint = limited(0.2) })
	load(s, func(p *Policy) { p.Rules[PoseStale].Constraint = limited(0.3) })
	s.set(PoseStale, Fault(CauseStale, 0)).run(0)
	s.want(MotionHold, PoseStale)
	s.in.Standstill = true
	s.run(0)
	if s.out.Axes.MaxSpeedMPS != 0.3 {
		t.Errorf("got %v", s.out.Axes)
	}
}

func TestLatchesSurviveASwap(t *testing.T) {
	for name, change := range map[string]func(p *Policy){
		"disabled": func(p *Policy) { p.Rules[GateBypass].Enabled, p.Rules[GateBypass].Reason = false, "test" },
		"clears by itself": func(p *Policy) {
			p.Rules[PublisherUnknown].Clear = ClearOnDwell
			p.Rules[PublisherUnknown].Constraint = limited(0.5)
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := newScript(t, nil)
			s.set(GateBypass, Fault(CauseForeignSource, 0)).set(PublisherUnknown, Fault(CauseNotListed, 1)).run(time.Second)
			s.set(GateBypass, OK()).set(PublisherUnknown, OK())
			s.in.Standstill = true
			load(s, change)
			s.run(time.Hour / 60)
			s.want(MotionStop, GateBypass, PublisherUnknown)
			if s.out.PolicyWaits {
				t.Fatal("still waits")
			}
			for _, tr := range []Trigger{GateBypass, PublisherUnknown} {
				if got := s.reset(tr, cleo); got != ResetDone {
					t.Errorf("%v: %v", tr, got)
				}
			}
			s.run(0)
			s.want(MotionFree)
		})
	}
}

func TestActiveTriggerLatchesWhenThePolicyDemandsIt(t *testing.T) {
	s := newScript(t, nil)
	s.set(PoseStale, Fault(CauseStale, 0)).run(0)
	load(s, func(p *Policy) { p.Rules[PoseStale].Clear = ClearByTwoPersons })
	s.set(PoseStale, OK()).run(time.Minute)
	s.want(MotionHold, PoseStale)
	if s.out.LatchedSet != Set(PoseStale) || s.out.Active[0].Clear != ClearByTwoPersons {
		t.Errorf("latched %s, %v", names(s.out.LatchedSet), s.out.Active[0].Clear)
	}
}

func TestActiveTriggerLatchesWithTheConstraintOfThatMoment(t *testing.T) {
	s := newScript(t, nil)
	s.set(PoseCovariance, Fault(CauseCovarianceHigh, 0)).run(time.Second)
	load(s, func(p *Policy) {
		p.Rules[PoseCovariance].Clear, p.Rules[PoseCovariance].Constraint = ClearByOperator, stop()
	})
	s.set(PoseCovariance, OK()).run(0)
	load(s, func(p *Policy) { p.Rules[PoseCovariance].Constraint = limited(0.5) })
	s.in.Standstill = true
	s.run(time.Second)
	s.want(MotionStop, PoseCovariance)
}

func TestDisablingEndsWhatIsNotLatchedAtStandstill(t *testing.T) {
	s := newScript(t, nil)
	s.set(JointsMissing, Fault(CauseMissing, 0)).run(time.Second)
	load(s, func(p *Policy) { p.Rules[JointsMissing].Enabled, p.Rules[JointsMissing].Reason = false, "no arms" })
	s.run(time.Second)
	s.want(MotionHold, JointsMissing)
	s.in.Standstill = true
	s.run(0)
	s.want(MotionFree)
	if !s.out.EndedSet.Has(JointsMissing) {
		t.Error("the end is not reported")
	}
}

func TestEnablingWhatWasNeverSeenCloses(t *testing.T) {
	s := newScript(t, func(p *Policy) { p.Rules[BatteryLow].Enabled, p.Rules[BatteryLow].Reason = false, "mains" })
	s.set(BatteryLow, Condition{}).run(time.Second)
	s.want(MotionFree)
	load(s, func(p *Policy) { p.Rules[BatteryLow].Enabled, p.Rules[BatteryLow].Reason = true, "" })
	s.run(0)
	s.want(MotionHold, Startup)
}

func TestRolesWithoutOverlapStayTheOldUntilStandstill(t *testing.T) {
	s := newScript(t, nil)
	load(s, func(p *Policy) { p.Rules[OrderStop].Roles = Roles(RoleService) })
	if got := s.m.Policy().Rules[OrderStop].Roles; got != attending {
		t.Errorf("got %v", got)
	}
	if p := s.m.Policy(); p.Validate() != nil {
		t.Errorf("the rules in force are invalid: %v", p.Validate())
	}
	s.in.Standstill = true
	s.run(0)
	if got := s.m.Policy().Rules[OrderStop].Roles; got != Roles(RoleService) {
		t.Errorf("got %v", got)
	}
}

func TestLoadSaysWhetherLatchesChanged(t *testing.T) {
	for name, c := range map[string]struct {
		change func(p *Policy)
		want   bool
	}{
		"another trigger's rule": {func(p *Policy) { p.Rules[PoseCovariance].Constraint = hold() }, false},
		"a tighter constraint": {func(p *Policy) {
			p.Rules[PublisherSecond].Constraint = stop()
		}, true},
		"a more demanding condition": {func(p *Policy) { p.Rules[PublisherSecond].Clear = ClearByTwoPersons }, true},
		"an active one latches":      {func(p *Policy) { p.Rules[PoseStale].Clear = ClearByOperator }, true},
	} {
		t.Run(name, func(t *testing.T) {
			s := newScript(t, nil)
			s.set(PublisherSecond, Fault(CauseTooMany, 0)).set(PoseStale, Fault(CauseStale, 0)).run(time.Second)
			load(s, c.change)
			s.run(0)
			if s.out.LatchesChanged != c.want {
				t.Errorf("got %v", s.out.LatchesChanged)
			}
			s.run(0)
			if s.out.LatchesChanged {
				t.Error("said twice")
			}
		})
	}
}

func TestLoadKeepsAStartDelayThatIsRunning(t *testing.T) {
	s := newScript(t, nil)
	s.set(PoseCovariance, Fault(CauseCovarianceHigh, 0)).run(400 * ms)
	load(s, func(p *Policy) { p.Rules[PoseCovariance].StartDelay = 450 * ms })
	s.run(50 * ms)
	s.want(MotionFree)
	s.run(50 * ms)
	s.want(MotionLimited, PoseCovariance)
	if at, ok := s.m.LastStep(); !ok || at != s.now {
		t.Errorf("last step at %v, %v", at, ok)
	}
}

// drawPolicy draws a valid policy. It is no generator, so that failures show what was drawn and not fifty rules.
func drawPolicy(t *rapid.T) Policy {
	p := DefaultPolicy()
	p.StopCategory = StopCategory(rapid.IntRange(1, 2).Draw(t, "category"))
	p.FlapTrips = rapid.IntRange(2, MaxFlapTrips).Draw(t, "trips")
	p.FlapMerge = time.Duration(rapid.IntRange(1, 3).Draw(t, "merge")) * time.Second
	p.MaxGap = time.Duration(rapid.IntRange(1, 1000).Draw(t, "gap")) * ms
	p.DockDwell = time.Duration(rapid.IntRange(1, 3000).Draw(t, "dock")) * ms
	for range rapid.IntRange(0, 8).Draw(t, "changes") {
		tr := Trigger(rapid.IntRange(0, int(NumTriggers)-1).Draw(t, "trigger")) //nolint:gosec // small
		b, r := &triggerTable[tr].Bounds, &p.Rules[tr]
		switch rapid.IntRange(0, 4).Draw(t, "what") {
		case 0:
			r.Constraint = Join(b.Loosest, anyAxes().Draw(t, "constraint"))
			if r.Constraint.Motion == MotionLimited && r.Constraint.MaxSpeedMPS > 100 {
				r.Constraint = b.Loosest
			}
		case 1:
			r.StartDelay = time.Duration(rapid.Int64Range(0, int64(b.MaxStartDelay)).Draw(t, "delay"))
		case 2:
			r.Clear = ClearCondition(rapid.IntRange(int(b.LeastClear), int(NumClearConditions)-1).Draw(t, "clear")) //nolint:gosec // small
			r.Dwell = time.Duration(rapid.IntRange(1, 3000).Draw(t, "dwell")) * ms
		case 3:
			r.Roles = RoleSet(rapid.IntRange(1, 1<<NumRoles-1).Draw(t, "roles")) //nolint:gosec // small
		case 4:
			if b.MayDisable {
				r.Enabled, r.Reason = false, "test"
			}
		}
	}
	return p
}

func TestTighterPolicyIsTighter(t *testing.T) {
	check(t, func(t *rapid.T) error {
		a, b := drawPolicy(t), drawPolicy(t)
		both := tighter(&a, &b)
		if err := both.Validate(); err != nil {
			return err
		}
		for tr := range NumTriggers {
			r := &both.Rules[tr]
			for _, o := range []*Rule{&a.Rules[tr], &b.Rules[tr]} {
				if !o.Enabled {
					continue
				}
				if !r.Enabled || !r.Constraint.TightAs(o.Constraint) || r.StartDelay > o.StartDelay ||
					r.Dwell < o.Dwell || r.Clear < o.Clear {
					return fault("%v: %+v is looser than %+v", tr, r, o)
				}
			}
		}
		if both != tighter(&both, &b) {
			return fault("not idempotent")
		}
		return nil
	})
}
