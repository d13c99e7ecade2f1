package journal

import (
	"bytes"
	"context"
	"encoding/binary"
	"maps"
	"strconv"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// TestAppendDoesNotAllocate also runs the writer: nothing on the way to the
// disk allocates either.
func TestAppendDoesNotAllocate(t *testing.T) {
	o := testOptions()
	o.SegmentBytes, o.QuotaBytes = 64<<20, 1<<30
	l, err := Open(t.TempDir(), o)
	if err != nil {
		t.Fatal(err)
	}
	defer mustClose(t, l)
	p := make([]byte, 300)
	if n := testing.AllocsPerRun(1000, func() { l.Append(3, time.Second, p, true) }); n != 0 {
		t.Errorf("Append: %v allocations", n)
	}
	if n := testing.AllocsPerRun(100, func() { l.Append(3, time.Second, p, false); l.w.attempt(true) }); n != 0 {
		t.Errorf("Append and write: %v allocations", n)
	}
	if n := testing.AllocsPerRun(100, func() { _ = l.Health(); l.Head() }); n != 0 {
		t.Errorf("Health and Head: %v allocations", n)
	}
	for range 100000 {
		l.Append(3, time.Second, p, false)
	}
	if n := testing.AllocsPerRun(100, func() { l.Append(3, time.Second, p, true) }); n != 0 || l.Health().Lost == 0 {
		t.Errorf("Append to a full ring: %v allocations, %+v", n, l.Health())
	}
}

// TestRingModel compares the ring with a plain queue.
func TestRingModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := newRing(minRing)
		type want struct {
			seq uint64
			p   []byte
		}
		var queue []want
		var count, read uint64
		peeked := 0 // entries of the queue that were read and not released
		base := rapid.Uint64Range(1, 1<<50).Draw(t, "base")
		t.Repeat(map[string]func(*rapid.T){
			"put": func(t *rapid.T) {
				p := rapid.SliceOfN(rapid.Byte(), 0, 1000).Draw(t, "payload")
				used := r.used()
				n, _, res := r.put(base, 7, 1, time.Duration(count), p, true)
				need := (recordHead + len(p) + granule - 1) / granule * granule
				if n != count || (res == putStored) != (used+need <= len(r.buf)) {
					t.Fatalf("put %d: number %d, result %d with %d of %d used and %d needed", count, n, res, used, len(r.buf), need)
				}
				if res == putStored {
					queue = append(queue, want{base + count, p})
				}
				count++
			},
			"read": func(t *rapid.T) {
				e, ok := r.peek(read)
				if ok != (peeked < len(queue)) {
					t.Fatalf("peek: %v with %d of %d read", ok, peeked, len(queue))
				}
				if !ok {
					return
				}
				var b []byte
				b, read = r.appendTo(nil, read, e.size)
				w := queue[peeked]
				if e.seq != w.seq || !bytes.Equal(b[recordHead:], w.p) || binary.LittleEndian.Uint64(b[8:]) != w.seq {
					t.Fatalf("expected %+v, found %+v %x", w, e, b)
				}
				peeked++
			},
			"release": func(*rapid.T) {
				r.release(read)
				queue = queue[peeked:]
				peeked = 0
			},
		})
	})
}

// TestManyAppenders writes from many goroutines into a small ring: every
// number is there exactly once, as a record or in a gap, in the order in which
// each goroutine appended.
func TestManyAppenders(t *testing.T) {
	dir := t.TempDir()
	o := testOptions()
	o.RingBytes = 8 << 10
	l := mustOpen(t, dir, o)
	const writers, each = 8, 2000
	var wg sync.WaitGroup
	var mu sync.Mutex
	accepted := map[uint64][2]uint32{}
	for g := range uint32(writers) {
		wg.Go(func() {
			mine := map[uint64][2]uint32{}
			var b [100]byte
			for i := range uint32(each) {
				binary.LittleEndian.PutUint32(b[:], g)
				binary.LittleEndian.PutUint32(b[4:], i)
				if seq, ok := l.Append(1, 0, b[:8+i%90], i%100 == 0); ok {
					mine[seq] = [2]uint32{g, i}
				}
			}
			mu.Lock()
			defer mu.Unlock()
			maps.Copy(accepted, mine)
		})
	}
	wg.Wait()
	mustClose(t, l)
	h := l.Health()
	if int(h.Lost)+len(accepted) != writers*each {
		t.Fatalf("%d lost and %d accepted of %d", h.Lost, len(accepted), writers*each)
	}
	next, lost := uint64(1), uint64(0)
	for _, r := range readAll(t, dir) {
		if r.Seq != next {
			t.Fatalf("expected record %d, found %d", next, r.Seq)
		}
		next = r.LastSeq() + 1
		switch {
		case r.Kind == KindGap:
			lost += next - r.Seq
		case !r.Kind.Reserved():
			v := [2]uint32{binary.LittleEndian.Uint32(r.Payload), binary.LittleEndian.Uint32(r.Payload[4:])}
			if accepted[r.Seq] != v || len(r.Payload) != 8+int(v[1]%90) {
				t.Fatalf("record %d: expected %v, found %v", r.Seq, accepted[r.Seq], v)
			}
			delete(accepted, r.Seq)
		}
	}
	if len(accepted) != 0 || lost != h.Lost {
		t.Fatalf("%d accepted and not there; %d lost, gaps say %d", len(accepted), h.Lost, lost)
	}
	t.Logf("%d lost", lost)
}

