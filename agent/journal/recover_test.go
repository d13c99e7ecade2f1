package journal

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// samples is how many records a sample has.
const samples = 28

// sample is a closed log of several segments, and where its structures end.
type sample struct {
	fsys *memFS
	path string  // of the last segment
	ends []int64 // end of the header, then of each record of the last segment
	seqs []uint64
	head Checkpoint
}

func newSample(t testing.TB) sample {
	t.Helper()
	s := sample{fsys: newMemFS()}
	l, err := Open("j", memOptions(s.fsys))
	if err != nil {
		t.Fatal(err)
	}
	fill(l, samples, false)
	pump(l)
	mustClose(t, l)
	s.path = l.w.path
	s.head.Seq, s.head.Digest = l.Head()
	data := s.fsys.names[s.path].data
	r := NewReader(bytes.NewReader(data), int64(len(data)), s.path)
	for rec, err := range r.All() {
		if err != nil {
			t.Fatal(err)
		}
		if len(s.ends) == 0 {
			s.ends, s.seqs = []int64{headerLen}, []uint64{rec.Seq - 1}
		}
		s.ends = append(s.ends, rec.Offset+int64(recordHead+len(rec.Payload)+sealLen))
		s.seqs = append(s.seqs, rec.Seq)
	}
	if len(s.ends) < 6 || l.w.index < 3 {
		t.Fatalf("a sample of %d segments with %d records in the last proves little", l.w.index, len(s.ends))
	}
	return s
}

// with returns a disk with the last segment replaced.
func (s sample) with(data []byte) *memFS {
	fsys := newMemFS()
	fsys.names = maps.Clone(s.fsys.names)
	fsys.names[s.path] = &inode{data: data, synced: slices.Clone(data)}
	fsys.disk = maps.Clone(fsys.names)
	return fsys
}

// prefix returns how many bytes and which last record stay when byte off is the first wrong one.
func (s sample) prefix(off int64) (end int64, last uint64) {
	for i, e := range s.ends {
		if e <= off {
			end, last = e, s.seqs[i]
		}
	}
	return end, last
}

// reopen opens the log, appends, closes, and returns what Open noted.
func reopen(t *testing.T, name string, fsys *memFS) []Recovered {
	t.Helper()
	o := memOptions(fsys)
	o.BootID[15] = 2
	l, err := Open("j", o)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	if err := l.Health().Err; err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	fill(l, 3, true)
	mustClose(t, l)
	rep, err := verify(fsys, nil)
	if err != nil || !rep.OK() || rep.Boots != 2 {
		t.Fatalf("%s: %v %v, %d boots", name, err, rep.Problems, rep.Boots)
	}
	return l.w.notes
}

// checkPrefix checks that all up to last is there, and the three records of reopen.
func checkPrefix(t *testing.T, name string, fsys *memFS, last uint64) {
	t.Helper()
	c, err := contents(fsys)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	last = min(last, samples)
	for seq := uint64(1); seq <= last; seq++ {
		if c.have[seq] != string(payload(seq)) {
			t.Fatalf("%s: record %d: %q", name, seq, c.have[seq])
		}
	}
	if len(c.have) != int(last)+3 {
		t.Fatalf("%s: expected %d records and three new ones, found %d", name, last, len(c.have))
	}
}

