package authority

import (
	"crypto"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/robowarden/robowarden/attest/identity"
	"github.com/robowarden/robowarden/attest/internal/durable"
	"github.com/robowarden/robowarden/attest/order"
)

const (
	// orderRoots is the file of the public keys whose key lists say who may revoke, PEM.
	orderRoots = "order-roots.pem"
	// dirRevocations keeps every revocation as it was signed.
	dirRevocations = "revocations"
)

// PinRoots says once whose key lists count here: the same root keys as on the robots.
func (a *Authority) PinRoots(text []byte) error {
	if _, err := order.ParsePublicKeys(text); err != nil {
		return fmt.Errorf("root keys: %w", err)
	}
	path := filepath.Join(a.dir, orderRoots)
	if _, err := os.Lstat(path); !errors.Is(err, os.ErrNotExist) {
		return errors.Join(fmt.Errorf("%s is there already: root keys are pinned once", path), err)
	}
	return durable.Write(path, text, 0o644)
}

// orderRoots are the root keys that were pinned.
func (a *Authority) orderRoots() ([]crypto.PublicKey, error) {
	text, err := durable.Read(filepath.Join(a.dir, orderRoots), maxFile)
	if err != nil {
		return nil, fmt.Errorf("who may revoke is not known here: pin the root keys with robowarden-station ca roots (%w)", err)
	}
	return order.ParsePublicKeys(text)
}

// Take verifies a signed revocation by a key list that the pinned roots have signed, keeps it, and lets it take effect. It may
// be taken again: nothing more comes of it.
func (a *Authority) Take(envelope, keyList []byte) (*order.Revocation, error) {
	roots, err := a.orderRoots()
	if err != nil {
		return nil, err
	}
	v, err := OpenRevocation(a.dir, envelope, keyList, roots, a.now())
	if err != nil {
		return nil, err
	}
	dir := filepath.Join(a.dir, dirRevocations)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	if err := durable.Write(filepath.Join(dir, fmt.Sprintf("%x.dsse.json", sha256.Sum256(envelope))), envelope, 0o600); err != nil {
		return nil, err
	}
	return v, a.Revoke(v)
}

// OpenRevocation verifies a signed revocation: the list is signed by one of the roots, is no older than the newest that the folder
// remembers, and names the revocation's signer as security or safety engineer now. The folder remembers the list.
func OpenRevocation(dir string, envelope, keyList []byte, roots []crypto.PublicKey, now time.Time) (*order.Revocation, error) {
	v, err := openKeyList(dir, keyList, roots, now)
	if err != nil {
		return nil, err
	}
	times := order.Times{Civil: now.UTC(), Trust: order.Trusted}
	payload, _, err := v.VerifyDocument(times, order.RevocationType, order.RoleSecurity, envelope)
	if err != nil {
		var other error
		if payload, _, other = v.VerifyDocument(times, order.RevocationType, order.RoleSafetyEngineer, envelope); other != nil {
			return nil, fmt.Errorf("revocation: %w", err)
		}
	}
	r, err := order.DecodeRevocation(payload)
	if err != nil {
		return nil, err
	}
	role, err := identity.ParseRole(r.Role)
	if err != nil {
		return nil, fmt.Errorf("revocation: %w", err)
	}
	if err := identity.CheckName(role, r.Name); err != nil {
		return nil, fmt.Errorf("revocation: %w", err)
	}
	return r, nil
}
