package identity

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

const robot = "unitree/g1-0007"

func must[T any](v T, err error) func(testing.TB) T {
	return func(tb testing.TB) T {
		tb.Helper()
		if err != nil {
			tb.Fatal(err)
		}
		return v
	}
}

func newKey(tb testing.TB) *ecdsa.PrivateKey {
	tb.Helper()
	return must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))(tb)
}

// issue makes a certificate of a role by an authority that it makes, too, and returns both.
func issue(tb testing.TB, role Role, name string, key *ecdsa.PrivateKey, change func(*x509.Certificate)) (leaf, root *x509.Certificate) {
	tb.Helper()
	now := time.Now()
	ca := newKey(tb)
	t := must(Template(RoleOperator, "root", now, now.Add(time.Hour)))(tb)
	t.IsCA, t.KeyUsage = true, x509.KeyUsageCertSign
	t.ExtKeyUsage = nil
	root = must(x509.ParseCertificate(must(x509.CreateCertificate(rand.Reader, t, t, ca.Public(), ca))(tb)))(tb)
	t = must(Template(role, name, now, now.Add(time.Hour)))(tb)
	if change != nil {
		change(t)
	}
	return must(x509.ParseCertificate(must(x509.CreateCertificate(rand.Reader, t, root, key.Public(), ca))(tb)))(tb), root
}

