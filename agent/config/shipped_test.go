package config

import (
	"crypto/sha256"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/robowarden/robowarden/configs"
	"github.com/robowarden/robowarden/geofence"
	"github.com/robowarden/robowarden/interlock"
)

// demoKey is a key for tests only; it must never show up in an output.
const demoKey = "000102030405060708090a0b0c0d0e0f0f0e0d0c0b0a09080706050403020100"

// install copies a shipped configuration into a folder, with a key file and a policy set, as a site would have it.
func install(t *testing.T, folder string) string {
	t.Helper()
	dir := t.TempDir()
	for _, name := range []string{"profile.yaml", "topics.yaml", "policy.yaml", "deployment.yaml"} {
		src, err := fs.ReadFile(configs.FS(), folder+"/"+name)
		if err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join(dir, name), string(src))
	}
	definitions, err := fs.Glob(configs.FS(), folder+"/*.idl")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range definitions {
		src, err := fs.ReadFile(configs.FS(), name)
		if err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join(dir, filepath.Base(name)), string(src))
	}
	if src, err := fs.ReadFile(configs.FS(), folder+"/robot.urdf"); err == nil {
		write(t, filepath.Join(dir, "robot.urdf"), string(src))
	}
	write(t, filepath.Join(dir, "operator.key"), demoKey+"\n")
	write(t, filepath.Join(dir, "policy.bundle"), `{"payloadType": "test", "payload": "", "signatures": []}`)
	return dir
}

func write(t *testing.T, name, text string) {
	t.Helper()
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// signed returns a source that takes the policy beside the set for its content.
func signed(t *testing.T, dir string, change func(*SignedPolicy)) PolicySource {
	t.Helper()
	return func(d *Deployment, _ []byte) (SignedPolicy, error) {
		if d == nil || d.Paths.Keys != filepath.Join(dir, "keys") {
			t.Errorf("the source was not told where the keys are: %+v", d)
		}
		s := SignedPolicy{Revision: 1}
		var err error
		s.YAML, err = os.ReadFile(filepath.Join(dir, "policy.yaml"))
		for name, pin := range map[string]*Digest{"profile.yaml": &s.Pins.Profile, "topics.yaml": &s.Pins.Topics} {
			b, readErr := os.ReadFile(filepath.Join(dir, name))
			err = errors.Join(err, readErr)
			*pin = sha256.Sum256(b)
		}
		if change != nil {
			change(&s)
		}
		return s, err
	}
}

// TestShippedConfigurations loads what ships as a robot does, and builds from it what the guard builds.
func TestShippedConfigurations(t *testing.T) {
	for _, folder := range []string{configs.Demo, configs.DiffDrive, configs.DiffDriveROS2, configs.HumanoidDDS, configs.Humanoid} {
		if *update {
			repin(t, filepath.Join(configsDir, folder))
		}
		t.Run(filepath.Base(folder), func(t *testing.T) {
			dir := install(t, folder)
			cfg, err := LoadConfig(filepath.Join(dir, "deployment.yaml"), signed(t, dir, nil))
			if err != nil {
				t.Fatal(err)
			}
			for _, w := range cfg.Warnings {
				open := folder == configs.HumanoidDDS && w.Rule == ruleOpenBus  // its bus has to be open to the body's computer
				simulated := folder == configs.Demo && w.Rule == "switched-off" // nobody tests a simulated robot
				if !open && !simulated {
					t.Errorf("warning: %v", w)
				}
			}
			if string(cfg.HeartbeatKeys["operator"].Bytes()[:3]) != "\x00\x01\x02" {
				t.Error("the operator's key was not read")
			}
			if len(cfg.Sources) != 4 || cfg.Digests.Profile != cfg.Policy.Pins.Profile || len(cfg.Raw.Policy) == 0 {
				t.Errorf("sources %v", cfg.Sources)
			}
			build(t, cfg)
		})
	}
}

// build makes the cores from a configuration.
func build(t *testing.T, cfg *Config) *geofence.Set {
	t.Helper()
	set, err := geofence.Compile(cfg.Policy.Fence(cfg.Profile, cfg.Topics))
	if err != nil {
		t.Error(err)
	}
	rules := cfg.Policy.Interlock()
	_, err = interlock.New(rules)
	_, ladderErr := interlock.NewLadder(cfg.Profile.LadderSpec())
	_, standErr := interlock.NewStandstill(cfg.Profile.StandstillSpec())
	if err = errors.Join(err, ladderErr, standErr); err != nil {
		t.Error(err)
	}
	for _, h := range cfg.Policy.HeartbeatSpecs() {
		if _, err := interlock.NewHeartbeat(h); err != nil {
			t.Error(err)
		}
	}
	return set
}

// repin writes the digests of profile and topics into a policy.
func repin(t *testing.T, dir string) {
	t.Helper()
	name := filepath.Join(dir, "policy.yaml")
	policy, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	for _, key := range []string{"profile", "topics"} {
		b, err := os.ReadFile(filepath.Join(dir, key+".yaml"))
		if err != nil {
			t.Fatal(err)
		}
		pin := regexp.MustCompile(`(?m)^(  ` + key + `: )"sha256:[0-9a-f]{64}"`)
		policy = pin.ReplaceAll(policy, []byte(`${1}"`+Digest(sha256.Sum256(b)).String()+`"`))
	}
	if err := os.WriteFile(name, policy, 0o644); err != nil { //nolint:gosec // a shipped document
		t.Fatal(err)
	}
}

// TestDemoHospital looks at the facts that the demonstration tells of.
func TestDemoHospital(t *testing.T) {
	dir := install(t, configs.Demo)
	cfg, err := LoadConfig(filepath.Join(dir, "deployment.yaml"), signed(t, dir, nil))
	if err != nil {
		t.Fatal(err)
	}
	if n := len(cfg.Profile.Joints.List); n != 29 {
		t.Errorf("%d joints", n)
	}
	if !cfg.Profile.Enforcing() {
		t.Error("the lock with timeout works without ROS's goodwill")
	}
	if n := len(cfg.Profile.StandstillJoints()); n != 12 {
		t.Errorf("%d leg joints", n)
	}
	roles, known := cfg.Policy.FenceRoles(cfg.Deployment.Serial)
	if want := []string{"*", "delivery", "!theatre-delivery"}; !known || !slices.Equal(roles, want) {
		t.Errorf("roles %q, want %q", roles, want)
	}
	set := build(t, cfg)
	for _, r := range roles {
		if _, ok := set.RoleIndex(r); !ok {
			t.Errorf("the geofence does not know the role %q", r)
		}
	}
	if got := cfg.Topics.Lock.Period(); got != 100*time.Millisecond {
		t.Errorf("lock every %v", got)
	}
	for _, z := range cfg.Policy.Zones {
		for _, v := range z.Vertices {
			if v.X < 0 || v.X > 40 || v.Y < 0 || v.Y > 24 {
				t.Errorf("%s leaves the building: %v", z.ID, v)
			}
		}
	}
	if cfg.Policy.FloorIndex("upper") != 1 || cfg.Policy.FloorIndex("roof") != -1 {
		t.Error("floors are not found by their id")
	}
	if strings.Contains(string(cfg.Raw.Deployment), demoKey) {
		t.Error("the key is in the deployment")
	}
}
