package artifact

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"sort"
	"strings"
	"syscall"
)

// hashBlock is how much of a file is in memory at once.
const hashBlock = 256 << 10

// tree reads one file or folder and never leaves it: names are resolved within the folder, by the kernel's handle of it,
// so a link or a rename on the way leads nowhere else.
type tree struct {
	root *os.Root
	// single is the name of the only file, within root; empty for a folder.
	single string
	links  bool
	ignore []string

	faults  []Fault
	ignored []string
	found   map[string]int64 // Path and size.
	buf     []byte
}

func unreadable(name string, err error) *Error {
	return refuse(Unreadable, name, "look at the path, the disk and who may read it", "cannot be read").because(err)
}

// openTree opens a folder, or the folder of one file.
func openTree(name string, single bool) (*tree, error) {
	info, err := os.Stat(name)
	if err != nil {
		return nil, unreadable(name, err)
	}
	t := &tree{found: map[string]int64{}, buf: make([]byte, hashBlock)}
	dir := name
	switch {
	case single && info.IsDir():
		return nil, refuse(WrongType, name, "name the file that was signed", "is a folder: one file was signed")
	case !single && !info.IsDir():
		return nil, refuse(WrongType, name, "name the folder that was signed", "is a file: a folder was signed")
	case single:
		dir, t.single = filepath.Split(name)
		dir = cmp.Or(dir, ".")
	}
	if t.root, err = os.OpenRoot(dir); err != nil {
		return nil, unreadable(name, err)
	}
	return t, nil
}

func (t *tree) close() { _ = t.root.Close() }

// ListFolder hashes every file of a folder but the ignored ones, and refuses whatever else it holds. It returns the files
// sorted by path.
func ListFolder(ctx context.Context, name string, ignore []string, progress func(done, total int64)) ([]File, error) {
	t, files, err := scan(ctx, name, ignore)
	if err != nil {
		return nil, err
	}
	defer t.close()
	meter := meter{tell: progress, total: t.total(files)}
	for i := range files {
		f := &files[i]
		if f.SHA256, f.Size, err = t.hash(ctx, f.Path, &meter); err != nil {
			return nil, unreadable(f.Path, err)
		}
	}
	return files, nil
}

// ScanFolder lists the files of a folder as [ListFolder] does, without reading them: their digests stay zero.
func ScanFolder(ctx context.Context, name string, ignore []string) ([]File, error) {
	t, files, err := scan(ctx, name, ignore)
	if err != nil {
		return nil, err
	}
	t.close()
	return files, nil
}

func scan(ctx context.Context, name string, ignore []string) (*tree, []File, error) {
	t, err := openTree(name, false)
	if err != nil {
		return nil, nil, err
	}
	t.ignore = ignore
	err = t.walk(ctx)
	files := make([]File, 0, len(t.found))
	for p, size := range t.found {
		files = append(files, File{Path: p, Size: size})
	}
	if err == nil {
		err = SortFiles(files)
	}
	if err == nil && len(t.faults) > 0 {
		err = &Error{Reason: Changed, Where: name, Detail: "holds what cannot be signed", Faults: t.faults}
	}
	if err != nil {
		t.close()
		return nil, nil, err
	}
	return t, files, nil
}

