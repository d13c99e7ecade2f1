package commission

import (
	"fmt"
	"strings"

	"github.com/robowarden/robowarden/agent/contract"
)

// over says whether the guard has ended the test.
func over(r *contract.TrialReport) bool { return r.Phase == "ending" || r.Phase == "off" }

func reason(r *contract.TrialReport) string {
	out := r.Ended
	if out == "" {
		out = r.Text
	}
	if len(r.Triggers) > 0 {
		out += " (" + strings.Join(r.Triggers, ", ") + ")"
	}
	return out
}

// progress is a phase in words.
func progress(r *contract.TrialReport) string {
	switch r.Phase {
	case "driving":
		return "drive now; waiting for a steady speed"
	case "measuring":
		return fmt.Sprintf("stopping it from %.2f m/s, %.2f rad/s", r.SpeedMPS, r.TurnRadPS)
	case "settling":
		return "let go of the controls; waiting until two sources show rest"
	case "watching":
		return "looking"
	}
	return r.Phase
}

// what names a step.
func what(st *contract.TrialStep) string {
	switch st.Kind {
	case "stop":
		return "stops by the ladder: deceleration and delay"
	case "turn":
		return "a stop from turning on the spot"
	case "silence":
		return "silence: how long the base goes on without commands"
	case "rung":
		return "rung " + st.Name + " alone"
	case "watchdog":
		return "watchdog " + st.Name + ": armed and fed"
	case "input":
		return "input " + st.Name
	}
	return st.Kind
}

// instruction is what the technician does.
func instruction(st *contract.TrialStep, mps float64) string {
	keep := fmt.Sprintf("Drive straight on, at up to %.2f m/s, and keep going: ", mps)
	switch st.Kind {
	case "stop":
		return keep + "the guard stops the robot."
	case "turn":
		return "Turn on the spot, steadily, and keep turning: the guard stops the robot."
	case "silence":
		return keep + "the guard sends the base nothing any more, and it has to stop by itself."
	case "rung":
		return keep + "the guard asks this rung alone, while your commands go on."
	case "watchdog":
		return "Nothing to do: the guard looks for a few seconds. It does not let it bite."
	case "input":
		return "Operate it, hold it for a second, and release it. An emergency stop needs a signed reset afterwards."
	}
	return ""
}
