package rtps

import (
	"net/netip"
	"time"
)

// KeptOut is when, on the boot clock, somebody was last not taken in, or not listened to, who may be a participant like any
// other; 0 if never. Whoever asks what is on the domain does not know all of it then.
//
// Refusals in a flood of forgeries do not count. Nobody stands behind a forged announcement, and its sender has nothing to
// gain by a crowd: who wants to be unseen by us announces himself to others alone (discovery is between pairs). If they
// counted, one sender would keep a robot held for as long as he likes. They are told as Flood and CapReached, and Flooded
// says when there was one.
func (p *Participant) KeptOut() time.Duration { return time.Duration(p.keptOutAt.Load()) }

// Flooded is when, on the boot clock, an announcement was last passed over in a flood of forgeries; 0 if never. Hardly
// anybody genuine is among those passed over, and nobody can say that there is none.
func (p *Participant) Flooded() time.Duration { return time.Duration(p.floodedAt.Load()) }

func (p *Participant) keptOut(now time.Duration) { p.keptOutAt.Store(int64(max(now, 1))) }

const (
	// fakedLeast is how many participants have to leave us without an answer before it is a flood of forgeries. Genuine
	// ones answer within some milliseconds; a few that crash or are cut off do not.
	fakedLeast = 16
	// fakedEvery paces the counting: under a flood it costs nothing.
	fakedEvery = 20 * time.Millisecond
)

// missed notes that an announcement from an address was not looked at or found no room. The caller holds mu.
func (p *Participant) missed(from netip.Addr, now time.Duration) {
	a := p.computer(from)
	t := p.computers[a]
	if t != nil && p.faked(t, now, func(r *remote) bool { return p.computer(r.Source.Addr()) == a }) ||
		p.faked(&p.all, now, func(*remote) bool { return true }) {
		p.floodedAt.Store(int64(max(now, 1)))
		return
	}
	p.keptOut(now)
}

// faked tells whether the participants of a tally, those that are its own, show a flood of forgeries.
func (p *Participant) faked(t *tally, now time.Duration, own func(*remote) bool) bool {
	if t.looked != 0 && now-t.looked < fakedEvery {
		return t.faked
	}
	silent := 0
	for _, r := range p.remotes {
		if !r.answers.Load() && own(r) {
			silent++
		}
	}
	t.looked, t.faked = now, silent >= fakedLeast
	return t.faked
}
