package config

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/robowarden/robowarden/configs"
)

// vendorDocument is a topic mapping beside testdata/bad/hg.idl whose joints' positions are at the given path.
func vendorDocument(tb testing.TB) func(position string) string {
	tb.Helper()
	src, err := os.ReadFile("testdata/bad/vendor-field-paths.yaml")
	if err != nil {
		tb.Fatal(err)
	}
	before, _, found := strings.Cut(string(src), "  fields:")
	if !found {
		tb.Fatal("no fields in the document")
	}
	return func(position string) string {
		return before + "  fields: {names: [a, \"-\", b], position: \"" + position + "\"}\n"
	}
}

// FuzzFieldPath: whatever stands as a path, it is either taken, and then there is a plan for every joint, or refused at a
// character of it.
func FuzzFieldPath(f *testing.F) {
	for _, s := range []string{
		"motor_state[*].q", "motor_state[*].temperature[1]", "motor_state[*].temperature[2]", "motor_state[*]", "imu_state.rpy[*]", "version[*]", "tick[*]",
		"a[*]", "motor_state[*].", "[*]", "motor_state[99999999][*]", "motor_state.q[*]", "", "*", "ä[*]", "motor_state[*].q[*]",
	} {
		f.Add(s)
	}
	doc := vendorDocument(f)
	f.Fuzz(func(t *testing.T, position string) {
		if strings.ContainsAny(position, "\"\\\n\r") {
			return // it would be no text in quotes
		}
		p := newProblems()
		l := &loader{out: p, docs: map[string]*document{}, cfg: &Config{}}
		l.take("testdata/bad/x.yaml", []byte(doc(position)))
		cfg, err := l.finish()
		if err == nil {
			if n := cfg.Vendor.Joints.Len(); n != 2 || len(cfg.Raw.Definitions) != 1 {
				t.Fatalf("%q: a plan of %d values", position, n)
			}
			return
		}
		for _, problem := range p.List {
			if problem.Rule != ruleFieldPath {
				continue
			}
			line := []rune(strings.Split(doc(position), "\n")[problem.Line-1])
			from := strings.Index(string(line), "position: \"") + len("position: \"")
			if problem.Column-1 < from || problem.Column-1 > from+len([]rune(position)) || problem.Expected == "" || problem.Found == "" {
				t.Fatalf("%q: %+v", position, problem)
			}
		}
	})
}

// TestPatternOffsets: a place in a path is the same character in its pattern.
func TestPatternOffsets(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		before, after := rapid.StringMatching(`[a-z\[\].]{0,8}`).Draw(t, "before"), rapid.StringMatching(`[a-z\[\].]{0,8}`).Draw(t, "after")
		star := rapid.SampledFrom([]string{"0", "17", "x", "4095"}).Draw(t, "star")
		p := pattern{text: before + "*" + after, stars: []string{star}}
		path := p.paths()[0]
		i := rapid.IntRange(0, len(path)-1).Draw(t, "place")
		got := p.text[p.offset(i, len(star))]
		if inStar := i >= len(before) && i < len(before)+len(star); inStar && got != '*' || !inStar && got != path[i] {
			t.Fatalf("%q of %q at %d is %q", path, p.text, i, got)
		}
	})
}

// TestDefinitionsCount: the digest of a mapping depends on what its definitions say, since it has their digests; and a
// robot that is set up with another definition is refused.
func TestDefinitionsCount(t *testing.T) {
	dir := install(t, configs.HumanoidDDS)
	load := func() (*Config, error) { return Load(nil, dir+"/topics.yaml") }
	cfg, err := load()
	if err != nil {
		t.Fatal(err)
	}
	def := cfg.Topics.Definitions[0]
	raw := cfg.Raw.Definitions[StoredDefinition(def)]
	if len(raw) == 0 || cfg.Vendor.Joints.Len() != 3*29 || cfg.Vendor.IMU.Len() != 10 || cfg.Vendor.Battery.Len() != 1 {
		t.Fatalf("%d octets of a definition, vendor %+v", len(raw), cfg.Vendor)
	}
	// The axes' order of the quaternion is the mapping's word.
	if got := fmt.Sprint(cfg.Topics.IMU.Fields.paths(at("fields"))[2].paths()); got != "[imu_state.quaternion[1] imu_state.quaternion[2] imu_state.quaternion[3] imu_state.quaternion[0]]" {
		t.Error(got)
	}
	write(t, dir+"/"+def.File, strings.Replace(string(raw), "float q;", "double q;", 1))
	if _, err = load(); err == nil || !strings.Contains(err.Error(), ruleDigest) {
		t.Errorf("another definition: %v", err)
	}
	// Under its content's name it is found as well, as where a run's documents are stored.
	if err := os.Remove(dir + "/" + def.File); err != nil {
		t.Fatal(err)
	}
	write(t, dir+"/"+StoredDefinition(def), string(raw))
	if _, err = load(); err != nil {
		t.Error(err)
	}
}
