package config

import (
	"errors"

	"github.com/robowarden/robowarden/interlock"
)

// checkTriggers checks the changes to built-in triggers.
func (d *document) checkTriggers(p *Policy) {
	codes := make([]string, 0, interlock.NumTriggers)
	for t := range interlock.NumTriggers {
		codes = append(codes, t.String())
	}
	for i := range p.Triggers {
		t := &p.Triggers[i]
		where := at("triggers", i)
		if _, ok := interlock.ParseTrigger(t.Code); !ok && t.Code != "" {
			hint := "the built-in triggers are listed with the interlock"
			if c := closest(t.Code, codes); c != "" {
				hint = "did you mean " + c + "?"
			}
			d.wrong(where.child("code"), ruleUnknownName, "the code of a built-in trigger", t.Code, hint)
		}
		d.checkEnabled(where, i, t)
		d.checkConstraint(where.child("constraint"), t.Constraint)
	}
	if u := p.Unauthenticated; u != nil {
		d.checkConstraint(at("unauthenticated", "constraint"), u.Constraint)
	}
	d.unique("triggers", "code", names(p.Triggers, func(t Trigger) string { return t.Code }))
	if p.Startup.Release == "inputs" {
		for i, t := range p.Triggers {
			if t.Code == interlock.Startup.String() && t.Clear != "" {
				d.wrong(at("triggers", i, "clear"), ruleExclusive, "startup.release to say what ends the start", "clear as well",
					"delete one of the two")
			}
		}
	}
	d.checkBounds(p)
}

func (d *document) checkEnabled(where *path, i int, t *Trigger) {
	switch off := t.Enabled != nil && !*t.Enabled && d.text("triggers", i, "enabled") == "false"; {
	case off && t.Reason == "" && !d.has("triggers", i, "reason"):
		d.about(where.find(d.root), where.child("reason"), Problem{
			Rule: "off-without-reason", Expected: "reason: why the trigger is switched off", Found: "nothing",
			Hint: "the reason is shown wherever the robot's state is", Example: `reason: "no arms are fitted on this robot"`,
		})
	case off:
		for _, key := range []string{"constraint", "start_delay", "dwell", "clear", "reset_by"} {
			if d.has("triggers", i, key) {
				d.wrong(where.child(key), ruleExclusive, "nothing else for a trigger that is switched off", key, "delete the key")
			}
		}
		if t.Reason != "" {
			d.warn(where.child("enabled"), "switched-off", "triggers in force", t.Code+" is switched off: "+t.Reason, "")
		}
	case t.Reason != "":
		d.wrong(where.child("reason"), ruleExclusive, "a reason only with enabled: false", "a trigger in force",
			"delete the reason; comments start with #")
	case t.Constraint == nil && t.StartDelay == nil && t.Dwell == nil && t.Clear == "" && len(t.ResetBy) == 0 && d.clean("triggers", i):
		d.wrong(where, "no-effect", "constraint, start_delay, dwell, clear, reset_by or enabled: false", "no change",
			"delete the entry: the trigger is in force as built in")
	}
}

func (d *document) checkConstraint(where *path, c *Constraint) {
	if c == nil {
		return
	}
	switch {
	case *c == Constraint{} && where.find(d.root).Len() == 0:
		d.wrong(where, "no-effect", "motion, manipulators, perception or remote", "none of them",
			"an empty constraint would let everything pass")
	case c.Motion == "limited" && c.MaxSpeedMPS == 0 && where.child("max_speed_mps").find(d.root) == where.find(d.root):
		d.about(where.find(d.root), where.child("max_speed_mps"), Problem{
			Rule: ruleMissing, Expected: "max_speed_mps with motion: limited", Found: "nothing",
			Example: "constraint: {motion: limited, max_speed_mps: 0.3}",
		})
	case c.MaxSpeedMPS > 0 && c.Motion != "limited" && c.Motion != "dock-only":
		d.wrong(where.child("max_speed_mps"), ruleExclusive, "max_speed_mps with motion: limited or dock-only", "motion: "+c.Motion,
			"")
	}
}

// checkBounds asks the interlock itself, and finds each of its complaints in the document.
func (d *document) checkBounds(p *Policy) {
	if !d.clean("triggers") || !d.clean("flap") {
		return
	}
	rules := p.Interlock()
	for _, err := range unjoin(rules.Validate()) {
		var pe *interlock.PolicyError
		if !errors.As(err, &pe) {
			d.wrong(nil, "interlock", "rules that the interlock takes", err.Error(), "")
			continue
		}
		where := at("triggers")
		hint := ""
		for i, t := range p.Triggers {
			if id, ok := interlock.ParseTrigger(t.Code); ok && id == pe.Trigger {
				where = at("triggers", i, triggerKey(pe.Field))
				hint = t.Code + ": " + id.Info().Text
			}
		}
		switch pe.Field {
		case interlock.FieldFlapTrips:
			where = at("flap", "trips")
		case interlock.FieldFlapWindow:
			where = at("flap", "window")
		case interlock.FieldFlapMerge:
			where = at("flap", "merge")
		case interlock.FieldCap:
			where = at("unauthenticated", "constraint")
		case interlock.FieldStopCategory:
			where = at("stop_category")
		default: // a trigger's field, found above
		}
		d.wrong(where, "trigger-bounds", pe.Want, pe.Found, hint)
	}
	d.checkCapped(p)
}

// checkCapped warns of rules that the cap on unauthenticated signals takes back.
func (d *document) checkCapped(p *Policy) {
	rules := p.Interlock()
	counts := rules.Effective()
	for i, t := range p.Triggers {
		id, ok := interlock.ParseTrigger(t.Code)
		if !ok || rules.Rules[id] == counts.Rules[id] || t.Constraint == nil && t.Clear == "" {
			continue
		}
		d.warn(at("triggers", i), "capped", "a rule within the cap on unauthenticated signals",
			counts.Rules[id].Constraint.String()+", clears "+counts.Rules[id].Clear.String(),
			t.Code+" rests on hearsay: set unauthenticated to let it demand more")
	}
}

func triggerKey(f interlock.Field) string {
	if f == interlock.FieldRoles {
		return "reset_by"
	}
	return string(f)
}

// unjoin returns the errors that errors.Join put together.
func unjoin(err error) []error {
	if err == nil {
		return nil
	}
	if j, ok := err.(interface{ Unwrap() []error }); ok { //nolint:errorlint // the joining error itself is meant
		return j.Unwrap()
	}
	return []error{err}
}
