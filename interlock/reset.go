package interlock

import "time"

// Person is somebody who signed a reset.
type Person struct {
	// ID tells persons apart: the same person always has the same one, whichever key signed. 0 is nobody.
	ID uint64
	// Role is the role in which the person signed.
	Role Role
}

// ResetRequest asks to end latched triggers. The caller has verified the signatures.
type ResetRequest struct {
	// Triggers are those to end.
	Triggers TriggerSet
	// Persons are those who signed.
	Persons []Person
	// Asked is when they asked, by the clock of now; 0 stands for now, and so does anything later.
	Asked time.Duration
}

// at is when a request was made that is judged now.
func (q *ResetRequest) at(now time.Duration) time.Duration {
	if q.Asked <= 0 || q.Asked > now {
		return now
	}
	return q.Asked
}

// ResetOutcome says what a reset did to one trigger.
type ResetOutcome uint8

// Outcomes of a reset.
const (
	// ResetNotAsked means that the request did not name the trigger.
	ResetNotAsked ResetOutcome = iota
	// ResetDone means that the trigger has ended.
	ResetDone
	// ResetNotLatched means that there was nothing to reset.
	ResetNotLatched
	// ResetCausePresent means that the cause is there.
	ResetCausePresent
	// ResetCauseUnknown means that nobody can tell whether the cause is there.
	ResetCauseUnknown
	// ResetDwell means that the cause has not been away for long enough.
	ResetDwell
	// ResetWrongRole means that nobody who signed may reset the trigger.
	ResetWrongRole
	// ResetSecondPerson means that a second person has to ask as well.
	ResetSecondPerson
	// ResetNever means that no reset ends the trigger.
	ResetNever
	// NumResetOutcomes is the number of outcomes.
	NumResetOutcomes
)

// String says what the outcome means.
func (o ResetOutcome) String() string {
	if o >= NumResetOutcomes {
		return "unknown"
	}
	return [NumResetOutcomes]string{
		"not asked", "done", "not latched", "refused: the cause is present", "refused: the cause is unknown",
		"refused: the cause has not been away for long enough", "refused: wrong role",
		"waits for a second person", "refused: service only",
	}[o]
}

// ResetResult says what a reset did.
type ResetResult struct {
	// Done are the triggers that ended.
	Done TriggerSet
	// Outcomes has one outcome for each trigger.
	Outcomes [NumTriggers]ResetOutcome
}

// LatchMark tells one firing of a trigger from every other.
type LatchMark struct {
	// Count is how often the cause has come since the last reset, Since the boot clock's reading when the trigger fired.
	Count uint32
	Since time.Duration
}

// Latches gives the mark of each latched trigger, and the zero mark for the others. Whoever resets later what somebody has seen now
// compares them: what differs has happened again since.
func (m *Machine) Latches() (out [NumTriggers]LatchMark) {
	for t, ok := m.latched.Next(0); ok; t, ok = m.latched.Next(t + 1) {
		out[t] = LatchMark{m.slots[t].count, m.slots[t].since}
	}
	return out
}

// CheckReset says what Reset would do, and does nothing.
func (m *Machine) CheckReset(now time.Duration, req ResetRequest) ResetResult {
	return m.judge(now, req)
}

// Reset ends the latched triggers of the request that may end. It takes effect with the next Step, never moves
// anything by itself, and is durable once the caller has stored AppendLatches. A first of two persons is remembered
// for Policy.SecondPerson, while the cause stays away.
func (m *Machine) Reset(now time.Duration, req ResetRequest) ResetResult {
	res := m.judge(now, req)
	for t := range NumTriggers {
		switch res.Outcomes[t] {
		case ResetDone:
			if m.slots[t].flapped {
				m.trips[triggerTable[t].Class] = trips{}
			}
			m.release(t)
			m.slots[t].count = 0
			m.ended.Add(t)
		case ResetSecondPerson:
			m.slots[t].approver, _ = m.eligible(t, req.Persons)
			m.slots[t].approvedAt = req.at(now)
		default:
		}
	}
	return res
}

func (m *Machine) judge(now time.Duration, req ResetRequest) ResetResult {
	var res ResetResult
	for t := range NumTriggers {
		if !req.Triggers.Has(t) {
			continue
		}
		res.Outcomes[t] = m.outcome(t, now, &req)
		if res.Outcomes[t] == ResetDone {
			res.Done.Add(t)
		}
	}
	return res
}

func (m *Machine) outcome(t Trigger, now time.Duration, req *ResetRequest) ResetOutcome {
	s, r := &m.slots[t], &m.rules.Rules[t]
	if !m.latched.Has(t) {
		return ResetNotLatched
	}
	demand := m.demand(t)
	if demand == ClearNever {
		return ResetNever
	}
	first, second := m.eligible(t, req.Persons)
	// Whether the cause is away must have been seen lately, or nobody knows.
	recent := m.ran && now >= m.last && since(now, m.last) <= m.rules.MaxGap
	switch {
	case first == 0:
		return ResetWrongRole
	case s.state == Present:
		return ResetCausePresent
	case s.state != Clear || !recent:
		return ResetCauseUnknown
	case s.quiet < r.Dwell:
		return ResetDwell
	case demand != ClearByTwoPersons || second != 0:
		return ResetDone
	case s.approver != 0 && s.approver != first && now >= s.approvedAt && apart(req.at(now), s.approvedAt) <= m.rules.SecondPerson:
		return ResetDone
	}
	return ResetSecondPerson
}

// apart is the time between two readings of a clock, whichever came first.
func apart(a, b time.Duration) time.Duration { return since(max(a, b), min(a, b)) }

// eligible returns the first two different persons who may reset t; 0 stands for nobody.
func (m *Machine) eligible(t Trigger, persons []Person) (first, second uint64) {
	for _, p := range persons {
		switch {
		case p.ID == 0 || !m.rules.Rules[t].Roles.Has(p.Role):
		case first == 0:
			first = p.ID
		case p.ID != first:
			return first, p.ID
		}
	}
	return first, 0
}
