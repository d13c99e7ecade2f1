package evidence

import (
	"crypto"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/robowarden/robowarden/attest/internal/strict"
	"github.com/robowarden/robowarden/attest/order"
)

// Hello is how a robot asks to be challenged. Nobody signs it: it only saves a round trip. Its JSON is a part of a
// message that names robot and tier for all its parts.
type Hello struct {
	// Robot is the robot's id, "manufacturer/serial".
	Robot string `json:"-"`
	// BootID is the kernel's boot id, a lower-case UUID.
	BootID string `json:"bootId"`
	// GuardNonce is what the guard drew when it started, 32 to 64 lower-case hexadecimal digits.
	GuardNonce string `json:"guardNonce"`
	// Logs are the digests of the logs that the robot could send, by name.
	Logs map[string]string `json:"logs"`
	// Tier says what the evidence will rest on.
	Tier order.Tier `json:"-"`
	// AKName is the attestation key's TPM name in hexadecimal digits, "" without a TPM.
	AKName string `json:"akName,omitempty"`
	// KeyID names the key that signs the evidence, as [order.KeyID] does.
	KeyID string `json:"keyId"`
}

// Validate checks the form of a hello and gives the first fault.
func (h *Hello) Validate() error {
	switch {
	case !order.IsRobotID(h.Robot):
		return fmt.Errorf("hello: robot: found %q: expected \"manufacturer/serial\"", clip(h.Robot))
	case !isBootID(h.BootID):
		return fmt.Errorf("hello: bootId: found %q: expected a lower-case UUID", clip(h.BootID))
	case !isHex(h.GuardNonce, 32, 64):
		return fmt.Errorf("hello: guardNonce: found %q: expected 32 to 64 lower-case hexadecimal digits", clip(h.GuardNonce))
	case h.Tier != order.TierTPM && h.Tier != order.TierSoftwareKey:
		return fmt.Errorf("hello: tier: found %q: expected %q or %q", clip(string(h.Tier)), order.TierTPM, order.TierSoftwareKey)
	case (h.Tier == order.TierTPM) != (h.AKName != "") || !isHex(h.AKName, 0, 136):
		return fmt.Errorf("hello: akName: found %q: expected the key's TPM name with tier %s, and none without", clip(h.AKName), order.TierTPM)
	case len(h.KeyID) > 64:
		return fmt.Errorf("hello: keyId: has %d characters: expected at most 64", len(h.KeyID))
	}
	logs := make([]Log, 0, min(len(h.Logs), MaxLogs+1))
	for name, sum := range h.Logs {
		if logs = append(logs, Log{Name: name, SHA256: sum}); len(logs) > MaxLogs {
			break
		}
	}
	SortLogs(logs)
	if err := checkLogs(logs); err != nil {
		return fmt.Errorf("hello: %w", err)
	}
	return nil
}

// Answer is a robot's answer to a challenge.
type Answer struct {
	// Session is the challenge's.
	Session string `json:"session"`
	// Evidence is what [Build] has made.
	Evidence []byte `json:"evidence"`
}

// LogPart is one whole log, which the robot sends along when a challenge asks for it.
type LogPart struct {
	// Name is the log's, as in [Claims].
	Name string `json:"name"`
	// SHA256 is the log's digest in lower-case hexadecimal digits.
	SHA256 string `json:"sha256"`
	// Log is the log, at most [MaxLog] bytes.
	Log []byte `json:"log"`
}

// Identity is the public part of a robot's keys: what somebody carries to the verifier to enrol the robot.
type Identity struct {
	// Robot is the robot's id, "manufacturer/serial".
	Robot string
	// Tier says what keeps the keys.
	Tier order.Tier
	// AK is the attestation key's public area (TPMT_PUBLIC), nil without a TPM.
	AK []byte
	// Key is the key that signs evidence, ECDSA on P-256.
	Key crypto.PublicKey
	// Recovery is the key that signs evidence of a robot whose Key is bound to approved states and does not sign, ECDSA on P-256: such
	// evidence says what the robot has started, and is never accepted. Nil of robots whose key is not bound.
	Recovery crypto.PublicKey
}

