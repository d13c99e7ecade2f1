package zones

import (
	"bytes"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/robowarden/robowarden/agent/internal/cli"
)

var update = flag.Bool("update", false, "write the expected outputs anew")

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"robowarden-station": func() {
		root := cli.NewRoot("robowarden-station", "zones alone, for the tests")
		root.AddCommand(New(), NewExplain())
		os.Exit(cli.Main(root, os.Args[1:]))
	}})
}

func TestScripts(t *testing.T) {
	configs, err := filepath.Abs("../../../../configs")
	if err != nil {
		t.Fatal(err)
	}
	testscript.Run(t, testscript.Params{
		Dir:           "testdata",
		UpdateScripts: *update,
		Setup: func(env *testscript.Env) error {
			env.Setenv("CONFIGS", configs)
			return nil
		},
	})
}

func TestMoment(t *testing.T) {
	zone := time.FixedZone("UTC+1", 3600)
	if at, note, err := moment("at", "2026-11-02T08:30", zone); err != nil || note != "" || at.UTC().Hour() != 7 {
		t.Errorf("%v %q %v", at, note, err)
	}
	for _, bad := range []string{"", "now", "2026-11-02", "2026-13-02T08:30", "2026-11-02T08:30:00+99:00", "08:30"} {
		if _, _, err := moment("at", bad, zone); err == nil {
			t.Errorf("%q was taken", bad)
		}
	}
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Skip("no time zones here; the scripts use the embedded ones")
	}
	if _, _, err := moment("at", "2027-03-28T02:30", berlin); err == nil {
		t.Error("a time that the clock skips was taken")
	}
	at, note, err := moment("at", "2026-10-25T02:30", berlin)
	if err != nil || note == "" || at.UTC().Format("15:04") != "00:30" {
		t.Errorf("%v %q %v", at, note, err)
	}
}

// TestTranscriptInTheDocs keeps the answer that docs/policy.md shows what the program says.
func TestTranscriptInTheDocs(t *testing.T) {
	const root = "../../../.."
	doc, err := os.ReadFile(filepath.Join(root, "docs", "policy.md"))
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	cmd := NewExplain()
	cmd.SilenceErrors, cmd.SilenceUsage = true, true
	cmd.SetOut(&out)
	cmd.SetArgs([]string{
		"--policy", filepath.Join(root, "configs/demo/policy.yaml"), "--profile", filepath.Join(root, "configs/demo/profile.yaml"),
		"--at", "10,12.5,0,1.5708", "--floor", "ground", "--time", "2026-11-02T22:00", "--robot", "demo-humanoid-01", "--speed", "0.8,0,0",
	})
	if err := cmd.Execute(); !errors.Is(err, cli.ErrNo) {
		t.Fatalf("%v, expected a denial", err)
	}
	if !bytes.Contains(doc, out.Bytes()) {
		t.Errorf("docs/policy.md shows another answer than:\n%s", out.Bytes())
	}
}
