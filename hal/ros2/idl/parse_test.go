package idl

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// shape is a structure's fields in one line each.
func shape(st *Struct) (lines []string) {
	for _, f := range st.Fields {
		lines = append(lines, f.Type.String()+" "+f.Name)
	}
	return lines
}

func TestMsgFieldsAreUnderstood(t *testing.T) {
	const text = "# a comment with int32 in it\r\n\n" +
		"int32 MAX=5\n" +
		"string NAME = it's # not a comment'\n" +
		"float64 X=-1.5e3\n" +
		"bool ON=True\n" +
		"uint8 HEX=0xff\n" +
		"   bool ok true   # on\n" +
		"byte b\nchar c\nint8 i8 -128\nuint8 u8\nint16 i16\nuint16 u16\nint32 i32\nuint32 u32 7\nint64 i64\nuint64 u64\n" +
		"float32 f32\nfloat64 f64 1e-3\nstring s \"say \\\" # hash\"\nstring<=5 s5\n" +
		"float64[3] a3\nint8[] seq [1, 2]\nuint8[<=9] b9\nstring<=4[<=2] ss\n" +
		"Part part\nb_msgs/Other[2] others\nb_msgs/msg/Other other"
	s := NewSet()
	for name, text := range map[string]string{"a_msgs/All": text, "a_msgs/Part": "bool x", "b_msgs/msg/Other": "bool x"} {
		if err := s.AddMsg(name, name, text); err != nil {
			t.Fatal(err)
		}
	}
	want := []string{
		"bool ok", "byte b", "uint8 c", "int8 i8", "uint8 u8", "int16 i16", "uint16 u16", "int32 i32", "uint32 u32", "int64 i64",
		"uint64 u64", "float32 f32", "float64 f64", "string s", "string<=5 s5", "float64[3] a3", "int8[] seq", "uint8[<=9] b9",
		"string<=4[<=2] ss", "a_msgs/msg/Part part", "b_msgs/msg/Other[2] others", "b_msgs/msg/Other other",
	}
	st := typeOf(t, s, "a_msgs/msg/All")
	if diff := cmp.Diff(want, shape(st)); diff != "" {
		t.Error(diff)
	}
	if got := st.Fields[12].Default; got != "1e-3" {
		t.Errorf("default %q", got)
	}
}

func TestMsgErrorsNamePlaceAndRemedy(t *testing.T) {
	for _, c := range []struct{ name, text, want string }{
		{"unknown primitive", "int32 a\n  flaot64 x\n", "M.msg:2:3: expected a type that is defined, found a/msg/flaot64"},
		{"bad type", "in-t a", `M.msg:1:1: expected a type, found "in-t"`},
		{"wide string", "wstring w", "expected a type that is read, found \"wstring\"; wide strings are not read"},
		{"time of ROS 1", "time stamp", "that is ROS 1; ROS 2 has builtin_interfaces/Time"},
		{"no name", "int32", "expected a name after the type"},
		{"name with a dash", "int32 a-b", "M.msg:1:8: expected a space, = or the end of the line after the name, found \"-b\""},
		{"name twice", "int32 a\nbool a", "M.msg:2:6: expected a new name, found a, which the message has already"},
		{"constant and field", "int32 A=1\nbool A", "M.msg:2:6: expected a new name"},
		{"array of nothing", "int32[0] a", "M.msg:1:6: expected a length from 1 to 16777216, found \"0\""},
		{"array of too much", "int32[99999999999] a", "expected a length"},
		{"open bracket", "int32[3 a", "expected [], [N] or [<=N]"},
		{"two dimensions", "int32[3][3] a", "arrays have one dimension"},
		{"bounded number", "int32<=3 a", "expected a bound on a string"},
		{"string bound in letters", "string<=x a", "M.msg:1:7: expected a length"},
		{"constant array", "int32[2] A=3", "expected a constant of a number, bool or string"},
		{"constant structure", "b/T A=3", "b/msg/T cannot be constant"},
		{"default of a structure", "b/T a 3", "expected no default"},
		{"number too large", "uint8 A=256", `M.msg:1:9: expected a whole number that uint8 can hold, found "256"`},
		{"negative unsigned", "uint8 a -1", "expected a whole number that uint8 can hold"},
		{"word for a number", "float64 a high", "expected a number"},
		{"word for a bool", "bool a maybe", "expected true or false"},
		{"list without brackets", "int32[] a 1", "expected a list in brackets"},
		{"not UTF-8", "int32 \xff", "expected text in UTF-8"},
		{"umlaut before the error", "# ä\nbool ä", "M.msg:2:6: expected a name"},
		{"too long", strings.Repeat("#", MaxText+1), "at most 1048576 bytes"},
		{"missing type", "gone/msg/T x", "M.msg:1:1: expected a type that is defined, found gone/msg/T; add the file that defines it"},
		{"nearly a known type", "std_msgs/Heder header", "did you mean std_msgs/msg/Header?"},
		{"header without package", "Header header", "std_msgs/Header is the usual one"},
		{"itself within itself", "a/M again", "expected a structure that does not contain itself"},
		{"huge array", "float64[16000000] a", "expected at most 16777216 bytes of fixed size"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := NewSet()
			err := s.AddMsg("a/msg/M", "M.msg", c.text)
			if err == nil {
				_, err = s.Type("a/M")
			}
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got\n%v\nwant\n%s", err, c.want)
			}
		})
	}
}

