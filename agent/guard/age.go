package guard

import (
	"fmt"

	"github.com/robowarden/robowarden/interlock"
)

// This file is what the core knows of the age of the guard's state on disk: whether a TPM's counter shows that it is the newest. Who
// asks the TPM and judges its statement is the program around the core.

// AgeState is the program's finding about the age of the state on disk.
type AgeState uint8

// States. The numbers are part of the journal's format.
const (
	// AgeUnsaid means that nobody has told yet. The guard's program tells it before it hears anybody, so this is a core at a desk,
	// which has no disk.
	AgeUnsaid AgeState = iota
	// AgeUnproven means that no TPM has proven that the state is the newest; the cause says why not.
	AgeUnproven
	// AgeProven means that one has, in this run of the guard.
	AgeProven
	// AgeSetBack means that the state is older than it was, or that the counter is not what it was; the cause says which. It is an
	// event: the latch keeps it until a reset.
	AgeSetBack
	numAgeStates
)

// String names the state as the status writes it.
func (s AgeState) String() string {
	if s >= numAgeStates {
		return "unknown"
	}
	return [numAgeStates]string{"unsaid", "unproven", "proven", "set-back"}[s]
}

// Age is the program's finding.
type Age struct {
	State AgeState
	// Cause says more closely why the state is unproven or set back.
	Cause interlock.Cause
}

// age is what the core remembers of it.
type age struct {
	Age
	// fired is true once a finding that the state was set back has latched: the cause lies in the past then.
	fired bool
}

func (a *age) take(found Age) { a.Age, a.fired = found, false }

// conditions says what the age means now. A state that was set back is not proven either, for as long as nothing newer is found.
func (a *age) conditions(set *[interlock.NumTriggers]interlock.Condition) {
	set[interlock.StateRolledBack], set[interlock.StateUnproven] = interlock.OK(), interlock.OK()
	switch a.State {
	case AgeUnsaid, AgeProven:
	case AgeSetBack:
		set[interlock.StateUnproven] = interlock.Fault(a.Cause, 0)
		if !a.fired {
			set[interlock.StateRolledBack] = interlock.Fault(a.Cause, 0)
			a.fired = true
		}
	default: // Unknown is never fine.
		set[interlock.StateUnproven] = interlock.Fault(a.Cause, 0)
	}
}

func (a Age) describe() string {
	return fmt.Sprintf("age of the state on disk: %s, %s", a.State, a.Cause.Text())
}

func (e *encoder) ageFound(a Age) {
	e.u8(uint8(a.State))
	e.u16(uint16(a.Cause))
}

func (d *decoder) ageFound() Age { return Age{AgeState(d.u8()), interlock.Cause(d.u16())} }

// Age takes what the program found about the age of the state on disk.
func (g *Guard) Age(found Age) { g.begin(EventAge).Age = found; g.finish() }
