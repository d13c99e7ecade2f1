package order

import "time"

// Trust says how far the robot's civil time can be believed.
type Trust uint8

// The levels of trust in civil time, lowest first.
const (
	// Untrusted is the zero value: the time may be anything.
	Untrusted Trust = iota
	// Holdover means that the clock was right once and runs on within Times.Uncertainty.
	Holdover
	// Trusted means that the clock is synchronised within Times.Uncertainty.
	Trusted
)

// String names the level as logs write it.
func (t Trust) String() string {
	switch t {
	case Holdover:
		return "holdover"
	case Trusted:
		return "trusted"
	case Untrusted:
	}
	return "untrusted"
}

// Times is what the caller knows about the time. The zero value knows nothing.
type Times struct {
	// Civil is the civil time.
	Civil time.Time
	// Uncertainty bounds how far Civil may be off to either side.
	Uncertainty time.Duration
	// Trust says whether Civil can be believed at all.
	Trust Trust
}

// known reports whether the civil time can be judged with.
func (t Times) known() bool {
	return t.Trust != Untrusted && !t.Civil.IsZero() && t.Uncertainty >= 0
}

// earliest and latest bound the true civil time.
func (t Times) earliest() time.Time { return t.Civil.Add(-t.Uncertainty) }
func (t Times) latest() time.Time   { return t.Civil.Add(t.Uncertainty) }

// within says why the true time is not surely inside [from, to), or "".
func (t Times) within(from, to time.Time) Reason {
	switch {
	case t.earliest().Before(from):
		return NotYetValid
	case !t.latest().Before(to):
		return Expired
	}
	return ""
}

// outside reports whether the true time is surely outside [from, to).
func (t Times) outside(from, to time.Time) bool {
	return t.latest().Before(from) || !t.earliest().Before(to)
}
