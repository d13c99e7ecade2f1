package proc

import (
	"context"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"sync"
	"testing"

	"golang.org/x/sys/unix"
)

// camera stands for a recording device: a character device that nothing else on a computer has open.
const camera = "/dev/full"

// mine are the devices that this process has open.
func mine(d *OpenDevices) []string {
	var out []string
	for _, o := range d.Open {
		if o.PID == os.Getpid() {
			out = append(out, o.Path)
		}
	}
	return out
}

func TestFindsWhoHasADeviceOpen(t *testing.T) {
	// In some virtual machines the first process cannot be looked at by anybody inside.
	if got := Devices(t.Context(), "", []string{camera}); len(mine(&got)) != 0 || got.Why != ReasonNone && got.Why != ReasonHidden {
		t.Fatalf("before: %+v", got)
	}
	f, err := os.Open(camera)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.Close() })
	twice, err := os.Open(camera)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = twice.Close() })
	got := Devices(t.Context(), "", []string{"/dev/nothing*", "/dev/ful?"})
	if paths := mine(&got); !slices.Equal(paths, []string{camera}) {
		t.Fatalf("found %q in %+v, expected %s once", paths, got, camera)
	}
	for _, o := range got.Open {
		if o.PID == os.Getpid() && (o.UID != os.Getuid() || o.Exe == "") {
			t.Errorf("described as %+v", o)
		}
	}
	if got := Devices(t.Context(), "", []string{"/dev/nothing*"}); got.Total != 0 {
		t.Errorf("off: another pattern finds %+v", got)
	}
	_, _ = f.Close(), twice.Close()
	if got := Devices(t.Context(), "", []string{camera}); len(mine(&got)) != 0 {
		t.Errorf("closed, and still found: %+v", got)
	}
}

// TestFindsADeviceByItsNumber: a second node for the same device, as a container makes, is the device as well, under whatever name;
// and one whose name was removed stays one.
func TestFindsADeviceByItsNumber(t *testing.T) {
	needRoot(t)
	var st unix.Stat_t
	if err := unix.Stat(camera, &st); err != nil {
		t.Fatal(err)
	}
	node := filepath.Join(t.TempDir(), "harmless.txt")
	if err := unix.Mknod(node, unix.S_IFCHR|0o600, int(st.Rdev)); err != nil { //nolint:gosec // a device number
		t.Skipf("no device nodes can be made here: %v", err)
	}
	f, err := os.Open(node)
	if err != nil {
		t.Skipf("device nodes cannot be opened in %s: %v", filepath.Dir(node), err)
	}
	t.Cleanup(func() { _ = f.Close() })
	if err := os.Remove(node); err != nil {
		t.Fatal(err)
	}
	if got := Devices(t.Context(), "", []string{camera}); len(mine(&got)) != 1 {
		t.Errorf("found %+v, expected the second node", got)
	}
	if got := Devices(t.Context(), "", []string{"/dev/zero-of-nobody"}); len(mine(&got)) != 0 {
		t.Errorf("off: found %+v", got)
	}
}

// TestFindsADeviceInAThreadsOwnTable: a thread that has left its process's table of descriptors can hold a device that
// /proc/PID/fd does not show.
func TestFindsADeviceInAThreadsOwnTable(t *testing.T) {
	opened, done := make(chan error), make(chan struct{})
	var wait sync.WaitGroup
	beside(&wait, func() {
		runtime.LockOSThread() // and never unlock it: the thread ends with its table
		if err := unix.Unshare(unix.CLONE_FILES); err != nil {
			opened <- err
			return
		}
		fd, err := unix.Open(camera, unix.O_RDONLY|unix.O_CLOEXEC, 0)
		opened <- err
		<-done
		_ = unix.Close(fd)
	})
	if err := <-opened; err != nil {
		t.Fatal(err)
	}
	if got := Devices(t.Context(), "", []string{camera}); len(mine(&got)) != 1 {
		t.Errorf("found %+v, expected the thread's own", got)
	}
	close(done)
	wait.Wait()
	if got := Devices(t.Context(), "", []string{camera}); len(mine(&got)) != 0 {
		t.Errorf("off: found %+v after it was closed", got)
	}
}

// beside runs f on a thread that is not the process's first, whose table is the one that /proc/PID/fd shows.
func beside(wait *sync.WaitGroup, f func()) {
	wait.Go(func() {
		runtime.LockOSThread()
		if unix.Gettid() != os.Getpid() {
			f()
			return
		}
		var other sync.WaitGroup
		other.Go(f)
		other.Wait()
		runtime.UnlockOSThread()
	})
}

// TestNumbersByTheKernelsList: a steward has a /dev of its own, without cameras.
func TestNumbersByTheKernelsList(t *testing.T) {
	root := t.TempDir()
	for name, text := range map[string]string{
		"81:0": "MAJOR=81\nMINOR=0\nDEVNAME=video0\n", "116:24": "DEVNAME=snd/pcmC0D0c\n", "1:3": "DEVNAME=null\n", "x:y": "DEVNAME=video9\n", "4:5": "",
	} {
		if err := os.MkdirAll(filepath.Join(root, name), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(root, name, "uevent"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	got := numbers(root, []string{"/dev/video*", "/dev/snd/pcmC*c"})
	if len(got) != 2 || !got[device{81, 0}] || !got[device{116, 24}] {
		t.Errorf("found %v", got)
	}
	if got := numbers(filepath.Join(root, "none"), []string{"/dev/null"}); !got[device{1, 3}] {
		t.Errorf("without sysfs: %v, expected what /dev has", got)
	}
}

func TestALookThatIsCutOffSaysSo(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if got := Devices(ctx, "", []string{camera}); got.Why != ReasonPending {
		t.Errorf("why %q, expected %q", got.Why, ReasonPending)
	}
	if got := Devices(t.Context(), t.TempDir()+"/none", []string{camera}); got.Why != ReasonKernel {
		t.Errorf("why %q without a /proc, expected %q", got.Why, ReasonKernel)
	}
	if got := Devices(t.Context(), "", []string{"[", ""}); got.Total != 0 {
		t.Errorf("patterns that are none found %+v", got)
	}
}

// TestManyDevicesAreCounted: naming stops, counting goes on.
func TestManyDevicesAreCounted(t *testing.T) {
	l := deviceLook{patterns: []string{"/dev/video*"}}
	for i := range 3 * MaxOpen {
		l.note(i+1, "/dev/video0")
		l.note(i+1, "/dev/video0")
	}
	if l.out.Total < 2*MaxOpen || len(l.out.Open) != MaxOpen {
		t.Errorf("%d counted, %d named", l.out.Total, len(l.out.Open))
	}
}
