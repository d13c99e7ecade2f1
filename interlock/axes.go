package interlock

import (
	"math"
	"strconv"
)

// Motion is the restriction of the robot's locomotion. Smaller is more restrictive; the zero value is MotionStop.
type Motion uint8

// Motion values, most restrictive first.
const (
	// MotionStop is a controlled stop in the category that the policy names; nothing commands the base.
	MotionStop Motion = iota
	// MotionHold is a controlled stop with power kept (IEC 60204-1 category 2); nothing commands the base.
	MotionHold
	// MotionDockOnly passes the dock commander's commands alone, up to MaxSpeedMPS.
	MotionDockOnly
	// MotionLimited passes commands up to MaxSpeedMPS.
	MotionLimited
	// MotionFree restricts nothing.
	MotionFree
)

// Manipulators is the restriction of arms and hands. Smaller is more restrictive; zero is ManipulatorsDisabled.
type Manipulators uint8

// Manipulators values, most restrictive first.
const (
	// ManipulatorsDisabled passes no trajectory and asks the robot to release the arms' controllers.
	ManipulatorsDisabled Manipulators = iota
	// ManipulatorsHold keeps the arms where they are.
	ManipulatorsHold
	// ManipulatorsLimited passes trajectories within the profile's reduced limits.
	ManipulatorsLimited
	// ManipulatorsFree restricts nothing.
	ManipulatorsFree
)

// Perception is the restriction of cameras and microphones. The zero value is PerceptionPrivate.
type Perception uint8

// Perception values, most restrictive first.
const (
	// PerceptionPrivate means no open camera or microphone and no stream of either.
	PerceptionPrivate Perception = iota
	// PerceptionFree restricts nothing.
	PerceptionFree
)

// Remote is the restriction of commands and views from outside the robot. The zero value is RemoteBlocked.
type Remote uint8

// Remote values, most restrictive first.
const (
	// RemoteBlocked passes neither commands nor views.
	RemoteBlocked Remote = iota
	// RemoteViewOnly passes views and no commands.
	RemoteViewOnly
	// RemoteFree restricts nothing.
	RemoteFree
)

// Axes is one restriction per axis. The zero value restricts everything; Unrestricted restricts nothing.
type Axes struct {
	// Motion restricts locomotion.
	Motion Motion
	// Manipulators restricts arms and hands.
	Manipulators Manipulators
	// Perception restricts cameras and microphones.
	Perception Perception
	// Remote restricts teleoperation.
	Remote Remote
	// MaxSpeedMPS caps the speed in m/s while Motion is MotionLimited or MotionDockOnly: +Inf under MotionFree, 0 under
	// MotionHold and MotionStop. It is joined on its own, so "dock only, at most 0.3 m/s" can be said.
	MaxSpeedMPS float64
}

// Unrestricted is the identity of Join: free on every axis.
func Unrestricted() Axes {
	return Axes{
		Motion: MotionFree, Manipulators: ManipulatorsFree, Perception: PerceptionFree, Remote: RemoteFree,
		MaxSpeedMPS: math.Inf(1),
	}
}

// Normal returns a in the one form in which equal restrictions are equal values: an impossible speed (NaN, negative)
// is 0, a free motion with a cap is limited, hold and stop have the cap 0, and values outside an enumeration restrict
// fully.
func (a Axes) Normal() Axes {
	if a.Motion > MotionFree {
		a.Motion = MotionStop
	}
	if a.Manipulators > ManipulatorsFree {
		a.Manipulators = ManipulatorsDisabled
	}
	if a.Perception > PerceptionFree {
		a.Perception = PerceptionPrivate
	}
	if a.Remote > RemoteFree {
		a.Remote = RemoteBlocked
	}
	// The comparison is written so that NaN fails it; it also turns -0 into 0.
	if !(a.MaxSpeedMPS > 0) || a.Motion <= MotionHold {
		a.MaxSpeedMPS = 0
	}
	if a.Motion == MotionFree && !math.IsInf(a.MaxSpeedMPS, 1) {
		a.Motion = MotionLimited
	}
	return a
}

// Join returns the restriction that is as tight as a and as b on every axis. It is associative, commutative,
// idempotent and monotone.
func Join(a, b Axes) Axes {
	return meet(a.Normal(), b.Normal())
}

// meet is Join of restrictions in normal form; the result is in normal form as well.
func meet(a, b Axes) Axes {
	return Axes{
		Motion:       min(a.Motion, b.Motion),
		Manipulators: min(a.Manipulators, b.Manipulators),
		Perception:   min(a.Perception, b.Perception),
		Remote:       min(a.Remote, b.Remote),
		MaxSpeedMPS:  min(a.MaxSpeedMPS, b.MaxSpeedMPS),
	}
}

// TightAs says whether a restricts every axis at least as much as b does.
func (a Axes) TightAs(b Axes) bool {
	return Join(a, b) == a.Normal()
}

// Mode is the name by which people know a restriction. It is derived from Axes and never an input.
type Mode uint8

