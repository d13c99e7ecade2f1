package interlock

import (
	"errors"
	"fmt"
	"math"
	"time"
)

// MaxFlapTrips is the largest number of trips that the flap guard can be told to count.
const MaxFlapTrips = 8

// maxDuration bounds every duration in a policy, so that no sum of them overflows.
const maxDuration = 24 * time.Hour

// Rule is what a policy says about one trigger.
type Rule struct {
	// Enabled is false only with a Reason, and only where the trigger's bounds allow it.
	Enabled bool
	// Reason says why the trigger is disabled.
	Reason string
	// Constraint is what the trigger restricts while it is active.
	Constraint Axes
	// StartDelay is how long the cause may be there before the trigger fires; 0 fires at once. It burns while the cause
	// is present and refills at a quarter of that rate while it is clear, so that a toggling cause fires as well.
	StartDelay time.Duration
	// Dwell is how long the cause must have been away without a break before the trigger may end.
	Dwell time.Duration
	// Clear says what ends the trigger.
	Clear ClearCondition
	// Roles are those that may reset the trigger once it has latched.
	Roles RoleSet
}

// Policy is the set of rules by which a Machine decides. The zero value is invalid.
type Policy struct {
	// Rules has one rule for each trigger.
	Rules [NumTriggers]Rule
	// StopCategory is the category of MotionStop: Category1 or Category2. MotionHold is always Category2.
	StopCategory StopCategory
	// FlapTrips trips of one class within FlapWindow latch the last of them until an operator resets it, in
	// [2, MaxFlapTrips].
	FlapTrips int
	// FlapWindow is the time over which trips are counted.
	FlapWindow time.Duration
	// FlapMerge is the time within which trips of one class count as one.
	FlapMerge time.Duration
	// MaxGap is the longest time between two steps that counts as evidence: a longer gap in which nobody looked burns
	// start delays in full, and refills them and advances dwells by MaxGap only.
	MaxGap time.Duration
	// DockDwell is how long docking must have been possible again before MotionDockOnly stops falling to MotionHold.
	DockDwell time.Duration
	// Cap is the most that a trigger may demand that rests on hearsay, whatever its rule says; so nobody stops a robot
	// for good by lying to it. At least as tight as Motion limited to 0.5 m/s.
	Cap Axes
	// CapLatches lets such triggers latch, by their rules and by the flap guard.
	CapLatches bool
	// SecondPerson is how long one person's reset waits for that of a second.
	SecondPerson time.Duration
}

// DefaultPolicy returns the policy that the trigger table holds, under the default cap on hearsay.
func DefaultPolicy() Policy {
	p := Policy{
		StopCategory: Category2,
		FlapTrips:    5,
		FlapWindow:   2 * time.Minute,
		FlapMerge:    2 * time.Second,
		MaxGap:       200 * time.Millisecond,
		DockDwell:    2 * time.Second,
		SecondPerson: 10 * time.Minute,
		Cap:          hold(),
	}
	for t := range NumTriggers {
		p.Rules[t] = triggerTable[t].Default
	}
	return p.Effective()
}

// Field names the part of a policy that an error is about.
type Field string

// The fields of a policy. Those of a rule come with a trigger.
const (
	FieldEnabled      Field = "enabled"
	FieldReason       Field = "reason"
	FieldConstraint   Field = "constraint"
	FieldStartDelay   Field = "start_delay"
	FieldDwell        Field = "dwell"
	FieldClear        Field = "clear"
	FieldRoles        Field = "roles"
	FieldStopCategory Field = "stop_category"
	FieldFlapTrips    Field = "flap_trips"
	FieldFlapWindow   Field = "flap_window"
	FieldFlapMerge    Field = "flap_merge"
	FieldMaxGap       Field = "max_gap"
	FieldDockDwell    Field = "dock_dwell"
	FieldSecondPerson Field = "second_person"
	FieldCap          Field = "cap"
)

// PolicyError is one thing that is wrong with a policy.
type PolicyError struct {
	// Trigger is the rule that is wrong; NumTriggers if the error is about the policy as a whole.
	Trigger Trigger
	// Field is the part that is wrong.
	Field Field
	// Found is what the policy says.
	Found string
	// Want is what it may say.
	Want string
}

// Error says where, what was found and what was expected.
func (e *PolicyError) Error() string {
	where := string(e.Field)
	if e.Trigger < NumTriggers {
		where = e.Trigger.String() + ": " + where
	}
	return where + ": found " + e.Found + ", expected " + e.Want
}

