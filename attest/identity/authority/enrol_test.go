package authority

import (
	"bytes"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/robowarden/robowarden/attest/identity"
	"github.com/robowarden/robowarden/attest/identity/enrol"
	"github.com/robowarden/robowarden/attest/order"
	"github.com/robowarden/robowarden/attest/tpm"
)

// TestLife is a robot's life at the authority: enrolled, idle, renewed, switched off for too long, revoked, invited anew.
func TestLife(t *testing.T) {
	v := newVendor(t, "vendor")
	s := newSite(t, v)
	m := newMachine(t)
	v.certify(t, m)
	d := s.newDevice(m)
	if _, err := d.run(nil); err == nil || !strings.Contains(err.Error(), enrol.ErrNoInvitation.Error()) {
		t.Fatal(err)
	}
	first := d.enrolled(s.invite(robot, nil), enrol.Enrolled)
	if first.Subject.String() != "SERIALNUMBER=g1-0007,CN=unitree:g1-0007,OU=robot,O=unitree" || !first.Equal(d.on()) {
		t.Errorf("%s", first.Subject)
	}
	if state := must(os.ReadFile(filepath.Join(d.dir, "enrolment", "enrolment.json")))(t); bytes.Contains(state, []byte("secret")) {
		t.Errorf("the secret is still there: %s", state)
	}
	if roots := must(identity.ParsePEM(must(os.ReadFile(filepath.Join(d.dir, "broker-ca.pem")))(t)))(t); !roots[0].Equal(s.a.Root(identity.RoleServer)) {
		t.Errorf("roots %s", roots[0].Subject)
	}
	d.enrolled(nil, enrol.Nothing)
	s.clock.wait(59 * 24 * time.Hour)
	d.enrolled(nil, enrol.Nothing)
	s.clock.wait(2 * 24 * time.Hour) // two thirds of 90 days
	second := d.enrolled(nil, enrol.Renewed)
	if !second.NotAfter.After(first.NotAfter) || second.SerialNumber.Cmp(first.SerialNumber) == 0 {
		t.Errorf("renewed until %v", second.NotAfter)
	}
	d.enrolled(nil, enrol.Nothing)
	s.clock.wait(200 * 24 * time.Hour) // in a store room: the certificate has run out, the TPM is still the same
	third := d.enrolled(nil, enrol.Enrolled)
	identityOf := must(s.a.Identity(robot))(t)
	if !bytes.Equal(identityOf.AK, d.t.AKPublic()) || identityOf.Tier != order.TierTPM {
		t.Errorf("%+v", identityOf)
	}
	revoke(t, s, robot)
	s.clock.wait(61 * 24 * time.Hour)
	d.refused(nil, "revoked")
	if _, err := s.a.Identity(robot); err == nil {
		t.Error("a verifier is told of a revoked robot")
	}
	if got := revoked(t, s); len(got) != 1 || got[0] != third.SerialNumber.String() {
		t.Errorf("revoked %v, expected %v", got, third.SerialNumber)
	}
	d.enrolled(s.invite(robot, nil), enrol.Enrolled)
	d.enrolled(nil, enrol.Nothing)
}

// revoke takes back what a robot has, now.
func revoke(t *testing.T, s *site, name string) {
	t.Helper()
	if err := s.a.Revoke(&order.Revocation{Role: "robot", Name: name, Before: s.clock.now().UTC().Add(time.Second).Truncate(time.Second), Reason: "stolen"}); err == nil {
		t.Fatal("a revocation of the future was taken")
	}
	s.clock.wait(2 * time.Second)
	if err := s.a.Revoke(&order.Revocation{Role: "robot", Name: name, Before: s.clock.now().UTC().Truncate(time.Second), Reason: "stolen"}); err != nil {
		t.Fatal(err)
	}
	s.clock.wait(2 * time.Second)
}

// revoked are the serial numbers on the list of robots.
func revoked(t *testing.T, s *site) []string {
	t.Helper()
	list := must(x509.ParseRevocationList(must(s.a.CRL(identity.RoleRobot))(t)))(t)
	if err := list.CheckSignatureFrom(s.a.Root(identity.RoleRobot)); err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, e := range list.RevokedCertificateEntries {
		out = append(out, e.SerialNumber.String())
	}
	return out
}

// TestTestUnitsEndByThemselves enrols a robot until a day: no certificate goes beyond, and none comes after.
func TestTestUnitsEndByThemselves(t *testing.T) {
	v := newVendor(t, "vendor")
	s := newSite(t, v)
	m := newMachine(t)
	v.certify(t, m)
	d := s.newDevice(m)
	until := s.clock.now().Add(72 * time.Hour)
	c := d.enrolled(s.invite(robot, func(o *InviteOptions) { o.Life, o.Until = 48*time.Hour, until }), enrol.Enrolled)
	if c.NotAfter.Sub(until) > -23*time.Hour {
		t.Errorf("the first ends at %v", c.NotAfter)
	}
	s.clock.wait(40 * time.Hour)
	if c = d.enrolled(nil, enrol.Renewed); c.NotAfter.After(until) {
		t.Errorf("ends at %v, expected %v", c.NotAfter, until)
	}
	s.clock.wait(33 * time.Hour)
	d.refused(nil, "its enrolment ended")
}

