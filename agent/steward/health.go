package steward

import (
	"context"
	"errors"
	"time"
)

// Healthy says what is wrong: no guard, a loop that stands still, or a journal that cannot be written.
func (s *Steward) Healthy(ctx context.Context) error {
	if !s.link.Load() {
		return errors.New("the guard does not listen")
	}
	before := s.Progress()
	wait := time.NewTimer(min(2*max(s.o.Period, mostPause), 3*time.Second))
	defer wait.Stop()
	look := time.NewTicker(shortest)
	defer look.Stop()
	for s.Progress() == before {
		select {
		case <-ctx.Done():
			return errors.New("the loop stands still")
		case <-wait.C:
			return errors.New("the loop stands still")
		case <-look.C:
		}
	}
	if h := s.journal.Health(); !h.Writable {
		return errors.New("the journal cannot be written")
	}
	return nil
}
