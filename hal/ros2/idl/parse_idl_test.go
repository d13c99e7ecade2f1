package idl

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestIDLIsUnderstood(t *testing.T) {
	const text = `
// rosidl's own form
#pragma once
#include <x.idl>
module geo { module msg {
  module Box_Constants { const uint8 A = 1; const string S = "a" "b"; const double D = 1.5e3; const boolean B = TRUE; const char C = 'c'; };
  typedef double double__36[36];
  @verbatim (language="comment", text="first (with bracket)" "second")
  @extensibility(FINAL) struct Box : Base {
    @default (value=0.0) double__36 cov;
    sequence<double__36, 2> covs;
    sequence<sequence<string<(1<<3)>>> texts;
    unsigned long long _module;
    long double_;
    geo::msg::Kind kind;
    ::geo::msg::Kind kinds[Box_Constants::A + 1][-(-2)];
    @key char c;
    int8 a, b[3], d;
    string<3> s;
    sequence<octet, ~-5 & 0x0f> o;
  };
  enum Kind { KIND_A, @value(7) KIND_B, KIND_C };
  struct Base { boolean first; };
  struct Base;
}; };
struct Top { geo::msg::Box box; };
`
	s := NewSet()
	if err := s.AddIDL("box.idl", text); err != nil {
		t.Fatal(err)
	}
	st := typeOf(t, s, "geo/msg/Box")
	want := []string{
		"bool first", "float64[36] cov", "float64[36][<=2] covs", "string<=8[][] texts", "uint64 module", "int32 double_",
		"geo/msg/Kind kind", "geo/msg/Kind[2][2] kinds", "char c", "int8 a", "int8[3] b", "int8 d", "string<=3 s", "byte[<=4] o",
	}
	if diff := cmp.Diff(want, shape(st)); diff != "" {
		t.Error(diff)
	}
	for _, f := range st.Fields {
		if f.Key != (f.Name == "c") {
			t.Errorf("%s: key %v", f.Name, f.Key)
		}
	}
	if got := shape(typeOf(t, s, "Top")); len(got) != 1 || got[0] != "geo/msg/Box box" {
		t.Errorf("%q", got)
	}
	if _, err := Hash(st); err == nil || !strings.Contains(err.Error(), "geo/msg/Box.covs has no type hash") {
		t.Errorf("%v", err)
	}
	if _, err := Hash(typeOf(t, s, "Top")); err == nil {
		t.Error("a type without package has a hash")
	}
}

