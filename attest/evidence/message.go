package evidence

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"

	"github.com/veraison/go-cose"

	"github.com/robowarden/robowarden/attest/order"
)

// ContentType is the COSE content type of evidence. It keeps evidence apart from anything else that the key signs.
const ContentType = "application/vnd.robowarden.evidence.v1+cbor"

const (
	// maxAttest and maxSignature are larger than any TPM's quote and signature.
	maxAttest    = 1 << 10
	maxSignature = 1 << 10
	// maxPCRs is the number of PCRs that a TPM for a PC client has.
	maxPCRs = 24
)

// Quote is what a TPM says about its PCRs, and the values that go with it.
type Quote struct {
	// Attest is the TPM's statement (TPMS_ATTEST), as it was signed.
	Attest []byte
	// Signature is the attestation key's signature over Attest (TPMT_SIGNATURE).
	Signature []byte
	// PCRs are the values of the SHA-256 bank by number, 0 to 23.
	PCRs map[int][sha256.Size]byte
}

// Quoter lets a TPM quote PCRs over 32 bytes of qualifying data.
type Quoter func(qualifyingData []byte, pcrs []int) (Quote, error)

// Evidence is evidence as it was read. Until [Evidence.Verify] has succeeded nobody vouches for any of it, and the
// quote is the caller's to check.
type Evidence struct {
	// Claims are what the robot says.
	Claims Claims
	// Quote is nil on a robot without a TPM.
	Quote *Quote
	// KeyID names the key that is said to have signed, as [order.KeyID] does.
	KeyID string
	// SHA256 is that of the whole message, in lower-case hexadecimal digits.
	SHA256 string

	claims  []byte
	message cose.Sign1Message
}

const bindingLabel = "robowarden/evidence/v1\x00"

// QualifyingData is what a TPM must have quoted for these encoded claims: it ties the quote to the challenge and to the
// claims, since an attestation key cannot sign claims itself.
func QualifyingData(nonce [NonceBytes]byte, claims []byte) [sha256.Size]byte {
	sum := sha256.Sum256(claims)
	b := append(append([]byte(bindingLabel), nonce[:]...), sum[:]...)
	return sha256.Sum256(b)
}

// QualifyingData is what the TPM must have quoted for this evidence to answer the challenge with that nonce.
func (e *Evidence) QualifyingData(nonce [NonceBytes]byte) [sha256.Size]byte {
	return QualifyingData(nonce, e.claims)
}

// Build quotes, unless the tier is software-key, and signs. The key is ECDSA on P-256; it may sit in a TPM.
func Build(claims *Claims, pcrs []int, key crypto.Signer, quote Quoter) ([]byte, error) {
	encoded, err := claims.Encode()
	if err != nil {
		return nil, err
	}
	payload := wirePayload{Claims: encoded}
	switch {
	case claims.Tier == order.TierTPM && quote == nil:
		return nil, errors.New("the claims say that a TPM quotes, and there is none: say software-key")
	case claims.Tier == order.TierTPM:
		data := QualifyingData(claims.Nonce, encoded)
		q, err := quote(data[:], pcrs)
		if err != nil {
			return nil, fmt.Errorf("quoting PCRs %v: %w", pcrs, err)
		}
		payload.Attest, payload.Signature = q.Attest, q.Signature
		payload.PCRs = make(map[uint][]byte, len(q.PCRs))
		for n, v := range q.PCRs {
			payload.PCRs[uint(n)] = bytes.Clone(v[:]) //nolint:gosec // A number from 0 to 23.
		}
		if err := payload.check(claims.Tier); err != nil {
			return nil, err
		}
	}
	return sign(&payload, key)
}

// sign writes the COSE message.
func sign(payload *wirePayload, key crypto.Signer) ([]byte, error) {
	id, err := checkKey(key.Public())
	if err != nil {
		return nil, err
	}
	signer, err := cose.NewSigner(cose.AlgorithmES256, key)
	if err != nil {
		return nil, fmt.Errorf("loading the key: %w", err)
	}
	m := cose.Sign1Message{Headers: headers(id)}
	if m.Payload, err = encodeCBOR(payload); err != nil {
		return nil, fmt.Errorf("encoding the evidence: %w", err)
	}
	if err := m.Sign(rand.Reader, nil, signer); err != nil {
		return nil, fmt.Errorf("signing the evidence with key %s: %w", id, err)
	}
	out, err := m.MarshalCBOR()
	if err == nil && len(out) > MaxEvidence {
		err = fmt.Errorf("has %d bytes: expected at most %d", len(out), MaxEvidence)
	}
	if err != nil {
		return nil, fmt.Errorf("encoding the evidence: %w", err)
	}
	return out, nil
}

