// Package strict reads JSON documents that people or programs hand over; it never guesses: unknown keys, keys in another
// case, keys given twice, and anything behind the document are errors.
package strict

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"reflect"
	"strings"
	"unicode/utf8"
)

// maxDepth bounds nesting; no document of ours comes near.
const maxDepth = 16

// JSON reads exactly one JSON document into v.
func JSON(data []byte, v any) error {
	if !utf8.Valid(data) {
		return errors.New("the text is not UTF-8")
	}
	if err := unique(json.NewDecoder(bytes.NewReader(data)), "", 0); err != nil {
		return err
	}
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	if err := dec.Decode(v); err != nil {
		return err
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return errors.New("text follows the document")
	}
	return exact(json.NewDecoder(bytes.NewReader(data)), reflect.TypeOf(v), "", false)
}

// Known is JSON for formats that say that unknown keys are ignored: everything else is refused all the same.
func Known(data []byte, v any) error {
	var whole json.RawMessage
	if err := JSON(data, &whole); err != nil {
		return err
	}
	if err := json.Unmarshal(data, v); err != nil {
		return err
	}
	return exact(json.NewDecoder(bytes.NewReader(data)), reflect.TypeOf(v), "", true)
}

// exact walks one value beside the type that it was read into, and refuses keys in another case than the type's: encoding/json
// takes them, and other readers of the same document do not, so that the two would read different things. Keys that are none of the
// type's in any case count only where they are ignored.
func exact(dec *json.Decoder, t reflect.Type, path string, ignore bool) error {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if reflect.PointerTo(t).Implements(unmarshaler) {
		t = anything
	}
	token, err := dec.Token()
	if err != nil {
		return err
	}
	open, ok := token.(json.Delim)
	if !ok {
		return nil
	}
	for i := 0; dec.More(); i++ {
		below, inner := fmt.Sprintf("%s[%d]", path, i), anything
		if open == '{' {
			key, err := dec.Token()
			if err != nil {
				return err
			}
			name, _ := key.(string)
			below = path + "." + name
			if t.Kind() == reflect.Struct {
				if inner, ok = field(t, name, false); !ok {
					inner = anything
				}
				if _, other := field(t, name, true); !ok && (other || !ignore) {
					return fmt.Errorf("%s: key %q is written otherwise here: upper and lower case count", path, name)
				}
			}
		}
		if k := t.Kind(); k == reflect.Map || k == reflect.Slice || k == reflect.Array {
			inner = t.Elem()
		}
		if err := exact(dec, inner, below, ignore); err != nil {
			return err
		}
	}
	_, err = dec.Token()
	return err
}

var (
	unmarshaler = reflect.TypeFor[json.Unmarshaler]()
	anything    = reflect.TypeFor[any]()
)

// field finds the type of a struct's field by its key, in any case if folded; one of an embedded struct counts as the struct's own.
func field(t reflect.Type, key string, folded bool) (reflect.Type, bool) {
	for f := range t.Fields() {
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		if f.Anonymous && name == "" && f.Type.Kind() == reflect.Struct {
			if inner, ok := field(f.Type, key, folded); ok {
				return inner, true
			}
			continue
		}
		if name == "" {
			name = f.Name
		}
		if name == key || folded && strings.EqualFold(name, key) {
			return f.Type, true
		}
	}
	return nil, false
}

// unique walks one value and refuses an object that gives a key twice: encoding/json takes the last of them, and a
// reader the first.
func unique(dec *json.Decoder, path string, depth int) error {
	token, err := dec.Token()
	if err != nil {
		return err
	}
	open, ok := token.(json.Delim)
	if !ok {
		return nil
	}
	if depth == maxDepth {
		return fmt.Errorf("%s: is nested more than %d levels deep", path, maxDepth)
	}
	seen := map[string]bool{}
	for i := 0; dec.More(); i++ {
		below := fmt.Sprintf("%s[%d]", path, i)
		if open == '{' {
			key, err := dec.Token()
			if err != nil {
				return err
			}
			name, _ := key.(string) // A decoder gives nothing else here.
			folded := strings.ToLower(strings.ToUpper(name))
			if seen[folded] {
				return fmt.Errorf("%s: key %q comes twice", path, name)
			}
			seen[folded], below = true, path+"."+name
		}
		if err := unique(dec, below, depth+1); err != nil {
			return err
		}
	}
	_, err = dec.Token()
	return err
}
