package idl

import (
	"strings"
	"unicode/utf8"
)

// tokenKind tells the words of IDL apart.
type tokenKind uint8

const (
	tokEnd tokenKind = iota
	tokName
	tokNumber
	tokString // with its quotes
	tokSign   // one character, or "::", "<<", ">>"
)

// token is one word of an IDL text.
type token struct {
	kind tokenKind
	text string
	at   place
}

// shown is the token as a message quotes it.
func (t token) shown() string {
	if t.kind == tokEnd {
		return "the end of the file"
	}
	return clip(t.text)
}

// lexer cuts an IDL text into tokens. Comments are passed over, and so are the preprocessor lines that change nothing.
type lexer struct {
	file string
	s    string
	i    int
	line int
	// lineAt is where the line begins; inLine is true once a token stood on it.
	lineAt int
	inLine bool
	// seen characters of the line lie before the offset until, so that places cost no second look at the line.
	seen, until int
	out         *problems
	failed      bool
}

func (l *lexer) place(i int) place {
	if i < l.until || l.until < l.lineAt {
		l.seen, l.until = 0, l.lineAt
	}
	l.seen += utf8.RuneCountInString(l.s[l.until:i])
	l.until = i
	return place{l.file, l.line, l.seen + 1}
}

func (l *lexer) fail(at place, expected, found, hint string) {
	if !l.failed {
		l.out.add(at, expected, found, hint)
	}
	l.failed, l.i = true, len(l.s)
}

// next returns the next token; after a failure it is always the end.
func (l *lexer) next() token {
	for l.i < len(l.s) {
		c := l.s[l.i]
		switch {
		case c == '\n':
			l.i++
			l.newline(l.i)
		case c == ' ' || c == '\t' || c == '\r' || c == '\f' || c == '\v':
			l.i++
		case c == '#' && !l.inLine:
			l.directive()
		case strings.HasPrefix(l.s[l.i:], "//"):
			l.skipLine()
		case strings.HasPrefix(l.s[l.i:], "/*"):
			l.comment()
		default:
			l.inLine = true
			return l.word()
		}
	}
	return token{kind: tokEnd, at: l.place(len(l.s))}
}

func (l *lexer) newline(at int) { l.line, l.lineAt, l.inLine = l.line+1, at, false }

func (l *lexer) skipLine() {
	if n := strings.IndexByte(l.s[l.i:], '\n'); n >= 0 {
		l.i += n
		return
	}
	l.i = len(l.s)
}

func (l *lexer) comment() {
	end := strings.Index(l.s[l.i+2:], "*/")
	if end < 0 {
		l.fail(l.place(l.i), "*/ at the end of a comment", "the end of the file", "close the comment")
		return
	}
	stop := l.i + 2 + end + 2
	for ; l.i < stop; l.i++ {
		if l.s[l.i] == '\n' {
			l.newline(l.i + 1)
		}
	}
}

// directive passes over a preprocessor line, unless what it does would be missed.
func (l *lexer) directive() {
	start := l.i
	l.skipLine()
	fields := strings.Fields(l.s[start+1 : l.i])
	word := ""
	if len(fields) > 0 {
		word = fields[0]
	}
	switch {
	case word == "" || word == "include" || word == "pragma" || word == "endif":
	case word == "ifndef" && len(fields) == 2:
	case word == "define" && len(fields) == 2 && !strings.Contains(fields[1], "("):
	default:
		l.fail(l.place(start), "#include, #pragma or an include guard", clip("#"+strings.Join(fields, " ")),
			"run the preprocessor over the file, or write constants as const")
	}
}

// word reads a name, a number, a string or a sign.
func (l *lexer) word() token {
	start := l.i
	t := token{at: l.place(start)}
	c := l.s[start]
	switch n := wordLen(l.s[start:]); {
	case n > 0:
		t.kind, l.i = tokName, start+n
	case c >= '0' && c <= '9' || c == '.' && start+1 < len(l.s) && l.s[start+1] >= '0' && l.s[start+1] <= '9':
		t.kind, l.i = tokNumber, start+numberLen(l.s[start:])
	case c == '"' || c == '\'':
		t.kind = tokString
		l.quoted(c)
	default:
		t.kind = tokSign
		l.i += signLen(l.s[start:])
	}
	if l.failed {
		return token{kind: tokEnd, at: t.at}
	}
	t.text = l.s[start:l.i]
	return t
}

func signLen(s string) int {
	for _, two := range []string{"::", "<<", ">>"} {
		if strings.HasPrefix(s, two) {
			return 2
		}
	}
	_, n := utf8.DecodeRuneInString(s)
	return n
}

// numberLen takes what may belong to a number; whether it is one is seen when its value is needed.
func numberLen(s string) int {
	i := 0
	for i < len(s) {
		c := s[i]
		exponent := (c == '+' || c == '-') && (s[i-1] == 'e' || s[i-1] == 'E') && !strings.HasPrefix(s, "0x") && !strings.HasPrefix(s, "0X")
		if c != '.' && !exponent && (c < '0' || c > '9') && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') {
			break
		}
		i++
	}
	return i
}

func (l *lexer) quoted(quote byte) {
	start := l.place(l.i) // while its line is the current one
	for l.i++; l.i < len(l.s); l.i++ {
		switch l.s[l.i] {
		case '\\':
			if l.i++; l.i < len(l.s) && l.s[l.i] == '\n' {
				l.newline(l.i + 1)
			}
		case quote:
			l.i++
			return
		case '\n':
			l.newline(l.i + 1) // ROS's comments in IDL run over lines
		}
	}
	l.i = len(l.s)
	l.fail(start, "a closing "+string(quote), "the end of the file", "close the text")
}
