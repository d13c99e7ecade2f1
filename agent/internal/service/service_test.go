package service

import (
	"bytes"
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/robowarden/robowarden/agent/internal/confine"
	"github.com/robowarden/robowarden/agent/internal/notify"
)

type loop struct{ n atomic.Uint64 }

func (l *loop) Progress() uint64 { return l.n.Load() }

// manager is a service manager with half a second of patience; it returns what it hears.
func manager(t *testing.T) <-chan string {
	t.Helper()
	dir, err := os.MkdirTemp("", "sv")
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
	t.Setenv("WATCHDOG_PID", "")
	t.Setenv("WATCHDOG_USEC", "40000")
	heard := make(chan string, 1000)
	go func() {
		b := make([]byte, 4096)
		for {
			n, err := c.Read(b)
			if err != nil {
				return
			}
			heard <- string(b[:n])
		}
	}()
	return heard
}

func next(t *testing.T, heard <-chan string) string {
	t.Helper()
	select {
	case s := <-heard:
		return s
	case <-time.After(5 * time.Second):
		t.Fatal("the service manager hears nothing")
		return ""
	}
}

func standing() (confine.Report, error) {
	return confine.Report{Role: "test", Walls: []confine.Wall{{Name: "a", Up: true}, {Name: "b", Why: "old kernel"}}}, nil
}

func TestReadyAfterTheFirstTurnAndAliveWhileItTurns(t *testing.T) {
	heard := manager(t)
	var l loop
	var log bytes.Buffer
	var told *confine.Report
	ctx, cancel := context.WithCancel(t.Context())
	settle := make(chan struct{})
	done := make(chan error, 1)
	running := make(chan struct{})
	go func() {
		done <- Run(ctx, &Role{
			Name: "test", Confine: standing, Confined: func(r *confine.Report) { told = r }, Loops: []notify.Progress{&l}, Log: zerolog.New(&log),
			Run: func(ctx context.Context) error {
				close(running)
				<-ctx.Done()
				<-settle
				return nil
			},
		})
	}()
	<-running
	select {
	case s := <-heard:
		t.Fatalf("%q before the loop has turned", s)
	case <-time.After(5 * readyPoll):
	}
	l.n.Add(1)
	if s := next(t, heard); s != "READY=1\nSTATUS=test: 1 of 2 walls stand, missing: b" {
		t.Errorf("%q", s)
	}
	turn := func() {
		for {
			l.n.Add(1)
			select {
			case s := <-heard:
				if s == "WATCHDOG=1" {
					return
				}
			case <-time.After(time.Millisecond):
			}
		}
	}
	turn()
	cancel()
	// It settles: still alive, and said so.
	if s := next(t, heard); s != "STOPPING=1" {
		t.Errorf("%q", s)
	}
	turn()
	close(settle)
	if err := <-done; err != nil {
		t.Error(err)
	}
	if told == nil || !strings.Contains(log.String(), "old kernel") {
		t.Errorf("told %v, logged %s", told, log.String())
	}
}

func TestWallThatCouldNotBeRaised(t *testing.T) {
	broken := errors.New("broken")
	for _, insist := range []bool{true, false} {
		ran := false
		err := Run(t.Context(), &Role{
			Insist: insist, Log: zerolog.Nop(),
			Confine: func() (confine.Report, error) { return confine.Report{}, broken },
			Run:     func(context.Context) error { ran = true; return nil },
		})
		if ran == insist || errors.Is(err, broken) != insist {
			t.Errorf("insist %v: ran %v, %v", insist, ran, err)
		}
	}
}

func TestImpossibleServiceManager(t *testing.T) {
	manager(t)
	t.Setenv("WATCHDOG_USEC", "never")
	if err := Run(t.Context(), &Role{}); err == nil {
		t.Error("taken")
	}
}

func TestRoleThatEndsByItself(t *testing.T) {
	manager(t)
	boom := errors.New("boom")
	var l loop
	err := Run(t.Context(), &Role{
		Confine: standing, Loops: []notify.Progress{&l}, Log: zerolog.Nop(),
		Run: func(context.Context) error { return boom },
	})
	if !errors.Is(err, boom) {
		t.Error(err)
	}
}
