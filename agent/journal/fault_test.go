package journal

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

// memOptions writes to fsys with tiny segments and a clock that stands still.
func memOptions(fsys FS) Options {
	o := DefaultOptions(testBoot, func() time.Duration { return time.Second })
	o.SegmentBytes, o.QuotaBytes, o.RingBytes = 2048, 1<<20, 16<<10
	o.Wall = func() time.Time { return time.Unix(0, 0) }
	o.Rand = zeros{}
	o.FS = fsys
	return o
}

// pump lets the writer work once and returns what fails.
func pump(l *Log) error {
	l.w.attempt(true)
	return l.Health().Err
}

// payload is the content of record seq in most tests; its length varies.
func payload(seq uint64) []byte {
	return fmt.Appendf(nil, "%d:%0*d", seq, int(seq*37%200), seq)
}

// fill appends n records with the payload that belongs to their number.
func fill(l *Log, n int, urgent bool) (lost int) {
	for range n {
		count, _ := l.ring.tail()
		if _, ok := l.Append(1, time.Second, payload(l.base+count), urgent); !ok {
			lost++
		}
	}
	return lost
}

// content is what a reader finds in a log.
type content struct {
	have        map[uint64]string // the caller's records by number
	lost        map[uint64]bool   // the numbers in gaps
	first, last uint64
}

// contents reads a log up to the first problem.
func contents(fsys FS) (c content, err error) {
	r, err := openDir(fsys, "j")
	if err != nil {
		return c, err
	}
	c.have, c.lost = map[uint64]string{}, map[uint64]bool{}
	if n := len(r.heads); n > 0 {
		c.first, c.last = r.heads[0].seg.FirstSeq, r.heads[n-1].seg.FirstSeq-1
	}
	for rec, err := range r.All() {
		if err != nil {
			return c, err
		}
		c.last = rec.LastSeq()
		switch {
		case rec.Kind == KindGap:
			for seq := rec.Seq; seq <= c.last; seq++ {
				c.lost[seq] = true
			}
		case !rec.Kind.Reserved():
			c.have[rec.Seq] = string(rec.Payload)
		}
	}
	return c, nil
}

// faults are what a disk can answer.
var faults = []struct {
	name string
	err  error
}{
	{"full", syscall.ENOSPC},
	{"quota of the disk", syscall.EDQUOT},
	{"input/output error", syscall.EIO},
	{"read-only", syscall.EROFS},
	{"short write", errShort},
}

