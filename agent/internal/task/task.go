// Package task runs a handful of goroutines as one: the first that fails ends all; it never restarts any of them.
package task

import (
	"context"
	"fmt"
	"runtime/debug"
	"sync"
)

// Group collects tasks. The zero value is ready to use; it is started once.
type Group struct {
	names []string
	funcs []func(context.Context) error
}

// Go adds a task. A task ends when its context does; a nil error means that it ended in order.
func (g *Group) Go(name string, f func(context.Context) error) {
	g.names, g.funcs = append(g.names, name), append(g.funcs, f)
}

// Run starts all tasks and waits for all of them. The first error, or panic, ends the others and is returned. A panic is
// not survived in place: the process ends, and the robot's lock and base timeouts do the rest.
func (g *Group) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var all sync.WaitGroup
	for i, f := range g.funcs {
		all.Go(func() {
			if err := guarded(ctx, f); err != nil {
				cancel(fmt.Errorf("%s: %w", g.names[i], err))
			}
		})
	}
	all.Wait()
	if err := context.Cause(ctx); err != nil && ctx.Err() != err { //nolint:errorlint // identity tells a task's error from the caller's end
		return err
	}
	return nil
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
