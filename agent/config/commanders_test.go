package config

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/robowarden/robowarden/interlock"
)

// loadWith loads the small documents with lines added to the policy, and to the topic mapping's first command.
func loadWith(t *testing.T, lines, command string) (*Config, []string) {
	t.Helper()
	dir := t.TempDir()
	var files []string
	for _, name := range []string{"profile", "topics", "policy"} {
		raw, err := os.ReadFile(filepath.Join("testdata", "good", name+".yaml"))
		if err != nil {
			t.Fatal(err)
		}
		text := string(raw)
		if name == "topics" && command != "" {
			text = strings.Replace(text, "publishers: [/planner]}", "publishers: [/planner], "+command+"}", 1)
		}
		if name == "policy" {
			if before, _, ok := strings.Cut(text, "commanders:\n"); ok && strings.HasPrefix(lines, "commanders:") {
				_, after, _ := strings.Cut(text, "nothing is signed\"}\n")
				text = before + after // what the document says of them itself
			}
			text += lines
		}
		files = append(files, filepath.Join(dir, name+".yaml"))
		write(t, files[len(files)-1], text)
	}
	cfg, err := Load(nil, files...)
	if err == nil {
		return cfg, nil
	}
	problems, ok := err.(*Problems) //nolint:errorlint // Load's own
	if !ok {
		t.Fatal(err)
	}
	var rules []string
	for _, p := range problems.List {
		if p.Rule != "pin-mismatch" { // The mapping was changed on purpose.
			rules = append(rules, p.Rule)
		}
		if p.Severity != SeverityWarning && (p.Expected == "" || p.Found == "") {
			t.Errorf("%s: %+v does not say what was expected and found", lines, p)
		}
	}
	return nil, rules
}

func TestCommanders(t *testing.T) {
	const required = "commanders: [{channel: planner, authenticity: required, keys: [planner], strength: authenticated}]\n"
	cfg, rules := loadWith(t, required, "")
	if cfg == nil {
		t.Fatalf("refused: %v", rules)
	}
	c := cfg.Policy.Commander("planner")
	if c == nil || !cfg.Policy.Proven("planner") || c.ChallengePeriod != time.Second || c.ChallengeLifetime != 4*time.Second || cfg.Policy.Commander("nobody") != nil {
		t.Errorf("found %+v", c)
	}
	for name, f := range map[string]struct{ lines, command, want string }{
		"nothing stated":            {"", "", ""},
		"none, with a reason":       {"commanders: [{channel: planner, authenticity: none, strength: claimed, reason: the planner cannot sign}]\n", "", ""},
		"none, without a reason":    {"commanders: [{channel: planner, authenticity: none, strength: claimed}]\n", "", "missing-reason"},
		"none, with a key":          {"commanders: [{channel: planner, authenticity: none, strength: claimed, keys: [a], reason: the planner cannot sign}]\n", "", "no-effect"},
		"none, and authenticated":   {"commanders: [{channel: planner, authenticity: none, strength: authenticated, reason: the planner cannot sign}]\n", "", "unreachable"},
		"required, without a key":   {"commanders: [{channel: planner, authenticity: required, strength: authenticated}]\n", "", "missing-key"},
		"required, with a reason":   {"commanders: [{channel: planner, authenticity: required, strength: authenticated, keys: [a], reason: because of that}]\n", "", "no-effect"},
		"a key twice":               {"commanders: [{channel: planner, authenticity: required, strength: authenticated, keys: [a, a]}]\n", "", "duplicate"},
		"no strength":               {"commanders: [{channel: planner, authenticity: required, keys: [a]}]\n", "", ruleMissing},
		"a lifetime of one period":  {"commanders: [{channel: planner, authenticity: required, strength: authenticated, keys: [a], challenge_lifetime: 1s}]\n", "", ruleOrder},
		"a lifetime of ten periods": {"commanders: [{channel: planner, authenticity: required, strength: authenticated, keys: [a], challenge_lifetime: 10s}]\n", "", ruleOrder},
		"another channel alone":     {"commanders: [{channel: plannr, authenticity: required, strength: authenticated, keys: [a]}]\n", "", ruleUnknownName},
		"no room for the envelope":  {required, "max_bytes: 64", ruleOrder},
		"a session for autonomy":    {"commanders: [{channel: planner, authenticity: required, strength: authenticated, keys: [a], session: required}]\n", "", "no-effect"},
	} {
		_, rules := loadWith(t, f.lines, f.command)
		if f.want == "" && len(rules) > 0 || f.want != "" && !slices.Contains(rules, f.want) {
			t.Errorf("%s: found %v, expected %q", name, rules, f.want)
		}
	}
}

