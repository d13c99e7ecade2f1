package task

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"
)

func wait(ctx context.Context) error { <-ctx.Done(); return nil }

func TestFirstErrorEndsAll(t *testing.T) {
	boom := errors.New("boom")
	var g Group
	g.Go("patient", wait)
	g.Go("failing", func(context.Context) error { return boom })
	err := g.Run(t.Context())
	if !errors.Is(err, boom) || !strings.HasPrefix(err.Error(), "failing: ") {
		t.Errorf("got %v, want the failing task's error with its name", err)
	}
}

func TestPanicBecomesAnErrorWithItsStack(t *testing.T) {
	var g Group
	g.Go("patient", wait)
	g.Go("careless", func(context.Context) error { panic("index") })
	err := g.Run(t.Context())
	if err == nil || !strings.Contains(err.Error(), "careless: panic: index") || !strings.Contains(err.Error(), "task_test.go") {
		t.Errorf("got %v", err)
	}
}

func TestOrderlyEndIsNoError(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	var g Group
	g.Go("patient", wait)
	done := g.Start(ctx)
	cancel()
	if err := <-done; err != nil {
		t.Errorf("got %v, want nil", err)
	}
}

func TestTaskThatReturnsLeavesOthersRunning(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	var g Group
	g.Go("short", func(context.Context) error { close(ended); return nil })
	g.Go("long", func(ctx context.Context) error {
		<-ended
		if ctx.Err() != nil {
			return errors.New("ended by a task that was merely done")
		}
		cancel()
		return nil
	})
	if err := g.Run(ctx); err != nil {
		t.Error(err)
	}
}

// TestATaskThatDoesNotEndKeepsNobody: by patience the others' end is the end, with or without an error. Off: without patience
// whoever waits waits for all.
func TestATaskThatDoesNotEndKeepsNobody(t *testing.T) {
	release := make(chan struct{})
	stuck := func(context.Context) error { <-release; return nil }
	group := func(patience time.Duration, more ...func(context.Context) error) *Group {
		g := &Group{Patience: patience}
		g.Go("stuck", stuck)
		g.Go("patient", wait)
		for _, f := range more {
			g.Go("failing", f)
		}
		return g
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	err := group(time.Millisecond).Run(ctx)
	if late, ok := err.(*LateError); !ok || late.Names[0] != "stuck" || !strings.Contains(err.Error(), "within 1ms, these have not: stuck") { //nolint:errorlint // as it is
		t.Errorf("by its context's end: %v", err)
	}
	boom, late := errors.New("boom"), (*LateError)(nil)
	if err := group(time.Millisecond, func(context.Context) error { return boom }).Run(t.Context()); !errors.As(err, &late) || !errors.Is(err, boom) {
		t.Errorf("by a failure: %v", err)
	}
	done := group(0).Start(ctx)
	select {
	case err := <-done:
		t.Errorf("off: it ended without its task: %v", err)
	default:
	}
	close(release)
	if err := <-done; err != nil {
		t.Errorf("off, with its task: %v", err)
	}
	if err := group(time.Hour).Run(ctx); err != nil {
		t.Errorf("all ended in time: %v", err)
	}
}
