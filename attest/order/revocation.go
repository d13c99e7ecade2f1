package order

import (
	"fmt"
	"time"
)

// Revocation takes back every certificate that an authority has issued to somebody up to a moment. It is a document and no
// order, since no robot acts on it: authorities, verifiers and brokers do. It does not run out and nothing lifts it; whoever is
// to be believed again is enrolled again, after that moment.
type Revocation struct {
	// Role is what the holder's certificates are for, such as "robot"; 1 to 64 of a-z, 0-9 and "-".
	Role string `json:"role"`
	// Name is whose they are: of a robot its id, of others 1 to 253 letters, digits or "._@:-".
	Name string `json:"name"`
	// Before is the moment up to which what was issued does not count any more, in UTC, whole seconds.
	Before time.Time `json:"-"`
	// Reason tells people why, at most [MaxReason] bytes on one line.
	Reason string `json:"reason"`
}

// maxHolder is the longest name of a certificate's holder: a host's.
const maxHolder = 253

// Validate checks the form of a revocation and gives the first fault.
func (r *Revocation) Validate() error {
	if !isName(r.Role, "-") {
		return fmt.Errorf("role: found %q: expected 1 to 64 of a-z, 0-9 and \"-\"", clip(r.Role))
	}
	if !IsRobotID(r.Name) && !of(r.Name, lower+upper+digits+"._@:-", 1, maxHolder) {
		return fmt.Errorf("name: found %q: expected \"manufacturer/serial\" or the name of a certificate's holder", clip(r.Name))
	}
	if err := checkReason(r.Reason); err != nil {
		return fmt.Errorf("reason: %w", err)
	}
	return checkMoment("before", r.Before)
}

// Encode checks the revocation and writes it as JSON: no spaces, the keys in FORMAT.md's order.
func (r *Revocation) Encode() ([]byte, error) {
	if err := r.Validate(); err != nil {
		return nil, fmt.Errorf("revocation: %w", err)
	}
	return marshalPlain(struct {
		Role   string `json:"role"`
		Name   string `json:"name"`
		Before string `json:"before"`
		Reason string `json:"reason"`
	}{r.Role, r.Name, stamp(r.Before), r.Reason})
}

// DecodeRevocation reads a revocation that [Verifier.VerifyDocument] has returned. A refusal is an [Error].
func DecodeRevocation(payload []byte) (*Revocation, error) {
	r := &Revocation{}
	err := readDocument(payload, func(o *object) {
		r.Role, r.Name, r.Before, r.Reason = o.str("role"), o.str("name"), o.moment("before"), o.str("reason")
	})
	if err == nil {
		err = r.Validate()
	}
	if err != nil {
		return nil, &Error{Reason: Malformed, Detail: "the revocation is not well formed", Remedy: "sign it again with robowarden-station of this version", Err: err}
	}
	return r, nil
}
