package authority

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/robowarden/robowarden/attest/identity"
	"github.com/robowarden/robowarden/attest/order"
	"github.com/robowarden/robowarden/attest/tpm"
)

// Challenge answers a robot with a riddle that only its own TPM can open, if somebody has invited it, or if it is enrolled with
// these very keys. What is wrong with the TPM is told only to whoever has the invitation.
func (a *Authority) Challenge(ask *identity.Ask) (*identity.Riddle, error) {
	now := a.now()
	r, err := a.load(identity.RoleRobot, ask.Robot)
	if err != nil {
		return nil, refuse("%w", err)
	}
	k, err := askedKeys(ask, now)
	if err != nil {
		return nil, refuse("%w", err)
	}
	i, err := r.admit(ask.Token, k, now)
	if err != nil {
		return nil, err
	}
	if err := r.bound(k, i); err != nil {
		return nil, err
	}
	if i != nil {
		if k.Maker, err = a.checkTPM(ask, i, now); err != nil {
			return nil, err
		}
	}
	secret := make([]byte, 32)
	_, _ = rand.Read(secret) // it never fails: crypto/rand ends the program instead
	cred, err := tpm.MakeCredential(ask.EK, ask.AK, secret)
	if err != nil {
		return nil, refuse("%w", err)
	}
	s, err := a.close(&session{Robot: ask.Robot, Token: ask.Token, Keys: *k, Device: ask.Device, Secret: secret, Expires: now.Add(sessionLife)})
	if err != nil {
		return nil, err
	}
	return &identity.Riddle{Session: s, Blob: cred.Blob, Secret: cred.Secret}, nil
}

// askedKeys are the keys that a robot with a TPM asks to be enrolled with. Their attributes are checked here: a key that signs
// anything could sign a made-up statement.
func askedKeys(ask *identity.Ask, now time.Time) (*keys, error) {
	ak, err := tpm.ParsePublic(ask.AK)
	if err == nil {
		err = ak.CheckAK()
	}
	if err != nil {
		return nil, fmt.Errorf("attestation key: %w", err)
	}
	device, err := tpm.ParsePublic(ask.Device)
	if err == nil {
		err = device.CheckDevice()
	}
	if err != nil {
		return nil, fmt.Errorf("device key: %w", err)
	}
	key, err := x509.MarshalPKIXPublicKey(device.Key())
	if err != nil {
		return nil, fmt.Errorf("device key: %w", err)
	}
	k := &keys{Tier: order.TierTPM, EK: ask.EK, AK: ask.AK, Key: key, Since: now.UTC()}
	if len(ask.Bound) == 0 {
		return k, nil
	}
	bound, err := tpm.ParsePublic(ask.Bound)
	if err != nil {
		return nil, fmt.Errorf("bound key: %w", err)
	}
	k.Bound, k.Recovery = ask.Bound, key
	if k.Key, err = x509.MarshalPKIXPublicKey(bound.Key()); err != nil {
		return nil, fmt.Errorf("bound key: %w", err)
	}
	return k, nil
}

// bound says whether a robot's key is bound as its invitation, or what it was enrolled with, says, and puts into the keys to whom. A
// robot whose key is not bound must not get by where it should be, nor one that is bound to somebody else.
func (r *record) bound(k *keys, i *invited) error {
	if i != nil {
		k.Approver, k.Scope = i.Approver, i.Scope
	} else if r.Keys != nil {
		k.Approver, k.Scope = r.Keys.Approver, r.Keys.Scope
	}
	switch {
	case len(k.Approver) == 0 && len(k.Bound) == 0:
		return nil
	case len(k.Approver) == 0:
		return refuse("%s: its key is bound to approved states, and the invitation names nobody who approves any: invite it with --approver, or take bound_key out of its deployment", r.Name)
	case len(k.Bound) == 0:
		return refuse("%s: the invitation is for a key that is bound to approved states of %s, and the robot's is not: give its deployment the section courier.bound_key", r.Name, k.Scope)
	}
	by, err := k.approver()
	if err != nil {
		return err
	}
	p, err := tpm.ParsePublic(k.Bound)
	if err == nil {
		err = p.CheckBound(by)
	}
	if err != nil {
		return refuse("bound key: %w: compare approver and class in the robot's deployment with the invitation's, scope %s", err, k.Scope)
	}
	return nil
}

