package fleet

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/robowarden/robowarden/attest/order"
)

// The courier's own log says two things about the other logs.
const (
	courierLog = "courier"
	// KindCheckpoint is a record of the courier's log: the robot's device key vouches for a log up to a record.
	KindCheckpoint uint8 = 16
	// KindLoss is a record of the courier's log: records of a log were lost before anybody acknowledged them.
	KindLoss uint8 = 17
)

// checkpoint is what a robot's device key vouches for.
type checkpoint struct {
	key      streamKey
	seq      uint64
	digest   Digest // of the journal's own chain, which only the robot can check
	evidence Digest
	tier     string
	keyID    string
	sig      []byte
}

// readCheckpoint reads the payload of a [KindCheckpoint] record.
func readCheckpoint(payload []byte) (checkpoint, error) {
	var w struct {
		Log       string `json:"log"`
		BootID    string `json:"boot_id"`
		Seq       uint64 `json:"seq"`
		Digest    string `json:"digest"`
		Evidence  string `json:"evidence"`
		KeyID     string `json:"key_id"`
		Tier      string `json:"tier"`
		Signature string `json:"signature"`
	}
	if err := strict(payload, &w); err != nil {
		return checkpoint{}, fmt.Errorf("checkpoint: %w", err)
	}
	c := checkpoint{seq: w.Seq, tier: w.Tier, keyID: w.KeyID}
	var err error
	if c.key, err = readKey(w.Log, w.BootID); err != nil {
		return c, fmt.Errorf("checkpoint: %w", err)
	}
	if c.digest, err = ParseDigest(w.Digest); err != nil {
		return c, fmt.Errorf("checkpoint: digest: %w", err)
	}
	if c.evidence, err = ParseDigest(w.Evidence); err != nil {
		return c, fmt.Errorf("checkpoint: evidence: %w", err)
	}
	if c.sig, err = base64.StdEncoding.Strict().DecodeString(w.Signature); err != nil {
		return c, fmt.Errorf("checkpoint: signature: %w", err)
	}
	return c, nil
}

// message is what the signature covers.
func (c *checkpoint) message() []byte {
	b := append([]byte(checkpointDomain), c.key.log...)
	b = append(append(b, 0), c.key.boot[:]...)
	b = binary.LittleEndian.AppendUint64(b, c.seq)
	return append(append(b, c.digest[:]...), c.evidence[:]...)
}

// verify checks that the device key made the signature.
func (c *checkpoint) verify(device crypto.PublicKey) error {
	if id, err := order.KeyID(device); err != nil || id != c.keyID {
		return fmt.Errorf("expected key %s, found %q", id, clip(c.keyID))
	}
	good := false
	switch k := device.(type) {
	case *ecdsa.PublicKey:
		sum := sha256.Sum256(c.message())
		good = ecdsa.VerifyASN1(k, sum[:], c.sig)
	case ed25519.PublicKey:
		good = ed25519.Verify(k, c.message(), c.sig)
	}
	if !good {
		return errors.New("the signature is not the device key's")
	}
	return nil
}

// loss is a range of records that the robot says are lost, both ends included.
type loss struct {
	key         streamKey
	first, last uint64
}

// readLoss reads the payload of a [KindLoss] record.
func readLoss(payload []byte) (loss, error) {
	var w struct {
		Log    string `json:"log"`
		BootID string `json:"boot_id"`
		First  uint64 `json:"first"`
		Last   uint64 `json:"last"`
	}
	if err := strict(payload, &w); err != nil {
		return loss{}, fmt.Errorf("loss: %w", err)
	}
	key, err := readKey(w.Log, w.BootID)
	if err == nil && (w.First == 0 || w.Last < w.First || w.Last > order.MaxSequence) {
		err = fmt.Errorf("expected a range of records, found %d to %d", w.First, w.Last)
	}
	if err != nil {
		return loss{}, fmt.Errorf("loss: %w", err)
	}
	return loss{key, w.First, w.Last}, nil
}

func readKey(log, boot string) (streamKey, error) {
	if !isLogName(log) {
		return streamKey{}, fmt.Errorf("log %q: expected 1 to %d of a-z and \"-\"", clip(log), maxLogName)
	}
	id, err := ParseBootID(boot)
	if err != nil {
		return streamKey{}, fmt.Errorf("boot_id: %w", err)
	}
	return streamKey{log, id}, nil
}

// strict reads JSON that holds nothing but what v names, each once.
func strict(data []byte, v any) error {
	if err := unambiguous(data); err != nil {
		return err
	}
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		return err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return errors.New("text follows the document")
	}
	return nil
}
