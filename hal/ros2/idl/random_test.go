package idl

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"github.com/robowarden/robowarden/hal/ros2/cdr/cdrtest"
)

// inventor draws a type as IDL text and, at the same time, how to write a value of it and note its numbers by path.
type inventor struct {
	t       *rapid.T
	structs strings.Builder
	n       int
}

// invented is a type: its name in IDL, the brackets after a member's name, and how to write a value.
type invented struct {
	name, dims string
	write      func(w *cdrtest.Writer, path string, note func(path string, v float64))
}

// numberType is a number of IDL: its writer puts down a drawn value and notes what a plan must read.
func (in *inventor) numberType() invented {
	t := in.t
	type numeric struct {
		name string
		put  func(w *cdrtest.Writer) float64
	}
	list := []numeric{
		{"boolean", func(w *cdrtest.Writer) float64 { v := rapid.Bool().Draw(t, "v"); w.Bool(v); return float64(btoi(v)) }},
		{"octet", func(w *cdrtest.Writer) float64 { v := rapid.Uint8().Draw(t, "v"); w.U8(v); return float64(v) }},
		{"char", func(w *cdrtest.Writer) float64 { v := rapid.Uint8().Draw(t, "v"); w.U8(v); return float64(v) }},
		{"int8", func(w *cdrtest.Writer) float64 { v := rapid.Int8().Draw(t, "v"); w.U8(uint8(v)); return float64(v) }},
		{"short", func(w *cdrtest.Writer) float64 { v := rapid.Int16().Draw(t, "v"); w.U16(uint16(v)); return float64(v) }},
		{"unsigned short", func(w *cdrtest.Writer) float64 { v := rapid.Uint16().Draw(t, "v"); w.U16(v); return float64(v) }},
		{"long", func(w *cdrtest.Writer) float64 { v := rapid.Int32().Draw(t, "v"); w.U32(uint32(v)); return float64(v) }},
		{"Colour", func(w *cdrtest.Writer) float64 { v := rapid.Uint32Max(2).Draw(t, "v"); w.U32(v); return float64(v) }},
		{"unsigned long", func(w *cdrtest.Writer) float64 { v := rapid.Uint32().Draw(t, "v"); w.U32(v); return float64(v) }},
		{"long long", func(w *cdrtest.Writer) float64 { v := rapid.Int64().Draw(t, "v"); w.U64(uint64(v)); return float64(v) }},
		{"unsigned long long", func(w *cdrtest.Writer) float64 { v := rapid.Uint64().Draw(t, "v"); w.U64(v); return float64(v) }},
		{"float", func(w *cdrtest.Writer) float64 { v := rapid.Float32().Draw(t, "v"); w.F32(v); return float64(v) }},
		{"double", func(w *cdrtest.Writer) float64 { v := rapid.Float64().Draw(t, "v"); w.F64(v); return v }},
	}
	k := rapid.SampledFrom(list).Draw(t, "number")
	return invented{name: k.name, write: func(w *cdrtest.Writer, path string, note func(string, float64)) { note(path, k.put(w)) }}
}

func btoi(v bool) int {
	if v {
		return 1
	}
	return 0
}

// any draws a type that is nested at most depth more times.
func (in *inventor) any(depth int) invented {
	kinds := []string{"number", "number", "string"}
	if depth > 0 {
		kinds = append(kinds, "struct", "array", "sequence", "typedef")
	}
	switch rapid.SampledFrom(kinds).Draw(in.t, "kind") {
	case "string":
		return invented{name: "string", write: func(w *cdrtest.Writer, _ string, _ func(string, float64)) {
			w.Str(rapid.StringN(0, 9, 20).Draw(in.t, "text"))
		}}
	case "struct":
		return in.structure(depth - 1)
	case "array":
		e := in.any(depth - 1)
		n := rapid.IntRange(1, 4).Draw(in.t, "length")
		return invented{name: e.name, dims: fmt.Sprintf("[%d]", n) + e.dims, write: elements2(e, n)}
	case "sequence":
		e := in.typedef(in.any(depth - 1))
		bound := ""
		most := 4
		if rapid.Bool().Draw(in.t, "bounded") {
			bound = ", 3"
			most = 3
		}
		return invented{name: "sequence<" + e.name + bound + ">", write: func(w *cdrtest.Writer, path string, note func(string, float64)) {
			n := rapid.IntRange(0, most).Draw(in.t, "elements")
			w.U32(uint32(n))
			elements2(e, n)(w, path, note)
		}}
	case "typedef":
		return in.typedef(in.any(depth - 1))
	}
	return in.numberType()
}

