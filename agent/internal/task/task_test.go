package task

import (
	"context"
	"errors"
	"strings"
	"testing"
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
