package token

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"errors"
	"fmt"

	"github.com/robowarden/robowarden/attest/internal/strict"
)

// JWK is a public key as RFC 7517 writes it.
type JWK struct {
	Type      string `json:"kty"`
	Curve     string `json:"crv"`
	X         string `json:"x"`
	Y         string `json:"y"`
	Algorithm string `json:"alg"`
	Use       string `json:"use"`
	KeyID     string `json:"kid"`
}

// PublicJWK writes a device key for those who check its tokens.
func PublicJWK(key crypto.PublicKey, kid string) (*JWK, error) {
	k, ok := key.(*ecdsa.PublicKey)
	if !ok || k.Curve != elliptic.P256() {
		return nil, fmt.Errorf("token: expected a device key on P-256, found %T", key)
	}
	point, err := k.Bytes() // 4, x, y
	if err != nil {
		return nil, fmt.Errorf("token: %w", err)
	}
	return &JWK{"EC", "P-256", encode(point[1 : 1+coordinate]), encode(point[1+coordinate:]), "ES256", "sig", kid}, nil
}

// ParseJWK reads what [PublicJWK] writes: a robot's key, and the id that its tokens have to name.
func ParseJWK(data []byte) (key *ecdsa.PublicKey, kid string, err error) {
	var j JWK
	if err := strict.JSON(data, &j); err != nil {
		return nil, "", fmt.Errorf("key of tokens: %w", err)
	}
	if j.Type != "EC" || j.Curve != "P-256" || j.Algorithm != "ES256" || j.Use != "sig" || j.KeyID == "" {
		return nil, "", fmt.Errorf("key of tokens: found kty %q, crv %q, alg %q, use %q, kid %q: expected EC, P-256, ES256, sig and an id", j.Type, j.Curve, j.Algorithm, j.Use, j.KeyID)
	}
	x, errX := decoding.DecodeString(j.X)
	y, errY := decoding.DecodeString(j.Y)
	if errX != nil || errY != nil || len(x) != coordinate || len(y) != coordinate {
		return nil, "", errors.New("key of tokens: x and y: expected 32 bytes each in base64url")
	}
	if key, err = ecdsa.ParseUncompressedPublicKey(elliptic.P256(), append(append([]byte{4}, x...), y...)); err != nil {
		return nil, "", fmt.Errorf("key of tokens: %w", err)
	}
	return key, j.KeyID, nil
}
