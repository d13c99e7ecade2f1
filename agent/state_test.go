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

	"github.com/robowarden/robowarden/agent/guard"
	"github.com/robowarden/robowarden/interlock"
)

func openTestState(t *testing.T) *stateDir {
	t.Helper()
	s, err := openState(filepath.Join(t.TempDir(), "state"), zerolog.Nop())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.dir.Close() })
	return s
}

// latched starts a core from the stored latches and says whether a trigger is latched.
func latched(t *testing.T, latches []byte, trigger interlock.Trigger) bool {
	t.Helper()
	core, err := guard.NewCore(demoParams(t), guard.Start{Boot: time.Second, Latches: latches})
	if err != nil {
		t.Fatal(err)
	}
	m, err := interlock.New(interlock.DefaultPolicy())
	if err != nil {
		t.Fatal(err)
	}
	_ = m.RestoreLatches(time.Second, core.AppendLatches(nil))
	var d interlock.Decision
	m.Step(2*time.Second, &interlock.Inputs{}, &d)
	return d.LatchedSet.Has(trigger)
}

// stopLatch is what a guard stores after a stop order.
func stopLatch(t *testing.T) []byte {
	t.Helper()
	core, err := guard.NewCore(demoParams(t), guard.Start{Boot: time.Second})
	if err != nil {
		t.Fatal(err)
	}
	var fx guard.Effects
	core.Apply(&guard.Event{Kind: guard.EventOrder, Boot: time.Second, Order: guard.Order{Kind: guard.OrderStop, Zone: -1}}, &fx)
	return core.AppendLatches(nil)
}

// TestKilledWhileLatchesAreWritten leaves the folder as a kill at each step of writing would.
func TestKilledWhileLatchesAreWritten(t *testing.T) {
	stop := stopLatch(t)
	for _, c := range []struct {
		name  string
		leave func(s *stateDir) error
		want  interlock.Trigger
	}{
		{"before the new file", func(s *stateDir) error { return s.replace(latchNew, latchFile, stop) }, interlock.OrderStop},
		{"within the new file", func(s *stateDir) error {
			return errors.Join(s.replace(latchNew, latchFile, stop), s.dir.WriteSync(latchNew, stop[:7]))
		}, interlock.OrderStop},
		{"before the renaming", func(s *stateDir) error {
			return errors.Join(s.firstLatches(), s.replace(latchNew, latchFile, stop), s.dir.WriteSync(latchNew, stop))
		}, interlock.OrderStop},
		{"latches cut", func(s *stateDir) error { return s.dir.WriteSync(latchFile, stop[:len(stop)-1]) }, interlock.LatchUnreadable},
		{"latches emptied", func(s *stateDir) error { return s.dir.WriteSync(latchFile, nil) }, interlock.LatchUnreadable},
		{"latches removed", func(*stateDir) error { return nil }, interlock.LatchUnreadable},
		{"a folder in the latches' place", func(s *stateDir) error { return os.Mkdir(filepath.Join(s.path, latchFile), 0o700) }, interlock.LatchUnreadable},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := openTestState(t)
			if err := c.leave(s); err != nil {
				t.Fatal(err)
			}
			if !latched(t, s.loadLatches(true), c.want) {
				t.Errorf("%s is not latched", c.want)
			}
		})
	}
	t.Run("a robot that never ran (off)", func(t *testing.T) {
		s := openTestState(t)
		if err := s.firstLatches(); err != nil {
			t.Fatal(err)
		}
		if latched(t, s.loadLatches(true), interlock.LatchUnreadable) {
			t.Error("a new robot has to be reset")
		}
	})
}

func TestUncleanMark(t *testing.T) {
	s := openTestState(t)
	if s.unclean() {
		t.Error("a robot that never ran ended without order")
	}
	boot, next := [16]byte{1, 2, 3}, [16]byte{1, 2, 4}
	if s.crashed(boot) {
		t.Error("a robot that never ran crashed")
	}
	if err := s.start(boot); err != nil {
		t.Fatal(err)
	}
	if !s.unclean() {
		t.Error("a killed run left no mark")
	}
	if !s.crashed(boot) || s.crashed(next) {
		t.Errorf("crashed in the same boot: %t, in another: %t", s.crashed(boot), s.crashed(next))
	}
	for _, mark := range []string{"", "a guard is running, or one ended without order\n", runningText, runningText + "another\n"} {
		if err := s.dir.WriteSync(runningFile, []byte(mark)); err != nil {
			t.Fatal(err)
		}
		if !s.crashed(next) {
			t.Errorf("%q names no boot, and may be of this one", mark)
		}
	}
	if err := s.end(); err != nil {
		t.Fatal(err)
	}
	if s.unclean() || s.crashed(boot) {
		t.Error("an orderly end left a mark")
	}
	if err := os.Mkdir(filepath.Join(s.path, runningFile), 0o700); err != nil {
		t.Fatal(err)
	}
	if !s.unclean() || !s.crashed(next) {
		t.Error("a mark that cannot be read counts as none")
	}
}

func TestLatchesReachTheDisk(t *testing.T) {
	s := openTestState(t)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.run(ctx) }()
	s.persist([]byte("one"))
	s.persist([]byte("two"))
	eventually(t, "written", func() bool { b, _ := s.dir.ReadFile(latchFile); return string(b) == "two" })
	s.persist([]byte("three"))
	cancel()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if b, _ := s.dir.ReadFile(latchFile); string(b) != "three" {
		t.Errorf("the last latches are %q", b)
	}
}

// TestLatchesThatCannotBeStoredFailTheRun: then the mark of the run stays, and the next start is held.
func TestLatchesThatCannotBeStoredFailTheRun(t *testing.T) {
	s := openTestState(t)
	// A folder with a file in it cannot be replaced by a file.
	if err := os.MkdirAll(filepath.Join(s.path, latchFile, "x"), 0o700); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.run(ctx) }()
	s.persist([]byte("one"))
	eventually(t, "tried", func() bool { s.mu.Lock(); defer s.mu.Unlock(); return s.dirty && len(s.wake) == 0 })
	time.Sleep(20 * time.Millisecond)
	cancel()
	if err := <-done; err == nil {
		t.Error("latches were lost and nobody was told")
	}
}

func TestLargePolicySetIsReadBack(t *testing.T) {
	s := openTestState(t)
	want := make([]byte, 1<<20)
	want[len(want)-1] = 1
	if err := s.replace(policyNew, policyFile, want); err != nil {
		t.Fatal(err)
	}
	if got, err := s.readPolicy(policyFile); err != nil || len(got) != len(want) {
		t.Errorf("%d bytes, %v", len(got), err)
	}
}

// TestStateThatIsNoFileIsNotWaitedFor puts a pipe in the place of a state file: opening it would wait for a writer.
func TestStateThatIsNoFileIsNotWaitedFor(t *testing.T) {
	s, err := openState(t.TempDir(), zerolog.Nop())
	if err != nil {
		t.Fatal(err)
	}
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
		if _, err := s.newestTime(); err == nil {
			t.Error("a time was read from a pipe")
		}
		if _, err := s.readPolicy(policyFile); err == nil {
			t.Error("something was read from a pipe")
		}
	}()
	select {
	case <-done:
	case <-time.After(5 * time.Second):
		t.Fatal("the start waits for a writer")
	}
}
