package config

import (
	"cmp"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/robowarden/robowarden/agent/config/internal/strictyaml"
)

// Severity says whether a problem stops the configuration from being loaded.
type Severity string

// Severities.
const (
	// SeverityError refuses the configuration.
	SeverityError Severity = "error"
	// SeverityWarning is only told.
	SeverityWarning Severity = "warning"
)

// Problem is one thing that is wrong with a document, and where.
type Problem struct {
	// File is the path as it was given.
	File string `json:"file"`
	// Line and Column count from 1, Column in characters.
	Line   int `json:"line"`
	Column int `json:"column"`
	// Path is the place in the document, for example zones[3].max_speed_mps.
	Path string `json:"path,omitempty"`
	// Rule names the rule that was broken; the names are stable.
	Rule string `json:"rule"`
	// Severity says whether the document is refused.
	Severity Severity `json:"severity"`
	// Expected and Found say what the rule wants and what the document has.
	Expected string `json:"expected"`
	Found    string `json:"found"`
	// Hint says what to do.
	Hint string `json:"hint,omitempty"`
	// Example is a line that would be accepted.
	Example string `json:"example,omitempty"`

	// folder is where the document's relative paths start, for hints.
	folder string
	// width is the number of characters that are wrong.
	width int
}

// String writes the problem in one line, place first.
func (p Problem) String() string {
	where := p.File
	if p.Line > 0 {
		where = fmt.Sprintf("%s:%d:%d", p.File, p.Line, p.Column)
	}
	if p.Path != "" {
		where += ": " + p.Path
	}
	return fmt.Sprintf("%s: %s: expected %s, found %s", where, p.Rule, p.Expected, p.Found)
}

// MaxProblems is how many problems one Load keeps; Problems.Omitted counts the others.
const MaxProblems = 1000

// Problems is the error of Load: everything that is wrong, sorted by place, warnings included.
type Problems struct {
	// List holds the first MaxProblems.
	List []Problem
	// Omitted counts the problems beyond.
	Omitted int
	// Sources names the documents that could be told apart.
	Sources []Source
	// NotSeen says what the guard cannot notice on the bus of the profile, if one was given.
	NotSeen []string
	// Notes are what else a reader should know about the robot that is set up so.
	Notes []string

	sources map[string]*strictyaml.Lines
	// order keeps files in the order in which they were given.
	order map[string]int
}

func newProblems() *Problems {
	return &Problems{sources: map[string]*strictyaml.Lines{}, order: map[string]int{}}
}

func (p *Problems) add(problem Problem) {
	if len(p.List) >= MaxProblems {
		p.Omitted++
		return
	}
	p.List = append(p.List, problem)
}

// addFile files a problem that no line of a file can be blamed for.
func (p *Problems) addFile(file, rule, expected, found, hint string) {
	p.add(Problem{File: file, Rule: rule, Severity: SeverityError, Expected: expected, Found: found, Hint: hint})
}

func (p *Problems) sort() {
	slices.SortStableFunc(p.List, func(a, b Problem) int {
		return cmp.Or(cmp.Compare(p.order[a.File], p.order[b.File]), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
}

// Errors returns the number of problems that refuse the configuration.
func (p *Problems) Errors() int {
	n := p.Omitted
	for _, problem := range p.List {
		if problem.Severity == SeverityError {
			n++
		}
	}
	return n
}

// Error lists the problems, one in a line, without the files' text.
func (p *Problems) Error() string {
	var b strings.Builder
	b.WriteString("configuration: " + p.Summary())
	for _, problem := range p.List {
		if problem.Severity == SeverityError {
			b.WriteString("\n\t" + problem.String())
		}
	}
	return b.String()
}

// Summary counts errors and warnings.
func (p *Problems) Summary() string {
	errors := p.Errors()
	warnings := len(p.List) + p.Omitted - errors
	s := count(errors, "error")
	if warnings > 0 {
		s += " and " + count(warnings, "warning")
	}
	return s
}

func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// MarshalJSON writes the list and the counts.
func (p *Problems) MarshalJSON() ([]byte, error) {
	list := p.List
	if list == nil {
		list = []Problem{}
	}
	return json.Marshal(struct {
		Errors   int       `json:"errors"`
		Problems []Problem `json:"problems"`
		Omitted  int       `json:"omitted,omitempty"`
		Sources  []Source  `json:"sources,omitempty"`
		NotSeen  []string  `json:"not_seen,omitempty"`
		Notes    []string  `json:"notes,omitempty"`
	}{p.Errors(), list, p.Omitted, p.Sources, p.NotSeen, p.Notes})
}

// secretLike is text that may be a key: a PEM block's edge, or a long run of the letters that keys are written in.
var secretLike = regexp.MustCompile(`-----(BEGIN|END)[^-]*-----|[0-9a-fA-F]{32,}|[A-Za-z0-9+/_-]{40,}={0,2}`)

// redact masks what may be a key. Digests are not secret, and people have to compare them.
func redact(s string) string {
	for _, loc := range slices.Backward(secretLike.FindAllStringIndex(s, -1)) {
		from, to := loc[0], loc[1]
		if strings.HasSuffix(s[:from], "sha256:") || !keyLike(s[from:to]) {
			continue
		}
		s = s[:from] + "[redacted]" + s[to:]
	}
	return s
}

// keyLike tells a run of random letters from a long path or a ruler of dashes.
func keyLike(s string) bool {
	if strings.HasPrefix(s, "-----") {
		return true
	}
	lower, upper, digit, other := 0, 0, 0, 0
	for _, c := range []byte(s) {
		switch {
		case c >= '0' && c <= '9':
			digit++
		case c >= 'a' && c <= 'z':
			lower++
		case c >= 'A' && c <= 'Z':
			upper++
		default:
			other++
		}
	}
	hexadecimal := other == 0 && digit > 4 && lower+upper > 0 && strings.Trim(s, "0123456789abcdefABCDEF") == ""
	return hexadecimal || lower > 2 && upper > 2 && digit > 1
}
