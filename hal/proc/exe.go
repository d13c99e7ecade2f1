package proc

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"hash"
	"io"
	"os"
	"path"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// version names one content of one file, as far as a file system can tell.
type version struct {
	major, minor uint32
	inode, size  uint64
	mtime, ctime unix.StatxTimestamp
}

// exeCache remembers digests of executables.
type exeCache struct {
	digests map[version]string
	// work is the one executable that is being hashed; a slow computer goes on with it in the next round.
	work *work
	// budget is how many bytes this round may still hash.
	budget int64
	// hashed counts bytes; for tests.
	hashed int64
}

// work is an executable that is partly hashed.
type work struct {
	v    version
	f    *os.File
	h    hash.Hash
	done uint64
}

// maxCached bounds the cache; when it is full it is emptied, since executables in use are hashed again soon.
const maxCached = 256

func newExeCache() *exeCache { return &exeCache{digests: map[version]string{}} }

// executable reads the path and digest of what a process was started from.
func (c *exeCache) executable(ctx context.Context, p process) (name, digest string, why Reason) {
	buf := make([]byte, unix.PathMax)
	n, err := unix.Readlinkat(p.dir, "exe", buf)
	if err != nil {
		return "", "", ReasonExe
	}
	name = printable(string(buf[:n]))
	// A handle without opening: opening or asking for attributes would wait for whoever makes up the file system.
	fd, err := unix.Openat(p.dir, "exe", unix.O_PATH|unix.O_CLOEXEC, 0)
	if err != nil {
		return name, "", ReasonExe
	}
	defer func() { _ = unix.Close(fd) }()
	st, _, err := look(fd)
	switch {
	case err != nil || st.Mode&unix.S_IFMT != unix.S_IFREG:
		return name, "", ReasonExe
	case !p.local(st.Mnt_id):
		// A file without a name lies on no mount that can be seen; that is the truer reason.
		if st.Nlink == 0 {
			return name, "", ReasonExeDeleted
		}
		return name, "", ReasonExeForeign
	}
	// Attributes as the file system has them now, not as cached.
	st, v, err := lookNow(fd)
	if err != nil {
		return name, "", ReasonExe
	}
	if st.Nlink == 0 {
		return name, "", ReasonExeDeleted
	}
	if digest, ok := c.digests[v]; ok {
		return name, digest, ReasonNone
	}
	digest, why = c.hash(ctx, fd, v)
	return name, digest, why
}

func look(fd int) (unix.Statx_t, version, error)    { return statx(fd, unix.AT_STATX_DONT_SYNC) }
func lookNow(fd int) (unix.Statx_t, version, error) { return statx(fd, unix.AT_STATX_SYNC_AS_STAT) }

func statx(fd, flags int) (unix.Statx_t, version, error) {
	var st unix.Statx_t
	err := unix.Statx(fd, "", unix.AT_EMPTY_PATH|flags, unix.STATX_BASIC_STATS|unix.STATX_MNT_ID, &st)
	return st, version{st.Dev_major, st.Dev_minor, st.Ino, st.Size, st.Mtime, st.Ctime}, err
}

// foreign are file systems whose files may change without a trace, or never answer.
var foreign = []string{"fuse", "nfs", "cifs", "smb", "9p", "ceph", "afs", "gfs", "ocfs", "lustre", "glusterfs", "orangefs", "coda", "virtiofs"}

// local says whether the mount, as the process's own list of mounts has it, is a file system of this computer.
func (p process) local(mount uint64) bool {
	b, err := p.read("mountinfo", 1<<20)
	if err != nil {
		return false
	}
	kind, ok := fileSystem(b, mount)
	if !ok {
		return false
	}
	for _, f := range foreign {
		if strings.HasPrefix(kind, f) {
			return false
		}
	}
	return true
}

