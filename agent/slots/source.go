package slots

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/robowarden/robowarden/attest/artifact"
)

// Folder is a [Source] on a folder, or on one file.
type Folder struct {
	root   *os.Root
	dir    string
	single string
	ignore []string
}

// OpenFolder opens a folder, of which the ignored paths do not belong to the artifact, or one file.
func OpenFolder(name string, ignore []string) (*Folder, error) {
	info, err := os.Stat(name)
	if err != nil {
		return nil, err
	}
	f := &Folder{dir: name, ignore: ignore}
	if !info.IsDir() {
		f.dir, f.single = filepath.Split(name)
		if f.dir == "" {
			f.dir = "."
		}
	}
	f.root, err = os.OpenRoot(f.dir)
	return f, err
}

// Close lets go of the folder.
func (f *Folder) Close() error { return f.root.Close() }

// List implements [Source].
func (f *Folder) List(ctx context.Context) ([]artifact.File, error) {
	if f.single == "" {
		return artifact.ScanFolder(ctx, f.dir, f.ignore)
	}
	info, err := f.root.Lstat(f.single)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s: expected a file", f.single)
	}
	return []artifact.File{{Path: f.single, Size: info.Size()}}, nil
}

// Open implements [Source].
func (f *Folder) Open(name string) (io.ReadCloser, error) {
	file, err := f.root.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	if info, err := file.Stat(); err != nil || !info.Mode().IsRegular() {
		return nil, errors.Join(err, fs.ErrInvalid, file.Close())
	}
	return file, nil
}

// ErrBusy means that another program works on the slots.
var ErrBusy = errors.New("another program works on these slots: wait for it")

// Lock takes the slots below a folder for one program, until release is called or the program ends.
func Lock(dir string) (release func(), err error) {
	f, err := os.Open(dir) //nolint:gosec // the deployment names the folder
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		return nil, errors.Join(ErrBusy, f.Close())
	}
	// Unlocked by name, since a child that is just being started keeps a copy of the descriptor until it runs its program.
	return func() { _ = errors.Join(unix.Flock(int(f.Fd()), unix.LOCK_UN), f.Close()) }, nil
}
