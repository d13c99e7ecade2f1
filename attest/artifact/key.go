package artifact

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/asn1"
	"encoding/base64"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"slices"

	"github.com/sigstore/sigstore/pkg/signature"
	"github.com/sigstore/sigstore/pkg/signature/options"
)

// Sizes of RSA keys in bits that are accepted.
const (
	minRSABits = 2048
	maxRSABits = 8192
)

// Key is a public key that is believed for artifacts.
type Key struct {
	// Name says who holds it, for people and journals.
	Name string
	// Public is an ECDSA key on P-256 or P-384, an Ed25519 or an RSA key.
	Public crypto.PublicKey

	details string
	hash    crypto.Hash
	ids     []string
}

// NewKey checks a public key and computes the names by which bundles call it.
func NewKey(name string, pub crypto.PublicKey) (Key, error) {
	k := Key{Name: name, Public: pub}
	switch p := pub.(type) {
	case *ecdsa.PublicKey:
		switch p.Curve {
		case elliptic.P256():
			k.details, k.hash = "PKIX_ECDSA_P256_SHA_256", crypto.SHA256
		case elliptic.P384():
			k.details, k.hash = "PKIX_ECDSA_P384_SHA_384", crypto.SHA384
		default:
			return Key{}, errors.New("the ECDSA key is on another curve: expected P-256 or P-384")
		}
	case ed25519.PublicKey:
		k.details = "PKIX_ED25519"
	case *rsa.PublicKey:
		if n := p.N.BitLen(); n < minRSABits || n > maxRSABits {
			return Key{}, fmt.Errorf("the RSA key has %d bits: expected %d to %d", n, minRSABits, maxRSABits)
		}
		k.details, k.hash = fmt.Sprintf("PKIX_RSA_PKCS1V15_%d_SHA256", p.N.BitLen()), crypto.SHA256
	default:
		return Key{}, fmt.Errorf("keys of type %T cannot sign artifacts: expected ECDSA P-256 or P-384, Ed25519 or RSA", pub)
	}
	der, err := x509.MarshalPKIXPublicKey(pub)
	if err != nil {
		return Key{}, fmt.Errorf("encoding the public key: %w", err)
	}
	inPEM := sha256.Sum256(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
	inDER := sha256.Sum256(der)
	// Model Signing names a key by its PEM text, cosign by its DER bytes.
	k.ids = []string{hex.EncodeToString(inPEM[:]), base64.StdEncoding.EncodeToString(inDER[:]), hex.EncodeToString(inDER[:])}
	return k, nil
}

// ID names the key as Model Signing does: the SHA-256 of its PEM text, in hexadecimal digits.
func (k *Key) ID() string { return k.ids[0] }

// Algorithm names key and hash in sigstore's words.
func (k *Key) Algorithm() string { return k.details }

// called says whether a bundle's hint means this key.
func (k *Key) called(hint string) bool {
	return slices.Contains(k.ids, hint)
}

// ParseKey reads one public key, PKIX in PEM; text before the PEM block is allowed, since certtool writes some.
func ParseKey(name string, text []byte) (Key, error) {
	const most = 32 << 10
	if len(text) > most {
		return Key{}, fmt.Errorf("the key file has %d bytes: expected at most %d", len(text), most)
	}
	block, rest := pem.Decode(text)
	if block == nil || block.Type != "PUBLIC KEY" || len(bytes.TrimSpace(rest)) != 0 {
		return Key{}, errors.New("expected one PEM block -----BEGIN PUBLIC KEY----- and nothing behind it")
	}
	pub, err := x509.ParsePKIXPublicKey(block.Bytes)
	if err != nil {
		return Key{}, fmt.Errorf("the PEM block holds no public key: %w", err)
	}
	return NewKey(name, pub)
}

// errForm is that of a signature that has not the one form of its key.
var errForm = errors.New("the signature is not ASN.1 DER as ECDSA keys give it")

// oneForm refuses the other encodings of an ECDSA signature, which sigstore takes as well.
func (k *Key) oneForm(sig []byte) error {
	if _, ok := k.Public.(*ecdsa.PublicKey); !ok {
		return nil
	}
	var parts struct{ R, S *big.Int }
	if rest, err := asn1.Unmarshal(sig, &parts); err != nil || len(rest) != 0 {
		return errForm
	}
	return nil
}

// verify checks a signature over a message that fits into memory.
func (k *Key) verify(message, sig []byte) error {
	if err := k.oneForm(sig); err != nil {
		return err
	}
	v, err := signature.LoadVerifier(k.Public, k.hash)
	if err != nil {
		return err
	}
	return v.VerifySignature(bytes.NewReader(sig), bytes.NewReader(message))
}

// verifyDigest checks a signature over a message whose digest is known. Ed25519 signs messages, not digests.
func (k *Key) verifyDigest(hash crypto.Hash, digest, sig []byte) error {
	if err := k.oneForm(sig); err != nil {
		return err
	}
	v, err := signature.LoadVerifier(k.Public, hash)
	if err != nil {
		return err
	}
	return v.VerifySignature(bytes.NewReader(sig), nil, options.WithDigest(digest))
}
