package journal

import (
	"errors"
	"io/fs"
	"os"
	"strings"
	"testing"
	"time"
)

// TestOptionsThatCannotWork names the option in each error.
func TestOptionsThatCannotWork(t *testing.T) {
	for _, tt := range []struct {
		option string
		change func(*Options)
	}{
		{"SegmentBytes", func(o *Options) { o.SegmentBytes = 1023 }},
		{"SegmentBytes", func(o *Options) { o.SegmentBytes = 1 << 40 }},
		{"QuotaBytes", func(o *Options) { o.QuotaBytes = 3*blocks(o.SegmentBytes) - 1 }},
		{"RingBytes", func(o *Options) { o.RingBytes = 100 }},
		{"RingBytes", func(o *Options) { o.RingBytes = maxRing + 1 }},
		{"BootID", func(o *Options) { o.BootID = [16]byte{} }},
		{"WriteEvery", func(o *Options) { o.WriteEvery = 0 }},
		{"SyncEvery", func(o *Options) { o.SyncEvery = -time.Second }},
		{"Clock", func(o *Options) { o.Clock = nil }},
		{"Wall", func(o *Options) { o.Wall = nil }},
		{"Rand", func(o *Options) { o.Rand = nil }},
		{"FS", func(o *Options) { o.FS = nil }},
	} {
		o := testOptions()
		tt.change(&o)
		if _, err := Open(t.TempDir(), o); err == nil || !strings.Contains(err.Error(), tt.option+": expected") {
			t.Errorf("%s: %v", tt.option, err)
		}
	}
}

// TestExtremeOptions open, take their largest record, and give it back.
func TestExtremeOptions(t *testing.T) {
	for name, change := range map[string]func(*Options){
		"smallest":      func(o *Options) { o.SegmentBytes, o.QuotaBytes, o.RingBytes = 1024, 3*block, minRing },
		"largest":       func(o *Options) { o.SegmentBytes, o.QuotaBytes, o.RingBytes = 4<<20, 1<<30, maxRing },
		"odd ring":      func(o *Options) { o.RingBytes = 100_000 },
		"large segment": func(o *Options) { o.SegmentBytes, o.QuotaBytes = 1<<31, 3<<31 },
	} {
		t.Run(name, func(t *testing.T) {
			o := testOptions()
			change(&o)
			dir := t.TempDir()
			l := mustOpen(t, dir, o)
			for range 3 {
				if _, ok := l.Append(1, 0, make([]byte, l.MaxPayload()), true); !ok {
					t.Fatalf("%d bytes refused", l.MaxPayload())
				}
				mustSync(t, l)
			}
			mustClose(t, l)
			if n := len(readAll(t, dir)); n < 2 || n > 4 {
				t.Fatalf("%d records", n)
			}
		})
	}
}

func TestOpenWhereItCannot(t *testing.T) {
	file := t.TempDir() + "/file"
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(file, testOptions()); err == nil {
		t.Error("expected an error for a file")
	}
	if _, err := Open(file+"/below", testOptions()); err == nil {
		t.Error("expected an error below a file")
	}
	o := memOptions(unlistable{newMemFS()})
	if _, err := Open("j", o); !errors.Is(err, fs.ErrPermission) {
		t.Errorf("expected a permission error, found %v", err)
	}
}

// unlistable is a directory that may not be read.
type unlistable struct{ *memFS }

func (unlistable) List(string) ([]FileInfo, error) { return nil, fs.ErrPermission }
