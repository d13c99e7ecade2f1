package recording

import (
	"errors"
	"io"
	"runtime"
	"strings"
	"testing"
	"time"
)

// fuzz reads whatever bytes: no panic, no endless loop, errors with a place, and no more memory than is allowed.
func fuzz(t *testing.T, raw []byte) {
	list, _, err := all(raw)
	var d *Damage
	if err != nil && !errors.Is(err, ErrNotRecording) && !errors.As(err, &d) {
		t.Fatalf("%d messages, then an error without a place: %v", len(list), err)
	}
	if d != nil && (d.Offset < 0 || d.Offset > int64(len(raw))) {
		t.Fatalf("a place outside of the file: %+v", d)
	}
}

func FuzzRosbag(f *testing.F) {
	for _, name := range []string{"drive-none.bag", "drive-lz4.bag", "drive-bz2.bag"} {
		raw := fixture(f, name)
		f.Add(raw[:min(len(raw), 30_000)])
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		if len(raw) > 1<<18 {
			t.Skip()
		}
		fuzz(t, append([]byte(rosbagMagic), raw[min(len(raw), len(rosbagMagic)):]...))
	})
}

func FuzzMCAP(f *testing.F) {
	for _, c := range []string{"", "lz4", "zstd"} {
		raw := mcapOf(f, c, c == "zstd")
		f.Add(raw[:min(len(raw), 30_000)])
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		if len(raw) > 1<<18 {
			t.Skip()
		}
		fuzz(t, append([]byte(mcapMagic), raw[min(len(raw), len(mcapMagic)):]...))
	})
}

// endless is a bag of n equal chunks, made as it is read.
type endless struct {
	chunk string
	left  int
	r     *strings.Reader
}

func (e *endless) Read(b []byte) (int, error) {
	for e.r.Len() == 0 {
		if e.left == 0 {
			return 0, io.EOF
		}
		e.left--
		e.r.Reset(e.chunk)
	}
	return e.r.Read(b)
}

func (e *endless) Close() error { return nil }

// TestMemoryDoesNotGrow reads recordings of 20 MB and 400 MB: the heap at the end is the same.
func TestMemoryDoesNotGrow(t *testing.T) {
	conn := record(map[string]string{"op": "\x07", "conn": le32(0), "topic": "/a"}, "")
	message := record(map[string]string{"op": "\x02", "conn": le32(0), "time": le32(5) + le32(6)}, strings.Repeat("x", 1000))
	index := record(map[string]string{"op": "\x04", "ver": le32(1), "conn": le32(0), "count": le32(1000)}, strings.Repeat("i", 12_000))
	chunk := record(map[string]string{"op": "\x05", "compression": "none", "size": le32(0)}, conn+strings.Repeat(message, 1000)) + index
	heap := func(n int) uint64 {
		e := &endless{chunk: chunk, left: n, r: strings.NewReader(rosbagMagic)}
		r, err := open("x", e, func(*Channel) bool { return true })
		if err != nil {
			t.Fatal(err)
		}
		var m Message
		for err == nil {
			err = r.Next(&m)
		}
		if !errors.Is(err, io.EOF) {
			t.Fatal(err)
		}
		runtime.GC()
		var s runtime.MemStats
		runtime.ReadMemStats(&s)
		runtime.KeepAlive(r)
		return s.HeapAlloc
	}
	begun := time.Now()
	small := heap(20)
	large := heap(400)
	t.Logf("heap %d KB after 20 MB, %d KB after 400 MB, in %v", small>>10, large>>10, time.Since(begun))
	if large > small+1<<20 {
		t.Errorf("heap %d KB after 20 MB, %d KB after 400 MB", small>>10, large>>10)
	}
}
