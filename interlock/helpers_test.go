package interlock

import (
	"errors"
	"flag"
	"fmt"
	"testing"

	"pgregory.net/rapid"
)

var update = flag.Bool("update", false, "write generated files instead of comparing them")

// property is checked on drawn cases; it returns what is wrong.
type property func(t *rapid.T) error

// check runs a property that must hold.
func check(t *testing.T, p property) {
	t.Helper()
	rapid.Check(t, func(t *rapid.T) {
		if err := p(t); err != nil {
			t.Fatal(err)
		}
	})
}

// refuted runs a property on a subject that is wrong on purpose: it must fail on one of a few hundred cases.
func refuted(t *testing.T, p property) {
	t.Helper()
	gen := rapid.Custom(func(t *rapid.T) error { return p(t) })
	for seed := range 10_000 {
		if gen.Example(seed) != nil {
			return
		}
	}
	t.Error("the property holds although its subject is wrong")
}

func fault(format string, args ...any) error { return fmt.Errorf(format, args...) }

func TestRefutedTellsTrueFromFalse(t *testing.T) {
	refuted(t, func(t *rapid.T) error {
		if rapid.IntRange(0, 9).Draw(t, "n") == 3 {
			return errors.New("found 3")
		}
		return nil
	})
}

func sprint(format string, args ...any) string { return fmt.Sprintf(format, args...) }
