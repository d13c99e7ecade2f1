// Package task runs a handful of goroutines as one: the first that fails ends all; it never restarts any of them.
package task

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"slices"
	"strings"
	"time"
)

// Group collects tasks. The zero value is ready to use; it is started once.
type Group struct {
	// Patience is how long Run waits for tasks to end once its context has ended or one of them failed; 0 waits for as long as
	// they take. Whoever waits for a disk or computes for minutes then no longer keeps the program from ending.
	Patience time.Duration

	names []string
	funcs []func(context.Context) error
}

// Go adds a task. A task ends when its context does; a nil error means that it ended in order.
func (g *Group) Go(name string, f func(context.Context) error) {
	g.names, g.funcs = append(g.names, name), append(g.funcs, f)
}

// Run starts all tasks and waits for all of them. The first error, or panic, ends the others and is returned. A panic is
// not survived in place: the process ends, and the robot's lock and base timeouts do the rest. Tasks that outlast the
// Patience are left as they are and named in the error.
func (g *Group) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	ended := make(chan string, len(g.funcs))
	for i, f := range g.funcs {
		go func() {
			defer func() { ended <- g.names[i] }()
			if err := guarded(ctx, f); err != nil {
				cancel(fmt.Errorf("%s: %w", g.names[i], err))
			}
		}()
	}
	late := g.wait(ctx, ended)
	err := context.Cause(ctx)
	if ctx.Err() == err { //nolint:errorlint // identity tells a task's error from the caller's end
		err = nil
	}
	switch {
	case late == nil:
		return err
	case err == nil:
		return late
	}
	return errors.Join(err, late)
}

// wait waits for the tasks, and says which ones outlasted the patience.
func (g *Group) wait(ctx context.Context, ended <-chan string) *LateError {
	left, over := slices.Clone(g.names), ctx.Done()
	var late <-chan time.Time
	for len(left) > 0 {
		select {
		case name := <-ended:
			i := slices.Index(left, name)
			left = slices.Delete(left, i, i+1)
		case <-over:
			over = nil
			if g.Patience > 0 {
				t := time.NewTimer(g.Patience)
				defer t.Stop()
				late = t.C
			}
		case <-late:
			return &LateError{left, g.Patience}
		}
	}
	return nil
}

// LateError means that tasks have not ended in time. [Group.Run] returns it as it is where nothing else went wrong.
type LateError struct {
	Names    []string
	Patience time.Duration
}

func (e *LateError) Error() string {
	return fmt.Sprintf("expected every task to end within %v, these have not: %s", e.Patience, strings.Join(e.Names, ", "))
}

// Start is Run in the background; the channel gives the result once.
func (g *Group) Start(ctx context.Context) <-chan error {
	done := make(chan error, 1)
	go func() { done <- g.Run(ctx) }()
	return done
}

func guarded(ctx context.Context, f func(context.Context) error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v\n%s", p, debug.Stack())
		}
	}()
	return f(ctx)
}
