package idl

import (
	"slices"
	"strconv"
	"strings"
)

// refused are types of ROS that this package does not read, with what to do instead.
var refused = map[string]string{
	"wstring":  "wide strings are not read: no field of the robot's state needs one; leave the message out or use string",
	"time":     "that is ROS 1; ROS 2 has builtin_interfaces/Time",
	"duration": "that is ROS 1; ROS 2 has builtin_interfaces/Duration",
}

// msgPrimitives are .msg's own names beside those that IDL shares. ROS 2 turns char into uint8 and byte into octet.
var msgPrimitives = map[string]Kind{"bool": Bool, "byte": Byte, "char": Uint8, "float32": Float32, "float64": Float64, "string": String}

// typeOf reads a type with its bounds and brackets, which begins at byte offset at of the line.
func (m *msgParser) typeOf(s string, at int) (*Type, bool) {
	base, brackets := s, ""
	if i := strings.IndexByte(s, '['); i >= 0 {
		base, brackets = s[:i], s[i:]
	}
	t, ok := m.baseType(base, at)
	if !ok || brackets == "" {
		return t, ok
	}
	inner, closed := strings.CutSuffix(brackets[1:], "]")
	bound, bounded := strings.CutPrefix(inner, "<=")
	array := &Type{Kind: Sequence, Elem: t, ref: m.at(at)}
	switch {
	case !closed || strings.ContainsAny(inner, "[]"):
		m.fail(at+len(base), "[], [N] or [<=N]", clip(brackets), "arrays have one dimension")
		return nil, false
	case inner == "":
		return array, true
	case !bounded:
		array.Kind = Array
	}
	array.Len, ok = m.length(bound, at+len(base))
	return array, ok
}

// baseType reads a type without brackets.
func (m *msgParser) baseType(s string, at int) (*Type, bool) {
	name, bound, bounded := strings.Cut(s, "<=")
	t := &Type{ref: m.at(at)}
	if k, ok := msgPrimitives[name]; ok {
		t.Kind = k
	} else if k, ok := primitives[name]; ok {
		t.Kind = k
	}
	switch why := refused[name]; {
	case why != "":
		m.fail(at, "a type that is read", clip(name), why)
		return nil, false
	case bounded && t.Kind != String:
		m.fail(at, "a bound on a string", clip(s), "arrays are bounded within brackets: "+name+"[<="+bound+"]")
		return nil, false
	case bounded:
		var ok bool
		t.Len, ok = m.length(bound, at+len(name))
		return t, ok
	case t.Kind != 0:
		return t, true
	}
	if !strings.Contains(name, "/") {
		name = m.pkg + "/msg/" + name
	}
	pkg, kind, typ, ok := rosName(name, "msg")
	if !ok {
		m.fail(at, "a type", clip(s), meant(s, typeWords(), "write: float64, string, pkg/Type"))
		return nil, false
	}
	t.Kind, t.Name = Composite, pkg+"/"+kind+"/"+typ
	return t, true
}

// typeWords lists the names of numbers and strings, for suggestions.
func typeWords() []string {
	words := make([]string, 0, len(msgPrimitives)+len(primitives))
	for w := range msgPrimitives {
		words = append(words, w)
	}
	for w := range primitives {
		words = append(words, w)
	}
	slices.Sort(words)
	return words
}

func (m *msgParser) length(s string, at int) (uint32, bool) {
	n, err := strconv.ParseUint(s, 10, 32)
	if err != nil || n == 0 || n > MaxLen {
		m.fail(at, "a length from 1 to "+number(MaxLen), clip(s), "write the number of elements in digits")
		return 0, false
	}
	return uint32(n), true
}
