package verifier

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
)

// Merge adds what other reference values allow: of another robot of the kind, or of the state after an update. Both must
// be of one name and tier and look at the same logs and PCRs. What only one of them demands becomes optional.
func (r *References) Merge(o *References) error {
	switch {
	case r.Tier != o.Tier:
		return fmt.Errorf("tier: %s here and %s there", r.Tier, o.Tier)
	case r.FirmwareLog != o.FirmwareLog:
		return fmt.Errorf("firmware_log: %q here and %q there: two kinds of firmware need two sets of reference values", r.FirmwareLog, o.FirmwareLog)
	case r.SecureBoot != o.SecureBoot:
		return fmt.Errorf("secure_boot: %q here and %q there: find out why first", r.SecureBoot, o.SecureBoot)
	case o.IMA != nil && !reflect.DeepEqual(r.IMA, o.IMA):
		return errors.New("ima: other rules there than here: write those that shall count by hand, nobody learns them")
	case len(r.PCRs) != len(o.PCRs):
		return fmt.Errorf("pcrs: %d here and %d there", len(r.PCRs), len(o.PCRs))
	}
	for i := range r.PCRs {
		mine, theirs := &r.PCRs[i], &o.PCRs[i]
		if mine.PCR != theirs.PCR || mine.Logs != theirs.Logs {
			return fmt.Errorf("pcrs[%d]: PCR %d, logs %t here and PCR %d, logs %t there", i, mine.PCR, mine.Logs, theirs.PCR, theirs.Logs)
		}
		mine.add(&theirs.Set)
	}
	r.mergeEvents(o.Events)
	theirs, mine := o.claims(), r.claims()
	if len(mine) != len(theirs) {
		return errors.New("config or command_line: a rule here or there only")
	}
	for i, c := range mine {
		if c.rule.File != theirs[i].rule.File {
			return fmt.Errorf("%s.file: %q here and %q there", c.name, c.rule.File, theirs[i].rule.File)
		}
		c.rule.add(&theirs[i].rule.Set)
	}
	for _, f := range o.Files {
		if i := slices.IndexFunc(r.Files, func(m FileRule) bool { return m.Path == f.Path }); i >= 0 {
			r.Files[i].add(&f.Set)
		} else {
			r.Files = append(r.Files, f)
		}
	}
	if err := r.mergeLists(o); err != nil {
		return err
	}
	for _, d := range o.Reject {
		if !slices.Contains(r.Reject, d) {
			r.Reject = append(r.Reject, d)
		}
	}
	return r.Validate()
}

// mergeLists merges the rules for artifacts and debug interfaces.
func (r *References) mergeLists(o *References) error {
	if len(r.Artifacts) != len(o.Artifacts) || (r.Debug == nil) != (o.Debug == nil) {
		return errors.New("artifacts, debug: other rules here than there")
	}
	for i := range o.Artifacts {
		theirs := &o.Artifacts[i]
		j := slices.IndexFunc(r.Artifacts, func(m ArtifactRule) bool { return m.Name == theirs.Name })
		if j < 0 {
			return fmt.Errorf("artifacts: %s is there only", theirs.Name)
		}
		r.Artifacts[j].add(&theirs.Set)
		r.Artifacts[j].MinSVN = min(r.Artifacts[j].MinSVN, theirs.MinSVN)
	}
	if r.Debug != nil {
		for _, d := range o.Debug.Allowed {
			if !slices.Contains(r.Debug.Allowed, d) {
				r.Debug.Allowed = append(slices.Clip(r.Debug.Allowed), d)
			}
		}
	}
	return nil
}

// add adds the values of another set.
func (s *Set) add(o *Set) {
	if s.Any {
		return
	}
	if o.Any {
		*s = *o
		return
	}
	for _, v := range o.Allowed {
		// What the other allows for good does not leave.
		s.Leaving = slices.DeleteFunc(slices.Clone(s.Leaving), func(l Leaving) bool { return l.Value == v })
		if !slices.Contains(s.Allowed, v) {
			s.Allowed = append(slices.Clip(s.Allowed), v)
		}
	}
	for _, l := range o.Leaving {
		if !slices.Contains(s.Allowed, l.Value) && !slices.ContainsFunc(s.Leaving, func(m Leaving) bool { return m.Value == l.Value }) {
			s.Leaving = append(slices.Clip(s.Leaving), l)
		}
	}
}

// shares reports whether two sets allow a value in common.
func (s *Set) shares(o *Set) bool {
	return s.Any || o.Any || slices.ContainsFunc(s.Allowed, func(v string) bool { return slices.Contains(o.Allowed, v) })
}

// mergeEvents adds rules place by place: those that share a value are the same, what is left on both sides stands in for
// each other in its order, and what is left on one side is optional.
func (r *References) mergeEvents(theirs []EventRule) {
	taken := make([]bool, len(theirs))
	partner := make([]int, len(r.Events))
	pair := func(same func(mine, their *EventRule) bool) {
		for i := range r.Events {
			if partner[i] != 0 {
				continue
			}
			for j := range theirs {
				if !taken[j] && r.Events[i].place() == theirs[j].place() && same(&r.Events[i], &theirs[j]) {
					taken[j], partner[i] = true, j+1
					break
				}
			}
		}
	}
	pair(func(mine, their *EventRule) bool { return mine.shares(&their.Set) })
	pair(func(_, _ *EventRule) bool { return true })
	for i := range r.Events {
		m := &r.Events[i]
		if partner[i] == 0 {
			m.Optional = true
			continue
		}
		t := &theirs[partner[i]-1]
		if m.What != t.What {
			m.What = ""
		}
		m.Optional = m.Optional || t.Optional
		m.add(&t.Set)
	}
	for j := range theirs {
		if !taken[j] {
			t := theirs[j]
			t.Optional = true
			r.Events = append(r.Events, t)
		}
	}
	slices.SortStableFunc(r.Events, func(a, b EventRule) int { return a.PCR - b.PCR })
}
