package guard

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
)

// The heartbeat of a control channel is a challenge that only the holder of the endpoint's key can answer, bound to
// this robot and this boot. Both lines are printable ASCII, so that any language can speak them over a string topic:
//
//	rw1 challenge <robot> <boot id, 32 hex> <endpoint> <challenge, 32 hex> <level>
//	rw1 answer <endpoint> <challenge, 32 hex> <level> <mac, 64 hex>
//
// mac = HMAC-SHA256(key, "robowarden/heartbeat/v1" 0 robot 0 boot-id 0 endpoint 0 challenge 0 level), each field the
// ASCII string as it stands in the line. The level of an answer is "ok" or "stop". The level of a challenge says how
// far the channel has come ("away", "checked-in", "running" or "stopped") and carries no authority; a desk that is told
// "away" has to check in with "stop" first.
const (
	heartbeatContext = "robowarden/heartbeat/v1"
	maxAnswerLine    = 256
	minHeartbeatKey  = 16
)

var (
	errAnswerForm = errors.New(`expected "rw1 answer <endpoint> <challenge> <level> <mac>"`)
	errAnswerMAC  = errors.New("the authentication code does not match: wrong key, robot, boot or challenge")
)

// Heartbeat checks answers for one endpoint. It keeps its hash between calls, so that checking does not allocate; it is
// not safe for concurrent use.
type Heartbeat struct {
	endpoint string
	robot    string
	boot     string
	mac      hash.Hash
	sum      [sha256.Size]byte
	sep      [1]byte
}

// NewHeartbeat prepares an endpoint. The key has at least 16 bytes; robot, boot id and endpoint are as in the lines.
func NewHeartbeat(endpoint, robot string, boot [16]byte, key []byte) (*Heartbeat, error) {
	if len(key) < minHeartbeatKey {
		return nil, fmt.Errorf("heartbeat key of %q: expected at least %d bytes, found %d; make one with `openssl rand -hex 32`",
			endpoint, minHeartbeatKey, len(key))
	}
	return &Heartbeat{endpoint: endpoint, robot: robot, boot: hex.EncodeToString(boot[:]), mac: hmac.New(sha256.New, key)}, nil
}

// AppendChallenge appends the challenge line for the given value and level.
func (h *Heartbeat) AppendChallenge(b []byte, value [16]byte, level string) []byte {
	b = append(b, "rw1 challenge "...)
	b = append(b, h.robot...)
	b = append(b, ' ')
	b = append(b, h.boot...)
	b = append(b, ' ')
	b = append(b, h.endpoint...)
	b = append(b, ' ')
	b = hex.AppendEncode(b, value[:])
	b = append(b, ' ')
	return append(b, level...)
}

// Check parses an answer and checks its code. Even a wrong answer returns the challenge that it names, if it names one,
// so that the core can count it.
func (h *Heartbeat) Check(line []byte) (a Answer, err error) {
	var field [6][]byte
	if len(line) > maxAnswerLine || !split(bytes.TrimSpace(line), &field) ||
		string(field[0]) != "rw1" || string(field[1]) != "answer" || string(field[2]) != h.endpoint {
		return a, errAnswerForm
	}
	challenge, level, code := field[3], field[4], field[5]
	if len(challenge) != 2*len(a.Value) || len(code) != 2*sha256.Size {
		return a, errAnswerForm
	}
	if _, err := hex.Decode(a.Value[:], challenge); err != nil {
		return a, errAnswerForm
	}
	var want [sha256.Size]byte
	if _, err := hex.Decode(want[:], code); err != nil {
		return a, errAnswerForm
	}
	a.Stop = string(level) == "stop"
	if !a.Stop && string(level) != "ok" {
		return a, errAnswerForm
	}
	if !hmac.Equal(h.code(challenge, level), want[:]) {
		return a, errAnswerMAC
	}
	a.Valid = true
	return a, nil
}

func (h *Heartbeat) code(challenge, level []byte) []byte {
	h.mac.Reset()
	h.field(heartbeatContext)
	h.field(h.robot)
	h.field(h.boot)
	h.field(h.endpoint)
	h.mac.Write(challenge)
	h.mac.Write(h.sep[:])
	h.mac.Write(level)
	return h.mac.Sum(h.sum[:0])
}

func (h *Heartbeat) field(s string) {
	// A string would be copied to the heap by the hash's interface; small pieces through the fixed buffer are not.
	for len(s) > 0 {
		n := copy(h.sum[:], s)
		h.mac.Write(h.sum[:n])
		s = s[n:]
	}
	h.mac.Write(h.sep[:])
}

// split cuts the line at single spaces into exactly six fields.
func split(line []byte, out *[6][]byte) bool {
	for i := range out {
		cut := bytes.IndexByte(line, ' ')
		last := i == len(out)-1
		if last != (cut < 0) {
			return false
		}
		if last {
			out[i] = line
			return len(line) > 0
		}
		out[i], line = line[:cut], line[cut+1:]
	}
	return true
}
