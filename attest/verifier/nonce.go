package verifier

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/robowarden/robowarden/attest/evidence"
	"github.com/robowarden/robowarden/attest/order"
)

// A nonce says itself who has made it, for whom, when, and for how long it counts, so that every verifier with the same
// key can judge the answer, whether or not it remembers the challenge:
//
//	bytes 0 to 5    when it was made, in ms since 1970, big-endian
//	bytes 6 and 7   for how many seconds it counts
//	bytes 8 to 15   random
//	bytes 16 to 31  the first half of HMAC-SHA-256 over a label, robot, boot id, the robot's rewinds and all before
//
// Rewinds count how often the clock was found to have gone back ([State]): nonces made before that are ours no more.
// Otherwise what was made, and perhaps answered, by a clock that was ahead would be fresh when its hour comes.
const (
	nonceHead  = 16
	nonceLabel = "robowarden/challenge-nonce/v2\x00"
	// NonceKeyBytes is the length of the key that verifiers share.
	NonceKeyBytes = 32
	// MaxNonceKeys is how many of them may count at once: the one in use, the one before, and the next.
	MaxNonceKeys = 3
)

// stamp is what a nonce of ours says.
type stamp struct {
	made uint64 // ms since 1970
	life time.Duration
}

// ends is the moment from which an answer does not count, in whole seconds as challenges carry it.
func (s stamp) ends() time.Time {
	return time.UnixMilli(int64(s.made)).UTC().Truncate(time.Second).Add(s.life) //nolint:gosec // 48 bits.
}

// subject is what a nonce is for.
type subject struct {
	robot, boot string
	rewinds     uint64
}

// seal is the part of a nonce that only holders of the key can make.
func (f subject) seal(key, head []byte) []byte {
	h := hmac.New(sha256.New, key)
	fmt.Fprintf(h, "%s%s\x00%s\x00%s%s", nonceLabel, f.robot, f.boot, binary.BigEndian.AppendUint64(nil, f.rewinds), head)
	return h.Sum(nil)[:evidence.NonceBytes-nonceHead]
}

// newNonce makes a nonce.
func newNonce(key []byte, f subject, s stamp, random io.Reader) ([evidence.NonceBytes]byte, error) {
	var n [evidence.NonceBytes]byte
	var made [8]byte
	binary.BigEndian.PutUint64(made[:], s.made)
	copy(n[:6], made[2:])
	binary.BigEndian.PutUint16(n[6:], uint16(s.life/time.Second)) //nolint:gosec // At most ten minutes.
	if _, err := io.ReadFull(random, n[8:nonceHead]); err != nil {
		return n, fmt.Errorf("drawing a nonce: %w", err)
	}
	copy(n[nonceHead:], f.seal(key, n[:nonceHead]))
	return n, nil
}

var errNotOurs = errors.New("the nonce is not ours, is not for this robot and boot, or is of before the clock went back")

// readNonce reads a nonce of ours.
func readNonce(key []byte, f subject, n [evidence.NonceBytes]byte) (stamp, error) {
	if !hmac.Equal(n[nonceHead:], f.seal(key, n[:nonceHead])) {
		return stamp{}, errNotOurs
	}
	var made [8]byte
	copy(made[2:], n[:6])
	return stamp{binary.BigEndian.Uint64(made[:]), time.Duration(binary.BigEndian.Uint16(n[6:])) * time.Second}, nil
}

// SetNonceKeys puts keys for nonces in force, at most [MaxNonceKeys] of [NonceKeyBytes] bytes: challenges are made with the
// first, answers to challenges by any of them count. So a key is changed while challenges by the one before are open.
func (v *Verifier) SetNonceKeys(keys ...[]byte) error {
	if len(keys) == 0 || len(keys) > MaxNonceKeys {
		return fmt.Errorf("verifier: found %d keys for nonces: expected 1 to %d", len(keys), MaxNonceKeys)
	}
	own := make([][]byte, 0, len(keys))
	for _, k := range keys {
		if len(k) != NonceKeyBytes {
			return fmt.Errorf("verifier: key for nonces: has %d bytes: expected %d", len(k), NonceKeyBytes)
		}
		own = append(own, bytes.Clone(k))
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	v.nonceKeys = own
	return nil
}

// ahead says that a moment in ms lies so far ahead that this verifier's clock must have gone back since.
func ahead(now time.Time, made uint64) bool {
	return made > millis(now.Add(early))
}

// millis is a moment in ms since 1970, 0 before that.
func millis(t time.Time) uint64 { return uint64(max(t.UnixMilli(), 0)) }

// rewind takes note that the clock has gone back, if it has since a challenge was made or answered: the robot's nonces
// until now are ours no more, also where nobody remembers them. It is durable before another challenge is made.
func (v *Verifier) rewind(now time.Time, robot string, x *exchange, s State) (State, error) {
	if !ahead(now, s.Answered) && !ahead(now, x.made) {
		return s, nil
	}
	from := s
	s.Rewinds++
	s.Answered = 0
	if err := v.store.Advance(robot, from, s); err != nil {
		return s, fmt.Errorf("no challenge is made: %w", err)
	}
	x.made, x.open = 0, nil
	return s, nil
}

// recognise returns the challenge that evidence answers if its nonce is ours and its time is not over, however long ago
// this process was started. Logs and registers it cannot know; reference values say what they must be.
func (v *Verifier) recognise(now time.Time, robot string, rewinds uint64, c *evidence.Claims) (*order.Challenge, stamp) {
	var s stamp
	err := errNotOurs
	for _, key := range v.nonceKeys {
		if s, err = readNonce(key, subject{robot, c.BootID, rewinds}, c.Nonce); err == nil {
			break
		}
	}
	if err != nil || !now.Before(s.ends()) || s.life > evidence.MaxChallengeLife || ahead(now, s.made) {
		return nil, stamp{}
	}
	session := sha256.Sum256(c.Nonce[:])
	return &order.Challenge{
		Session: hex.EncodeToString(session[:16]), Nonce: hex.EncodeToString(c.Nonce[:]), Robot: robot, BootID: c.BootID, NotAfter: s.ends(),
	}, s
}
