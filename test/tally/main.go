// Command tally runs the tests of both modules and counts them; it never hides a failure behind a number.
//
// It prints one line per package as it ends, the output of every test that failed, the reason of every test that was
// skipped, and last of all one plain line: "N passed, N failed, N skipped". With REQUIRE_ALL=1 in the environment a
// skipped test is a failed one.
package main

import (
	"bufio"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"sort"
	"strings"
	"sync"
)

// event is one line of `go test -json`.
type event struct {
	Action, Package, Test, Output string
	Elapsed                       float64
	FailedBuild, ImportPath       string
}

// tally gathers the results of all runs. The lock is for runs at the same time.
type tally struct {
	sync.Mutex

	passed, failed, skipped int
	requireAll              bool
	output                  map[string][]string
	slow                    []line
	failures                []string
	unsteady                []string          // failed beside others, passed alone
	broken                  []string          // packages that ended before all of their tests had run
	drawn                   map[string]string // of top-level tests with random inputs: how the draw is repeated, "" if it is not
	seeds                   []string
	coverage                []string
	tables                  []string
	fuzzed                  []string
}

func newTally() *tally { return &tally{output: map[string][]string{}, drawn: map[string]string{}} }

type line struct {
	name    string
	seconds float64
}

// module is a tree of packages that one `go test` runs.
type module struct {
	dir   string
	args  []string
	aside bool // gives way to the others
	env   []string
}

func main() {
	qualify := flag.Bool("qualify", false, "run the long tests, room by room")
	only := flag.String("rooms", "", "with -qualify: the rooms to run, separated by commas; empty runs all")
	report := flag.String("report", "", "with -qualify: the folder for a Markdown report of each room, and for the summary beside it")
	flag.Parse()
	t := newTally()
	t.requireAll = os.Getenv("REQUIRE_ALL") == "1"
	if *qualify {
		t.qualify(*only, *report)
	} else {
		packages, err := list(".")
		if err != nil {
			fmt.Fprintln(os.Stderr, "tally:", err)
			os.Exit(1)
		}
		t.lanes(modules(packages))
		t.again()
	}
	t.slowest()
	for _, name := range t.unsteady {
		fmt.Printf("unsteady: %s failed beside others and passed alone\n", name)
	}
	if t.requireAll && t.skipped > 0 {
		fmt.Printf("REQUIRE_ALL=1: %d skipped tests count as failed\n", t.skipped)
		t.failed += t.skipped
		t.skipped = 0
	}
	fmt.Printf("%d passed, %d failed, %d skipped\n", t.passed, t.failed, t.skipped)
	if t.failed > 0 || t.passed == 0 {
		os.Exit(1)
	}
}

// heavy are the packages of the test module that need the machine for themselves: robots that drive, peers that send a
// thousand times a second, and emulated computers.
var heavy = []string{"./dds", "./e2e", "./machine", "./units"}

// computing are those that wait for nobody: geometry, robots in virtual time, mutants.
var computing = []string{"./geos", "./mutate", "./oracle", "./pack", "./simulate", "./tally", "./attestation"}

// modules lists what a short run runs. The heavy packages of the test module use real nodes and the machine's clock, so they
// run one after the other; of the light ones, which wait for most of their time, two run at a time. Beside both, in what they
// leave of the processors, run the product's own tests and those that compute.
func modules(packages []string) []module {
	setTier("test")
	// The time limit is for what hangs: go test then says where. The tier's budget is watched by the list of the slowest.
	// What takes minutes by its nature stands behind the tag qualify, so that a short run skips nothing.
	// A robot that is started, driven and stopped waits for two thirds of its time. With four at a time, and what runs beside
	// them, guards were late and one robot came into a zone.
	const tag, timeout, parallel = "-tags=test", "-timeout=15m", "-parallel=3"
	light := slices.DeleteFunc(slices.Clone(packages), func(p string) bool {
		return slices.Contains(heavy, p) || slices.Contains(computing, p)
	})
	return []module{
		{dir: "..", args: []string{"-p=2", timeout, "./..."}, aside: true},
		{dir: ".", args: append([]string{tag, "-p=1", timeout, parallel}, computing...), aside: true},
		{dir: ".", args: append([]string{tag, "-p=2", timeout, parallel}, light...), aside: false},
		{dir: ".", args: append([]string{tag, "-p=1", timeout, parallel}, heavy...), aside: false},
	}
}

// lanes runs the modules in two rows at the same time: those that need the machine's clock, and those that take what is left.
func (t *tally) lanes(all []module) {
	var rows sync.WaitGroup
	for _, aside := range []bool{false, true} {
		rows.Go(func() {
			for _, m := range all {
				if m.aside == aside {
					t.try(m)
				}
			}
		})
	}
	rows.Wait()
}

// list names the packages of the module in a folder as paths below it.
func list(dir string) ([]string, error) {
	cmd := exec.Command("go", "list", "./...")
	cmd.Dir = dir
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("go list: %w", err)
	}
	var all []string
	for name := range strings.FieldsSeq(string(out)) {
		_, path, ok := strings.Cut(name, "/test/")
		if ok {
			all = append(all, "./"+path)
		}
	}
	return all, nil
}

