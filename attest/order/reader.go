package order

import (
	"fmt"
	"math"
	"strconv"
	"time"
)

// object reads the fields of one JSON object by name, each with its expected type. The first fault sticks, so that a
// decoder reads all its fields in a row and asks once at the end; done refuses fields that nobody asked for.
type object struct {
	fault  *error
	path   string
	fields []field
}

// asObject starts reading a value that must be an object. The fault is shared with every object read below it.
func asObject(v *value, path string, fault *error) object {
	o := object{fault: fault, path: path}
	if v.kind != objectValue {
		o.failHere("expected an object, found %s", v.kind)
		return o
	}
	o.fields = v.fields
	return o
}

// fail records a fault of one field.
func (o *object) fail(name, format string, args ...any) {
	if *o.fault == nil {
		*o.fault = fmt.Errorf("%s: %w", join(o.path, name), fmt.Errorf(format, args...))
	}
}

// failHere records a fault of the object itself.
func (o *object) failHere(format string, args ...any) {
	if *o.fault == nil {
		path := o.path
		if path == "" {
			path = "the document"
		}
		*o.fault = fmt.Errorf("%s: %w", path, fmt.Errorf(format, args...))
	}
}

func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}

// optional returns a field's value, or nil when the object has none.
func (o *object) optional(name string) *value {
	for i := range o.fields {
		if o.fields[i].key == name {
			o.fields[i].used = true
			return &o.fields[i].value
		}
	}
	return nil
}

// typed returns the value of a required field of one type, or a zero value after a fault.
func (o *object) typed(name string, kind valueKind) *value {
	v := o.optional(name)
	switch {
	case *o.fault != nil:
	case v == nil:
		o.fail(name, "is missing: expected %s", kind)
	case v.kind != kind:
		o.fail(name, "expected %s, found %s", kind, v.kind)
	default:
		return v
	}
	return &value{}
}

func (o *object) str(name string) string { return o.typed(name, stringValue).text }

// optStr reads a string that may be missing; a present but empty one is a fault, so that each order has one form.
func (o *object) optStr(name string) string {
	if o.optional(name) == nil {
		return ""
	}
	s := o.str(name)
	if s == "" {
		o.fail(name, "is empty: leave the key out instead")
	}
	return s
}

// optTrue reads a flag that is written only when it is true.
func (o *object) optTrue(name string) bool {
	if o.optional(name) == nil {
		return false
	}
	v := o.typed(name, boolValue)
	if !v.truth {
		o.fail(name, "is false: leave the key out instead")
	}
	return v.truth
}

func (o *object) boolean(name string) bool { return o.typed(name, boolValue).truth }

// integer reads a whole number from 0 to MaxSequence, written without a fraction or an exponent.
func (o *object) integer(name string) uint64 {
	v := o.typed(name, numberValue)
	if *o.fault != nil {
		return 0
	}
	n, err := strconv.ParseUint(v.text, 10, 64)
	if err != nil || n > MaxSequence {
		o.fail(name, "found %s: expected a whole number from 0 to %d", v.text, uint64(MaxSequence))
		return 0
	}
	return n
}

// small reads a whole number from 0 to limit.
func (o *object) small(name string, limit int) int {
	n := o.integer(name)
	if n > uint64(limit) {
		o.fail(name, "found %d: expected at most %d", n, limit)
		return 0
	}
	return int(n)
}

// float reads a finite number.
func (o *object) float(name string) float64 {
	v := o.typed(name, numberValue)
	if *o.fault != nil {
		return 0
	}
	f, err := strconv.ParseFloat(v.text, 64)
	if err != nil || math.IsInf(f, 0) || math.IsNaN(f) {
		o.fail(name, "found %s: expected a finite number", v.text)
		return 0
	}
	return f
}

// timeForm is how orders write a moment: RFC 3339, UTC, whole seconds.
const timeForm = "2006-01-02T15:04:05Z"

// moment reads a time. time.Parse takes more than one spelling of the same moment, so the text must come back.
func (o *object) moment(name string) time.Time {
	s := o.str(name)
	if *o.fault != nil {
		return time.Time{}
	}
	t, err := time.Parse(timeForm, s)
	if err != nil || t.Format(timeForm) != s {
		o.fail(name, "found %q: expected UTC in whole seconds like %s", s, "2026-03-29T22:15:00Z")
		return time.Time{}
	}
	return t
}

// strs reads an array of 1 to limit strings.
func (o *object) strs(name string, limit int) []string {
	items := o.array(name, limit)
	out := make([]string, 0, len(items))
	for i := range items {
		if items[i].kind != stringValue {
			o.fail(fmt.Sprintf("%s[%d]", name, i), "expected a string, found %s", items[i].kind)
			return nil
		}
		out = append(out, items[i].text)
	}
	return out
}

// array reads an array of 1 to limit values.
func (o *object) array(name string, limit int) []value {
	v := o.typed(name, arrayValue)
	if n := len(v.items); *o.fault == nil && (n == 0 || n > limit) {
		o.fail(name, "has %d entries: expected 1 to %d", n, limit)
	}
	if *o.fault != nil {
		return nil
	}
	return v.items
}

// object reads a nested object.
func (o *object) object(name string) object {
	v := o.typed(name, objectValue)
	if *o.fault != nil {
		return object{fault: o.fault}
	}
	return asObject(v, join(o.path, name), o.fault)
}

// done refuses fields that nobody has read.
func (o *object) done() {
	for i := range o.fields {
		if !o.fields[i].used {
			o.fail(o.fields[i].key, "is not a known key here")
			return
		}
	}
}
