package slots

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"

	"github.com/robowarden/robowarden/attest/artifact"
	"github.com/robowarden/robowarden/attest/order"
)

// headroom is how many bytes must stay free beside the artifact: records, history, and what others write meanwhile.
const headroom = 1 << 20

// Source is where an artifact is copied from.
type Source interface {
	// List returns the files, sorted by path.
	List(ctx context.Context) ([]artifact.File, error)
	// Open opens one of them.
	Open(name string) (io.ReadCloser, error)
}

// Install is what is installed and how it becomes active.
type Install struct {
	// Release is the signed release in force, which somebody else has verified.
	Release *order.Release
	// Source has the files. It is not believed: what is written is hashed, and counts by its digest only.
	Source Source
	// MayActivate says why the artifact must not become active now, or nil; asked last, right before the switch. Nil
	// means that it may at any time.
	MayActivate func() error
	// Switch tells a boot loader which slot is active, before the link is changed; nil where there is none.
	Switch func(slot string) error
	// Made is the provenance that was verified, nil for none.
	Made *Made
	// Again installs content that this robot has taken back before.
	Again bool
	// Progress is told how many bytes were written of how many; nil for nobody.
	Progress func(done, total int64)
}

// ErrWaits means that the artifact lies verified in its slot and may not become active yet.
var ErrWaits = errors.New("installed, not yet active")

// ErrTaken means that this robot has taken the content back before.
var ErrTaken = errors.New("this robot has taken this very content back")

// Install fills the slot that is not active with the release's artifact and makes it active. Whatever happens on the way,
// the slot that was active stays so until the new one is whole, durable and has the digest that the release names. Content
// that is there already is only made active.
func (s *Store) Install(ctx context.Context, in *Install) error {
	a := in.Release.Find(s.name)
	if a == nil {
		return fmt.Errorf("artifact %s: the release %s does not name it", s.name, in.Release.Version)
	}
	floor, err := s.least()
	if err != nil {
		return fmt.Errorf("artifact %s: %w", s.name, err)
	}
	if in.Release.SVN < floor {
		return fmt.Errorf("artifact %s: the release has svn %d: this robot went beyond, to %d, and does not go back", s.name, in.Release.SVN, floor)
	}
	// A damaged trial remembers nothing that was taken back; it begins anew.
	if t, _ := s.Trial(); !in.Again {
		if was, ok := t.WasTaken(a.SHA256); ok {
			return fmt.Errorf("artifact %s: %w, with release %s: %s; a person may install it --again", s.name, ErrTaken, was.Release, was.Why)
		}
	}
	if err := s.hold(); err != nil {
		return fmt.Errorf("artifact %s: floor: %w", s.name, err)
	}
	active := s.Active()
	slot := other(active)
	r := newRecord(s.name, in, a)
	if now := s.record(active); now != nil && now.SHA256 == a.SHA256 {
		return s.keep(ctx, active, now, r)
	}
	text := ""
	if old := s.record(slot); old == nil || old.SHA256 != a.SHA256 || s.Check(ctx, slot) != nil {
		var err error
		if text, err = s.fill(ctx, slot, in, r); err != nil {
			return err
		}
	} else {
		r.Verity = old.Verity
		if err := s.writeRecord(slot, r); err != nil {
			return fmt.Errorf("artifact %s: %w", s.name, err)
		}
	}
	return s.activate(in, slot, r, text)
}

// keep leaves active what is, with the newer release's record, if it still has the digest.
func (s *Store) keep(ctx context.Context, active string, now, r *Record) error {
	if err := s.Check(ctx, active); err != nil {
		return fmt.Errorf("%w; roll back, or install a release with other content", err)
	}
	r.Good, r.Hooked, r.Verity = now.Good && now.SVN == r.SVN, now.Hooked, now.Verity
	if r.Made == nil {
		r.Made = now.Made
	}
	if err := s.writeRecord(active, r); err != nil {
		return fmt.Errorf("artifact %s: %w", s.name, err)
	}
	text := "the same content was active already"
	if r.Good {
		if err := s.Settle(); err != nil {
			text += "; the floor was not raised: " + err.Error()
		}
	}
	return s.note("installed", active, r, text)
}

// activate makes a verified slot the active one. The text is for the history.
func (s *Store) activate(in *Install, slot string, r *Record, text string) error {
	if err := s.note("installed", slot, r, text); err != nil {
		return fmt.Errorf("artifact %s: history: %w", s.name, err)
	}
	if in.MayActivate != nil {
		if err := in.MayActivate(); err != nil {
			return fmt.Errorf("artifact %s: %w in slot %s: %w", s.name, ErrWaits, slot, err)
		}
	}
	if err := s.switchTo(slot, in.Switch); err != nil {
		return err
	}
	return s.note("activated", slot, r, "")
}

// switchTo makes a slot active, first where a boot loader must know of it.
func (s *Store) switchTo(slot string, hook func(slot string) error) error {
	var err error
	if hook != nil {
		err = hook(slot)
	}
	if err == nil {
		err = s.link(slot)
	}
	if err != nil {
		return fmt.Errorf("artifact %s: making slot %s active: %w", s.name, slot, err)
	}
	return nil
}

// link makes a slot active by one rename.
func (s *Store) link(slot string) error {
	if err := s.drop(activeName + fresh); err != nil {
		return err
	}
	if err := s.fs.Symlink(slot, activeName+fresh); err != nil {
		return err
	}
	if err := s.fs.Rename(activeName+fresh, activeName); err != nil {
		return err
	}
	return s.fs.SyncDir(".")
}

