package tpm

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/sha256"
	"fmt"
	"io"

	"github.com/google/go-tpm/tpm2"
)

// Tier says what keeps an identity's key.
type Tier string

// The tiers of DESIGN: a software key is never shown as attested by a TPM.
const (
	TierTPM         Tier = "tpm"
	TierSoftwareKey Tier = "software-key"
)

// Signer is a device's key: *DeviceKey in a TPM, or *Software.
type Signer interface {
	crypto.Signer
	// Tier says what keeps the key.
	Tier() Tier
}

// DeviceKey is the robot's own key (in the words of IEEE 802.1AR, the LDevID's): ECDSA P-256, made in and bound to the
// TPM, free to sign anything. It serves as the key of TLS client certificates, certificate requests and COSE.
type DeviceKey struct {
	t   *TPM
	key *ecdsa.PublicKey
}

// Device is the device key.
func (t *TPM) Device() *DeviceKey {
	key, _ := t.device.key.(*ecdsa.PublicKey) // the template says so, and load has checked the name
	return &DeviceKey{t, key}
}

// Public implements crypto.Signer. The key is an *ecdsa.PublicKey on P-256.
func (d *DeviceKey) Public() crypto.PublicKey { return d.key }

// Tier implements Signer.
func (d *DeviceKey) Tier() Tier { return TierTPM }

// Sign implements crypto.Signer: an ASN.1 signature over a SHA-256 digest. opts may be nil, as some callers have it,
// and must otherwise say SHA-256. The random reader is not used: the TPM draws its own.
func (d *DeviceKey) Sign(_ io.Reader, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	if err := wantDigest(digest, opts); err != nil {
		return nil, err
	}
	digest = bytes.Clone(digest)
	return call(d.t, "sign", d.t.options.Timeout, repeatable, func(c *conn) ([]byte, error) {
		l, err := d.t.load(c, deviceKey)
		if err != nil {
			return nil, err
		}
		defer c.flush(l.handle)
		r, err := tpm2.Sign{
			KeyHandle: l.withAuth(), Digest: tpm2.TPM2BDigest{Buffer: digest}, InScheme: tpm2.TPMTSigScheme{Scheme: tpm2.TPMAlgNull},
			Validation: tpm2.TPMTTKHashCheck{Tag: tpm2.TPMSTHashCheck, Hierarchy: tpm2.TPMRHNull},
		}.Execute(c)
		if err != nil {
			return nil, err
		}
		return ecdsaDER(&r.Signature, d.key, digest)
	})
}

func wantDigest(digest []byte, opts crypto.SignerOpts) error {
	if opts != nil && opts.HashFunc() != crypto.SHA256 {
		return fmt.Errorf("tpm: the key signs SHA-256 digests, asked was %v", opts.HashFunc())
	}
	if len(digest) != sha256.Size {
		return fmt.Errorf("tpm: %d bytes to sign, expected a digest of %d", len(digest), sha256.Size)
	}
	return nil
}
