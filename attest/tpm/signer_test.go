package tpm

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"io"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/veraison/go-cose"
)

// signers are the device keys of both tiers.
func signers(tb testing.TB) map[Tier]Signer {
	tb.Helper()
	soft := must(CreateSoftware(filepath.Join(tb.TempDir(), "key")))(tb)
	return map[Tier]Signer{TierTPM: newMachine(tb).open().Device(), TierSoftwareKey: soft}
}

func TestSign(t *testing.T) {
	for tier, s := range signers(t) {
		t.Run(string(tier), func(t *testing.T) {
			if s.Tier() != tier {
				t.Errorf("tier %s", s.Tier())
			}
			key, ok := s.Public().(*ecdsa.PublicKey)
			if !ok || key.Curve != elliptic.P256() {
				t.Fatalf("key %T", s.Public())
			}
			for name, opts := range map[string]crypto.SignerOpts{"no options": nil, "SHA-256": crypto.SHA256} {
				sig, err := s.Sign(rand.Reader, digest("x"), opts)
				if err != nil || !ecdsa.VerifyASN1(key, digest("x"), sig) || ecdsa.VerifyASN1(key, digest("y"), sig) {
					t.Errorf("%s: %v", name, err)
				}
			}
			for name, err := range map[string]error{
				"SHA-384": second(s.Sign(nil, digest("x"), crypto.SHA384)), "not hashed": second(s.Sign(nil, digest("x"), crypto.Hash(0))),
				"PSS": second(s.Sign(nil, digest("x"), &rsa.PSSOptions{Hash: crypto.SHA512})), "Ed25519": second(s.Sign(nil, digest("x"), &ed25519.Options{})),
				"31 bytes": second(s.Sign(nil, digest("x")[:31], nil)), "nothing": second(s.Sign(nil, nil, crypto.SHA256)),
			} {
				if err == nil || errors.Is(err, ErrUnavailable) {
					t.Errorf("%s: %v", name, err)
				}
			}
		})
	}
}

// authority issues certificates for tests of TLS.
type authority struct {
	key  *ecdsa.PrivateKey
	cert *x509.Certificate
	pool *x509.CertPool
}

func newAuthority(tb testing.TB) *authority {
	tb.Helper()
	f := newFactory(tb)
	now := time.Now()
	tmpl := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "fleet"}, NotBefore: now.Add(-time.Hour), NotAfter: now.Add(time.Hour), IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}
	a := &authority{key: f.key, pool: x509.NewCertPool()}
	a.cert = must(x509.ParseCertificate(must(x509.CreateCertificate(rand.Reader, tmpl, tmpl, f.key.Public(), f.key))(tb)))(tb)
	a.pool.AddCert(a.cert)
	return a
}

func (a *authority) issue(tb testing.TB, name string, key crypto.PublicKey, use x509.ExtKeyUsage) []byte {
	tb.Helper()
	tmpl := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: name}, NotBefore: a.cert.NotBefore, NotAfter: a.cert.NotAfter,
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{use}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	return must(x509.CreateCertificate(rand.Reader, tmpl, a.cert, key, a.key))(tb)
}

// A request signed by the key, a certificate for it, and TLS 1.3 with that.
func TestTLSClient(t *testing.T) {
	ca := newAuthority(t)
	serverKey := must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))(t)
	listener := must(tls.Listen("tcp", "127.0.0.1:0", &tls.Config{
		MinVersion: tls.VersionTLS13, ClientCAs: ca.pool, ClientAuth: tls.RequireAndVerifyClientCert,
		Certificates: []tls.Certificate{{Certificate: [][]byte{ca.issue(t, "broker", serverKey.Public(), x509.ExtKeyUsageServerAuth)}, PrivateKey: serverKey}},
	}))(t)
	defer listener.Close()
	go func() {
		for {
			c, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				if c.(*tls.Conn).Handshake() == nil {
					io.WriteString(c, c.(*tls.Conn).ConnectionState().PeerCertificates[0].Subject.CommonName)
				}
			}()
		}
	}()
	connect := func(cert []tls.Certificate) (string, error) {
		c, err := tls.Dial("tcp", listener.Addr().String(), &tls.Config{MinVersion: tls.VersionTLS13, RootCAs: ca.pool, Certificates: cert})
		if err != nil {
			return "", err
		}
		defer c.Close()
		out, err := io.ReadAll(c)
		return string(out), err
	}
	if name, err := connect(nil); err == nil {
		t.Errorf("without a certificate the server greeted %q", name)
	}
	for tier, s := range signers(t) {
		der := must(x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{Subject: pkix.Name{CommonName: "acme:" + string(tier)}}, s))(t)
		csr := must(x509.ParseCertificateRequest(der))(t)
		if err := csr.CheckSignature(); err != nil {
			t.Errorf("%s: request: %v", tier, err)
		}
		cert := ca.issue(t, csr.Subject.CommonName, csr.PublicKey, x509.ExtKeyUsageClientAuth)
		name, err := connect([]tls.Certificate{{Certificate: [][]byte{cert}, PrivateKey: s}})
		if err != nil || name != "acme:"+string(tier) {
			t.Errorf("%s: greeted as %q, %v", tier, name, err)
		}
	}
	// The off case: the certificate of one key with the key of another.
	keys := signers(t)
	cert := ca.issue(t, "thief", keys[TierTPM].Public(), x509.ExtKeyUsageClientAuth)
	if name, err := connect([]tls.Certificate{{Certificate: [][]byte{cert}, PrivateKey: keys[TierSoftwareKey]}}); err == nil {
		t.Errorf("with a stolen certificate the server greeted %q", name)
	}
}

