package journal

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"testing"
	"time"
)

// testBoot is the boot id of most tests.
var testBoot = [16]byte{0xb0, 0x07, 1}

// testOptions are small, so that rotation and quota happen soon.
func testOptions() Options {
	start := time.Now()
	o := DefaultOptions(testBoot, func() time.Duration { return time.Since(start) })
	o.SegmentBytes, o.QuotaBytes, o.RingBytes = 8<<10, 1<<20, 64<<10
	o.WriteEvery, o.SyncEvery = time.Millisecond, 5*time.Millisecond
	return o
}

// mustOpen opens a log and runs its writer until the test ends.
func mustOpen(t testing.TB, dir string, o Options) *Log {
	t.Helper()
	l, err := Open(dir, o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- l.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		if err := l.Close(ctx); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	return l
}

// mustClose closes a log in good order.
func mustClose(t testing.TB, l *Log) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	if err := l.Close(ctx); err != nil {
		t.Fatalf("Close: %v", err)
	}
}

func mustSync(t testing.TB, l *Log) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	if err := l.Sync(ctx); err != nil {
		t.Fatalf("Sync: %v", err)
	}
}

// readAll reads a log that must be without fault.
func readAll(t testing.TB, dir string) []Record {
	t.Helper()
	r, err := OpenDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var list []Record
	for rec, err := range r.All() {
		if err != nil {
			t.Fatal(err)
		}
		rec.Payload = bytes.Clone(rec.Payload)
		list = append(list, rec)
	}
	return list
}

func TestAppendThenRead(t *testing.T) {
	dir := t.TempDir()
	l := mustOpen(t, dir, testOptions())
	const n = 500
	for i := range n {
		seq, ok := l.Append(Kind(i%7), time.Duration(i), fmt.Appendf(nil, "record %d", i), i%50 == 0)
		if !ok || seq != uint64(i+1) {
			t.Fatalf("append %d: seq %d ok %v", i, seq, ok)
		}
	}
	mustSync(t, l)
	seq, head := l.Head()
	if seq != n {
		t.Fatalf("head: expected %d, found %d", n, seq)
	}
	mustClose(t, l)
	recs := readAll(t, dir)
	if len(recs) != n+1 || recs[n].Kind != KindClose {
		t.Fatalf("expected %d records and a close, found %d", n, len(recs))
	}
	for i, r := range recs[:n] {
		if r.Seq != uint64(i+1) || r.Kind != Kind(i%7) || r.Boot != time.Duration(i) || string(r.Payload) != fmt.Sprintf("record %d", i) || r.Urgent != (i%50 == 0) {
			t.Fatalf("record %d: %+v", i, r)
		}
	}
	rep, err := Verify(dir, Checkpoint{seq, head})
	if err != nil || !rep.OK() || rep.Records != n+1 || rep.LastSeq != n+1 || rep.Segments < 3 {
		t.Fatalf("verify: %v %+v", err, rep)
	}
}

func TestSecondWriterIsRefused(t *testing.T) {
	dir := t.TempDir()
	mustOpen(t, dir, testOptions())
	_, err := Open(dir, testOptions())
	if !errors.Is(err, ErrLocked) {
		t.Fatalf("expected ErrLocked, found %v", err)
	}
	t.Log(err)
}

func TestReaderOfOneSegment(t *testing.T) {
	r := NewReader(bytes.NewReader(nil), 0, "empty")
	var failed *Error
	if _, err := r.Next(); !errors.As(err, &failed) || failed.Code != CodeTorn {
		t.Fatalf("expected a torn header, found %v", err)
	}
	if _, err := r.Next(); !errors.Is(err, io.EOF) {
		t.Fatalf("expected the end, found %v", err)
	}
}
