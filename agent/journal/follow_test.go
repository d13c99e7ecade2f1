package journal

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// following collects what a follower on fsys sees; it looks when told to.
type following struct {
	fw   *follower
	seqs []uint64
}

func newFollowing(fsys FS, from uint64) *following {
	f := &following{}
	f.fw = &follower{fsys: fsys, dir: "j", next: from, fn: func(r *Record) error {
		if !r.Kind.Reserved() {
			if !bytes.Equal(r.Payload, payload(r.Seq)) {
				return fmt.Errorf("record %d: %q", r.Seq, r.Payload)
			}
			f.seqs = append(f.seqs, r.Seq)
		}
		return nil
	}}
	return f
}

// upTo is what a follower must have seen.
func upTo(n uint64) (seqs []uint64) {
	for seq := uint64(1); seq <= n; seq++ {
		seqs = append(seqs, seq)
	}
	return seqs
}

func (f *following) mustSee(t *testing.T, want []uint64) {
	t.Helper()
	for range 3 {
		if err := f.fw.drain(); err != nil {
			t.Fatal(err)
		}
	}
	if !slices.Equal(f.seqs, want) {
		t.Fatalf("expected %v, found %v", want, f.seqs)
	}
}

// TestFollowBesideTheWriter follows over rotations, restarts, kills and a
// disk whose sync fails, and sees every record once.
func TestFollowBesideTheWriter(t *testing.T) {
	fsys := newMemFS()
	f := newFollowing(fsys, 0)
	f.mustSee(t, nil)
	l, err := Open("j", memOptions(fsys))
	if err != nil {
		t.Fatal(err)
	}
	for i := uint64(1); i <= 20; i++ {
		fill(l, 3, false)
		if err := pump(l); err != nil {
			t.Fatal(err)
		}
		f.mustSee(t, upTo(3*i))
	}
	fsys.fault = func(op, _ string, _ int) error {
		if op == "sync" || op == "truncate" {
			return syscall.EIO
		}
		return nil
	}
	fill(l, 3, false)
	if err := pump(l); err == nil {
		t.Fatal("expected the sync to fail")
	}
	f.mustSee(t, upTo(63))
	fsys.fault = nil
	fill(l, 3, false)
	pump(l)
	f.mustSee(t, upTo(66))
	fsys = fsys.killed()
	f.fw.fsys = fsys
	if l, err = Open("j", memOptions(fsys)); err != nil {
		t.Fatal(err)
	}
	fill(l, 30, false)
	mustClose(t, l)
	f.mustSee(t, upTo(96))
}

func TestFollowFromTheMiddle(t *testing.T) {
	s := newSample(t)
	f := newFollowing(s.fsys, 20)
	f.mustSee(t, upTo(samples)[19:])
	if opened := f.fw.s.seg.Index; opened < 2 {
		t.Fatalf("read from segment %d", opened)
	}
}

func TestFollowThatIsTooSlow(t *testing.T) {
	fsys := newMemFS()
	o := memOptions(fsys)
	o.QuotaBytes = 4 * block
	l, err := Open("j", o)
	if err != nil {
		t.Fatal(err)
	}
	fill(l, 3, false)
	pump(l)
	f := newFollowing(fsys, 0)
	f.mustSee(t, upTo(3))
	for range 50 {
		fill(l, 3, false)
		pump(l)
	}
	var failed *Error
	if err := slowest(f); !errors.As(err, &failed) || failed.Code != CodeMissing {
		t.Fatalf("expected to be told what is missing, found %v", err)
	}
}

// slowest drains until something is wrong.
func slowest(f *following) error {
	for range 5 {
		if err := f.fw.drain(); err != nil {
			return err
		}
	}
	return nil
}

// TestFollowReportsDamage waits at a damaged end, since it may be unfinished,
// and reports it when another segment has begun.
func TestFollowReportsDamage(t *testing.T) {
	s := newSample(t)
	edit(s, 3, func(b []byte) []byte { b[len(b)-1] ^= 1; return b })
	f := newFollowing(s.fsys, 0)
	if err := slowest(f); err != nil {
		t.Fatalf("at the end: %v", err)
	}
	s = newSample(t)
	edit(s, 2, func(b []byte) []byte { b[offsets(b)[3]+30] ^= 1; return b })
	var failed *Error
	if err := slowest(newFollowing(s.fsys, 0)); !errors.As(err, &failed) {
		t.Fatalf("in the middle: %v", err)
	}
	for code, change := range map[Code]func(*Segment){
		CodeChain:    func(h *Segment) { h.Prev[0]++ },
		CodeSequence: func(h *Segment) { h.FirstSeq++ },
		CodeIndex:    func(h *Segment) { h.Index++ },
		CodeForeign:  func(h *Segment) { h.LogID[0]++ },
	} {
		s = newSample(t)
		f := newFollowing(s.fsys, 0)
		if err := f.fw.start(); err != nil {
			t.Fatal(err)
		}
		edit(s, 3, func(b []byte) []byte { return reseal(t, b, change) })
		if err := slowest(f); !errors.As(err, &failed) || failed.Code != code {
			t.Errorf("between segments, expected %v, found %v", code, err)
		}
	}
}

