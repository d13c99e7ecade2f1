package agent

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
)

// ageMark is what the disk knows.
type ageMark struct {
	// value is how far the counter has counted, or is being asked to; 0 while the first counter is being made.
	value uint64
	// generation is how often the record of used orders had been written then.
	generation uint64
	// key is the SHA-256 of the attestation key that was seen first.
	key [sha256.Size]byte
}

// newRobot stands in the place of the key on a robot whose TPM counts from its first start on, until a counter has been asked for.
var newRobot = [sha256.Size]byte{'n', 'e', 'w'}

// markNew writes down at a robot's first start, before anything else, that no counter was ever asked for. A start after a power cut or
// a refused configuration still knows it. What is there already stays.
func markNew(state *stateDir) error {
	if _, err := state.dir.ReadFile(ageFile); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return state.replace(ageNew, ageFile, (&ageMark{key: newRobot}).encode())
}

const ageBytes = 8 + 8 + sha256.Size

var errAge = fmt.Errorf("expected %d bytes of counter, generation and key, and their CRC-32C", ageBytes)

func (m *ageMark) encode() []byte {
	b := binary.LittleEndian.AppendUint64(nil, m.value)
	b = append(binary.LittleEndian.AppendUint64(b, m.generation), m.key[:]...)
	return binary.LittleEndian.AppendUint32(b, checksum(b))
}

func decodeAge(b []byte) (m ageMark, err error) {
	if len(b) != ageBytes+4 || binary.LittleEndian.Uint32(b[ageBytes:]) != checksum(b[:ageBytes]) {
		return m, fmt.Errorf("%s: %w, found %d bytes", ageFile, errAge, len(b))
	}
	m.value, m.generation = binary.LittleEndian.Uint64(b), binary.LittleEndian.Uint64(b[8:])
	copy(m.key[:], b[16:])
	return m, nil
}

// AgeStatus says whether the guard's state on disk is proven to be the newest.
type AgeStatus struct {
	// State is proven, unproven or set-back.
	State string `json:"state"`
	// Counter is how far the TPM has counted as far as the disk knows, 0 if it has not.
	Counter uint64 `json:"counter,omitempty"`
	// Text says why, for people.
	Text string `json:"text"`
}
