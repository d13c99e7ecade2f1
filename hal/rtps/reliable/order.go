package reliable

import (
	"time"

	"github.com/robowarden/robowarden/hal/rtps/wire"
)

// window is how many numbers from next on are kept.
func (i *Inbox) window() wire.SeqNum { return wire.SeqNum(i.cfg.MaxHeld) }

// highest is the highest number that a reliable writer is known to have reached.
func (i *Inbox) highest() wire.SeqNum { return max(i.last, i.next-1) }

// tooFar tells whether a reliable number is beyond the window for jumps.
func (i *Inbox) tooFar(seq wire.SeqNum) bool { return int64(seq-i.highest()) > i.cfg.JumpWindow }

// admit says whether a reliable number has a place: Held if so, Delivered if it is behind.
func (i *Inbox) admit(now time.Duration, seq wire.SeqNum) Verdict {
	if !i.started {
		return i.admitEarly(now, seq)
	}
	switch {
	case seq < i.next:
		return Delivered
	case i.tooFar(seq):
		return Jump
	case seq-i.next >= i.window():
		return Refused
	}
	return Held
}

// admitEarly makes the lowest number seen the beginning, until a heartbeat tells it or has not come for long.
func (i *Inbox) admitEarly(now time.Duration, seq wire.SeqNum) Verdict {
	switch {
	case i.next == 0:
		i.next, i.since = seq, now
	case seq < i.next:
		i.rebase(seq)
	case seq-i.next >= i.window():
		return Refused
	}
	// Nothing can be before the first sample, and a reader that wants no backlog misses nothing that it asked for.
	if seq == 1 || i.cfg.SkipBacklog {
		i.start(now, i.next)
	}
	return Held
}

// start makes next the number to begin with.
func (i *Inbox) start(now time.Duration, next wire.SeqNum) {
	i.rebase(next)
	i.started, i.stuck, i.since = true, false, now
}

// rebase makes next the number to go on with, and forgets what is outside of the window from there.
func (i *Inbox) rebase(next wire.SeqNum) {
	i.next = next
	for k := range i.store.entries {
		if e := &i.store.entries[k]; e.status != vacant && (e.sample.Seq < next || e.sample.Seq-next >= i.window()) {
			i.store.vacate(e)
		}
	}
}

// inOrder hands on a whole sample, or keeps it until those before it are there.
func (i *Inbox) inOrder(now time.Duration, v *Sample, d Deliver) Verdict {
	switch r := i.admit(now, v.Seq); r {
	case Delivered:
		return i.known.compare(v)
	case Held:
	default:
		return r
	}
	e := i.store.find(v.Seq)
	switch {
	case e == nil || e.status == absent:
	case e.status == partial:
		if e.contradicts(v.Payload) {
			return Conflict
		}
	case same(&e.sample, v):
		// What waits for a heartbeat is handed on by the next data, if none came.
		if i.drain(now, d) {
			return Delivered
		}
		return Duplicate
	default:
		return Conflict
	}
	if i.started && v.Seq == i.next {
		if e != nil {
			i.store.vacate(e)
		}
		r := i.hand(v, d)
		i.moved(now)
		i.next++
		i.drain(now, d)
		return r
	}
	if !i.store.hold(v) {
		return Refused
	}
	if i.drain(now, d) {
		return Delivered
	}
	i.waits(now)
	return Held
}

// moved notes that next goes on: nothing is stuck, and the numbers are where the writer is.
func (i *Inbox) moved(now time.Duration) {
	i.since, i.stuck = now, false
	i.answer.progress = true
	i.ahead.reset()
	i.behind.reset()
}

// waits notes that something is there whose turn has not come. If a heartbeat does not, it is asked for what is missing
// after a while anyway: some writers send one every few seconds only.
func (i *Inbox) waits(now time.Duration) {
	if !i.cfg.Reliable {
		return
	}
	i.answer.progress = true
	if !i.started {
		// The writer knows this reader now; before, it may have heard nothing of what it was asked.
		i.answer.at(max(now+i.cfg.AckDelay, i.answer.last+askMin))
		return
	}
	if !i.stuck {
		i.stuck, i.since = true, now
	}
	i.answer.at(now + i.cfg.NackDelay)
}