func TestRefusedRecordsLeaveGaps(t *testing.T) {
	dir := t.TempDir()
	l := mustOpen(t, dir, testOptions())
	for name, try := range map[string]func() (uint64, bool){
		"reserved kind": func() (uint64, bool) { return l.Append(KindGap, 0, nil, false) },
		"too large":     func() (uint64, bool) { return l.Append(1, 0, make([]byte, l.MaxPayload()+1), false) },
	} {
		if seq, ok := try(); ok || seq == 0 {
			t.Errorf("%s: %d %v", name, seq, ok)
		}
	}
	if _, ok := l.Append(1, 0, make([]byte, l.MaxPayload()), false); !ok {
		t.Error("the largest payload was refused")
	}
	mustSync(t, l)
	if h := l.Health(); h.Refused != 2 || h.Lost != 2 {
		t.Errorf("%+v", h)
	}
	mustClose(t, l)
	if seq, ok := l.Append(1, 0, nil, false); ok || seq != 0 {
		t.Errorf("after Close: %d %v", seq, ok)
	}
	recs := readAll(t, dir)
	if len(recs) != 3 || recs[0].Kind != KindGap || recs[0].LastSeq() != 2 || len(recs[1].Payload) != l.MaxPayload() {
		t.Fatalf("%+v", recs)
	}
}

func TestSyncGivesUpWithItsContext(t *testing.T) {
	l, err := Open(t.TempDir(), testOptions())
	if err != nil {
		t.Fatal(err)
	}
	mustSync(t, l) // nothing to wait for
	l.Append(1, 0, nil, true)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := l.Sync(ctx); err == nil {
		t.Fatal("nobody writes, and Sync says that all is on the disk")
	}
	mustClose(t, l)
	mustSync(t, l)
}

func BenchmarkAppend(b *testing.B) {
	for _, size := range []int{100, 300, 3000} {
		b.Run(strconv.Itoa(size)+"B", func(b *testing.B) {
			o := testOptions()
			o.RingBytes = 4 << 20
			l, err := Open(b.TempDir(), o)
			if err != nil {
				b.Fatal(err)
			}
			defer mustClose(b, l)
			p := make([]byte, size)
			b.ReportAllocs()
			for b.Loop() {
				l.Append(1, 0, p, false)
				if _, pos := l.ring.tail(); l.ring.used() > len(l.ring.buf)/2 {
					l.ring.release(pos) // as if the writer were infinitely fast
					l.w.cur.pos, l.w.done.pos = pos, pos
				}
			}
			if n := l.Health().Lost; n != 0 {
				b.Fatalf("%d lost", n)
			}
			l.w.cur.next, l.w.done.next = l.base+uint64(b.N), l.base+uint64(b.N)
		})
	}
}

// BenchmarkSustained appends 300-byte records as fast as they reach the disk.
func BenchmarkSustained(b *testing.B) {
	o := DefaultOptions(testBoot, func() time.Duration { return 0 })
	l, err := Open(b.TempDir(), o)
	if err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(b.Context())
	done := make(chan error, 1)
	go func() { done <- l.Run(ctx) }()
	p := make([]byte, 300)
	b.SetBytes(300)
	start := time.Now()
	for b.Loop() {
		for l.ring.used() > len(l.ring.buf)*3/4 {
			time.Sleep(50 * time.Microsecond)
		}
		l.Append(1, 0, p, false)
	}
	mustSync(b, l)
	b.ReportMetric(float64(b.N)/time.Since(start).Seconds(), "records/s")
	b.ReportMetric(float64(l.Health().Lost), "lost")
	cancel()
	<-done
	mustClose(b, l)
}

// BenchmarkReopen opens a log whose last segment is full.
func BenchmarkReopen(b *testing.B) {
	dir := b.TempDir()
	o := DefaultOptions(testBoot, func() time.Duration { return 0 })
	l, err := Open(dir, o)
	if err != nil {
		b.Fatal(err)
	}
	p := make([]byte, 300)
	for l.w.cur.size < o.SegmentBytes-1000 {
		l.Append(1, 0, p, false)
		l.w.attempt(false)
	}
	l.w.attempt(true)
	if err := l.unlock(); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		l, err := Open(dir, o)
		if err != nil {
			b.Fatal(err)
		}
		path := l.w.path
		if err := l.unlock(); err != nil {
			b.Fatal(err)
		}
		b.StopTimer()
		if err := o.FS.Remove(path); err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
	}
}

// BenchmarkVerify checks a log of 300-byte records.
func BenchmarkVerify(b *testing.B) {
	dir := b.TempDir()
	o := DefaultOptions(testBoot, func() time.Duration { return 0 })
	l, err := Open(dir, o)
	if err != nil {
		b.Fatal(err)
	}
	p := make([]byte, 300)
	for l.w.index < 5 {
		l.Append(1, 0, p, false)
		l.w.attempt(false)
	}
	mustClose(b, l)
	b.SetBytes(4 * o.SegmentBytes)
	for b.Loop() {
		if rep, err := Verify(dir); err != nil || !rep.OK() {
			b.Fatalf("%v %v", err, rep.Problems)
		}
	}
}
