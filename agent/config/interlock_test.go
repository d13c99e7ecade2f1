package config

import (
	"math"
	"reflect"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/robowarden/robowarden/interlock"
)

// zeroFields names the fields of a struct that are zero.
func zeroFields(v any) []string {
	var out []string
	rv := reflect.ValueOf(v)
	for i := range rv.NumField() {
		if rv.Field(i).IsZero() {
			out = append(out, rv.Type().Field(i).Name)
		}
	}
	return out
}

// words writes a restriction as documents do.
func words(a interlock.Axes) *Constraint {
	c := &Constraint{}
	if a.Motion != interlock.MotionFree {
		c.Motion = a.Motion.String()
	}
	if a.Motion == interlock.MotionLimited || a.Motion == interlock.MotionDockOnly && !math.IsInf(a.MaxSpeedMPS, 1) {
		c.MaxSpeedMPS = a.MaxSpeedMPS
	}
	if a.Manipulators != interlock.ManipulatorsFree {
		c.Manipulators = a.Manipulators.String()
	}
	if a.Perception != interlock.PerceptionFree {
		c.Perception = a.Perception.String()
	}
	if a.Remote != interlock.RemoteFree {
		c.Remote = a.Remote.String()
	}
	return c
}

// TestEveryBuiltInRuleCanBeWritten writes each trigger's own rule as a document would and gets the same rule back.
func TestEveryBuiltInRuleCanBeWritten(t *testing.T) {
	want := interlock.DefaultPolicy()
	p := Policy{StopCategory: 2, Startup: Startup{Release: "inputs"}}
	for id := range interlock.NumTriggers {
		r := want.Rules[id]
		tr := Trigger{Code: id.String(), Constraint: words(r.Constraint), StartDelay: &r.StartDelay, Dwell: &r.Dwell, Clear: r.Clear.String()}
		for role := range interlock.NumRoles {
			if r.Roles.Has(role) {
				tr.ResetBy = append(tr.ResetBy, role.String())
			}
		}
		p.Triggers = append(p.Triggers, tr)
	}
	got := p.Interlock()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if err := got.Validate(); err != nil {
		t.Error(err)
	}
}

// TestEveryWordIsKnown holds the enumerations in the tags against those of the interlock.
func TestEveryWordIsKnown(t *testing.T) {
	enums := map[string][]string{}
	for _, v := range []any{Constraint{}, Trigger{}, Rung{}} {
		fields, err := fieldsOf(reflect.TypeOf(v))
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range fields {
			enums[f.name] = f.enum
		}
	}
	free := interlock.Unrestricted()
	for axis, set := range map[string]func(c *Constraint, word string){
		"motion":       func(c *Constraint, w string) { c.Motion = w },
		"manipulators": func(c *Constraint, w string) { c.Manipulators = w },
		"perception":   func(c *Constraint, w string) { c.Perception = w },
		"remote":       func(c *Constraint, w string) { c.Remote = w },
	} {
		for _, word := range enums[axis] {
			c := &Constraint{}
			set(c, word)
			if c.Motion == "limited" {
				c.MaxSpeedMPS = 0.5
			}
			if a := c.axes(); a == free || a.Normal() != a {
				t.Errorf("%s: %s becomes %v", axis, word, a)
			}
		}
	}
	for _, word := range enums["clear"] {
		if _, ok := clearCondition(word); !ok {
			t.Errorf("clear: %s", word)
		}
	}
	for _, word := range enums["reset_by"] {
		if _, ok := interlock.ParseRole(word); !ok {
			t.Errorf("reset_by: %s", word)
		}
	}
	for _, word := range enums["kind"] {
		if rungKind(word) == interlock.RungUnknown {
			t.Errorf("kind: %s", word)
		}
	}
}

func TestStartupAndStop(t *testing.T) {
	p := Policy{StopCategory: 1, Startup: Startup{Release: "operator"}, Flap: &Flap{Trips: 3, Window: time.Minute, Merge: time.Second}}
	got := p.Interlock()
	if got.Rules[interlock.Startup].Clear != interlock.ClearByOperator || got.StopCategory != interlock.Category1 || got.FlapTrips != 3 {
		t.Errorf("startup %v, %v, %d trips", got.Rules[interlock.Startup].Clear, got.StopCategory, got.FlapTrips)
	}
	p.Startup.Release = "inputs"
	if p.Interlock().Rules[interlock.Startup].Clear.Latches() {
		t.Error("startup latches although inputs release it")
	}
}

func TestDisabledTrigger(t *testing.T) {
	off := false
	p := Policy{StopCategory: 2, Triggers: []Trigger{{Code: "lock.lost", Enabled: &off, Reason: "no lock is fitted"}}}
	got := p.Interlock()
	if r := got.Rules[interlock.LockLost]; r.Enabled || r.Reason == "" {
		t.Errorf("rule %+v", r)
	}
	if err := got.Validate(); err != nil {
		t.Error(err)
	}
}
