package idl

import (
	"slices"
	"strings"
)

// resolution is how far a structure's names are resolved.
type resolution uint8

const (
	unresolved resolution = iota
	resolving
	resolved
	broken
)

// resolve finds what the structure's names stand for, and its layout. depth counts what it is nested in.
func (s *Set) resolve(st *Struct, depth int, out *problems) bool {
	switch {
	case st.state == resolved:
		return true
	case st.state == broken:
		return false
	case st.state == resolving:
		out.add(st.where, "a structure that does not contain itself", st.Name+" within itself", "no message is endless; break the circle")
		return false
	}
	st.state = resolving
	ok := s.inherit(st, depth, out)
	lay := &layout{fixed: true}
	deepest := 0
	for i := range st.Fields {
		t, nested := s.typeOf(st.Fields[i].Type, depth+1, out)
		if t == nil {
			ok = false
			continue
		}
		st.Fields[i].Type = t
		deepest = max(deepest, nested)
		lay.add(t.lay)
	}
	if ok && lay.span.most() > MaxFixed {
		out.add(st.where, "at most "+number(MaxFixed)+" bytes of fixed size", "more in "+st.Name, "no message is that large")
		ok = false
	}
	st.lay, st.depth, st.state = lay, deepest+1, resolved
	if !ok {
		st.state = broken
		s.broken = append(s.broken, st)
	}
	return ok
}

// add appends a field's layout to the structure's.
func (l *layout) add(f *layout) {
	l.fixed = l.fixed && f.fixed
	l.least = min(l.least+f.least, MaxFixed)
	if l.fixed {
		l.span = l.span.then(f.span)
	}
}

// inherit puts the members of the structure that this one extends before its own.
func (s *Set) inherit(st *Struct, depth int, out *problems) bool {
	if st.base == nil {
		return true
	}
	t, _ := s.typeOf(st.base, depth+1, out)
	if t == nil {
		return false
	}
	if t.Kind != Composite {
		out.add(st.base.ref, "a structure to extend", t.String(), "only structures can be extended")
		return false
	}
	fields := slices.Concat(t.Struct.Fields, st.Fields)
	seen := map[string]bool{}
	for _, f := range fields {
		if seen[f.Name] {
			out.add(st.where, "members with new names", f.Name+", which "+t.Name+" has already", "rename one of the two")
			return false
		}
		seen[f.Name] = true
	}
	if len(fields) > MaxFields {
		out.add(st.where, "at most "+number(MaxFields)+" members with the inherited ones", number(len(fields)), "split the structure")
		return false
	}
	st.Fields, st.base = fields, nil
	return true
}

// typeOf resolves a type; nil if it cannot be. It also tells how deep the type is nested in itself.
func (s *Set) typeOf(t *Type, depth int, out *problems) (res *Type, nested int) {
	if depth > MaxDepth {
		out.add(t.ref, "at most "+number(MaxDepth)+" types in each other", "more", "no message is that deep")
		return nil, 0
	}
	switch t.Kind {
	case Composite:
		return s.named(t, depth, out)
	case Array, Sequence:
		elem, n := s.typeOf(t.Elem, depth+1, out)
		if elem == nil {
			return nil, 0
		}
		r := *t
		r.Elem = elem
		r.lay = elements(&r)
		if r.lay.span.most() > MaxFixed {
			out.add(t.ref, "at most "+number(MaxFixed)+" bytes of fixed size", "more in "+r.String(), "no message is that large")
			return nil, 0
		}
		return &r, n + 1
	default:
		r := *t
		r.lay = scalar(t.Kind)
		return &r, 0
	}
}

// elements is the layout of an array or sequence.
func elements(t *Type) *layout {
	l := &layout{least: 4}
	if t.Kind == Array {
		l.fixed = t.Elem.lay.fixed
		l.least = uint32(min(uint64(t.Elem.lay.least)*uint64(t.Len), MaxFixed))
	}
	if l.fixed {
		l.span = t.Elem.lay.span.times(t.Len)
	}
	return l
}

// scalar is the layout of a number or string.
func scalar(k Kind) *layout {
	if k == String {
		return &layout{least: 4}
	}
	return &layout{fixed: true, least: uint32(k.size()), span: numbers(k.size())}
}

// named resolves a name to a structure, an enum or what a typedef stands for.
func (s *Set) named(t *Type, depth int, out *problems) (res *Type, nested int) {
	for _, name := range scopes(t.scope, t.Name) {
		if st := s.structs[name]; st != nil {
			if !s.resolve(st, depth, out) {
				return nil, 0
			}
			if depth+st.depth > MaxDepth {
				out.add(t.ref, "at most "+number(MaxDepth)+" types in each other", "more", "no message is that deep")
				return nil, 0
			}
			return &Type{Kind: Composite, Name: name, Struct: st, ref: t.ref, lay: st.lay}, st.depth
		}
		if alias := s.aliases[name]; alias != nil {
			return s.typeOf(alias, depth+1, out)
		}
		if _, ok := s.enums[name]; ok {
			return &Type{Kind: Enum, Name: name, ref: t.ref, lay: scalar(Enum)}, 0
		}
	}
	if out.full() {
		return nil, 0
	}
	found := t.Name
	hint := meant(found, s.Names(), "add the file that defines it")
	if pkg, typ, ok := strings.Cut(found, "/msg/"); ok && typ == "Header" {
		hint = "std_msgs/Header is the usual one; " + pkg + " has none of its own"
	}
	out.add(t.ref, "a type that is defined", found, hint)
	return nil, 0
}
