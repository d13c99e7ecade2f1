package units

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"math/big"
	"testing"
	"time"
)

// writeCertificates gives the robot a certificate of an authority of its own. Nobody answers at the broker's address: the
// courier must live without it.
func writeCertificates(t testing.TB, write func(name string, content []byte)) {
	t.Helper()
	authority := must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))(t)
	own := must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))(t)
	ca := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "authority of a test"}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageCertSign, NotBefore: hourAgo(), NotAfter: hourAgo().Add(24 * time.Hour),
	}
	robot := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "robowarden-example:diff-01"},
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
		NotBefore: hourAgo(), NotAfter: hourAgo().Add(24 * time.Hour),
	}
	block := func(kind string, der []byte) []byte { return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}) }
	write("broker-ca.pem", block("CERTIFICATE", must(x509.CreateCertificate(rand.Reader, ca, ca, authority.Public(), authority))(t)))
	write("robot.pem", block("CERTIFICATE", must(x509.CreateCertificate(rand.Reader, robot, ca, own.Public(), authority))(t)))
	write("credentials/courier/robot.key.pem", block("PRIVATE KEY", must(x509.MarshalPKCS8PrivateKey(own))(t)))
}

func copyAll(to io.Writer, from io.Reader) (int64, error) { return io.Copy(to, from) }
