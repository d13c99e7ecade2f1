package agent

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"golang.org/x/sys/unix"
)

func testState(t *testing.T) *stateDir {
	t.Helper()
	s, err := openState(filepath.Join(t.TempDir(), "state"), zerolog.Nop())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.dir.Close() })
	return s
}

// TestLatchesThatCannotBeStoredAreNoOrderlyEnd ends the run while the disk refuses the latches. Were that an orderly end,
// the mark of the run would go, and with it the last thing that holds the robot after the restart.
func TestLatchesThatCannotBeStoredAreNoOrderlyEnd(t *testing.T) {
	for _, c := range []struct {
		name   string
		refuse bool
	}{{"a disk that works (off)", false}, {"a disk that refuses", true}} {
		t.Run(c.name, func(t *testing.T) {
			s := testState(t)
			// A folder in the temporary file's place makes every write fail, for root as well.
			if c.refuse {
				if err := os.Mkdir(filepath.Join(s.path, latchNew), 0o700); err != nil {
					t.Fatal(err)
				}
			}
			ctx, cancel := context.WithCancel(t.Context())
			done := make(chan error, 1)
			go func() { done <- s.run(ctx) }()
			s.persist([]byte("latched"))
			s.await(t, func() bool { return len(s.wake) == 0 && (c.refuse || !s.isDirty()) })
			cancel()
			if err := <-done; (err != nil) != c.refuse {
				t.Errorf("the writer ended with %v while the latches are stored: %t", err, !s.isDirty())
			}
		})
	}
}

func (s *stateDir) isDirty() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.dirty
}

func (s *stateDir) await(t *testing.T, cond func() bool) {
	t.Helper()
	for deadline := time.Now().Add(5 * time.Second); !cond(); {
		if time.Now().After(deadline) {
			t.Fatal("not within 5 s")
		}
		time.Sleep(time.Millisecond) // The pause of a poll.
	}
}

func TestMarkOfTheRunThatCannotBeReadIsUnclean(t *testing.T) {
	s := testState(t)
	if unclean, err := s.start(); unclean || err != nil {
		t.Fatalf("a new robot: unclean %t, %v", unclean, err)
	}
	if unclean, err := s.start(); !unclean || err != nil {
		t.Fatalf("after a kill: unclean %t, %v", unclean, err)
	}
	if err := s.end(); err != nil {
		t.Fatal(err)
	}
	if unclean, _ := s.start(); unclean {
		t.Error("an orderly end counts as unclean")
	}
	if err := errors.Join(s.end(), os.Mkdir(filepath.Join(s.path, runningFile), 0o700)); err != nil {
		t.Fatal(err)
	}
	if unclean, _ := s.start(); !unclean {
		t.Error("a mark that cannot be read counts as an orderly end")
	}
}

// TestStateThatIsNoFileIsNotWaitedFor puts a pipe in the place of a state file: opening it would wait for a writer.
func TestStateThatIsNoFileIsNotWaitedFor(t *testing.T) {
	s := testState(t)
	for _, name := range []string{latchFile, runningFile, policyFile, timeFile} {
		if err := unix.Mkfifo(filepath.Join(s.path, name), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		if got := s.loadLatches(false); got == nil {
			t.Error("a pipe counts as latches that never were")
		}
		if len(s.policies()) != 0 || s.newestTime() != 0 {
			t.Error("something was read from a pipe")
		}
	}()
	select {
	case <-done:
	case <-time.After(5 * time.Second):
		t.Fatal("the start waits for a writer")
	}
}
