package authority

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/robowarden/robowarden/attest/identity"
	"github.com/robowarden/robowarden/attest/identity/enrol"
	"github.com/robowarden/robowarden/attest/order"
	"github.com/robowarden/robowarden/attest/tpm"
)

// newApprover is somebody who approves states.
func newApprover(tb testing.TB) *ecdsa.PrivateKey {
	tb.Helper()
	key, ok := must(order.GenerateKey(order.ECDSAP256))(tb).(*ecdsa.PrivateKey)
	if !ok {
		tb.Fatal("not ECDSA")
	}
	return key
}

// bind has the device's key bound, and gives what an invitation needs for it.
func (d *device) bind(key *ecdsa.PrivateKey, scope string) func(*InviteOptions) {
	d.to = &tpm.Approver{Key: &key.PublicKey, Scope: scope}
	return func(o *InviteOptions) { o.Approver, o.Scope = d.to.Key, d.to.Scope }
}

// recovery is the certificate in the file of the robot's recovery.
func (d *device) recovery() *x509.Certificate {
	d.s.tb.Helper()
	return must(identity.ParsePEM(must(os.ReadFile(filepath.Join(d.dir, "recovery.pem")))(d.s.tb)))(d.s.tb)[0]
}

// TestBoundEnrolment enrols a robot whose key is bound, in a state that nobody has approved yet: it gets both certificates, which
// are renewed and taken back together.
func TestBoundEnrolment(t *testing.T) {
	v := newVendor(t, "vendor")
	s := newSite(t, v)
	m := newMachine(t)
	v.certify(t, m)
	d := s.newDevice(m)
	approver := newApprover(t)
	main := d.enrolled(s.invite(robot, d.bind(approver, "g1")), enrol.Enrolled)
	recovery := d.recovery()
	bound := must(d.t.Bound(*d.to, nil))(t)
	if !bound.Public().(*ecdsa.PublicKey).Equal(main.PublicKey) || !d.t.Device().Public().(*ecdsa.PublicKey).Equal(recovery.PublicKey) {
		t.Error("the certificates are for other keys")
	}
	if got := recovery.Subject.String(); !strings.Contains(got, "OU=robot-recovery") || !strings.Contains(got, "CN=recovery@unitree:g1-0007") {
		t.Errorf("recovery is %s", got)
	}
	if main.Subject.CommonName != "unitree:g1-0007" {
		t.Errorf("the robot is %s", main.Subject)
	}
	for _, c := range []struct {
		leaf *x509.Certificate
		role identity.Role
		ok   bool
	}{{main, identity.RoleRobot, true}, {recovery, identity.RoleRecovery, true}, {recovery, identity.RoleRobot, false}, {main, identity.RoleRecovery, false}} {
		if err := c.leaf.CheckSignatureFrom(s.a.Root(c.role)); (err == nil) != c.ok {
			t.Errorf("%s by the root of %s: %v", c.leaf.Subject, c.role, err)
		}
	}
	i := must(s.a.Identity(robot))(t)
	if !bound.Public().(*ecdsa.PublicKey).Equal(i.Key) || !d.t.Device().Public().(*ecdsa.PublicKey).Equal(i.Recovery) {
		t.Error("a verifier is told other keys")
	}
	d.enrolled(nil, enrol.Nothing)
	s.clock.wait(monthsLater)
	d.enrolled(nil, enrol.Renewed)
	if d.on().Equal(main) || d.recovery().Equal(recovery) {
		t.Error("they were not renewed together")
	}
	revoke(t, s, robot)
	for role, want := range map[identity.Role]*x509.Certificate{identity.RoleRobot: d.on(), identity.RoleRecovery: d.recovery()} {
		list := must(x509.ParseRevocationList(must(s.a.CRL(role))(t)))(t)
		if list.CheckSignatureFrom(s.a.Root(role)) != nil || !slices.ContainsFunc(list.RevokedCertificateEntries, func(e x509.RevocationListEntry) bool {
			return e.SerialNumber.Cmp(want.SerialNumber) == 0
		}) {
			t.Errorf("the list of %s does not take the certificate back", role)
		}
	}
	s.clock.wait(monthsLater)
	d.refused(nil, "revoked")
}

