package artifact

import (
	"errors"
	"fmt"
	"strings"
)

// Reason is the stable code of a refusal.
type Reason string

// Reasons.
const (
	// Malformed means that a document does not have the form of FORMAT.md.
	Malformed Reason = "malformed"
	// Oversize means that a document or file is larger than what is read.
	Oversize Reason = "oversize"
	// Unsupported means that the document is well formed and asks for what this program does not do.
	Unsupported Reason = "unsupported"
	// WrongType means that the document is about something else.
	WrongType Reason = "wrong-type"
	// UnknownKey means that nobody whom the robot trusts has this key.
	UnknownKey Reason = "unknown-key"
	// BadSignature means that the signature does not belong to this content and key.
	BadSignature Reason = "bad-signature"
	// BadChain means that a certificate does not lead to a trusted authority.
	BadChain Reason = "bad-chain"
	// WrongIdentity means that the certificate is somebody's from whom this artifact may not come.
	WrongIdentity Reason = "wrong-identity"
	// NoTimestamp means that nothing proves when a certificate's key signed.
	NoTimestamp Reason = "no-timestamp"
	// BadTimestamp means that a timestamp is not what a trusted authority said about this signature.
	BadTimestamp Reason = "bad-timestamp"
	// Changed means that files are not those that were signed; the faults name them.
	Changed Reason = "changed"
	// Unreadable means that files could not be read.
	Unreadable Reason = "unreadable"
	// WrongSubject means that a statement is about another artifact.
	WrongSubject Reason = "wrong-subject"
	// WrongProvenance means that the artifact was not made as the policy demands.
	WrongProvenance Reason = "wrong-provenance"
)

// Error is a refusal: a stable code, the place, what was found and expected, and what to do.
type Error struct {
	// Reason is the stable code.
	Reason Reason
	// Where names the document's field or the file.
	Where string
	// Detail says what was expected and found.
	Detail string
	// Remedy says what a person can do.
	Remedy string
	// Faults names every file that is not as signed.
	Faults []Fault
	// Err is the cause below, or nil.
	Err error
}

// maxTold is how many faults an error's text names; Faults has them all.
const maxTold = 8

// Error gives all of it in one line.
func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString(string(e.Reason))
	if e.Where != "" {
		b.WriteString(": " + e.Where)
	}
	if e.Detail != "" {
		b.WriteString(": " + e.Detail)
	}
	for i, f := range e.Faults {
		if i == maxTold {
			fmt.Fprintf(&b, " and %d more", len(e.Faults)-i)
			break
		}
		sep := "; "
		if i == 0 {
			sep = ": "
		}
		b.WriteString(sep + f.String())
	}
	if e.Err != nil {
		b.WriteString(": " + e.Err.Error())
	}
	if e.Remedy != "" {
		b.WriteString(" (" + e.Remedy + ")")
	}
	return b.String()
}

// Unwrap returns the cause below.
func (e *Error) Unwrap() error { return e.Err }

// ReasonOf returns the code of a refusal, or "" when err is none.
func ReasonOf(err error) Reason {
	var e *Error
	if errors.As(err, &e) {
		return e.Reason
	}
	return ""
}

// Fault is one file that is not as it was signed.
type Fault struct {
	// Path is the file, relative to the artifact, with forward slashes.
	Path string
	// What is one of the codes below.
	What FaultKind
}

// FaultKind says what is wrong with a file.
type FaultKind string

// What can be wrong with a file.
const (
	// Extra is a file that was not signed.
	Extra FaultKind = "was not signed"
	// Missing is a file that was signed and is not there.
	Missing FaultKind = "is missing"
	// Different is a file with other content.
	Different FaultKind = "has other content than was signed"
	// Link is a symbolic link where the signature allows none, or one that leads out.
	Link FaultKind = "is a symbolic link that does not count"
	// Special is a device, a pipe or a socket.
	Special FaultKind = "is neither a file nor a folder"
	// BadName is a name that cannot be signed.
	BadName FaultKind = "has a name that cannot be signed"
	// Failed is a file that could not be read.
	Failed FaultKind = "cannot be read"
)

// String names file and fault.
func (f Fault) String() string { return fmt.Sprintf("%q %s", f.Path, f.What) }

// refuse builds a refusal.
func refuse(r Reason, where, remedy, format string, args ...any) *Error {
	return &Error{Reason: r, Where: where, Remedy: remedy, Detail: fmt.Sprintf(format, args...)}
}

// because adds the cause.
func (e *Error) because(err error) *Error {
	e.Err = err
	return e
}

// clip shortens what strangers wrote before it stands in a message.
func clip(s string) string {
	const most = 80
	if len(s) > most {
		return s[:most] + "..."
	}
	return s
}
