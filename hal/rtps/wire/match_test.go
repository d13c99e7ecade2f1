package wire

import (
	"path"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func pair() (w, r EndpointData) {
	w = EndpointData{GUID: GUID{testPrefix, testWriter}, Topic: "rt/cmd_vel", Type: "T", QoS: DefaultQoS(true)}
	r = EndpointData{GUID: GUID{testPrefix, testReader}, Topic: "rt/cmd_vel", Type: "T", QoS: DefaultQoS(false)}
	return w, r
}

// TestMismatch: each QoS that keeps a reader from a writer is named with both values, and what is good enough matches.
func TestMismatch(t *testing.T) {
	type change func(w, r *EndpointData)
	for _, c := range []struct {
		name string
		do   change
		why  []string // nil: they match
	}{
		{"defaults", func(*EndpointData, *EndpointData) {}, nil},
		{"other topic", func(_, r *EndpointData) { r.Topic = "rt/odom" }, []string{"topic", `"rt/cmd_vel"`, `"rt/odom"`}},
		{"other type", func(_, r *EndpointData) { r.Type = "U" }, []string{"type", `"T"`, `"U"`}},
		{"keys on one side", func(w, _ *EndpointData) { w.GUID.Entity[3] = kindWriterWithKey }, []string{"topic kind", "has keys", "has no keys"}},
		{"keys on both sides", func(w, r *EndpointData) {
			w.GUID.Entity[3], r.GUID.Entity[3] = kindWriterWithKey, kindReaderWithKey
		}, nil},
		{"reliable reader, reliable writer", func(_, r *EndpointData) { r.QoS.Reliable = true }, nil},
		{"reliable reader, best-effort writer", func(w, r *EndpointData) { w.QoS.Reliable, r.QoS.Reliable = false, true }, []string{"reliability", "best effort", "reliable"}},
		{"best effort on both sides", func(w, _ *EndpointData) { w.QoS.Reliable = false }, nil},
		{"less durability", func(_, r *EndpointData) { r.QoS.Durability = TransientLocal }, []string{"durability", "offers volatile", "requests transient local"}},
		{"more durability", func(w, r *EndpointData) { w.QoS.Durability, r.QoS.Durability = Persistent, Transient }, nil},
		{"longer deadline", func(w, r *EndpointData) { w.QoS.Deadline, r.QoS.Deadline = 2*time.Second, time.Second }, []string{"deadline", "offers 2s", "requests 1s"}},
		{"no deadline offered", func(_, r *EndpointData) { r.QoS.Deadline = time.Second }, []string{"deadline", "offers infinite", "requests 1s"}},
		{"shorter deadline", func(w, r *EndpointData) { w.QoS.Deadline, r.QoS.Deadline = time.Second, time.Second }, nil},
		{"longer latency budget", func(w, _ *EndpointData) { w.QoS.LatencyBudget = time.Millisecond }, []string{"latency budget", "1ms", "0s"}},
		{"less liveliness", func(_, r *EndpointData) { r.QoS.Liveliness = ManualByTopic }, []string{"liveliness", "offers automatic", "requests manual by topic"}},
		{"more liveliness", func(w, r *EndpointData) { w.QoS.Liveliness, r.QoS.Liveliness = ManualByTopic, ManualByParticipant }, nil},
		{"longer lease", func(w, r *EndpointData) { w.QoS.LivelinessLease, r.QoS.LivelinessLease = 3*time.Second, time.Second }, []string{"lease", "3s", "1s"}},
		{"shorter lease", func(w, _ *EndpointData) { w.QoS.LivelinessLease = time.Second }, nil},
		{"exclusive writer", func(w, _ *EndpointData) { w.QoS.Exclusive = true }, []string{"ownership", "exclusive", "shared"}},
		{"exclusive reader", func(_, r *EndpointData) { r.QoS.Exclusive = true }, []string{"ownership", "shared", "exclusive"}},
		{"exclusive on both sides", func(w, r *EndpointData) { w.QoS.Exclusive, r.QoS.Exclusive = true, true }, nil},
		{"order by source requested", func(_, r *EndpointData) { r.QoS.BySource = true }, []string{"destination order", "by reception", "by source"}},
		{"order by source offered", func(w, _ *EndpointData) { w.QoS.BySource = true }, nil},
		{"wider presentation requested", func(_, r *EndpointData) { r.QoS.Presentation = PresentGroup }, []string{"presentation", "instance", "group"}},
		{"coherence requested", func(_, r *EndpointData) { r.QoS.Coherent = true }, []string{"presentation", "not coherent"}},
		{"order requested", func(_, r *EndpointData) { r.QoS.Ordered = true }, []string{"presentation", "not ordered"}},
		{"presentation offered", func(w, _ *EndpointData) { w.QoS.Presentation, w.QoS.Coherent, w.QoS.Ordered = PresentGroup, true, true }, nil},
		{"XCDR1 first, reader without", func(w, _ *EndpointData) { w.QoS.Representations = []int16{XCDR1, XCDR2} }, nil},
		{"XCDR2 first, reader without", func(w, _ *EndpointData) { w.QoS.Representations = []int16{XCDR2, XCDR1} }, []string{"data representation", "XCDR2", "[XCDR1]"}},
		{"XCDR2, reader takes both", func(w, r *EndpointData) {
			w.QoS.Representations, r.QoS.Representations = []int16{XCDR2}, []int16{XCDR1, XCDR2}
		}, nil},
		{"none, reader takes XCDR2", func(_, r *EndpointData) { r.QoS.Representations = []int16{XCDR2} }, []string{"data representation", "XCDR1", "[XCDR2]"}},
		{"partition on one side", func(w, _ *EndpointData) { w.QoS.Partitions = []string{"lab"} }, []string{"partition", `["lab"]`, "[]"}},
		{"pattern on one side", func(w, _ *EndpointData) { w.QoS.Partitions = []string{"*"} }, nil},
		{"a common partition", func(w, r *EndpointData) {
			w.QoS.Partitions, r.QoS.Partitions = []string{"a", "lab"}, []string{"lab", "c"}
		}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			w, r := pair()
			c.do(&w, &r)
			why := Mismatch(&w, &r)
			if (why == "") != (c.why == nil) {
				t.Fatalf("%q", why)
			}
			for _, part := range c.why {
				if !strings.Contains(why, part) {
					t.Errorf("%q does not say %q", why, part)
				}
			}
		})
	}
}

