package interlock

import (
	"testing"
	"time"
)

var (
	anna = Person{ID: 11, Role: RoleOperator}
	ben  = Person{ID: 12, Role: RoleSupervisor}
	cleo = Person{ID: 13, Role: RoleSecurity}
	dirk = Person{ID: 14, Role: RoleService}
)

// latched returns a script in which tr has latched and its cause has been away for a minute.
func latched(t *testing.T, tr Trigger, change func(*Policy)) *script {
	s := newScript(t, change)
	s.set(tr, Fault(CauseOrdered, 0)).run(time.Second)
	s.set(tr, OK()).run(time.Minute)
	if !s.out.LatchedSet.Has(tr) {
		t.Fatalf("%v is not latched", tr)
	}
	return s
}

func (s *script) reset(tr Trigger, persons ...Person) ResetOutcome {
	req := ResetRequest{Triggers: Set(tr), Persons: persons}
	checked := s.m.CheckReset(s.now, req)
	res := s.m.Reset(s.now, req)
	if checked != res {
		s.t.Errorf("CheckReset said %v, Reset %v", checked.Outcomes[tr], res.Outcomes[tr])
	}
	return res.Outcomes[tr]
}

func TestResetOutcomes(t *testing.T) {
	never := func(p *Policy) { p.Rules[OrderStop].Clear = ClearNever }
	dwell := func(p *Policy) { p.Rules[OrderStop].Dwell = 90 * time.Second }
	for name, c := range map[string]struct {
		policy  func(*Policy)
		before  func(s *script)
		persons []Person
		want    ResetOutcome
	}{
		"done":                   {nil, nil, []Person{anna}, ResetDone},
		"second signer has role": {nil, nil, []Person{dirk, anna}, ResetDone},
		"wrong role":             {nil, nil, []Person{dirk}, ResetWrongRole},
		"role that there is not": {nil, nil, []Person{{ID: 9, Role: NumRoles}}, ResetWrongRole},
		"nobody":                 {nil, nil, nil, ResetWrongRole},
		"nobody's id":            {nil, nil, []Person{{ID: 0, Role: RoleOperator}}, ResetWrongRole},
		"cause still there": {nil, func(s *script) {
			s.set(OrderStop, Fault(CauseOrdered, 0)).run(0)
		}, []Person{anna}, ResetCausePresent},
		"cause unknown": {nil, func(s *script) {
			s.m.slots[OrderStop].state = Unknown
		}, []Person{anna}, ResetCauseUnknown},
		"nobody looked lately": {nil, func(s *script) { s.now += time.Second }, []Person{anna}, ResetCauseUnknown},
		"clock behind":         {nil, func(s *script) { s.now -= time.Second }, []Person{anna}, ResetCauseUnknown},
		"dwell not over":       {dwell, nil, []Person{anna}, ResetDwell},
		"dwell over":           {dwell, func(s *script) { s.run(31 * time.Second) }, []Person{anna}, ResetDone},
		"service only":         {never, nil, []Person{anna, ben}, ResetNever},
		"policy narrowed roles": {nil, func(s *script) {
			p := s.m.Policy()
			p.Rules[OrderStop].Roles = Roles(RoleSupervisor)
			if err := s.m.Load(p); err != nil {
				s.t.Fatal(err)
			}
		}, []Person{anna}, ResetWrongRole},
	} {
		t.Run(name, func(t *testing.T) {
			s := latched(t, OrderStop, c.policy)
			if c.before != nil {
				c.before(s)
			}
			if got := s.reset(OrderStop, c.persons...); got != c.want {
				t.Fatalf("got %v, want %v", got, c.want)
			}
			s.run(0)
			if gone := !s.out.ActiveSet.Has(OrderStop); gone != (c.want == ResetDone) {
				t.Errorf("active is %v after %v", !gone, c.want)
			}
			if c.want == ResetDone && (!s.out.EndedSet.Has(OrderStop) || !s.out.LatchesChanged) {
				t.Errorf("ended %s, latches changed %v", names(s.out.EndedSet), s.out.LatchesChanged)
			}
		})
	}
}

func TestResetOfWhatIsNotLatched(t *testing.T) {
	s := newScript(t, nil)
	s.set(PoseStale, Fault(CauseStale, 0)).run(0)
	s.set(PoseStale, OK()).run(0)
	for _, tr := range []Trigger{PoseStale, OrderStop} {
		if got := s.reset(tr, anna); got != ResetNotLatched {
			t.Errorf("%v: got %v", tr, got)
		}
	}
	s.run(0)
	s.want(MotionHold, PoseStale)
	res := s.m.Reset(s.now, ResetRequest{Triggers: TriggerSet{^uint64(0), ^uint64(0)}, Persons: []Person{anna}})
	if !res.Done.Empty() || res.Outcomes[PoseStale] != ResetNotLatched {
		t.Errorf("got %s", names(res.Done))
	}
}

