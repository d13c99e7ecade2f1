//go:build linux

package main

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strconv"

	"golang.org/x/sys/unix"

	"github.com/robowarden/robowarden/test/machine/wire"
)

// filler takes what is left of the disk.
var filler = filepath.Join(wire.Data, "filler")

// disk fills the disk or empties it again, and makes it read-only or not.
func disk(r *http.Request) (wire.Disk, error) {
	req, err := decode[wire.Disk](r)
	if err != nil {
		return req, err
	}
	flags := uintptr(unix.MS_REMOUNT)
	if req.ReadOnly {
		// What is open for writing would keep a remount from being read-only; a disk that fails does not ask. Emergency read-only is
		// what the kernel itself does to a file system that has lost its disk, and to all of them.
		return req, os.WriteFile("/proc/sysrq-trigger", []byte("u"), 0)
	}
	if err := unix.Mount("", wire.Data, "", flags, ""); err != nil {
		return req, fmt.Errorf("disk writable: %w", err)
	}
	if !req.Full {
		if err := os.Remove(filler); err != nil && !errors.Is(err, os.ErrNotExist) {
			return req, err
		}
		return req, nil
	}
	f, err := os.OpenFile(filler, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return req, err
	}
	defer func() { _ = f.Close() }()
	// Down to the last byte, as a log would.
	for size := 1 << 20; size > 0; {
		n, err := f.Write(make([]byte, size))
		switch {
		case errors.Is(err, unix.ENOSPC) && n == 0:
			size /= 2
		case err != nil && !errors.Is(err, unix.ENOSPC):
			return req, fmt.Errorf("filler: %w", err)
		}
	}
	return req, f.Sync()
}

// hog takes memory until the kernel has ended one of the product's processes for want of it, and then ends itself. It cannot be
// chosen itself: others have to go. A computer in which nothing else is left to end would panic, so it takes no more than it is
// told to.
func hog(mib string) {
	n, err := strconv.Atoi(mib)
	if err == nil {
		err = os.WriteFile("/proc/self/oom_score_adj", []byte("-1000"), 0)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "guest: hog:", err)
		os.Exit(2)
	}
	before, first := products(), 0
	// What there is at once; the rest in small bites.
	const bite = 24
	if memory, err := os.ReadFile("/proc/meminfo"); err == nil {
		first = max(0, min(n, int(field(memory, "MemAvailable")>>10))-bite)
	}
	for i, size := first, first; i < n; i, size = i+1, 1 {
		if !take(size) || products() < before {
			fmt.Printf("hog: the product had %d processes and has %d, with %d MiB taken\n", before, products(), i)
			return
		}
	}
}

// take takes so many MiB and uses them.
func take(mib int) bool {
	if mib == 0 {
		return true
	}
	_, err := unix.Mmap(-1, 0, mib<<20, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE|unix.MAP_POPULATE)
	return err == nil
}

// products counts the product's processes. One that was killed has no executable any more.
func products() int {
	links, _ := filepath.Glob("/proc/[0-9]*/exe")
	n := 0
	for _, l := range links {
		if exe, err := os.Readlink(l); err == nil && exe == wire.Program {
			n++
		}
	}
	return n
}