// compare says whether the tree is what was signed: it returns the files with their sizes and what is ignored, or an
// [Error] that names every file that differs.
func (t *tree) compare(ctx context.Context, want []File, progress func(done, total int64)) ([]File, []string, error) {
	files := slices.Clone(want)
	if t.single != "" {
		files[0].Path = t.single
		t.takeSingle()
	} else if err := t.walk(ctx); err != nil {
		return nil, nil, err
	}
	signed := make(map[string]bool, len(files))
	faulty := make(map[string]bool, len(t.faults))
	for _, f := range t.faults {
		faulty[f.Path] = true
	}
	for i := range files {
		signed[files[i].Path] = true
		if _, ok := t.found[files[i].Path]; !ok && !faulty[files[i].Path] {
			t.fault(files[i].Path, Missing)
		}
	}
	for p := range t.found {
		if !signed[p] {
			t.fault(p, Extra)
		}
	}
	meter := meter{tell: progress, total: t.total(files)}
	for i := range files {
		f := &files[i]
		if _, ok := t.found[f.Path]; !ok {
			continue
		}
		sum, size, err := t.hash(ctx, f.Path, &meter)
		switch {
		case ctx.Err() != nil:
			return nil, nil, context.Cause(ctx)
		case err != nil:
			t.fault(f.Path, Failed)
		case sum != f.SHA256:
			t.fault(f.Path, Different)
		}
		f.Size = size
	}
	if len(t.faults) > 0 {
		sort.Slice(t.faults, func(i, j int) bool { // One code for all types, as in byPath.
			a, b := &t.faults[i], &t.faults[j]
			return cmp.Or(strings.Compare(a.Path, b.Path), strings.Compare(string(a.What), string(b.What))) < 0
		})
		return nil, nil, &Error{
			Reason: Changed, Detail: fmt.Sprintf("%d of %d signed files and what lies beside them are not as signed", len(t.faults), len(want)),
			Faults: t.faults, Remedy: "bring the signed files back, or have what is there signed",
		}
	}
	slices.Sort(t.ignored)
	return files, t.ignored, nil
}

func (t *tree) fault(name string, what FaultKind) {
	t.faults = append(t.faults, Fault{Path: name, What: what})
}

func (t *tree) total(files []File) int64 {
	var n int64
	for i := range files {
		n += t.found[files[i].Path]
	}
	return n
}

// takeSingle looks at the only file.
func (t *tree) takeSingle() {
	info, err := t.root.Lstat(t.single)
	switch {
	case err != nil:
		t.fault(t.single, Failed)
	case info.Mode().IsRegular():
		t.found[t.single] = info.Size()
	case info.Mode()&fs.ModeSymlink != 0:
		t.fault(t.single, Link)
	default:
		t.fault(t.single, Special)
	}
}

// errTooMany ends a walk: whoever fills the folder must not fill the memory.
var errTooMany = errors.New("more than " + fmt.Sprint(2*MaxFiles) + " entries: an artifact has fewer")

// walk lists the files and notes what cannot be one.
func (t *tree) walk(ctx context.Context) error {
	entries := 0
	err := fs.WalkDir(t.root.FS(), ".", func(name string, d fs.DirEntry, err error) error {
		entries++
		switch {
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case entries > 2*MaxFiles:
			return errTooMany
		case name == ".":
			return err
		case ignored(name, t.ignore):
			t.ignored = append(t.ignored, name)
			if d != nil && d.IsDir() {
				return fs.SkipDir
			}
			return nil
		case err != nil:
			t.fault(name, Failed)
			return nil //nolint:nilerr // noted as this file's fault
		case checkPath(name) != nil:
			t.fault(name, BadName)
			if d.IsDir() {
				return fs.SkipDir // Nothing in it can be signed, and it may be as deep as the disk is large.
			}
			return nil //nolint:nilerr // noted as this file's fault
		case d.IsDir():
			return nil
		}
		t.take(name, d)
		return nil
	})
	if err != nil {
		return unreadable(t.root.Name(), err)
	}
	return nil
}

// take notes one entry that is no folder.
func (t *tree) take(name string, d fs.DirEntry) {
	info, err := d.Info()
	if err == nil && info.Mode()&fs.ModeSymlink != 0 {
		// Stat follows it, and fails where it leads out of the folder.
		if info, err = t.root.Stat(name); !t.links || err != nil || !info.Mode().IsRegular() {
			t.fault(name, Link)
			return
		}
	}
	switch {
	case err != nil:
		t.fault(name, Failed)
	case !info.Mode().IsRegular():
		t.fault(name, Special)
	default:
		t.found[name] = info.Size()
	}
}