// TestBoundOrNot: the invitation says whether the key is bound, and to whom; nothing else is enrolled.
func TestBoundOrNot(t *testing.T) {
	v := newVendor(t, "vendor")
	s := newSite(t, v)
	m := newMachine(t)
	v.certify(t, m)
	approver, stranger := newApprover(t), newApprover(t)
	d := s.newDevice(m)
	fresh := func() *device { return &device{s: s, dir: t.TempDir(), name: robot, m: m, t: d.t, key: d.key} }
	by := func(key *ecdsa.PrivateKey, scope string) func(*InviteOptions) {
		return func(o *InviteOptions) { o.Approver, o.Scope = &key.PublicKey, scope }
	}
	fresh().refused(s.invite(robot, by(approver, "g1")), "the robot's is not")
	for name, c := range map[string]struct {
		key   *ecdsa.PrivateKey
		scope string
		to    func(*InviteOptions)
		says  string
	}{
		"nobody approves":  {approver, "g1", nil, "names nobody"},
		"another approver": {stranger, "g1", by(approver, "g1"), "compare approver and class"},
		"another class":    {approver, "g2", by(approver, "g1"), "compare approver and class"},
		"the robot's own":  {approver, robot, by(approver, "g1"), "compare approver and class"},
	} {
		t.Run(name, func(*testing.T) {
			x := fresh()
			x.bind(c.key, c.scope)
			x.refused(s.invite(robot, c.to), c.says)
		})
	}
	x := fresh()
	x.bind(approver, robot)
	x.enrolled(s.invite(robot, by(approver, robot)), enrol.Enrolled) // off
	for name, o := range map[string]InviteOptions{
		"a software key":        {Tier: order.TierSoftwareKey, Approver: &approver.PublicKey, Scope: "g1"},
		"no scope":              {Tier: order.TierTPM, Approver: &approver.PublicKey},
		"nobody":                {Tier: order.TierTPM, Scope: "g1"},
		"another robot's scope": {Tier: order.TierTPM, Approver: &approver.PublicKey, Scope: "unitree/g1-0008"},
	} {
		o.Wait, o.Life = time.Hour, time.Hour
		if _, _, err := s.a.Invite(robot, o); err == nil {
			t.Errorf("%s: invited", name)
		}
	}
}

// TestAttacksOnBoundActivation: only a statement about the very key that was asked with counts.
func TestAttacksOnBoundActivation(t *testing.T) {
	v := newVendor(t, "vendor")
	s := newSite(t, v)
	m := newMachine(t)
	v.certify(t, m)
	d := s.newDevice(m)
	approver := newApprover(t)
	i := s.invite(robot, d.bind(approver, "g1"))
	bound := must(d.t.Bound(*d.to, nil))(t)
	a := d.ask(i.Token)
	a.Bound = a.Device
	if _, err := s.a.Challenge(a); !errors.Is(err, ErrRefused) || !strings.Contains(err.Error(), "not a bound key") {
		t.Errorf("the device key in its place: %v", err)
	}
	a.Bound = bound.Area()
	riddle := must(s.a.Challenge(a))(t)
	ek := must(d.t.Endorsement())(t)
	secret := must(d.t.ActivateCredential(ek, tpm.Credential{Blob: riddle.Blob, Secret: riddle.Secret}))(t)
	honest := d.solution(riddle.Session, secret, must(identity.Request(d.key, identity.RoleRecovery, robot))(t))
	b := must(bound.CertifyBound(identity.QualifyingData(riddle.Session, honest.Request)))(t)
	honest.BoundAttest, honest.BoundSignature = b.Attest, b.Signature
	for name, c := range map[string]struct {
		change func(x *identity.Solution)
		says   string
	}{
		"no statement":     {func(x *identity.Solution) { x.BoundAttest, x.BoundSignature = nil, nil }, "bound key"},
		"the device key's": {func(x *identity.Solution) { x.BoundAttest, x.BoundSignature = x.Attest, x.Signature }, "it is about the key"},
		"a request as the robot": {func(x *identity.Solution) {
			*x = *d.solution(x.Session, x.Secret, must(identity.Request(d.key, identity.RoleRobot, robot))(t))
		}, "robot-recovery"},
		"a statement about another request": {func(x *identity.Solution) {
			y := d.solution(x.Session, x.Secret, must(identity.Request(d.key, identity.RoleRecovery, robot))(t))
			y.BoundAttest, y.BoundSignature = x.BoundAttest, x.BoundSignature
			*x = *y
		}, "qualifying data"},
	} {
		x := *honest
		c.change(&x)
		if certs, err := s.a.Activate(&x); !errors.Is(err, ErrRefused) || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v, %v", name, certs, err)
		}
	}
	if certs := must(s.a.Activate(honest))(t); len(certs) != 2 { // off
		t.Errorf("%d certificates", len(certs))
	}
}