// approver is to whose approvals the keys are bound.
func (k *keys) approver() (tpm.Approver, error) {
	key, err := x509.ParsePKIXPublicKey(k.Approver)
	if err != nil {
		return tpm.Approver{}, fmt.Errorf("approver: %w", err)
	}
	by, ok := key.(*ecdsa.PublicKey)
	if !ok {
		return tpm.Approver{}, fmt.Errorf("approver: found a key of type %T", key)
	}
	return tpm.Approver{Key: by, Scope: k.Scope}, nil
}

// admit says whether a robot may be enrolled with these keys: nil and nil if it is already, else by which invitation.
func (r *record) admit(token string, k *keys, now time.Time) (*invited, error) {
	already := r.enrolled(k, now)
	if already == nil && (k.Tier == order.TierTPM || r.Keys.By == tokenHash(token)) { // a TPM proves itself again each time
		return nil, nil
	}
	if token == "" {
		if already == nil {
			already = errors.New("it is enrolled by an invitation that it does not show")
		}
		return nil, refuse("%s: %w; it needs an invitation", r.Name, already)
	}
	i := r.invitation(token)
	switch {
	case i == nil:
		return nil, refuse("%s: no such invitation waits: it was used by another device, has run out, or was never made; ask for a new one", r.Name)
	case !now.Before(i.Expires):
		return nil, refuse("%s: the invitation ran out at %s: ask for a new one", r.Name, i.Expires.Format(time.RFC3339))
	case !i.Issued.After(r.Revoked):
		return nil, refuse("%s: it was revoked after the invitation was made", r.Name)
	case !i.Until.IsZero() && !now.Before(i.Until):
		return nil, refuse("%s: the enrolment would have ended at %s", r.Name, i.Until.Format(time.RFC3339))
	case i.Tier != k.Tier:
		return nil, refuse("%s: the invitation is for the tier %s, found %s", r.Name, i.Tier, k.Tier)
	}
	return i, nil
}

// checkTPM says whose TPM it is, and refuses one that nobody vouches for.
func (a *Authority) checkTPM(ask *identity.Ask, i *invited, now time.Time) (maker string, err error) {
	if i.EK != "" {
		if sum := sha256.Sum256(ask.EK); hex.EncodeToString(sum[:]) != i.EK {
			return "", refuse("endorsement key: found %x: the invitation is for %s", sum, i.EK)
		}
		return "pinned by the invitation", nil
	}
	if len(ask.EKCertificate) == 0 {
		return "", refuse("endorsement key: the TPM has no certificate: invite the robot with the key's digest (--ek %x) once you know that it is this TPM's",
			sha256.Sum256(ask.EK))
	}
	roots, between, err := a.vendors()
	if err != nil {
		return "", fmt.Errorf("vendors: %w", err)
	}
	for n, der := range ask.Chain { // only as what is between: the TPM's own word makes nobody a root
		c, err := x509.ParseCertificate(der)
		if err != nil || n >= identity.MaxChain {
			return "", refuse("endorsement key: the chain's certificate %d cannot be used (%w)", n+1, err)
		}
		between.AddCert(c)
	}
	m, err := tpm.VerifyEndorsement(tpm.Endorsement{Public: ask.EK, Certificate: ask.EKCertificate}, roots, between, now)
	if err != nil {
		return "", refuse("%w", err)
	}
	return fmt.Sprintf("%s %s", m.Vendor(), clip(m.Model)), nil
}