// open opens a file for reading. It does not wait where a pipe has taken a file's place since the walk. Where a link has, it
// is followed within the folder only, and what it leads to must have the content that was signed.
func (t *tree) open(name string) (*os.File, error) {
	f, err := t.root.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("%s is no file any more", name)
	}
	if err != nil {
		_ = f.Close()
		return nil, err
	}
	return f, nil
}

// hash reads a file once.
func (t *tree) hash(ctx context.Context, name string, m *meter) (sum [sha256.Size]byte, size int64, err error) {
	f, err := t.open(name)
	if err != nil {
		return sum, 0, err
	}
	defer f.Close() //nolint:errcheck // it was read only
	return hashReader(ctx, f, t.buf, m)
}

// hashReader reads to the end.
func hashReader(ctx context.Context, r io.Reader, buf []byte, m *meter) (sum [sha256.Size]byte, size int64, err error) {
	h := sha256.New()
	for {
		if ctx.Err() != nil {
			return sum, size, context.Cause(ctx)
		}
		n, err := r.Read(buf)
		h.Write(buf[:n])
		size += int64(n)
		m.add(n)
		if errors.Is(err, io.EOF) {
			h.Sum(sum[:0])
			return sum, size, nil
		}
		if err != nil {
			return sum, size, err
		}
	}
}

// meter tells how far the hashing has come.
type meter struct {
	tell        func(done, total int64)
	done, total int64
	told        int64
}

// tellEvery is how many bytes lie between two tellings.
const tellEvery = 8 << 20

func (m *meter) add(n int) {
	if m == nil || m.tell == nil {
		return
	}
	m.done += int64(n)
	if m.done-m.told >= tellEvery || m.done >= m.total {
		m.told = m.done
		m.tell(m.done, max(m.total, m.done))
	}
}

// byPath sorts files. Unlike slices.SortFunc, which is 9 KB of the robot's program for each type, sort.Slice is one code for all.
func byPath(files []File) {
	sort.Slice(files, func(i, j int) bool { return files[i].Path < files[j].Path })
}

// TreeDigest names a set of files by one digest: the SHA-256 of what sha256sum prints for them in the order of their paths.
// So anybody can compute it with find, sort and sha256sum, and unlike Model Signing's subject it covers the names.
func TreeDigest(files []File) [sha256.Size]byte {
	sorted := slices.Clone(files)
	byPath(sorted)
	h := sha256.New()
	for i := range sorted {
		_, _ = io.WriteString(h, hex.EncodeToString(sorted[i].SHA256[:])+"  "+path.Clean(sorted[i].Path)+"\n")
	}
	return [sha256.Size]byte(h.Sum(nil))
}

// SubjectDigest is the digest by which Model Signing names a model: the SHA-256 of its files' digests, sorted by path. It
// does not cover the names.
func SubjectDigest(files []File) [sha256.Size]byte {
	sorted := slices.Clone(files)
	byPath(sorted)
	h := sha256.New()
	for i := range sorted {
		h.Write(sorted[i].SHA256[:])
	}
	return [sha256.Size]byte(h.Sum(nil))
}

// HashFile hashes one file, whose name becomes its path.
func HashFile(ctx context.Context, name string, progress func(done, total int64)) (File, error) {
	t, err := openTree(name, true)
	if err != nil {
		return File{}, err
	}
	defer t.close()
	t.takeSingle()
	if len(t.faults) > 0 {
		return File{}, &Error{Reason: Changed, Where: name, Detail: "cannot be signed", Faults: t.faults}
	}
	f := File{Path: t.single}
	if f.SHA256, f.Size, err = t.hash(ctx, t.single, &meter{tell: progress, total: t.found[t.single]}); err != nil {
		return File{}, unreadable(name, err)
	}
	return f, nil
}
