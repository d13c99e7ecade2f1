package identity

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"

	"github.com/robowarden/robowarden/attest/internal/strict"
)

// Paths below an authority's address. Those of EST are RFC 7030's; the others are ours, for what EST has no words for.
const (
	PathCACerts   = "/.well-known/est/cacerts"
	PathEnrol     = "/.well-known/est/simpleenroll"
	PathRenew     = "/.well-known/est/simplereenroll"
	PathChallenge = "/.well-known/robowarden/v1/challenge"
	PathActivate  = "/.well-known/robowarden/v1/activate"
	PathCRL       = "/.well-known/robowarden/v1/crl"
)

// Media types.
const (
	TypeRequest      = "application/pkcs10"
	TypeCertificates = "application/pkcs7-mime"
	TypeJSON         = "application/json"
)

// MaxMessage is the largest request to an authority, in bytes.
const MaxMessage = 48 << 10

// Ask is how a robot with a TPM asks to be enrolled: which TPM it has and who has invited it. It proves nothing yet.
type Ask struct {
	// Robot is the robot's id.
	Robot string `json:"robot"`
	// Token is the invitation's secret, "" of a robot that is enrolled already and asks anew with the same keys.
	Token string `json:"token,omitempty"`
	// EK is the endorsement key's public area (TPMT_PUBLIC).
	EK []byte `json:"ek"`
	// EKCertificate is its vendor's certificate in DER, if the TPM has one, and Chain what leads to the vendor's root.
	EKCertificate []byte   `json:"ek_certificate,omitempty"`
	Chain         [][]byte `json:"chain,omitempty"`
	// AK is the attestation key's public area, Device that of the device key.
	AK     []byte `json:"ak"`
	Device []byte `json:"device"`
	// Bound is that of the key that is bound to approved states, of a robot that has one: then the device key is for recovery alone.
	Bound []byte `json:"bound,omitempty"`
}

// Riddle is an authority's answer: a secret that only that TPM can open, if it has that attestation key.
type Riddle struct {
	// Session is the authority's own and sealed: it comes back with the answer.
	Session []byte `json:"session"`
	// Blob and Secret are the credential, see tpm.Credential.
	Blob   []byte `json:"blob"`
	Secret []byte `json:"secret"`
}

// Solution is a robot's answer: the secret, its request, and the attestation key's word that the request's key is in the TPM.
type Solution struct {
	// Session is the riddle's.
	Session []byte `json:"session"`
	// Secret is what the TPM has opened.
	Secret []byte `json:"secret"`
	// Request is the certificate request in DER.
	Request []byte `json:"request"`
	// Attest and Signature are the TPM's statement over QualifyingData, see tpm.CertifyDevice.
	Attest    []byte `json:"attest"`
	Signature []byte `json:"signature"`
	// BoundAttest and BoundSignature are the same about the bound key, see tpm.CertifyBound: it may be unable to sign a request, since
	// the robot may not be in an approved state yet, and it gets its certificate by this alone.
	BoundAttest    []byte `json:"bound_attest,omitempty"`
	BoundSignature []byte `json:"bound_signature,omitempty"`
}

// QualifyingData ties a TPM's statement to one session and one request.
func QualifyingData(session, request []byte) []byte {
	h := sha256.New()
	h.Write([]byte("robowarden/enrolment/v1\x00"))
	for _, part := range [][]byte{session, request} {
		sum := sha256.Sum256(part)
		h.Write(sum[:])
	}
	return h.Sum(nil)
}

// ParseMessage reads one of the messages above strictly.
func ParseMessage(data []byte, into any) error {
	if len(data) > MaxMessage {
		return fmt.Errorf("message: more than %d bytes", MaxMessage)
	}
	if err := strict.JSON(data, into); err != nil {
		return fmt.Errorf("message: %w", err)
	}
	return nil
}

// EncodeMessage writes one of the messages above.
func EncodeMessage(m any) ([]byte, error) { return json.Marshal(m) }
