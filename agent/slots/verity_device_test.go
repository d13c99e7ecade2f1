//go:build device

package slots_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/robowarden/robowarden/agent/slots"
)

// TestVerityOfTheKernel is TestVerityIsKept in the folder that ROBOWARDEN_VERITY names, on a file system with fs-verity: what the kernel measures is what was computed without it, the files cannot
// be changed, and an exchanged one is found without being read.
func TestVerityOfTheKernel(t *testing.T) {
	dir, err := os.MkdirTemp(os.Getenv("ROBOWARDEN_VERITY"), "slots")
	if err != nil {
		t.Fatal(err)
	}
	d, err := slots.OpenDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close() //nolint:errcheck // it was written
	// Trees of no, one and two levels.
	c := content{"empty": "", "small": "x", "block": strings.Repeat("b", 4096), "node": strings.Repeat("n", 600_000), "deep/large": strings.Repeat("large", 500_000)}
	install(t, d, c, 1, 0)
	if !kept(t, d) {
		h, err := slots.View("grasp", d).History()
		t.Fatalf("not kept: %+v, %v", h, err)
	}
	active := filepath.Join(dir, "active")
	if f, err := os.OpenFile(filepath.Join(active, "small"), os.O_WRONLY, 0); err == nil {
		t.Errorf("%s can be written", f.Name())
	}
	for _, name := range []string{"small", "deep/large"} {
		file := filepath.Join(active, name)
		if err := os.Rename(file, filepath.Join(dir, "aside")); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(c[name]), 0o600); err != nil {
			t.Fatal(err)
		}
		if kept(t, d) {
			t.Errorf("%s: a copy that nobody keeps counts", name)
		}
		if err := os.WriteFile(file, []byte("other"), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := d.EnableVerity(filepath.Join(slots.View("grasp", d).Active(), name)); err != nil {
			t.Fatal(err)
		}
		if kept(t, d) {
			t.Errorf("%s: other content that the kernel keeps counts", name)
		}
		if err := os.Rename(filepath.Join(dir, "aside"), file); err != nil {
			t.Fatal(err)
		}
		if !kept(t, d) {
			t.Errorf("%s: put back, and not kept", name)
		}
	}
	install(t, d, newer, 2, 0)
	if !kept(t, d) {
		t.Error("the other slot is not kept")
	}
	install(t, d, third, 3, 0) // Into the slot with the first content, which goes.
	if !kept(t, d) || running(t, d) != third.digest() {
		t.Error("the slot that was replaced is not kept")
	}
}
