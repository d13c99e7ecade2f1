package ros1

import (
	"bytes"
	"errors"
	"fmt"
)

// Bounds of one XML-RPC document.
const (
	maxXMLDepth = 8
	// maxXMLValues bounds the values of a request to us; an answer from the master may have one per 32 bytes.
	maxXMLValues = 256
)

// xmlKind says what an XML-RPC value is. Numbers and flags stay text until somebody wants them.
type xmlKind uint8

const (
	xmlText xmlKind = iota
	xmlInt
	xmlOther
	xmlArray
)

// xmlValue is one value of a document; arrays link to their entries by index.
type xmlValue struct {
	kind xmlKind
	text []byte
	// first and next are indices into xmlReader.values, -1 for none.
	first, next int32
}

// xmlReader reads the XML-RPC subset that ROS speaks: arrays and scalars, no attributes, comments, CDATA, DOCTYPE or
// structs. Values point into the document, and the list of values is used again for the next one, so a poll whose
// answer keeps its size allocates nothing. It is stricter than XML on purpose: what it does not know is an error.
type xmlReader struct {
	b      []byte
	pos    int
	values []xmlValue
	max    int
}

var (
	errXMLDepth  = fmt.Errorf("values nested deeper than %d", maxXMLDepth)
	errXMLMarkup = errors.New("expected XML-RPC markup without attributes, comments or declarations")
)

// parseCall reads a request and returns its method and the index of its first parameter, -1 for none.
func (x *xmlReader) parseCall(b []byte) (method string, first int32, err error) {
	x.reset(b, maxXMLValues)
	x.prolog()
	if err := x.open("methodCall"); err != nil {
		return "", -1, err
	}
	if err := x.open("methodName"); err != nil {
		return "", -1, err
	}
	name, err := x.text("methodName")
	if err != nil {
		return "", -1, err
	}
	if len(name) > 64 {
		return "", -1, fmt.Errorf("method name of %d bytes; expected at most 64", len(name))
	}
	first, err = x.params()
	if err != nil {
		return "", -1, err
	}
	return string(name), first, x.finish("methodCall")
}

// parseResponse reads an answer and returns the index of its value.
func (x *xmlReader) parseResponse(b []byte) (int32, error) {
	x.reset(b, len(b)/16+1)
	x.prolog()
	if err := x.open("methodResponse"); err != nil {
		return -1, err
	}
	first, err := x.params()
	if err != nil {
		return -1, err
	}
	if first < 0 || x.values[first].next >= 0 {
		return -1, errors.New("answer without exactly one value")
	}
	return first, x.finish("methodResponse")
}

func (x *xmlReader) reset(b []byte, max int) {
	x.b, x.pos, x.max, x.values = b, 0, max, x.values[:0]
}

// params reads an optional list of parameters.
func (x *xmlReader) params() (first int32, err error) {
	first = -1
	name, state := x.peek()
	if state == tagClose {
		return first, nil
	}
	if string(name) != "params" {
		return first, fmt.Errorf("found <%s>; expected <params>", clipBytes(name))
	}
	if err := x.open("params"); err != nil || state == tagEmpty {
		return first, err
	}
	last := int32(-1)
	for {
		if _, state := x.peek(); state == tagClose {
			return first, x.close("params")
		}
		if err := x.open("param"); err != nil {
			return first, err
		}
		i, err := x.value(0)
		if err != nil {
			return first, err
		}
		if err := x.close("param"); err != nil {
			return first, err
		}
		first, last = x.link(first, last, i)
	}
}

func (x *xmlReader) link(first, last, i int32) (int32, int32) {
	if first < 0 {
		return i, i
	}
	x.values[last].next = i
	return first, i
}

// value reads <value>…</value>.
func (x *xmlReader) value(depth int) (int32, error) {
	if depth == maxXMLDepth {
		return -1, errXMLDepth
	}
	if len(x.values) == x.max {
		return -1, fmt.Errorf("more than %d values", x.max)
	}
	i := int32(len(x.values))
	x.values = append(x.values, xmlValue{first: -1, next: -1})
	name, state := x.peek()
	if err := x.open("value"); err != nil {
		return -1, err
	}
	if state == tagEmpty && string(name) == "value" {
		return i, nil
	}
	at := x.pos
	name, state = x.peek()
	switch state {
	case tagClose: // a string without a type of its own, blanks included
		x.pos = at
		text, err := x.text("value")
		x.values[i].text = text
		return i, err
	case tagOpen, tagEmpty:
		if err := x.typed(i, string(name), state == tagEmpty, depth); err != nil {
			return -1, err
		}
		return i, x.close("value")
	case tagNone:
	}
	// Text without a type of its own, or garbage: text says which.
	x.pos = at
	text, err := x.text("value")
	x.values[i].text = text
	return i, err
}

