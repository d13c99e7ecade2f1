package verifier

import (
	"encoding/json"
	"fmt"

	"github.com/robowarden/robowarden/attest/evidence"
	"github.com/robowarden/robowarden/attest/internal/strict"
	"github.com/robowarden/robowarden/attest/order"
	"github.com/robowarden/robowarden/attest/tpm"
)

// maxRecord is the largest enrolment or state in bytes.
const maxRecord = 64 << 10

// Enrolment is one robot that the verifier knows.
type Enrolment struct {
	// Identity names the robot and its keys.
	Identity *evidence.Identity `json:"identity"`
	// References is the name of the reference values that it is judged by.
	References string `json:"references"`
}

// ParseEnrolment reads an enrolment strictly.
func ParseEnrolment(data []byte) (*Enrolment, error) {
	if len(data) > maxRecord {
		return nil, fmt.Errorf("enrolment: has %d bytes: at most %d are read", len(data), maxRecord)
	}
	e := &Enrolment{}
	err := strict.JSON(data, e)
	if err == nil {
		err = e.Validate()
	}
	if err != nil {
		return nil, fmt.Errorf("enrolment: %w", err)
	}
	return e, nil
}

// Validate checks the enrolment, the attestation key's attributes included: a key that signs anything could sign a
// made-up quote.
func (e *Enrolment) Validate() error {
	if e.Identity == nil {
		return fmt.Errorf("identity: is missing")
	}
	if _, err := json.Marshal(e.Identity); err != nil { // Its own checks.
		return err
	}
	if !isName(e.References) {
		return fmt.Errorf("references: found %q: expected the name of reference values", clip(e.References))
	}
	if e.Identity.Tier != order.TierTPM {
		return nil
	}
	_, err := e.ak()
	return err
}

// ak reads the attestation key.
func (e *Enrolment) ak() (*tpm.Public, error) {
	ak, err := tpm.ParsePublic(e.Identity.AK)
	if err == nil {
		err = ak.CheckAK()
	}
	if err != nil {
		return nil, fmt.Errorf("ak: %w", err)
	}
	return ak, nil
}

// State is what the verifier remembers about a robot between two pieces of evidence. The zero value is a robot that has
// proven nothing yet.
type State struct {
	// ResetCount, RestartCount and Clock are the TPM's, from the last quote that was good and went on from the one before.
	ResetCount   uint32 `json:"reset_count"`
	RestartCount uint32 `json:"restart_count"`
	ClockMS      uint64 `json:"clock_ms"`
	// BootID and GuardNonce are those of that evidence.
	BootID     string `json:"boot_id"`
	GuardNonce string `json:"guard_nonce"`
	// JournalSeq and JournalDigest are the head of the guard's journal then.
	JournalSeq    uint64 `json:"journal_seq"`
	JournalDigest string `json:"journal_digest"`
	// Answered is when the newest challenge that was answered was made, in ms since 1970: older answers are replays.
	Answered uint64 `json:"answered,omitempty"`
	// Rewinds counts how often the verifier's clock was found to have gone back: challenges of before do not count any more.
	Rewinds uint64 `json:"rewinds,omitempty"`
	// IMA is how far the kernel's log of files has been judged, nil if it was not.
	IMA *IMAState `json:"ima,omitempty"`
	// Evidence, Verdict and Codes are the last appraisal, for people.
	Evidence string        `json:"evidence"`
	Verdict  order.Verdict `json:"verdict"`
	Codes    []string      `json:"codes"`
	// At is the verifier's time then, RFC 3339 with milliseconds.
	At string `json:"at"`
	// Results counts the results that were signed for this robot.
	Results uint64 `json:"results"`
}

// Encode writes the state.
func (s *State) Encode() ([]byte, error) { return json.Marshal(s) }

// ParseState reads a state strictly.
func ParseState(data []byte) (State, error) {
	var s State
	if len(data) > maxRecord {
		return s, fmt.Errorf("state: has %d bytes: at most %d are read", len(data), maxRecord)
	}
	if err := strict.JSON(data, &s); err != nil {
		return State{}, fmt.Errorf("state: %w", err)
	}
	return s, nil
}
