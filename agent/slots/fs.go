package slots

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"sort"
	"syscall"

	"golang.org/x/sys/unix"
)

// Entry is one name in a folder.
type Entry struct {
	Name string
	Dir  bool
	Size int64
}

// File is a file that is being written.
type File interface {
	io.Writer
	// Sync returns once the content is durable.
	Sync() error
	Close() error
}

// FS is the part of a file system that the slots need, below one folder. Names use forward slashes.
type FS interface {
	// Create makes a file that must not exist.
	Create(name string) (File, error)
	// Open opens a file for reading, no link; an error is fs.ErrNotExist where there is none.
	Open(name string) (io.ReadCloser, error)
	// Mkdir makes a folder, which may exist.
	Mkdir(name string) error
	// Rename gives a file or link another name, replacing what has that name.
	Rename(from, to string) error
	// Remove removes a file, a link or an empty folder.
	Remove(name string) error
	// Symlink makes a link, Readlink reads one.
	Symlink(target, name string) error
	Readlink(name string) (string, error)
	// List lists a folder, no link to one, sorted by name. A link in it counts as a file.
	List(name string) ([]Entry, error)
	// SyncDir returns once the names in a folder are durable.
	SyncDir(name string) error
	// Free is how many bytes can be written.
	Free() (int64, error)
	// EnableVerity has the kernel keep the content of a file that is durable: it refuses every change from now on, and compares
	// what it reads with the digest. An error that is [ErrNoVerity] says that it cannot.
	EnableVerity(name string) error
	// MeasureVerity returns that digest as the kernel has it, see [artifact.Verity]. ErrNoVerity is a file without one.
	MeasureVerity(name string) ([sha256.Size]byte, error)
}

// Dir is an [FS] on a folder. Names cannot leave it.
type Dir struct{ root *os.Root }

// OpenDir opens an existing folder.
func OpenDir(name string) (*Dir, error) {
	root, err := os.OpenRoot(name)
	if err != nil {
		return nil, err
	}
	return &Dir{root}, nil
}

// Close lets go of the folder.
func (d *Dir) Close() error { return d.root.Close() }

// Create implements [FS].
func (d *Dir) Create(name string) (File, error) {
	return d.root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
}

// errLink means that a link lies where nothing here ever puts one: what it leads to changes without its own name changing.
var errLink = errors.New("is a link, which no slot holds: remove it, and install again")

// plain says why a name is a link, or nil.
func (d *Dir) plain(name string) error {
	if info, err := d.root.Lstat(name); err == nil && info.Mode()&fs.ModeSymlink != 0 {
		return fmt.Errorf("%s %w", name, errLink)
	}
	return nil
}

// Open implements [FS].
func (d *Dir) Open(name string) (io.ReadCloser, error) {
	if err := d.plain(name); err != nil {
		return nil, err
	}
	f, err := d.root.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() {
		return nil, errors.Join(err, fs.ErrInvalid, f.Close())
	}
	return f, nil
}

// Mkdir implements [FS].
func (d *Dir) Mkdir(name string) error {
	err := d.root.Mkdir(name, 0o755)
	if errors.Is(err, fs.ErrExist) {
		if info, err := d.root.Lstat(name); err == nil && info.IsDir() {
			return nil
		}
	}
	return err
}

// Rename implements [FS].
func (d *Dir) Rename(from, to string) error { return d.root.Rename(from, to) }

// Remove implements [FS].
func (d *Dir) Remove(name string) error { return d.root.Remove(name) }

// Symlink implements [FS].
func (d *Dir) Symlink(target, name string) error { return d.root.Symlink(target, name) }

// Readlink implements [FS].
func (d *Dir) Readlink(name string) (string, error) { return d.root.Readlink(name) }

// List implements [FS].
func (d *Dir) List(name string) ([]Entry, error) {
	if err := d.plain(name); err != nil {
		return nil, err
	}
	f, err := d.root.Open(name)
	if err != nil {
		return nil, err
	}
	infos, err := f.Readdir(-1)
	if err = errors.Join(err, f.Close()); err != nil {
		return nil, err
	}
	out := make([]Entry, 0, len(infos))
	for _, i := range infos {
		out = append(out, Entry{i.Name(), i.IsDir(), i.Size()})
	}
	// sort.Slice sorts all types by the same code; slices.SortFunc is 9 KB more of the robot's program for each.
	sort.Slice(out, func(i, j int) bool { return out[i].Name < out[j].Name })
	return out, nil
}

// SyncDir implements [FS].
func (d *Dir) SyncDir(name string) error {
	f, err := d.root.Open(name)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// Free implements [FS].
func (d *Dir) Free() (int64, error) {
	f, err := d.root.Open(".")
	if err != nil {
		return 0, err
	}
	var s unix.Statfs_t
	err = unix.Fstatfs(int(f.Fd()), &s)
	return int64(s.Bavail) * s.Bsize, errors.Join(err, f.Close()) //nolint:gosec // no disk has 2^63 bytes
}
