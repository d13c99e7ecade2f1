package interlock

import "time"

// MaxActive is the largest number of triggers that a Decision lists with their details; ActiveSet names all.
const MaxActive = 16

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
	// DockChannel is the channel, from 1, whose commander drives to the dock; 0 if there is none.
	DockChannel uint16
	// HoldImpossible is true while the robot cannot stay where it is with power kept (battery, heat); hold becomes stop.
	HoldImpossible bool
}

// Active is one trigger that restricts the robot now.
type Active struct {
	// Trigger is its number.
	Trigger Trigger
	// Condition is its cause now, Clear if the cause has gone and the trigger stays.
	State State
	// Cause and Subject are those of the last time that the cause was present.
	Cause   Cause
	Subject uint16
	// Constraint is what it restricts.
	Constraint Axes
	// Clear is what ends it, which can be more than its rule says: see Flapped.
	Clear ClearCondition
	// Flapped is true if the flap guard latched it.
	Flapped bool
	// FirstSeen is when its cause was first seen in this episode, on the boot clock.
	FirstSeen time.Duration
	// Since is when it fired, on the boot clock; before this boot if negative.
	Since time.Duration
	// LastClear is when its cause was last seen to go away; meaningless while State is Present.
	LastClear time.Duration
	// Count is how often it fired since the last reset.
	Count uint32
}

// DockDenial says why MotionDockOnly fell to MotionHold.
type DockDenial uint8

// Reasons against docking.
const (
	// DockAllowed means that docking is possible, or not asked for.
	DockAllowed DockDenial = iota
	// DockPoseBad means that a pose trigger is active.
	DockPoseBad
	// DockCommanderSuspect means that the dock's commander is itself a cause.
	DockCommanderSuspect
	// DockNotPossible means that the caller did not say that docking is possible.
	DockNotPossible
	// DockSettling means that docking is possible again, but not yet for long enough.
	DockSettling
)

// String names the reason.
func (d DockDenial) String() string {
	if d > DockSettling {
		return "unknown"
	}
	return [...]string{"allowed", "pose bad", "commander suspect", "not possible", "settling"}[d]
}

// Decision is what one step of a Machine decided. The zero value restricts everything.
type Decision struct {
	// Now is the boot clock's reading at which the decision was made.
	Now time.Duration
	// Seq counts the machine's steps from 1.
	Seq uint64
	// Axes is the restriction in force.
	Axes Axes
	// Mode is its leading name, Modes are all names that apply.
	Mode  Mode
	Modes ModeSet
	// Category is the stop's category, NoStop while motion is neither held nor stopped.
	Category StopCategory
	// Dock says whether and why "return to dock" fell to hold.
	Dock DockDenial
	// PolicyWaits is true while looser parts of a new policy wait for standstill.
	PolicyWaits bool
	// LatchesChanged is true if the latches differ from the last step's: the caller stores AppendLatches before it
	// reports anything.
	LatchesChanged bool
	// Active lists the triggers that restrict the robot, worst first, the first N of ActiveSet.Len().
	Active [MaxActive]Active
	N      int
	// ActiveSet are the triggers that have fired and not ended.
	ActiveSet TriggerSet
	// LatchedSet are those of ActiveSet that a person has to reset.
	LatchedSet TriggerSet
	// PresentSet are the triggers whose cause is there now, fired or not.
	PresentSet TriggerSet
	// FiredSet are those that fired in this step, EndedSet those that ended in this step.
	FiredSet, EndedSet TriggerSet
}

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
