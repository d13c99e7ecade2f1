package policylint

import (
	"math/rand/v2"
	"path/filepath"
	"testing"
	"time"

	"github.com/robowarden/robowarden/agent/config"
	"github.com/robowarden/robowarden/agent/guard"
	"github.com/robowarden/robowarden/agent/policytest"
)

const configs = "../../configs"

func shipped(t testing.TB, folder string) *config.Config {
	t.Helper()
	dir := filepath.Join(configs, folder)
	cfg, err := config.Load(nil, filepath.Join(dir, "policy.yaml"), filepath.Join(dir, "profile.yaml"), filepath.Join(dir, "topics.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	return cfg
}

// TestCleanPoliciesRaiseNothing lints what is shipped.
func TestCleanPoliciesRaiseNothing(t *testing.T) {
	for _, folder := range []string{"demo", "examples/diff-drive", "examples/diff-drive-ros2", "examples/humanoid", "examples/humanoid-dds"} {
		for _, p := range Lint(shipped(t, folder), "policy.yaml").List {
			t.Errorf("%s: %+v", folder, p)
		}
	}
}

// found says by what a mistake is found: the load, lint, or the shipped tests.
func found(cfg *config.Config, f *policytest.File) string {
	own := *cfg
	own.Deployment = &config.Deployment{Serial: cfg.Policy.Robots[0].Serial}
	if _, err := guard.NewParams(&own, "/robowarden", 1); err != nil {
		return "load"
	}
	if p := Lint(cfg, "policy.yaml"); len(p.List) > 0 {
		return "lint: " + p.List[0].Rule
	}
	r, err := policytest.Run(cfg, f)
	if err != nil {
		return "test: " + err.Error()
	}
	for _, o := range r.Outcomes {
		if len(o.Failures) > 0 {
			return "test: " + o.Name
		}
	}
	return ""
}

// TestPlantedMistakes plants one mistake in each of so many policies. Seeds from 1000 on were not looked at while rules and
// cases were written.
func TestPlantedMistakes(t *testing.T) {
	cfg := shipped(t, "demo")
	f, err := policytest.Load(filepath.Join(configs, "demo", "tests", "policy-tests.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	if by := found(cfg, f); by != "" {
		t.Fatalf("the policy without a mistake: %s", by)
	}
	n, by := 0, map[string]int{}
	for seed := uint64(firstSeed); seed < firstSeed+policies; seed++ {
		r := rand.New(rand.NewPCG(seed, 0x6c696e74))
		mutant := *cfg
		var op operator
		for {
			op = one(r, operators()...)
			if mutant.Policy = clonePolicy(cfg.Policy); op.do(mutant.Policy, r) {
				break
			}
		}
		how := found(&mutant, f)
		if how == "" {
			t.Logf("seed %d: %s was not found", seed, op.name)
			continue
		}
		n++
		by[how[:4]]++
	}
	t.Logf("%d of %d mistakes found, seeds from %d: %v", n, policies, firstSeed, by)
	if n < bar {
		t.Errorf("%d of %d mistakes found; expected at least %d", n, policies, bar)
	}
}

// TestStepsOfTheWayDownAreLinted changes the example's posture, and its policy's facts.
func TestStepsOfTheWayDownAreLinted(t *testing.T) {
	for rule, change := range map[string]func(c *config.Config){
		"posture-infeasible":  func(c *config.Config) { c.Profile.Posture.Steps[1].Needs = []string{"empty-hands"} },
		"posture-last-resort": func(c *config.Config) { c.Profile.Posture.Steps[2].LastResort = true },
		"posture-unproven": func(c *config.Config) {
			c.Profile.Posture.Steps[1].ShownBy = &config.PostureProof{Acknowledged: true, For: time.Second}
		},
		"posture-before-dock": func(c *config.Config) { c.Profile.Posture.Battery.PerMinute = 0.4 },
	} {
		cfg := shipped(t, "examples/humanoid")
		change(cfg)
		if p := Lint(cfg, "policy.yaml"); len(p.List) != 1 || p.List[0].Rule != rule {
			t.Errorf("%s: %+v", rule, p.List)
		}
	}
}
