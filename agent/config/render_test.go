package config

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode"

	"pgregory.net/rapid"
)

// report renders the problems of one text.
func report(t interface {
	Helper()
	Fatal(...any)
}, dir, text string, colour bool,
) string {
	t.Helper()
	name := filepath.Join(dir, "x.yaml")
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := Load(nil, name)
	var p *Problems
	if !errors.As(err, &p) {
		t.Fatal("accepted")
	}
	var b strings.Builder
	if err := p.Render(&b, colour); err != nil {
		t.Fatal(err)
	}
	return strings.ReplaceAll(b.String(), name, "x.yaml")
}

func TestColour(t *testing.T) {
	text := "kind: deployment\nversion: 2\n"
	if got := report(t, t.TempDir(), text, false); strings.Contains(got, "\x1b") {
		t.Error("colour although none was asked for")
	}
	got := report(t, t.TempDir(), text, true)
	if !strings.Contains(got, red+"error [wrong-version]"+plain) || strings.Count(got, "\x1b[")%2 != 0 {
		t.Errorf("no colour, or one that does not end:\n%q", got)
	}
}

// TestMarkIsBelowTheText draws a line of any length with wide and narrow letters, and finds the mark below the wrong word.
func TestMarkIsBelowTheText(t *testing.T) {
	dir := t.TempDir()
	rapid.Check(t, func(t *rapid.T) {
		before := rapid.StringMatching(`[a-zäß✓ ]{0,200}`).Draw(t, "before")
		after := rapid.StringMatching(`[a-zäß✓ ]{0,200}`).Draw(t, "after")
		text := "kind: deployment\nversion: 1\nserial: {x: '" + before + "', wrong: 1, y: '" + after + "'}\n"
		lines := strings.Split(report(t, dir, text, false), "\n")
		for i, line := range lines {
			if !strings.Contains(line, "^^^^^") || !strings.Contains(lines[i-1], "serial") && !strings.Contains(lines[i-1], "…") {
				continue
			}
			column := strings.Index(line, "^")
			shown := []rune(lines[i-1])
			// The mark for the group is at its bracket.
			if column < len(shown) && shown[column] == '{' {
				return
			}
		}
		t.Fatalf("no mark below the bracket:\n%s", strings.Join(lines, "\n"))
	})
}

// TestTerminalIsSafe lets documents carry what a terminal would obey, and finds none of it in the report.
func TestTerminalIsSafe(t *testing.T) {
	dir := t.TempDir()
	rapid.Check(t, func(t *rapid.T) {
		evil := rapid.StringOfN(rapid.RuneFrom([]rune{0x1b, 0x07, 0x9b, 0x08, '\r', 0x202e, 0x200b, 'x', ':', '\n', '"', '[', '\\', 'u', '0', '1', 'b', 0x7f, 0}), 1, 40, -1).Draw(t, "evil")
		got := report(t, dir, "kind: policy\nversion: 1\n"+evil+"\nid: \""+evil+"\"\n\"\\u001b[31m\": 1\n"+evil+": 1\n", false)
		for _, r := range got {
			if r != '\n' && r != '�' && r != '→' && !unicode.IsPrint(r) {
				t.Fatalf("U+%04X in the report:\n%q", r, got)
			}
		}
	})
}
