package policytest

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/robowarden/robowarden/agent/config"
)

const demo = "../../configs/demo/"

func demoConfig(t testing.TB) *config.Config {
	t.Helper()
	cfg, err := config.Load(nil, filepath.Join(demo, "policy.yaml"), filepath.Join(demo, "profile.yaml"), filepath.Join(demo, "topics.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	return cfg
}

// TestShippedCases runs the demonstration's cases: all pass, and every zone, shift and channel is exercised.
func TestShippedCases(t *testing.T) {
	f, err := Load(demo + "tests/policy-tests.yaml")
	if err != nil {
		t.Fatal(err)
	}
	r, err := Run(demoConfig(t), f)
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range r.Outcomes {
		if len(o.Failures) > 0 {
			t.Errorf("%s: %q", o.Name, o.Failures)
		}
	}
	c := &r.Coverage
	if n := len(c.Zones.Missing) + len(c.Shifts.Missing) + len(c.Channels.Missing) + len(c.Rules.Missing); n > 0 || c.Zones.Of == 0 {
		t.Errorf("not exercised: %+v", c)
	}
}

// TestWrongExpectationsFail is the off case: each expectation is of what is not so.
func TestWrongExpectationsFail(t *testing.T) {
	for _, c := range []struct{ inputs, expect, says string }{
		{"", "{at: 1s, mode: hold}", "expected mode hold, found limited"},
		{"", "{at: 1s, motion: free}", "expected motion free, found limited"},
		{"", "{at: 1s, max_speed_mps: 0.5}", "expected at most 0.5 m/s, found 0.8"},
		{"", "{at: 1s, triggers: [pose.stale]}", "expected trigger pose.stale, found none"},
		{"{at: 1s, silence: [pose]}", "{at: 5s, not_triggers: [pose.stale]}", "expected no trigger pose.stale"},
		{"{at: 1s, silence: [joints]}", "{at: 5s, motion: limited}", "expected motion limited, found hold"},
		{"{at: 1s, command: [0.5, 0, 0]}", "{at: 4s, command: dropped}", "expected command dropped, found passed"},
		{"{at: 1s, command: [0.5, 0, 0]}", "{at: 4s, sent_at_most_mps: 0.4}", "expected at most 0.4 m/s sent"},
		{"{at: 1s, stop: true}", "{at: 2s, motion: limited}", "found stop"},
		{"{at: 1s, stop_by: operator}", "{at: 3s, not_triggers: [channel.stop-requested]}", "is active"},
		{"{at: 1s, stranger: {topic: /cmd_vel_raw, name: /evil}}", "{at: 4s, not_triggers: [publisher.unknown]}", "is active"},
		{"{at: 1s, clock: untrusted}", "{at: 2s, not_triggers: [clock.untrusted]}", "is active"},
		{"{at: 1s, battery: 0.01}", "{at: 20s, motion: limited}", "found dock-only"},
		{"{at: 1s, silence: [bus]}", "{at: 8s, not_triggers: [bus.lost]}", "is active"},
		{"{at: 1s, silence: [journal]}", "{at: 8s, not_triggers: [journal.unwritable]}", "is active"},
		{"", "{at: 1s, zone: ground-corridor, place: outside}", "expected zone ground-corridor outside, found inside"},
	} {
		raw := "tests:\n  - name: x\n    time: 2026-11-02T10:00\n    start: [20, 12, 0]\n    inputs: [" + c.inputs + "]\n    expect: [" + c.expect + "]\n"
		f, err := parse("x", []byte(raw))
		if err != nil {
			t.Fatalf("%s: %v", c.expect, err)
		}
		r, err := Run(demoConfig(t), f)
		if err != nil {
			t.Fatalf("%s: %v", c.expect, err)
		}
		if r.Failed != 1 || !strings.Contains(strings.Join(r.Outcomes[0].Failures, ""), c.says) {
			t.Errorf("%s %s: %q; expected %q", c.inputs, c.expect, r.Outcomes[0].Failures, c.says)
		}
	}
}

// TestFactsOfTheBus lets a source say which task the robot has, say another one, something that nobody listed, and nothing.
func TestFactsOfTheBus(t *testing.T) {
	cfg := demoConfig(t)
	cfg.Topics.Facts = []config.FactSource{{
		ID: "job", Kind: "task", Topic: "/job", Type: config.TypeString, Publishers: []string{"/jobs"}, MaxAge: time.Second,
		Values: []config.FactValue{{Value: "clean", Means: "cleaning"}, {Value: "carry", Means: "delivery"}},
	}}
	cfg.Policy.Tasks = []string{"cleaning", "delivery"}
	cfg.Policy.Facts = []config.FactDemand{{Kind: "task", Identity: "source-bound"}}
	cfg.Policy.Zones = append(cfg.Policy.Zones, config.Zone{
		ID: "wet-floor", Type: config.ZoneSpeedLimit, Floor: "ground", MaxSpeedMPS: 0.2, Reason: "made for a test", Tasks: []string{"cleaning"},
		Vertices: []config.Point{{X: 15, Y: 10}, {X: 25, Y: 10}, {X: 25, Y: 14}, {X: 15, Y: 14}},
	})
	f, err := parse("x", []byte(`tests:
  - name: x
    time: 2026-11-02T10:00
    start: [20, 12, 0]
    inputs:
      - {at: 1s, facts: {job: carry}}
      - {at: 5s, facts: {job: clean}}
      - {at: 9s, facts: {job: carry}}
      - {at: 13s, facts: {job: dance}}
      - {at: 17s, facts: {job: carry}}
      - {at: 21s, silence: [job]}
    expect:
      - {at: 500ms, max_speed_mps: 0.2}
      - {at: 4s, max_speed_mps: 0.8}
      - {at: 8s, max_speed_mps: 0.2}
      - {at: 12s, max_speed_mps: 0.8}
      - {at: 16s, max_speed_mps: 0.2}
      - {at: 20s, max_speed_mps: 0.8}
      - {at: 24s, max_speed_mps: 0.2}
`))
	if err != nil {
		t.Fatal(err)
	}
	r, err := Run(cfg, f)
	if err != nil {
		t.Fatal(err)
	}
	// The limit of 0.8 m/s is an upper bound here: that the floor's own zone gives it is what the off case below looks at.
	if r.Failed != 0 {
		t.Errorf("%q", r.Outcomes[0].Failures)
	}
	f.Tests[0].Expect[1].MaxSpeedMPS = new(0.2)
	if r, err = Run(cfg, f); err != nil || r.Failed != 1 {
		t.Errorf("%v, %+v; expected the zone not to apply while something is carried", err, r)
	}
}

// TestANameOfTwoInputsIsRefused: a case that silences another input than it means would pass for a wrong reason.
func TestANameOfTwoInputsIsRefused(t *testing.T) {
	for _, c := range []struct{ source, input, says string }{
		{"operator", "silence: [operator]", "a source of facts of the topic mapping and an endpoint"},
		{"operator", "resume: [operator]", "a source of facts of the topic mapping and an endpoint"},
		{"battery", "silence: [battery]", "an input of the robot and a source of facts"},
		{"bus", "resume: [bus]", "an input of the robot and a source of facts"},
		{"job", "resume: [job]", "goes on when it says something"},
		{"job", "silence: [job, operator, battery, bus]", ""},
	} {
		cfg := demoConfig(t)
		cfg.Topics.Facts = []config.FactSource{{
			ID: c.source, Kind: "task", Topic: "/job", Type: config.TypeString, Publishers: []string{"/jobs"}, MaxAge: time.Second,
			Values: []config.FactValue{{Value: "clean", Means: "cleaning"}},
		}}
		cfg.Policy.Tasks = []string{"cleaning"}
		f, err := parse("x", []byte("tests:\n  - name: x\n    time: 2026-11-02T10:00\n    start: [20, 12, 0]\n    inputs: [{at: 1s, "+c.input+"}]\n    expect: [{at: 500ms, motion: limited}]\n"))
		if err != nil {
			t.Fatal(err)
		}
		r, err := Run(cfg, f)
		said := fmt.Sprint(err)
		if err == nil {
			said = strings.Join(r.Outcomes[0].Failures, "")
		}
		if !strings.Contains(said, c.says) || c.says == "" && (err != nil || r.Failed > 0) {
			t.Errorf("a source %s, %s: %q, expected %q", c.source, c.input, said, c.says)
		}
	}
}

// TestWhatIsSentLasts looks at what is sent between two commands, too, while the robot stands before an edge.
func TestWhatIsSentLasts(t *testing.T) {
	f, err := parse("x", []byte("tests:\n  - name: x\n    time: 2026-11-02T21:00\n    start: [14, 12, 1.5708]\n    inputs: [{at: 1s, command: [0.8, 0, 0]}]\n"+
		"    expect: [{at: 2s, sent_at_most_mps: 0.8}, {from: 9s, to: 11s, sent_at_most_mps: 0.01}]\n"))
	if err != nil {
		t.Fatal(err)
	}
	if r, err := Run(demoConfig(t), f); err != nil || r.Failed > 0 {
		t.Errorf("%v, %+v", err, r.Outcomes)
	}
}

// TestStartIsReleased begins a case under a policy by which an operator releases each start.
func TestStartIsReleased(t *testing.T) {
	cfg := demoConfig(t)
	cfg.Policy.Startup.Release = "operator"
	f, err := parse("x", []byte("tests:\n  - name: x\n    time: 2026-11-02T10:00\n    start: [20, 12, 0]\n    expect: [{at: 1ms, motion: limited, not_triggers: [startup]}]\n"))
	if err != nil {
		t.Fatal(err)
	}
	if r, err := Run(cfg, f); err != nil || r.Failed > 0 {
		t.Errorf("%v, %+v", err, r.Outcomes)
	}
}

func TestRefusedFiles(t *testing.T) {
	const head = "tests:\n  - name: x\n    time: 2026-11-02T10:00\n    start: [20, 12, 0]\n"
	for raw, says := range map[string]string{
		"tests: []\n":                      "one case or more",
		"test: []\n":                       "unknown field",
		head + "    expects: [{at: 1s}]\n": "unknown field",
		head + "    expect: [{at: 1s, mod: hold}]\n":                                "unknown field",
		head + "    expect: [{at: 1}]\n":                                            "1.5s or 2m",
		head + "    expect: [{from: 1s}]\n":                                         "from and to",
		head + "    expect: [{at: 1s, zone: dock}]\n":                               "zone and place",
		head + "    inputs: [{at: 2s}, {at: 1s}]\n    expect: [{at: 1s}]\n":         "not before",
		head + "    inputs: [{at: 2s, command: [1, 2]}]\n    expect: [{at: 1s}]\n":  "three numbers",
		"tests:\n  - name: x\n    time: 2026-11-02T10:00\n    expect: [{at: 1s}]\n": "start: [x, y, yaw]",
	} {
		if _, err := parse("x", []byte(raw)); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%q: %v; expected %q", raw, err, says)
		}
	}
	for inputs, says := range map[string]string{
		"{at: 1s, silence: [nobody]}": "no input and no endpoint", "{at: 1s, channel: x, command: [1, 0, 0]}": "not in the topic mapping",
		"{at: 1s, joints: {x: 1}}": "not in the profile", "{at: 1s, facts: {x: y}}": "no source of facts", "{at: 1s, lease: {zone: x, for: 1s}}": "not in the policy",
		"{at: 1s, clock: late}": "trusted, holdover or untrusted", "{at: 1s, reset: [me]}": "expected roles", "{at: 1s, floor: x}": "no such floor",
	} {
		f, err := parse("x", []byte(head+"    inputs: ["+inputs+"]\n    expect: [{at: 1s}]\n"))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := Run(demoConfig(t), f); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v; expected %q", inputs, err, says)
		}
	}
}

func FuzzFile(f *testing.F) {
	f.Add([]byte("tests:\n  - name: x\n    time: 2026-11-02T10:00\n    start: [20, 12, 0]\n    inputs: [{at: 1s, command: [1, 0, 0]}]\n    expect: [{at: 1s, mode: hold}]\n"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		if file, err := parse("x", raw); err == nil && len(file.Tests) == 0 {
			t.Error("a file without cases was taken")
		}
	})
}
