package journal

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"time"
)

// window reads a file piece by piece into one buffer.
type window struct {
	r    io.ReaderAt
	size int64 // what is beyond is not looked at
	step int   // how much to read at least
	off  int64
	buf  []byte
}

const windowBytes = 64 << 10

// at returns n bytes at off, which must lie within size. They are valid until the next call.
func (w *window) at(off int64, n int) ([]byte, error) {
	if off >= w.off && off+int64(n) <= w.off+int64(len(w.buf)) {
		return w.buf[off-w.off:][:n], nil
	}
	want := int(min(int64(max(n, w.step)), w.size-off))
	if cap(w.buf) < want {
		w.buf = make([]byte, want)
	}
	w.off, w.buf = off, w.buf[:want]
	got, err := w.r.ReadAt(w.buf, off)
	if got < want && errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF // the file shrank
	}
	if got < want {
		w.buf = w.buf[:0]
		return nil, err
	}
	return w.buf[:n], nil
}

// from returns what is buffered from off on, at least min bytes of it unless
// the file ends before.
func (w *window) from(off int64, least int) ([]byte, error) {
	least = int(min(int64(least), w.size-off))
	if off >= w.off && off+int64(least) <= w.off+int64(len(w.buf)) {
		return w.buf[off-w.off:], nil
	}
	return w.at(off, int(min(int64(w.step), w.size-off)))
}

// forget drops what is buffered, for a file that is being written.
func (w *window) forget() { w.buf = w.buf[:0] }

// scanner walks the structures of one segment.
type scanner struct {
	path string
	w    window
	c    *chain

	seg      Segment
	off      int64  // of the next structure
	sum      Digest // chain value there
	next     uint64 // sequence number there
	records  uint64
	budget   int64
	sealed   bool // the trailer was read
	unlinked bool // the link to what is before off is lost
	damaged  bool // something in the segment was skipped, so its records are not all counted
}

// newScanner starts at the beginning of a segment of size bytes.
func newScanner(path string, r io.ReaderAt, size int64) *scanner {
	return &scanner{path: path, w: window{r: r, size: size, step: windowBytes}, c: newChain(), budget: resyncBudget + size}
}

// fail describes what is wrong at the current offset.
func (s *scanner) fail(code Code, detail string, err error) *Error {
	return &Error{Code: code, File: s.path, Offset: s.off, Seq: s.next, Detail: detail, Err: err}
}

// header reads the segment's header.
func (s *scanner) header() *Error {
	n := int(min(s.w.size, headerLen))
	b, err := s.w.at(0, n)
	if err != nil {
		return s.fail(CodeFile, "", err)
	}
	if n < headerLen {
		return s.fail(CodeTorn, fmt.Sprintf("expected a header of %d bytes, found %d", headerLen, n), nil)
	}
	seg, code, detail := parseHeader(b, s.c)
	if code != 0 {
		return s.fail(code, detail, nil)
	}
	s.seg, s.off, s.sum, s.next = seg, headerLen, seg.Digest, seg.FirstSeq
	return nil
}

// step reads the next record. It returns io.EOF at the end of the segment and
// an *Error where the bytes are not what must come. rec.Payload is valid until
// the next call.
func (s *scanner) step(rec *Record) error {
	left := s.w.size - s.off
	if left <= 0 {
		return io.EOF
	}
	if s.sealed {
		return s.fail(CodeTrailing, fmt.Sprintf("%d bytes", left), nil)
	}
	head, err := s.w.at(s.off, int(min(left, recordHead)))
	if err != nil {
		return s.fail(CodeFile, "", err)
	}
	if startsWith(head, trailerMagic) {
		return s.trailer(left)
	}
	n, failed := s.length(head)
	if failed != nil {
		return failed
	}
	if left < n {
		return s.fail(CodeTorn, fmt.Sprintf("expected a record of %d bytes, found %d", n, left), nil)
	}
	b, err := s.w.at(s.off, int(n))
	if err != nil {
		return s.fail(CodeFile, "", err)
	}
	return s.record(b, rec)
}

// startsWith tells whether b starts with magic, or is the beginning of it.
func startsWith(b []byte, magic string) bool {
	n := min(len(b), len(magic))
	return string(b[:n]) == magic[:n] && n > 1
}

// length checks the fixed part of a record as far as it is there and returns the record's length.
func (s *scanner) length(head []byte) (int64, *Error) {
	if len(head) >= 2 && string(head[:2]) != recordMagic {
		return 0, s.fail(CodeMagic, fmt.Sprintf("expected %q, found %q", recordMagic, head[:2]), nil)
	}
	if len(head) < recordHead {
		return 0, s.fail(CodeTorn, fmt.Sprintf("expected a record, found %d bytes", len(head)), nil)
	}
	n := binary.LittleEndian.Uint32(head[4:])
	if n > MaxPayload {
		return 0, s.fail(CodeLength, fmt.Sprintf("expected a payload of at most %d bytes, found %d", MaxPayload, n), nil)
	}
	return recordHead + int64(n) + sealLen, nil
}

