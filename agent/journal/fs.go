package journal

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// File is what the journal needs of an open file.
type File interface {
	io.ReaderAt
	io.WriterAt
	io.Closer
	// Truncate cuts the file to size bytes.
	Truncate(size int64) error
	// Sync returns when the file is on the disk.
	Sync() error
	// Size returns the file's length in bytes.
	Size() (int64, error)
}

// FileInfo is one directory entry.
type FileInfo struct {
	// Name is the entry's name without the directory.
	Name string
	// Size is its length in bytes.
	Size int64
	// Regular is false for directories, links, devices and pipes.
	Regular bool
}

// FS is the seam to the file system, so that tests can make it fail.
type FS interface {
	// OpenFile opens path as os.OpenFile does, but never follows a link at the end of the path.
	OpenFile(path string, flag int, perm fs.FileMode) (File, error)
	// List returns the entries of dir in any order.
	List(dir string) ([]FileInfo, error)
	// MkdirAll makes dir and what is missing above it.
	MkdirAll(dir string, perm fs.FileMode) error
	// Rename moves a file, replacing what is there.
	Rename(from, to string) error
	// Remove deletes a file.
	Remove(path string) error
	// SyncDir returns when the entries of dir are on the disk.
	SyncDir(dir string) error
	// Lock takes the exclusive lock of dir without waiting, or fails with [ErrLocked].
	Lock(dir string) (unlock func() error, err error)
}

// OS returns the operating system's file system.
func OS() FS { return osFS{} }

type osFS struct{}

type osFile struct{ *os.File }

// Size returns the file's length in bytes.
func (f osFile) Size() (int64, error) {
	st, err := f.Stat()
	if err != nil {
		return 0, err
	}
	return st.Size(), nil
}

// OpenFile adds O_NONBLOCK so that a pipe with a segment's name cannot hang a reader.
func (osFS) OpenFile(path string, flag int, perm fs.FileMode) (File, error) {
	f, err := os.OpenFile(path, flag|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, perm)
	if err != nil {
		return nil, err
	}
	return osFile{f}, nil
}

// List skips entries that vanish while it looks.
func (osFS) List(dir string) ([]FileInfo, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	list := make([]FileInfo, 0, len(entries))
	for _, e := range entries {
		st, err := e.Info()
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		list = append(list, FileInfo{Name: e.Name(), Size: st.Size(), Regular: st.Mode().IsRegular()})
	}
	return list, nil
}

// MkdirAll makes dir and what is missing above it.
func (osFS) MkdirAll(dir string, perm fs.FileMode) error { return os.MkdirAll(dir, perm) }

// Rename moves a file, replacing what is there.
func (osFS) Rename(from, to string) error {
	return os.Rename(from, to) //nolint:gosec // both are names that the journal made, in its own directory
}

// Remove deletes a file.
func (osFS) Remove(path string) error { return os.Remove(path) }

// SyncDir returns when the entries of dir are on the disk. It comes with every segment, and os.File would be garbage.
func (osFS) SyncDir(dir string) error {
	d, err := again(func() (int, error) {
		return syscall.Open(dir, syscall.O_RDONLY|syscall.O_DIRECTORY|syscall.O_CLOEXEC, 0)
	})
	if err != nil {
		return &fs.PathError{Op: "open", Path: dir, Err: err}
	}
	_, err = again(func() (int, error) { return 0, syscall.Fsync(d) })
	if err = errors.Join(err, syscall.Close(d)); err != nil {
		return &fs.PathError{Op: "sync", Path: dir, Err: err}
	}
	return nil
}

// again repeats a call that a signal has interrupted.
func again(call func() (int, error)) (int, error) {
	for {
		n, err := call()
		if err != syscall.EINTR { //nolint:errorlint // the kernel's own
			return n, err
		}
	}
}

// Lock locks the directory itself, which works on a full or read-only disk and
// leaves no file behind.
func (osFS) Lock(dir string) (func() error, error) {
	d, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	err = syscall.Flock(int(d.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		holder := lockHolder(d)
		d.Close()
		return nil, fmt.Errorf("%w%s: stop it, or give this one a directory of its own", ErrLocked, holder)
	}
	if err != nil {
		d.Close()
		return nil, &fs.PathError{Op: "flock", Path: dir, Err: err}
	}
	// A child that is just being started has a copy of the descriptor until it runs its program, and with it the lock: closing
	// ours does not give that back.
	return func() error { return errors.Join(syscall.Flock(int(d.Fd()), syscall.LOCK_UN), d.Close()) }, nil
}

// lockHolder names the process that holds the lock of d, if the kernel tells.
func lockHolder(d *os.File) string {
	st, err := d.Stat()
	if err != nil {
		return ""
	}
	sys, ok := st.Sys().(*syscall.Stat_t)
	if !ok {
		return ""
	}
	locks, err := os.ReadFile("/proc/locks")
	if err != nil {
		return ""
	}
	inode := fmt.Sprintf("%02x:%02x:%d", unix.Major(sys.Dev), unix.Minor(sys.Dev), sys.Ino)
	for line := range strings.Lines(string(locks)) {
		// 1: FLOCK  ADVISORY  WRITE 1234 08:01:5678 0 EOF
		f := strings.Fields(line)
		if len(f) < 6 || f[1] != "FLOCK" || f[5] != inode {
			continue
		}
		name, _ := os.ReadFile(filepath.Join("/proc", f[4], "comm"))
		return fmt.Sprintf(" (process %s %s)", f[4], strings.TrimSpace(string(name)))
	}
	return ""
}
