package slots

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path"
	"slices"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/robowarden/robowarden/attest/artifact"
)

// ErrNoVerity says that the kernel does not keep a file's content: its file system cannot, or was not told to.
var ErrNoVerity = errors.New("fs-verity does not keep it")

// verityKinds are the file systems whose answer to FS_IOC_MEASURE_VERITY comes from the kernel. One in userspace answers what it
// likes.
var verityKinds = []uint32{unix.EXT4_SUPER_MAGIC, unix.F2FS_SUPER_MAGIC, unix.BTRFS_SUPER_MAGIC}

// verity opens a file for one of the two questions.
func (d *Dir) verity(name string, ask func(f *os.File) error) error {
	if err := d.plain(name); err != nil {
		return err
	}
	f, err := d.root.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return err
	}
	var s unix.Statfs_t
	if err = unix.Fstatfs(int(f.Fd()), &s); err == nil && !slices.Contains(verityKinds, uint32(s.Type)) { //nolint:gosec // a magic number of 32 bits
		err = fmt.Errorf("%w: the file system is none of ext4, f2fs and btrfs", ErrNoVerity)
	}
	if err == nil {
		err = ask(f)
	}
	return errors.Join(err, f.Close())
}

// EnableVerity implements [FS].
func (d *Dir) EnableVerity(name string) error {
	return d.verity(name, func(f *os.File) error {
		arg := unix.FsverityEnableArg{Version: 1, Hash_algorithm: unix.FS_VERITY_HASH_ALG_SHA256, Block_size: 4096}
		if err := ioctl(f, unix.FS_IOC_ENABLE_VERITY, unsafe.Pointer(&arg)); err != nil && !errors.Is(err, unix.EEXIST) { //nolint:gosec // the kernel's structure
			return err
		}
		return f.Sync()
	})
}

// MeasureVerity implements [FS].
func (d *Dir) MeasureVerity(name string) (sum [sha256.Size]byte, err error) {
	err = d.verity(name, func(f *os.File) error {
		// struct fsverity_digest: the algorithm, the length, and the digest behind them.
		var arg struct {
			unix.FsverityDigest
			digest [sha256.Size]byte
		}
		arg.Size = sha256.Size
		if err := ioctl(f, unix.FS_IOC_MEASURE_VERITY, unsafe.Pointer(&arg)); err != nil { //nolint:gosec // the kernel's structure
			return err
		}
		if arg.Algorithm != unix.FS_VERITY_HASH_ALG_SHA256 || arg.Size != sha256.Size {
			return fmt.Errorf("%w with SHA-256", ErrNoVerity)
		}
		sum = arg.digest
		return nil
	})
	return sum, err
}

// ioctl asks for one of fs-verity's answers. A kernel that knows none says so in many ways; one that was asked and failed has an
// error of its own.
func ioctl(f *os.File, request uintptr, arg unsafe.Pointer) error {
	_, _, errno := unix.Syscall(unix.SYS_IOCTL, f.Fd(), request, uintptr(arg))
	switch errno {
	case 0:
		return nil
	case unix.EIO, unix.EINTR, unix.EBADMSG:
		return errno
	}
	return fmt.Errorf("%w: %w", ErrNoVerity, errno)
}

// keep has the kernel keep what was written, and compares what it measures with what was written. It returns why the kernel does
// not keep it, which is no reason against the installation: the steward then watches the files.
func (w *writing) keep() (without string, err error) {
	for i := range w.files {
		name := path.Join(w.slot, w.files[i].Path)
		err := w.fs.EnableVerity(name)
		var sum [sha256.Size]byte
		if err == nil {
			sum, err = w.fs.MeasureVerity(name)
		}
		switch {
		case errors.Is(err, ErrNoVerity):
			return err.Error(), nil
		case err != nil:
			return "", fmt.Errorf("%s: fs-verity: %w", w.files[i].Path, err)
		case sum != w.verity[i].SHA256:
			return "", fmt.Errorf("%s: fs-verity measures %x: what was written has %x", w.files[i].Path, sum, w.verity[i].SHA256)
		}
	}
	return "", nil
}

// Kept returns the digest over the fs-verity digests of a slot's files as the kernel has them, read without the files' content, and
// whether it is the one that was computed from the verified bytes at the installation. While it stays so, whatever is read from
// these files is what was installed: the kernel compares every block, and refuses every change.
func (s *Store) Kept(ctx context.Context, slot string) (digest string, kept bool) {
	r := s.record(slot)
	if r == nil || r.Verity == "" {
		return "", false
	}
	var files []artifact.File
	err := s.files(slot, func(name string, out *artifact.File) (err error) {
		if err = ctx.Err(); err == nil {
			out.SHA256, err = s.fs.MeasureVerity(name)
		}
		files = append(files, *out)
		return err
	})
	if err != nil {
		return "", false
	}
	sum := artifact.TreeDigest(files)
	digest = hex.EncodeToString(sum[:])
	return digest, digest == r.Verity
}
