package identity

import (
	"crypto"
	"crypto/rand"
	"crypto/x509"
	"errors"
	"fmt"
	"math/big"
	"time"
)

// early is how long before its issue a certificate begins to be valid: clocks differ.
const early = 5 * time.Minute

// Template is a certificate of a role, but for who issues it. It begins a little before now and ends at notAfter.
func Template(role Role, name string, now, notAfter time.Time) (*x509.Certificate, error) {
	if err := CheckName(role, name); err != nil {
		return nil, err
	}
	ext, hosts, addresses, err := altNames(role, name)
	if err != nil {
		return nil, err
	}
	serial, err := Serial()
	if err != nil {
		return nil, err
	}
	usage := x509.ExtKeyUsageClientAuth
	if role == RoleServer {
		usage = x509.ExtKeyUsageServerAuth
	}
	return &x509.Certificate{
		SerialNumber: serial, Subject: Subject(role, name), DNSNames: hosts, IPAddresses: addresses, ExtraExtensions: ext,
		NotBefore: now.UTC().Truncate(time.Second).Add(-early), NotAfter: notAfter.UTC().Truncate(time.Second),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{usage}, BasicConstraintsValid: true,
	}, nil
}

// Serial draws a certificate's serial number: positive, 127 random bits.
func Serial() (*big.Int, error) {
	n, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return nil, err
	}
	return n.Add(n, big.NewInt(1)), nil
}

// MaxChain is the largest number of certificates of one chain, and of one answer of an authority.
const MaxChain = 16

// CheckChain checks that a chain, its first certificate the robot's own, is for this role, robot and exactly this key, may be used to
// connect, is valid now, and leads to one of the roots. Between them may be what the chain or the roots' list brings.
func CheckChain(chain, roots []*x509.Certificate, role Role, robot string, key crypto.PublicKey, now time.Time) error {
	if len(chain) == 0 || len(chain) > MaxChain || len(roots) == 0 || len(roots) > MaxChain {
		return fmt.Errorf("certificate: a chain of %d and %d roots: expected 1 to %d each", len(chain), len(roots), MaxChain)
	}
	leaf := chain[0]
	own, ok := leaf.PublicKey.(interface{ Equal(crypto.PublicKey) bool })
	switch {
	case !ok || !own.Equal(key):
		return errors.New("certificate: it is for another key than the robot's")
	case leaf.IsCA:
		return errors.New("certificate: it is an authority's, not a robot's")
	case leaf.Subject.CommonName != CommonName(role, robot):
		return fmt.Errorf("certificate: it is for %q: expected %q", clip(leaf.Subject.CommonName), CommonName(role, robot))
	}
	pool, between := x509.NewCertPool(), x509.NewCertPool()
	for _, c := range roots {
		// An authority may list its intermediates too; only what has signed itself is believed by itself.
		if selfSigned(c) {
			pool.AddCert(c)
		} else {
			between.AddCert(c)
		}
	}
	for _, c := range chain[1:] {
		between.AddCert(c)
	}
	if _, err := leaf.Verify(x509.VerifyOptions{
		Roots: pool, Intermediates: between, CurrentTime: now, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}); err != nil {
		return fmt.Errorf("certificate: %w", err)
	}
	return nil
}

// selfSigned says whether a certificate is an authority's that vouches for itself.
func selfSigned(c *x509.Certificate) bool { return c.IsCA && c.CheckSignatureFrom(c) == nil }

// Due is when a certificate is to be renewed: after two thirds of its life.
func Due(c *x509.Certificate) time.Time {
	return c.NotBefore.Add(c.NotAfter.Sub(c.NotBefore) / 3 * 2)
}
