package journal

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
	"io"
	"io/fs"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"syscall"
)

const sector = 512

// memFS is a disk with a cache that can lose power. What was not synced is
// lost in arbitrary parts: any sectors of any writes, and any directory
// changes after the last synced one.
type memFS struct {
	mu     sync.Mutex
	names  map[string]*inode // as programs see them
	disk   map[string]*inode // as they are after a power cut now
	moves  []func(map[string]*inode)
	locked bool
	dead   bool // the machine is off

	ops   int
	fault func(op, path string, n int) error // n counts changes of the disk; nil is success
}

// inode is one file.
type inode struct {
	data    []byte // as programs see it
	synced  []byte // on the disk for certain
	pending []change
}

// change is a write or a cut on its way to the disk. Without r it arrives whole.
type change func(b []byte, r *rand.Rand) []byte

func newMemFS() *memFS {
	return &memFS{names: map[string]*inode{}, disk: map[string]*inode{}}
}

// fail sets what fails from now on and returns the number of changes so far.
func (m *memFS) fail(fault func(op, path string, n int) error) int {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.fault = fault
	return m.ops
}

// try counts a change of the disk and asks whether it fails.
func (m *memFS) try(op, path string) error {
	if m.dead {
		return &fs.PathError{Op: op, Path: path, Err: syscall.EIO}
	}
	n := m.ops
	m.ops++
	if m.fault == nil {
		return nil
	}
	if err := m.fault(op, path, n); err != nil {
		return &fs.PathError{Op: op, Path: path, Err: err}
	}
	return nil
}

// move changes the names now, and on the disk with the next SyncDir.
func (m *memFS) move(fn func(map[string]*inode)) {
	fn(m.names)
	m.moves = append(m.moves, fn)
}

func (m *memFS) OpenFile(path string, flag int, _ fs.FileMode) (File, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	n := m.names[path]
	if n == nil || flag&os.O_TRUNC != 0 {
		if n == nil && flag&os.O_CREATE == 0 {
			return nil, &fs.PathError{Op: "open", Path: path, Err: fs.ErrNotExist}
		}
		if err := m.try("create", path); err != nil {
			return nil, err
		}
	}
	switch {
	case n == nil:
		n = &inode{}
		m.move(func(names map[string]*inode) { names[path] = n })
	case flag&os.O_TRUNC != 0:
		n.truncate(0)
	}
	return &memFile{m, n, path, flag&(os.O_RDWR|os.O_WRONLY) != 0}, nil
}

func (m *memFS) List(dir string) ([]FileInfo, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var list []FileInfo
	for path, n := range m.names {
		if filepath.Dir(path) == dir {
			list = append(list, FileInfo{Name: filepath.Base(path), Size: int64(len(n.data)), Regular: true})
		}
	}
	return list, nil
}

func (m *memFS) MkdirAll(string, fs.FileMode) error { return nil }

func (m *memFS) Rename(from, to string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.try("rename", from); err != nil {
		return err
	}
	if m.names[from] == nil {
		return &fs.PathError{Op: "rename", Path: from, Err: fs.ErrNotExist}
	}
	m.move(func(names map[string]*inode) {
		names[to] = names[from]
		delete(names, from)
	})
	return nil
}

func (m *memFS) Remove(path string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.try("remove", path); err != nil {
		return err
	}
	if m.names[path] == nil {
		return &fs.PathError{Op: "remove", Path: path, Err: fs.ErrNotExist}
	}
	m.move(func(names map[string]*inode) { delete(names, path) })
	return nil
}

func (m *memFS) SyncDir(dir string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.try("syncdir", dir); err != nil {
		return err
	}
	for _, fn := range m.moves {
		fn(m.disk)
	}
	m.moves = nil
	return nil
}

func (m *memFS) Lock(string) (func() error, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.locked {
		return nil, ErrLocked
	}
	m.locked = true
	return func() error {
		m.mu.Lock()
		defer m.mu.Unlock()
		m.locked = false
		return nil
	}, nil
}

// powerCut returns the disk as it may look when the machine comes back.
func (m *memFS) powerCut(r *rand.Rand) *memFS {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.dead = true
	back := newMemFS()
	for _, fn := range m.moves[:r.IntN(len(m.moves)+1)] {
		fn(m.disk)
	}
	// The order of the files must not depend on the map, or a seed would not repeat.
	for _, path := range slices.Sorted(maps.Keys(m.disk)) {
		n := m.disk[path]
		if n == nil {
			continue // renamed before it reached the disk
		}
		data := slices.Clone(n.synced)
		for _, fn := range n.pending {
			data = fn(data, r)
		}
		back.names[path] = &inode{data: data, synced: slices.Clone(data)}
	}
	back.disk = maps.Clone(back.names)
	return back
}

