package verifier

import (
	"fmt"
	"slices"
	"strings"

	"github.com/robowarden/robowarden/attest/order"
	"github.com/robowarden/robowarden/attest/tpm"
)

// Code says why evidence is refused. Logs, results and tests compare codes; people read the texts beside them.
type Code string

// The reasons for which evidence is refused.
const (
	// Malformed means that the bytes are no evidence.
	Malformed Code = "malformed"
	// WrongDeviceKey means that the robot's enrolled key has not signed the evidence.
	WrongDeviceKey Code = "wrong-device-key"
	// WrongTier means that the evidence rests on something else than the robot was enrolled with.
	WrongTier Code = "wrong-tier"
	// Recovery means that the robot's recovery has signed the evidence, since its own key does not sign in the state that it is in. What
	// it has started, the other reasons say; there may be none but that nobody has approved it.
	Recovery Code = "recovery"
	// OtherRobot means that the evidence is another robot's.
	OtherRobot Code = "other-robot"
	// OtherBoot means that the evidence is of another boot than the one that was challenged.
	OtherBoot Code = "other-boot"
	// StaleNonce means that the evidence answers no challenge that is open.
	StaleNonce Code = "stale-nonce"
	// Replayed means that the evidence answers a challenge that has been answered, or was overtaken by what was judged meanwhile.
	Replayed Code = "replayed"
	// WrongAK means that the robot's enrolled attestation key has not signed the quote.
	WrongAK Code = "wrong-ak"
	// QuoteMalformed means that what the attestation key signed is no quote.
	QuoteMalformed Code = "quote-malformed"
	// ClaimsSwapped means that the quote was made for other claims or another challenge.
	ClaimsSwapped Code = "claims-swapped"
	// PCRDigest means that the PCR values beside the quote are not the quoted ones.
	PCRDigest Code = "pcr-digest"
	// PCRMissing means that a PCR is not quoted that must be.
	PCRMissing Code = "pcr-missing"
	// PCRUnasked means that a PCR is quoted that nobody has asked for.
	PCRUnasked Code = "pcr-unasked"
	// NotLearned means that there are no reference values yet, and that this evidence may serve to learn some.
	NotLearned Code = "not-learned"
	// PCRMismatch means that the logs do not lead to a PCR's quoted value.
	PCRMismatch Code = "pcr-mismatch"
	// PCRValue means that a PCR has a value that is not allowed.
	PCRValue Code = "pcr-value"
	// EventlogMissing means that a log is missing.
	EventlogMissing Code = "eventlog-missing"
	// EventlogMismatch means that a log is not the one that the claims name.
	EventlogMismatch Code = "eventlog-mismatch"
	// EventlogMalformed means that a log cannot be read.
	EventlogMalformed Code = "eventlog-malformed"
	// EventlogPartial means that the log of files is longer than what one evidence takes along. Where nothing else is wrong, nothing
	// is signed: the rest comes with the next.
	EventlogPartial Code = "eventlog-partial"
	// EventlogSHA1 means that the firmware's log has no SHA-256 digests, and so proves nothing.
	EventlogSHA1 Code = "eventlog-sha1"
	// EventValue means that an event of the firmware's log has a digest that is not allowed.
	EventValue Code = "event-value"
	// EventUnexpected means that the firmware's log has an event that no rule is about.
	EventUnexpected Code = "event-unexpected"
	// EventMissing means that the firmware's log lacks an event that must be there.
	EventMissing Code = "event-missing"
	// EventlogUnquoted means that the measured log is about a PCR that nothing proves.
	EventlogUnquoted Code = "eventlog-unquoted"
	// SecureBootOff means that the firmware's log does not show Secure Boot to be on.
	SecureBootOff Code = "secure-boot-off"
	// MeasuredFile means that a file was measured that is not allowed.
	MeasuredFile Code = "measured-file"
	// IMAFile means that the kernel has read a file that is not allowed.
	IMAFile Code = "ima-file"
	// NotMeasured means that a claim is the robot's own word where a PCR must back it.
	NotMeasured Code = "not-measured"
	// FalseLabel means that a claim is labelled pcr-backed and is not.
	FalseLabel Code = "false-label"
	// Rejected means that something is on the list of what is rejected.
	Rejected Code = "rejected"
	// AgentDigest, PolicyDigest, ProfileDigest, TopicsDigest and KernelVersion mean that a claim, or what was measured for
	// it, has a value that is not allowed.
	AgentDigest   Code = "agent-digest"
	PolicyDigest  Code = "policy-digest"
	ProfileDigest Code = "profile-digest"
	TopicsDigest  Code = "topics-digest"
	KernelVersion Code = "kernel-version"
	// ConfigDigest and CommandLine mean the same of the deployment document and the kernel's command line.
	ConfigDigest Code = "config-digest"
	CommandLine  Code = "command-line"
	// ArtifactDigest means that a model or firmware has another content than is allowed, or is one that no rule is about.
	ArtifactDigest Code = "artifact-digest"
	// ArtifactSVN means that its release has too low a security version, or that it belongs to none.
	ArtifactSVN Code = "artifact-svn"
	// ArtifactMissing means that the robot does not say what is active of an artifact.
	ArtifactMissing Code = "artifact-missing"
	// DebugOpen means that a debug interface is open, or that nobody has looked.
	DebugOpen Code = "debug-open"
	// AgentMismatch, PolicyMismatch, ProfileMismatch and TopicsMismatch mean that the robot reports another digest than the
	// one that was measured.
	AgentMismatch   Code = "agent-mismatch"
	PolicyMismatch  Code = "policy-mismatch"
	ProfileMismatch Code = "profile-mismatch"
	TopicsMismatch  Code = "topics-mismatch"
	// ConfigMismatch and CommandLineMismatch mean the same of the deployment document and the kernel's command line.
	ConfigMismatch      Code = "config-mismatch"
	CommandLineMismatch Code = "command-line-mismatch"
	// ResetCountWentBack means that the TPM has been reset fewer times than before.
	ResetCountWentBack Code = "reset-count-went-back"
	// RestartCountWentBack means that the TPM has been restarted fewer times since its reset than before.
	RestartCountWentBack Code = "restart-count-went-back"
	// ResetWithinBoot means that the TPM was reset while the kernel went on.
	ResetWithinBoot Code = "reset-within-boot"
	// BootWithoutReset means that another kernel runs and the TPM was not reset.
	BootWithoutReset Code = "boot-without-reset"
	// ClockWentBack means that the TPM's clock went back without a reset.
	ClockWentBack Code = "clock-went-back"
	// JournalWentBack means that the guard's journal is shorter than before, in one run of the guard.
	JournalWentBack Code = "journal-went-back"
	// JournalForked means that the guard's journal has another record at the same place, in one run of the guard.
	JournalForked Code = "journal-forked"
)

