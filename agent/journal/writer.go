package journal

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"syscall"
	"time"
)

const (
	batchBytes = 128 << 10
	minBackoff = 50 * time.Millisecond
	maxBackoff = 5 * time.Second
)

// mark is a point of the log that the writer can go back to.
type mark struct {
	pos     uint64        // ring position of the next record
	next    uint64        // its sequence number, if none is lost
	boot    time.Duration // boot clock of the record before
	sum     Digest        // chain value before it
	size    int64         // offset in the segment
	records uint64        // records in the segment
	closed  bool          // the close record is written
}

// writer is what only the goroutine in Run, and after it the one in Close, touches.
type writer struct {
	l   *Log
	c   *chain
	buf []byte

	f          File // current segment, nil when there is none
	path       string
	logID      [16]byte
	index      uint64 // number of the last segment made
	kept       []segmentRef
	others     int64 // bytes of everything else in the directory, when it was listed last
	relist     int   // new segments until that is done again; 0 at first
	session    bool  // the next segment is the first of this Open
	afterFault bool  // the next segment replaces the undurable end of the last
	closing    bool  // write the close record when the ring is empty

	cur, done mark // written, durable
	urgent    bool // an urgent record is written and not synced
	lastSync  time.Time
	retryAt   time.Time
	backoff   time.Duration

	repairs  []repair
	notes    []Recovered
	salvaged uint64 // the lowest number that no record set aside can have
}

// segmentRef is a segment that is still there.
type segmentRef struct {
	index, firstSeq uint64
	bytes           int64 // on the disk, in whole blocks
}

// waiting tells whether the writer is between two tries at a failing disk.
func (w *writer) waiting() bool { return w.backoff != 0 && time.Now().Before(w.retryAt) }

// attempt does one round of work, reports success or failure and returns how
// long to wait until the next.
func (w *writer) attempt(force bool) time.Duration {
	if err := w.step(force); err != nil {
		w.backoff = min(max(2*w.backoff, minBackoff), maxBackoff)
		w.retryAt = time.Now().Add(w.backoff)
		w.report(err)
		return w.backoff
	}
	w.backoff = 0
	if w.l.failure.Swap(nil) != nil {
		w.l.o.Log.Info().Str("dir", w.l.dir).Uint64("lost", w.l.lost.Load()).Msg("journal writes again")
	}
	return w.l.o.WriteEvery
}

// report publishes a failure and tells it once.
func (w *writer) report(err error) {
	err = fmt.Errorf("journal: %w", err)
	old := w.l.failure.Swap(&err)
	if old != nil && (*old).Error() == err.Error() {
		return
	}
	w.l.o.Log.Error().Err(err).Str("dir", w.l.dir).Msg("journal cannot write, records wait in memory")
	if w.l.o.OnError != nil {
		w.l.o.OnError(err)
	}
}

// step repairs what is left to repair, makes sure there is a segment, and
// writes and syncs what is due.
func (w *writer) step(force bool) error {
	if err := w.repair(); err != nil {
		return err
	}
	for {
		if w.f == nil {
			if err := w.openSegment(); err != nil {
				return err
			}
		}
		tip, urgent, full := w.fill()
		w.urgent = w.urgent || urgent
		if len(w.buf) > 0 {
			if err := w.write(tip); err != nil {
				return err
			}
		}
		if full {
			if err := w.rotate(); err != nil {
				return err
			}
			continue
		}
		if err := w.syncIfDue(force); err != nil {
			return err
		}
		if len(w.buf) == 0 {
			return nil
		}
	}
}

// fill frames records from the ring into the buffer. full means that the next
// one needs a new segment.
func (w *writer) fill() (tip mark, urgent, full bool) {
	w.buf = w.buf[:0]
	tip = w.cur
	r := w.l.ring
	for len(w.buf) < batchBytes {
		e, ok := r.peek(tip.pos)
		if !ok {
			full = w.fillEnd(&tip)
			break
		}
		if e.seq > tip.next {
			if !w.fits(tip, gapLen) {
				full = true
				break
			}
			w.gap(&tip, e.seq, e.boot)
			continue
		}
		if !w.fits(tip, e.size) {
			full = true
			break
		}
		start := len(w.buf)
		w.buf, tip.pos = r.appendTo(w.buf, tip.pos, e.size)
		tip.boot = e.boot
		w.seal(&tip, start, e.seq+1)
		urgent = urgent || e.flags&flagUrgent != 0
	}
	return tip, urgent, full
}

// fillEnd writes what comes after the last record in the ring: losses that no
// accepted record has followed yet, and the close record.
func (w *writer) fillEnd(tip *mark) (full bool) {
	count, pos := w.l.ring.tail()
	if pos != tip.pos {
		return false // an appender is in the middle of its copy
	}
	if end := w.l.base + count; end > tip.next {
		if !w.fits(*tip, gapLen) {
			return true
		}
		w.gap(tip, end, w.l.o.Clock())
	}
	if !w.closing || tip.closed {
		return false
	}
	if !w.fits(*tip, 8) {
		return true
	}
	start := len(w.buf)
	w.buf = appendRecordHead(w.buf, KindClose, flagUrgent, 8, tip.next, w.l.o.Clock())
	w.buf = binary.LittleEndian.AppendUint64(w.buf, w.l.lost.Load())
	w.seal(tip, start, tip.next+1)
	tip.closed = true
	return false
}

