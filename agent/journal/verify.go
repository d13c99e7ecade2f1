package journal

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// maxProblems bounds what a report lists, so that a ruined log does not fill the memory.
const maxProblems = 1000

// Checkpoint is a head of the log that is known from elsewhere, see [Log.Head].
type Checkpoint struct {
	// Seq is the last sequence number that Digest covers.
	Seq uint64
	// Digest is the chain value there.
	Digest Digest
}

// Report is what [Verify] found.
type Report struct {
	// Segments and Records count what was read.
	Segments, Records uint64
	// FirstSegment is the number of the oldest segment that is there.
	FirstSegment uint64
	// FirstSeq and LastSeq are the first and the last sequence number covered, 0 if there is none.
	FirstSeq, LastSeq uint64
	// TrimmedTo is the last sequence number that the quota removed, 0 if none.
	TrimmedTo uint64
	// Gaps counts gap records and Lost the records that they stand for.
	Gaps, Lost uint64
	// Recoveries and Closes count repairs and orderly ends.
	Recoveries, Closes uint64
	// Boots counts the changes of the boot id.
	Boots uint64
	// Superseded counts bytes that the writer gave up after a failed sync and wrote again.
	Superseded int64
	// LogID names the log.
	LogID [16]byte
	// Head is the chain value at the end.
	Head Digest
	// Problems lists what is wrong, at most the first 1000, and More counts the rest.
	Problems []*Error
	More     uint64

	boot [16]byte
}

// MarshalJSON writes the report with hexadecimal digests and snake-case names.
func (r Report) MarshalJSON() ([]byte, error) {
	problems := r.Problems
	if problems == nil {
		problems = []*Error{}
	}
	return json.Marshal(struct {
		OK           bool     `json:"ok"`
		LogID        string   `json:"log_id"`
		Head         string   `json:"head"`
		FirstSeq     uint64   `json:"first_seq"`
		LastSeq      uint64   `json:"last_seq"`
		TrimmedTo    uint64   `json:"trimmed_to"`
		Records      uint64   `json:"records"`
		Segments     uint64   `json:"segments"`
		FirstSegment uint64   `json:"first_segment"`
		Gaps         uint64   `json:"gaps"`
		Lost         uint64   `json:"lost"`
		Recoveries   uint64   `json:"recoveries"`
		Closes       uint64   `json:"closes"`
		Boots        uint64   `json:"boots"`
		Superseded   int64    `json:"superseded_bytes"`
		Problems     []*Error `json:"problems"`
		More         uint64   `json:"more_problems"`
	}{
		r.OK(), hex.EncodeToString(r.LogID[:]), hex.EncodeToString(r.Head[:]), r.FirstSeq, r.LastSeq, r.TrimmedTo,
		r.Records, r.Segments, r.FirstSegment, r.Gaps, r.Lost, r.Recoveries, r.Closes, r.Boots, r.Superseded, problems, r.More,
	})
}

// OK tells whether nothing is wrong. Gaps, recoveries and trimming are part of
// an honest log.
func (r Report) OK() bool { return len(r.Problems) == 0 }

// note adds a problem.
func (r *Report) note(err error) {
	var failed *Error
	if !errors.As(err, &failed) {
		failed = &Error{Code: CodeFile, Err: err}
	}
	if len(r.Problems) >= maxProblems {
		r.More++
		return
	}
	r.Problems = append(r.Problems, failed)
}

// count adds a record.
func (r *Report) count(rec *Record) {
	r.Records++
	if r.FirstSeq == 0 {
		r.FirstSeq = rec.Seq
	}
	r.LastSeq = rec.LastSeq()
	switch rec.Kind {
	case KindGap:
		r.Gaps++
		r.Lost += r.LastSeq - rec.Seq + 1
	case KindRecovered:
		r.Recoveries++
	case KindClose:
		r.Closes++
	}
}

// Verify reads the whole log in dir and says what is in it and what is wrong
// with it: changed bytes, cuts, and segments that are missing, swapped,
// doubled or foreign. Every checkpoint must be found in the log, unless the
// quota has removed its place. The error is for a directory that cannot be read.
//
// Verify may run beside the writer. Without a checkpoint nobody can tell a log
// from one that was cut at the end of a record, or made anew.
func Verify(dir string, known ...Checkpoint) (Report, error) {
	r, err := OpenDir(dir)
	if err != nil {
		return Report{}, err
	}
	return r.verify(known), nil
}

// verify reads to the end.
func (r *Reader) verify(known []Checkpoint) Report {
	found := make([]bool, len(known))
	r.watch = func(s *scanner) {
		r.report.Head = s.sum
		if r.report.boot != s.seg.BootID {
			r.report.boot = s.seg.BootID
			r.report.Boots++
		}
		for i, k := range known {
			found[i] = found[i] || k.Seq+1 == s.next && k.Digest == s.sum
		}
	}
	for {
		if _, err := r.Next(); errors.Is(err, io.EOF) {
			break
		}
	}
	r.report.LogID = r.logID
	for i, k := range known {
		// Several points of the chain can share a number, and the one meant may be
		// in a segment that the quota removed.
		trimmed := r.report.FirstSegment > 1 && k.Seq <= r.report.TrimmedTo
		if !found[i] && !trimmed {
			r.report.note(&Error{Code: CodeCheckpoint, File: r.dir, Seq: k.Seq, Detail: fmt.Sprintf("expected chain value %x after record %d; the log ends with record %d", k.Digest[:6], k.Seq, r.report.LastSeq)})
		}
	}
	return r.report
}
