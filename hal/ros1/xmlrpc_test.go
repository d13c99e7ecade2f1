package ros1

import (
	"bytes"
	"encoding/xml"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/robowarden/robowarden/hal/ros1/rostest"
)

// tree turns a parsed value and those after it into strings and lists.
func tree(x *xmlReader, i int32) []any {
	out := []any{}
	for ; i >= 0; i = x.values[i].next {
		v := &x.values[i]
		if v.kind == xmlArray {
			out = append(out, tree(x, v.first))
		} else {
			out = append(out, string(v.text))
		}
	}
	return out
}

func parse(doc string) (string, []any, error) {
	var x xmlReader
	method, first, err := x.parseCall([]byte(doc))
	if err != nil {
		return "", nil, err
	}
	return method, tree(&x, first), nil
}

func TestRequestsAsPeersWriteThem(t *testing.T) {
	want := []any{"/caller", "/topic", []any{[]any{"TCPROS"}}}
	for name, doc := range map[string]string{
		// As Python's xmlrpc.client writes it for rospy.
		"rospy": "<?xml version='1.0'?>\n<methodCall>\n<methodName>requestTopic</methodName>\n<params>\n<param>\n<value><string>/caller</string></value>\n</param>\n<param>\n<value><string>/topic</string></value>\n</param>\n<param>\n<value><array><data>\n<value><array><data>\n<value><string>TCPROS</string></value>\n</data></array></value>\n</data></array></value>\n</param>\n</params>\n</methodCall>\n",
		// As XmlRpc++ writes it for roscpp: strings without a type.
		"roscpp": "<?xml version=\"1.0\"?>\r\n<methodCall><methodName>requestTopic</methodName>\r\n<params><param><value>/caller</value></param><param><value>/topic</value></param><param><value><array><data><value><array><data><value>TCPROS</value></data></array></value></data></array></value></param></params></methodCall>\r\n",
		"bare":   "<methodCall><methodName>requestTopic</methodName><params><param><value>/caller</value></param><param><value>/topic</value></param><param><value><array><data><value><array><data><value>TCPROS</value></data></array></value></data></array></value></param></params></methodCall>",
	} {
		t.Run(name, func(t *testing.T) {
			method, got, err := parse(doc)
			if err != nil || method != "requestTopic" {
				t.Fatalf("%q, %v", method, err)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestRequestForms(t *testing.T) {
	call := func(params string) string { return "<methodCall><methodName>m</methodName>" + params + "</methodCall>" }
	one := func(v string) string { return call("<params><param>" + v + "</param></params>") }
	for _, c := range []struct {
		name, doc string
		want      []any
	}{
		{"no params", call(""), []any{}},
		{"empty params", call("<params/>"), []any{}},
		{"params without any", call("<params>\n</params>"), []any{}},
		{"empty value", one("<value></value>"), []any{""}},
		{"closed value", one("<value/>"), []any{""}},
		{"closed string", one("<value><string/></value>"), []any{""}},
		{"blanks in a value", one("<value> </value>"), []any{" "}},
		{"blanks in a string", one("<value><string> a </string></value>"), []any{" a "}},
		{"entities", one("<value>&lt;&amp;&#65;&#x42;&gt;&quot;&apos;</value>"), []any{"<&AB>\"'"}},
		{"int", one("<value><int>5</int></value>"), []any{"5"}},
		{"empty array", one("<value><array><data></data></array></value>"), []any{[]any{}}},
		{"closed data", one("<value><array><data/></array></value>"), []any{[]any{}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, got, err := parse(c.doc)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestRequestFaults(t *testing.T) {
	one := func(v string) string {
		return "<methodCall><methodName>m</methodName><params><param>" + v + "</param></params></methodCall>"
	}
	for _, c := range []struct{ name, doc, want string }{
		{"empty", "", "markup"},
		{"not XML", "hello", "markup"},
		{"a comment", "<methodCall><!-- x --><methodName>m</methodName></methodCall>", "markup"},
		{"a DOCTYPE", `<!DOCTYPE a [<!ENTITY b "c">]><methodCall></methodCall>`, "markup"},
		{"an unknown entity", one("<value>&b;</value>"), "entity"},
		{"a character zero", one("<value>&#0;</value>"), "entity"},
		{"CDATA", one("<value><![CDATA[x]]></value>"), "markup"},
		{"an attribute", one(`<value a="b">x</value>`), "markup"},
		{"a struct", one("<value><struct></struct></value>"), "struct"},
		{"nesting", one(strings.Repeat("<value><array><data>", 9) + strings.Repeat("</data></array></value>", 9)), "nested"},
		{"too many values", one("<value><array><data>" + strings.Repeat("<value/>", 300) + "</data></array></value>"), "more than 256"},
		{"two documents", one("<value/>") + one("<value/>"), "expected the end"},
		{"crossed tags", "<methodCall><methodName>m</methodCall></methodName>", "methodName"},
		{"cut", one("<value>x</value>")[:70], "markup"},
		{"a long method", "<methodCall><methodName>" + strings.Repeat("m", 65) + "</methodName></methodCall>", "at most 64"},
		{"an answer", "<methodResponse></methodResponse>", "methodCall"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if _, _, err := parse(c.doc); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v; want an error that says %q", err, c.want)
			}
		})
	}
}

// TestWhatWeWriteIsRead lets encoding/xml read what we write, and us what encoding/xml's user writes.
func TestWhatWeWriteIsRead(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		texts := rapid.SliceOfN(rapid.StringMatching(`[ -~äß€]{0,20}`), 1, 5).Draw(t, "texts")
		doc := newCall("m", texts...)
		var c struct {
			Method string          `xml:"methodName"`
			Params []rostest.Value `xml:"params>param>value"`
		}
		if err := xml.Unmarshal(doc, &c); err != nil {
			t.Fatal(err)
		}
		for i, p := range c.Params {
			if p.Str() != texts[i] {
				t.Fatalf("parameter %d is %q; want %q", i, p.Str(), texts[i])
			}
		}
		list := make([]any, len(texts))
		for i, s := range texts {
			list[i] = s
		}
		_, got, err := parse("<methodCall><methodName>m</methodName><params><param>" + rostest.Encode(list) + "</param></params></methodCall>")
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff([]any{list}, got); diff != "" {
			t.Fatal(diff)
		}
	})
}

func FuzzXMLRPCRequest(f *testing.F) {
	f.Add([]byte("<?xml version='1.0'?>\n<methodCall><methodName>getPid</methodName><params><param><value>/a</value></param></params></methodCall>"))
	f.Add(newCall("publisherUpdate", "/a", "/t&<>"))
	f.Add([]byte("<methodCall><methodName>m</methodName><params><param><value><array><data><value/><value><int>1</int></value></data></array></value></param></params></methodCall>"))
	f.Fuzz(func(t *testing.T, b []byte) {
		var x xmlReader
		method, first, err := x.parseCall(b)
		if err != nil {
			return
		}
		if len(x.values) > maxXMLValues {
			t.Fatalf("%d values", len(x.values))
		}
		tree(&x, first)
		var c struct {
			Method string `xml:"methodName"`
		}
		d := xml.NewDecoder(bytes.NewReader(b))
		if d.Decode(&c) == nil && strings.ReplaceAll(c.Method, "\n", "") != strings.NewReplacer("\n", "", "\r", "").Replace(method) {
			t.Fatalf("method %q; encoding/xml reads %q in %q", method, c.Method, b)
		}
	})
}

func FuzzXMLRPCAnswer(f *testing.F) {
	f.Add([]byte("<methodResponse><params><param><value><array><data><value><int>1</int></value><value/><value><array><data/></array></value></data></array></value></param></params></methodResponse>"))
	f.Fuzz(func(_ *testing.T, b []byte) {
		m := &master{n: &Node{}}
		m.state.publishers = map[string][]string{}
		_ = m.parse(b)
	})
}
