package proc

import (
	"context"
	"errors"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// MaxOpen is how many open devices one look names; more are counted.
const MaxOpen = 32

// OpenDevice is one device file that one process has open.
type OpenDevice struct {
	// Path is the device's path as the process opened it, made printable.
	Path string
	// PID is the process, UID its real user, Unit its systemd unit, Exe its executable's path; what cannot be read is empty.
	PID, UID  int
	Unit, Exe string
}

// OpenDevices is what one look found.
type OpenDevices struct {
	// Open names up to [MaxOpen] of them, Total counts all.
	Open  []OpenDevice
	Total int
	// Why is empty if every process was looked at; otherwise there may be more.
	Why Reason
}

// Devices looks through all processes of proc(5) at root, which is /proc where it is empty, for those that have a character device
// open whose path matches one of the patterns, as [path.Match] has them. A device counts by its number as well as by its name: who
// made a second node for a camera, in a container or elsewhere, has the camera open all the same. It goes on until ctx ends.
func Devices(ctx context.Context, root string, patterns []string) OpenDevices {
	if root == "" {
		root = "/proc"
	}
	s := scan{root: root}
	look := deviceLook{patterns: patterns, numbers: numbers(kernelDevices, patterns)}
	for _, pid := range s.list() {
		if ctx.Err() != nil {
			look.out.Why = ReasonPending
			return look.out
		}
		look.process(root, pid)
		if look.looked > maxDescriptors {
			look.out.Why = ReasonTooMany
			return look.out
		}
	}
	if s.cut != ReasonNone {
		look.out.Why = s.cut
	}
	return look.out
}

// device is a character device's number.
type device struct{ major, minor uint32 }

// kernelDevices is where the kernel lists its character devices by number.
const kernelDevices = "/sys/dev/char"

// numbers are those of the devices that are there now: by the kernel's own list, whose names are those of the computer's /dev also for
// a reader that has another, and by the files in the reader's.
func numbers(kernel string, patterns []string) map[device]bool {
	out := map[device]bool{}
	entries, err := os.ReadDir(kernel)
	if err != nil {
		entries = nil // A computer without sysfs has the files.
	}
	for _, e := range entries {
		major, minor, _ := strings.Cut(e.Name(), ":")
		a, aerr := strconv.ParseUint(major, 10, 32)
		b, berr := strconv.ParseUint(minor, 10, 32)
		text, err := os.ReadFile(filepath.Join(kernel, e.Name(), "uevent")) //nolint:gosec // the kernel's own file
		if aerr != nil || berr != nil || err != nil {
			continue
		}
		for line := range strings.Lines(string(text)) {
			if name, ok := strings.CutPrefix(strings.TrimSpace(line), "DEVNAME="); ok && matches(patterns, "/dev/"+name) {
				out[device{uint32(a), uint32(b)}] = true
			}
		}
	}
	for _, p := range patterns {
		names, err := filepath.Glob(p)
		if err != nil {
			continue
		}
		for _, name := range names {
			var st unix.Stat_t
			if unix.Stat(name, &st) == nil && st.Mode&unix.S_IFMT == unix.S_IFCHR {
				out[device{unix.Major(st.Rdev), unix.Minor(st.Rdev)}] = true
			}
		}
	}
	return out
}

// deviceLook is one look under way.
type deviceLook struct {
	patterns []string
	numbers  map[device]bool
	out      OpenDevices
	looked   int
}

// process looks at all descriptors of one process.
func (l *deviceLook) process(root string, pid int) {
	p, err := openProcess(root, pid)
	if err != nil {
		return // It has ended.
	}
	defer p.close()
	before := len(l.out.Open)
	look := func(dir int, name, target string) bool {
		l.looked++
		if l.counts(dir, name, target) {
			l.note(pid, target)
		}
		return l.looked <= maxDescriptors
	}
	err = p.eachLink("fd", look)
	for _, tid := range p.threads() {
		if l.looked <= maxDescriptors && !sameFiles(pid, tid) {
			err = errors.Join(err, p.eachLink("task/"+strconv.Itoa(tid)+"/fd", look))
		}
	}
	if errors.Is(err, unix.EACCES) || errors.Is(err, unix.EPERM) {
		// The kernel says the same of a process that has just ended.
		if _, err := p.start(); err == nil {
			l.out.Why = ReasonHidden
		}
	}
	if len(l.out.Open) > before {
		l.describe(p, l.out.Open[before:])
	}
}

// counts says whether a descriptor is one of the devices. Most are no files at all, which the text of the link shows.
func (l *deviceLook) counts(dir int, name, target string) bool {
	if !strings.HasPrefix(target, "/") {
		return false
	}
	clean := strings.TrimSuffix(target, " (deleted)")
	if matches(l.patterns, clean) {
		return true
	}
	var st unix.Statx_t
	// A file on a server that does not answer must not hold up the look: what the kernel knows already is enough.
	err := unix.Statx(dir, name, unix.AT_STATX_DONT_SYNC|unix.AT_NO_AUTOMOUNT, unix.STATX_TYPE, &st)
	return err == nil && st.Mode&unix.S_IFMT == unix.S_IFCHR && l.numbers[device{st.Rdev_major, st.Rdev_minor}]
}

func matches(patterns []string, name string) bool {
	for _, p := range patterns {
		if ok, err := path.Match(p, name); ok && err == nil {
			return true
		}
	}
	return false
}

func (l *deviceLook) note(pid int, target string) {
	text := printable(target)
	for i := range l.out.Open {
		if o := &l.out.Open[i]; o.PID == pid && o.Path == text {
			return // a second descriptor of the same device
		}
	}
	l.out.Total++
	if len(l.out.Open) < MaxOpen {
		l.out.Open = append(l.out.Open, OpenDevice{Path: text, PID: pid})
	}
}

// describe says for people whose the process is. It is no proof: it may have changed since.
func (l *deviceLook) describe(p process, open []OpenDevice) {
	var unitName, exe string
	var uid int
	if ids, err := p.ids(); err == nil {
		uid = ids.uid[0]
	}
	if group, err := p.cgroup(); err == nil {
		unitName = unit(group)
	}
	var buf [maxText]byte
	if n, err := unix.Readlinkat(p.dir, "exe", buf[:]); err == nil {
		exe = printable(string(buf[:n]))
	}
	for i := range open {
		open[i].UID, open[i].Unit, open[i].Exe = uid, unitName, exe
	}
}

// threads are those beside the one that the process is named after. Their number is bounded by that of descriptors.
func (p process) threads() []int {
	dir, err := unix.Openat(p.dir, "task", unix.O_DIRECTORY|unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil
	}
	defer func() { _ = unix.Close(dir) }()
	var out []int
	var names []string
	buf := make([]byte, 8192)
	for len(out) < maxDescriptors {
		n, err := unix.ReadDirent(dir, buf)
		if err != nil || n <= 0 {
			return out
		}
		_, _, names = unix.ParseDirent(buf[:n], -1, names[:0])
		for _, name := range names {
			if tid, err := strconv.Atoi(name); err == nil && tid != p.pid {
				out = append(out, tid)
			}
		}
	}
	return out
}

// sameFiles says whether two threads share their table of descriptors, as those of one process nearly always do: see
// kcmp(2). One that has left it (unshare with CLONE_FILES), or outlives the thread that the process is named after, has its
// own; where the kernel does not say, it is taken to have its own.
func sameFiles(pid, tid int) bool {
	const files = 2 // KCMP_FILES
	r, _, errno := unix.Syscall6(unix.SYS_KCMP, uintptr(pid), uintptr(tid), files, 0, 0, 0)
	return errno == 0 && r == 0
}

// eachLink calls f with the text of each link in one of the process's folders of descriptors until it returns false.
func (p process) eachLink(folder string, f func(dir int, name, target string) bool) error {
	dir, err := unix.Openat(p.dir, folder, unix.O_DIRECTORY|unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer func() { _ = unix.Close(dir) }()
	var names []string
	buf, text := make([]byte, 8192), make([]byte, maxText)
	for {
		n, err := unix.ReadDirent(dir, buf)
		if err != nil || n <= 0 {
			return err
		}
		_, _, names = unix.ParseDirent(buf[:n], -1, names[:0])
		for _, name := range names {
			if _, err := strconv.Atoi(name); err != nil {
				continue
			}
			n, err := unix.Readlinkat(dir, name, text)
			if errors.Is(err, unix.EACCES) || errors.Is(err, unix.EPERM) {
				return err
			}
			if err == nil && !f(dir, name, string(text[:n])) {
				return nil
			}
		}
	}
}
