package steward

import (
	"cmp"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"github.com/robowarden/robowarden/agent/contract"
	"github.com/robowarden/robowarden/agent/slots"
)

// RaiseAtMost is how long [Options.Floors] may take to raise a floor before it answers [slots.ErrSilent]: the same goroutine keeps
// every artifact's lease.
const RaiseAtMost = 5 * time.Second

// remembered asks a counter no more often than is needed: a TPM is slow, and others want it too. One that keeps its callers
// waiting is left alone for a while, whatever the artifact: they wait one after the other.
type remembered struct {
	slots.Counter
	clock func() time.Duration
	known map[string]said
	// questions is when an answer did not come, raises when raising took long.
	questions, raises pause
	// busy is how much of the rounds' time the counter has taken of late, until the time leaked.
	busy, leaked time.Duration
}

const (
	// counterTime is what a counter may take of one round, beside the call that goes over it: an answer or a raise. With roundTime
	// that stays within the lease of what the guard was told.
	counterTime = 5 * time.Second
	// counterShare is the part of the time that it may take in the long run: one in so many.
	counterShare = 6
)

// enough says why a counter is not called now although it answers, or nil: it is slow, and every artifact's turn comes.
func (r *remembered) enough(now time.Duration) error {
	r.busy = max(0, r.busy-(now-r.leaked)/counterShare)
	if r.leaked = now; r.busy >= counterTime {
		return fmt.Errorf("%w: it is slow, and has taken %v of late", slots.ErrSilent, r.busy.Round(time.Second))
	}
	return nil
}

// took counts what a call took, and how long an answer that took so long counts: so long that all artifacts together keep to the share.
func (r *remembered) took(began, now time.Duration) (life time.Duration) {
	r.busy += now - began
	return max(recheck, contract.MaxArtifacts*counterShare*(now-began))
}

// pause is when and why a counter is left alone; the zero value is none.
type pause struct {
	since time.Duration
	why   error
}

// still says why the counter must be left alone, or nil.
func (p *pause) still(now time.Duration) error {
	if p.why != nil && now-p.since < saveEvery {
		return p.why
	}
	return nil
}

// slow is how long a floor is raised before others have to wait.
const slow = time.Second

// said is the counter's last answer.
type said struct {
	at    time.Duration
	life  time.Duration
	floor uint64
	there bool
	err   error
	// stale is true once the answer did not go with the file, doubted if one that was asked for because of that did not either.
	stale, doubted bool
}

// remember returns nil for no counter.
func remember(c slots.Counter, clock func() time.Duration) *remembered {
	if c == nil {
		return nil
	}
	return &remembered{Counter: c, clock: clock, known: map[string]said{}}
}

// counter is what the slots are given.
func (r *remembered) counter() slots.Counter {
	if r == nil {
		return nil
	}
	return r
}

// Floor implements [slots.Counter]: an answer counts as long as a measurement does, and what went wrong is asked again sooner.
func (r *remembered) Floor(artifact string) (uint64, bool, error) {
	now := r.clock()
	x, ok := r.known[artifact]
	if ok && !x.stale && (x.err == nil && now-x.at < x.life || x.err != nil && now-x.at < saveEvery) {
		return x.floor, x.there, x.err
	}
	if err := cmp.Or(r.questions.still(now), r.enough(now)); err != nil {
		return 0, false, err
	}
	x = said{}
	x.floor, x.there, x.err = r.Counter.Floor(artifact)
	x.at = r.clock()
	x.life = r.took(now, x.at)
	if errors.Is(x.err, slots.ErrSilent) {
		r.questions = pause{x.at, x.err}
	}
	r.known[artifact] = x
	return x.floor, x.there, x.err
}

// Raise implements [slots.Counter].
func (r *remembered) Raise(artifact string, to uint64) error {
	began := r.clock()
	if err := cmp.Or(r.raises.still(began), r.enough(began)); err != nil {
		return err
	}
	delete(r.known, artifact)
	err := r.Counter.Raise(artifact, to)
	now := r.clock()
	r.took(began, now)
	if errors.Is(err, slots.ErrSilent) {
		r.raises = pause{now, err}
	} else if now-began >= slow {
		r.raises = pause{now, fmt.Errorf("%w: it has just raised the floor of %s for %v", slots.ErrSilent, artifact, (now - began).Round(time.Second))}
	}
	return err
}

// again asks a second time what was in doubt with the answer that is remembered: another program, a person's command, may have
// raised counter and file since. While the doubt stays, that is no more often than after an error.
func (r *remembered) again(artifact string, ask func() error, doubt error) error {
	if r == nil {
		return doubt
	}
	x, ok := r.known[artifact]
	if !ok || x.doubted && r.clock()-x.at < saveEvery {
		return doubt
	}
	x.stale = true
	r.known[artifact] = x
	err := ask()
	x = r.known[artifact]
	x.doubted = err != nil
	r.known[artifact] = x
	return err
}

// stands says why the floor forbids what is active, empty if it does not. A counter that does not answer is no reason against
// what has stood in this run: nothing becomes active meanwhile, so nothing can have come below the floor.
func (ts *trials) stands(name string, t *tracked, s *slots.Store) string {
	err := s.Stands()
	if err != nil && !errors.Is(err, slots.ErrSilent) {
		err = ts.floors.again(name, s.Stands, err)
	}
	switch {
	case err == nil:
		t.stood = true
		return ""
	case errors.Is(err, slots.ErrSilent) && t.stood:
		if text := err.Error(); text != t.problem {
			t.problem = text
			ts.log.Warn().Str("artifact", name).Err(err).Msg("the floor cannot be read: nothing becomes active")
		}
		return ""
	}
	t.stood = false // What was in doubt has to stand again before silence is no reason.
	return clipped(fmt.Errorf("floor: %w", err))
}

// settle raises the stored floor where that was not possible when the content was committed.
func (ts *trials) settle(name string, d *slots.Dir, t *tracked, r *slots.Record) error {
	now := ts.clock()
	if !r.Good || t.below != "" || t.settled != 0 && now-t.settled < recheck {
		return nil
	}
	unlock, err := slots.Lock(filepath.Join(ts.dir, name))
	if err != nil {
		return err
	}
	defer unlock()
	s, err := slots.Open(name, d, time.Now)
	if err != nil {
		return err
	}
	t.settled = now
	return s.With(ts.floors.counter()).Settle()
}
