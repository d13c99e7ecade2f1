package config

import (
	"time"

	"github.com/robowarden/robowarden/interlock"
)

// Override says who may suspend for a while what triggers demand, by a signed order. What no entry names, nobody may
// override, and some triggers nobody ever may.
type Override struct {
	// Triggers are the codes of the triggers that the entry is about.
	Triggers []string `cfg:"triggers" len:"1..64" form:"id" eg:"triggers: [pose.covariance]"`
	// Roles are the signers' roles that may override them.
	Roles []string `cfg:"roles" len:"1..8" enum:"operator|supervisor|safety-engineer|security|service" eg:"roles: [safety-engineer, supervisor]"`
	// Persons is how many different persons have to sign; two keys of one person are one.
	Persons int `cfg:"persons" range:"[1,2]" eg:"persons: 2"`
	// Lasts is the longest that one override may last.
	Lasts time.Duration `cfg:"lasts" range:"[1s,8h]" eg:"lasts: 10m"`
	// MaxSpeedMPS is the highest speed in m/s under an override.
	MaxSpeedMPS float64 `cfg:"max_speed_mps" range:"(0,5]" eg:"max_speed_mps: 0.3"`
}

// OverrideSpecs returns what may be overridden, as the interlock wants it.
func (p *Policy) OverrideSpecs() interlock.OverridePolicy {
	out := interlock.OverridePolicy{SecondPerson: interlock.DefaultPolicy().SecondPerson}
	for i := range p.Overrides {
		o := &p.Overrides[i]
		rule := interlock.OverrideRule{Persons: o.Persons, Max: o.Lasts, MaxSpeedMPS: o.MaxSpeedMPS}
		for _, name := range o.Roles {
			if role, ok := interlock.ParseRole(name); ok {
				rule.Roles |= interlock.Roles(role)
			}
		}
		for _, code := range o.Triggers {
			if t, ok := interlock.ParseTrigger(code); ok {
				out.Rules[t] = rule
			}
		}
	}
	return out
}

// checkOverrides checks what the types cannot say about overrides.
func (d *document) checkOverrides(p *Policy) {
	var codes []string
	for t := range interlock.NumTriggers {
		if t.Info().Overridable {
			codes = append(codes, t.String())
		}
	}
	seen := map[string]bool{}
	for i := range p.Overrides {
		for j, code := range p.Overrides[i].Triggers {
			where := at("overrides", i, "triggers", j)
			t, ok := interlock.ParseTrigger(code)
			switch {
			case code == "":
			case !ok:
				d.unknownName(where, code, codes, "the triggers that can be overridden")
			case !t.Info().Overridable:
				d.wrong(where, "never-overridden", "a trigger that can be overridden", code,
					"what this one says is never to be driven on under; mend its cause, or reset it")
			case seen[code]:
				d.wrong(where, "duplicate", "each trigger once", code, "delete one of the two")
			}
			seen[code] = true
		}
	}
}
