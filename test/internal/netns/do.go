package netns

import (
	"fmt"
	"os"
	"runtime"
	"strconv"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// Do calls f on a thread that is in the host's network: the sockets that f makes stay there, whoever uses them later. f
// must not hand the making of sockets to other goroutines.
func (h *Host) Do(t testing.TB, f func() error) {
	t.Helper()
	done := make(chan error, 1)
	go func() {
		// The thread ends with this goroutine, so that no other work ever runs in the wrong network.
		runtime.LockOSThread()
		done <- h.inside(f)
	}()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}

func (h *Host) inside(f func() error) error {
	ns, err := os.Open("/proc/" + strconv.Itoa(h.holder.PID()) + "/ns/net")
	if err != nil {
		return fmt.Errorf("netns: %w", err)
	}
	defer func() { _ = ns.Close() }()
	if err := unix.Setns(int(ns.Fd()), syscall.CLONE_NEWNET); err != nil {
		return fmt.Errorf("netns: enter: %w", err)
	}
	return f()
}
