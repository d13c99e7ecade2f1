package idl

import "slices"

// structure reads a structure after its keyword.
func (p *idlParser) structure(scope string) {
	at := p.tok
	st := &Struct{Name: p.join(scope, p.name("the structure's name"), at), where: at.at}
	if p.is(";") {
		return // announced; the definition comes later or from another file
	}
	if p.accept(":") {
		ref := p.tok
		st.base = &Type{Kind: Composite, Name: p.scoped("the structure that it extends"), scope: scope, ref: ref.at}
	}
	if !p.expect("{", "write: struct name { … };") {
		return
	}
	seen := map[string]bool{}
	for !p.failed && !p.is("}") {
		p.member(st, scope, seen)
	}
	if !p.expect("}", "close the structure") {
		return
	}
	if len(st.Fields) == 0 && st.base == nil {
		p.fail(at, "a structure with members", "empty structures have no agreed form; ROS 2 gives them the member uint8 "+dummyMember)
		return
	}
	p.found = append(p.found, func() { p.set.add(st, p.out) })
}

// member reads one line of a structure, which may declare several fields.
func (p *idlParser) member(st *Struct, scope string, seen map[string]bool) {
	notes := p.annotations()
	t := p.typeSpec(scope, 0)
	for !p.failed {
		at := p.tok
		name := p.name("the member's name")
		f := Field{Name: name, Type: p.dimensions(t, scope), Key: notes["key"]}
		switch {
		case p.failed:
			return
		case seen[name]:
			p.failAt(at.at, "a new name", name+", which the structure has already", "rename one of the two")
			return
		case len(st.Fields) >= MaxFields:
			p.fail(at, "at most "+number(MaxFields)+" members", "split the structure")
			return
		}
		seen[name] = true
		st.Fields = append(st.Fields, f)
		if !p.accept(",") {
			break
		}
	}
	p.expect(";", "each member ends with a semicolon")
}

// dimensions reads the brackets after a name: t a[2][3] is two times three of t.
func (p *idlParser) dimensions(t *Type, scope string) *Type {
	var lens []uint32
	at := p.tok
	for p.accept("[") {
		lens = append(lens, p.bound(scope, "an array"))
		p.expect("]", "close the bracket")
		if len(lens) > maxNesting {
			p.fail(at, "at most "+number(maxNesting)+" dimensions", "use a structure")
		}
	}
	for _, n := range slices.Backward(lens) {
		t = &Type{Kind: Array, Elem: t, Len: n, ref: at.at}
	}
	return t
}

// bound reads a constant that is a length.
func (p *idlParser) bound(scope, what string) uint32 {
	at := p.tok
	c := p.expression(scope, 0)
	if p.failed {
		return 0
	}
	if c.kind != constInt || c.n < 1 || c.n > MaxLen {
		p.fail(at, "a length of "+what+" from 1 to "+number(MaxLen), "write the number of elements")
		return 0
	}
	return uint32(c.n)
}

// angleBound reads a length within <>, where ">>" is no operator.
func (p *idlParser) angleBound(scope, what string) uint32 {
	p.inAngle = true
	n := p.bound(scope, what)
	p.inAngle = false
	return n
}

// typeSpec reads a type without declarator.
func (p *idlParser) typeSpec(scope string, depth int) *Type {
	at := p.tok
	t := &Type{ref: at.at}
	if depth > maxNesting {
		p.fail(at, "at most "+number(maxNesting)+" types in each other", "use a structure")
		return t
	}
	if p.failed {
		return t
	}
	if k := p.basic(); k != 0 || p.failed {
		t.Kind = k
		return t
	}
	switch {
	case p.accept("string"):
		t.Kind = String
		if p.accept("<") {
			t.Len = p.angleBound(scope, "a string")
			p.close()
		}
	case p.accept("sequence"):
		t.Kind = Sequence
		if !p.expect("<", "write: sequence<type>") {
			return t
		}
		t.Elem = p.typeSpec(scope, depth+1)
		if p.accept(",") {
			t.Len = p.angleBound(scope, "a sequence")
		}
		p.close()
	case p.is("struct") || p.is("enum"):
		p.fail(at, "a type's name", "define it before the structure that uses it")
	case at.kind != tokName && !p.is("::"):
		p.fail(at, "a type", "write: type name;")
	case unread[at.text] != "":
		p.fail(at, "a type that is read", unread[at.text])
	default:
		t.Kind, t.Name, t.scope = Composite, p.scoped("a type"), scope
	}
	return t
}

// close takes a ">", or the first half of a ">>".
func (p *idlParser) close() {
	if p.is(">>") {
		p.tok.text, p.tok.at.col = ">", p.tok.at.col+1
		return
	}
	p.expect(">", "close the type's bracket")
}

// basic reads the type of a number; 0 if the token begins none.
func (p *idlParser) basic() Kind {
	at := p.tok
	if at.kind != tokName {
		return 0
	}
	if k, ok := primitives[at.text]; ok {
		p.next()
		return k
	}
	unsigned := p.accept("unsigned")
	switch {
	case p.accept("short"):
		return pick(unsigned, Uint16, Int16)
	case p.accept("long"):
		switch {
		case p.accept("long"):
			return pick(unsigned, Uint64, Int64)
		case p.is("double"):
			p.fail(at, "a type that is read", "long double is not read")
			return 0
		}
		return pick(unsigned, Uint32, Int32)
	case unsigned:
		p.fail(p.tok, "short or long after unsigned", "write: unsigned long")
		return 0
	}
	for word, k := range map[string]Kind{"boolean": Bool, "octet": Byte, "char": Char, "float": Float32, "double": Float64} {
		if p.accept(word) {
			return k
		}
	}
	return 0
}

func pick(first bool, a, b Kind) Kind {
	if first {
		return a
	}
	return b
}

// typedef reads a type's other names after the keyword.
func (p *idlParser) typedef(scope string) {
	t := p.typeSpec(scope, 0)
	for !p.failed {
		at := p.tok
		name := p.join(scope, p.name("the new type's name"), at)
		alias := p.dimensions(t, scope)
		p.found = append(p.found, func() {
			if old, ok := p.set.aliases[name]; ok && old.String() == alias.String() {
				return
			}
			if p.set.fresh(name, at.at, p.out) {
				p.set.aliases[name] = alias
			}
		})
		if !p.accept(",") {
			return
		}
	}
}

// enum reads an enumeration after its keyword. Its entries are constants beside it.
func (p *idlParser) enum(scope string) {
	at := p.tok
	name := p.join(scope, p.name("the enum's name"), at)
	if !p.expect("{", "write: enum name { A, B };") {
		return
	}
	for n := int64(0); !p.failed && !p.is("}"); n++ {
		notes := p.annotations()
		entry := p.tok
		full := p.join(scope, p.name("an entry's name"), entry)
		if !notes["value"] {
			p.define(full, constant{kind: constInt, n: n}, entry)
		}
		if n >= MaxFields {
			p.fail(entry, "at most "+number(MaxFields)+" entries", "split the enum")
		}
		if !p.accept(",") {
			break
		}
	}
	p.expect("}", "entries are parted by commas")
	p.found = append(p.found, func() {
		if _, ok := p.set.enums[name]; ok {
			return // the same file again; its entries were compared as constants
		}
		if p.set.fresh(name, at.at, p.out) {
			p.set.enums[name] = at.at
		}
	})
}
