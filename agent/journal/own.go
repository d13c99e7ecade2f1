package journal

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"time"
)

// Gap is the payload of a [KindGap] record. Its record's Seq is the first
// number that was lost.
type Gap struct {
	// Count is how many records were lost.
	Count uint64
	// After and Before bracket the loss by the boot clock: the record accepted
	// before it, and the next accepted one or the moment the gap was written.
	After, Before time.Duration
}

const gapLen = 24

// append encodes g.
func (g Gap) append(b []byte) []byte {
	b = binary.LittleEndian.AppendUint64(b, g.Count)
	b = binary.LittleEndian.AppendUint64(b, uint64(g.After))
	return binary.LittleEndian.AppendUint64(b, uint64(g.Before))
}

// ParseGap decodes the payload of a [KindGap] record.
func ParseGap(b []byte) (Gap, error) {
	if len(b) != gapLen {
		return Gap{}, fmt.Errorf("gap: expected %d bytes, found %d", gapLen, len(b))
	}
	g := Gap{
		Count:  binary.LittleEndian.Uint64(b),
		After:  time.Duration(binary.LittleEndian.Uint64(b[8:])),
		Before: time.Duration(binary.LittleEndian.Uint64(b[16:])),
	}
	if g.Count == 0 {
		return Gap{}, errors.New("gap: expected at least one lost record, found none")
	}
	return g, nil
}

// Cause says why a [KindRecovered] record was written.
type Cause uint8

const (
	// CauseTorn says that the log ended inside a record; the bytes were dropped.
	CauseTorn Cause = 1
	// CauseDamaged says that intact records followed the damage; everything from it on was set aside.
	CauseDamaged Cause = 2
	// CauseHeader says that a segment could not be recognised as part of this log and was set aside whole.
	CauseHeader Cause = 3
	// CauseSuccessor says that the last segment announces another one, and there is none.
	CauseSuccessor Cause = 4
	// CauseMissing says that segments that the quota had kept are not there.
	CauseMissing Cause = 5
)

// String says what the cause means.
func (c Cause) String() string {
	switch c {
	case CauseTorn:
		return "torn tail dropped"
	case CauseDamaged:
		return "damaged rest set aside"
	case CauseHeader:
		return "unrecognised segment set aside"
	case CauseSuccessor:
		return "sealed segment without successor"
	case CauseMissing:
		return "old segments missing"
	}
	return fmt.Sprintf("cause %d", uint8(c))
}

// Recovered is the payload of a [KindRecovered] record.
type Recovered struct {
	// Cause says what was found.
	Cause Cause
	// Segment and Offset say where. For CauseMissing they are the first and
	// the last number of the missing segments.
	Segment, Offset uint64
	// Bytes is how many bytes were dropped or set aside.
	Bytes uint64
	// Hashed is how many of them Sum covers; less than Bytes only for absurdly large files.
	Hashed uint64
	// Sum is the SHA-256 of the first Hashed of those bytes.
	Sum [sha256.Size]byte
	// Kept holds the first of the dropped bytes, for CauseTorn only.
	Kept []byte
}

const (
	recoveredLen = 1 + 4*8 + sha256.Size
	maxKept      = 512
)

// append encodes r.
func (r *Recovered) append(b []byte) []byte {
	le := binary.LittleEndian
	b = append(b, byte(r.Cause))
	b = le.AppendUint64(b, r.Segment)
	b = le.AppendUint64(b, r.Offset)
	b = le.AppendUint64(b, r.Bytes)
	b = le.AppendUint64(b, r.Hashed)
	b = append(b, r.Sum[:]...)
	return append(b, r.Kept...)
}

// ParseRecovered decodes the payload of a [KindRecovered] record. Kept refers to b.
func ParseRecovered(b []byte) (Recovered, error) {
	if len(b) < recoveredLen || len(b) > recoveredLen+maxKept {
		return Recovered{}, fmt.Errorf("recovered: expected %d to %d bytes, found %d", recoveredLen, recoveredLen+maxKept, len(b))
	}
	le := binary.LittleEndian
	r := Recovered{
		Cause: Cause(b[0]), Segment: le.Uint64(b[1:]), Offset: le.Uint64(b[9:]),
		Bytes: le.Uint64(b[17:]), Hashed: le.Uint64(b[25:]), Kept: b[recoveredLen:],
	}
	copy(r.Sum[:], b[33:])
	return r, nil
}

// Evidence is the name of the file that keeps what was set aside, or "" where nothing was kept.
func (r *Recovered) Evidence() string {
	if r.Cause != CauseDamaged && r.Cause != CauseHeader {
		return ""
	}
	return evidenceName(r.Segment, r.Offset, &r.Sum)
}

// Closed is the payload of a [KindClose] record.
type Closed struct {
	// Lost is how many records the session lost.
	Lost uint64
}

// ParseClosed decodes the payload of a [KindClose] record.
func ParseClosed(b []byte) (Closed, error) {
	if len(b) != 8 {
		return Closed{}, fmt.Errorf("close: expected 8 bytes, found %d", len(b))
	}
	return Closed{Lost: binary.LittleEndian.Uint64(b)}, nil
}
