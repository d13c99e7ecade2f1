package policylint

import (
	"fmt"
	"slices"

	"github.com/robowarden/robowarden/agent/config"
	"github.com/robowarden/robowarden/interlock"
)

// posture looks for steps of the profile's way down that this policy, or this mapping, leaves out each time, and for a way down
// that begins before the robot would dock.
func (l *linter) posture() {
	p := l.cfg.Profile.Posture
	if p == nil {
		return
	}
	for i := 1; i < len(p.Steps); i++ {
		s := &p.Steps[i]
		where := fmt.Sprintf("profile: posture.steps[%d] %s", i, s.Posture)
		believed := slices.ContainsFunc(l.p.Facts, func(f config.FactDemand) bool { return f.Kind == "load" })
		if slices.Contains(s.Needs, "empty-hands") && !believed {
			l.find(where, "posture-infeasible", "a fact of kind load under the policy's facts", "none", "nobody's word counts that the hands are empty, so this step is never commanded")
		}
		if s.LastResort && s.Posture == interlock.PostureOff.String() {
			l.find(where, "posture-last-resort", "no last_resort for off", "true", "a robot that stands by balance is let fall once nothing else works")
		}
		if s.ShownBy != nil && len(s.ShownBy.Joints) == 0 && s.Posture != interlock.PostureOff.String() {
			l.find(where, "posture-unproven", "joints that show the posture", "its acknowledgement alone", "a service that lies is believed, and no other step is tried")
		}
	}
	spec := l.cfg.Profile.PostureSpec()
	if b := spec.Battery; b.Used {
		if begin := b.Floor + b.PerSecond*spec.Need().Seconds(); begin >= dockCharge {
			l.find("profile: posture.battery", "posture-before-dock", fmt.Sprintf("a way down that begins below a charge of %g", dockCharge), fmt.Sprintf("%.2f", begin),
				"the robot goes down where it is before it would return to its dock")
		}
	}
}

// dockCharge is the charge at which battery.low sends the robot to its dock.
const dockCharge = 0.1