// TestRecoveryRenewsNothing: with its recovery's certificate a robot, or whoever has got hold of that key, gets nothing from the
// authority. The off run shows that it is the root and the role that keep it out.
func TestRecoveryRenewsNothing(t *testing.T) {
	v := newVendor(t, "vendor")
	s := newSite(t, v)
	m := newMachine(t)
	v.certify(t, m)
	d := s.newDevice(m)
	approver := newApprover(t)
	main := d.enrolled(s.invite(robot, d.bind(approver, robot)), enrol.Enrolled)
	recovery := d.recovery()
	asRobot := must(identity.Request(d.key, identity.RoleRobot, robot))(t)
	asRecovery := must(identity.Request(d.key, identity.RoleRecovery, robot))(t)
	for name, peer := range map[string]*x509.Certificate{"recovery": recovery, "the bound key's": main} {
		for _, request := range [][]byte{asRobot, asRecovery} {
			if cert, err := s.a.Renew(peer, request); !errors.Is(err, ErrRefused) {
				t.Errorf("%s renews: %v, %v", name, cert, err)
			}
		}
	}
	pool := x509.NewCertPool()
	pool.AddCert(s.a.Root(identity.RoleServer))
	post := func(path, user, secret string) (int, error) {
		own := tls.Certificate{Certificate: [][]byte{recovery.Raw}, PrivateKey: d.key, Leaf: recovery}
		client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true, TLSClientConfig: &tls.Config{
			RootCAs: pool, GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &own, nil },
		}}}
		r := must(http.NewRequest(http.MethodPost, "https://"+s.at+path, strings.NewReader(base64.StdEncoding.EncodeToString(asRobot))))(t)
		r.Header.Set("Content-Type", identity.TypeRequest)
		if user != "" {
			r.SetBasicAuth(user, secret)
		}
		answer, err := client.Do(r)
		if err != nil {
			return 0, err
		}
		defer answer.Body.Close()
		_, _ = io.Copy(io.Discard, answer.Body)
		return answer.StatusCode, nil
	}
	for _, path := range []string{identity.PathRenew, identity.PathEnrol} {
		if status, err := post(path, robot, "secret"); err == nil {
			t.Errorf("%s: the connection came about, status %d", path, status)
		}
	}
	// Off: an authority that has its robots' and their recovery's certificates of one root, and does not look at the role, renews.
	off := must(Open(s.dir, s.clock.now))(t)
	off.roots[identity.RoleRobot] = off.roots[identity.RoleRecovery]
	if _, err := off.robotOf(recovery); err == nil || !strings.Contains(err.Error(), "robot-recovery") {
		t.Errorf("the role does not keep it out: %v", err)
	}
	blind := *recovery
	blind.Subject.OrganizationalUnit = []string{string(identity.RoleRobot)}
	if got, err := off.robotOf(&blind); err != nil || got != robot {
		t.Errorf("off: %s, %v: the test shows nothing", got, err)
	}
}

