package config

import (
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/robowarden/robowarden/agent/config/internal/strictyaml"
)

// decoder fills typed documents and reports everything that does not fit, not only the first.
type decoder struct {
	*document
	fields map[reflect.Type][]field
}

// Types that are written in their own way.
var (
	durationType  = reflect.TypeFor[time.Duration]()
	timeType      = reflect.TypeFor[time.Time]()
	digestType    = reflect.TypeFor[Digest]()
	pointType     = reflect.TypeFor[Point]()
	timeOfDayType = reflect.TypeFor[TimeOfDay]()
	daysType      = reflect.TypeFor[Days]()
	timezoneType  = reflect.TypeFor[Timezone]()
)

// decode fills the struct that v points to. The keys kind and version, which every document has, are already read.
func (d *document) decode(v any) error {
	dec := &decoder{document: d, fields: map[reflect.Type][]field{}}
	if err := dec.learn(reflect.TypeOf(v).Elem()); err != nil {
		return err
	}
	if d.root != nil {
		dec.group(d.root, reflect.ValueOf(v).Elem(), nil, "kind", "version")
	}
	return nil
}

// learn reads the tags of a struct type and of all below it.
func (d *decoder) learn(t reflect.Type) error {
	switch t.Kind() {
	case reflect.Pointer, reflect.Slice:
		return d.learn(t.Elem())
	case reflect.Struct:
	default:
		return nil
	}
	if _, done := d.fields[t]; done {
		return nil
	}
	fields, err := fieldsOf(t)
	if err != nil {
		return err
	}
	d.fields[t] = fields
	for _, f := range fields {
		if err := d.learn(f.typ); err != nil {
			return err
		}
	}
	return nil
}

// group fills a struct from a mapping.
func (d *decoder) group(n *strictyaml.Node, v reflect.Value, where *path, skip ...string) {
	fields := d.fields[v.Type()]
	if n.Kind != strictyaml.Mapping {
		d.mistyped(n, where, "a group of keys ("+required(fields)+")", "")
		return
	}
	seen := make(map[string]*strictyaml.Node, n.Len())
	misspelt := map[string]bool{}
	broken := false
	for i := range n.Len() {
		k, _ := n.Entry(i)
		if k.Kind != strictyaml.Scalar {
			d.soil(where) // reported when it was parsed
			broken = true
			continue
		}
		if first := seen[k.Text]; first != nil {
			line, _ := d.lines.Position(int(first.Off))
			d.about(k, where.child(k.Text), Problem{
				Rule: "duplicate-key", Expected: "each key once", Found: k.Text + " again",
				Hint: fmt.Sprintf("it is already set on line %d; delete one of the two", line),
			})
			continue
		}
		seen[k.Text] = k
		if !known(fields, k.Text) && !slices.Contains(skip, k.Text) {
			misspelt[d.unknown(k, fields, where)] = true
		}
	}
	for i := range fields {
		f := &fields[i]
		key, value := n.Get(f.name)
		switch {
		case key == nil && !f.optional && (broken || misspelt[f.name]):
			d.soil(where.child(f.name)) // said once is enough
		case key == nil && !f.optional:
			d.about(n, where.child(f.name), Problem{
				Rule: "missing-key", Expected: f.name + ": " + d.describe(f, f.typ), Found: "nothing", Example: f.example,
			})
		case key == nil:
			preset(v.Field(f.index), f)
		case value.Kind == strictyaml.Empty:
			d.about(key, where.child(f.name), Problem{
				Rule: "empty-value", Expected: f.name + ": " + d.describe(f, f.typ), Found: "no value", Example: f.example,
			})
		default:
			d.value(value, v.Field(f.index), f, where.child(f.name))
		}
	}
}

func known(fields []field, name string) bool {
	for i := range fields {
		if fields[i].name == name {
			return true
		}
	}
	return false
}

// required lists the keys that a group must have, or may have if it must have none.
func required(fields []field) string {
	var names []string
	for _, f := range fields {
		if !f.optional {
			names = append(names, f.name)
		}
	}
	if len(names) == 0 {
		for _, f := range fields {
			names = append(names, f.name)
		}
	}
	return strings.Join(names, ", ")
}

// unknown reports a key that nobody asked for, and returns the key that was probably meant, or "".
func (d *decoder) unknown(k *strictyaml.Node, fields []field, where *path) string {
	names := make([]string, 0, len(fields))
	for _, f := range fields {
		names = append(names, f.name)
	}
	p := Problem{Rule: "unknown-key", Expected: "one of " + strings.Join(names, ", "), Found: k.Text}
	meant := closest(k.Text, names)
	if meant != "" {
		p.Hint = "did you mean " + meant + "?"
	} else if home := d.home(k.Text); home != "" {
		p.Hint = "this key belongs under " + home
	}
	d.about(k, where.child(k.Text), p)
	return meant
}

// home returns the group that has a key of this name, if exactly one has.
func (d *decoder) home(name string) string {
	home := ""
	for _, fields := range d.fields {
		for _, f := range fields {
			t := f.typ
			for t.Kind() == reflect.Pointer || t.Kind() == reflect.Slice {
				t = t.Elem()
			}
			if inner, ok := d.fields[t]; ok && known(inner, name) {
				if home != "" && home != f.name {
					return ""
				}
				home = f.name
			}
		}
	}
	return home
}

