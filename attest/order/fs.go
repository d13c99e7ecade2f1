package order

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"syscall"
)

// FS is the part of a file system that a [Store] needs, in one directory. Names are plain file names.
type FS interface {
	// ReadFile returns a file's content, an error that is fs.ErrNotExist when there is none.
	ReadFile(name string) ([]byte, error)
	// WriteSync writes a file anew and returns once its content is durable.
	WriteSync(name string, data []byte) error
	// Rename gives a file another name, replacing what has that name.
	Rename(from, to string) error
	// SyncDir returns once the names are durable.
	SyncDir() error
}

// OpenDir returns the file system of one existing directory. Names cannot leave it, not even over symbolic links.
func OpenDir(dir string) (*Dir, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("opening the state directory: %w", err)
	}
	return &Dir{root: root}, nil
}

// Dir is an [FS] on a directory.
type Dir struct{ root *os.Root }

// Close lets go of the directory.
func (d *Dir) Close() error { return d.root.Close() }

// maxFile bounds what is read into memory: the largest envelope, and then some.
const maxFile = 8 << 20

// ReadFile implements [FS]. A file that is larger than any that belongs here is an error, never cut.
func (d *Dir) ReadFile(name string) ([]byte, error) {
	// Without O_NONBLOCK the opening of a pipe that somebody put here would wait for ever.
	f, err := d.root.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close() //nolint:errcheck // Only read.
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s: expected a regular file (%w)", name, errors.Join(err, fs.ErrInvalid))
	}
	data, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err == nil && len(data) > maxFile {
		return nil, fmt.Errorf("%s: expected at most %d bytes", name, maxFile)
	}
	return data, err
}

// WriteSync implements [FS]. Only the owner may read the file.
func (d *Dir) WriteSync(name string, data []byte) error {
	f, err := d.root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}

// Rename implements [FS].
func (d *Dir) Rename(from, to string) error { return d.root.Rename(from, to) }

// SyncDir implements [FS].
func (d *Dir) SyncDir() error {
	f, err := d.root.Open(".")
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}
