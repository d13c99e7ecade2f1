package check

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

var update = flag.Bool("update", false, "write the expected outputs anew")

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"robowarden": func() { os.Exit(run()) }})
}

// run is what the program's main does around the subcommand.
func run() int {
	if len(os.Args) < 2 || os.Args[1] != "check" {
		fmt.Fprintln(os.Stderr, "usage: robowarden check FILE…")
		return 2
	}
	cmd := New(nil, nil)
	cmd.SetArgs(os.Args[2:])
	switch err := cmd.Execute(); {
	case err == nil:
		return 0
	case errors.Is(err, ErrRefused):
		return 1
	default:
		fmt.Fprintln(os.Stderr, "robowarden check:", err)
		return 2
	}
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
