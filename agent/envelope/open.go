package envelope

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"sync"

	"github.com/robowarden/robowarden/hal/msg"
)

// Opener checks the envelopes of one channel. It allocates nothing and may be used by several goroutines at once: the
// lock is held for the computation of one code, never over input or output.
type Opener struct {
	binding      Binding
	robot, topic [8]byte
	prefix       []byte
	max          int

	mu   sync.Mutex
	keys []openKey
	sum  [sha256.Size]byte
}

type openKey struct {
	tag [8]byte
	mac hash.Hash
}

// NewOpener prepares a channel with one to MaxKeys keys, numbered from 1 in their order. maxBytes is the largest envelope.
func NewOpener(b Binding, maxBytes int, keys ...Key) (*Opener, error) {
	if err := b.check(); err != nil {
		return nil, err
	}
	if len(keys) == 0 || len(keys) > MaxKeys {
		return nil, fmt.Errorf("envelope: topic %s has %d keys: expected 1 to %d", b.Topic, len(keys), MaxKeys)
	}
	if maxBytes <= Overhead {
		return nil, fmt.Errorf("envelope: topic %s takes %d bytes: expected more than the %d that an envelope adds", b.Topic, maxBytes, Overhead)
	}
	o := &Opener{binding: b, robot: tag(b.Robot), topic: tag(b.Topic), prefix: b.prefix(), max: maxBytes}
	for i := range keys {
		if err := keys[i].check(); err != nil {
			return nil, err
		}
		t := tag(keys[i].ID)
		for _, k := range o.keys {
			if k.tag == t {
				return nil, errors.New("envelope: key " + keys[i].ID + " is listed twice, or its name's tag is another's; rename it")
			}
		}
		o.keys = append(o.keys, openKey{t, hmac.New(sha256.New, keys[i].Secret)})
	}
	return o, nil
}

// AppendChallenge appends the line by which the guard tells a challenge.
func (o *Opener) AppendChallenge(line []byte, challenge [16]byte) []byte {
	return o.binding.AppendChallenge(line, challenge)
}

// Open takes a message out of its envelope. The message points into b; it is nil unless the proof is authentic.
func (o *Opener) Open(b []byte) (message []byte, p msg.Proof) {
	if p = o.read(b); p.Verdict != msg.ProofAuthentic {
		return nil, p
	}
	if !o.right(int(p.Key)-1, b) {
		p.Verdict = msg.ProofWrongCode
		return nil, p
	}
	return b[Overhead:], p
}

// read says what can be said without the code.
func (o *Opener) read(b []byte) msg.Proof {
	switch {
	case len(b) > o.max:
		return msg.Proof{Verdict: msg.ProofOversize}
	case len(b) < Overhead || string(b[:len(magic)]) != magic || b[4] != algorithm || b[5]|b[6]|b[7] != 0:
		return msg.Proof{Verdict: msg.ProofMalformed}
	}
	p := msg.Proof{Verdict: msg.ProofAuthentic, Seq: binary.LittleEndian.Uint64(b[seqAt:]), Challenge: [16]byte(b[challengeAt:])}
	for i := range o.keys {
		if o.keys[i].tag == [8]byte(b[keyAt:]) {
			p.Key = uint8(i + 1) //nolint:gosec // at most MaxKeys
		}
	}
	switch {
	case p.Seq == 0:
		p.Verdict = msg.ProofMalformed
	case [8]byte(b[robotAt:]) != o.robot:
		p.Verdict = msg.ProofWrongRobot
	case [16]byte(b[bootAt:]) != o.binding.Boot:
		p.Verdict = msg.ProofWrongBoot
	case [8]byte(b[topicAt:]) != o.topic:
		p.Verdict = msg.ProofWrongTopic
	case p.Key == 0:
		p.Verdict = msg.ProofUnknownKey
	}
	return p
}

// right checks the code by the key with this index.
func (o *Opener) right(key int, b []byte) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	mac := o.keys[key].mac
	mac.Reset()
	mac.Write(o.prefix)
	mac.Write(b[:codeAt])
	mac.Write(b[Overhead:])
	return hmac.Equal(mac.Sum(o.sum[:0]), b[codeAt:Overhead])
}
