package order

import (
	"errors"
	"fmt"
)

// Reason is the stable code of a refusal. Journals, tools and tests compare codes; people read [Error.Detail].
type Reason string

// The reasons for which an order is refused.
const (
	// Malformed means that the envelope or the order does not follow FORMAT.md.
	Malformed Reason = "malformed"
	// Oversize means that a document is larger than its kind may be.
	Oversize Reason = "oversize"
	// WrongType means that the envelope's payload type is not PayloadType.
	WrongType Reason = "wrong-type"
	// UnknownKey means that the key list in force does not name a signing key.
	UnknownKey Reason = "unknown-key"
	// BadSignature means that a signature does not belong to this payload and key.
	BadSignature Reason = "bad-signature"
	// DemoKey means that a key is for demonstrations and this is not one.
	DemoKey Reason = "demo-key"
	// KeyExpired means that a signing key is outside its own validity.
	KeyExpired Reason = "key-expired"
	// WrongRole means that no signer has a role which may sign this kind.
	WrongRole Reason = "wrong-role"
	// TooFewSigners means that fewer distinct persons signed than the kind needs.
	TooFewSigners Reason = "too-few-signers"
	// WrongAudience means that the order is for other robots.
	WrongAudience Reason = "wrong-audience"
	// BootMismatch means that the order is bound to another boot of the robot.
	BootMismatch Reason = "boot-mismatch"
	// NonceMismatch means that the order is bound to a nonce that the guard does not hold any more.
	NonceMismatch Reason = "nonce-mismatch"
	// ClockUntrusted means that the validity cannot be judged since the robot does not know the time.
	ClockUntrusted Reason = "clock-untrusted"
	// NotYetValid means that the order's validity has not begun.
	NotYetValid Reason = "not-yet-valid"
	// Expired means that the order's validity has ended.
	Expired Reason = "expired"
	// Replayed means that the order's single-use id has been used.
	Replayed Reason = "replayed"
	// SequenceTooOld means that an order with this sequence or a later one has been accepted.
	SequenceTooOld Reason = "sequence-too-old"
	// SequenceTooFar means that the sequence leaps further than MaxSequenceStep.
	SequenceTooFar Reason = "sequence-too-far"
	// LedgerFull means that no further single-use id can be kept until an earlier one expires.
	LedgerFull Reason = "ledger-full"
	// StateUnreadable means that the record of used orders is lost or damaged.
	StateUnreadable Reason = "state-unreadable"
	// StateUnwritable means that using up the order could not be made durable, so it has no effect.
	StateUnwritable Reason = "state-unwritable"
	// NoKeyList means that no key list is in force.
	NoKeyList Reason = "no-key-list"
)

// Error is a refusal: a stable code, what was expected and found, and what to do about it.
type Error struct {
	// Reason is the stable code.
	Reason Reason
	// Detail says what was found where, and what was expected.
	Detail string
	// Remedy says what a person can do.
	Remedy string
	// Err is the cause below, or nil.
	Err error
}

// Error gives the code, the detail and the remedy in one line.
func (e *Error) Error() string {
	s := string(e.Reason) + ": " + e.Detail
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	if e.Remedy != "" {
		s += " (" + e.Remedy + ")"
	}
	return s
}

// Unwrap returns the cause below.
func (e *Error) Unwrap() error { return e.Err }

// ReasonOf returns the code of a refusal, or "" when err is not one.
func ReasonOf(err error) Reason {
	var e *Error
	if errors.As(err, &e) {
		return e.Reason
	}
	return ""
}

// refuse builds a refusal.
func refuse(r Reason, remedy, format string, args ...any) *Error {
	return &Error{Reason: r, Remedy: remedy, Detail: fmt.Sprintf(format, args...)}
}
