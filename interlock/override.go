package interlock

import (
	"fmt"
	"math"
	"time"
)

const (
	// MaxOverrides is the largest number of overrides that are in force at once.
	MaxOverrides = 8
	// maxOverride is the longest time that a policy may let an override last.
	maxOverride = 8 * time.Hour
)

// OverrideRule is what a policy says about overriding one trigger. The zero value lets nobody.
type OverrideRule struct {
	// Roles are those that may override the trigger, Persons is how many different persons it takes: 1 or 2, 0 for a trigger
	// that this policy lets nobody override.
	Roles   RoleSet
	Persons int
	// Max is the longest time that one override may last.
	Max time.Duration
	// MaxSpeedMPS is the highest speed in m/s under an override of the trigger.
	MaxSpeedMPS float64
}

// OverridePolicy says for each trigger who may override it. The zero value lets nobody override anything.
type OverridePolicy struct {
	Rules [NumTriggers]OverrideRule
	// SecondPerson is how long one person's order waits for that of a second.
	SecondPerson time.Duration
}

// Validate returns the first fault of the policy.
func (p *OverridePolicy) Validate() error {
	for t := range NumTriggers {
		r := &p.Rules[t]
		switch {
		case *r == (OverrideRule{}):
		case !triggerTable[t].Overridable:
			return fmt.Errorf("%s: expected a trigger that can be overridden; it cannot", t)
		case r.Persons < 1 || r.Persons > 2:
			return fmt.Errorf("%s: found %d persons, expected 1 or 2", t, r.Persons)
		case r.Roles == 0 || r.Roles >= 1<<NumRoles:
			return fmt.Errorf("%s: found roles %q, expected one or more", t, r.Roles)
		case r.Max <= 0 || r.Max > maxOverride:
			return fmt.Errorf("%s: found at most %v, expected more than 0s and at most %v", t, r.Max, maxOverride)
		case !(r.MaxSpeedMPS > 0) || math.IsInf(r.MaxSpeedMPS, 1):
			return fmt.Errorf("%s: found a speed of %v m/s, expected a finite one above 0", t, r.MaxSpeedMPS)
		}
	}
	if p.SecondPerson < 0 || p.SecondPerson > maxDuration {
		return fmt.Errorf("second person: found %v, expected 0s to %v", p.SecondPerson, maxDuration)
	}
	return nil
}

// OverrideRequest asks to suspend what triggers demand. The caller has verified the signatures and used the order up.
type OverrideRequest struct {
	// ID tells overrides apart, for people.
	ID uint64
	// Triggers are those to suspend, Persons those who signed.
	Triggers TriggerSet
	Persons  []Person
	// Until is when the override ends by itself, on CLOCK_BOOTTIME.
	Until time.Duration
	// MaxSpeedMPS is the highest speed meanwhile, in m/s.
	MaxSpeedMPS float64
}

// OverrideOutcome says what became of a request, for one trigger.
type OverrideOutcome uint8

// Outcomes of a request. One that is not OverrideDone keeps the whole request from taking effect.
const (
	// OverrideNotAsked means that the request did not name the trigger.
	OverrideNotAsked OverrideOutcome = iota
	// OverrideDone means that nothing speaks against it.
	OverrideDone
	// OverrideNever means that nobody can override the trigger.
	OverrideNever
	// OverrideForbidden means that the policy lets nobody override it.
	OverrideForbidden
	// OverrideWrongRole means that nobody who signed may override it.
	OverrideWrongRole
	// OverrideSecondPerson means that a second person has to ask for the same.
	OverrideSecondPerson
	// OverrideTooLong means that it would last longer than the policy lets it, or not at all.
	OverrideTooLong
	// OverrideTooFast means that the speed is higher than the policy lets it be, or none.
	OverrideTooFast
	// OverrideFull means that too many are in force.
	OverrideFull
	// NumOverrideOutcomes is the number of outcomes.
	NumOverrideOutcomes
)

