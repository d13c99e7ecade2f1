package guard

import "github.com/robowarden/robowarden/interlock"

// Marks tell what was latched at one moment: who signs an order has seen no more than that.
type Marks struct {
	// Latches has the mark of each latched trigger, and the zero mark for the others.
	Latches [interlock.NumTriggers]interlock.LatchMark
	// Stops is how many stop orders have taken effect in this run: one that comes while the one before it still acts leaves no other mark.
	Stops uint64
}

// Marks are those of now.
func (g *Guard) Marks() Marks {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.marks()
}

// marks needs the lock.
func (g *Guard) marks() Marks { return Marks{g.opt.Core.Latches(), g.stops} }

// Reset applies a reset that came when since was so. It resets nothing that has fired after that, and again are the triggers that it
// leaves latched for this. Nothing fires between the comparison and the reset.
func (g *Guard) Reset(o Order, since *Marks) (result OrderResult, again interlock.TriggerSet) {
	ev := g.begin(EventOrder)
	now := g.marks()
	untouched, again := since.untouched(&now, o.Triggers, o.All)
	if !again.Empty() {
		o.All, o.Triggers = false, untouched
	}
	ev.Order = o
	return g.applied(), again
}

// untouched divides what a reset asks for into what has not fired since m and what has. What is not latched now is untouched, too.
func (m *Marks) untouched(now *Marks, asked interlock.TriggerSet, all bool) (set, again interlock.TriggerSet) {
	for t := range interlock.NumTriggers {
		latched := now.Latches[t] != (interlock.LatchMark{})
		switch {
		case !asked.Has(t) && (!all || !latched):
		case latched && (now.Latches[t] != m.Latches[t] || t == interlock.OrderStop && now.Stops != m.Stops):
			again.Add(t)
		default:
			set.Add(t)
		}
	}
	return set, again
}

// Fired says whether anything has latched since m, or a stop order has come.
func (m *Marks) Fired(now *Marks) bool {
	_, again := m.untouched(now, interlock.TriggerSet{}, true)
	return !again.Empty() || now.Stops != m.Stops
}
