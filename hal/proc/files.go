package proc

import (
	"bufio"
	"bytes"
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
	// Major, Minor and Inode are the file itself.
	Major, Minor uint32
	Inode        uint64
	// PID is the process and Start its start in clock ticks since boot, Unit its systemd unit, empty where it has none.
	PID   int
	Start uint64
	Unit  string
}

// maxMaps bounds what is read of one process's list of mappings, and maxLine a line of it.
const (
	maxMaps = 64 << 20
	maxLine = 2 * unix.PathMax
)

// Files looks through all processes of proc(5) at root, which is /proc where it is empty, for files in use whose path is one that
// about says, and returns up to [MaxOpen] of those that keep says. It goes on until ctx ends; why is empty if every process was
// looked at. Threads with descriptors of their own are not looked at.
func Files(ctx context.Context, root string, about func(path string) bool, keep func(*FileUse) bool) (uses []FileUse, why Reason) {
	if root == "" {
		root = "/proc"
	}
	s := scan{root: root}
	look := fileLook{about: about, keep: keep}
	for _, pid := range s.list() {
		if ctx.Err() != nil {
			return look.uses, ReasonPending
		}
		if look.process(root, pid); len(look.uses) >= MaxOpen {
			return look.uses[:MaxOpen], ReasonTooMany
		}
	}
	if s.cut != ReasonNone {
		look.why = s.cut
	}
	return look.uses, look.why
}

// fileLook is one look under way.
type fileLook struct {
	about func(string) bool
	keep  func(*FileUse) bool
	uses  []FileUse
	why   Reason
}

// process looks at one process's descriptors and mappings.
func (l *fileLook) process(root string, pid int) {
	p, err := openProcess(root, pid)
	if err != nil {
		return // It has ended.
	}
	defer p.close()
	before := len(l.uses)
	err = p.eachLink("fd", func(dir int, name, target string) bool {
		if !strings.HasPrefix(target, "/") || !l.about(target) {
			return true
		}
		var st unix.Statx_t
		if unix.Statx(dir, name, unix.AT_STATX_DONT_SYNC|unix.AT_NO_AUTOMOUNT, unix.STATX_INO, &st) == nil {
			l.note(before, &FileUse{Path: target, Major: st.Dev_major, Minor: st.Dev_minor, Inode: st.Ino, PID: pid})
		}
		return true
	})
	err = errors.Join(err, l.maps(p, before))
	if errors.Is(err, unix.EACCES) || errors.Is(err, unix.EPERM) {
		// The kernel says the same of a process that has just ended.
		if _, err := p.start(); err == nil {
			l.why = ReasonHidden
		}
	}
	for i := before; i < len(l.uses); i++ {
		u := &l.uses[i]
		u.Path = printable(u.Path)
		if u.Start, err = p.start(); err != nil {
			u.Start = 0
		}
		if group, err := p.cgroup(); err == nil {
			u.Unit = unit(group)
		}
	}
}

// note keeps a use once for each process.
func (l *fileLook) note(before int, u *FileUse) {
	for _, x := range l.uses[before:] {
		if x.Inode == u.Inode && x.Major == u.Major && x.Minor == u.Minor {
			return
		}
	}
	if l.keep(u) {
		l.uses = append(l.uses, *u)
	}
}

// maps reads a process's mappings: lines of address, permissions, offset, device, inode and path, see proc_pid_maps(5).
func (l *fileLook) maps(p process, before int) error {
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
			if u, ok := parseMapping(string(line[:at])); ok {
				u.Path, u.PID = path, p.pid
				l.note(before, &u)
			}
		}
	}
	return lines.Err()
}

// parseMapping reads device and inode of a mapping.
func parseMapping(text string) (u FileUse, ok bool) {
	fields := strings.Fields(text)
	if len(fields) != 5 {
		return u, false
	}
	major, minor, _ := strings.Cut(fields[3], ":")
	a, aerr := strconv.ParseUint(major, 16, 32)
	b, berr := strconv.ParseUint(minor, 16, 32)
	inode, ierr := strconv.ParseUint(fields[4], 10, 64)
	return FileUse{Major: uint32(a), Minor: uint32(b), Inode: inode}, errors.Join(aerr, berr, ierr) == nil
}
