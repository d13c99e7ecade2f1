package enrol

import (
	"context"
	"crypto"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"sync"

	"github.com/robowarden/robowarden/attest/identity"
	"github.com/robowarden/robowarden/attest/internal/durable"
	"github.com/robowarden/robowarden/attest/tpm"
)

// install checks what the authority has sent and puts it in the place of what the robot had.
func (r *run) install(certs []*x509.Certificate, did string) (*Outcome, error) {
	r.Step("answered")
	main, err := r.pick(identity.RoleRobot, certs, r.main())
	if err != nil {
		return nil, err
	}
	var recovery []*x509.Certificate
	if r.Bound != nil {
		if recovery, err = r.pick(identity.RoleRecovery, certs, r.Key.Public()); err != nil {
			return nil, err
		}
		// It goes first: the other one says that the robot is enrolled.
		if err := durable.Write(r.Recovery, identity.EncodePEM(recovery), 0o644); err != nil {
			return nil, err
		}
		r.Step("recovery installed")
	}
	if err := durable.Write(r.Certificate, identity.EncodePEM(main), 0o644); err != nil {
		return nil, err
	}
	r.Step("installed")
	r.state.Enrolled = false // so that settle writes what is over
	if err := r.settle(false); err != nil {
		return nil, err
	}
	return outcome(did, main, recovery), nil
}

// pick finds the certificate for a key in what the authority has sent, and checks it. Of a pair, the other is no part of its chain.
func (r *run) pick(role identity.Role, certs []*x509.Certificate, key crypto.PublicKey) ([]*x509.Certificate, error) {
	out := identity.LeafFirst(certs, func(c *x509.Certificate) bool {
		own, ok := c.PublicKey.(interface{ Equal(crypto.PublicKey) bool })
		return ok && own.Equal(key)
	})
	if out == nil {
		return nil, errors.New("certificate: none in the answer is for the robot's key")
	}
	if r.Bound != nil {
		out = out[:1]
	}
	return out, r.good(role, out, r.Now())
}

// renew asks for the next certificate by the one that the robot has. An authority that does not know that one any more still
// knows a TPM.
func (r *run) renew(ctx context.Context, have []*x509.Certificate) (*Outcome, error) {
	key := &noting{Signer: r.Key}
	own := &tls.Certificate{PrivateKey: key, Leaf: have[0]}
	for _, c := range have {
		own.Certificate = append(own.Certificate, c.Raw)
	}
	c, err := r.client(own)
	if err != nil {
		return nil, err
	}
	if err := r.issuers(ctx, c); err != nil {
		return nil, errors.Join(err, key.why())
	}
	certs, err := r.ask(ctx, c, "/simplereenroll")
	err = errors.Join(err, key.why())
	if refused(err) && !r.state.EST && r.TPM != nil {
		again, more := r.prove(ctx, c)
		if more != nil {
			return nil, errors.Join(err, more)
		}
		certs, err = again, nil
	}
	if err != nil {
		return nil, err
	}
	return r.install(certs, Renewed)
}

// noting keeps why the key did not sign: the TLS library passes on only the words, and whoever asks has to be able to tell a TPM
// that is gone from a network that is.
type noting struct {
	tpm.Signer
	mu  sync.Mutex // the connection that signs may outlive the request that gave it up
	err error
}

// why is the newest signature's fault, nil if there is none.
func (n *noting) why() error {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.err
}

// Sign is crypto.Signer's. One connection signs once, and the next one comes after it.
func (n *noting) Sign(random io.Reader, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	out, err := n.Signer.Sign(random, digest, opts)
	n.mu.Lock()
	defer n.mu.Unlock()
	n.err = err
	return out, err
}
