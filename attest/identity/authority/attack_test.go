package authority

import (
	"bytes"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/robowarden/robowarden/attest/identity"
	"github.com/robowarden/robowarden/attest/order"
	"github.com/robowarden/robowarden/attest/tpm"
)

// ask is what a device asks with.
func (d *device) ask(token string) *identity.Ask {
	d.s.tb.Helper()
	ek := must(d.t.Endorsement())(d.s.tb)
	return &identity.Ask{Robot: d.name, Token: token, EK: ek.Public, EKCertificate: ek.Certificate, Chain: ek.Chain, AK: d.t.AKPublic(), Device: d.t.DevicePublic()}
}

// solve answers a riddle as an honest robot does.
func (d *device) solve(r *identity.Riddle) (*identity.Solution, error) {
	ek := must(d.t.Endorsement())(d.s.tb)
	secret, err := d.t.ActivateCredential(ek, tpm.Credential{Blob: r.Blob, Secret: r.Secret})
	if err != nil {
		return nil, err
	}
	return d.solution(r.Session, secret, must(identity.Request(d.key, identity.RoleRobot, d.name))(d.s.tb)), nil
}

func (d *device) solution(session, secret, request []byte) *identity.Solution {
	d.s.tb.Helper()
	s := must(d.t.CertifyDevice(identity.QualifyingData(session, request)))(d.s.tb)
	return &identity.Solution{Session: session, Secret: secret, Request: request, Attest: s.Attest, Signature: s.Signature}
}

// TestAttacksOnActivation answers riddles as nobody should be able to.
func TestAttacksOnActivation(t *testing.T) {
	v := newVendor(t, "vendor")
	s := newSite(t, v)
	ma, mb := newMachine(t), newMachine(t)
	v.certify(t, ma)
	v.certify(t, mb)
	a, b := s.newDevice(ma), s.newDevice(mb)
	i := s.invite(robot, nil)
	riddle := must(s.a.Challenge(a.ask(i.Token)))(t)
	honest := must(a.solve(riddle))(t)
	soft := must(order.GenerateKey(order.ECDSAP256))(t)
	for name, c := range map[string]struct {
		change func(x *identity.Solution)
		says   string
	}{
		"another TPM guesses the secret": {func(x *identity.Solution) { x.Secret = make([]byte, 32) }, "another TPM has answered"},
		"no secret":                      {func(x *identity.Solution) { x.Secret = nil }, "another TPM has answered"},
		"another TPM certifies its key": {func(x *identity.Solution) {
			*x = *b.solution(x.Session, x.Secret, must(identity.Request(b.key, identity.RoleRobot, robot))(t))
		}, "signature does not match"},
		"a request for another key": {func(x *identity.Solution) {
			*x = *a.solution(x.Session, x.Secret, must(identity.Request(soft, identity.RoleRobot, robot))(t))
		}, "another key than the one in the TPM"},
		"a request for another serial": {func(x *identity.Solution) {
			*x = *a.solution(x.Session, x.Secret, must(identity.Request(a.key, identity.RoleRobot, "unitree/g1-0008"))(t))
		}, "g1-0008"},
		"a request that the statement is not about": {func(x *identity.Solution) { x.Request = must(identity.Request(a.key, identity.RoleRobot, robot))(t) }, "qualifying data"},
		"a request that is changed": {func(x *identity.Solution) {
			r := bytes.Clone(x.Request)
			r[len(r)-1] ^= 1
			*x = *a.solution(x.Session, x.Secret, r)
		}, "has not signed it"},
		"a request with more names": {func(x *identity.Solution) {
			der := must(x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{
				Subject: identity.Subject(identity.RoleRobot, robot), DNSNames: []string{"broker.example"}, SignatureAlgorithm: x509.ECDSAWithSHA256,
			}, a.key))(t)
			*x = *a.solution(x.Session, x.Secret, der)
		}, "subject alternative name"},
		"a request for another role": {func(x *identity.Solution) {
			subject := identity.Subject(identity.RoleRobot, robot)
			subject.OrganizationalUnit = []string{"operator"}
			der := must(x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{Subject: subject, SignatureAlgorithm: x509.ECDSAWithSHA256}, a.key))(t)
			*x = *a.solution(x.Session, x.Secret, der)
		}, "operator"},
		"no request":           {func(x *identity.Solution) { *x = *a.solution(x.Session, x.Secret, nil) }, "certificate request"},
		"a session of another": {func(x *identity.Solution) { x.Session = bytes.Repeat([]byte{7}, 400) }, "not of this run"},
		"no session":           {func(x *identity.Solution) { x.Session = nil }, "not this authority's"},
		"a quote in its place": {func(x *identity.Solution) {
			q := must(a.t.Quote(identity.QualifyingData(x.Session, x.Request), []int{0}))(t)
			x.Attest, x.Signature = q.Attest, q.Signature
		}, "not the kind of statement"},
	} {
		x := *honest
		c.change(&x)
		if cert, err := s.a.Activate(&x); !errors.Is(err, ErrRefused) || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v, %v", name, cert, err)
		}
	}
	if n := len(s.record(robot).Certificates); n != 0 {
		t.Fatalf("%d certificates were issued", n)
	}
	if _, err := b.solve(riddle); err == nil {
		t.Error("another TPM has opened the riddle")
	}
	first := must(s.a.Activate(honest))(t)[0]
	if again := must(s.a.Activate(honest))(t)[0]; !again.Equal(first) { // replayed: nothing new comes of it
		t.Error("a replay got another certificate")
	}
	s.clock.wait(sessionLife)
	if _, err := s.a.Activate(honest); err == nil || !strings.Contains(err.Error(), "ran out") {
		t.Errorf("late: %v", err)
	}
	// Another TPM cannot use what the first one's messages have shown.
	if _, err := s.a.Challenge(b.ask(i.Token)); !errors.Is(err, ErrRefused) {
		t.Errorf("a token that was overheard: %v", err)
	}
}

