package interlock

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

// The plan of the overrides: who asks for which, when they end, and what they must not loosen.

// exploredOverride is a request. good says whether the policy lets it begin, by itself or once a second person asks as well.
type exploredOverride struct {
	name      string
	triggers  TriggerSet
	persons   []Person
	lasts     uint8 // quanta
	mps       float64
	good, two bool
}

func exploredOverrides() []exploredOverride {
	a, j := Set(PoseCovariance), Set(JournalUnwritable)
	return []exploredOverride{
		{"pose, by the supervisor", a, []Person{ben}, 2, 0.2, true, false},
		{"pose, slower", a, []Person{ben}, 1, 0.1, true, false},
		{"pose, by the operator", a, []Person{anna}, 2, 0.2, false, false},
		{"pose, for longer", a, []Person{ben}, 4, 0.2, false, false},
		{"pose, faster", a, []Person{ben}, 2, 0.9, false, false},
		{"pose and a stop", a.Union(Set(OrderStop)), []Person{ben, cleo}, 2, 0.2, false, false},
		{"a stop", Set(OrderStop), []Person{ben, cleo}, 2, 0.2, false, false},
		{"journal, by the supervisor", j, []Person{ben}, 2, 0.2, true, true},
		{"journal, by the supervisor again", j, []Person{ben, {ben.ID, RoleSecurity}}, 2, 0.2, true, true},
		{"journal, by security", j, []Person{cleo}, 2, 0.2, true, true},
		{"journal, by both", j, []Person{ben, cleo}, 2, 0.2, true, false},
	}
}

// maxExplored is the largest number of overrides in force; more of the same would be more states and nothing new.
const maxExplored = 2

// overLive is one in force, for how many quanta, and at which speed in m/s: its own, or the lowest that held when another ended.
type overLive struct {
	request, left uint8
	mps           float64
}

// overMemory is the rules' own memory of overrides: requests by their place, from 1, and for how many quanta they last.
type overMemory struct {
	live [maxExplored]overLive
	// first waits for a second person since age quanta.
	first struct{ request, left, age uint8 }
}

func (o *overMemory) sort() {
	slices.SortFunc(o.live[:], func(a, b overLive) int {
		return cmp.Or(cmp.Compare(b.request, a.request), cmp.Compare(b.left, a.left), cmp.Compare(b.mps, a.mps))
	})
}

// over ends those that are: the others go on at the lowest speed of all.
func (o *overMemory) over(is func(l *overLive) bool) {
	low, some := inf, false
	for i := range o.live {
		if l := &o.live[i]; l.request != 0 {
			low = min(low, l.mps)
			if is(l) {
				*l, some = overLive{}, true
			}
		}
	}
	for i := range o.live {
		if l := &o.live[i]; some && l.request != 0 {
			l.mps = low
		}
	}
}

// check lets the memory follow the step, and says whether a request became what it should.
func (o *overMemory) check(x *explorer, s *system) error {
	passed := uint8(s.quanta) //nolint:gosec // few
	o.over(func(l *overLive) bool { return l.left <= passed })
	for i := range o.live {
		if l := &o.live[i]; l.request != 0 {
			l.left -= passed
		}
	}
	if f := &o.first; f.request != 0 {
		f.age += passed
		if f.left -= min(f.left, passed); f.left == 0 || int(f.age) > quanta(int64(x.overrides.SecondPerson)) {
			*f = struct{ request, left, age uint8 }{}
		}
	}
	defer o.sort()
	if s.over == nil {
		return nil
	}
	all := exploredOverrides()
	n := uint8(slices.IndexFunc(all, func(e exploredOverride) bool { return e.name == s.over.name }) + 1) //nolint:gosec // few
	want, left := s.over.good, s.over.lasts
	if want && s.over.two {
		f := &o.first
		if want = f.request != 0 && all[f.request-1].persons[0].ID != s.over.persons[0].ID; want {
			left = min(left, f.left)
		} else {
			f.request, f.left, f.age = n, s.over.lasts, 0
		}
	}
	if s.overRes.Applied != want {
		return fmt.Errorf("an override needs authority: %s is in force %v, expected %v (%v)", s.over.name, s.overRes.Applied, want, s.overRes.Outcomes)
	}
	if want {
		o.first = struct{ request, left, age uint8 }{}
		o.live[slices.IndexFunc(o.live[:], func(l overLive) bool { return l.request == 0 })] = overLive{n, left, s.over.mps}
	}
	return nil
}

