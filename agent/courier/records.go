package courier

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/robowarden/robowarden/agent/evidencelog"
	"github.com/robowarden/robowarden/agent/guard"
	"github.com/robowarden/robowarden/agent/journal"
)

// Kinds of the courier's own journal. The numbers are part of the format and are never reused.
const (
	// KindCheckpoint is a head of the guard's journal with the device key's signature.
	KindCheckpoint journal.Kind = 16
	// KindGap says which records of a log were lost before anybody acknowledged them.
	KindGap journal.Kind = 17
	// KindStart opens a run of the courier.
	KindStart journal.Kind = 18
	// KindLink is a change of the connection to the broker.
	KindLink journal.Kind = 19
	// KindAttestation is a change of the attestation session.
	KindAttestation journal.Kind = 20
	// KindCarried is what became of a signed document that came from the network.
	KindCarried journal.Kind = 21
	// KindFault is something that is wrong with the courier's own files or with a journal that it reads.
	KindFault journal.Kind = 22
	// KindGuard is a change of the connection to the guard.
	KindGuard journal.Kind = 23
	// KindToken is a token that a program of the robot got, or why it got none.
	KindToken journal.Kind = 24
)

// Checkpoint is the content of a [KindCheckpoint] record. The signature covers "robowarden/checkpoint/v1" 00, log, 00, the
// boot id's 16 bytes, seq in 8 bytes little-endian, digest and evidence.
type Checkpoint struct {
	Log       string `json:"log"`
	BootID    string `json:"boot_id"`
	Seq       uint64 `json:"seq"`
	Digest    string `json:"digest"`
	Evidence  string `json:"evidence"`
	KeyID     string `json:"key_id"`
	Tier      string `json:"tier"`
	Signature []byte `json:"signature"`
}

// Gap is the content of a [KindGap] record: numbers of which nothing can be sent any more.
type Gap struct {
	Log    string `json:"log"`
	BootID string `json:"boot_id"`
	First  uint64 `json:"first"`
	Last   uint64 `json:"last"`
}

// Started is the content of a [KindStart] record.
type Started struct {
	Version string `json:"version"`
	Tier    string `json:"tier"`
	KeyID   string `json:"key_id"`
	// Recovery says that the key is that of the robot's recovery.
	Recovery bool `json:"recovery,omitempty"`
}

// Change is the content of a [KindLink], [KindGuard] or [KindAttestation] record.
type Change struct {
	State  string `json:"state"`
	Reason string `json:"reason,omitempty"`
	Detail string `json:"detail,omitempty"`
}

// Carried is the content of a [KindCarried] record. Digest is the SHA-256 of the envelope as it came.
type Carried struct {
	Topic    string `json:"topic"`
	Digest   string `json:"digest"`
	Accepted bool   `json:"accepted"`
	Reason   string `json:"reason,omitempty"`
}

// Fault is the content of a [KindFault] record.
type Fault struct {
	What  string `json:"what"`
	Error string `json:"error"`
}

// Token is the content of a [KindToken] record. What is not known is empty; what is known of a program is the steward's word.
type Token struct {
	Issued bool `json:"issued"`
	// Reason and Detail say why there is none.
	Reason string `json:"reason,omitempty"`
	Detail string `json:"detail,omitempty"`
	// Subject, Audience, Role, ID, Expires (seconds since 1970) and Attestation are the token's.
	Subject     string `json:"sub,omitempty"`
	Audience    string `json:"aud,omitempty"`
	Role        string `json:"role,omitempty"`
	ID          string `json:"jti,omitempty"`
	Expires     int64  `json:"exp,omitempty"`
	Attestation string `json:"att,omitempty"`
	// UID, PID, Unit and executable are the process's.
	UID       int    `json:"uid"`
	PID       int    `json:"pid"`
	Unit      string `json:"unit,omitempty"`
	Exe       string `json:"exe,omitempty"`
	ExeSHA256 string `json:"exe_sha256,omitempty"`
	// Suppressed is how many refusals before this one have no record of their own, because there were too many.
	Suppressed uint64 `json:"suppressed,omitempty"`
}

// maxText is the longest line of text beside a record, in bytes.
const maxText = 512