// Validate returns every fault of the policy, each a *PolicyError, joined by errors.Join; nil if there is none.
func (p *Policy) Validate() error {
	var errs []error
	bad := func(t Trigger, f Field, found any, want string) {
		errs = append(errs, &PolicyError{Trigger: t, Field: f, Found: fmt.Sprint(found), Want: want})
	}
	for t := range NumTriggers {
		p.Rules[t].validate(t, p.bounds(t), bad)
	}
	if p.StopCategory != Category1 && p.StopCategory != Category2 {
		bad(NumTriggers, FieldStopCategory, p.StopCategory, "category 1 or category 2")
	}
	switch {
	case p.Cap != p.Cap.Normal():
		bad(NumTriggers, FieldCap, fmt.Sprintf("%+v", p.Cap), "its normal form: "+p.Cap.Normal().String())
	case !p.Cap.TightAs(loosestCap()), p.Cap.Motion == MotionDockOnly:
		bad(NumTriggers, FieldCap, p.Cap, "at least "+loosestCap().String()+", and not dock-only")
	}
	if p.FlapTrips < 2 || p.FlapTrips > MaxFlapTrips {
		bad(NumTriggers, FieldFlapTrips, p.FlapTrips, fmt.Sprintf("2 to %d", MaxFlapTrips))
	}
	for _, d := range []struct {
		field Field
		value time.Duration
		most  time.Duration
	}{
		{FieldFlapWindow, p.FlapWindow, maxDuration},
		{FieldFlapMerge, p.FlapMerge, p.FlapWindow},
		{FieldMaxGap, p.MaxGap, time.Second},
		{FieldDockDwell, p.DockDwell, maxDuration},
		{FieldSecondPerson, p.SecondPerson, maxDuration},
	} {
		if d.value <= 0 || d.value > d.most {
			bad(NumTriggers, d.field, d.value, fmt.Sprintf("more than 0s and at most %v", d.most))
		}
	}
	return errors.Join(errs...)
}

func (r *Rule) validate(t Trigger, b Bounds, bad func(Trigger, Field, any, string)) {
	if !r.Enabled && !b.MayDisable {
		bad(t, FieldEnabled, false, "true: this trigger cannot be disabled")
	}
	if !r.Enabled && r.Reason == "" {
		bad(t, FieldReason, "nothing", "the reason for disabling the trigger")
	}
	if len(r.Reason) > maxReason {
		bad(t, FieldReason, fmt.Sprintf("%d bytes", len(r.Reason)), fmt.Sprintf("at most %d bytes", maxReason))
	}
	if r.Enabled && r.Reason != "" {
		bad(t, FieldReason, fmt.Sprintf("%q", r.Reason), "nothing, because the trigger is enabled")
	}
	switch v := r.Constraint.MaxSpeedMPS; {
	case math.IsNaN(v) || v < 0:
		bad(t, FieldConstraint, fmt.Sprintf("a speed of %v m/s", v), "a speed of 0 m/s or more")
	case r.Constraint.Motion == MotionLimited && math.IsInf(v, 1):
		bad(t, FieldConstraint, "limited without a speed", "a finite speed in m/s")
	case r.Constraint != r.Constraint.Normal():
		bad(t, FieldConstraint, fmt.Sprintf("%+v", r.Constraint), "its normal form: "+r.Constraint.Normal().String())
	case !r.Constraint.TightAs(b.Loosest):
		bad(t, FieldConstraint, r.Constraint, "at least "+b.Loosest.String())
	}
	if r.StartDelay < 0 || r.StartDelay > b.MaxStartDelay {
		bad(t, FieldStartDelay, r.StartDelay, fmt.Sprintf("0s to %v", b.MaxStartDelay))
	}
	if r.Clear >= NumClearConditions || r.Clear < b.LeastClear {
		bad(t, FieldClear, r.Clear, "at least "+b.LeastClear.String())
	}
	switch {
	case r.Dwell < 0 || r.Dwell > maxDuration:
		bad(t, FieldDwell, r.Dwell, fmt.Sprintf("0s to %v", maxDuration))
	case r.Dwell == 0 && r.Clear == ClearOnDwell:
		bad(t, FieldDwell, r.Dwell, "more than 0s, because the trigger clears on dwell")
	}
	if r.Roles == 0 || r.Roles >= 1<<NumRoles {
		bad(t, FieldRoles, fmt.Sprintf("%q", r.Roles), "one role or more")
	}
}
