package authority

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/sha256"
	"crypto/subtle"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/robowarden/robowarden/attest/identity"
	"github.com/robowarden/robowarden/attest/internal/durable"
	"github.com/robowarden/robowarden/attest/order"
)

const (
	// maxRecord is the largest record in bytes.
	maxRecord = 256 << 10
	// maxInvitations is how many invitations of one robot may wait.
	maxInvitations = 8
	// maxCertificates is how many certificates of one holder may be valid at once.
	maxCertificates = 64
)

// record is all that is known of one holder of certificates.
type record struct {
	Role identity.Role `json:"role"`
	Name string        `json:"name"`
	// Keys are a robot's, nil until it is enrolled.
	Keys *keys `json:"keys,omitempty"`
	// Life is how long a certificate lasts, and Until when the enrolment ends by itself, zero if it does not.
	Life  time.Duration `json:"life,omitempty"`
	Until time.Time     `json:"until,omitzero"`
	// Revoked is the newest revocation: what was issued up to then does not count, nor do the keys of then.
	Revoked time.Time `json:"revoked,omitzero"`
	// Invitations wait for the robot, or were used by the keys that it has now.
	Invitations []invited `json:"invitations,omitempty"`
	// Certificates are those that have not run out, the newest last; Recovery are those of a robot's recovery.
	Certificates []issued `json:"certificates,omitempty"`
	Recovery     []issued `json:"recovery,omitempty"`
}

// keys are what a robot was enrolled with.
type keys struct {
	Tier order.Tier `json:"tier"`
	// EK and AK are public areas (TPMT_PUBLIC), nil without a TPM; Maker is the TPM's vendor and part.
	EK    []byte `json:"ek,omitempty"`
	Maker string `json:"maker,omitempty"`
	AK    []byte `json:"ak,omitempty"`
	// Key is the key that the robot works with, PKIX in DER: the device key, or the bound key.
	Key []byte `json:"key"`
	// Bound is the bound key's public area, Approver who approves its states (PKIX in DER) and Scope for whom; Recovery is the device
	// key then, PKIX in DER. Nil and "" of robots without one.
	Bound    []byte `json:"bound,omitempty"`
	Approver []byte `json:"approver,omitempty"`
	Scope    string `json:"scope,omitempty"`
	Recovery []byte `json:"recovery,omitempty"`
	// Since is when they were enrolled, and By the invitation's hash.
	Since time.Time `json:"since"`
	By    string    `json:"by"`
}

// same says whether these are the same keys, whenever they were enrolled.
func (k *keys) same(o *keys) bool {
	return k != nil && k.Tier == o.Tier && bytes.Equal(k.EK, o.EK) && bytes.Equal(k.AK, o.AK) && bytes.Equal(k.Key, o.Key) &&
		bytes.Equal(k.Bound, o.Bound) && bytes.Equal(k.Recovery, o.Recovery)
}

// invited is an invitation as the authority keeps it: without its secret.
type invited struct {
	Hash    string        `json:"hash"`
	Tier    order.Tier    `json:"tier"`
	Issued  time.Time     `json:"issued"`
	Expires time.Time     `json:"expires"`
	Life    time.Duration `json:"life"`
	Until   time.Time     `json:"until,omitzero"`
	// EK is the SHA-256 of the endorsement key's public area that must come, "" for any with a known vendor's certificate.
	EK string `json:"ek,omitempty"`
	// Approver (PKIX in DER) and Scope say to whose approvals the robot's key must be bound, nil and "" for a key that is not.
	Approver []byte `json:"approver,omitempty"`
	Scope    string `json:"scope,omitempty"`
}

// issued is one certificate.
type issued struct {
	DER     []byte    `json:"der"`
	At      time.Time `json:"at"`
	Revoked time.Time `json:"revoked,omitzero"`
}

func (i *issued) parse() (*x509.Certificate, error) { return x509.ParseCertificate(i.DER) }

// tokenHash is what the authority keeps of an invitation's secret.
func tokenHash(token string) string {
	sum := sha256.Sum256([]byte("robowarden/invitation/v1\x00" + token))
	return hex.EncodeToString(sum[:])
}

// invitation finds the one with this secret, nil if there is none.
func (r *record) invitation(token string) *invited {
	hash := tokenHash(token)
	for i := range r.Invitations {
		if subtle.ConstantTimeCompare([]byte(r.Invitations[i].Hash), []byte(hash)) == 1 {
			return &r.Invitations[i]
		}
	}
	return nil
}

