package envelope

import (
	"crypto/hmac"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
)

// Key is one commander's key.
type Key struct {
	// ID is its name in the policy and the deployment.
	ID string
	// Secret has at least 16 bytes; the key files hold 32.
	Secret []byte
}

func (k *Key) check() error {
	if k.ID == "" || len(k.Secret) < minKey {
		return fmt.Errorf("envelope: key %q of %d bytes: expected a name and at least %d bytes; make one with `openssl rand -hex 32`", k.ID, len(k.Secret), minKey)
	}
	return nil
}

// errNoChallenge is why nothing can be sealed yet.
var errNoChallenge = errors.New("envelope: no challenge of the guard has come yet; listen on the topic's robowarden_challenge")

// Sealer puts one commander's messages into envelopes. It is not safe for concurrent use.
type Sealer struct {
	binding   Binding
	key       string
	prefix    []byte
	mac       hash.Hash
	challenge [16]byte
	seq       uint64
}

// NewSealer prepares a commander. It seals nothing before the first challenge.
func NewSealer(b Binding, k Key) (*Sealer, error) {
	if err := errors.Join(b.check(), k.check()); err != nil {
		return nil, err
	}
	return &Sealer{binding: b, key: k.ID, prefix: b.prefix(), mac: hmac.New(sha256.New, k.Secret)}, nil
}

// Challenge takes up a challenge of the guard. The sequence begins anew with each; the same once more changes nothing.
func (s *Sealer) Challenge(challenge [16]byte) {
	if challenge != s.challenge {
		s.challenge, s.seq = challenge, 0
	}
}

// Append appends the envelope of the message.
func (s *Sealer) Append(out, message []byte) ([]byte, error) {
	if s.challenge == ([16]byte{}) {
		return out, errNoChallenge
	}
	s.seq++
	start := len(out)
	out = s.binding.header(out, s.key, s.challenge, s.seq)
	s.mac.Reset()
	s.mac.Write(s.prefix)
	s.mac.Write(out[start:])
	s.mac.Write(message)
	out = s.mac.Sum(out)
	return append(out, message...), nil
}
