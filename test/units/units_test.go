package units

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/robowarden/robowarden/agent/config"
	"github.com/robowarden/robowarden/test/internal/need"
)

var roles = []string{"guard", "steward", "courier"}

// worst is DESIGN's bar for every unit's exposure, from 0 to 10.
const worst = 2.0

// tool is systemd's.
const tool = "systemd-analyze" //nolint:misspell // its name

func score(t *testing.T, args ...string) string {
	t.Helper()
	path, err := exec.LookPath(tool)
	if err != nil {
		need.Missing(t, "no %s here: run test/setup/install.sh", tool)
	}
	out, err := exec.CommandContext(t.Context(), path, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s %v: %v\n%s", tool, args, err, out)
	}
	return string(out)
}

func exposure(t *testing.T, unit string) float64 {
	t.Helper()
	text := score(t, "security", "--offline=true", "--no-pager", unit)
	m := regexp.MustCompile(`Overall exposure level for [^:]*: ([0-9.]+)`).FindStringSubmatch(text)
	if m == nil {
		t.Fatalf("no overall level in\n%s", text)
	}
	level, err := strconv.ParseFloat(m[1], 64)
	if err != nil {
		t.Fatal(err)
	}
	return level
}

func TestExposureOfTheUnits(t *testing.T) {
	for _, r := range append([]string{"measure", "enroll"}, roles...) {
		level := exposure(t, must(filepath.Abs("../../configs/systemd/robowarden-"+r+".service"))(t))
		t.Logf("%s: %.1f", r, level)
		if level > worst {
			t.Errorf("%s: exposure %.1f, expected at most %.1f", r, level, worst)
		}
	}
	// The off case: the same service without any wall.
	bare := filepath.Join(t.TempDir(), "bare.service")
	if err := os.WriteFile(bare, []byte("[Service]\nExecStart=/usr/bin/robowarden guard\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if level := exposure(t, bare); level < 9 {
		t.Errorf("a bare unit has exposure %.1f", level)
	}
}

func TestGuardDependsOnNobody(t *testing.T) {
	for _, r := range roles {
		b, err := os.ReadFile("../../configs/systemd/robowarden-" + r + ".service")
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(b)) {
			key, value, _ := strings.Cut(strings.TrimSpace(line), "=")
			switch key {
			case "Requires", "Requisite", "BindsTo", "PartOf", "Conflicts", "Upholds", "FailureAction", "OnFailure":
				t.Errorf("%s: %s: no role ends or starts with another", r, line)
			case "Type":
				if value != "notify" {
					t.Errorf("%s: %s", r, line)
				}
			case "After":
				if r == "guard" && strings.Contains(value, "robowarden") {
					t.Errorf("guard: %s: it waits for nobody", line)
				}
			}
		}
		for _, must := range []string{"WatchdogSec=", "NoNewPrivileges=yes", "Slice=robowarden.slice", "Restart=always", "StartLimitIntervalSec=0"} {
			if !strings.Contains(string(b), "\n"+must) {
				t.Errorf("%s: no %s", r, must)
			}
		}
	}
}

// TestSkeletonOfTheDeployment loads the package's skeleton as the roles would.
func TestSkeletonOfTheDeployment(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "deployment.yaml")
	if err := os.WriteFile(path, deployment(t), 0o600); err != nil {
		t.Fatal(err)
	}
	d, err := config.LoadDeployment(path)
	if err != nil {
		t.Fatal(err)
	}
	if d.Users == nil || d.Users.Steward != "robowarden-steward" || d.Steward == nil || d.Courier == nil || d.Paths.ControlSocket != "/run/robowarden/control.sock" {
		t.Errorf("%+v", d)
	}
}
