package zones

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"
	"unicode/utf8"
)

// Caps of JSON sources; more is an error. Policies hold 10 000 zones in 4 MiB, so honest sources stay far below.
const (
	// maxJSONBytes is the largest JSON source.
	maxJSONBytes = 32 << 20
	// maxJSONDepth is the deepest nesting; a MultiPolygon in a collection of features takes 9.
	maxJSONDepth = 24
	// maxJSONNodes is the greatest number of values.
	maxJSONNodes = 1_200_000
)

// kind of a JSON value.
type kind uint8

const (
	isNull kind = iota
	isBool
	isNumber
	isString
	isArray
	isObject
)

func (k kind) String() string {
	return [...]string{"null", "true or false", "a number", "text", "a list", "an object"}[k]
}

// node is a JSON value and where it is. Scalars have text, arrays items, objects keys and items.
type node struct {
	kind  kind
	off   int32
	text  string
	keys  []string
	items []node
}

// tree is a parsed JSON source.
type tree struct {
	file  string
	raw   []byte
	root  node
	lines []int32 // offsets at which lines start
}

// parseJSON reads one JSON value strictly: UTF-8, no duplicate names, nothing behind it.
func parseJSON(file string, raw []byte, r *report) (*tree, bool) {
	t := &tree{file: file, raw: raw, lines: []int32{0}}
	at := place{file: file}
	if len(raw) > maxJSONBytes {
		r.wrong(at, ruleTooLarge, fmt.Sprintf("at most %d bytes", maxJSONBytes), fmt.Sprintf("%d bytes", len(raw)), "split the site by floors")
		return nil, false
	}
	raw = bytes.TrimPrefix(raw, []byte("\xef\xbb\xbf"))
	t.raw = raw
	for i, c := range raw {
		if c == '\n' {
			t.lines = append(t.lines, int32(i+1))
		}
	}
	if !utf8.Valid(raw) {
		r.wrong(at, ruleSyntax, "UTF-8", "bytes that are none", "save the file as UTF-8")
		return nil, false
	}
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	p := jsonParser{d: d, left: maxJSONNodes}
	err := p.value(&t.root, 0)
	if err == nil {
		if _, more := d.Token(); !errors.Is(more, io.EOF) {
			err = errors.New("something behind the value")
		}
	}
	if err != nil {
		where := t.at(int32(d.InputOffset()), "")
		r.wrong(where, ruleSyntax, "JSON", err.Error(), "check the file's end and the commas near this place")
		return nil, false
	}
	return t, true
}

// jsonParser builds nodes from tokens, so that its own caps hold before memory is taken.
type jsonParser struct {
	d    *json.Decoder
	left int
}

func (p *jsonParser) value(n *node, depth int) error {
	if depth > maxJSONDepth {
		return fmt.Errorf("nesting deeper than %d", maxJSONDepth)
	}
	if p.left--; p.left < 0 {
		return fmt.Errorf("more than %d values", maxJSONNodes)
	}
	token, err := p.d.Token()
	if err != nil {
		return plainJSONError(err)
	}
	n.off = int32(p.d.InputOffset())
	switch v := token.(type) {
	case nil:
		n.kind, n.text = isNull, "null"
	case bool:
		n.kind, n.text = isBool, strconv.FormatBool(v)
	case json.Number:
		n.kind, n.text = isNumber, v.String()
	case string:
		n.kind, n.text = isString, v
	case json.Delim:
		if v == '[' {
			n.kind = isArray
			return p.list(n, depth)
		}
		n.kind = isObject
		return p.object(n, depth)
	}
	return nil
}

func (p *jsonParser) list(n *node, depth int) error {
	for p.d.More() {
		n.items = append(n.items, node{})
		if err := p.value(&n.items[len(n.items)-1], depth+1); err != nil {
			return err
		}
	}
	_, err := p.d.Token()
	return plainJSONError(err)
}

func (p *jsonParser) object(n *node, depth int) error {
	seen := map[string]bool{}
	for p.d.More() {
		token, err := p.d.Token()
		if err != nil {
			return plainJSONError(err)
		}
		key, _ := token.(string)
		if seen[key] {
			return fmt.Errorf("the name %q twice in one object", key)
		}
		seen[key] = true
		n.keys = append(n.keys, key)
		n.items = append(n.items, node{})
		if err := p.value(&n.items[len(n.items)-1], depth+1); err != nil {
			return err
		}
	}
	_, err := p.d.Token()
	return plainJSONError(err)
}

func plainJSONError(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return errors.New("the end of the file")
	}
	return err
}

// get returns an object's member, nil if it has none of that name.
func (n *node) get(key string) *node {
	for i, k := range n.keys {
		if k == key {
			return &n.items[i]
		}
	}
	return nil
}

// number reads a finite number.
func (n *node) number() (float64, bool) {
	if n.kind != isNumber {
		return 0, false
	}
	v, err := strconv.ParseFloat(n.text, 64)
	return v, err == nil && !math.IsInf(v, 0)
}

// found tells people what a value is.
func (n *node) found() string {
	switch n.kind {
	case isNull, isBool, isNumber:
		return n.text
	case isString:
		return strconv.Quote(n.text)
	case isArray, isObject:
		return n.kind.String()
	}
	return "nothing"
}

// at is the place of an offset.
func (t *tree) at(off int32, path string) place {
	lo, hi := 0, len(t.lines)
	for hi-lo > 1 {
		if mid := (lo + hi) / 2; t.lines[mid] <= off {
			lo = mid
		} else {
			hi = mid
		}
	}
	start, end := int(t.lines[lo]), min(int(off), len(t.raw))
	return place{file: t.file, line: lo + 1, column: max(utf8.RuneCount(t.raw[start:end]), 1), path: path}
}
