package steward

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/robowarden/robowarden/agent/contract"
	"github.com/robowarden/robowarden/agent/slots"
)

// eyes measures the slots below a folder in virtual time.
func eyes(dir string, now *time.Duration) *artifacts {
	return &artifacts{dir: dir, clock: func() time.Duration { return *now }, known: map[string]measured{}}
}

// hears is what the guard hears of one artifact.
func hears(t *testing.T, a *artifacts, name string) contract.Artifact {
	t.Helper()
	for _, x := range a.measure(t.Context()) {
		if x.Name == name {
			return x
		}
	}
	t.Fatalf("%s is not told of", name)
	return contract.Artifact{}
}

// looksUnchanged is what somebody achieves who sets the clock back while he writes: the files look as they did when they were measured.
func looksUnchanged(t *testing.T, a *artifacts, name string) {
	t.Helper()
	look, err := a.look(name)
	if err != nil {
		t.Fatal(err)
	}
	m := a.known[name]
	m.look = look
	a.known[name] = m
}

// TestForgedTimesAreHeard changes a file so that it looks as before: the kernel has told. Off, that is found when it is read again.
func TestForgedTimesAreHeard(t *testing.T) {
	for name, write := range map[string]func(folder string) error{
		"written": func(folder string) error {
			return os.WriteFile(filepath.Join(folder, "active", "weights.bin"), []byte("weightz"), 0o600)
		},
		"by another name": func(folder string) error {
			other := filepath.Join(filepath.Dir(folder), ".other")
			if err := os.Link(filepath.Join(folder, "active", "weights.bin"), other); err != nil {
				return err
			}
			return os.WriteFile(other, []byte("weightz"), 0o600)
		},
		"exchanged": func(folder string) error {
			next := filepath.Join(folder, "next")
			if err := os.WriteFile(next, []byte("weightz"), 0o600); err != nil {
				return err
			}
			return os.Rename(next, filepath.Join(folder, "active", "weights.bin"))
		},
	} {
		t.Run(name, func(t *testing.T) {
			for _, off := range []bool{false, true} {
				dir, now := t.TempDir(), time.Hour
				a := eyes(dir, &now)
				a.watch.tried = off // Without an instance nothing is heard.
				folder, digest := installed(t, dir, "grasp", "weights")
				kept := contract.KeptWatched
				if off {
					kept = contract.KeptPeriodic
				}
				if got := hears(t, a, "grasp"); got.SHA256 != digest || got.Why != kept {
					t.Fatalf("%+v, expected %s", got, kept)
				}
				if err := write(folder); err != nil {
					t.Fatal(err)
				}
				looksUnchanged(t, a, "grasp")
				if got := hears(t, a, "grasp"); (got.SHA256 == digest) != off {
					t.Errorf("off %t: %+v", off, got)
				}
				now += recheck
				if got := hears(t, a, "grasp"); got.SHA256 == digest {
					t.Errorf("off %t: read again, and not noticed: %+v", off, got)
				}
			}
		})
	}
}

