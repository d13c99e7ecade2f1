package fleet

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
	"pgregory.net/rapid"
)

// filled makes a file with the records of two logs, and returns its bytes and where each record ends.
func filled(t testing.TB, n int) (b *bench, raw []byte, list []Record) {
	t.Helper()
	b = newBench(t, nil)
	guard, courier := newSource("guard", testBoot(1)), newSource("courier", testBoot(1))
	for range n {
		r := []Record{guard.write(4, 1, "decision"), courier.write(18, 2, "something else")}
		list = append(list, r...)
		b.take(event(t, r...))
	}
	if err := b.c.Close(); err != nil {
		t.Fatal(err)
	}
	raw, err := os.ReadFile(filepath.Join(b.o.Dir, fileName(testRobot)))
	if err != nil {
		t.Fatal(err)
	}
	return b, raw, list
}

// TestFileCutAnywhere cuts the file at every byte, as a power cut may: what is left is the longest valid prefix, the
// rest lies beside it, and the robot's resend completes it.
func TestFileCutAnywhere(t *testing.T) {
	b, raw, list := filled(t, 2)
	for cut := range len(raw) {
		b.o.Dir, b.records, b.alarms = memoryDir(t), nil, nil
		path := filepath.Join(b.o.Dir, fileName(testRobot))
		if err := os.WriteFile(path, raw[:cut], 0o600); err != nil {
			t.Fatal(err)
		}
		b.open()
		kept := 0
		for _, p := range b.c.Positions() {
			kept += int(p.Records)
		}
		b.take(event(t, list...))
		if len(b.records)+kept != len(list) {
			t.Fatalf("cut at %d: %d kept and %d taken: expected %d in all", cut, kept, len(b.records), len(list))
		}
		same(t, b.records, list[kept:])
		if err := b.c.Close(); err != nil {
			t.Fatal(err)
		}
		again, err := os.ReadFile(path)
		if err != nil || len(again) != len(raw) {
			t.Fatalf("cut at %d: %d bytes in the end, %v: expected %d", cut, len(again), err, len(raw))
		}
		setAside(t, b, cut, kept)
	}
}

// setAside checks that what was cut off lies beside the file and was told.
func setAside(t testing.TB, b *bench, cut, kept int) {
	t.Helper()
	aside, err := filepath.Glob(filepath.Join(b.o.Dir, "*.damaged-*"))
	if err != nil {
		t.Fatal(err)
	}
	told := slices.Contains(b.codes(), StoreRepaired)
	if told != (len(aside) == 1) {
		t.Fatalf("cut at %d behind %d records: alarms %v, files %v", cut, kept, b.alarms, aside)
	}
}

// TestFileWithFlippedBits damages one byte: nothing behind it is believed, and nothing before it is lost.
func TestFileWithFlippedBits(t *testing.T) {
	b, raw, list := filled(t, 6)
	rapid.Check(t, func(rt *rapid.T) {
		bad := bytes.Clone(raw)
		at := rapid.IntRange(0, len(raw)-1).Draw(rt, "byte")
		bad[at] ^= 1 << rapid.IntRange(0, 7).Draw(rt, "bit")
		b.o.Dir, b.records, b.alarms = memoryDir(t), nil, nil
		if err := os.WriteFile(filepath.Join(b.o.Dir, fileName(testRobot)), bad, 0o600); err != nil {
			rt.Fatal(err)
		}
		c, err := Open(b.now, b.o)
		if at < len(fileMagic) {
			if err == nil {
				rt.Fatal("a file with another magic was opened")
			}
			return
		}
		if err != nil {
			rt.Fatal(err)
		}
		b.c = c
		b.take(event(t, list...))
		n := 0
		for _, p := range c.Positions() {
			n += int(p.Records)
		}
		if err := c.Close(); err != nil || n != len(list) {
			rt.Fatalf("%d records in the end: expected %d (%v)", n, len(list), err)
		}
	})
}

// TestEditedFileIsRefused has whole frames whose content does not follow: that is no power cut.
func TestEditedFileIsRefused(t *testing.T) {
	b, _, _ := filled(t, 1)
	s, _, err := openStore(b.o.Dir, testRobot, b.o.MaxBytes, func(*stored) error { return nil })
	if err != nil {
		t.Fatal(err)
	}
	r := newSource("guard", testBoot(1)).writeN(3)[2]
	s.add(&r, false, t0)
	if err := s.close(); err != nil {
		t.Fatal(err)
	}
	if c, err := Open(t0, b.o); err == nil || !strings.Contains(err.Error(), "move it away") {
		t.Errorf("opened (%v), %v: expected a refusal that says what to do", c, err)
	}
}

func TestTwoConsumersOfOneFile(t *testing.T) {
	b := newBench(t, nil)
	if _, err := Open(t0, b.o); err == nil || !strings.Contains(err.Error(), "another consumer") {
		t.Errorf("opened twice: %v", err)
	}
}

// TestFailingDisk takes the file away under the consumer: nothing is acknowledged that is not on the disk, and it goes
// on when the disk does.
func TestFailingDisk(t *testing.T) {
	b := newBench(t, nil)
	s := newSource("guard", testBoot(1))
	first, second := s.writeN(3), s.writeN(3)
	b.take(event(t, first...))
	if err := b.c.robots[testRobot].store.f.Close(); err != nil { // every write fails from here on
		t.Fatal(err)
	}
	b.take(event(t, second...))
	if seq, _ := b.acknowledged("guard"); seq != first[2].Seq || len(b.records) != 3 {
		t.Errorf("acknowledged %d, %d records: expected what was durable before", seq, len(b.records))
	}
	b.wants(StoreFailed)
	b.now = b.now.Add(retry)
	b.commit()
	b.take(event(t, second...))
	same(t, b.records, append(first, second...))
	if seq, _ := b.acknowledged("guard"); seq != s.seq {
		t.Errorf("acknowledged %d after the disk was mended: expected %d", seq, s.seq)
	}
}

func TestFileNamesDiffer(t *testing.T) {
	if a, b := fileName("a:b/c"), fileName("a/b:c"); a == b || strings.Contains(a, "/") {
		t.Errorf("files %q and %q", a, b)
	}
}

// FuzzStore reads files of any content; they are in memory, for disks are slow.
func FuzzStore(f *testing.F) {
	_, raw, _ := filled(f, 2)
	f.Add(raw)
	f.Add(raw[:len(raw)-3])
	f.Add([]byte(fileMagic))
	fd, err := unix.MemfdCreate("store", unix.MFD_CLOEXEC)
	if err != nil {
		f.Fatal(err)
	}
	s := &store{f: os.NewFile(uintptr(fd), "store")}
	f.Fuzz(func(t *testing.T, data []byte) {
		if err := errors.Join(s.f.Truncate(0), write(s.f, data)); err != nil {
			t.Fatal(err)
		}
		count := func(size int64) (n int, end int64, err error) {
			end, err = s.scan(0, size, func(int64, *stored) error { n++; return nil })
			return n, end, err
		}
		n, end, err := count(int64(len(data)))
		if err != nil {
			return
		}
		if m, again, err := count(end); err != nil || m != n || again != end || end > int64(len(data)) {
			t.Fatalf("%d records to byte %d, then %d to %d (%v)", n, end, m, again, err)
		}
	})
}

func write(f *os.File, data []byte) error {
	_, err := f.WriteAt(data, 0)
	return err
}
