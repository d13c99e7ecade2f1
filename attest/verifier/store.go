package verifier

import (
	"errors"

	"github.com/robowarden/robowarden/attest/order"
)

// ErrNotEnrolled says that the verifier does not know the robot.
var ErrNotEnrolled = errors.New("the robot is not enrolled")

// ErrNoState says that what was known about an enrolled robot is gone: without it nobody can tell whether its TPM goes on
// from before, so nothing is concluded until the robot is enrolled again.
var ErrNoState = errors.New("the robot's state is missing or damaged")

// ErrMoved says that another verifier has judged the robot meanwhile: what was concluded rests on what is known no more.
var ErrMoved = errors.New("another verifier has taken evidence of the robot meanwhile")

// Store keeps what must outlive the verifier's process. It may be used from one goroutine at a time, and by several processes.
type Store interface {
	// Robot returns an enrolment; the error wraps [ErrNotEnrolled] when there is none.
	Robot(robot string) (*Enrolment, error)
	// References returns reference values by name.
	References(name string) (*References, error)
	// State returns what is known about an enrolled robot; the error wraps [ErrNoState] when that is gone.
	State(robot string) (State, error)
	// Advance replaces what is known and returns once that is durable. The error wraps [ErrMoved], and nothing is replaced,
	// if what is known is not what it was.
	Advance(robot string, from, to State) error
	// Log returns a robot's log by name, nil when there is none.
	Log(robot, name string) ([]byte, error)
	// LogDigest returns the SHA-256 of that log, "" when there is none. It is asked for often, and reads only what has changed.
	LogDigest(robot, name string) (string, error)
	// SaveLog replaces a robot's log. It need not be durable: logs come again if they are lost.
	SaveLog(robot, name string, data []byte) error
	// SaveEvidence keeps a robot's last evidence and the challenge that it answers, for people. It need not be durable.
	SaveEvidence(robot string, message []byte, challenge *order.Challenge) error
}
