package verifier

import (
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
//	bytes 16 to 31  the first half of HMAC-SHA-256 over a label, robot, boot id and all before
const (
	nonceHead  = 16
	nonceLabel = "robowarden/challenge-nonce/v1\x00"
	// NonceKeyBytes is the length of the key that verifiers share.
	NonceKeyBytes = 32
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

// seal is the part of a nonce that only holders of the key can make.
func seal(key []byte, robot, boot string, head []byte) []byte {
	h := hmac.New(sha256.New, key)
	fmt.Fprintf(h, "%s%s\x00%s\x00%s", nonceLabel, robot, boot, head)
	return h.Sum(nil)[:evidence.NonceBytes-nonceHead]
}

// newNonce makes a nonce for a robot in one boot.
func newNonce(key []byte, robot, boot string, s stamp, random io.Reader) ([evidence.NonceBytes]byte, error) {
	var n [evidence.NonceBytes]byte
	var made [8]byte
	binary.BigEndian.PutUint64(made[:], s.made)
	copy(n[:6], made[2:])
	binary.BigEndian.PutUint16(n[6:], uint16(s.life/time.Second)) //nolint:gosec // At most ten minutes.
	if _, err := io.ReadFull(random, n[8:nonceHead]); err != nil {
		return n, fmt.Errorf("drawing a nonce: %w", err)
	}
	copy(n[nonceHead:], seal(key, robot, boot, n[:nonceHead]))
	return n, nil
}

var errNotOurs = errors.New("the nonce is not ours, or is not for this robot and boot")

// readNonce reads a nonce that is for a robot in one boot.
func readNonce(key []byte, robot, boot string, n [evidence.NonceBytes]byte) (stamp, error) {
	if !hmac.Equal(n[nonceHead:], seal(key, robot, boot, n[:nonceHead])) {
		return stamp{}, errNotOurs
	}
	var made [8]byte
	copy(made[2:], n[:6])
	return stamp{binary.BigEndian.Uint64(made[:]), time.Duration(binary.BigEndian.Uint16(n[6:])) * time.Second}, nil
}

// plausible is a moment in ms unless it lies so far ahead that this verifier's clock must have gone back since: then it
// says nothing about what comes now.
func (v *Verifier) plausible(now time.Time, made uint64) uint64 {
	if made > uint64(now.Add(early).UnixMilli()) { //nolint:gosec // After 1970.
		return 0
	}
	return made
}

// recognise returns the challenge that evidence answers if its nonce is ours and its time is not over, however long ago
// this process was started. Logs and registers it cannot know; reference values say what they must be.
func (v *Verifier) recognise(now time.Time, robot string, c *evidence.Claims) (*order.Challenge, stamp) {
	s, err := readNonce(v.cfg.NonceKey, robot, c.BootID, c.Nonce)
	if err != nil || !now.Before(s.ends()) || s.life > evidence.MaxChallengeLife || v.plausible(now, s.made) != s.made {
		return nil, stamp{}
	}
	session := sha256.Sum256(c.Nonce[:])
	return &order.Challenge{
		Session: hex.EncodeToString(session[:16]), Nonce: hex.EncodeToString(c.Nonce[:]), Robot: robot, BootID: c.BootID, NotAfter: s.ends(),
	}, s
}
