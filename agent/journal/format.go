package journal

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"hash"
	"hash/crc32"
	"strconv"
	"strings"
	"time"
)

// Sizes in bytes of the structures that FORMAT.md describes.
const (
	headerLen  = 164 // segment header
	recordHead = 24  // fixed part of a record before its payload
	trailerLen = 68  // segment trailer
	sealLen    = 36  // digest and CRC that end every structure
)

// MaxPayload is the largest payload in bytes that the format allows. A log may
// allow less, see [Log.MaxPayload].
const MaxPayload = 1 << 20

const (
	headerMagic  = "RWJSEG1\n"
	trailerMagic = "RWJEND1\n"
	recordMagic  = "RJ"

	segmentSuffix  = ".seg"
	evidenceSuffix = ".damaged"
	scratchSuffix  = ".tmp"
	segmentDigits  = 16
)

// Kind names what a record holds. The caller names its own kinds; the journal
// reserves 0xF0 and above for itself.
type Kind uint8

// The journal's own kinds.
const (
	// KindGap stands for records that were lost because the ring was full, see [Gap].
	KindGap Kind = 0xF0
	// KindRecovered says what [Open] had to drop or set aside, see [Recovered].
	KindRecovered Kind = 0xF1
	// KindClose ends an orderly session, see [Closed].
	KindClose Kind = 0xF2

	firstReserved Kind = 0xF0
)

// Reserved tells whether the kind belongs to the journal itself.
func (k Kind) Reserved() bool { return k >= firstReserved }

// String names the journal's own kinds and numbers the others.
func (k Kind) String() string {
	switch k {
	case KindGap:
		return "gap"
	case KindRecovered:
		return "recovered"
	case KindClose:
		return "close"
	}
	return fmt.Sprintf("kind-%d", uint8(k))
}

// Record flags.
const flagUrgent = 1 << 0

// Segment header flags.
const (
	// segSession marks the first segment that an Open wrote.
	segSession uint32 = 1 << 0
	// segAfterFault marks a segment that replaces the undurable end of the one before.
	segAfterFault uint32 = 1 << 1
)

// Digest is a value of the SHA-256 chain.
type Digest = [sha256.Size]byte

// Segment is a decoded segment header.
type Segment struct {
	// Index numbers the segments of a log from 1, without holes.
	Index uint64
	// FirstSeq is the sequence number of the first record of the segment.
	FirstSeq uint64
	// LogID was drawn when the log was made and is the same in all segments.
	LogID [16]byte
	// BootID names the boot during which the segment was written.
	BootID [16]byte
	// Boot is the writer's boot clock when the segment was made.
	Boot time.Duration
	// Wall is the civil time when the segment was made, for people only: nobody vouches for it.
	Wall time.Time
	// OldestIndex and OldestSeq name the oldest segment that the quota left and its first record.
	OldestIndex, OldestSeq uint64
	// Session is true for the first segment after an Open.
	Session bool
	// AfterFault is true when the segment replaces the undurable end of the one before.
	AfterFault bool
	// Prev is the chain value before the header, Digest the one after it.
	Prev, Digest Digest
}

// castagnoli is the CRC32C table; the hardware instruction is used where there is one.
var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// chain computes chain values without allocating: what it hands to the hash,
// whose methods nobody can see through, is its own.
type chain struct {
	h         hash.Hash
	prev, sum Digest
}

func newChain() *chain { return &chain{h: sha256.New()} }

// next returns SHA-256(prev || body).
func (c *chain) next(prev *Digest, body []byte) Digest {
	c.h.Reset()
	c.prev = *prev
	c.h.Write(c.prev[:])
	c.h.Write(body)
	c.h.Sum(c.sum[:0])
	return c.sum
}

// seal ends the structure that starts at buf[start:] with its digest and CRC.
func (c *chain) seal(buf []byte, start int, prev *Digest) ([]byte, Digest) {
	d := c.next(prev, buf[start:])
	buf = append(buf, d[:]...)
	return binary.LittleEndian.AppendUint32(buf, crc32.Checksum(buf[start:], castagnoli)), d
}

// sealed splits a structure into body and digest and tells whether its CRC matches.
func sealed(b []byte) (body []byte, d Digest, ok bool) {
	n := len(b) - sealLen
	copy(d[:], b[n:])
	return b[:n], d, crc32.Checksum(b[:len(b)-4], castagnoli) == binary.LittleEndian.Uint32(b[len(b)-4:])
}

