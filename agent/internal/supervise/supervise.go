// Package supervise runs the robot's roles as processes of their own and starts again what has ended; it never decides
// anything about the robot, and no role waits for it.
//
// Under systemd the three units do the same job better. This is for robots without it, and for a desk.
package supervise

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"sync"
	"syscall"
	"time"

	"github.com/rs/zerolog"
)

// Role is one process.
type Role struct {
	// Name is for the log.
	Name string
	// Args follow the program's name.
	Args []string
	// Guard marks the role without which nothing is enforced: it is started first and ended last, and if it refuses its
	// configuration, everything ends with its answer.
	Guard bool
}

// Pace says how fast roles are started again.
type Pace struct {
	// First is the pause after the first end; it doubles up to Most.
	First, Most time.Duration
	// Well is how long a role must have run for the pause to begin at First again.
	Well time.Duration
	// Refusal is how soon after the very first start an end with exit code 1 or 2 means that the role refused to run.
	Refusal time.Duration
	// Settle is how long the guard may take to bring the robot to rest, and the others to write what they hold.
	Settle time.Duration
}

// DefaultPace suits a robot: the guard is back at once after a crash, and a role that cannot run does not fill the log.
func DefaultPace() Pace {
	return Pace{First: 200 * time.Millisecond, Most: 10 * time.Second, Well: time.Minute, Refusal: 5 * time.Second, Settle: 25 * time.Second}
}

// RefusedError is what Run returns when the guard refused to run.
type RefusedError struct{ Code int }

func (e *RefusedError) Error() string { return "" } // The guard has told why.

// ExitCode is the guard's own.
func (e *RefusedError) ExitCode() int { return e.Code }

// Supervisor runs roles of one program.
type Supervisor struct {
	// Program is the path of the binary, the same for all roles.
	Program string
	Roles   []Role
	Pace    Pace
	Log     zerolog.Logger
}

// Run starts the roles in their order and keeps them running until ctx ends; then it ends the guard last. It returns an
// error only if a role could not be started at all or the guard refused to run.
func (s *Supervisor) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	guards, stopGuards := context.WithCancel(context.WithoutCancel(ctx))
	defer stopGuards()
	var others, last sync.WaitGroup
	for i := range s.Roles {
		r := &s.Roles[i]
		until, group := ctx, &others
		if r.Guard {
			until, group = guards, &last
		}
		group.Go(func() {
			if err := s.keep(until, r); err != nil {
				cancel(err)
			}
		})
	}
	<-ctx.Done()
	others.Wait()
	stopGuards()
	last.Wait()
	if err := context.Cause(ctx); !errors.Is(err, context.Canceled) {
		return err
	}
	return nil
}

// keep runs one role again and again. Its thread stays, since the kernel ties a child's death signal to the thread that
// started it.
func (s *Supervisor) keep(ctx context.Context, r *Role) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	pause := s.Pace.First
	for n := 0; ctx.Err() == nil; n++ {
		began := time.Now()
		p, err := s.start(r)
		if err != nil {
			return fmt.Errorf("start %s: %w", r.Name, err)
		}
		state, err := s.wait(ctx, p)
		if ctx.Err() != nil {
			return nil //nolint:nilerr // it was told to end
		}
		ran := time.Since(began)
		if code := exitCode(state); r.Guard && n == 0 && ran < s.Pace.Refusal && (code == 1 || code == 2) {
			return &RefusedError{code}
		}
		if ran >= s.Pace.Well {
			pause = s.Pace.First
		}
		s.Log.Error().Err(err).Str("role", r.Name).Stringer("end", state).Dur("ran", ran).Dur("pause", pause).Msg("a role ended; it is started again")
		select {
		case <-ctx.Done():
		case <-time.After(pause):
		}
		pause = min(2*pause, s.Pace.Most)
	}
	return nil
}

// start starts the role's process. If the supervisor dies, the guard is asked to settle and the others are too: nobody
// is left who would start them again.
func (s *Supervisor) start(r *Role) (*os.Process, error) {
	return os.StartProcess(s.Program, append([]string{s.Program}, r.Args...), &os.ProcAttr{
		Files: []*os.File{nil, os.Stdout, os.Stderr},
		Env:   os.Environ(), //nolint:forbidigo // handed on as it is; no role reads its configuration there
		Sys:   &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM},
	})
}

// wait waits for the end of a process; once ctx ends it asks for it, and in the end insists.
func (s *Supervisor) wait(ctx context.Context, p *os.Process) (*os.ProcessState, error) {
	done := make(chan struct{})
	var asked sync.WaitGroup
	asked.Go(func() {
		select {
		case <-done:
			return
		case <-ctx.Done():
			_ = p.Signal(syscall.SIGTERM) // It may have ended already.
		}
		late := time.NewTimer(s.Pace.Settle)
		defer late.Stop()
		select {
		case <-done:
		case <-late.C:
			_ = p.Kill()
		}
	})
	state, err := p.Wait()
	close(done)
	asked.Wait()
	return state, err
}

// exitCode is the code with which a process ended by itself, -1 if a signal ended it.
func exitCode(s *os.ProcessState) int {
	if s == nil {
		return -1
	}
	return s.ExitCode()
}
