package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// write makes the report of a room: commit, counts, failures and seeds; and the summary of all rooms anew.
func (t *tally) write(dir, name string, elapsed time.Duration) error {
	commit, err := exec.Command("git", "rev-parse", "HEAD").Output()
	if err != nil {
		return fmt.Errorf("report: %w", err)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "# Qualification: %s\n\nWritten by `make qualify`; do not edit.\n\n", name)
	for _, f := range [][2]string{
		{"commit", "`" + strings.TrimSpace(string(commit)) + "`"},
		{"date", time.Now().UTC().Format(time.RFC3339)},
		{"duration", elapsed.Round(time.Second).String()},
		{"result", fmt.Sprintf("%d passed, %d failed, %d skipped", t.passed, t.failed, t.skipped)},
	} {
		fmt.Fprintf(&b, "- %s: %s\n", f[0], f[1])
	}
	section(&b, "Failures", t.failures)
	table(&b, t.tables)
	section(&b, "Coverage of the product's packages by their own tests", t.coverage)
	section(&b, "Fuzzing", t.fuzzed)
	section(&b, "Seeds and figures", t.seeds)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("report: %w", err)
	}
	if err := os.WriteFile(filepath.Join(dir, name+".md"), []byte(b.String()), 0o644); err != nil {
		return fmt.Errorf("report: %w", err)
	}
	return summarise(dir)
}

// summarise writes one table of all rooms' reports into the file beside their folder.
func summarise(dir string) error {
	files, err := filepath.Glob(filepath.Join(dir, "*.md"))
	if err != nil {
		return fmt.Errorf("report: %w", err)
	}
	var b strings.Builder
	b.WriteString("# Qualification\n\nWritten by `make qualify`; do not edit. Each room was run at the commit that it names.\n\n" +
		"| room | result | duration | date | commit |\n|---|---|---|---|---|\n")
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			return fmt.Errorf("report: %w", err)
		}
		room := strings.TrimSuffix(filepath.Base(f), ".md")
		fmt.Fprintf(&b, "| [%s](%s/%s.md) | %s | %s | %s | %s |\n", room, filepath.Base(dir), room,
			field(string(text), "result"), field(string(text), "duration"), field(string(text), "date"), field(string(text), "commit"))
	}
	return os.WriteFile(dir+".md", []byte(b.String()), 0o644)
}

// field is the value of one line of a report's head.
func field(text, name string) string {
	for line := range strings.Lines(text) {
		if v, ok := strings.CutPrefix(strings.TrimSpace(line), "- "+name+": "); ok {
			return v
		}
	}
	return "?"
}

// table puts down the rows that tests logged, each with "table: " before it, as they came.
func table(b *strings.Builder, rows []string) {
	if len(rows) > 0 {
		fmt.Fprintf(b, "\n## Tables\n\n%s\n", strings.Join(rows, "\n"))
	}
}

func section(b *strings.Builder, title string, lines []string) {
	if len(lines) == 0 {
		return
	}
	fmt.Fprintf(b, "\n## %s\n\n", title)
	for _, l := range lines {
		fmt.Fprintf(b, "- %s\n", l)
	}
}
