package identity

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"errors"
	"fmt"
)

// MaxRequest is the largest certificate request in bytes.
const MaxRequest = 4 << 10

// Request makes a certificate request (PKCS #10, DER) of a robot, in the role robot or robot-recovery: in IEEE 802.1AR's words, for its
// LDevID. The key is ECDSA on
// P-256 and signs SHA-256 digests; it may be in a TPM.
func Request(key crypto.Signer, role Role, robot string) ([]byte, error) {
	if err := CheckName(role, robot); err != nil {
		return nil, fmt.Errorf("certificate request: %w", err)
	}
	ext, _, _, err := altNames(role, robot)
	if err != nil {
		return nil, fmt.Errorf("certificate request: %w", err)
	}
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{
		Subject: Subject(role, robot), ExtraExtensions: ext, SignatureAlgorithm: x509.ECDSAWithSHA256,
	}, key)
	if err != nil {
		return nil, fmt.Errorf("certificate request: %w", err)
	}
	return der, nil
}

// CheckRequest reads a request and checks that it is for this role and name, by a key of ECDSA on P-256 whose holder has signed
// it. Of other roles than robots only the key counts: the names are what the authority says.
func CheckRequest(der []byte, role Role, name string) (*ecdsa.PublicKey, error) {
	if len(der) == 0 || len(der) > MaxRequest {
		return nil, fmt.Errorf("certificate request: has %d bytes: expected 1 to %d", len(der), MaxRequest)
	}
	r, err := x509.ParseCertificateRequest(der)
	if err != nil {
		return nil, fmt.Errorf("certificate request: %w", err)
	}
	if err := r.CheckSignature(); err != nil {
		return nil, fmt.Errorf("certificate request: its key has not signed it: %w", err)
	}
	key, err := checkKey(r.PublicKey)
	if err != nil {
		return nil, fmt.Errorf("certificate request: %w", err)
	}
	if ofRobot(role) {
		if err := checkNames(role, name, r.Subject, r.Extensions); err != nil {
			return nil, fmt.Errorf("certificate request: %w", err)
		}
	}
	return key, nil
}

// checkKey takes the one kind of key that all enrolled keys are.
func checkKey(key crypto.PublicKey) (*ecdsa.PublicKey, error) {
	k, ok := key.(*ecdsa.PublicKey)
	if !ok || k.Curve != elliptic.P256() {
		return nil, errors.New("key: expected ECDSA on P-256")
	}
	return k, nil
}
