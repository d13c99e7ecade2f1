package journal

import (
	"bytes"
	"slices"
	"testing"
)

// TestTampering changes a closed log in every way that somebody with write
// access might, and expects Verify to name it.
func TestTampering(t *testing.T) {
	const seg = "j/000000000000000"
	for _, tt := range []struct {
		name   string
		code   Code
		file   string
		change func(t *testing.T, s sample)
	}{
		{"nothing", 0, "", func(*testing.T, sample) {}},
		{"record changed, checksum made right", CodeChain, seg + "2.seg", func(_ *testing.T, s sample) {
			edit(s, 2, func(b []byte) []byte { return changeRecord(b, 2, false) })
		}},
		{"record changed, checksum and digest made right", CodeChain, seg + "2.seg", func(_ *testing.T, s sample) {
			edit(s, 2, func(b []byte) []byte { return changeRecord(b, 2, true) })
		}},
		{"last record of a segment changed, checksum and digest made right", CodeChain, seg + "2.seg", func(_ *testing.T, s sample) {
			edit(s, 2, func(b []byte) []byte { return changeRecord(b, -1, true) })
		}},
		{"very last record changed, checksum and digest made right", CodeCheckpoint, "j", func(_ *testing.T, s sample) {
			edit(s, 3, func(b []byte) []byte { return changeRecord(b, -1, true) })
		}},
		{"two records exchanged", CodeChain, seg + "2.seg", func(_ *testing.T, s sample) {
			edit(s, 2, func(b []byte) []byte {
				at := offsets(b)
				return slices.Concat(b[:at[1]], b[at[2]:at[3]], b[at[1]:at[2]], b[at[3]:])
			})
		}},
		{"record removed", CodeChain, seg + "2.seg", func(_ *testing.T, s sample) {
			edit(s, 2, func(b []byte) []byte {
				at := offsets(b)
				return slices.Concat(b[:at[1]], b[at[2]:])
			})
		}},
		{"record doubled", CodeChain, seg + "2.seg", func(_ *testing.T, s sample) {
			edit(s, 2, func(b []byte) []byte {
				at := offsets(b)
				return slices.Concat(b[:at[2]], b[at[1]:])
			})
		}},
		{"end of a segment cut off between records", CodeChain, seg + "3.seg", func(_ *testing.T, s sample) {
			edit(s, 2, func(b []byte) []byte { return b[:offsets(b)[3]] })
		}},
		{"bytes added after a trailer", CodeTrailing, seg + "2.seg", func(_ *testing.T, s sample) {
			edit(s, 2, func(b []byte) []byte { return append(b, 0) })
		}},
		{"end of the log cut off between records", CodeCheckpoint, "j", func(_ *testing.T, s sample) {
			edit(s, 3, func(b []byte) []byte { return b[:offsets(b)[2]] })
		}},
		{"boot id in a header changed, checksum and digest made right", CodeChain, seg + "2.seg", func(t *testing.T, s sample) {
			edit(s, 2, func(b []byte) []byte { return reseal(t, b, func(h *Segment) { h.BootID[0]++ }) })
		}},
		{"oldest segment removed", CodeMissing, seg + "1.seg", func(_ *testing.T, s sample) {
			delete(s.fsys.names, seg+"1.seg")
		}},
		{"segment in the middle removed", CodeMissing, seg + "3.seg", func(_ *testing.T, s sample) {
			delete(s.fsys.names, seg+"2.seg")
		}},
		{"newest segment removed", CodeMissing, seg + "3.seg", func(_ *testing.T, s sample) {
			delete(s.fsys.names, seg+"3.seg")
		}},
		{"all segments removed", CodeCheckpoint, "j", func(_ *testing.T, s sample) { clear(s.fsys.names) }},
		{"two segments exchanged", CodeIndex, seg + "1.seg", func(_ *testing.T, s sample) {
			n := s.fsys.names
			n[seg+"1.seg"], n[seg+"2.seg"] = n[seg+"2.seg"], n[seg+"1.seg"]
		}},
		{"segment doubled under the next number", CodeIndex, seg + "4.seg", func(_ *testing.T, s sample) {
			s.fsys.names[seg+"4.seg"] = s.fsys.names[seg+"3.seg"]
		}},
		{"segment replaced by one of another log", CodeForeign, seg + "2.seg", func(t *testing.T, s sample) {
			edit(s, 2, func(b []byte) []byte { return reseal(t, b, func(h *Segment) { h.LogID[0]++ }) })
		}},
		{"numbers left out between segments", CodeSequence, seg + "2.seg", func(t *testing.T, s sample) {
			edit(s, 2, func(b []byte) []byte { return reseal(t, b, func(h *Segment) { h.FirstSeq++ }) })
		}},
		{"number left out in a chain made anew", CodeSequence, seg + "3.seg", func(_ *testing.T, s sample) {
			edit(s, 3, func(b []byte) []byte { return rebuild(b, 1, 2, 99, nil) })
		}},
		{"too long a record in a chain made anew", CodeLength, seg + "3.seg", func(_ *testing.T, s sample) {
			edit(s, 3, func(b []byte) []byte { return rebuild(b, 1, 1, 0, make([]byte, MaxPayload+1)) })
		}},
		{"undefined flags in a chain made anew", CodeFlags, seg + "3.seg", func(_ *testing.T, s sample) {
			edit(s, 3, func(b []byte) []byte { return rebuild(b, 1, 1, 0, nil, 0x80) })
		}},
		{"malformed gap in a chain made anew", CodePayload, seg + "3.seg", func(_ *testing.T, s sample) {
			edit(s, 3, func(b []byte) []byte { return rebuild(b, KindGap, 1, 0, nil) })
		}},
		{"records added after a trailer", CodeTrailing, seg + "2.seg", func(_ *testing.T, s sample) {
			edit(s, 2, func(b []byte) []byte { return rebuild(b, 1, 1, 0, nil) })
		}},
		{"first record renumbered", CodeSequence, seg + "1.seg", func(t *testing.T, s sample) {
			edit(s, 1, func(b []byte) []byte { return reseal(t, b, func(h *Segment) { h.FirstSeq = 7 }) })
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newSample(t)
			tt.change(t, s)
			rep, err := verify(s.fsys, []Checkpoint{s.head})
			if err != nil {
				t.Fatal(err)
			}
			if tt.code == 0 {
				if !rep.OK() {
					t.Fatalf("%v", rep.Problems)
				}
				return
			}
			if rep.OK() || rep.Problems[0].Code != tt.code || rep.Problems[0].File != tt.file {
				t.Fatalf("expected %v in %s, found %v", tt.code, tt.file, rep.Problems)
			}
			t.Log(rep.Problems[0])
		})
	}
}