// TestKeysThatNobodyShouldEnrol asks with public areas that are not what they should be.
func TestKeysThatNobodyShouldEnrol(t *testing.T) {
	v := newVendor(t, "vendor")
	s := newSite(t, v)
	m := newMachine(t)
	v.certify(t, m)
	d := s.newDevice(m)
	i := s.invite(robot, nil)
	for name, change := range map[string]func(a *identity.Ask){
		"the device key as attestation key": func(a *identity.Ask) { a.AK = a.Device },
		"the attestation key as device key": func(a *identity.Ask) { a.Device = a.AK },
		"the attestation key as endorsement": func(a *identity.Ask) {
			a.EK = a.AK
		},
		"no keys":         func(a *identity.Ask) { a.EK, a.AK, a.Device = nil, nil, nil },
		"another robot":   func(a *identity.Ask) { a.Robot = "unitree/g1-0008" },
		"no robot":        func(a *identity.Ask) { a.Robot = "../../roots/robot" },
		"no token":        func(a *identity.Ask) { a.Token = "" },
		"another token":   func(a *identity.Ask) { a.Token = strings.Repeat("a", 64) },
		"the hash itself": func(a *identity.Ask) { a.Token = tokenHash(i.Token) },
		"a chain of junk": func(a *identity.Ask) { a.Chain = [][]byte{{1}} },
	} {
		a := d.ask(i.Token)
		change(a)
		if _, err := s.a.Challenge(a); !errors.Is(err, ErrRefused) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := s.a.Challenge(d.ask(i.Token)); err != nil {
		t.Error(err)
	}
}

// TestRenewalBelongsToItsRobot asks for another's certificate, with a revoked one, and with one of another role.
func TestRenewalBelongsToItsRobot(t *testing.T) {
	s := newSite(t)
	enrolled := func(name string) (tpm.Signer, *x509.Certificate) {
		d := &device{s: s, dir: t.TempDir(), name: name}
		d.key = must(tpm.CreateSoftware(d.dir + "/key.pem"))(t)
		return d.key, must(d.run(s.invite(name, func(o *InviteOptions) { o.Tier = order.TierSoftwareKey })))(t).Certificate
	}
	keyA, a := enrolled(robot)
	keyB, b := enrolled("unitree/g1-0008")
	operator := must(order.GenerateKey(order.ECDSAP256))(t)
	request := must(x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{SignatureAlgorithm: x509.ECDSAWithSHA256}, operator))(t)
	person := must(s.a.Issue(identity.RoleOperator, "olga", request, time.Hour))(t)
	other := newSite(t)
	makeRootOf(t, other)
	foreign := must(other.a.Issue(identity.RoleOperator, "olga", request, time.Hour))(t)
	for name, c := range map[string]struct {
		peer    *x509.Certificate
		request []byte
		says    string
	}{
		"another's request":      {a, must(identity.Request(keyB, identity.RoleRobot, robot))(t), "another key"},
		"another's serial":       {a, must(identity.Request(keyA, identity.RoleRobot, "unitree/g1-0008"))(t), "subject"},
		"an operator's":          {person, request, "certificate"},
		"another authority's":    {foreign, request, "certificate"},
		"the authority's own":    {s.a.Root(identity.RoleRobot), must(identity.Request(keyA, identity.RoleRobot, robot))(t), "certificate"},
		"what is not a request":  {a, []byte("x"), "certificate request"},
		"more than is ever read": {a, make([]byte, identity.MaxRequest+1), "certificate request"},
	} {
		if cert, err := s.a.Renew(c.peer, c.request); !errors.Is(err, ErrRefused) || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v, %v", name, cert, err)
		}
	}
	if _, err := s.a.Renew(b, must(identity.Request(keyB, identity.RoleRobot, "unitree/g1-0008"))(t)); err != nil {
		t.Error(err)
	}
	revoke(t, s, robot)
	if _, err := s.a.Renew(a, must(identity.Request(keyA, identity.RoleRobot, robot))(t)); !errors.Is(err, ErrRefused) {
		t.Errorf("revoked: %v", err)
	}
	for role, want := range map[identity.Role]string{identity.RoleOperator: "CN=olga,OU=operator"} {
		if got := person.Subject.String(); got != want || person.CheckSignatureFrom(s.a.Root(role)) != nil {
			t.Errorf("%s: %s", role, got)
		}
	}
	if _, err := s.a.Issue(identity.RoleRobot, robot, request, time.Hour); err == nil {
		t.Error("a robot's certificate was issued without its enrolment")
	}
}