// TestInvitationsCountOnce gives one robot's invitation to others, and late.
func TestInvitationsCountOnce(t *testing.T) {
	v := newVendor(t, "vendor")
	s := newSite(t, v)
	ma, mb := newMachine(t), newMachine(t)
	v.certify(t, ma)
	v.certify(t, mb)
	a, b := s.newDevice(ma), s.newDevice(mb)
	i := s.invite(robot, nil)
	first := a.enrolled(i, enrol.Enrolled)
	if again := a.enrolled(i, enrol.Enrolled); !again.Equal(first) { // whoever lost the answer gets the same
		t.Error("the same robot got another certificate")
	}
	b.refused(i, "used by another device")
	late := s.invite(robot, nil)
	s.clock.wait(time.Hour)
	b.refused(late, "the invitation ran out")
	if err := os.RemoveAll(b.dir); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(b.dir, 0o700); err != nil {
		t.Fatal(err)
	}
	b.name = "unitree/g1-0008"
	other := s.invite("unitree/g1-0008", nil)
	other.Robot = robot // an invitation for another serial
	b.name = robot
	b.refused(other, "no such invitation waits")
	revokedBefore := s.invite(robot, nil)
	revoke(t, s, robot)
	b.refused(revokedBefore, "no such invitation waits")
	// A mainboard is replaced: what was there before ends.
	b.enrolled(s.invite(robot, nil), enrol.Enrolled)
	c := s.record(robot)
	if n := len(c.Certificates); n != 2 || c.Certificates[0].Revoked.IsZero() || !c.Certificates[1].Revoked.IsZero() {
		t.Errorf("%+v", c.Certificates)
	}
	s.clock.wait(61 * 24 * time.Hour)
	a.refused(nil, "")
	b.enrolled(nil, enrol.Renewed)
}

// TestTPMsThatAreRefused are unknown vendors', without a certificate, or another robot's.
func TestTPMsThatAreRefused(t *testing.T) {
	v, stranger := newVendor(t, "vendor"), newVendor(t, "Stranger Silicon")
	s := newSite(t, v)
	ma, mb, mc := newMachine(t), newMachine(t), newMachine(t)
	v.certify(t, ma)
	stranger.certify(t, mb)
	a, b, c := s.newDevice(ma), s.newDevice(mb), s.newDevice(mc)
	b.refused(s.invite(robot, nil), `AMD (id:414D4400), issuer \"CN=Stranger Silicon\"`)
	c.refused(s.invite(robot, nil), "the TPM has no certificate")
	c.refused(s.invite(robot, func(o *InviteOptions) { o.EK = strings.Repeat("00", 32) }), "the invitation is for 0000")
	sum := sha256.Sum256(must(c.t.Endorsement())(t).Public)
	c.enrolled(s.invite(robot, func(o *InviteOptions) { o.EK = hex.EncodeToString(sum[:]) }), enrol.Enrolled)
	a.enrolled(s.invite(robot, nil), enrol.Enrolled)
	a2 := s.newDevice(ma)
	a2.name = "unitree/g1-0008"
	a2.refused(s.invite("unitree/g1-0008", nil), "this TPM or key is that of "+robot)
	revoke(t, s, robot)
	a2.enrolled(s.invite("unitree/g1-0008", nil), enrol.Enrolled)
}

// TestClonedDisk takes the disk of an enrolled robot to another TPM, and to none.
func TestClonedDisk(t *testing.T) {
	v := newVendor(t, "vendor")
	s := newSite(t, v)
	ma, mb := newMachine(t), newMachine(t)
	v.certify(t, ma)
	v.certify(t, mb)
	a, b := s.newDevice(ma), s.newDevice(mb)
	a.enrolled(s.invite(robot, nil), enrol.Enrolled)
	if err := os.CopyFS(filepath.Join(b.dir), os.DirFS(a.dir)); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(filepath.Join(b.dir, "enrolment", "enrolment.json"), 0o600); err != nil {
		t.Fatal(err)
	}
	b.refused(nil, "it is enrolled with other keys")
	soft := *b
	soft.t, soft.m = nil, nil
	soft.key = must(tpm.CreateSoftware(filepath.Join(b.dir, "device.key.pem")))(t)
	soft.refused(nil, enrol.ErrNoInvitation.Error())
	a.enrolled(nil, enrol.Nothing)
}

// TestSoftwareKeys are enrolled only where somebody has said so, and never in a TPM's place.
func TestSoftwareKeys(t *testing.T) {
	s := newSite(t)
	d := &device{s: s, dir: t.TempDir(), name: robot}
	d.key = must(tpm.CreateSoftware(filepath.Join(d.dir, "device.key.pem")))(t)
	strong := s.invite(robot, nil)
	d.refused(strong, "it is for the tier tpm")
	strong.Tier = order.TierSoftwareKey
	d.refused(strong, "the invitation is for the tier tpm, found software-key")
	i := s.invite(robot, func(o *InviteOptions) { o.Tier = order.TierSoftwareKey })
	first := d.enrolled(i, enrol.Enrolled)
	if again := d.enrolled(i, enrol.Enrolled); !again.Equal(first) {
		t.Error("the same robot got another certificate")
	}
	wrong := *i
	wrong.Token = strings.Repeat("00", 32)
	d.refused(&wrong, "no such invitation waits")
	d.enrolled(i, enrol.Enrolled)
	s.clock.wait(61 * 24 * time.Hour)
	d.enrolled(nil, enrol.Renewed)
	if got := must(s.a.Identity(robot))(t); got.Tier != order.TierSoftwareKey || got.AK != nil {
		t.Errorf("%+v", got)
	}
	s.clock.wait(100 * 24 * time.Hour)
	d.refused(nil, "has run out")
}