func TestTwoPersons(t *testing.T) {
	two := func(p *Policy) { p.Rules[OrderStop].Clear = ClearByTwoPersons }
	t.Run("together", func(t *testing.T) {
		if got := latched(t, OrderStop, two).reset(OrderStop, anna, ben); got != ResetDone {
			t.Error(got)
		}
	})
	t.Run("one after the other", func(t *testing.T) {
		s := latched(t, OrderStop, two)
		if got := s.reset(OrderStop, anna); got != ResetSecondPerson {
			t.Fatal(got)
		}
		s.run(5 * time.Minute)
		s.want(MotionStop, OrderStop)
		if got := s.reset(OrderStop, ben); got != ResetDone {
			t.Error(got)
		}
	})
	t.Run("the same person twice", func(t *testing.T) {
		s := latched(t, OrderStop, two)
		if got := s.reset(OrderStop, anna, Person{anna.ID, RoleSupervisor}); got != ResetSecondPerson {
			t.Error(got)
		}
		s.run(time.Second)
		if got := s.reset(OrderStop, anna); got != ResetSecondPerson {
			t.Error(got)
		}
	})
	t.Run("the second without a role", func(t *testing.T) {
		if got := latched(t, OrderStop, two).reset(OrderStop, anna, dirk); got != ResetSecondPerson {
			t.Error(got)
		}
	})
	t.Run("the second in the last moment", func(t *testing.T) {
		s := latched(t, OrderStop, two)
		s.reset(OrderStop, anna)
		s.run(10 * time.Minute)
		if got := s.reset(OrderStop, ben); got != ResetDone {
			t.Error(got)
		}
	})
	t.Run("the second too late", func(t *testing.T) {
		s := latched(t, OrderStop, two)
		s.reset(OrderStop, anna)
		s.run(10*time.Minute + time.Second)
		if got := s.reset(OrderStop, ben); got != ResetSecondPerson {
			t.Error(got)
		}
	})
	t.Run("the cause came back between", func(t *testing.T) {
		s := latched(t, OrderStop, two)
		s.reset(OrderStop, anna)
		s.set(OrderStop, Fault(CauseOrdered, 0)).run(0)
		s.set(OrderStop, OK()).run(time.Second)
		if got := s.reset(OrderStop, ben); got != ResetSecondPerson {
			t.Error(got)
		}
	})
	t.Run("by when they asked", func(t *testing.T) {
		const window = 10 * time.Minute
		for name, c := range map[string]struct {
			first, second time.Duration // before they are judged
			want          ResetOutcome
		}{
			"both now (off)":                     {0, 0, ResetDone},
			"both long ago, one after the other": {5 * window, 4 * window, ResetDone},
			"the first too long before":          {window + 1, 0, ResetSecondPerson},
			"the second too long before":         {0, window + 1, ResetSecondPerson},
			"both long ago, and too far apart":   {5 * window, 3 * window, ResetSecondPerson},
			"in times to come, that is now":      {-window, -5 * window, ResetDone},
		} {
			s := latched(t, OrderStop, two)
			s.run(6 * window)
			for _, q := range []struct {
				who  Person
				ago  time.Duration
				want ResetOutcome
			}{{anna, c.first, ResetSecondPerson}, {ben, c.second, c.want}} {
				req := ResetRequest{Triggers: Set(OrderStop), Persons: []Person{q.who}}
				if q.ago != 0 {
					req.Asked = s.now - q.ago
				}
				if got := s.m.Reset(s.now, req).Outcomes[OrderStop]; got != q.want {
					t.Errorf("%s: %v, expected %v", name, got, q.want)
				}
			}
		}
	})
	t.Run("asking is not changing", func(t *testing.T) {
		s := latched(t, OrderStop, two)
		s.m.CheckReset(s.now, ResetRequest{Triggers: Set(OrderStop), Persons: []Person{anna}})
		if got := s.reset(OrderStop, ben); got != ResetSecondPerson {
			t.Error(got)
		}
	})
}

func TestResetOfSomeLeavesTheOthers(t *testing.T) {
	s := newScript(t, nil)
	s.set(OrderStop, Fault(CauseOrdered, 0)).set(GateBypass, Fault(CauseForeignSource, 0)).run(time.Second)
	s.set(OrderStop, OK()).set(GateBypass, OK()).run(time.Minute)
	res := s.m.Reset(s.now, ResetRequest{Triggers: Set(OrderStop, GateBypass), Persons: []Person{anna}})
	if res.Done != Set(OrderStop) || res.Outcomes[GateBypass] != ResetWrongRole || res.Outcomes[PoseStale] != ResetNotAsked {
		t.Errorf("done %s, bypass %v", names(res.Done), res.Outcomes[GateBypass])
	}
	s.run(0)
	s.want(MotionStop, GateBypass)
	if got := s.reset(GateBypass, cleo); got != ResetDone {
		t.Error(got)
	}
}

func TestResetOutcomesHaveTexts(t *testing.T) {
	seen := map[string]bool{}
	for o := range NumResetOutcomes {
		if o.String() == "" || seen[o.String()] {
			t.Errorf("outcome %d: %q", o, o)
		}
		seen[o.String()] = true
	}
}
