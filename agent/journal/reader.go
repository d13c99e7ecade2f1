package journal

import (
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"path/filepath"
	"time"
)

// Reader iterates over the records of a log, or of one segment, and checks
// everything that can be checked on the way. It may be used while the log is
// being written; it then ends where the log ended at some moment during reading.
type Reader struct {
	fsys  FS
	dir   string
	heads []headInfo // still to be opened
	logID [16]byte

	s       *scanner
	f       File
	last    bool  // s is the last segment of the log
	pending error // to be returned before anything else

	begun    bool   // some segment was opened
	linked   bool   // sum and next are what the next segment must start with
	sum      Digest // chain value after the segment before
	next     uint64 // sequence number after it
	index    uint64 // its number
	sealed   bool   // it ended with a trailer
	newest   Segment
	finished bool
	partial  bool // older segments are not looked at, or were removed while reading
	relists  int  // how often the directory may be listed again
	patience time.Duration
	report   Report
	watch    func(*scanner) // called at every point of the chain
}

// OpenDir reads the log in dir from its oldest record on.
func OpenDir(dir string) (*Reader, error) {
	r, err := openDir(OS(), dir)
	if err != nil {
		return nil, err
	}
	r.patience = patience
	return r, nil
}

func openDir(fsys FS, dir string) (*Reader, error) {
	r := &Reader{fsys: fsys, dir: dir, relists: 10}
	return r, r.list()
}

// list looks which segments there are.
func (r *Reader) list() error {
	files, err := r.fsys.List(r.dir)
	if err != nil {
		return fmt.Errorf("journal: %w", err)
	}
	r.heads = readHeads(r.fsys, r.dir, files)
	// Without a valid header there is no id, and nothing that needs one.
	r.logID, _ = pickLogID(r.heads, zeros{})
	if len(r.heads) > 0 {
		r.report.FirstSegment = r.heads[0].index
	}
	return nil
}

// zeros is a source of nothing but zero bytes.
type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

// NewReader reads the single segment of size bytes in r. name is used in errors.
func NewReader(r io.ReaderAt, size int64, name string) *Reader {
	rd := &Reader{s: newScanner(name, r, size), begun: true, finished: true}
	if failed := rd.s.header(); failed != nil {
		rd.damage(failed)
	}
	return rd
}

// Close releases the file that is open. It is not needed after io.EOF.
func (r *Reader) Close() error {
	r.heads, r.finished, r.pending = nil, true, nil
	return r.closeSegment()
}

// All iterates over the records. What is wrong comes as an [*Error] between
// them, and the iteration goes on behind it.
func (r *Reader) All() iter.Seq2[Record, error] {
	return func(yield func(Record, error) bool) {
		for {
			rec, err := r.Next()
			if errors.Is(err, io.EOF) || !yield(rec, err) {
				return
			}
		}
	}
}

// Next returns the next record. Where the log is damaged it returns an
// [*Error]; the next call goes on with the first intact record behind the
// damage. At the end of the log it returns io.EOF.
func (r *Reader) Next() (Record, error) {
	var rec Record
	for {
		if err := r.pending; err != nil {
			r.pending = nil
			r.report.note(err)
			return rec, err
		}
		if r.s == nil && !r.openNext() {
			if r.pending == nil {
				return rec, io.EOF
			}
			continue
		}
		if r.pending != nil {
			continue
		}
		if r.superseded() {
			r.pending = r.leave()
			continue
		}
		switch err := r.s.step(&rec); {
		case err == nil:
			r.report.count(&rec)
			r.see()
			return rec, nil
		case errors.Is(err, io.EOF):
			r.see()
			r.pending = r.leave()
		case r.await(r.grown):
		default:
			r.damage(err)
		}
	}
}

// see shows the current point of the chain to whoever watches.
func (r *Reader) see() {
	if r.watch != nil && r.s != nil {
		r.watch(r.s)
	}
}

// damage reports err and goes to the next intact record of the segment, or
// leaves the segment.
func (r *Reader) damage(err error) {
	r.pending = err
	var failed *Error
	if errors.As(err, &failed) && failed.Code != CodeFile && r.s.resync() {
		return
	}
	r.linked = false
	// What could be read was read; the damage is what has to be told.
	_ = r.closeSegment()
}

// leave ends a segment in good order.
func (r *Reader) leave() error {
	path := r.s.path
	r.sum, r.next, r.sealed, r.linked = r.s.sum, r.s.next, r.s.sealed, !r.s.unlinked
	if err := r.closeSegment(); err != nil {
		return &Error{Code: CodeFile, File: path, Err: err}
	}
	return nil
}

// closeSegment closes the file that is open.
func (r *Reader) closeSegment() error {
	f := r.f
	r.f, r.s = nil, nil
	if f == nil {
		return nil
	}
	return f.Close()
}