// fill writes the artifact into a slot. The slot is void until the end. It returns what the history says of it.
func (s *Store) fill(ctx context.Context, slot string, in *Install, r *Record) (text string, err error) {
	files, err := in.Source.List(ctx)
	if err != nil {
		return "", fmt.Errorf("artifact %s: source: %w", s.name, err)
	}
	if err := s.fits(slot, files, r); err != nil {
		return "", fmt.Errorf("artifact %s: %w", s.name, err)
	}
	if err := s.clear(slot); err != nil {
		return "", fmt.Errorf("artifact %s: clearing slot %s: %w", s.name, slot, err)
	}
	w := &writing{Store: s, in: in, slot: slot, total: r.Size, buf: make([]byte, 256<<10)}
	err = w.all(ctx, files)
	if err == nil {
		err = w.compare(r)
	}
	if err == nil {
		text, err = w.keep()
	}
	if err != nil {
		// Nothing that was refused stays on the disk.
		return "", fmt.Errorf("artifact %s: %w", s.name, errors.Join(err, s.clear(slot)))
	}
	if err := s.writeRecord(slot, r); err != nil {
		return "", fmt.Errorf("artifact %s: %w", s.name, err)
	}
	return text, nil
}

// fits checks names, number, size and room before anything is removed.
func (s *Store) fits(slot string, files []artifact.File, r *Record) error {
	var size int64
	for i := range files {
		size += files[i].Size
	}
	switch err := artifact.SortFiles(files); {
	case err != nil:
		return fmt.Errorf("source: %w", err)
	case len(files) != r.Files || size != r.Size:
		return fmt.Errorf("the source has %d files of %d bytes: the release names %d of %d", len(files), size, r.Files, r.Size)
	}
	var held int64
	if err := s.each(slot, func(_ string, e Entry) error {
		if !e.Dir {
			held += e.Size
		}
		return nil
	}); err != nil {
		held = 0 // There is no such slot yet.
	}
	free, err := s.fs.Free()
	if err != nil {
		return fmt.Errorf("free space: %w", err)
	}
	// The kernel's tree of hashes has one for each block, and one for each 128 of those.
	if need := size + size/127 + headroom; free+held < need {
		return fmt.Errorf("the disk has %d bytes free and %d in the slot that is replaced: %d are needed", free, held, need)
	}
	return nil
}

// writing is one filling of a slot.
type writing struct {
	*Store
	in          *Install
	slot        string
	done, total int64
	buf         []byte
	files       []artifact.File
	// verity has the files with their fs-verity digests.
	verity []artifact.File
}

// all copies every file and makes files and folders durable.
func (w *writing) all(ctx context.Context, files []artifact.File) error {
	if err := w.fs.Mkdir(w.slot); err != nil {
		return err
	}
	dirs := []string{w.slot}
	for i := range files {
		name := path.Join(w.slot, files[i].Path)
		for _, d := range parents(path.Dir(name), w.slot) {
			if slices.Contains(dirs, d) {
				continue
			}
			if err := w.fs.Mkdir(d); err != nil {
				return err
			}
			dirs = append(dirs, d)
		}
		f, err := w.one(ctx, files[i].Path, name)
		if err != nil {
			return fmt.Errorf("%s: %w", files[i].Path, err)
		}
		w.files = append(w.files, f)
	}
	for _, d := range append(dirs, ".") {
		if err := w.fs.SyncDir(d); err != nil {
			return err
		}
	}
	return nil
}

// parents lists the folders from below the slot down to dir.
func parents(dir, slot string) []string {
	var out []string
	for ; dir != slot && dir != "."; dir = path.Dir(dir) {
		out = append(out, dir)
	}
	slices.Reverse(out)
	return out
}

// one copies one file and hashes what it writes.
func (w *writing) one(ctx context.Context, from, to string) (artifact.File, error) {
	out := artifact.File{Path: from}
	src, err := w.in.Source.Open(from)
	if err != nil {
		return out, err
	}
	defer src.Close() //nolint:errcheck // it was read only
	dst, err := w.fs.Create(to)
	if err != nil {
		return out, err
	}
	h := sha256.New()
	var v artifact.Verity
	for err == nil {
		var n int
		if n, err = (&patient{ctx, src}).Read(w.buf); n > 0 {
			if w.done += int64(n); w.done > w.total {
				return out, errors.Join(fmt.Errorf("more than the %d bytes come that the release names", w.total), dst.Close())
			}
			h.Write(w.buf[:n])
			_, _ = v.Write(w.buf[:n])
			out.Size += int64(n)
			if _, werr := dst.Write(w.buf[:n]); werr != nil {
				return out, errors.Join(werr, dst.Close())
			}
			if w.in.Progress != nil {
				w.in.Progress(w.done, w.total)
			}
		}
	}
	if !errors.Is(err, io.EOF) {
		return out, errors.Join(err, dst.Close())
	}
	out.SHA256 = [sha256.Size]byte(h.Sum(nil))
	w.verity = append(w.verity, artifact.File{Path: from, Size: out.Size, SHA256: v.Sum()})
	return out, errors.Join(dst.Sync(), dst.Close())
}

// compare says why what was written is not the artifact, or nil, and then notes its digest for fs-verity.
func (w *writing) compare(r *Record) error {
	digest := artifact.TreeDigest(w.files)
	if got := hex.EncodeToString(digest[:]); got != r.SHA256 {
		return fmt.Errorf("the files have the digest %s: the release names %s", got, r.SHA256)
	}
	digest = artifact.TreeDigest(w.verity)
	r.Verity = hex.EncodeToString(digest[:])
	return nil
}
