package order

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// encoding/json lets through what must not pass here: a key given twice (the last one wins), keys that differ from
// ours in case, bytes that are no UTF-8, half a surrogate pair. Two programs could then read two different orders out
// of one signed text. So this file reads JSON itself, and only what RFC 8259 and I-JSON (RFC 7493) leave unambiguous.

// maxDepth bounds nesting; the deepest order has 5 levels.
const maxDepth = 8

// maxNodes bounds the number of values in one document.
const maxNodes = 8192

type valueKind uint8

const (
	nullValue valueKind = iota
	boolValue
	numberValue
	stringValue
	arrayValue
	objectValue
)

// String names the kind for error messages.
func (k valueKind) String() string {
	return [...]string{"null", "a boolean", "a number", "a string", "an array", "an object"}[k]
}

// value is one JSON value.
type value struct {
	kind   valueKind
	truth  bool
	text   string // The string, or the number as written.
	items  []value
	fields []field
}

type field struct {
	key   string
	value value
	used  bool
}

// parseJSON reads exactly one JSON value.
func parseJSON(data []byte) (value, error) {
	if !utf8.Valid(data) {
		return value{}, errors.New("the text is not UTF-8")
	}
	p := parser{data: string(data)}
	p.space()
	v, err := p.value(0)
	if err != nil {
		return value{}, fmt.Errorf("byte %d: %w", p.pos, err)
	}
	p.space()
	if p.pos != len(p.data) {
		return value{}, fmt.Errorf("byte %d: text follows the document", p.pos)
	}
	return v, nil
}

type parser struct {
	data  string
	pos   int
	nodes int
}

func (p *parser) space() {
	for p.pos < len(p.data) && strings.IndexByte(" \t\r\n", p.data[p.pos]) >= 0 {
		p.pos++
	}
}

// peek returns the next byte, or 0 at the end; a zero byte in the text is no JSON either.
func (p *parser) peek() byte {
	if p.pos < len(p.data) {
		return p.data[p.pos]
	}
	return 0
}

func (p *parser) value(depth int) (value, error) {
	if p.nodes++; p.nodes > maxNodes {
		return value{}, fmt.Errorf("the document has more than %d values", maxNodes)
	}
	switch c := p.peek(); {
	case (c == '{' || c == '[') && depth == maxDepth:
		return value{}, fmt.Errorf("the document is nested more than %d levels deep", maxDepth)
	case c == '{':
		return p.object(depth)
	case c == '[':
		return p.array(depth)
	case c == '"':
		s, err := p.str()
		return value{kind: stringValue, text: s}, err
	case c == '-' || (c >= '0' && c <= '9'):
		return p.number()
	}
	for _, w := range words {
		if strings.HasPrefix(p.data[p.pos:], w.text) {
			p.pos += len(w.text)
			return w, nil
		}
	}
	return value{}, errors.New("expected a JSON value")
}

// words are the values that JSON writes as words.
var words = [...]value{
	{kind: boolValue, truth: true, text: "true"}, {kind: boolValue, text: "false"}, {kind: nullValue, text: "null"},
}

func (p *parser) object(depth int) (value, error) {
	v := value{kind: objectValue}
	p.pos++
	for p.space(); p.peek() != '}'; p.space() {
		if len(v.fields) > 0 {
			if err := p.comma(); err != nil {
				return value{}, err
			}
		}
		if p.peek() != '"' {
			return value{}, errors.New("expected a key in double quotes")
		}
		key, err := p.str()
		if err != nil {
			return value{}, err
		}
		for i := range v.fields {
			if strings.EqualFold(v.fields[i].key, key) {
				return value{}, fmt.Errorf("the key %q comes twice (also written %q)", key, v.fields[i].key)
			}
		}
		if len(v.fields) == maxFields {
			return value{}, fmt.Errorf("an object has more than %d keys", maxFields)
		}
		p.space()
		if p.peek() != ':' {
			return value{}, fmt.Errorf("expected a colon after the key %q", key)
		}
		p.pos++
		p.space()
		item, err := p.value(depth + 1)
		if err != nil {
			return value{}, err
		}
		v.fields = append(v.fields, field{key: key, value: item})
	}
	p.pos++
	return v, nil
}

// maxFields bounds the keys of one object, which are compared pairwise; our largest object has 11.
const maxFields = 32