// String says what the outcome means.
func (o OverrideOutcome) String() string {
	if o >= NumOverrideOutcomes {
		return "unknown"
	}
	return [NumOverrideOutcomes]string{
		"not asked", "done", "refused: cannot be overridden", "refused: the policy lets nobody override it", "refused: wrong role",
		"waits for a second person", "refused: longer than the policy lets it last", "refused: faster than the policy lets it be",
		"refused: too many overrides are in force",
	}[o]
}

// OverrideResult says what became of a request.
type OverrideResult struct {
	// Applied is true if it is in force.
	Applied  bool
	Outcomes [NumTriggers]OverrideOutcome
}

// Override is one that is in force, or waits for a second person.
type Override struct {
	// ID is the request's, 0 for a free place.
	ID       uint64
	Triggers TriggerSet
	Since    time.Duration
	Until    time.Duration
	// MaxSpeedMPS is the lowest speed in m/s of this one and of all that ended beside it.
	MaxSpeedMPS float64
	// First and Second are the persons who asked for it; Second is 0 where one is enough.
	First, Second uint64
}

// Overrides keeps the overrides in force. They end by themselves, are lost with the process, and what they suspend comes
// back at once when they end; while any is in force, the speed never rises. It is not safe for use by several goroutines.
type Overrides struct {
	policy OverridePolicy
	active [MaxOverrides]Override
	// waiting is the newest request that waits for a second person, if its ID is not 0.
	waiting Override
}

// NewOverrides returns a keeper of none.
func NewOverrides(p OverridePolicy) (*Overrides, error) {
	if err := p.Validate(); err != nil {
		return nil, fmt.Errorf("overrides: %w", err)
	}
	return &Overrides{policy: p}, nil
}

// Load puts another policy into force. What it would not have let begin ends.
func (o *Overrides) Load(p OverridePolicy) error {
	if err := p.Validate(); err != nil {
		return fmt.Errorf("overrides: %w", err)
	}
	o.retire(func(a *Override) bool {
		for t, ok := a.Triggers.Next(0); ok; t, ok = a.Triggers.Next(t + 1) {
			if r := &p.Rules[t]; r.Persons == 0 || a.MaxSpeedMPS > r.MaxSpeedMPS || a.Until-a.Since > r.Max || r.Persons == 2 && a.Second == 0 {
				return true
			}
		}
		return false
	})
	o.policy, o.waiting = p, Override{}
	return nil
}

// retire ends the overrides that are gone. No end loosens: whoever is left goes on at the lowest speed that held until now, and
// faster only once all have ended and somebody asks anew.
func (o *Overrides) retire(gone func(*Override) bool) (ended bool) {
	low := math.Inf(1)
	for i := range o.active {
		if a := &o.active[i]; a.ID != 0 {
			low = min(low, a.MaxSpeedMPS)
			if gone(a) {
				*a, ended = Override{}, true
			}
		}
	}
	for i := range o.active {
		if a := &o.active[i]; ended && a.ID != 0 {
			a.MaxSpeedMPS = low
		}
	}
	return ended
}

// Request asks for an override at now. It takes effect whole or not at all.
func (o *Overrides) Request(now time.Duration, req OverrideRequest) OverrideResult {
	var res OverrideResult
	next := Override{ID: req.ID, Triggers: req.Triggers, Since: now, Until: req.Until, MaxSpeedMPS: req.MaxSpeedMPS}
	fits := req.ID != 0 && !req.Triggers.Empty()
	two := false
	for t, ok := req.Triggers.Next(0); ok; t, ok = req.Triggers.Next(t + 1) {
		res.Outcomes[t] = o.allowed(t, now, &req)
		fits = fits && res.Outcomes[t] == OverrideDone
		two = two || o.policy.Rules[t].Persons == 2
	}
	if !fits {
		return res
	}
	next.First, next.Second = o.eligible(&req)
	refuse := func(why OverrideOutcome) OverrideResult {
		for t, ok := req.Triggers.Next(0); ok; t, ok = req.Triggers.Next(t + 1) {
			res.Outcomes[t] = why
		}
		return res
	}
	if next.First == 0 {
		return refuse(OverrideWrongRole) // Each trigger has somebody, none has somebody for all.
	}
	if two && next.Second == 0 && !o.second(now, &next) {
		o.waiting = next
		return refuse(OverrideSecondPerson)
	}
	place := o.place(now)
	if place == nil {
		return refuse(OverrideFull)
	}
	*place, o.waiting, res.Applied = next, Override{}, true
	return res
}

