package house

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// TestScenarioIndex writes docs/scenarios.md from the catalogue in scenarios_list_test.go, and checks that every test which it
// names is in the source.
func TestScenarioIndex(t *testing.T) {
	for _, fault := range scenarioFaults(catalogue, newSourceIndex(filepath.Join("..", "..", ".."))) {
		t.Error(fault)
	}
	file := filepath.Join("..", "..", "..", "docs", "scenarios.md")
	want := scenarioPage(catalogue)
	if *update {
		if err := os.WriteFile(file, []byte(want), 0o644); err != nil { //nolint:gosec // a page for everybody
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != want {
		t.Errorf("%s is not what the catalogue says: run go test ./agent/internal/house -run TestScenarioIndex -update", file)
	}
}

// TestScenarioIndexCanFail is its off case.
func TestScenarioIndexCanFail(t *testing.T) {
	src := newSourceIndex(filepath.Join("..", "..", ".."))
	good := scenario{"x", "y", []string{"interlock:TestPX4General"}, nil, nil, ""}
	for name, c := range map[string]struct {
		change func(s *scenario)
		faults int
	}{
		"nothing":                   {func(*scenario) {}, 0},
		"no test":                   {func(s *scenario) { s.core = nil }, 1},
		"a test that there is not":  {func(s *scenario) { s.core = []string{"interlock:TestPX4Generals"} }, 1},
		"a room that there is not":  {func(s *scenario) { s.core = []string{"interlocks:TestPX4General"} }, 1},
		"a part that there is not":  {func(s *scenario) { s.core = []string{"test/e2e:TestRobotFaults/stop_odom2"} }, 1},
		"a part":                    {func(s *scenario) { s.core = []string{"test/e2e:TestRobotFaults/stop_odom"} }, 0},
		"a bus and not the other":   {func(s *scenario) { s.ros = []string{"test/e2e:TestHostilePeers"} }, 1},
		"a bus, and what is wanted": {func(s *scenario) { s.ros, s.missing = []string{"test/e2e:TestHostilePeers"}, "DDS: nobody wrote it" }, 0},
		"no text":                   {func(s *scenario) { s.what = "" }, 1},
	} {
		s := good
		c.change(&s)
		if got := scenarioFaults([]scenarioGroup{{"g", "", []scenario{s}}}, src); len(got) != c.faults {
			t.Errorf("%s: found %q, want %d", name, got, c.faults)
		}
	}
}

// scenario is one item of the catalogue: a sequence that another system tests, or one of ours that none of them has. Tests
// are written folder:TestName, with /part for one that is a row of a table or an attack by its name, and with @qualify at
// the end if only make qualify runs it.
type scenario struct {
	id, what string
	core     []string // needs no bus
	ros, dds []string // with a real bus
	missing  string   // what is not there, said openly
}

type scenarioGroup struct {
	title, text string
	items       []scenario
}

// sourceIndex finds tests and words in a folder's sources.
type sourceIndex struct {
	root  string
	tests map[string]map[string]bool
	words map[string]string
}

func newSourceIndex(root string) *sourceIndex {
	return &sourceIndex{root: root, tests: map[string]map[string]bool{}, words: map[string]string{}}
}

// read parses a folder's tests once.
func (x *sourceIndex) read(folder string) {
	if x.tests[folder] != nil {
		return
	}
	x.tests[folder] = map[string]bool{}
	files, _ := filepath.Glob(filepath.Join(x.root, filepath.FromSlash(folder), "*.go"))
	fset := token.NewFileSet()
	for _, name := range files {
		src, err := os.ReadFile(name)
		if err != nil {
			continue
		}
		x.words[folder] += string(src)
		file, err := parser.ParseFile(fset, name, src, parser.SkipObjectResolution)
		if err != nil || !strings.HasSuffix(name, "_test.go") {
			continue
		}
		for _, d := range file.Decls {
			if fn, ok := d.(*ast.FuncDecl); ok && fn.Recv == nil && strings.HasPrefix(fn.Name.Name, "Test") {
				x.tests[folder][fn.Name.Name] = true
			}
		}
	}
}

// has says what is wrong with a name, nothing if the test is there. The attacks of test/e2e are named in test/hostile.
func (x *sourceIndex) has(ref string) string {
	folder, name, ok := strings.Cut(strings.TrimSuffix(ref, "@qualify"), ":")
	test, part, parted := strings.Cut(name, "/")
	x.read(folder)
	switch {
	case !ok || len(x.tests[folder]) == 0:
		return "no tests in that folder"
	case !x.tests[folder][test]:
		return "no such test"
	case parted:
		x.read("test/hostile")
		words := x.words[folder]
		if folder == "test/e2e" {
			words += x.words["test/hostile"]
		}
		if !strings.Contains(words, strconv.Quote(part)) {
			return "no such part of that test"
		}
	}
	return ""
}

// scenarioFaults is what is wrong with a catalogue.
func scenarioFaults(groups []scenarioGroup, src *sourceIndex) []string {
	var out []string
	bad := func(s *scenario, format string, args ...any) {
		out = append(out, fmt.Sprintf("%s (%s): ", s.id, s.what)+fmt.Sprintf(format, args...))
	}
	for _, g := range groups {
		for i := range g.items {
			s := &g.items[i]
			for _, list := range [][]string{s.core, s.ros, s.dds} {
				for _, ref := range list {
					if why := src.has(ref); why != "" {
						bad(s, "%s: %s", ref, why)
					}
				}
			}
			switch {
			case s.id == "" || s.what == "":
				bad(s, "an item without a name or a text")
			case len(s.core)+len(s.ros)+len(s.dds) == 0 && s.missing == "":
				bad(s, "no test, and nothing says that it is missing")
			case (len(s.ros) == 0) != (len(s.dds) == 0) && s.missing == "":
				bad(s, "a test on one bus, none on the other, and nothing says that it is missing")
			}
		}
	}
	return out
}

// scenarioPage is docs/scenarios.md.
func scenarioPage(groups []scenarioGroup) string {
	var b strings.Builder
	b.WriteString(`# Scenarios

Written from the catalogue in agent/internal/house by ` + "`go test ./agent/internal/house -run TestScenarioIndex -update`" + `; do not edit. The same test
checks that every test named here is in the source.

What other systems test in their failsafes, stops and heartbeats, and what none of them does, each with the tests that do it
here. "No bus" tests drive the decision itself, in virtual time; the others a real bus. A test marked *qualify* runs on
that bus in ` + "`make qualify`" + ` only. A dash means that the item does not concern a bus. What is missing is said.
`)
	for _, g := range groups {
		fmt.Fprintf(&b, "\n## %s\n\n", g.title)
		if g.text != "" {
			fmt.Fprintf(&b, "%s\n\n", g.text)
		}
		b.WriteString("| | scenario | no bus | ROS 1 | DDS | missing |\n|---|---|---|---|---|---|\n")
		for _, s := range g.items {
			fmt.Fprintf(&b, "| %s | %s | %s | %s | %s | %s |\n", s.id, s.what, refs(s.core), refs(s.ros), refs(s.dds), s.missing)
		}
	}
	return b.String()
}

func refs(list []string) string {
	if len(list) == 0 {
		return "–"
	}
	var out []string
	for _, ref := range list {
		name, long := strings.CutSuffix(ref, "@qualify")
		folder, test, _ := strings.Cut(name, ":")
		text := "`" + folder + "` " + test
		if long {
			text += " (*qualify*)"
		}
		out = append(out, text)
	}
	return strings.Join(out, "<br>")
}
