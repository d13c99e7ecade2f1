package machine

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/robowarden/robowarden/test/internal/need"
)

// made is what all machines of this package are made of, or why there are none.
var made struct {
	Parts   Parts
	Problem string
}

// TestMain makes the parts where there is a way to the mirror, and then runs the tests in a network of their own.
func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	note, inside := Inside()
	if inside {
		err := json.Unmarshal([]byte(note), &made)
		if err == nil && made.Problem == "" {
			err = Wire()
		}
		if err != nil {
			made.Problem = err.Error()
		}
		return m.Run()
	}
	var err error
	if made.Parts, err = Build(); err != nil {
		made.Problem = err.Error()
	}
	out, err := json.Marshal(made)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 2
	}
	code, err := Enter(string(out))
	if err != nil {
		// Without that network the tests run here, if only to say why they cannot.
		made.Problem = errors.Join(errors.New(made.Problem), err).Error()
		return m.Run()
	}
	return code
}

// able skips the test where the host lacks something, and fails it where something of ours does not build.
func able(t testing.TB) {
	t.Helper()
	switch {
	case made.Problem == "":
	case strings.Contains(made.Problem, ErrMissing.Error()):
		need.Missing(t, "%s", made.Problem)
	default:
		t.Fatal(made.Problem)
	}
}
