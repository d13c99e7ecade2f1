package order

import (
	"fmt"
	"time"
)

// The payload types of the documents that this package reads and writes.
const (
	// ChallengeType is a verifier's challenge; it is signed in the role [RoleVerifier].
	ChallengeType = "application/vnd.robowarden.challenge.v1+json"
	// AcknowledgementType is a consumer's acknowledgement; it is signed in the role [RoleConsumer].
	AcknowledgementType = "application/vnd.robowarden.acknowledgement.v1+json"
	// RevocationType is a revocation; it is signed in the role [RoleSecurity] or [RoleSafetyEngineer].
	RevocationType = "application/vnd.robowarden.revocation.v1+json"
)

const (
	// maxPCRs is the number of PCRs that a TPM for a PC client has.
	maxPCRs = 24
	// maxLogs is the largest number of logs that one challenge asks for.
	maxLogs = 8
)

// Challenge is a verifier's question to one robot in one boot: answer with evidence over this nonce and these PCRs.
type Challenge struct {
	// Session names the exchange, 32 lower-case hexadecimal digits.
	Session string `json:"session"`
	// Robot is the robot's id, "manufacturer/serial".
	Robot string `json:"robot"`
	// BootID is the kernel's boot id that the robot gave in its hello, a lower-case UUID.
	BootID string `json:"boot_id"`
	// Nonce is 32 random bytes as 64 lower-case hexadecimal digits.
	Nonce string `json:"nonce"`
	// PCRs are the numbers of the registers to quote, 0 to 23, each once, rising. A robot without a TPM gets none.
	PCRs []int `json:"pcrs"`
	// Logs name the logs that the verifier does not have yet and wants along with the answer, sorted, at most 8, each 1
	// to 64 of a-z, 0-9 and "._-".
	Logs []string `json:"logs,omitempty"`
	// NotAfter is the moment from which an answer is not accepted any more, in UTC, whole seconds.
	NotAfter time.Time `json:"-"`
}

// Validate checks the form of a challenge and gives the first fault.
func (c *Challenge) Validate() error {
	switch {
	case !isHex(c.Session, 32, 32):
		return fmt.Errorf("session: found %q: expected 32 lower-case hexadecimal digits", clip(c.Session))
	case !IsRobotID(c.Robot):
		return fmt.Errorf("robot: found %q: expected \"manufacturer/serial\"", clip(c.Robot))
	case !isBootID(c.BootID):
		return fmt.Errorf("boot_id: found %q: expected a lower-case UUID", clip(c.BootID))
	case !isHex(c.Nonce, 64, 64):
		return fmt.Errorf("nonce: found %q: expected 64 lower-case hexadecimal digits", clip(c.Nonce))
	case len(c.PCRs) > maxPCRs:
		return fmt.Errorf("pcrs: has %d entries: expected at most %d", len(c.PCRs), maxPCRs)
	}
	for i, n := range c.PCRs {
		if n < 0 || n >= maxPCRs || (i > 0 && n <= c.PCRs[i-1]) {
			return fmt.Errorf("pcrs[%d]: found %d: expected numbers from 0 to %d, rising", i, n, maxPCRs-1)
		}
	}
	if len(c.Logs) > maxLogs {
		return fmt.Errorf("logs: has %d entries: expected at most %d", len(c.Logs), maxLogs)
	}
	for i, name := range c.Logs {
		if !isName(name, "._-") || (i > 0 && name <= c.Logs[i-1]) {
			return fmt.Errorf("logs[%d]: found %q: expected names of 1 to 64 of a-z, 0-9 and \"._-\", sorted, each once", i, clip(name))
		}
	}
	return checkMoment("not_after", c.NotAfter)
}

// Encode checks the challenge and writes it as JSON: no spaces, the keys in FORMAT.md's order.
func (c *Challenge) Encode() ([]byte, error) {
	if err := c.Validate(); err != nil {
		return nil, fmt.Errorf("challenge: %w", err)
	}
	type plain Challenge // Without this type's methods.
	w := struct {
		plain
		NotAfter string `json:"not_after"`
	}{plain(*c), stamp(c.NotAfter)}
	if w.PCRs == nil {
		w.PCRs = []int{}
	}
	return marshalPlain(w)
}