func setTier(tier string) {
	if err := os.Setenv("ROBOWARDEN_TIER", tier); err != nil {
		fmt.Fprintln(os.Stderr, "tally:", err)
	}
}

// try runs a module; what keeps it from running counts as a failure.
func (t *tally) try(m module) {
	if err := t.run(m); err != nil {
		fmt.Fprintln(os.Stderr, "tally:", err)
		t.Lock()
		defer t.Unlock()
		t.failed++
		t.failures = append(t.failures, err.Error())
	}
}

func (t *tally) run(m module) error {
	args := append([]string{"go", "test", "-json", "-count=1"}, m.args...)
	if m.aside {
		// A tenth of a processor at least: tests that wait for a program to start must not wait for ever.
		args = append([]string{"nice", "-n", "10"}, args...)
	}
	cmd := exec.Command(args[0], args[1:]...) //nolint:gosec // our own arguments
	cmd.Dir = m.dir
	cmd.Env = append(os.Environ(), m.env...)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	t.read(out)
	// A failing test makes go test fail as well; that is counted already, other failures are not.
	err = cmd.Wait()
	t.Lock()
	defer t.Unlock()
	if err != nil && t.failed == 0 {
		return fmt.Errorf("go test in %s: %w", m.dir, err)
	}
	return nil
}

func (t *tally) read(r io.Reader) {
	s := bufio.NewScanner(r)
	s.Buffer(make([]byte, 1<<20), 64<<20)
	for s.Scan() {
		var e event
		if json.Unmarshal(s.Bytes(), &e) != nil {
			fmt.Println(s.Text())
			continue
		}
		t.take(&e)
	}
}

func (t *tally) take(e *event) {
	t.Lock()
	defer t.Unlock()
	key := e.Package + "." + e.Test
	switch e.Action {
	case "output", "build-output":
		if e.Action == "build-output" {
			fmt.Print(e.Output)
		}
		t.output[key] = append(t.output[key], e.Output)
		t.keep(e)
		return
	case "pass", "fail", "skip":
	default:
		return
	}
	defer delete(t.output, key)
	if e.Test == "" {
		t.endPackage(e, key)
		return
	}
	t.slow = append(t.slow, line{key, e.Elapsed})
	switch e.Action {
	case "pass":
		t.passed++
	case "fail":
		t.failed++
		t.failures = append(t.failures, key)
		fmt.Printf("--- FAIL %s\n%s", key, strings.Join(t.output[key], ""))
	case "skip":
		t.skipped++
		fmt.Printf("--- SKIP %s\n%s", key, strings.Join(t.output[key], ""))
	}
}

// keep picks out of the output what a report needs.
func (t *tally) keep(e *event) {
	text := strings.TrimSpace(e.Output)
	t.draw(e.Package, e.Test, text)
	if strings.Contains(text, "seed") || strings.Contains(text, "figures: ") {
		t.seeds = append(t.seeds, e.Test+": "+text)
	}
	if _, row, ok := strings.Cut(text, "table: "); ok && strings.HasPrefix(row, "|") {
		t.tables = append(t.tables, row)
	}
	if part, ok := strings.CutPrefix(text, "coverage: "); ok && e.Test == "" {
		t.coverage = append(t.coverage, e.Package+": "+part)
	}
}

// endPackage prints a package's own line. A package can fail without a failing test: it does not build, or it panicked.
func (t *tally) endPackage(e *event, key string) {
	fmt.Printf("%-4s %6.1f s  %s\n", e.Action, e.Elapsed, e.Package)
	if e.Action == "fail" {
		text := strings.Join(t.output[key], "")
		if !slices.Contains(t.output[key], "FAIL\n") { // the verdict of a program that ran to its end
			t.broken = append(t.broken, e.Package)
		}
		if !strings.Contains(strings.Join(t.failures, " "), e.Package+".") {
			t.failed++
			t.failures = append(t.failures, e.Package)
			fmt.Print(text)
			t.unfinished(e.Package)
		}
	}
}

// unfinished prints what the tests of a package wrote that never ended: one that hangs or brings the program down does not
// say that it failed.
func (t *tally) unfinished(pkg string) {
	for key, lines := range t.output {
		if strings.HasPrefix(key, pkg+".") && key != pkg+"." {
			fmt.Printf("--- UNFINISHED %s\n%s", key, strings.Join(lines, ""))
			delete(t.output, key)
		}
	}
}

// slowest shows where the time goes, so that the tier's budget is kept on purpose.
func (t *tally) slowest() {
	sort.Slice(t.slow, func(i, j int) bool { return t.slow[i].seconds > t.slow[j].seconds })
	for i, l := range t.slow {
		if i == 10 || l.seconds < 5 {
			break
		}
		fmt.Printf("slow %6.1f s  %s\n", l.seconds, l.name)
	}
}