// Codes lists every code.
func Codes() []Code {
	return []Code{
		Malformed, WrongDeviceKey, WrongTier, Recovery, OtherRobot, OtherBoot, StaleNonce, Replayed, WrongAK, QuoteMalformed, ClaimsSwapped,
		PCRDigest, PCRMissing, PCRUnasked, NotLearned, PCRMismatch, PCRValue, EventlogMissing, EventlogMismatch, EventlogMalformed, EventlogPartial,
		EventlogSHA1, EventlogUnquoted, SecureBootOff, EventValue, EventUnexpected, EventMissing, MeasuredFile, IMAFile, NotMeasured, FalseLabel, Rejected, AgentDigest, PolicyDigest,
		ProfileDigest, TopicsDigest, KernelVersion, AgentMismatch, PolicyMismatch, ProfileMismatch, TopicsMismatch,
		ConfigDigest, CommandLine, ConfigMismatch, CommandLineMismatch, ArtifactDigest, ArtifactSVN, ArtifactMissing, DebugOpen,
		ResetCountWentBack, RestartCountWentBack, ResetWithinBoot, BootWithoutReset, ClockWentBack, JournalWentBack, JournalForked,
	}
}

// Reason is one reason with what a person needs to act on it.
type Reason struct {
	// Code is the stable code.
	Code Code `json:"code"`
	// Subject says which PCR, claim or log it is about, "" where the code says all.
	Subject string `json:"subject,omitempty"`
	// Expected and Found are the two that do not agree.
	Expected string `json:"expected"`
	Found    string `json:"found"`
	// Remedy says what to do.
	Remedy string `json:"remedy"`
	// value is what the reason is about, for explanations.
	value *value
}

