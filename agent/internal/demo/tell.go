package demo

import (
	"fmt"
	"io"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// Teller writes the story for people, line by line as it happens, with the world's clock.
type Teller struct {
	w      io.Writer
	colour bool
	err    error
}

// NewTeller tells to w. Colour is for terminals: see UseColour.
func NewTeller(w io.Writer, colour bool) *Teller { return &Teller{w: w, colour: colour} }

// UseColour says whether to colour: only on a terminal, and not if NO_COLOR is set to anything or TERM is dumb.
func UseColour(terminal bool, env func(string) (string, bool)) bool {
	if no, set := env("NO_COLOR"); set && no != "" {
		return false
	}
	if term, _ := env("TERM"); term == "dumb" {
		return false
	}
	return terminal
}

// Err is the first error of the writer; after it nothing more is told.
func (t *Teller) Err() error { return t.err }

// Styles of lines.
const (
	styleTitle = "1"
	styleGuard = "36"
	styleWarn  = "33"
	styleBad   = "31"
	styleGood  = "32"
	styleFaint = "2"
)

func (t *Teller) paint(style, text string) string { return paint(t.colour, style, text) }

func paint(colour bool, style, text string) string {
	if !colour || style == "" {
		return text
	}
	return "\x1b[" + style + "m" + text + "\x1b[0m"
}

func (t *Teller) chapter(title string) { t.write("\n" + t.paint(styleTitle, title) + "\n") }

// line is one line: the time, who speaks, what is said.
func (t *Teller) line(at time.Time, style, who, text string) {
	clock := at.Format("15:04:05")
	t.write(fmt.Sprintf("%s  %s %s\n", t.paint(styleFaint, clock), t.paint(style, fmt.Sprintf("%-6s", who)), wrapText(text, 84, 17)))
}

func (t *Teller) write(text string) {
	if t.err == nil {
		_, t.err = io.WriteString(t.w, text)
	}
}

// wrapText breaks a text at spaces, so that no line is longer than width; further lines are indented.
func wrapText(text string, width, indent int) string {
	var out strings.Builder
	column := 0
	for word := range strings.FieldsSeq(clean(text)) {
		n := utf8.RuneCountInString(word)
		switch {
		case column == 0:
		case column+1+n > width:
			out.WriteString("\n" + strings.Repeat(" ", indent))
			column = 0
		default:
			out.WriteByte(' ')
			column++
		}
		out.WriteString(word)
		column += n
	}
	return out.String()
}

// clean takes out what could move a terminal's cursor or colour: text may come from a robot's own names.
func clean(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || r == '\u2028' || r == '\u2029' || r == utf8.RuneError {
			return ' '
		}
		return r
	}, text)
}

func capital(s string) string {
	r, n := utf8.DecodeRuneInString(s)
	return string(unicode.ToUpper(r)) + s[n:]
}
