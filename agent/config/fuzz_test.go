package config

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/robowarden/robowarden/geofence"
)

// FuzzLoad feeds any text as a document: it is either accepted, and then the cores take what comes out of it, or refused
// with a list of problems that each have a place.
func FuzzLoad(f *testing.F) {
	for _, pattern := range []string{"testdata/good/*.yaml", "testdata/bad/*.yaml", "testdata/bad/*/*.yaml", configsDir + "/*/*.yaml", configsDir + "/*/*/*.yaml"} {
		files, err := filepath.Glob(pattern)
		if err != nil || len(files) == 0 {
			f.Fatalf("%s: %v", pattern, err)
		}
		for _, name := range files {
			b, err := os.ReadFile(name)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(b)
		}
	}
	f.Fuzz(func(t *testing.T, src []byte) { tryLoad(t, src) })
}

// nasty is what people and attackers write into the wrong places.
func nasty() []string {
	return []string{
		"0", "-1", "1e999", ".nan", "", "null", "~", "no", "007", "1_0", "0s", "-1s", "5", "99999h", "[]", "{}", "[[]]", "[1, 2]", "{a: b}", "&a", "*a",
		"!!str x", "|", ">", "'", "\"", "\"\\u0000\"", "x: y", "- x", "#", " #", "hall", "walls", "day", "/odom", "../x", "ä", "\u202e", "\t", "\r", "\x00",
		"\xff", "---", "...", "<<: {}", "? x", "[[0, 0], [1, 1]]", "[[0, 0], [1, 0], [0, 1]]", "[[0, 0], [1, 0], [0.5, 0]]", "\"24:00\"", "sha256:", strings.Repeat("[", 30),
	}
}

// TestMutatedDocuments changes good documents in a few places and asks of the result what FuzzLoad asks.
func TestMutatedDocuments(t *testing.T) {
	var docs []string
	for _, name := range append(good(kinds()...), configsDir+"/demo/policy.yaml", configsDir+"/demo/topics.yaml") {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		docs = append(docs, string(b))
	}
	rapid.Check(t, func(rt *rapid.T) {
		tokens := regexp.MustCompile(`[A-Za-z0-9_./-]+|\s+|.`).FindAllString(rapid.SampledFrom(docs).Draw(rt, "doc"), -1)
		for range rapid.IntRange(1, 4).Draw(rt, "changes") {
			i, j := rapid.IntRange(0, len(tokens)-1).Draw(rt, "i"), rapid.IntRange(0, len(tokens)-1).Draw(rt, "j")
			switch rapid.IntRange(0, 4).Draw(rt, "how") {
			case 0:
				tokens[i] = ""
			case 1:
				tokens[i], tokens[j] = tokens[j], tokens[i]
			case 2:
				tokens[i] = tokens[j]
			default:
				tokens[i] = rapid.SampledFrom(nasty()).Draw(rt, "nasty")
			}
		}
		tryLoad(rt, []byte(strings.Join(tokens, "")))
	})
}

// failer is what testing and rapid have in common.
type failer interface {
	Helper()
	Fatal(args ...any)
	Fatalf(format string, args ...any)
}

func tryLoad(t failer, src []byte) {
	t.Helper()
	p := newProblems()
	l := &loader{out: p, docs: map[string]*document{}, cfg: &Config{}}
	l.take("x.yaml", src)
	delete(l.docs, KindDeployment) // it would read the files that it names
	cfg, err := l.finish()
	if (cfg == nil) != (p.Errors() > 0) || (err == nil) != (p.Errors() == 0) {
		t.Fatalf("config %v, error %v, %d errors", cfg != nil, err, p.Errors())
	}
	var listed *Problems
	if err != nil && !errors.As(err, &listed) {
		t.Fatalf("an error without a list: %v", err)
	}
	lines := strings.Count(string(src), "\n") + 1
	for _, problem := range p.List {
		if problem.Line < 0 || problem.Line > lines || problem.Line > 0 && problem.Column < 1 || problem.Expected == "" || problem.Found == "" || problem.Rule == "" {
			t.Fatalf("no place or text: %+v", problem)
		}
	}
	var b strings.Builder
	if err := p.Render(&b, true); err != nil {
		t.Fatal(err)
	}
	if _, err := json.Marshal(p); err != nil {
		t.Fatal(err)
	}
	if cfg != nil {
		cores(t, cfg)
	}
}

// cores hands an accepted configuration to the cores.
func cores(t failer, cfg *Config) {
	t.Helper()
	if p := cfg.Policy; p != nil {
		site := p.translate(func(...any) bool { return true })
		if cfg.Profile == nil || cfg.Profile.Kinematics == nil {
			site.withoutBody()
		}
		robot := plainRobot()
		if cfg.Profile != nil && cfg.Profile.Kinematics != nil {
			robot.Chain = cfg.Profile.Kinematics.Chain
		}
		if _, err := geofence.Compile(site.spec, robot); err != nil {
			t.Fatalf("accepted, but not by the geofence: %v", err)
		}
		rules := p.Interlock()
		if err := rules.Validate(); err != nil {
			t.Fatalf("accepted, but not by the interlock: %v", err)
		}
	}
	if p := cfg.Profile; p != nil {
		fenceRobot(p, cfg.Topics)
		p.LadderSpec()
		p.StandstillSpec()
	}
}
