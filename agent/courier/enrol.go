package courier

import (
	"context"
	"crypto"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/robowarden/robowarden/agent/config"
	holder "github.com/robowarden/robowarden/attest/identity"
	"github.com/robowarden/robowarden/attest/identity/enrol"
	"github.com/robowarden/robowarden/attest/tpm"
)

// enrolmentDir is the folder of the enrolment below the courier's state.
const enrolmentDir = "enrolment"

// EnrolOptions are what a person says about an enrolment; all of it may be left out later.
type EnrolOptions struct {
	// Invitation or EST begin one.
	Invitation *holder.Invitation
	EST        *enrol.Server
	// Renew asks for a new certificate even if it is not time yet.
	Renew bool
	// Wait and Timeout are enrol.Options'.
	Wait, Timeout time.Duration
	// Step hears of each step.
	Step func(string)
}

// Enrol gets the robot the certificate that the deployment names, for the very key that the courier connects and signs with, or
// keeps it good. See enrol.Run; a courier that runs takes the new certificate with its next connection.
func Enrol(ctx context.Context, c *config.Courier, robot string, o EnrolOptions) (*enrol.Outcome, error) {
	if c.Key != "" {
		return nil, errors.New("courier.key: names a key of its own: take it out of the deployment, so that the robot connects with the device key that is enrolled")
	}
	if err := os.MkdirAll(c.StateDir, 0o700); err != nil {
		return nil, fmt.Errorf("courier.state_dir: %w", err)
	}
	id, err := openIdentity(c, time.Now())
	if err != nil {
		return nil, err
	}
	defer id.close()
	options := enrol.Options{
		Dir: filepath.Join(c.StateDir, enrolmentDir), Certificate: c.Certificate, ServerRoots: c.CA, Robot: robot,
		Invitation: o.Invitation, EST: o.EST, Renew: o.Renew, Wait: o.Wait, Timeout: o.Timeout, Step: o.Step,
	}
	if id.tpm != nil {
		options.TPM, options.Key = id.tpm, id.tpm.Device()
		if options.Bound = id.bound; id.bound != nil {
			options.Recovery = c.BoundKey.Recovery
		}
	} else {
		options.Key = softwareSigner{id.key}
	}
	return enrol.Run(ctx, options)
}

// Endorsement is the robot's endorsement key, for whoever has to invite a TPM that no vendor has certified.
func Endorsement(c *config.Courier) (tpm.Endorsement, error) {
	if c.TPM == "" {
		return tpm.Endorsement{}, errors.New("courier.tpm: names no TPM")
	}
	t, err := tpm.Open(c.TPM)
	if err != nil {
		return tpm.Endorsement{}, err
	}
	defer func() { _ = t.Close() }()
	return t.Endorsement()
}

// softwareSigner is the software key, which says that it is one.
type softwareSigner struct{ crypto.Signer }

// Tier is tpm.Signer's.
func (softwareSigner) Tier() tpm.Tier { return tpm.TierSoftwareKey }
