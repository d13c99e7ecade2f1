package enrol

import (
	"context"
	"crypto"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/robowarden/robowarden/attest/identity"
	"github.com/robowarden/robowarden/attest/internal/durable"
	"github.com/robowarden/robowarden/attest/order"
	"github.com/robowarden/robowarden/attest/tpm"
)

// Options say who is to be enrolled and where what comes of it goes.
type Options struct {
	// Dir is the folder of the enrolment's state; it is made if it is not there.
	Dir string
	// Certificate is the file of the robot's certificate chain, PEM.
	Certificate string
	// ServerRoots is the file of who vouches for servers, PEM: written once from the invitation if it is not there; "" for none.
	ServerRoots string
	// Robot is the robot's id.
	Robot string
	// Key is the device key, in a TPM or not.
	Key tpm.Signer
	// Bound is the TPM's key that is bound to approved states, nil without one. Then Certificate is for that key, and Recovery is the
	// file of the device key's own, which is for the role robot-recovery.
	Bound    *tpm.BoundKey
	Recovery string
	// TPM is the TPM that has it, nil for a software key.
	TPM *tpm.TPM
	// Invitation is given once, EST instead of it where the server is not ours; without either, what is on the disk goes on.
	Invitation *identity.Invitation
	EST        *Server
	// Renew asks for a new certificate even if it is not time yet.
	Renew bool
	// Wait is how long to wait, altogether, for an authority that lets wait; 0 is not at all.
	Wait time.Duration
	// Timeout bounds one request to the authority; 0 is 30 s.
	Timeout time.Duration
	// Now is the clock; nil is the computer's.
	Now func() time.Time
	// Step hears of each step that is done; nil for nobody.
	Step func(string)
}

// Server is an EST server that knows no credential activation: whoever has the secret, or the certificate that is shown, is
// believed to be the robot.
type Server struct {
	// Address is https://host:port, with the path at which EST begins if that is not /.well-known/est.
	Address string
	// Roots vouch for the server's connection, PEM.
	Roots string
	// User and Secret are what the server knows the robot by at first (HTTP Basic), empty if Certificate is.
	User, Secret string
	// Certificate is one from another authority, such as the maker's, that the server knows the robot by at first.
	Certificate *tls.Certificate
}

// What Run has done.
const (
	Nothing  = "nothing"
	Enrolled = "enrolled"
	Renewed  = "renewed"
)

// Outcome is what the robot has now.
type Outcome struct {
	// Did says what was done: Nothing, Enrolled or Renewed.
	Did string
	// Certificate is the robot's own.
	Certificate *x509.Certificate
	// Recovery is its recovery's, nil without a bound key.
	Recovery *x509.Certificate
	// Due is when they are to be renewed.
	Due time.Time
}

// outcome is what there is, done so.
func outcome(did string, have, recovery []*x509.Certificate) *Outcome {
	o := &Outcome{Did: did, Certificate: have[0], Due: identity.Due(have[0])}
	if recovery != nil {
		if o.Recovery = recovery[0]; identity.Due(recovery[0]).Before(o.Due) {
			o.Due = identity.Due(recovery[0])
		}
	}
	return o
}

// ErrNoInvitation says that the robot is not enrolled and nobody has invited it.
var ErrNoInvitation = errors.New("the robot is not enrolled and has no invitation: make one with robowarden-station ca invite and give it with --invitation")

// run is one run.
type run struct {
	Options
	folder *folder
	state  *state
}

// Run enrols the robot if it is not, renews its certificate if two thirds of its life are over, and does nothing otherwise. An
// error leaves what the robot has as it was, and the next Run goes on from there.
func Run(ctx context.Context, o Options) (*Outcome, error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Step == nil {
		o.Step = func(string) {}
	}
	if err := identity.CheckName(identity.RoleRobot, o.Robot); err != nil {
		return nil, err
	}
	f, err := openFolder(o.Dir)
	if err != nil {
		return nil, fmt.Errorf("enrolment: %w", err)
	}
	defer f.close()
	durable.Sweep(o.Certificate)
	if o.Bound != nil {
		durable.Sweep(o.Recovery)
	}
	r := &run{Options: o, folder: f}
	if err := r.begin(); err != nil {
		return nil, fmt.Errorf("enrolment: %w", err)
	}
	out, err := r.run(ctx)
	if err != nil {
		return nil, fmt.Errorf("enrolment of %s at %s: %w", o.Robot, r.state.Server, err)
	}
	return out, nil
}