func (o *overMemory) end(set TriggerSet) {
	all := exploredOverrides()
	o.over(func(l *overLive) bool { return !all[l.request-1].triggers.Intersect(set).Empty() })
	if f := &o.first; f.request != 0 && !all[f.request-1].triggers.Intersect(set).Empty() {
		*f = struct{ request, left, age uint8 }{}
	}
}

// instead is what t demands: while it is overridden, the lowest speed of any override, those included that ended meanwhile.
func (o *overMemory) instead(t Trigger, constraint Axes) Axes {
	mps, named := inf, false
	for _, l := range o.live {
		if l.request != 0 {
			e := &exploredOverrides()[l.request-1]
			mps, named = min(mps, l.mps), named || e.triggers.Has(t)
		}
	}
	if named {
		return limited(mps)
	}
	return constraint
}

func overrideEvents() []event {
	var out []event
	all := exploredOverrides()
	for i := range all {
		e := &all[i]
		out = append(out, event{name: "override of " + e.name, act: func(x *explorer, s *system) bool {
			if s.spec.over.live[maxExplored-1].request != 0 {
				return false
			}
			s.over = e
			req := OverrideRequest{ID: uint64(i) + 1, Triggers: e.triggers, Persons: e.persons, Until: s.now + time.Duration(e.lasts)*quantum, MaxSpeedMPS: e.mps} //nolint:gosec // few
			if x.wrong.over != nil {
				x.wrong.over(s, &req)
			}
			s.overRes = s.o.Request(s.now, req)
			return true
		}})
	}
	for _, t := range []Trigger{PoseCovariance, JournalUnwritable} {
		out = append(out, event{name: "end of the overrides of " + t.String(), act: func(_ *explorer, s *system) bool {
			s.o.End(Set(t))
			s.spec.over.end(Set(t))
			return true
		}})
	}
	return out
}

// overridePlan has a hold that one person may override, a latched stop that two may, and a stop that nobody may.
func overridePlan() plan {
	moved := []Trigger{PoseCovariance, JournalUnwritable, OrderStop}
	p := plan{
		name: "overrides", moved: moved, start: Clear, most: 200_000,
		rules: func(p *Policy) {
			p.Rules[PoseCovariance].Constraint = hold()
			p.Rules[JournalUnwritable].Constraint, p.Rules[JournalUnwritable].Clear = stop(), ClearByOperator
		},
		events: slices.Concat([]event{passing(1)}, conditions(moved, Present, Clear), resets()[1:2], reboots()[:1], overrideEvents()),
	}
	p.overrides.SecondPerson = quantum
	p.overrides.Rules[PoseCovariance] = OverrideRule{Roles: Roles(RoleSupervisor), Persons: 1, Max: 2 * quantum, MaxSpeedMPS: 0.3}
	p.overrides.Rules[JournalUnwritable] = OverrideRule{Roles: Roles(RoleSupervisor, RoleSecurity), Persons: 2, Max: 2 * quantum, MaxSpeedMPS: 0.3}
	return p
}

