package replay

import (
	"cmp"
	"math"
	"slices"

	"github.com/robowarden/robowarden/interlock"
)

// Summary is a timeline in a few figures.
type Summary struct {
	// HeldS, LimitedS and FreeS are for how long motion was held or stopped, limited, and free, in seconds; what comes before
	// the first release is StartupS.
	HeldS    float64 `json:"held_s"`
	LimitedS float64 `json:"limited_s"`
	FreeS    float64 `json:"free_s"`
	// Trips counts demands for a standstill that came while the robot moved.
	Trips int `json:"trips"`
	// Rules says what each rule did, the longest restriction first.
	Rules []RuleSummary `json:"rules"`
	// MinMarginM is the least distance to a zone that may be closed, absent without any.
	MinMarginM *float64 `json:"min_margin_m,omitempty"`
	// WorstStopS is the longest predicted time to rest of the stops.
	WorstStopS float64 `json:"worst_stop_s,omitempty"`
}

// RuleSummary is what one rule did.
type RuleSummary struct {
	Rule    string `json:"rule"`
	Subject string `json:"subject,omitempty"`
	// Fired counts, RestrictedS is for how long it restricted the robot, in seconds.
	Fired       int     `json:"fired"`
	RestrictedS float64 `json:"restricted_s"`
	// MarginM is the least distance to the zone meanwhile.
	MarginM *float64 `json:"margin_m,omitempty"`
}

func summarise(t *Timeline) Summary {
	var out Summary
	for _, m := range t.Modes {
		d := m.ToS - m.FromS
		switch m.Mode {
		case interlock.ModeStopSafely.String(), interlock.ModeHold.String():
			out.HeldS += d
		case interlock.ModeNormal.String():
			out.FreeS += d
		default:
			out.LimitedS += d
		}
	}
	rules := map[[2]string]*RuleSummary{}
	for i := range t.Triggers {
		s := &t.Triggers[i]
		key := [2]string{s.Code, s.Subject}
		r := rules[key]
		if r == nil {
			r = &RuleSummary{Rule: s.Code, Subject: s.Subject}
			rules[key] = r
		}
		r.Fired++
		if s.Restricts {
			r.RestrictedS += s.ToS - s.FromS
		}
		if s.MarginM != nil && (r.MarginM == nil || *s.MarginM < *r.MarginM) {
			r.MarginM = s.MarginM
		}
	}
	for _, r := range rules {
		out.Rules = append(out.Rules, *r)
	}
	slices.SortFunc(out.Rules, func(a, b RuleSummary) int {
		return cmp.Or(cmp.Compare(b.RestrictedS, a.RestrictedS), cmp.Compare(a.Rule, b.Rule), cmp.Compare(a.Subject, b.Subject))
	})
	for i := range t.Stops {
		out.Trips++
		out.WorstStopS = max(out.WorstStopS, t.Stops[i].PredictedS)
	}
	for i := range t.Path {
		if m := t.Path[i].Margin; m != NoMargin && (out.MinMarginM == nil || m < *out.MinMarginM) {
			out.MinMarginM = &m
		}
	}
	return out
}

// Comparison says what changes from an old policy to a new one, on the same recording.
type Comparison struct {
	Policy   string `json:"policy"`
	Revision int64  `json:"revision"`
	// Added and Removed are trips that only the new, and only the old policy has; Moved are at another time.
	Added   []TriggerSpan `json:"added"`
	Removed []TriggerSpan `json:"removed"`
	Moved   []Moved       `json:"moved"`
	// Rules are the seconds of restriction of each rule, old and new, where they differ.
	Rules []RuleChange `json:"rules"`
	// Old is the old policy's summary.
	Old Summary `json:"old"`
}

// Moved is a trip that begins at another time.
type Moved struct {
	Code    string  `json:"code"`
	Subject string  `json:"subject,omitempty"`
	OldS    float64 `json:"old_s"`
	NewS    float64 `json:"new_s"`
}

// RuleChange is one rule under both policies.
type RuleChange struct {
	Rule    string  `json:"rule"`
	Subject string  `json:"subject,omitempty"`
	OldS    float64 `json:"old_restricted_s"`
	NewS    float64 `json:"new_restricted_s"`
	OldN    int     `json:"old_fired"`
	NewN    int     `json:"new_fired"`
}

// Same trips: those that begin within sameS are one, those within movedS are one that moved.
const (
	sameS  = 0.05
	movedS = 10.0
)

// compare pairs the trips of two timelines: of each rule and subject, the nearest in time first.
func compare(old, now *Timeline) *Comparison {
	c := &Comparison{Old: summarise(old), Added: []TriggerSpan{}, Removed: []TriggerSpan{}, Moved: []Moved{}, Rules: []RuleChange{}}
	byKey := func(t *Timeline) map[[2]string][]int {
		out := map[[2]string][]int{}
		for i := range t.Triggers {
			s := &t.Triggers[i]
			out[[2]string{s.Code, s.Subject}] = append(out[[2]string{s.Code, s.Subject}], i)
		}
		return out
	}
	olds, news := byKey(old), byKey(now)
	paired := map[int]bool{}
	for key, list := range news {
		others := slices.Clone(olds[key])
		for _, i := range list {
			best, at := movedS, -1
			for k, j := range others {
				if d := math.Abs(old.Triggers[j].FromS - now.Triggers[i].FromS); d < best && !paired[j] {
					best, at = d, k
				}
			}
			if at < 0 {
				c.Added = append(c.Added, now.Triggers[i])
				continue
			}
			j := others[at]
			paired[j] = true
			if best > sameS {
				c.Moved = append(c.Moved, Moved{key[0], key[1], old.Triggers[j].FromS, now.Triggers[i].FromS})
			}
		}
	}
	for i := range old.Triggers {
		if !paired[i] {
			c.Removed = append(c.Removed, old.Triggers[i])
		}
	}
	slices.SortFunc(c.Added, func(a, b TriggerSpan) int { return cmp.Or(cmp.Compare(a.FromS, b.FromS), cmp.Compare(a.Code, b.Code)) })
	slices.SortFunc(c.Moved, func(a, b Moved) int { return cmp.Or(cmp.Compare(a.NewS, b.NewS), cmp.Compare(a.Code, b.Code)) })
	c.rules(summarise(now))
	return c
}

// rules lists what changes for each rule.
func (c *Comparison) rules(now Summary) {
	at := map[[2]string]*RuleChange{}
	get := func(r *RuleSummary) *RuleChange {
		key := [2]string{r.Rule, r.Subject}
		if at[key] == nil {
			at[key] = &RuleChange{Rule: r.Rule, Subject: r.Subject}
		}
		return at[key]
	}
	for i := range c.Old.Rules {
		x := get(&c.Old.Rules[i])
		x.OldS, x.OldN = c.Old.Rules[i].RestrictedS, c.Old.Rules[i].Fired
	}
	for i := range now.Rules {
		x := get(&now.Rules[i])
		x.NewS, x.NewN = now.Rules[i].RestrictedS, now.Rules[i].Fired
	}
	for _, x := range at {
		if x.OldN != x.NewN || math.Abs(x.OldS-x.NewS) > sameS {
			c.Rules = append(c.Rules, *x)
		}
	}
	slices.SortFunc(c.Rules, func(a, b RuleChange) int {
		return cmp.Or(cmp.Compare(math.Abs(b.NewS-b.OldS), math.Abs(a.NewS-a.OldS)), cmp.Compare(a.Rule, b.Rule), cmp.Compare(a.Subject, b.Subject))
	})
}
