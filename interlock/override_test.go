package interlock

import (
	"math"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func overridePolicy() OverridePolicy {
	var p OverridePolicy
	p.SecondPerson = 10 * time.Minute
	p.Rules[PoseCovariance] = OverrideRule{Roles: Roles(RoleSafetyEngineer, RoleSupervisor), Persons: 1, Max: 10 * time.Minute, MaxSpeedMPS: 0.3}
	p.Rules[JournalUnwritable] = OverrideRule{Roles: Roles(RoleSafetyEngineer, RoleSupervisor), Persons: 2, Max: time.Hour, MaxSpeedMPS: 0.5}
	p.Rules[ClockJump] = OverrideRule{Roles: Roles(RoleSecurity), Persons: 1, Max: time.Minute, MaxSpeedMPS: 0.5}
	return p
}

func overrides(t interface {
	Helper()
	Fatal(args ...any)
},
) *Overrides {
	t.Helper()
	o, err := NewOverrides(overridePolicy())
	if err != nil {
		t.Fatal(err)
	}
	return o
}

// Persons of the tests.
var (
	sven = Person{ID: 11, Role: RoleSafetyEngineer}
	sara = Person{ID: 12, Role: RoleSupervisor}
	olga = Person{ID: 13, Role: RoleOperator}
	igor = Person{ID: 14, Role: RoleSecurity}
)

func TestOverrideOutcomes(t *testing.T) {
	const now = time.Minute
	for name, c := range map[string]struct {
		triggers []Trigger
		persons  []Person
		lasts    time.Duration
		mps      float64
		want     OverrideOutcome
	}{
		"as it should be":                     {[]Trigger{PoseCovariance}, []Person{sven}, time.Minute, 0.2, OverrideDone},
		"a role too low":                      {[]Trigger{PoseCovariance}, []Person{olga}, time.Minute, 0.2, OverrideWrongRole},
		"a role too low, for too long":        {[]Trigger{PoseCovariance}, []Person{olga}, 11 * time.Minute, 0.2, OverrideWrongRole},
		"nobody":                              {[]Trigger{PoseCovariance}, nil, time.Minute, 0.2, OverrideWrongRole},
		"a nameless person":                   {[]Trigger{PoseCovariance}, []Person{{Role: RoleSafetyEngineer}}, time.Minute, 0.2, OverrideWrongRole},
		"too long":                            {[]Trigger{PoseCovariance}, []Person{sven}, 11 * time.Minute, 0.2, OverrideTooLong},
		"over already":                        {[]Trigger{PoseCovariance}, []Person{sven}, 0, 0.2, OverrideTooLong},
		"too fast":                            {[]Trigger{PoseCovariance}, []Person{sven}, time.Minute, 0.31, OverrideTooFast},
		"no speed":                            {[]Trigger{PoseCovariance}, []Person{sven}, time.Minute, 0, OverrideTooFast},
		"a trigger that nobody can":           {[]Trigger{OrderStop}, []Person{sven, sara}, time.Minute, 0.2, OverrideNever},
		"the loss of all policies":            {[]Trigger{PolicyMissing}, []Person{sven, sara}, time.Minute, 0.2, OverrideNever},
		"one that the policy is silent about": {[]Trigger{PoseJump}, []Person{sven, sara}, time.Minute, 0.2, OverrideForbidden},
		"two needed, one signed":              {[]Trigger{JournalUnwritable}, []Person{sven}, time.Minute, 0.2, OverrideSecondPerson},
		"two needed, one signed twice":        {[]Trigger{JournalUnwritable}, []Person{sven, {sven.ID, RoleSupervisor}}, time.Minute, 0.2, OverrideSecondPerson},
		"two needed, two signed":              {[]Trigger{JournalUnwritable}, []Person{sven, sara}, time.Minute, 0.2, OverrideDone},
		"each may do a half":                  {[]Trigger{PoseCovariance, ClockJump}, []Person{sven, igor}, time.Minute, 0.2, OverrideWrongRole},
	} {
		o := overrides(t)
		res := o.Request(now, OverrideRequest{ID: 7, Triggers: Set(c.triggers...), Persons: c.persons, Until: now + c.lasts, MaxSpeedMPS: c.mps})
		suspended, _ := o.Step(now)
		if got := res.Outcomes[c.triggers[0]]; got != c.want || res.Applied != (c.want == OverrideDone) || suspended.Empty() == res.Applied {
			t.Errorf("%s: found %q, applied %t; expected %q", name, got, res.Applied, c.want)
		}
	}
}

// TestOverrideWhole suspends all that it names, or nothing.
func TestOverrideWhole(t *testing.T) {
	o := overrides(t)
	res := o.Request(0, OverrideRequest{ID: 1, Triggers: Set(PoseCovariance, PoseJump), Persons: []Person{sven, sara}, Until: time.Minute, MaxSpeedMPS: 0.1})
	if s, _ := o.Step(0); res.Applied || !s.Empty() {
		t.Errorf("half of a request took effect: %+v", res)
	}
}

// TestOverrideBySecondOrder takes the two persons' signatures from two orders of the same content.
func TestOverrideBySecondOrder(t *testing.T) {
	ask := func(o *Overrides, now time.Duration, id uint64, who Person, mps float64, until time.Duration) bool {
		return o.Request(now, OverrideRequest{ID: id, Triggers: Set(JournalUnwritable), Persons: []Person{who}, Until: until, MaxSpeedMPS: mps}).Applied
	}
	for name, c := range map[string]struct {
		id   uint64
		who  Person
		mps  float64
		late time.Duration
		want bool
	}{
		"another person, the same content": {2, sara, 0.2, time.Minute, true},
		"the same person":                  {2, sven, 0.2, time.Minute, false},
		"the same person in another role":  {2, Person{sven.ID, RoleSupervisor}, 0.2, time.Minute, false},
		"the same order":                   {1, sara, 0.2, time.Minute, false},
		"another speed":                    {2, sara, 0.3, time.Minute, false},
		"after the window":                 {2, sara, 0.2, 11 * time.Minute, false},
		"at its end":                       {2, sara, 0.2, 10 * time.Minute, true},
		"just after its end":               {2, sara, 0.2, 10*time.Minute + 1, false},
		"in the same moment":               {2, sara, 0.2, 0, true},
		"by a clock that went back":        {2, sara, 0.2, -1, false},
		"no role":                          {2, olga, 0.2, time.Minute, false},
	} {
		const begin = 5 * time.Minute
		o := overrides(t)
		if ask(o, begin, 1, sven, 0.2, 30*time.Minute) {
			t.Fatal("one person was enough")
		}
		if got := ask(o, begin+c.late, c.id, c.who, c.mps, 20*time.Minute); got != c.want {
			t.Errorf("%s: applied %t, expected %t", name, got, c.want)
		}
		if a := o.Active()[0]; c.want && (a.Until != 20*time.Minute || a.Second != sven.ID) {
			t.Errorf("%s: %+v", name, a)
		}
	}
}

func TestOverrideEnds(t *testing.T) {
	o := overrides(t)
	req := OverrideRequest{ID: 1, Triggers: Set(PoseCovariance), Persons: []Person{sven}, Until: 2 * time.Minute, MaxSpeedMPS: 0.2}
	held := func(now time.Duration) bool { s, _ := o.Step(now); return s.Has(PoseCovariance) }
	if !o.Request(time.Minute, req).Applied || !held(time.Minute) || !held(2*time.Minute-1) || held(2*time.Minute) || held(time.Minute) {
		t.Error("it does not end at its end, for good")
	}
	if !o.Request(time.Minute, req).Applied || held(time.Minute-1) {
		t.Error("it counts before its beginning")
	}
	if !o.Request(time.Minute, req).Applied || !o.End(Set(PoseCovariance, PoseJump)) || held(time.Minute) || o.End(Set(PoseCovariance)) {
		t.Error("an order does not end it")
	}
	if !o.Request(time.Minute, req).Applied {
		t.Fatal("refused")
	}
	tighter := overridePolicy()
	tighter.Rules[PoseCovariance].MaxSpeedMPS = 0.1
	if err := o.Load(tighter); err != nil || held(time.Minute) {
		t.Errorf("a policy that would not have let it begin leaves it: %v", err)
	}
}

// TestAFaultyOverridePolicyIsNotLoaded: what is in force and what the policy lets begin stay as they are.
func TestAFaultyOverridePolicyIsNotLoaded(t *testing.T) {
	o := overrides(t)
	req := OverrideRequest{ID: 1, Triggers: Set(PoseCovariance), Persons: []Person{sven}, Until: time.Minute, MaxSpeedMPS: 0.2}
	if !o.Request(0, req).Applied {
		t.Fatal("refused")
	}
	before := *o
	bad := overridePolicy()
	bad.Rules[PoseCovariance].Persons = 3
	if err := o.Load(bad); err == nil || *o != before {
		t.Errorf("loaded: %v", err)
	}
}

func TestOverridesAreBounded(t *testing.T) {
	o := overrides(t)
	for i := range uint64(MaxOverrides + 1) {
		res := o.Request(0, OverrideRequest{ID: i + 1, Triggers: Set(PoseCovariance), Persons: []Person{sven}, Until: time.Minute, MaxSpeedMPS: 0.2})
		if res.Applied != (i < MaxOverrides) {
			t.Errorf("override %d: %+v", i+1, res.Outcomes[PoseCovariance])
		}
	}
	if n := testing.AllocsPerRun(100, func() { o.Step(1) }); n != 0 {
		t.Errorf("found %v allocations, expected none", n)
	}
}

func TestOverridePolicyFaults(t *testing.T) {
	for name, change := range map[string]func(p *OverridePolicy){
		"a stop ordered":                        func(p *OverridePolicy) { p.Rules[OrderStop] = p.Rules[PoseCovariance] },
		"three persons":                         func(p *OverridePolicy) { p.Rules[PoseCovariance].Persons = 3 },
		"no role":                               func(p *OverridePolicy) { p.Rules[PoseCovariance].Roles = 0 },
		"no end":                                func(p *OverridePolicy) { p.Rules[PoseCovariance].Max = 0 },
		"a day":                                 func(p *OverridePolicy) { p.Rules[PoseCovariance].Max = 24 * time.Hour },
		"no speed":                              func(p *OverridePolicy) { p.Rules[PoseCovariance].MaxSpeedMPS = 0 },
		"no time for a second person, and less": func(p *OverridePolicy) { p.SecondPerson = -1 },
	} {
		p := overridePolicy()
		change(&p)
		if _, err := NewOverrides(p); err == nil {
			t.Errorf("%s: taken", name)
		}
	}
}

// TestOverridesOnlyLoosenWhatTheyName draws triggers and overrides. What is decided is at least as tight as what the
// triggers demand that are not overridden, at least as tight as the same without one of the triggers, and never looser for
// an override of what cannot be overridden.
func TestOverridesOnlyLoosenWhatTheyName(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		decide := func(present, overridden TriggerSet, mps float64) Axes {
			m, err := New(DefaultPolicy())
			if err != nil {
				t.Fatal(err)
			}
			in := Inputs{Fence: Unrestricted(), DockPossible: true, DockChannel: 1, Overridden: overridden, OverriddenMPS: mps}
			var out Decision
			for i := range 40 {
				for tr := range NumTriggers {
					in.Conditions[tr] = OK()
					if present.Has(tr) && i > 0 {
						in.Conditions[tr] = Fault(CauseNone, 9)
					}
				}
				m.Step(time.Duration(i)*100*time.Millisecond, &in, &out)
			}
			return out.Axes
		}
		draw := func(name string) TriggerSet {
			var s TriggerSet
			for _, tr := range rapid.SliceOfN(rapid.IntRange(0, int(NumTriggers)-1), 0, 6).Draw(t, name) {
				s.Add(Trigger(tr)) //nolint:gosec // drawn below NumTriggers
			}
			return s
		}
		present, overridden := draw("present"), draw("overridden")
		mps := rapid.Float64Range(0, 1).Draw(t, "mps")
		var can TriggerSet
		for tr := range NumTriggers {
			if overridden.Has(tr) && tr.Info().Overridable {
				can.Add(tr)
			}
		}
		got := decide(present, overridden, mps)
		if rest := decide(present.Minus(can), TriggerSet{}, 0); !got.TightAs(rest) {
			t.Fatalf("overriding %v of %v: %v is looser than the rest alone, %v", overridden, present, got, rest)
		}
		if same := decide(present, can, mps); got != same {
			t.Fatalf("overriding what cannot be: %v, else %v", got, same)
		}
		one := draw("one more")
		if more := decide(present.Union(one), overridden, mps); !more.TightAs(got) {
			t.Fatalf("with %v more: %v, before %v", one, more, got)
		}
		if !decide(present, TriggerSet{}, 0).TightAs(decide(present, TriggerSet{}, 0)) {
			t.Fatal("the comparison is wrong")
		}
	})
}

