//go:build qualify

package main

import (
	"os"
	"testing"
	"time"
)

// TestEveryGuardClauseOfInterlockIsNeeded takes each guard clause of the interlock out in turn: the package's tests have
// to notice every one, but for those in equivalent.txt.
func TestEveryGuardClauseOfInterlockIsNeeded(t *testing.T) {
	o := options{pkg: "../../interlock", kind: kindGuards, seed: 1, jobs: 1, bar: 100, timeout: 2 * time.Minute, args: []string{"-test.short"}}
	if err := run(t.Context(), o, os.Stdout); err != nil {
		t.Error(err)
	}
}
