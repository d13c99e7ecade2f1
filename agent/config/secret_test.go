package config

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestSecretHidesItself(t *testing.T) {
	s := Secret{[]byte("0123456789abcdef0123456789abcdef")}
	cfg := Config{HeartbeatKeys: map[string]Secret{"operator": s}}
	b, err := json.Marshal(cfg)
	if err != nil {
		t.Fatal(err)
	}
	var all strings.Builder
	all.Write(b)
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%t", "%U"} {
		fmt.Fprintf(&all, verb+verb+verb, s, cfg, &s)
	}
	all.WriteString(s.String() + s.GoString())
	for _, form := range []string{"0123456789abcdef", "30313233", "48 49 50", "MDEyMzQ1Njc4OWFi"} {
		if strings.Contains(all.String(), form) {
			t.Errorf("the key shows as %s", form)
		}
	}
}

func TestReadSecret(t *testing.T) {
	dir := t.TempDir()
	name := filepath.Join(dir, "key")
	for mode, want := range map[os.FileMode]error{
		0o600: nil, 0o400: nil, 0o640: errKeyMode, 0o604: errKeyMode, 0o620: errKeyMode, 0o644: errKeyMode, 0o601: errKeyMode, 0o666: errKeyMode,
	} {
		write(t, name, demoKey)
		if err := os.Chmod(name, mode); err != nil {
			t.Fatal(err)
		}
		if _, err := readSecret(name); !errors.Is(err, want) {
			t.Errorf("mode %o: %v, want %v", mode, err, want)
		}
		if err := os.Remove(name); err != nil {
			t.Fatal(err)
		}
	}
	for text, want := range map[string]error{
		demoKey + "\n": nil, strings.ToUpper(demoKey): nil, demoKey[2:]: errKeyForm, demoKey + "00": errKeyForm, "": errKeyForm,
		strings.Repeat("z", 64): errKeyForm, demoKey + "\n" + demoKey: errKeyForm, strings.Repeat(demoKey, 100): errKeyForm,
	} {
		write(t, name, text)
		_, err := readSecret(name)
		if !errors.Is(err, want) {
			t.Errorf("%d characters: %v, want %v", len(text), err, want)
		}
		if err != nil && strings.Contains(err.Error(), demoKey[:8]) {
			t.Error("the error shows the key")
		}
	}
	if _, err := readSecret(dir); !errors.Is(err, errKeyKind) {
		t.Errorf("a folder: %v", err)
	}
}

// TestPastedKeysAreMasked puts a key somewhere into a document and looks for it in every form of the report.
func TestPastedKeysAreMasked(t *testing.T) {
	src, err := os.ReadFile("testdata/good/deployment.yaml")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	rapid.Check(t, func(t *rapid.T) {
		key := rapid.OneOf(
			rapid.StringMatching(`[0-9a-f]{20}[0-9][a-f][0-9a-f]{42}`).Filter(func(s string) bool { return strings.Count(strings.Trim(s, "abcdef"), "")-1 > 8 }),
			rapid.StringMatching(`[A-Za-z0-9+/]{20}aB3cD4eF5gH6[A-Za-z0-9+/]{12}`),
		).Draw(t, "key")
		text := string(src)
		places := []int{0}
		for i := range text {
			if text[i] == '\n' || text[i] == ' ' {
				places = append(places, i+1)
			}
		}
		at := rapid.SampledFrom(places).Draw(t, "at")
		form := rapid.SampledFrom([]string{"%s", "'%s", "key: %s\n", "\"%s\": 1\n", "[%s, ", "  - %s\n", "&%s ", "!%s ", "%s: {"}).Draw(t, "form")
		text = text[:at] + fmt.Sprintf(form, key) + text[at:]
		name := filepath.Join(dir, "deployment.yaml")
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := Load(nil, name)
		var p *Problems
		if !errors.As(err, &p) {
			t.Fatalf("%v", err)
		}
		var b strings.Builder
		j, jsonErr := json.Marshal(p)
		if err := errors.Join(jsonErr, p.Render(&b, true)); err != nil {
			t.Fatal(err)
		}
		for form, report := range map[string]string{"error": err.Error(), "text": b.String(), "json": string(j)} {
			if strings.Contains(report, key[:24]) {
				t.Fatalf("%s shows the key %s:\n%s", form, key, report)
			}
		}
	})
}
