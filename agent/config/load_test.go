package config

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/robowarden/robowarden/configs"
)

// rules lists the rules of an error's problems.
func rules(t *testing.T, err error) []string {
	t.Helper()
	var p *Problems
	if !errors.As(err, &p) {
		t.Fatalf("error %v is no list of problems", err)
	}
	var out []string
	for _, problem := range p.List {
		out = append(out, problem.Rule)
	}
	return out
}

func TestLoadConfigFaults(t *testing.T) {
	replace := func(file, old, new string) func(*testing.T, string) {
		return func(t *testing.T, dir string) {
			t.Helper()
			name := filepath.Join(dir, file)
			b, err := os.ReadFile(name)
			if err != nil || !strings.Contains(string(b), old) {
				t.Fatalf("%s has no %q (%v)", file, old, err)
			}
			write(t, name, strings.Replace(string(b), old, new, 1))
		}
	}
	for name, c := range map[string]struct {
		spoil  func(*testing.T, string)
		change func(*SignedPolicy)
		want   []string
	}{
		"off": {},
		"no deployment": {
			spoil: func(_ *testing.T, dir string) { _ = os.Remove(filepath.Join(dir, "deployment.yaml")) },
			want:  []string{"unreadable-file"},
		},
		"a policy for a deployment": {
			spoil: func(t *testing.T, dir string) {
				t.Helper()
				b, err := os.ReadFile(filepath.Join(dir, "policy.yaml"))
				if err != nil {
					t.Fatal(err)
				}
				write(t, filepath.Join(dir, "deployment.yaml"), string(b))
			},
			want: []string{"wrong-kind"},
		},
		"no profile": {
			spoil: func(_ *testing.T, dir string) { _ = os.Remove(filepath.Join(dir, "profile.yaml")) },
			want:  []string{"unreadable-file"},
		},
		"a folder for a profile": {
			spoil: replace("deployment.yaml", "profile: profile.yaml", "profile: ."), want: []string{"unreadable-file"},
		},
		"topics for a profile": {
			spoil: replace("deployment.yaml", "profile: profile.yaml", "profile: topics.yaml"),
			want:  []string{"wrong-kind"},
		},
		"profile changed after signing": {
			spoil: replace("profile.yaml", "max_speed_mps: 1.6", "max_speed_mps: 1.5"),
			want:  []string{"pin-mismatch"},
		},
		"set of another revision":   {change: func(s *SignedPolicy) { s.Revision = 2 }, want: []string{"signed-set"}},
		"set with other pins":       {change: func(s *SignedPolicy) { s.Pins.Topics[0] ^= 1 }, want: []string{"signed-set"}},
		"set with broken policy":    {change: func(s *SignedPolicy) { s.YAML = []byte("kind: [") }, want: []string{"syntax"}},
		"set with another document": {change: func(s *SignedPolicy) { s.YAML = []byte("kind: deployment\nversion: 1\n") }, want: []string{"wrong-kind"}},
		"set with an empty policy":  {change: func(s *SignedPolicy) { s.YAML = nil }, want: []string{"empty-file"}},
		"serial that the policy does not know": {
			spoil: replace("deployment.yaml", "serial: diff-01", "serial: diff-02"), want: []string{"unknown-name"},
		},
		"key that others may read": {
			spoil: func(_ *testing.T, dir string) { _ = os.Chmod(filepath.Join(dir, "operator.key"), 0o640) }, want: []string{"key-file-mode"},
		},
		"key too short":  {spoil: replace("operator.key", "0001", ""), want: []string{"key-file-form"}},
		"key not in hex": {spoil: replace("operator.key", "0001", "xxxx"), want: []string{"key-file-form"}},
		"no key":         {spoil: func(_ *testing.T, dir string) { _ = os.Remove(filepath.Join(dir, "operator.key")) }, want: []string{"key-file"}},
		"key from a pipe": {
			spoil: func(t *testing.T, dir string) {
				t.Helper()
				name := filepath.Join(dir, "operator.key")
				if err := errors.Join(os.Remove(name), syscall.Mkfifo(name, 0o600)); err != nil {
					t.Fatal(err)
				}
			},
			want: []string{"key-file"},
		},
		"guard's own name trusted": {
			spoil: replace("topics.yaml", "publishers: [/planner]", "publishers: [/robowarden]"), want: []string{"pin-mismatch", "self"},
		},
		"socket path too long": {
			spoil: replace("deployment.yaml", "control_socket: control.sock", "control_socket: "+strings.Repeat("d/", 60)+"s"), want: []string{"text-length"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir := install(t, configs.DiffDrive)
			if c.spoil != nil {
				c.spoil(t, dir)
			}
			cfg, err := LoadConfig(filepath.Join(dir, "deployment.yaml"), signed(t, dir, c.change))
			if len(c.want) == 0 {
				if err != nil {
					t.Fatal(err)
				}
				return
			}
			if cfg != nil || err == nil {
				t.Fatal("accepted")
			}
			got := rules(t, err)
			for _, want := range c.want {
				if !strings.Contains(strings.Join(got, " "), want) {
					t.Errorf("got %q, want %q among them", got, want)
				}
			}
			if strings.Contains(err.Error(), demoKey[8:24]) {
				t.Error("the key is in the error")
			}
		})
	}
}

