package enrol

import (
	"context"
	"crypto/x509"
	"net/http"

	"github.com/robowarden/robowarden/attest/identity"
	"github.com/robowarden/robowarden/attest/tpm"
)

// prove has the TPM prove which one it is, that the attestation key is in it, and that the device key is, and asks for the
// device key's certificate, and for the bound key's where there is one. Nothing of it is worth keeping: after a cut it is done anew, with the same keys.
func (r *run) prove(ctx context.Context, c *client) ([]*x509.Certificate, error) {
	ek, err := r.TPM.Endorsement()
	if err != nil {
		return nil, err
	}
	r.Step("endorsement")
	ask := &identity.Ask{
		Robot: r.Robot, Token: r.state.Secret, EK: ek.Public, EKCertificate: ek.Certificate, Chain: ek.Chain, AK: r.TPM.AKPublic(), Device: r.TPM.DevicePublic(),
	}
	role := identity.RoleRobot
	if r.Bound != nil {
		ask.Bound, role = r.Bound.Area(), identity.RoleRecovery
	}
	var riddle identity.Riddle
	if err := c.message(ctx, identity.PathChallenge, ask, &riddle); err != nil {
		return nil, err
	}
	r.Step("challenged")
	secret, err := r.TPM.ActivateCredential(ek, tpm.Credential{Blob: riddle.Blob, Secret: riddle.Secret})
	if err != nil {
		return nil, err
	}
	r.Step("activated")
	request, err := identity.Request(r.Key, role, r.Robot)
	if err != nil {
		return nil, err
	}
	s, err := r.TPM.CertifyDevice(identity.QualifyingData(riddle.Session, request))
	if err != nil {
		return nil, err
	}
	r.Step("certified")
	answer := &identity.Solution{Session: riddle.Session, Secret: secret, Request: request, Attest: s.Attest, Signature: s.Signature}
	if r.Bound != nil {
		b, err := r.Bound.CertifyBound(identity.QualifyingData(riddle.Session, request))
		if err != nil {
			return nil, err
		}
		r.Step("bound certified")
		answer.BoundAttest, answer.BoundSignature = b.Attest, b.Signature
	}
	content, err := identity.EncodeMessage(answer)
	if err != nil {
		return nil, err
	}
	return c.certificates(ctx, call{method: http.MethodPost, path: identity.PathActivate, kind: identity.TypeJSON, content: content})
}
