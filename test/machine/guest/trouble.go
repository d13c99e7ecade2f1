//go:build linux

package main

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/signal"
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

// hog holds so many MiB of memory and cannot be chosen by the kernel when there is too little: others have to go. It ends when
// it is told to.
func hog(mib string) {
	n, err := strconv.Atoi(mib)
	if err == nil {
		err = os.WriteFile("/proc/self/oom_score_adj", []byte("-1000"), 0)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "guest: hog:", err)
		os.Exit(2)
	}
	end := make(chan os.Signal, 1)
	signal.Notify(end, unix.SIGTERM)
	var held [][]byte
	for range n {
		b, err := unix.Mmap(-1, 0, 1<<20, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE|unix.MAP_POPULATE)
		if err != nil {
			break
		}
		held = append(held, b)
	}
	fmt.Println("hog: holds", len(held), "MiB")
	<-end
}
