package answer

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
)

// TestFromStatus: an order is bound to the run of the robot that it is for, or not made.
func TestFromStatus(t *testing.T) {
	const status = `"robot": "maker/serial-7", "boot_id": "5f0c3a52-9a3e-4f0e-8f1b-1d2c3b4a5968", "nonce": "0f0e0d0c0b0a09080706050403020100"`
	for name, c := range map[string]struct {
		text     string
		audience []string
		fault    string
	}{
		"a status":                            {`{` + status + `}`, nil, ""},
		"a state message":                     {`{"robot": "maker/serial-7", "guard": {` + status + `}}`, nil, ""},
		"a state message, the guard not told": {`{"robot": "maker/serial-7", "guard": null}`, nil, "expected the keys"},
		"for this robot":                      {`{` + status + `}`, []string{"maker/serial-7"}, ""},
		"for another robot":                   {`{` + status + `}`, []string{"maker/serial-8"}, "of this robot alone"},
		"for two robots":                      {`{` + status + `}`, []string{"maker/serial-7", "maker/serial-8"}, "of this robot alone"},
		"a group":                             {strings.Replace(`{`+status+`}`, "maker/serial-7", "group:night", 1), nil, "expected the keys"},
		"everybody":                           {strings.Replace(`{`+status+`}`, "maker/serial-7", "*", 1), nil, "expected the keys"},
		"no nonce":                            {`{"robot": "maker/serial-7", "boot_id": "x"}`, nil, "expected the keys"},
		"both shapes":                         {`{` + status + `, "guard": {` + status + `}}`, nil, "found both"},
		"two robots":                          {`{"robot": "maker/serial-8", "guard": {` + status + `}}`, nil, "found both"},
		"no JSON":                             {`robot`, nil, "invalid character"},
		"too much":                            {`{` + status + strings.Repeat(" ", maxStatus) + `}`, nil, "has more than"},
	} {
		r := Run{status: filepath.Join(t.TempDir(), "robot.json")}
		if err := os.WriteFile(r.status, []byte(c.text), 0o600); err != nil {
			t.Fatal(err)
		}
		audience := c.audience
		b, err := r.Read(&audience)
		if c.fault != "" {
			if err == nil || !strings.Contains(err.Error(), c.fault) {
				t.Errorf("%s: %v, expected %q", name, err, c.fault)
			}
			continue
		}
		if err != nil || b.Nonce != "0f0e0d0c0b0a09080706050403020100" || !slices.Equal(audience, []string{"maker/serial-7"}) {
			t.Errorf("%s: %+v for %q, %v", name, b, audience, err)
		}
	}
	pipe := Run{status: filepath.Join(t.TempDir(), "pipe")}
	if err := syscall.Mkfifo(pipe.status, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := pipe.Read(new([]string)); err == nil || !strings.Contains(err.Error(), "regular file") {
		t.Errorf("a pipe: %v", err)
	}
}