// begin reads the state, or writes that of an invitation: from then on the invitation's file is not needed any more.
func (r *run) begin() error {
	s, err := r.folder.load()
	if err != nil && r.Invitation == nil && r.EST == nil {
		return err
	}
	fresh, err := r.fresh()
	if err != nil {
		return err
	}
	switch {
	case fresh == nil && s == nil:
		return ErrNoInvitation
	case fresh == nil && s.Robot != r.Robot:
		return fmt.Errorf("what is under way is the enrolment of %s: give an invitation for %s", s.Robot, r.Robot)
	case fresh == nil, s != nil && s.Secret != "" && s.begunBy() == fresh.begunBy():
		r.state = s // the same invitation once more goes on where it was
		return nil
	}
	// Whoever is invited anew wants another certificate than the one that is there, even if that looks good from here.
	have, err := chain(r.Certificate, r.main())
	if err == nil && have != nil {
		fresh.Replaces = fingerprint(have[0])
	}
	r.state = fresh
	if err := r.folder.save(fresh); err != nil {
		return err
	}
	r.Step("begun")
	return nil
}

// fresh is the state that an invitation or another server begins with, nil without either.
func (r *run) fresh() (*state, error) {
	switch {
	case r.EST != nil && r.Bound != nil:
		return nil, errors.New("EST knows no recovery: enrol a bound key by an invitation")
	case r.Invitation != nil && r.EST != nil:
		return nil, errors.New("expected an invitation or an EST server, not both")
	case r.Invitation != nil:
		i := r.Invitation
		if err := i.Validate(); err != nil {
			return nil, fmt.Errorf("invitation: %w", err)
		}
		if i.Robot != r.Robot {
			return nil, fmt.Errorf("invitation: it is for %s, and this robot is %s", i.Robot, r.Robot)
		}
		if i.Tier != order.Tier(r.Key.Tier()) {
			return nil, fmt.Errorf("invitation: it is for the tier %s, and this robot's is %s", i.Tier, r.Key.Tier())
		}
		return &state{Robot: r.Robot, Server: strings.TrimSuffix(i.Server, "/"), Path: "/.well-known/est", User: r.Robot, Secret: i.Token, Roots: i.Roots}, nil
	case r.EST != nil:
		if err := identity.CheckServer(r.EST.Address); err != nil {
			return nil, err
		}
		if _, err := identity.ParsePEM([]byte(r.EST.Roots)); err != nil {
			return nil, fmt.Errorf("roots: %w", err)
		}
		u, err := url.Parse(r.EST.Address)
		if err != nil {
			return nil, err
		}
		path := strings.TrimSuffix(u.Path, "/")
		if path == "" {
			path = "/.well-known/est"
		}
		return &state{
			Robot: r.Robot, Server: "https://" + u.Host, EST: true, Path: path, User: r.EST.User, Secret: r.EST.Secret, Roots: r.EST.Roots,
		}, nil
	}
	return nil, nil
}

// run does what is to be done now.
func (r *run) run(ctx context.Context) (*Outcome, error) {
	have, err := chain(r.Certificate, r.main())
	if err != nil {
		return nil, err // somebody else's file: not for us to overwrite
	}
	var recovery []*x509.Certificate
	if r.Bound != nil {
		if recovery, err = chain(r.Recovery, r.Key.Public()); err != nil {
			return nil, err
		}
	}
	now := r.Now()
	if have != nil && r.state.Issuers != "" && fingerprint(have[0]) != r.state.Replaces && r.good(identity.RoleRobot, have, now) == nil &&
		(r.Bound == nil || recovery != nil && r.good(identity.RoleRecovery, recovery, now) == nil) {
		got := outcome(Nothing, have, recovery)
		due := r.Renew || !now.Before(got.Due)
		if err := r.settle(due); err != nil {
			return nil, err
		}
		switch {
		case !due:
			return got, nil
		case r.Bound != nil: // a bound key may be unable to open a connection
			return r.first(ctx, Renewed)
		}
		return r.renew(ctx, have)
	}
	return r.first(ctx, Enrolled)
}

// main is the public half of the key that the robot works with.
func (r *run) main() crypto.PublicKey {
	if r.Bound != nil {
		return r.Bound.Public()
	}
	return r.Key.Public()
}

// fingerprint names a certificate.
func fingerprint(c *x509.Certificate) string {
	sum := sha256.Sum256(c.Raw)
	return hex.EncodeToString(sum[:])
}

