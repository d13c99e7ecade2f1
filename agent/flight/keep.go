package flight

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/robowarden/robowarden/agent/config"
)

// Ends of names: a whole recording, one being written, and one that was cut, by a kill, by its size or because the journal did
// not have all of it. A cut one is read up to where it is cut.
const (
	whole    = ".mcap"
	partial  = ".mcap.part"
	cutShort = ".cut.mcap"
)

// file is one recording of one kind.
type file struct {
	path, base string
	kind       *config.RecordedKind
	root       string
	f          *os.File
	buf        *bufio.Writer
	w          *writer
	max        int64
	full       bool
	failed     error
}

// newFile makes room and begins a file. An error is kept for close: the other kinds' files go on.
func newFile(folder, name string, k *config.RecordedKind, meta map[string]string) *file {
	f := &file{base: filepath.Join(folder, name), kind: k, root: filepath.Dir(folder), max: int64(k.MiB) << 20 / shareOfKind}
	f.path = f.base + partial
	f.failed = os.MkdirAll(folder, 0o700)
	if f.failed == nil {
		f.failed = prune(f.root, k, f.max)
	}
	if f.failed == nil {
		f.f, f.failed = os.OpenFile(f.path, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	}
	if f.failed != nil {
		f.full = true
		return f
	}
	f.buf = bufio.NewWriterSize(f.f, 16<<10)
	f.w = newWriter(f.buf, meta)
	return f
}

// close makes the file whole and durable under its name. What could not be written is removed: a full disk gets its room back.
func (f *file) close(cut bool) error {
	if f.failed != nil {
		return f.wrap(f.failed)
	}
	if err := errors.Join(f.w.finish(), f.buf.Flush(), f.f.Sync(), f.f.Close()); err != nil {
		return f.wrap(errors.Join(err, os.Remove(f.path)))
	}
	part := f.path
	if f.path = f.base + whole; cut || f.full {
		f.path = f.base + cutShort
	}
	if err := os.Rename(part, f.path); err != nil {
		return f.wrap(err)
	}
	d, err := os.Open(filepath.Dir(f.path))
	if err != nil {
		return f.wrap(err)
	}
	return errors.Join(d.Sync(), d.Close(), prune(f.root, f.kind, 0))
}

func (f *file) wrap(err error) error {
	return fmt.Errorf("flight recording %s: %w", f.base, err)
}

// prune removes the oldest recordings of a kind, in whichever folder they lie, until age, count and size are within bounds and
// room bytes are free of them.
func prune(root string, k *config.RecordedKind, room int64) error {
	folders, err := os.ReadDir(root)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	var names []string // by time, since they begin with it
	where := map[string]string{}
	for _, d := range folders {
		entries, err := os.ReadDir(filepath.Join(root, d.Name()))
		if err != nil {
			continue // no folder of ours
		}
		for _, e := range entries {
			if n := e.Name(); strings.HasSuffix(n, "-"+k.Kind+whole) || strings.HasSuffix(n, "-"+k.Kind+cutShort) {
				names = append(names, n+"/"+d.Name())
				where[n+"/"+d.Name()] = filepath.Join(root, d.Name(), n)
			}
		}
	}
	slices.Sort(names)
	files, bytes, oldest := k.Files, int64(k.MiB)<<20, time.Now().Add(-k.Keep)
	if room > 0 {
		files--
	}
	var errs []error
	for _, n := range slices.Backward(names) {
		info, err := os.Stat(where[n])
		if err != nil {
			errs = append(errs, err)
			continue
		}
		if info.ModTime().After(oldest) {
			room += info.Size()
			files--
			if files >= 0 && room <= bytes {
				continue
			}
		}
		errs = append(errs, os.Remove(where[n]))
	}
	return errors.Join(errs...)
}
