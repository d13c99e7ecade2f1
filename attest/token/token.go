// Package token makes and checks the short-lived tokens that a robot gives its own programs: JWTs signed with ES256 by the
// robot's device key. It decides nobody's right to one, keeps nothing, and reads no clock.
//
// The form is RFC 7515 (compact), 7518 (ES256) and 7519. One algorithm, one curve, one form of header: a token that says
// anything else is refused before its signature is looked at, so there is nothing to be confused about.
package token

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/asn1"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"strings"
	"time"
)

const (
	// MaxLife is the longest that a token counts.
	MaxLife = 10 * time.Minute
	// MaxToken bounds a token, in bytes; those that Sign makes have about 700.
	MaxToken = 4096
	// coordinate is the length of r and of s, in bytes.
	coordinate = 32
)

// Claims are what a token says. Times are seconds since 1970, UTC.
type Claims struct {
	// Issuer is the robot's id, "manufacturer/serial".
	Issuer string `json:"iss"`
	// Subject is the program's name in the deployment, Audience who the token is for, Role what the program is to them.
	Subject  string `json:"sub"`
	Audience string `json:"aud"`
	Role     string `json:"role"`
	// IssuedAt and Expires bound its life, at most [MaxLife].
	IssuedAt int64 `json:"iat"`
	Expires  int64 `json:"exp"`
	// ID is drawn for each token.
	ID string `json:"jti"`
	// BootID is the kernel's id of the boot that was attested, Attestation the SHA-256 of the signed result that the robot's
	// guard accepted, in hexadecimal digits.
	BootID      string `json:"boot_id"`
	Attestation string `json:"att"`
}

type header struct {
	Algorithm string `json:"alg"`
	Type      string `json:"typ"`
	KeyID     string `json:"kid"`
}

// KeyID names a key in a token's header: what keeps it, "tpm" or "software-key", then a colon and its id. A software key is
// called so in every token.
func KeyID(tier, id string) string { return tier + ":" + id }

// Unsigned is the text that a token's signature covers.
func Unsigned(c *Claims, kid string) (string, error) {
	if err := c.validate(); err != nil {
		return "", err
	}
	head, err := json.Marshal(header{"ES256", "JWT", kid})
	if err != nil {
		return "", err
	}
	body, err := json.Marshal(c)
	if err != nil {
		return "", err
	}
	return encode(head) + "." + encode(body), nil
}

// Sign makes a token. The key is ECDSA on P-256, in the TPM or not; it may take its time.
func Sign(c *Claims, kid string, key crypto.Signer) (string, error) {
	text, err := Unsigned(c, kid)
	if err != nil {
		return "", err
	}
	if k, ok := key.Public().(*ecdsa.PublicKey); !ok || k.Curve != elliptic.P256() {
		return "", fmt.Errorf("token: expected a device key on P-256, found %T", key.Public())
	}
	sum := sha256.Sum256([]byte(text))
	der, err := key.Sign(rand.Reader, sum[:], crypto.SHA256)
	if err != nil {
		return "", fmt.Errorf("token: %w", err)
	}
	raw, err := plain(der)
	if err != nil {
		return "", err
	}
	return text + "." + encode(raw), nil
}

// plain turns an ASN.1 signature into r and s one behind the other (RFC 7518, 3.4).
func plain(der []byte) ([]byte, error) {
	var signature struct{ R, S *big.Int }
	rest, err := asn1.Unmarshal(der, &signature)
	r, s := signature.R, signature.S
	if err != nil || len(rest) > 0 || r.Sign() <= 0 || s.Sign() <= 0 || r.BitLen() > 8*coordinate || s.BitLen() > 8*coordinate {
		return nil, errors.New("token: the key gave no ECDSA signature on P-256")
	}
	out := make([]byte, 2*coordinate)
	r.FillBytes(out[:coordinate])
	s.FillBytes(out[coordinate:])
	return out, nil
}

