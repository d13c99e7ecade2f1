package artifact

import (
	"fmt"
	"slices"

	"github.com/robowarden/robowarden/attest/order"
)

// TrustOf returns whom a signed key list believes about artifacts: its keys with the role artifact and its authorities.
//
// A demonstration key never counts. The entry's time of validity is not judged: it says when the key may sign, and nothing proves when a bare key did. A key
// that must not count any more is taken out of the list.
func TrustOf(list *order.KeyList) (*Trust, error) {
	t := &Trust{}
	if list == nil {
		return t, nil
	}
	for i := range list.Keys {
		k := &list.Keys[i]
		if !slices.Contains(k.Roles, order.RoleArtifact) || k.Demo {
			continue
		}
		pub, _, err := order.ParseArtifactKey([]byte(k.PEM))
		if err != nil {
			return nil, fmt.Errorf("key list: key %s of %s: %w", k.ID, k.Person, err)
		}
		key, err := NewKey(k.Person, pub)
		if err != nil {
			return nil, fmt.Errorf("key list: key %s of %s: %w", k.ID, k.Person, err)
		}
		t.Keys = append(t.Keys, key)
	}
	for i := range list.Authorities {
		a := &list.Authorities[i]
		cert, err := a.Certificate()
		if err != nil {
			return nil, fmt.Errorf("key list: authority %s: %w", a.Name, err)
		}
		if a.Use == order.UseTimestamp {
			t.Timestamps = append(t.Timestamps, cert)
			continue
		}
		t.Authorities = append(t.Authorities, Authority{Name: a.Name, Root: cert, Identities: a.Identities})
	}
	return t, nil
}
