package broker

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"
)

// Authority makes certificates for one test.
type Authority struct {
	dir    string
	cert   *x509.Certificate
	key    crypto.Signer
	pool   *x509.CertPool
	serial atomic.Int64
	// host is one more address that certificates are for.
	host net.IP
}

// Credentials are a certificate with its key, on disk and in memory.
type Credentials struct {
	// CA, Certificate and Key are PEM files.
	CA, Certificate, Key string
	// TLS is what a client with these credentials uses.
	TLS *tls.Config
}

// NewAuthority makes an authority whose files lie in a folder of the test's own.
func NewAuthority(t testing.TB) *Authority {
	t.Helper()
	a := &Authority{dir: t.TempDir(), key: newKey(t), pool: x509.NewCertPool()}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(a.serial.Add(1)), Subject: pkix.Name{CommonName: "authority of a test"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour), KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, a.key.Public(), a.key)
	if err != nil {
		t.Fatal(err)
	}
	if a.cert, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	a.pool.AddCert(a.cert)
	a.write(t, "ca.pem", "CERTIFICATE", der)
	return a
}

func newKey(t testing.TB) crypto.Signer {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// Client makes credentials whose common name is cn, valid for a day.
func (a *Authority) Client(t testing.TB, cn string) Credentials {
	t.Helper()
	return a.issue(t, cn, newKey(t), time.Now().Add(24*time.Hour))
}

// ClientUntil makes credentials that end at a moment, which may have passed.
func (a *Authority) ClientUntil(t testing.TB, cn string, end time.Time) Credentials {
	t.Helper()
	return a.issue(t, cn, newKey(t), end)
}

// ClientWith makes credentials for a key that the test has already.
func (a *Authority) ClientWith(t testing.TB, cn string, key crypto.Signer) Credentials {
	t.Helper()
	return a.issue(t, cn, key, time.Now().Add(24*time.Hour))
}

// Certificate makes a certificate for a key that somebody else keeps, such as a TPM, and returns its PEM file.
func (a *Authority) Certificate(t testing.TB, cn string, key crypto.PublicKey) string {
	t.Helper()
	name, der := a.sign(t, cn, key, time.Now().Add(24*time.Hour))
	return a.write(t, name+".pem", "CERTIFICATE", der)
}

// sign makes a certificate. The name is one that no other certificate of this authority has.
func (a *Authority) sign(t testing.TB, cn string, key crypto.PublicKey, end time.Time) (name string, der []byte) {
	t.Helper()
	n := a.serial.Add(1)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(n), Subject: pkix.Name{CommonName: cn}, KeyUsage: x509.KeyUsageDigitalSignature,
		NotBefore: time.Now().Add(-2 * time.Hour), NotAfter: end,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth},
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback}, DNSNames: []string{"localhost"},
	}
	if a.host != nil {
		template.IPAddresses = append(template.IPAddresses, a.host)
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, key, a.key)
	if err != nil {
		t.Fatal(err)
	}
	return big.NewInt(n).String(), der
}

func (a *Authority) issue(t testing.TB, cn string, key crypto.Signer, end time.Time) Credentials {
	t.Helper()
	name, der := a.sign(t, cn, key.Public(), end)
	raw, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	c := Credentials{CA: filepath.Join(a.dir, "ca.pem"), Certificate: a.write(t, name+".pem", "CERTIFICATE", der), Key: a.write(t, name+".key", "PRIVATE KEY", raw)}
	server := "127.0.0.1"
	if a.host != nil {
		server = a.host.String()
	}
	c.TLS = &tls.Config{
		MinVersion: tls.VersionTLS13, RootCAs: a.pool, ServerName: server,
		Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}},
	}
	return c
}

func (a *Authority) write(t testing.TB, name, kind string, der []byte) string {
	t.Helper()
	path := filepath.Join(a.dir, name)
	if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}
