package order

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"errors"
	"fmt"
	"slices"

	"github.com/sigstore/sigstore/pkg/signature"
)

// Sign checks the order, encodes it and signs it with one or more keys. It returns the envelope to carry to a robot.
func Sign(o *Order, keys ...crypto.Signer) ([]byte, error) {
	payload, err := o.Encode()
	if err != nil {
		return nil, err
	}
	env := &Envelope{PayloadType: PayloadType, Payload: payload}
	if err := env.sign(keys); err != nil {
		return nil, err
	}
	return env.Marshal()
}

// AddSignatures adds further signatures to an envelope, for orders that more than one person must sign. It checks that
// the envelope holds an order, not who signed it before.
func AddSignatures(envelope []byte, keys ...crypto.Signer) ([]byte, error) {
	env, err := ParseEnvelope(envelope)
	if err != nil {
		return nil, err
	}
	if _, err := Decode(env.Payload); err != nil {
		return nil, err
	}
	if err := env.sign(keys); err != nil {
		return nil, err
	}
	return env.Marshal()
}

func (e *Envelope) sign(keys []crypto.Signer) error {
	if len(keys) == 0 {
		return errors.New("no key given: expected at least one to sign with")
	}
	if n := len(e.Signatures) + len(keys); n > MaxSignatures {
		return fmt.Errorf("the envelope would have %d signatures: at most %d are accepted", n, MaxSignatures)
	}
	pae := e.PAE()
	for _, key := range keys {
		id, err := KeyID(key.Public())
		if err != nil {
			return err
		}
		if slices.ContainsFunc(e.Signatures, func(s Signature) bool { return s.KeyID == id }) {
			return fmt.Errorf("key %s has signed already: a second signature must be another person's", id)
		}
		signer, err := loadSigner(key)
		if err != nil {
			return fmt.Errorf("loading key %s: %w", id, err)
		}
		sig, err := signer.SignMessage(bytes.NewReader(pae))
		if err != nil {
			return fmt.Errorf("signing with key %s: %w", id, err)
		}
		e.Signatures = append(e.Signatures, Signature{KeyID: id, Sig: sig})
	}
	return nil
}

func loadSigner(key crypto.Signer) (signature.Signer, error) {
	switch k := key.(type) {
	case *ecdsa.PrivateKey:
		return signature.LoadECDSASigner(k, crypto.SHA256)
	case ed25519.PrivateKey:
		return signature.LoadED25519Signer(k)
	}
	return nil, fmt.Errorf("private keys of type %T cannot sign orders", key)
}
