package flight

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/robowarden/robowarden/agent/recording"
	"github.com/robowarden/robowarden/interlock"
)

// childEnv makes TestChild write recordings into the folder that it names; roomEnv puts a disk of so many bytes there first.
const (
	childEnv = "FLIGHT_TEST_FOLDER"
	roomEnv  = "FLIGHT_TEST_ROOM"
)

// TestChild is no test of its own: it is the program that the tests below kill, or give a disk that runs full.
func TestChild(t *testing.T) {
	folder := os.Getenv(childEnv)
	if folder == "" {
		return
	}
	room := os.Getenv(roomEnv)
	if room != "" {
		if err := syscall.Mount("none", folder, "tmpfs", 0, "size="+room); err != nil {
			t.Fatalf("no disk: %v", err)
		}
	}
	d := newDesk(t, "")
	d.rec.o.Folder = folder
	for {
		d.trip()
		if room != "" {
			break
		}
		d.rec.ended = 0
		d.rec.last = interlock.MotionFree
	}
	left, err := filepath.Glob(filepath.Join(folder, "*", "*"))
	if err != nil || len(left) != 0 {
		t.Errorf("on a full disk: %v, %v; expected no file, and its room given back", left, err)
	}
	if said := d.out.String(); !strings.Contains(said, "could not be kept") || !strings.Contains(said, syscall.ENOSPC.Error()) {
		t.Errorf("the log says %q", said)
	}
	if err := syscall.Mount("none", folder, "tmpfs", syscall.MS_REMOUNT, "size=64m"); err != nil {
		t.Fatal(err)
	}
	d.rec.last = interlock.MotionFree
	d.trip()
	files := d.files()
	if len(files) != 1 || !strings.HasSuffix(files[0], "-motion"+whole) {
		t.Fatalf("with room again: %v\n%s", files, d.out.String())
	}
	if s, err := recording.Scan(files[0], nil); err != nil || s.Damage != nil || s.Messages < 1000 {
		t.Errorf("with room again: %v, %v, %d messages", err, s.Damage, s.Messages)
	}
}

func child(t *testing.T, folder string, env ...string) *exec.Cmd {
	t.Helper()
	c := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestChild$")
	c.Env = append(append(os.Environ(), childEnv+"="+folder), env...)
	c.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	return c
}

// TestDiskFull fills a real file system: the recording is given up, its room given back, the next one is kept.
func TestDiskFull(t *testing.T) {
	c := child(t, t.TempDir(), roomEnv+"=400k")
	// A mount of its own; where this is not root, within names of its own.
	c.SysProcAttr.Cloneflags = syscall.CLONE_NEWNS
	if os.Geteuid() != 0 {
		c.SysProcAttr.Cloneflags |= syscall.CLONE_NEWUSER
		c.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}}
	}
	var out bytes.Buffer
	c.Stdout, c.Stderr = &out, &out
	if err := c.Start(); err != nil {
		if os.Getenv("REQUIRE_ALL") == "1" {
			t.Fatalf("REQUIRE_ALL=1: no mounts here: %v", err)
		}
		t.Skipf("no mounts here: %v", err)
	}
	if err := c.Wait(); err != nil {
		t.Errorf("%v\n%s", err, out.String())
	}
}

// TestKilledWhileWriting kills a recorder with a file half written, again and again: what it leaves is marked at the next
// start and read up to where it was cut; the others are whole.
func TestKilledWhileWriting(t *testing.T) {
	const kills = 3
	folder := t.TempDir()
	parts := func() []string {
		list, err := filepath.Glob(filepath.Join(folder, "*", "*"+partial))
		if err != nil {
			t.Fatal(err)
		}
		return list
	}
	cut := 0
	for deadline := time.Now().Add(2 * time.Minute); cut < kills; {
		if time.Now().After(deadline) {
			t.Fatalf("%d of %d kills met a file half written", cut, kills)
		}
		c := child(t, folder)
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		for time.Now().Before(deadline) {
			if list := parts(); len(list) > 0 {
				if info, err := os.Stat(list[0]); err == nil && info.Size() > 2*chunkBytes {
					break
				}
			}
		}
		_ = c.Process.Kill()
		_ = c.Wait()
		half := len(parts())
		d := newDesk(t, "")
		d.rec.o.Folder = folder
		if err := d.rec.tidy(); err != nil {
			t.Fatal(err)
		}
		if left := parts(); len(left) != 0 {
			t.Fatalf("%v is left as it was", left)
		}
		cut += half
	}
	marked := 0
	for _, f := range (&desk{t: t, rec: &Recorder{o: Options{Folder: folder}}}).files() {
		s, err := recording.Scan(f, nil)
		if err != nil {
			t.Fatal(err)
		}
		if strings.HasSuffix(f, cutShort) {
			marked++
			if s.Damage == nil || !s.Damage.Cut || s.Messages < 1000 {
				t.Errorf("%s: damage %v, %d messages", f, s.Damage, s.Messages)
			}
		} else if s.Damage != nil || len(s.Warnings) != 0 {
			t.Errorf("%s: %v %q", f, s.Damage, s.Warnings)
		}
	}
	if marked == 0 {
		t.Error("no file says that it is cut")
	}
}
