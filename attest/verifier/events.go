package verifier

import (
	"encoding/hex"
	"fmt"
	"slices"
	"strconv"

	"github.com/robowarden/robowarden/attest/eventlog"
)

// place is where events and their rules meet: what they are about, in one PCR.
type place struct {
	pcr   int
	class eventlog.Class
	name  string
}

// String names the place for people.
func (p place) String() string {
	s := string(p.class)
	if p.name != "" {
		s += " " + p.name
	}
	return fmt.Sprintf("%s in PCR %d", s, p.pcr)
}

// subject is the place as a reason's subject.
func (p place) subject() string {
	s := string(p.class)
	if p.name != "" {
		s += ":" + p.name
	}
	return s
}

func placeOf(e *eventlog.Event) place {
	class, name := eventlog.Classify(e)
	return place{e.PCR, class, name}
}

func (r *EventRule) place() place { return place{r.PCR, r.Class, r.Name} }

// mismatch is an event, a rule, or both that stand in for each other, at a place: what was found there and what should
// have been.
type mismatch struct {
	place place
	// event is nil if a rule lacks its event, rule is nil if an event has no rule left.
	event *eventlog.Event
	rule  *EventRule
	// found is the event's SHA-256 digest.
	found string
}

// judged reports whether rules look at a PCR's events.
func (r *References) judged(pcr int) bool {
	return slices.ContainsFunc(r.Events, func(e EventRule) bool { return e.PCR == pcr })
}

// mismatches compares a log with the rules. Every event in a PCR that has rules must be allowed by one for its place, and
// every rule that is not optional must allow an event. How often and in which order is not asked.
func (a *appraisal) mismatches() []mismatch {
	lacking := map[place][]*EventRule{} // Rules that allow none of the events, in their order.
	rules := map[place][]*EventRule{}
	for i := range a.References.Events {
		r := &a.References.Events[i]
		rules[r.place()] = append(rules[r.place()], r)
	}
	met := map[*EventRule]bool{}
	var wrong []mismatch
	for i := range a.firmware.Events {
		e := &a.firmware.Events[i]
		if e.Type == eventlog.NoAction || !a.References.judged(e.PCR) {
			continue
		}
		found, at, allowed := hex.EncodeToString(a.firmware.Digest(e, eventlog.SHA256)), placeOf(e), false
		for _, r := range rules[at] {
			if r.allows(found, a.Now) {
				met[r], allowed = true, true
			}
		}
		if !allowed {
			wrong = append(wrong, mismatch{place: at, event: e, found: found})
		}
	}
	for i := range a.References.Events {
		if r := &a.References.Events[i]; !met[r] && !r.Optional {
			lacking[r.place()] = append(lacking[r.place()], r)
		}
	}
	for i := range wrong {
		at := wrong[i].place
		if left := lacking[at]; len(left) > 0 {
			wrong[i].rule, lacking[at] = left[0], left[1:]
		} else if optional := slices.IndexFunc(rules[at], func(r *EventRule) bool { return !met[r] }); optional >= 0 {
			wrong[i].rule = rules[at][optional]
			met[wrong[i].rule] = true
		}
	}
	for i := range a.References.Events {
		r := &a.References.Events[i]
		if slices.Contains(lacking[r.place()], r) {
			wrong = append(wrong, mismatch{place: r.place(), rule: r})
		}
	}
	return wrong
}

// checkEvents judges what the firmware's log shows, and says which PCRs the log explains without anybody judging it.
func (a *appraisal) checkEvents() bool {
	if a.firmware == nil || a.e.Quote == nil {
		return true
	}
	for _, p := range a.References.PCRs {
		shown := slices.ContainsFunc(a.firmware.Events, func(e eventlog.Event) bool { return e.PCR == p.PCR && e.Type != eventlog.NoAction })
		if p.Logs && shown && len(p.Allowed)+len(p.Leaving) == 0 && !a.References.judged(p.PCR) {
			a.Notes = append(a.Notes, "events-"+strconv.Itoa(p.PCR))
		}
	}
	for _, m := range a.mismatches() {
		a.refuseEvent(m)
	}
	return true
}

const plannedEvent = "find out what has changed; allow the value if it is a planned update"

func (a *appraisal) refuseEvent(m mismatch) {
	switch {
	case m.event == nil:
		a.refuse(EventMissing, m.place.subject(), fmt.Sprintf("an event for %s: %s", m.place, m.rule.words(a)), "none",
			"find out why the firmware has left it out; mark the rule optional if that may be")
	case m.rule == nil:
		a.refuse(EventUnexpected, m.place.subject(), fmt.Sprintf("no other event for %s than those that rules allow", m.place), describe(m.event, m.found),
			"find out what has been added; add a rule if it is planned")
	default:
		found := describe(m.event, m.found)
		if until, ok := m.rule.left(m.found); ok {
			found += ", which was allowed until " + until.UTC().Format("2006-01-02 15:04Z")
		}
		a.refuse(EventValue, m.place.subject(), m.rule.words(a)+" for "+m.place.String(), found, plannedEvent)
	}
}

// words name what a rule allows.
func (r *EventRule) words(a *appraisal) string {
	s := r.text(a.Now)
	if r.What != "" {
		s += fmt.Sprintf(" (%s)", r.What)
	}
	return s
}

func describe(e *eventlog.Event, digest string) string {
	s := fmt.Sprintf("%s, event %d (%v)", digest, e.Index, e.Type)
	if text := e.Text(); text != "" {
		s += fmt.Sprintf(" %q", text)
	}
	return s
}
