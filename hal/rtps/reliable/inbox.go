package reliable

import (
	"hash/maphash"
	"time"

	"github.com/robowarden/robowarden/hal/rtps/wire"
)

// startAfter is how long a reliable Inbox waits for a heartbeat that tells where to begin, once there is data.
const startAfter = time.Second

// Inbox is a reader's side of one matched writer.
//
// A best-effort Inbox hands on each sample that is newer than the last, at once. A reliable one hands on every sample in
// order: it starts with the first that the writer's first heartbeat names (see InboxConfig.SkipBacklog), keeps what
// comes early, asks for what is missing, passes over what the writer no longer has, and gives up what it never sends.
//
// Numbers are claims. A number further ahead than InboxConfig.JumpWindow moves nothing by itself; only if for
// InboxConfig.ResyncAfter such numbers, rising, are all that comes, the Inbox goes on there. A number less far ahead is
// believed, for a pause in reception looks the same; but an Inbox that was led ahead goes back to where the writer's
// samples (best-effort) or heartbeats (reliable) are, once nothing else has come for as long.
type Inbox struct {
	cfg     InboxConfig
	stats   InboxStats
	store   store
	known   digests
	sample  Sample      // what is being handed on
	next    wire.SeqNum // nothing below is handed on any more; 0 before the first number
	ahead   trail       // numbers beyond the window
	behind  trail       // numbers below next
	expires time.Duration

	// Of a reliable Inbox:
	started          bool          // next is where to begin or to go on; else the lowest number seen
	last             wire.SeqNum   // the highest that the writer has, by its latest heartbeat
	back, landed     wire.SeqNum   // from where to where next last went without samples
	landedAt         time.Duration // when that was
	since            time.Duration // when the first data came, or when next last moved or grew
	stuck            bool          // something is there or promised, and next is missing since then
	beats, fragBeats counter
	answer           answer
}

// NewInbox is the Inbox of a writer that was just matched. A reliable one is due at once, to ask for a heartbeat.
func NewInbox(c InboxConfig) *Inbox {
	c.fill()
	i := &Inbox{cfg: c, store: newStore(&c), known: digests{seed: maphash.MakeSeed()}}
	if c.Reliable {
		i.answer.due = true
	}
	return i
}

// Next is the number that is delivered next at the earliest; 0 as long as the beginning is not known.
func (i *Inbox) Next() wire.SeqNum {
	if i.cfg.Reliable && !i.started {
		return 0
	}
	return i.next
}

// HeldBytes is the memory for payloads in use, at most InboxConfig.MaxHeldBytes.
func (i *Inbox) HeldBytes() int { return i.store.bytes }

// Stats is what was counted so far.
func (i *Inbox) Stats() InboxStats {
	s := i.stats
	s.Evicted = i.store.evicted
	return s
}

// Data takes a DATA; stamp is the source's time from the datagram's INFO_TS, zero if there was none.
func (i *Inbox) Data(now time.Duration, s *wire.Submessage, stamp wire.Time, d Deliver) Verdict {
	i.expire(now)
	v := i.read(s, stamp)
	if v.Seq < 1 || v.Seq > wire.MaxSeqNum {
		return i.count(Refused)
	}
	if len(v.Payload) > i.cfg.MaxSample {
		i.unfit(now, v.Seq, d)
		return i.count(Refused)
	}
	if !i.cfg.Reliable {
		return i.count(i.newest(now, v, d))
	}
	i.giveUp(now, d)
	return i.count(i.inOrder(now, v, d))
}

// read takes over what a sample says, without copying its payload.
func (i *Inbox) read(s *wire.Submessage, stamp wire.Time) *Sample {
	i.sample = Sample{
		Seq: s.Seq, Stamp: stamp, Key: s.Key, Dispose: s.Dispose, Unregister: s.Unregister,
		KeyHash: s.KeyHash, HasKeyHash: s.HasKeyHash, Related: s.Related, RelatedSeq: s.RelatedSeq, HasRelated: s.HasRelated,
	}
	if s.HasPayload {
		i.sample.Payload = s.Payload
	}
	return &i.sample
}

func (i *Inbox) count(v Verdict) Verdict {
	switch v {
	case Duplicate:
		i.stats.Duplicates++
	case Old:
		i.stats.Old++
	case Conflict:
		i.stats.Conflicts++
	case Refused:
		i.stats.Refused++
	case Jump:
		i.stats.Jumps++
	case Delivered, Held:
	}
	return v
}

// hand delivers a sample and remembers it. After a resync numbers come again: what was handed on already is not handed
// on twice, and another content is, since the first was then somebody else's.
func (i *Inbox) hand(v *Sample, d Deliver) Verdict {
	r := Delivered
	if i.stats.Resyncs > 0 {
		if known := i.known.compare(v); known == Duplicate {
			return Duplicate
		} else if known == Conflict {
			r = Conflict
		}
	}
	i.known.remember(v)
	i.stats.Delivered++
	d(v)
	return r
}

// newest hands on a best-effort sample, if it is newer than the last.
func (i *Inbox) newest(now time.Duration, v *Sample, d Deliver) Verdict {
	if r := i.place(now, v.Seq, v); r != Delivered {
		return r
	}
	if e := i.store.find(v.Seq); e != nil && e.contradicts(v.Payload) {
		return Conflict
	}
	i.passTo(v.Seq)
	return i.hand(v, d)
}

// place says whether a best-effort number is where the writer is now: Delivered if so. For a fragment v is nil.
func (i *Inbox) place(now time.Duration, seq wire.SeqNum, v *Sample) Verdict {
	switch {
	case i.next == 0:
		i.next = seq
	case seq < i.next:
		r := Old
		if v != nil {
			r = i.known.compare(v)
		} else if i.known.at(seq).seq == seq {
			r = Duplicate
		}
		if r != Old {
			return r
		}
		if !i.behind.follow(now, seq, false, i.cfg.JumpWindow, i.cfg.ResyncAfter) {
			return Old
		}
		i.resync(seq)
	case int64(seq-i.next) > i.cfg.JumpWindow:
		if !i.ahead.follow(now, seq, false, i.cfg.JumpWindow, i.cfg.ResyncAfter) {
			return Jump
		}
	}
	i.ahead.reset()
	i.behind.reset()
	return Delivered
}

// passTo goes on behind a best-effort sample: what is older will not be handed on.
func (i *Inbox) passTo(seq wire.SeqNum) {
	i.stats.Lost += uint64(seq - i.next)
	i.next = seq + 1
	if i.store.partials == 0 {
		return
	}
	for k := range i.store.entries {
		if e := &i.store.entries[k]; e.status != vacant && e.sample.Seq < i.next {
			i.store.vacate(e)
		}
	}
}

// resync goes on at a lower number than what was believed.
func (i *Inbox) resync(seq wire.SeqNum) {
	i.stats.Resyncs++
	for k := range i.store.entries {
		i.store.vacate(&i.store.entries[k])
	}
	i.next = seq
}

// expire drops partial samples that no fragment came for.
func (i *Inbox) expire(now time.Duration) {
	if i.store.partials == 0 || now < i.expires {
		return
	}
	i.expires = now + i.cfg.PartialTimeout
	for k := range i.store.entries {
		e := &i.store.entries[k]
		if e.status != partial {
			continue
		}
		if until := e.at + i.cfg.PartialTimeout; until > now {
			i.expires = min(i.expires, until)
			continue
		}
		i.store.vacate(e)
		i.stats.Expired++
	}
}
