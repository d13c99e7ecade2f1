package fleet

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/sha256"
	"fmt"

	"github.com/robowarden/robowarden/attest/order"
)

// Signer returns what [Options.Sign] needs for a consumer's private key, ECDSA P-256 or Ed25519.
func Signer(key crypto.Signer) (func(payloadType string, payload []byte) ([]byte, error), error) {
	id, err := order.KeyID(key.Public())
	if err != nil {
		return nil, fmt.Errorf("fleet: consumer's key: %w", err)
	}
	return func(payloadType string, payload []byte) ([]byte, error) {
		env := &order.Envelope{PayloadType: payloadType, Payload: payload}
		message, opts := env.PAE(), crypto.SignerOpts(crypto.Hash(0))
		if _, ok := key.Public().(*ecdsa.PublicKey); ok {
			sum := sha256.Sum256(message)
			message, opts = sum[:], crypto.SHA256
		}
		sig, err := key.Sign(rand.Reader, message, opts)
		if err != nil {
			return nil, fmt.Errorf("signing with key %s: %w", id, err)
		}
		env.Signatures = []order.Signature{{KeyID: id, Sig: sig}}
		return env.Marshal()
	}, nil
}
