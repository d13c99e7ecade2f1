package order

import (
	"crypto"
	"fmt"
	"slices"
	"strings"
)

// maxDocumentEnvelope is room for a payload of MaxPayload in base64 and its signatures.
const maxDocumentEnvelope = 96 << 10

// checkPayloadType keeps documents apart from orders: a document is signed without being read, so a payload type that
// names orders would turn whatever is inside into one.
func checkPayloadType(payloadType string) error {
	if payloadType == PayloadType || !strings.HasPrefix(payloadType, "application/") || !isWord(payloadType, "/+.-_") {
		return fmt.Errorf("payload type: found %q: expected one of a document, \"application/...\", at most %d characters, and not that of orders",
			clip(payloadType), maxName)
	}
	return nil
}

// SignDocument signs a document that is no order with one or more keys and returns the envelope. It does not look into
// the payload.
func SignDocument(payloadType string, payload []byte, keys ...crypto.Signer) ([]byte, error) {
	if err := checkPayloadType(payloadType); err != nil {
		return nil, err
	}
	if len(payload) == 0 || len(payload) > MaxPayload {
		return nil, refuse(Oversize, "shorten it", "the document has %d bytes: expected 1 to %d", len(payload), MaxPayload)
	}
	env := &Envelope{PayloadType: payloadType, Payload: payload}
	if err := env.sign(keys); err != nil {
		return nil, err
	}
	return env.Marshal()
}

// VerifyDocument decides whether the key list in force vouches for a document of one type by a signer with one role. It
// returns the payload and the signers that count. It uses nothing up: a document can come again, and whose it is and
// when it counts is for the caller to judge. Every refusal is an [Error].
//
// Unlike for a stop, a trusted clock is needed, since the keys' validity cannot be judged without one.
func (v *Verifier) VerifyDocument(now Times, payloadType string, role Role, envelope []byte) ([]byte, []Signer, error) {
	if err := checkPayloadType(payloadType); err != nil {
		return nil, nil, &Error{Reason: WrongType, Detail: "no document has this type", Err: err}
	}
	env, err := parseEnvelope(envelope, payloadType, maxDocumentEnvelope)
	if err != nil {
		return nil, nil, err
	}
	if len(env.Payload) > MaxPayload {
		return nil, nil, refuse(Oversize, "shorten it", "the document has %d bytes: at most %d are read", len(env.Payload), MaxPayload)
	}
	results := v.ring.check(env, env.PAE())
	for _, s := range results {
		if s.err != nil {
			return nil, nil, s.err
		}
	}
	switch {
	case v.fault != nil:
		return nil, nil, v.fault
	case !now.known():
		return nil, nil, refuse(ClockUntrusted, "let the robot synchronise its clock",
			"whether the signing keys are valid cannot be judged: the robot's clock is %s", now.Trust)
	}
	signers, refusal := v.ring.vouch(now, results, role, v.cfg.AllowDemo)
	if refusal != nil {
		return nil, nil, refusal
	}
	return env.Payload, signers, nil
}

// vouch returns the signers who hold the role now, each once; a document needs one.
func (r *ring) vouch(now Times, good []signed, role Role, allowDemo bool) ([]Signer, *Error) {
	var signers []Signer
	var first *Error
	for _, s := range good {
		err := (*Error)(nil)
		switch {
		case s.key.Demo && !allowDemo:
			err = refuse(DemoKey, "sign with a key of your own; keys marked demo work in the demonstration only",
				"key %s of %s is a demonstration key", s.keyID, s.key.Person)
		case !slices.Contains(s.key.Roles, role):
			err = refuse(WrongRole, fmt.Sprintf("sign with a key that has the role %s", role),
				"%s has %v: this document needs %s", s.key.Person, s.key.Roles, role)
		case now.within(s.key.NotBefore, s.key.NotAfter) != "":
			err = keyExpired(now, &s.key.Key)
		case !slices.ContainsFunc(signers, func(o Signer) bool { return o.KeyID == s.keyID }):
			signers = append(signers, Signer{KeyID: s.keyID, Person: s.key.Person, Roles: []Role{role}, Demo: s.key.Demo})
		}
		if first == nil {
			first = err
		}
	}
	if len(signers) == 0 {
		return nil, first
	}
	return signers, nil
}

// OpenDocument returns the payload of a document of one type that exactly this key has signed, and nobody else. It is for
// documents whose signer something else than a key list names, such as the policy of a key in a TPM. Every refusal is an [Error].
func OpenDocument(payloadType string, key crypto.PublicKey, envelope []byte) ([]byte, error) {
	if err := checkPayloadType(payloadType); err != nil {
		return nil, &Error{Reason: WrongType, Detail: "no document has this type", Err: err}
	}
	env, err := parseEnvelope(envelope, payloadType, maxDocumentEnvelope)
	if err != nil {
		return nil, err
	}
	one, err := pinnedRing([]crypto.PublicKey{key}, 1)
	if err != nil {
		return nil, &Error{Reason: UnknownKey, Detail: "the expected signer's key cannot be used", Err: err}
	}
	if len(env.Payload) > MaxPayload || len(env.Signatures) != 1 {
		return nil, refuse(Oversize, "sign it anew", "the document has %d bytes and %d signatures: at most %d and exactly one are read",
			len(env.Payload), len(env.Signatures), MaxPayload)
	}
	if s := one.checkOne(0, env.Signatures[0], env.PAE()); s.err != nil {
		return nil, s.err
	}
	return env.Payload, nil
}