// enrolled says whether these keys count: the robot's own, not revoked since, and not beyond their end.
func (r *record) enrolled(k *keys, now time.Time) error {
	switch {
	case r.Keys == nil:
		return errors.New("it is not enrolled")
	case !r.Keys.same(k):
		return errors.New("it is enrolled with other keys")
	case !r.Keys.Since.After(r.Revoked):
		return fmt.Errorf("it was revoked at %s", r.Revoked.Format(time.RFC3339))
	case !r.Until.IsZero() && !now.Before(r.Until):
		return fmt.Errorf("its enrolment ended at %s", r.Until.Format(time.RFC3339))
	}
	return nil
}

// lastOf is the newest of these certificates that counts for a key, nil if none does.
func lastOf(all []issued, key *ecdsa.PublicKey, now time.Time) *x509.Certificate {
	for _, c := range slices.Backward(all) {
		if !c.Revoked.IsZero() {
			continue
		}
		if cert, err := c.parse(); err == nil && key.Equal(cert.PublicKey) && now.Before(cert.NotAfter) {
			return cert
		}
	}
	return nil
}

// tidy drops what has run out.
func (r *record) tidy(now time.Time) {
	r.Invitations = slices.DeleteFunc(r.Invitations, func(i invited) bool { return !now.Before(i.Expires) })
	over := func(c issued) bool {
		cert, err := c.parse()
		return err == nil && now.After(cert.NotAfter)
	}
	r.Certificates, r.Recovery = slices.DeleteFunc(r.Certificates, over), slices.DeleteFunc(r.Recovery, over)
}

// revoke takes back, at a moment, which of the certificates have not been taken back before.
func (r *record) revoke(at time.Time, which func(*issued) bool) {
	for _, list := range [][]issued{r.Certificates, r.Recovery} {
		for i := range list {
			if c := &list[i]; c.Revoked.IsZero() && which(c) {
				c.Revoked = at
			}
		}
	}
}

// of are the certificates of the holder in a role: a robot's record keeps those of its recovery too, so that both are issued and
// taken back at once.
func (r *record) of(role identity.Role) *[]issued {
	if role == identity.RoleRecovery {
		return &r.Recovery
	}
	return &r.Certificates
}

// path is a holder's file.
func (a *Authority) path(role identity.Role, name string) (string, error) {
	if err := identity.CheckName(role, name); err != nil {
		return "", err
	}
	file := strings.NewReplacer("/", "+", ":", "=").Replace(name) // no name has a plus or an equals sign
	return filepath.Join(a.dir, dirRecords, string(role), file+".json"), nil
}

// load reads a record, an empty one if there is none.
func (a *Authority) load(role identity.Role, name string) (*record, error) {
	path, err := a.path(role, name)
	if err != nil {
		return nil, err
	}
	data, err := durable.Read(path, maxRecord)
	if errors.Is(err, fs.ErrNotExist) {
		return &record{Role: role, Name: name}, nil
	}
	if err != nil {
		return nil, err
	}
	r := &record{}
	if err := json.Unmarshal(data, r); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if r.Role != role || r.Name != name {
		return nil, fmt.Errorf("%s: is the record of %s %s", path, r.Role, r.Name)
	}
	return r, nil
}

// update changes a record: change sees it as it is, and what it leaves is durable before update returns. If it fails, nothing
// has changed.
func (a *Authority) update(role identity.Role, name string, change func(*record) error) error {
	unlock, err := lock(filepath.Join(a.dir, "lock"))
	if err != nil {
		return err
	}
	defer unlock()
	r, err := a.load(role, name)
	if err != nil {
		return err
	}
	r.tidy(a.now())
	if err := change(r); err != nil {
		return err
	}
	data, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	if len(data) >= maxRecord {
		return fmt.Errorf("the record of %s has %d bytes: at most %d are kept", name, len(data), maxRecord)
	}
	path, err := a.path(role, name)
	if err != nil {
		return err
	}
	a.step("record")
	if err := durable.Write(path, append(data, '\n'), 0o600); err != nil {
		return err
	}
	a.step("recorded")
	return nil
}

// each shows the records of a role, one after the other, until see fails: together they may be larger than memory.
func (a *Authority) each(role identity.Role, see func(*record) error) error {
	dir := filepath.Join(a.dir, dirRecords, string(role))
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if filepath.Ext(e.Name()) != ".json" { // what is being written ends otherwise; a name may begin with a dot
			continue
		}
		data, err := durable.Read(filepath.Join(dir, e.Name()), maxRecord)
		if err != nil {
			return err
		}
		r := &record{}
		if err := json.Unmarshal(data, r); err != nil {
			return fmt.Errorf("%s: %w", e.Name(), err)
		}
		if err := see(r); err != nil {
			return err
		}
	}
	return nil
}