// TestALargeArtifactTakesNobodysLease reads one that is not through when the round's time is up: the others are told of, what was
// measured counts until it is read again, and what has changed does not.
func TestALargeArtifactTakesNobodysLease(t *testing.T) {
	dir, now := t.TempDir(), time.Hour
	a := eyes(dir, &now)
	folder, _ := installed(t, dir, "vast", "weights")
	if err := os.Truncate(filepath.Join(folder, "active", "weights.bin"), 64<<20); err != nil {
		t.Fatal(err)
	}
	_, small := installed(t, dir, "small", "weights!")
	a.measure(t.Context())
	whole := hears(t, a, "vast").SHA256
	if whole == "" || hears(t, a, "small").SHA256 != small {
		t.Fatal("not measured with the whole of a round's time")
	}
	a.roundTime = time.Nanosecond
	now += recheck
	for range 3 {
		if got := hears(t, a, "vast"); got.SHA256 != whole {
			t.Fatalf("read again, and it does not count meanwhile: %+v", got)
		}
		if got := hears(t, a, "small"); got.SHA256 != small {
			t.Fatalf("another one is read: %+v", got)
		}
	}
	// What changes is read first, and counts for nothing until then.
	if err := os.WriteFile(filepath.Join(dir, "small", "active", "weights.bin"), []byte("weights?"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := hears(t, a, "small"); got.SHA256 == small {
		t.Errorf("it was changed: %+v", got)
	}
	for a.known["small"].digest == "" || a.known["vast"].at < now {
		if r := a.reading; r != nil {
			<-r.done
		}
		a.measure(t.Context())
	}
	if got := a.known["small"].digest; got == small || a.known["vast"].digest != whole {
		t.Errorf("small has %s, vast %s", got, a.known["vast"].digest)
	}
	a.measure(t.Context())
	a.stop()
	if a.reading != nil {
		t.Error("it is read on")
	}
}

// holding starts a process that has an artifact's file open, and returns what ends it.
func holding(t *testing.T, path string) (stop func()) {
	t.Helper()
	f, err := os.Open(path) //nolint:gosec // the test's own
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close() //nolint:errcheck // it was read
	cmd := exec.Command("cat")
	in, err := cmd.StdinPipe() // It reads until the test ends.
	if err != nil {
		t.Fatal(err)
	}
	cmd.ExtraFiles = []*os.File{f}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	stop = func() { _ = in.Close(); _ = cmd.Process.Kill(); _ = cmd.Wait() }
	t.Cleanup(stop)
	return stop
}

// watching is a bench whose steward looks at this computer's processes.
func watching(t *testing.T) *bench {
	t.Helper()
	b := newBench(t)
	b.procfs = ""
	b.start("boot-1")
	return b
}

// TestAReplacedFileThatIsStillLoaded puts the same bytes in the place of a file that a process has loaded: what is on the disk is what
// was verified, and what runs is not.
func TestAReplacedFileThatIsStillLoaded(t *testing.T) {
	b := watching(t)
	b.must(b.install("old", 1, 0, nil))
	file := filepath.Join(b.dir, "grasp", "active", "weights.bin")
	stop := holding(t, file)
	for range 8 { // What is verified and loaded is what the robot is for.
		if a := b.look(); a.SHA256 != b.digests["old"] {
			t.Fatalf("%+v", a)
		}
	}
	next := filepath.Join(b.dir, "grasp", "next")
	b.must(os.WriteFile(next, []byte("old"), 0o600))
	b.must(os.Rename(next, file))
	began := b.clock
	a := b.look()
	for ; a.SHA256 != ""; a = b.look() {
		if b.clock-began > 3*usesEvery {
			t.Fatalf("a process has a file that is gone: the guard hears %+v", a)
		}
	}
	t.Logf("after %v: %s", b.clock-began, a.Why)
	if !strings.Contains(a.Why, "has loaded") || !strings.Contains(a.Why, "weights.bin (deleted)") {
		t.Errorf("%+v", a)
	}
	for range 12 {
		if a := b.look(); a.SHA256 != "" {
			t.Fatalf("it is loaded still: %+v", a)
		}
	}
	stop()
	for began = b.clock; b.look().SHA256 == ""; {
		if b.clock-began > 3*usesEvery {
			t.Fatal("the process is gone: the guard hears no digest")
		}
	}
}

// TestAnOldModelThatIsStillLoaded installs another one while a process has the one before: that goes on as long as the release in force
// names it and it was not taken back.
func TestAnOldModelThatIsStillLoaded(t *testing.T) {
	for name, c := range map[string]struct {
		edit func(b *bench)
		goes bool
	}{
		"a fallback": {func(*bench) {}, true},
		"a fallback, after a look that failed": {func(b *bench) {
			link := filepath.Join(b.dir, "grasp", "active", "link")
			b.must(os.Symlink("weights.bin", link))
			if a := b.look(); a.SHA256 != "" || !strings.Contains(a.Why, "neither a file nor a folder") {
				b.t.Errorf("%+v", a)
			}
			b.must(os.Remove(link))
			b.look()
		}, true},
		"not named any more": {func(b *bench) {
			b.state["release"] = map[string]any{"artifacts": []any{map[string]any{"name": "grasp", "sha256": b.digests["new"]}}}
		}, false},
		"changed since": {func(b *bench) {
			b.must(os.WriteFile(filepath.Join(b.dir, "grasp", "a", "weights.bin"), []byte("odd"), 0o600))
		}, false},
		"nobody has seen it active": {func(b *bench) { b.start("boot-1") }, false},
	} {
		t.Run(name, func(t *testing.T) {
			b := watching(t)
			b.must(b.install("old", 1, 0, nil))
			b.look()
			stop := holding(t, filepath.Join(b.dir, "grasp", "active", "weights.bin"))
			b.must(b.install("new", 1, 0, nil))
			b.look()
			c.edit(b)
			withheld := 0
			for range 16 {
				if a := b.look(); a.SHA256 != b.digests["new"] {
					withheld++
				}
			}
			if (withheld == 0) != c.goes {
				t.Errorf("withheld in %d rounds", withheld)
			}
			stop()
			for began := b.clock; b.look().SHA256 == ""; {
				if b.clock-began > 3*usesEvery {
					t.Fatal("the process is gone: the guard hears no digest")
				}
			}
		})
	}
}

// TestATakenBackModelThatIsStillLoaded: the robot has gone back, and the process that drives it has not.
func TestATakenBackModelThatIsStillLoaded(t *testing.T) {
	b := watching(t)
	b.must(b.install("old", 1, 0, nil))
	b.until(2*time.Minute, "committed", good)
	b.must(b.install("new", 1, 0, nil))
	b.look()
	stop := holding(t, filepath.Join(b.dir, "grasp", "active", "weights.bin"))
	b.state["attestation"] = map[string]any{"state": "failed"}
	b.until(5*time.Minute, "rolled back", func(st slots.Status, _ contract.Artifact) bool { return st.Running().SHA256 == b.digests["old"] })
	for range 16 {
		b.look()
	}
	if a := b.look(); a.SHA256 != "" || !strings.Contains(a.Why, "has loaded") {
		t.Errorf("the guard hears %+v", a)
	}
	stop()
	b.until(time.Minute, "the digest", func(_ slots.Status, a contract.Artifact) bool { return a.SHA256 == b.digests["old"] })
}
