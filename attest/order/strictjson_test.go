package order

import (
	"encoding/json"
	"reflect"
	"strconv"
	"strings"
	"testing"
)

func TestJSONThatIsRefused(t *testing.T) {
	for name, text := range map[string]string{
		"nothing":                     "",
		"spaces":                      " \n",
		"two documents":               "{}{}",
		"trailing comma in an object": `{"a":1,}`,
		"trailing comma in an array":  "[1,]",
		"leading comma":               "[,1]",
		"missing comma":               "[1 2]",
		"missing colon":               `{"a" 1}`,
		"missing value":               `{"a":}`,
		"key without quotes":          "{a:1}",
		"object does not end":         `{"a":1`,
		"array does not end":          "[1",
		"string does not end":         `"a`,
		"string ends in a backslash":  `"a\`,
		"string ends in an escape":    `"\u00`,
		"unknown escape":              `"\x41"`,
		"escape with a sign":          `"\u+123"`,
		"lone high surrogate":         `"\ud800"`,
		"lone low surrogate":          `"\udc00"`,
		"two high surrogates":         `"\ud800\ud800"`,
		"high surrogate and a letter": `"\ud800a"`,
		"line break in a string":      "\"a\nb\"",
		"NUL in a string":             "\"a\x00\"",
		"NUL behind":                  "{}\x00",
		"tab after an escape":         "\"\\n\t\"",
		"byte order mark":             "\ufeff{}",
		"invalid UTF-8":               "\"\xff\"",
		"surrogate in UTF-8":          "\"\xed\xa0\x80\"",
		"overlong UTF-8":              "\"\xc0\xaf\"",
		"leading zero":                "01",
		"minus alone":                 "-",
		"plus":                        "+1",
		"point without digits":        "1.",
		"no digits before the point":  ".5",
		"exponent without digits":     "1e",
		"hexadecimal":                 "0x10",
		"NaN":                         "NaN",
		"Infinity":                    "-Infinity",
		"a very long number":          strings.Repeat("1", 33),
		"word in capitals":            "True",
		"word and more":               "nullx",
		"comment":                     "{} // x",
		"key twice":                   `{"a":1,"a":1}`,
		"key twice by an escape":      `{"a":1,"\u0061":1}`,
		"key twice in another case":   `{"kind":1,"KIND":1}`,
		"key twice by folding":        `{"s":1,"` + "\u017f" + `":1}`,
		"nine levels":                 strings.Repeat("[", 9) + strings.Repeat("]", 9),
		"too many values":             "[" + strings.Repeat("1,", maxNodes) + "1]",
	} {
		t.Run(name, func(t *testing.T) {
			if v, err := parseJSON([]byte(text)); err == nil {
				t.Errorf("read as %+v", v)
			}
		})
	}
}

func TestJSONThatIsRead(t *testing.T) {
	for _, text := range []string{
		`{}`, ` { "a" : [ 1 , -2.5e+3 , true , false , null , "x" ] } `, `"\"\\\/\b\f\n\r\t\u00e9\ud83e\udd16"`, `0`, `-0`, `1E2`,
		`"é🤖"`, strings.Repeat("[", 8) + strings.Repeat("]", 8), `{"":""}`, `{"a":{"a":1}}`,
	} {
		if err := sameAsStandard([]byte(text)); err != "" {
			t.Errorf("%s: %s", text, err)
		}
		if _, err := parseJSON([]byte(text)); err != nil {
			t.Errorf("%s: %v", text, err)
		}
	}
}

// FuzzJSON holds the reader against encoding/json: what it reads, the standard library reads as the same thing.
func FuzzJSON(f *testing.F) {
	for _, s := range []string{`{}`, `[]`, `{"a":[1,2.5e-3,true,null,"\ud83e\udd16"]}`, `{"a":1,"A":2}`, `"\ud800"`, `[[[[[[[[[]]]]]]]]]`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if err := sameAsStandard(data); err != "" {
			t.Error(err)
		}
	})
}

// sameAsStandard says how our reading of a text differs from that of encoding/json, or "".
func sameAsStandard(data []byte) string {
	v, err := parseJSON(data)
	if err != nil {
		return ""
	}
	var want any
	dec := json.NewDecoder(strings.NewReader(string(data)))
	dec.UseNumber()
	if err := dec.Decode(&want); err != nil {
		return "encoding/json refuses it: " + err.Error()
	}
	if got := plain(&v); !reflect.DeepEqual(got, want) {
		return "read as " + strconv.Quote(text(got)) + ", encoding/json reads " + strconv.Quote(text(want))
	}
	return ""
}

func text(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		return err.Error()
	}
	return string(b)
}

// plain turns a value into what encoding/json makes of it.
func plain(v *value) any {
	switch v.kind {
	case nullValue:
		return nil
	case boolValue:
		return v.truth
	case numberValue:
		return json.Number(v.text)
	case stringValue:
		return v.text
	case arrayValue:
		out := make([]any, 0, len(v.items))
		for i := range v.items {
			out = append(out, plain(&v.items[i]))
		}
		return out
	case objectValue:
		out := make(map[string]any, len(v.fields))
		for i := range v.fields {
			out[v.fields[i].key] = plain(&v.fields[i].value)
		}
		return out
	}
	return v
}
