package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestParseTargets(t *testing.T) {
	const out = "FuzzA\nFuzzB\nok  \texample/one\t0.1s\n?   \texample/none\t[no test files]\nok  \texample/two\t0.2s\nFuzzC\nok  \texample/three\t0.1s\n"
	want := []fuzzTarget{{"example/one", "FuzzA"}, {"example/one", "FuzzB"}, {"example/three", "FuzzC"}}
	if diff := cmp.Diff(want, parseTargets(out), cmp.AllowUnexported(fuzzTarget{})); diff != "" {
		t.Error(diff)
	}
}

func TestLastExecs(t *testing.T) {
	const out = "fuzz: elapsed: 3s, execs: 100 (33/sec), new interesting: 1 (total: 2)\nfuzz: elapsed: 6s, execs: 250 (50/sec), new interesting: 1 (total: 2)\nPASS\n"
	if got := lastExecs(out); got != 250 {
		t.Errorf("got %d, want the last count", got)
	}
	if got := lastExecs("FAIL\n"); got != 0 {
		t.Errorf("got %d without any count", got)
	}
}

func TestTallyCountsAPackageThatDoesNotBuildOnce(t *testing.T) {
	r := newTally()
	r.take(&event{Action: "fail", Package: "p"})
	r.take(&event{Action: "fail", Package: "q", Test: "T"})
	r.take(&event{Action: "fail", Package: "q"})
	r.take(&event{Action: "pass", Package: "o", Test: "T"})
	if r.failed != 2 || r.passed != 1 {
		t.Errorf("%d failed, %d passed; want 2 and 1", r.failed, r.passed)
	}
}

func TestTallyKeepsCoverageAndSeeds(t *testing.T) {
	r := newTally()
	r.take(&event{Action: "output", Package: "p", Output: "coverage: 81.0% of statements\n"})
	r.take(&event{Action: "output", Package: "p", Test: "T", Output: "    x_test.go:1: seed 7\n"})
	if diff := cmp.Diff([]string{"p: 81.0% of statements"}, r.coverage); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"T: x_test.go:1: seed 7"}, r.seeds); diff != "" {
		t.Error(diff)
	}
}

func TestRowsOfTablesComeIntoTheReport(t *testing.T) {
	r := newTally()
	for _, line := range []string{"table: | a | b |", "table: |---|---|", "not a table: at all", "table: | 1 | 2 |"} {
		r.take(&event{Action: "output", Package: "p", Test: "T", Output: "    x_test.go:1: " + line + "\n"})
	}
	dir := t.TempDir()
	if err := r.write(dir, "room", time.Second); err != nil {
		t.Fatal(err)
	}
	report, err := os.ReadFile(filepath.Join(dir, "room.md"))
	if err != nil || !strings.Contains(string(report), "\n\n| a | b |\n|---|---|\n| 1 | 2 |\n") {
		t.Errorf("%v: the report lacks the table:\n%s", err, report)
	}
}

func TestEachRoomHasAReportAndTheSummaryNamesAll(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "rooms")
	good := &tally{passed: 3, seeds: []string{"TestA: seed 7"}}
	bad := &tally{passed: 1, failed: 1, failures: []string{"q.TestB"}}
	for name, r := range map[string]*tally{"good": good, "bad": bad} {
		if err := r.write(dir, name, 90*time.Second); err != nil {
			t.Fatal(err)
		}
	}
	summary, err := os.ReadFile(dir + ".md")
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"[good](rooms/good.md) | 3 passed, 0 failed, 0 skipped | 1m30s", "[bad](rooms/bad.md) | 1 passed, 1 failed"} {
		if !strings.Contains(string(summary), want) {
			t.Errorf("summary lacks %q:\n%s", want, summary)
		}
	}
	room, err := os.ReadFile(filepath.Join(dir, "bad.md"))
	if err != nil || !strings.Contains(string(room), "q.TestB") {
		t.Errorf("the room's report does not name its failure: %v\n%s", err, room)
	}
}

func TestRoomsThatAreNotThereAreRefused(t *testing.T) {
	all := []room{{name: "product"}, {name: "fleet"}, {name: "fuzz"}}
	got, err := pick(all, "fuzz,product")
	if err != nil || len(got) != 2 || got[0].name != "fuzz" {
		t.Errorf("picked %v, %v; want fuzz and product", got, err)
	}
	if _, err := pick(all, "fleet,flet"); err == nil || !strings.Contains(err.Error(), `"flet"`) {
		t.Errorf("got %v; want an error that names the room that is not there", err)
	}
	if got, err := pick(all, ""); err != nil || len(got) != 3 {
		t.Errorf("no names picked %v, %v; want all rooms", got, err)
	}
}

