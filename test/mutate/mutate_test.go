package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestMutantsOfAKnownPackage(t *testing.T) {
	all, err := mutants("testdata/clamp", kindAny)
	if err != nil {
		t.Fatal(err)
	}
	var what []string
	for _, m := range all {
		what = append(what, m.fn+": "+m.what)
	}
	want := []string{
		"Clamp: < becomes <= at 7", "Clamp: < becomes > at 7", "Clamp: min becomes max at 9", "Half: / becomes * at 33", "Half: 2 becomes one more at 35",
	}
	if got := strings.Join(what, "\n"); got != strings.Join(want, "\n") {
		t.Errorf("mutants:\n%s\nwant:\n%s", got, strings.Join(want, "\n"))
	}
}

func TestKilledAndSurvived(t *testing.T) {
	var out bytes.Buffer
	err := run(t.Context(), options{pkg: "testdata/clamp", kind: kindAny, n: 99, seed: 1, jobs: 2, bar: 90, timeout: time.Minute}, &out)
	if err == nil || !strings.Contains(err.Error(), "expected at least 90.0 %") {
		t.Errorf("Half has no test, and yet: %v", err)
	}
	text := out.String()
	for _, line := range []string{
		"SURVIVED   clamp.go:13 Half: / becomes * at 33", "SURVIVED   clamp.go:13 Half: 2 becomes one more at 35",
		"killed     clamp.go:6 Clamp: < becomes > at 7 (TestClamp)", "killed     clamp.go:9 Clamp: min becomes max at 9 (TestClamp)",
		// v < low and v <= low give the same.
		"equivalent clamp.go:6 Clamp: < becomes <= at 7", "2 of 4 killed (50.0 %), 1 equivalent, 0 did not compile",
	} {
		if !strings.Contains(text, line) {
			t.Errorf("expected %q in:\n%s", line, text)
		}
	}
	if err := (&try{options: options{bar: 50}, out: &out, killed: 2, survived: 2}).verdict(); err != nil {
		t.Errorf("a bar of 50 %%: %v", err)
	}
}

// TestOnlyWorkRunsOutOfTime: a program that turns in a circle ends when it has had its share of the processors; one that waits does not.
func TestOnlyWorkRunsOutOfTime(t *testing.T) {
	for script, ends := range map[string]bool{"while :; do :; done": false, "sleep 2": true} {
		path := filepath.Join(t.TempDir(), "tests")
		if err := os.WriteFile(path, []byte("#!/bin/sh\n"+script+"\n"), 0o700); err != nil { //nolint:gosec // it has to run
			t.Fatal(err)
		}
		if out, err := runTests(t.Context(), ".", path, time.Second, nil); (err == nil) != ends {
			t.Errorf("%s: %v\n%s", script, err, out)
		}
	}
}

func TestTheSeedDraws(t *testing.T) {
	list := func(seed uint64) string {
		var out bytes.Buffer
		if err := run(t.Context(), options{pkg: "../../geofence", kind: kindAny, n: 20, seed: seed, list: true}, &out); err != nil {
			t.Fatal(err)
		}
		return out.String()
	}
	if one, two := list(1), list(2); one != list(1) || strings.TrimPrefix(one, "1") == strings.TrimPrefix(two, "2") {
		t.Errorf("seed 1:\n%s\nseed 2:\n%s", one, two)
	}
}

func TestEquivalentsNeedAReason(t *testing.T) {
	for _, bad := range []string{"a | b | c | d", "a | b => why", "a | b | c | d => "} {
		if _, err := equivalents(bad); err == nil {
			t.Errorf("%q was taken", bad)
		}
	}
	known, err := equivalents("# words\n\na.go | F | x < y | < becomes <= at 3 => the same\n")
	if err != nil || known["a.go | F | x < y | < becomes <= at 3"] != "the same" {
		t.Errorf("%v, %v", known, err)
	}
}

func TestTestsThatFailByThemselves(t *testing.T) {
	o := options{pkg: "testdata/clamp", kind: kindAny, n: 1, seed: 1, timeout: time.Minute, args: []string{"-test.run=[", "-no.such.flag"}}
	if err := run(t.Context(), o, &bytes.Buffer{}); err == nil || !strings.Contains(err.Error(), "without any change") {
		t.Errorf("%v", err)
	}
}

func TestAFolderWithoutCode(t *testing.T) {
	if err := run(t.Context(), options{pkg: t.TempDir(), kind: kindAny, n: 1}, &bytes.Buffer{}); err == nil || !strings.Contains(err.Error(), "-pkg") {
		t.Errorf("%v", err)
	}
}

// TestGuardClauses takes out what leaves a function early; one build serves every condition.
func TestGuardClauses(t *testing.T) {
	var out bytes.Buffer
	o := options{pkg: "testdata/doors", kind: kindGuards, seed: 1, jobs: 1, bar: 100, timeout: time.Minute}
	if err := run(t.Context(), o, &out); err == nil || !strings.Contains(err.Error(), "expected at least 100.0 %") {
		t.Errorf("Locked's case of nobody has no test, and yet: %v", err)
	}
	for _, line := range []string{
		"killed     doors.go:8 Open: the guard is left out at 3 (TestDoors)",
		"killed     doors.go:19 Locked: the case is left out at 7 (TestDoors)",
		"SURVIVED   doors.go:21 Locked: the case is left out at 7",
		"killed     doors.go:31 Named: the case is left out at 2 (TestDoors)",
		"3 of 4 killed (75.0 %), 0 equivalent, 0 did not compile",
	} {
		if !strings.Contains(out.String(), line) {
			t.Errorf("expected %q in:\n%s", line, out.String())
		}
	}
	all, err := mutants("testdata/doors", kindClauses)
	if err != nil || len(all) != 5 {
		t.Errorf("expected the four guards and one more if, found %v, %v", all, err)
	}
	if err := run(t.Context(), options{pkg: "testdata/doors", kind: "doors"}, &out); err == nil {
		t.Error("a kind that there is not was taken")
	}
}

// spin makes TestSpins go on for ever.
const spin = "MUTATE_TEST_SPINS"

func TestSpins(t *testing.T) {
	for n := 0; os.Getenv(spin) != ""; n++ {
		if n < 0 {
			t.Log(n)
		}
	}
}

// TestAMutantThatLoopsIsEnded: by the processors' time that it takes, long before the clock ends it.
func TestAMutantThatLoopsIsEnded(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	args := []string{"-test.run=^TestSpins$"}
	if out, err := runTests(t.Context(), ".", self, time.Minute, args); err != nil {
		t.Fatalf("without a loop: %v\n%s", err, out)
	}
	out, err := runTests(t.Context(), ".", self, 2*time.Second, args, spin+"=1")
	if err == nil || bytes.Contains(out, []byte("timed out")) {
		t.Errorf("%v\n%s", err, out)
	}
}
