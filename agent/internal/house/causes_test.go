package house

import (
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var (
	causeConst = regexp.MustCompile(`(?m)^\t(Cause[A-Z]\w*)\b`)
	causeUse   = regexp.MustCompile(`\bCause[A-Z]\w*\b`)
)

// unraised are the causes that are declared and that no code of the product names; the table of their texts names each and raises none.
func unraised(each func(f func(path string, src []byte))) []string {
	declared, used := map[string]bool{}, map[string]bool{}
	each(func(path string, src []byte) {
		switch {
		case path == "interlock/cause.go":
			for _, m := range causeConst.FindAllSubmatch(src, -1) {
				declared[string(m[1])] = true
			}
		case path == "interlock/causetext.go", strings.HasSuffix(path, "_test.go"), strings.HasPrefix(path, "test/"):
		default:
			for _, m := range causeUse.FindAll(src, -1) {
				used[string(m)] = true
			}
		}
	})
	maps.DeleteFunc(declared, func(c string, _ bool) bool { return used[c] })
	return slices.Sorted(maps.Keys(declared))
}

// TestEveryCauseIsRaised keeps the list of causes honest: what a person may read there, something finds out.
func TestEveryCauseIsRaised(t *testing.T) {
	read := 0
	missing := unraised(func(f func(string, []byte)) {
		sources(t, func(path string, src []byte) { read++; f(path, src) })
	})
	for _, c := range missing {
		t.Errorf("interlock.%s is in the list of causes, and nothing raises it: raise it, or leave its number empty", c)
	}
	if read == 0 {
		t.Error("no source was read")
	}
}

func TestEveryCauseIsRaisedCanFail(t *testing.T) {
	got := unraised(func(f func(string, []byte)) {
		f("interlock/cause.go", []byte("const (\n\tCauseNone Cause = iota\n\tCauseLeft\n\tCauseTested\n\t_ // was Gone\n)"))
		f("interlock/causetext.go", []byte("CauseLeft: {}, CauseTested: {}"))
		f("interlock/step_test.go", []byte("Fault(CauseTested, 0)"))
		f("agent/guard/look.go", []byte("interlock.CauseNone"))
	})
	if !slices.Equal(got, []string{"CauseLeft", "CauseTested"}) {
		t.Errorf("found %v", got)
	}
}
