package proc_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/robowarden/robowarden/hal/proc"
)

// TestFilesInUse opens one file and maps another, and takes their names away: both are found by what they are.
func TestFilesInUse(t *testing.T) {
	dir := t.TempDir()
	type file struct{ device, inode uint64 }
	inodes := map[file]string{}
	make := func(name string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte("weights"), 0o600); err != nil {
			t.Fatal(err)
		}
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		st := info.Sys().(*syscall.Stat_t)
		inodes[file{st.Dev, st.Ino}] = name
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
			name := inodes[file{unix.Mkdev(u.Major, u.Minor), u.Inode}]
			if u.PID != os.Getpid() || found[name] != "" {
				t.Errorf("%+v", u)
			}
			found[name] = u.Path
			folder, err := proc.PlacesOf(dir)
			if err != nil {
				t.Fatal(err)
			}
			place, ok := u.Place()
			if rest, in := place.Below(folder[0].Place); !ok || !in || rest != filepath.Base(u.Path) {
				t.Errorf("%s lies at %+v, %t: expected it below %+v", u.Path, place, ok, folder)
			}
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

// TestAMappedFileIsAskedItself has a list of mappings name another device than stat(2) does, as on btrfs and overlayfs: the file is asked
// by its addresses, or else by its name, and what cannot be asked is told as listed.
func TestAMappedFileIsAskedItself(t *testing.T) {
	target := filepath.Join(t.TempDir(), "weights.bin")
	if err := os.WriteFile(target, []byte("weights"), 0o600); err != nil {
		t.Fatal(err)
	}
	held, err := os.Open(target) // Its name stays in the kernel's memory.
	if err != nil {
		t.Fatal(err)
	}
	defer held.Close() //nolint:errcheck // it was read
	info, err := held.Stat()
	if err != nil {
		t.Fatal(err)
	}
	st := info.Sys().(*syscall.Stat_t)
	for name, c := range map[string]struct {
		inode  uint64
		links  map[string]string
		listed bool
	}{
		"by its addresses":                {st.Ino, map[string]string{"map_files/40b000-7f00a000": target}, false},
		"another inode by its addresses":  {st.Ino + 1, map[string]string{"map_files/40b000-7f00a000": target}, false},
		"by its name":                     {st.Ino, map[string]string{"root": "/"}, false},
		"another file by its name":        {st.Ino + 1, map[string]string{"root": "/"}, true},
		"not at all (off)":                {st.Ino, nil, true},
		"by addresses that are not there": {st.Ino, map[string]string{"map_files/40b000-7f00b000": target}, true},
	} {
		t.Run(name, func(t *testing.T) {
			root := t.TempDir()
			dir := filepath.Join(root, "42")
			for _, folder := range []string{"fd", "map_files"} {
				if err := os.MkdirAll(filepath.Join(dir, folder), 0o700); err != nil {
					t.Fatal(err)
				}
			}
			line := fmt.Sprintf("0040b000-7f00a000 r--p 00000000 00:2f %d   %s\n", c.inode, target)
			if err := os.WriteFile(filepath.Join(dir, "maps"), []byte(line), 0o600); err != nil {
				t.Fatal(err)
			}
			for link, to := range c.links {
				if err := os.Symlink(to, filepath.Join(dir, link)); err != nil {
					t.Fatal(err)
				}
			}
			n := 0
			proc.Files(t.Context(), root, func(string) bool { return true }, func(u *proc.FileUse) {
				n++
				if u.Path != target || u.Listed != c.listed {
					t.Errorf("%+v, expected listed %t", u, c.listed)
				}
				if same := unix.Mkdev(u.Major, u.Minor) == st.Dev && u.Inode == st.Ino; same == c.listed {
					t.Errorf("%+v, stat(2) has %d %d", u, st.Dev, st.Ino)
				}
			})
			if n != 1 {
				t.Errorf("told of %d files", n)
			}
		})
	}
}
