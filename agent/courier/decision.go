package courier

import (
	"encoding/binary"
	"errors"
	"math"

	"github.com/robowarden/robowarden/interlock"
)

// Decision is a guard's decision in the words of policies and of the trigger table.
type Decision struct {
	Mode         string  `json:"mode"`
	Motion       string  `json:"motion"`
	MaxSpeedMPS  float64 `json:"maxSpeedMps,omitempty"`
	Manipulators string  `json:"manipulators"`
	Perception   string  `json:"perception"`
	Remote       string  `json:"remote"`
	StopCategory string  `json:"stopCategory"`
	Triggers     []Cause `json:"triggers"`
}

// Cause is one active trigger of a decision.
type Cause struct {
	Code    string  `json:"code"`
	State   string  `json:"state"`
	Cause   string  `json:"cause"`
	Subject int     `json:"subject,omitempty"`
	Clear   string  `json:"clear"`
	SinceS  float64 `json:"sinceS"`
}

// Lengths of a decision record, as agent/guard describes it.
const (
	decisionHead = 4 + 8 + 1 + 4 + 1 + 2 + 1
	decisionEach = 1 + 1 + 2 + 2 + 1 + 8
)

// readDecision reads a guard's decision record.
func readDecision(b []byte) (*Decision, error) {
	if len(b) < decisionHead || len(b) != decisionHead+int(b[decisionHead-1])*decisionEach {
		return nil, errors.New("decision: the record has another length than its count of triggers says")
	}
	le := binary.LittleEndian
	axes := interlock.Axes{
		Motion: interlock.Motion(b[0]), Manipulators: interlock.Manipulators(b[1]),
		Perception: interlock.Perception(b[2]), Remote: interlock.Remote(b[3]),
		MaxSpeedMPS: math.Float64frombits(le.Uint64(b[4:])),
	}
	d := &Decision{
		Mode: axes.Mode().String(), Motion: axes.Motion.String(), Manipulators: axes.Manipulators.String(),
		Perception: axes.Perception.String(), Remote: axes.Remote.String(), StopCategory: interlock.StopCategory(b[12]).String(),
		Triggers: []Cause{},
	}
	if v := axes.MaxSpeedMPS; !math.IsInf(v, 0) && !math.IsNaN(v) {
		d.MaxSpeedMPS = v
	}
	for b = b[decisionHead:]; len(b) > 0; b = b[decisionEach:] {
		d.Triggers = append(d.Triggers, Cause{
			Code: interlock.Trigger(b[0]).String(), State: interlock.State(b[1]).String(), Cause: interlock.Cause(le.Uint16(b[2:])).Text(),
			Subject: int(le.Uint16(b[4:])), Clear: interlock.ClearCondition(b[6]).String(),
			SinceS: float64(int64(le.Uint64(b[7:]))) / 1e9, //nolint:gosec // the format writes signed numbers so
		})
	}
	return d, nil
}