func TestCOSE(t *testing.T) {
	for tier, s := range signers(t) {
		signer, err := cose.NewSigner(cose.AlgorithmES256, s)
		if err != nil {
			t.Fatal(err)
		}
		data := must(cose.Sign1(rand.Reader, signer, cose.Headers{Protected: cose.ProtectedHeader{cose.HeaderLabelAlgorithm: cose.AlgorithmES256}}, []byte("claims"), nil))(t)
		var m cose.Sign1Message
		if err := m.UnmarshalCBOR(data); err != nil {
			t.Fatal(err)
		}
		verifier := must(cose.NewVerifier(cose.AlgorithmES256, s.Public()))(t)
		if err := m.Verify(nil, verifier); err != nil {
			t.Errorf("%s: %v", tier, err)
		}
		m.Payload = []byte("other claims")
		if err := m.Verify(nil, verifier); err == nil {
			t.Errorf("%s: other claims verify", tier)
		}
	}
}

func TestSoftwareKeyIsTheSameAfterLoading(t *testing.T) {
	path := filepath.Join(t.TempDir(), "key")
	if _, err := LoadSoftware(path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("before it is made: %v", err)
	}
	made := must(CreateSoftware(path))(t)
	if info := must(os.Stat(path))(t); info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v", info.Mode())
	}
	if loaded := must(LoadSoftware(path))(t); !sameKey(loaded.Public(), made.Public()) {
		t.Error("another key was loaded")
	}
	before := must(os.ReadFile(path))(t)
	if _, err := CreateSoftware(path); !errors.Is(err, os.ErrExist) {
		t.Errorf("made a second time: %v", err)
	}
	if after := must(os.ReadFile(path))(t); !bytes.Equal(before, after) {
		t.Error("the first key was overwritten")
	}
	if entries := must(os.ReadDir(filepath.Dir(path)))(t); len(entries) != 1 {
		t.Errorf("left behind: %v", entries)
	}
	if _, err := CreateSoftware(filepath.Join(path, "below")); err == nil {
		t.Error("made below a file")
	}
}

func TestSoftwareKeyFilesAreRefusedByName(t *testing.T) {
	dir := t.TempDir()
	key := func(k any) []byte {
		return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: must(x509.MarshalPKCS8PrivateKey(k))(t)})
	}
	good := key(must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))(t))
	_, ed, _ := ed25519.GenerateKey(rand.Reader)
	for name, c := range map[string]struct {
		data []byte
		mode os.FileMode
		says string
	}{
		"readable by others": {good, 0o640, "mode -rw-r-----"}, "empty": {nil, 0o600, "one PEM block"}, "two": {append(bytes.Clone(good), good...), 0o600, "one PEM block"},
		"P-384": {key(must(ecdsa.GenerateKey(elliptic.P384(), rand.Reader))(t)), 0o600, "P-256"}, "Ed25519": {key(ed), 0o600, "P-256"},
		"another block": {bytes.ReplaceAll(good, []byte("PRIVATE"), []byte("SECRET")), 0o600, "one PEM block"}, "too large": {make([]byte, maxKeyFile+1), 0o600, "more than 4096"},
		"broken": {pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: []byte{1}}), 0o600, "asn1"},
	} {
		path := filepath.Join(dir, name)
		if err := errors.Join(os.WriteFile(path, c.data, 0o600), os.Chmod(path, c.mode)); err != nil {
			t.Fatal(err)
		}
		if _, err := LoadSoftware(path); err == nil || !strings.Contains(err.Error(), c.says) || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v, expected %q", name, err, c.says)
		}
	}
	link := filepath.Join(dir, "link")
	if err := os.Symlink(filepath.Join(dir, "P-384"), link); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{link, dir} {
		if _, err := LoadSoftware(path); err == nil {
			t.Errorf("%s was taken", path)
		}
	}
}

func FuzzParseSoftware(f *testing.F) {
	key := must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))(f)
	f.Add(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: must(x509.MarshalPKCS8PrivateKey(key))(f)}))
	f.Add([]byte("-----BEGIN PRIVATE KEY-----\n-----END PRIVATE KEY-----\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		k, err := parseSoftware(data)
		if err != nil {
			return
		}
		d := sha256.Sum256(data)
		if _, err := (&Software{k}).Sign(nil, d[:], nil); err != nil {
			t.Fatal(err)
		}
	})
}