func (p *parser) array(depth int) (value, error) {
	v := value{kind: arrayValue}
	p.pos++
	for p.space(); p.peek() != ']'; p.space() {
		if len(v.items) > 0 {
			if err := p.comma(); err != nil {
				return value{}, err
			}
		}
		item, err := p.value(depth + 1)
		if err != nil {
			return value{}, err
		}
		v.items = append(v.items, item)
	}
	p.pos++
	return v, nil
}

// comma takes the comma between two members.
func (p *parser) comma() error {
	if p.peek() != ',' {
		return errors.New("expected a comma or the end of the object or array")
	}
	p.pos++
	p.space()
	return nil
}

// number takes a number and keeps its text: who asks for it decides how to read it.
func (p *parser) number() (value, error) {
	start := p.pos
	digits := func() int {
		n := 0
		for c := p.peek(); c >= '0' && c <= '9'; c = p.peek() {
			p.pos++
			n++
		}
		return n
	}
	if p.peek() == '-' {
		p.pos++
	}
	first := p.pos
	if n := digits(); n == 0 || (n > 1 && p.data[first] == '0') {
		return value{}, errors.New("expected a number without leading zeros")
	}
	if p.peek() == '.' {
		p.pos++
		if digits() == 0 {
			return value{}, errors.New("expected digits after the decimal point")
		}
	}
	if c := p.peek(); c == 'e' || c == 'E' {
		p.pos++
		if s := p.peek(); s == '+' || s == '-' {
			p.pos++
		}
		if digits() == 0 {
			return value{}, errors.New("expected digits in the exponent")
		}
	}
	if p.pos-start > maxNumber {
		return value{}, fmt.Errorf("a number has more than %d characters", maxNumber)
	}
	return value{kind: numberValue, text: p.data[start:p.pos]}, nil
}

// maxNumber bounds the characters of one number.
const maxNumber = 32

// str takes a string. Text without escapes is not copied: a policy has megabytes of it.
// longText is from where on a string is not copied out of the document: it is one, and is decoded soon.
const longText = 4 << 10

func (p *parser) str() (string, error) {
	p.pos++
	start := p.pos
	for p.pos < len(p.data) {
		switch c := p.data[p.pos]; {
		case c == '"':
			s := p.data[start:p.pos]
			p.pos++
			if len(s) < longText {
				s = strings.Clone(s) // an order's id that is remembered must not keep the megabytes around it
			}
			return s, nil
		case c == '\\':
			return p.escaped(start)
		case c < 0x20:
			return "", fmt.Errorf("control character %#02x in a string", c)
		}
		p.pos++
	}
	return "", errors.New("a string does not end")
}

// escaped takes the rest of a string that has escapes; what lies between start and the position has none.
func (p *parser) escaped(start int) (string, error) {
	b := []byte(p.data[start:p.pos])
	for p.pos < len(p.data) {
		c := p.data[p.pos]
		p.pos++
		switch {
		case c == '"':
			return string(b), nil
		case c < 0x20:
			return "", fmt.Errorf("control character %#02x in a string", c)
		case c != '\\':
			b = append(b, c)
			continue
		}
		e := p.peek()
		p.pos++
		if i := strings.IndexByte(`"\/bfnrt`, e); i >= 0 && e != 0 {
			b = append(b, "\"\\/\b\f\n\r\t"[i])
			continue
		}
		if e != 'u' {
			return "", errors.New("unknown escape in a string")
		}
		r, err := p.unicode()
		if err != nil {
			return "", err
		}
		b = utf8.AppendRune(b, r)
	}
	return "", errors.New("a string does not end")
}

// unicode takes the digits after \u, and the second half of a surrogate pair.
func (p *parser) unicode() (rune, error) {
	first, err := p.hex4()
	if err != nil || !utf16.IsSurrogate(first) {
		return first, err
	}
	if !strings.HasPrefix(p.data[p.pos:], `\u`) {
		return 0, errors.New("half a surrogate pair in a string")
	}
	p.pos += 2
	second, err := p.hex4()
	if err != nil {
		return 0, err
	}
	r := utf16.DecodeRune(first, second)
	if r == utf8.RuneError {
		return 0, errors.New("half a surrogate pair in a string")
	}
	return r, nil
}

func (p *parser) hex4() (rune, error) {
	if p.pos+4 > len(p.data) {
		return 0, errors.New("expected four hexadecimal digits after \\u")
	}
	n, err := strconv.ParseUint(p.data[p.pos:p.pos+4], 16, 32)
	if err != nil {
		return 0, errors.New("expected four hexadecimal digits after \\u")
	}
	p.pos += 4
	return rune(n), nil
}
