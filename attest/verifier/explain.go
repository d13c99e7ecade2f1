package verifier

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/robowarden/robowarden/attest/eventlog"
	"github.com/robowarden/robowarden/attest/evidence"
	"github.com/robowarden/robowarden/attest/order"
)

// Cause says in one stable word what is behind a refusal. It is a reason's code, or for a PCR that its log does not
// explain what the two together show.
type Cause string

// What is behind a PCR that its log does not explain.
const (
	// NotExtended means that the log shows an event, or a file, that was never extended.
	NotExtended Cause = "not-extended"
	// OtherDigest means that something else was extended than the log shows: a value that the reference values know.
	OtherDigest Cause = "other-digest"
	// OtherOrder means that two events were extended the other way round.
	OtherOrder Cause = "other-order"
	// OtherLocality means that the TPM was started from another locality than the log says.
	OtherLocality Cause = "other-locality"
	// Unlogged means that something was extended after all that the log shows, and the reference values know it.
	Unlogged Cause = "unlogged-known"
	// Unexplained means that something was extended that neither the log nor the reference values know.
	Unexplained Cause = "unlogged"
)

// Finding is one thing that differs: where, what was found and what would be accepted.
type Finding struct {
	Cause Cause `json:"cause"`
	// Subject names the place: an event's class and name, a file's path, a claim, a log.
	Subject string `json:"subject,omitempty"`
	// PCR is the register that proves it, -1 if none does.
	PCR int `json:"pcr"`
	// Event is the event's index in the firmware's log, 0 if it is about none.
	Event int `json:"event,omitempty"`
	// What is what the log's data says about it, for people.
	What string `json:"what,omitempty"`
	// Found is what there is, Accepted are the values that would do, in full.
	Found    string   `json:"found"`
	Accepted []string `json:"accepted,omitempty"`
	// Text says it in words, Remedy what to do.
	Text   string `json:"text"`
	Remedy string `json:"remedy"`
	// Backing says what proves it: pcr-backed, self-reported, or the verifier's own memory.
	Backing string `json:"backing"`
}

// Backings of a finding that no PCR proves.
const (
	backingMemory = "the verifier's memory"
	backingForm   = "the message itself"
)

// Explanation says what stands between evidence and its acceptance.
type Explanation struct {
	Robot string `json:"robot,omitempty"`
	// Evidence is the SHA-256 of the evidence, "" where it is none.
	Evidence string        `json:"evidence_sha256,omitempty"`
	Verdict  order.Verdict `json:"verdict"`
	Findings []Finding     `json:"findings"`
	// Notes are what was not checked.
	Notes []string `json:"not_checked,omitempty"`
}

// Explain judges evidence as [Appraise] does and says of each cause once what differs, which PCR, event, file or claim it
// is, and what would be accepted. What merely follows from another finding is left out.
func Explain(in Input) *Explanation {
	a := &appraisal{Input: in}
	out, e := appraiseWith(a)
	x := &Explanation{Verdict: out.Verdict, Notes: out.Notes, Findings: []Finding{}}
	if e != nil {
		x.Robot, x.Evidence = e.Claims.Robot, e.SHA256
	}
	var events []mismatch
	if a.firmware != nil && out.Has(EventValue) || out.Has(EventMissing) || out.Has(EventUnexpected) {
		events = a.mismatches()
	}
	for _, m := range events {
		x.Findings = append(x.Findings, a.eventFinding(m))
	}
	for _, r := range out.Reasons {
		switch r.Code {
		case EventValue, EventMissing, EventUnexpected:
		case PCRMismatch:
			n, err := strconv.Atoi(r.Subject)
			if err == nil && n == eventlog.IMAPCR && a.References.IMA != nil {
				x.Findings = append(x.Findings, a.imaFinding(r))
			} else if err == nil {
				x.Findings = append(x.Findings, a.diagnose(n, r))
			}
		default:
			if !follows(r, out, events) {
				x.Findings = append(x.Findings, a.reasonFinding(r))
			}
		}
	}
	return x
}

// follows reports whether a reason says again what another has said better.
func follows(r Reason, out *Appraisal, events []mismatch) bool {
	at := func(pcr int, name string) bool {
		return slices.ContainsFunc(events, func(m mismatch) bool { return m.place.pcr == pcr && (name == "" || m.place.name == name) })
	}
	if v := r.value; v != nil && !v.measured {
		// The robot reports truly what was measured, and that is not allowed.
		return slices.ContainsFunc(out.Reasons, func(o Reason) bool {
			return o.Code == r.Code && o.value != nil && o.value.measured && o.value.found == v.found
		})
	}
	switch r.Code {
	case SecureBootOff:
		return at(7, "SecureBoot")
	case PCRValue:
		n, err := strconv.Atoi(r.Subject)
		return err == nil && (at(n, "") || slices.ContainsFunc(out.Reasons, func(o Reason) bool { return o.Code == PCRMismatch && o.Subject == r.Subject }))
	case AgentMismatch, PolicyMismatch, ProfileMismatch, TopicsMismatch, ConfigMismatch, CommandLineMismatch:
		// Something else was measured, which is not allowed: that it is not what the robot reports follows.
		name := strings.TrimSuffix(string(r.Code), "-mismatch")
		return out.Has(claimCodes[name])
	default:
		return false
	}
}

