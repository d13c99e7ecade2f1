package interlock

import (
	"slices"
	"time"
)

// ownTriggers are those whose condition the machine finds by itself. The caller may add to them, and need not.
func ownTriggers() TriggerSet { return TriggerSet{1<<Startup | 1<<LatchUnreadable} }

// scan is what one look at the inputs found.
type scan struct {
	// present and unknown are the conditions as given, of enabled or active triggers.
	present, unknown TriggerSet
	// answers are the triggers that an unknown condition makes present.
	answers TriggerSet
	// waiting is true while an input has never been known; first is the first of those.
	waiting bool
	first   Trigger
}

// Step decides what restrictions hold at now, a reading of CLOCK_BOOTTIME, and writes the decision to out. It does not
// allocate. The caller steps at least every Policy.MaxGap, and at once when a condition changes.
func (m *Machine) Step(now time.Duration, in *Inputs, out *Decision) {
	dt, backwards := m.advance(now)
	if m.waits && in.Standstill {
		m.adopt()
	}
	*out = Decision{Now: now, Seq: m.seq, EndedSet: m.ended}
	m.ended = TriggerSet{}
	found := m.look(in, backwards)
	credit := min(dt, m.rules.MaxGap)
	// Whatever was clear and still is has nothing to do.
	busy := m.restless.Union(found.present).Union(found.unknown).Union(found.answers)
	for t, ok := busy.Next(0); ok; t, ok = busy.Next(t + 1) {
		s := &m.slots[t]
		m.update(t, found.state(t), &found, in, dt, credit, out)
		if s.state == Present {
			out.PresentSet.Add(t)
		}
		if s.restless() {
			m.restless.Add(t)
		} else {
			m.restless.Remove(t)
		}
	}
	m.decide(in, dt, credit, out)
}

// look reads the conditions. An unknown one makes the trigger present that answers for it, except that an input which
// has never been known since the start keeps Startup present instead: it would else latch whatever it answers for.
func (m *Machine) look(in *Inputs, backwards bool) scan {
	var f scan
	for t := range NumTriggers {
		switch in.Conditions[t].State {
		case Clear:
		case Unknown:
			f.unknown.Add(t)
		case Present:
			f.present.Add(t)
		default:
			f.present.Add(t)
		}
	}
	f.unknown = f.unknown.Minus(ownTriggers())
	for t, ok := f.unknown.Next(0); ok; t, ok = f.unknown.Next(t + 1) {
		if !m.rules.Rules[t].Enabled {
			continue
		}
		if !m.seen.Has(t) {
			if !f.waiting {
				f.waiting, f.first = true, t
			}
			continue
		}
		f.answers.Add(m.answersFor(t))
	}
	m.seen = m.seen.Union(every().Minus(f.unknown))
	if f.waiting {
		f.answers.Add(Startup)
	}
	if backwards {
		f.answers.Add(ClockJump)
	}
	return f
}

// answersFor returns the trigger that an unknown condition of t makes present: t itself where the policy disables the
// one in the table.
func (m *Machine) answersFor(t Trigger) Trigger {
	if a := triggerTable[t].UnknownAs; m.rules.Rules[a].Enabled {
		return a
	}
	return t
}

// state returns the effective state of t's condition.
func (f *scan) state(t Trigger) State {
	switch {
	case f.present.Has(t), f.answers.Has(t):
		return Present
	case f.unknown.Has(t):
		return Unknown
	}
	return Clear
}

// cause returns why t is present, and of what.
func (m *Machine) cause(t Trigger, f *scan, in *Inputs) (Cause, uint16) {
	switch {
	case f.present.Has(t):
		return in.Conditions[t].Cause, in.Conditions[t].Subject
	case t == Startup && f.waiting:
		return CauseNeverSeen, uint16(f.first) + 1
	}
	for u, ok := f.unknown.Next(0); ok; u, ok = f.unknown.Next(u + 1) {
		if m.rules.Rules[u].Enabled && m.seen.Has(u) && m.answersFor(u) == t {
			return CauseUnknownInput, uint16(u) + 1
		}
	}
	// Only the boot clock is left.
	return CauseBootClockBack, 0
}

