package proc

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"errors"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// FileUse is a file that a process has open, or mapped into its memory.
type FileUse struct {
	// Path is the file's name as the kernel tells it to this process, made printable; behind a file that has lost that name stands
	// " (deleted)".
	Path string
	// Major, Minor and Inode are the file itself, as stat(2) has them.
	Major, Minor uint32
	Inode        uint64
	// Listed is true where they are only those of the process's list of mappings, since the file itself could not be asked: on btrfs
	// and overlayfs that device is another one than that of stat(2).
	Listed bool
	// PID is the process.
	PID   int
	p     process
	name  string // as the kernel tells it
	mount uint64 // through which the process sees it, 0 if that is unknown
}

// Unit is the process's systemd unit, for people; empty where it has none. It may be asked while the look lasts.
func (u *FileUse) Unit() string {
	group, err := u.p.cgroup()
	if err != nil {
		return ""
	}
	return unit(group)
}

// maxMaps bounds what is read of one process's list of mappings, and maxLine a line of it.
const (
	maxMaps = 64 << 20
	maxLine = 2 * unix.PathMax
)

// Files looks through all processes of proc(5) at root, which is /proc where it is empty, for files in use whose path is one that
// about says, and tells of each once for each process. It goes on until ctx ends; the answer is empty if every process was looked
// at. Threads with descriptors of their own are not looked at.
func Files(ctx context.Context, root string, about func(path string) bool, tell func(*FileUse)) Reason {
	if root == "" {
		root = "/proc"
	}
	s := scan{root: root}
	look := fileLook{about: about, tell: tell}
	for _, pid := range s.list() {
		if ctx.Err() != nil {
			return ReasonPending
		}
		look.process(root, pid)
	}
	return cmp.Or(s.cut, look.why)
}

// fileLook is one look under way.
type fileLook struct {
	about func(string) bool
	tell  func(*FileUse)
	seen  []FileUse
	why   Reason
}

// process looks at one process's descriptors and mappings.
func (l *fileLook) process(root string, pid int) {
	p, err := openProcess(root, pid)
	if err != nil {
		return // It has ended.
	}
	defer p.close()
	l.seen = l.seen[:0]
	err = p.eachLink("fd", func(dir int, name, target string) bool {
		if !strings.HasPrefix(target, "/") || !l.about(target) {
			return true
		}
		var st unix.Statx_t
		if unix.Statx(dir, name, unix.AT_STATX_DONT_SYNC|unix.AT_NO_AUTOMOUNT, unix.STATX_INO|unix.STATX_MNT_ID, &st) == nil {
			u := FileUse{name: target, PID: pid, p: p}
			u.is(&st)
			l.note(&u)
		}
		return true
	})
	err = errors.Join(err, l.maps(p))
	if errors.Is(err, unix.EACCES) || errors.Is(err, unix.EPERM) {
		// The kernel says the same of a process that has just ended.
		if _, err := p.start(); err == nil {
			l.why = ReasonHidden
		}
	}
}

// note tells of a file once for each process.
func (l *fileLook) note(u *FileUse) {
	for _, x := range l.seen {
		if x.Inode == u.Inode && x.Major == u.Major && x.Minor == u.Minor {
			return
		}
	}
	l.seen = append(l.seen, *u)
	u.Path = printable(u.name)
	l.tell(u)
}

// maps reads a process's mappings: lines of address, permissions, offset, device, inode and path, see proc_pid_maps(5).
func (l *fileLook) maps(p process) error {
	fd, err := unix.Openat(p.dir, "maps", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	f := os.NewFile(uintptr(fd), "maps")
	defer func() { _ = f.Close() }()
	lines := bufio.NewScanner(f)
	lines.Buffer(make([]byte, 0, 16<<10), maxLine)
	var last []byte
	for read := 0; lines.Scan() && read < maxMaps; {
		line := lines.Bytes()
		read += len(line)
		at := bytes.IndexByte(line, '/')
		if at < 0 || bytes.Equal(line[at:], last) { // The parts of one file follow each other.
			continue
		}
		last = append(last[:0], line[at:]...)
		if path := string(last); l.about(path) {
			if u, span, ok := parseMapping(string(line[:at])); ok {
				u.name, u.PID, u.p = path, p.pid, p
				u.ask(span)
				l.note(&u)
			}
		}
	}
	return lines.Err()
}

// resolveCached is RESOLVE_CACHED of openat2(2), Linux 5.12: only what is in memory already. Older kernels refuse it.
const resolveCached = 0x20

// ask asks the mapped file itself what it is: by its addresses, which takes CAP_CHECKPOINT_RESTORE, or else by its name, if that still
// leads to the same inode. Nothing that may have to be fetched from anywhere is waited for.
func (u *FileUse) ask(span string) {
	var st unix.Statx_t
	if unix.Statx(u.p.dir, "map_files/"+span, unix.AT_STATX_DONT_SYNC|unix.AT_NO_AUTOMOUNT, unix.STATX_INO|unix.STATX_MNT_ID, &st) == nil {
		u.is(&st)
		return
	}
	u.Listed = true
	root, err := unix.Openat(u.p.dir, "root", unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return
	}
	defer func() { _ = unix.Close(root) }()
	fd, err := unix.Openat2(root, u.name, &unix.OpenHow{Flags: unix.O_PATH | unix.O_NOFOLLOW | unix.O_CLOEXEC, Resolve: unix.RESOLVE_IN_ROOT | resolveCached})
	if err != nil {
		return
	}
	defer func() { _ = unix.Close(fd) }()
	if st, _, err := look(fd); err == nil && st.Ino == u.Inode {
		u.is(&st)
	}
}

// is takes over what stat(2) says.
func (u *FileUse) is(st *unix.Statx_t) {
	u.Major, u.Minor, u.Inode, u.Listed = st.Dev_major, st.Dev_minor, st.Ino, false
	if st.Mask&unix.STATX_MNT_ID != 0 {
		u.mount = st.Mnt_id
	}
}

// parseMapping reads device and inode of a mapping, and its addresses as the folder map_files names them. Numbers that are none are
// those of no file.
func parseMapping(text string) (u FileUse, span string, ok bool) {
	fields := strings.Fields(text)
	if len(fields) != 5 {
		return u, "", false
	}
	number := func(s string, base int) uint64 {
		n, err := strconv.ParseUint(s, base, 64)
		if err != nil {
			return 0
		}
		return n
	}
	from, to, _ := strings.Cut(fields[0], "-")
	span = strings.TrimLeft(from, "0") + "-" + strings.TrimLeft(to, "0")
	major, minor, _ := strings.Cut(fields[3], ":")
	return FileUse{Major: uint32(number(major, 16)), Minor: uint32(number(minor, 16)), Inode: number(fields[4], 10)}, span, true //nolint:gosec // the kernel's numbers
}