// TestMismatchOfValuesThatAreNone: values that no parser lets through are told as numbers.
func TestMismatchOfValuesThatAreNone(t *testing.T) {
	w, r := pair()
	r.QoS.Durability = 4
	if why := Mismatch(&w, &r); !strings.HasSuffix(why, "requests 4") {
		t.Error(why)
	}
	w, r = pair()
	w.QoS.Representations, r.QoS.Representations = []int16{3}, []int16{-1, XML}
	if why := Mismatch(&w, &r); !strings.HasSuffix(why, "offers [3], the reader requests [-1 XML]") {
		t.Error(why)
	}
}

// TestPartitions: names and patterns as fnmatch has them; a list without names has the one without a name.
func TestPartitions(t *testing.T) {
	list := func(s ...string) []string { return s }
	for _, c := range []struct {
		a, b []string
		meet bool
	}{
		{nil, nil, true},
		{nil, list(""), true},
		{nil, list("*"), true},
		{nil, list("?"), false},
		{nil, list("a"), false},
		{list("a"), list("a"), true},
		{list("a"), list("b"), false},
		{list("a", "b"), list("c", "b"), true},
		{list("abc"), list("a*"), true},
		{list("abc"), list("*bc"), true},
		{list("abc"), list("a?c"), true},
		{list("abc"), list("a??c"), false},
		{list("abc"), list("a[a-c]c"), true},
		{list("abc"), list("a[!a-c]c"), false},
		{list("abc"), list("a[^x]c"), true},
		{list("a]c"), list("a[]]c"), true},
		{list("a-c"), list("a[x-]c"), true},
		{list("a[c"), list("a[c"), true},
		{list("a[c"), list("a[[]c"), false}, // both are patterns
		{list("abc"), list("a[bc"), false},
		{list("a*"), list("a*"), true},
		{list("a*"), list("?b"), false},
		{list("abc"), list(`a\b*`), true},
		{list("a/b"), list("a*"), true},
		{list(strings.Repeat("a", MaxName)), list(strings.Repeat("a*", MaxName/2) + "b"), false},
	} {
		if PartitionsMeet(c.a, c.b) != c.meet || PartitionsMeet(c.b, c.a) != c.meet {
			t.Errorf("%q and %q: meet %v", c.a, c.b, !c.meet)
		}
	}
}

// TestUnfinishedPatterns: what a pattern begins and does not end stands for itself.
func TestUnfinishedPatterns(t *testing.T) {
	for _, c := range []struct {
		pattern, name string
		fits          bool
	}{
		{"[", "[", true},
		{"a[b", "a[b", true},
		{"a[b", "ab", false},
		{"[a-", "[a-", true},
		{"[!", "[!", true},
		{"[!", "x", false},
		{"[]", "[]", true},
		{`a\`, `a\`, true},
		{`a\`, "a", false},
		{"[a-]", "-", true},
		{"[a-]", "b", false},
		{"*[", "x[", true},
	} {
		if fits(c.pattern, c.name) != c.fits {
			t.Errorf("%q fits %q: %v", c.name, c.pattern, !c.fits)
		}
	}
}

// TestPatterns compares patterns with the standard library's, which differ only in the slash and in the sign of negation.
func TestPatterns(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		name := rapid.StringMatching(`[abc]{0,8}`).Draw(t, "name")
		p := rapid.StringMatching(`([abc]|\*|\?|\[[abc]{1,2}\]|\[\^[abc]\]|\[a-b\]|\\[abc*]){0,8}`).Draw(t, "pattern")
		want, err := path.Match(p, name)
		if err != nil {
			t.Skip(err)
		}
		if fits(p, name) != want {
			t.Fatalf("%q fits %q: %v", name, p, !want)
		}
	})
}
