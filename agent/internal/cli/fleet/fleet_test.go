package fleet

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"errors"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/robowarden/robowarden/agent/fleet"
	"github.com/robowarden/robowarden/attest/evidence"
	"github.com/robowarden/robowarden/attest/order"
)

// desk is a folder with everything that the command reads.
func desk(t *testing.T) (dir string, args []string) {
	t.Helper()
	dir = t.TempDir()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "station"}, NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := order.MarshalPrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	public, err := order.MarshalPublicKey(key.Public())
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string][]byte{
		"cert.pem": pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), "key.pem": private, "robot.pub": public,
	} {
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	at := func(name string) string { return filepath.Join(dir, name) }
	return dir, []string{
		"tail", "--broker", "tls://127.0.0.1:1", "--prefix", "site", "--key", at("key.pem"), "--ca", at("cert.pem"),
		"--certificate", at("cert.pem"), "--certificate-key", at("key.pem"), "--robot", "acme/r-1=" + at("robot.pub"), "--store", at("store"),
	}
}

func TestWrongUse(t *testing.T) {
	_, good := desk(t)
	with := func(more ...string) []string { return append(append([]string{}, good...), more...) }
	faults := map[string]struct {
		args []string
		want string
	}{
		"no broker":         {[]string{"tail"}, "--broker is missing"},
		"no robot":          {good[:len(good)-4], "--robot is missing"},
		"output":            {with("--output", "xml"), "expected text or json"},
		"room":              {with("--max-mib", "0"), "--max-mib"},
		"patience":          {with("--patience", "0s"), "--patience"},
		"robot without key": {with("--robot", "acme/r-2"), "manufacturer/serial=FILE"},
		"robot twice":       {with("--robot", "acme/r-1=x"), "given twice"},
		"argument":          {with("more"), "unknown command"},
		"flag":              {with("--more"), "unknown flag"},
	}
	for name, f := range faults {
		t.Run(name, func(t *testing.T) {
			cmd := New()
			cmd.SilenceErrors, cmd.SilenceUsage = true, true
			cmd.SetArgs(f.args)
			err := cmd.ExecuteContext(t.Context())
			if err == nil || !strings.Contains(err.Error(), f.want) {
				t.Fatalf("%v: expected %q", err, f.want)
			}
			var c interface{ ExitCode() int }
			if name != "flag" && (!errors.As(err, &c) || c.ExitCode() != 2) {
				t.Errorf("exit code of %v: expected 2", err)
			}
		})
	}
}

// TestNobodyThere has a broker that is not there: the command waits for it and ends in order.
func TestNobodyThere(t *testing.T) {
	dir, args := desk(t)
	ctx, cancel := context.WithCancel(t.Context())
	cmd := New()
	cmd.SilenceErrors, cmd.SilenceUsage = true, true
	cmd.SetArgs(args)
	var told firstWrite
	told.done = cancel
	cmd.SetErr(&told)
	if err := cmd.ExecuteContext(ctx); err != nil {
		t.Errorf("ended with %v", err)
	}
	if !strings.Contains(told.String(), "broker not reached") {
		t.Errorf("told %q", told.String())
	}
	if _, err := os.Stat(filepath.Join(dir, "store", "acme%r-1.evidence")); err != nil {
		t.Error(err)
	}
}

// firstWrite says when something was written.
type firstWrite struct {
	bytes.Buffer
	done func()
}

func (f *firstWrite) Write(b []byte) (int, error) {
	defer f.done()
	return f.Buffer.Write(b)
}

func TestPrinting(t *testing.T) {
	r := &fleet.Record{Log: "guard", Boot: fleet.BootID{1}, Seq: 7, Kind: 6, BootTime: time.Second, Payload: []byte("{\"kind\":\"stop\"}\x1b[2J"), Claim: "lie"}
	var text, lines bytes.Buffer
	for _, p := range []*printer{{w: &text}, {w: &lines, json: true}} {
		p.record("acme/r-1", r)
		p.alarm(fleet.Alarm{Code: fleet.Gap, Robot: "acme/r-1", Text: "missing\x1b", Remedy: "look"})
		p.connection("acme/r-1", "ONLINE")
		if p.err != nil {
			t.Error(p.err)
		}
	}
	for _, want := range []string{"acme/r-1 guard 7 01000000 1.000000s order", "stop", "(unattested)", "ALARM", "gap", "ONLINE"} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("%q lacks %q", text.String(), want)
		}
	}
	if strings.ContainsAny(text.String(), "\x1b") || strings.Contains(text.String(), "lie") {
		t.Errorf("%q plays tricks on the terminal or believes the courier", text.String())
	}
	for line := range strings.Lines(lines.String()) {
		var v struct{ Type string }
		if err := json.Unmarshal([]byte(line), &v); err != nil || v.Type == "" {
			t.Errorf("line %q: %v", line, err)
		}
	}
}

func TestDeviceKey(t *testing.T) {
	key, err := order.GenerateKey(order.ECDSAP256)
	if err != nil {
		t.Fatal(err)
	}
	public, err := order.MarshalPublicKey(key.Public())
	if err != nil {
		t.Fatal(err)
	}
	id, err := (&evidence.Identity{Robot: "acme/r1", Tier: order.TierSoftwareKey, Key: key.Public()}).MarshalJSON()
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		robot string
		text  []byte
		want  string
	}{
		"public key":         {"acme/r1", public, ""},
		"identity":           {"acme/r1", id, ""},
		"another's identity": {"acme/r2", id, "expected the identity of acme/r2"},
		"half an identity":   {"acme/r1", id[:len(id)/2], "identity"},
		"nothing":            {"acme/r1", nil, "PEM"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := deviceKey(c.robot, c.text)
			switch {
			case c.want == "" && (err != nil || !key.Public().(*ecdsa.PublicKey).Equal(got)):
				t.Errorf("got %v, %v; want the key", got, err)
			case c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)):
				t.Errorf("got %v, want an error with %q", err, c.want)
			}
		})
	}
}
