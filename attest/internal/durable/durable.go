// Package durable reads and replaces small files whole; it never leaves half a file behind, whatever happens to the process or
// the power.
package durable

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// Read reads a regular file of at most limit bytes. The error wraps os.ErrNotExist where there is none.
func Read(path string, limit int64) ([]byte, error) { return read(path, limit, 0) }

// ReadPrivate is Read for a file that nobody else on this computer can read.
func ReadPrivate(path string, limit int64) ([]byte, error) { return read(path, limit, 0o077) }

func read(path string, limit int64, others os.FileMode) ([]byte, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK, 0) // opening a pipe that somebody put here would wait for ever
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if mode := info.Mode(); !mode.IsRegular() || mode.Perm()&others != 0 {
		return nil, fmt.Errorf("%s has mode %v: expected a regular file, and one with a secret to be its owner's alone (chmod 600)", path, mode)
	}
	data, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", path, err)
	}
	if int64(len(data)) > limit {
		return nil, fmt.Errorf("%s has more than %d bytes, the most that is read", path, limit)
	}
	return data, nil
}

// Write replaces a file whole and returns once that is durable. Only with a mode for others than the owner may they read it.
func Write(path string, data []byte, mode os.FileMode) (err error) {
	dir := filepath.Dir(path)
	f, err := os.CreateTemp(dir, "."+filepath.Base(path)+".new-*") // mode 0600
	if err != nil {
		return fmt.Errorf("writing %s: %w", path, err)
	}
	defer func() {
		if err != nil {
			_ = os.Remove(f.Name())
			err = fmt.Errorf("writing %s: %w", path, err)
		}
	}()
	_, err = f.Write(data)
	if err == nil {
		err = f.Chmod(mode)
	}
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	if err = os.Rename(f.Name(), path); err != nil {
		return err
	}
	return SyncDir(dir)
}

// Sweep removes what a process that was killed while it wrote has left beside a file.
func Sweep(path string) {
	left, err := filepath.Glob(filepath.Join(filepath.Dir(path), "."+filepath.Base(path)+".new-*"))
	if err != nil {
		return // a name with the characters of a pattern: what is left does no harm
	}
	for _, name := range left {
		_ = os.Remove(name)
	}
}

// SyncDir returns once the names in a directory are durable.
func SyncDir(path string) error {
	dir, err := os.Open(path)
	if err != nil {
		return err
	}
	defer dir.Close()
	return dir.Sync()
}