// Names of the guard's and the courier's kinds.
var (
	guardKinds = map[uint8]string{
		guard.RecordStart: "start", guard.RecordDecision: "decision", guard.RecordRung: "rung", guard.RecordOrder: "order",
		guard.RecordPolicy: "policy", recordCheckpoint: "checkpoint", guard.RecordAuthority: "authority",
		guard.RecordDemand: "demand", guard.RecordPosture: "posture",
	}
	courierKinds = map[journal.Kind]string{
		KindCheckpoint: "checkpoint", KindGap: "loss", KindStart: "start", KindLink: "link", KindAttestation: "attestation",
		KindCarried: "carried", KindFault: "fault", KindGuard: "guard", KindToken: "token",
	}
)

// recordCheckpoint is the guard's record of a checkpoint that it was sent.
const recordCheckpoint uint8 = 9

// kindName names a kind of a log.
func kindName(log string, kind journal.Kind) string {
	name := ""
	switch {
	case kind.Reserved():
	case log == evidencelog.Guard:
		name = guardKinds[uint8(kind)]
	case log == evidencelog.Courier:
		name = courierKinds[kind]
	}
	if name == "" {
		name = kind.String()
	}
	return name
}

// isSafety reports whether a record goes before the robot's state: what the guard decided, who ordered it, and what
// vouches for it.
func isSafety(log string, kind journal.Kind) bool {
	switch log {
	case evidencelog.Guard:
		return uint8(kind) != recordCheckpoint
	case evidencelog.Courier:
		return kind == KindCheckpoint || kind == KindGap
	}
	return false
}

// describe puts a record into one line.
func describe(log string, r *journal.Record) (text string) {
	switch {
	case r.Kind.Reserved():
		line := journal.AppendLine(nil, &journal.Record{Seq: r.Seq, Boot: r.Boot, Kind: r.Kind, Payload: r.Payload}, nil)
		return clip(string(line))
	case log == evidencelog.Guard && uint8(r.Kind) == guard.RecordDecision:
		if s, err := guard.DescribeDecision(r.Payload); err == nil {
			return clip(s)
		}
	case log == evidencelog.Guard && uint8(r.Kind) == guard.RecordAuthority:
		if s, err := guard.DescribeAuthority(r.Payload); err == nil {
			return clip(s)
		}
	case log == evidencelog.Guard && uint8(r.Kind) == guard.RecordRung:
		if s, err := guard.DescribeLadder(r.Payload); err == nil {
			return clip(s)
		}
	case log == evidencelog.Guard && uint8(r.Kind) == guard.RecordPosture:
		if s, err := guard.DescribePosture(r.Payload); err == nil {
			return clip(s)
		}
	case log == evidencelog.Guard && uint8(r.Kind) == guard.RecordDemand:
		if s, err := guard.DescribeJudgement(r.Payload); err == nil {
			return clip(s)
		}
	}
	if json.Valid(r.Payload) {
		return clip(string(r.Payload))
	}
	return fmt.Sprintf("%d bytes", len(r.Payload))
}

// clip cuts text to one line of bounded length that plays no tricks on a terminal.
func clip(s string) string {
	var b strings.Builder
	for _, c := range s {
		if b.Len() > maxText-10 {
			b.WriteString("…")
			break
		}
		if strconv.IsPrint(c) && c != utf8.RuneError {
			b.WriteRune(c)
		} else {
			b.WriteByte(' ')
		}
	}
	return b.String()
}

// encodeRecord writes a record as event messages carry it.
func encodeRecord(log string, r *evidencelog.Record) (json.RawMessage, error) {
	e := EventRecord{
		Seq: r.Seq, Kind: uint8(r.Kind), KindName: kindName(log, r.Kind), BootTimeNs: int64(r.Boot),
		Prev: hex.EncodeToString(r.Prev[:]), Digest: hex.EncodeToString(r.Value[:]), Payload: r.Payload, Text: describe(log, r.Record),
	}
	if e.Payload == nil {
		e.Payload = []byte{}
	}
	if log == evidencelog.Guard && uint8(r.Kind) == guard.RecordDecision {
		// A record that cannot be read goes out as bytes; the consumer has them all the same.
		e.Decision, _ = readDecision(r.Payload)
	}
	return json.Marshal(e)
}
