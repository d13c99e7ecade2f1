package authority

import (
	"crypto/rand"
	"encoding/json"
	"time"
)

// sessionLife is how long a TPM may take to open a credential and to certify a key: chips are slow.
const sessionLife = 5 * time.Minute

// session is what the authority has to know when the answer comes. It travels sealed, so that nothing is kept for strangers.
type session struct {
	Robot   string    `json:"robot"`
	Token   string    `json:"token"`
	Keys    keys      `json:"keys"`
	Device  []byte    `json:"device"`
	Secret  []byte    `json:"secret"`
	Expires time.Time `json:"expires"`
}

// sealed keeps sessions apart from everything else that the key might seal.
var sealed = []byte("robowarden/enrolment-session/v1")

// close seals a session.
func (a *Authority) close(s *session) ([]byte, error) {
	plain, err := json.Marshal(s) //nolint:gosec // it is sealed at once
	if err != nil {
		return nil, err
	}
	nonce := make([]byte, a.seal.NonceSize())
	_, _ = rand.Read(nonce) // it never fails: crypto/rand ends the program instead
	return a.seal.Seal(nonce, nonce, plain, sealed), nil
}

// open opens a session that this run of the authority has sealed.
func (a *Authority) open(b []byte, now time.Time) (*session, error) {
	n := a.seal.NonceSize()
	if len(b) < n {
		return nil, refuse("the session is not this authority's")
	}
	plain, err := a.seal.Open(nil, b[:n], b[n:], sealed)
	if err != nil {
		return nil, refuse("the session is not of this run of the authority: ask again")
	}
	s := &session{}
	if err := json.Unmarshal(plain, s); err != nil {
		return nil, err
	}
	if !now.Before(s.Expires) {
		return nil, refuse("the session ran out at %s: ask again", s.Expires.Format(time.RFC3339))
	}
	return s, nil
}