// preset sets a key's default.
func preset(v reflect.Value, f *field) {
	if f.preset == "" {
		return
	}
	if f.typ == durationType {
		dur, _ := time.ParseDuration(f.preset) // a test reads every default
		v.SetInt(int64(dur))
		return
	}
	if v.Kind() == reflect.String {
		v.SetString(f.preset)
		return
	}
	if v.Kind() == reflect.Float64 {
		x, _ := strconv.ParseFloat(f.preset, 64)
		v.SetFloat(x)
		return
	}
	n, _ := strconv.ParseInt(f.preset, 10, 64)
	v.SetInt(n)
}

// value fills v from a node, by v's type.
func (d *decoder) value(n *strictyaml.Node, v reflect.Value, f *field, where *path) {
	if n.Kind == strictyaml.Bad {
		d.soil(where) // reported when it was parsed
		return
	}
	switch t := v.Type(); {
	case t == pointType:
		d.point(n, v, f, where)
	case t == daysType:
		d.days(n, v, f, where)
	case t == durationType, t == timeType, t == digestType, t == timeOfDayType, t == timezoneType:
		d.scalar(n, v, f, where)
	case t.Kind() == reflect.Pointer:
		p := reflect.New(t.Elem())
		d.value(n, p.Elem(), f, where)
		v.Set(p)
	case t.Kind() == reflect.Slice:
		d.list(n, v, f, where)
	case t.Kind() == reflect.Struct:
		d.group(n, v, where)
	default:
		d.scalar(n, v, f, where)
	}
}

func (d *decoder) list(n *strictyaml.Node, v reflect.Value, f *field, where *path) {
	if n.Kind != strictyaml.Sequence {
		d.mistyped(n, where, d.describe(f, v.Type()),
			"write a list in brackets, or one entry per line behind a dash; the brackets stay with one entry")
		return
	}
	// A list within a list (holes) has no bounds of its own; three points are asked for where rings are checked.
	if v.Type() == f.typ && f.maximum >= 0 && (n.Len() < f.minimum || n.Len() > f.maximum) {
		d.about(n, where, Problem{
			Rule: "list-length", Expected: fmt.Sprintf("%d to %d entries", f.minimum, f.maximum),
			Found: strconv.Itoa(n.Len()), Example: f.example,
		})
		if n.Len() > f.maximum {
			return
		}
	}
	out := reflect.MakeSlice(v.Type(), n.Len(), n.Len())
	for i := range n.Items {
		item := where.item(i)
		if n.Items[i].Kind == strictyaml.Empty {
			d.about(&n.Items[i], item, Problem{Rule: "empty-value", Expected: d.describe(f, v.Type().Elem()), Found: "no value"})
			continue
		}
		d.value(&n.Items[i], out.Index(i), f, item)
	}
	v.Set(out)
}

// point reads [x, y].
func (d *decoder) point(n *strictyaml.Node, v reflect.Value, f *field, where *path) {
	if n.Kind != strictyaml.Sequence || n.Len() != 2 {
		d.mistyped(n, where, "a point [x, y] in metres", "")
		return
	}
	for i := range 2 {
		if c := &n.Items[i]; c.Kind == strictyaml.Empty {
			d.about(c, where.item(i), Problem{Rule: "empty-value", Expected: "a number in metres", Found: "no value"})
		} else if c.Kind != strictyaml.Bad {
			d.scalar(c, v.Field(i), f, where.item(i))
		}
	}
}

// days reads a list of weekdays.
func (d *decoder) days(n *strictyaml.Node, v reflect.Value, f *field, where *path) {
	names := dayNames()
	if n.Kind != strictyaml.Sequence || n.Len() == 0 {
		d.mistyped(n, where, d.describe(f, v.Type()), "")
		return
	}
	var set Days
	for i := range n.Items {
		item := &n.Items[i]
		day := -1
		for j, name := range names {
			if item.Kind == strictyaml.Scalar && item.Text == name {
				day = j
			}
		}
		p := Problem{Rule: "not-allowed", Expected: "one of " + strings.Join(names, ", "), Found: found(item)}
		switch {
		case item.Kind == strictyaml.Bad:
		case day < 0:
			if c := closest(item.Text, names); c != "" {
				p.Hint = "did you mean " + c + "?"
			} else if c := dayPrefix(item.Text, names); c != "" {
				p.Hint = "did you mean " + c + "?"
			}
			d.about(item, where.item(i), p)
		case set.Has(time.Weekday(day)):
			p.Rule, p.Expected, p.Hint = "duplicate-entry", "each day once", "delete one of the two"
			d.about(item, where.item(i), p)
		default:
			set |= 1 << day
		}
	}
	v.SetUint(uint64(set))
}

// dayNames lists the weekdays in Go's order, and the holiday.
func dayNames() []string { return []string{"sun", "mon", "tue", "wed", "thu", "fri", "sat", "holiday"} }

func dayPrefix(word string, names []string) string {
	for _, n := range names {
		if strings.HasPrefix(strings.ToLower(word), n) {
			return n
		}
	}
	return ""
}

// mistyped reports a node of the wrong kind.
func (d *decoder) mistyped(n *strictyaml.Node, where *path, expected, hint string) {
	if n.Kind != strictyaml.Bad {
		d.about(n, where, Problem{Rule: "wrong-type", Expected: expected, Found: found(n), Hint: hint})
	}
}
