package journal

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
)

// maxHashed bounds how much of a dropped tail is hashed, so that a sparse file
// of absurd size cannot hold up the start.
const maxHashed = 64 << 20

// repair is one thing that Open found to do and that is done as soon as the disk allows.
type repair struct {
	remove bool   // delete the whole file
	from   string // file name
	aside  string // where the damaged part goes, "" if it is dropped
	cut    int64  // the length that stays, 0 moves the whole file
}

// recoverLog reads the end of the log and plans what has to be repaired. It
// changes nothing.
func recoverLog(l *Log) (*writer, error) {
	w := &writer{l: l, c: newChain(), session: true, buf: make([]byte, 0, batchBytes+headerLen+l.largest+recordHead+sealLen)}
	w.cur.next, w.cur.boot = 1, l.o.Clock()
	files, err := l.o.FS.List(l.dir)
	if err != nil {
		return nil, err
	}
	for _, f := range files {
		if f.Regular && strings.HasSuffix(f.Name, scratchSuffix) {
			w.repairs = append(w.repairs, repair{remove: true, from: f.Name})
		}
	}
	heads := readHeads(l.o.FS, l.dir, files)
	if w.logID, err = pickLogID(heads, l.o.Rand); err != nil {
		return nil, err
	}
	last := -1
	for i, h := range heads {
		switch {
		case h.failed != nil && h.failed.Code == CodeFile:
			return nil, h.failed
		case h.version:
			return nil, fmt.Errorf("%s: %w: use the program that wrote it, or move the directory away", h.failed.File, ErrVersion)
		case h.failed == nil && h.seg.LogID == w.logID:
			last = i
		}
	}
	if err := w.resume(heads[:last+1], last+1 < len(heads)); err != nil {
		return nil, err
	}
	for _, h := range heads[last+1:] {
		if err := w.reject(h); err != nil {
			return nil, err
		}
	}
	w.done = w.cur
	l.base = max(w.salvaged, w.cur.next)
	return w, nil
}

// pickLogID returns the id that most segments carry, the newest of equals, or
// a new one for a new log.
func pickLogID(heads []headInfo, random io.Reader) (id [16]byte, err error) {
	count := make(map[[16]byte]int)
	best := 0
	for _, h := range heads {
		if h.failed != nil {
			continue
		}
		count[h.seg.LogID]++
		if n := count[h.seg.LogID]; n >= best {
			best, id = n, h.seg.LogID
		}
	}
	if best == 0 {
		_, err = io.ReadFull(random, id[:])
	}
	return id, err
}

// resume makes the end of the last of the segments the point to go on from.
// followed means that there are more, which do not belong to the log.
func (w *writer) resume(heads []headInfo, followed bool) error {
	if len(heads) == 0 {
		return nil
	}
	for _, h := range heads {
		w.kept = append(w.kept, segmentRef{index: h.index, firstSeq: h.seg.FirstSeq})
	}
	h := heads[len(heads)-1]
	if oldest := h.seg.OldestIndex; oldest < heads[0].index {
		w.notes = append(w.notes, Recovered{Cause: CauseMissing, Segment: oldest, Offset: heads[0].index - 1})
	}
	path := w.join(h.file.Name)
	f, err := w.l.o.FS.OpenFile(path, os.O_RDONLY, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	s := newScanner(path, f, h.file.Size)
	if bad := s.header(); bad != nil {
		return bad
	}
	failed := s.each(func(r *Record) { w.cur.boot = r.Boot })
	w.index, w.cur.next, w.cur.sum = h.index, s.next, s.sum
	fix := repair{from: h.file.Name, cut: s.off}
	switch {
	case failed != nil && failed.Code == CodeFile:
		return failed
	case failed != nil:
		note, err := w.describe(f, h, s)
		if err != nil {
			return err
		}
		fix.aside = note.Evidence()
		w.notes = append(w.notes, note)
	case s.sealed && !followed:
		w.notes = append(w.notes, Recovered{Cause: CauseSuccessor, Segment: h.index, Offset: uint64(s.off)})
	}
	w.repairs = append(w.repairs, fix)
	return nil
}

// describe says what is behind the valid part of a segment: a torn tail, or
// damage that intact records follow.
func (w *writer) describe(f File, h headInfo, s *scanner) (Recovered, error) {
	at := s.off
	note := Recovered{Cause: CauseTorn, Segment: h.index, Offset: uint64(at), Bytes: uint64(h.file.Size - at)}
	if w.salvage(s) {
		note.Cause = CauseDamaged
	} else {
		note.Kept = make([]byte, min(note.Bytes, maxKept))
		if _, err := f.ReadAt(note.Kept, at); err != nil && !errors.Is(err, io.EOF) {
			return note, err
		}
	}
	return note, note.hash(f)
}

// salvage looks for intact records behind damage and makes sure that their
// numbers are not given out again: somebody may have them already. Numbers that
// cannot be true are not believed.
func (w *writer) salvage(s *scanner) (found bool) {
	limit := s.next + uint64(s.w.size-s.off)/(recordHead+sealLen) + 1
	for s.resync() {
		found = true
		// The next damage, if there is one, is where the loop goes on.
		_ = s.each(func(r *Record) {
			if r.Seq >= w.cur.next && r.Seq < limit {
				w.salvaged = max(w.salvaged, r.Seq+1)
			}
		})
	}
	return found
}

// hash computes the digest of the bytes that are dropped or set aside.
func (r *Recovered) hash(f io.ReaderAt) error {
	h := sha256.New()
	n, err := io.Copy(h, io.NewSectionReader(f, int64(r.Offset), int64(min(r.Bytes, maxHashed))))
	if err != nil {
		return err
	}
	r.Hashed = uint64(n)
	h.Sum(r.Sum[:0])
	return nil
}

// reject plans what becomes of a segment at the end of the log that does not
// belong to it, or never got a whole header.
func (w *writer) reject(h headInfo) error {
	note := Recovered{Cause: CauseHeader, Segment: h.index, Bytes: uint64(h.file.Size)}
	f, err := w.l.o.FS.OpenFile(w.join(h.file.Name), os.O_RDONLY, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := note.hash(f); err != nil {
		return err
	}
	fix := repair{from: h.file.Name, aside: note.Evidence()}
	if h.failed != nil && h.file.Size <= headerLen {
		note.Cause = CauseTorn
		fix.aside, fix.remove = "", true
		note.Kept = make([]byte, h.file.Size)
		if _, err := f.ReadAt(note.Kept, 0); err != nil && !errors.Is(err, io.EOF) {
			return err
		}
	}
	if h.failed != nil {
		s := newScanner(w.join(h.file.Name), f, h.file.Size)
		s.next = max(w.cur.next, w.salvaged)
		w.salvage(s)
	}
	w.notes = append(w.notes, note)
	w.repairs = append(w.repairs, fix)
	return nil
}
