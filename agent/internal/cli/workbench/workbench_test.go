package workbench

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/robowarden/robowarden/agent/internal/cli"
	"github.com/robowarden/robowarden/agent/replay"
)

// stationEnv makes the test binary the station with this package's commands.
const stationEnv = "WORKBENCH_TEST_STATION"

func TestMain(m *testing.M) {
	if os.Getenv(stationEnv) != "" {
		root := cli.NewRoot("robowarden-station", "the workbench alone, for the tests")
		root.AddCommand(NewReplay(), NewPolicy())
		os.Exit(cli.Main(root, os.Args[1:]))
	}
	os.Exit(m.Run())
}

const (
	demo   = "../../../../configs/demo/"
	drives = "../../../recording/testdata/"
)

// demoFlags are the demonstration's documents.
func demoFlags(more ...string) []string {
	return append([]string{"--policy", demo + "policy.yaml", "--profile", demo + "profile.yaml", "--topics", demo + "topics.yaml"}, more...)
}

func command(t testing.TB, args ...string) *exec.Cmd {
	t.Helper()
	c := exec.CommandContext(t.Context(), os.Args[0], args...)
	c.Env = append(os.Environ(), stationEnv+"=1")
	c.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	return c
}

// station runs a command and returns what it wrote and its exit code.
func station(t testing.TB, args ...string) (out, said string, code int) {
	t.Helper()
	c := command(t, args...)
	var o, e bytes.Buffer
	c.Stdout, c.Stderr = &o, &e
	err := c.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return o.String(), e.String(), c.ProcessState.ExitCode()
}

// TestReplayAnswers asks for each form of the answer.
func TestReplayAnswers(t *testing.T) {
	page := filepath.Join(t.TempDir(), "report.html")
	out, said, code := station(t, append([]string{"replay", drives + "drive-lz4.bag", "--html", page}, demoFlags()...)...)
	if code != 0 || said != "report written to "+page+"\n" {
		t.Fatalf("exit %d, said %q", code, said)
	}
	for _, want := range []string{"\ntimeline\n", "\ntime to stop\n", "\nsummary\n", "\nassumed\n", "zone.overrun [ward-a-closed]", "m from the edge", "s restricted"} {
		if !strings.Contains(out, want) {
			t.Errorf("the answer lacks %q:\n%s", want, out)
		}
	}
	if raw, err := os.ReadFile(page); err != nil || !bytes.HasPrefix(raw, []byte("<!")) {
		t.Errorf("the report: %v, %.20q", err, raw)
	}
	out, _, code = station(t, append([]string{"replay", drives + "drive-lz4.bag", "--json", "--against", demo + "policy.yaml"}, demoFlags()...)...)
	var r replay.Report
	d := json.NewDecoder(strings.NewReader(out))
	d.DisallowUnknownFields()
	if err := d.Decode(&r); err != nil || code != 0 {
		t.Fatalf("exit %d, %v", code, err)
	}
	if r.Version != 1 || r.Events == 0 || len(r.Digest) != 16 || len(r.Timeline.Entries) == 0 || r.Against == nil || len(r.Against.Added)+len(r.Against.Removed) != 0 {
		t.Errorf("%+v", r)
	}
}

// TestReplayRefuses looks at exit codes and words where there is nothing to replay, or not the whole.
func TestReplayRefuses(t *testing.T) {
	raw, err := os.ReadFile(drives + "drive-none.bag")
	if err != nil {
		t.Fatal(err)
	}
	cut := filepath.Join(t.TempDir(), "cut.bag")
	if err := os.WriteFile(cut, raw[:len(raw)*2/3], 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		args  []string
		code  int
		says  string
		plain bool
	}{
		{[]string{"replay"}, 2, "requires at least 1 arg", false},
		{[]string{"replay", drives + "drive-none.bag"}, 2, "expected --policy and --profile", false},
		{append([]string{"replay", "missing.bag"}, demoFlags()...), 1, "no such file", false},
		{append([]string{"replay", demo + "policy.yaml"}, demoFlags()...), 1, "not a recording", false},
		{append([]string{"replay", drives + "drive-none.bag", "--robot", "nobody"}, demoFlags()...), 1, `does not list robot "nobody"`, false},
		{[]string{"replay", drives + "drive-none.bag", "--policy", demo + "topics.yaml", "--profile", demo + "profile.yaml"}, 2, "expected a document of kind policy", false},
		{append([]string{"replay", cut}, demoFlags()...), 1, "NOT THE WHOLE RECORDING", true},
		{append([]string{"replay", drives + "drive-none.bag", "--journal", "x"}, demoFlags()...), 2, "expected one recording, --journal", false},
		{[]string{"replay", drives + "drive-none.bag", "--journal", "x"}, 2, "expected --documents", false},
		{[]string{"replay", drives + "drive-none.bag", "--journal", "x", "--documents", "y"}, 1, "x", false},
		{[]string{"policy", "lint"}, 2, "expected --policy, --profile", false},
		{append([]string{"policy", "lint"}, demoFlags()...), 0, "0 found", true},
		{[]string{"policy", "diff", demo + "policy.yaml", demo + "policy.yaml"}, 0, "nothing changes", true},
	} {
		out, said, code := station(t, c.args...)
		if c.plain {
			said = out
		}
		if code != c.code || !strings.Contains(said, c.says) {
			t.Errorf("%q: exit %d, expected %d; said %q, expected %q", c.args, code, c.code, said, c.says)
		}
	}
}
