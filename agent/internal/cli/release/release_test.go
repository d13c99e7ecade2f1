package release_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/robowarden/robowarden/agent/internal/cli/release"
	"github.com/robowarden/robowarden/attest/order"
)

// run runs the station's subcommand and returns its exit code and what it said.
func run(t *testing.T, args ...string) (int, string) {
	t.Helper()
	var out bytes.Buffer
	cmd := release.New()
	cmd.SilenceErrors, cmd.SilenceUsage = true, true
	cmd.SetOut(&out)
	cmd.SetErr(&out)
	cmd.SetArgs(args)
	err := cmd.ExecuteContext(t.Context())
	var coded interface{ ExitCode() int }
	switch {
	case err == nil:
		return 0, out.String()
	case errors.As(err, &coded):
		return coded.ExitCode(), out.String() + err.Error()
	}
	return 1, out.String() + err.Error()
}

func put(t *testing.T, name, content string, mode os.FileMode) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(content), mode); err != nil {
		t.Fatal(err)
	}
}

// site is a folder with a model and a key.
func site(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	put(t, dir+"/grasp/weights.bin", "weights", 0o600)
	put(t, dir+"/grasp/sub/config.json", "{}", 0o600)
	put(t, dir+"/grasp/.git/HEAD", "x", 0o600)
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	private, _ := x509.MarshalPKCS8PrivateKey(key)
	public, _ := x509.MarshalPKIXPublicKey(key.Public())
	put(t, dir+"/maker.key", string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})), 0o600)
	put(t, dir+"/maker.pem", string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: public})), 0o600)
	return dir
}

func TestSignAndVerify(t *testing.T) {
	dir := site(t)
	model, sig := dir+"/grasp", dir+"/grasp/model.sig"
	if code, out := run(t, "sign", model, "--key", dir+"/maker.key", "--out", sig); code != 0 || !strings.Contains(out, "2 files") {
		t.Fatal(code, out)
	}
	verify := []string{"verify", model, "--bundle", sig, "--trust", dir + "/maker.pem"}
	code, out := run(t, verify...)
	if code != 0 || !strings.Contains(out, "2 files, 9 bytes") || !strings.Contains(out, ".git, model.sig: left out") || strings.Contains(out, "\r") {
		t.Fatal(code, out)
	}
	if code, out := run(t, "sign", model, "--key", dir+"/maker.key", "--out", sig); code != 1 || !strings.Contains(out, "exists already") {
		t.Error(code, out)
	}
	put(t, model+"/weights.bin", "weightz", 0o600)
	put(t, model+"/more", "", 0o600)
	if code, out := run(t, verify...); code != 1 || !strings.Contains(out, `"more" was not signed; "weights.bin" has other content`) {
		t.Error(code, out)
	}
	code, out = run(t, append(verify, "--output", "json")...)
	var answer struct {
		Verified bool
		Reason   string
		Faults   []struct{ Path string }
	}
	if err := json.Unmarshal([]byte(strings.SplitN(out, "\n", 2)[0]), &answer); err != nil || code != 1 || answer.Verified || answer.Reason != "changed" || len(answer.Faults) != 2 {
		t.Error(code, out, err)
	}
	// One file, in both forms.
	for form, flag := range map[string]string{"model": "--name=arm", "blob bundle": "--blob"} {
		bundle := dir + "/" + form + ".sig"
		if code, out := run(t, "sign", dir+"/grasp/weights.bin", "--key", dir+"/maker.key", "--out", bundle, flag); code != 0 {
			t.Fatal(form, code, out)
		}
		one := []string{"verify", dir + "/grasp/weights.bin", "--bundle", bundle, "--trust", dir + "/maker.pem"}
		if code, out := run(t, one...); code != 0 || !strings.Contains(out, form) {
			t.Error(form, code, out)
		}
	}
}

func TestVerifyIsUsedWrongly(t *testing.T) {
	dir := site(t)
	for name, args := range map[string][]string{
		"nobody to trust":         {"verify", dir, "--bundle", "x"},
		"a key list without root": {"verify", dir, "--bundle", "x", "--keylist", "x"},
		"no signature":            {"verify", dir, "--trust", dir + "/maker.pem"},
		"two signatures":          {"verify", dir, "--trust", dir + "/maker.pem", "--bundle", "x", "--detached", "x"},
		"a builder alone":         {"verify", dir, "--trust", dir + "/maker.pem", "--bundle", "x", "--builder", "b"},
		"another output":          {"verify", dir, "--trust", dir + "/maker.pem", "--bundle", "x", "--output", "xml"},
		"no path":                 {"verify", "--bundle", "x"},
		"a time that is none":     {"verify", dir, "--trust", dir + "/maker.pem", "--bundle", "x", "--signed-at", "now"},
		"sign without a key":      {"sign", dir, "--out", "x"},
		"a release without parts": {"manifest", "--release", "1"},
	} {
		if code, out := run(t, args...); code != 2 {
			t.Errorf("%s: exit %d, %s", name, code, out)
		}
	}
	put(t, dir+"/open.key", "x", 0o644)
	if code, out := run(t, "sign", dir+"/grasp", "--key", dir+"/open.key", "--out", dir+"/x"); code != 1 || !strings.Contains(out, "others may have read it") {
		t.Error(code, out)
	}
}

func TestManifest(t *testing.T) {
	dir := site(t)
	args := []string{
		"manifest", "--release", "2026.11.3", "--svn", "7", "--rollback-floor", "5", "--sequence", "12", "--audience", "group:canary", "--reason", "new grasps",
		"--artifact", "grasp-model=" + dir + "/grasp@1.4", "--artifact", "arm=" + dir + "/grasp/weights.bin@3", "--ignore", ".git", "--healthy", "trips",
		"--fallback", "arm=" + strings.Repeat("ab", 32), "--key", dir + "/maker.key", "--out", dir + "/r",
	}
	code, out := run(t, args...)
	if code != 0 || !strings.Contains(out, "svn 7, no way back below svn 5") || !strings.Contains(out, "artifact grasp-model 1.4: 2 files, 9 bytes") {
		t.Fatal(code, out)
	}
	raw, err := os.ReadFile(dir + "/r")
	if err != nil {
		t.Fatal(err)
	}
	env, err := order.ParseEnvelope(raw)
	if err != nil {
		t.Fatal(err)
	}
	o, err := order.Decode(env.Payload)
	if err != nil || o.Release.Find("arm").Fallbacks[0] != strings.Repeat("ab", 32) || o.Release.Artifacts[0].Name != "arm" {
		t.Errorf("%+v, %v", o, err)
	}
	args[len(args)-1] = dir + "/r2"
	if code, out := run(t, append(args, "--rollback-floor", "8")...); code != 1 || !strings.Contains(out, "rollback_floor") {
		t.Error(code, out)
	}
}