// record checks the complete record b and moves behind it.
func (s *scanner) record(b []byte, rec *Record) error {
	body, sum, ok := sealed(b)
	if !ok {
		return s.fail(CodeCRC, "the record was changed, or only partly written", nil)
	}
	if s.unlinked {
		s.next = binary.LittleEndian.Uint64(body[8:])
	} else if s.c.next(&s.sum, body) != sum {
		return s.fail(CodeChain, "the record, or what was before it, was replaced", nil)
	}
	*rec = Record{
		Kind: Kind(body[2]), Urgent: body[3]&flagUrgent != 0,
		Seq:  binary.LittleEndian.Uint64(body[8:]),
		Boot: time.Duration(binary.LittleEndian.Uint64(body[16:])), Payload: body[recordHead:],
		Digest: sum, Segment: &s.seg, File: s.path, Offset: s.off, Unlinked: s.unlinked,
	}
	if body[3]&^flagUrgent != 0 {
		return s.fail(CodeFlags, fmt.Sprintf("undefined record flags %#x", body[3]), nil)
	}
	if rec.Seq != s.next || rec.Seq == 0 {
		return s.fail(CodeSequence, fmt.Sprintf("expected record %d, found %d", s.next, rec.Seq), nil)
	}
	last, err := rec.lastSeq()
	if err != nil {
		return s.fail(CodePayload, "", err)
	}
	s.off += int64(len(b))
	s.next, s.sum, s.unlinked = last+1, sum, false
	s.records++
	return nil
}

// trailer checks the segment's end and moves behind it.
func (s *scanner) trailer(left int64) error {
	if left < trailerLen {
		return s.fail(CodeTorn, fmt.Sprintf("expected a trailer of %d bytes, found %d", trailerLen, left), nil)
	}
	b, err := s.w.at(s.off, trailerLen)
	if err != nil {
		return s.fail(CodeFile, "", err)
	}
	body, sum, ok := sealed(b)
	if !ok {
		return s.fail(CodeCRC, "the trailer was changed, or only partly written", nil)
	}
	if !s.unlinked && s.c.next(&s.sum, body) != sum {
		return s.fail(CodeChain, "the trailer, or what was before it, was replaced", nil)
	}
	le := binary.LittleEndian
	index, next, records := le.Uint64(body[8:]), le.Uint64(body[16:]), le.Uint64(body[24:])
	if s.unlinked {
		s.next = next
	} else if index != s.seg.Index || next != s.next || records != s.records && !s.damaged {
		return s.fail(CodeSequence, fmt.Sprintf("expected a trailer of segment %d, next record %d, %d records; found %d, %d, %d",
			s.seg.Index, s.next, s.records, index, next, records), nil)
	}
	s.off += trailerLen
	s.sum, s.sealed, s.unlinked = sum, true, false
	if left > trailerLen {
		return s.fail(CodeTrailing, fmt.Sprintf("%d bytes", left-trailerLen), nil)
	}
	return io.EOF
}

// each calls fn for the records up to the end of the segment or to the first
// thing that is wrong, which it returns.
func (s *scanner) each(fn func(*Record)) *Error {
	var rec Record
	for {
		err := s.step(&rec)
		if err == nil {
			fn(&rec)
			continue
		}
		var failed *Error
		errors.As(err, &failed) // io.EOF leaves it nil
		return failed
	}
}

// resyncBudget bounds the bytes that resync checksums in a segment, so that a file made for
// the purpose cannot keep a reader busy for hours.
const resyncBudget = 64 << 20

// resync looks behind the current offset for the next intact record or trailer
// and moves there. It returns false where there is none.
func (s *scanner) resync() bool {
	for off := s.off + 1; off+recordHead+sealLen <= s.w.size; {
		b, err := s.w.from(off, recordHead)
		if err != nil {
			return false
		}
		i := bytes.IndexByte(b, recordMagic[0])
		if i < 0 {
			off += int64(len(b))
			continue
		}
		off += int64(i)
		cost, ok := s.intact(off)
		if ok {
			s.off, s.unlinked, s.damaged = off, true, true
			return true
		}
		if s.budget -= cost; s.budget < 0 {
			return false
		}
		off++
	}
	return false
}

// intact tells whether a structure with a matching checksum is at off, and how
// many bytes it took to find out.
func (s *scanner) intact(off int64) (cost int64, ok bool) {
	left := s.w.size - off
	head, err := s.w.at(off, int(min(left, recordHead)))
	if err != nil || len(head) < recordHead {
		return 0, false
	}
	var n int64
	switch {
	case startsWith(head, trailerMagic):
		n = trailerLen
	case string(head[:2]) == recordMagic:
		n = recordHead + int64(binary.LittleEndian.Uint32(head[4:])) + sealLen
	}
	if n == 0 || n > left || n > recordHead+MaxPayload+sealLen {
		return 0, false
	}
	b, err := s.w.at(off, int(n))
	if err != nil {
		return n, false
	}
	return n, crc32.Checksum(b[:n-4], castagnoli) == binary.LittleEndian.Uint32(b[n-4:])
}
