package journal

import (
	"fmt"
	"math"
	"time"
)

// Record is one record of a log as a reader sees it.
type Record struct {
	// Seq is the record's number. Numbers are contiguous over the whole log,
	// also over restarts; those of lost records are covered by a gap record.
	Seq uint64
	// Boot is the boot clock when the thing happened that is recorded.
	Boot time.Duration
	// Kind says what Payload holds.
	Kind Kind
	// Urgent is true for records that were synced at once.
	Urgent bool
	// Payload is the record's content. It is valid until the reader's next step.
	Payload []byte
	// Digest is the chain value after this record: it covers everything up to here.
	Digest Digest
	// Segment is the header of the segment that holds the record.
	Segment *Segment
	// File is the path of the segment and Offset the record's first byte in it.
	File   string
	Offset int64
	// Unlinked is true for the first record after damage: whether anything is
	// missing before it cannot be told.
	Unlinked bool
}

// LastSeq is the last number that the record stands for: Seq, or for a gap the last lost one.
func (r *Record) LastSeq() uint64 {
	last, err := r.lastSeq()
	if err != nil {
		return r.Seq
	}
	return last
}

// lastSeq checks the journal's own records as far as their shape goes.
func (r *Record) lastSeq() (uint64, error) {
	switch r.Kind {
	case KindGap:
		g, err := ParseGap(r.Payload)
		if err != nil {
			return 0, err
		}
		if g.Count > math.MaxUint64-1-r.Seq {
			return 0, fmt.Errorf("gap: impossible count %d", g.Count)
		}
		return r.Seq + g.Count - 1, nil
	case KindRecovered:
		_, err := ParseRecovered(r.Payload)
		return r.Seq, err
	case KindClose:
		_, err := ParseClosed(r.Payload)
		return r.Seq, err
	}
	return r.Seq, nil
}