// edit replaces the bytes of segment index.
func edit(s sample, index uint64, change func([]byte) []byte) {
	path := "j/" + segmentName(index)
	s.fsys.names[path] = &inode{data: change(slices.Clone(s.fsys.names[path].data))}
}

// rebuild appends records of kind to a segment, chained and sealed correctly.
// Their numbers go on from the segment's last record, but for the last one of
// them, which skips some.
func rebuild(b []byte, kind Kind, n int, skip uint64, payload []byte, flags ...byte) []byte {
	s := newScanner("", bytes.NewReader(b), int64(len(b)))
	_ = s.header()
	_ = s.each(func(*Record) {})
	flag := append(flags, 0)[0]
	for i := range n {
		seq := s.next + uint64(i)
		if i == n-1 {
			seq += skip
		}
		start := len(b)
		b = appendRecordHead(b, kind, flag, len(payload), seq, 0)
		b, s.sum = s.c.seal(append(b, payload...), start, &s.sum)
	}
	return b
}

// offsets returns where the records of a segment start, and where the last one ends.
func offsets(b []byte) []int {
	at := []int{headerLen}
	for off := headerLen; off+recordHead < len(b) && string(b[off:off+2]) == recordMagic; {
		off += recordHead + int(b[off+4]) + int(b[off+5])<<8 + sealLen
		at = append(at, off)
	}
	return at
}

