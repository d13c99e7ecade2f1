package verifier

import (
	"fmt"
	"slices"
	"strings"
)

// Difference is one place at which two sets of reference values, or what two robots show, are not the same.
type Difference struct {
	// Where names the place: a PCR, an event, a file, a claim, a setting.
	Where string `json:"where"`
	// Was and Is are what the first and the second allow there, in words; empty where they say nothing.
	Was string `json:"was"`
	Is  string `json:"is"`
}

// String gives the difference in three lines.
func (d Difference) String() string {
	show := func(s string) string {
		if s == "" {
			return "(nothing)"
		}
		return s
	}
	return fmt.Sprintf("%s\n  - %s\n  + %s", d.Where, show(d.Was), show(d.Is))
}

// Diff compares reference values rule by rule. Names do not count. At a place with several rules only those are shown that
// the other side lacks.
func Diff(was, is *References) []Difference {
	var out []Difference
	a, b := was.lines(), is.lines()
	for _, l := range a {
		var other []string
		if i := slices.IndexFunc(b, func(o ruleLine) bool { return o.where == l.where }); i >= 0 {
			other = b[i].texts
		}
		if gone, new := without(l.texts, other), without(other, l.texts); len(gone)+len(new) > 0 {
			out = append(out, Difference{l.where, strings.Join(gone, "\n    "), strings.Join(new, "\n    ")})
		}
	}
	for _, l := range b {
		if !slices.ContainsFunc(a, func(o ruleLine) bool { return o.where == l.where }) {
			out = append(out, Difference{l.where, "", strings.Join(l.texts, "\n    ")})
		}
	}
	return out
}

// without is what of a is not in b.
func without(a, b []string) []string {
	return slices.DeleteFunc(slices.Clone(a), func(s string) bool { return s == "" || slices.Contains(b, s) })
}

// ruleLine is what is allowed at one place, in words.
type ruleLine struct {
	where string
	texts []string
}

func line(where, text string) ruleLine { return ruleLine{where, []string{text}} }

func (r *References) lines() []ruleLine {
	out := []ruleLine{line("tier", string(r.Tier)), line("learning", fmt.Sprint(r.Learning)), line("firmware_log", r.FirmwareLog), line("secure_boot", r.SecureBoot)}
	for i := range r.PCRs {
		p := &r.PCRs[i]
		text := p.whole()
		if p.Logs {
			text = strings.TrimSpace("the logs lead to it " + text)
		}
		out = append(out, line(fmt.Sprintf("PCR %d", p.PCR), text))
	}
	out = append(out, r.eventLines()...)
	for _, c := range r.claims() {
		text := c.rule.whole()
		if c.rule.File != "" {
			text += " measured as " + c.rule.File
		}
		out = append(out, line(c.name, text))
	}
	for i := range r.Files {
		out = append(out, line("file "+r.Files[i].Path, r.Files[i].whole()))
	}
	for i := range r.Artifacts {
		x := &r.Artifacts[i]
		out = append(out, line("artifact "+x.Name, fmt.Sprintf("%s, security version %d or higher", x.whole(), x.MinSVN)))
	}
	if r.Debug != nil {
		out = append(out, line("debug interfaces", "asked for"), ruleLine{"open debug interfaces", r.Debug.Allowed})
	}
	if r.IMA != nil {
		out = append(out, line("ima", fmt.Sprintf("asked for, optional: %t", r.IMA.Optional)))
		for i := range r.IMA.Files {
			out = append(out, line("ima "+r.IMA.Files[i].Path, r.IMA.Files[i].whole()))
		}
		for _, x := range r.IMA.sets() {
			out = append(out, line("ima "+x.name, x.set.whole()))
		}
	}
	for _, d := range r.Reject {
		out = append(out, line("reject "+d, "refused wherever it turns up"))
	}
	return out
}

func (r *References) eventLines() []ruleLine {
	at := map[place][]string{}
	var order []place
	for i := range r.Events {
		e := &r.Events[i]
		text := e.whole()
		if e.What != "" {
			text += fmt.Sprintf(" (%s)", e.What)
		}
		if e.Optional {
			text += ", or no event"
		}
		if at[e.place()] == nil {
			order = append(order, e.place())
		}
		at[e.place()] = append(at[e.place()], text)
	}
	var out []ruleLine
	for _, p := range order {
		out = append(out, ruleLine{p.String(), at[p]})
	}
	return out
}

// whole names all that a set allows, at any moment.
func (s *Set) whole() string {
	if s.Any {
		return "anything: " + s.Why
	}
	out := slices.Clone(s.Allowed)
	for _, l := range s.Leaving {
		out = append(out, l.Value+" until "+l.Until.UTC().Format("2006-01-02 15:04Z"))
	}
	return strings.Join(out, ", ")
}
