package interlock

import "time"

// Inputs is everything that one step of a Machine looks at. The zero value is unknown and closed throughout.
type Inputs struct {
	// Conditions holds each trigger's cause as it is now. The caller sets every entry in every step: a condition that
	// does not apply to the robot is OK(), one that nobody looked at is the zero value.
	Conditions [NumTriggers]Condition
	// Fence is what the geofence demands now, joined into the decision without delay or latch: speed limits, zones
	// without manipulation, privacy zones. Unrestricted() demands nothing.
	Fence Axes
	// Standstill is true while the robot is confirmed to stand still; looser parts of a new policy wait for it.
	Standstill bool
	// DockPossible is true while a way to the dock exists that crosses no denied zone and the robot can go it.
	DockPossible bool
	// Carrying is true while the robot carries, or may carry, what it must not carry to its dock.
	Carrying bool
	// DockChannel is the channel, from 1, whose commander drives to the dock; 0 if there is none.
	DockChannel uint16
	// Suspended are triggers whose constraint a signed, time-boxed grant replaces by a speed cap of SuspendedMPS: they
	// stay active, latched and listed. A trigger that is not overridable is never suspended.
	Suspended TriggerSet
	// SuspendedMPS is the cap in m/s; NaN and negative values are 0.
	SuspendedMPS float64
	// Overridden are triggers whose constraint signed overrides replace by a speed cap of OverriddenMPS: see [Overrides].
	// Those that cannot be overridden are left as they are.
	Overridden    TriggerSet
	OverriddenMPS float64
	// HoldImpossible is true while the robot cannot stay where it is with power kept (battery, heat); hold becomes stop.
	HoldImpossible bool
	// Refuge is a way out of a zone in which the robot must not stand.
	Refuge Refuge
}

// slot is the state of one trigger.
type slot struct {
	_ [0]func() // nobody compares tables of them, so nothing is linked that could
	// state is the effective condition at the last step; on is true from firing to ending; pending is true from the
	// first sight of the cause until the start delay is full again; flapped is true if the flap guard latched it.
	state                State
	on, pending, flapped bool
	// clear is what the rule demanded when it fired; it stays, whatever policies come later.
	clear   ClearCondition
	cause   Cause
	subject uint16
	count   uint32
	// budget is what is left of the start delay; quiet is for how long the cause has been seen to be away.
	budget, quiet time.Duration
	// Boot clock readings, as in Active.
	firstSeen, since, lastClear time.Duration
	// held is the constraint that was latched; it stays, whatever policies come later.
	held Axes
	// approver is the first of two persons, with the time of the request.
	approver   uint64
	approvedAt time.Duration
}

// restless says whether the slot can change under a condition that stays clear.
func (s *slot) restless() bool { return s.state != Clear || s.on || s.pending }

// trips remembers when one class tripped, oldest first.
type trips struct {
	at [MaxFlapTrips]time.Duration
	n  int
}

// Machine joins conditions into decisions. It is not safe for use by several goroutines.
type Machine struct {
	// rules are those in force: while waits is true, the tighter of the last ones and of next, rule by rule.
	rules, next Policy
	waits       bool

	ran  bool
	last time.Duration
	seq  uint64

	slots [NumTriggers]slot
	trips [NumClasses]trips
	// on and latched mirror the slots; seen are the triggers whose condition was ever known.
	on, latched, seen TriggerSet
	// restless are the triggers whose slot can change although nothing is wrong with their condition.
	restless TriggerSet
	// ended are those that a reset has ended since the last step.
	ended TriggerSet
	// dirty is true if the latches differ from what the last decision reported.
	dirty bool
	// dockQuiet is for how long docking has been possible.
	dockQuiet time.Duration
	// creeping is true while the hold is a creep to the refuge, crept for how long the present hold has been one.
	creeping bool
	crept    time.Duration
}

// New returns a machine that decides by p. It starts closed: Startup is active until every required input has been
// seen. The caller then restores the latches, see RestoreLatches.
func New(p Policy) (*Machine, error) {
	if err := p.Validate(); err != nil {
		return nil, err
	}
	p = p.Effective()
	m := &Machine{rules: p, restless: every()}
	for t := range NumTriggers {
		m.slots[t].budget = p.Rules[t].StartDelay
	}
	return m, nil
}

// Policy returns the rules in force. While Decision.PolicyWaits, they are the tighter of the last and the new ones.
func (m *Machine) Policy() Policy { return m.rules }

// advance moves the machine to now and returns the time since the last step, 0 if the clock ran backwards.
func (m *Machine) advance(now time.Duration) (dt time.Duration, backwards bool) {
	if m.ran {
		if now < m.last {
			backwards = true
		} else {
			dt = since(now, m.last)
		}
	}
	m.ran, m.last = true, now
	m.seq++
	return dt, backwards
}

// since returns now-then, 0 for what is still to come, at most maxDuration: no rule waits for longer, and no sum overflows.
func since(now, then time.Duration) time.Duration {
	if now <= then {
		return 0
	}
	if d := now - then; d >= 0 && d < maxDuration {
		return d
	}
	return maxDuration
}
