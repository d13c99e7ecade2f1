package courier

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/robowarden/robowarden/agent/evidencelog"
)

func exampleCursor() *cursor {
	c := &cursor{Robot: testRobot, Marks: map[string][]evidencelog.Position{}}
	for i := range 3 {
		c.move(evidencelog.Guard, evidencelog.Position{BootID: [16]byte{byte(i + 1)}, Seq: uint64(10 * (i + 1)), Digest: evidencelog.Digest{byte(i)}})
	}
	c.move(evidencelog.Courier, evidencelog.Position{BootID: [16]byte{9}, Seq: 7})
	return c
}

func TestCursorComesBack(t *testing.T) {
	dir := t.TempDir()
	c := exampleCursor()
	data, err := c.encode()
	if err != nil {
		t.Fatal(err)
	}
	if err := storeCursor(dir, data); err != nil {
		t.Fatal(err)
	}
	got, err := loadCursor(dir)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(c, got); d != "" {
		t.Fatal(d)
	}
	if got.Marks[evidencelog.Guard][0].Seq != 30 {
		t.Error("the newest boot is not the first")
	}
	got.move(evidencelog.Guard, evidencelog.Position{BootID: [16]byte{2}, Seq: 25})
	if m := got.Marks[evidencelog.Guard]; len(m) != 3 || m[0].Seq != 25 || m[1].Seq != 30 {
		t.Errorf("%+v", m)
	}
}

// TestHalfWrittenCursor cuts and flips the file at every byte: it is used whole or not at all.
func TestHalfWrittenCursor(t *testing.T) {
	data, err := exampleCursor().encode()
	if err != nil {
		t.Fatal(err)
	}
	for i := range data {
		if got, err := decodeCursor(data[:i]); !errors.Is(err, errCursor) || len(got.Marks) != 0 {
			t.Fatalf("cut at %d: %v, %+v", i, err, got)
		}
		flipped := append([]byte(nil), data...)
		flipped[i] ^= 1
		if got, err := decodeCursor(flipped); err == nil {
			if d := cmp.Diff(exampleCursor(), got); d != "" {
				t.Fatalf("flipped at %d: another cursor was read: %s", i, d)
			}
		} else if len(got.Marks) != 0 {
			t.Fatalf("flipped at %d: %+v", i, got)
		}
	}
}

func TestCursorWithoutFileOrWithLeftovers(t *testing.T) {
	dir := t.TempDir()
	if c, err := loadCursor(dir); err != nil || len(c.Marks) != 0 {
		t.Fatalf("%v", err)
	}
	data, _ := exampleCursor().encode()
	if err := storeCursor(dir, data); err != nil {
		t.Fatal(err)
	}
	// A kill in the middle of the next write leaves the old one in force.
	if err := os.WriteFile(filepath.Join(dir, cursorFile+".new"), data[:20], 0o600); err != nil {
		t.Fatal(err)
	}
	if c, err := loadCursor(dir); err != nil || c.Robot != testRobot {
		t.Fatalf("%v", err)
	}
}

func TestCursorForgetsOldBoots(t *testing.T) {
	c := &cursor{Marks: map[string][]evidencelog.Position{}}
	for i := range 3 * maxBoots {
		c.move(evidencelog.Guard, evidencelog.Position{BootID: [16]byte{byte(i)}, Seq: 1})
	}
	if n := len(c.Marks[evidencelog.Guard]); n != maxBoots {
		t.Errorf("%d boots, expected %d", n, maxBoots)
	}
}