func TestEveryPackageIsRunOnce(t *testing.T) {
	packages, err := list("..")
	if err != nil {
		t.Fatal(err)
	}
	if len(packages) < 20 {
		t.Fatalf("only %d packages of this module: %q", len(packages), packages)
	}
	seen := map[string]int{}
	for _, m := range modules(packages)[1:] {
		for _, a := range m.args {
			if strings.HasPrefix(a, "./") {
				seen[a]++
			}
		}
	}
	for _, p := range packages {
		if seen[p] != 1 {
			t.Errorf("%s is run %d times", p, seen[p])
		}
		delete(seen, p)
	}
	if len(seen) > 0 {
		t.Errorf("packages that are not there: %v", seen)
	}
}

func TestWhatDrawsAtRandomGetsTheSameDrawAgain(t *testing.T) {
	for name, c := range map[string]struct{ failures, want []string }{
		"subtests count with their test": {[]string{"p.TestA/x.y/z", "p.TestA", "q.TestB"}, []string{"p.TestA", "q.TestB"}},
		"one names its seed":             {[]string{"p.TestA", "p.TestSeed"}, nil},
		"one is rapid's":                 {[]string{"p.TestRapid/x", "p.TestRapid"}, nil},
		"one repeats its draw":           {[]string{"p.TestAgain/x"}, []string{"p.TestAgain"}},
		"one has drawn twice":            {[]string{"p.TestTwice"}, nil},
		"what did not build":             {[]string{"p"}, nil},
		"nothing":                        {nil, nil},
	} {
		r := newTally()
		r.take(&event{Action: "output", Package: "p", Test: "TestSeed", Output: "    x_test.go:1: seed 7\n"})
		r.take(&event{Action: "output", Package: "p", Test: "TestRapid/x", Output: "    x_test.go:1: [rapid] failed after 3 tests\n"})
		for _, seed := range []string{"7", "8"} {
			r.take(&event{Action: "output", Package: "p", Test: "TestTwice/" + seed, Output: "seed " + seed + " (repeat with ROBOWARDEN_SEED=" + seed + ")\n"})
			r.take(&event{Action: "output", Package: "p", Test: "TestAgain", Output: "seed 9 (repeat with ROBOWARDEN_SEED=9)\n"})
		}
		if r.drawn["p.TestAgain"] != "ROBOWARDEN_SEED=9" {
			t.Errorf("the draw is repeated by %q", r.drawn["p.TestAgain"])
		}
		r.failures = c.failures
		if d := cmp.Diff(c.want, r.secondTries()); d != "" {
			t.Errorf("%s: %s", name, d)
		}
	}
}

func TestAProgramThatWasCutShortIsKnown(t *testing.T) {
	for text, want := range map[string]int{"FAIL\n": 0, "panic: test timed out\n": 1, "FAIL\tp\t2.0s\n": 1} {
		r := newTally()
		r.take(&event{Action: "fail", Package: "p", Test: "TestA"})
		r.take(&event{Action: "output", Package: "p", Output: text})
		r.take(&event{Action: "fail", Package: "p"})
		if len(r.broken) != want {
			t.Errorf("%q: %q broken, want %d", text, r.broken, want)
		}
	}
}

func TestAFailureThatPassesAloneIsCountedAndNamed(t *testing.T) {
	r := &tally{failed: 3, passed: 5, failures: []string{"p.TestA/x", "p.TestA", "p.TestB"}}
	r.forgive("p.TestA")
	if r.failed != 1 || r.passed != 7 || len(r.failures) != 1 || r.failures[0] != "p.TestB" {
		t.Errorf("%d failed, %d passed, %q left", r.failed, r.passed, r.failures)
	}
	if d := cmp.Diff([]string{"p.TestA"}, r.unsteady); d != "" {
		t.Error(d)
	}
}

func TestRanOutOfTimeIsNoFailure(t *testing.T) {
	for out, want := range map[string]bool{
		"--- FAIL: FuzzX (5.29s)\n    context deadline exceeded\nFAIL\n":                                         true,
		"--- FAIL: FuzzX (5.29s)\n    Failing input written to testdata/fuzz/FuzzX/1\ncontext deadline exceeded": false,
		"panic: context deadline exceeded":                                                                       false,
		"--- FAIL: FuzzX (5.29s)\n":                                                                              false,
	} {
		if ranOut(out) != want {
			t.Errorf("%q: %t, expected %t", out, !want, want)
		}
	}
}

func TestFuzzRoomsAreByFolder(t *testing.T) {
	list, err := fuzzRooms("../..", "")
	if err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(list, func(r room) bool { return r.name == "fuzz-hal-rtps" })
	if i < 0 {
		t.Fatalf("no room for hal/rtps among %d", len(list))
	}
	want := []string{"./hal/rtps", "./hal/rtps/reliable", "./hal/rtps/wire"}
	if diff := cmp.Diff(want, list[i].fuzz[0].args); diff != "" {
		t.Error(diff)
	}
}