func TestMsgErrorsComeAllAtOnce(t *testing.T) {
	err := NewSet().AddMsg("a/M", "M.msg", "wstring a\nint32 ok\ntime b\nint32[ c\n")
	var all *Error
	if !errors.As(err, &all) || len(all.Problems) != 3 {
		t.Fatalf("%v", err)
	}
	for i, line := range []int{1, 3, 4} {
		if all.Problems[i].Line != line {
			t.Errorf("problem %d is in line %d, want %d", i, all.Problems[i].Line, line)
		}
	}
}

func TestMsgNamesThatAreWrong(t *testing.T) {
	for _, name := range []string{"", "M", "a/b/c/d", "a/", "/M", "a b/M", "a/9", strings.Repeat("a", MaxName) + "/M"} {
		if err := NewSet().AddMsg(name, "M.msg", "bool x"); err == nil {
			t.Errorf("%q is taken", name)
		}
	}
	if _, err := NewSet().Type("std_msgs/Strin"); err == nil || !strings.Contains(err.Error(), "did you mean std_msgs/msg/String?") {
		t.Errorf("%v", err)
	}
}

func TestServicesAndActionsAreParted(t *testing.T) {
	s := NewSet()
	if err := s.AddSrv("a/Do", "Do.srv", "int32 x\n---\r\nbool ok\nstring why\n"); err != nil {
		t.Fatal(err)
	}
	if err := s.AddAction("action_tutorials_interfaces/Fibonacci", "Fibonacci.action", "int32 order\n---\nint32[] sequence\n---\nint32[] partial_sequence\n"); err != nil {
		t.Fatal(err)
	}
	fibonacci := "action_tutorials_interfaces/action/Fibonacci"
	for name, want := range map[string][]string{
		"a/srv/Do_Request": {"int32 x"}, "a/srv/Do_Response": {"bool ok", "string why"},
		fibonacci + "_SendGoal_Request":   {"unique_identifier_msgs/msg/UUID goal_id", fibonacci + "_Goal goal"},
		fibonacci + "_FeedbackMessage":    {"unique_identifier_msgs/msg/UUID goal_id", fibonacci + "_Feedback feedback"},
		fibonacci + "_GetResult_Response": {"int8 status", fibonacci + "_Result result"},
		"std_srvs/srv/Trigger_Request":    {"uint8 " + dummyMember},
	} {
		if diff := cmp.Diff(want, shape(typeOf(t, s, name))); diff != "" {
			t.Error(name, diff)
		}
	}
	// As published by an implementation that was tested against ROS 2's own.
	if got, err := s.ServiceHash(fibonacci + "_GetResult"); err != nil || got != "RIHS01_8b47e383f1e31f6d8df6417ab54957e7d5ea24dad315646ad711ac3fdea81d58" {
		t.Errorf("%s, %v", got, err)
	}
	for name, c := range map[string]struct{ text, want string }{
		"one part":    {"bool x", "expected 2 parts with a line of --- between them, found 1"},
		"three parts": {"bool x\n---\nbool y\n---\nbool z\n", "Bad.srv:4:1: expected 2 parts"},
		"wrong line":  {"bool x\n---\nwstring y\n", "Bad.srv:3:1: expected a type that is read"},
	} {
		if err := s.AddSrv("a/Bad", "Bad.srv", c.text); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := s.ServiceHash("a/srv/Bad"); err == nil {
		t.Error("a service that was refused has a hash")
	}
}

func TestCopiesAndContradictions(t *testing.T) {
	s := NewSet()
	for range 2 { // a copy is no trouble
		if err := s.AddMsg("a/M", "M.msg", "bool x # why"); err != nil {
			t.Fatal(err)
		}
		if err := s.AddIDL("state.idl", stateIDL); err != nil {
			t.Fatal(err)
		}
		typeOf(t, s, "acme_msgs/LowState")
	}
	if err := s.AddMsg("a/M", "M2.msg", "bool y"); err == nil || !strings.Contains(err.Error(), "M2.msg:1:1: expected one definition of a/msg/M") {
		t.Errorf("%v", err)
	}
	if err := s.AddIDL("x.idl", "module acme_msgs { module msg { module dds_ { const long MOTORS = 36; }; }; };"); err == nil {
		t.Error("a constant has two values")
	}
	// An integrator's own definition takes the place of a built-in one.
	if err := s.AddMsg("std_msgs/Bool", "Bool.msg", "uint8 data\nuint8 reserved"); err != nil {
		t.Fatal(err)
	}
	if got := shape(typeOf(t, s, "std_msgs/Bool")); len(got) != 2 {
		t.Errorf("%q", got)
	}
}

func TestWhatIsMissingMayComeLater(t *testing.T) {
	s := NewSet()
	if err := s.AddMsg("a/M", "M.msg", "a/N[] n\nstring s"); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if _, err := s.Type("a/M"); err == nil {
			t.Fatal("a type without its part")
		}
	}
	if err := s.AddMsg("a/N", "N.msg", "bool x"); err != nil {
		t.Fatal(err)
	}
	typeOf(t, s, "a/M")
}

