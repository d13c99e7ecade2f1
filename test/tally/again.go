package main

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// mostAgain bounds how many tests get a second try: where more fail, it is not the machine.
const mostAgain = 3

// repeatable finds how a test that draws at random says that its draw is repeated.
var repeatable = regexp.MustCompile(`repeat with (ROBOWARDEN_SEED=\d+)`)

// again gives tests that failed a second try, each alone. Beside others on two processors a real node, or a clock, can be kept
// waiting for longer than any test's patience. The first failure stays on the screen, and the test is named as unsteady at
// the end, for somebody to mend; a test that fails alone too has failed. A test that draws at random gets the same draw again,
// or no second try if it cannot repeat it: what one draw has found counts.
func (t *tally) again() {
	tests := t.secondTries()
	if len(tests) > mostAgain || len(t.broken) > 0 {
		return // a program that was cut short has tests that never ran
	}
	for _, name := range tests {
		pkg, test, _ := cutTest(name)
		m := module{dir: "..", args: []string{"-timeout=15m", "-run=^" + test + "$", pkg}}
		if strings.Contains(pkg, "/test/") {
			m.dir, m.args = ".", append([]string{"-tags=test"}, m.args...)
		}
		if seed := t.drawn[name]; seed != "" {
			m.env = []string{seed}
		}
		alone := newTally()
		fmt.Printf("again, alone: %s\n", name)
		alone.try(m)
		if alone.failed == 0 && alone.passed > 0 && alone.skipped == 0 {
			t.forgive(name)
		}
	}
}

// secondTries lists the top-level tests that failed, if all of them may be tried again.
func (t *tally) secondTries() []string {
	var tests []string
	for _, f := range t.failures {
		pkg, test, ok := cutTest(f)
		name := pkg + "." + test
		if seed, drawn := t.drawn[name]; !ok || drawn && seed == "" {
			return nil
		}
		if !slices.Contains(tests, name) {
			tests = append(tests, name)
		}
	}
	return tests
}

// draw notes when a line of a test's output tells that its inputs were drawn at random, and how the draw is repeated.
func (t *tally) draw(pkg, test, line string) {
	if !strings.Contains(line, "seed") && !strings.Contains(line, "[rapid]") {
		return
	}
	pkg, test, _ = cutTest(pkg + "." + test)
	name := pkg + "." + test
	seed := ""
	if m := repeatable.FindStringSubmatch(line); m != nil {
		seed = m[1]
	}
	if before, drawn := t.drawn[name]; drawn && before != seed {
		seed = "" // more than one draw
	}
	t.drawn[name] = seed
}

// cutTest splits the name of a failure into its package and its top-level test; what is no test has no name of one.
func cutTest(failure string) (pkg, test string, ok bool) {
	i := strings.Index(failure, ".Test")
	if i < 0 {
		return failure, "", false
	}
	test, _, _ = strings.Cut(failure[i+1:], "/") // without the subtest
	return failure[:i], test, true
}

// forgive counts a test and its subtests as passed, and keeps its name.
func (t *tally) forgive(name string) {
	t.failures = slices.DeleteFunc(t.failures, func(f string) bool {
		pkg, test, _ := cutTest(f)
		if pkg+"."+test != name {
			return false
		}
		t.failed--
		t.passed++
		return true
	})
	t.unsteady = append(t.unsteady, name)
}
