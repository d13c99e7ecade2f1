package contract

import (
	"context"
	"encoding/json"
	"fmt"
)

// TrialRequest is what the technician at the robot wants of a proof test.
type TrialRequest struct {
	// Op is begin, keep, go, end, finish or install.
	Op string `json:"op"`
	// Session is the technician's, 16 hexadecimal digits that are not all 0. A session that begins again keeps its runs.
	Session string `json:"session,omitempty"`
	// Step is for go, MPS the highest speed in m/s for begin.
	Step int     `json:"step,omitempty"`
	MPS  float64 `json:"speed_mps,omitempty"`
	// Record is the signed record for install, in base64.
	Record []byte `json:"record,omitempty"`
}

// TrialReport answers a [TrialRequest].
type TrialReport struct {
	// Accepted is true if it was taken; Text says why not, or what happened.
	Accepted bool   `json:"accepted"`
	Text     string `json:"text"`
	// Phase is off, waiting, driving, measuring, settling, watching or ending; Ended why the last run or the test ended, empty
	// if it went as it should.
	Phase string `json:"phase"`
	Ended string `json:"ended,omitempty"`
	// Step is the step under way, Runs how many runs have ended.
	Step int    `json:"step"`
	Runs uint32 `json:"runs"`
	// Steps are all steps of this robot's test.
	Steps []TrialStep `json:"steps,omitempty"`
	// Ready is true if a step could begin; else Standing, Commanded and Triggers say what is in the way.
	Ready     bool     `json:"ready"`
	Standing  bool     `json:"standing"`
	Commanded bool     `json:"commanded"`
	Triggers  []string `json:"triggers,omitempty"`
	// SpeedMPS and TurnRadPS are what odometry says, ToldMPS and ToldRadPS what the guard sent last. Clear is false while the way
	// ahead is not free for a stop from top speed.
	SpeedMPS  float64 `json:"speed_mps"`
	TurnRadPS float64 `json:"turn_radps"`
	ToldMPS   float64 `json:"told_mps"`
	ToldRadPS float64 `json:"told_radps"`
	Clear     bool    `json:"clear"`
	// Items are what was measured so far.
	Items []TrialItem `json:"items,omitempty"`
	// Record is what is to be signed, in base64: the answer to finish.
	Record []byte `json:"record,omitempty"`
}

// TrialStep is one step of a test.
type TrialStep struct {
	// Kind is stop, turn, silence, rung, watchdog or input; Name the rung's or input's.
	Kind string `json:"kind"`
	Name string `json:"name,omitempty"`
	// Needs is how many more good runs it needs at least; Better is true if another would make its figures good enough.
	Needs  int  `json:"needs"`
	Better bool `json:"better,omitempty"`
}

// TrialItem is one item of the result.
type TrialItem struct {
	Name   string `json:"name"`
	Result string `json:"result"`
	Text   string `json:"text"`
}

// Trial asks the guard on this computer for a step of a proof test.
func Trial(ctx context.Context, socket string, r TrialRequest) (TrialReport, error) {
	var out TrialReport
	body, err := json.Marshal(r)
	if err != nil {
		return out, err
	}
	raw, err := ask(ctx, socket, FrameTrial, body)
	if err != nil {
		return out, err
	}
	if err := json.Unmarshal(raw, &out); err != nil {
		return out, fmt.Errorf("proof test: %w", err)
	}
	return out, nil
}
