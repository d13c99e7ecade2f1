package config

import (
	"os"
	"strings"
	"testing"
	"time"

	"github.com/robowarden/robowarden/configs"
	"github.com/robowarden/robowarden/interlock"
)

// TestPostureSpec reads the section as the interlock takes it, and none where there is none.
func TestPostureSpec(t *testing.T) {
	cfg, err := Load(nil, install(t, configs.Humanoid)+"/profile.yaml")
	if err != nil {
		t.Fatal(err)
	}
	got := cfg.Profile.PostureSpec()
	const needs = interlock.NeedUpright | interlock.NeedStandstill
	kneel, off := got.Steps[1], got.Steps[2]
	switch {
	case got.N != 3 || got.Steps[0].Kind != interlock.PostureBalance || !got.Steps[0].Powered || got.Steps[0].Within != 30*time.Minute,
		kneel.Kind != interlock.PostureKneel || kneel.Powered || kneel.Needs != needs || kneel.Within != 10*time.Second || kneel.Proof.N != 2,
		kneel.Proof.Joints[0] != interlock.JointRange{Joint: 3, Min: 1.1, Max: 2.8} || kneel.Proof.Joints[1].Joint != 9,
		off.Kind != interlock.PostureOff || off.After != interlock.PosturesOf(interlock.PostureKneel, interlock.PostureLying) || off.LastResort || !off.Proof.Acked,
		got.Battery.Floor != 0.05 || got.Battery.PerSecond != 0.02/60 || got.Heat.Floor != -90 || got.Heat.PerSecond != 0.2,
		got.Stop < time.Second || got.Need() < 12*time.Second, got.Unseen < got.Need()+time.Minute:
		t.Errorf("got %+v", got)
	}
	if _, err := interlock.NewPostures(got); err != nil {
		t.Error(err)
	}
	cfg.Profile.Posture = nil
	if cfg.Profile.PostureSpec().Used {
		t.Error("used without the section")
	}
}

// TestStepsThatCannotBeTaken changes one thing of the example; each change makes a step infeasible as it is written, and is told
// where it is.
func TestStepsThatCannotBeTaken(t *testing.T) {
	const topics = "topics.yaml"
	for name, x := range map[string]struct {
		file, old, new, want string
	}{
		"as it is":                   {"", "", "", ""},
		"nobody knows it upright":    {"", "fall:\n  tilt_rad: 0.9\n  dwell: 300ms\n  free_fall: {below_mps2: 3, for: 150ms}\n  impact_mps2: 80\n", "", "a fall section"},
		"hands that nobody knows":    {"", "needs: [upright, standstill]", "needs: [upright, empty-hands]", "loads, of which facts say"},
		"more charge than is left":   {"", "ack_within: 500ms\n      within: 10s", "min_charge: 0.2\n      ack_within: 500ms\n      within: 10s", "left when its turn comes"},
		"the stop's charge":          {"", "ack_within: 500ms\n      within: 10s", "min_charge: 0.055\n      ack_within: 500ms\n      within: 10s", "left when its turn comes"},
		"never cool enough":          {"", "per_minute_c: 12", "per_minute_c: 400", "motors that last longer"},
		"off while it stands":        {"", "      after: [kneel, lying]\n", "", "does not fall without power"},
		"off after what is no step":  {"", "after: [kneel, lying]", "after: [sit]", "a step before this one"},
		"shown beyond the end stops": {"", "joint: left_knee_joint, min: 1.1, max: 2.8", "joint: left_knee_joint, min: 3.1, max: 3.8", "the joint can reach"},
		"shown by no joint":          {"", "joint: left_knee_joint", "joint: left_nee_joint", "left_nee_joint"},
		"shown by an answer alone":   {"", "      ack_within: 1s\n", "", "a request that is not answered"},
		"a rung that brings nobody":  {"", "rung: kneel ", "rung: lock  ", "takes the robot down"},
		"two steps by one rung": {"", `posture: "off" `, `rung: kneel
      posture: "off" `, "a rung of its own"},
		"a rung that there is not":     {"", "rung: kneel ", "rung: kneal ", "kneal"},
		"without an end":               {"", "      within: 10s ", "      #", "within and shown_by"},
		"balance comes second":         {"", "posture: balance, within: 30m", "posture: sit, within: 30m", "balance first"},
		"no service":                   {topics, "  off: {name: /walker/motors_off, type: std_srvs/Trigger}\n", "", "services.off"},
		"no heat":                      {topics, "heat: {topic", "# heat: {topic", "heat in the topic mapping"},
		"no battery, and no end of it": {topics, "battery: {topic", "# battery: {topic", "battery in the topic mapping"},
	} {
		dir := install(t, configs.Humanoid)
		file := dir + "/profile.yaml"
		if x.file != "" {
			file = dir + "/" + x.file
		}
		raw, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(string(raw), x.old) {
			t.Fatalf("%s: the example has no %q", name, x.old)
		}
		write(t, file, strings.Replace(string(raw), x.old, x.new, 1))
		_, err = Load(nil, dir+"/profile.yaml", dir+"/topics.yaml")
		if (x.want == "") != (err == nil) || err != nil && !strings.Contains(err.Error(), x.want) {
			t.Errorf("%s: %v, want %q", name, err, x.want)
		}
	}
}
