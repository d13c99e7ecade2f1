package interlock

import "time"

// Load replaces the policy. What is tighter holds from the next step on; what is looser waits until the robot stands
// still, and until then each rule is the tighter of the old and the new one. Latches stay as they are, with the
// constraint and the clear condition that they latched with. A policy that does not validate changes nothing.
func (m *Machine) Load(p Policy) error {
	if err := p.Validate(); err != nil {
		return err
	}
	p = p.Effective()
	m.next = p
	m.rules = tighter(&m.rules, &p)
	m.waits = m.rules != p
	if !m.waits {
		m.next = Policy{}
	}
	m.settle()
	return nil
}

// adopt puts the waiting policy into force.
func (m *Machine) adopt() {
	m.rules, m.next, m.waits = m.next, Policy{}, false
	m.settle()
}

// settle fits the slots to the rules in force.
func (m *Machine) settle() {
	for t := range NumTriggers {
		s, r := &m.slots[t], &m.rules.Rules[t]
		s.budget = min(s.budget, r.StartDelay)
		if !s.pending && !s.on {
			s.budget = r.StartDelay
		}
		if !s.on || !m.demand(t).Latches() {
			continue
		}
		// A latch keeps the tightest that has been in force since it latched.
		if before := s.held; m.latched.Has(t) {
			s.held = meet(before, r.Constraint)
			m.dirty = m.dirty || s.held != before || s.clear != m.demand(t)
		} else {
			s.held = r.Constraint
			m.latched.Add(t)
			m.dirty = true
		}
		s.clear = m.demand(t)
	}
}

// tighter returns the policy that is as tight as a and as b in every part.
func tighter(a, b *Policy) Policy {
	p := Policy{
		// No stop category is tighter than the other; the old one stays until the robot stands still.
		StopCategory: a.StopCategory,
		FlapTrips:    min(a.FlapTrips, b.FlapTrips),
		FlapWindow:   max(a.FlapWindow, b.FlapWindow),
		FlapMerge:    min(a.FlapMerge, b.FlapMerge),
		MaxGap:       min(a.MaxGap, b.MaxGap),
		DockDwell:    max(a.DockDwell, b.DockDwell),
		SecondPerson: min(a.SecondPerson, b.SecondPerson),
		Cap:          Join(a.Cap, b.Cap),
		CapLatches:   a.CapLatches || b.CapLatches,
	}
	for t := range NumTriggers {
		p.Rules[t] = tighterRule(&a.Rules[t], &b.Rules[t])
	}
	return p
}

func tighterRule(a, b *Rule) Rule {
	switch {
	case !a.Enabled && !b.Enabled:
		return *b
	case !a.Enabled:
		return *b
	case !b.Enabled:
		return *a
	}
	r := Rule{
		Enabled:    true,
		Constraint: Join(a.Constraint, b.Constraint),
		StartDelay: min(a.StartDelay, b.StartDelay),
		Dwell:      max(a.Dwell, b.Dwell),
		Clear:      max(a.Clear, b.Clear),
		Roles:      a.Roles & b.Roles,
	}
	if r.Roles == 0 {
		// Nobody is in both: the old roles keep the say until the robot stands still.
		r.Roles = a.Roles
	}
	return r
}

// PolicyWaits says whether looser parts of a new policy wait for standstill.
func (m *Machine) PolicyWaits() bool { return m.waits }

// LastStep returns the boot clock's reading of the last step; ok is false before the first.
func (m *Machine) LastStep() (at time.Duration, ok bool) { return m.last, m.ran }
