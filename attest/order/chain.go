package order

import (
	"crypto/sha256"
	"fmt"
	"slices"
)

// MaxChain is the largest number of key lists that lead from a pinned root to the list in force.
const MaxChain = 16

// loadKeyLists takes the stored key lists in force without judging their validity: that was done when they were
// accepted, and a robot must come up without a clock. What it cannot take it remembers as the fault.
func (v *Verifier) loadKeyLists(pins *ring) {
	if len(v.cfg.KeyLists) == 0 {
		return
	}
	last, refusal := v.replayChain(pins)
	if refusal != nil {
		v.ring, v.chain, v.last, v.fault = pins, nil, nil, refusal
		return
	}
	floor, ok := v.ledger.Floor(KindKeyList)
	if !ok {
		if refusal = v.checkDelivered(last); refusal != nil {
			v.ring, v.chain, v.last, v.fault = pins, nil, nil, refusal
		}
		return
	}
	digest := last.Digest
	if floor.Sequence != last.Order.Sequence || floor.Digest != digest {
		v.fault = refuse(SequenceTooOld, "send the robot its newest key list again; until then it takes only stops and key lists",
			"the stored key list has sequence %d and digest %x, but the one accepted last has sequence %d and digest %x",
			last.Order.Sequence, digest[:4], floor.Sequence, floor.Digest[:4])
	}
}

// checkDelivered checks the bindings of key lists of which the record knows none: no run before this one has accepted them. Where the
// record cannot be read nobody can tell, and the lists count for stops.
func (v *Verifier) checkDelivered(last *Verified) *Error {
	if _, err := v.ledger.Check(Times{}, last.Claim()); err != nil {
		return nil //nolint:nilerr // nobody can tell: as said above
	}
	for i, envelope := range v.chain {
		x, refusal := v.payloadOf(envelope)
		if refusal == nil {
			refusal = v.checkBinding(x)
		}
		if refusal != nil {
			refusal.Detail = fmt.Sprintf("key list %d, which this robot has never accepted: %s", i+1, refusal.Detail)
			return refusal
		}
	}
	return nil
}

// payloadOf reads an envelope that has been verified before.
func (*Verifier) payloadOf(envelope []byte) (*Order, *Error) {
	env, err := ParseEnvelope(envelope)
	if err != nil {
		return nil, asError(err)
	}
	o, err := Decode(env.Payload)
	if err != nil {
		return nil, asError(err)
	}
	return o, nil
}

// replayChain verifies the stored key lists one by the other and leaves the last one in force.
func (v *Verifier) replayChain(pins *ring) (*Verified, *Error) {
	if n := len(v.cfg.KeyLists); n > MaxChain {
		return nil, refuse(Malformed, "have a pinned root key sign the newest key list", "%d key lists are stored: at most %d are read", n, MaxChain)
	}
	v.ring = pins
	var last *Verified
	for i, envelope := range v.cfg.KeyLists {
		next, refusal := v.openKeyList(envelope)
		if refusal == nil {
			refusal = v.checkAudience(next.Order) // Boot and nonce were those of the run that accepted it, see checkDelivered.
		}
		if refusal == nil && last != nil && next.Order.Sequence <= last.Order.Sequence {
			refusal = refuse(SequenceTooOld, "store the key lists oldest first",
				"sequence %d follows %d", next.Order.Sequence, last.Order.Sequence)
		}
		if refusal != nil {
			refusal.Detail = fmt.Sprintf("stored key list %d: %s", i+1, refusal.Detail)
			return nil, refusal
		}
		ring, err := newRing(next.Order.KeyList)
		if err != nil {
			return nil, &Error{Reason: Malformed, Detail: "the key list cannot be used", Err: err}
		}
		v.ring, last = ring, next
		v.chain = append(v.chain, slices.Clone(envelope))
	}
	v.last = last
	return last, nil
}

