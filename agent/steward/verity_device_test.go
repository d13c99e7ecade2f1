//go:build device

package steward

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/robowarden/robowarden/agent/contract"
	"github.com/robowarden/robowarden/agent/slots"
)

// TestVerityIsNotReadAgain measures slots in the folder that ROBOWARDEN_VERITY names, on a file system with fs-verity: what the kernel
// keeps is read once, and content that looks as before and tells nobody is found out by the kernel's digest.
func TestVerityIsNotReadAgain(t *testing.T) {
	dir, err := os.MkdirTemp(os.Getenv("ROBOWARDEN_VERITY"), "steward")
	if err != nil {
		t.Fatal(err)
	}
	now := time.Hour
	a := eyes(dir, &now)
	a.watch.tried = true // Nothing is heard.
	folder, digest := installed(t, dir, "grasp", "weights")
	if got := hears(t, a, "grasp"); got.SHA256 != digest || got.Why != contract.KeptVerity {
		t.Fatalf("%+v, expected %s", got, contract.KeptVerity)
	}
	first := a.known["grasp"].at
	for range 3 {
		now += recheck
		if got := hears(t, a, "grasp"); got.SHA256 != digest || a.known["grasp"].at != first {
			t.Fatalf("read again: %+v", got)
		}
	}
	for _, keep := range []bool{false, true} {
		file := filepath.Join(folder, "active", "weights.bin")
		if err := os.Remove(file); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte("weightz"), 0o600); err != nil {
			t.Fatal(err)
		}
		if keep {
			d, err := slots.OpenDir(folder)
			if err != nil {
				t.Fatal(err)
			}
			if err := d.EnableVerity(slots.View("grasp", d).Active() + "/weights.bin"); err != nil {
				t.Fatal(err)
			}
			if err := d.Close(); err != nil {
				t.Fatal(err)
			}
		}
		looksUnchanged(t, a, "grasp")
		if got := hears(t, a, "grasp"); got.SHA256 != digest {
			t.Errorf("this test proves nothing: %+v", got)
		}
		now += verityEvery
		if got := hears(t, a, "grasp"); got.SHA256 == digest || got.SHA256 == "" || got.Why != contract.KeptPeriodic {
			t.Errorf("kept %t: %+v", keep, got)
		}
		// As it was, by a second installation.
		if err := os.RemoveAll(folder); err != nil {
			t.Fatal(err)
		}
		installed(t, dir, "grasp", "weights")
		if got := hears(t, a, "grasp"); got.SHA256 != digest || got.Why != contract.KeptVerity {
			t.Fatalf("%+v", got)
		}
	}
}