// superseded tells whether the rest of the segment was given up by the writer,
// which the next segment's header says.
func (r *Reader) superseded() bool {
	if len(r.heads) == 0 || r.s.unlinked || r.s.sealed {
		return false
	}
	h := &r.heads[0]
	if h.failed != nil || !h.seg.AfterFault || h.seg.Prev != r.s.sum || h.seg.FirstSeq != r.s.next {
		return false
	}
	r.report.Superseded += r.s.w.size - r.s.off
	return true
}

// openNext opens the next segment and checks how it follows from the one
// before. It returns false when there is nothing to read: at the end of the
// log, or where a segment cannot be used.
func (r *Reader) openNext() bool {
	if len(r.heads) == 0 {
		r.finish()
		return false
	}
	h := r.heads[0]
	r.heads = r.heads[1:]
	r.report.Segments++
	from, first := r.index+1, !r.begun
	missing := r.begun && h.index != from
	r.begun, r.index, r.last = true, h.index, len(r.heads) == 0
	if err := r.open(&h); errors.Is(err, os.ErrNotExist) && first {
		return r.overtaken()
	} else if err != nil {
		r.pending, r.linked = err, false
		return false
	}
	r.awaitHeader()
	if failed := r.s.header(); failed != nil {
		r.s.seg.Index = h.index
		if r.linked && !missing {
			failed.Seq = r.next
		}
		r.damage(failed)
		return r.s != nil
	}
	r.newest = r.s.seg
	switch {
	case missing:
		r.pending = r.s.at(CodeMissing, fmt.Sprintf("segments %d to %d are not there", from, h.index-1))
	case first:
		r.pending = r.checkFirst()
	case r.linked:
		r.pending = r.checkLink()
	}
	r.see()
	return true
}

// open opens a segment unless it is known already that it is not one of this log.
func (r *Reader) open(h *headInfo) error {
	path := filepath.Join(r.dir, h.file.Name)
	switch {
	case h.failed == nil && h.seg.LogID != r.logID:
		return &Error{Code: CodeForeign, File: path, Detail: fmt.Sprintf("expected log %x, found %x", r.logID, h.seg.LogID)}
	case h.failed != nil && (h.failed.Code == CodeIndex || h.failed.Code == CodeFile):
		return h.failed
	}
	f, err := r.fsys.OpenFile(path, os.O_RDONLY, 0)
	if err != nil {
		return &Error{Code: CodeFile, File: path, Err: err}
	}
	r.f, r.s = f, newScanner(path, f, h.file.Size)
	return nil
}

// at describes a fault of the segment's header.
func (s *scanner) at(code Code, detail string) error {
	return &Error{Code: code, File: s.path, Seq: s.seg.FirstSeq, Detail: detail}
}

// checkFirst checks the oldest segment: the very first starts the chain, any
// other is what the quota left.
func (r *Reader) checkFirst() error {
	s := &r.s.seg
	r.report.TrimmedTo, r.report.FirstSegment = s.FirstSeq-1, s.Index
	if s.Index == 1 && (s.FirstSeq != 1 || s.Prev != Digest{}) {
		return r.s.at(CodeSequence, fmt.Sprintf("expected the first segment to start a log with record 1, found record %d", s.FirstSeq))
	}
	return nil
}

// checkLink checks that a segment goes on where the one before ended.
func (r *Reader) checkLink() error {
	s := &r.s.seg
	if s.Prev != r.sum {
		return r.s.at(CodeChain, fmt.Sprintf("expected chain value %x, found %x: the end of the segment before, or this one, was replaced", r.sum[:6], s.Prev[:6]))
	}
	if s.FirstSeq != r.next {
		return r.s.at(CodeSequence, fmt.Sprintf("expected first record %d, found %d", r.next, s.FirstSeq))
	}
	return nil
}

// finish checks once what only the whole log shows.
func (r *Reader) finish() {
	if r.finished {
		return
	}
	r.finished = true
	s := &r.newest
	switch {
	case s.Index == 0:
	case s.OldestIndex < r.report.FirstSegment && !r.partial && r.oldestNow() < r.report.FirstSegment:
		r.pending = &Error{
			Code: CodeMissing, File: filepath.Join(r.dir, segmentName(s.OldestIndex)),
			Detail: fmt.Sprintf("segments %d to %d were there when segment %d was made", s.OldestIndex, r.report.FirstSegment-1, s.Index),
		}
	case r.sealed && r.linked && !r.await(func() bool { return r.exists(r.index + 1) }):
		r.pending = &Error{
			Code: CodeMissing, File: filepath.Join(r.dir, segmentName(r.index+1)), Seq: r.next,
			Detail: fmt.Sprintf("segment %d says that it follows", r.index),
		}
	}
}
