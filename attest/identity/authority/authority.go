package authority

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/robowarden/robowarden/attest/evidence"
	"github.com/robowarden/robowarden/attest/identity"
	"github.com/robowarden/robowarden/attest/order"
	"github.com/robowarden/robowarden/attest/tpm"
)

// ErrRefused is wrapped by every answer that is a no: whoever asked is not entitled. Other errors are the authority's own
// trouble.
var ErrRefused = errors.New("refused")

// refuse is a no with its reason.
func refuse(format string, args ...any) error {
	return fmt.Errorf("%w: %w", ErrRefused, fmt.Errorf(format, args...))
}

// Limits of what may be asked for.
const (
	// MinLife and MaxLife bound how long a certificate lasts.
	MinLife = time.Minute
	MaxLife = 366 * 24 * time.Hour
	// MaxWait is how long an invitation may wait.
	MaxWait = 31 * 24 * time.Hour
)

// Authority is an open authority. Its methods may be called from many goroutines, and other processes may use the same folder.
type Authority struct {
	dir   string
	roots map[identity.Role]*root
	seal  cipher.AEAD
	now   func() time.Time
	step  func(string) // tests cut the authority off here
	lists lists
}

// Open opens an authority that Init has made. now is its clock; nil is the computer's.
func Open(dir string, now func() time.Time) (*Authority, error) {
	if now == nil {
		now = time.Now
	}
	a := &Authority{dir: dir, roots: map[identity.Role]*root{}, now: now, step: func(string) {}, lists: lists{kept: map[identity.Role]*list{}}}
	if info, err := os.Stat(filepath.Join(dir, dirRoots)); err != nil || !info.IsDir() {
		return nil, fmt.Errorf("%s is no authority's folder: make one with robowarden-station ca init (%w)", dir, err)
	}
	if err := addRecovery(dir, now()); err != nil {
		return nil, fmt.Errorf("root %s: %w", identity.RoleRecovery, err)
	}
	for _, role := range identity.Roles() {
		r, err := openRoot(dir, role)
		if err != nil {
			return nil, fmt.Errorf("root %s: %w", role, err)
		}
		a.roots[role] = r
	}
	// Sessions are sealed with a key of this run: those of an earlier one are asked anew.
	key := make([]byte, 32)
	_, _ = rand.Read(key) // it never fails: crypto/rand ends the program instead
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	if a.seal, err = cipher.NewGCM(block); err != nil {
		return nil, err
	}
	return a, nil
}

// Root is the root of a role.
func (a *Authority) Root(role identity.Role) *x509.Certificate {
	if r := a.roots[role]; r != nil {
		return r.cert
	}
	return nil
}

// InviteOptions say what an invitation is good for.
type InviteOptions struct {
	// Tier is what must keep the robot's key.
	Tier order.Tier
	// Wait is how long the invitation waits for the robot.
	Wait time.Duration
	// Life is how long each certificate lasts.
	Life time.Duration
	// Until ends the enrolment by itself, for test units; zero does not.
	Until time.Time
	// EK is the SHA-256 of the endorsement key's public area, hexadecimal, for a TPM without a certificate.
	EK string
	// Approver and Scope say to whose approvals the robot's key must be bound (see [tpm.Approver]); nil and "" for a key that is not.
	Approver *ecdsa.PublicKey
	Scope    string
}

func (o *InviteOptions) check(now time.Time) error {
	switch {
	case o.Tier != order.TierTPM && o.Tier != order.TierSoftwareKey:
		return fmt.Errorf("tier: found %q: expected %q or %q", o.Tier, order.TierTPM, order.TierSoftwareKey)
	case o.Wait <= 0 || o.Wait > MaxWait:
		return fmt.Errorf("the invitation waits for %v: expected more than 0 and at most %v", o.Wait, MaxWait)
	case o.Life < MinLife || o.Life > MaxLife:
		return fmt.Errorf("certificates last for %v: expected %v to %v", o.Life, MinLife, MaxLife)
	case !o.Until.IsZero() && !o.Until.After(now):
		return fmt.Errorf("the enrolment would end at %s, which is past", o.Until.Format(time.RFC3339))
	}
	if b, err := hex.DecodeString(o.EK); err != nil || o.EK != "" && (len(b) != 32 || o.Tier != order.TierTPM) {
		return errors.New("endorsement key: expected the SHA-256 of its public area in hexadecimal digits, of a robot with a TPM")
	}
	switch {
	case o.Approver == nil && o.Scope == "":
	case o.Tier != order.TierTPM:
		return errors.New("approver: a software key is bound to nothing: expected a robot with a TPM")
	case o.Approver == nil || o.Approver.Curve != elliptic.P256():
		return errors.New("approver: expected a key of ECDSA on P-256")
	default:
		return tpm.CheckScope(o.Scope)
	}
	return nil
}

