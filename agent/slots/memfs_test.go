package slots_test

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"math/rand/v2"
	"path"
	"slices"
	"strings"

	"github.com/robowarden/robowarden/agent/slots"
	"github.com/robowarden/robowarden/attest/artifact"
)

// errCut is what every operation returns once the power is gone.
var errCut = errors.New("the power is gone")

// node is a file, a folder or a link. What a power cut leaves of a file is what was synchronised, and any part of the rest.
type node struct {
	dir     bool
	link    string
	data    []byte
	durable []byte
	// verity is true for a file that the kernel keeps.
	verity bool
}

// change is a name that is not durable yet: the folder whose synchronisation makes it so, and what it does.
type change struct {
	dir string
	do  func(map[string]*node)
}

// disk is a disk that fails. Names become durable when their folder is synchronised, in the order in which they were
// changed; content when the file is.
type disk struct {
	names   map[string]*node // What the running system sees.
	durable map[string]*node // The names that a power cut leaves.
	pending []change
	ops     int // Operations so far that change something.
	cut     int // The operation during which the power goes; 0 for never.
	dead    bool
	room    int64 // Bytes in all; 0 for without end.
	fail    error // What every write returns instead of writing.
	lies    bool  // Synchronising a file returns and does nothing.
	plain   bool  // There is no fs-verity.
	rots    bool  // What the kernel keeps is not what was written.
}

func newDisk() *disk { return &disk{names: map[string]*node{}, durable: map[string]*node{}} }

// step counts an operation and says whether the power goes during it.
func (d *disk) step() error {
	if d.dead {
		return errCut
	}
	d.ops++
	if d.ops == d.cut {
		d.dead = true
		return errCut
	}
	return nil
}

func (d *disk) rename(dir string, do func(map[string]*node)) {
	do(d.names)
	d.pending = append(d.pending, change{dir, do})
}

// after is the disk once the power is back: of what was not synchronised, any part has reached it.
func (d *disk) after(r *rand.Rand) *disk {
	next := newDisk()
	next.room, next.plain = d.room, d.plain
	// Names: those of each folder survive in order, up to a point that chance chooses.
	keep := map[string]int{}
	for _, c := range d.pending {
		keep[c.dir]++
	}
	for _, dir := range slices.Sorted(maps.Keys(keep)) {
		keep[dir] = r.IntN(keep[dir] + 1)
	}
	for _, c := range d.pending {
		if keep[c.dir] > 0 {
			keep[c.dir]--
			c.do(d.durable)
		}
	}
	for name, n := range d.durable {
		if !d.reached(name) {
			continue
		}
		copied := *n
		if !n.dir && n.link == "" {
			copied.data = bytes.Clone(n.durable)
			if more := len(n.data) - len(n.durable); more > 0 {
				copied.data = append(copied.data, n.data[len(n.durable):len(n.durable)+r.IntN(more+1)]...)
			}
			copied.durable = bytes.Clone(copied.data)
			copied.verity = n.verity && r.IntN(2) == 0
		}
		next.names[name], next.durable[name] = &copied, &copied
	}
	return next
}

// reached says whether every folder above a name is durable; else the name never came to be, or is gone with its folder.
func (d *disk) reached(name string) bool {
	for p := path.Dir(name); p != "."; p = path.Dir(p) {
		if d.durable[p] == nil || !d.durable[p].dir {
			return false
		}
	}
	return true
}

// used is how many bytes all files hold.
func (d *disk) used() (n int64) {
	for _, f := range d.names {
		n += int64(len(f.data))
	}
	return n
}

type writer struct {
	d *disk
	n *node
}

func (w *writer) Write(b []byte) (int, error) {
	if err := w.d.step(); err != nil {
		w.n.data = append(w.n.data, b[:len(b)/2]...) // A torn write.
		return 0, err
	}
	if w.d.fail != nil {
		return 0, w.d.fail
	}
	if w.d.room > 0 && w.d.used()+int64(len(b)) > w.d.room {
		return 0, errors.New("no space left on device")
	}
	w.n.data = append(w.n.data, b...)
	return len(b), nil
}

func (w *writer) Sync() error {
	if err := w.d.step(); err != nil {
		return err
	}
	if !w.d.lies {
		w.n.durable = bytes.Clone(w.n.data)
	}
	return nil
}

func (w *writer) Close() error { return nil }

