package machine

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/robowarden/robowarden/test/internal/need"
)

// parts are what all machines of this package are made of.
var parts Parts

// TestMain makes the parts where there is a way to the mirror, and then runs the tests in a network of their own.
func TestMain(m *testing.M) {
	flag.Parse()
	problem, inside := Inside()
	if !inside {
		_, err := Build()
		code, eerr := Enter(err)
		if eerr != nil {
			// Without that network the tests run here, if only to say why they cannot.
			must2(os.Setenv(insideEnv, errors.Join(err, eerr).Error()))
			os.Exit(m.Run())
		}
		os.Exit(code)
	}
	if problem == "" {
		err := Wire()
		if err == nil {
			parts, err = Build()
		}
		if err != nil {
			must2(os.Setenv(insideEnv, err.Error()))
		}
	}
	os.Exit(m.Run())
}

func must2(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
}

// able skips the test where the host lacks something, and fails it where something of ours does not build.
func able(t testing.TB) {
	t.Helper()
	problem, _ := Inside()
	switch {
	case problem == "":
	case strings.Contains(problem, ErrMissing.Error()):
		need.Missing(t, "%s", problem)
	default:
		t.Fatal(problem)
	}
}