// allowed says whether the policy and the table let the request override t, persons' number apart.
func (o *Overrides) allowed(t Trigger, now time.Duration, req *OverrideRequest) OverrideOutcome {
	r := &o.policy.Rules[t]
	role := false
	for _, p := range req.Persons {
		role = role || p.ID != 0 && r.Roles.Has(p.Role)
	}
	switch {
	case !triggerTable[t].Overridable:
		return OverrideNever
	case r.Persons == 0:
		return OverrideForbidden
	case !role:
		return OverrideWrongRole
	case req.Until <= now || since(req.Until, now) > r.Max:
		return OverrideTooLong
	case !(req.MaxSpeedMPS > 0) || req.MaxSpeedMPS > r.MaxSpeedMPS:
		return OverrideTooFast
	}
	return OverrideDone
}

// eligible returns the first two different persons who may override every trigger of the request; 0 stands for nobody.
func (o *Overrides) eligible(req *OverrideRequest) (first, second uint64) {
	for _, p := range req.Persons {
		all := p.ID != 0 && p.ID != first
		for t, ok := req.Triggers.Next(0); ok && all; t, ok = req.Triggers.Next(t + 1) {
			all = o.may(p.ID, t, req.Persons)
		}
		switch {
		case !all:
		case first == 0:
			first = p.ID
		default:
			return first, p.ID
		}
	}
	return first, 0
}

// may says whether the person may override t in any of the roles in which it signed.
func (o *Overrides) may(person uint64, t Trigger, persons []Person) bool {
	for _, p := range persons {
		if p.ID == person && o.policy.Rules[t].Roles.Has(p.Role) {
			return true
		}
	}
	return false
}

// second joins the request with that of another person for the same, made lately. The earlier end counts.
func (o *Overrides) second(now time.Duration, next *Override) bool {
	w := &o.waiting
	if w.ID == 0 || w.ID == next.ID || w.First == next.First || w.Triggers != next.Triggers || w.MaxSpeedMPS != next.MaxSpeedMPS ||
		now < w.Since || since(now, w.Since) > o.policy.SecondPerson || w.Until <= now {
		return false
	}
	next.Second, next.Until = w.First, min(next.Until, w.Until)
	return true
}

func (o *Overrides) place(now time.Duration) *Override {
	o.retire(func(a *Override) bool { return a.over(now) })
	for i := range o.active {
		if o.active[i].ID == 0 {
			return &o.active[i]
		}
	}
	return nil
}

// over says whether the override does not count at now. A clock that ran backwards ends it.
func (a *Override) over(now time.Duration) bool { return a.ID == 0 || now < a.Since || now >= a.Until }

// End ends every override of one of the triggers. What they suspend counts again, and what is left goes on at the lowest speed
// of all, so nobody's leave is asked.
func (o *Overrides) End(triggers TriggerSet) (ended bool) {
	ended = o.retire(func(a *Override) bool { return !a.Triggers.Intersect(triggers).Empty() })
	if !o.waiting.Triggers.Intersect(triggers).Empty() {
		o.waiting = Override{}
	}
	return ended
}

// Step ends what is over and returns what is suspended now, and the lowest speed in m/s among the overrides in force. It
// does not allocate.
func (o *Overrides) Step(now time.Duration) (suspended TriggerSet, mps float64) {
	o.retire(func(a *Override) bool { return a.over(now) })
	mps = math.Inf(1)
	for i := range o.active {
		if a := &o.active[i]; a.ID != 0 {
			suspended, mps = suspended.Union(a.Triggers), min(mps, a.MaxSpeedMPS)
		}
	}
	return suspended, mps
}

// Active returns the overrides in force; places with the ID 0 are free.
func (o *Overrides) Active() [MaxOverrides]Override { return o.active }