// Invite makes an invitation for a robot and returns its secret, which the authority does not keep. Those that wait already stay
// good.
func (a *Authority) Invite(robot string, o InviteOptions) (token string, expires time.Time, err error) {
	now := a.now().UTC()
	if err := errors.Join(identity.CheckNew(identity.RoleRobot, robot), o.check(now)); err != nil {
		return "", time.Time{}, err
	}
	secret := make([]byte, identity.TokenBytes)
	_, _ = rand.Read(secret) // it never fails: crypto/rand ends the program instead
	token = hex.EncodeToString(secret)
	expires = now.Add(o.Wait)
	var approver []byte
	if o.Approver != nil {
		if o.Scope != robot && strings.Contains(o.Scope, "/") {
			return "", time.Time{}, fmt.Errorf("scope: found the robot %s: expected %s itself, or a class", o.Scope, robot)
		}
		if approver, err = x509.MarshalPKIXPublicKey(o.Approver); err != nil {
			return "", time.Time{}, fmt.Errorf("approver: %w", err)
		}
	}
	err = a.update(identity.RoleRobot, robot, func(r *record) error {
		if len(r.Invitations) >= maxInvitations {
			return fmt.Errorf("%d invitations wait for %s already: wait until they run out, or revoke the robot", len(r.Invitations), robot)
		}
		r.Invitations = append(r.Invitations, invited{
			Hash: tokenHash(token), Tier: o.Tier, Issued: now, Expires: expires, Life: o.Life, Until: o.Until.UTC(), EK: o.EK, Approver: approver, Scope: o.Scope,
		})
		return nil
	})
	if err != nil {
		return "", time.Time{}, err
	}
	return token, expires, nil
}

// sign issues a certificate of a role for a key and puts it into the holder's record.
func (a *Authority) sign(r *record, role identity.Role, key *ecdsa.PublicKey, life time.Duration, now time.Time) (*x509.Certificate, error) {
	if err := identity.CheckNew(role, r.Name); err != nil {
		return nil, refuse("%w", err)
	}
	root, list := a.roots[role], r.of(role)
	end := now.Add(life)
	if !r.Until.IsZero() && r.Until.Before(end) {
		end = r.Until
	}
	if root.cert.NotAfter.Before(end) {
		end = root.cert.NotAfter
	}
	if !end.After(now) {
		return nil, fmt.Errorf("a certificate from now would be over already, at %s", end.Format(time.RFC3339))
	}
	if len(*list) >= maxCertificates {
		return nil, refuse("%d certificates of %s are valid already, expected fewer than %d", len(*list), r.Name, maxCertificates)
	}
	template, err := identity.Template(role, r.Name, now, end)
	if err != nil {
		return nil, err
	}
	der, err := x509.CreateCertificate(rand.Reader, template, root.cert, key, root.key)
	if err != nil {
		return nil, err
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, err
	}
	*list = append(*list, issued{DER: der, At: now.UTC()})
	return cert, nil
}

// renewed is the certificate to hand out for a key: the newest once more while more than half of its life is left, so that
// whoever lost an answer gets the same again and nobody can pile them up; else a new one.
func (a *Authority) renewed(r *record, role identity.Role, key *ecdsa.PublicKey, now time.Time) (*x509.Certificate, error) {
	if c := lastOf(*r.of(role), key, now); c != nil && c.NotAfter.Sub(now) > c.NotAfter.Sub(c.NotBefore)/2 {
		return c, nil
	}
	return a.sign(r, role, key, r.Life, now)
}

// Issue signs a certificate request of somebody who is no robot, whose request somebody has carried here.
func (a *Authority) Issue(role identity.Role, name string, request []byte, life time.Duration) (*x509.Certificate, error) {
	if role == identity.RoleRobot || role == identity.RoleRecovery {
		return nil, errors.New("robots are enrolled: invite the robot instead")
	}
	if life < MinLife || life > MaxLife {
		return nil, fmt.Errorf("the certificate would last for %v: expected %v to %v", life, MinLife, MaxLife)
	}
	key, err := identity.CheckRequest(request, role, name)
	if err != nil {
		return nil, err
	}
	var cert *x509.Certificate
	err = a.update(role, name, func(r *record) error {
		cert, err = a.sign(r, role, key, life, a.now())
		return err
	})
	return cert, err
}

// Revoke takes back every certificate that was issued to somebody up to a moment, and the invitations of then. A robot's keys do
// not count any more either: it needs an invitation that was made after.
func (a *Authority) Revoke(v *order.Revocation) error {
	role, err := identity.ParseRole(v.Role)
	if err != nil {
		return err
	}
	if role == identity.RoleRecovery {
		return errors.New("revocation: a robot's recovery is revoked with the robot itself: give the role robot")
	}
	if now := a.now(); v.Before.After(now) {
		return fmt.Errorf("revocation: it is of %s, and now is %s: wait, or set the clock", v.Before.Format(time.RFC3339), now.UTC().Format(time.RFC3339))
	}
	return a.update(role, v.Name, func(r *record) error {
		if v.Before.After(r.Revoked) {
			r.Revoked = v.Before.UTC()
		}
		r.Invitations = slices.DeleteFunc(r.Invitations, func(i invited) bool { return !i.Issued.After(r.Revoked) })
		r.revoke(r.Revoked, func(c *issued) bool { return !c.At.After(r.Revoked) })
		return nil
	})
}

// Identity is what a verifier has to know about an enrolled robot, now vouched for by its TPM instead of by who carried it.
func (a *Authority) Identity(robot string) (*evidence.Identity, error) {
	r, err := a.load(identity.RoleRobot, robot)
	if err != nil {
		return nil, err
	}
	if err := r.enrolled(r.Keys, a.now()); err != nil {
		return nil, fmt.Errorf("%s: %w", robot, err)
	}
	key, err := x509.ParsePKIXPublicKey(r.Keys.Key)
	if err != nil {
		return nil, err
	}
	i := &evidence.Identity{Robot: robot, Tier: r.Keys.Tier, AK: r.Keys.AK, Key: key}
	if r.Keys.Recovery != nil {
		if i.Recovery, err = x509.ParsePKIXPublicKey(r.Keys.Recovery); err != nil {
			return nil, err
		}
	}
	return i, nil
}
