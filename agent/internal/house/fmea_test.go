package house

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// fmeaRow is one failure; tests are written as in the catalogue of scenarios.
type fmeaRow struct {
	failure, effect, detection, rest string
	tests                            []string
}

type fmeaGroup struct {
	title string
	rows  []fmeaRow
}

// fmeaFaults is what is wrong with an analysis.
func fmeaFaults(groups []fmeaGroup, src *sourceIndex) []string {
	var out []string
	seen := map[string]bool{}
	for _, g := range groups {
		for _, r := range g.rows {
			bad := func(format string, args ...any) {
				out = append(out, fmt.Sprintf("%s (%s): ", r.failure, g.title)+fmt.Sprintf(format, args...))
			}
			for _, ref := range r.tests {
				if why := src.has(ref); why != "" {
					bad("%s: %s", ref, why)
				}
			}
			switch {
			case r.failure == "" || r.effect == "" || r.detection == "" || r.rest == "":
				bad("a column is empty")
			case len(r.tests) == 0:
				bad("no test")
			case seen[r.failure]:
				bad("the failure comes twice")
			}
			seen[r.failure] = true
		}
	}
	return out
}

func fmeaPage(groups []fmeaGroup) string {
	var b strings.Builder
	b.WriteString(`# Failure modes and effects

Written from the list in agent/internal/house by ` + "`go test ./agent/internal/house -run TestFMEA -update`" + `; do not edit. The same test checks that
every test named here is in the source.

What can fail in the agent and around it, what it does to the robot, by what it is found, and whether stable rest follows.
It is about the agent: it adds restrictions to a robot and is no certified safety function, so where the answer is no, the
robot's own e-stop is named. Times of every rung under every fault are in [ladder.md](ladder.md).
`)
	for _, g := range groups {
		fmt.Fprintf(&b, "\n## %s\n\n| failure | effect | found by | stable rest | tests |\n|---|---|---|---|---|\n", g.title)
		for _, r := range g.rows {
			fmt.Fprintf(&b, "| %s | %s | %s | %s | %s |\n", r.failure, r.effect, r.detection, r.rest, refs(r.tests))
		}
	}
	return b.String()
}

// TestFMEA writes docs/fmea.md and checks that its tests are there.
func TestFMEA(t *testing.T) {
	for _, fault := range fmeaFaults(analysis, newSourceIndex(root)) {
		t.Error(fault)
	}
	file, want := filepath.Join(root, "docs", "fmea.md"), fmeaPage(analysis)
	if *update {
		if err := os.WriteFile(file, []byte(want), 0o644); err != nil { //nolint:gosec // a page for everybody
			t.Fatal(err)
		}
	}
	if got, err := os.ReadFile(file); err != nil || string(got) != want {
		t.Errorf("%s is not what the list says (%v): run go test ./agent/internal/house -run TestFMEA -update", file, err)
	}
}

// TestFMEACanFail is its off case.
func TestFMEACanFail(t *testing.T) {
	src := newSourceIndex(root)
	good := fmeaRow{"a", "b", "c", "d", []string{"interlock:TestPX4General"}}
	for name, c := range map[string]struct {
		change func(r *fmeaRow)
		faults int
	}{
		"nothing":                  {func(*fmeaRow) {}, 0},
		"no test":                  {func(r *fmeaRow) { r.tests = nil }, 1},
		"a test that there is not": {func(r *fmeaRow) { r.tests = []string{"interlock:TestPX4Generals"} }, 1},
		"a part that there is not": {func(r *fmeaRow) { r.tests = []string{"agent/guard:TestDevicesRestrict/teapot"} }, 1},
		"no answer about rest":     {func(r *fmeaRow) { r.rest = "" }, 1},
	} {
		r := good
		c.change(&r)
		if got := fmeaFaults([]fmeaGroup{{"g", []fmeaRow{r}}}, src); len(got) != c.faults {
			t.Errorf("%s: found %q, want %d", name, got, c.faults)
		}
	}
	if got := fmeaFaults([]fmeaGroup{{"g", []fmeaRow{good, good}}}, src); len(got) != 1 {
		t.Errorf("twice the same: found %q", got)
	}
}
