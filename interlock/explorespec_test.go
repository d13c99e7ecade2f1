package interlock

import (
	"fmt"
)

// spec is the rules' own memory. It is a second account of what the documents say, in whole quanta (start delays in
// quarters of one, since they refill at a quarter of the rate at which they burn), and shares nothing with the machine.
type spec struct {
	ran    bool
	t      [maxSubjects]memory
	trips  [NumClasses]uint8 // bit i: the class tripped i quanta ago
	dock   uint8             // for how long docking has been possible
	gate   gateMemory
	ladder ladderMemory
	over   overMemory
}

// memory is that of one trigger.
type memory struct {
	on, latched, flapped bool
	seen                 bool
	// suspect is true if what was last present was an input that nobody knew.
	suspect bool
	before  State
	budget  int8
	quiet   uint8
	// first is the first of two persons, asked quanta ago.
	first uint8
	asked uint8
}

// quanta returns how many quanta d has.
func quanta(d int64) int { return int(d / int64(quantum)) }

func (sp *spec) begin(x *explorer) {
	for i, t := range x.subjects {
		sp.t[i].budget = int8(4 * quanta(int64(x.policy.Rules[t].StartDelay))) //nolint:gosec // few quanta
	}
	sp.ladder.begin()
}

// reboot keeps what has to survive: latches, and how often each class tripped.
func (sp *spec) reboot(x *explorer, latchesLost bool) {
	old := *sp
	*sp = spec{trips: old.trips}
	sp.begin(x)
	if latchesLost {
		sp.trips = [NumClasses]uint8{}
	}
	for i, t := range x.subjects {
		if old.t[i].latched && !latchesLost {
			sp.t[i].on, sp.t[i].latched, sp.t[i].flapped, sp.t[i].suspect = true, true, old.t[i].flapped, old.t[i].suspect
		}
		if t == LatchUnreadable && latchesLost {
			sp.t[i].on, sp.t[i].latched = true, true
		}
	}
}

// check lets the memory follow the step, and then holds the step against the rules.
func (sp *spec) check(x *explorer, s *system) error {
	if err := sp.resets(x, s); err != nil {
		return err
	}
	if err := sp.over.check(x, s); err != nil {
		return err
	}
	sp.follow(x, s)
	sp.ran = true
	if err := sp.decision(x, s); err != nil {
		return err
	}
	if x.plan.gate {
		if err := sp.gate.check(x, s, sp.latchedHold(x)); err != nil {
			return err
		}
	}
	if x.plan.ladder {
		return sp.ladder.check(x, s)
	}
	return nil
}

// resets judges a request as the rules do: authority, two persons where two are demanded, and a cause that has been seen
// to be away for the dwell, lately.
func (sp *spec) resets(x *explorer, s *system) error {
	for i := range x.subjects {
		m := &sp.t[i]
		if m.first == 0 {
			continue
		}
		if m.asked += uint8(s.quanta); int(m.asked) > quanta(int64(x.policy.SecondPerson)) { //nolint:gosec // few
			m.first, m.asked = 0, 0
		}
	}
	if s.ask == nil {
		return nil
	}
	for i, t := range x.subjects {
		m, r := &sp.t[i], &x.policy.Rules[t]
		done := s.res.Outcomes[t] == ResetDone
		want := false
		if persons := eligiblePersons(r, s.ask.Persons); s.ask.Triggers.Has(t) && len(persons) > 0 && sp.away(x, m, r, s.quanta) {
			switch demand := sp.demands(m, r); {
			case demand == ClearNever:
			case demand != ClearByTwoPersons, len(persons) > 1:
				want = true
			case m.first != 0 && m.first != persons[0]:
				want = true
			default:
				m.first, m.asked = persons[0], 0
			}
		}
		if done != want {
			return fmt.Errorf("a reset needs authority and a cause that is gone: %v was reset %v, expected %v (%v)", t, done, want, s.res.Outcomes[t])
		}
		if done {
			if m.flapped {
				sp.trips[triggerTable[t].Class] = 0
			}
			*m = memory{seen: m.seen, before: m.before, quiet: m.quiet, budget: int8(4 * quanta(int64(r.StartDelay)))} //nolint:gosec // few
		}
	}
	return nil
}

// away says whether the trigger waits for nothing but people.
func (sp *spec) away(x *explorer, m *memory, r *Rule, passed int) bool {
	lately := sp.ran && passed <= quanta(int64(x.policy.MaxGap))
	return m.latched && m.before == Clear && lately && int(m.quiet) >= quanta(int64(r.Dwell))
}

func (sp *spec) demands(m *memory, r *Rule) ClearCondition {
	if m.flapped {
		return max(r.Clear, ClearByOperator)
	}
	return r.Clear
}

// eligiblePersons are the different persons in an allowed role.
func eligiblePersons(r *Rule, persons []Person) []uint8 {
	var out []uint8
	for _, p := range persons {
		id := uint8(p.ID) //nolint:gosec // small in the plans
		if id != 0 && r.Roles.Has(p.Role) && (len(out) == 0 || out[0] != id) {
			out = append(out, id)
		}
	}
	return out
}

// effective is a condition's state with "unknown is never fine": once known, unknown is present; never known, Startup is.
func (sp *spec) effective(x *explorer, i int) State {
	t := x.subjects[i]
	state := x.in.Conditions[t].State
	if t == Startup {
		for j := range x.moved {
			if x.in.Conditions[x.moved[j]].State == Unknown && !sp.t[j].seen {
				return Present
			}
		}
		return Clear
	}
	if state == Unknown && sp.t[i].seen {
		return Present
	}
	return state
}