// good checks a chain of a role by the issuers that the server has told.
func (r *run) good(role identity.Role, certs []*x509.Certificate, now time.Time) error {
	issuers, err := identity.ParsePEM([]byte(r.state.Issuers))
	if err != nil {
		return fmt.Errorf("issuers: %w", err)
	}
	key := r.main()
	if role == identity.RoleRecovery {
		key = r.Key.Public()
	}
	return identity.CheckChain(certs, issuers, role, r.Robot, key, now)
}

// settle remembers that the robot is enrolled and forgets what it does not need any more: also after a cut between the
// certificate and this. A request stays while an authority may still be deciding on it.
func (r *run) settle(pending bool) error {
	s := r.state
	if s.Enrolled && s.Secret == "" && s.User == "" && s.Replaces == "" && (pending || s.Request == nil) {
		return nil
	}
	if err := r.roots(); err != nil {
		return err
	}
	s.Enrolled, s.User, s.Secret, s.Replaces = true, "", "", ""
	if !pending {
		s.Request = nil
	}
	if err := r.folder.save(s); err != nil {
		return err
	}
	r.Step("settled")
	return nil
}

// roots writes who vouches for servers, unless somebody has already said so.
func (r *run) roots() error {
	if r.ServerRoots == "" || r.state.EST {
		return nil
	}
	if _, err := os.Lstat(r.ServerRoots); !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return durable.Write(r.ServerRoots, []byte(r.state.Roots), 0o644)
}

// client connects to the state's server.
func (r *run) client(own *tls.Certificate) (*client, error) {
	roots, err := identity.ParsePEM([]byte(r.state.Roots))
	if err != nil {
		return nil, fmt.Errorf("roots: %w", err)
	}
	c := newClient(r.state.Server, roots, own, r.Now)
	if r.Timeout > 0 {
		c.timeout = r.Timeout
	}
	return c, nil
}

// first enrols a robot that has no certificate that counts: it is new, or was switched off for too long.
func (r *run) first(ctx context.Context, did string) (*Outcome, error) {
	ours := !r.state.EST && r.TPM != nil // only such a robot can prove itself without a secret
	var own *tls.Certificate
	if r.EST != nil {
		own = r.EST.Certificate
	}
	if r.state.Secret == "" && !ours && own == nil {
		return nil, fmt.Errorf("the robot's certificate has run out, or is for another key: %w", ErrNoInvitation)
	}
	c, err := r.client(own)
	if err != nil {
		return nil, err
	}
	if err := r.issuers(ctx, c); err != nil {
		return nil, err
	}
	var certs []*x509.Certificate
	if ours {
		certs, err = r.prove(ctx, c)
	} else {
		certs, err = r.ask(ctx, c, "/simpleenroll")
	}
	if err != nil {
		return nil, err
	}
	return r.install(certs, did)
}

// issuers asks who vouches for robots' certificates.
func (r *run) issuers(ctx context.Context, c *client) error {
	certs, err := c.certificates(ctx, call{method: http.MethodGet, path: r.state.Path + "/cacerts"})
	if err != nil {
		return err
	}
	text := string(identity.EncodePEM(certs))
	if text == r.state.Issuers {
		return nil
	}
	r.state.Issuers = text
	if err := r.folder.save(r.state); err != nil {
		return err
	}
	r.Step("issuers")
	return nil
}

// ask asks by a certificate request, the same one until there is an answer.
func (r *run) ask(ctx context.Context, c *client, path string) ([]*x509.Certificate, error) {
	der := r.state.Request
	if key, err := identity.CheckRequest(der, identity.RoleRobot, r.Robot); err != nil || !key.Equal(r.Key.Public()) {
		if der, err = identity.Request(r.Key, identity.RoleRobot, r.Robot); err != nil {
			return nil, err
		}
		r.state.Request = der
		if err := r.folder.save(r.state); err != nil {
			return nil, err
		}
	}
	r.Step("request")
	user, secret := r.state.User, r.state.Secret
	for until := r.Now().Add(r.Wait); ; {
		certs, err := c.request(ctx, r.state.Path+path, der, user, secret)
		var wait *LaterError
		if !errors.As(err, &wait) {
			return certs, err
		}
		if r.Now().Add(wait.After).After(until) {
			return nil, wait
		}
		t := time.NewTimer(wait.After)
		select {
		case <-t.C:
		case <-ctx.Done():
			t.Stop()
			return nil, errors.Join(wait, ctx.Err())
		}
	}
}
