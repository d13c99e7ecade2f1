package slots_test

import (
	"strings"
	"testing"

	"github.com/robowarden/robowarden/agent/slots"
)

// kept asks the slots whether the kernel keeps what is active.
func kept(t testing.TB, d slots.FS) bool {
	t.Helper()
	s := slots.View("grasp", d)
	_, ok := s.Kept(t.Context(), s.Active())
	return ok
}

// TestVerityIsKept installs with and without fs-verity: what the kernel keeps is compared with what was written.
func TestVerityIsKept(t *testing.T) {
	d := newDisk()
	install(t, d, older, 1, 0)
	if !kept(t, d) {
		t.Error("installed with fs-verity: not kept")
	}
	install(t, d, older, 2, 0) // A newer release of the same content.
	if !kept(t, d) {
		t.Error("the same content again: not kept")
	}
	// The same bytes in a file that the kernel does not keep, then other ones in one that it does.
	n := d.names["a/weights.bin"]
	n.verity = false
	if kept(t, d) {
		t.Error("one file without fs-verity counts as kept")
	}
	n.verity, n.data = true, []byte("other")
	if kept(t, d) {
		t.Error("another digest counts as kept")
	}

	plain := newDisk()
	plain.plain = true
	install(t, plain, older, 1, 0)
	if kept(t, plain) || running(t, plain) != older.digest() {
		t.Error("a file system without fs-verity: kept, or not installed")
	}
	if h, err := slots.View("grasp", plain).History(); err != nil || !strings.Contains(h[0].Text, slots.ErrNoVerity.Error()) {
		t.Errorf("the history does not say so: %+v, %v", h, err)
	}

	rots := newDisk()
	rots.rots = true
	err := open(t, rots).Install(t.Context(), &slots.Install{Release: releaseOf(older, 1, 0), Source: older})
	if err == nil || !strings.Contains(err.Error(), "fs-verity measures") || running(t, rots) != "" {
		t.Errorf("the kernel keeps something else than what was written: %v", err)
	}
}
