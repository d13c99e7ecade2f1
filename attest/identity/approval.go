package identity

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/robowarden/robowarden/attest/internal/strict"
	"github.com/robowarden/robowarden/attest/order"
	"github.com/robowarden/robowarden/attest/tpm"
)

// ApprovalType is the payload type of a signed approval of a state.
const ApprovalType = "application/vnd.robowarden.state-approval.v1+json"

// MaxApproval is the largest signed approval in bytes.
const MaxApproval = 16 << 10

// maxReason is the longest reason in bytes.
const maxReason = 256

// Approval is a state that a robot's bound key may be used in, as an approver has signed it. The envelope's signature is for
// whoever carries and keeps it, [tpm.Approval]'s for the TPM; both are the same key's.
type Approval struct {
	// Scope is whose keys it is for, see [tpm.Approver].
	Scope string
	// Issued is when it was signed, UTC; of more than a robot keeps, the newest count.
	Issued time.Time
	// Reason says to people which state that is: 1 to 256 bytes.
	Reason string
	// State is what the TPM is shown.
	State tpm.Approval
}

// wireApproval is the payload.
type wireApproval struct {
	Scope     string            `json:"scope"`
	Issued    time.Time         `json:"issued"`
	Reason    string            `json:"reason"`
	PCRs      map[string]string `json:"pcrs"`
	Signature []byte            `json:"signature"`
}

// SignApproval approves these values of the SHA-256 bank, by number, and returns the envelope. The approver's key is ECDSA on P-256.
func SignApproval(approver crypto.Signer, scope, reason string, issued time.Time, pcrs map[int][sha256.Size]byte) ([]byte, error) {
	if reason == "" || len(reason) > maxReason {
		return nil, fmt.Errorf("approval: reason: has %d bytes: expected 1 to %d", len(reason), maxReason)
	}
	if err := checkRegisters(pcrs); err != nil {
		return nil, err
	}
	state, err := tpm.SignApproval(approver, scope, pcrs)
	if err != nil {
		return nil, err
	}
	w := wireApproval{Scope: scope, Issued: issued.UTC().Truncate(time.Second), Reason: reason, PCRs: map[string]string{}, Signature: state.Signature}
	for n, v := range pcrs {
		w.PCRs[strconv.Itoa(n)] = hex.EncodeToString(v[:])
	}
	payload, err := json.Marshal(w)
	if err != nil {
		return nil, err
	}
	return order.SignDocument(ApprovalType, payload, approver)
}

// OpenApproval reads an approval that this approver has signed for its scope: one for another robot or class, or by somebody else, is
// refused here, and by the TPM.
func OpenApproval(envelope []byte, by tpm.Approver) (*Approval, error) {
	if len(envelope) > MaxApproval {
		return nil, fmt.Errorf("approval: has %d bytes: at most %d are read", len(envelope), MaxApproval)
	}
	payload, err := order.OpenDocument(ApprovalType, by.Key, envelope)
	if err != nil {
		return nil, fmt.Errorf("approval: %w", err)
	}
	var w wireApproval
	if err := strict.JSON(payload, &w); err != nil {
		return nil, fmt.Errorf("approval: %w", err)
	}
	a := &Approval{Scope: w.Scope, Issued: w.Issued, Reason: w.Reason, State: tpm.Approval{PCRs: map[int][sha256.Size]byte{}, Signature: w.Signature}}
	switch {
	case w.Scope != by.Scope:
		return nil, fmt.Errorf("approval: scope: found %q: expected %q, which this robot's key is bound to", clip(w.Scope), by.Scope)
	case w.Issued.IsZero() || w.Reason == "" || len(w.Reason) > maxReason:
		return nil, errors.New("approval: expected when and why it was issued")
	}
	for name, text := range w.PCRs {
		n, err := strconv.Atoi(name)
		value, bad := hex.DecodeString(text)
		if err != nil || bad != nil || len(value) != sha256.Size || strconv.Itoa(n) != name {
			return nil, fmt.Errorf("approval: pcrs: found %q: expected numbers, each with %d bytes in hexadecimal digits", clip(name), sha256.Size)
		}
		a.State.PCRs[n] = [sha256.Size]byte(value)
	}
	if err := checkRegisters(a.State.PCRs); err != nil {
		return nil, err
	}
	if err := a.State.Verify(by); err != nil {
		return nil, err
	}
	return a, nil
}

// checkRegisters refuses PCRs that any software may reset and fill anew (TCG PC Client Platform TPM Profile: 16, debug, and 23, application):
// they say nothing about what was started.
func checkRegisters(pcrs map[int][sha256.Size]byte) error {
	for _, n := range []int{16, 23} {
		if _, ok := pcrs[n]; ok {
			return fmt.Errorf("approval: pcrs: found %d: expected registers that only a restart sets back, which 16 and 23 are not", n)
		}
	}
	return nil
}

// ID names the approved state, 64 hexadecimal digits: the same for the same scope, registers and values, however and whenever they are signed.
func (a *Approval) ID() string {
	h := sha256.New()
	h.Write([]byte("robowarden/approved-state/v1\x00" + a.Scope + "\x00"))
	for n := range tpm.PCRCount {
		if v, ok := a.State.PCRs[n]; ok {
			h.Write(append([]byte{byte(n)}, v[:]...)) //nolint:gosec // below 24
		}
	}
	return hex.EncodeToString(h.Sum(nil))
}

// ParseApprover reads an approver's public key, PEM.
func ParseApprover(text []byte) (*ecdsa.PublicKey, error) {
	key, err := order.ParsePublicKey(text)
	if err != nil {
		return nil, fmt.Errorf("approver: %w", err)
	}
	out, err := checkKey(key)
	if err != nil {
		return nil, fmt.Errorf("approver: %w", err)
	}
	return out, nil
}
