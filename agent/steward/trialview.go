package steward

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/robowarden/robowarden/agent/trial"
)

// view is what a trial reads of the guard's status.
type view struct {
	AtRest bool   `json:"at_rest"`
	Gate   string `json:"gate"`
	Axes   struct {
		Motion       string `json:"motion"`
		Manipulators string `json:"manipulators"`
	} `json:"axes"`
	SpeedMPS float64 `json:"speed_mps"`
	BootS    float64 `json:"boot_s"`
	Triggers []struct {
		Code    string  `json:"code"`
		Present bool    `json:"present"`
		SinceS  float64 `json:"since_s"`
	} `json:"triggers"`
	Attestation struct {
		State string `json:"state"`
	} `json:"attestation"`
	Release *struct {
		Version   string `json:"version"`
		Artifacts []struct {
			Name      string   `json:"name"`
			SHA256    string   `json:"sha256"`
			Fallbacks []string `json:"fallbacks"`
			AtRest    bool     `json:"at_rest"`
		} `json:"artifacts"`
	} `json:"release"`
}

// counts says why content is not one that the release in force names, or nil.
func (v *view) counts(name, digest string) error {
	if v == nil || v.Release == nil {
		return errors.New("no release is in force")
	}
	for _, a := range v.Release.Artifacts {
		if a.Name != name {
			continue
		}
		if digest == a.SHA256 || slices.Contains(a.Fallbacks, digest) {
			return nil
		}
	}
	return fmt.Errorf("the release %s in force does not name its content, sha256 %s", v.Release.Version, digest)
}

// mayActivate says why nothing may become active now, or nil.
func (v *view) mayActivate(name string) error {
	if v.Release != nil {
		for _, a := range v.Release.Artifacts {
			if a.Name == name && !a.AtRest {
				return nil
			}
		}
	}
	if !v.AtRest {
		return errors.New("the robot does not stand")
	}
	return nil
}

// noTrips are triggers that say nothing about what an artifact does: people, the start, keys and the clock, and the artifacts'
// own ones.
var noTrips = []string{
	"artifact.", "attestation.", "order.", "startup", "restart.", "guard.", "policy.", "clock.", "input.", "journal.", "latch.", "channel.stop-requested",
	"zone.warn", "battery.", "actuator.advisory",
}

// countTrips counts the triggers that have come since the look before.
func (ts *trials) countTrips(v *view) {
	now := make(map[string]float64, len(v.Triggers))
	for _, t := range v.Triggers {
		ours := t.Present
		for _, p := range noTrips {
			ours = ours && !strings.HasPrefix(t.Code, p)
		}
		if !ours {
			continue
		}
		began := v.BootS - t.SinceS
		now[t.Code] = began
		// Half a second forgives how the two numbers are rounded.
		if was, ok := ts.seen[t.Code]; ts.seen != nil && (!ok || began > was+0.5) {
			ts.trips++
		}
	}
	ts.seen = now
}

// samples are the statistics' values now.
func (v *view) samples() (out [trial.NumMetrics]float64) {
	if v.Axes.Motion != "free" || v.Axes.Manipulators != "free" {
		out[trial.Restricted] = 1
	}
	switch v.Gate {
	case "passed":
	case "idle", "timed out", "unknown", "":
		out[trial.Refused] = math.NaN() // Nobody commands.
	default:
		out[trial.Refused] = 1
	}
	out[trial.Speed] = v.SpeedMPS
	return out
}