// fileSystem finds a mount's type in mountinfo: "36 35 98:0 /root /mount opts [tags...] - type source opts". Blanks and
// newlines in names are escaped by the kernel.
func fileSystem(b []byte, mount uint64) (string, bool) {
	want := strconv.FormatUint(mount, 10)
	for line := range bytes.Lines(b) {
		fields := strings.Fields(string(line))
		if len(fields) == 0 || fields[0] != want {
			continue
		}
		for i, f := range fields {
			if f == "-" && i+1 < len(fields) {
				return fields[i+1], true
			}
		}
		return "", false
	}
	return "", false
}

// hash reads the file behind the handle, as far as this round goes. The very file is opened, not its name.
func (c *exeCache) hash(ctx context.Context, handle int, v version) (string, Reason) {
	if v.size > MaxExeBytes {
		return "", ReasonExeLarge
	}
	if c.work != nil && c.work.v != v {
		if c.budget <= 0 || ctx.Err() != nil {
			return "", ReasonPending
		}
		c.drop() // whoever asked for the other one is gone, or asks again
	}
	if c.work == nil {
		fd, err := unix.Open("/proc/self/fd/"+strconv.Itoa(handle), unix.O_RDONLY|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
		if err != nil {
			return "", ReasonExe
		}
		c.work = &work{v: v, f: os.NewFile(uintptr(fd), "executable"), h: sha256.New()}
	}
	switch done, err := c.read(ctx); {
	case err != nil:
		c.drop()
		return "", ReasonExe
	case !done:
		return "", ReasonPending
	}
	return c.finish()
}

// chunk is how much is read between two looks at the time.
const chunk = 256 << 10

// read goes on with the executable until its end, or the round's.
func (c *exeCache) read(ctx context.Context) (done bool, err error) {
	buf := make([]byte, chunk)
	for ctx.Err() == nil && c.budget > 0 {
		n, err := c.work.f.Read(buf)
		c.work.h.Write(buf[:n])
		c.work.done += uint64(n)
		c.budget -= int64(n)
		c.hashed += int64(n)
		switch {
		case errors.Is(err, io.EOF):
			return true, nil
		case err != nil:
			return false, err
		case c.work.done > c.work.v.size:
			return true, nil // it grows: finish says so
		}
	}
	return false, nil
}

// finish takes the digest if the file is still what it was.
func (c *exeCache) finish() (string, Reason) {
	w := c.work
	defer c.drop()
	st, after, err := lookNow(int(w.f.Fd()))
	if err != nil || after != w.v || w.done != w.v.size {
		return "", ReasonExeChanged
	}
	if st.Nlink == 0 {
		return "", ReasonExeDeleted
	}
	if len(c.digests) >= maxCached {
		clear(c.digests)
	}
	digest := hex.EncodeToString(w.h.Sum(nil))
	c.digests[w.v] = digest
	return digest, ReasonNone
}

// drop forgets the executable that is being hashed.
func (c *exeCache) drop() {
	if c.work != nil {
		_ = c.work.f.Close()
		c.work = nil
	}
}

// interpreters are programs that run what they are given; versions may follow the name.
var interpreters = []string{
	"python", "pypy", "node", "nodejs", "deno", "bun", "perl", "ruby", "lua", "luajit", "php", "bash", "sh", "dash", "zsh", "ksh",
	"fish", "busybox", "toybox", "java", "mono", "dotnet", "tclsh", "wish", "guile", "julia", "octave", "octave-cli", "Rscript", "R",
	"erl", "beam.smp", "gdb", "gdbserver", "lldb", "wine", "wine64", "awk", "gawk", "mawk", "socat", "ncat", "nc", "ssh", "sshd",
}

// interpreter says whether an executable is known to run whatever it is given, by its name. The dynamic loader and the
// emulators count: they start any program in their own name. So do relays, which speak for somebody else.
func interpreter(exe string) bool {
	base := path.Base(exe)
	for _, n := range interpreters {
		if rest, ok := strings.CutPrefix(base, n); ok && strings.Trim(rest, "0123456789.-") == "" {
			return true
		}
	}
	return strings.HasPrefix(base, "qemu-") || strings.HasPrefix(base, "ld-linux") || strings.HasPrefix(base, "ld-musl") || strings.HasPrefix(base, "ld.so")
}
