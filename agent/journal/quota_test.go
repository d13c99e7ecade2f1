package journal

import (
	"errors"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// diskUse is what everything in the directory takes of the quota.
func diskUse(t testing.TB, fsys FS) (total int64, names []string) {
	t.Helper()
	files, err := fsys.List("j")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		total += blocks(f.Size)
		names = append(names, f.Name)
	}
	slices.Sort(names)
	return total, names
}

func TestQuotaKeepsTheNewest(t *testing.T) {
	fsys := newMemFS()
	o := memOptions(fsys)
	o.QuotaBytes = 10 * block
	fsys.names["j/something else"] = &inode{data: make([]byte, 5000)}
	fsys.names["j/0000000000000001-200-aaaaaaaa.damaged"] = &inode{data: make([]byte, 2000)}
	fsys.names["j/0000000000000001-300-aaaaaaaa.damaged"] = &inode{data: make([]byte, 5000)}
	l, err := Open("j", o)
	if err != nil {
		t.Fatal(err)
	}
	for range 100 {
		fill(l, 3, false)
		if err := pump(l); err != nil {
			t.Fatal(err)
		}
		if use, names := diskUse(t, fsys); use > o.QuotaBytes {
			t.Fatalf("%d bytes of %d: %v", use, o.QuotaBytes, names)
		}
	}
	seq, head := l.Head()
	mustClose(t, l)
	rep, err := verify(fsys, []Checkpoint{{seq, head}, {1, Digest{}}})
	if err != nil || !rep.OK() || rep.TrimmedTo == 0 || rep.LastSeq != 301 || rep.FirstSeq != rep.TrimmedTo+1 {
		t.Fatalf("%v %+v", err, rep)
	}
	_, names := diskUse(t, fsys)
	want := []string{"0000000000000001-300-aaaaaaaa.damaged", "something else"}
	got := slices.DeleteFunc(names, func(n string) bool { return strings.HasSuffix(n, segmentSuffix) })
	if diff := cmp.Diff(want, got); diff != "" {
		t.Fatal(diff)
	}
}

// TestQuotaTellsTrimmingFromTheft: the header of the newest segment names the
// oldest that must be there.
func TestQuotaTellsTrimmingFromTheft(t *testing.T) {
	fsys := newMemFS()
	o := memOptions(fsys)
	o.QuotaBytes = 10 * block
	l, err := Open("j", o)
	if err != nil {
		t.Fatal(err)
	}
	for range 100 {
		fill(l, 3, false)
		pump(l)
	}
	mustClose(t, l)
	oldest := l.w.kept[0].index
	delete(fsys.names, "j/"+segmentName(oldest))
	rep, err := verify(fsys, nil)
	if err != nil || rep.OK() || rep.Problems[0].Code != CodeMissing {
		t.Fatalf("%v %+v", err, rep.Problems)
	}
}

// TestQuotaWhenDeletingFails keeps what it cannot delete, without a hole, and
// deletes it later.
func TestQuotaWhenDeletingFails(t *testing.T) {
	fsys := newMemFS()
	o := memOptions(fsys)
	o.QuotaBytes = 6 * block
	l, err := Open("j", o)
	if err != nil {
		t.Fatal(err)
	}
	fsys.fault = func(op, _ string, _ int) error {
		if op == "remove" {
			return syscall.EPERM
		}
		return nil
	}
	failed := false
	for range 40 {
		fill(l, 3, false)
		failed = errors.Is(pump(l), syscall.EPERM) || failed
	}
	if !failed {
		t.Fatal("a quota that cannot be kept was not reported")
	}
	fsys.fault = nil
	for range 20 {
		fill(l, 3, false)
		pump(l)
	}
	mustClose(t, l)
	if use, names := diskUse(t, fsys); use > o.QuotaBytes {
		t.Fatalf("%d bytes of %d: %v", use, o.QuotaBytes, names)
	}
	if rep, err := verify(fsys, nil); err != nil || !rep.OK() || rep.LastSeq != 181 {
		t.Fatalf("%v %+v", err, rep)
	}
}

// TestEvidenceIsBounded damages the log again and again.
func TestEvidenceIsBounded(t *testing.T) {
	fsys := newMemFS()
	o := memOptions(fsys)
	o.QuotaBytes = 12 * block
	for i := range 20 {
		l, err := Open("j", o)
		if err != nil {
			t.Fatal(err)
		}
		fill(l, 6, false)
		mustClose(t, l)
		n := fsys.names[l.w.path]
		n.data[headerLen+40+i] ^= 1
		if use, names := diskUse(t, fsys); use > o.QuotaBytes {
			t.Fatalf("%d bytes of %d: %v", use, o.QuotaBytes, names)
		}
	}
	_, names := diskUse(t, fsys)
	aside := 0
	for _, n := range names {
		if strings.HasSuffix(n, evidenceSuffix) {
			aside++
		}
	}
	if aside == 0 || aside > 3 {
		t.Fatalf("%d pieces of evidence: %v", aside, names)
	}
}

// TestFilesArePrivate checks modes on the real file system.
func TestFilesArePrivate(t *testing.T) {
	dir := t.TempDir() + "/deep/journal"
	l := mustOpen(t, dir, testOptions())
	for range 100 {
		l.Append(1, 0, make([]byte, 300), false)
	}
	mustClose(t, l)
	if st, err := os.Stat(dir); err != nil || st.Mode().Perm() != 0o700 {
		t.Fatalf("%v %v", st.Mode(), err)
	}
	files, err := os.ReadDir(dir)
	if err != nil || len(files) < 3 {
		t.Fatalf("%v %v", files, err)
	}
	for _, f := range files {
		if st, err := f.Info(); err != nil || st.Mode() != 0o600 {
			t.Errorf("%s: %v %v", f.Name(), st.Mode(), err)
		}
	}
}

// TestLinksAndPipesAreNotSegments neither follows nor hangs.
func TestLinksAndPipesAreNotSegments(t *testing.T) {
	for name, make := range map[string]func(path string) error{
		"link": func(path string) error { return os.Symlink("/etc/passwd", path) },
		"pipe": func(path string) error { return syscall.Mkfifo(path, 0o600) },
		"dir":  func(path string) error { return os.Mkdir(path, 0o700) },
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			if err := make(dir + "/" + segmentName(1)); err != nil {
				t.Fatal(err)
			}
			var failed *Error
			if _, err := Open(dir, testOptions()); !errors.As(err, &failed) || failed.Code != CodeFile {
				t.Errorf("Open: %v", err)
			}
			if rep, err := Verify(dir); err != nil || rep.OK() || rep.Problems[0].Code != CodeFile {
				t.Errorf("Verify: %v %+v", err, rep)
			}
			if f, err := OS().OpenFile(dir+"/"+segmentName(1), os.O_RDONLY, 0); name == "link" && err == nil {
				t.Errorf("the link was followed: %v", f)
			}
		})
	}
}
