package contract

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"
)

// Body is the JSON content of a frame.
type Body interface {
	// frame is the type that carries it.
	frame() byte
	// check says whether its content is possible.
	check() error
}

// New makes the frame that carries the body. It refuses what the other end would refuse.
func New(id uint32, b Body) (Frame, error) {
	if err := b.check(); err != nil {
		return Frame{}, fmt.Errorf("frame %q: %w", b.frame(), err)
	}
	raw, err := json.Marshal(b)
	if err != nil {
		return Frame{}, fmt.Errorf("frame %q: %w", b.frame(), err)
	}
	f := Frame{Type: b.frame(), ID: id, Body: raw}
	return f, f.check()
}

// Into reads the frame's body into b, a pointer to the type that the frame carries.
func (f Frame) Into(b Body) error {
	if f.Type != b.frame() {
		return fmt.Errorf("expected frame %q, found %q", b.frame(), f.Type)
	}
	if err := strict(f.Body, b); err != nil {
		return fmt.Errorf("frame %q: %w", f.Type, err)
	}
	if err := b.check(); err != nil {
		return fmt.Errorf("frame %q: %w", f.Type, err)
	}
	return nil
}

// strict reads one JSON document and refuses what two readers could read differently.
func strict(raw []byte, into any) error {
	if len(raw) == 0 || raw[0] != '{' {
		return errors.New("expected one JSON object")
	}
	// encoding/json would put replacement characters in its place, and another reader something else.
	if !utf8.Valid(raw) {
		return errors.New("expected UTF-8")
	}
	if err := unambiguous(raw); err != nil {
		return err
	}
	d := json.NewDecoder(bytes.NewReader(raw))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		return fmt.Errorf("expected one JSON object with the keys that FORMAT.md lists: %w", err)
	}
	return nil
}

// maxDepth is more than any body needs.
const maxDepth = 8

// unambiguous refuses keys that stand twice or in capitals, which Go's reader would take, deep nesting, and anything
// behind the document.
func unambiguous(raw []byte) error {
	d := json.NewDecoder(bytes.NewReader(raw))
	var open []map[string]bool // nil for an array
	wantKey := false
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			if len(open) > 0 {
				return io.ErrUnexpectedEOF
			}
			return nil
		}
		if err != nil {
			return fmt.Errorf("expected JSON: %w", err)
		}
		switch t := token.(type) {
		case json.Delim:
			switch t {
			case '{', '[':
				if len(open) == maxDepth {
					return fmt.Errorf("expected at most %d levels", maxDepth)
				}
				var keys map[string]bool
				if t == '{' {
					keys = map[string]bool{}
				}
				open = append(open, keys)
			default:
				open = open[:len(open)-1]
			}
			wantKey = len(open) > 0 && open[len(open)-1] != nil
		case string:
			if !wantKey {
				wantKey = len(open) > 0 && open[len(open)-1] != nil
				break
			}
			keys := open[len(open)-1]
			if keys[t] || t != strings.ToLower(t) {
				return fmt.Errorf("key %q stands twice or in capitals", t)
			}
			keys[t], wantKey = true, false
		default:
			wantKey = len(open) > 0 && open[len(open)-1] != nil
		}
		if len(open) == 0 && d.More() {
			return errors.New("expected nothing behind the document")
		}
	}
}
