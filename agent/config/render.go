package config

import (
	"fmt"
	"io"
	"strings"
)

// Colours of a terminal.
const (
	red    = "\x1b[31m"
	yellow = "\x1b[33m"
	blue   = "\x1b[36m"
	bold   = "\x1b[1m"
	plain  = "\x1b[0m"
)

// Render writes the problems for people: place, what was expected and found, the text with a mark below it, and what to do.
func (p *Problems) Render(w io.Writer, colour bool) error {
	var b strings.Builder
	paint := func(code, s string) string {
		if !colour || s == "" {
			return s
		}
		return code + s + plain
	}
	for _, problem := range p.List {
		p.renderOne(&b, problem, paint)
	}
	if p.Omitted > 0 {
		fmt.Fprintf(&b, "%d more problems are not shown\n\n", p.Omitted)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func (p *Problems) renderOne(b *strings.Builder, problem Problem, paint func(code, s string) string) {
	tone := red
	if problem.Severity == SeverityWarning {
		tone = yellow
	}
	where := problem.File
	if problem.Line > 0 {
		where = fmt.Sprintf("%s:%d:%d", problem.File, problem.Line, problem.Column)
	}
	fmt.Fprintf(b, "%s: %s", paint(bold, where), paint(tone, string(problem.Severity)+" ["+problem.Rule+"]"))
	if problem.Path != "" {
		b.WriteString(" " + problem.Path)
	}
	b.WriteString("\n")
	if lines := p.sources[problem.File]; lines != nil && problem.Line > 0 {
		p.excerpt(b, problem, paint, tone)
	}
	tell := func(name, text string) {
		if text != "" {
			fmt.Fprintf(b, "  %s %s\n", paint(blue, fmt.Sprintf("%-9s", name+":")), text)
		}
	}
	tell("expected", problem.Expected)
	tell("found", problem.Found)
	tell("hint", problem.Hint)
	tell("example", problem.Example)
	b.WriteString("\n")
}

// window is how many characters of a line an excerpt shows.
const window = 100

// excerpt shows the line, the one before it, and a mark below the wrong characters.
func (p *Problems) excerpt(b *strings.Builder, problem Problem, paint func(code, s string) string, tone string) {
	lines := p.sources[problem.File]
	for n := max(problem.Line-1, 1); n <= problem.Line; n++ {
		text := lines.Text(n)
		if n < problem.Line && strings.TrimSpace(text) == "" {
			continue
		}
		column := 0
		if n == problem.Line {
			column = problem.Column
		}
		shown, mark := clip(text, column)
		masked := redact(text) != text
		fmt.Fprintf(b, "  %s %s\n", paint(blue, fmt.Sprintf("%5d |", n)), strings.TrimRight(shown, " "))
		if n == problem.Line && !masked { // a mark below masked text would point at the wrong letters
			width := min(max(problem.width, 1), max(len([]rune(shown))-mark, 1))
			fmt.Fprintf(b, "  %s %s%s\n", paint(blue, "      |"), strings.Repeat(" ", mark), paint(tone, strings.Repeat("^", width)))
		}
	}
}

// clip returns the part of a line around a column, with what may be a secret masked and what a terminal may obey
// replaced, and the number of characters before the mark.
func clip(text string, column int) (shown string, mark int) {
	masked := redact(text)
	if masked != text {
		return printable(masked), 0
	}
	r := []rune(printable(text))
	mark = min(max(column-1, 0), len(r))
	from := 0
	if mark > window*3/4 {
		from = mark - window/2
	}
	to := min(from+window, len(r))
	shown = string(r[from:to])
	mark -= from
	if from > 0 {
		shown, mark = "…"+shown, mark+1
	}
	if to < len(r) {
		shown += "…"
	}
	return shown, mark
}

// printable replaces characters that a terminal would obey or not show by one visible character each.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\t':
			return '→'
		case r < ' ' || r >= 0x7f && r <= 0xa0 || r == 0xfffd || r == 0xfeff || r >= 0x2000 && r <= 0x200f || r >= 0x2028 && r <= 0x202f || r >= 0x2060 && r <= 0x206f:
			return '�'
		}
		return r
	}, s)
}