func (c *Claims) validate() error {
	for _, f := range []struct{ name, value string }{
		{"iss", c.Issuer}, {"sub", c.Subject}, {"aud", c.Audience}, {"role", c.Role}, {"jti", c.ID}, {"boot_id", c.BootID}, {"att", c.Attestation},
	} {
		if f.value == "" || len(f.value) > 256 {
			return fmt.Errorf("token: %s has %d bytes: expected 1 to 256", f.name, len(f.value))
		}
	}
	if life := c.Expires - c.IssuedAt; c.IssuedAt <= 0 || life <= 0 || life > int64(MaxLife/time.Second) {
		return fmt.Errorf("token: exp lies %d s behind iat: expected 1 to %d", c.Expires-c.IssuedAt, int64(MaxLife/time.Second))
	}
	return nil
}

// Expect is what a token has to say to be accepted.
type Expect struct {
	// Issuer, Audience and KeyID are compared whole.
	Issuer, Audience, KeyID string
	// Now is the verifier's civil time, Leeway by how much the two clocks may differ.
	Now    time.Time
	Leeway time.Duration
}

// Verify checks a token against a robot's key. Whoever accepts it still has to know that the role is enough for what is
// asked, and that the key is not revoked.
func Verify(text string, key *ecdsa.PublicKey, want Expect) (*Claims, error) {
	if len(text) > MaxToken {
		return nil, fmt.Errorf("token: has %d bytes: at most %d are read", len(text), MaxToken)
	}
	parts := strings.Split(text, ".")
	if len(parts) != 3 {
		return nil, fmt.Errorf("token: has %d parts: expected 3", len(parts))
	}
	var h header
	var c Claims
	if err := errors.Join(decode(parts[0], &h), decode(parts[1], &c)); err != nil {
		return nil, err
	}
	if h.Algorithm != "ES256" || h.Type != "JWT" || h.KeyID != want.KeyID {
		return nil, fmt.Errorf("token: the header says %q, %q, %q: expected ES256, JWT and key %q", h.Algorithm, h.Type, h.KeyID, want.KeyID)
	}
	signature, err := decoding.DecodeString(parts[2])
	if err != nil || len(signature) != 2*coordinate {
		return nil, errors.New("token: the signature is not 64 bytes in base64url")
	}
	sum := sha256.Sum256([]byte(parts[0] + "." + parts[1]))
	if !ecdsa.Verify(key, sum[:], new(big.Int).SetBytes(signature[:coordinate]), new(big.Int).SetBytes(signature[coordinate:])) {
		return nil, errors.New("token: the signature is not this key's")
	}
	if err := c.validate(); err != nil {
		return nil, err
	}
	switch {
	case c.Issuer != want.Issuer:
		return nil, fmt.Errorf("token: of %q: expected %q", c.Issuer, want.Issuer)
	case c.Audience != want.Audience:
		return nil, fmt.Errorf("token: for %q: expected %q", c.Audience, want.Audience)
	case time.Unix(c.IssuedAt, 0).After(want.Now.Add(want.Leeway)):
		return nil, errors.New("token: from the future")
	case !want.Now.Add(-want.Leeway).Before(time.Unix(c.Expires, 0)):
		return nil, errors.New("token: expired")
	}
	return &c, nil
}

// decoding is base64url without padding, and with one spelling of everything.
var decoding = base64.RawURLEncoding.Strict()

func encode(b []byte) string { return decoding.EncodeToString(b) }

// decode reads a part of a token that must be spelt as this package spells it: keys given twice, in another case or in
// another order, and escapes, are no token of ours.
func decode[T header | Claims](text string, into *T) error {
	raw, err := decoding.DecodeString(text)
	if err != nil {
		return errors.New("token: a part is not base64url")
	}
	if err := json.Unmarshal(raw, into); err != nil {
		return errors.New("token: a part is not the JSON of a token")
	}
	if again, err := json.Marshal(into); err != nil || !bytes.Equal(again, raw) {
		return errors.New("token: a part is not spelt as a robot spells it")
	}
	return nil
}