// changeRecord changes a payload byte of record i, the last one for -1, and
// makes the checksum right, and the record's own digest if asked.
func changeRecord(b []byte, i int, digest bool) []byte {
	at := offsets(b)
	if i < 0 {
		i = len(at) - 2
	}
	start, end := at[i], at[i+1]
	b[start+recordHead] ^= 1
	prev := Digest(b[start-sealLen:])
	sum := Digest(b[end-sealLen:])
	sealedAgain, _ := newChain().seal(slices.Clone(b[start:end-sealLen]), 0, &prev)
	copy(b[start:], sealedAgain)
	if !digest {
		copy(b[end-sealLen:], sum[:])
		crc := crcOf(b[start : end-4])
		copy(b[end-4:], crc[:])
	}
	return b
}

// TestAddedBehindASession adds to the end of a session that another one follows.
func TestAddedBehindASession(t *testing.T) {
	for name, change := range map[string]func([]byte) []byte{
		"garbage": func(b []byte) []byte { return append(b, "garbage"...) },
		"record":  func(b []byte) []byte { return rebuild(b, 1, 1, 0, nil) },
	} {
		s := newSample(t)
		reopen1(t, name, s.fsys)
		if rep, _ := verify(s.fsys, nil); !rep.OK() {
			t.Fatal(rep.Problems)
		}
		edit(s, 3, change)
		if rep, _ := verify(s.fsys, nil); rep.OK() {
			t.Errorf("%s behind the last segment of a session was not found", name)
		}
	}
}

// TestRecordsBehindATrailerAreNotShown however well they are made.
func TestRecordsBehindATrailerAreNotShown(t *testing.T) {
	s := newSample(t)
	edit(s, 2, func(b []byte) []byte { return rebuild(b, 1, 5, 0, nil) })
	if rep, _ := verify(s.fsys, nil); rep.Records != samples+1 || rep.OK() {
		t.Fatalf("%+v", rep)
	}
}

// TestDamageDoesNotHideTheRest reads on behind every damaged record.
func TestDamageDoesNotHideTheRest(t *testing.T) {
	s := newSample(t)
	edit(s, 2, func(b []byte) []byte {
		at := offsets(b)
		b[at[1]+30] ^= 1
		b[at[3]+30] ^= 1
		return b
	})
	r, err := openDir(s.fsys, "j")
	if err != nil {
		t.Fatal(err)
	}
	var records, problems, unlinked int
	for rec, err := range r.All() {
		switch {
		case err != nil:
			problems++
		case rec.Unlinked:
			unlinked++
			records++
		default:
			records++
		}
	}
	if records != samples+1-2 || problems != 2 || unlinked != 2 {
		t.Fatalf("%d records, %d problems, %d unlinked", records, problems, unlinked)
	}
}

func TestVerifyOfNothing(t *testing.T) {
	rep, err := Verify(t.TempDir())
	if err != nil || !rep.OK() || rep.Records != 0 || rep.Segments != 0 {
		t.Fatalf("%v %+v", err, rep)
	}
	if _, err := Verify(t.TempDir() + "/absent"); err == nil {
		t.Fatal("expected an error for a directory that is not there")
	}
}

// TestReportIsBounded lists no more than so many problems of a ruined log.
func TestReportIsBounded(t *testing.T) {
	var r Report
	for range maxProblems + 5 {
		r.note(&Error{Code: CodeCRC})
	}
	if len(r.Problems) != maxProblems || r.More != 5 {
		t.Fatalf("%d problems and %d more", len(r.Problems), r.More)
	}
}
