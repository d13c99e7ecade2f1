package journal

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"time"
)

// FromEnd as [FollowOptions.From] starts behind what is there already.
const FromEnd = math.MaxUint64

// FollowOptions says where to start and how often to look.
type FollowOptions struct {
	// From is the first sequence number wanted; 0 means the oldest there is.
	From uint64
	// Poll is how often to look for more.
	Poll time.Duration
}

// Follow calls fn for the records of a log that another process may be
// writing, and for new ones as they come, over rotations and restarts of the
// writer, until ctx ends or fn fails. A record may be seen before it is durable.
//
// After damage Follow returns an [*Error]. CodeMissing means that the quota
// removed segments before they could be read; the caller may start again with
// From 0.
func Follow(ctx context.Context, dir string, o FollowOptions, fn func(*Record) error) error {
	return follow(ctx, OS(), dir, o, fn)
}

func follow(ctx context.Context, fsys FS, dir string, o FollowOptions, fn func(*Record) error) error {
	if o.Poll <= 0 {
		return fmt.Errorf("journal: follow: Poll: expected a positive duration, found %v", o.Poll)
	}
	fw := &follower{fsys: fsys, dir: dir, next: o.From, fn: fn}
	defer fw.close()
	tick := time.NewTicker(o.Poll)
	defer tick.Stop()
	for {
		if err := fw.drain(); err != nil {
			return err
		}
		if fw.next == FromEnd {
			fw.next = 0 // there was nothing, so everything is new
			if fw.s != nil {
				fw.next = fw.s.next
			}
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-tick.C:
		}
	}
}

// follower walks behind the writer.
type follower struct {
	fsys FS
	dir  string
	next uint64 // first number not yet delivered
	fn   func(*Record) error
	s    *scanner
	f    File
	seen int64 // where the segment stopped when its successor was there already
}

func (fw *follower) close() {
	if fw.f != nil {
		_ = fw.f.Close()
	}
}

// drain delivers everything that is there.
func (fw *follower) drain() error {
	if fw.s == nil {
		if err := fw.start(); err != nil || fw.s == nil {
			return err
		}
	}
	var rec Record
	for {
		err := fw.s.step(&rec)
		if err == nil {
			if last := rec.LastSeq(); last >= fw.next {
				fw.next = last + 1
				if err := fw.fn(&rec); err != nil {
					return err
				}
			}
			continue
		}
		if more, failed := fw.advance(err); failed != nil || !more {
			return failed
		}
	}
}

// start opens the last segment that begins at or before the first wanted
// record, or the oldest.
func (fw *follower) start() error {
	files, err := fw.fsys.List(fw.dir)
	if err != nil {
		return fmt.Errorf("journal: %w", err)
	}
	heads := readHeads(fw.fsys, fw.dir, files)
	best := -1
	for i, h := range heads {
		if h.failed == nil && (best < 0 || h.seg.FirstSeq <= fw.next) {
			best = i
		}
	}
	if best < 0 {
		return nil // nothing there yet
	}
	_, err = fw.open(heads[best].index)
	return err
}

// open goes to segment index. It returns false while the segment is not there
// or has no header yet.
func (fw *follower) open(index uint64) (bool, error) {
	path := filepath.Join(fw.dir, segmentName(index))
	f, err := fw.fsys.OpenFile(path, os.O_RDONLY, 0)
	if errors.Is(err, os.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, &Error{Code: CodeFile, File: path, Err: err}
	}
	size, err := f.Size()
	if err != nil {
		return false, errors.Join(&Error{Code: CodeFile, File: path, Err: err}, f.Close())
	}
	s := newScanner(path, f, size)
	if failed := s.header(); failed != nil {
		if failed.Code == CodeTorn {
			return false, f.Close()
		}
		return false, errors.Join(failed, f.Close())
	}
	if fw.s != nil {
		if failed := fw.check(s); failed != nil {
			return false, errors.Join(failed, f.Close())
		}
	}
	fw.close()
	fw.s, fw.f, fw.seen = s, f, 0
	return true, nil
}