func TestIDLErrorsNamePlaceAndRemedy(t *testing.T) {
	in := func(members string) string { return "struct S {\n  " + members + "\n};" }
	for _, c := range []struct{ name, text, want string }{
		{"no semicolon", "struct S { long x; }", `s.idl:1:21: expected ";", found the end of the file; each definition ends with a semicolon`},
		{"no brace", "module a { struct S { long x; };", `expected "}", found the end of the file; close the module`},
		{"brace too many", "struct S { long x; };\n};", "s.idl:2:1: expected a definition or the end of the file"},
		{"misspelt", "strcut S { long x; };", "did you mean struct?"},
		{"union", "union U switch (long) { case 1: long x; };", "unions are not read"},
		{"interface", "interface I {};", "interfaces carry no data"},
		{"wide string", in("wstring s;"), "s.idl:2:3: expected a type that is read, found \"wstring\"; wide strings are not read"},
		{"long double", in("long double x;"), "long double is not read"},
		{"map", in("map<long, long> x;"), "maps are not read"},
		{"unsigned what", in("unsigned char x;"), "expected short or long after unsigned, found \"char\""},
		{"optional", in("@optional long x;"), "optional members are not read"},
		{"mutable", "@mutable\n" + in("long x;"), "s.idl:1:1: expected final or appendable types"},
		{"mutable in words", "@extensibility(MUTABLE)\n" + in("long x;"), "a mutable type is sent as a parameter list"},
		{"bit bound", "@bit_bound(8) enum E { A };", "expected enums of 32 bits"},
		{"empty", "struct S { };", "expected a structure with members"},
		{"member twice", in("long x; short x;"), "s.idl:2:17: expected a new name, found x, which the structure has already"},
		{"inherited twice", "struct B { long x; }; struct S : B { long x; };", "expected members with new names"},
		{"inherits an enum", "enum B { A }; struct S : B { long x; };", "expected a structure to extend"},
		{"length of zero", in("long x[0];"), "s.idl:2:10: expected a length of an array from 1"},
		{"length of a text", in(`long x["3"];`), "expected a length of an array"},
		{"negative length", in("sequence<long, -3> x;"), "expected a length of a sequence"},
		{"length unknown", in("long x[N];"), `s.idl:2:10: expected a constant that is known, found "N"`},
		{"division by zero", in("long x[3 / (2 - 2)];"), "expected a result within 64 bits"},
		{"shift too far", in("long x[1 << 63];"), "expected a result within 64 bits"},
		{"product too large", in("long x[0x7fffffffffffffff * 2];"), "expected a result within 64 bits"},
		{"deep brackets", in("long x[" + strings.Repeat("(", 100) + "1" + strings.Repeat(")", 100) + "];"), "signs and brackets in each other"},
		{"deep types", in(strings.Repeat("sequence<", 100) + "long" + strings.Repeat(">", 100) + " x;"), "types in each other"},
		{"deep modules", strings.Repeat("module a { ", 100), "modules in each other"},
		{"long name", strings.Repeat("module abcdefghijklmnop { ", 16) + in("long x;"), "at most 256 bytes with its modules"},
		{"unknown type", in("Gone x;"), "s.idl:2:3: expected a type that is defined, found Gone"},
		{"struct in a struct", in("struct T { long y; } x;"), "define it before the structure that uses it"},
		{"open comment", "/* never closed", "s.idl:1:1: expected */ at the end of a comment"},
		{"open text", `const string S = "abc`, "expected a closing \""},
		{"open text over lines", "const string S =\n 'abc\n\n", "s.idl:2:2: expected a closing '"},
		{"macro", "#define N 3\n" + in("long x[N];"), "s.idl:1:1: expected #include, #pragma or an include guard"},
		{"condition", "#if 1\n", "run the preprocessor over the file"},
		{"number", in("long x[0xzz];"), "expected a number, found \"0xzz\""},
		{"sign", in("long x; $"), "expected a type, found \"$\""},
		{"annotation alone", in("@key"), "expected a type"},
		{"annotation open", in("@unit(\"m\" long x;"), "expected a closing )"},
		{"nameless member", in("long;"), `expected the member's name, found ";"`},
		{"recursive", "struct S { sequence<S> more; };", "expected a structure that does not contain itself"},
		{"constant sequence", "const sequence<long> A = 3; " + in("long x;"), "sequences cannot be constant"},
		{"not UTF-8", "struct \xff", "expected text in UTF-8"},
		{"too long", strings.Repeat(" ", MaxText+1), "at most 1048576 bytes"},
		{"typedef of itself", "typedef T T; " + in("T x;"), "types in each other"},
		{"dimensions", in("octet x" + strings.Repeat("[1]", 40) + ";"), "dimensions"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := NewSet()
			before := len(s.Names())
			err := s.AddIDL("s.idl", c.text)
			if err != nil && len(s.Names()) != before {
				t.Error("a wrong text leaves something behind")
			}
			if err == nil {
				_, err = s.Type("S")
			}
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got\n%v\nwant\n%s", err, c.want)
			}
		})
	}
}

func TestBothLanguagesMakeTheSame(t *testing.T) {
	a, b := typeOf(t, acme(t), "acme_msgs/LowState"), typeOf(t, acmeIDL(t), "acme_msgs/LowState")
	if a.lay.least != b.lay.least || len(a.Fields) != len(b.Fields) {
		t.Errorf("%d and %d bytes at least, %d and %d fields", a.lay.least, b.lay.least, len(a.Fields), len(b.Fields))
	}
}

// TestPlacesInLongLines: a column is counted in characters, and finding it does not take longer with each token.
func TestPlacesInLongLines(t *testing.T) {
	text := strings.Repeat("/*ä*/ ; ", MaxText/10) + "oops"
	err := NewSet().AddIDL("long.idl", text)
	if want := "long.idl:1:" + itoa(int64(8*(MaxText/10)+1)) + ": expected module"; err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("%v, want %s", err, want)
	}
	err = NewSet().AddIDL("lines.idl", "/* a\nb */ const string S = \"x\\\ny\nz\"; ä")
	if want := "lines.idl:4:5: expected module"; err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("%v, want %s", err, want)
	}
}
