package ros1

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
	"unicode/utf8"
)

// unescape undoes the five named entities and character references; no document can define others.
func unescape(t []byte) ([]byte, error) {
	out := make([]byte, 0, len(t))
	for len(t) > 0 {
		if t[0] != '&' {
			out = append(out, t[0])
			t = t[1:]
			continue
		}
		end := bytes.IndexByte(t[:min(len(t), 12)], ';')
		if end < 0 {
			return nil, errors.New("'&' without an entity; expected &amp;")
		}
		r, ok := entity(string(t[1:end]))
		if !ok {
			return nil, fmt.Errorf("entity %s; expected amp, lt, gt, quot, apos or a character number", clipBytes(t[1:end]))
		}
		out = utf8.AppendRune(out, r)
		t = t[end+1:]
	}
	return out, nil
}

func entity(s string) (rune, bool) {
	switch s {
	case "amp":
		return '&', true
	case "lt":
		return '<', true
	case "gt":
		return '>', true
	case "quot":
		return '"', true
	case "apos":
		return '\'', true
	}
	if len(s) < 2 || s[0] != '#' {
		return 0, false
	}
	base, digits := 10, s[1:]
	if digits[0] == 'x' {
		base, digits = 16, digits[1:]
	}
	v, err := strconv.ParseUint(digits, base, 21)
	if err != nil || v == 0 || !utf8.ValidRune(rune(v)) {
		return 0, false
	}
	return rune(v), true
}

// appendEscaped appends s as the text of an element.
func appendEscaped(dst []byte, s string) []byte {
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '&':
			dst = append(dst, "&amp;"...)
		case c == '<':
			dst = append(dst, "&lt;"...)
		case c == '>':
			dst = append(dst, "&gt;"...)
		case c < ' ':
			dst = append(dst, '?')
		default:
			dst = append(dst, c)
		}
	}
	return dst
}

// newCall returns a request whose parameters are all strings.
func newCall(method string, params ...string) []byte {
	dst := []byte(`<?xml version="1.0"?><methodCall><methodName>`)
	dst = append(dst, method...)
	dst = append(dst, `</methodName><params>`...)
	for _, p := range params {
		dst = append(dst, `<param><value><string>`...)
		dst = appendEscaped(dst, p)
		dst = append(dst, `</string></value></param>`...)
	}
	return append(dst, `</params></methodCall>`...)
}
