package replay

import (
	"time"

	"github.com/robowarden/robowarden/agent/config"
)

// Question is a recording and the documents by which it is to be decided.
type Question struct {
	// Files are recordings of one robot.
	Files []string
	// Config holds profile and policy, and the topic mapping if there is one; without it, topics are found by their types.
	Config *config.Config
	// Against is another policy for the same robot, nil for none.
	Against *config.Policy
	// Robot is the serial number whose roles count; empty takes the policy's only robot.
	Robot string
	// Floor stands in where nothing in the recording says on which floor the robot is; empty takes the policy's first.
	Floor string
	// AnyPublisher listens to publishers that the mapping does not list.
	AnyPublisher bool
	// Obeyed says that a guard was there when the recording was made, so that the robot is held to what is demanded.
	Obeyed bool
	// KeepLatched leaves latched what only a person may reset.
	KeepLatched bool
	// Unattested lets no verifier vouch for the robot.
	Unattested bool
	// Progress is told how many bytes are done of how many; it may be nil.
	Progress func(done, total int64)
	// Watch, if set, sees every event of the first policy's core.
	Watch Watcher
}

// Report is what a recording would have led to.
type Report struct {
	// Version is that of this form.
	Version int `json:"version"`
	// Robot is its serial number; Profile, Policy and Revision name the documents.
	Robot    string `json:"robot"`
	Profile  string `json:"profile"`
	Policy   string `json:"policy"`
	Revision int64  `json:"revision"`
	// From and To are when the first and the last message were received.
	From      time.Time `json:"from"`
	To        time.Time `json:"to"`
	DurationS float64   `json:"duration_s"`
	// Files and Inputs are what was read.
	Files  []FileReport  `json:"files"`
	Inputs []InputReport `json:"inputs"`
	// Assumed says what was supplied because a recording cannot hold it, or this one does not.
	Assumed []string `json:"assumed"`
	// Warnings say what was passed over; Partial says why the rest is missing, empty if nothing is.
	Warnings []string `json:"warnings,omitempty"`
	Partial  string   `json:"partial,omitempty"`
	// Events counts what the core decided about.
	Events uint64 `json:"decided_events"`
	// Digest is the running digest over all decisions, 16 hex digits.
	Digest   string    `json:"digest"`
	Summary  Summary   `json:"summary"`
	Timeline *Timeline `json:"timeline"`
	// Checked is, for a journal, whether its decisions came out as they were recorded.
	Checked *Checked `json:"checked,omitempty"`
	// Against compares with the other policy.
	Against *Comparison `json:"against,omitempty"`

	// Config is what was decided by, for those who draw.
	Config *config.Config `json:"-"`
}

// FileReport is one recording.
type FileReport struct {
	Name     string `json:"name"`
	Bytes    int64  `json:"bytes"`
	Messages uint64 `json:"messages"`
}

// InputReport is one channel of a topic that the mapping reads.
type InputReport struct {
	Role      string `json:"role"`
	Topic     string `json:"topic"`
	Type      string `json:"type"`
	Publisher string `json:"publisher,omitempty"`
	Messages  uint64 `json:"messages"`
	Malformed uint64 `json:"malformed,omitempty"`
	Refused   string `json:"refused,omitempty"`
}
