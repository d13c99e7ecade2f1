package proc

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/robowarden/robowarden/test/internal/need"
)

// Disk is a small real ext4 file system on a loop device, which can run full or break while files are open on it.
type Disk struct {
	// Dir is where it is mounted.
	Dir    string
	device string
}

// NewDisk makes and mounts a disk of the given size (at least 8 MiB) for the length of the test. Without the rights
// to do so it skips the test.
func NewDisk(t testing.TB, sizeBytes int64) *Disk {
	t.Helper()
	need.Root(t)
	base := t.TempDir()
	image, dir := filepath.Join(base, "image"), filepath.Join(base, "disk")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	f, err := os.Create(image)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(f.Truncate(sizeBytes), f.Close()); err != nil {
		t.Fatal(err)
	}
	// No blocks are kept for root, so that "full" means the same for everybody.
	if out, err := exec.Command("mkfs.ext4", "-q", "-m", "0", image).CombinedOutput(); err != nil {
		need.Missing(t, "mkfs.ext4: %v: %s", err, out)
	}
	if out, err := exec.Command("mount", "-o", "loop,errors=remount-ro", image, dir).CombinedOutput(); err != nil {
		need.Missing(t, "no loop mount possible here: %v: %s", err, out)
	}
	t.Cleanup(func() {
		if err := exec.Command("umount", dir).Run(); err != nil {
			// A process that outlived its test may hold it; let go now, the kernel cleans up later.
			if out, err := exec.Command("umount", "-l", dir).CombinedOutput(); err != nil {
				t.Errorf("umount %s: %v: %s", dir, err, out)
			}
		}
	})
	out, err := exec.Command("findmnt", "-n", "-o", "SOURCE", dir).Output()
	if err != nil {
		t.Fatalf("which device is %s: %v", dir, err)
	}
	return &Disk{Dir: dir, device: filepath.Base(strings.TrimSpace(string(out)))}
}

// Fill writes until nothing more fits and returns how to make room again.
func (d *Disk) Fill() (free func() error, err error) {
	name := filepath.Join(d.Dir, "ballast")
	f, err := os.OpenFile(name, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return nil, fmt.Errorf("proc: fill disk: %w", err)
	}
	// Large pieces first, then bytes, so that not even the last block has room.
	for size := 1 << 20; size > 0; size /= 16 {
		piece := make([]byte, size)
		for err == nil {
			_, err = f.Write(piece)
		}
		if !errors.Is(err, syscall.ENOSPC) {
			return nil, errors.Join(fmt.Errorf("proc: fill disk: expected %w, found %w", syscall.ENOSPC, err), f.Close())
		}
		err = nil
	}
	if err := f.Sync(); err != nil && !errors.Is(err, syscall.ENOSPC) {
		return nil, errors.Join(fmt.Errorf("proc: fill disk: %w", err), f.Close())
	}
	if err := f.Close(); err != nil {
		return nil, fmt.Errorf("proc: fill disk: %w", err)
	}
	return func() error { return os.Remove(name) }, nil
}

// Break makes the kernel see a file system error, as after a failed flash cell: from then on every write fails with
// EROFS, also through descriptors that were open before.
func (d *Disk) Break() error {
	trigger := filepath.Join("/sys/fs/ext4", d.device, "trigger_fs_error")
	f, err := os.OpenFile(trigger, os.O_WRONLY, 0)
	if err != nil {
		return fmt.Errorf("proc: break disk: %w", err)
	}
	_, err = io.WriteString(f, "robowarden test\n")
	if err := errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("proc: break disk: %w", err)
	}
	return nil
}
