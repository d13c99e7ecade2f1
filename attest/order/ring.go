package order

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"encoding/asn1"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"time"

	"github.com/sigstore/sigstore/pkg/signature"
)

// ring is the keys of one key list, or of the pinned roots, ready to verify with. It does not change.
type ring struct {
	list   *KeyList // Nil for the pinned roots.
	keys   map[string]ringKey
	pinned int // How many pinned roots must sign, for the ring of the pinned roots.
}

type ringKey struct {
	Key
	verifier signature.Verifier
	der      bool // Signatures are ASN.1 DER.
}

// newRing prepares the keys of a list that has been checked.
func newRing(list *KeyList) (*ring, error) {
	r := &ring{list: list, keys: make(map[string]ringKey, len(list.Keys))}
	for i := range list.Keys {
		if list.Keys[i].onlyArtifacts() {
			continue // It signs no order and no document, and may be of a kind that none is signed with.
		}
		pub, err := ParsePublicKey([]byte(list.Keys[i].PEM))
		if err != nil {
			return nil, fmt.Errorf("keys[%d].pem: %w", i, err)
		}
		if err := r.add(list.Keys[i], pub); err != nil {
			return nil, fmt.Errorf("keys[%d].pem: %w", i, err)
		}
	}
	return r, nil
}

// pinnedRing prepares the root keys that the robot was enrolled with. They are not in a list yet, so each stands for
// a person of its own and does not run out.
func pinnedRing(roots []crypto.PublicKey, required int) (*ring, error) {
	if len(roots) == 0 || required > len(roots) {
		return nil, fmt.Errorf("found %d root keys: expected at least %d", len(roots), max(1, required))
	}
	r := &ring{keys: make(map[string]ringKey, len(roots)), pinned: max(1, required)}
	for i, pub := range roots {
		id, err := KeyID(pub)
		if err != nil {
			return nil, fmt.Errorf("root key %d: %w", i+1, err)
		}
		key := Key{
			ID: id, Person: fmt.Sprintf("root-%d", i+1), Roles: []Role{RoleRoot},
			NotAfter: time.Date(2200, 1, 1, 0, 0, 0, 0, time.UTC),
		}
		if err := r.add(key, pub); err != nil {
			return nil, fmt.Errorf("root key %d: %w", i+1, err)
		}
	}
	if len(r.keys) != len(roots) {
		return nil, errors.New("the same root key is given twice")
	}
	return r, nil
}

func (r *ring) add(key Key, pub crypto.PublicKey) error {
	var v signature.Verifier
	var err error
	switch k := pub.(type) {
	case *ecdsa.PublicKey:
		v, err = signature.LoadECDSAVerifier(k, crypto.SHA256)
	case ed25519.PublicKey:
		v, err = signature.LoadED25519Verifier(k)
	default:
		err = fmt.Errorf("keys of type %T cannot sign orders", pub)
	}
	if err != nil {
		return fmt.Errorf("loading the key: %w", err)
	}
	_, der := pub.(*ecdsa.PublicKey)
	r.keys[key.ID] = ringKey{Key: key, verifier: v, der: der}
	return nil
}

// required returns how many distinct persons must sign the kind.
func (r *ring) required(k Kind) int {
	if r.list == nil {
		return r.pinned
	}
	return r.list.Required(k)
}

// verify checks one signature over the pre-authentication encoding of an envelope.
func (k *ringKey) verify(pae, sig []byte) error {
	// sigstore also takes the bare r||s form. One signature shall have one form, that of FORMAT.md.
	if k.der {
		var parts struct{ R, S *big.Int }
		if rest, err := asn1.Unmarshal(sig, &parts); err != nil || len(rest) != 0 {
			return errors.New("the signature is not ASN.1 DER as ECDSA keys give it")
		}
	}
	return k.verifier.VerifySignature(bytes.NewReader(sig), bytes.NewReader(pae))
}