// checkNewer refuses a key list that is older than the one in force. The ledger does the same, but it does not know a
// list that came with the enrolment until that one has been committed.
func (v *Verifier) checkNewer(x *Verified) *Error {
	if x.Order.Kind != KindKeyList || v.last == nil || v.last.Digest == x.Digest || x.Order.Sequence > v.last.Order.Sequence {
		return nil
	}
	return refuse(SequenceTooOld, "sign it again with a higher sequence",
		"the key list has sequence %d: the one in force has %d", x.Order.Sequence, v.last.Order.Sequence)
}

// openKeyList verifies a key list against the ring in force and against itself, apart from audience and times.
func (v *Verifier) openKeyList(envelope []byte) (*Verified, *Error) {
	env, err := ParseEnvelope(envelope)
	if err != nil {
		return nil, asError(err)
	}
	pae := env.PAE()
	results := v.ring.check(env, pae)
	o, refusal := v.openPayload(env, results)
	if refusal != nil {
		return nil, refusal
	}
	if o.Kind != KindKeyList {
		return nil, refuse(Malformed, "give a key list", "found a %s: expected a key list", o.Kind)
	}
	if _, refusal := v.ring.judge(o.Kind, goodOnes(results), v.cfg.AllowDemo, nil); refusal != nil {
		return nil, refusal
	}
	if refusal := v.checkSelf(o.KeyList, env, pae); refusal != nil {
		return nil, refusal
	}
	return &Verified{Order: o, Digest: sha256.Sum256(env.Payload)}, nil
}

// checkSelf checks a new key list by its own rules as well: as many of its own root keys must have signed it as it
// demands, so that it can be replaced later, and none of those may be a demonstration key outside the demonstration.
func (v *Verifier) checkSelf(list *KeyList, env *Envelope, pae []byte) *Error {
	own, err := newRing(list)
	if err != nil {
		return &Error{Reason: Malformed, Detail: "the new key list cannot be used", Err: err}
	}
	results := own.check(env, pae)
	for _, s := range results {
		if s.err != nil && s.err.Reason == BadSignature {
			return s.err
		}
	}
	good := goodOnes(results)
	for _, s := range good {
		if s.key.Demo && !v.cfg.AllowDemo {
			return own.mayCount(KindKeyList, s, false, nil)
		}
	}
	if _, refusal := own.judge(KindKeyList, good, v.cfg.AllowDemo, nil); refusal != nil {
		refusal.Detail = "by the new list's own rules: " + refusal.Detail
		return refusal
	}
	return nil
}

// WithKeyList returns a verifier with a verified and committed key list in force, and no fault left. The receiver
// stays as it is.
func (v *Verifier) WithKeyList(x *Verified) (*Verifier, error) {
	if x.Order.Kind != KindKeyList {
		return nil, fmt.Errorf("found a %s: expected a key list", x.Order.Kind)
	}
	next := &Verifier{cfg: v.cfg, ledger: v.ledger}
	pins, err := pinnedRing(v.cfg.Roots, v.cfg.RequiredRoots)
	if err != nil {
		return nil, fmt.Errorf("roots: %w", err)
	}
	// The shortest chain that leads here: the new list alone when the pinned roots vouch for it.
	for _, chain := range [][][]byte{{x.envelope}, append(slices.Clone(v.chain), x.envelope)} {
		next.cfg.KeyLists, next.chain = chain, nil
		var refusal *Error
		if _, refusal = next.replayChain(pins); refusal == nil {
			return next, nil
		}
		err = refusal
	}
	return nil, err
}

// KeyList returns the key list in force, or nil. The caller must not change it.
func (v *Verifier) KeyList() *KeyList { return v.ring.list }

// InForce returns the key list in force as a verified order, or nil. Committing it makes the ledger know a list that the
// robot was enrolled with; for any other list that changes nothing.
func (v *Verifier) InForce() *Verified { return v.last }

// Chain returns the envelopes from which [NewVerifier] reaches the list in force: what to store, oldest first.
func (v *Verifier) Chain() [][]byte { return slices.Clone(v.chain) }

// Fault says why the robot takes nothing but stops and key lists, or nil.
func (v *Verifier) Fault() error {
	if v.fault == nil {
		return nil
	}
	return v.fault
}
