// Package idl understands the definitions of ROS 2 messages and services that an integrator brings along, as .msg, .srv or
// OMG IDL text, and reads single numbers out of payloads of such types. It opens no file and no socket, generates no code,
// and whatever text or bytes come in, it neither panics nor takes more than its caps.
//
// A Set collects definitions; Set.Type resolves one of them with everything that it is made of; Compile makes a Plan of
// it, which reads the wanted fields in one pass without allocating:
//
//	s := idl.NewSet()
//	err := s.AddMsg("acme_msgs/msg/Motor", "Motor.msg", motorText)
//	err = s.AddMsg("acme_msgs/msg/State", "State.msg", stateText)
//	t, err := s.Type("acme_msgs/msg/State")
//	p, err := idl.Compile(t, []string{"motor[3].temperature", "mode"})
//	err = p.Read(payload, dst)
package idl

import (
	"cmp"
	"slices"
	"strings"
)

// Caps. Definitions come from whoever sets up a robot, and a wrong file must not cost more than its error message.
const (
	// MaxText bounds one file of definitions, in bytes; the largest vendor files have some tens of kilobytes.
	MaxText = 1 << 20
	// MaxTypes bounds the definitions in a Set.
	MaxTypes = 2048
	// MaxFields bounds the fields of one structure.
	MaxFields = 1024
	// MaxDepth bounds how deep structures, arrays and sequences are nested in each other.
	MaxDepth = 16
	// MaxName bounds a name with its modules, in bytes.
	MaxName = 256
	// MaxLen bounds the length of an array and the bound of a sequence or string.
	MaxLen = 1 << 24
	// MaxFixed bounds the size of a structure or array without strings and sequences, in bytes.
	MaxFixed = 16 << 20
	// MaxPaths bounds the fields that one Plan reads.
	MaxPaths = 4096
)

// Kind tells types apart.
type Kind uint8

// Kinds. Char and Byte are one octet, as numbers 0 to 255; an Enum is the number of its entry, 32 bits wide.
const (
	Bool Kind = iota + 1
	Byte
	Char
	Int8
	Uint8
	Int16
	Uint16
	Int32
	Uint32
	Int64
	Uint64
	Float32
	Float64
	Enum
	String
	Composite
	Array
	Sequence
)

// Type is the type of a field or of an array's or sequence's elements.
type Type struct {
	Kind Kind
	// Name is that of a Composite or Enum, as written until it is resolved.
	Name string
	// Len is the length of an Array, or the most elements of a Sequence and bytes of a String, 0 for no bound.
	Len uint32
	// Elem is what an Array or Sequence is made of.
	Elem *Type
	// Struct is what a Composite's name stands for.
	Struct *Struct

	// scope is the modules that a name is looked up from, innermost last, and ref where it stands.
	scope string
	ref   place
	lay   *layout
}

// Field is one member of a structure.
type Field struct {
	Name string
	Type *Type
	// Default is the value that a .msg gives, as written; it does not show on the wire.
	Default string
	// Key says that the field is part of the topic's key.
	Key bool
}

// Struct is a message, or one part of a service, or a structure within these.
type Struct struct {
	// Name is the whole name, parts joined by "/": "sensor_msgs/msg/Imu".
	Name   string
	Fields []Field

	base  *Type // IDL's inheritance, until it is resolved
	where place
	// said is the definition in one line, to tell a copy from a contradiction.
	said string
	// standard marks what NewSet brings; an integrator's own definition takes its place.
	standard bool
	state    resolution
	depth    int // of types in each other, itself included
	lay      *layout
	empty    bool // its one member is the dummy that ROS 2 adds
}

// place is where something stands in a text.
type place struct {
	file      string
	line, col int
}

// primitives are the types that .msg and IDL share by name; each language adds its own.
var primitives = map[string]Kind{
	"int8": Int8, "uint8": Uint8, "int16": Int16, "uint16": Uint16, "int32": Int32, "uint32": Uint32,
	"int64": Int64, "uint64": Uint64,
}

// size is the number of bytes of a number, which is also its alignment in XCDR1; 0 for what is no number.
func (k Kind) size() int {
	switch k {
	case Bool, Byte, Char, Int8, Uint8:
		return 1
	case Int16, Uint16:
		return 2
	case Int32, Uint32, Float32, Enum:
		return 4
	case Int64, Uint64, Float64:
		return 8
	case String, Composite, Array, Sequence:
	}
	return 0
}

// String names the type as .msg would, as far as .msg has it.
func (t *Type) String() string {
	switch t.Kind {
	case String:
		if t.Len > 0 {
			return "string<=" + number(t.Len)
		}
		return "string"
	case Composite, Enum:
		return t.Name
	case Array:
		return t.Elem.String() + "[" + number(t.Len) + "]"
	case Sequence:
		if t.Len > 0 {
			return t.Elem.String() + "[<=" + number(t.Len) + "]"
		}
		return t.Elem.String() + "[]"
	default:
		return t.Kind.String()
	}
}

