package proc_test

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/robowarden/robowarden/hal/proc"
)

// TestFilesInUse opens one file and maps another, and takes their names away: both are found by what they are.
func TestFilesInUse(t *testing.T) {
	dir := t.TempDir()
	inodes := map[uint64]string{}
	make := func(name string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte("weights"), 0o600); err != nil {
			t.Fatal(err)
		}
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		inodes[info.Sys().(*syscall.Stat_t).Ino] = name
		return path
	}
	opened, mapped := make("opened"), make("mapped with a blank")
	f, err := os.Open(opened)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close() //nolint:errcheck // it was read
	g, err := os.Open(mapped)
	if err != nil {
		t.Fatal(err)
	}
	b, err := syscall.Mmap(int(g.Fd()), 0, 7, syscall.PROT_READ, syscall.MAP_PRIVATE)
	if err != nil {
		t.Fatal(err)
	}
	defer syscall.Munmap(b) //nolint:errcheck // the test is over
	if err := g.Close(); err != nil {
		t.Fatal(err)
	}
	about := func(path string) bool { return strings.HasPrefix(path, dir+"/") }
	look := func() map[string]string {
		found := map[string]string{}
		why := proc.Files(t.Context(), "", about, func(u *proc.FileUse) {
			if u.PID != os.Getpid() || found[inodes[u.Inode]] != "" {
				t.Errorf("%+v", u)
			}
			found[inodes[u.Inode]] = u.Path
		})
		if why != proc.ReasonNone && why != proc.ReasonHidden {
			t.Fatal(why)
		}
		return found
	}
	if got := look(); len(got) != 2 || got["opened"] != opened || got["mapped with a blank"] != mapped {
		t.Errorf("%v", got)
	}
	for _, path := range []string{opened, mapped} {
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
	}
	if got := look(); len(got) != 2 || got["opened"] != opened+" (deleted)" || got["mapped with a blank"] != mapped+" (deleted)" {
		t.Errorf("without names: %v", got)
	}
}