// killed returns the disk as the next process sees it when only this one dies.
func (m *memFS) killed() *memFS {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.dead = true
	return &memFS{names: maps.Clone(m.names), disk: maps.Clone(m.disk), moves: slices.Clone(m.moves)}
}

// truncate cuts the file now and perhaps on the disk.
func (n *inode) truncate(size int) {
	cut := func(b []byte) []byte {
		if len(b) > size {
			return b[:size]
		}
		return append(b, make([]byte, size-len(b))...)
	}
	n.data = cut(slices.Clone(n.data))
	n.pending = append(n.pending, func(b []byte, r *rand.Rand) []byte {
		if r != nil && r.IntN(2) == 0 {
			return b
		}
		return cut(b)
	})
}

// write changes the file now, and any of its sectors on the disk.
func (n *inode) write(p []byte, off int) {
	p = slices.Clone(p)
	put := func(b []byte, from, to int) []byte {
		if len(b) < off+to {
			b = append(b, make([]byte, off+to-len(b))...)
		}
		copy(b[off+from:], p[from:to])
		return b
	}
	n.data = put(n.data, 0, len(p))
	n.pending = append(n.pending, func(b []byte, r *rand.Rand) []byte {
		if r == nil {
			return put(b, 0, len(p))
		}
		if r.IntN(3) == 0 {
			return put(b, 0, r.IntN(len(p)+1))
		}
		for from := 0; from < len(p); from += sector {
			if r.IntN(3) != 0 {
				b = put(b, from, min(from+sector, len(p)))
			}
		}
		return b
	})
}

// memFile is an open file of a memFS.
type memFile struct {
	m        *memFS
	n        *inode
	path     string
	writable bool
}

func (f *memFile) ReadAt(p []byte, off int64) (int, error) {
	f.m.mu.Lock()
	defer f.m.mu.Unlock()
	if off >= int64(len(f.n.data)) {
		return 0, io.EOF
	}
	n := copy(p, f.n.data[off:])
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

// errShort makes a write store a part and report no error.
var errShort = errors.New("short")

func (f *memFile) WriteAt(p []byte, off int64) (int, error) {
	f.m.mu.Lock()
	defer f.m.mu.Unlock()
	if !f.writable {
		return 0, &fs.PathError{Op: "write", Path: f.path, Err: syscall.EBADF}
	}
	err := f.m.try("write", f.path)
	if err == nil {
		f.n.write(p, int(off))
		return len(p), nil
	}
	part := len(p) / 2
	f.n.write(p[:part], int(off))
	if errors.Is(err, errShort) {
		return part, nil
	}
	return part, err
}

func (f *memFile) Truncate(size int64) error {
	f.m.mu.Lock()
	defer f.m.mu.Unlock()
	if err := f.m.try("truncate", f.path); err != nil {
		return err
	}
	f.n.truncate(int(size))
	return nil
}

// Sync that fails drops what was pending, as Linux does: programs still see
// it, the disk never will, and the next Sync says that all is well.
func (f *memFile) Sync() error {
	f.m.mu.Lock()
	defer f.m.mu.Unlock()
	err := f.m.try("sync", f.path)
	if err == nil {
		for _, fn := range f.n.pending {
			f.n.synced = fn(f.n.synced, nil)
		}
	}
	f.n.pending = nil
	return err
}

func (f *memFile) Size() (int64, error) {
	f.m.mu.Lock()
	defer f.m.mu.Unlock()
	return int64(len(f.n.data)), nil
}

func (f *memFile) Close() error { return nil }

// crcOf is the checksum that ends a structure.
func crcOf(b []byte) [4]byte {
	var sum [4]byte
	binary.LittleEndian.PutUint32(sum[:], crc32.Checksum(b, castagnoli))
	return sum
}

// verify is Verify on another file system, and without waiting.
func verify(fsys FS, known []Checkpoint) (Report, error) {
	r, err := openDir(fsys, "j")
	if err != nil {
		return Report{}, err
	}
	return r.verify(known), nil
}