// appendHeader encodes s and returns the buffer and the chain value after it.
func appendHeader(buf []byte, c *chain, s *Segment) ([]byte, Digest) {
	start := len(buf)
	var flags uint32
	if s.Session {
		flags |= segSession
	}
	if s.AfterFault {
		flags |= segAfterFault
	}
	le := binary.LittleEndian
	buf = append(buf, headerMagic...)
	buf = le.AppendUint32(buf, headerLen)
	buf = le.AppendUint32(buf, flags)
	buf = append(buf, s.LogID[:]...)
	buf = append(buf, s.BootID[:]...)
	buf = le.AppendUint64(buf, s.Index)
	buf = le.AppendUint64(buf, s.FirstSeq)
	buf = le.AppendUint64(buf, uint64(s.Boot))
	buf = le.AppendUint64(buf, uint64(s.Wall.UnixNano()))
	buf = le.AppendUint64(buf, s.OldestIndex)
	buf = le.AppendUint64(buf, s.OldestSeq)
	buf = append(buf, s.Prev[:]...)
	return c.seal(buf, start, &s.Prev)
}

// parseHeader decodes and checks a header of exactly headerLen bytes.
func parseHeader(b []byte, c *chain) (Segment, Code, string) {
	var s Segment
	if !bytes.Equal(b[:8], []byte(headerMagic)) {
		return s, CodeMagic, fmt.Sprintf("expected %q, found %q", headerMagic, b[:8])
	}
	body, d, ok := sealed(b)
	if !ok {
		return s, CodeCRC, "the segment header was changed or only partly written"
	}
	le := binary.LittleEndian
	if n := le.Uint32(b[8:]); n != headerLen {
		return s, CodeLength, fmt.Sprintf("expected a header of %d bytes, found %d", headerLen, n)
	}
	flags := le.Uint32(b[12:])
	if flags&^(segSession|segAfterFault) != 0 {
		return s, CodeFlags, fmt.Sprintf("unknown segment flags %#x", flags)
	}
	copy(s.LogID[:], b[16:])
	copy(s.BootID[:], b[32:])
	s.Index, s.FirstSeq = le.Uint64(b[48:]), le.Uint64(b[56:])
	s.Boot = time.Duration(le.Uint64(b[64:]))
	s.Wall = time.Unix(0, int64(le.Uint64(b[72:]))).UTC()
	s.OldestIndex, s.OldestSeq = le.Uint64(b[80:]), le.Uint64(b[88:])
	s.Session, s.AfterFault = flags&segSession != 0, flags&segAfterFault != 0
	copy(s.Prev[:], b[96:])
	s.Digest = d
	if c.next(&s.Prev, body) != d {
		return s, CodeChain, "the segment header does not match its own digest"
	}
	if s.Index == 0 || s.FirstSeq == 0 {
		return s, CodeSequence, "segments and records are numbered from 1"
	}
	return s, 0, ""
}

// otherVersion tells whether b starts with an intact header of another version
// of the format. All versions keep the first six bytes, the length at byte 8
// and the CRC at the end.
func otherVersion(b []byte) bool {
	if len(b) < 16 || string(b[:6]) != headerMagic[:6] || b[6] == headerMagic[6] {
		return false
	}
	n := binary.LittleEndian.Uint32(b[8:])
	if n < 16 || uint64(n) > uint64(len(b)) {
		return false
	}
	_, _, ok := sealed(b[:max(n, sealLen)])
	return ok
}

// appendRecordHead encodes the fixed part of a record.
func appendRecordHead(buf []byte, kind Kind, flags byte, size int, seq uint64, boot time.Duration) []byte {
	le := binary.LittleEndian
	buf = append(buf, recordMagic[0], recordMagic[1], byte(kind), flags)
	buf = le.AppendUint32(buf, uint32(size))
	buf = le.AppendUint64(buf, seq)
	return le.AppendUint64(buf, uint64(boot))
}

// appendTrailer encodes the end of a segment that another one follows.
func appendTrailer(buf []byte, c *chain, prev *Digest, index, nextSeq, records uint64) ([]byte, Digest) {
	start := len(buf)
	le := binary.LittleEndian
	buf = append(buf, trailerMagic...)
	buf = le.AppendUint64(buf, index)
	buf = le.AppendUint64(buf, nextSeq)
	buf = le.AppendUint64(buf, records)
	return c.seal(buf, start, prev)
}

// segmentName is the file name of segment number index.
func segmentName(index uint64) string {
	var b [segmentDigits + len(segmentSuffix)]byte
	copy(b[segmentDigits:], segmentSuffix)
	for i := segmentDigits - 1; i >= 0; i, index = i-1, index/10 {
		b[i] = byte('0' + index%10)
	}
	return string(b[:])
}

// segmentIndex is the inverse of segmentName.
func segmentIndex(name string) (uint64, bool) {
	digits, ok := strings.CutSuffix(name, segmentSuffix)
	if !ok || len(digits) != segmentDigits {
		return 0, false
	}
	n, err := strconv.ParseUint(digits, 10, 64)
	return n, err == nil && n > 0
}

// evidenceName is where the rest of a damaged segment from byte offset on is
// kept. The start of its digest makes the name the same when the same damage is
// moved twice, and another one for other damage at the same place.
func evidenceName(index, offset uint64, sum *Digest) string {
	return fmt.Sprintf("%0*d-%d-%x%s", segmentDigits, index, offset, sum[:4], evidenceSuffix)
}
