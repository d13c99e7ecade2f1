package journal

import (
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
)

// TestLockIsGivenBackBesideAChild: a child that is being started has a copy of the lock's descriptor for a moment.
func TestLockIsGivenBackBesideAChild(t *testing.T) {
	dir := t.TempDir()
	unlock, err := osFS{}.Lock(dir)
	if err != nil {
		t.Fatal(err)
	}
	open, err := filepath.Glob("/proc/self/fd/*")
	if err != nil {
		t.Fatal(err)
	}
	copies := 0
	for _, link := range open {
		if to, err := os.Readlink(link); err != nil || to != dir {
			continue
		}
		fd, err := strconv.Atoi(filepath.Base(link))
		if err != nil {
			t.Fatal(err)
		}
		copied, err := syscall.Dup(fd)
		if err != nil {
			t.Fatal(err)
		}
		defer syscall.Close(copied) //nolint:errcheck // nothing was written
		copies++
	}
	if err := unlock(); err != nil || copies == 0 {
		t.Fatalf("%d copies, %v", copies, err)
	}
	again, err := osFS{}.Lock(dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := again(); err != nil {
		t.Error(err)
	}
}
