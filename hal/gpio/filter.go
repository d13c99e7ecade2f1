package gpio

import "time"

// InputState is what an input says.
type InputState uint8

// States of an input.
const (
	// Unreadable means that the lines cannot be read.
	Unreadable InputState = iota
	// Released means that the contacts are as they should be.
	Released
	// Active means pressed, open or touching, by either contact.
	Active
	// Differ means that the two contacts have disagreed for longer than a moving device makes them: one is stuck.
	Differ
	// Chatter means that the contacts change too often to be believed.
	Chatter
)

// More than so many changes within the window are chatter: nobody presses a button that often, and a bouncing contact is
// done after some milliseconds.
const (
	chatterChanges = 24
	chatterWindow  = time.Second
)

// Filter turns readings of one or two contacts into a state. It is pure: the caller gives it the time.
type Filter struct {
	debounce, discrepancy time.Duration

	begun          bool
	first, second  bool
	since          time.Duration // of the present reading
	active         int           // readings in a row in which a contact said active
	state          InputState
	decided        bool
	differs        bool
	differsSince   time.Duration
	changes        [chatterChanges]time.Duration
	next, recorded int
}

// NewFilter returns a filter that has decided nothing. discrepancy is 0 for a single contact.
func NewFilter(debounce, discrepancy time.Duration) *Filter {
	return &Filter{debounce: debounce, discrepancy: discrepancy}
}

// Observe takes a reading at now: whether each contact says active; for a single contact both are the same. decided is false
// until a first state is known.
func (f *Filter) Observe(now time.Duration, first, second bool) (s InputState, decided bool) {
	if !f.begun || first != f.first || second != f.second {
		if f.begun {
			f.change(now)
		}
		f.begun, f.first, f.second, f.since = true, first, second, now
	}
	if first || second {
		f.active++
	} else {
		f.active = 0
	}
	if first == second {
		f.differs = false
	} else if !f.differs {
		f.differs, f.differsSince = true, now
	}
	quiet := now - f.since
	switch {
	case f.chatters(now):
		f.decide(Chatter)
	case f.differs && now-f.differsSince > f.discrepancy:
		f.decide(Differ)
	case f.active >= 2 && (f.state != Differ || first == second):
		f.decide(Active)
	case f.active == 0 && quiet >= f.debounce:
		f.decide(Released)
	}
	return f.state, f.decided
}

func (f *Filter) decide(s InputState) { f.state, f.decided = s, true }

func (f *Filter) change(now time.Duration) {
	f.changes[f.next] = now
	f.next = (f.next + 1) % chatterChanges
	f.recorded = min(f.recorded+1, chatterChanges)
}

// chatters says whether the oldest of the last changes is still within the window.
func (f *Filter) chatters(now time.Duration) bool {
	return f.recorded == chatterChanges && now-f.changes[f.next] < chatterWindow
}
