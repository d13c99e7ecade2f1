package notify

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// manager is a service manager's socket.
func manager(t *testing.T) *net.UnixConn {
	t.Helper()
	dir, err := os.MkdirTemp("", "nt")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	path := filepath.Join(dir, "n")
	c, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	t.Setenv("NOTIFY_SOCKET", path)
	t.Setenv("WATCHDOG_PID", strconv.Itoa(os.Getpid()))
	t.Setenv("WATCHDOG_USEC", "400000")
	return c
}

func heard(t *testing.T, c *net.UnixConn) string {
	t.Helper()
	_ = c.SetReadDeadline(time.Now().Add(5 * time.Second))
	b := make([]byte, 4096)
	n, err := c.Read(b)
	if err != nil {
		t.Fatal(err)
	}
	return string(b[:n])
}

func TestTellsTheServiceManager(t *testing.T) {
	c := manager(t)
	n, err := New()
	if err != nil || n.Interval() != 400*time.Millisecond {
		t.Fatalf("%+v, %v", n, err)
	}
	for want, tell := range map[string]func() error{
		"READY=1\nSTATUS=guards": func() error { return n.Ready("guards") },
		"STATUS=a b":             func() error { return n.Status("a\nb") },
		"STOPPING=1":             n.Stopping,
	} {
		if err := tell(); err != nil {
			t.Fatal(err)
		}
		if got := heard(t, c); got != want {
			t.Errorf("%q, expected %q", got, want)
		}
	}
}

// counter is a loop whose progress the test makes.
type counter struct{ n atomic.Uint64 }

func (c *counter) Progress() uint64 { return c.n.Load() }

// driven is a notifier whose ticks the test makes; done reports each look that was followed by a sign of life or not.
func driven(t *testing.T, loops ...Progress) (tick func() int, end func() error) {
	t.Helper()
	ticks := make(chan time.Time)
	var signs atomic.Int64
	n := &Notifier{
		interval: time.Second,
		send:     func(s string) (bool, error) { signs.Add(int64(strings.Count(s, "WATCHDOG=1"))); return true, nil },
		tick:     func(time.Duration) (<-chan time.Time, func()) { return ticks, func() {} },
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- n.Watch(ctx, loops...) }()
	return func() int {
			// The second is taken only when the first has been acted on; by itself it finds nothing new.
			ticks <- time.Time{}
			ticks <- time.Time{}
			return int(signs.Load())
		}, func() error {
			cancel()
			return <-done
		}
}

func TestOnlyProgressIsASignOfLife(t *testing.T) {
	var a, b counter
	tick, end := driven(t, &a, &b)
	for i, step := range []struct {
		a, b uint64
		want int
	}{
		{0, 0, 0}, // nothing has happened yet
		{1, 1, 1},
		{0, 0, 1}, // both stand still
		{1, 0, 1}, // one stands still: the other does not speak for it
		{5, 0, 1},
		{0, 1, 2}, // now both have moved since the last sign
		{0, 0, 2},
		{1, 1, 3},
	} {
		a.n.Add(step.a)
		b.n.Add(step.b)
		if got := tick(); got != step.want {
			t.Errorf("step %d: %d signs, expected %d", i, got, step.want)
		}
	}
	if err := end(); err != nil {
		t.Error(err)
	}
}

func TestSignsOfLifeReachTheServiceManager(t *testing.T) {
	c := manager(t)
	n, err := New()
	if err != nil {
		t.Fatal(err)
	}
	var a counter
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- n.Watch(ctx, &a) }()
	go func() {
		for ctx.Err() == nil {
			a.n.Add(1)
			time.Sleep(time.Millisecond)
		}
	}()
	if got := heard(t, c); got != "WATCHDOG=1" {
		t.Errorf("%q", got)
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestWithoutAServiceManager(t *testing.T) {
	t.Setenv("NOTIFY_SOCKET", "")
	t.Setenv("WATCHDOG_USEC", "")
	n, err := New()
	if err != nil || n.Interval() != 0 {
		t.Fatalf("%+v, %v", n, err)
	}
	if err := errors.Join(n.Ready("x"), n.Status("y"), n.Stopping()); err != nil {
		t.Error(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := n.Watch(ctx); err != nil {
		t.Error(err)
	}
}

func TestFaults(t *testing.T) {
	t.Run("impossible patience", func(t *testing.T) {
		manager(t)
		t.Setenv("WATCHDOG_USEC", "never")
		if _, err := New(); err == nil {
			t.Error("taken")
		}
	})
	t.Run("service manager gone", func(t *testing.T) {
		c := manager(t)
		n, err := New()
		if err != nil {
			t.Fatal(err)
		}
		_ = c.Close()
		if err := n.Ready("x"); err == nil {
			t.Error("nobody was told, and nobody says so")
		}
		ticks := make(chan time.Time)
		n.tick = func(time.Duration) (<-chan time.Time, func()) { return ticks, func() {} }
		var a counter
		done := make(chan error, 1)
		go func() { done <- n.Watch(t.Context(), &a) }()
		for {
			a.n.Add(1)
			select {
			case ticks <- time.Time{}:
			case err := <-done:
				if err == nil {
					t.Error("nobody was told, and nobody says so")
				}
				return
			}
		}
	})
	t.Run("nothing to watch", func(t *testing.T) {
		manager(t)
		n, err := New()
		if err != nil {
			t.Fatal(err)
		}
		if err := n.Watch(t.Context()); err == nil {
			t.Error("a watchdog without a loop")
		}
	})
}
