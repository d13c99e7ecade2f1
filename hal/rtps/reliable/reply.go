package reliable

import (
	"time"

	"github.com/robowarden/robowarden/hal/rtps/wire"
)

const (
	// maxNackFrags is how many NACK_FRAG one answer has: 2048 fragments, which is a sample of 2.7 MB from CycloneDDS.
	maxNackFrags = 8
	// MaxReply is the most that Inbox.Reply appends: an ACKNACK of 60 bytes and the NACK_FRAG of 64, with 256 bits each.
	MaxReply = 60 + maxNackFrags*64

	// askMin and askMax bound the pause between two requests for the first heartbeat; it doubles in between.
	askMin = 100 * time.Millisecond //nolint:revive // the least, not minutes
	askMax = 5 * time.Second
)

// answer is when and why to write to the writer.
type answer struct {
	due   bool
	when  time.Duration
	heard bool // there was a heartbeat
	owed  bool // the writer wants an ACKNACK though nothing may be missing

	asked     wire.SeqNum   // the highest number that the last request was about
	last      time.Duration // when that was
	wait      time.Duration // the pause after it
	progress  bool          // something came since
	acks      int32
	fragNacks int32
}

// at makes Reply due at t, if it is not due before.
func (a *answer) at(t time.Duration) {
	if !a.due || t < a.when {
		a.due, a.when = true, t
	}
}

// heartbeat decides on the answer to one; missing is the lowest number that is not there, or 0. What was asked for a
// moment ago is still on its way.
func (a *answer) heartbeat(now time.Duration, c *InboxConfig, final bool, missing wire.SeqNum) {
	if !a.heard {
		a.heard, a.due, a.wait = true, false, 0
	}
	a.owed = a.owed || !final
	t := now + c.AckDelay
	if missing > 0 && missing <= a.asked {
		t = max(t, a.last+c.NackDelay)
	}
	if missing > 0 || a.owed {
		a.at(t)
	}
}

// Due is the time at which Reply wants to be called; ok is false if never, until something comes in.
func (i *Inbox) Due() (at time.Duration, ok bool) {
	a := &i.answer
	if i.store.partials > 0 && (!a.due || i.expires < a.when) {
		return i.expires, true
	}
	return a.when, a.due
}

// Reply appends the ACKNACK and NACK_FRAG submessages that are due at now, from our reader to that writer; nothing if
// nothing is due. They need at most MaxReply bytes. Before them belong the message's header and INFO_DST.
func (i *Inbox) Reply(now time.Duration, b []byte, reader, writer wire.EntityID) []byte {
	i.expire(now)
	a := &i.answer
	if !a.due || now < a.when {
		return b
	}
	a.due = false
	if !a.heard {
		a.wait, a.last = min(max(2*a.wait, askMin), askMax), now
		a.at(now + a.wait)
		set := wire.SeqSet{Base: i.Next()}
		if set.Base == 0 && !i.cfg.AskFromZero {
			set.Base = 1
		}
		return i.acknack(b, reader, writer, &set, false)
	}
	set := wire.SeqSet{Base: i.next}
	limit := i.limit()
	frags := i.missing(now, limit, &set)
	if set.Empty() && !frags {
		if a.owed {
			b = i.acknack(b, reader, writer, &set, true)
		}
		return b
	}
	b = i.acknack(b, reader, writer, &set, false)
	if frags {
		b = i.nackFrags(now, b, reader, writer, limit)
	}
	i.stats.Nacks++
	a.wait = min(max(2*a.wait, i.cfg.NackDelay), i.cfg.NackMax)
	if a.progress {
		a.wait = i.cfg.NackDelay
	}
	a.progress, a.asked, a.last = false, limit, now
	a.at(now + a.wait)
	return b
}

func (i *Inbox) acknack(b []byte, reader, writer wire.EntityID, set *wire.SeqSet, final bool) []byte {
	i.answer.acks++
	i.answer.owed = false
	return wire.AppendAckNack(b, reader, writer, set, i.answer.acks, final)
}

// missing puts the numbers into set of which nothing is there; frags tells that fragments of others are to be asked for
// now. Of a writer of fragments no more samples are asked for at once than can be put together at once.
func (i *Inbox) missing(now time.Duration, limit wire.SeqNum, set *wire.SeqSet) (frags bool) {
	room := i.cfg.MaxHeld
	if i.store.partials > 0 || i.store.done.status != vacant {
		room = i.store.maxPartials - i.store.partials
	}
	for n := i.next; n <= limit; n++ {
		e := i.store.find(n)
		switch {
		case e == nil && (room > 0 || n == i.next):
			set.Add(n)
			room--
		case e != nil && e.status == partial:
			if when := i.wanted(e); when <= now {
				frags = true
			} else {
				i.answer.at(when)
			}
		}
	}
	return frags
}

// wanted is the time at which a partial sample's missing fragments are to be asked for: at once after the writer told that
// it sent them, but for those on their way, else when it has been quiet for long.
func (i *Inbox) wanted(e *entry) time.Duration {
	if e.sample.Seq <= i.last || e.missing(e.announced) > 0 {
		return e.at + i.cfg.AckDelay
	}
	return e.at + i.cfg.NackDelay
}

// nackFrags asks for fragments, of the lowest numbers first.
func (i *Inbox) nackFrags(now time.Duration, b []byte, reader, writer wire.EntityID, limit wire.SeqNum) []byte {
	left := maxNackFrags
	for n := i.next; n <= limit && left > 0; n++ {
		e := i.store.find(n)
		if e == nil || e.status != partial || i.wanted(e) > now {
			continue
		}
		last := e.frags
		if n > i.last && e.announced > 0 && e.missing(e.announced) > 0 {
			last = e.announced
		}
		for k := uint32(0); left > 0; left-- {
			var set wire.FragSet
			if set, k = e.gaps(k, last); set.Bits == 0 {
				break
			}
			i.answer.fragNacks++
			b = wire.AppendNackFrag(b, reader, writer, n, &set, i.answer.fragNacks)
		}
	}
	return b
}

// gaps is the set of missing fragments from k, counted from 0, up to last; next is where the following set goes on.
func (e *entry) gaps(k, last uint32) (set wire.FragSet, next uint32) {
	for ; k < last; k++ {
		if e.has(k) {
			continue
		}
		if set.Bits == 0 {
			set.Base = k + 1
		}
		if !set.Add(k + 1) {
			break
		}
	}
	return set, k
}
