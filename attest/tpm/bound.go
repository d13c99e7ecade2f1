package tpm

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"encoding/asn1"
	"errors"
	"fmt"
	"io"
	"math/big"
	"slices"

	"github.com/google/go-tpm/tpm2"
)

// boundLabel sets the bound key apart from the device key. Changing it changes every robot's key.
const boundLabel = "robowarden/bound-key/v1"

// BoundKey is the robot's key for its work (in the words of IEEE 802.1AR, its LDevID): like the device key, but it signs
// only while the PCRs hold a state that its approver has approved. An update brings its approval along, so that the key
// outlives it; a computer that has started something else keeps its device key, to say so, and nothing more.
type BoundKey struct {
	t         *TPM
	public    *Public
	key       *ecdsa.PublicKey
	approver  Approver
	area      []byte // the approver's public area
	approvals []Approval
}

// Bound makes the key that is bound to an approver in a scope. Approvals that he has not signed for it are an error. There is one approver
// at a time: keys that were bound to an earlier one sign no more.
func (t *TPM) Bound(approver Approver, approvals []Approval) (*BoundKey, error) {
	if len(approvals) > MaxApprovals {
		return nil, fmt.Errorf("tpm: %d approvals, expected at most %d", len(approvals), MaxApprovals)
	}
	for i := range approvals {
		if err := approvals[i].Verify(approver); err != nil {
			return nil, fmt.Errorf("tpm: approval %d: %w", i+1, err)
		}
	}
	area, err := approver.area()
	if err != nil {
		return nil, fmt.Errorf("tpm: %w", err)
	}
	policy, err := approver.boundPolicy()
	if err != nil {
		return nil, fmt.Errorf("tpm: %w", err)
	}
	template := signingTemplate(false, boundLabel)
	template.ObjectAttributes.UserWithAuth = false
	template.AuthPolicy.Buffer = policy
	// A pair, as Open has it: each other type of result costs the robot's binary three kilobytes.
	both, err := call(t, "make the bound key", t.options.Timeout, repeatable, func(c *conn) ([2]*Public, error) {
		if !bytes.Equal(t.bound.AuthPolicy.Buffer, policy) {
			delete(t.keys, boundKey)
			t.bound = template
		}
		public, err := t.public(c, boundKey)
		return [2]*Public{public}, err
	})
	if err != nil {
		return nil, err
	}
	public := both[0]
	key, ok := public.key.(*ecdsa.PublicKey)
	if !ok {
		return nil, errors.New("tpm: the bound key is not ECDSA")
	}
	return &BoundKey{t: t, public: public, key: key, approver: approver, area: area, approvals: slices.Clone(approvals)}, nil
}

// Public implements crypto.Signer. The key is an *ecdsa.PublicKey on P-256.
func (b *BoundKey) Public() crypto.PublicKey { return b.key }

// Tier implements Signer.
func (b *BoundKey) Tier() Tier { return TierTPM }

// Area is the key's public area (TPMT_PUBLIC).
func (b *BoundKey) Area() []byte { return b.public.Bytes() }

// Ready says whether the PCRs hold an approved state now; if not, the error wraps ErrState and names the PCRs.
func (b *BoundKey) Ready() error {
	_, err := call(b.t, "look at the state", b.t.options.Timeout, repeatable, func(c *conn) ([]byte, error) {
		_, err := b.approval(c)
		return nil, err
	})
	return err
}

// approval is the one for the state that there is.
func (b *BoundKey) approval(c *conn) (*Approval, error) {
	var all, differ []int
	for i := range b.approvals {
		all = append(all, b.approvals[i].numbers()...)
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("%w: nobody has approved any", ErrState)
	}
	all, err := checkPCRs(all)
	if err != nil {
		return nil, err
	}
	values, err := readPCRs(c, all)
	if err != nil {
		return nil, err
	}
	for i := range b.approvals {
		a := &b.approvals[i]
		if a.Matches(values) {
			return a, nil
		}
		var wrong []int
		for _, n := range a.numbers() {
			if values[n] != a.PCRs[n] {
				wrong = append(wrong, n)
			}
		}
		if differ == nil || len(wrong) < len(differ) {
			differ = wrong
		}
	}
	return nil, fmt.Errorf("%w: PCRs %v differ from the nearest of %d", ErrState, differ, len(b.approvals))
}

// Sign implements crypto.Signer as DeviceKey.Sign does. Its error wraps ErrState when the state is not an approved one.
func (b *BoundKey) Sign(_ io.Reader, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	if err := wantDigest(digest, opts); err != nil {
		return nil, err
	}
	digest = bytes.Clone(digest)
	return call(b.t, "sign with the bound key", b.t.options.Timeout, repeatable, func(c *conn) ([]byte, error) {
		a, err := b.approval(c)
		if err != nil {
			return nil, err
		}
		ticket, err := b.ticket(c, a)
		if err != nil {
			return nil, err
		}
		l, err := b.t.load(c, boundKey)
		if err != nil {
			return nil, err
		}
		defer c.flush(l.handle)
		if !bytes.Equal(l.public.name, b.public.name) {
			return nil, fmt.Errorf("%w: the key is bound to another approver by now", ErrOtherTPM)
		}
		r, err := tpm2.Sign{
			KeyHandle: tpm2.AuthHandle{Handle: l.handle, Name: l.name(), Auth: tpm2.Policy(tpm2.TPMAlgSHA256, 16, b.session(a, ticket))},
			Digest:    tpm2.TPM2BDigest{Buffer: digest}, InScheme: tpm2.TPMTSigScheme{Scheme: tpm2.TPMAlgNull},
			Validation: tpm2.TPMTTKHashCheck{Tag: tpm2.TPMSTHashCheck, Hierarchy: tpm2.TPMRHNull},
		}.Execute(c)
		if errors.Is(err, tpm2.TPMRCPolicyFail) || errors.Is(err, tpm2.TPMRCValue) || errors.Is(err, tpm2.TPMRCPCRChanged) {
			return nil, fmt.Errorf("%w any more: %w", ErrState, err)
		}
		if err != nil {
			return nil, err
		}
		return ecdsaDER(&r.Signature, b.key, digest)
	})
}

// ecdsaDER is a TPM's signature in ASN.1, once it verifies: a fault here would otherwise be looked for at the far end.
func ecdsaDER(signature *tpm2.TPMTSignature, key *ecdsa.PublicKey, digest []byte) ([]byte, error) {
	s, err := signature.Signature.ECDSA()
	if err != nil {
		return nil, err
	}
	der, err := asn1.Marshal(struct{ R, S *big.Int }{new(big.Int).SetBytes(s.SignatureR.Buffer), new(big.Int).SetBytes(s.SignatureS.Buffer)})
	if err != nil {
		return nil, err
	}
	if !ecdsa.VerifyASN1(key, digest, der) {
		return nil, errors.New("the tpm's signature does not verify")
	}
	return der, nil
}
