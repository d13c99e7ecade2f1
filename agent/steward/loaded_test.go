package steward

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// inOwnMounts starts a shell that has mounts of its own, and waits until what it was told is done.
func inOwnMounts(t *testing.T, script string) {
	t.Helper()
	cmd := exec.Command("sh", "-ec", script+"\necho ready\nread x")
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  syscall.CLONE_NEWUSER | syscall.CLONE_NEWNS,
		UidMappings: []syscall.SysProcIDMap{{HostID: os.Getuid(), Size: 1}}, GidMappings: []syscall.SysProcIDMap{{HostID: os.Getgid(), Size: 1}},
	}
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe() // It reads until the test ends.
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Skipf("no mounts of one's own here: %v", err)
	}
	t.Cleanup(func() { _ = in.Close(); _ = cmd.Process.Kill(); _ = cmd.Wait() })
	if line, err := bufio.NewReader(out).ReadString('\n'); line != "ready\n" {
		t.Skipf("no mounts of one's own here: %q, %v", line, err)
	}
}

// replaced puts the same bytes in the place of the active file.
func (b *bench) replaced() {
	b.t.Helper()
	next := filepath.Join(b.dir, "grasp", "next")
	b.must(os.WriteFile(next, []byte("old"), 0o600))
	b.must(os.Rename(next, filepath.Join(b.dir, "grasp", "active", "weights.bin")))
}

// withheld says in how many of the next rounds the guard hears no digest.
func (b *bench) withheld() (n int) {
	for range 16 {
		if a := b.look(); a.SHA256 == "" {
			n++
		}
	}
	return n
}

// TestOnlyFilesOfASlotTakeItsDigestAway: any process can have files that are named as an artifact's are, on the same device or over the
// very folder, and says nothing with that about the artifact. Off, a process to which the folder has another name has a slot's own file.
func TestOnlyFilesOfASlotTakeItsDigestAway(t *testing.T) {
	for name, c := range map[string]struct {
		hold func(b *bench)
		say  bool
	}{
		"named alike, on the same device": {func(b *bench) {
			other := filepath.Join(b.t.TempDir(), "home", "grasp", "a")
			b.must(os.MkdirAll(other, 0o700))
			b.must(os.WriteFile(filepath.Join(other, "notes.txt"), []byte("x"), 0o600))
			holding(b.t, filepath.Join(other, "notes.txt"))
		}, false},
		"another file system over the folder": {func(b *bench) {
			inOwnMounts(b.t, fmt.Sprintf("mount -t tmpfs none %[1]s; mkdir -p %[1]s/grasp/a; echo x >%[1]s/grasp/a/w; exec 5<%[1]s/grasp/a/w", b.dir))
		}, false},
		"a folder of the same device over the folder": {func(b *bench) {
			inOwnMounts(b.t, fmt.Sprintf("mkdir -p %[2]s/grasp/a; echo x >%[2]s/grasp/a/w; mount --bind %[2]s %[1]s; exec 5<%[1]s/grasp/a/w", b.dir, b.t.TempDir()))
		}, false},
		"off: the slot by another name": {func(b *bench) {
			inOwnMounts(b.t, fmt.Sprintf("mount --bind %[1]s %[2]s; exec 5<%[2]s/grasp/a/weights.bin", b.dir, b.t.TempDir()))
			b.replaced()
		}, true},
	} {
		t.Run(name, func(t *testing.T) {
			b := watching(t)
			b.must(b.install("old", 1, 0, nil))
			b.look()
			c.hold(b)
			b.eyes.loaded.due = true // Else the next look is 10 minutes away.
			if n := b.withheld(); (n > 0) != c.say {
				t.Errorf("withheld in %d of 16 rounds, expected any: %t", n, c.say)
			}
		})
	}
}