func (d *disk) parent(name string) error {
	if p := path.Dir(name); p != "." && (d.names[p] == nil || !d.names[p].dir) {
		return fs.ErrNotExist
	}
	return nil
}

func (d *disk) Create(name string) (slots.File, error) {
	if err := errors.Join(d.step(), d.parent(name)); err != nil {
		return nil, err
	}
	if d.names[name] != nil {
		return nil, fs.ErrExist
	}
	n := &node{}
	d.rename(path.Dir(name), func(m map[string]*node) { m[name] = n })
	return &writer{d, n}, nil
}

func (d *disk) Open(name string) (io.ReadCloser, error) {
	n := d.names[name]
	if d.dead || n == nil || n.dir || n.link != "" {
		return nil, fs.ErrNotExist
	}
	return io.NopCloser(bytes.NewReader(n.data)), nil
}

func (d *disk) Mkdir(name string) error {
	if err := errors.Join(d.step(), d.parent(name)); err != nil {
		return err
	}
	if n := d.names[name]; n != nil && n.dir {
		return nil
	}
	n := &node{dir: true}
	d.rename(path.Dir(name), func(m map[string]*node) { m[name] = n })
	return nil
}

func (d *disk) Rename(from, to string) error {
	if err := d.step(); err != nil {
		return err
	}
	n := d.names[from]
	if n == nil {
		return fs.ErrNotExist
	}
	d.rename(path.Dir(to), func(m map[string]*node) { m[to] = n; delete(m, from) })
	return nil
}

func (d *disk) Remove(name string) error {
	if d.names[name] == nil {
		return fs.ErrNotExist
	}
	if err := d.step(); err != nil {
		return err
	}
	for below := range d.names {
		if strings.HasPrefix(below, name+"/") {
			return errors.New("directory not empty")
		}
	}
	d.rename(path.Dir(name), func(m map[string]*node) { delete(m, name) })
	return nil
}

func (d *disk) Symlink(target, name string) error {
	if err := d.step(); err != nil {
		return err
	}
	n := &node{link: target}
	d.rename(path.Dir(name), func(m map[string]*node) { m[name] = n })
	return nil
}

func (d *disk) Readlink(name string) (string, error) {
	if n := d.names[name]; n != nil && n.link != "" {
		return n.link, nil
	}
	return "", fs.ErrNotExist
}

func (d *disk) List(name string) ([]slots.Entry, error) {
	if n := d.names[name]; d.dead || (name != "." && (n == nil || !n.dir)) {
		return nil, fs.ErrNotExist
	}
	var out []slots.Entry
	for p, n := range d.names {
		if path.Dir(p) == name {
			out = append(out, slots.Entry{Name: path.Base(p), Dir: n.dir, Size: int64(len(n.data))})
		}
	}
	slices.SortFunc(out, func(a, b slots.Entry) int { return strings.Compare(a.Name, b.Name) })
	return out, nil
}

func (d *disk) SyncDir(name string) error {
	if err := d.step(); err != nil {
		return err
	}
	d.pending = slices.DeleteFunc(d.pending, func(c change) bool {
		if c.dir == name {
			c.do(d.durable)
		}
		return c.dir == name
	})
	return nil
}

func (d *disk) Free() (int64, error) {
	if d.room == 0 {
		return 1 << 40, nil
	}
	return d.room - d.used(), nil
}

// EnableVerity behaves as ext4 does: the file must be durable for its digest to be, and stays as it is from then on.
func (d *disk) EnableVerity(name string) error {
	n := d.names[name]
	if err := d.step(); err != nil {
		return err
	}
	switch {
	case n == nil || n.dir || n.link != "":
		return fs.ErrNotExist
	case d.plain:
		return fmt.Errorf("%w: operation not supported", slots.ErrNoVerity)
	}
	n.verity, n.durable = true, bytes.Clone(n.data)
	if d.rots {
		n.data = append(n.data, 'x')
	}
	return nil
}

func (d *disk) MeasureVerity(name string) (sum [sha256.Size]byte, err error) {
	n := d.names[name]
	switch {
	case d.dead || n == nil || n.dir || n.link != "":
		return sum, fs.ErrNotExist
	case !n.verity:
		return sum, fmt.Errorf("%w: no data available", slots.ErrNoVerity)
	}
	var v artifact.Verity
	_, _ = v.Write(n.data)
	return v.Sum(), nil
}
