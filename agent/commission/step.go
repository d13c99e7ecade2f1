package commission

import (
	"time"
)

// Kind is what one step of a trial proves.
type Kind uint8

// Kinds of step. The numbers are part of the journal's format.
const (
	// KindNone is the zero value and proves nothing.
	KindNone Kind = iota
	// KindStop is a stop by the gate and the ladder, as every hold is: deceleration and delay.
	KindStop
	// KindTurn is the same from turning on the spot: the gyroscope, and how soon turning ends.
	KindTurn
	// KindSilence sends the base nothing any more, neither commands nor zeros: how long it goes on by itself.
	KindSilence
	// KindRung asks one rung of the ladder alone, while commands go on.
	KindRung
	// KindWatchdog looks whether a watchdog is armed and fed. It is never let bite.
	KindWatchdog
	// KindInput waits for somebody to operate an input and to release it.
	KindInput
	// NumKinds is the number of kinds.
	NumKinds
)

// String names the kind as records write it.
func (k Kind) String() string {
	if k >= NumKinds {
		return "unknown"
	}
	return [NumKinds]string{"none", "stop", "turn", "silence", "rung", "watchdog", "input"}[k]
}

// drives says whether the robot has to move for it.
func (k Kind) drives() bool { return k >= KindStop && k <= KindRung }

// MaxSteps is the largest number of steps: three drives, eight rungs and eight inputs.
const MaxSteps = 19

// Step is one thing to prove.
type Step struct {
	Kind Kind
	// Index is the place of the rung in the ladder, or the number of the input.
	Index int
	// Actuator is the number of the rung's device, -1 for none.
	Actuator int
	// Within is how long after the request the robot may take to begin braking, as the profile claims.
	Within time.Duration
	// AckWithin is how long the rung may take to acknowledge, 0 for one that cannot.
	AckWithin time.Duration
}

// Config is what a trial is about, from the robot's profile.
type Config struct {
	// Steps are the first N.
	Steps [MaxSteps]Step
	N     int
	// MaxMPS is the fastest that the robot may drive in any trial, in m/s.
	MaxMPS float64
	// DecelMPS2 and DecelRadPS2 are the decelerations that the profile claims.
	DecelMPS2, DecelRadPS2 float64
	// StillMPS and StillRadPS are the speeds below which odometry says that it stands, Dwell how long that has to last.
	StillMPS, StillRadPS float64
	Dwell                time.Duration
}

// Limits that no profile changes.
const (
	// lease is how long the technician's confirmation holds: his tool renews it five times a second.
	lease = time.Second
	// quiet is how long nobody may command motion before a drive is allowed, and before a hold ends.
	quiet = 400 * time.Millisecond
	// steadyFor is how long the robot has to drive steadily before it is stopped.
	steadyFor = 700 * time.Millisecond
	// driveFor is how long it may take to drive steadily, MaxDriveM how far in metres.
	driveFor = 45 * time.Second
	// MaxDriveM bounds one drive in metres, the stop not included.
	MaxDriveM = 12.0
	// watchFor is how long a watchdog is looked at, handsFor how long somebody has to operate an input.
	watchFor, handsFor = 3 * time.Second, 90 * time.Second
	// stillFor is how long odometry has to show rest before a stop counts as over.
	stillFor = 200 * time.Millisecond
	// settleFor is how much longer than the dwell two sources may take to agree.
	settleFor = 2 * time.Second
	// deaf is how long odometry may be silent in a drive.
	deaf = 300 * time.Millisecond
	// spare is the share by which a stop may take longer than claimed before the whole ladder is asked.
	spare = 1.2
	// leastStill is the slowest drive and turn of which a stop says anything, in multiples of standing still.
	leastStill = 4
	// LeastMPS is the slowest speed in m/s to which a trial may be bound.
	LeastMPS = 0.1
	// near is the share by which speed may differ from its mean, and commands from one another, while the drive counts as steady.
	near = 0.15
)

// Phase is how far a trial has come.
type Phase uint8

// Phases. The numbers are part of the journal's format.
const (
	// PhaseOff means that no trial is on.
	PhaseOff Phase = iota
	// PhaseWaiting means that the robot is held until the technician says that he is ready.
	PhaseWaiting
	// PhaseDriving means that he may drive, until he drives steadily.
	PhaseDriving
	// PhaseMeasuring means that the step's stop was asked for and odometry does not show rest yet.
	PhaseMeasuring
	// PhaseSettling means that the robot is held until two sources show rest.
	PhaseSettling
	// PhaseWatching means that a watchdog or an input is looked at.
	PhaseWatching
	// PhaseEnding means that the trial is over, and that the robot is held until nobody commands motion.
	PhaseEnding
	numPhases
)

// String names the phase.
func (p Phase) String() string {
	if p >= numPhases {
		return "unknown"
	}
	return [numPhases]string{"off", "waiting", "driving", "measuring", "settling", "watching", "ending"}[p]
}

// Reason is why a trial or a run ended.
type Reason uint8

// Reasons. The numbers are part of the journal's format.
const (
	// ReasonNone means that it went as it should.
	ReasonNone Reason = iota
	// ReasonEnded means that the technician ended it.
	ReasonEnded
	// ReasonReleased means that his confirmation was not renewed.
	ReasonReleased
	// ReasonTrigger means that a trigger became active.
	ReasonTrigger
	// ReasonSource means that odometry fell silent.
	ReasonSource
	// ReasonTooLong means that steady driving did not come about in time.
	ReasonTooLong
	// ReasonTooFar means that the drive was too long.
	ReasonTooFar
	// ReasonOverran means that the robot did not come to rest in time and the whole ladder was asked.
	ReasonOverran
	// ReasonUnconfirmed means that two sources did not agree on rest in time.
	ReasonUnconfirmed
	// ReasonUnacknowledged means that the rung refused, or did not answer in time.
	ReasonUnacknowledged
	// ReasonNotOperated means that nobody operated the input and released it in time.
	ReasonNotOperated
	// ReasonUnreadable means that the input cannot be believed.
	ReasonUnreadable
	// ReasonNotFed means that the watchdog was not armed and fed all the time.
	ReasonNotFed
	// ReasonWay means that the way ahead was not free any more.
	ReasonWay
	// ReasonCeased means that commands ceased or were held back while they had to go on: what stopped the robot was not the step.
	ReasonCeased
	// NumReasons is the number of reasons.
	NumReasons
)

// String says in words what happened.
func (r Reason) String() string {
	if r >= NumReasons {
		return "a reason that this version does not know"
	}
	return [NumReasons]string{
		"as it should", "the technician ended it", "the technician's confirmation was not renewed", "a trigger became active",
		"odometry fell silent", "no steady drive came about in time", "the drive became too long",
		"the robot did not come to rest in the time that the profile claims; every rung was asked",
		"odometry and a second source did not agree on rest in time", "the rung refused or did not answer in time",
		"the input was not operated and released in time", "the input cannot be believed", "the watchdog was not armed and fed all the time",
		"the way ahead was not free any more", "commands did not go on until the robot stood, so that this stop proves nothing",
	}[r]
}
