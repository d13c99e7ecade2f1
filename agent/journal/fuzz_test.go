package journal

import (
	"bytes"
	"errors"
	"io"
	"slices"
	"testing"
)

// seeds are segments, whole and broken.
func seeds(f *testing.F) {
	s := newSample(f)
	for index := uint64(1); index <= 3; index++ {
		b := s.fsys.names["j/"+segmentName(index)].data
		f.Add(b)
		f.Add(b[:len(b)/2])
		flipped := slices.Clone(b)
		flipped[offsets(b)[1]+40] ^= 4
		f.Add(flipped)
	}
	f.Add([]byte(nil))
	f.Add([]byte(headerMagic))
	// Records that are sealed correctly and mean nonsense.
	head := s.fsys.names["j/"+segmentName(1)].data[:headerLen]
	prev := Digest(head[headerLen-sealLen:])
	for _, own := range [][]byte{
		Gap{Count: 1<<64 - 2}.append(nil), Gap{}.append(nil), nil, make([]byte, recoveredLen-1), make([]byte, 9),
	} {
		for kind := KindGap; kind <= KindClose; kind++ {
			b := slices.Clone(head)
			b = appendRecordHead(b, kind, 0, len(own), 1, -1)
			b, _ = newChain().seal(append(b, own...), headerLen, &prev)
			f.Add(b)
		}
	}
}

// FuzzReader reads arbitrary bytes as a segment: no panic, no endless loop, no
// memory beyond the window and one record.
func FuzzReader(f *testing.F) {
	seeds(f)
	f.Fuzz(func(t *testing.T, data []byte) {
		r := NewReader(bytes.NewReader(data), int64(len(data)), "fuzz")
		scan := r.s
		next := uint64(0)
		for calls := 0; ; calls++ {
			rec, err := r.Next()
			if errors.Is(err, io.EOF) {
				break
			}
			var failed *Error
			if err != nil && !errors.As(err, &failed) {
				t.Fatalf("expected an *Error, found %v", err)
			}
			if calls > len(data)+2 {
				t.Fatalf("%d calls for %d bytes", calls, len(data))
			}
			if err != nil {
				_ = failed.Error()
				continue
			}
			if !rec.Unlinked && next != 0 && rec.Seq != next {
				t.Fatalf("record %d where %d must come", rec.Seq, next)
			}
			next = rec.LastSeq() + 1
			_ = AppendLine(nil, &rec, nil)
		}
		if scan != nil && cap(scan.w.buf) > recordHead+MaxPayload+sealLen {
			t.Fatalf("a window of %d bytes", cap(scan.w.buf))
		}
	})
}

// FuzzOpen puts arbitrary bytes behind a good beginning, or in place of it:
// the good part stays, appends go on, and the log is whole again.
func FuzzOpen(f *testing.F) {
	seeds(f)
	f.Fuzz(func(t *testing.T, data []byte) {
		s := newSample(t)
		good := s.fsys.names[s.path].data
		for _, keep := range []int64{0, s.ends[2]} {
			fsys := s.with(slices.Concat(good[:keep], data))
			if _, err := Open("j", memOptions(fsys)); errors.Is(err, ErrVersion) {
				continue
			}
			fsys = fsys.killed()
			reopen1(t, "", fsys)
			rep, err := verify(fsys, nil)
			if err != nil || !rep.OK() {
				t.Fatalf("%v %v", err, rep.Problems)
			}
			last := s.seqs[0]
			if keep > 0 {
				last = s.seqs[2]
			}
			c, err := contents(fsys)
			if err != nil {
				t.Fatal(err)
			}
			for seq := uint64(1); seq <= last; seq++ {
				if c.have[seq] != string(payload(seq)) {
					t.Fatalf("record %d: %q", seq, c.have[seq])
				}
			}
		}
	})
}
