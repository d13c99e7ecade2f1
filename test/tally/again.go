package main

import (
	"fmt"
	"slices"
	"strings"
)

// mostAgain bounds how many tests get a second try: where more fail, it is not the machine.
const mostAgain = 2

// again gives the tests of the rows that need the machine's clock a second try, each alone. Beside others on two processors a
// real node can be kept waiting for longer than any test's patience. The first failure stays on the screen, and the test is
// named as unsteady at the end, for somebody to mend; a test that fails alone too has failed. Tests of the product itself and
// those that compute wait for nobody, and get no second try: theirs draw inputs at random, and what one draw has found
// counts.
func (t *tally) again(all []module) {
	tests := t.secondTries(all)
	if len(tests) > mostAgain || len(t.broken) > 0 {
		return // a program that was cut short has tests that never ran
	}
	for _, name := range tests {
		pkg, test, _ := cutTest(name)
		alone := &tally{output: map[string][]string{}}
		fmt.Printf("again, alone: %s\n", name)
		alone.try(module{dir: ".", args: []string{"-tags=test", "-timeout=15m", "-run=^" + test + "$", pkg}})
		if alone.failed == 0 && alone.passed > 0 && alone.skipped == 0 {
			t.forgive(name)
		}
	}
}

// secondTries lists the top-level tests that failed, if all of them may be tried again.
func (t *tally) secondTries(all []module) []string {
	var tests []string
	for _, f := range t.failures {
		pkg, test, ok := cutTest(f)
		if !ok || !clocked(all, pkg) {
			return nil
		}
		if name := pkg + "." + test; !slices.Contains(tests, name) {
			tests = append(tests, name)
		}
	}
	return tests
}

// clocked says whether a package of the test module is in a row that needs the machine's clock.
func clocked(all []module, pkg string) bool {
	_, folder, ok := strings.Cut(pkg, "/test/")
	return ok && slices.ContainsFunc(all, func(m module) bool { return !m.aside && slices.Contains(m.args, "./"+folder) })
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
