// Package service runs one role as a service: confined from inside, announced to the service manager once its loops turn,
// and watched for as long as they do. It never restarts a role and never speaks for one that stands still.
package service

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"github.com/robowarden/robowarden/agent/internal/confine"
	"github.com/robowarden/robowarden/agent/internal/notify"
)

// Role is one role that is ready to run: its files are open and its ports bound.
type Role struct {
	// Name is for people.
	Name string
	// Confine locks the process in.
	Confine func() (confine.Report, error)
	// Confined, if not nil, is told behind which walls the role works before it runs.
	Confined func(*confine.Report)
	// Insist ends the role when a wall that the kernel offers could not be raised. The guard does not insist: an unguarded
	// robot is worse than a guard with a wall missing, which its log and status name.
	Insist bool
	// Loops are what must turn for the role to be alive.
	Loops []notify.Progress
	// Growth is how much the heap may grow before it is collected, in percent; 0 leaves it as it is.
	Growth int
	// SettleAfter is how long the role runs before what only its start needed is given back. 0 is before it runs, for a role
	// that must not wait for a page later: it keeps the program's pages, for one that has to come from a dead disk would hold
	// up a command.
	SettleAfter time.Duration
	// Run runs the role until its context ends.
	Run func(context.Context) error
	// Log gets the walls, and what the service manager could not be told.
	Log zerolog.Logger
}

// readyPoll is how often the loops are looked at until all have turned once.
const readyPoll = 10 * time.Millisecond

// Run confines the process and runs the role. The service manager hears that it is ready when every loop has turned once,
// and of life until the role has ended: a guard that brings its robot to rest is still alive.
func Run(ctx context.Context, r *Role) error {
	n, err := notify.New()
	if err != nil {
		return err
	}
	var program []span
	var unknown error
	if r.SettleAfter > 0 {
		program, unknown = mappings() // behind the walls there is no way to /proc
	}
	report, err := r.Confine()
	r.tell(&report, err)
	if err != nil && r.Insist {
		return err
	}
	if r.Confined != nil {
		r.Confined(&report)
	}
	settleNow := func() {
		if err := errors.Join(unknown, settle(r.Growth, program)); err != nil {
			r.Log.Warn().Err(err).Msg("the start's memory is not given back")
		}
	}
	settleNow()
	alive, dead := context.WithCancel(context.WithoutCancel(ctx))
	var watch sync.WaitGroup
	if r.SettleAfter > 0 {
		watch.Go(func() { r.keepSmall(alive, settleNow, program) })
	}
	watch.Go(func() {
		if err := r.watch(alive, n, report.String()); err != nil {
			r.Log.Error().Err(err).Msg("the service manager could not be told; it may take this role for dead")
		}
	})
	stopping := context.AfterFunc(ctx, func() { _ = n.Stopping() })
	err = r.Run(ctx)
	stopping()
	dead()
	watch.Wait()
	return err
}

// releaseEvery is how often pages of the program are given back. What is used all the time costs some dozen minor faults then.
const releaseEvery = 5 * time.Second

// keepSmall gives back what the start needed once it is over, and from then on the program's pages, again and again: those in
// use come back at once, and what runs once in an hour, or was mapped because it lies beside, does not stay for good.
func (r *Role) keepSmall(ctx context.Context, settleNow func(), program []span) {
	started := time.NewTimer(r.SettleAfter)
	defer started.Stop()
	select {
	case <-ctx.Done():
		return
	case <-started.C:
		settleNow()
	}
	again := time.NewTicker(releaseEvery)
	defer again.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-again.C:
		}
		if err := release(program); err != nil {
			r.Log.Warn().Err(err).Msg("pages of the program are not given back")
			return
		}
	}
}

// tell names every wall that does not stand.
func (r *Role) tell(report *confine.Report, err error) {
	for _, w := range report.Walls {
		if !w.Up {
			r.Log.Warn().Str("wall", w.Name).Str("why", w.Why).Msg("a wall does not stand")
		}
	}
	if err != nil {
		r.Log.Error().Err(err).Msg("the role is not confined as it should be")
	}
	r.Log.Info().Int("landlock", report.LandlockABI).Msg(report.String())
}

// watch announces the role and passes on its signs of life.
func (r *Role) watch(ctx context.Context, n *notify.Notifier, status string) error {
	start := make([]uint64, len(r.Loops))
	for i, l := range r.Loops {
		start[i] = l.Progress()
	}
	poll := time.NewTicker(readyPoll)
	defer poll.Stop()
	for i := 0; i < len(r.Loops); {
		select {
		case <-ctx.Done():
			return nil
		case <-poll.C:
		}
		if r.Loops[i].Progress() != start[i] {
			i++
		}
	}
	if err := n.Ready(status); err != nil {
		return fmt.Errorf("ready: %w", err)
	}
	return n.Watch(ctx, r.Loops...)
}
