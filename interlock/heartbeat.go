package interlock

import (
	"time"
)

// Nonce is the random content of one challenge. The caller draws it from a cryptographic source.
type Nonce [16]byte

// Level is what the operator asks for in an answer. The zero value is LevelStop.
type Level uint8

// Levels.
const (
	// LevelStop asks for a stop.
	LevelStop Level = iota
	// LevelRun lets the robot run.
	LevelRun
)

// String names the level as answers write it.
func (l Level) String() string {
	if l > LevelRun {
		return "unknown"
	}
	return [...]string{"stop", "run"}[l]
}

// HeartbeatConfig sets up a Heartbeat. Every duration must be positive.
type HeartbeatConfig struct {
	// Subject is the channel's number, from 1, that conditions carry.
	Subject uint16
	// Period is the time between two challenges.
	Period time.Duration
	// AnswerWithin is how long a challenge may be answered.
	AnswerWithin time.Duration
	// LateAfter is the time without a valid answer after which the channel is late (hold), LostAfter that after which
	// it is lost (stop) and has to check in again.
	LateAfter, LostAfter time.Duration
	// HostileCount bad answers in quick succession make the channel hostile; one bad answer is forgiven each
	// HostileWindow.
	HostileCount  int
	HostileWindow time.Duration
}

// HeartbeatPhase is how far a channel has come.
type HeartbeatPhase uint8

// Phases of a heartbeat.
const (
	// HeartbeatAway means that the channel has not checked in, or was lost.
	HeartbeatAway HeartbeatPhase = iota
	// HeartbeatCheckedIn means that the channel has answered at LevelStop and has yet to ask for LevelRun.
	HeartbeatCheckedIn
	// HeartbeatRunning means that the channel lets the robot run.
	HeartbeatRunning
	// HeartbeatStopped means that the channel, after running, asks for a stop.
	HeartbeatStopped
)

// String names the phase.
func (p HeartbeatPhase) String() string {
	if p > HeartbeatStopped {
		return "unknown"
	}
	return [...]string{"away", "checked in", "running", "stopped"}[p]
}

// AnswerOutcome says what became of one answer.
type AnswerOutcome uint8

// Outcomes of an answer. Only AnswerAccepted feeds the timer.
const (
	// AnswerAccepted means that the answer was valid, in time and the first to its challenge.
	AnswerAccepted AnswerOutcome = iota
	// AnswerBad means that its authentication failed.
	AnswerBad
	// AnswerUnknown means that its challenge was never issued, or long ago.
	AnswerUnknown
	// AnswerReplayed means that its challenge had been answered.
	AnswerReplayed
	// AnswerLate means that its challenge had expired. It is not held against the channel.
	AnswerLate
	// AnswerNotAtStop means that the channel has to check in at LevelStop first; it is not held against the channel.
	AnswerNotAtStop
	// NumAnswerOutcomes is the number of outcomes.
	NumAnswerOutcomes
)

// String says what the outcome means.
func (o AnswerOutcome) String() string {
	if o >= NumAnswerOutcomes {
		return "unknown"
	}
	return [NumAnswerOutcomes]string{
		"accepted", "authentication failed", "unknown challenge", "replayed", "late", "not checked in at stop",
	}[o]
}

// HeartbeatStatus is what a Heartbeat says about its channel.
type HeartbeatStatus struct {
	// Phase is how far the channel has come.
	Phase HeartbeatPhase
	// Late, Lost, Hostile and StopRequested are the conditions of HeartbeatLate, HeartbeatLost, HeartbeatHostile and
	// StopRequested. The first, second and fourth are unknown until the channel first runs.
	Late, Lost, Hostile, StopRequested Condition
	// Age is the time since the last valid answer; meaningless while the phase is HeartbeatAway.
	Age time.Duration
	// Next is the boot clock's reading at which the status changes by time alone or a challenge is due.
	Next time.Duration
}
