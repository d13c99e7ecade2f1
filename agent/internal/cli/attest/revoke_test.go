package attest

import (
	"crypto"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/robowarden/robowarden/attest/evidence"
	"github.com/robowarden/robowarden/attest/order"
	"github.com/robowarden/robowarden/attest/verifier"
)

// TestRevoke enrols a robot and takes revocations: a security officer's counts, an operator's and another robot's do not.
func TestRevoke(t *testing.T) {
	dir := t.TempDir()
	state := filepath.Join(dir, "state")
	soft := &evidence.Identity{Robot: robot, Tier: order.TierSoftwareKey, Key: must(order.GenerateKey(order.ECDSAP256))(t).Public()}
	identity := write(t, dir, "soft.json", must(soft.MarshalJSON())(t), 0o600)
	const anything = ": {any: true, why: a test}\n"
	values := write(t, dir, "soft.yaml", []byte("name: soft\ntier: software-key\nagent"+anything+"policy"+anything+"profile"+anything+"topics"+anything+"kernel"+anything), 0o600)
	if out, err := station(t.Context(), NewVerifier(), "enrol", identity, "--references", values, "--state-dir", state); err != nil {
		t.Fatal(out, err)
	}
	root, security, operator := must(order.GenerateKey(order.ECDSAP256))(t), must(order.GenerateKey(order.ECDSAP256))(t), must(order.GenerateKey(order.ECDSAP256))(t)
	from := time.Now().UTC().Truncate(time.Second).Add(-time.Hour)
	list := &order.KeyList{}
	for role, key := range map[order.Role]crypto.Signer{order.RoleRoot: root, order.RoleSecurity: security, order.RoleOperator: operator} {
		list.Keys = append(list.Keys, order.Key{
			ID: must(order.KeyID(key.Public()))(t), PEM: string(must(order.MarshalPublicKey(key.Public()))(t)), Person: string(role), Roles: []order.Role{role},
			NotBefore: from, NotAfter: from.Add(24 * time.Hour),
		})
	}
	signed := func(name string, sequence uint64) string {
		return write(t, dir, name, must(order.Sign(&order.Order{
			Kind: order.KindKeyList, ID: order.NewID(), Audience: []string{"group:ward-3"}, Sequence: sequence, NotBefore: from, NotAfter: from.Add(24 * time.Hour), Reason: "keys", KeyList: list,
		}, root))(t), 0o600)
	}
	older, keys := signed("older", 1), signed("keylist", 2)
	roots := write(t, dir, "roots.pem", must(order.MarshalPublicKey(root.Public()))(t), 0o600)
	revoke := func(role, name string, key crypto.Signer) (string, error) {
		r := &order.Revocation{Role: role, Name: name, Before: from, Reason: "stolen"}
		file := write(t, dir, "revocation", must(order.SignDocument(order.RevocationType, must(r.Encode())(t), key))(t), 0o600)
		return station(t.Context(), NewVerifier(), "revoke", file, "--keys", keys, "--roots", roots, "--state-dir", state)
	}
	for _, file := range []string{older, keys} {
		if out, err := station(t.Context(), NewVerifier(), "keylist", file, "--roots", roots, "--state-dir", state); err != nil || !strings.Contains(out, "sequence") {
			t.Fatal(out, err)
		}
	}
	store := must(verifier.OpenDir(state))(t)
	for name, f := range map[string]func() (string, error){
		"an operator's":  func() (string, error) { return revoke("robot", robot, operator) },
		"a person's":     func() (string, error) { return revoke("operator", "olga", security) },
		"nobody's robot": func() (string, error) { return revoke("robot", "olga", security) },
		"a list as order": func() (string, error) {
			return station(t.Context(), NewVerifier(), "revoke", keys, "--keys", keys, "--roots", roots, "--state-dir", state)
		},
		"with a list that was replaced": func() (string, error) {
			current := keys
			keys = older
			defer func() { keys = current }()
			return revoke("robot", robot, security)
		},
		"the replaced list": func() (string, error) {
			return station(t.Context(), NewVerifier(), "keylist", older, "--roots", roots, "--state-dir", state)
		},
		"without keys": func() (string, error) {
			return station(t.Context(), NewVerifier(), "revoke", keys, "--state-dir", state)
		},
	} {
		if out, err := f(); err == nil {
			t.Errorf("%s: %s", name, out)
		}
		if _, err := store.Robot(robot); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
	}
	for range 2 {
		if out, err := revoke("robot", robot, security); err != nil || !strings.Contains(out, "stolen") {
			t.Fatal(out, err)
		}
		if _, err := store.Robot(robot); !errors.Is(err, verifier.ErrNotEnrolled) {
			t.Fatalf("still enrolled: %v", err)
		}
	}
	if _, err := os.Stat(filepath.Join(state, "states", "unitree+g1-0007.json")); err != nil {
		t.Error("what is known about its TPM is gone")
	}
	if err := store.Revoke("x"); err == nil {
		t.Error("a path was taken")
	}
}
