package order

import (
	"crypto/sha256"
	"maps"
	"slices"
	"time"
)

const (
	// MaxUsed is the largest number of used ids that are kept; when none of them has expired, no more are accepted.
	MaxUsed = 1024
	// MaxStops is the number of stops that are remembered; the oldest is forgotten.
	MaxStops = 256
)

// Claim is what accepting one order uses up: its sequence, or its id.
type Claim struct {
	// Kind decides which of the two is used up.
	Kind Kind
	// ID is the order's id.
	ID string
	// Sequence is the order's sequence.
	Sequence uint64
	// Digest is the SHA-256 of the payload.
	Digest [sha256.Size]byte
	// Until is the end of the order's validity.
	Until time.Time
}

// Floor is the last accepted order of one sequence.
type Floor struct {
	// Sequence of that order.
	Sequence uint64
	// Digest is the SHA-256 of its payload.
	Digest [sha256.Size]byte
}

// Floors is the record of used orders in memory. It does no I/O and has no lock; [Store] makes it durable.
type Floors struct {
	floors map[Kind]Floor
	used   map[string]time.Time // Id to end of validity.
	stops  []string             // Ids of stops, oldest first.
	// forgotten is the latest end of validity of any id that was let go. Nothing that ends earlier is accepted, so a
	// clock that is set back cannot make a forgotten id new again. It is a time that a signer wrote, not one that a
	// clock showed: a clock that was led far into the future cannot lock out later orders for good.
	forgotten time.Time
}

// NewFloors returns the record of a robot that has accepted nothing yet.
func NewFloors() *Floors {
	return &Floors{floors: map[Kind]Floor{}, used: map[string]time.Time{}}
}

// Floor returns the last accepted sequence of a kind and the digest of its payload.
func (f *Floors) Floor(k Kind) (Floor, bool) {
	floor, ok := f.floors[k]
	return floor, ok
}

// Check says whether the claim is the one accepted last (repeat), or why it cannot be accepted.
func (f *Floors) Check(now Times, c Claim) (repeat bool, err error) {
	switch {
	case c.Kind == KindStop:
		return slices.Contains(f.stops, c.ID), nil
	case c.Kind.Sequenced():
		return f.checkSequence(c)
	}
	if _, ok := f.used[c.ID]; ok {
		return false, refuse(Replayed, "sign a new order: each one counts once", "the %s %s has been used", c.Kind, c.ID)
	}
	if !f.forgotten.Before(c.Until) {
		return false, refuse(Expired, "sign a new order", "the %s ran out at %s, and this robot has let ids go that ran out at %s",
			c.Kind, stamp(c.Until), stamp(f.forgotten))
	}
	kept := 0
	for _, until := range f.used {
		if !past(now, until) {
			kept++
		}
	}
	if kept >= MaxUsed {
		return false, refuse(LedgerFull, "wait until earlier orders run out, and give orders a shorter validity",
			"%d used ids are being kept, the most there is room for", kept)
	}
	return false, nil
}

// past reports whether the moment is surely over.
func past(now Times, t time.Time) bool { return now.known() && !now.earliest().Before(t) }

func (f *Floors) checkSequence(c Claim) (bool, error) {
	floor, ok := f.floors[c.Kind]
	switch {
	case ok && c.Sequence == floor.Sequence && c.Digest == floor.Digest:
		return true, nil
	case c.Sequence <= floor.Sequence:
		return false, refuse(SequenceTooOld, "sign it again with a higher sequence",
			"the %s has sequence %d: %d has been accepted", c.Kind, c.Sequence, floor.Sequence)
	case ok && c.Sequence-floor.Sequence > MaxSequenceStep: // A robot's first order may have any sequence.
		return false, refuse(SequenceTooFar, "count sequences up by one; a leap would lock out every order in between",
			"the %s has sequence %d: the last one was %d and the step may be at most %d", c.Kind, c.Sequence, floor.Sequence, MaxSequenceStep)
	}
	return false, nil
}

// Use uses up the claim, or says why it cannot be. Ids that have expired by now are let go.
func (f *Floors) Use(now Times, c Claim) error {
	repeat, err := f.Check(now, c)
	if err != nil || repeat {
		return err
	}
	switch {
	case c.Kind == KindStop:
		if len(f.stops) == MaxStops {
			f.stops = slices.Delete(f.stops, 0, 1)
		}
		f.stops = append(f.stops, c.ID)
	case c.Kind.Sequenced():
		f.floors[c.Kind] = Floor{Sequence: c.Sequence, Digest: c.Digest}
	default:
		f.forget(now)
		f.used[c.ID] = c.Until
	}
	return nil
}

// forget lets go of the ids that have expired.
func (f *Floors) forget(now Times) {
	maps.DeleteFunc(f.used, func(_ string, until time.Time) bool {
		if !past(now, until) {
			return false
		}
		if until.After(f.forgotten) {
			f.forgotten = until
		}
		return true
	})
}

// Clone returns an independent copy.
func (f *Floors) Clone() *Floors {
	return &Floors{
		floors: maps.Clone(f.floors), used: maps.Clone(f.used), stops: slices.Clone(f.stops), forgotten: f.forgotten,
	}
}