// script is a session that opens, rotates and closes. It goes on through
// failures as Run does, and returns how the log ended.
func script(fsys FS) (*Log, error) {
	l, err := Open("j", memOptions(fsys))
	if err != nil {
		return nil, err
	}
	for i := range 8 {
		fill(l, 4, i%3 == 0)
		if err := pump(l); err != nil {
			pump(l)
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	return l, l.Close(ctx)
}

// TestFaultAtEveryChange lets every single change of the disk fail, in every
// way, once or a few times in a row: nothing is lost, nothing is wrong.
func TestFaultAtEveryChange(t *testing.T) { synctest.Test(t, faultAtEveryChange) }

func faultAtEveryChange(t *testing.T) {
	clean := newMemFS()
	if _, err := script(clean); err != nil {
		t.Fatal(err)
	}
	want, err := contents(clean)
	if err != nil || len(want.have) != 32 {
		t.Fatalf("without a fault: %d records, %v", len(want.have), err)
	}
	seen := 0
	for _, fault := range faults {
		for at := range clean.ops {
			for _, times := range []int{1, 3} {
				fsys := newMemFS()
				fsys.fault = func(op, _ string, n int) error {
					if n < at || n >= at+times || errors.Is(fault.err, errShort) && op != "write" {
						return nil
					}
					seen++
					return fault.err
				}
				name := fmt.Sprintf("%s, %d times from change %d on", fault.name, times, at)
				l, err := script(fsys)
				if err != nil {
					t.Fatalf("%s: %v", name, err)
				}
				checkLog(t, name, fsys, l, want.have)
			}
		}
	}
	t.Logf("%d changes, %d faults", clean.ops, seen)
}

// checkLog checks that a log is whole, also after the power was cut now.
func checkLog(t *testing.T, name string, fsys *memFS, l *Log, want map[uint64]string) {
	t.Helper()
	seq, head := l.Head()
	for range 2 {
		c, err := contents(fsys)
		if err != nil || len(c.lost) != 0 {
			t.Fatalf("%s: %v, lost %v", name, err, c.lost)
		}
		if diff := cmp.Diff(want, c.have); diff != "" {
			t.Fatalf("%s: %s", name, diff)
		}
		rep, err := verify(fsys, []Checkpoint{{seq, head}})
		if err != nil || !rep.OK() {
			t.Fatalf("%s: %v %v", name, err, rep.Problems)
		}
		fsys = fsys.powerCut(rand.New(rand.NewPCG(1, 2)))
	}
}

// TestOutage keeps the disk away until the ring is full and more: the log says
// exactly what was lost.
func TestOutage(t *testing.T) {
	for _, fault := range faults[:4] {
		t.Run(fault.name, func(t *testing.T) {
			fsys := newMemFS()
			l, err := Open("j", memOptions(fsys))
			if err != nil {
				t.Fatal(err)
			}
			fill(l, 5, false)
			if err := pump(l); err != nil {
				t.Fatal(err)
			}
			durable, _ := l.Head()
			fsys.fault = func(string, string, int) error { return fault.err }
			lost := fill(l, 500, true)
			for range 3 {
				if err := pump(l); !errors.Is(err, fault.err) {
					t.Fatalf("expected %v, found %v", fault.err, err)
				}
			}
			h := l.Health()
			if h.Writable || h.Lost != uint64(lost) || h.DurableSeq != durable || lost == 0 {
				t.Fatalf("lost %d: %+v", lost, h)
			}
			fsys.fault = nil
			if err := pump(l); err != nil {
				t.Fatal(err)
			}
			fill(l, 5, false)
			mustClose(t, l)
			c, err := contents(fsys)
			if err != nil || len(c.lost) != lost || c.last != 511 || len(c.have) != 510-lost {
				t.Fatalf("%d lost: found %d lost, %d records, last %d, %v", lost, len(c.lost), len(c.have), c.last, err)
			}
			for seq, p := range c.have {
				if p != string(payload(seq)) {
					t.Fatalf("record %d: %q", seq, p)
				}
			}
			if h := l.Health(); !h.Writable || h.Err != nil {
				t.Fatalf("%+v", h)
			}
		})
	}
}

// TestOpenOnFailingDisk opens logs that can be read but not changed.
func TestOpenOnFailingDisk(t *testing.T) {
	fsys := newMemFS()
	l, err := Open("j", memOptions(fsys))
	if err != nil {
		t.Fatal(err)
	}
	fill(l, 3, false)
	pump(l)
	path := l.w.path
	fsys = fsys.killed()
	n := fsys.names[path]
	n.data = append(n.data, "RJtorn"...)
	fsys.fault = func(string, string, int) error { return syscall.EROFS }
	l, err = Open("j", memOptions(fsys))
	if err != nil {
		t.Fatalf("expected a log that waits, found %v", err)
	}
	if h := l.Health(); h.Writable || !errors.Is(h.Err, syscall.EROFS) {
		t.Fatalf("%+v", h)
	}
	fill(l, 3, false)
	fsys.fault = nil
	mustClose(t, l)
	c, err := contents(fsys)
	if err != nil || len(c.have) != 6 || len(c.lost) != 0 {
		t.Fatalf("%+v %v", c, err)
	}
}

// TestWhatAFaultLeavesBehind looks at the files after one failure.
func TestWhatAFaultLeavesBehind(t *testing.T) {
	for _, tt := range []struct {
		name       string
		op         string
		err        error
		cutFails   bool
		segments   uint64
		superseded bool
	}{
		{"full disk: the segment stays in use", "write", syscall.ENOSPC, false, 1, false},
		{"failed write: the segment is suspect", "write", syscall.EIO, false, 2, false},
		{"failed sync: the segment is suspect", "sync", syscall.EIO, false, 2, false},
		{"failed sync, and it cannot be cut", "sync", syscall.EIO, true, 2, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			fsys := newMemFS()
			l, err := Open("j", memOptions(fsys))
			if err != nil {
				t.Fatal(err)
			}
			fill(l, 2, true)
			pump(l)
			fsys.fault = func(op, _ string, _ int) error {
				if op == tt.op || op == "truncate" && tt.cutFails {
					return tt.err
				}
				return nil
			}
			fill(l, 2, true)
			if err := pump(l); !errors.Is(err, tt.err) {
				t.Fatal(err)
			}
			if notes := mustReopen(t, fsys.killed()); len(notes) != 0 {
				t.Fatalf("the failed write was left behind: %+v", notes)
			}
			fsys.dead, fsys.fault = false, nil
			fill(l, 2, true)
			mustClose(t, l)
			rep, err := verify(fsys, nil)
			if err != nil || !rep.OK() || rep.Segments != tt.segments || rep.Superseded > 0 != tt.superseded || rep.LastSeq != 7 {
				t.Fatalf("%v %+v", err, rep)
			}
		})
	}
}

// mustReopen opens and closes a copy of the disk and returns what was repaired.
func mustReopen(t *testing.T, fsys *memFS) []Recovered {
	t.Helper()
	for path, n := range fsys.names {
		fsys.names[path] = &inode{data: slices.Clone(n.data)}
	}
	l, err := Open("j", memOptions(fsys))
	if err != nil {
		t.Fatal(err)
	}
	mustClose(t, l)
	return l.w.notes
}

// TestKilledAfterAFailedSync restarts on records that the system shows and the
// disk does not have, and then loses power.
func TestKilledAfterAFailedSync(t *testing.T) {
	for seed := range uint64(20) {
		fsys := newMemFS()
		l, err := Open("j", memOptions(fsys))
		if err != nil {
			t.Fatal(err)
		}
		fsys.fault = func(op, _ string, _ int) error {
			if op != "write" {
				return syscall.EIO
			}
			return nil
		}
		fill(l, 5, true)
		pump(l)
		fsys = fsys.killed()
		if l, err = Open("j", memOptions(fsys)); err != nil {
			t.Fatal(err)
		}
		fill(l, 2, true)
		if err := pump(l); err != nil {
			t.Fatal(err)
		}
		seq, head := l.Head()
		fsys = fsys.powerCut(rand.New(rand.NewPCG(seed, 0)))
		if rep, err := verify(fsys, []Checkpoint{{seq, head}}); err != nil || !rep.OK() {
			t.Fatalf("seed %d: %v %v", seed, err, rep.Problems)
		}
	}
}

// TestRingIsFreedInTime keeps appending with a sync far away: the ring must not
// fill up with what is written already.
func TestRingIsFreedInTime(t *testing.T) {
	o := memOptions(newMemFS())
	o.SyncEvery, o.SegmentBytes, o.QuotaBytes = time.Hour, 1<<20, 4<<20
	l, err := Open("j", o)
	if err != nil {
		t.Fatal(err)
	}
	fill(l, 1, false)
	pump(l)
	for range 200 {
		if lost := fill(l, 3, false); lost != 0 {
			t.Fatalf("%d lost with %d of %d bytes in use", lost, l.ring.used(), len(l.ring.buf))
		}
		l.w.attempt(false)
	}
	if h := l.Health(); h.DurableSeq == 601 || h.DurableSeq == 1 {
		t.Fatalf("expected the sync to be late, not immediate and not never: %+v", h)
	}
	mustClose(t, l)
}
