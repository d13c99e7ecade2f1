package slots

import (
	"context"
	"fmt"
)

// Commit notes that the active slot has proven itself, and raises the floor to that of its release: from then on nothing
// older than that becomes active. It returns what a person should know.
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
	if err := s.raiseFloor(r.Floor); err != nil {
		return "", fmt.Errorf("artifact %s: %w", s.name, err)
	}
	text := "the other slot stays as the way back"
	switch back := s.record(other(active)); {
	case back == nil:
		text = "there is nothing to go back to"
	case back.SVN < r.Floor:
		text = fmt.Sprintf("there is nothing to go back to: the other slot has svn %d, below the floor %d", back.SVN, r.Floor)
	}
	return text, s.note("committed", active, r, text)
}

// Rollback makes the other slot active again, if it holds what its record says and its security version is not below the
// floor. May and change are as in [Install].
func (s *Store) Rollback(ctx context.Context, may func() error, change func(slot string) error) error {
	slot := other(s.Active())
	r := s.record(slot)
	if r == nil {
		return fmt.Errorf("artifact %s: there is nothing to go back to: slot %s is void", s.name, slotOr(slot))
	}
	floor, err := s.floor()
	if err != nil {
		return fmt.Errorf("artifact %s: %w", s.name, err)
	}
	if r.SVN < floor {
		return fmt.Errorf("artifact %s: slot %s has svn %d: below the floor %d, so it must not run any more", s.name, slot, r.SVN, floor)
	}
	if err := s.Check(ctx, slot); err != nil {
		return err
	}
	if may != nil {
		if err := may(); err != nil {
			return fmt.Errorf("artifact %s: not rolled back: %w", s.name, err)
		}
	}
	if err := s.switchTo(slot, change); err != nil {
		return err
	}
	return s.note("rolled-back", slot, r, "")
}
