package interlock

import (
	"encoding/binary"
	"time"
)

// MaxActive is the largest number of triggers that a Decision lists with their details; ActiveSet names all.
const MaxActive = 16

// Active is one trigger that restricts the robot now.
type Active struct {
	// Trigger is its number.
	Trigger Trigger
	// State is its condition now: Clear if the cause has gone and the trigger stays.
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
	// DockCarrying means that the robot carries what it must not carry to its dock, or may carry it.
	DockCarrying
)

// String names the reason.
func (d DockDenial) String() string {
	if d > DockCarrying {
		return "unknown"
	}
	return [...]string{"allowed", "pose bad", "commander suspect", "not possible", "settling", "carrying"}[d]
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
	// Refuge is true while a hold is a creep out of a zone in which the robot must not stand: only what leads out may pass.
	Refuge bool
	// ByFence is true if the geofence restricts some axis more than every trigger does.
	ByFence bool
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

// HeldByLatch says whether a trigger that a person has to reset holds or stops motion. With more triggers active than are
// listed, any latched one counts.
func (d *Decision) HeldByLatch() bool {
	if d.Axes.Motion > MotionHold {
		return false
	}
	for i := range d.N {
		if a := &d.Active[i]; a.Constraint.Motion <= MotionHold && d.LatchedSet.Has(a.Trigger) {
			return true
		}
	}
	return d.ActiveSet.Len() > d.N && d.LatchedSet != TriggerSet{}
}

// MaxDecisionBytes is the largest length of what Decision.AppendBinary appends.
const MaxDecisionBytes = 8 + 8 + 12 + 3 + 2 + 4 + 5*16 + 1 + MaxActive*(6+12+2+3*8+4)

// AppendBinary appends the decision in a form in which equal decisions are equal bytes, on every architecture. It
// never fails, and does not allocate if b has room for MaxDecisionBytes.
func (d *Decision) AppendBinary(b []byte) ([]byte, error) {
	b = appendTime(b, d.Now)
	b = binary.LittleEndian.AppendUint64(b, d.Seq)
	b = appendAxes(b, d.Axes)
	b = append(b, uint8(d.Mode), uint8(d.Category), uint8(d.Dock))
	b = binary.LittleEndian.AppendUint16(b, uint16(d.Modes))
	b = appendBool(b, d.Refuge)
	b = appendBool(b, d.ByFence)
	b = appendBool(b, d.PolicyWaits)
	b = appendBool(b, d.LatchesChanged)
	for _, s := range [...]TriggerSet{d.ActiveSet, d.LatchedSet, d.PresentSet, d.FiredSet, d.EndedSet} {
		b = appendSet(b, s)
	}
	b = append(b, uint8(d.N)) //nolint:gosec // at most MaxActive
	for i := range d.N {
		a := &d.Active[i]
		b = append(b, uint8(a.Trigger), uint8(a.State))
		b = binary.LittleEndian.AppendUint16(b, uint16(a.Cause))
		b = binary.LittleEndian.AppendUint16(b, a.Subject)
		b = appendAxes(b, a.Constraint)
		b = append(b, uint8(a.Clear))
		b = appendBool(b, a.Flapped)
		b = appendTime(b, a.FirstSeen)
		b = appendTime(b, a.Since)
		b = appendTime(b, a.LastClear)
		b = binary.LittleEndian.AppendUint32(b, a.Count)
	}
	return b, nil
}

// Digest folds the decision into 64 bits: equal for equal decisions, live and replayed, on every architecture. It is
// no signature. It does not allocate.
func (d *Decision) Digest() uint64 {
	var room [MaxDecisionBytes]byte
	b, _ := d.AppendBinary(room[:0])
	return hash64(b)
}