func TestCutAtEveryByte(t *testing.T) {
	s := newSample(t)
	whole := s.fsys.names[s.path].data
	for cut := range int64(len(whole)) {
		name := fmt.Sprintf("cut at %d of %d", cut, len(whole))
		fsys := s.with(slices.Clone(whole[:cut]))
		end, last := s.prefix(cut)
		rep, err := verify(fsys, []Checkpoint{s.head})
		if err != nil || rep.OK() {
			t.Fatalf("%s: Verify found nothing: %v", name, err)
		}
		if end < cut && rep.Problems[0].Code != CodeTorn {
			t.Fatalf("%s: %v", name, rep.Problems)
		}
		notes := reopen(t, name, fsys)
		if end == 0 {
			last = s.seqs[0]
		}
		checkPrefix(t, name, fsys, last)
		if end == cut && cut > 0 {
			if len(notes) != 0 {
				t.Fatalf("%s: between records, found %+v", name, notes)
			}
			continue
		}
		want := []Recovered{{
			Cause: CauseTorn, Segment: 3, Offset: uint64(end), Bytes: uint64(cut - end), Hashed: uint64(cut - end),
			Sum: sha256.Sum256(whole[end:cut]), Kept: whole[end:min(cut, end+maxKept)],
		}}
		if diff := cmp.Diff(want, notes); diff != "" {
			t.Fatalf("%s: %s", name, diff)
		}
	}
}

func TestFlipAtEveryByte(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 0))
	s := newSample(t)
	whole := s.fsys.names[s.path].data
	for at := range int64(len(whole)) {
		bad := slices.Clone(whole)
		bad[at] ^= 1 << rng.IntN(8)
		name := fmt.Sprintf("flip at %d of %d to %#x", at, len(whole), bad[at])
		fsys := s.with(slices.Clone(bad))
		rep, err := verify(fsys, nil)
		if err != nil || rep.OK() {
			t.Fatalf("%s: Verify found nothing: %v", name, err)
		}
		end, last := s.prefix(at)
		if p := rep.Problems[0]; p.File != s.path || p.Offset != end {
			t.Fatalf("%s: expected the problem at byte %d, found %v", name, end, p)
		}
		notes := reopen(t, name, fsys)
		if end == 0 {
			last = s.seqs[0]
		}
		checkPrefix(t, name, fsys, last)
		checkEvidence(t, name, fsys, notes, bad[end:], at >= s.ends[len(s.ends)-2])
	}
}

// checkEvidence checks that nothing of the damaged rest is gone: a short rest
// is in the note, a longer one in its own file.
func checkEvidence(t *testing.T, name string, fsys *memFS, notes []Recovered, rest []byte, lastRecord bool) {
	t.Helper()
	if len(notes) != 1 || notes[0].Sum != sha256.Sum256(rest) || notes[0].Bytes != uint64(len(rest)) {
		t.Fatalf("%s: %+v", name, notes)
	}
	var kept []byte
	if e := notes[0].Evidence(); e != "" {
		kept = fsys.names["j/"+e].data
	} else {
		kept = notes[0].Kept
	}
	if lastRecord != (notes[0].Cause == CauseTorn) || !bytes.Equal(kept, rest) {
		t.Fatalf("%s: %d bytes kept of %d, %+v", name, len(kept), len(rest), notes)
	}
}

// TestEvidenceSurvivesAPowerCut as soon as the log is open again.
func TestEvidenceSurvivesAPowerCut(t *testing.T) {
	s := newSample(t)
	for seed := range uint64(10) {
		bad := slices.Clone(s.fsys.names[s.path].data)
		bad[s.ends[1]+40] ^= 1
		fsys := s.with(bad)
		l, err := Open("j", memOptions(fsys))
		if err != nil {
			t.Fatal(err)
		}
		name := "j/" + l.w.notes[0].Evidence()
		fsys = fsys.powerCut(rand.New(rand.NewPCG(seed, 0)))
		if n := fsys.names[name]; n == nil || !bytes.Equal(n.data, bad[s.ends[1]:]) {
			t.Fatalf("seed %d: %s is not whole", seed, name)
		}
	}
}

// TestHostileFileIsNotExpensive: a file full of false beginnings costs no more
// than the budget to search.
func TestHostileFileIsNotExpensive(t *testing.T) {
	var lure []byte
	for range 500_000 {
		lure = append(lure, "RJ\x01\x00\x00\x00\x0f\x00"...) // almost a mebibyte each
	}
	r := &countingReader{r: bytes.NewReader(lure)}
	s := newScanner("lure", r, int64(len(lure)))
	if s.resync() {
		t.Fatal("found a record in a file that has none")
	}
	if limit := int64(3 * (resyncBudget + len(lure))); r.n > limit {
		t.Fatalf("read %d bytes, more than %d", r.n, limit)
	}
}

