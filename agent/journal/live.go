package journal

import (
	"os"
	"path/filepath"
	"slices"
	"time"
)

// patience is how long a reader waits for a writer to finish what it seems to
// be in the middle of, before it calls it damage.
const patience = 500 * time.Millisecond

// grown tells whether the last segment has become longer since it was looked
// at, so that what seemed wrong may only have been unfinished.
func (r *Reader) grown() bool {
	if !r.last || r.f == nil {
		return false
	}
	size, err := r.f.Size()
	if err != nil || size <= r.s.w.size {
		return false
	}
	r.s.w.size = size
	r.s.w.forget()
	return true
}

// overtaken goes on when the oldest segment was removed before it could be
// opened. The quota removes the oldest first, so it was still there a moment ago.
func (r *Reader) overtaken() bool {
	r.begun, r.partial = false, true
	r.report.Segments--
	if len(r.heads) == 0 && r.relists > 0 {
		r.relists--
		if r.pending = r.list(); r.pending != nil {
			return false
		}
	}
	return r.openNext()
}

// oldestNow returns the oldest segment that must be there by what the newest
// header says now: the writer may have trimmed while the log was read.
func (r *Reader) oldestNow() uint64 {
	files, err := r.fsys.List(r.dir)
	if err != nil {
		return 0
	}
	heads := readHeads(r.fsys, r.dir, files)
	for _, h := range slices.Backward(heads) {
		if h.failed == nil && h.seg.LogID == r.logID {
			return h.seg.OldestIndex
		}
	}
	return 0
}

// awaitHeader gives the writer time to write the header of the last segment.
func (r *Reader) awaitHeader() {
	if r.last && r.s.w.size < headerLen {
		r.await(func() bool { return r.grown() && r.s.w.size >= headerLen })
	}
}

// await waits until done, or until the patience is used up. Success costs
// patience too, or a busy writer could keep a reader at the same damage for ever.
func (r *Reader) await(done func() bool) bool {
	const step = 5 * time.Millisecond
	for r.patience >= 0 {
		r.patience -= step
		if done() {
			return true
		}
		if r.patience >= 0 {
			time.Sleep(step)
		}
	}
	return false
}

// exists tells whether a segment is there by now.
func (r *Reader) exists(index uint64) bool {
	f, err := r.fsys.OpenFile(filepath.Join(r.dir, segmentName(index)), os.O_RDONLY, 0)
	if err != nil {
		return false
	}
	_ = f.Close()
	return true
}
