package journal

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"
)

// TestVerifyBesideTheWriter reads a log again and again that rotates and trims
// all the time, and never calls that a fault.
func TestVerifyBesideTheWriter(t *testing.T) {
	dir := t.TempDir()
	o := testOptions()
	o.QuotaBytes = 8 * blocks(o.SegmentBytes)
	l := mustOpen(t, dir, o)
	stop := make(chan struct{})
	done := make(chan struct{})
	go func() {
		defer close(done)
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			default:
			}
			l.Append(1, 0, make([]byte, i%500), i%10 == 0)
			time.Sleep(20 * time.Microsecond)
		}
	}()
	defer func() { close(stop); <-done }()
	reads, trimmed := 0, false
	for deadline := time.Now().Add(2 * time.Second); time.Now().Before(deadline) && (reads < 100 || !trimmed); reads++ {
		mustSync(t, l)
		seq, head := l.Head()
		rep, err := Verify(dir, Checkpoint{seq, head})
		if err != nil || !rep.OK() {
			t.Fatalf("read %d: %v %v", reads, err, rep.Problems)
		}
		trimmed = trimmed || rep.TrimmedTo > 0
	}
	if reads < 5 {
		t.Fatalf("only %d reads", reads)
	}
	t.Logf("%d reads, trimmed %v", reads, trimmed)
}

// TestReaderIsOvertaken lists a log of which everything is trimmed before it
// can be read, and reads what came after.
func TestReaderIsOvertaken(t *testing.T) {
	fsys := newMemFS()
	o := memOptions(fsys)
	o.QuotaBytes = 5 * block
	l, err := Open("j", o)
	if err != nil {
		t.Fatal(err)
	}
	fill(l, 25, false)
	pump(l)
	seq, head := l.Head()
	for _, records := range []int{25, 250} { // some of the segments, and all
		r, err := openDir(fsys, "j")
		if err != nil {
			t.Fatal(err)
		}
		for range records {
			fill(l, 1, true)
			pump(l)
		}
		if rep := r.verify([]Checkpoint{{seq, head}}); !rep.OK() || rep.Records == 0 {
			t.Fatalf("%+v", rep)
		}
	}
	mustClose(t, l)
}

// TestReaderWaitsForTheWriter reads while the writer is in the middle of
// something, which is not damage; without the writer it is.
func TestReaderWaitsForTheWriter(t *testing.T) {
	whole := newSample(t)
	for _, tt := range []struct {
		name  string
		start func(s sample) (finish func())
	}{
		{"record half written", func(s sample) func() {
			n := s.fsys.names[s.path]
			data := n.data
			n.data = data[:s.ends[2]+9]
			return func() { n.data = data }
		}},
		{"header not written", func(s sample) func() {
			n := s.fsys.names[s.path]
			data := n.data
			n.data = nil
			return func() { n.data = data }
		}},
		{"next segment not made", func(s sample) func() {
			n := s.fsys.names[s.path]
			delete(s.fsys.names, s.path)
			return func() { s.fsys.names[s.path] = n }
		}},
	} {
		for _, writer := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s, writer %v", tt.name, writer), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					s := whole
					s.fsys = whole.with(slices.Clone(whole.fsys.names[whole.path].data))
					finish := tt.start(s)
					if writer {
						time.AfterFunc(patience/2, func() {
							s.fsys.mu.Lock()
							defer s.fsys.mu.Unlock()
							finish()
						})
					}
					r, err := openDir(s.fsys, "j")
					if err != nil {
						t.Fatal(err)
					}
					r.patience = patience
					if rep := r.verify(nil); rep.OK() != writer {
						t.Fatalf("%v", rep.Problems)
					}
				})
			})
		}
	}
}

// TestRecoveryOnDisk repairs a torn, a damaged and a headless end on the real
// file system.
func TestRecoveryOnDisk(t *testing.T) {
	for _, tt := range []struct {
		name   string
		cause  Cause
		change func(b []byte) []byte
	}{
		{"torn", CauseTorn, func(b []byte) []byte { return b[:len(b)-10] }},
		{"damaged", CauseDamaged, func(b []byte) []byte { b[headerLen+30] ^= 1; return b }},
		{"headless", CauseHeader, func(b []byte) []byte { b[30] ^= 1; return b }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			l := mustOpen(t, dir, testOptions())
			for range 5 {
				l.Append(1, 0, make([]byte, 200), false)
			}
			mustClose(t, l)
			path := dir + "/" + segmentName(1)
			b, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, tt.change(b), 0o600); err != nil {
				t.Fatal(err)
			}
			l = mustOpen(t, dir, testOptions())
			mustClose(t, l)
			if rep, err := Verify(dir); err != nil || !rep.OK() || rep.Recoveries != 1 {
				t.Fatalf("%v %+v", err, rep)
			}
			if n := l.w.notes[0]; n.Cause != tt.cause {
				t.Fatalf("%+v", n)
			} else if name := n.Evidence(); name != "" {
				if st, err := os.Stat(dir + "/" + name); err != nil || st.Size() != int64(n.Bytes) || st.Mode().Perm() != 0o600 {
					t.Fatalf("evidence: %v %v", st, err)
				}
			}
		})
	}
}

