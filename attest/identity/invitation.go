package identity

import (
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"net/url"
	"time"

	"github.com/robowarden/robowarden/attest/internal/strict"
	"github.com/robowarden/robowarden/attest/order"
)

const (
	// maxInvitation is the largest invitation in bytes.
	maxInvitation = 64 << 10
	// TokenBytes is the length of an invitation's secret.
	TokenBytes = 32
)

// Invitation is what somebody carries from an authority to a robot, once, and keeps from others meanwhile: where the authority
// is, who vouches for it, and the secret by which it knows the robot. Its JSON form is that of a file.
type Invitation struct {
	// Server is the authority's address, https://host:port.
	Server string `json:"server"`
	// Robot is the robot's id.
	Robot string `json:"robot"`
	// Tier says what must keep the robot's key.
	Tier order.Tier `json:"tier"`
	// Token is the secret in hexadecimal digits; it counts once.
	Token string `json:"token"`
	// Roots are the certificates, in PEM, that vouch for the authority's connection.
	Roots string `json:"roots"`
	// Expires is when the token ends, RFC 3339.
	Expires time.Time `json:"expires"`
}

// ParseInvitation reads an invitation strictly.
func ParseInvitation(data []byte) (*Invitation, error) {
	if len(data) > maxInvitation {
		return nil, fmt.Errorf("invitation: more than %d bytes", maxInvitation)
	}
	i := &Invitation{}
	err := strict.JSON(data, i)
	if err == nil {
		err = i.Validate()
	}
	if err != nil {
		return nil, fmt.Errorf("invitation: %w", err)
	}
	return i, nil
}

// Encode writes the invitation.
func (i *Invitation) Encode() ([]byte, error) {
	if err := i.Validate(); err != nil {
		return nil, fmt.Errorf("invitation: %w", err)
	}
	out, err := json.MarshalIndent(i, "", "  ")
	return append(out, '\n'), err
}

// Validate gives the first fault.
func (i *Invitation) Validate() error {
	if err := CheckName(RoleRobot, i.Robot); err != nil {
		return err
	}
	if err := CheckServer(i.Server); err != nil {
		return err
	}
	if i.Tier != order.TierTPM && i.Tier != order.TierSoftwareKey {
		return fmt.Errorf("tier: found %q: expected %q or %q", clip(string(i.Tier)), order.TierTPM, order.TierSoftwareKey)
	}
	if b, err := hex.DecodeString(i.Token); err != nil || len(b) != TokenBytes {
		return fmt.Errorf("token: expected %d bytes in hexadecimal digits", TokenBytes)
	}
	if _, err := ParsePEM([]byte(i.Roots)); err != nil {
		return fmt.Errorf("roots: %w", err)
	}
	if i.Expires.IsZero() {
		return errors.New("expires: is missing")
	}
	return nil
}

// CheckServer says whether this is the address of an authority: https, a host, perhaps a port and a path, and nothing else.
func CheckServer(address string) error {
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "https" || u.Hostname() == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" || len(address) > 512 {
		return fmt.Errorf("server: found %q: expected https://host:port", clip(address))
	}
	return nil
}

// ParsePEM reads 1 to MaxChain certificates in PEM. Anything else between them is an error.
func ParsePEM(text []byte) ([]*x509.Certificate, error) {
	if len(text) > MaxAnswer {
		return nil, fmt.Errorf("more than %d bytes", MaxAnswer)
	}
	var out []*x509.Certificate
	for len(out) <= MaxChain {
		block, rest := pem.Decode(text)
		if block == nil {
			break
		}
		if block.Type != "CERTIFICATE" {
			return nil, fmt.Errorf("found PEM %q: expected certificates", clip(block.Type))
		}
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, err
		}
		out, text = append(out, c), rest
	}
	if len(out) == 0 || len(out) > MaxChain {
		return nil, fmt.Errorf("found %d PEM certificates: expected 1 to %d", len(out), MaxChain)
	}
	return out, nil
}

// EncodePEM writes certificates in PEM.
func EncodePEM(chain []*x509.Certificate) []byte {
	var out []byte
	for _, c := range chain {
		out = append(out, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw})...)
	}
	return out
}
