package main

import (
	"fmt"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"
)

// fuzzCPU is the processors' time for which a room's parsers are fuzzed, all of its targets together;
// ROBOWARDEN_FUZZCPU changes it.
const fuzzCPU = 30 * time.Minute

// minFuzz is the shortest run of a target that is worth its start: it first tries what it found interesting before.
const minFuzz = 20 * time.Second

// fuzz runs the fuzz targets of a room one after the other, each until it has had its share of the processors' time: what
// counts is the work, also on a machine that has other work to do.
func (t *tally) fuzz(m module) {
	budget := fuzzCPU
	if v, err := time.ParseDuration(os.Getenv("ROBOWARDEN_FUZZCPU")); err == nil {
		budget = v
	}
	targets, err := fuzzTargets(m)
	if err != nil {
		t.failed++
		t.failures = append(t.failures, err.Error())
		return
	}
	for _, f := range targets {
		line, out, err := f.run(m.dir, budget/time.Duration(len(targets)))
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

// run fuzzes one target until its work is done or it fails. The fuzzer goes on with what it found interesting before.
func (f fuzzTarget) run(dir string, share time.Duration) (line, out string, err error) {
	var spent time.Duration
	var inputs int64
	for spent < share && err == nil {
		each := max(minFuzz, (share-spent)/time.Duration(runtime.GOMAXPROCS(0)))
		// Shrinking an interesting input of some kilobytes takes longer than a target's whole time, if it is not bounded.
		cmd := exec.Command("go", "test", "-run=^$", "-fuzz=^"+f.name+"$", "-fuzztime="+each.String(), "-fuzzminimizetime=20x", f.pkg) //nolint:gosec // names that go list gave
		cmd.Dir = dir
		var text []byte
		text, err = cmd.CombinedOutput()
		out = string(text)
		if err != nil && ranOut(out) {
			err = nil
		}
		inputs += lastExecs(out)
		spent += cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
	}
	return fmt.Sprintf("%s.%s: %s of the processors, %d inputs", f.pkg, f.name, spent.Round(time.Second), inputs), out, err
}

type fuzzTarget struct{ pkg, name string }

// ranOut says whether a run failed only because its time was up while it still tried what it knew, which the fuzzer calls a failure
// on a busy machine. An input that breaks the code is written down, and told.
func ranOut(out string) bool {
	return strings.Contains(out, "context deadline exceeded") && !strings.Contains(out, "Failing input") && !strings.Contains(out, "panic")
}

// fuzzTargets asks the go tool, which ends each package's list with a line that names the package.
func fuzzTargets(m module) ([]fuzzTarget, error) {
	cmd := exec.Command("go", append([]string{"test", "-list=^Fuzz"}, m.args...)...) //nolint:gosec // our own arguments
	cmd.Dir = m.dir
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("list of fuzz targets in %s: %w", m.dir, err)
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
func lastExecs(out string) int64 {
	var last int64
	for line := range strings.Lines(out) {
		if _, rest, ok := strings.Cut(line, "execs: "); ok {
			n, _, _ := strings.Cut(rest, " ")
			if v, err := strconv.ParseInt(n, 10, 64); err == nil {
				last = v
			}
		}
	}
	return last
}

// fuzzRooms groups the folders that have fuzz targets by the first two parts of their path, such as hal/rtps.
func fuzzRooms(tree, prefix string) ([]room, error) {
	groups := map[string][]string{}
	err := filepath.WalkDir(tree, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(tree, path)
		switch {
		case err != nil:
			return err
		case d.IsDir() && (rel == "test" || strings.HasPrefix(d.Name(), ".") && rel != "."):
			return fs.SkipDir
		case d.IsDir() || !strings.HasSuffix(path, "_test.go"):
			return nil
		}
		text, err := os.ReadFile(path)
		if err != nil || !strings.Contains(string(text), "\nfunc Fuzz") {
			return err
		}
		dir := filepath.Dir(rel)
		parts := strings.SplitN(dir, "/", 3)
		key := strings.Join(parts[:min(2, len(parts))], "-")
		if pkg := "./" + dir; !slices.Contains(groups[key], pkg) {
			groups[key] = append(groups[key], pkg)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("fuzz targets in %s: %w", tree, err)
	}
	var list []room
	for _, key := range slices.Sorted(maps.Keys(groups)) {
		list = append(list, room{name: roomFuzz + prefix + key, fuzz: []module{{dir: tree, args: groups[key]}}})
	}
	return list, nil
}