// check tells whether segment s goes on where the current one ended. After a
// fault of the disk it may start earlier and repeat what was delivered already.
func (fw *follower) check(s *scanner) error {
	again := s.seg.AfterFault && s.seg.FirstSeq <= fw.s.next
	switch {
	case s.seg.Index != fw.s.seg.Index+1:
		return s.at(CodeIndex, fmt.Sprintf("expected number %d, found %d", fw.s.seg.Index+1, s.seg.Index))
	case s.seg.LogID != fw.s.seg.LogID:
		return s.at(CodeForeign, fmt.Sprintf("expected log %x, found %x", fw.s.seg.LogID, s.seg.LogID))
	case s.seg.Prev != fw.s.sum && !again:
		return s.at(CodeChain, "the segment does not go on where the one before ended")
	case s.seg.FirstSeq != fw.s.next && !again:
		return s.at(CodeSequence, fmt.Sprintf("expected first record %d, found %d", fw.s.next, s.seg.FirstSeq))
	}
	return nil
}

// advance decides what it means that the current segment goes on no further:
// more is there by now, the next segment has begun, or there is nothing yet.
func (fw *follower) advance(stopped error) (more bool, err error) {
	if more, err := fw.grow(); more || err != nil {
		return more, err
	}
	next, err := fw.successor()
	if err != nil || next == 0 {
		return false, err
	}
	// The writer finishes a segment before it makes the next, so what is missing
	// in a last look now stays missing.
	if fw.seen != fw.s.off {
		fw.seen = fw.s.off
		_, err := fw.grow()
		return err == nil, err
	}
	if next != fw.s.seg.Index+1 {
		return false, fw.s.fail(CodeMissing, fmt.Sprintf("segments up to %d were removed before they could be read", next-1), nil)
	}
	before := *fw.s
	ok, err := fw.open(next)
	if err != nil || !ok {
		return false, err
	}
	if !errors.Is(stopped, io.EOF) && before.off < before.w.size && !fw.s.seg.AfterFault {
		return false, stopped
	}
	return true, nil
}

// grow looks whether the current segment has changed its length.
func (fw *follower) grow() (bool, error) {
	size, err := fw.f.Size()
	if err != nil {
		return false, fw.s.fail(CodeFile, "", err)
	}
	more := size > fw.s.w.size
	fw.s.w.size = size
	fw.s.w.forget() // also what is inside may have been written since
	return more, nil
}

// successor returns the number of the next segment that is there, 0 if there is none.
func (fw *follower) successor() (uint64, error) {
	files, err := fw.fsys.List(fw.dir)
	if err != nil {
		return 0, fmt.Errorf("journal: %w", err)
	}
	var next uint64
	for _, f := range files {
		if n, ok := segmentIndex(f.Name); ok && n > fw.s.seg.Index && (next == 0 || n < next) {
			next = n
		}
	}
	return next, nil
}

// Tail returns the last n records of a log, oldest first. Damage on the way is
// returned as an [*Error] beside the records that could be read.
func Tail(dir string, n int) ([]Record, error) { return tail(OS(), dir, n) }

func tail(fsys FS, dir string, n int) ([]Record, error) {
	if n <= 0 {
		return nil, fmt.Errorf("journal: tail: expected at least one record, found %d", n)
	}
	for back := 1; ; back *= 2 {
		r, err := openDir(fsys, dir)
		if err != nil {
			return nil, err
		}
		all := back >= len(r.heads)
		if !all {
			r.heads = r.heads[len(r.heads)-back:]
			r.report.FirstSegment = r.heads[0].index
			r.partial = true
		}
		var list []Record
		var failed error
		for rec, err := range r.All() {
			if err != nil {
				failed = errors.Join(failed, err)
				continue
			}
			rec.Payload = bytes.Clone(rec.Payload)
			list = append(list, rec)
			if len(list) > 2*n {
				list = append(list[:0], list[len(list)-n:]...)
			}
		}
		if len(list) >= n || all {
			return list[max(0, len(list)-n):], failed
		}
	}
}
