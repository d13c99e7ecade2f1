package interlock

import (
	"math"
	"time"
)

// decide joins what is active into the decision.
func (m *Machine) decide(in *Inputs, dt, credit time.Duration, out *Decision) {
	axes := Unrestricted()
	var worst listing
	for t, ok := m.on.Next(0); ok; t, ok = m.on.Next(t + 1) {
		constraint := m.constraint(t)
		if mps, ok := suspended(t, in); ok {
			constraint = limited(mps).Normal()
		}
		axes = meet(axes, constraint)
		worst.add(entry{constraint, m.slots[t].firstSeen, t})
	}
	m.list(&worst, out)
	joined := Join(axes, in.Fence)
	out.ByFence = joined != axes
	out.Axes, out.Dock = m.feasible(joined, in, out.PresentSet, credit)
	out.Axes, out.Refuge = m.refuge(out.Axes, in, out.PresentSet, dt)
	out.Modes = out.Axes.Modes()
	out.Mode = out.Modes.leading()
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

// suspended returns the speed cap that replaces what t demands, and whether one does; of two, the lower counts.
func suspended(t Trigger, in *Inputs) (mps float64, ok bool) {
	if !triggerTable[t].Overridable {
		return 0, false
	}
	mps = math.Inf(1)
	if in.Suspended.Has(t) {
		mps, ok = in.SuspendedMPS, true
	}
	if in.Overridden.Has(t) && !(in.OverriddenMPS >= mps) {
		mps = in.OverriddenMPS // NaN as well, which passes nothing.
	}
	return mps, ok || in.Overridden.Has(t)
}

// constraint returns what t restricts: what was latched stays, whatever policies came later.
func (m *Machine) constraint(t Trigger) Axes {
	if m.latched.Has(t) {
		return m.slots[t].held
	}
	return m.rules.Rules[t].Constraint
}

// feasible replaces what cannot be done by what can: docking needs a good pose, a commander that is not itself a cause,
// a way, and hands free of what must not go there, for long enough; holding needs energy. It only ever tightens.
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
	if in.Carrying {
		return DockCarrying
	}
	involved := m.on.Union(present)
	for t, ok := involved.Next(0); ok; t, ok = involved.Next(t + 1) {
		switch triggerTable[t].Class {
		case ClassPose:
			return DockPoseBad
		case ClassChannel, ClassPublisher:
			if stranger(t, m.slots[t].cause) {
				continue
			}
			if s := m.slots[t].subject; s == 0 || s == in.DockChannel || m.slots[t].cause == CauseUnknownInput {
				return DockCommanderSuspect
			}
		case ClassBody, ClassZone, ClassBus, ClassSelf, ClassOrder, ClassActuation, NumClasses:
		}
	}
	return DockAllowed
}

// stranger says whether a trigger tells of somebody whom the bus did not let speak on a channel: that casts no doubt on who
// does, else anybody could take the robot's way to the dock by offering rubbish.
func stranger(t Trigger, c Cause) bool {
	return (t == ChannelHostile || t == ChannelDegraded) && c == CauseWrongType
}

// entry is one active trigger with what it is sorted by.
type entry struct {
	constraint Axes
	firstSeen  time.Duration
	trigger    Trigger
}

// worse says whether e comes before o: what restricts more, then what was seen first, so that the cause stands before
// its consequences.
func (e *entry) worse(o *entry) bool {
	if a, b := rank(e.constraint), rank(o.constraint); a != b {
		return a < b
	}
	if e.constraint.MaxSpeedMPS != o.constraint.MaxSpeedMPS {
		return e.constraint.MaxSpeedMPS < o.constraint.MaxSpeedMPS
	}
	if e.firstSeen != o.firstSeen {
		return e.firstSeen < o.firstSeen
	}
	return e.trigger < o.trigger
}

// rank orders restrictions by their axes, motion before manipulators before perception before remote; smaller is
// worse.
func rank(a Axes) uint16 {
	return uint16(a.Motion)<<12 | uint16(a.Manipulators)<<8 | uint16(a.Perception)<<4 | uint16(a.Remote)
}

// listing is a bounded list of active triggers, worst first.
type listing struct {
	entries [MaxActive]entry
	n       int
}

// add puts e into its place; of more than MaxActive the worst are kept.
func (l *listing) add(e entry) {
	i := l.n
	for i > 0 && e.worse(&l.entries[i-1]) {
		i--
	}
	if i == MaxActive {
		return
	}
	l.n = min(l.n+1, MaxActive)
	copy(l.entries[i+1:l.n], l.entries[i:l.n-1])
	l.entries[i] = e
}

// list writes the active triggers out with their details.
func (m *Machine) list(worst *listing, out *Decision) {
	out.N = worst.n
	for i := range worst.n {
		e := &worst.entries[i]
		s := &m.slots[e.trigger]
		out.Active[i] = Active{
			Trigger: e.trigger, State: s.state, Cause: s.cause, Subject: s.subject, Constraint: e.constraint,
			Clear: m.demand(e.trigger), Flapped: s.flapped,
			FirstSeen: s.firstSeen, Since: s.since, LastClear: s.lastClear, Count: s.count,
		}
	}
}