// maxIdentity is larger than any identity, maxAK than any public area.
const (
	maxIdentity = 16 << 10
	maxAK       = 2 << 10
)

type wireIdentity struct {
	Robot     string     `json:"robot"`
	Tier      order.Tier `json:"tier"`
	AK        string     `json:"ak,omitempty"`
	DeviceKey string     `json:"device_key"`
	Recovery  string     `json:"recovery_key,omitempty"`
}

func (i *Identity) validate() error {
	if !order.IsRobotID(i.Robot) {
		return fmt.Errorf("robot: found %q: expected \"manufacturer/serial\"", clip(i.Robot))
	}
	if i.Tier != order.TierTPM && i.Tier != order.TierSoftwareKey {
		return fmt.Errorf("tier: found %q: expected %q or %q", clip(string(i.Tier)), order.TierTPM, order.TierSoftwareKey)
	}
	if (i.Tier == order.TierTPM) != (len(i.AK) > 0) || len(i.AK) > maxAK {
		return fmt.Errorf("ak: has %d bytes: expected a public area of at most %d with tier %s, and none without", len(i.AK), maxAK, order.TierTPM)
	}
	id, err := checkKey(i.Key)
	if err != nil || i.Recovery == nil {
		return err
	}
	other, err := checkKey(i.Recovery)
	if err == nil && (other == id || i.Tier != order.TierTPM) {
		err = errors.New("recovery_key: expected another key than device_key, of a robot with a TPM")
	}
	return err
}

// MarshalJSON writes the identity as FORMAT.md says.
func (i *Identity) MarshalJSON() ([]byte, error) {
	if err := i.validate(); err != nil {
		return nil, fmt.Errorf("identity: %w", err)
	}
	pem, err := order.MarshalPublicKey(i.Key)
	if err != nil {
		return nil, fmt.Errorf("identity: %w", err)
	}
	w := wireIdentity{Robot: i.Robot, Tier: i.Tier, AK: base64.StdEncoding.EncodeToString(i.AK), DeviceKey: string(pem)}
	if i.Recovery != nil {
		if pem, err = order.MarshalPublicKey(i.Recovery); err != nil {
			return nil, fmt.Errorf("identity: %w", err)
		}
		w.Recovery = string(pem)
	}
	return json.Marshal(w)
}

// UnmarshalJSON reads an identity as FORMAT.md says.
func (i *Identity) UnmarshalJSON(data []byte) error {
	if len(data) > maxIdentity {
		return fmt.Errorf("identity: has %d bytes: at most %d are read", len(data), maxIdentity)
	}
	var w wireIdentity
	if err := strict.JSON(data, &w); err != nil {
		return fmt.Errorf("identity: %w", err)
	}
	out := Identity{Robot: w.Robot, Tier: w.Tier}
	var err error
	if w.AK != "" {
		if out.AK, err = base64.StdEncoding.Strict().DecodeString(w.AK); err != nil {
			return errors.New("identity: ak: expected base64 of a TPMT_PUBLIC")
		}
	}
	if out.Key, err = order.ParsePublicKey([]byte(w.DeviceKey)); err != nil {
		return fmt.Errorf("identity: device_key: %w", err)
	}
	if w.Recovery != "" {
		if out.Recovery, err = order.ParsePublicKey([]byte(w.Recovery)); err != nil {
			return fmt.Errorf("identity: recovery_key: %w", err)
		}
	}
	if err := out.validate(); err != nil {
		return fmt.Errorf("identity: %w", err)
	}
	*i = out
	return nil
}

// Nonce reads a challenge's nonce.
func Nonce(c *order.Challenge) ([NonceBytes]byte, error) {
	b, err := hex.DecodeString(c.Nonce)
	if err != nil || len(b) != NonceBytes {
		return [NonceBytes]byte{}, fmt.Errorf("nonce: found %q: expected %d bytes in hexadecimal digits", clip(c.Nonce), NonceBytes)
	}
	return [NonceBytes]byte(b), nil
}