// canonicalOverrides forgets whose time is over, and in which places the others are: nothing goes by either.
func (x *explorer) canonicalOverrides(o *Overrides, now time.Duration) {
	for i := range o.active {
		a := &o.active[i]
		if a.over(now) {
			*a = Override{}
			continue
		}
		ahead(&a.Until, now)
		a.Since, a.First, a.Second = epoch, 1, 1 // Told, and no more compared with anything.
	}
	slices.SortFunc(o.active[:], func(a, b Override) int {
		return cmp.Or(cmp.Compare(b.ID, a.ID), cmp.Compare(b.Until, a.Until), cmp.Compare(b.MaxSpeedMPS, a.MaxSpeedMPS))
	})
	w := &o.waiting
	if w.over(now) || now-w.Since > x.overrides.SecondPerson {
		*w = Override{}
		return
	}
	ahead(&w.Until, now)
	back(&w.Since, now, x.overrides.SecondPerson)
}

func TestExploreOverrides(t *testing.T) { explore(t, overridePlan()) }

func TestCanonicalOverridesLoseNothing(t *testing.T) {
	takesSeconds(t)
	for seed := range uint64(10) {
		if err := walk(overridePlan(), seed, 2000, func(*explorer, *system) {}); err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
	}
	for seed := range uint64(10) {
		if walk(overridePlan(), seed, 2000, func(_ *explorer, s *system) { s.o.waiting = Override{} }) != nil {
			return
		}
	}
	t.Error("a form that forgets who waits for a second person is not found")
}

// TestExplorationFindsWrongOverrides is the off run: each is wrong as if one of its guard clauses were missing.
func TestExplorationFindsWrongOverrides(t *testing.T) {
	takesSeconds(t)
	const authority = "an override needs authority"
	for name, c := range map[string]struct {
		rule  string
		wrong wrong
	}{
		"asks for no role":   {authority, wrong{over: func(_ *system, r *OverrideRequest) { r.Persons = append([]Person{ben}, r.Persons...) }}},
		"asks for no end":    {authority, wrong{over: func(s *system, r *OverrideRequest) { r.Until = min(r.Until, s.now+2*quantum) }}},
		"asks for no speed":  {authority, wrong{over: func(_ *system, r *OverrideRequest) { r.MaxSpeedMPS = min(r.MaxSpeedMPS, 0.3) }}},
		"half of one begins": {authority, wrong{over: func(_ *system, r *OverrideRequest) { r.Triggers.Remove(OrderStop) }}},
		"one counts as two":  {authority, wrong{over: func(s *system, _ *OverrideRequest) { s.o.waiting.First = 99 }}},
		"waits for ever":     {"", wrong{over: func(s *system, _ *OverrideRequest) { s.o.waiting.Since, s.o.waiting.Until = s.now, s.now+2*quantum }}},
		"does not end":       {"", wrong{lasts: func(s *system) { putOff(s, quantum) }}},
		"an end loosens": {"", wrong{lasts: func(s *system) {
			for i := range s.o.active {
				if a := &s.o.active[i]; a.ID != 0 {
					a.MaxSpeedMPS = exploredOverrides()[a.ID-1].mps
				}
			}
		}}},
		"loosens what it is not asked": {"", wrong{look: func(in *Inputs) {
			if !in.Overridden.Empty() {
				in.Overridden = every()
			}
		}}},
		"has no cap": {"", wrong{look: func(in *Inputs) { in.OverriddenMPS = max(in.OverriddenMPS, 0.5) }}},
	} {
		t.Run(name, func(t *testing.T) {
			p := overridePlan()
			p.wrong = c.wrong
			x, err := newExplorer(p)
			if err != nil {
				t.Fatal(err)
			}
			var found *counterexample
			if err := x.run(); !errors.As(err, &found) || !strings.Contains(found.rule, c.rule) {
				t.Fatalf("%d states: expected a counterexample to %q, found %v", len(x.first), c.rule, err)
			}
			t.Logf("%d states until: %v", len(x.first), found)
		})
	}
}

// putOff puts off the ends of all overrides.
func putOff(s *system, by time.Duration) {
	for i := range s.o.active {
		if a := &s.o.active[i]; a.ID != 0 && s.quanta > 0 {
			a.Until += by
		}
	}
}
