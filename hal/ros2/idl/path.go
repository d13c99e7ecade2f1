package idl

import (
	"slices"
	"strconv"
	"strings"
)

// wanted is the tree of the fields that a plan reads: below a structure by name, below an array or sequence by index.
type wanted struct {
	fields map[string]*wanted
	items  map[uint32]*wanted
	// slots are the places in the result that take this number.
	slots []int
}

// step is one part of a path: a field's name or an index.
type step struct {
	name  string
	index uint32
	item  bool
	at    int // byte offset within the path
}

// maxPath bounds the text of one path, in bytes.
const maxPath = 1024

// steps splits a path such as "motor_state[3].q".
func steps(path string) (list []step, bad int, ok bool) {
	if len(path) > maxPath {
		return nil, 0, false
	}
	for i := 0; i < len(path); {
		if path[i] == '[' {
			end := strings.IndexByte(path[i:], ']')
			if end < 0 || len(list) == 0 {
				return nil, i, false
			}
			n, err := strconv.ParseUint(path[i+1:i+end], 10, 32)
			if err != nil {
				return nil, i, false
			}
			list = append(list, step{index: uint32(n), item: true, at: i})
			i += end + 1
			continue
		}
		if len(list) > 0 {
			if path[i] != '.' {
				return nil, i, false
			}
			i++
		}
		n := wordLen(path[i:])
		if n == 0 {
			return nil, i, false
		}
		list = append(list, step{name: path[i : i+n], at: i})
		i += n
	}
	return list, 0, len(list) > 0
}

// want walks one path through the type and notes the number that it ends at.
func (w *wanted) want(st *Struct, path string, slot int, out *problems) {
	if out.full() {
		return
	}
	list, bad, ok := steps(path)
	where := place{file: "path " + clip(path), line: 1, col: bad + 1}
	if !ok {
		out.add(where, "a path such as motor_state[3].q", clip(path[min(bad, len(path)):]), "write fields parted by dots, indices in brackets")
		return
	}
	t := &Type{Kind: Composite, Name: st.Name, Struct: st, lay: st.lay}
	for _, p := range list {
		where.col = p.at + 1
		if t, ok = stepInto(t, p, where, out); !ok {
			return
		}
		w = w.below(p)
	}
	where.col = len(path) + 1
	switch t.Kind {
	case Composite:
		out.add(where, "the path of a number", "the structure "+t.Name, "add one of its fields: "+some(t.Struct))
	case Array, Sequence:
		out.add(where, "the path of a number", "the array "+t.String(), "add an index, such as [0]")
	case String:
		out.add(where, "the path of a number", "a text", "plans read numbers only")
	default:
		w.slots = append(w.slots, slot)
	}
}

// below is the node for a step, made if it is not there.
func (w *wanted) below(p step) *wanted {
	if p.item {
		if w.items == nil {
			w.items = map[uint32]*wanted{}
		}
		if w.items[p.index] == nil {
			w.items[p.index] = &wanted{}
		}
		return w.items[p.index]
	}
	if w.fields == nil {
		w.fields = map[string]*wanted{}
	}
	if w.fields[p.name] == nil {
		w.fields[p.name] = &wanted{}
	}
	return w.fields[p.name]
}

// stepInto is the type of a field or element.
func stepInto(t *Type, p step, where place, out *problems) (*Type, bool) {
	switch {
	case p.item && t.Kind != Array && t.Kind != Sequence:
		out.add(where, "a field or the end of the path", "an index on "+t.String(), "only arrays and sequences have elements")
	case p.item && t.Len > 0 && p.index >= t.Len:
		out.add(where, "an index from 0 to "+number(t.Len-1), number(p.index), t.String()+" has no more elements")
	case p.item && p.index >= MaxLen:
		out.add(where, "an index below "+number(MaxLen), number(p.index), "no message is that long")
	case p.item:
		return t.Elem, true
	case t.Kind == Array || t.Kind == Sequence:
		out.add(where, "an index", clip(p.name), "choose an element of "+t.String()+", such as [0]")
	case t.Kind != Composite:
		out.add(where, "the end of the path", clip(p.name), t.String()+" has no fields")
	default:
		for i := range t.Struct.Fields {
			if f := &t.Struct.Fields[i]; f.Name == p.name {
				return f.Type, true
			}
		}
		out.add(where, "a field of "+t.Name, p.name, meant(p.name, fieldNames(t.Struct), "it has "+some(t.Struct)))
	}
	return nil, false
}

func fieldNames(st *Struct) []string {
	names := make([]string, 0, len(st.Fields))
	for _, f := range st.Fields {
		names = append(names, f.Name)
	}
	return names
}

// some lists the first fields of a structure for a hint.
func some(st *Struct) string {
	const most = 12
	names := fieldNames(st)
	more := ""
	if len(names) > most {
		names, more = names[:most], ", …"
	}
	return strings.Join(names, ", ") + more
}

// indices are the wanted elements in order.
func (w *wanted) indices() []uint32 {
	if w == nil {
		return nil
	}
	list := make([]uint32, 0, len(w.items))
	for i := range w.items {
		list = append(list, i)
	}
	slices.Sort(list)
	return list
}

// field is the node of a field, nil if nothing in it is wanted.
func (w *wanted) field(name string) *wanted {
	if w == nil {
		return nil
	}
	return w.fields[name]
}
