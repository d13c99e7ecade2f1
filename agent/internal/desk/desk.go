package desk

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"sync"
)

// Phase is how far the robot says that the channel has come.
type Phase string

// Phases, as challenges write them.
const (
	// Away means that the desk has yet to check in at stop.
	Away Phase = "away"
	// CheckedIn means that it has, and not yet let the robot run.
	CheckedIn Phase = "checked-in"
	// Running means that it lets the robot run.
	Running Phase = "running"
	// Stopped means that it let the robot run before and asks for a stop now.
	Stopped Phase = "stopped"
)

// label begins what is authenticated, so that the key serves nothing else by accident.
const label = "robowarden/heartbeat/v1"

// Errors of Answer.
var (
	// ErrForm means that the line is no challenge.
	ErrForm = errors.New(`expected "rw1 challenge <robot> <boot id, 32 hex> <endpoint> <challenge, 32 hex> <phase>"`)
	// ErrOther means that the challenge is for another robot or endpoint. It is not answered: somebody might carry it here
	// to have it answered.
	ErrOther = errors.New("a challenge for another robot or endpoint")
	// ErrAgain means that the challenge was answered before.
	ErrAgain = errors.New("a challenge that was answered before")
)

// Desk answers the challenges of one robot to one endpoint. It is safe for use by several goroutines.
type Desk struct {
	robot, endpoint string
	key             []byte

	mu    sync.Mutex
	run   bool
	phase Phase
	boot  string
	// last is the challenge that was answered last; answers counts them.
	last    string
	answers int
}

// New returns a desk that asks for a stop. The robot is "<manufacturer>/<serial>" as the policy set names it; the key has
// 32 bytes.
func New(robot, endpoint string, key []byte) *Desk {
	return &Desk{robot: robot, endpoint: endpoint, key: bytes.Clone(key)}
}

// Run lets the robot run from the next answer on, or asks for a stop.
func (d *Desk) Run(run bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.run = run
}

// Asks says whether the desk lets the robot run.
func (d *Desk) Asks() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.run
}

// State is what the desk knows.
type State struct {
	// Phase is what the newest challenge said, "" before the first.
	Phase Phase
	// Boot is the robot's boot id.
	Boot string
	// Answers counts the answers.
	Answers int
}

// State returns what the newest challenge said.
func (d *Desk) State() State {
	d.mu.Lock()
	defer d.mu.Unlock()
	return State{d.phase, d.boot, d.answers}
}

// Answer returns the answer to a challenge's line: stop while the channel is away, since a check-in is at stop, and as asked
// else.
func (d *Desk) Answer(line []byte) ([]byte, error) {
	if len(line) > 512 {
		return nil, ErrForm
	}
	f := strings.Split(strings.TrimSpace(string(line)), " ")
	if len(f) != 7 || f[0] != "rw1" || f[1] != "challenge" || !isHex(f[3], 16) || !isHex(f[5], 16) {
		return nil, ErrForm
	}
	phase := Phase(f[6])
	switch phase {
	case Away, CheckedIn, Running, Stopped:
	default:
		return nil, ErrForm
	}
	if f[2] != d.robot || f[4] != d.endpoint {
		return nil, fmt.Errorf("%w: %.64q, %.64q", ErrOther, f[2], f[4])
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if f[5] == d.last {
		return nil, ErrAgain
	}
	level := "stop"
	if d.run && phase != Away {
		level = "ok"
	}
	d.last, d.phase, d.boot = f[5], phase, f[3]
	d.answers++
	mac := hmac.New(sha256.New, d.key)
	mac.Write([]byte(strings.Join([]string{label, d.robot, d.boot, d.endpoint, f[5], level}, "\x00")))
	return fmt.Appendf(nil, "rw1 answer %s %s %s %x", d.endpoint, f[5], level, mac.Sum(nil)), nil
}

// isHex says whether s is n bytes in lower-case hexadecimal digits.
func isHex(s string, n int) bool {
	b, err := hex.DecodeString(s)
	return err == nil && len(b) == n && hex.EncodeToString(b) == s
}
