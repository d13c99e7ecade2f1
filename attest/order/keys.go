package order

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/binary"
	"encoding/pem"
	"errors"
	"fmt"
)

// Algorithm names a signature algorithm.
type Algorithm string

// The algorithms that orders are signed with.
const (
	// ECDSAP256 is ECDSA on NIST P-256 over SHA-256, signatures in ASN.1 DER.
	ECDSAP256 Algorithm = "ecdsa-p256"
	// Ed25519 is Ed25519 of RFC 8032, without prehash.
	Ed25519 Algorithm = "ed25519"
)

const (
	pemPublic  = "PUBLIC KEY"
	pemPrivate = "PRIVATE KEY"
	// maxPEM is larger than any key that we accept.
	maxPEM = 4096
)

// GenerateKey draws a new private key.
func GenerateKey(alg Algorithm) (crypto.Signer, error) {
	switch alg {
	case ECDSAP256:
		return ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case Ed25519:
		_, priv, err := ed25519.GenerateKey(rand.Reader)
		return priv, err
	}
	return nil, fmt.Errorf("algorithm %q is unknown: expected %q or %q", alg, ECDSAP256, Ed25519)
}

// AlgorithmOf names the algorithm of a public key, or says why orders cannot use it.
func AlgorithmOf(pub crypto.PublicKey) (Algorithm, error) {
	switch k := pub.(type) {
	case *ecdsa.PublicKey:
		if k == nil || k.Curve != elliptic.P256() {
			return "", errors.New("the ECDSA key is not on curve P-256, the only curve that orders use")
		}
		return ECDSAP256, nil
	case ed25519.PublicKey:
		if len(k) != ed25519.PublicKeySize {
			return "", fmt.Errorf("the Ed25519 key has %d bytes instead of %d", len(k), ed25519.PublicKeySize)
		}
		return Ed25519, nil
	}
	return "", fmt.Errorf("keys of type %T cannot sign orders: expected ECDSA P-256 or Ed25519", pub)
}

// KeyID returns the key's fingerprint as OpenSSH writes it: "SHA256:" and the unpadded base64 of the SHA-256 of the
// key in the wire form of RFC 4253, RFC 5656 and RFC 8709. It follows from the key, so ids cannot be swapped, and it
// is what sigstore's DSSE code puts into envelopes.
func KeyID(pub crypto.PublicKey) (string, error) {
	alg, err := AlgorithmOf(pub)
	if err != nil {
		return "", err
	}
	var wire []byte
	field := func(b []byte) {
		wire = binary.BigEndian.AppendUint32(wire, uint32(len(b))) //nolint:gosec // Keys are short.
		wire = append(wire, b...)
	}
	switch alg {
	case ECDSAP256:
		point, err := pub.(*ecdsa.PublicKey).Bytes() //nolint:errcheck // AlgorithmOf has just said so
		if err != nil {
			return "", fmt.Errorf("the ECDSA key is not a point on P-256: %w", err)
		}
		field([]byte("ecdsa-sha2-nistp256"))
		field([]byte("nistp256"))
		field(point)
	case Ed25519:
		field([]byte("ssh-ed25519"))
		key, _ := pub.(ed25519.PublicKey) // AlgorithmOf has just said so.
		field(key)
	}
	sum := sha256.Sum256(wire)
	return "SHA256:" + base64.RawStdEncoding.EncodeToString(sum[:]), nil
}

// MarshalPublicKey writes a public key as PKIX in PEM.
func MarshalPublicKey(pub crypto.PublicKey) ([]byte, error) {
	if _, err := AlgorithmOf(pub); err != nil {
		return nil, err
	}
	der, err := x509.MarshalPKIXPublicKey(pub)
	if err != nil {
		return nil, fmt.Errorf("encoding the public key: %w", err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: pemPublic, Bytes: der}), nil
}

// ParsePublicKey reads a public key, PKIX in PEM. Exactly one block without headers is accepted.
func ParsePublicKey(text []byte) (crypto.PublicKey, error) {
	der, err := onePEM(text, pemPublic)
	if err != nil {
		return nil, err
	}
	pub, err := x509.ParsePKIXPublicKey(der)
	if err != nil {
		return nil, fmt.Errorf("the PEM block %q holds no public key: %w", pemPublic, err)
	}
	if _, err := AlgorithmOf(pub); err != nil {
		return nil, err
	}
	return pub, nil
}

// maxRoots is the largest number of public keys in one file.
const maxRoots = 16

// ParsePublicKeys reads one or more public keys, each PKIX in PEM, one behind the other.
func ParsePublicKeys(text []byte) ([]crypto.PublicKey, error) {
	const end = "-----END " + pemPublic + "-----"
	var out []crypto.PublicKey
	for rest := text; len(bytes.TrimSpace(rest)) > 0 || len(out) == 0; {
		if len(out) == maxRoots {
			return nil, fmt.Errorf("more than %d keys found", maxRoots)
		}
		head, tail, found := bytes.Cut(rest, []byte(end))
		if found {
			head = rest[:len(head)+len(end)]
		}
		pub, err := ParsePublicKey(append(bytes.Clone(head), '\n'))
		if err != nil {
			return nil, fmt.Errorf("key %d: %w", len(out)+1, err)
		}
		out, rest = append(out, pub), tail
	}
	return out, nil
}

// MarshalPrivateKey writes a private key as PKCS #8 in PEM, without a passphrase. The caller keeps the file private.
func MarshalPrivateKey(priv crypto.Signer) ([]byte, error) {
	if _, err := AlgorithmOf(priv.Public()); err != nil {
		return nil, err
	}
	der, err := x509.MarshalPKCS8PrivateKey(priv)
	if err != nil {
		return nil, fmt.Errorf("encoding the private key: %w", err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: pemPrivate, Bytes: der}), nil
}

// ParsePrivateKey reads a private key, PKCS #8 in PEM without a passphrase.
func ParsePrivateKey(text []byte) (crypto.Signer, error) {
	der, err := onePEM(text, pemPrivate)
	if err != nil {
		return nil, err
	}
	parsed, err := x509.ParsePKCS8PrivateKey(der)
	if err != nil {
		return nil, fmt.Errorf("the PEM block %q holds no PKCS #8 key: %w", pemPrivate, err)
	}
	priv, ok := parsed.(crypto.Signer)
	if !ok {
		return nil, fmt.Errorf("keys of type %T cannot sign", parsed)
	}
	if _, err := AlgorithmOf(priv.Public()); err != nil {
		return nil, err
	}
	return priv, nil
}

// onePEM returns the bytes of the only PEM block in text.
func onePEM(text []byte, want string) ([]byte, error) {
	if len(text) > maxPEM {
		return nil, fmt.Errorf("the PEM text has %d bytes: a key has at most %d", len(text), maxPEM)
	}
	block, rest := pem.Decode(text)
	switch {
	case block == nil:
		return nil, fmt.Errorf("no PEM block found: expected -----BEGIN %s-----", want)
	case block.Type != want:
		return nil, fmt.Errorf("found a PEM block %q: expected %q", block.Type, want)
	case len(block.Headers) != 0:
		return nil, errors.New("the PEM block has headers: expected none (encrypted keys are not supported)")
	case len(bytes.TrimSpace(rest)) != 0:
		return nil, errors.New("text follows the PEM block: expected one key and nothing else")
	case !bytes.HasPrefix(bytes.TrimSpace(text), []byte("-----BEGIN")):
		return nil, errors.New("text precedes the PEM block: expected one key and nothing else")
	}
	return block.Bytes, nil
}
