package slots_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/robowarden/robowarden/agent/slots"
	"github.com/robowarden/robowarden/attest/artifact"
	"github.com/robowarden/robowarden/attest/order"
)

// content is an artifact in memory.
type content map[string]string

func (c content) List(context.Context) ([]artifact.File, error) {
	var out []artifact.File
	for _, name := range slices.Sorted(maps.Keys(c)) {
		out = append(out, artifact.File{Path: name, Size: int64(len(c[name])), SHA256: sha256.Sum256([]byte(c[name]))})
	}
	return out, nil
}

func (c content) Open(name string) (io.ReadCloser, error) {
	text, ok := c[name]
	if !ok {
		return nil, fs.ErrNotExist
	}
	return io.NopCloser(strings.NewReader(text)), nil
}

func (c content) digest() string {
	files, _ := c.List(context.Background())
	return fmt.Sprintf("%x", artifact.TreeDigest(files))
}

// releaseOf is a release that names the content as the artifact grasp.
func releaseOf(c content, svn, floor uint64) *order.Release {
	a := order.Artifact{Name: "grasp", Version: fmt.Sprint("1.", svn), SHA256: c.digest(), Files: len(c)}
	for _, text := range c {
		a.Size += uint64(len(text))
	}
	return &order.Release{Version: fmt.Sprint("r", svn), SVN: svn, RollbackFloor: floor, SettleS: 1, Artifacts: []order.Artifact{a}}
}

var (
	older = content{"weights.bin": strings.Repeat("old", 100), "sub/deep/config.json": "{}", "sub/x": ""}
	newer = content{"weights.bin": strings.Repeat("new!", 90), "sub/config.json": `{"v":2}`, "other/y": "y"}
	third = content{"weights.bin": "third"}
)

func civil() time.Time { return time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC) }

