package strict_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/robowarden/robowarden/attest/internal/strict"
)

type document struct {
	A int
	B []map[string]int
	E []struct {
		X int
	}
	P *inner
	R json.RawMessage
	embedded
}

type inner struct {
	X int `json:"x"`
}

type embedded struct {
	Y int `json:"y"`
}

func TestJSON(t *testing.T) {
	var d document
	if err := strict.JSON([]byte(` {"A": 1, "B": [{"x": 1}, {"x": 2}]} `), &d); err != nil || d.A != 1 || d.B[1]["x"] != 2 {
		t.Fatal(d, err)
	}
	if err := strict.JSON([]byte(`{"y":3,"P":{"x":2},"R":{"a":{"A":1}},"E":[{"X":1}]}`), &d); err != nil || d.Y != 3 || d.P.X != 2 {
		t.Fatal(d, err)
	}
	for name, text := range map[string]string{
		"a key twice":                 `{"A":1,"A":2}`,
		"a key twice in another case": `{"A":1,"a":2}`,
		"a key twice further down":    `{"B":[{"x":1,"x":2}]}`,
		"an unknown key":              `{"C":1}`,
		"a key in another case":       `{"a":1}`,
		"another case further down":   `{"A":1,"E":[{"x":1}]}`,
		"another case in a pointer":   `{"P":{"X":1}}`,
		"another case, embedded":      `{"Y":1}`,
		"text behind":                 `{} {}`,
		"half a document":             `{"A":`,
		"nothing":                     ``,
		"no UTF-8":                    "{\"A\":1,\"B\":null}\xff",
		"a wrong type":                `{"A":"1"}`,
		"deep":                        strings.Repeat("[", 100) + strings.Repeat("]", 100),
	} {
		if err := strict.JSON([]byte(text), new(document)); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

// TestKnown ignores what it does not know, and nothing else.
func TestKnown(t *testing.T) {
	var d document
	if err := strict.Known([]byte(`{"A":1,"new":{"a":[1,{"A":2}]},"P":{"x":2,"z":1},"B":[{"k":1}]}`), &d); err != nil || d.A != 1 || d.P.X != 2 {
		t.Fatal(d, err)
	}
	for name, text := range map[string]string{
		"a key in another case": `{"a":1}`, "another case further down": `{"P":{"X":1}}`, "a key twice": `{"A":1,"A":1}`, "an unknown key twice": `{"n":1,"n":2}`,
		"text behind": `{} {}`, "a wrong type": `{"A":"1"}`,
	} {
		if err := strict.Known([]byte(text), new(document)); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

func FuzzJSON(f *testing.F) {
	f.Add([]byte(`{"A":1,"B":[{"x":1}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		var d, e document
		if strict.JSON(data, &d) == nil && json.Unmarshal(data, &e) != nil {
			t.Error("more lenient than encoding/json")
		}
	})
}
