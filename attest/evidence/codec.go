package evidence

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"

	"github.com/fxamacker/cbor/v2"

	"github.com/robowarden/robowarden/attest/order"
)

// labelled is a claim on the wire: [label, value].
type labelled[T any] struct {
	_     struct{} `cbor:",toarray"`
	Label Label
	Value T
}

// wireHead is a journal's head on the wire: [sequence, digest].
type wireHead struct {
	_      struct{} `cbor:",toarray"`
	Seq    uint64
	Digest []byte
}

// wireClaims are the claims on the wire. 10 and 265 are eat_nonce and eat_profile of RFC 9711, section 10.3; keys below
// -65536 are for private use by RFC 8392, section 9.1.
type wireClaims struct {
	Nonce      []byte                      `cbor:"10,keyasint"`
	EATProfile string                      `cbor:"265,keyasint"`
	Robot      labelled[string]            `cbor:"-70001,keyasint"`
	BootID     labelled[[]byte]            `cbor:"-70002,keyasint"`
	GuardNonce labelled[[]byte]            `cbor:"-70003,keyasint"`
	Tier       labelled[string]            `cbor:"-70004,keyasint"`
	Agent      labelled[[]byte]            `cbor:"-70005,keyasint"`
	Policy     labelled[[]byte]            `cbor:"-70006,keyasint"`
	Profile    labelled[[]byte]            `cbor:"-70007,keyasint"`
	Topics     labelled[[]byte]            `cbor:"-70008,keyasint"`
	Kernel     labelled[string]            `cbor:"-70009,keyasint"`
	Journal    labelled[wireHead]          `cbor:"-70010,keyasint"`
	Logs       labelled[map[string][]byte] `cbor:"-70011,keyasint"`
	// What follows may be left out.
	Config      *labelled[[]byte]                  `cbor:"-70012,keyasint,omitempty"`
	CommandLine *labelled[[]byte]                  `cbor:"-70013,keyasint,omitempty"`
	Artifacts   *labelled[map[string]wireArtifact] `cbor:"-70014,keyasint,omitempty"`
	Debug       *labelled[[]string]                `cbor:"-70015,keyasint,omitempty"`
	Key         *labelled[string]                  `cbor:"-70016,keyasint,omitempty"`
}

// recoveryKey is the one value of the claim key.
const recoveryKey = "recovery"

// wireArtifact is an artifact on the wire: [digest, security version].
type wireArtifact struct {
	_      struct{} `cbor:",toarray"`
	Digest []byte
	SVN    uint64
}

// wirePayload is what the robot's key signs. Quote, Signature and PCRs are there together or not at all.
type wirePayload struct {
	Claims    []byte          `cbor:"1,keyasint"`
	Attest    []byte          `cbor:"2,keyasint,omitempty"`
	Signature []byte          `cbor:"3,keyasint,omitempty"`
	PCRs      map[uint][]byte `cbor:"4,keyasint,omitempty"`
}

// encMode writes the one deterministic form (RFC 8949, section 4.2.1).
func encMode() (cbor.EncMode, error) { return cbor.CoreDetEncOptions().EncMode() }

func decMode() (cbor.DecMode, error) {
	return cbor.DecOptions{
		DupMapKey: cbor.DupMapKeyEnforcedAPF, IndefLength: cbor.IndefLengthForbidden, TagsMd: cbor.TagsForbidden,
		ExtraReturnErrors: cbor.ExtraDecErrorUnknownField, MaxNestedLevels: 4, MaxArrayElements: 32, MaxMapPairs: 32,
	}.DecMode()
}

// decodeCBOR reads data strictly: what it returns encodes to the very same bytes, so that one text has one meaning.
func decodeCBOR(data []byte, v any) error {
	dec, err := decMode()
	if err != nil {
		return err
	}
	if err := dec.Unmarshal(data, v); err != nil {
		return err
	}
	again, err := encodeCBOR(v)
	if err != nil {
		return err
	}
	if !bytes.Equal(again, data) {
		return errors.New("is not in the one deterministic form of RFC 8949, section 4.2.1")
	}
	return nil
}

func encodeCBOR(v any) ([]byte, error) {
	enc, err := encMode()
	if err != nil {
		return nil, err
	}
	return enc.Marshal(v)
}

// Encode checks the claims and writes them as CBOR.
func (c *Claims) Encode() ([]byte, error) {
	if err := c.Validate(); err != nil {
		return nil, fmt.Errorf("claims: %w", err)
	}
	w := wireClaims{Nonce: c.Nonce[:], EATProfile: Profile}
	w.Robot.Value, w.Kernel.Value, w.Tier.Value = c.Robot, c.Kernel, string(c.Tier)
	w.BootID.Value, w.GuardNonce.Value = unhex(strings.ReplaceAll(c.BootID, "-", "")), unhex(c.GuardNonce)
	w.Agent, w.Policy, w.Profile, w.Topics = c.Agent.wire(), c.Policy.wire(), c.Profile.wire(), c.Topics.wire()
	w.Journal.Value = wireHead{Seq: c.Journal.Seq, Digest: unhex(c.Journal.Digest)}
	w.Logs.Value = make(map[string][]byte, len(c.Logs))
	for _, l := range c.Logs {
		w.Logs.Value[l.Name] = unhex(l.SHA256)
	}
	c.encodeOptional(&w)
	out, err := encodeCBOR(w)
	if err != nil {
		return nil, fmt.Errorf("claims: %w", err)
	}
	if len(out) > maxClaims {
		return nil, fmt.Errorf("claims: have %d bytes: expected at most %d", len(out), maxClaims)
	}
	return out, nil
}

