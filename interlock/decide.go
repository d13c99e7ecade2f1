package interlock

import "time"

// decide joins what is active into the decision.
func (m *Machine) decide(in *Inputs, credit time.Duration, out *Decision) {
	axes := Unrestricted()
	for t, ok := m.on.Next(0); ok; t, ok = m.on.Next(t + 1) {
		constraint := m.constraint(t)
		axes = Join(axes, constraint)
		m.list(t, constraint, out)
	}
	joined := Join(axes, in.Fence)
	out.ByFence = joined != axes
	out.Axes, out.Dock = m.feasible(joined, in, out.PresentSet, credit)
	out.Modes = out.Axes.Modes()
	out.Mode = out.Axes.Mode()
	switch out.Axes.Motion {
	case MotionStop:
		out.Category = m.rules.StopCategory
	case MotionHold:
		out.Category = Category2
	case MotionDockOnly, MotionLimited, MotionFree:
		out.Category = NoStop
	}
	out.ActiveSet, out.LatchedSet = m.on, m.latched
	out.PolicyWaits = m.waits
	out.LatchesChanged = m.dirty
	m.dirty = false
}

// constraint returns what t restricts: what was latched stays, whatever policies came later.
func (m *Machine) constraint(t Trigger) Axes {
	if m.latched.Has(t) {
		return Join(m.slots[t].held, m.rules.Rules[t].Constraint)
	}
	return m.rules.Rules[t].Constraint
}

// feasible replaces what cannot be done by what can: docking needs a good pose, a commander that is not itself a cause
// and a way, for long enough; holding needs energy. It only ever tightens.
func (m *Machine) feasible(a Axes, in *Inputs, present TriggerSet, credit time.Duration) (Axes, DockDenial) {
	denial := m.dockDenial(in, present)
	if denial != DockAllowed {
		m.dockQuiet = 0
	} else {
		m.dockQuiet = min(m.dockQuiet+credit, maxDuration)
		if m.dockQuiet < m.rules.DockDwell {
			denial = DockSettling
		}
	}
	if a.Motion != MotionDockOnly {
		denial = DockAllowed
	}
	if denial != DockAllowed {
		a.Motion = MotionHold
	}
	if a.Motion == MotionHold && in.HoldImpossible {
		a.Motion = MotionStop
	}
	return a.Normal(), denial
}

func (m *Machine) dockDenial(in *Inputs, present TriggerSet) DockDenial {
	if !in.DockPossible || in.DockChannel == 0 {
		return DockNotPossible
	}
	involved := m.on.Union(present)
	for t, ok := involved.Next(0); ok; t, ok = involved.Next(t + 1) {
		switch triggerTable[t].Class {
		case ClassPose:
			return DockPoseBad
		case ClassChannel, ClassPublisher:
			if s := m.slots[t].subject; s == 0 || s == in.DockChannel || m.slots[t].cause == CauseUnknownInput {
				return DockCommanderSuspect
			}
		case ClassBody, ClassZone, ClassBus, ClassSelf, ClassOrder, ClassActuation, NumClasses:
		}
	}
	return DockAllowed
}

// list puts t into the bounded list, worst first; of more than MaxActive the worst are kept.
func (m *Machine) list(t Trigger, constraint Axes, out *Decision) {
	s := &m.slots[t]
	i := out.N
	for i > 0 && m.worse(t, constraint, &out.Active[i-1]) {
		i--
	}
	if i == MaxActive {
		return
	}
	if out.N < MaxActive {
		out.N++
	}
	copy(out.Active[i+1:out.N], out.Active[i:out.N-1])
	out.Active[i] = Active{
		Trigger: t, State: s.state, Cause: s.cause, Subject: s.subject, Constraint: constraint,
		Clear: m.demand(t), Flapped: s.flapped,
		FirstSeen: s.firstSeen, Since: s.since, LastClear: s.lastClear, Count: s.count,
	}
}

// worse says whether t, with its constraint, comes before b: what restricts more, then what was seen first, so that
// the cause stands before its consequences.
func (m *Machine) worse(t Trigger, constraint Axes, b *Active) bool {
	if ra, rb := rank(constraint), rank(b.Constraint); ra != rb {
		return ra < rb
	}
	if constraint.MaxSpeedMPS != b.Constraint.MaxSpeedMPS {
		return constraint.MaxSpeedMPS < b.Constraint.MaxSpeedMPS
	}
	if first := m.slots[t].firstSeen; first != b.FirstSeen {
		return first < b.FirstSeen
	}
	return t < b.Trigger
}

// rank orders restrictions by their axes, motion before manipulators before perception before remote; smaller is
// worse.
func rank(a Axes) uint16 {
	return uint16(a.Motion)<<12 | uint16(a.Manipulators)<<8 | uint16(a.Perception)<<4 | uint16(a.Remote)
}