// typed reads the element inside <value>.
func (x *xmlReader) typed(i int32, name string, empty bool, depth int) error {
	if err := x.open(name); err != nil {
		return err
	}
	v := &x.values[i]
	switch name {
	case "string":
		v.kind = xmlText
	case "int", "i4":
		v.kind = xmlInt
	case "boolean", "double", "base64", "dateTime.iso8601":
		v.kind = xmlOther
	case "array":
		v.kind = xmlArray
		if empty {
			return nil
		}
		return x.array(i, depth)
	default:
		return fmt.Errorf("value of type <%s>; expected string, int, boolean, double or array", clip(name, 40))
	}
	if empty {
		return nil
	}
	text, err := x.text(name)
	v.text = text
	return err
}

// array reads <data>…</data></array>.
func (x *xmlReader) array(i int32, depth int) error {
	_, state := x.peek()
	if err := x.open("data"); err != nil {
		return err
	}
	if state != tagEmpty {
		first, last := int32(-1), int32(-1)
		for {
			if _, state := x.peek(); state == tagClose {
				break
			}
			k, err := x.value(depth + 1)
			if err != nil {
				return err
			}
			first, last = x.link(first, last, k)
		}
		if err := x.close("data"); err != nil {
			return err
		}
		x.values[i].first = first
	}
	return x.close("array")
}

type tagState uint8

const (
	tagNone tagState = iota
	tagOpen
	tagClose
	tagEmpty
)

// peek looks at the next tag after blanks, without going past it.
func (x *xmlReader) peek() (name []byte, state tagState) {
	at := x.skip(x.pos)
	if at >= len(x.b) || x.b[at] != '<' {
		return nil, tagNone
	}
	end := bytes.IndexByte(x.b[at:min(len(x.b), at+64)], '>')
	if end < 0 {
		return nil, tagNone
	}
	name = x.b[at+1 : at+end]
	state = tagOpen
	if len(name) > 0 && name[0] == '/' {
		name, state = name[1:], tagClose
	} else if len(name) > 0 && name[len(name)-1] == '/' {
		name, state = bytes.TrimRight(name[:len(name)-1], " "), tagEmpty
	}
	for _, c := range name {
		if !nameByte(c) && c != '.' {
			return nil, tagNone
		}
	}
	return name, state
}

func (x *xmlReader) skip(at int) int {
	for at < len(x.b) && (x.b[at] == ' ' || x.b[at] == '\t' || x.b[at] == '\r' || x.b[at] == '\n') {
		at++
	}
	return at
}

// open goes past an opening or empty tag.
func (x *xmlReader) open(want string) error {
	name, state := x.peek()
	if (state != tagOpen && state != tagEmpty) || string(name) != want {
		return x.unexpected("<"+want+">", name, state)
	}
	x.pass()
	return nil
}

// close goes past a closing tag.
func (x *xmlReader) close(want string) error {
	name, state := x.peek()
	if state != tagClose || string(name) != want {
		return x.unexpected("</"+want+">", name, state)
	}
	x.pass()
	return nil
}

func (x *xmlReader) pass() { x.pos += bytes.IndexByte(x.b[x.pos:], '>') + 1 }

func (x *xmlReader) unexpected(want string, name []byte, state tagState) error {
	if state == tagNone {
		return fmt.Errorf("expected %s at byte %d: %w", want, x.pos, errXMLMarkup)
	}
	return fmt.Errorf("expected %s at byte %d; found tag %s", want, x.pos, clipBytes(name))
}

func clipBytes(b []byte) string { return clip(string(b[:min(len(b), 41)]), 40) }

// prolog goes past <?xml …?> if there is one.
func (x *xmlReader) prolog() {
	at := x.skip(0)
	if bytes.HasPrefix(x.b[at:], []byte("<?xml")) {
		if end := bytes.Index(x.b[at:min(len(x.b), at+256)], []byte("?>")); end >= 0 {
			x.pos = at + end + 2
		}
	}
}

// finish wants the last closing tag and then nothing.
func (x *xmlReader) finish(last string) error {
	if err := x.close(last); err != nil {
		return err
	}
	if x.skip(x.pos) != len(x.b) {
		return fmt.Errorf("bytes after </%s>; expected the end", last)
	}
	return nil
}

// text reads up to the closing tag and undoes the escapes.
func (x *xmlReader) text(until string) ([]byte, error) {
	n := bytes.IndexByte(x.b[x.pos:], '<')
	if n < 0 {
		return nil, fmt.Errorf("expected </%s> at byte %d: %w", until, x.pos, errXMLMarkup)
	}
	t := x.b[x.pos : x.pos+n]
	x.pos += n
	if err := x.close(until); err != nil {
		return nil, err
	}
	if bytes.IndexByte(t, '&') < 0 {
		return t, nil
	}
	return unescape(t)
}
