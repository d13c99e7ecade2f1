package tpm

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"github.com/google/go-tpm/tpm2"
)

// maxStructure is the most that one TPM structure from outside may hold, in bytes; a 4096-bit RSA key's has about 600.
const maxStructure = 2048

// nameBytes is the length of a name: the algorithm SHA-256 and a digest.
const nameBytes = 2 + sha256.Size

// Public is a TPM key's public half, parsed and checked to be well-formed. It says nothing yet about whose it is.
type Public struct {
	bytes []byte
	area  *tpm2.TPMTPublic
	name  []byte
	key   crypto.PublicKey
}

// ParsePublic reads a public area (TPMT_PUBLIC, without the two bytes of length of a TPM2B_PUBLIC). It refuses trailing
// bytes, names by other digests than SHA-256 (of endorsement keys also SHA-384), points that are not on P-256 or P-384, and RSA below 2048 bits.
func ParsePublic(area []byte) (*Public, error) {
	p, err := decode[tpm2.TPMTPublic]("public area", area)
	if err != nil {
		return nil, err
	}
	name := binary.BigEndian.AppendUint16(nil, uint16(p.NameAlg))
	switch {
	case p.NameAlg == tpm2.TPMAlgSHA256:
		sum := sha256.Sum256(area)
		name = append(name, sum[:]...)
	case p.NameAlg == tpm2.TPMAlgSHA384 && p.ObjectAttributes.Decrypt:
		sum := sha512.Sum384(area)
		name = append(name, sum[:]...)
	default:
		return nil, fmt.Errorf("public area: named by algorithm %#x, expected SHA-256 (0xb)", uint16(p.NameAlg))
	}
	if p.Type != tpm2.TPMAlgRSA && p.Type != tpm2.TPMAlgECC {
		return nil, fmt.Errorf("public area: key type %#x, expected RSA (0x1) or ECC (0x23)", uint16(p.Type))
	}
	key, err := tpm2.Pub(*p)
	if err != nil {
		return nil, fmt.Errorf("public area: %w", err)
	}
	if err := checkKey(key); err != nil {
		return nil, fmt.Errorf("public area: %w", err)
	}
	return &Public{bytes: bytes.Clone(area), area: p, name: name, key: key}, nil
}

// decode reads one TPM structure strictly: go-tpm's Unmarshal leaves trailing bytes and odd encodings unmentioned.
func decode[T tpm2.Marshallable, P interface {
	*T
	tpm2.Unmarshallable
}](what string, b []byte) (*T, error) {
	if len(b) == 0 || len(b) > maxStructure {
		return nil, fmt.Errorf("%s: %d bytes, expected 1 to %d", what, len(b), maxStructure)
	}
	v, err := tpm2.Unmarshal[T, P](b)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", what, err)
	}
	if again := tpm2.Marshal(*v); !bytes.Equal(again, b) {
		return nil, fmt.Errorf("%s: not in the one encoding that TPMs write (%d bytes, understood %d)", what, len(b), len(again))
	}
	return v, nil
}

// checkKey refuses keys that are no use or a trap for the verifier.
func checkKey(key crypto.PublicKey) error {
	switch k := key.(type) {
	case *ecdsa.PublicKey:
		if k == nil || k.X == nil || k.Y == nil || k.Curve != elliptic.P256() && k.Curve != elliptic.P384() { //nolint:staticcheck // a key from elsewhere may lack its point, and the functions that look panic then
			return errors.New("expected a key on P-256 or P-384")
		}
		if _, err := k.ECDH(); err != nil { // the cheap check that the point is on the curve
			return fmt.Errorf("the point is not on its curve: %w", err)
		}
		return nil
	case *rsa.PublicKey:
		if k == nil || k.N == nil || k.N.BitLen() < 2048 || k.N.BitLen() > 4096 {
			return errors.New("expected an RSA key of 2048 to 4096 bits")
		}
		if k.E != 65537 {
			return fmt.Errorf("RSA exponent %d, expected 65537", k.E)
		}
		return nil
	default:
		return fmt.Errorf("key type %T, expected ECDSA or RSA", key)
	}
}

// Bytes is the public area as ParsePublic read it.
func (p *Public) Bytes() []byte { return bytes.Clone(p.bytes) }

// Name is the key's TPM name: the digest algorithm's number and the digest of the public area.
func (p *Public) Name() []byte { return bytes.Clone(p.name) }

// Key is the public key itself, *ecdsa.PublicKey or *rsa.PublicKey.
func (p *Public) Key() crypto.PublicKey { return p.key }

// CheckAK says whether this may be an attestation key: made in its TPM, bound to it, and restricted, so that it never
// signs what the TPM has not itself said. Without this check, a key that signs anything could sign a made-up quote.
func (p *Public) CheckAK() error {
	a := p.area.ObjectAttributes
	var wrong []string
	for _, c := range []struct {
		what string
		ok   bool
	}{
		{"fixedTPM is clear", a.FixedTPM},
		{"fixedParent is clear", a.FixedParent},
		{"sensitiveDataOrigin is clear", a.SensitiveDataOrigin},
		{"restricted is clear", a.Restricted},
		{"sign is clear", a.SignEncrypt},
		{"decrypt is set", !a.Decrypt},
	} {
		if !c.ok {
			wrong = append(wrong, c.what)
		}
	}
	if len(wrong) > 0 {
		return fmt.Errorf("not an attestation key: %q", wrong)
	}
	return nil
}

// CheckDevice says whether this may be a device key: made in its TPM, bound to it, and for signing only.
func (p *Public) CheckDevice() error {
	a := p.area.ObjectAttributes
	if !a.FixedTPM || !a.FixedParent || !a.SensitiveDataOrigin || !a.SignEncrypt || a.Restricted || a.Decrypt {
		return fmt.Errorf("not a device key: expected fixedTPM, fixedParent, sensitiveDataOrigin and sign, and neither restricted nor decrypt; found %+v", a)
	}
	return nil
}

// CheckEK says whether this may be an endorsement key: bound to its TPM and only for decrypting what is meant for it.
func (p *Public) CheckEK() error {
	a := p.area.ObjectAttributes
	if !a.FixedTPM || !a.FixedParent || !a.SensitiveDataOrigin || !a.Restricted || !a.Decrypt || a.SignEncrypt {
		return fmt.Errorf("not an endorsement key: expected fixedTPM, fixedParent, sensitiveDataOrigin, restricted and decrypt, and not sign; found %+v", a)
	}
	return nil
}

// EndorsementSigner is the qualified name that the TPM writes into a quote when this key is a primary of the
// endorsement hierarchy, see Info.QualifiedSigner: only then are the counters beside it clear and comparable.
func (p *Public) EndorsementSigner() []byte {
	sum := sha256.Sum256(slices.Concat(tpm2.PrimaryHandleName(tpm2.TPMRHEndorsement), p.name))
	return append(binary.BigEndian.AppendUint16(nil, uint16(tpm2.TPMAlgSHA256)), sum[:]...)
}
