// Package mutate changes JSON documents field by field for tests of who reads them; nothing that ships uses it.
package mutate

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// object is a JSON object with its members in order, so that one can come twice.
type object []member

type member struct {
	key   string
	value any // object, []any, string, json.Number, bool, nil
}

// Parse reads one JSON document, which must be good.
func Parse(data []byte) any {
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	var value func() any
	value = func() any {
		tok, err := d.Token()
		if err != nil {
			panic(err)
		}
		var out any = tok
		switch tok {
		case json.Delim('{'):
			o := object{}
			for d.More() {
				key, err := d.Token()
				if err != nil {
					panic(err)
				}
				o = append(o, member{key.(string), value()})
			}
			_, _ = d.Token()
			out = o
		case json.Delim('['):
			list := []any{}
			for d.More() {
				list = append(list, value())
			}
			_, _ = d.Token()
			out = list
		}
		return out
	}
	return value()
}

// Text writes a document.
func Text(v any) string {
	switch v := v.(type) {
	case object:
		parts := make([]string, 0, len(v))
		for _, m := range v {
			parts = append(parts, Text(m.key)+":"+Text(m.value))
		}
		return "{" + strings.Join(parts, ",") + "}"
	case []any:
		parts := make([]string, 0, len(v))
		for _, x := range v {
			parts = append(parts, Text(x))
		}
		return "[" + strings.Join(parts, ",") + "]"
	}
	raw, _ := json.Marshal(v)
	return string(raw)
}

// Mutant is one changed document.
type Mutant struct {
	// Path names the field, What says what was done to it.
	Path, What string
	// Doc is the document, for [Text].
	Doc any
}

// Mutants changes each value of a document in every way of its class, and nothing else with it.
func Mutants(doc any) []Mutant {
	var out []Mutant
	var walk func(path string, v any, put func(any) any)
	walk = func(path string, v any, put func(any) any) {
		for what, x := range changes(v) {
			out = append(out, Mutant{path, what, put(x)})
		}
		switch v := v.(type) {
		case object:
			for i, m := range v {
				walk(strings.TrimPrefix(path+"."+m.key, "."), m.value, func(x any) any {
					c := slices.Clone(v)
					c[i].value = x
					return put(c)
				})
			}
		case []any:
			for i, x := range v {
				walk(fmt.Sprintf("%s[%d]", path, i), x, func(x any) any {
					c := slices.Clone(v)
					c[i] = x
					return put(c)
				})
			}
		}
	}
	walk("", doc, func(x any) any { return x })
	return out
}

// changes are the ways in which one value can differ, by its class.
func changes(v any) map[string]any {
	out := map[string]any{}
	for what, x := range map[string]any{"null": nil, "true": true, "7": json.Number("7"), `""`: "", "[]": []any{}, "{}": object{}} {
		if Text(x) != Text(v) {
			out["is "+what] = x
		}
	}
	switch v := v.(type) {
	case object:
		for i, m := range v {
			without := slices.Delete(slices.Clone(v), i, i+1)
			out[m.key+" removed"] = without
			out[m.key+" comes twice"] = append(slices.Clone(v), m)
			out[m.key+" comes twice, first otherwise"] = append(object{{m.key, "other"}}, v...)
			renamed := slices.Clone(v)
			renamed[i].key = strings.ToUpper(m.key[:1]) + m.key[1:]
			if renamed[i].key == m.key {
				renamed[i].key = strings.ToLower(m.key)
			}
			if renamed[i].key != m.key {
				out[m.key+" in other case"] = renamed
			}
		}
		out["a key more"] = append(slices.Clone(v), member{"more", "x"})
	case []any:
		if len(v) > 0 {
			out["first twice"] = append([]any{v[0]}, v...)
			out["last removed"] = v[:len(v)-1]
			out["a thing more"] = append(slices.Clone(v), "x")
		}
		if len(v) > 1 {
			turned := slices.Clone(v)
			slices.Reverse(turned)
			out["turned round"] = turned
		}
	case bool:
		out["the contrary"] = !v
	case json.Number:
		out["one more"] = json.Number(string(v) + "1")
		out["negative"] = json.Number("-" + string(v))
	case string:
		changesOfText(v, out)
	}
	return out
}

var (
	isHex    = regexp.MustCompile(`^[0-9a-f]{32,}$`)
	isBase64 = regexp.MustCompile(`^[A-Za-z0-9+/]{20,}={0,2}$`)
)

func changesOfText(v string, out map[string]any) {
	add := func(what, x string) {
		if x != v {
			out[what] = x
		}
	}
	add("a letter more", v+"x")
	add("a space before", " "+v)
	add("a zero byte behind", v+"\x00")
	add("capitals", strings.ToUpper(v))
	add("very long", v+strings.Repeat("x", 5000))
	add("upwards", "../"+v)
	add("absolute", "/"+v)
	if v != "" {
		add("last letter gone", v[:len(v)-1])
		add("another first letter", string(rune(v[0]^1))+v[1:])
	}
	if isHex.MatchString(v) {
		add("half of it", v[:len(v)/2])
		add("another digit", map[bool]string{true: "1", false: "0"}[v[0] == '0']+v[1:])
	}
	raw, err := base64.StdEncoding.DecodeString(v)
	if !isBase64.MatchString(v) || err != nil {
		return
	}
	flipped := bytes.Clone(raw)
	flipped[len(raw)/2] ^= 1
	add("a bit flipped", encode(flipped))
	add("a byte more", encode(append(bytes.Clone(raw), 0)))
	add("a byte less", encode(raw[:len(raw)-1]))
	add("a line break", v[:8]+"\n"+v[8:])
	add("no padding", strings.TrimRight(v, "="))
	add("base64 for addresses", strings.NewReplacer("+", "-", "/", "_").Replace(v))
}

func encode(b []byte) string { return base64.StdEncoding.EncodeToString(b) }