// TestFailureIsToldOnce follows what the operator sees of an outage.
func TestFailureIsToldOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fsys := newMemFS()
		o := memOptions(fsys)
		var logged bytes.Buffer
		var told []error
		o.Log = zerolog.New(&logged)
		o.OnError = func(err error) { told = append(told, err) }
		l := mustOpen(t, "j", o)
		full := func(string, string, int) error { return syscall.ENOSPC }
		fsys.fail(full)
		l.Append(1, 0, nil, true)
		time.Sleep(time.Minute)
		synctest.Wait()
		if len(told) != 1 || !errors.Is(told[0], syscall.ENOSPC) {
			t.Fatalf("%v", told)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := l.Sync(ctx); !errors.Is(err, syscall.ENOSPC) || !errors.Is(err, context.DeadlineExceeded) {
			t.Fatalf("Sync: %v", err)
		}
		before := fsys.fail(full)
		for range 1000 {
			l.Append(1, 0, nil, true)
		}
		time.Sleep(2 * maxBackoff)
		if tries := fsys.fail(nil) - before; tries > 20 {
			t.Fatalf("%d tries in %v: urgent records must not defeat the backoff", tries, 2*maxBackoff)
		}
		time.Sleep(maxBackoff)
		synctest.Wait()
		if h := l.Health(); !h.Writable || h.DurableSeq != 1001 {
			t.Fatalf("%+v", h)
		}
		if text := logged.String(); strings.Count(text, "cannot write") != 1 || strings.Count(text, "writes again") != 1 {
			t.Fatalf("%s", text)
		}
	})
}

// TestCloseGivesUpWithItsContext says how much is not written, and releases the directory.
func TestCloseGivesUpWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fsys := newMemFS()
		l, err := Open("j", memOptions(fsys))
		if err != nil {
			t.Fatal(err)
		}
		fsys.fail(func(string, string, int) error { return syscall.EIO })
		fill(l, 7, false)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		err = l.Close(ctx)
		if !errors.Is(err, syscall.EIO) || !strings.Contains(err.Error(), "7 records not written") {
			t.Fatalf("%v", err)
		}
		if fsys.locked {
			t.Fatal("the directory stayed locked")
		}
		if err := l.Sync(t.Context()); !errors.Is(err, ErrClosed) {
			t.Fatalf("Sync: %v", err)
		}
		if err := l.Close(ctx); err != nil {
			t.Fatalf("second Close: %v", err)
		}
	})
}

// TestSyncEvery makes records durable in time without being asked, and urgent
// ones at once.
func TestSyncEvery(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := memOptions(newMemFS())
		o.WriteEvery, o.SyncEvery = 10*time.Millisecond, time.Second
		l := mustOpen(t, "j", o)
		for i := range uint64(3) {
			fill(l, 1, true)
			synctest.Wait()
			if h := l.Health(); h.DurableSeq != i+1 {
				t.Fatalf("urgent: %+v", h)
			}
		}
		fill(l, 1, false)
		time.Sleep(500 * time.Millisecond)
		if h := l.Health(); h.DurableSeq != 3 {
			t.Fatalf("not urgent, after 500 ms: %+v", h)
		}
		have, err := contents(o.FS)
		if err != nil || have.last != 4 {
			t.Fatalf("not handed to the system: %+v %v", have, err)
		}
		time.Sleep(520 * time.Millisecond)
		if h := l.Health(); h.DurableSeq != 4 {
			t.Fatalf("not urgent, after a second: %+v", h)
		}
	})
}

func TestRunTwice(t *testing.T) {
	l := mustOpen(t, t.TempDir(), testOptions())
	l.Append(1, 0, nil, true)
	mustSync(t, l) // so the first is running
	if err := l.Run(t.Context()); err == nil {
		t.Fatal("expected the second Run to be refused")
	}
}

func TestReaderCanStopEarly(t *testing.T) {
	s := newSample(t)
	r, err := openDir(s.fsys, "j")
	if err != nil {
		t.Fatal(err)
	}
	for range r.All() {
		break
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Next(); err == nil {
		t.Fatal("expected the end after Close")
	}
}