func elements2(e invented, n int) func(w *cdrtest.Writer, path string, note func(string, float64)) {
	return func(w *cdrtest.Writer, path string, note func(string, float64)) {
		for i := range n {
			e.write(w, fmt.Sprintf("%s[%d]", path, i), note)
		}
	}
}

// typedef gives a type a name of its own, since a sequence of arrays can be written in no other way.
func (in *inventor) typedef(e invented) invented {
	in.n++
	name := fmt.Sprintf("T%d", in.n)
	fmt.Fprintf(&in.structs, "typedef %s %s%s;\n", e.name, name, e.dims)
	return invented{name: name, write: e.write}
}

func (in *inventor) structure(depth int) invented {
	var fields []invented
	var text strings.Builder
	for i := range rapid.IntRange(1, 6).Draw(in.t, "fields") {
		f := in.any(depth)
		fields = append(fields, f)
		fmt.Fprintf(&text, "  %s f%d%s;\n", f.name, i, f.dims)
	}
	in.n++
	name := fmt.Sprintf("S%d", in.n)
	fmt.Fprintf(&in.structs, "struct %s {\n%s};\n", name, text.String())
	return invented{name: name, write: func(w *cdrtest.Writer, path string, note func(string, float64)) {
		if path != "" {
			path += "."
		}
		for i, f := range fields {
			f.write(w, fmt.Sprintf("%sf%d", path, i), note)
		}
	}}
}

// TestPlansReadWhatWasWritten invents types and values, and reads a random choice of the numbers back.
func TestPlansReadWhatWasWritten(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		in := &inventor{t: t}
		in.structs.WriteString("enum Colour { RED, GREEN, BLUE };\n")
		root := in.structure(3)
		text := "module m {\n" + in.structs.String() + "};\n"
		s := NewSet()
		if err := s.AddIDL("m.idl", text); err != nil {
			t.Fatalf("%v\n%s", err, text)
		}
		typ, err := s.Type("m::" + root.name)
		if err != nil {
			t.Fatalf("%v\n%s", err, text)
		}
		w := cdrtest.New(rapid.Bool().Draw(t, "big"))
		var paths []string
		var want []float64
		root.write(w, "", func(path string, v float64) {
			paths = append(paths, path)
			want = append(want, v)
		})
		if len(paths) == 0 {
			return
		}
		// Not all of them, and not in order.
		pick := rapid.SliceOfN(rapid.IntRange(0, len(paths)-1), 1, 12).Draw(t, "chosen")
		var chosen []string
		var expect []float64
		for _, i := range pick {
			chosen = append(chosen, paths[i])
			expect = append(expect, want[i])
		}
		p, err := Compile(typ, chosen)
		if err != nil {
			t.Fatalf("%v\n%s", err, text)
		}
		got := make([]float64, p.Len())
		for _, payload := range [][]byte{w.Bytes(), w.Padded()} {
			if err := p.Read(payload, got); err != nil {
				t.Fatalf("%v\n%s%x", err, text, payload)
			}
			if diff := cmp.Diff(expect, got, cmpopts.EquateNaNs()); diff != "" {
				t.Fatalf("%v: %s\n%s%x", chosen, diff, text, payload)
			}
		}
		cut := rapid.IntRange(0, len(w.Bytes())-1).Draw(t, "cut")
		if err := p.Read(w.Bytes()[:cut], got); err == nil {
			t.Fatalf("%d of %d bytes are read\n%s%x", cut, len(w.Bytes()), text, w.Bytes())
		}
		if slices.ContainsFunc(got, func(v float64) bool { return !math.IsNaN(v) }) {
			t.Fatalf("values of a refused payload: %v", got)
		}
	})
}

// TestSpansAreSumsOfTheirParts holds the algebra of sizes to walking step by step.
func TestSpansAreSumsOfTheirParts(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		sizes := rapid.SliceOfN(rapid.SampledFrom([]int{1, 2, 4, 8}), 1, 10).Draw(t, "sizes")
		var s span
		for _, n := range sizes {
			s = s.then(numbers(n))
		}
		times := rapid.Uint32Range(0, 300).Draw(t, "times")
		for r := range 8 {
			at := r
			for range times {
				for _, n := range sizes {
					at = (at+n-1)/n*n + n
				}
			}
			if got := int(s.times(times)[r]); got != at-r {
				t.Fatalf("%v, %d times from %d: %d, want %d", sizes, times, r, got, at-r)
			}
		}
	})
}

func TestSpansDoNotOverflow(t *testing.T) {
	if got := numbers(8).times(math.MaxUint32).most(); got <= MaxFixed {
		t.Errorf("%d", got)
	}
}
