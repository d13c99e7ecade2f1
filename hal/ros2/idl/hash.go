package idl

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"sort"
	"strings"
)

// Numbers of types in ROS 2's type descriptions (type_description_interfaces/FieldType).
const (
	idNested        = 1
	idBoundedString = 21
	idArray         = 48  // added to the element's number
	idBoundedSeq    = 96  // likewise
	idSequence      = 144 // likewise
)

// ids are the numbers of what is neither nested nor bounded.
var ids = map[Kind]int{
	Int8: 2, Uint8: 3, Int16: 4, Uint16: 5, Int32: 6, Uint32: 7, Int64: 8, Uint64: 9, Float32: 10, Float64: 11, Char: 13,
	Bool: 15, Byte: 16, String: 17,
}

// Hash computes a message's type hash as ROS 2 has it since Iron (REP-2016): "RIHS01_" and the SHA-256 of the type's
// description. Participants carry it in the user data of their endpoints. t is what Set.Type returned; types that only IDL
// can express have no hash.
func Hash(t *Struct) (string, error) {
	d := describer{seen: map[string]description{}}
	if err := d.refer(t); err != nil {
		return "", err
	}
	return d.sum(t.Name), nil
}

// ServiceHash computes the type hash of a service that was given to AddSrv or that the set knows, by its name, such as
// "std_srvs/srv/SetBool". It covers the request, the response and the event that a service can be watched by.
func (s *Set) ServiceHash(name string) (string, error) {
	if pkg, kind, typ, ok := rosName(name, "srv"); ok {
		name = pkg + "/" + kind + "/" + typ
	}
	if !s.services[name] {
		return "", fmt.Errorf("idl: service %s is not defined; add its .srv file", clip(name))
	}
	var parts [3]*Struct
	for i, part := range []string{name + "_Request", name + "_Response", "service_msgs/msg/ServiceEventInfo"} {
		t, err := s.Type(part)
		if err != nil {
			return "", err
		}
		parts[i] = t
	}
	nested := func(t *Struct) *Type { return &Type{Kind: Composite, Name: t.Name, Struct: t} }
	few := func(t *Struct) *Type { return &Type{Kind: Sequence, Len: 1, Elem: nested(t)} }
	event := &Struct{Name: name + "_Event", Fields: []Field{
		{Name: "info", Type: nested(parts[2])}, {Name: "request", Type: few(parts[0])}, {Name: "response", Type: few(parts[1])},
	}}
	return Hash(&Struct{Name: name, Fields: []Field{
		{Name: "request_message", Type: nested(parts[0])},
		{Name: "response_message", Type: nested(parts[1])},
		{Name: "event_message", Type: nested(event)},
	}})
}

// description is one type as ROS 2 describes it. The order of its fields is that of the hash.
type description struct {
	Name   string             `json:"type_name"`
	Fields []fieldDescription `json:"fields"`
}

type fieldDescription struct {
	Name string          `json:"name"`
	Type typeDescription `json:"type"`
}

type typeDescription struct {
	ID             int    `json:"type_id"`
	Capacity       uint32 `json:"capacity"`
	StringCapacity uint32 `json:"string_capacity"`
	Nested         string `json:"nested_type_name"`
}

// describer collects a type and all that it refers to.
type describer struct{ seen map[string]description }

func (d *describer) refer(t *Struct) error {
	if _, ok := d.seen[t.Name]; ok {
		return nil
	}
	if n := strings.Count(t.Name, "/"); n != 2 || strings.Contains(t.Name, "/dds_/") {
		return fmt.Errorf("idl: %s has no type hash: only types named package/kind/Type have", clip(t.Name))
	}
	desc := description{Name: t.Name, Fields: make([]fieldDescription, 0, len(t.Fields))}
	d.seen[t.Name] = desc // its fields follow
	for _, f := range t.Fields {
		td, err := d.describe(f.Type)
		if err != nil {
			return fmt.Errorf("idl: %s.%s has no type hash: %w", t.Name, f.Name, err)
		}
		desc.Fields = append(desc.Fields, fieldDescription{f.Name, td})
	}
	d.seen[t.Name] = desc
	return nil
}

var errNotROS = errors.New("ROS 2 cannot describe its type")

func (d *describer) describe(t *Type) (td typeDescription, err error) {
	switch t.Kind {
	case Array, Sequence:
		if t.Elem.Kind == Array || t.Elem.Kind == Sequence {
			return td, errNotROS
		}
		td, err = d.describe(t.Elem)
		td.Capacity = t.Len
		switch {
		case t.Kind == Array:
			td.ID += idArray
		case t.Len > 0:
			td.ID += idBoundedSeq
		default:
			td.ID += idSequence
		}
		return td, err
	case Composite:
		td.ID, td.Nested = idNested, t.Struct.Name
		return td, d.refer(t.Struct)
	case String:
		if t.Len > 0 {
			td.ID, td.StringCapacity = idBoundedString, t.Len
			return td, nil
		}
	case Enum:
		return td, errNotROS
	default:
	}
	td.ID = ids[t.Kind]
	return td, nil
}

// sum is the hash over the description of name and, sorted by their names, of all other types.
func (d *describer) sum(name string) string {
	var others []description
	for _, o := range d.seen {
		if o.Name != name {
			others = append(others, o)
		}
	}
	// sort.Slice sorts all types by the same code; slices.SortFunc is 9 KB more of the robot's program for each.
	sort.Slice(others, func(i, j int) bool { return others[i].Name < others[j].Name })
	if others == nil {
		others = []description{}
	}
	text, err := json.Marshal(struct {
		Type   description   `json:"type_description"`
		Others []description `json:"referenced_type_descriptions"`
	}{d.seen[name], others})
	if err != nil {
		return "" // cannot be: texts and numbers only
	}
	sum := sha256.Sum256(spaced(text))
	return "RIHS01_" + hex.EncodeToString(sum[:])
}

// spaced puts a space after each colon and comma between values, as the hash's own form of JSON has it. Names have none of
// these signs.
func spaced(compact []byte) []byte {
	out := make([]byte, 0, len(compact)*5/4)
	for _, c := range compact {
		out = append(out, c)
		if c == ':' || c == ',' {
			out = append(out, ' ')
		}
	}
	return out
}
