package courier

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/robowarden/robowarden/attest/evidence"
)

func TestDebugInterfaces(t *testing.T) {
	const (
		console  = "sys/devices/virtual/tty/console/active"
		kgdb     = "sys/module/kgdboc/parameters/kgdboc"
		lockdown = "sys/kernel/security/lockdown"
		ptrace   = "proc/sys/kernel/yama/ptrace_scope"
		mounts   = "proc/self/mountinfo"

		mount   = "99 24 0:44 / /var/lib/containers/overlay/0123456789abcdef/merged rw,relatime - overlay overlay rw,lowerdir=/a\n"
		debugfs = "30 24 0:7 / /sys/kernel/debug rw - debugfs debugfs rw\n"
	)
	tight := map[string]string{console: "tty0\n", kgdb: "\n", lockdown: "none [integrity] confidentiality\n", ptrace: "1\n", mounts: "24 1 8:1 / / rw - ext4 /dev/sda rw\n"}
	for name, c := range map[string]struct {
		change map[string]string // "" removes, "DIR" makes the file unreadable.
		want   []string
	}{
		"tight":            {nil, []string{}},
		"confidentiality":  {map[string]string{lockdown: "none integrity [confidentiality]\n"}, []string{}},
		"serial console":   {map[string]string{console: "tty0 ttyAMA0 ttyS1 hvc0\n"}, []string{"console-hvc0", "console-ttyama0", "console-ttys1"}},
		"kgdb":             {map[string]string{kgdb: "ttyS0,115200\n"}, []string{"kgdb"}},
		"no lockdown":      {map[string]string{lockdown: "[none] integrity confidentiality\n"}, []string{"lockdown-none"}},
		"kernel without":   {map[string]string{lockdown: "", ptrace: "", kgdb: "", console: ""}, []string{"lockdown-none", "ptrace"}},
		"ptrace":           {map[string]string{ptrace: "0\n"}, []string{"ptrace"}},
		"debugfs":          {map[string]string{mounts: debugfs}, []string{"debugfs"}},
		"many mounts":      {map[string]string{mounts: strings.Repeat(mount, 1000) + debugfs}, []string{"debugfs"}},
		"too many mounts":  {map[string]string{mounts: strings.Repeat(mount, maxKernelFile/len(mount)+1) + debugfs}, []string{"debugfs-unknown"}},
		"nothing readable": {map[string]string{console: "DIR", kgdb: "DIR", lockdown: "DIR", ptrace: "DIR", mounts: "DIR"}, []string{"console-unknown", "debugfs-unknown", "kgdb-unknown", "lockdown-unknown", "ptrace-unknown"}},
		"many consoles":    {map[string]string{console: strings.Repeat("ttyS", 1) + "0 " + manyConsoles()}, nil},
	} {
		root := t.TempDir()
		for path, text := range tight {
			if changed, ok := c.change[path]; ok {
				text = changed
			}
			full := filepath.Join(root, path)
			if err := os.MkdirAll(filepath.Dir(full), 0o700); err != nil {
				t.Fatal(err)
			}
			var err error
			switch text {
			case "":
			case "DIR": // What can be opened and not read.
				err = os.Mkdir(full, 0o700)
			default:
				err = os.WriteFile(full, []byte(text), 0o600)
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		got := kernelFiles(root).debug()
		if c.want != nil && !slices.Equal(got, c.want) {
			t.Errorf("%s: %q, expected %q", name, got, c.want)
		}
		if claims := (&evidence.Claims{Debug: got}); got == nil || !claims.ArtifactsFit() {
			t.Errorf("%s: %q is no claim", name, got)
		}
	}
	if k := kernelFiles(t.TempDir()); k.commandLine() != "" {
		t.Error("a digest of no command line")
	}
}

func manyConsoles() string {
	var names []string
	for i := range 40 {
		names = append(names, "ttyS"+string(rune('a'+i%26))+string(rune('a'+i/26)))
	}
	return strings.Join(names, " ")
}

func TestArtifactsOfTheStatus(t *testing.T) {
	one, two := strings.Repeat("1", 64), strings.Repeat("2", 64)
	for text, want := range map[string][]evidence.Artifact{
		`{}`: nil,
		`{"content":[{"name":"b","sha256":"` + one + `"},{"name":"a","sha256":"` + two + `"}]}`: {{Name: "a", SHA256: two}, {Name: "b", SHA256: one}},
		`{"content":[{"name":"a","sha256":"` + one + `"},{"name":"b","sha256":"` + one + `"}],"release":{"svn":7,"artifacts":[{"name":"a","sha256":"` + one + `"},{"name":"b","sha256":"` + two + `"}]}}`: {
			{Name: "a", SHA256: one, SVN: 7}, {Name: "b", SHA256: one},
		},
		`{"content":[{"name":"d","why":"no slot is active"},{"name":"A","sha256":"` + one + `"},{"name":"a","sha256":"11"},{"name":"c","sha256":"` + one + `"},{"name":"c","sha256":"` + two + `"}]}`: {{Name: "c", SHA256: one}},
	} {
		var s status
		if err := json.Unmarshal([]byte(text), &s); err != nil {
			t.Fatal(err)
		}
		if got := s.content(); !slices.Equal(got, want) {
			t.Errorf("%s: %v, expected %v", text, got, want)
		}
	}
}