// gap writes that the records before end are lost.
func (w *writer) gap(tip *mark, end uint64, before time.Duration) {
	start := len(w.buf)
	w.buf = appendRecordHead(w.buf, KindGap, 0, gapLen, tip.next, w.l.o.Clock())
	w.buf = Gap{Count: end - tip.next, After: tip.boot, Before: before}.append(w.buf)
	w.seal(tip, start, end)
}

// seal ends the record that starts at buf[start:].
func (w *writer) seal(tip *mark, start int, next uint64) {
	w.buf, tip.sum = w.c.seal(w.buf, start, &tip.sum)
	tip.next = next
	tip.records++
}

// fits tells whether a record and the trailer still fit into the segment.
func (w *writer) fits(tip mark, payload int) bool {
	end := tip.size + int64(len(w.buf)) + recordHead + int64(payload) + sealLen + trailerLen
	return end <= w.l.o.SegmentBytes
}

// write puts the buffer at the end of the segment. A full disk leaves the
// segment in use; any other failure makes it suspect.
func (w *writer) write(tip mark) error {
	err := writeAt(w.f, w.buf, w.cur.size)
	if err == nil {
		tip.size += int64(len(w.buf))
		w.cur = tip
		return nil
	}
	err = fmt.Errorf("write %s: %w", w.path, err)
	if !isFull(err) {
		w.abandon()
		return err
	}
	// What is written already can still be made durable. Half a record must not
	// stay behind the end; if cutting it fails as well, the next write covers it.
	return errors.Join(err, w.f.Truncate(w.cur.size), w.syncIfDue(true))
}

// writeAt writes all of b or fails.
func writeAt(f File, b []byte, off int64) error {
	n, err := f.WriteAt(b, off)
	if err == nil && n < len(b) {
		err = io.ErrShortWrite
	}
	return err
}

// isFull tells whether the error goes away when somebody frees space.
func isFull(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) || errors.Is(err, io.ErrShortWrite)
}

// syncIfDue syncs when something is written and it is urgent, old, or holds up the ring.
func (w *writer) syncIfDue(force bool) error {
	if w.f == nil || w.cur.size == w.done.size {
		return nil
	}
	held := (w.cur.pos - w.done.pos) & posMask
	if !force && !w.urgent && held < w.l.ring.granules/4 && time.Since(w.lastSync) < w.l.o.SyncEvery {
		return nil
	}
	return w.sync()
}

// sync makes what is written durable and frees its room in the ring. After a
// failed sync nobody knows what is on the disk: the segment is given up from
// the last durable record on, and the rest is written again elsewhere.
func (w *writer) sync() error {
	if err := w.f.Sync(); err != nil {
		w.abandon()
		return fmt.Errorf("sync %s: %w", w.path, err)
	}
	w.lastSync = time.Now()
	w.urgent = false
	w.done = w.cur
	w.l.ring.release(w.done.pos)
	w.l.advance(w.done.next-1, w.done.sum, false)
	return nil
}

// abandon gives up the segment from the last durable record on.
func (w *writer) abandon() {
	// Best effort: the next segment's header says where this one ends for
	// whoever still finds the bytes.
	_ = w.f.Truncate(w.done.size)
	_ = w.f.Close()
	w.f = nil
	w.cur = w.done
	w.afterFault = true
}

// rotate seals the segment and opens the next.
func (w *writer) rotate() error {
	tip := w.cur
	w.buf, tip.sum = appendTrailer(w.buf[:0], w.c, &tip.sum, w.index, tip.next, tip.records)
	if err := w.write(tip); err != nil {
		return err
	}
	if err := w.sync(); err != nil {
		return err
	}
	w.kept[len(w.kept)-1].bytes = blocks(w.cur.size)
	err := w.f.Close()
	w.f = nil
	if err != nil {
		// Everything in it was synced; the failure is told, nothing is lost.
		w.report(fmt.Errorf("close %s: %w", w.path, err))
	}
	return nil
}

// finish writes everything and the close record, trying until ctx ends.
func (w *writer) finish(ctx context.Context) error {
	w.closing = true
	var failed error
	for !w.done.closed && failed == nil {
		wait := w.attempt(true)
		if w.done.closed {
			break
		}
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			count, _ := w.l.ring.tail()
			failed = fmt.Errorf("journal: close: %d records not written: %w", w.l.base+count-w.done.next, w.l.because(ctx))
		}
	}
	if w.f == nil {
		return failed
	}
	return errors.Join(failed, w.f.Close())
}

// join is the path of a file in the journal's directory.
func (w *writer) join(name string) string { return filepath.Join(w.l.dir, name) }
