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
}

func TestJSON(t *testing.T) {
	var d document
	if err := strict.JSON([]byte(` {"A": 1, "B": [{"x": 1}, {"x": 2}]} `), &d); err != nil || d.A != 1 || d.B[1]["x"] != 2 {
		t.Fatal(d, err)
	}
	for name, text := range map[string]string{
		"a key twice":                 `{"A":1,"A":2}`,
		"a key twice in another case": `{"A":1,"a":2}`,
		"a key twice further down":    `{"B":[{"x":1,"x":2}]}`,
		"an unknown key":              `{"C":1}`,
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

func FuzzJSON(f *testing.F) {
	f.Add([]byte(`{"A":1,"B":[{"x":1}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		var d, e document
		if strict.JSON(data, &d) == nil && json.Unmarshal(data, &e) != nil {
			t.Error("more lenient than encoding/json")
		}
	})
}
