package contract

import (
	"fmt"
	"os"
	"strings"
	"testing"
)

// TestFormatNamesEverything compares FORMAT.md with the code: every frame with its keys, and every failure.
func TestFormatNamesEverything(t *testing.T) {
	raw, err := os.ReadFile("FORMAT.md")
	if err != nil {
		t.Fatal(err)
	}
	doc := string(raw)
	row := func(typ byte) string {
		for line := range strings.Lines(doc) {
			if strings.HasPrefix(line, fmt.Sprintf("| `%c` |", typ)) && strings.Count(line, "|") == 6 {
				return line
			}
		}
		return ""
	}
	frames := 0
	for i := range 256 {
		typ := byte(i)
		if _, ok := MaxBody(typ); ok {
			frames++
			if row(typ) == "" {
				t.Errorf("frame %q has no row", typ)
			}
		}
	}
	if frames != 18 {
		t.Errorf("%d types of frames, expected 18", frames)
	}
	for _, b := range bodies() {
		f, err := New(0, b)
		if err != nil {
			t.Fatal(err)
		}
		for _, key := range strings.FieldsFunc(string(f.Body), func(r rune) bool { return !strings.ContainsRune("abcdefghijklmnopqrstuvwxyz_256\"", r) }) {
			if name, ok := strings.CutPrefix(key, "\""); ok && strings.Contains(string(f.Body), key+":") && strings.HasSuffix(name, "\"") {
				if name = strings.TrimSuffix(name, "\""); name != "estop" && !strings.Contains(row(f.Type), "`"+name+"`") {
					t.Errorf("frame %q: key %q is not in its row", f.Type, name)
				}
			}
		}
	}
	for _, code := range []string{FailureVersion, FailureNotYours, FailureMalformed, FailureBusy, FailureReplaced, FailureFlood} {
		if !strings.Contains(doc, "| `"+code+"` |") {
			t.Errorf("failure %q has no row", code)
		}
	}
}
