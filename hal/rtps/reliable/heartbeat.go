package reliable

import (
	"time"

	"github.com/robowarden/robowarden/hal/rtps/wire"
)

// Heartbeat takes a HEARTBEAT; jump says that it names numbers too far ahead, which were not taken. A best-effort Inbox
// passes it over.
func (i *Inbox) Heartbeat(now time.Duration, s *wire.Submessage, d Deliver) (jump bool) {
	if !i.cfg.Reliable || s.First < 1 || s.Last < s.First-1 || s.Last > wire.MaxSeqNum || !i.beats.fresh(now, s.Count) {
		return false
	}
	i.expire(now)
	i.giveUp(now, d)
	switch {
	case !i.started:
		i.begin(now, s)
	case s.Last+1 < i.next:
		if !i.behind.follow(now, s.Last, true, i.cfg.JumpWindow, i.cfg.ResyncAfter) {
			return false
		}
		i.goBack(now, s)
	case i.tooFar(s.Last):
		if !i.ahead.follow(now, s.Last, true, i.cfg.JumpWindow, i.cfg.ResyncAfter) {
			i.stats.Jumps++
			return true
		}
	}
	i.ahead.reset()
	i.behind.reset()
	i.last = s.Last
	i.skipTo(now, s.First, false, d)
	i.drain(now, d)
	missing := i.lowestMissing(i.limit())
	if missing > 0 && !i.stuck {
		i.stuck, i.since = true, now
	}
	i.answer.heartbeat(now, &i.cfg, s.Final, missing)
	return false
}

// begin takes the beginning from the first heartbeat.
func (i *Inbox) begin(now time.Duration, s *wire.Submessage) {
	if i.cfg.SkipBacklog {
		i.start(now, s.Last+1)
	} else {
		i.start(now, s.First)
	}
}

// goBack goes on where the writer is, after numbers that it never had were believed: with those that were passed over
// when they came, else with the next one, for the others were handed on.
func (i *Inbox) goBack(now time.Duration, s *wire.Submessage) {
	next := s.Last + 1
	if next < i.landed {
		next = max(s.First, min(i.back, next))
	}
	i.resync(next)
	i.moved(now)
}

// Gap takes a GAP; jump says that it names numbers too far ahead, which were not taken.
func (i *Inbox) Gap(now time.Duration, s *wire.Submessage, d Deliver) (jump bool) {
	from, to := s.Seq, s.Set.Base
	if !i.cfg.Reliable || !i.started || from < 1 || to > wire.MaxSeqNum {
		return false
	}
	i.giveUp(now, d)
	if i.tooFar(to - 1) {
		i.stats.Jumps++
		return true
	}
	if from <= i.next {
		i.skipTo(now, to, true, d)
	} else {
		for n := max(from, i.next); n < min(to, i.next+i.window()); n++ {
			i.markAbsent(n)
		}
	}
	for n := range s.Set.All() {
		if n >= i.next && n-i.next < i.window() {
			i.markAbsent(n)
		}
	}
	i.drain(now, d)
	return false
}

// HeartbeatFrag takes a HEARTBEAT_FRAG: those fragments were sent, so what is missing of them is asked for.
func (i *Inbox) HeartbeatFrag(now time.Duration, s *wire.Submessage) {
	if !i.cfg.Reliable || !i.started || !i.fragBeats.fresh(now, s.Count) {
		return
	}
	e := i.store.find(s.Seq)
	if e == nil || e.status != partial {
		return
	}
	e.announced = max(e.announced, min(s.FragLast, e.frags))
	if e.missing(e.announced) > 0 {
		i.answer.at(now + i.cfg.AckDelay)
	}
}

// missing counts the fragments up to the number last, from 1, that are not there.
func (e *entry) missing(last uint32) (n uint32) {
	for k := range last {
		if !e.has(k) {
			n++
		}
	}
	return n
}