// update moves one trigger by one step. What was seen at the last step is taken to have held until now.
func (m *Machine) update(t Trigger, state State, f *scan, in *Inputs, dt, credit time.Duration, out *Decision) {
	s, r := &m.slots[t], &m.rules.Rules[t]
	if state == Clear && !s.restless() {
		return
	}
	if !r.Enabled && !m.latched.Has(t) {
		if s.on {
			m.end(t, out)
		}
		*s = slot{state: Clear, budget: r.StartDelay, count: s.count}
		return
	}
	before := s.state
	s.state = state
	switch before {
	case Present:
		if !s.on {
			s.budget = max(s.budget-dt, -maxDuration)
		}
	case Clear:
		s.budget = min(s.budget+credit/4, r.StartDelay)
		s.quiet = min(s.quiet+credit, maxDuration)
	case Unknown:
	}
	switch state {
	case Present:
		m.present(t, before, out)
		s.cause, s.subject = m.cause(t, f, in)
	case Clear:
		if before != Clear {
			s.lastClear, s.quiet = m.last, 0
		}
		if s.on && m.ends(t) {
			m.end(t, out)
		} else if !s.on && s.budget >= r.StartDelay {
			s.pending = false
		}
	case Unknown:
		s.quiet, s.approver = 0, 0
	}
}

// present handles a step in which the cause of t is there, and fires t once its start delay is used up.
func (m *Machine) present(t Trigger, before State, out *Decision) {
	s, r := &m.slots[t], &m.rules.Rules[t]
	s.quiet, s.approver = 0, 0
	if s.on {
		if before != Present && s.count < ^uint32(0) {
			s.count++
		}
		return
	}
	if !s.pending {
		s.pending, s.firstSeen = true, m.last
	}
	if s.budget > 0 {
		return
	}
	s.on, s.since, s.clear, s.held = true, m.last, r.Clear, r.Constraint
	if s.count < ^uint32(0) {
		s.count++
	}
	s.flapped = m.trip(t, r)
	m.on.Add(t)
	out.FiredSet.Add(t)
	if m.demand(t).Latches() {
		m.latched.Add(t)
		m.dirty = true
	}
}

// demand returns what ends t: at least what its rule demanded when it latched, and an operator if it flapped.
func (m *Machine) demand(t Trigger) ClearCondition {
	s := &m.slots[t]
	c := m.rules.Rules[t].Clear
	if s.clear.Latches() {
		c = max(c, s.clear)
	}
	if s.flapped {
		c = max(c, ClearByOperator)
	}
	return c
}

// ends says whether t, whose cause is away, ends without a person.
func (m *Machine) ends(t Trigger) bool {
	switch m.demand(t) {
	case ClearOnClear:
		return true
	case ClearOnDwell:
		return m.slots[t].quiet >= m.rules.Rules[t].Dwell
	case ClearByOperator, ClearByTwoPersons, ClearNever, NumClearConditions:
	}
	return false
}

// end ends t. Its count stays, for the record of a fault that comes and goes.
func (m *Machine) end(t Trigger, out *Decision) {
	m.release(t)
	out.EndedSet.Add(t)
}

func (m *Machine) release(t Trigger) {
	s := &m.slots[t]
	*s = slot{
		state: s.state, budget: m.rules.Rules[t].StartDelay, quiet: s.quiet, count: s.count,
		cause: s.cause, subject: s.subject, firstSeen: s.firstSeen, since: s.since, lastClear: s.lastClear,
	}
	m.on.Remove(t)
	if m.latched.Has(t) {
		m.latched.Remove(t)
		m.dirty = true
	}
}

// trip records that t fired, and says whether its class has now fired too often. Only what keeps the robot from its
// way counts, and not what somebody ordered. Trips count once for each span of FlapMerge on a fixed grid: so one more
// trip can never make the count smaller.
func (m *Machine) trip(t Trigger, r *Rule) bool {
	class := triggerTable[t].Class
	if hearsay := triggerTable[t].Hearsay && !m.rules.CapLatches; hearsay || r.Constraint.Motion >= MotionLimited || class == ClassOrder || t == Startup {
		return false
	}
	p := &m.trips[class]
	at := m.last - m.last%m.rules.FlapMerge
	if !p.has(at) {
		if p.n == MaxFlapTrips {
			copy(p.at[:], p.at[1:])
			p.n--
		}
		p.at[p.n] = at
		p.n++
		m.dirty = true
	}
	recent := 0
	for _, at := range p.at[:p.n] {
		if since(m.last, at) < m.rules.FlapWindow {
			recent++
		}
	}
	return recent >= m.rules.FlapTrips
}

func (p *trips) has(at time.Duration) bool {
	return slices.Contains(p.at[:p.n], at)
}