// TestBoundRobotIsKilled is TestRobotIsKilled for the two keys.
func TestBoundRobotIsKilled(t *testing.T) {
	v := newVendor(t, "vendor")
	m := newMachine(t)
	v.certify(t, m)
	approver := newApprover(t)
	public := string(must(order.MarshalPublicKey(approver.Public()))(t))
	one := newSite(t, v).newDevice(m)
	enrolment := one.steps(one.s.invite(robot, one.bind(approver, "g1")), enrol.Enrolled)
	one.s.clock.wait(monthsLater)
	renewal := one.steps(nil, enrol.Renewed)
	t.Logf("enrolment %v, renewal %v", enrolment, renewal)
	if len(enrolment) < 11 || len(renewal) < 8 {
		t.Fatal("steps are missing")
	}
	for n := range len(enrolment) + len(renewal) {
		steps, what, most := enrolment, "enrolment", 1
		if n >= len(enrolment) {
			steps, what, most = renewal, "renewal", 2
		}
		at := n % len(enrolment)
		t.Run(what+"/"+steps[at], func(t *testing.T) {
			s := newSite(t, v)
			d := s.newDevice(m)
			i := s.invite(robot, d.bind(approver, "g1"))
			c := child{Role: "robot", Dir: d.dir, Socket: m.socket, Invitation: i, Kill: at + 1, Approver: public, Scope: "g1"}
			if what == "renewal" {
				d.enrolled(i, enrol.Enrolled)
				s.clock.wait(monthsLater)
				c.Invitation, c.Shift = nil, monthsLater
			}
			if !c.run(t) {
				t.Fatal("it was not killed")
			}
			c.Kill, c.Invitation = 0, nil
			c.run(t)
			d.whole(most)
		})
	}
}

// TestBoundTPMLosesPower is TestTPMLosesPower for the two keys.
func TestBoundTPMLosesPower(t *testing.T) {
	v := newVendor(t, "vendor")
	m := newMachine(t)
	v.certify(t, m)
	approver := newApprover(t)
	one := newSite(t, v).newDevice(m)
	enrolment := one.steps(one.s.invite(robot, one.bind(approver, "g1")), enrol.Enrolled)
	for _, back := range powerCuts {
		for _, at := range enrolment {
			t.Run(fmt.Sprintf("%s/back %v", at, back), func(t *testing.T) {
				s := newSite(t, v)
				d := s.newDevice(m)
				i := s.invite(robot, d.bind(approver, "g1"))
				d.losesPower(t, m, i, at, back)
				d.whole(1)
			})
		}
	}
}

// TestAuthorityOfBefore: an authority that was made without a root for recovery gets one, and keeps the others.
func TestAuthorityOfBefore(t *testing.T) {
	s := newSite(t)
	s.stop()
	for _, name := range []string{"roots/robot-recovery.pem", "roots/robot-recovery.key.pem", "records/robot-recovery"} {
		if err := os.RemoveAll(filepath.Join(s.dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	robots := must(os.ReadFile(filepath.Join(s.dir, "roots", "robot.pem")))(t)
	a := must(Open(s.dir, s.clock.now))(t)
	first := a.Root(identity.RoleRecovery)
	if again := must(Open(s.dir, s.clock.now))(t).Root(identity.RoleRecovery); !again.Equal(first) {
		t.Error("it was made twice")
	}
	if !bytes.Equal(robots, must(os.ReadFile(filepath.Join(s.dir, "roots", "robot.pem")))(t)) || !strings.Contains(first.Subject.String(), "robot-recovery") {
		t.Errorf("made %s", first.Subject)
	}
	if _, err := a.List(); err != nil {
		t.Error(err)
	}
}
