package courier

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	"github.com/robowarden/robowarden/agent/config"
	"github.com/robowarden/robowarden/attest/order"
	"github.com/robowarden/robowarden/attest/tpm"
)

// softwareKey is the device key's file on a robot without a TPM.
const softwareKey = "device.key.pem"

// identity is the robot's device key and what keeps it.
type identity struct {
	key   crypto.Signer
	keyID string
	tier  order.Tier
	tpm   *tpm.TPM // nil for a software key
	// certificate is the file of the key's certificate.
	certificate string
	// bound is the key that is bound to approved states, nil if the deployment has none; recovery is why it does not sign, "" if it
	// does. Then key is the device key, which is for recovery alone.
	bound    *tpm.BoundKey
	recovery string
	misfit   bool         // it is for the sake of the certificate
	lost     atomic.Bool  // the bound key has refused since
	refused  *atomic.Bool // it has refused, and not signed since: kept from one look to the next
	faults   []string     // approvals that are none
}

// openIdentity opens the TPM that the deployment names, or the software key that stands in for one. A TPM that is named
// and does not answer is an error: a robot never falls back to a weaker key by itself.
func openIdentity(c *config.Courier, now time.Time) (*identity, error) {
	id := &identity{tier: order.TierSoftwareKey, certificate: c.Certificate}
	var err error
	if c.TPM != "" {
		if id.tpm, err = tpm.Open(c.TPM); err != nil {
			return nil, err
		}
		id.key, id.tier = id.tpm.Device(), order.TierTPM
		if c.BoundKey != nil {
			out, err := id.bind(c, now)
			if err != nil {
				id.close()
				return nil, err
			}
			return out, nil
		}
	} else if id.key, err = openSoftwareKey(filepath.Join(c.StateDir, softwareKey)); err != nil {
		return nil, err
	}
	id.keyID, err = order.KeyID(id.key.Public())
	return id, err
}

// openSoftwareKey reads the key, or draws one if there is none.
func openSoftwareKey(path string) (crypto.Signer, error) {
	text, err := os.ReadFile(path) //nolint:gosec // our own folder
	if err == nil {
		key, err := order.ParsePrivateKey(text)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		return key, nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	key, err := order.GenerateKey(order.ECDSAP256)
	if err != nil {
		return nil, err
	}
	if text, err = order.MarshalPrivateKey(key); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(path+".new", os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return nil, err
	}
	_, err = f.Write(text)
	return key, errors.Join(err, f.Sync(), f.Close(), os.Rename(path+".new", path))
}

// sign signs a message with the device key: over its SHA-256 for ECDSA, over the message itself for Ed25519.
func (i *identity) sign(message []byte) ([]byte, error) {
	switch i.key.Public().(type) {
	case *ecdsa.PublicKey:
		sum := sha256.Sum256(message)
		return i.key.Sign(rand.Reader, sum[:], crypto.SHA256)
	case ed25519.PublicKey:
		return i.key.Sign(rand.Reader, message, crypto.Hash(0))
	}
	return nil, fmt.Errorf("a device key of type %T cannot sign", i.key.Public())
}

// close lets go of the TPM.
func (i *identity) close() {
	if i != nil && i.tpm != nil {
		_ = i.tpm.Close()
	}
}

// checkpointSigned is what the signature of a checkpoint covers.
func checkpointSigned(log string, boot [16]byte, seq uint64, digest, evidence []byte) []byte {
	b := append([]byte("robowarden/checkpoint/v1\x00"), log...)
	b = append(append(b, 0), boot[:]...)
	for i := range 8 {
		b = append(b, byte(seq>>(8*i)))
	}
	return append(append(b, digest...), evidence...)
}

// fingerprint is the SHA-256 of bytes in hexadecimal digits.
func fingerprint(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}
