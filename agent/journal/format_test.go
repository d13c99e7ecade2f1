package journal

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"hash/crc32"
	"os"
	"strings"
	"testing"
	"time"
)

// exampleSegment writes the log that FORMAT.md shows.
func exampleSegment(t *testing.T) []byte {
	t.Helper()
	fsys := newMemFS()
	o := memOptions(fsys)
	o.BootID = [16]byte(bytes.Repeat([]byte{0xb0}, 16))
	o.Rand = bytes.NewReader(bytes.Repeat([]byte{0x4c}, 16))
	now := 1500 * time.Millisecond
	o.Clock = func() time.Duration { return 2 * time.Second }
	o.Wall = func() time.Time { return time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC) }
	l, err := Open("j", o)
	if err != nil {
		t.Fatal(err)
	}
	l.Append(7, now, []byte("hello"), false)
	l.Append(KindClose, now, nil, false)
	l.Append(7, now, make([]byte, MaxPayload+1), false)
	mustClose(t, l)
	return fsys.names["j/"+segmentName(1)].data
}

// TestFormatExample checks the worked example in FORMAT.md byte by byte.
func TestFormatExample(t *testing.T) {
	want := exampleSegment(t)
	doc, err := os.ReadFile("FORMAT.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(doc), "```hex\n")
	block, _, _ := strings.Cut(rest, "```")
	var got []byte
	for line := range strings.Lines(block) {
		at, digits, ok := strings.Cut(strings.TrimSpace(line), "  ")
		if !ok || at != fmt.Sprintf("%03x", len(got)) {
			t.Fatalf("line %q: expected offset %03x", line, len(got))
		}
		b, err := hex.DecodeString(strings.ReplaceAll(digits, " ", ""))
		if err != nil {
			t.Fatalf("line %q: %v", line, err)
		}
		got = append(got, b...)
	}
	if !bytes.Equal(got, want) {
		var dump strings.Builder
		for off := 0; off < len(want); off += 16 {
			fmt.Fprintf(&dump, "%03x  % x\n", off, want[off:min(off+16, len(want))])
		}
		t.Fatalf("FORMAT.md and the program differ; the program writes\n%s", dump.String())
	}
}

// plain is a record as a reader written from FORMAT.md alone sees it.
type plain struct {
	kind, flags byte
	seq         uint64
	boot        int64
	payload     []byte
}

// readPlain is that reader. It shares nothing with the package.
func readPlain(b []byte) (records []plain, err error) {
	le := binary.LittleEndian
	prev := make([]byte, 32)
	copy(prev, b[96:])
	check := func(s []byte) error {
		n := len(s)
		if le.Uint32(s[n-4:]) != crc32.Checksum(s[:n-4], crc32.MakeTable(crc32.Castagnoli)) {
			return fmt.Errorf("CRC of %x", s)
		}
		sum := sha256.Sum256(append(bytes.Clone(prev), s[:n-36]...))
		if !bytes.Equal(sum[:], s[n-36:n-4]) {
			return fmt.Errorf("digest of %x", s)
		}
		prev = s[n-36 : n-4]
		return nil
	}
	if string(b[:8]) != "RWJSEG1\n" || le.Uint32(b[8:]) != 164 {
		return nil, fmt.Errorf("magic %x", b[:12])
	}
	if err := check(b[:164]); err != nil {
		return nil, err
	}
	next := le.Uint64(b[56:])
	for at := 164; at < len(b); {
		if string(b[at:at+2]) == "RW" {
			if string(b[at:at+8]) != "RWJEND1\n" || at+68 != len(b) || le.Uint64(b[at+16:]) != next || le.Uint64(b[at+24:]) != uint64(len(records)) {
				return nil, fmt.Errorf("trailer at %d", at)
			}
			return records, check(b[at:])
		}
		n := int(le.Uint32(b[at+4:]))
		r := plain{b[at+2], b[at+3], le.Uint64(b[at+8:]), int64(le.Uint64(b[at+16:])), b[at+24 : at+24+n]}
		if string(b[at:at+2]) != "RJ" || r.seq != next {
			return nil, fmt.Errorf("record at %d: %+v", at, r)
		}
		if err := check(b[at : at+60+n]); err != nil {
			return nil, err
		}
		next++
		if r.kind == 0xf0 {
			next += le.Uint64(r.payload) - 1
		}
		at += 60 + n
		records = append(records, r)
	}
	return records, nil
}

// TestFormatIsEnough reads logs with a reader that knows FORMAT.md only.
func TestFormatIsEnough(t *testing.T) {
	recs, err := readPlain(exampleSegment(t))
	if err != nil || len(recs) != 3 {
		t.Fatalf("%d records, %v", len(recs), err)
	}
	for i, want := range []struct {
		kind, flags byte
		seq         uint64
		boot        int64
	}{{7, 0, 1, 1.5e9}, {0xf0, 0, 2, 2e9}, {0xf2, 1, 4, 2e9}} {
		if r := recs[i]; r.kind != want.kind || r.flags != want.flags || r.seq != want.seq || r.boot != want.boot {
			t.Errorf("record %d: %+v", i, r)
		}
	}
	s := newSample(t)
	total := 0
	for index := uint64(1); index <= 3; index++ {
		recs, err := readPlain(s.fsys.names["j/"+segmentName(index)].data)
		if err != nil {
			t.Fatalf("segment %d: %v", index, err)
		}
		total += len(recs)
	}
	if total != samples+1 {
		t.Fatalf("%d records", total)
	}
}

func TestSegmentNames(t *testing.T) {
	for name, want := range map[string]uint64{
		"0000000000000001.seg": 1, "9999999999999999.seg": 9999999999999999,
		"0000000000000000.seg": 0, "1.seg": 0, "000000000000000a.seg": 0, "0000000000000001.tmp": 0,
		"+000000000000001.seg": 0, "00000000000000001.seg": 0, ".seg": 0, "": 0,
	} {
		if n, ok := segmentIndex(name); ok != (want > 0) || ok && n != want {
			t.Errorf("%q: expected %d, found %d %v", name, want, n, ok)
		}
	}
}