// countingReader counts the bytes that are read.
type countingReader struct {
	r io.ReaderAt
	n int64
}

func (c *countingReader) ReadAt(p []byte, off int64) (int, error) {
	n, err := c.r.ReadAt(p, off)
	c.n += int64(n)
	return n, err
}

// TestNumbersAreNotGivenOutAgain: records behind damage are set aside, and
// their numbers stay theirs.
func TestNumbersAreNotGivenOutAgain(t *testing.T) {
	s := newSample(t)
	for _, at := range []int64{10, s.ends[1] + 5} {
		bad := slices.Clone(s.fsys.names[s.path].data)
		bad[at] ^= 0x10
		fsys := s.with(bad)
		reopen(t, "", fsys)
		c, err := contents(fsys)
		if err != nil {
			t.Fatal(err)
		}
		_, last := s.prefix(at)
		if at < headerLen {
			last = s.seqs[0]
		}
		end := s.seqs[len(s.seqs)-1]
		for seq := last + 1; seq <= end; seq++ {
			if !c.lost[seq] {
				t.Errorf("record %d after damage at %d: expected in a gap", seq, at)
			}
		}
		if c.have[end+2] == "" { // the recovered record comes first
			t.Errorf("expected records from %d on, found %v", end+2, c.have)
		}
	}
}

// TestForgedNumberIsNotBelieved: whoever forges a record behind damage cannot
// make the log jump.
func TestForgedNumberIsNotBelieved(t *testing.T) {
	s := newSample(t)
	bad := slices.Clone(s.fsys.names[s.path].data[:s.ends[2]])
	bad = append(bad, 0)
	var d Digest
	start := len(bad)
	bad = appendRecordHead(bad, 1, 0, 0, 1<<60, 0)
	bad, _ = newChain().seal(bad, start, &d)
	fsys := s.with(bad)
	reopen(t, "", fsys)
	c, err := contents(fsys)
	if err != nil || c.last > samples+10 {
		t.Fatalf("last record %d, %v", c.last, err)
	}
}

func TestForeignSegmentIsSetAside(t *testing.T) {
	s := newSample(t)
	other := memOptions(newMemFS())
	other.Rand = strings.NewReader("another log's id")
	l, err := Open("j", other)
	if err != nil {
		t.Fatal(err)
	}
	fill(l, 3, true)
	mustClose(t, l)
	foreign := other.FS.(*memFS).names["j/"+segmentName(1)]
	for _, tt := range []struct {
		name string
		make func() *inode
	}{
		{"segment of another log", func() *inode {
			b := slices.Clone(foreign.data)
			return &inode{data: reseal(t, b, func(seg *Segment) { seg.Index = 4 })}
		}},
		{"copy of a segment under another number", func() *inode { return s.fsys.names["j/"+segmentName(2)] }},
		{"no segment at all", func() *inode { return &inode{data: bytes.Repeat([]byte("x"), 1000)} }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			fsys := s.with(slices.Clone(s.fsys.names[s.path].data))
			fsys.names["j/"+segmentName(4)] = tt.make()
			rep, err := verify(fsys, nil)
			if err != nil || rep.OK() {
				t.Fatalf("Verify found nothing: %v", err)
			}
			t.Log(rep.Problems[0])
			notes := reopen(t, tt.name, fsys)
			checkPrefix(t, tt.name, fsys, samples)
			if len(notes) != 1 || notes[0].Cause != CauseHeader || fsys.names["j/"+notes[0].Evidence()] == nil {
				t.Fatalf("%+v", notes)
			}
		})
	}
}

// reseal changes the header of a segment and makes checksum and digest right again.
func reseal(t testing.TB, data []byte, change func(*Segment)) []byte {
	t.Helper()
	c := newChain()
	seg, code, detail := parseHeader(data[:headerLen], c)
	if code != 0 {
		t.Fatal(detail)
	}
	change(&seg)
	head, _ := appendHeader(nil, c, &seg)
	return append(head, data[headerLen:]...)
}