// signed is the result of checking one signature of an envelope.
type signed struct {
	keyID string
	key   *ringKey // Nil when the signature does not verify.
	err   *Error   // Nil when it does.
}

// goodOnes leaves the signatures that verify.
func goodOnes(all []signed) []signed {
	return slices.DeleteFunc(slices.Clone(all), func(s signed) bool { return s.key == nil })
}

// check checks every signature of an envelope against the ring.
func (r *ring) check(env *Envelope, pae []byte) []signed {
	out := make([]signed, 0, len(env.Signatures))
	for i, s := range env.Signatures {
		out = append(out, r.checkOne(i, s, pae))
	}
	return out
}

func (r *ring) checkOne(i int, s Signature, pae []byte) signed {
	key, ok := r.keys[s.KeyID]
	switch {
	case !ok && r.list == nil:
		return signed{keyID: s.KeyID, err: refuse(NoKeyList, "install a key list that a pinned root key has signed",
			"signature %d is by key %s, and no key list is in force that could name it", i+1, clip(s.KeyID))}
	case !ok:
		return signed{keyID: s.KeyID, err: refuse(UnknownKey, "sign with a listed key, or have a root key sign a key list that names it",
			"signature %d is by key %s, which the key list does not name", i+1, clip(s.KeyID))}
	}
	if err := key.verify(pae, s.Sig); err != nil {
		e := refuse(BadSignature, "the order was changed after signing, or another key signed: sign it again",
			"signature %d does not verify with key %s of %s", i+1, s.KeyID, key.Person)
		e.Err = err
		return signed{keyID: s.KeyID, err: e}
	}
	return signed{keyID: s.KeyID, key: &key}
}

// Signer is one key whose signature counted.
type Signer struct {
	// KeyID is the key's id.
	KeyID string
	// Person holds the key.
	Person string
	// Roles are those of the key that may sign this kind of order.
	Roles []Role
	// Demo marks a key for demonstrations.
	Demo bool
}

// judge decides who of the good signatures may sign the kind and whether they are enough persons. The times are nil
// when the keys' validity is not to be judged.
func (r *ring) judge(kind Kind, good []signed, allowDemo bool, inTime func(*Key) *Error) ([]Signer, *Error) {
	var signers []Signer
	var first *Error
	persons := map[string]bool{}
	for _, s := range good {
		err := r.mayCount(kind, s, allowDemo, inTime)
		if err != nil {
			if first == nil {
				first = err
			}
			continue
		}
		if slices.ContainsFunc(signers, func(o Signer) bool { return o.KeyID == s.keyID }) {
			continue
		}
		persons[s.key.Person] = true
		roles := slices.DeleteFunc(slices.Clone(s.key.Roles), func(x Role) bool { return !x.MaySign(kind) })
		signers = append(signers, Signer{KeyID: s.keyID, Person: s.key.Person, Roles: roles, Demo: s.key.Demo})
	}
	need := r.required(kind)
	switch {
	case len(signers) == 0 && first != nil:
		return nil, first
	case len(persons) < need:
		return nil, refuse(TooFewSigners, "have another person who may sign it add a signature",
			"%d of the %d persons needed have signed this %s", len(persons), need, kind)
	}
	return signers, nil
}

// mayCount says why a good signature does not count, or nil.
func (r *ring) mayCount(kind Kind, s signed, allowDemo bool, inTime func(*Key) *Error) *Error {
	switch {
	case s.key.Demo && !allowDemo:
		return refuse(DemoKey, "sign with a key of your own; keys marked demo work in the demonstration only",
			"key %s of %s is a demonstration key", s.keyID, s.key.Person)
	case !s.key.maySign(kind):
		return refuse(WrongRole, fmt.Sprintf("a %s needs one of %v", kind, rules[kind].signers),
			"%s has %v, none of which may sign a %s", s.key.Person, s.key.Roles, kind)
	case inTime != nil:
		return inTime(&s.key.Key)
	}
	return nil
}
