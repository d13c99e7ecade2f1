package reliable

import (
	"errors"
	"time"

	"github.com/robowarden/robowarden/hal/rtps/wire"
)

// ErrTooLarge says that a sample is larger than OutboxConfig.MaxSample, or one with a related identity than FragmentSize.
var ErrTooLarge = errors.New("sample is larger than the writer's cap")

// Outbox is a writer's history and the state of its readers.
//
// The way of a new sample: Add, then for each matched reader Next, until it appends nothing or the caller's budget of
// datagrams is used up; then Due says when to come again. A reader that has acknowledged nothing for
// OutboxConfig.StallAfter is stalled: it costs no heartbeat and no repetition until it is heard of again, but each new sample
// is still sent to it once, for it may be hearing us.
type Outbox struct {
	cfg OutboxConfig
}

// NewOutbox is a writer without samples and readers; its history's memory is allocated here.
func NewOutbox(c OutboxConfig) *Outbox {
	c.fill()
	return &Outbox{cfg: c}
}

// Add copies a sample into the history, in place of the oldest if that is full, and gives it the next number. The only
// error is ErrTooLarge.
func (o *Outbox) Add(now time.Duration, stamp wire.Time, payload []byte) (wire.SeqNum, error) {
	return 0, nil
}

// AddRelated is Add for a request, or for an answer to the request seq of the writer of.
func (o *Outbox) AddRelated(now time.Duration, stamp wire.Time, payload []byte, of wire.GUID, seq wire.SeqNum) (wire.SeqNum, error) {
	return 0, nil
}

// AddDispose adds the end of the instance that key names; status is a sum of wire.StatusDisposed and
// wire.StatusUnregistered.
func (o *Outbox) AddDispose(now time.Duration, stamp wire.Time, key wire.GUID, status uint32) wire.SeqNum {
	return 0
}

// Remove takes a sample out of the history, as one that a newer one of the same instance replaces; readers that ask for it
// get a GAP.
func (o *Outbox) Remove(seq wire.SeqNum) {}

// Last is the number of the newest sample; 0 if there was none.
func (o *Outbox) Last() wire.SeqNum { return 0 }

// Match begins with a reader under an id of the caller's, 0 to OutboxConfig.MaxReaders-1; false if it is outside of that.
// A matched id begins anew. History hands it what is in the history, if the reader is reliable and the writer
// transient-local; else it gets what is added from now on.
func (o *Outbox) Match(now time.Duration, id int, reliable, history bool) bool { return false }

// Unmatch ends with a reader.
func (o *Outbox) Unmatch(id int) {}

// AckNack takes a reader's ACKNACK.
func (o *Outbox) AckNack(now time.Duration, id int, s *wire.Submessage) {}

// NackFrag takes a reader's NACK_FRAG.
func (o *Outbox) NackFrag(now time.Duration, id int, s *wire.Submessage) {}

// Next appends to b what is due for a reader now, for one datagram of at most max bytes in all; b holds the message's
// header and INFO_DST. It appends nothing if nothing is due. The datagram must have room for Overhead and
// OutboxConfig.FragmentSize.
func (o *Outbox) Next(now time.Duration, id int, b []byte, max int, reader, writer wire.EntityID) []byte {
	return b
}

// Due is the time at which Next wants to be called for a reader, in the past if at once; ok is false if never, until
// something happens.
func (o *Outbox) Due(id int) (at time.Duration, ok bool) { return 0, false }

// AllAcked tells whether every reliable reader has acknowledged everything; without one it is true. A stalled reader has
// not.
func (o *Outbox) AllAcked() bool { return true }

// Acked tells whether a reader has acknowledged everything; best-effort readers never have.
func (o *Outbox) Acked(id int) bool { return false }

// Stalled tells whether a reliable reader has acknowledged nothing for OutboxConfig.StallAfter. It is found out in Next.
func (o *Outbox) Stalled(id int) bool { return false }

// OutboxStats counts since NewOutbox.
type OutboxStats struct {
	// Added counts samples; Resent samples or fragments sent again; Gaps GAP submessages.
	Added, Resent, Gaps uint64
	// Heartbeats counts HEARTBEAT submessages.
	Heartbeats uint64
	// Overwritten counts samples that left the history before every reliable reader had acknowledged them.
	Overwritten uint64
	// BadAcks counts ACKNACK and NACK_FRAG of what never was.
	BadAcks uint64
	// Stalls counts how often a reader stalled.
	Stalls uint64
}

// Stats is what was counted so far.
func (o *Outbox) Stats() OutboxStats { return OutboxStats{} }
