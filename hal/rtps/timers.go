package rtps

import (
	"time"
)

const (
	// idleWake is how often the timers look at everything, due or not.
	idleWake = 200 * time.Millisecond
	// checkEvery is how often leases and liveliness are looked at: a lease ends at most this late.
	checkEvery = 50 * time.Millisecond
	// leastWake bounds how often the timers run.
	leastWake = 500 * time.Microsecond
)

// serveTimers does what is to be done at a time: announcements, repetitions, leases.
func (p *Participant) serveTimers() {
	t := time.NewTimer(0)
	defer t.Stop()
	for {
		select {
		case <-p.ctx.Done():
			return
		case <-p.timerKick:
		case <-t.C:
		}
		p.timerAt.Store(0) // whoever has something new need not wake us now
		now := p.cfg.Clock()
		next := min(now+idleWake, p.discoveryTimers(now))
		for _, w := range p.table.Load().list {
			if w.due.Load() <= int64(now) {
				w.tick(now)
			}
		}
		p.rep.flush(now)
		p.timerAt.Store(int64(next))
		// Those that were late to see timerAt are seen here.
		for _, w := range p.table.Load().list {
			next = min(next, time.Duration(w.due.Load()))
		}
		p.timerAt.Store(int64(next))
		t.Reset(max(leastWake, next-p.cfg.Clock()))
	}
}

// kickTimers wakes the goroutine of timers if it sleeps beyond at.
func (p *Participant) kickTimers(at time.Duration) {
	if int64(at) >= p.timerAt.Load() {
		return
	}
	select {
	case p.timerKick <- struct{}{}:
	default:
	}
}

// discoveryTimers does what is due of discovery and says when it wants to be called again.
func (p *Participant) discoveryTimers(now time.Duration) time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return now + idleWake
	}
	if now >= p.helloAt {
		p.sayHello(now)
	}
	if now >= p.checkAt {
		p.checkAt = now + checkEvery
		p.checkLeases(now)
		p.checkLiveliness(now)
	}
	next := min(p.helloAt, p.checkAt)
	for _, r := range p.remotes {
		if !r.answers.Load() {
			if now >= r.greetAt {
				p.greet(r, now)
			}
			next = min(next, r.greetAt)
		}
		if r.open() {
			if now >= r.quiz.next {
				p.question(r, now)
			}
			next = min(next, r.quiz.next)
		}
		at, ok := p.dueFor(r)
		if ok && at <= now {
			p.flush(r, now)
			at, ok = p.dueFor(r)
		}
		if ok {
			next = min(next, at)
		}
	}
	p.publish()
	return next
}

// checkLeases forgets participants that have said nothing for their lease. One that has never answered is not waited for
// as long: it may be a single forged datagram. The caller holds mu.
func (p *Participant) checkLeases(now time.Duration) {
	const patience = 4 // announcements come at least twice in so many Unproven
	for _, r := range p.remotes {
		lease := r.lease
		if !r.answers.Load() {
			lease = min(lease, patience*p.lim.Unproven)
		}
		if silent := now - r.Heard(); silent > lease {
			p.leave(r, ParticipantLeaseEnded, r.Source, "it has said nothing for "+silent.Round(time.Millisecond).String()+"; expected within "+lease.String())
		}
	}
}
