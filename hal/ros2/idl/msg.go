package idl

import (
	"strconv"
	"strings"
	"unicode/utf8"
)

// dummyMember is what ROS 2 gives a structure without fields, since IDL has none without a member.
const dummyMember = "structure_needs_at_least_one_member"

// AddMsg takes a message definition in ROS 2's .msg format. name is "pkg/msg/Type" or "pkg/Type"; file stands in errors.
// Types that the text refers to may be added before or after.
func (s *Set) AddMsg(name, file, text string) error {
	return s.addROS(name, "msg", file, text, []string{""}, nil)
}

// rosName splits "pkg/Type" and "pkg/kind/Type".
func rosName(name, usual string) (pkg, kind, typ string, ok bool) {
	parts := strings.Split(name, "/")
	switch len(parts) {
	case 2:
		pkg, kind, typ = parts[0], usual, parts[1]
	case 3:
		pkg, kind, typ = parts[0], parts[1], parts[2]
	}
	ok = len(name) <= MaxName && identifier(pkg) && identifier(kind) && identifier(typ)
	return pkg, kind, typ, ok
}

func identifier(s string) bool { return s != "" && wordLen(s) == len(s) }

// wordLen is the length of the identifier that s begins with.
func wordLen(s string) int {
	for i := range len(s) {
		c := s[i]
		letter := c == '_' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
		if !letter && (i == 0 || c < '0' || c > '9') {
			return i
		}
	}
	return len(s)
}

// msgParser reads .msg text line by line; a line that is wrong does not keep the next ones from being looked at.
type msgParser struct {
	file, pkg string
	out       *problems
	line      int
	text      string // the line
}

func (m *msgParser) fits(text string) bool {
	switch {
	case len(text) > MaxText:
		m.out.add(place{file: m.file}, "at most "+number(MaxText)+" bytes", number(len(text)), "this is no definition of one message")
	case !utf8.ValidString(text):
		m.out.add(place{file: m.file}, "text in UTF-8", "other bytes", "save the file as UTF-8")
	default:
		return true
	}
	return false
}

// fail blames the part of the line that begins at byte offset at.
func (m *msgParser) fail(at int, expected, found, hint string) {
	m.out.add(m.at(at), expected, found, hint)
}

func (m *msgParser) at(at int) place {
	return place{m.file, m.line, utf8.RuneCountInString(m.text[:min(at, len(m.text))]) + 1}
}

func (m *msgParser) parse(text string, first int, name string) *Struct {
	st := &Struct{Name: name, where: place{m.file, first, 1}}
	seen := map[string]bool{}
	for i, line := range strings.Split(text, "\n") {
		m.line, m.text = first+i, strings.TrimRight(line, "\r")
		f, ok := m.one()
		if !ok {
			continue
		}
		switch at := strings.Index(m.text, f.Name); {
		case seen[f.Name]:
			m.fail(at, "a new name", f.Name+", which the message has already", "rename one of the two")
		case f.Type == nil: // a constant
			seen[f.Name] = true
		case len(st.Fields) >= MaxFields:
			m.fail(0, "at most "+number(MaxFields)+" fields", "one more", "split the message")
			return st
		default:
			seen[f.Name] = true
			st.Fields = append(st.Fields, f)
		}
	}
	if len(st.Fields) == 0 {
		st.Fields, st.empty = []Field{{Name: dummyMember, Type: &Type{Kind: Uint8}}}, true
	}
	return st
}

// one reads a line. ok is false for empty and for wrong ones; a constant has no type.
func (m *msgParser) one() (f Field, ok bool) {
	text := strings.TrimRight(uncomment(m.text), " \t")
	start := len(text) - len(strings.TrimLeft(text, " \t"))
	if start == len(text) {
		return f, false
	}
	typeEnd := start + strings.IndexAny(text[start:]+" ", " \t")
	t, ok := m.typeOf(text[start:typeEnd], start)
	if !ok {
		return f, false
	}
	rest := strings.TrimLeft(text[typeEnd:], " \t")
	nameAt := len(text) - len(rest)
	nameEnd := nameAt + wordLen(rest)
	f.Name, f.Type = text[nameAt:nameEnd], t
	if f.Name == "" || len(f.Name) > MaxName {
		m.fail(nameAt, "a name after the type", clip(rest), "write: type name")
		return f, false
	}
	tail := strings.TrimLeft(text[nameEnd:], " \t")
	tailAt := len(text) - len(tail)
	switch {
	case tail == "":
		return f, true
	case tail[0] == '=':
		value := strings.TrimLeft(tail[1:], " \t")
		f.Type = nil
		return f, m.value(t, value, len(text)-len(value), true)
	case tailAt == nameEnd:
		m.fail(nameEnd, "a space, = or the end of the line after the name", clip(tail), "names have letters, digits and _")
		return f, false
	}
	f.Default = tail
	return f, m.value(t, tail, tailAt, false)
}

// uncomment cuts a comment off; a # within quotes is text.
func uncomment(s string) string {
	var quote byte
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case quote != 0 && c == '\\':
			i++
		case c == quote && quote != 0:
			quote = 0
		case quote == 0 && (c == '"' || c == '\'') && strings.IndexByte(s[i+1:], c) >= 0:
			quote = c
		case quote == 0 && c == '#':
			return s[:i]
		}
	}
	return s
}

// value checks a constant's value or a field's default.
func (m *msgParser) value(t *Type, value string, at int, constant bool) bool {
	bad := func(expected, hint string) bool {
		m.fail(at, expected, clip(value), hint)
		return false
	}
	switch {
	case constant && (t.Kind == Array || t.Kind == Sequence || t.Kind == Composite):
		return bad("a constant of a number, bool or string", t.String()+" cannot be constant")
	case t.Kind == Composite:
		return bad("no default", "a field of type "+t.String()+" has none")
	case t.Kind == Array || t.Kind == Sequence:
		if !strings.HasPrefix(value, "[") || !strings.HasSuffix(value, "]") {
			return bad("a list in brackets", "write: [1, 2, 3]")
		}
		return true
	case t.Kind == String:
		return true
	case t.Kind == Bool:
		switch strings.ToLower(value) {
		case "true", "false", "0", "1":
			return true
		}
		return bad("true or false", "write: true")
	case t.Kind == Float32 || t.Kind == Float64:
		if _, err := strconv.ParseFloat(value, 64); err != nil {
			return bad("a number", "write: 1.5")
		}
		return true
	}
	return integer(value, t.Kind) || bad("a whole number that "+t.Kind.String()+" can hold", "write: 1")
}

// integer tells whether s is a number of that kind.
func integer(s string, k Kind) bool {
	size := k.size() * 8
	switch k {
	case Int8, Int16, Int32, Int64:
		_, err := strconv.ParseInt(s, 0, size)
		return err == nil
	default:
		_, err := strconv.ParseUint(s, 0, size)
		return err == nil
	}
}
