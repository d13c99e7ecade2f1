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
// datagrams is used up; then Due says when to come again. To a reader that is up to date the sample goes out at once, with
// a heartbeat behind it.
//
// A reader that has acknowledged nothing for OutboxConfig.StallAfter is stalled: it costs no heartbeat of its own and no
// repetition until it is heard of again. Each new sample is still sent to it once, for it may be hearing us: acknowledgements
// that are lost on their way must not keep a stop from it.
type Outbox struct {
	cfg     OutboxConfig
	stats   OutboxStats
	history history
	readers []reader
	beats   int32
}

// OutboxStats counts since NewOutbox.
type OutboxStats struct {
	// Added counts samples.
	Added uint64
	// Resent counts samples and fragments that were sent again, Gaps and Heartbeats those submessages.
	Resent, Gaps, Heartbeats uint64
	// Overwritten counts samples that left the history before every reliable reader had acknowledged them.
	Overwritten uint64
	// BadAcks counts ACKNACK and NACK_FRAG about what never was.
	BadAcks uint64
	// Stalls counts how often a reader stalled.
	Stalls uint64
}

// NewOutbox is a writer without samples and readers; its history's memory is allocated here.
func NewOutbox(c OutboxConfig) *Outbox {
	c.fill()
	return &Outbox{cfg: c, history: newHistory(c.Depth, c.MaxSample), readers: make([]reader, c.MaxReaders)}
}

// Add copies a sample into the history, in place of the oldest if that is full, and gives it the next number. The only
// error is ErrTooLarge.
func (o *Outbox) Add(now time.Duration, stamp wire.Time, payload []byte) (wire.SeqNum, error) {
	if len(payload) > o.cfg.MaxSample {
		return 0, ErrTooLarge
	}
	return o.add(now, stamp, payload).seq, nil
}

// AddRelated is Add for a request, or for the answer to the request seq of the writer of. It goes out whole.
func (o *Outbox) AddRelated(
	now time.Duration, stamp wire.Time, payload []byte, of wire.GUID, seq wire.SeqNum,
) (wire.SeqNum, error) {
	if len(payload) > min(o.cfg.MaxSample, o.cfg.FragmentSize) {
		return 0, ErrTooLarge
	}
	s := o.add(now, stamp, payload)
	s.related, s.relatedSeq, s.hasRelated = of, seq, true
	return s.seq, nil
}

// AddDispose adds the end of the instance that key names; status is a sum of wire.StatusDisposed and
// wire.StatusUnregistered.
func (o *Outbox) AddDispose(now time.Duration, stamp wire.Time, key wire.GUID, status uint32) wire.SeqNum {
	s := o.add(now, stamp, nil)
	s.dispose, s.key, s.status = true, key, status
	return s.seq
}

func (o *Outbox) add(now time.Duration, stamp wire.Time, payload []byte) *slot {
	h := &o.history
	if len(h.idle) == 0 && !o.ackedBy(h.from(1)) {
		o.stats.Overwritten++
	}
	for k := range o.readers {
		if r := &o.readers[k]; r.reliable && r.acked > h.last {
			// It owes nothing until now: its patience begins here.
			r.alive, r.beatWait = now, o.cfg.HeartbeatEvery
		}
	}
	o.stats.Added++
	return h.add(stamp, payload)
}

// Remove takes a sample out of the history, as one that a newer one of the same instance replaces; readers that ask for it
// get a GAP.
func (o *Outbox) Remove(seq wire.SeqNum) { o.history.remove(seq) }

// Last is the number of the newest sample; 0 if there was none.
func (o *Outbox) Last() wire.SeqNum { return o.history.last }

// Match begins with a reader under an id of the caller's, 0 to OutboxConfig.MaxReaders-1; false if it is outside of that.
// A matched id begins anew. History hands it what is in the history, if the reader is reliable and the writer
// transient-local; else it gets what is added from now on.
func (o *Outbox) Match(now time.Duration, id int, reliable, history bool) bool {
	if id < 0 || id >= len(o.readers) {
		return false
	}
	reliable = reliable && o.cfg.Reliable
	start := o.history.last + 1
	if history && reliable && o.cfg.TransientLocal {
		start = 1
	}
	o.readers[id] = reader{
		matched: true, reliable: reliable, start: start, sent: start - 1, acked: start,
		alive: now, beatDue: reliable, beatAt: now, beatWait: o.cfg.HeartbeatEvery,
	}
	return true
}

// Unmatch ends with a reader.
func (o *Outbox) Unmatch(id int) {
	if id >= 0 && id < len(o.readers) {
		o.readers[id] = reader{}
	}
}

// reader is the state of a matched reader, nil if there is none.
func (o *Outbox) reader(id int) *reader {
	if id < 0 || id >= len(o.readers) || !o.readers[id].matched {
		return nil
	}
	return &o.readers[id]
}

// ackedBy tells whether every reliable reader has acknowledged all up to seq.
func (o *Outbox) ackedBy(seq wire.SeqNum) bool {
	for k := range o.readers {
		if r := &o.readers[k]; r.reliable && r.acked <= seq {
			return false
		}
	}
	return true
}

// AllAcked tells whether every reliable reader has acknowledged everything; without one it is true. A stalled reader has
// not.
func (o *Outbox) AllAcked() bool { return o.ackedBy(o.history.last) }

// Acked tells whether a reader has acknowledged everything that was for it; best-effort readers never have.
func (o *Outbox) Acked(id int) bool {
	r := o.reader(id)
	return r != nil && r.reliable && r.acked > o.history.last
}

// Stalled tells whether a reliable reader has acknowledged nothing for OutboxConfig.StallAfter. It is found out in Next.
func (o *Outbox) Stalled(id int) bool {
	r := o.reader(id)
	return r != nil && r.stalled
}

// Stats is what was counted so far.
func (o *Outbox) Stats() OutboxStats { return o.stats }
