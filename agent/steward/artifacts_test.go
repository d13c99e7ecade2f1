package steward

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/robowarden/robowarden/agent/contract"
	"github.com/robowarden/robowarden/agent/slots"
	"github.com/robowarden/robowarden/attest/artifact"
	"github.com/robowarden/robowarden/attest/order"
)

// installed puts one artifact into its slots and returns its folder and digest.
func installed(t *testing.T, dir, name, content string) (folder, digest string) {
	t.Helper()
	src := filepath.Join(t.TempDir(), "weights.bin")
	if err := os.WriteFile(src, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := artifact.HashFile(t.Context(), src, nil)
	if err != nil {
		t.Fatal(err)
	}
	sum := artifact.TreeDigest([]artifact.File{f})
	digest = hexOf(sum[:])
	folder = filepath.Join(dir, name)
	if err := os.MkdirAll(folder, 0o700); err != nil {
		t.Fatal(err)
	}
	d, err := slots.OpenDir(folder)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close() //nolint:errcheck // it was written
	s, err := slots.Open(name, d, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	source, err := slots.OpenFolder(src, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer source.Close() //nolint:errcheck // it was read
	release := &order.Release{Version: "1", Artifacts: []order.Artifact{{Name: name, Version: "1", SHA256: digest, Size: uint64(len(content)), Files: 1}}}
	if err := s.Install(t.Context(), &slots.Install{Release: release, Source: source}); err != nil {
		t.Fatal(err)
	}
	return folder, digest
}

func hexOf(b []byte) string {
	const digits = "0123456789abcdef"
	var out strings.Builder
	for _, x := range b {
		out.WriteByte(digits[x>>4])
		out.WriteByte(digits[x&15])
	}
	return out.String()
}

func TestMeasuresWhatIsActive(t *testing.T) {
	dir := t.TempDir()
	now := time.Hour
	a := &artifacts{dir: dir, clock: func() time.Duration { return now }, known: map[string]measured{}}
	folder, digest := installed(t, dir, "grasp", "weights")
	if err := os.Mkdir(filepath.Join(dir, "empty"), 0o700); err != nil {
		t.Fatal(err)
	}
	find := func(name string) contract.Artifact {
		t.Helper()
		for _, x := range a.measure(t.Context()) {
			if x.Name == name {
				return x
			}
		}
		t.Fatalf("%s is not told of", name)
		return contract.Artifact{}
	}
	if got := find("grasp"); got.SHA256 != digest {
		t.Fatalf("%+v, expected %s", got, digest)
	}
	if got := find("empty"); got.SHA256 != "" || !strings.Contains(got.Why, "no slot is active") {
		t.Errorf("%+v", got)
	}
	weights := filepath.Join(folder, "active", "weights.bin")
	// The same size and the same time: the inode's time gives it away.
	info, err := os.Stat(weights)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(weights, []byte("weightz"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chtimes(weights, info.ModTime(), info.ModTime()); err != nil {
		t.Fatal(err)
	}
	if got := find("grasp"); got.SHA256 == digest || got.SHA256 == "" {
		t.Errorf("a changed file was not noticed: %+v", got)
	}
	if err := os.WriteFile(weights, []byte("weights"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := find("grasp"); got.SHA256 != digest {
		t.Errorf("%+v", got)
	}
	if err := os.WriteFile(filepath.Join(folder, "active", "more"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if got := find("grasp"); got.SHA256 == digest {
		t.Error("an added file was not noticed")
	}
	a.dir = filepath.Join(dir, "gone")
	if got := a.measure(t.Context()); got != nil {
		t.Errorf("measured %+v in a folder that is not there", got)
	}
}

// TestRechecksWhatLooksUnchanged forges what is remembered of the files' looks: after a while they are read all the same.
func TestRechecksWhatLooksUnchanged(t *testing.T) {
	dir := t.TempDir()
	now := time.Hour
	a := &artifacts{dir: dir, clock: func() time.Duration { return now }, known: map[string]measured{}}
	_, first := installed(t, dir, "one", "1")
	_, second := installed(t, dir, "two", "2")
	a.measure(t.Context())
	forge := func(name string) {
		m := a.known[name]
		m.digest = strings.Repeat("0", 64)
		a.known[name] = m
	}
	forge("one")
	forge("two")
	right := func() (n int) {
		for _, x := range a.measure(t.Context()) {
			if x.SHA256 == first || x.SHA256 == second {
				n++
			}
		}
		return n
	}
	now += recheck - time.Second
	if n := right(); n != 0 {
		t.Errorf("%d were read again before their time", n)
	}
	now += time.Second
	if n := right(); n != 1 {
		t.Errorf("%d were read again in one round, expected one", n)
	}
	if n := right(); n != 2 {
		t.Errorf("%d were read again in two rounds, expected both", n)
	}
}

// TestLinksDoNotCount puts links where files were: what they lead to could change without a trace.
func TestLinksDoNotCount(t *testing.T) {
	for name, swap := range map[string]func(folder, slot string) error{
		"a file": func(folder, slot string) error {
			file := filepath.Join(folder, slot, "weights.bin")
			if err := os.Rename(file, filepath.Join(folder, "elsewhere")); err != nil {
				return err
			}
			return os.Symlink("../elsewhere", file)
		},
		"the slot": func(folder, slot string) error {
			if err := os.Rename(filepath.Join(folder, slot), filepath.Join(folder, "elsewhere")); err != nil {
				return err
			}
			return os.Symlink("elsewhere", filepath.Join(folder, slot))
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			a := &artifacts{dir: dir, clock: func() time.Duration { return time.Hour }, known: map[string]measured{}}
			folder, digest := installed(t, dir, "grasp", "weights")
			if got := a.measure(t.Context()); len(got) != 1 || got[0].SHA256 != digest {
				t.Fatalf("%+v, expected %s", got, digest)
			}
			slot, err := os.Readlink(filepath.Join(folder, "active"))
			if err != nil {
				t.Fatal(err)
			}
			if err := swap(folder, slot); err != nil {
				t.Fatal(err)
			}
			if got := a.measure(t.Context()); len(got) != 1 || got[0].SHA256 != "" || !strings.Contains(got[0].Why, "neither a file nor a folder") {
				t.Errorf("%+v", got)
			}
			d, err := slots.OpenDir(folder)
			if err != nil {
				t.Fatal(err)
			}
			defer d.Close() //nolint:errcheck // it was read
			if err := slots.View("grasp", d).Check(t.Context(), slot); err == nil {
				t.Error("the slots take a link for a file")
			}
		})
	}
}

// TestStrangeNamesSilenceNobody puts names beside an artifact that the contract does not carry.
func TestStrangeNamesSilenceNobody(t *testing.T) {
	dir := t.TempDir()
	a := &artifacts{dir: dir, clock: func() time.Duration { return time.Hour }, known: map[string]measured{}}
	_, digest := installed(t, dir, "grasp", "weights")
	odd, _ := installed(t, dir, "odd", "x")
	if err := os.Symlink("weights.bin", filepath.Join(odd, "active", "\xff")); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{strings.Repeat("n", 65), "\xfe"} {
		if err := os.Mkdir(filepath.Join(dir, name), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	list := a.measure(t.Context())
	if _, err := contract.New(0, contract.Artifacts{LeaseMS: 1000, Artifacts: list}); err != nil {
		t.Error(err)
	}
	if len(list) != 2 || list[0] != (contract.Artifact{Name: "grasp", SHA256: digest, Why: contract.KeptWatched}) || list[1].Name != "odd" || list[1].SHA256 != "" {
		t.Errorf("%+v", list)
	}
}