// TestUnauthenticatedCommandsAreNamed: a policy that does not say what commanders have to prove is told so, channel by channel.
func TestUnauthenticatedCommandsAreNamed(t *testing.T) {
	cfg, rules := loadWith(t, "", "")
	if len(rules) != 0 {
		t.Fatalf("stated: found %v", rules)
	}
	if cfg == nil {
		t.Fatal("stated: refused")
	}
	_, rules = loadWith(t, "commanders: # nothing is said\n", "")
	if len(rules) == 0 {
		t.Error("a list of nothing was taken")
	}
	raw, err := os.ReadFile(filepath.Join("testdata", "good", "policy.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	text := string(raw)
	before, rest, _ := strings.Cut(text, "commanders:\n")
	to := strings.Index(rest, "stop_category:")
	policy := filepath.Join(t.TempDir(), "policy.yaml")
	write(t, policy, before+rest[to:])
	cfg, err = Load(nil, filepath.Join("testdata", "good", "profile.yaml"), filepath.Join("testdata", "good", "topics.yaml"), policy)
	if err != nil || len(cfg.Warnings) != 1 || cfg.Warnings[0].Rule != ruleUnauthenticated ||
		!strings.Contains(cfg.Warnings[0].Expected, "channel planner") || !strings.Contains(cfg.Warnings[0].Found, NoAuthenticity) {
		t.Errorf("found %v, %v", err, cfg.Warnings)
	}
}

func TestEveryChannelIsStated(t *testing.T) {
	_, rules := loadWith(t, "commanders: [{channel: operator, authenticity: required, strength: authenticated, keys: [a]}]\n", "")
	if !slices.Contains(rules, "unstated") && !slices.Contains(rules, ruleUnknownName) {
		t.Errorf("found %v", rules)
	}
}

func TestOverridesOfAPolicy(t *testing.T) {
	cfg, rules := loadWith(t, "overrides: [{triggers: [pose.covariance, clock.jump], roles: [supervisor, security], persons: 2, lasts: 10m, max_speed_mps: 0.3}]\n", "")
	if cfg == nil {
		t.Fatalf("refused: %v", rules)
	}
	p := cfg.Policy.OverrideSpecs()
	want := interlock.OverrideRule{Roles: interlock.Roles(interlock.RoleSupervisor, interlock.RoleSecurity), Persons: 2, Max: 10 * time.Minute, MaxSpeedMPS: 0.3}
	if p.Rules[interlock.PoseCovariance] != want || p.Rules[interlock.ClockJump] != want || p.Rules[interlock.PoseJump] != (interlock.OverrideRule{}) || p.Validate() != nil {
		t.Errorf("found %+v, %v", p.Rules[interlock.PoseCovariance], p.Validate())
	}
	for name, f := range map[string]struct{ line, want string }{
		"a trigger that nobody can": {"triggers: [order.stop], roles: [supervisor], persons: 1, lasts: 10m, max_speed_mps: 0.3", "never-overridden"},
		"a trigger that is not":     {"triggers: [pose.covarianc], roles: [supervisor], persons: 1, lasts: 10m, max_speed_mps: 0.3", ruleUnknownName},
		"twice":                     {"triggers: [pose.jump, pose.jump], roles: [supervisor], persons: 1, lasts: 10m, max_speed_mps: 0.3", "duplicate"},
		"three persons":             {"triggers: [pose.jump], roles: [supervisor], persons: 3, lasts: 10m, max_speed_mps: 0.3", "out-of-range"},
		"no end":                    {"triggers: [pose.jump], roles: [supervisor], persons: 1, max_speed_mps: 0.3", ruleMissing},
		"no speed":                  {"triggers: [pose.jump], roles: [supervisor], persons: 1, lasts: 10m", ruleMissing},
	} {
		if _, rules := loadWith(t, "overrides: [{"+f.line+"}]\n", ""); !slices.Contains(rules, f.want) {
			t.Errorf("%s: found %v, expected %q", name, rules, f.want)
		}
	}
}