// TestNoEndOfAnOverrideLoosens draws requests and ends of every kind, by time, by order, by policy and by a clock that runs
// backwards: from one step to the next the speed never rises while any override is in force.
func TestNoEndOfAnOverrideLoosens(t *testing.T) {
	all := []Trigger{PoseCovariance, JournalUnwritable, ClockJump}
	rapid.Check(t, func(t *rapid.T) {
		o := overrides(t)
		now, before, some := time.Duration(0), math.Inf(1), false
		step := func() {
			suspended, mps := o.Step(now)
			if some && !suspended.Empty() && mps > before {
				t.Fatalf("the speed rose from %v m/s to %v m/s: %+v", before, mps, o.Active())
			}
			before, some = mps, !suspended.Empty()
		}
		for i := range rapid.IntRange(1, 40).Draw(t, "acts") {
			now += time.Duration(rapid.IntRange(-1, 100).Draw(t, "s")) * time.Second
			now = max(now, 0)
			step()
			trigger := rapid.SampledFrom(all).Draw(t, "trigger")
			switch rapid.IntRange(0, 4).Draw(t, "act") {
			case 0, 1:
				o.Request(now, OverrideRequest{
					ID: uint64(i + 1), Triggers: Set(trigger), Persons: []Person{sara, sven, igor}, //nolint:gosec // a count
					Until:       now + time.Duration(rapid.IntRange(1, 300).Draw(t, "lasts"))*time.Second,
					MaxSpeedMPS: rapid.Float64Range(0.01, 0.3).Draw(t, "mps"),
				})
			case 2:
				o.End(Set(trigger))
			case 3:
				p := o.policy
				p.Rules[trigger].Max = time.Duration(rapid.IntRange(1, 600).Draw(t, "max")) * time.Second
				if err := o.Load(p); err != nil {
					t.Fatal(err)
				}
			}
			step()
		}
	})
}

func TestOverrideState(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		o := overrides(t)
		now := time.Duration(0)
		for i := range rapid.IntRange(1, 20).Draw(t, "steps") {
			now += time.Duration(rapid.IntRange(0, 200).Draw(t, "s")) * time.Second
			trigger := rapid.SampledFrom([]Trigger{PoseCovariance, JournalUnwritable, ClockJump}).Draw(t, "trigger")
			who := rapid.SampledFrom([]Person{sven, sara, olga, igor}).Draw(t, "who")
			o.Request(now, OverrideRequest{ID: uint64(i + 1), Triggers: Set(trigger), Persons: []Person{who}, Until: now + 50*time.Second, MaxSpeedMPS: 0.1}) //nolint:gosec // a count
			p := overrides(t)
			if err := p.RestoreState(o.AppendState(nil)); err != nil || *p != *o {
				t.Fatalf("the state is not restored as it was: %v", err)
			}
		}
	})
}