// drain hands on what waits at next; it tells whether there was anything.
func (i *Inbox) drain(now time.Duration, d Deliver) (any bool) {
	if !i.started {
		if i.next == 0 || now-i.since < startAfter {
			return false
		}
		i.start(now, i.next)
	}
	for e := i.store.find(i.next); e != nil && e.status != partial; e = i.store.find(i.next) {
		any = i.take(e, d) || any
		i.moved(now)
		i.next++
	}
	return any
}

// take ends with an entry whose turn it is; it tells whether a sample was handed on.
func (i *Inbox) take(e *entry, d Deliver) bool {
	switch {
	case e == nil || e.status == partial:
		i.stats.Lost++
	case e.status == absent:
		i.stats.Irrelevant++
	default:
		if r := i.hand(&e.sample, d); r != Delivered {
			i.count(r)
		}
		if e.frags > 0 {
			i.store.keep(e)
		} else {
			i.store.vacate(e)
		}
		return true
	}
	if e != nil {
		i.store.vacate(e)
	}
	return false
}

// skipTo goes on at to: it hands on what is there before that, and counts the others as lost, or as irrelevant.
func (i *Inbox) skipTo(now time.Duration, to wire.SeqNum, irrelevant bool, d Deliver) {
	if to <= i.next {
		return
	}
	if now-i.landedAt > 2*i.cfg.ResyncAfter {
		// Else it may have been led ahead in several steps, and has to go back to before the first.
		i.back = i.next
	}
	i.landed, i.landedAt = to, now
	for end := min(to, i.next+i.window()); i.next < end; i.next++ {
		e := i.store.find(i.next)
		if irrelevant && (e == nil || e.status == partial) {
			i.markAbsent(i.next)
			e = i.store.find(i.next)
		}
		i.take(e, d)
	}
	rest := uint64(to - i.next)
	if irrelevant {
		i.stats.Irrelevant += rest
	} else {
		i.stats.Lost += rest
	}
	i.next = to
	i.moved(now)
	i.drain(now, d)
}

// markAbsent notes that a number of the window will not come; a sample that is there is worth more than that word.
func (i *Inbox) markAbsent(seq wire.SeqNum) {
	e := i.store.slot(seq)
	if e.status == whole {
		return
	}
	i.store.vacate(e)
	*e = entry{status: absent, sample: Sample{Seq: seq}}
}

// unfit notes that a sample came that is never taken, as one that is too long: it is not asked for again, and those behind
// it do not wait for it.
func (i *Inbox) unfit(now time.Duration, seq wire.SeqNum, d Deliver) {
	if i.cfg.Reliable && i.started && seq >= i.next && seq-i.next < i.window() {
		i.markAbsent(seq)
		i.drain(now, d)
	}
}

// giveUp passes over what has not come for long, though later samples are there or the writer says that it has it: the
// numbers up to the next that is there.
func (i *Inbox) giveUp(now time.Duration, d Deliver) {
	if !i.started || !i.stuck || now-i.since < i.cfg.GiveUp {
		return
	}
	i.since = now
	to := min(i.last, i.next+i.window()-1) + 1
	for n := i.next; n < i.next+i.window(); n++ {
		if e := i.store.find(n); e != nil && e.status != partial {
			to = n
			break
		}
	}
	if to > i.next {
		i.stats.GivenUp += uint64(to - i.next)
		i.skipTo(now, to, false, d)
	}
}

// limit is the highest number of the window that is there in part, or that the writer says it has.
func (i *Inbox) limit() wire.SeqNum {
	high := i.last
	for k := range i.store.entries {
		if e := &i.store.entries[k]; e.status != vacant {
			high = max(high, e.sample.Seq)
		}
	}
	return min(high, i.next+i.window()-1)
}

// lowestMissing is the lowest number up to limit that is not there; 0 if there is none.
func (i *Inbox) lowestMissing(limit wire.SeqNum) wire.SeqNum {
	for n := i.next; n <= limit; n++ {
		if e := i.store.find(n); e == nil || e.status == partial {
			return n
		}
	}
	return 0
}
