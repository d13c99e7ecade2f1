package tpm

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// ErrState says that the computer has not started into a state that anybody has approved: the bound key does not sign.
var ErrState = errors.New("the pcrs hold no approved state")

// MaxApprovals is the largest number of approvals that a robot keeps.
const MaxApprovals = 16

// approvalRef sets approvals apart from everything else that an approver may sign, see [Approver.ref].
const approvalRef = "robowarden/bound-key/v1\x00"

// maxScope is the longest scope in bytes: the longest robot's id, or a class of 64.
const maxScope = 129

// Approver is who approves states, and for whom: both are part of the policy of the keys that are bound to it.
type Approver struct {
	// Key is the approver's, ECDSA on P-256.
	Key *ecdsa.PublicKey
	// Scope is one robot's id, "manufacturer/serial", or the name of a class of robots that start alike: 1 to 64 letters,
	// digits and "._-". A class has no slash, so that none is taken for a robot.
	Scope string
}

// CheckScope says whether this is a scope.
func CheckScope(scope string) error {
	const word = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-"
	ok := of(scope, word)
	if manufacturer, serial, robot := strings.Cut(scope, "/"); robot {
		ok = of(manufacturer, word+":") && of(serial, word+":")
	}
	if !ok {
		return fmt.Errorf("scope: found %q: expected a robot, manufacturer/serial, or a class of 1 to 64 letters, digits and \"._-\"", scope[:min(len(scope), maxScope)])
	}
	return nil
}

// of says whether s is 1 to 64 characters of the alphabet.
func of(s, alphabet string) bool {
	return len(s) > 0 && len(s) <= 64 && strings.Trim(s, alphabet) == ""
}

// ref is the policyRef of TPM2_PolicyAuthorize: an approval for another scope, or another purpose, does not fit the key.
func (a *Approver) ref() []byte {
	sum := sha256.Sum256([]byte(approvalRef + a.Scope))
	return sum[:]
}

// Approval is an approver's word that a computer whose PCRs hold these values may use its bound key. It is for every
// robot whose key is bound to this approver in its scope; it does not run out, so what must never start again is for a
// verifier to refuse.
type Approval struct {
	// PCRs are the values, by number, of the SHA-256 bank.
	PCRs map[int][sha256.Size]byte
	// Signature is ASN.1, over SHA-256 of the approved policy's digest and the reference.
	Signature []byte
}

// SignApproval approves a state in a scope. The approver's key is ECDSA on P-256.
func SignApproval(approver crypto.Signer, scope string, pcrs map[int][sha256.Size]byte) (Approval, error) {
	public, _ := approver.Public().(*ecdsa.PublicKey)
	key, err := approverKey(public)
	if err != nil {
		return Approval{}, fmt.Errorf("approval: %w", err)
	}
	if err := CheckScope(scope); err != nil {
		return Approval{}, fmt.Errorf("approval: %w", err)
	}
	by := Approver{key, scope}
	a := Approval{PCRs: maps.Clone(pcrs)}
	policy, err := a.policy()
	if err != nil {
		return Approval{}, err
	}
	if a.Signature, err = approver.Sign(rand.Reader, by.digest(policy), crypto.SHA256); err != nil {
		return Approval{}, fmt.Errorf("approval: %w", err)
	}
	return a, nil
}

// Verify checks that the approver has signed this approval for its scope.
func (a *Approval) Verify(approver Approver) error {
	if _, err := approver.area(); err != nil {
		return fmt.Errorf("approval: %w", err)
	}
	policy, err := a.policy()
	if err != nil {
		return err
	}
	if !ecdsa.VerifyASN1(approver.Key, approver.digest(policy), a.Signature) {
		return fmt.Errorf("approval: the signature is not the approver's over these values for %s", approver.Scope)
	}
	return nil
}

// numbers are the PCRs that the approval is about, rising.
func (a *Approval) numbers() []int { return slices.Sorted(maps.Keys(a.PCRs)) }

// Matches says whether these values are the approved ones.
func (a *Approval) Matches(values map[int][sha256.Size]byte) bool {
	for n, want := range a.PCRs {
		if got, ok := values[n]; !ok || got != want {
			return false
		}
	}
	return true
}

// pcrDigest is the digest over the values in the order of their numbers, as TPM2_PolicyPCR has it.
func (a *Approval) pcrDigest() []byte {
	h := sha256.New()
	for _, n := range a.numbers() {
		v := a.PCRs[n]
		h.Write(v[:])
	}
	return h.Sum(nil)
}

// digest is what an approver signs (TPM 2.0 Library, part 3, TPM2_PolicyAuthorize: aHash).
func (a *Approver) digest(policy []byte) []byte {
	sum := sha256.Sum256(slices.Concat(policy, a.ref()))
	return sum[:]
}

// approverKey takes the one kind of key that approvers have.
func approverKey(key *ecdsa.PublicKey) (*ecdsa.PublicKey, error) {
	if key == nil || key.Curve != elliptic.P256() {
		return nil, errors.New("expected an approver's key of ECDSA on P-256")
	}
	return key, nil
}

// CheckBound says whether this may be a bound key: made in its TPM, for signing only, and of no use but by a policy, which
// is that of this approver's states in this scope.
func (p *Public) CheckBound(approver Approver) error {
	if err := p.CheckDevice(); err != nil {
		return err
	}
	policy, err := approver.boundPolicy()
	if err != nil {
		return err
	}
	if p.area.ObjectAttributes.UserWithAuth || !bytes.Equal(p.area.AuthPolicy.Buffer, policy) {
		return errors.New("not a bound key: expected one that signs only by the approver's policy; it signs without, or by another")
	}
	return nil
}
