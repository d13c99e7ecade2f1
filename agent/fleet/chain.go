package fleet

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"time"
)

const (
	startDomain      = "robowarden/evidence-chain/v1\x00"
	checkpointDomain = "robowarden/checkpoint/v1\x00"
)

// Digest is a value of an evidence chain.
type Digest [sha256.Size]byte

// String returns lower-case hexadecimal digits.
func (d Digest) String() string { return hex.EncodeToString(d[:]) }

// ParseDigest reads 64 lower-case hexadecimal digits.
func ParseDigest(s string) (Digest, error) {
	var d Digest
	raw, err := hex.DecodeString(s)
	if err != nil || len(raw) != len(d) || strings.ToLower(s) != s {
		return d, errors.New("expected 64 lower-case hexadecimal digits")
	}
	copy(d[:], raw)
	return d, nil
}

// BootID names one boot of a robot's computer, as its kernel does.
type BootID [16]byte

// String returns the lower-case UUID.
func (b BootID) String() string {
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}

// ParseBootID reads a lower-case UUID. The nil UUID names no boot.
func ParseBootID(s string) (BootID, error) {
	var b BootID
	raw, err := hex.DecodeString(strings.ReplaceAll(s, "-", ""))
	if err == nil && len(raw) == len(b) {
		copy(b[:], raw)
	}
	if b.String() != s || b == (BootID{}) {
		return BootID{}, errors.New("expected the lower-case UUID of a boot")
	}
	return b, nil
}

// Start returns the value that the evidence chain of a log has at the beginning of a boot.
func Start(log string, boot BootID) Digest {
	b := append([]byte(startDomain), log...)
	return sha256.Sum256(append(append(b, 0), boot[:]...))
}

// Next returns the value after a record: SHA-256 over the value before it, its kind, sequence number and boot clock in
// nanoseconds (little-endian), and the SHA-256 of its payload.
func Next(prev Digest, kind uint8, seq uint64, bootTime time.Duration, payload []byte) Digest {
	sum := sha256.Sum256(payload)
	b := make([]byte, 0, 2*sha256.Size+1+8+8)
	b = append(append(b, prev[:]...), kind)
	b = binary.LittleEndian.AppendUint64(b, seq)
	b = binary.LittleEndian.AppendUint64(b, uint64(bootTime))
	return sha256.Sum256(append(b, sum[:]...))
}

// Record is one record of a robot's log.
type Record struct {
	// Log is the log's name, such as "guard".
	Log string
	// Boot is the boot during which the record was written.
	Boot BootID
	// Seq is its number in the log. Numbers grow; only some of a log's records are evidence, so they leap.
	Seq uint64
	// Kind says what Payload holds.
	Kind uint8
	// BootTime is the robot's boot clock when the recorded thing happened.
	BootTime time.Duration
	// Prev and Digest are the chain's values before and after the record. Prev is all zeros where the robot lost what was
	// before and cannot know.
	Prev, Digest Digest
	// Payload is the record's content, as the journal has it.
	Payload []byte
	// Attested says whether the robot's attestation was accepted when the courier sent the record. The courier says so.
	Attested bool
	// Claim is what the courier calls the record, name and text. The chain does not cover it.
	Claim string
}

// follows checks that the record's digest follows from its own content.
func (r *Record) follows() bool {
	return Next(r.Prev, r.Kind, r.Seq, r.BootTime, r.Payload) == r.Digest
}
