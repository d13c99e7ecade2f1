package journal

import (
	"errors"
	"fmt"
	"io"
	"os"
)

// repair does what recovery planned. It stops at the first failure and goes on
// there the next time.
func (w *writer) repair() error {
	for len(w.repairs) > 0 {
		if err := w.fix(&w.repairs[0]); err != nil {
			return fmt.Errorf("repair %s: %w", w.join(w.repairs[0].from), err)
		}
		w.repairs = w.repairs[1:]
	}
	return nil
}

// fix does one repair. Doing it twice does no harm: a crash may come between.
func (w *writer) fix(r *repair) error {
	fsys, path := w.l.o.FS, w.join(r.from)
	var err error
	switch {
	case r.remove:
		err = fsys.Remove(path)
	case r.cut == 0:
		err = fsys.Rename(path, w.join(r.aside))
	default:
		return w.cutTail(r, path)
	}
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return fsys.SyncDir(w.l.dir)
}

// cutTail copies what is damaged to its own file, cuts the segment to its
// valid part and makes that durable.
//
// The process before may have been killed between write and sync, or after a
// sync that failed. In the second case the system may call pages clean that
// never reached the disk, so a sync alone would prove nothing: the same bytes
// are written again first.
func (w *writer) cutTail(r *repair, path string) error {
	f, err := w.l.o.FS.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }() // nothing is left to be written then
	size, err := f.Size()
	if err != nil {
		return err
	}
	if r.aside != "" && size > r.cut {
		keep := min(size-r.cut, w.l.o.QuotaBytes/evidenceShare)
		if err := w.copyTo(f, r.cut, keep, r.aside); err != nil {
			return err
		}
	}
	if size > r.cut {
		if err := f.Truncate(r.cut); err != nil {
			return err
		}
	}
	if _, err := io.Copy(io.NewOffsetWriter(f, 0), io.NewSectionReader(f, 0, r.cut)); err != nil {
		return err
	}
	return f.Sync()
}

// copyTo makes a durable file of n bytes of f from off on, complete or not at all.
func (w *writer) copyTo(f File, off, n int64, name string) error {
	fsys, scratch := w.l.o.FS, w.join(name+scratchSuffix)
	out, err := fsys.OpenFile(scratch, os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(io.NewOffsetWriter(out, 0), io.NewSectionReader(f, off, n))
	if err == nil {
		err = out.Sync()
	}
	if err = errors.Join(err, out.Close()); err != nil {
		return errors.Join(err, fsys.Remove(scratch))
	}
	if err := fsys.Rename(scratch, w.join(name)); err != nil {
		return err
	}
	return fsys.SyncDir(w.l.dir)
}
