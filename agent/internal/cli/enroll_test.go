package cli

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/json"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/robowarden/robowarden/attest/identity"
	"github.com/robowarden/robowarden/attest/identity/authority"
	"github.com/robowarden/robowarden/attest/order"
)

const enrolRobot = "robowarden-example/diff-01"

// enroll runs the command and returns what it has printed and its exit code.
func enroll(t *testing.T, args ...string) (string, int, error) {
	t.Helper()
	cmd := NewRobot()
	var out bytes.Buffer
	cmd.SetOut(&out)
	cmd.SetErr(&out)
	cmd.SetArgs(append([]string{"enroll"}, args...))
	err := cmd.ExecuteContext(t.Context())
	var wrong *usageError
	switch {
	case errors.As(err, &wrong):
		return out.String(), exitUsage, err
	case err != nil:
		return out.String(), exitCode(err), err
	}
	return out.String(), exitOK, nil
}

// enrolSite is a deployment of a robot without a TPM, and an authority.
func enrolSite(t *testing.T) (dir string, a *authority.Authority, at string) {
	t.Helper()
	dir = t.TempDir()
	if err := os.CopyFS(dir, os.DirFS("../../../configs/examples/diff-drive")); err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(filepath.Join(dir, "deployment.yaml"), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	_, err = f.WriteString("users: {steward: daemon, courier: nobody}\ncourier:\n  broker: \"tls://broker.example:8883\"\n  prefix: site/robots\n  ca: broker-ca.pem\n  certificate: robot.pem\n  state_dir: courier\n  bandwidth_kib_s: 64\n")
	if err = errors.Join(err, f.Close(), authority.Init(filepath.Join(dir, "ca"), "site", time.Now())); err != nil {
		t.Fatal(err)
	}
	if a, err = authority.Open(filepath.Join(dir, "ca"), nil); err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- a.Serve(ctx, l, []string{"127.0.0.1"}, zerolog.Nop()) }()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return dir, a, l.Addr().String()
}

// TestEnroll enrols by the command, twice: the second time there is nothing to do.
func TestEnroll(t *testing.T) {
	dir, a, at := enrolSite(t)
	deployment := filepath.Join(dir, "deployment.yaml")
	file := filepath.Join(dir, "invitation")
	if out, code, err := enroll(t, "--deployment", deployment); code != 1 || !strings.Contains(err.Error(), "ca invite") {
		t.Fatalf("%d %v %s", code, err, out)
	}
	token, expires, err := a.Invite(enrolRobot, authority.InviteOptions{Tier: order.TierSoftwareKey, Wait: time.Hour, Life: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	text, err := (&identity.Invitation{
		Server: "https://" + at, Robot: enrolRobot, Tier: order.TierSoftwareKey, Token: token, Expires: expires,
		Roots: string(identity.EncodePEM([]*x509.Certificate{a.Root(identity.RoleServer)})),
	}).Encode()
	if err = errors.Join(err, os.WriteFile(file, text, 0o600)); err != nil {
		t.Fatal(err)
	}
	out, code, err := enroll(t, "--deployment", deployment, "--invitation", file)
	if code != 0 || !strings.Contains(out, "done        enrolled") || !strings.Contains(out, "installed") || strings.Contains(out, token) {
		t.Fatalf("%d %v %s", code, err, out)
	}
	out, code, err = enroll(t, "--deployment", deployment, "--output", "json")
	var got struct{ Did, Subject string }
	if code != 0 || json.Unmarshal([]byte(out), &got) != nil || got.Did != "nothing" || !strings.Contains(got.Subject, "CN=robowarden-example:diff-01") {
		t.Fatalf("%d %v %s", code, err, out)
	}
	if _, err := os.Stat(filepath.Join(dir, "broker-ca.pem")); err != nil {
		t.Error(err)
	}
	// A certificate with a key of its own cannot be enrolled.
	raw, err := os.ReadFile(deployment)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(deployment, append(raw, "  key: robot.key.pem\n"...), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, code, err := enroll(t, "--deployment", deployment); code != 1 || !strings.Contains(err.Error(), "courier.key") {
		t.Errorf("%d %v", code, err)
	}
}

func TestEnrollUsedWrongly(t *testing.T) {
	dir, _, _ := enrolSite(t)
	deployment := filepath.Join(dir, "deployment.yaml")
	junk := filepath.Join(dir, "profile.yaml")
	for _, c := range []struct {
		args, want string
		code       int
	}{
		{"now", "unknown command", 2},
		{"--fast", "fast", 2},
		{"--output xml", "xml", 2},
		{"--timeout -1s", "--timeout", 2},
		{"--user g1", "--est", 2},
		{"--est https://x", "--roots", 2},
		{"--est https://x --roots " + junk + " --user g1", "--secret-file", 2},
		{"--est https://x --roots " + junk + " --user g1 --secret-file " + junk + " --invitation " + junk, "no --invitation", 2},
		{"--est http://x --roots " + junk + " --user g1 --secret-file " + junk, "https", 1},
		{"--est https://x --roots " + junk + " --user g1 --secret-file " + junk, "roots", 1},
		{"--est https://x --roots " + junk + " --bootstrap-certificate " + junk + " --bootstrap-key " + junk, "PEM", 1},
		{"--invitation " + junk, "invitation", 1},
		{"--invitation " + junk + "2", "no such file", 1},
		{"--show-ek", "names no TPM", 1},
	} {
		out, code, err := enroll(t, append(strings.Fields(c.args), "--deployment", deployment)...)
		if err == nil || code != c.code || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %d, %v; expected %d, %q\n%s", c.args, code, err, c.code, c.want, out)
		}
	}
	if _, err := os.Stat(filepath.Join(dir, "robot.pem")); err == nil {
		t.Error("a certificate came from nowhere")
	}
}
