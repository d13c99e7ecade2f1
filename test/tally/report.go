package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// write makes the report of the long tests: commit, counts, failures and seeds, by machine.
func (t *tally) write(path string, elapsed time.Duration) error {
	commit, err := exec.Command("git", "rev-parse", "HEAD").Output()
	if err != nil {
		return fmt.Errorf("report: %w", err)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "# Qualification\n\nWritten by `make qualify`; do not edit.\n\n")
	fmt.Fprintf(&b, "- commit: `%s`\n- date: %s\n- duration: %s\n- result: %d passed, %d failed, %d skipped\n",
		strings.TrimSpace(string(commit)), time.Now().UTC().Format(time.RFC3339), elapsed.Round(time.Second), t.passed, t.failed, t.skipped)
	section(&b, "Failures", t.failures)
	section(&b, "Coverage of the product's packages by their own tests", t.coverage)
	section(&b, "Fuzzing", t.fuzzed)
	section(&b, "Seeds and figures", t.seeds)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return fmt.Errorf("report: %w", err)
	}
	return os.WriteFile(path, []byte(b.String()), 0o644)
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