// headers are all that a message has, and all protected.
func headers(keyID string) cose.Headers {
	return cose.Headers{Protected: cose.ProtectedHeader{
		cose.HeaderLabelAlgorithm: cose.AlgorithmES256, cose.HeaderLabelContentType: ContentType, cose.HeaderLabelKeyID: []byte(keyID),
	}}
}

// checkKey returns the id of a key that can sign evidence.
func checkKey(pub crypto.PublicKey) (string, error) {
	if k, ok := pub.(*ecdsa.PublicKey); !ok || k == nil || k.Curve != elliptic.P256() {
		return "", fmt.Errorf("keys of type %T cannot sign evidence: expected ECDSA on P-256", pub)
	}
	return order.KeyID(pub)
}

// Parse reads evidence and checks its form. It verifies no signature.
func Parse(data []byte) (*Evidence, error) {
	if len(data) > MaxEvidence {
		return nil, fmt.Errorf("evidence: has %d bytes: at most %d are read", len(data), MaxEvidence)
	}
	sum := sha256.Sum256(data)
	e := &Evidence{SHA256: hex.EncodeToString(sum[:])}
	if err := e.message.UnmarshalCBOR(data); err != nil {
		return nil, fmt.Errorf("evidence: %w", err)
	}
	id, _ := e.message.Headers.Protected[cose.HeaderLabelKeyID].([]byte)
	e.KeyID = string(id)
	// Written anew with nothing but our headers it must be the same: no other header, no other form of the same.
	plain := cose.Sign1Message{Headers: headers(e.KeyID), Payload: e.message.Payload, Signature: e.message.Signature}
	if again, err := plain.MarshalCBOR(); err != nil || !bytes.Equal(again, data) {
		return nil, fmt.Errorf("evidence: is not a COSE_Sign1 message with exactly ES256, content type %q and a key id, all protected", ContentType)
	}
	var payload wirePayload
	if err := decodeCBOR(e.message.Payload, &payload); err != nil {
		return nil, fmt.Errorf("evidence: payload: %w", err)
	}
	claims, err := DecodeClaims(payload.Claims)
	if err != nil {
		return nil, fmt.Errorf("evidence: %w", err)
	}
	if err := payload.check(claims.Tier); err != nil {
		return nil, fmt.Errorf("evidence: %w", err)
	}
	e.Claims, e.claims = *claims, payload.Claims
	if claims.Tier == order.TierTPM {
		e.Quote = payload.quote()
	}
	return e, nil
}

// check demands a quote exactly where the tier says that there is one.
func (p *wirePayload) check(tier order.Tier) error {
	given := len(p.Attest) > 0 && len(p.Signature) > 0 && len(p.PCRs) > 0
	if none := len(p.Attest) == 0 && len(p.Signature) == 0 && len(p.PCRs) == 0; none == (tier == order.TierTPM) || given == none {
		return fmt.Errorf("quote: found %d bytes, signature %d bytes, %d PCRs: expected all three for tier %s and none for tier %s",
			len(p.Attest), len(p.Signature), len(p.PCRs), order.TierTPM, order.TierSoftwareKey)
	}
	if len(p.Attest) > maxAttest || len(p.Signature) > maxSignature || len(p.PCRs) > maxPCRs {
		return fmt.Errorf("quote: found %d bytes, signature %d bytes, %d PCRs: expected at most %d, %d, %d",
			len(p.Attest), len(p.Signature), len(p.PCRs), maxAttest, maxSignature, maxPCRs)
	}
	for n, v := range p.PCRs {
		if n >= maxPCRs || len(v) != sha256.Size {
			return fmt.Errorf("quote: found PCR %d with %d bytes: expected 0 to %d with %d", n, len(v), maxPCRs-1, sha256.Size)
		}
	}
	return nil
}

func (p *wirePayload) quote() *Quote {
	q := &Quote{Attest: p.Attest, Signature: p.Signature, PCRs: make(map[int][sha256.Size]byte, len(p.PCRs))}
	for n, v := range p.PCRs {
		q.PCRs[int(n)] = [sha256.Size]byte(v) //nolint:gosec // check has bounded both.
	}
	return q
}

// Verify checks that the robot's key has signed this evidence.
func (e *Evidence) Verify(key crypto.PublicKey) error {
	id, err := checkKey(key)
	if err != nil {
		return err
	}
	if e.KeyID != id {
		return fmt.Errorf("is signed by key %s: expected %s", clip(e.KeyID), id)
	}
	v, err := cose.NewVerifier(cose.AlgorithmES256, key)
	if err != nil {
		return fmt.Errorf("loading the key: %w", err)
	}
	if err := e.message.Verify(nil, v); err != nil {
		return fmt.Errorf("does not verify with key %s: %w", id, err)
	}
	return nil
}