// value is one value that is not allowed, nil where a reason is about something else.
type value struct {
	// subject is a file's path or a claim's name.
	subject, found string
	// set is what would be allowed, nil if nothing is.
	set *Set
	// measured says that the measured log shows the value, so that a PCR proves it.
	measured bool
}

// ID is code and subject as results carry them: at most 64 of a-z, 0-9 and "._:-", whatever a log calls its parts.
func (r Reason) ID() string {
	id := string(r.Code)
	if r.Subject != "" {
		id += ":" + strings.Map(func(c rune) rune {
			switch {
			case c >= 'A' && c <= 'Z':
				return c - 'A' + 'a'
			case strings.ContainsRune("abcdefghijklmnopqrstuvwxyz0123456789._:-", c):
				return c
			}
			return '-'
		}, r.Subject)
	}
	return id[:min(len(id), 64)]
}

// String gives the whole reason in one line.
func (r Reason) String() string {
	return fmt.Sprintf("%s: expected %s, found %s: %s", r.ID(), r.Expected, r.Found, r.Remedy)
}

// Appraisal is what a verifier concludes from one piece of evidence.
type Appraisal struct {
	// Verdict is accepted exactly when there is no reason against it.
	Verdict order.Verdict
	// Reasons are why the evidence is refused, in the order of the checks.
	Reasons []Reason
	// Notes are codes of what was let pass without a check, because the reference values say so.
	Notes []string
	// Authentic says that the enrolled robot itself has answered an open challenge: its refusal may be signed. What
	// anybody else sends in its name must not be able to have the robot restricted.
	Authentic bool
	// Overtaken says that it is not, since the verifier has judged newer evidence, or by other rules, meanwhile: nobody has done
	// anything wrong, and the robot asks again.
	Overtaken bool
	// Recovery says that the robot's recovery has signed: the evidence is authentic, and never accepted.
	Recovery bool
	// TPM is what the TPM says about itself, nil unless its quote was good.
	TPM *tpm.Info
	// Next is what to remember about the robot; it differs from before only where the TPM's own word was good.
	Next State
}

// IDs are the codes for a signed result: the reasons, or the notes when there are none, each once, at most
// [order.MaxResultReasons].
func (a *Appraisal) IDs() []string {
	var out []string
	for _, r := range a.Reasons {
		if id := r.ID(); !slices.Contains(out, id) {
			out = append(out, id)
		}
	}
	if len(out) == 0 {
		out = slices.Clone(a.Notes)
	}
	return out[:min(len(out), order.MaxResultReasons)]
}

// Has reports whether the code is among the reasons.
func (a *Appraisal) Has(code Code) bool {
	return slices.ContainsFunc(a.Reasons, func(r Reason) bool { return r.Code == code })
}

// AgainstApproval are the reasons for which nobody should approve what this evidence shows. never holds what is on the list of what must not
// start again, which an approval cannot take back; doubt holds everything but the robot's recovery and values that are not allowed yet,
// which is what an approval is about.
func (a *Appraisal) AgainstApproval() (never, doubt []Reason) {
	for _, r := range a.Reasons {
		switch r.Code {
		case Rejected:
			never = append(never, r)
		case Recovery, PCRValue, EventValue, EventUnexpected, EventMissing, MeasuredFile, IMAFile, AgentDigest, PolicyDigest, ProfileDigest, TopicsDigest,
			KernelVersion, ConfigDigest, CommandLine, ArtifactDigest, ArtifactMissing:
		default:
			doubt = append(doubt, r)
		}
	}
	return never, doubt
}

// Partial says that there is nothing against the evidence but that the rest of a long log has to come first.
func (a *Appraisal) Partial() bool { return len(a.Reasons) == 1 && a.Has(EventlogPartial) }

// Text says in plain words why evidence is refused, one reason a line, or that it is accepted.
func (a *Appraisal) Text() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n", a.Verdict)
	for _, r := range a.Reasons {
		fmt.Fprintf(&b, "  %s\n", r)
	}
	for _, n := range a.Notes {
		fmt.Fprintf(&b, "  not checked: %s\n", n)
	}
	return b.String()
}
