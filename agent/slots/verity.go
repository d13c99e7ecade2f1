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

// ask opens a file and asks for one of fs-verity's answers. A kernel that knows none says so in many ways; one that was asked and
// failed has an error of its own.
func (d *Dir) ask(name string, request uintptr, arg unsafe.Pointer) error {
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
		_, _, errno := unix.Syscall(unix.SYS_IOCTL, f.Fd(), request, uintptr(arg))
		switch {
		case errno == unix.EIO || errno == unix.EINTR || errno == unix.EBADMSG:
			err = errno
		case errno == unix.EEXIST && request == unix.FS_IOC_ENABLE_VERITY:
		case errno != 0:
			err = fmt.Errorf("%w: %w", ErrNoVerity, errno)
		}
	}
	if err == nil && request == unix.FS_IOC_ENABLE_VERITY {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}

// EnableVerity implements [FS].
func (d *Dir) EnableVerity(name string) error {
	arg := unix.FsverityEnableArg{Version: 1, Hash_algorithm: unix.FS_VERITY_HASH_ALG_SHA256, Block_size: 4096}
	return d.ask(name, unix.FS_IOC_ENABLE_VERITY, unsafe.Pointer(&arg)) //nolint:gosec // the kernel's structure
}

// MeasureVerity implements [FS].
func (d *Dir) MeasureVerity(name string) ([sha256.Size]byte, error) {
	// struct fsverity_digest: the algorithm, the length, and the digest behind them.
	var arg struct {
		unix.FsverityDigest
		digest [sha256.Size]byte
	}
	arg.Size = sha256.Size
	err := d.ask(name, unix.FS_IOC_MEASURE_VERITY, unsafe.Pointer(&arg)) //nolint:gosec // the kernel's structure
	if err == nil && (arg.Algorithm != unix.FS_VERITY_HASH_ALG_SHA256 || arg.Size != sha256.Size) {
		err = fmt.Errorf("%w with SHA-256", ErrNoVerity)
	}
	return arg.digest, err
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