// TestFollowSeesWhatIsWrittenOver reads again what looked wrong before, also
// when the writer goes to the next segment in that very moment.
func TestFollowSeesWhatIsWrittenOver(t *testing.T) {
	t.Run("later", func(t *testing.T) {
		s := newSample(t)
		n := s.fsys.names[s.path]
		good := n.data
		n.data = slices.Clone(good)
		clear(n.data[s.ends[2]:])
		f := newFollowing(s.fsys, 0)
		f.mustSee(t, upTo(s.seqs[2]))
		n.data = good
		f.mustSee(t, upTo(samples))
	})
	t.Run("at once", func(t *testing.T) {
		s := newSample(t)
		n := s.fsys.names["j/"+segmentName(2)]
		good := n.data
		n.data = slices.Clone(good)
		clear(n.data[offsets(good)[2]:])
		fsys := &listHook{memFS: s.fsys}
		f := newFollowing(fsys, 0)
		lists := 0
		fsys.on = func() {
			// The first look is for a place to start, the second for segment 2.
			if lists++; lists == 3 {
				n.data = good
			}
		}
		f.mustSee(t, upTo(samples))
	})
}

// listHook does something whenever the directory is listed.
type listHook struct {
	*memFS
	on func()
}

func (h *listHook) List(dir string) ([]FileInfo, error) {
	h.on()
	return h.memFS.List(dir)
}

// TestFollowOnDisk follows a running writer through the exported function.
func TestFollowOnDisk(t *testing.T) {
	dir := t.TempDir()
	l := mustOpen(t, dir, testOptions())
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	const n = 400
	last := uint64(0)
	done := make(chan error, 1)
	go func() {
		done <- Follow(ctx, dir, FollowOptions{Poll: time.Millisecond}, func(r *Record) error {
			if r.Seq != last+1 {
				return fmt.Errorf("expected record %d, found %d", last+1, r.Seq)
			}
			if last = r.LastSeq(); last >= n {
				return io.EOF
			}
			return nil
		})
	}()
	for range n {
		l.Append(1, 0, make([]byte, 100), false)
	}
	if err := <-done; !errors.Is(err, io.EOF) {
		t.Fatal(err)
	}
	cancel()
	err := Follow(ctx, dir, FollowOptions{From: FromEnd, Poll: time.Millisecond}, func(r *Record) error {
		return fmt.Errorf("record %d was there before", r.Seq)
	})
	if !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	if err := Follow(ctx, dir, FollowOptions{}, nil); err == nil || !strings.Contains(err.Error(), "Poll") {
		t.Fatalf("expected to be told that Poll is missing, found %v", err)
	}
}

func TestTail(t *testing.T) {
	s := newSample(t)
	for _, n := range []int{1, 5, 20, samples, 1000} {
		recs, err := tail(s.fsys, "j", n)
		if err != nil {
			t.Fatal(err)
		}
		want := min(n, samples+1)
		if len(recs) != want || recs[want-1].Kind != KindClose || recs[0].Seq != uint64(samples+2-want) {
			t.Fatalf("last %d: found %d from %d", n, len(recs), recs[0].Seq)
		}
		for _, r := range recs[:want-1] {
			if string(r.Payload) != string(payload(r.Seq)) {
				t.Fatalf("record %d: %q", r.Seq, r.Payload)
			}
		}
	}
	edit(s, 3, func(b []byte) []byte { b[offsets(b)[1]+30] ^= 1; return b })
	recs, err := tail(s.fsys, "j", 100)
	var failed *Error
	if !errors.As(err, &failed) || len(recs) != samples {
		t.Fatalf("%d records, %v", len(recs), err)
	}
	if _, err := Tail(t.TempDir(), 0); err == nil {
		t.Fatal("expected an error for no records")
	}
}
