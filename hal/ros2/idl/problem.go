package idl

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Problem is one thing that is wrong with a definition or a path, and where.
type Problem struct {
	// File is the name as it was given.
	File string
	// Line and Column count from 1, Column in characters; 0 where no line can be blamed.
	Line, Column int
	// Expected and Found say what the format wants and what is there.
	Expected, Found string
	// Hint says what to do.
	Hint string
}

// String writes the problem in one line, place first.
func (p Problem) String() string {
	where := p.File
	if p.Line > 0 {
		where = fmt.Sprintf("%s:%d:%d", p.File, p.Line, p.Column)
	}
	s := fmt.Sprintf("%s: expected %s, found %s", where, p.Expected, p.Found)
	if p.Hint != "" {
		s += "; " + p.Hint
	}
	return s
}

// MaxProblems is how many problems one Error keeps; Omitted counts the others.
const MaxProblems = 50

// Error is what is wrong with a file, a type or a list of paths, sorted by place.
type Error struct {
	Problems []Problem
	Omitted  int
}

// Error lists the problems, one in a line.
func (e *Error) Error() string {
	lines := make([]string, 0, len(e.Problems)+1)
	for _, p := range e.Problems {
		lines = append(lines, p.String())
	}
	if e.Omitted > 0 {
		lines = append(lines, fmt.Sprintf("and %d more", e.Omitted))
	}
	return "idl: " + strings.Join(lines, "\n\t")
}

// problems collects what is wrong.
type problems struct {
	list    []Problem
	omitted int
}

// full tells, and counts, that one more problem would not be kept: then nobody need look for a good hint.
func (p *problems) full() bool {
	if len(p.list) < MaxProblems {
		return false
	}
	p.omitted++
	return true
}

func (p *problems) add(at place, expected, found, hint string) {
	if len(p.list) >= MaxProblems {
		p.omitted++
		return
	}
	p.list = append(p.list, Problem{at.file, at.line, at.col, expected, found, hint})
}

// err is nil if nothing is wrong.
func (p *problems) err() error {
	if len(p.list) == 0 {
		return nil
	}
	slices.SortStableFunc(p.list, func(a, b Problem) int {
		return before(place{a.File, a.Line, a.Column}, place{b.File, b.Line, b.Column})
	})
	return &Error{p.list, p.omitted}
}

func itoa(n int64) string { return strconv.FormatInt(n, 10) }

// clip quotes text of a file for a message, shortened.
func clip(s string) string {
	const most = 60
	if len(s) > most {
		s = s[:most] + "…"
	}
	return strconv.Quote(s)
}

// meant suggests the known word that was probably meant, or gives the advice.
func meant(word string, known []string, advice string) string {
	if k := closest(word, known); k != "" {
		return "did you mean " + k + "?"
	}
	return advice
}

// closest returns the known word that is nearest to the given one, or "" if none is near.
func closest(word string, known []string) string {
	best, limit := "", max(2, len(word)/3)+1
	for _, k := range known {
		if d := distance(strings.ToLower(word), strings.ToLower(k)); d < limit && d < len(k) {
			best, limit = k, d
		}
	}
	return best
}

// distance counts the letters to insert, delete or change to make b of a.
func distance(a, b string) int {
	const most = 64
	if len(a) > most || len(b) > most {
		return max(len(a), len(b))
	}
	var row [most + 1]int
	for j := range row {
		row[j] = j
	}
	for i := 1; i <= len(a); i++ {
		diagonal := row[0]
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := diagonal
			if a[i-1] != b[j-1] {
				cost++
			}
			diagonal = row[j]
			row[j] = min(row[j]+1, row[j-1]+1, cost)
		}
	}
	return row[len(b)]
}