// follow moves every trigger by the step.
func (sp *spec) follow(x *explorer, s *system) {
	for c := range sp.trips {
		sp.trips[c] = sp.trips[c] << s.quanta & uint8(1<<quanta(int64(x.policy.FlapWindow))-1) //nolint:gosec // few
	}
	credit := min(s.quanta, quanta(int64(x.policy.MaxGap)))
	if !sp.ran {
		credit = 0
	}
	var states [maxSubjects]State
	for i := range x.subjects {
		states[i] = sp.effective(x, i)
	}
	for i, t := range x.subjects {
		sp.one(x, i, t, states[i], s.quanta, credit)
		sp.t[i].seen = sp.t[i].seen || x.in.Conditions[t].State != Unknown
	}
	if x.docks {
		sp.docks(x, states, credit)
	}
}

func (sp *spec) one(x *explorer, i int, t Trigger, now State, passed, credit int) {
	m, r := &sp.t[i], &x.policy.Rules[t]
	full := 4 * quanta(int64(r.StartDelay))
	switch {
	case m.before == Present && !m.on && sp.ran:
		m.budget = int8(int(m.budget) - 4*passed) //nolint:gosec // few
	case m.before == Clear:
		m.budget = int8(min(int(m.budget)+credit, full))                  //nolint:gosec // few
		m.quiet = uint8(min(int(m.quiet)+credit, quanta(int64(r.Dwell)))) //nolint:gosec // few
	}
	if m.on {
		m.budget = int8(full) //nolint:gosec // few
	}
	before := m.before
	m.before = now
	if now != Clear || before != Clear {
		m.quiet = 0
	}
	switch now {
	case Present:
		m.first, m.asked = 0, 0
		m.suspect = x.docks && x.in.Conditions[t].State == Unknown
		if !m.on && m.budget <= 0 {
			m.on, m.budget = true, int8(full) //nolint:gosec // few
			m.flapped = sp.trip(x, t, r)
			m.latched = m.flapped || r.Clear.Latches()
		}
	case Unknown:
		m.first, m.asked = 0, 0
	case Clear:
		if m.on && !m.latched && (r.Clear == ClearOnClear || int(m.quiet) >= quanta(int64(r.Dwell))) {
			m.on, m.budget = false, int8(full) //nolint:gosec // few
		}
		if !m.on {
			m.quiet, m.suspect = 0, false
		}
	}
	if m.first == 0 {
		m.asked = 0
	}
}

// trip counts a trip of what keeps the robot from its way. What anybody on the bus can cause does not latch by toggling.
func (sp *spec) trip(x *explorer, t Trigger, r *Rule) bool {
	class := triggerTable[t].Class
	if triggerTable[t].Hearsay && !x.policy.CapLatches {
		return false
	}
	if !x.flaps || r.Constraint.Motion >= MotionLimited || class == ClassOrder || t == Startup {
		return false
	}
	sp.trips[class] |= 1
	n := 0
	for b := sp.trips[class]; b != 0; b &= b - 1 {
		n++
	}
	return n >= x.policy.FlapTrips
}

// docks counts for how long the dock could be gone to: a way, a good pose, a commander that is not suspect.
func (sp *spec) docks(x *explorer, states [maxSubjects]State, credit int) {
	possible := x.in.DockPossible
	for i, t := range x.subjects {
		m := &sp.t[i]
		if !m.on && states[i] != Present {
			continue
		}
		switch triggerTable[t].Class {
		case ClassPose:
			possible = false
		case ClassChannel, ClassPublisher:
			possible = possible && !m.suspect
		default:
		}
	}
	if !possible {
		sp.dock = 255
		return
	}
	if sp.dock == 255 {
		sp.dock = 0
	}
	sp.dock = uint8(min(int(sp.dock)+credit, quanta(int64(x.policy.DockDwell)))) //nolint:gosec // few
}

// decision holds the decision against the memory.
func (sp *spec) decision(x *explorer, s *system) error {
	axes := Unrestricted()
	for i, t := range x.subjects {
		m, constraint := &sp.t[i], sp.over.instead(t, x.policy.Rules[t].Constraint)
		switch {
		case m.latched && (!s.d.LatchedSet.Has(t) || !s.d.Axes.TightAs(constraint)):
			return fmt.Errorf("nothing latched loosens without a valid reset: %v, %v", t, s)
		case m.on && (!s.d.ActiveSet.Has(t) || !s.d.Axes.TightAs(constraint)):
			return fmt.Errorf("what lasts or toggles fires, and stays for its dwell: %v, %v", t, s)
		case !m.on && s.d.ActiveSet.Has(t):
			return fmt.Errorf("nothing restricts without a cause: %v, %v", t, s)
		case !m.latched && s.d.LatchedSet.Has(t):
			return fmt.Errorf("nothing latches without need: %v, %v", t, s)
		}
		if m.on {
			axes = Join(axes, constraint)
		}
	}
	if axes.Motion == MotionDockOnly && (sp.dock == 255 || int(sp.dock) < quanta(int64(x.policy.DockDwell))) {
		axes.Motion = MotionHold
	}
	if axes = axes.Normal(); s.d.Axes != axes {
		return fmt.Errorf("the decision is what its triggers demand together: expected %v, found %v", axes, s)
	}
	return nil
}

// latchedHold says whether something that a person has to reset holds motion.
func (sp *spec) latchedHold(x *explorer) bool {
	for i, t := range x.subjects {
		if sp.t[i].latched && x.policy.Rules[t].Constraint.Motion <= MotionHold {
			return true
		}
	}
	return false
}