func TestMissingSegmentsAreNoted(t *testing.T) {
	t.Run("oldest", func(t *testing.T) {
		s := newSample(t)
		delete(s.fsys.names, "j/"+segmentName(1))
		notes := reopen(t, "", s.fsys)
		if len(notes) != 1 || notes[0].Cause != CauseMissing || notes[0].Segment != 1 || notes[0].Offset != 1 {
			t.Fatalf("%+v", notes)
		}
	})
	t.Run("newest", func(t *testing.T) {
		s := newSample(t)
		delete(s.fsys.names, s.path)
		notes := reopen(t, "", s.fsys)
		if len(notes) != 1 || notes[0].Cause != CauseSuccessor || notes[0].Segment != 2 {
			t.Fatalf("%+v", notes)
		}
	})
}

func TestOtherVersionIsRefused(t *testing.T) {
	s := newSample(t)
	data := slices.Clone(s.fsys.names[s.path].data)
	data[6] = '2'
	body := append([]byte(nil), data[:headerLen-sealLen]...)
	body, _ = newChain().seal(body, 0, &Digest{})
	fsys := s.with(append(body, data[headerLen:]...))
	if _, err := Open("j", memOptions(fsys)); !errors.Is(err, ErrVersion) {
		t.Fatalf("expected ErrVersion, found %v", err)
	}
	if fsys.locked {
		t.Fatal("the directory stayed locked")
	}
}

// TestPowerCutAtEveryChange turns the machine off at every change of the disk.
func TestPowerCutAtEveryChange(t *testing.T) {
	for at := range 60 {
		for seed := range uint64(4) {
			fsys := newMemFS()
			fsys.fault = func(_, _ string, n int) error {
				fsys.dead = n >= at
				return nil
			}
			o := memOptions(fsys)
			l, err := Open("j", o)
			if err != nil {
				t.Fatal(err)
			}
			for i := range 10 {
				fill(l, 4, i%2 == 0)
				pump(l)
			}
			durable, head := l.Head()
			back := fsys.powerCut(rand.New(rand.NewPCG(uint64(at), seed)))
			name := fmt.Sprintf("power cut at change %d, seed %d", at, seed)
			reopen1(t, name, back)
			c, err := contents(back)
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			for seq := uint64(1); seq <= durable; seq++ {
				if c.have[seq] != string(payload(seq)) {
					t.Fatalf("%s: record %d of %d is not there", name, seq, durable)
				}
			}
			if rep, err := verify(back, []Checkpoint{{durable, head}}); err != nil || !rep.OK() && durable > 0 {
				t.Fatalf("%s: %v %v", name, err, rep.Problems)
			}
		}
	}
}

// reopen1 opens, appends and closes.
func reopen1(t *testing.T, name string, fsys *memFS) {
	t.Helper()
	l, err := Open("j", memOptions(fsys))
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	fill(l, 3, true)
	mustClose(t, l)
}

// TestDiskThatLies shows that the tests above can fail: a disk whose sync does
// nothing loses durable records, and the same comparison sees it.
func TestDiskThatLies(t *testing.T) {
	fsys := newMemFS()
	o := memOptions(lyingFS{fsys})
	l, err := Open("j", o)
	if err != nil {
		t.Fatal(err)
	}
	fill(l, 4, true)
	if err := pump(l); err != nil {
		t.Fatal(err)
	}
	durable, _ := l.Head()
	c, err := contents(fsys.powerCut(rand.New(rand.NewPCG(1, 1))))
	if err == nil && c.last >= durable {
		t.Fatalf("nothing lost on a disk that never writes: %+v", c)
	}
}

// lyingFS says that everything is on the disk and writes nothing there.
type lyingFS struct{ *memFS }

func (lyingFS) SyncDir(string) error { return nil }