func TestStandardTypesAreWhole(t *testing.T) {
	s := NewSet()
	if len(s.Names()) != strings.Count(standard, "\n= ")+strings.Count(standard, "/srv/") {
		t.Errorf("%d types", len(s.Names()))
	}
	for _, name := range s.Names() {
		if _, err := Hash(typeOf(t, s, name)); err != nil {
			t.Error(err)
		}
	}
}

func TestDepthIsBounded(t *testing.T) {
	s := NewSet()
	name := func(i int) string { return "a/T" + itoa(int64(i)) }
	for i := range 40 {
		if err := s.AddMsg(name(i), "T.msg", name(i+1)+" x"); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.AddMsg(name(40), "T.msg", "bool x"); err != nil {
		t.Fatal(err)
	}
	deepest := 40
	for ; deepest > 0; deepest-- { // from the inside, so that nothing is too deep at first sight
		if _, err := s.Type(name(deepest)); err != nil {
			break
		}
	}
	if got := 40 - deepest; got != MaxDepth {
		t.Errorf("%d structures in each other, want %d", got, MaxDepth)
	}
	if _, err := s.Type(name(0)); err == nil || !strings.Contains(err.Error(), "types in each other") {
		t.Errorf("%v", err)
	}
}

func TestManyTypesAreRefused(t *testing.T) {
	s := NewSet()
	var err error
	n := 0
	for ; err == nil && n <= MaxTypes; n++ {
		err = s.AddMsg("a/T"+itoa(int64(n)), "T.msg", "bool x")
	}
	if err == nil || !strings.Contains(err.Error(), "at most 2048 definitions") {
		t.Errorf("after %d: %v", n, err)
	}
	var fields strings.Builder
	for i := range MaxFields + 1 {
		fields.WriteString("bool x" + itoa(int64(i)) + "\n")
	}
	if err := NewSet().AddMsg("a/T", "T.msg", fields.String()); err == nil {
		t.Error("too many fields are taken")
	}
}

func TestBigPlansAreRefused(t *testing.T) {
	s := NewSet()
	var fields strings.Builder
	for i := range 500 { // strings and numbers in turn, so that each is an operation
		fields.WriteString("string s" + itoa(int64(i)) + "\nint8 n" + itoa(int64(i)) + "\n")
	}
	for name, text := range map[string]string{"a/T": fields.String(), "a/M": "T[1000] t"} {
		if err := s.AddMsg(name, name, text); err != nil {
			t.Fatal(err)
		}
	}
	var paths []string
	for i := range 1000 {
		paths = append(paths, "t["+itoa(int64(i))+"].n0")
	}
	st := typeOf(t, s, "a/M")
	if _, err := Compile(st, paths); err == nil || !strings.Contains(err.Error(), "at most 65536 operations") {
		t.Errorf("%v", err)
	}
	if _, err := Compile(st, paths[:10]); err != nil {
		t.Error(err)
	}
}

func TestSuggestionsAreDeterministic(t *testing.T) {
	if words := typeWords(); !slices.IsSorted(words) {
		t.Errorf("%q", words)
	}
}
