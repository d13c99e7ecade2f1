package authority

import (
	"crypto/rand"
	"crypto/x509"
	"errors"
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

// software says that an invitation is for a robot without a TPM.
func software(o *InviteOptions) { o.Tier = order.TierSoftwareKey }

// TestNamesThatBeginWithADot enrols holders whose names begin with a dot: they are listed, their keys are not another's, and what
// is taken back from them is on the list.
func TestNamesThatBeginWithADot(t *testing.T) {
	s := newSite(t)
	d := &device{s: s, dir: t.TempDir(), name: ".x/1"}
	d.key = must(tpm.CreateSoftware(filepath.Join(d.dir, "device.key.pem")))(t)
	c := d.enrolled(s.invite(d.name, software), enrol.Enrolled)
	request := must(x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{Subject: identity.Subject(identity.RoleOperator, ".ops")}, must(order.GenerateKey(order.ECDSAP256))(t)))(t)
	must(s.a.Issue(identity.RoleOperator, ".ops", request, time.Hour))(t)
	// A file that a power cut has left is nobody's record.
	if err := os.WriteFile(filepath.Join(s.dir, dirRecords, "robot", ".unitree+g1.json.new-1"), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, h := range must(s.a.List())(t) {
		names = append(names, h.Name)
	}
	if got := strings.Join(names, " "); got != ".x/1 .ops" {
		t.Errorf("listed: %q", got)
	}
	other := &device{s: s, dir: t.TempDir(), name: robot, key: d.key}
	other.refused(s.invite(robot, software), "is that of .x/1")
	revoke(t, s, d.name)
	if got := revoked(t, s); len(got) != 1 || got[0] != c.SerialNumber.String() {
		t.Errorf("revoked %v, expected %v", got, c.SerialNumber)
	}
}

// TestOneCommonNameIsOneRobot asks for two robots that a broker could not tell apart: one of them gets no certificate, and can still
// be revoked.
func TestOneCommonNameIsOneRobot(t *testing.T) {
	const twin = "a:b/c"
	s := newSite(t)
	options := InviteOptions{Tier: order.TierSoftwareKey, Wait: time.Hour, Life: time.Hour}
	if _, _, err := s.a.Invite(twin, options); err == nil || !strings.Contains(err.Error(), "without a colon") {
		t.Fatalf("%s is invited: %v", twin, err)
	}
	if _, _, err := s.a.Invite("a/b:c", options); err != nil {
		t.Fatal(err)
	}
	// An earlier authority has invited it.
	token := strings.Repeat("0a", 32)
	if err := s.a.update(identity.RoleRobot, twin, func(r *record) error {
		now := s.clock.now()
		r.Invitations = []invited{{Hash: tokenHash(token), Tier: order.TierSoftwareKey, Issued: now, Expires: now.Add(time.Hour), Life: time.Hour}}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	request := must(identity.Request(must(order.GenerateKey(order.ECDSAP256))(t), identity.RoleRobot, twin))(t)
	if c, err := s.a.Software(twin, token, request); !errors.Is(err, ErrRefused) || !strings.Contains(err.Error(), "without a colon") {
		t.Fatalf("%+v, %v", c, err)
	}
	revoke(t, s, twin)
	if n := len(s.record(twin).Invitations); n != 0 {
		t.Errorf("%d invitations wait", n)
	}
}