// String names the kind.
func (k Kind) String() string {
	if int(k) < len(kindNames) {
		return kindNames[k]
	}
	return kindNames[0]
}

var kindNames = [...]string{
	"unknown", "bool", "byte", "char", "int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64", "float32",
	"float64", "enum", "string", "structure", "array", "sequence",
}

// Set is a collection of definitions. Its methods must not be called at the same time; what Type returns does not change
// any more and may be shared.
type Set struct {
	structs map[string]*Struct
	aliases map[string]*Type
	enums   map[string]place
	consts  map[string]constant
	// services has the names that AddSrv was given.
	services map[string]bool
	// broken are the structures that the last Type could not resolve; the next one tries again.
	broken []*Struct
}

// NewSet returns a Set that knows the usual messages already: those that this repository reads and what they are made of.
func NewSet() *Set {
	s := &Set{
		structs: map[string]*Struct{}, aliases: map[string]*Type{}, enums: map[string]place{}, consts: map[string]constant{},
		services: map[string]bool{},
	}
	s.addStandard()
	return s
}

// Names lists the structures in the set, sorted.
func (s *Set) Names() []string {
	names := make([]string, 0, len(s.structs))
	for name := range s.structs {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// add takes a definition. One that is there already may come again if it says the same, so that a file that two packages
// bring along is no trouble.
func (s *Set) add(st *Struct, out *problems) {
	st.said = st.text()
	old, ok := s.structs[st.Name]
	switch {
	case ok && old.standard:
	case ok && old.said == st.said:
		return
	case ok:
		out.add(st.where, "one definition of "+st.Name, "another one that differs, given before",
			"remove one of the two, or give its package another name")
		return
	case !s.fresh(st.Name, st.where, out):
		return
	}
	s.structs[st.Name] = st
}

// text is the definition in one line, before it is resolved.
func (st *Struct) text() string {
	var b strings.Builder
	if st.base != nil {
		b.WriteString(": " + st.base.String() + " ")
	}
	for _, f := range st.Fields {
		b.WriteString(f.Type.String() + " " + f.Name + "; ")
	}
	return b.String()
}

// fresh tells whether a name is free for a definition.
func (s *Set) fresh(name string, at place, out *problems) bool {
	_, isStruct := s.structs[name]
	_, isAlias := s.aliases[name]
	_, isEnum := s.enums[name]
	switch {
	case isStruct || isAlias || isEnum:
		out.add(at, "a new name", name+", which is defined already", "remove one of the two")
	case len(s.structs)+len(s.aliases)+len(s.enums)+len(s.consts) >= MaxTypes:
		out.add(at, "at most "+number(MaxTypes)+" definitions", "one more", "leave out files that nothing refers to")
	default:
		return true
	}
	return false
}

// Type resolves the structure of that name, with everything that it is made of. The name may be written as
// "pkg/msg/Type", "pkg/Type", "pkg::msg::Type" or as DDS knows it, "pkg::msg::dds_::Type_".
func (s *Set) Type(name string) (*Struct, error) {
	var out problems
	st := s.find(name)
	if st == nil {
		whole := name
		if pkg, kind, typ, ok := rosName(name, "msg"); ok {
			whole = pkg + "/" + kind + "/" + typ
		}
		out.add(place{file: "type " + clip(name)}, "a definition of that name", "none",
			meant(whole, s.Names(), "add the file that defines it"))
		return nil, out.err()
	}
	s.resolve(st, 0, &out)
	for _, b := range s.broken {
		b.state = unresolved
	}
	s.broken = nil
	if err := out.err(); err != nil {
		return nil, err
	}
	return st, nil
}

// find looks a name up in its several spellings.
func (s *Set) find(name string) *Struct {
	parts := strings.Split(strings.ReplaceAll(strings.TrimPrefix(name, "::"), "::", "/"), "/")
	n := len(parts)
	candidates := [][]string{parts}
	switch {
	case n == 2:
		candidates = append(candidates, []string{parts[0], "msg", parts[1]}, []string{parts[0], "msg", "dds_", parts[1] + "_"})
	case n == 3:
		candidates = append(candidates, []string{parts[0], parts[1], "dds_", parts[2] + "_"})
	case n == 4 && parts[2] == "dds_":
		candidates = append(candidates, []string{parts[0], parts[1], strings.TrimSuffix(parts[3], "_")})
	}
	for _, c := range candidates {
		if st := s.structs[strings.Join(c, "/")]; st != nil {
			return st
		}
	}
	return nil
}

// number writes a count.
func number[T ~int | ~uint32 | ~int64](n T) string { return itoa(int64(n)) }

func before(a, b place) int {
	return cmp.Or(cmp.Compare(a.file, b.file), cmp.Compare(a.line, b.line), cmp.Compare(a.col, b.col))
}
