package envelope

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
)

// The envelope's bytes; ENVELOPE.md shows them as a table.
const (
	magic     = "RWE1"
	algorithm = 1 // HMAC-SHA256
	context   = "robowarden/command/v1"

	seqAt       = 8
	bootAt      = 16
	challengeAt = 32
	robotAt     = 48
	topicAt     = 56
	keyAt       = 64
	codeAt      = 72
	// Overhead is what an envelope adds to a message, in bytes.
	Overhead = codeAt + sha256.Size
)

const (
	// MaxKeys is the largest number of keys of one channel.
	MaxKeys = 4
	// minKey is the shortest key in bytes.
	minKey = 16
)

// Binding is what every envelope of one channel is bound to.
type Binding struct {
	// Robot is the robot's id, "manufacturer/serial".
	Robot string
	// Boot is the kernel's boot id.
	Boot [16]byte
	// Topic is the topic's absolute name, Type the type of the message inside, such as geometry_msgs/Twist.
	Topic, Type string
}

// tag is a short name for a long one. It only helps to say what is wrong: the code covers the long one.
func tag(s string) [8]byte {
	sum := sha256.Sum256([]byte(s))
	return [8]byte(sum[:8])
}

// prefix is what the code covers before the envelope itself.
func (b *Binding) prefix() []byte {
	var out []byte
	for _, s := range []string{context, b.Robot, b.Topic, b.Type} {
		out = append(append(out, s...), 0)
	}
	return out
}

func (b *Binding) check() error {
	for name, s := range map[string]string{"robot": b.Robot, "topic": b.Topic, "type": b.Type} {
		if s == "" || bytes.IndexByte([]byte(s), 0) >= 0 {
			return fmt.Errorf("envelope: %s %q: expected a name without zero bytes", name, s)
		}
	}
	return nil
}

// header writes everything before the code.
func (b *Binding) header(out []byte, key string, challenge [16]byte, seq uint64) []byte {
	robot, topic, id := tag(b.Robot), tag(b.Topic), tag(key)
	out = append(out, magic...)
	out = append(out, algorithm, 0, 0, 0)
	out = binary.LittleEndian.AppendUint64(out, seq)
	out = append(out, b.Boot[:]...)
	out = append(out, challenge[:]...)
	out = append(out, robot[:]...)
	out = append(out, topic[:]...)
	return append(out, id[:]...)
}

// The challenge's line: rw1 command-challenge <robot> <boot id, 32 hex> <topic> <challenge, 32 hex>.
const challengeWords = "rw1 command-challenge "

// errChallenge is why a line is no challenge.
var errChallenge = errors.New(`expected "rw1 command-challenge <robot> <boot id> <topic> <challenge>"`)

// AppendChallenge appends the line by which the guard tells a challenge.
func (b *Binding) AppendChallenge(line []byte, challenge [16]byte) []byte {
	line = append(line, challengeWords...)
	line = append(line, b.Robot...)
	line = append(line, ' ')
	line = hex.AppendEncode(line, b.Boot[:])
	line = append(line, ' ')
	line = append(line, b.Topic...)
	line = append(line, ' ')
	return hex.AppendEncode(line, challenge[:])
}

// ParseChallenge reads the line: what a commander has to know beside its key and the type.
func ParseChallenge(line []byte) (robot string, boot [16]byte, topic string, challenge [16]byte, err error) {
	rest, ok := bytes.CutPrefix(bytes.TrimSpace(line), []byte(challengeWords))
	f := bytes.Split(rest, []byte(" "))
	if !ok || len(f) != 4 || len(f[0]) == 0 || len(f[1]) != 32 || len(f[2]) == 0 || len(f[3]) != 32 {
		return "", boot, "", challenge, errChallenge
	}
	_, err1 := hex.Decode(boot[:], f[1])
	_, err2 := hex.Decode(challenge[:], f[3])
	if err := errors.Join(err1, err2); err != nil {
		return "", boot, "", challenge, errChallenge
	}
	return string(f[0]), boot, string(f[2]), challenge, nil
}