// DecodeChallenge reads a challenge that [Verifier.VerifyDocument] has returned. A refusal is an [Error].
func DecodeChallenge(payload []byte) (*Challenge, error) {
	c := &Challenge{}
	err := readDocument(payload, func(o *object) {
		c.Session, c.Robot, c.BootID, c.Nonce = o.str("session"), o.str("robot"), o.str("boot_id"), o.str("nonce")
		list := o.typed("pcrs", arrayValue).items
		if len(list) > maxPCRs {
			o.fail("pcrs", "has %d entries: expected at most %d", len(list), maxPCRs)
			return
		}
		for i := range list {
			// Each entry is read as a field, so that numbers have one reader.
			e := object{fault: o.fault, path: "pcrs", fields: []field{{key: fmt.Sprint(i), value: list[i]}}}
			c.PCRs = append(c.PCRs, e.small(fmt.Sprint(i), maxPCRs-1))
		}
		if o.optional("logs") != nil {
			c.Logs = o.strs("logs", maxLogs)
		}
		c.NotAfter = o.moment("not_after")
	})
	if err == nil {
		err = c.Validate()
	}
	if err != nil {
		return nil, &Error{Reason: Malformed, Detail: "the challenge is not well formed", Remedy: "check the verifier's version", Err: err}
	}
	return c, nil
}

// Acknowledgement is a consumer's word that it has kept every record of one log of one boot up to and including one.
type Acknowledgement struct {
	// Robot is the robot's id, "manufacturer/serial".
	Robot string `json:"robot"`
	// Log names the log, 1 to 64 of a-z, 0-9 and "._-".
	Log string `json:"log"`
	// BootID is the boot in which the records were written, a lower-case UUID.
	BootID string `json:"boot_id"`
	// Seq is the last record's sequence, at most [MaxSequence].
	Seq uint64 `json:"seq"`
	// Digest is the log's evidence chain after that record, 64 lower-case hexadecimal digits.
	Digest string `json:"digest"`
}

// Validate checks the form of an acknowledgement and gives the first fault.
func (a *Acknowledgement) Validate() error {
	switch {
	case !IsRobotID(a.Robot):
		return fmt.Errorf("robot: found %q: expected \"manufacturer/serial\"", clip(a.Robot))
	case !isName(a.Log, "._-"):
		return fmt.Errorf("log: found %q: expected 1 to 64 of a-z, 0-9 and \"._-\"", clip(a.Log))
	case !isBootID(a.BootID):
		return fmt.Errorf("boot_id: found %q: expected a lower-case UUID", clip(a.BootID))
	case a.Seq > MaxSequence:
		return fmt.Errorf("seq: found %d: expected at most %d", a.Seq, uint64(MaxSequence))
	case !isHex(a.Digest, 64, 64):
		return fmt.Errorf("digest: found %q: expected 64 lower-case hexadecimal digits", clip(a.Digest))
	}
	return nil
}

// Encode checks the acknowledgement and writes it as JSON: no spaces, the keys in FORMAT.md's order.
func (a *Acknowledgement) Encode() ([]byte, error) {
	if err := a.Validate(); err != nil {
		return nil, fmt.Errorf("acknowledgement: %w", err)
	}
	return marshalPlain(a)
}

// DecodeAcknowledgement reads an acknowledgement that [Verifier.VerifyDocument] has returned. A refusal is an [Error].
func DecodeAcknowledgement(payload []byte) (*Acknowledgement, error) {
	a := &Acknowledgement{}
	err := readDocument(payload, func(o *object) {
		a.Robot, a.Log, a.BootID = o.str("robot"), o.str("log"), o.str("boot_id")
		a.Seq, a.Digest = o.integer("seq"), o.str("digest")
	})
	if err == nil {
		err = a.Validate()
	}
	if err != nil {
		return nil, &Error{Reason: Malformed, Detail: "the acknowledgement is not well formed", Remedy: "check the consumer's version", Err: err}
	}
	return a, nil
}

// readDocument reads one JSON object by the rules of orders.
func readDocument(payload []byte, read func(*object)) error {
	if len(payload) > MaxPayload {
		return fmt.Errorf("has %d bytes: at most %d are read", len(payload), MaxPayload)
	}
	v, err := parseJSON(payload)
	if err != nil {
		return err
	}
	var fault error
	top := asObject(&v, "", &fault)
	read(&top)
	top.done()
	return fault
}