// TestOpenSSLReadsWhatWeWrite has OpenSSL read a request, a certificate and a certs-only answer, and reads OpenSSL's.
func TestOpenSSLReadsWhatWeWrite(t *testing.T) {
	tool, err := exec.LookPath("openssl")
	if err != nil {
		if os.Getenv("REQUIRE_ALL") == "1" {
			t.Fatal("REQUIRE_ALL=1, but openssl is not installed")
		}
		t.Skip("openssl is not installed")
	}
	dir := t.TempDir()
	openssl := func(args ...string) string {
		t.Helper()
		out, err := exec.Command(tool, args...).CombinedOutput()
		if err != nil {
			t.Fatalf("openssl %v: %v\n%s", args, err, out)
		}
		return string(out)
	}
	file := func(name string, data []byte) string {
		t.Helper()
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	key := newKey(t)
	request := openssl("req", "-inform", "DER", "-in", file("r", must(Request(key, RoleRobot, robot))(t)), "-noout", "-verify", "-text")
	for _, want := range []string{"verify OK", "CN = unitree:g1-0007", "serialNumber = g1-0007", "O = unitree", "OU = robot"} {
		if !strings.Contains(strings.ReplaceAll(request, " = ", "="), strings.ReplaceAll(want, " = ", "=")) {
			t.Errorf("no %q in %s", want, request)
		}
	}
	leaf, root := issue(t, RoleRobot, robot, key, nil)
	text := openssl("asn1parse", "-inform", "DER", "-in", file("san", must(hardwareModule(robot))(t).Value))
	if !strings.Contains(text, ":"+hardwareType) || !strings.Contains(text, ":g1-0007") || !strings.Contains(text, ":1.3.6.1.5.5.7.8.4") && !strings.Contains(text, "Module") {
		t.Errorf("no hardware module name in %s", text)
	}
	openssl("verify", "-purpose", "sslclient", "-CAfile", file("root.pem", EncodePEM([]*x509.Certificate{root})), file("leaf.pem", EncodePEM([]*x509.Certificate{leaf})))
	answer := must(EncodeCertificates([][]byte{leaf.Raw, root.Raw}))(t)
	der := must(base64.StdEncoding.DecodeString(string(answer)))(t)
	if got := openssl("pkcs7", "-inform", "DER", "-in", file("p7", der), "-print_certs", "-noout"); strings.Count(got, "subject=") != 2 {
		t.Errorf("OpenSSL finds %s", got)
	}
	theirs := openssl("crl2pkcs7", "-nocrl", "-certfile", filepath.Join(dir, "leaf.pem"), "-certfile", filepath.Join(dir, "root.pem"), "-outform", "DER", "-out", filepath.Join(dir, "theirs"))
	lines := openssl("base64", "-in", filepath.Join(dir, "theirs")) // broken into lines, as many servers send it
	certs, err := DecodeCertificates([]byte(lines))
	if err != nil || len(certs) != 2 || !certs[0].Equal(leaf) || !certs[1].Equal(root) {
		t.Errorf("%v %s", err, theirs)
	}
	if got := LeafFirst([]*x509.Certificate{root, leaf}, leaf.Equal); len(got) != 2 || got[0] != leaf || got[1] != root {
		t.Error("the leaf is not first")
	}
}

func TestNames(t *testing.T) {
	for _, c := range []struct {
		role Role
		name string
		ok   bool
	}{
		{RoleRobot, robot, true},
		{RoleRobot, "g1-0007", false},
		{RoleRobot, "a/b/c", false},
		{RoleRobot, "../b", true},
		{RoleRobot, "a:b/c", true},
		{RoleOperator, "olga", true},
		{RoleOperator, "Olga", false},
		{RoleOperator, "", false},
		{RoleOperator, "a/b", false},
		{RoleServer, "broker.example", true},
		{RoleServer, "::1", true},
		{RoleServer, "*.example", false},
		{RoleVendor, strings.Repeat("a", 65), false},
		{Role("root"), "olga", false},
		{Role(""), "olga", false},
	} {
		if err := CheckName(c.role, c.name); (err == nil) != c.ok {
			t.Errorf("%s %q: %v", c.role, c.name, err)
		}
		if _, err := Template(c.role, c.name, time.Now(), time.Now()); (err == nil) != c.ok {
			t.Errorf("%s %q: a template: %v", c.role, c.name, err)
		}
	}
	for name, ok := range map[string]bool{robot: true, "a/b:c": true, "a:b/c": false, ":/b": false, "a/b/c": false} {
		if err := CheckNew(RoleRobot, name); (err == nil) != ok {
			t.Errorf("%q for a new robot: %v", name, err)
		}
	}
	if err := CheckNew(RoleServer, "::1"); err != nil {
		t.Error(err)
	}
	for _, r := range Roles() {
		if got, err := ParseRole(string(r)); got != r || err != nil {
			t.Errorf("%s: %v", r, err)
		}
	}
}

// TestPropertyRequests: any robot's request is good for that robot, and for no other.
func TestPropertyRequests(t *testing.T) {
	key := newKey(t)
	name := rapid.StringMatching(`[A-Za-z0-9_.:-]{1,64}/[A-Za-z0-9_.:-]{1,64}`)
	rapid.Check(t, func(rt *rapid.T) {
		a, b := name.Draw(rt, "a"), name.Draw(rt, "b")
		der := must(Request(key, RoleRobot, a))(t)
		if got, err := CheckRequest(der, RoleRobot, a); err != nil || !got.Equal(key.Public()) {
			rt.Fatal(err)
		}
		if _, err := CheckRequest(der, RoleRobot, b); (err == nil) != (a == b) {
			rt.Fatalf("%s is taken for %s: %v", a, b, err)
		}
		ext := must(hardwareModule(a))(t)
		if serial, err := hardwareSerial(ext.Value); err != nil || serial != a[strings.Index(a, "/")+1:] {
			rt.Fatalf("%q, %v", serial, err)
		}
	})
}

// TestChains checks chains that are not this robot's, not good, or not good any more.
func TestChains(t *testing.T) {
	key, other := newKey(t), newKey(t)
	now := time.Now()
	good, root := issue(t, RoleRobot, robot, key, nil)
	_, stranger := issue(t, RoleRobot, robot, key, nil)
	if err := CheckChain([]*x509.Certificate{good}, []*x509.Certificate{root}, RoleRobot, robot, key.Public(), now); err != nil {
		t.Fatal(err)
	}
	alone := []*x509.Certificate{root}
	spoilt := func(change func(*x509.Certificate)) ([]*x509.Certificate, []*x509.Certificate) {
		leaf, root := issue(t, RoleRobot, robot, key, change)
		return []*x509.Certificate{leaf}, []*x509.Certificate{root}
	}
	server, serverRoot := spoilt(func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth} })
	ca, caRoot := spoilt(func(c *x509.Certificate) { c.IsCA = true })
	for name, c := range map[string]struct {
		chain, roots []*x509.Certificate
		robot        string
		key          *ecdsa.PrivateKey
		at           time.Time
		says         string
	}{
		"another key":        {[]*x509.Certificate{good}, alone, robot, other, now, "another key"},
		"another robot":      {[]*x509.Certificate{good}, alone, "unitree/g1-0008", key, now, "it is for"},
		"another authority":  {[]*x509.Certificate{good}, []*x509.Certificate{stranger}, robot, key, now, "unknown authority"},
		"the leaf as a root": {[]*x509.Certificate{good}, []*x509.Certificate{good}, robot, key, now, "unknown authority"},
		"run out":            {[]*x509.Certificate{good}, alone, robot, key, now.Add(2 * time.Hour), "expired"},
		"of the future":      {[]*x509.Certificate{good}, alone, robot, key, now.Add(-time.Hour), "not yet valid"},
		"for servers":        {server, serverRoot, robot, key, now, "key usage"},
		"an authority's":     {ca, caRoot, robot, key, now, "authority's"},
		"no chain":           {nil, alone, robot, key, now, "0"},
		"no roots":           {[]*x509.Certificate{good}, nil, robot, key, now, "0"},
	} {
		if err := CheckChain(c.chain, c.roots, RoleRobot, c.robot, c.key.Public(), c.at); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if due := Due(good); due.Sub(good.NotBefore) != good.NotAfter.Sub(good.NotBefore)/3*2 {
		t.Errorf("due %v", due)
	}
}