// TestASlotThatIsAMountOfItsOwn: a file of it lies in no folder of the artifact, and counts as one of the slot all the same. The steward
// has to see the mount, so the test runs once more in mounts of its own.
func TestASlotThatIsAMountOfItsOwn(t *testing.T) {
	if os.Getenv(inMounts) == "" {
		cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.v", "-test.run=^"+t.Name()+"$") //nolint:gosec // this test
		cmd.Env = append(os.Environ(), inMounts+"=1")
		cmd.SysProcAttr = &syscall.SysProcAttr{
			Cloneflags:  syscall.CLONE_NEWUSER | syscall.CLONE_NEWNS,
			UidMappings: []syscall.SysProcIDMap{{HostID: os.Getuid(), Size: 1}}, GidMappings: []syscall.SysProcIDMap{{HostID: os.Getgid(), Size: 1}},
		}
		out, err := cmd.CombinedOutput()
		if cmd.Process == nil || strings.Contains(string(out), "--- SKIP") {
			t.Skipf("no mounts of one's own here: %v\n%s", err, out)
		}
		if err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		return
	}
	for name, in := range map[string]string{"a slot": "a", "a folder around (off)": ""} {
		t.Run(name, func(t *testing.T) {
			b := watching(t)
			b.must(b.install("old", 1, 0, nil))
			over, from := filepath.Join(b.dir, "grasp", in), t.TempDir()
			b.must(os.CopyFS(from, os.DirFS(over)))
			if err := unix.Mount(from, over, "", unix.MS_BIND, ""); err != nil {
				t.Skip(err)
			}
			t.Cleanup(func() { _ = unix.Unmount(over, unix.MNT_DETACH) })
			b.look()
			file := filepath.Join(b.dir, "grasp", "a", "weights.bin")
			holding(t, file)
			b.eyes.loaded.due = true
			if n := b.withheld(); n > 0 {
				t.Errorf("withheld in %d of 16 rounds for a file that was verified", n)
			}
			b.must(os.WriteFile(file+"2", []byte("old"), 0o600)) // A name of its own file system.
			b.must(os.Rename(file+"2", file))
			if b.withheld() == 0 {
				t.Errorf("a process has loaded a file that was replaced, and nobody says so; blind because %q", b.eyes.loaded.blind)
			}
		})
	}
}

// inMounts is set in the environment of a test that has mounts of its own.
const inMounts = "ROBOWARDEN_TEST_MOUNTS"

// TestAMappingThatCannotBeAskedAccusesNobody: the list of mappings names another device than stat(2) does, as on btrfs and overlayfs, and
// the steward may not ask the file. Off, the list names the slot's own device, and another file.
func TestAMappingThatCannotBeAskedAccusesNobody(t *testing.T) {
	for name, c := range map[string]struct{ own, say bool }{"another device": {false, false}, "the slot's device (off)": {true, true}} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			b.start("boot-1")
			b.must(b.install("old", 1, 0, nil))
			file := filepath.Join(b.dir, "grasp", "a", "weights.bin")
			info, err := os.Stat(file)
			b.must(err)
			st := info.Sys().(*syscall.Stat_t)
			device, inode := "00:7f", st.Ino
			if c.own {
				device, inode = fmt.Sprintf("%02x:%02x", unix.Major(st.Dev), unix.Minor(st.Dev)), st.Ino+1
			}
			dir := filepath.Join(b.procfs, "99999999")
			b.must(os.MkdirAll(filepath.Join(dir, "fd"), 0o700))
			mounts, err := os.ReadFile("/proc/self/mountinfo")
			b.must(err)
			b.must(os.WriteFile(filepath.Join(dir, "mountinfo"), mounts, 0o600))
			b.must(os.WriteFile(filepath.Join(dir, "maps"), fmt.Appendf(nil, "400000-40b000 r--p 0 %s %d %s (deleted)\n", device, inode, file), 0o600))
			b.look()
			if n := b.withheld(); (n > 0) != c.say {
				t.Errorf("withheld in %d of 16 rounds, expected any: %t", n, c.say)
			}
			if blind := b.eyes.loaded.blind; strings.Contains(blind, "weights.bin") == c.say {
				t.Errorf("blind because %q", blind)
			}
		})
	}
}
