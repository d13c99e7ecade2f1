package idl

import (
	"math"
	"math/bits"
	"strconv"
	"strings"
)

// constKind tells constants apart; only whole numbers can be lengths, so of the others only the kind is kept.
type constKind uint8

const (
	constInt constKind = iota + 1
	constOther
)

// constant is the value of a constant or of an expression.
type constant struct {
	kind constKind
	n    int64
}

// constant reads a definition after the keyword const.
func (p *idlParser) constant(scope string) {
	t := p.typeSpec(scope, 0)
	at := p.tok
	name := p.join(scope, p.name("the constant's name"), at)
	if !p.expect("=", "write: const long NAME = 1;") {
		return
	}
	c := p.expression(scope, 0)
	if !p.failed && (t.Kind == Sequence || t.Kind == Array) {
		p.fail(at, "a constant of a number, boolean or string", "sequences cannot be constant")
	}
	p.define(name, c, at)
}

// define keeps a constant of this text; the set takes it when the whole text is sound.
func (p *idlParser) define(name string, c constant, at token) {
	if p.failed {
		return
	}
	old, ok := p.consts[name]
	if !ok {
		old, ok = p.set.consts[name]
	}
	switch {
	case ok && old != c:
		p.failAt(at.at, "a new name", name+", which has another value already", "rename one of the two")
		return
	case ok:
		return
	case p.consts == nil:
		p.consts = map[string]constant{}
	}
	p.consts[name] = c
	p.found = append(p.found, func() {
		if p.set.fresh(name, at.at, p.out) {
			p.set.consts[name] = c
		}
	})
}

// levels are IDL's binary operators, weakest first.
var levels = [][]string{{"|"}, {"^"}, {"&"}, {"<<", ">>"}, {"+", "-"}, {"*", "/", "%"}}

// expression reads a constant expression.
func (p *idlParser) expression(scope string, depth int) constant { return p.binary(scope, depth, 0) }

func (p *idlParser) binary(scope string, depth, level int) constant {
	if level == len(levels) {
		return p.unary(scope, depth)
	}
	a := p.binary(scope, depth, level+1)
	for !p.failed {
		at, op := p.tok, ""
		for _, o := range levels[level] {
			if o == ">>" && p.inAngle && depth == 0 {
				continue // it closes two types
			}
			if p.accept(o) {
				op = o
				break
			}
		}
		if op == "" {
			return a
		}
		b := p.binary(scope, depth, level+1)
		if p.failed {
			break
		}
		if a.kind != constInt || b.kind != constInt {
			a = constant{kind: constOther} // numbers with a fraction are no lengths
			continue
		}
		n, ok := apply(op, a.n, b.n)
		if !ok {
			p.fail(at, "a result within 64 bits", "correct the expression")
		}
		a.n = n
	}
	return a
}

// apply computes; ok is false for what has no result.
func apply(op string, a, b int64) (n int64, ok bool) {
	switch op {
	case "|":
		return a | b, true
	case "^":
		return a ^ b, true
	case "&":
		return a & b, true
	case "<<":
		if b < 0 || b > 62 || a < 0 || bits.Len64(uint64(a))+int(b) > 63 {
			return 0, false
		}
		return a << uint(b), true
	case ">>":
		if b < 0 || b > 63 {
			return 0, false
		}
		return a >> uint(b), true
	case "+":
		n = a + b
		return n, (n > a) == (b > 0)
	case "-":
		n = a - b
		return n, (n < a) == (b > 0)
	case "*":
		n = a * b
		return n, a == 0 || n/a == b && (a != -1 || b != math.MinInt64)
	}
	if b == 0 || a == math.MinInt64 && b == -1 {
		return 0, false
	}
	if op == "/" {
		return a / b, true
	}
	return a % b, true
}

func (p *idlParser) unary(scope string, depth int) constant {
	at := p.tok
	if depth > maxNesting {
		p.fail(at, "at most "+number(maxNesting)+" signs and brackets in each other", "simplify the expression")
		return constant{}
	}
	if p.failed {
		return constant{}
	}
	switch {
	case p.accept("-"):
		c := p.unary(scope, depth+1)
		if c.n == math.MinInt64 {
			p.fail(at, "a result within 64 bits", "correct the expression")
		}
		c.n = -c.n
		return c
	case p.accept("+"):
		return p.unary(scope, depth+1)
	case p.accept("~"):
		c := p.unary(scope, depth+1)
		c.n = ^c.n
		return c
	case p.accept("("):
		c := p.expression(scope, depth+1)
		p.expect(")", "close the bracket")
		return c
	}
	return p.operand(scope)
}

// operand reads a literal or a constant's name.
func (p *idlParser) operand(scope string) constant {
	at := p.tok
	switch {
	case at.kind == tokString:
		for p.tok.kind == tokString { // adjacent texts are one
			p.next()
		}
		return constant{kind: constOther}
	case at.kind == tokNumber:
		p.next()
		if n, err := strconv.ParseInt(at.text, 0, 64); err == nil {
			return constant{constInt, n}
		}
		if _, err := strconv.ParseUint(at.text, 0, 64); err == nil {
			return constant{kind: constOther}
		}
		if _, err := strconv.ParseFloat(strings.TrimRight(at.text, "fFdDlL"), 64); err == nil {
			return constant{kind: constOther}
		}
		p.fail(at, "a number", "write: 12, 0x0c or 1.5")
		return constant{}
	case p.accept("TRUE"), p.accept("FALSE"), p.accept("true"), p.accept("false"):
		return constant{kind: constOther}
	case at.kind != tokName && !p.is("::"):
		p.fail(at, "a value", "write a number or the name of a constant")
		return constant{}
	}
	name := p.scoped("the name of a constant")
	for _, full := range scopes(scope, name) {
		if c, ok := p.consts[full]; ok {
			return c
		}
		if c, ok := p.set.consts[full]; ok {
			return c
		}
	}
	p.failAt(at.at, "a constant that is known", clip(name), "add the file that defines it before this one")
	return constant{}
}

// scopes lists what a name may stand for within a scope, innermost first.
func scopes(scope, name string) []string {
	if rest, ok := strings.CutPrefix(name, "/"); ok {
		return []string{rest}
	}
	var all []string
	for scope != "" {
		all = append(all, scope+"/"+name)
		scope = scope[:max(0, strings.LastIndexByte(scope, '/'))]
	}
	return append(all, name)
}