// makeRootOf gives a site roots of its own: sites of these tests share theirs.
func makeRootOf(t *testing.T, s *site) {
	t.Helper()
	for _, role := range identity.Roles() {
		if err := makeRoot(s.dir+"/roots", role, "elsewhere", time.Now()); err != nil {
			t.Fatal(err)
		}
	}
	s.a = must(Open(s.dir, s.clock.now))(t)
}

// TestRequestsOverHTTP sends what the handler should not take.
func TestRequestsOverHTTP(t *testing.T) {
	s := newSite(t)
	pool := x509.NewCertPool()
	pool.AddCert(s.a.Root(identity.RoleServer))
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}, DisableKeepAlives: true}}
	key := must(order.GenerateKey(order.ECDSAP256))(t)
	request := base64.StdEncoding.EncodeToString(must(identity.Request(key, identity.RoleRobot, robot))(t))
	for name, c := range map[string]struct {
		method, path, kind, body, user string
		status                         int
	}{
		"cacerts":                {"GET", identity.PathCACerts, "", "", "", 200},
		"cacerts by POST":        {"POST", identity.PathCACerts, "", "", "", 405},
		"elsewhere":              {"GET", "/roots/robot.key.pem", "", "", "", 404},
		"out of the folder":      {"GET", "/.well-known/est/../../roots/robot.key.pem", "", "", "", 404},
		"nobody":                 {"POST", identity.PathEnrol, identity.TypeRequest, request, "", 401},
		"without an invitation":  {"POST", identity.PathEnrol, identity.TypeRequest, request, robot, 403},
		"another content type":   {"POST", identity.PathEnrol, "text/plain", request, robot, 415},
		"no base64":              {"POST", identity.PathEnrol, identity.TypeRequest, "%", robot, 400},
		"too much":               {"POST", identity.PathEnrol, identity.TypeRequest, strings.Repeat("A", identity.MaxMessage+1), robot, 413},
		"renewal without":        {"POST", identity.PathRenew, identity.TypeRequest, request, robot, 401},
		"challenge without":      {"POST", identity.PathChallenge, identity.TypeJSON, "{}", "", 403},
		"challenge, no JSON":     {"POST", identity.PathChallenge, identity.TypeJSON, "{", "", 400},
		"challenge, more keys":   {"POST", identity.PathChallenge, identity.TypeJSON, `{"robot":"a/b","x":1}`, "", 400},
		"activation without":     {"POST", identity.PathActivate, identity.TypeJSON, "{}", "", 403},
		"list":                   {"GET", identity.PathCRL + "?role=robot", "", "", "", 200},
		"list of nobody":         {"GET", identity.PathCRL + "?role=root", "", "", "", 400},
		"list of another folder": {"GET", identity.PathCRL + "?role=../roots", "", "", "", 400},
	} {
		r := must(http.NewRequest(c.method, "https://"+s.at+c.path, strings.NewReader(c.body)))(t)
		r.Header.Set("Content-Type", c.kind)
		if c.user != "" {
			r.SetBasicAuth(c.user, "secret")
		}
		answer, err := client.Do(r)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		text := must(io.ReadAll(answer.Body))(t)
		answer.Body.Close()
		if answer.StatusCode != c.status || bytes.Contains(text, []byte(s.dir)) {
			t.Errorf("%s: %d %s, expected %d", name, answer.StatusCode, text, c.status)
		}
	}
}

// TestFolder opens what is no authority, or one whose secrets others can read, and never makes one over another.
func TestFolder(t *testing.T) {
	s := newSite(t)
	if err := Init(s.dir, "again", time.Now()); err == nil {
		t.Error("made over another")
	}
	if _, err := Open(t.TempDir(), nil); err == nil {
		t.Error("an empty folder was opened")
	}
	key := s.dir + "/roots/operator.key.pem"
	chmod(t, key, 0o640)
	if _, err := Open(s.dir, nil); err == nil || !strings.Contains(err.Error(), "operator") {
		t.Errorf("others can read a key: %v", err)
	}
	chmod(t, key, 0o600)
	swap(t, s.dir+"/roots/operator.pem", s.dir+"/roots/vendor.pem")
	if _, err := Open(s.dir, nil); err == nil {
		t.Error("roots that were swapped were opened")
	}
}
