package zones

import (
	"fmt"
	"strconv"

	"github.com/robowarden/robowarden/agent/config"
)

// Rules that importers report; the names are stable.
const (
	ruleSyntax    = "syntax"
	ruleTooLarge  = "too-large"
	ruleMissing   = "missing-key"
	ruleType      = "wrong-type"
	ruleRange     = "range"
	ruleGeometry  = "geometry"
	ruleUnknown   = "unknown-word"
	ruleOption    = "option"
	ruleFile      = "unreadable-file"
	ruleRenamed   = "renamed"
	ruleMerged    = "merged"
	ruleNotRead   = "not-read"
	ruleVersion   = "wrong-version"
	ruleUnclear   = "unclear-cells"
	ruleDuplicate = "duplicate"
)

// place is where in a source something is.
type place struct {
	file         string
	line, column int
	path         string
}

// report collects what is wrong with a source, and what its user should know.
type report struct {
	problems config.Problems
	errors   int
}

func (r *report) add(at place, severity config.Severity, rule, expected, found, remedy string) {
	if severity == config.SeverityError {
		r.errors++
	}
	if len(r.problems.List) >= config.MaxProblems {
		r.problems.Omitted++
		return
	}
	r.problems.List = append(r.problems.List, config.Problem{
		File: at.file, Line: at.line, Column: at.column, Path: at.path, Rule: rule, Severity: severity,
		Expected: expected, Found: short(found), Hint: remedy,
	})
}

// wrong refuses the source.
func (r *report) wrong(at place, rule, expected, found, remedy string) {
	r.add(at, config.SeverityError, rule, expected, found, remedy)
}

// note tells the user what was done.
func (r *report) note(at place, rule, expected, found, remedy string) {
	r.add(at, config.SeverityWarning, rule, expected, found, remedy)
}

// err returns the problems if any of them refuses the source.
func (r *report) err() error {
	if r.errors == 0 {
		return nil
	}
	return &r.problems
}

// maxFound bounds the text of a source that a problem repeats, in bytes.
const maxFound = 120

// short cuts text from a source and keeps it from a terminal that would obey it.
func short(s string) string {
	if len(s) > maxFound {
		s = s[:maxFound] + "…"
	}
	for _, c := range s {
		if !strconv.IsPrint(c) {
			return strconv.Quote(s)
		}
	}
	return s
}

func number(v float64) string { return strconv.FormatFloat(v, 'g', -1, 64) }

func counted(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