// Modes, in the order in which one of several names the state.
const (
	// ModeStopSafely is MotionStop.
	ModeStopSafely Mode = iota
	// ModeHold is MotionHold.
	ModeHold
	// ModeReturnToDock is MotionDockOnly.
	ModeReturnToDock
	// ModeDisableManipulators is ManipulatorsDisabled.
	ModeDisableManipulators
	// ModeHoldManipulators is ManipulatorsHold.
	ModeHoldManipulators
	// ModeBlockRemote is RemoteBlocked.
	ModeBlockRemote
	// ModeViewOnly is RemoteViewOnly.
	ModeViewOnly
	// ModePrivate is PerceptionPrivate.
	ModePrivate
	// ModeLimited is a speed cap or limited manipulators.
	ModeLimited
	// ModeNormal is no restriction at all.
	ModeNormal
	// NumModes is the number of modes.
	NumModes
)

// String names the mode as people and policies write it.
func (m Mode) String() string {
	if m >= NumModes {
		return "unknown"
	}
	return [NumModes]string{
		"stop safely", "hold", "return to dock", "disable manipulators", "hold manipulators",
		"block remote", "view only", "private", "limited", "normal",
	}[m]
}

// ModeSet is a set of modes: several can hold at once, such as "return to dock" and "disable manipulators".
type ModeSet uint16

// Has says whether m is in the set.
func (s ModeSet) Has(m Mode) bool { return m < NumModes && s&(1<<m) != 0 }

// Modes returns every mode that holds under a.
func (a Axes) Modes() ModeSet {
	a = a.Normal()
	s := ModeSet(0).with(a.Motion == MotionStop, ModeStopSafely).
		with(a.Motion == MotionHold, ModeHold).
		with(a.Motion == MotionDockOnly, ModeReturnToDock).
		with(a.Manipulators == ManipulatorsDisabled, ModeDisableManipulators).
		with(a.Manipulators == ManipulatorsHold, ModeHoldManipulators).
		with(a.Remote == RemoteBlocked, ModeBlockRemote).
		with(a.Remote == RemoteViewOnly, ModeViewOnly).
		with(a.Perception == PerceptionPrivate, ModePrivate).
		with(a.Motion == MotionLimited || a.Manipulators == ManipulatorsLimited, ModeLimited)
	return s.with(s == 0, ModeNormal)
}

func (s ModeSet) with(holds bool, m Mode) ModeSet {
	if holds {
		s |= 1 << m
	}
	return s
}

// Mode returns the one name that tells most about a: the first of Modes in the order of their declaration.
func (a Axes) Mode() Mode {
	return a.Modes().leading()
}

// leading returns the first mode of the set.
func (s ModeSet) leading() Mode {
	for m := range NumModes {
		if s.Has(m) {
			return m
		}
	}
	return ModeStopSafely
}

// StopCategory is the category of a stop by IEC 60204-1. Category 0 (power cut at once) is the certified e-stop's own;
// this package never chooses it.
type StopCategory uint8

// Stop categories.
const (
	// NoStop means that no stop is asked for.
	NoStop StopCategory = iota
	// Category1 is a controlled stop, then power is removed.
	Category1
	// Category2 is a controlled stop with power kept, so that a legged robot keeps its balance.
	Category2
)

// String names the category.
func (c StopCategory) String() string {
	switch c {
	case Category1:
		return "category 1"
	case Category2:
		return "category 2"
	case NoStop:
	}
	return "none"
}

// String names the value as policies write it.
func (m Motion) String() string {
	if m > MotionFree {
		return "unknown"
	}
	return [...]string{"stop", "hold", "dock-only", "limited", "free"}[m]
}

// String names the value as policies write it.
func (m Manipulators) String() string {
	if m > ManipulatorsFree {
		return "unknown"
	}
	return [...]string{"disabled", "hold", "limited", "free"}[m]
}

// String names the value as policies write it.
func (p Perception) String() string {
	if p > PerceptionFree {
		return "unknown"
	}
	return [...]string{"private", "free"}[p]
}

// String names the value as policies write it.
func (r Remote) String() string {
	if r > RemoteFree {
		return "unknown"
	}
	return [...]string{"blocked", "view-only", "free"}[r]
}

// String lists every axis that is restricted, or says "free".
func (a Axes) String() string {
	a = a.Normal()
	s := ""
	if a.Motion != MotionFree {
		s = "motion " + a.Motion.String()
		if a.Motion > MotionHold && !math.IsInf(a.MaxSpeedMPS, 1) {
			s += " (" + strconv.FormatFloat(a.MaxSpeedMPS, 'g', -1, 64) + " m/s)"
		}
	}
	add := func(restricted bool, axis, value string) {
		if !restricted {
			return
		}
		if s != "" {
			s += ", "
		}
		s += axis + " " + value
	}
	add(a.Manipulators != ManipulatorsFree, "manipulators", a.Manipulators.String())
	add(a.Perception != PerceptionFree, "perception", a.Perception.String())
	add(a.Remote != RemoteFree, "remote", a.Remote.String())
	if s == "" {
		return "free"
	}
	return s
}
