package order

import (
	"slices"
	"time"
)

// KeyList is the body of a key list: whom the robot believes, and for what.
//
// A key whose entry has run out still vouches for policy sets that were accepted while it was valid; a key that is
// taken out of the list does not: what it signed no longer loads.
type KeyList struct {
	// Keys are the entries. At least one has the role root.
	Keys []Key
	// RequiredSigners raises the number of distinct persons that must sign a kind; a kind that is missing needs one.
	// Stops always need one.
	RequiredSigners map[Kind]int
	// Authorities are whose certificates and timestamps count for artifacts.
	Authorities []Authority
}

// Key is one entry of a key list.
type Key struct {
	// ID is the key's fingerprint as OpenSSH writes it; it follows from PEM. See [KeyID].
	ID string
	// PEM is the public key, PKIX in PEM.
	PEM string
	// Person names who holds the key, 1 to 64 of a-z, 0-9 and ".-_@". Keys of one person never count twice.
	Person string
	// Roles says what the person does.
	Roles []Role
	// NotBefore and NotAfter bound the time in which the key may sign, in UTC, whole seconds.
	NotBefore, NotAfter time.Time
	// Demo marks a key that anybody may know. It is refused outside a demonstration.
	Demo bool
}

// Required returns how many distinct persons must sign an order of the kind.
func (l *KeyList) Required(k Kind) int {
	if l == nil || k == KindStop {
		return 1
	}
	return max(1, l.RequiredSigners[k])
}

// Find returns the entry of a key id, or nil.
func (l *KeyList) Find(id string) *Key {
	if l == nil {
		return nil
	}
	for i := range l.Keys {
		if l.Keys[i].ID == id {
			return &l.Keys[i]
		}
	}
	return nil
}

// onlyArtifacts says whether the key signs artifacts and nothing else.
func (k *Key) onlyArtifacts() bool { return len(k.Roles) == 1 && k.Roles[0] == RoleArtifact }

// fingerprint computes the key's id, and says why the key cannot have its roles.
func (k *Key) fingerprint() (string, error) {
	if k.onlyArtifacts() {
		_, id, err := ParseArtifactKey([]byte(k.PEM))
		return id, err
	}
	pub, err := ParsePublicKey([]byte(k.PEM))
	if err != nil {
		return "", err
	}
	return KeyID(pub)
}

// maySign reports whether one of the key's roles may sign the kind.
func (k *Key) maySign(kind Kind) bool {
	return slices.ContainsFunc(k.Roles, func(r Role) bool { return r.MaySign(kind) })
}
