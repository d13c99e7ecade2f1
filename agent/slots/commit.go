package slots

import (
	"context"
	"errors"
	"fmt"
)

// Commit notes that the active slot has proven itself: from then on nothing below the floor of its release becomes active. The
// stored floor rises with it as far as the other slot meets it too, see [Store.Settle]; that it could not be raised is in the
// text, and no error: the record holds meanwhile. It returns what a person should know.
func (s *Store) Commit(ctx context.Context) (string, error) {
	active := s.Active()
	if err := s.Check(ctx, active); err != nil {
		return "", err
	}
	r := s.record(active)
	// First the record: a floor without it would leave a robot whose way back is closed with something unproven. The floor is
	// raised again where that was cut off.
	if !r.Good {
		r.Good = true
		if err := s.writeRecord(active, r); err != nil {
			return "", fmt.Errorf("artifact %s: %w", s.name, err)
		}
	}
	text := "the other slot stays as the way back"
	switch back := s.record(other(active)); {
	case back == nil:
		text = "there is nothing to go back to"
	case back.SVN < r.Floor:
		text = fmt.Sprintf("there is nothing to go back to: the other slot has svn %d, below the floor %d; the stored floor waits until the other slot meets it",
			back.SVN, r.Floor)
	}
	if err := s.Settle(); err != nil {
		text += "; the floor was not raised: " + err.Error()
	}
	return text, s.note("committed", active, r, text)
}

// Back says how an artifact is taken back.
type Back struct {
	// Counts says why content with a digest is not one that the signed release in force names, or nil. It is asked always:
	// what no release names would be untrusted the moment it is active.
	Counts func(digest string) error
	// May and Switch are as in [Install].
	May    func() error
	Switch func(slot string) error
	// Why is the reason, for history and trial.
	Why string
}

// Reasons why an artifact cannot be taken back, or not from here.
var (
	// ErrNoWayBack means that there is nothing that may run instead.
	ErrNoWayBack = errors.New("there is nothing to go back to")
	// ErrHook means that a boot loader has to be told, and that this program cannot.
	ErrHook = errors.New("it was made active with a boot loader's program, which has to be told as well: call `robowarden artifact rollback` with --hook")
)

// Rollback makes the other slot active again, if it holds what its record says, its content counts, and its security version
// is not below the floor. What was active is remembered as taken back before the switch, if it has not proven itself.
func (s *Store) Rollback(ctx context.Context, b *Back) error {
	active := s.Active()
	slot := other(active)
	r, now := s.record(slot), s.record(active)
	if err := s.mayReturn(ctx, slot, r, b.Counts); err != nil {
		return err
	}
	if now != nil && now.Hooked && b.Switch == nil {
		return fmt.Errorf("artifact %s: %w", s.name, ErrHook)
	}
	if b.May != nil {
		if err := b.May(); err != nil {
			return fmt.Errorf("artifact %s: not rolled back: %w", s.name, err)
		}
	}
	if now != nil && !now.Good {
		t, _ := s.Trial() // A damaged one begins anew.
		t.Begin(now.SHA256, false)
		t.TakeBack(now.Release, b.Why)
		if err := s.SaveTrial(&t); err != nil {
			return err
		}
	}
	if err := s.switchTo(slot, b.Switch); err != nil {
		return err
	}
	return s.note("rolled-back", slot, r, b.Why)
}

// mayReturn says why a slot must not become active again, or nil.
func (s *Store) mayReturn(ctx context.Context, slot string, r *Record, counts func(string) error) error {
	if r == nil {
		return fmt.Errorf("artifact %s: %w: slot %s is void", s.name, ErrNoWayBack, slotOr(slot))
	}
	floor, err := s.least()
	if err != nil {
		return fmt.Errorf("artifact %s: %w: %w", s.name, ErrNoWayBack, err)
	}
	if r.SVN < floor {
		return fmt.Errorf("artifact %s: %w: slot %s has svn %d: below the floor %d, so it must not run any more", s.name, ErrNoWayBack, slot, r.SVN, floor)
	}
	if counts == nil {
		return fmt.Errorf("artifact %s: %w: nobody says whether slot %s has content that the release in force names", s.name, ErrNoWayBack, slot)
	}
	if err := counts(r.SHA256); err != nil {
		return fmt.Errorf("artifact %s: %w: slot %s: %w", s.name, ErrNoWayBack, slot, err)
	}
	if err := s.Check(ctx, slot); err != nil {
		return fmt.Errorf("%w: %w", ErrNoWayBack, err)
	}
	return nil
}

// Note writes one line of the history.
func (s *Store) Note(what, text string) error {
	active := s.Active()
	return s.note(what, active, s.record(active), text)
}