// Activate takes a robot's answer and returns its certificates: its own, and that of its recovery where its own key is bound. The
// secret has proven that endorsement key and attestation key are in one TPM, the statements that the others are in it too, and the
// request is the device key's for exactly this robot.
func (a *Authority) Activate(x *identity.Solution) ([]*x509.Certificate, error) {
	now := a.now()
	s, err := a.open(x.Session, now)
	if err != nil {
		return nil, err
	}
	if subtle.ConstantTimeCompare(s.Secret, x.Secret) != 1 {
		return nil, refuse("the secret is not the one in the credential: another TPM has answered")
	}
	ak, err := tpm.ParsePublic(s.Keys.AK)
	if err != nil {
		return nil, err
	}
	device, info, err := tpm.VerifyDevice(ak.Key(), tpm.Statement{Attest: x.Attest, Signature: x.Signature}, s.Device, identity.QualifyingData(x.Session, x.Request))
	if err != nil {
		return nil, refuse("%w", err)
	}
	if !bytes.Equal(info.QualifiedSigner, ak.EndorsementSigner()) {
		return nil, refuse("attestation key: it is not a primary key of the endorsement hierarchy")
	}
	role := identity.RoleRobot
	if len(s.Keys.Bound) > 0 {
		role = identity.RoleRecovery
	}
	key, err := identity.CheckRequest(x.Request, role, s.Robot)
	if err != nil {
		return nil, refuse("%w", err)
	}
	if !key.Equal(device.Key()) {
		return nil, refuse("certificate request: it is for another key than the one in the TPM")
	}
	if role == identity.RoleRobot {
		return a.enrol(s.Robot, s.Token, &s.Keys, key, nil)
	}
	by, err := s.Keys.approver()
	if err != nil {
		return nil, err
	}
	statement := tpm.Statement{Attest: x.BoundAttest, Signature: x.BoundSignature}
	bound, info, err := tpm.VerifyBound(ak.Key(), statement, s.Keys.Bound, by, identity.QualifyingData(x.Session, x.Request))
	if err != nil {
		return nil, refuse("bound key: %w", err)
	}
	if !bytes.Equal(info.QualifiedSigner, ak.EndorsementSigner()) {
		return nil, refuse("attestation key: it is not a primary key of the endorsement hierarchy")
	}
	main, ok := bound.Key().(*ecdsa.PublicKey)
	if !ok {
		return nil, refuse("bound key: found a key of type %T: expected ECDSA", bound.Key())
	}
	return a.enrol(s.Robot, s.Token, &s.Keys, main, key)
}

// Software enrols a robot without a TPM: whoever has the invitation and a key.
func (a *Authority) Software(robot, token string, request []byte) (*x509.Certificate, error) {
	if err := identity.CheckName(identity.RoleRobot, robot); err != nil {
		return nil, refuse("%w", err)
	}
	key, err := identity.CheckRequest(request, identity.RoleRobot, robot)
	if err != nil {
		return nil, refuse("%w", err)
	}
	der, err := x509.MarshalPKIXPublicKey(key)
	if err != nil {
		return nil, err
	}
	certs, err := a.enrol(robot, token, &keys{Tier: order.TierSoftwareKey, Key: der, Since: a.now().UTC()}, key, nil)
	if err != nil {
		return nil, err
	}
	return certs[0], nil
}

// enrol writes a robot's keys and its certificates, all or nothing: for the key that it works with, and for its recovery's unless that
// is nil.
func (a *Authority) enrol(robot, token string, k *keys, key, recovery *ecdsa.PublicKey) (certs []*x509.Certificate, err error) {
	err = a.update(identity.RoleRobot, robot, func(r *record) error {
		now := a.now()
		i, err := r.admit(token, k, now)
		if err != nil {
			return err
		}
		if err := r.bound(k, i); err != nil {
			return err
		}
		if i == nil {
			certs, err = a.both(r, key, recovery, now)
			return err
		}
		if err := a.elsewhere(robot, k); err != nil {
			return err
		}
		// A robot has one identity: what it was enrolled with before ends here.
		r.revoke(now.UTC(), func(*issued) bool { return true })
		k.Since, k.By = now.UTC(), i.Hash
		r.Keys, r.Life, r.Until = k, i.Life, i.Until
		r.Invitations = slices.DeleteFunc(r.Invitations, func(x invited) bool { return x.Hash == i.Hash })
		certs, err = a.both(r, key, recovery, now)
		return err
	})
	if err != nil {
		return nil, err
	}
	return certs, nil
}

