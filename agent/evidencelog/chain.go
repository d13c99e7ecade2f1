package evidencelog

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"strings"
	"time"

	"github.com/robowarden/robowarden/agent/journal"
)

// The logs of a robot, one for each role.
const (
	// Guard is the guard's log.
	Guard = "guard"
	// Courier is the courier's log.
	Courier = "courier"
	// Steward is the steward's log.
	Steward = "steward"
)

// IsLog reports whether name is one of the logs of a robot.
func IsLog(name string) bool { return name == Guard || name == Courier || name == Steward }

// Digest is a value of the evidence chain, a SHA-256.
type Digest = [sha256.Size]byte

// Kinds of the guard's journal that stay on the robot: what a replay needs, at a rate that no radio link carries.
const (
	kindSnapshot journal.Kind = 2
	kindEvent    journal.Kind = 3
	kindResume   journal.Kind = 8
)

// Carries reports whether records of the kind in the log are evidence. What is not known is.
func Carries(log string, kind journal.Kind) bool {
	return log != Guard || kind != kindSnapshot && kind != kindEvent && kind != kindResume
}

const originLabel = "robowarden/evidence-chain/v1\x00"

// Origin is the chain value before the first record of a log in a boot.
func Origin(log string, boot [16]byte) Digest {
	b := make([]byte, 0, len(originLabel)+len(log)+1+len(boot))
	b = append(append(append(b, originLabel...), log...), 0)
	return sha256.Sum256(append(b, boot[:]...))
}

// Next is the chain value after a record, at its time on the boot clock. It does not allocate.
func Next(prev Digest, kind journal.Kind, seq uint64, at time.Duration, payload []byte) Digest {
	return NextSum(prev, kind, seq, at, sha256.Sum256(payload))
}

// NextSum is [Next] for who knows only the payload's SHA-256.
func NextSum(prev Digest, kind journal.Kind, seq uint64, at time.Duration, payload [sha256.Size]byte) Digest {
	var b [2*sha256.Size + 17]byte
	copy(b[:], prev[:])
	b[sha256.Size] = byte(kind)
	binary.LittleEndian.PutUint64(b[sha256.Size+1:], seq)
	binary.LittleEndian.PutUint64(b[sha256.Size+9:], uint64(at)) //nolint:gosec // the format writes signed numbers so
	copy(b[sha256.Size+17:], payload[:])
	return sha256.Sum256(b[:])
}

// Position is a point of a log's evidence chain: the boot, the last evidence record there and the chain value after it.
// The zero Position is before everything.
type Position struct {
	BootID [16]byte
	Seq    uint64
	Digest Digest
}

// FormatBoot writes a boot id as the kernel does, a lower-case UUID.
func FormatBoot(id [16]byte) string {
	h := hex.EncodeToString(id[:])
	return h[:8] + "-" + h[8:12] + "-" + h[12:16] + "-" + h[16:20] + "-" + h[20:]
}

// ParseBoot reads what [FormatBoot] wrote and nothing else.
func ParseBoot(s string) (id [16]byte, err error) {
	if len(s) == 36 {
		if b, err := hex.DecodeString(strings.ReplaceAll(s, "-", "")); err == nil && len(b) == len(id) {
			copy(id[:], b)
		}
	}
	if id == ([16]byte{}) || FormatBoot(id) != s {
		return [16]byte{}, fmt.Errorf("boot id: expected a lower-case UUID as the kernel writes it, found %q", s)
	}
	return id, nil
}