func TestInvitations(t *testing.T) {
	_, root := issue(t, RoleRobot, robot, newKey(t), nil)
	good := Invitation{
		Server: "https://ca.example:8443", Robot: robot, Tier: "tpm", Token: strings.Repeat("0a", 32), Roots: string(EncodePEM([]*x509.Certificate{root})), Expires: time.Now().UTC(),
	}
	text := must(good.Encode())(t)
	if back := must(ParseInvitation(text))(t); *back != good {
		t.Errorf("%+v", back)
	}
	for name, change := range map[string]func(*Invitation){
		"http": func(i *Invitation) { i.Server = "http://ca.example" }, "a user": func(i *Invitation) { i.Server = "https://u@ca.example" },
		"no host": func(i *Invitation) { i.Server = "https://" }, "a robot": func(i *Invitation) { i.Robot = "g1" }, "a tier": func(i *Invitation) { i.Tier = "x" },
		"a token": func(i *Invitation) { i.Token = "0a" }, "roots": func(i *Invitation) { i.Roots = "" }, "a key as root": func(i *Invitation) {
			i.Roots = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"
		}, "an end": func(i *Invitation) { i.Expires = time.Time{} },
	} {
		i := good
		change(&i)
		if _, err := i.Encode(); err == nil {
			t.Errorf("without %s: written", name)
		}
	}
	for name, data := range map[string][]byte{"nothing": nil, "more": append(bytes.Clone(text), 'x'), "large": make([]byte, maxInvitation+1)} {
		if _, err := ParseInvitation(data); err == nil {
			t.Errorf("%s: read", name)
		}
	}
}

func FuzzDecodeCertificates(f *testing.F) {
	leaf, root := issue(f, RoleRobot, robot, newKey(f), nil)
	f.Add(must(EncodeCertificates([][]byte{leaf.Raw, root.Raw}))(f))
	f.Add([]byte("MAA="))
	f.Fuzz(func(t *testing.T, text []byte) {
		certs, err := DecodeCertificates(text)
		if err != nil {
			return
		}
		chain := make([][]byte, 0, len(certs))
		for _, c := range certs {
			chain = append(chain, c.Raw)
		}
		again, err := DecodeCertificates(must(EncodeCertificates(chain))(t))
		if err != nil || len(again) != len(certs) || !again[0].Equal(certs[0]) {
			t.Fatalf("%d and %d certificates, %v", len(certs), len(again), err)
		}
	})
}

func FuzzCheckRequest(f *testing.F) {
	key := newKey(f)
	f.Add(must(Request(key, RoleRobot, robot))(f))
	f.Fuzz(func(t *testing.T, der []byte) {
		if got, err := CheckRequest(der, RoleRobot, robot); err == nil && got == nil {
			t.Fatal("no key")
		}
	})
}

func FuzzHardwareSerial(f *testing.F) {
	f.Add(must(hardwareModule(robot))(f).Value)
	f.Fuzz(func(_ *testing.T, value []byte) {
		_, _ = hardwareSerial(value)
		_ = describeAlt(value)
	})
}

func FuzzMessages(f *testing.F) {
	f.Add(must(EncodeMessage(&Ask{Robot: robot, EK: []byte{1}, AK: []byte{2}, Device: []byte{3}}))(f))
	f.Add(must(EncodeMessage(&Solution{Session: []byte{1}}))(f))
	f.Add(must(EncodeMessage(&Riddle{Session: []byte{1}}))(f))
	f.Fuzz(func(t *testing.T, data []byte) {
		var a Ask
		if ParseMessage(data, &a) == nil {
			var b Ask
			if err := ParseMessage(must(EncodeMessage(&a))(t), &b); err != nil || b.Robot != a.Robot {
				t.Fatal(err)
			}
		}
		_ = ParseMessage(data, &Solution{})
		_ = ParseMessage(data, &Riddle{})
		_, _ = ParseInvitation(data)
	})
}
