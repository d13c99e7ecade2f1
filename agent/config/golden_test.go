package config

import (
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write golden files, schemas and pins anew")

// good returns the paths of the small documents that every bad one was made from.
func good(kinds ...string) []string {
	files := map[string]string{KindProfile: "profile", KindTopics: "topics", KindPolicy: "policy", KindDeployment: "deployment"}
	var out []string
	for _, k := range kinds {
		out = append(out, filepath.Join("testdata", "good", files[k]+".yaml"))
	}
	return out
}

func TestGoodDocuments(t *testing.T) {
	for name, kinds := range map[string][]string{
		"profile alone": {KindProfile}, "topics alone": {KindTopics}, "policy alone": {KindPolicy},
		"together": {KindProfile, KindTopics, KindPolicy}, "other order": {KindPolicy, KindTopics, KindProfile},
	} {
		cfg, err := Load(nil, good(kinds...)...)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if len(cfg.Warnings) > 0 {
			t.Errorf("%s: warnings %v", name, cfg.Warnings)
		}
	}
}

// TestBadDocuments holds the whole report about each bad document against what was reviewed. A folder holds documents
// that are good each and do not fit together.
func TestBadDocuments(t *testing.T) {
	entries, err := os.ReadDir("testdata/bad")
	if err != nil {
		t.Fatal(err)
	}
	here, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	ran := 0
	for _, e := range entries {
		name, isFile := strings.CutSuffix(e.Name(), ".yaml")
		if !isFile && !e.IsDir() {
			continue
		}
		ran++
		t.Run(name, func(t *testing.T) {
			files := []string{filepath.Join("testdata", "bad", e.Name())}
			if e.IsDir() {
				if files, err = filepath.Glob(filepath.Join(files[0], "*.yaml")); err != nil {
					t.Fatal(err)
				}
			}
			cfg, err := Load(nil, files...)
			var problems *Problems
			if !errors.As(err, &problems) || cfg != nil || problems.Errors() == 0 {
				t.Fatalf("accepted: %v", err)
			}
			var b strings.Builder
			if err := problems.Render(&b, false); err != nil {
				t.Fatal(err)
			}
			b.WriteString(problems.Summary() + "\n")
			compareGolden(t, filepath.Join("testdata", "bad", name+".golden"), strings.ReplaceAll(b.String(), here, "$HERE"))
			for _, p := range problems.List {
				if p.Expected == "" || p.Found == "" || p.Rule == "" || p.File == "" {
					t.Errorf("not all said: %+v", p)
				}
			}
		})
	}
	if ran < 50 {
		t.Errorf("only %d bad documents", ran)
	}
}

// TestWarnedDocuments: these are accepted, and something is said about each.
func TestWarnedDocuments(t *testing.T) {
	entries, err := os.ReadDir("testdata/warned")
	if err != nil || len(entries) < 5 {
		t.Fatalf("%d entries: %v", len(entries), err)
	}
	for _, e := range entries {
		if !e.IsDir() {
			continue
		}
		folder := filepath.Join("testdata", "warned", e.Name())
		t.Run(e.Name(), func(t *testing.T) {
			files, err := filepath.Glob(filepath.Join(folder, "*.yaml"))
			if err != nil {
				t.Fatal(err)
			}
			cfg, err := Load(nil, files...)
			if err != nil {
				t.Fatal(err)
			}
			var b strings.Builder
			if err := cfg.RenderWarnings(&b, false); err != nil {
				t.Fatal(err)
			}
			b.WriteString(cfg.Problems().Summary() + "\n")
			compareGolden(t, folder+".golden", b.String())
			for _, p := range cfg.Warnings {
				if p.Severity != SeverityWarning || p.Expected == "" || p.Found == "" {
					t.Errorf("not all said: %+v", p)
				}
			}
		})
	}
}

func compareGolden(t *testing.T, file, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil { //nolint:gosec // test data
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s:\n%s", file, diff)
	}
}
