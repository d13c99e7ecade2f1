package idl

import (
	"strings"
	"unicode/utf8"
)

// Caps of nesting within one IDL text.
const (
	maxModules = 16
	maxNesting = 32 // of types in types and brackets in expressions
)

// AddIDL takes definitions in OMG IDL, the subset that robot vendors ship: modules, structures, typedefs, enums, constants,
// sequences, bounded strings and arrays. Annotations are passed over, but for those that would change the payload. What
// other structures refer to may be added before or after, constants and enums' entries only before.
func (s *Set) AddIDL(file, text string) error {
	var out problems
	switch {
	case len(text) > MaxText:
		out.add(place{file: file}, "at most "+number(MaxText)+" bytes", number(len(text)), "leave out what nothing refers to")
		return out.err()
	case !utf8.ValidString(text):
		out.add(place{file: file}, "text in UTF-8", "other bytes", "save the file as UTF-8")
		return out.err()
	}
	// A text that is wrong leaves nothing behind: it is read into a set of its own first.
	p := idlParser{set: s, lex: lexer{file: file, s: text, line: 1, out: &out}, out: &out}
	p.next()
	p.definitions("", 0)
	if len(out.list) == 0 {
		for _, commit := range p.found {
			commit()
		}
	}
	return out.err()
}

// idlParser reads definitions by recursive descent. It stops at the first thing that is wrong: after that, the rest would
// only be misunderstood.
type idlParser struct {
	set    *Set
	lex    lexer
	tok    token
	out    *problems
	failed bool
	// inAngle is true while a length within <> is read.
	inAngle bool
	// consts are those of this text, found are its other definitions.
	consts map[string]constant
	found  []func()
}

func (p *idlParser) next() {
	p.tok = p.lex.next()
	if p.lex.failed {
		p.failed = true
	}
}

func (p *idlParser) fail(at token, expected, hint string) {
	p.failAt(at.at, expected, at.shown(), hint)
}

func (p *idlParser) failAt(at place, expected, found, hint string) {
	if !p.failed {
		p.out.add(at, expected, found, hint)
	}
	p.failed = true
}

// is tells whether the token is the given sign or word.
func (p *idlParser) is(text string) bool {
	return p.tok.text == text && (p.tok.kind == tokName || p.tok.kind == tokSign)
}

// accept takes the token if it is the given one.
func (p *idlParser) accept(text string) bool {
	if p.failed || !p.is(text) {
		return false
	}
	p.next()
	return true
}

// expect demands the given sign.
func (p *idlParser) expect(text, hint string) bool {
	if p.accept(text) {
		return true
	}
	p.fail(p.tok, clip(text), hint)
	return false
}

// name demands an identifier. A leading underscore is IDL's way to use a keyword as a name.
func (p *idlParser) name(what string) string {
	t := p.tok
	if p.failed || t.kind != tokName {
		p.fail(t, what, "names have letters, digits and _")
		return ""
	}
	if len(t.text) > MaxName {
		p.fail(t, "a name of at most "+number(MaxName)+" bytes", "shorten it")
		return ""
	}
	p.next()
	if len(t.text) > 1 && t.text[0] == '_' {
		return t.text[1:]
	}
	return t.text
}

// unread are parts of IDL that no message on a robot's bus is made of, or whose payload would look different.
var unread = map[string]string{
	"union": "unions are not read", "bitmask": "bit masks are not read; their type is an unsigned integer on the wire",
	"bitset": "bit sets are not read", "interface": "interfaces carry no data", "valuetype": "value types carry no data",
	"exception": "exceptions are not sent", "native": "native types are not sent", "map": "maps are not read",
	"any": "any is not read", "fixed": "fixed-point numbers are not read", "wstring": "wide strings are not read",
	"wchar": "wide characters are not read",
}

// definitions reads up to the closing brace of the module scope, or the end of the file.
func (p *idlParser) definitions(scope string, depth int) {
	for !p.failed && p.tok.kind != tokEnd && !p.is("}") {
		p.annotations()
		t := p.tok
		switch {
		case p.failed:
		case p.accept("module"):
			p.module(scope, depth)
		case p.accept("struct"):
			p.structure(scope)
		case p.accept("typedef"):
			p.typedef(scope)
		case p.accept("enum"):
			p.enum(scope)
		case p.accept("const"):
			p.constant(scope)
		case p.accept(";"):
			continue
		default:
			hint := unread[t.text]
			if hint == "" {
				hint = meant(t.text, []string{"module", "struct", "typedef", "enum", "const"}, "types are written within a definition")
			}
			p.fail(t, "module, struct, typedef, enum or const", hint)
		}
		p.expect(";", "each definition ends with a semicolon")
	}
	if depth == 0 && p.is("}") {
		p.fail(p.tok, "a definition or the end of the file", "remove the brace")
	}
}

func (p *idlParser) module(scope string, depth int) {
	at := p.tok
	name := p.name("the module's name")
	if depth >= maxModules {
		p.fail(at, "at most "+number(maxModules)+" modules in each other", "flatten them")
	}
	if !p.expect("{", "write: module name { … };") {
		return
	}
	p.definitions(p.join(scope, name, at), depth+1)
	p.expect("}", "close the module")
}

// join makes a whole name.
func (p *idlParser) join(scope, name string, at token) string {
	if scope != "" {
		name = scope + "/" + name
	}
	if len(name) > MaxName {
		p.fail(at, "a name of at most "+number(MaxName)+" bytes with its modules", "shorten it")
	}
	return name
}

// annotations passes over what begins with @ and returns their names in lower case. Those that would change the payload
// are refused.
func (p *idlParser) annotations() (names map[string]bool) {
	for p.is("@") && !p.failed {
		at := p.tok
		p.next()
		name := strings.ToLower(p.scoped("the annotation's name"))
		var inner strings.Builder
		if p.is("(") {
			p.parentheses(&inner)
		}
		mutable := name == "extensibility" && strings.Contains(strings.ToLower(inner.String()), "mutable")
		switch {
		case mutable || name == "mutable":
			p.fail(at, "final or appendable types", "a mutable type is sent as a parameter list, which is not read")
		case name == "optional":
			p.fail(at, "members that are always there", "optional members are not read")
		case name == "bit_bound":
			p.fail(at, "enums of 32 bits", "other sizes are not read")
		}
		if names == nil {
			names = map[string]bool{}
		}
		names[name] = true
	}
	return names
}

// parentheses passes over what stands between a pair of them.
func (p *idlParser) parentheses(inner *strings.Builder) {
	open := p.tok
	depth := 0
	for !p.failed {
		switch {
		case p.tok.kind == tokEnd:
			p.fail(open, "a closing )", "close the bracket")
			return
		case p.is("("):
			depth++
		case p.is(")"):
			depth--
		default:
			inner.WriteString(p.tok.text)
		}
		p.next()
		if depth == 0 {
			return
		}
	}
}

// scoped reads a name with its modules, as "a/b/c"; one that begins with "::" begins with "/".
func (p *idlParser) scoped(what string) string {
	var b strings.Builder
	at := p.tok
	if p.accept("::") {
		b.WriteByte('/')
	}
	b.WriteString(p.name(what))
	for p.accept("::") {
		b.WriteByte('/')
		b.WriteString(p.name("a name after ::"))
		if b.Len() > MaxName {
			p.fail(at, "a name of at most "+number(MaxName)+" bytes", "shorten it")
		}
	}
	return b.String()
}