// eventFinding is a finding about the firmware's log.
func (a *appraisal) eventFinding(m mismatch) Finding {
	f := Finding{Subject: m.place.subject(), PCR: m.place.pcr, Backing: evidence.PCRBacked.String(), Remedy: plannedEvent}
	if m.event != nil {
		f.Event, f.What, f.Found = m.event.Index, m.event.Text(), m.found
	}
	switch {
	case m.event == nil:
		f.Cause, f.Found = Cause(EventMissing), "no such event"
		f.Text = fmt.Sprintf("%s: the log shows no event that is allowed", m.place)
	case m.rule == nil:
		f.Cause = Cause(EventUnexpected)
		f.Text = fmt.Sprintf("%s: event %d (%v) is one too many", m.place, m.event.Index, m.event.Type)
	default:
		f.Cause = Cause(EventValue)
		f.Text = fmt.Sprintf("%s: event %d (%v) has another digest", m.place, m.event.Index, m.event.Type)
	}
	if m.rule != nil {
		f.Accepted = m.rule.accepts(a.Now)
		if m.rule.What != "" && f.What != m.rule.What {
			f.Text += fmt.Sprintf("; what is allowed there is %q", m.rule.What)
		}
		if until, ok := m.rule.left(m.found); ok {
			f.Text += "; it was allowed until " + until.UTC().Format("2006-01-02 15:04Z")
		}
	}
	return f
}

// reasonFinding is a finding about all else.
func (a *appraisal) reasonFinding(r Reason) Finding {
	f := Finding{Cause: Cause(r.Code), Subject: r.Subject, PCR: -1, Found: r.Found, Remedy: r.Remedy, Backing: backingForm}
	f.Text = fmt.Sprintf("expected %s", r.Expected)
	switch r.Code {
	case PCRValue:
		if n, err := strconv.Atoi(r.Subject); err == nil {
			f.PCR, f.Backing = n, evidence.PCRBacked.String()
			f.Text = fmt.Sprintf("PCR %d has another value", n)
			for i := range a.References.PCRs {
				if p := &a.References.PCRs[i]; p.PCR == n {
					f.Accepted = p.accepts(a.Now)
				}
			}
		}
	case SecureBootOff:
		f.PCR, f.Backing = 7, evidence.PCRBacked.String()
	case ResetCountWentBack, RestartCountWentBack, ResetWithinBoot, BootWithoutReset, ClockWentBack, JournalWentBack, JournalForked:
		f.Backing = backingMemory
	default:
		a.valueFinding(&f, r)
	}
	return f
}

// valueFinding adds to a finding about a file or a claim what would be accepted.
func (a *appraisal) valueFinding(f *Finding, r Reason) {
	if r.value == nil {
		return
	}
	f.Subject, f.Found = r.value.subject, r.value.found
	f.Backing = evidence.SelfReported.String()
	if r.Code == IMAFile {
		f.PCR, f.Backing = eventlog.IMAPCR, evidence.PCRBacked.String()
	} else if r.value.measured && a.measured != nil {
		f.PCR, f.Backing = a.measured.PCR, evidence.PCRBacked.String()
	}
	if r.value.set != nil {
		f.Accepted = r.value.set.accepts(a.Now)
		f.Text = r.value.subject + " has another value"
		if len(f.Accepted) == 0 {
			f.Text = r.value.subject + " has a value, and none is allowed any more"
		}
	} else {
		f.Text = r.value.subject + ": expected " + r.Expected
	}
}

// Text says it for people.
func (x *Explanation) Text() string {
	var b strings.Builder
	for i := range x.Findings {
		f := &x.Findings[i]
		fmt.Fprintf(&b, "%s", f.Cause)
		if f.Subject != "" {
			fmt.Fprintf(&b, " %s", f.Subject)
		}
		if f.PCR >= 0 {
			fmt.Fprintf(&b, " (PCR %d)", f.PCR)
		}
		fmt.Fprintf(&b, ": %s\n", f.Text)
		if f.What != "" {
			fmt.Fprintf(&b, "  it says    %s\n", f.What)
		}
		fmt.Fprintf(&b, "  found      %s\n", f.Found)
		for i, v := range f.Accepted {
			word := "accepted  "
			if i > 0 {
				word = "or        "
			}
			fmt.Fprintf(&b, "  %s %s\n", word, v)
		}
		fmt.Fprintf(&b, "  rests on   %s\n  to do      %s\n", f.Backing, f.Remedy)
	}
	if len(x.Findings) == 0 {
		b.WriteString("nothing differs from what is allowed\n")
	}
	for _, n := range x.Notes {
		fmt.Fprintf(&b, "not checked: %s\n", n)
	}
	return b.String()
}
