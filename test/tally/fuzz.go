package main

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"time"
)

// fuzzTime is how long each parser is fuzzed in make qualify; ROBOWARDEN_FUZZTIME changes it.
const fuzzTime = "60s"

// fuzz runs every fuzz target of a module, one after the other: each takes all cores by itself.
func (t *tally) fuzz(dir string) {
	each := fuzzTime
	if v := os.Getenv("ROBOWARDEN_FUZZTIME"); v != "" {
		each = v
	}
	targets, err := fuzzTargets(dir)
	if err != nil {
		t.failed++
		t.failures = append(t.failures, err.Error())
		return
	}
	for _, f := range targets {
		start := time.Now()
		// Shrinking an interesting input of some kilobytes takes longer than a target's whole time, if it is not bounded.
		cmd := exec.Command("go", "test", "-run=^$", "-fuzz=^"+f.name+"$", "-fuzztime="+each, "-fuzzminimizetime=20x", f.pkg) //nolint:gosec // names that go list gave
		cmd.Dir = dir
		out, err := cmd.CombinedOutput()
		line := fmt.Sprintf("%s.%s: %s, %s", f.pkg, f.name, time.Since(start).Round(time.Second), lastExecs(string(out)))
		if err != nil {
			t.failed++
			t.failures = append(t.failures, f.pkg+"."+f.name)
			fmt.Printf("--- FAIL %s.%s\n%s", f.pkg, f.name, out)
			line += ", FAILED"
		} else {
			t.passed++
		}
		fmt.Println("fuzz", line)
		t.fuzzed = append(t.fuzzed, line)
	}
}

type fuzzTarget struct{ pkg, name string }

// fuzzTargets asks the go tool, which ends each package's list with a line that names the package.
func fuzzTargets(dir string) ([]fuzzTarget, error) {
	cmd := exec.Command("go", "test", "-list=^Fuzz", "./...")
	cmd.Dir = dir
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("list of fuzz targets in %s: %w", dir, err)
	}
	return parseTargets(string(out)), nil
}

func parseTargets(out string) []fuzzTarget {
	var targets []fuzzTarget
	var names []string
	for line := range strings.Lines(out) {
		fields := strings.Fields(line)
		switch {
		case len(fields) == 1 && strings.HasPrefix(fields[0], "Fuzz"):
			names = append(names, fields[0])
		case len(fields) >= 2 && fields[0] == "ok":
			for _, n := range names {
				targets = append(targets, fuzzTarget{fields[1], n})
			}
			names = nil
		}
	}
	return targets
}

// lastExecs is how many inputs the fuzzer says that it tried.
func lastExecs(out string) string {
	last := "no count"
	for line := range strings.Lines(out) {
		if _, rest, ok := strings.Cut(line, "execs: "); ok {
			n, _, _ := strings.Cut(rest, " ")
			last = n + " inputs"
		}
	}
	return last
}
