package authority

import (
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/robowarden/robowarden/attest/identity"
	"github.com/robowarden/robowarden/attest/internal/durable"
)

const (
	// crlLife is how long a revocation list counts. Brokers refuse everybody once it has run out, so it is long; it is written anew
	// with each revocation and each day.
	crlLife = 30 * 24 * time.Hour
	// crlKept is how long a list is handed out again while no record changes.
	crlKept = time.Hour
	// crlSettled is how long the records must have rested for a list of them to be kept: within one tick of the file system's clock
	// a second change would not show.
	crlSettled = 2 * time.Second
)

// lists are the revocation lists that were signed last. Anybody may ask for one, so one is made at a time, and no more than needed.
type lists struct {
	mu   sync.Mutex
	kept map[identity.Role]*list
}

// list is one role's.
type list struct {
	der []byte
	// at is when it was signed, by the authority's clock, and of when a record had changed last, by the file system's.
	at, of time.Time
}

// fresh says whether nothing can have changed since.
func (l *list) fresh(of, now time.Time) bool {
	return l != nil && l.of.Equal(of) && !now.Before(l.at) && now.Sub(l.at) < crlKept
}

// CRL is the list of a role's certificates that were taken back and have not run out, in DER, to be read only. It is at most an hour
// old, and no older than the newest change of a record by this process or another.
func (a *Authority) CRL(role identity.Role) ([]byte, error) {
	if a.roots[role] == nil {
		return nil, fmt.Errorf("role: found %q", role)
	}
	a.lists.mu.Lock()
	defer a.lists.mu.Unlock()
	// A record is replaced whole, which changes its folder. Looked at before the records: what changes meanwhile shows next time.
	folder, err := os.Stat(filepath.Join(a.dir, dirRecords, string(kept(role)))) //nolint:gosec // one of the roles
	if err != nil {
		return nil, err
	}
	of, now := folder.ModTime(), a.now()
	if l := a.lists.kept[role]; l.fresh(of, now) {
		return l.der, nil
	}
	settled := time.Since(of) >= crlSettled
	der, err := a.signCRL(role, now)
	if err != nil {
		return nil, err
	}
	delete(a.lists.kept, role)
	if settled {
		a.lists.kept[role] = &list{der: der, at: now, of: of}
	}
	return der, nil
}

// kept is the role in whose records a role's certificates are.
func kept(role identity.Role) identity.Role {
	if role == identity.RoleRecovery {
		return identity.RoleRobot
	}
	return role
}

// signCRL reads the records and signs their list.
func (a *Authority) signCRL(role identity.Role, now time.Time) ([]byte, error) {
	a.step("list")
	now = now.UTC().Truncate(time.Second)
	out := &x509.RevocationList{Number: big.NewInt(now.Unix()), ThisUpdate: now.Add(-5 * time.Minute), NextUpdate: now.Add(crlLife)}
	err := a.each(kept(role), func(r *record) error {
		list := *r.of(role)
		for i := range list {
			c := &list[i]
			if c.Revoked.IsZero() {
				continue
			}
			cert, err := c.parse()
			if err != nil {
				// A list without it would let its holder in again, and nobody would know.
				return fmt.Errorf("the record of %s %s holds a revoked certificate (number %d, revoked at %s) that cannot be read: %w: "+
					"put the record back from a copy; no list is signed until then", role, r.Name, i+1, c.Revoked.Format(time.RFC3339), err)
			}
			if now.After(cert.NotAfter) {
				continue
			}
			out.RevokedCertificateEntries = append(out.RevokedCertificateEntries, x509.RevocationListEntry{
				SerialNumber: cert.SerialNumber, RevocationTime: c.Revoked.Truncate(time.Second),
			})
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return x509.CreateRevocationList(rand.Reader, out, a.roots[role].cert, a.roots[role].key)
}

// WriteCRL puts a role's list, in PEM, in the place of the one before.
func (a *Authority) WriteCRL(role identity.Role, path string) error {
	der, err := a.CRL(role)
	if err != nil {
		return err
	}
	return durable.Write(path, pem.EncodeToMemory(&pem.Block{Type: "X509 CRL", Bytes: der}), 0o644)
}
