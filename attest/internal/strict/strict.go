// Package strict reads JSON documents that people or programs hand over; it never guesses: unknown keys, keys given
// twice, also in another case, and anything behind the document are errors.
package strict

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
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
	return nil
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