// encodeOptional adds what claims may leave out.
func (c *Claims) encodeOptional(w *wireClaims) {
	for _, m := range []struct {
		from Measured
		to   **labelled[[]byte]
	}{{c.Config, &w.Config}, {c.CommandLine, &w.CommandLine}} {
		if m.from.SHA256 != "" {
			v := m.from.wire()
			*m.to = &v
		}
	}
	if len(c.Artifacts) > 0 {
		w.Artifacts = &labelled[map[string]wireArtifact]{Value: map[string]wireArtifact{}}
		for _, a := range c.Artifacts {
			w.Artifacts.Value[a.Name] = wireArtifact{Digest: unhex(a.SHA256), SVN: a.SVN}
		}
	}
	if c.Debug != nil {
		w.Debug = &labelled[[]string]{Value: c.Debug}
	}
	if c.Recovery {
		w.Key = &labelled[string]{Value: recoveryKey}
	}
}

// decodeOptional reads what claims may leave out.
func (c *Claims) decodeOptional(w *wireClaims) error {
	for _, m := range []struct {
		from *labelled[[]byte]
		to   *Measured
	}{{w.Config, &c.Config}, {w.CommandLine, &c.CommandLine}} {
		if m.from != nil {
			*m.to = measured(*m.from)
		}
	}
	if w.Artifacts != nil {
		for name, a := range w.Artifacts.Value {
			c.Artifacts = append(c.Artifacts, Artifact{Name: name, SHA256: hex.EncodeToString(a.Digest), SVN: a.SVN})
		}
		SortArtifacts(c.Artifacts)
	}
	if w.Debug != nil {
		c.Debug = append([]string{}, w.Debug.Value...)
	}
	c.Recovery = w.Key != nil // Any other value or label is not what Encode writes, and so is refused.
	if w.Artifacts != nil && w.Artifacts.Label != SelfReported || w.Debug != nil && w.Debug.Label != SelfReported {
		return fmt.Errorf("claims: a claim is labelled %s that no PCR can back: expected only digests of files to be", PCRBacked)
	}
	return nil
}

// unhex decodes digits that Validate has looked at.
func unhex(s string) []byte {
	b, err := hex.DecodeString(s)
	if err != nil || b == nil {
		return []byte{}
	}
	return b
}

func (m Measured) wire() labelled[[]byte] {
	return labelled[[]byte]{Label: m.Label, Value: unhex(m.SHA256)}
}

// DecodeClaims reads claims strictly. It says nothing about whose they are.
func DecodeClaims(data []byte) (*Claims, error) {
	if len(data) > maxClaims {
		return nil, fmt.Errorf("claims: have %d bytes: at most %d are read", len(data), maxClaims)
	}
	var w wireClaims
	if err := decodeCBOR(data, &w); err != nil {
		return nil, fmt.Errorf("claims: %w", err)
	}
	switch {
	case len(w.Nonce) != NonceBytes:
		return nil, fmt.Errorf("claims: nonce: has %d bytes: expected %d", len(w.Nonce), NonceBytes)
	case w.EATProfile != Profile:
		return nil, fmt.Errorf("claims: profile: found %q: expected %q", clip(w.EATProfile), Profile)
	case len(w.BootID.Value) != 16:
		return nil, fmt.Errorf("claims: boot id: has %d bytes: expected 16", len(w.BootID.Value))
	}
	for _, l := range []Label{w.Robot.Label, w.BootID.Label, w.GuardNonce.Label, w.Tier.Label, w.Kernel.Label, w.Journal.Label, w.Logs.Label} {
		if l != SelfReported {
			return nil, fmt.Errorf("claims: a claim is labelled %s that no PCR can back: expected only digests of files to be", l)
		}
	}
	boot := hex.EncodeToString(w.BootID.Value)
	c := &Claims{
		Nonce: [NonceBytes]byte(w.Nonce), Robot: w.Robot.Value, GuardNonce: hex.EncodeToString(w.GuardNonce.Value),
		BootID: strings.Join([]string{boot[:8], boot[8:12], boot[12:16], boot[16:20], boot[20:]}, "-"),
		Tier:   order.Tier(w.Tier.Value), Kernel: w.Kernel.Value,
		Agent: measured(w.Agent), Policy: measured(w.Policy), Profile: measured(w.Profile), Topics: measured(w.Topics),
		Journal: Head{Seq: w.Journal.Value.Seq, Digest: hex.EncodeToString(w.Journal.Value.Digest)},
	}
	for name, sum := range w.Logs.Value {
		c.Logs = append(c.Logs, Log{Name: name, SHA256: hex.EncodeToString(sum)})
	}
	SortLogs(c.Logs)
	if err := c.decodeOptional(&w); err != nil {
		return nil, err
	}
	if err := c.Validate(); err != nil {
		return nil, fmt.Errorf("claims: %w", err)
	}
	if again, err := c.Encode(); err != nil || !bytes.Equal(again, data) {
		return nil, errors.New("claims: are not in their one form")
	}
	return c, nil
}

func measured(w labelled[[]byte]) Measured {
	return Measured{SHA256: hex.EncodeToString(w.Value), Label: w.Label}
}