func open(t testing.TB, d slots.FS) *slots.Store {
	t.Helper()
	s, err := slots.Open("grasp", d, civil)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func install(t testing.TB, d slots.FS, c content, svn, floor uint64) {
	t.Helper()
	if err := open(t, d).Install(t.Context(), &slots.Install{Release: releaseOf(c, svn, floor), Source: c}); err != nil {
		t.Fatal(err)
	}
}

// anything counts: a release that names whatever is asked for.
func anything(string) error { return nil }

func back() *slots.Back { return &slots.Back{Counts: anything, Why: "test"} }

// running checks that the active slot holds what its record says, and returns its digest; "" where nothing was active.
func running(t testing.TB, d slots.FS) string {
	t.Helper()
	s := slots.View("grasp", d)
	if s.Active() == "" {
		return ""
	}
	if err := s.Check(t.Context(), s.Active()); err != nil {
		t.Fatalf("what is active is not verified: %v", err)
	}
	st, err := s.Status()
	if err != nil {
		t.Fatal(err)
	}
	return st.Running().SHA256
}

// TestCutAtEveryWrite cuts the power at every operation of an installation, restarts, and installs again: what is active
// is always whole, the old or the new one, and nothing is left over. The disk keeps any part of what was not synchronised.
func TestCutAtEveryWrite(t *testing.T) {
	const seeds = 8
	for name, before := range map[string][]content{"first": nil, "second": {older}, "third": {third, older}, "again": {newer, older}} {
		t.Run(name, func(t *testing.T) {
			whole := newDisk()
			for i, c := range before {
				install(t, whole, c, uint64(i+1), 0)
			}
			start := whole.ops
			install(t, whole, newer, 5, 0)
			steps, clean := whole.ops-start, whole.used()
			if steps < 10 {
				t.Fatalf("only %d operations: this test proves nothing", steps)
			}
			kept, moved := 0, 0
			for cut := 1; cut <= steps; cut++ {
				for seed := range uint64(seeds) {
					r := rand.New(rand.NewPCG(seed, uint64(cut)))
					d := newDisk()
					for i, c := range before {
						install(t, d, c, uint64(i+1), 0)
					}
					d.cut = d.ops + cut
					err := open(t, d).Install(t.Context(), &slots.Install{Release: releaseOf(newer, 5, 0), Source: newer})
					if err == nil {
						t.Fatalf("cut at %d: no error", cut)
					}
					d = d.after(r)
					switch got := running(t, d); {
					case len(before) == 0 && got == "", len(before) > 0 && got == older.digest():
						kept++
					case got == newer.digest():
						moved++
					default:
						t.Fatalf("cut at %d, seed %d: %q is active", cut, seed, got)
					}
					install(t, d, newer, 5, 0)
					if got := running(t, d); got != newer.digest() {
						t.Fatalf("cut at %d, seed %d: installed again, %q is active", cut, seed, got)
					}
					// The history may tell of both attempts; nothing else may be more than after an installation without a cut.
					if got := d.used(); got > clean+512 {
						t.Fatalf("cut at %d, seed %d: %d bytes are used, %d without a cut: %v", cut, seed, got, clean, slices.Sorted(maps.Keys(d.names)))
					}
				}
			}
			t.Logf("%d operations, %d disks: the old one stayed %d times, the new one was active %d times", steps, steps*seeds, kept, moved)
			if kept == 0 || moved == 0 {
				t.Error("the cuts never came on one side of the switch: this test proves nothing")
			}
		})
	}
}

// TestCutAgainAndAgain cuts each attempt at a place that chance chooses, on one disk.
func TestCutAgainAndAgain(t *testing.T) {
	for seed := range uint64(200) {
		r := rand.New(rand.NewPCG(seed, 77))
		d := newDisk()
		install(t, d, older, 1, 0)
		want := []content{newer, third, older}
		for attempt := range 12 {
			c := want[r.IntN(len(want))]
			d.cut = d.ops + 1 + r.IntN(60)
			s, err := slots.Open("grasp", d, civil)
			if err == nil {
				err = s.Install(t.Context(), &slots.Install{Release: releaseOf(c, 5, 0), Source: c, Again: true})
			}
			if err == nil && r.IntN(2) == 0 {
				_ = s.Rollback(t.Context(), back())
			}
			d = d.after(r)
			if running(t, d) == "" {
				t.Fatalf("seed %d, attempt %d: nothing is active", seed, attempt)
			}
		}
	}
}

// TestADiskThatLies is the off run: where synchronising does nothing, the cuts of the tests above must do harm.
func TestADiskThatLies(t *testing.T) {
	harm := 0
	for seed := range uint64(50) {
		d := newDisk()
		install(t, d, older, 1, 0)
		d.lies = true
		install(t, d, newer, 5, 0)
		d = d.after(rand.New(rand.NewPCG(seed, 5)))
		if s := slots.View("grasp", d); s.Active() == "" || s.Check(t.Context(), s.Active()) != nil {
			harm++
		}
	}
	if harm == 0 {
		t.Error("no cut did harm on a disk that lies: the tests of cuts prove nothing")
	}
}

func TestCheckNoticesWhatChanged(t *testing.T) {
	d := newDisk()
	install(t, d, older, 1, 0)
	slot := slots.View("grasp", d).Active()
	d.names[slot+"/weights.bin"].data[0] ^= 1
	if err := slots.View("grasp", d).Check(t.Context(), slot); err == nil {
		t.Error("a changed file passes for verified")
	}
	d.names[slot+"/weights.bin"].data[0] ^= 1
	d.names[slot+"/extra"] = &node{data: []byte("x")}
	if err := slots.View("grasp", d).Check(t.Context(), slot); err == nil {
		t.Error("an added file passes for verified")
	}
	delete(d.names, slot+"/extra")
	d.names[slot+".rec"].data[5] ^= 1
	if err := slots.View("grasp", d).Check(t.Context(), slot); err == nil || !strings.Contains(err.Error(), "void") {
		t.Errorf("a damaged record: %v", err)
	}
}

// lying is a source whose files are not those it lists.
type lying struct {
	content
	open map[string]string
}

func (l lying) Open(name string) (io.ReadCloser, error) { return content(l.open).Open(name) }

func TestInstallRefuses(t *testing.T) {
	long := maps.Clone(newer)
	long["weights.bin"] += "x"
	changed := maps.Clone(newer)
	changed["weights.bin"] = strings.Replace(changed["weights.bin"], "n", "m", 1)
	swapped := maps.Clone(newer)
	swapped["other/y"], swapped["other/z"] = "", "y"
	for name, c := range map[string]struct {
		source slots.Source
		edit   func(*disk, *slots.Install)
		names  string
	}{
		"another release's artifact": {newer, func(_ *disk, in *slots.Install) { in.Release.Artifacts[0].Name = "arm" }, "does not name it"},
		"a file changed":             {changed, nil, "have the digest"},
		"a file longer than told":    {lying{newer, long}, nil, "more than the"},
		"a file missing at open":     {lying{newer, third}, nil, "other/y"},
		"another number of files":    {swapped, nil, "the source has 4 files"},
		"the disk too small":         {newer, func(d *disk, _ *slots.Install) { d.room = d.used() + 1000 }, "are needed"},
		"the disk failing":           {newer, func(d *disk, _ *slots.Install) { d.fail = errors.New("input/output error") }, "input/output error"},
		"an svn below the floor":     {newer, func(_ *disk, in *slots.Install) { in.Release.SVN = 0 }, "does not go back"},
		"not at rest": {newer, func(_ *disk, in *slots.Install) {
			in.MayActivate = func() error { return errors.New("the robot moves") }
		}, "the robot moves"},
		"a boot loader that refuses": {newer, func(_ *disk, in *slots.Install) { in.Switch = func(string) error { return errors.New("no such slot") } }, "no such slot"},
	} {
		t.Run(name, func(t *testing.T) {
			d := newDisk()
			install(t, d, older, 1, 1)
			if _, err := open(t, d).Commit(t.Context()); err != nil {
				t.Fatal(err)
			}
			in := &slots.Install{Release: releaseOf(newer, 2, 1), Source: c.source}
			if c.edit != nil {
				c.edit(d, in)
			}
			err := open(t, d).Install(t.Context(), in)
			if err == nil || !strings.Contains(err.Error(), c.names) {
				t.Fatalf("%v: expected a refusal that names %q", err, c.names)
			}
			d.fail = nil
			if got := running(t, d); got != older.digest() {
				t.Errorf("%q is active", got)
			}
		})
	}
}

func TestActivationWaits(t *testing.T) {
	d := newDisk()
	install(t, d, older, 1, 0)
	moving := true
	in := &slots.Install{Release: releaseOf(newer, 2, 0), Source: newer, MayActivate: func() error {
		if moving {
			return errors.New("the robot moves")
		}
		return nil
	}}
	if err := open(t, d).Install(t.Context(), in); !errors.Is(err, slots.ErrWaits) || running(t, d) != older.digest() {
		t.Fatal(err)
	}
	moving = false
	in.Source = content{} // Nothing is copied again: what is there counts by its digest.
	if err := open(t, d).Install(t.Context(), in); err != nil || running(t, d) != newer.digest() {
		t.Fatal(err)
	}
}

func TestCommitAndRollback(t *testing.T) {
	d := newDisk()
	if err := open(t, d).Rollback(t.Context(), back()); err == nil {
		t.Error("rolled back to nothing")
	}
	install(t, d, older, 1, 0)
	install(t, d, newer, 2, 2)
	if err := open(t, d).Rollback(t.Context(), &slots.Back{Counts: anything, May: func() error { return errors.New("moves") }}); err == nil || running(t, d) != newer.digest() {
		t.Error("rolled back while it moves:", err)
	}
	if err := open(t, d).Rollback(t.Context(), back()); err != nil || running(t, d) != older.digest() {
		t.Fatal("before the commit:", err)
	}
	in := &slots.Install{Release: releaseOf(newer, 2, 2), Source: newer}
	if err := open(t, d).Install(t.Context(), in); !errors.Is(err, slots.ErrTaken) || running(t, d) != older.digest() {
		t.Fatal("what was taken back is installed again:", err)
	}
	in.Again = true
	if err := open(t, d).Install(t.Context(), in); err != nil {
		t.Fatal(err)
	}
	text, err := open(t, d).Commit(t.Context())
	if err != nil || !strings.Contains(text, "below the floor 2") {
		t.Fatal(text, err)
	}
	if err := open(t, d).Rollback(t.Context(), back()); err == nil || !strings.Contains(err.Error(), "must not run any more") || running(t, d) != newer.digest() {
		t.Error("after the commit:", err)
	}
	install(t, d, third, 3, 2)
	slot := slots.View("grasp", d).Active()
	for n := range d.names {
		if strings.HasSuffix(n, "weights.bin") && !strings.HasPrefix(n, slot) {
			d.names[n].data[0] ^= 1
		}
	}
	if err := open(t, d).Rollback(t.Context(), back()); err == nil || running(t, d) != third.digest() {
		t.Error("rolled back to something changed:", err)
	}
	d.names["floor"].data[0] ^= 1
	err = open(t, d).Install(t.Context(), &slots.Install{Release: releaseOf(older, 9, 0), Source: older})
	if err == nil || !strings.Contains(err.Error(), "floor") {
		t.Error("with a damaged floor:", err)
	}
	events, err := slots.View("grasp", d).History()
	if err != nil || len(events) < 8 || events[len(events)-1].What != "activated" || events[0].What != "installed" {
		t.Errorf("%+v, %v", events, err)
	}
}

// TestOnARealDisk does the same on a folder of this computer.
func TestOnARealDisk(t *testing.T) {
	dir, src := t.TempDir(), t.TempDir()
	for name, text := range newer {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(src, name)), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(src, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	d, err := slots.OpenDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close() //nolint:errcheck // it was read
	install(t, d, older, 1, 0)
	folder, err := slots.OpenFolder(src, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer folder.Close() //nolint:errcheck // it was read
	var last int64
	in := &slots.Install{Release: releaseOf(newer, 2, 0), Source: folder, Progress: func(done, _ int64) { last = done }}
	if err := open(t, d).Install(t.Context(), in); err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(filepath.Join(dir, "active", "weights.bin"))
	if err != nil || !bytes.Equal(got, []byte(newer["weights.bin"])) || last != int64(in.Release.Artifacts[0].Size) { //nolint:gosec // small
		t.Error(err, last)
	}
	if err := open(t, d).Rollback(t.Context(), back()); err != nil || running(t, d) != older.digest() {
		t.Error(err)
	}
	release, err := slots.Lock(dir)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := slots.Lock(dir); !errors.Is(err, slots.ErrBusy) {
		t.Error("locked twice:", err)
	}
	release()
	if again, err := slots.Lock(dir); err != nil {
		t.Error(err)
	} else {
		again()
	}
	if err := os.Symlink("/etc/passwd", filepath.Join(src, "link")); err != nil {
		t.Fatal(err)
	}
	if _, err := folder.List(t.Context()); err == nil {
		t.Error("a source with a link was listed")
	}
}

// TestANameForTwoLines hides a file in the name of another: the digest is over the same text.
func TestANameForTwoLines(t *testing.T) {
	d := newDisk()
	install(t, d, content{"a": "first", "b": "second"}, 1, 0)
	slot := slots.View("grasp", d).Active()
	d.names[slot+"/a\n"+fmt.Sprintf("%x", sha256.Sum256([]byte("second")))+"  b"] = d.names[slot+"/a"]
	delete(d.names, slot+"/a")
	delete(d.names, slot+"/b")
	if _, digest, err := slots.View("grasp", d).Measure(t.Context(), slot); err == nil {
		t.Errorf("measured as %s, with both files %s", digest, content{"a": "first", "b": "second"}.digest())
	}
	if err := slots.View("grasp", d).Check(t.Context(), slot); err == nil {
		t.Error("a missing file passes for verified")
	}
}

// TestClearingFollowsNoLink makes one slot a link to the other: filling it must not empty what is active.
func TestClearingFollowsNoLink(t *testing.T) {
	dir := t.TempDir()
	d, err := slots.OpenDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close() //nolint:errcheck // it was read
	install(t, d, older, 1, 0)
	active := slots.View("grasp", d).Active()
	free := map[string]string{"a": "b", "b": "a"}[active]
	if err := os.Symlink(active, filepath.Join(dir, free)); err != nil {
		t.Fatal(err)
	}
	s := open(t, d)
	if err := s.Install(t.Context(), &slots.Install{Release: releaseOf(newer, 2, 0), Source: newer}); err == nil {
		t.Error("installed through a link")
	}
	if err := s.Check(t.Context(), active); err != nil {
		t.Error("the active slot was emptied:", err)
	}
}