// TestRefusedSignature: without a source that vouches for it, no set is taken.
func TestRefusedSignature(t *testing.T) {
	dir := install(t, configs.DiffDrive)
	refuse := func(*Deployment, []byte) (SignedPolicy, error) {
		return SignedPolicy{}, errors.New("unknown-key: no key")
	}
	_, err := LoadConfig(filepath.Join(dir, "deployment.yaml"), refuse)
	if err == nil || !strings.Contains(err.Error(), "unknown-key: no key") {
		t.Errorf("error %v", err)
	}
	if _, err = LoadConfig(filepath.Join(dir, "deployment.yaml"), nil); err == nil {
		t.Error("a set was taken without anybody having checked it")
	}
}

func TestGivenDocumentsReplaceNamedOnes(t *testing.T) {
	dir := install(t, configs.DiffDrive)
	cfg, err := Load(nil, filepath.Join(dir, "policy.yaml"), filepath.Join(dir, "deployment.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	if cfg.Topics == nil || cfg.Profile == nil || !filepath.IsAbs(cfg.Deployment.Paths.StateDir) {
		t.Errorf("not all was loaded: %+v", cfg.Deployment)
	}
}

func TestPolicyOfAnUnsignedFileIsRefusedByRun(t *testing.T) {
	dir := install(t, configs.DiffDrive)
	name := filepath.Join(dir, "deployment.yaml")
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	write(t, name, strings.Replace(string(b), "policy: policy.bundle", "policy: policy.yaml", 1))
	_, err = LoadConfig(name, signed(t, dir, nil))
	if got := rules(t, err); !cmp.Equal(got, []string{"unsigned-policy"}) {
		t.Errorf("got %q", got)
	}
}

func TestLargeFiles(t *testing.T) {
	dir := t.TempDir()
	name := filepath.Join(dir, "large.yaml")
	write(t, name, "kind: policy\n#"+strings.Repeat("x", 5<<20))
	if got := rules(t, second(Load(nil, name))); !cmp.Equal(got, []string{"too-large"}) {
		t.Errorf("got %q", got)
	}
	write(t, name, `{"payload": "`+strings.Repeat("x", 7<<20)+`"}`)
	refuse := func(*Deployment, []byte) (SignedPolicy, error) { t.Error("read"); return SignedPolicy{}, nil }
	if got := rules(t, second(Load(refuse, name))); !cmp.Equal(got, []string{"too-large"}) {
		t.Errorf("got %q", got)
	}
}

func second(_ *Config, err error) error { return err }

func TestProblemsAreCapped(t *testing.T) {
	name := filepath.Join(t.TempDir(), "policy.yaml")
	var b strings.Builder
	b.WriteString("kind: policy\nversion: 1\n")
	for i := range 3 * MaxProblems {
		b.WriteString("key" + strings.Repeat("x", i%7) + string(rune('a'+i%26)) + ": 1\n")
	}
	write(t, name, b.String())
	var p *Problems
	if err := second(Load(nil, name)); !errors.As(err, &p) {
		t.Fatal(err)
	}
	if len(p.List) != MaxProblems || p.Omitted == 0 || p.Errors() <= MaxProblems {
		t.Errorf("%d problems, %d omitted", len(p.List), p.Omitted)
	}
}

func TestProblemsAsJSON(t *testing.T) {
	var p *Problems
	if err := second(Load(nil, "testdata/bad/zero-duration.yaml")); !errors.As(err, &p) {
		t.Fatal(err)
	}
	b, err := json.Marshal(p)
	if err != nil {
		t.Fatal(err)
	}
	var got struct {
		Errors   int
		Problems []map[string]any
		Sources  []map[string]string
	}
	if err := json.Unmarshal(b, &got); err != nil {
		t.Fatal(err)
	}
	want := map[string]any{
		"file": "testdata/bad/zero-duration.yaml", "line": 22.0, "column": 34.0, "path": "channels[0].period", "rule": "zero-duration",
		"severity": "error", "expected": "a duration with its unit, at least 10ms and at most 1m", "found": "0",
		"hint": "zero is never off: where something can be switched off, say enabled: false with a reason", "example": "period: 200ms",
	}
	if diff := cmp.Diff(want, got.Problems[0]); diff != "" || got.Errors != 3 {
		t.Errorf("%d errors: %s", got.Errors, diff)
	}
	if got.Sources[0]["kind"] != KindPolicy || !strings.HasPrefix(got.Sources[0]["digest"], "sha256:") {
		t.Errorf("sources %v", got.Sources)
	}
}
