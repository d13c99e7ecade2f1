package order

import (
	"crypto/rand"
	"encoding/hex"
	"time"
)

// PayloadType is the DSSE payload type of every order.
const PayloadType = "application/vnd.robowarden.order.v1+json"

// Order is what a person demands of one or more robots. Exactly one body is set, the one that Kind names.
type Order struct {
	// Kind says what the order is about.
	Kind Kind
	// ID is 128 random bits as 32 lower-case hexadecimal digits; see [NewID].
	ID string
	// Audience names the robots: "manufacturer/serial", "group:name", or "*" (stop only).
	Audience []string
	// Sequence counts up within the kind: required for policy sets and key lists, 0 for the others. The sequence of a
	// policy set is its revision.
	Sequence uint64
	// NotBefore is the first moment at which the order may be accepted, in UTC, whole seconds.
	NotBefore time.Time
	// NotAfter is the moment from which the order is not accepted any more, in UTC, whole seconds.
	NotAfter time.Time
	// Binding ties the order to one boot or one guard process; required for resets and grants, and for attestation
	// results both of the two.
	Binding Binding
	// Reason tells people why, at most MaxReason bytes on one line.
	Reason string

	// Stop is the body of a stop.
	Stop *Stop
	// Reset is the body of a reset.
	Reset *Reset
	// Grant is the body of a grant.
	Grant *Grant
	// PolicySet is the body of a policy set.
	PolicySet *PolicySet
	// KeyList is the body of a key list.
	KeyList *KeyList
	// AttestationResult is the body of an attestation result.
	AttestationResult *AttestationResult
	// Release is the body of a release.
	Release *Release
	// Override is the body of an override.
	Override *Override
	// Session is the body of a session.
	Session *Session
	// Halt is the body of a halt.
	Halt *Halt
}

// Binding ties an order to what no earlier or later run of the robot has. An empty field does not bind.
type Binding struct {
	// BootID is the kernel's random boot id, a lower-case UUID.
	BootID string
	// Nonce is what the guard drew when it started, 32 to 64 lower-case hexadecimal digits.
	Nonce string
}

// Stop asks for a stop.
type Stop struct {
	// Category is the stop category of IEC 60204-1: 1 (controlled, then power off) or 2 (controlled, power stays).
	Category int
}

// Reset asks for latched triggers to be cleared. Either All is true or Triggers is not empty.
type Reset struct {
	// Triggers names the triggers to clear.
	Triggers []string
	// All clears every trigger that a reset by this signer may clear.
	All bool
}

// Scope says what a grant allows.
type Scope string

// The scopes of a grant.
const (
	// ScopeZone allows the robot to be inside a zone.
	ScopeZone Scope = "zone"
	// ScopeEgress allows the robot to move so that it leaves a zone.
	ScopeEgress Scope = "egress"
)

// Grant allows for a while what the policy forbids.
type Grant struct {
	// Scope says what is allowed.
	Scope Scope
	// Zone is the id of the zone concerned.
	Zone string
	// MaxSpeedMPS is the speed allowed, in metres per second, above 0 and at most [MaxSpeedMPS].
	MaxSpeedMPS float64
	// Expires is when the grant ends even if it was never used, in UTC, whole seconds, not before NotBefore.
	Expires time.Time
	// SingleUse ends the grant when the robot has left the zone once.
	SingleUse bool
	// Answer is what became of a request for a zone, empty for a grant. Whatever is not granted allows nothing and ends
	// what was granted before; only scope zone has it.
	Answer Answer
	// Facts are what the signer vouches for, for a zone that only a certain fact opens; only a grant of scope zone has them.
	Facts []Fact
}

// Answer is what became of a request for a zone, in VDA 5050's words.
type Answer string

// The answers that a grant order can bring beside a grant.
const (
	// AnswerGranted is the empty value: the robot may enter.
	AnswerGranted Answer = ""
	// AnswerQueued means that others come first.
	AnswerQueued Answer = "queued"
	// AnswerRejected means no.
	AnswerRejected Answer = "rejected"
	// AnswerRevoked takes a grant back.
	AnswerRevoked Answer = "revoked"
)

// Fact is what opens a door.
type Fact string

// The facts that a grant may vouch for.
const (
	// FactBadge means that an authorised badge was shown at the door.
	FactBadge Fact = "badge"
	// FactDoor means that the door is open for this robot.
	FactDoor Fact = "door"
	// FactTask means that the robot's task leads through the door.
	FactTask Fact = "task"
)

// PolicySet replaces the policy. The digests pin the two documents that can disable a policy without touching it.
type PolicySet struct {
	// Policy is the policy document as its author wrote it.
	Policy []byte
	// PolicySHA256 is the SHA-256 of Policy, in lower-case hexadecimal digits.
	PolicySHA256 string
	// ProfileSHA256 is the SHA-256 of the robot profile that the policy was written for.
	ProfileSHA256 string
	// TopicsSHA256 is the SHA-256 of the topic mapping that the policy was written for.
	TopicsSHA256 string
}

// Verdict is what a verifier concludes.
type Verdict string

// The verdicts.
const (
	// VerdictAccepted means that the robot runs what it shall run.
	VerdictAccepted Verdict = "accepted"
	// VerdictRefused means that it does not, or that nobody can tell.
	VerdictRefused Verdict = "refused"
)

// Tier says how strong a proof is.
type Tier string

// The tiers of proof.
const (
	// TierTPM means that a TPM quoted the measurements.
	TierTPM Tier = "tpm"
	// TierSoftwareKey means that the robot has no TPM: everything it says about itself is its own word.
	TierSoftwareKey Tier = "software-key"
)

// AttestationResult is what a verifier concludes from one piece of evidence. A refused result only ever tightens, so
// it counts without a trusted clock as well.
type AttestationResult struct {
	// Verdict is the conclusion.
	Verdict Verdict
	// Tier is that of the evidence.
	Tier Tier
	// EvidenceSHA256 is the SHA-256 of the evidence as it was sent, in lower-case hexadecimal digits.
	EvidenceSHA256 string
	// Reasons are codes, at most [MaxResultReasons], each 1 to 64 of a-z, 0-9 and "._:-". A refusal has at least one;
	// those of an accepted result say what was let pass.
	Reasons []string
}

// NewID draws the 128 random bits of an order's id.
func NewID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // It never fails: crypto/rand ends the program instead.
	return hex.EncodeToString(b[:])
}
