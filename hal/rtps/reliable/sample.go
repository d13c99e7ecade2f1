package reliable

import (
	"github.com/robowarden/robowarden/hal/rtps/wire"
)

// Sample is what an Inbox hands on. It and its payload are valid during the call only.
type Sample struct {
	Seq   wire.SeqNum
	Stamp wire.Time // the source's time, zero if it gave none
	// Payload is the serialised payload with its encapsulation, or the serialised key if Key is true; nil if the sample
	// has none, as with a dispose that names its instance by KeyHash only.
	Payload             []byte
	Key                 bool
	Dispose, Unregister bool
	KeyHash             [16]byte
	HasKeyHash          bool
	Related             wire.GUID
	RelatedSeq          wire.SeqNum
	HasRelated          bool
}

// Deliver takes one sample. It must not call the Inbox that calls it.
type Deliver func(*Sample)

// Verdict says what became of a DATA or DATA_FRAG.
type Verdict uint8

// Verdicts.
const (
	// Delivered means that the sample, and perhaps others that waited for it, were handed on.
	Delivered Verdict = iota + 1
	// Held means that it is kept: until those before it, or its other fragments, are there.
	Held
	// Duplicate means that it was there already, with the same content as far as that is still known.
	Duplicate
	// Old means that it is behind what was delivered, and that nothing more is known of it.
	Old
	// Conflict means that a sample with this number and another content was there: somebody else speaks in the
	// writer's name. The first one stays.
	Conflict
	// Refused means that it is above a cap, or that its fragments contradict those that are there. A reliable reader
	// asks for it again when there is room.
	Refused
	// Jump means that its number is further ahead than InboxConfig.JumpWindow. It was not taken; see Inbox.
	Jump
)

// String is the verdict in a word.
func (v Verdict) String() string {
	switch v {
	case Delivered:
		return "delivered"
	case Held:
		return "held"
	case Duplicate:
		return "duplicate"
	case Old:
		return "old"
	case Conflict:
		return "conflict"
	case Refused:
		return "refused"
	case Jump:
		return "jump"
	}
	return "none"
}

// InboxStats counts since NewInbox.
type InboxStats struct {
	Delivered, Duplicates, Conflicts, Old, Refused uint64
	// Jumps counts DATA, HEARTBEAT and GAP whose numbers were too far ahead.
	Jumps uint64
	// Lost counts numbers that were passed over: a best-effort reader's holes, and what a reliable writer no longer has.
	Lost uint64
	// Irrelevant counts numbers that the writer said are not for this reader.
	Irrelevant uint64
	// GivenUp counts samples that the writer said it has and did not send; they are in Lost as well.
	GivenUp uint64
	// Evicted counts held and partial samples that gave way to earlier ones; Expired those that timed out.
	Evicted, Expired uint64
	// Resyncs counts how often the Inbox went on elsewhere because the numbers that it had believed in did not last.
	Resyncs uint64
	// Fragments counts the fragments taken; Nacks the requests sent for samples or fragments.
	Fragments, Nacks uint64
}
