package enrol

import (
	"context"
	"crypto/x509"
	"net/http"

	"github.com/robowarden/robowarden/attest/identity"
	"github.com/robowarden/robowarden/attest/tpm"
)

// prove has the TPM prove which one it is, that the attestation key is in it, and that the device key is, and asks for the
// device key's certificate. Nothing of it is worth keeping: after a cut it is done anew, with the same keys.
func (r *run) prove(ctx context.Context, c *client) ([]*x509.Certificate, error) {
	ek, err := r.TPM.Endorsement()
	if err != nil {
		return nil, err
	}
	r.Step("endorsement")
	var riddle identity.Riddle
	if err := c.message(ctx, identity.PathChallenge, &identity.Ask{
		Robot: r.Robot, Token: r.state.Secret, EK: ek.Public, EKCertificate: ek.Certificate, Chain: ek.Chain, AK: r.TPM.AKPublic(), Device: r.TPM.DevicePublic(),
	}, &riddle); err != nil {
		return nil, err
	}
	r.Step("challenged")
	secret, err := r.TPM.ActivateCredential(ek, tpm.Credential{Blob: riddle.Blob, Secret: riddle.Secret})
	if err != nil {
		return nil, err
	}
	r.Step("activated")
	request, err := identity.Request(r.Key, r.Robot)
	if err != nil {
		return nil, err
	}
	s, err := r.TPM.CertifyDevice(identity.QualifyingData(riddle.Session, request))
	if err != nil {
		return nil, err
	}
	r.Step("certified")
	content, err := identity.EncodeMessage(&identity.Solution{Session: riddle.Session, Secret: secret, Request: request, Attest: s.Attest, Signature: s.Signature})
	if err != nil {
		return nil, err
	}
	return c.certificates(ctx, call{method: http.MethodPost, path: identity.PathActivate, kind: identity.TypeJSON, content: content})
}