// both hands out the certificates that a robot is to have now.
func (a *Authority) both(r *record, key, recovery *ecdsa.PublicKey, now time.Time) ([]*x509.Certificate, error) {
	main, err := a.renewed(r, identity.RoleRobot, key, now)
	if err != nil || recovery == nil {
		return []*x509.Certificate{main}, err
	}
	second, err := a.renewed(r, identity.RoleRecovery, recovery, now)
	return []*x509.Certificate{main, second}, err
}

// elsewhere refuses a TPM, or a key, that is another robot's.
func (a *Authority) elsewhere(robot string, k *keys) error {
	return a.each(identity.RoleRobot, func(r *record) error {
		same := r.Keys != nil && (bytes.Equal(r.Keys.Key, k.Key) || len(k.EK) > 0 && bytes.Equal(r.Keys.EK, k.EK))
		if same && r.Name != robot && r.enrolled(r.Keys, a.now()) == nil {
			return refuse("this TPM or key is that of %s: revoke that robot first if it has become another", r.Name)
		}
		return nil
	})
}

// Renew takes a robot's request over a connection that its own certificate has opened. The key stays the same: it is in the TPM.
func (a *Authority) Renew(peer *x509.Certificate, request []byte) (cert *x509.Certificate, err error) {
	robot, err := a.robotOf(peer)
	if err != nil {
		return nil, err
	}
	key, err := identity.CheckRequest(request, identity.RoleRobot, robot)
	if err != nil {
		return nil, refuse("%w", err)
	}
	if !key.Equal(peer.PublicKey) {
		return nil, refuse("certificate request: it is for another key than the robot's: a new key is enrolled by an invitation")
	}
	err = a.update(identity.RoleRobot, robot, func(r *record) error {
		now := a.now()
		if r.Keys != nil && r.Keys.Bound != nil {
			return refuse("%s: its key is bound: it proves its TPM instead, so that its recovery's certificate comes along", robot)
		}
		if err := r.enrolled(r.Keys, now); err != nil {
			return refuse("%s: %w", robot, err)
		}
		known := slices.ContainsFunc(r.Certificates, func(c issued) bool { return bytes.Equal(c.DER, peer.Raw) && c.Revoked.IsZero() })
		if !known {
			return refuse("%s: the certificate was revoked, or its keys were replaced", robot)
		}
		cert, err = a.renewed(r, identity.RoleRobot, key, now)
		return err
	})
	if err != nil {
		return nil, err
	}
	return cert, nil
}

// robotOf checks a robot's certificate and says whose it is.
func (a *Authority) robotOf(peer *x509.Certificate) (string, error) {
	pool := x509.NewCertPool()
	pool.AddCert(a.roots[identity.RoleRobot].cert)
	if _, err := peer.Verify(x509.VerifyOptions{Roots: pool, CurrentTime: a.now(), KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}); err != nil {
		return "", refuse("certificate: %w", err)
	}
	if ou := peer.Subject.OrganizationalUnit; len(ou) != 1 || ou[0] != string(identity.RoleRobot) {
		return "", refuse("certificate: it is for %q: expected a robot's own", ou)
	}
	if len(peer.Subject.Organization) != 1 {
		return "", refuse("certificate: expected one manufacturer, found %d", len(peer.Subject.Organization))
	}
	robot := peer.Subject.Organization[0] + "/" + peer.Subject.SerialNumber
	if err := identity.CheckName(identity.RoleRobot, robot); err != nil {
		return "", refuse("certificate: %w", err)
	}
	return robot, nil
}

// clip shortens foreign text.
func clip(s string) string {
	if len(s) > 64 {
		return s[:64] + "..."
	}
	return s
}
