package confine

import (
	"errors"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// stage is where attempts are made: folders, and what the test holds ready outside of the confined process.
type stage struct {
	Own, Journal, Foreign, Config, Later, Socket string
	Port, OtherPort, Parent                      int
	Abstract, PeerSocket                         string
}

// attempt tries one thing. It returns nil if it went through, and any error that is no refusal by a wall counts as gone
// through as well: attempts on the kernel use arguments that it declines.
type attempt struct {
	name string
	try  func(*stage) error
}

func raw(number uintptr, args ...uintptr) error {
	var a [6]uintptr
	copy(a[:], args)
	if _, _, errno := unix.Syscall6(number, a[0], a[1], a[2], a[3], a[4], a[5]); errno != 0 {
		return errno
	}
	return nil
}

func makeSocket(family, kind, protocol int) error {
	fd, err := unix.Socket(family, kind|unix.SOCK_CLOEXEC, protocol)
	if err == nil {
		_ = unix.Close(fd)
	}
	return err
}

func dial(port int) error {
	c, err := net.DialTimeout("tcp", "127.0.0.1:"+strconv.Itoa(port), 5*time.Second)
	if err == nil {
		_ = c.Close()
	}
	return err
}

func dialUnix(name string) error {
	c, err := net.Dial("unix", name)
	if err == nil {
		_ = c.Close()
	}
	return err
}

func listen(network, address string) error {
	l, err := net.Listen(network, address)
	if err == nil {
		_ = l.Close()
	}
	return err
}

func write(path string) error { return os.WriteFile(path, []byte("x"), 0o600) }

func read(path string) error {
	_, err := os.ReadFile(path)
	return err
}

const bad = ^uintptr(0) // an address that is none

// attempts are made one by one in a process of their own, with the wall and without.
var attempts = []attempt{
	{"read own config", func(s *stage) error { return read(filepath.Join(s.Config, "c")) }},
	{"write own config", func(s *stage) error { return write(filepath.Join(s.Config, "c")) }},
	{"read a file that came later", func(s *stage) error { return read(filepath.Join(s.Later, "later")) }},
	{"write a file that came later", func(s *stage) error { return write(filepath.Join(s.Later, "later")) }},
	{"write own file", func(s *stage) error {
		a, b := filepath.Join(s.Own, "a"), filepath.Join(s.Own, "b")
		return errors.Join(write(a), os.Rename(a, b), os.Remove(b), os.Mkdir(a, 0o700), os.Remove(a))
	}},
	{"read journal", func(s *stage) error { return read(filepath.Join(s.Journal, "j")) }},
	{"write journal", func(s *stage) error { return write(filepath.Join(s.Journal, "j")) }},
	{"remove from journal", func(s *stage) error { return os.Remove(filepath.Join(s.Journal, "spare")) }},
	{"truncate journal", func(s *stage) error { return unix.Truncate(filepath.Join(s.Journal, "j"), 0) }},
	{"read foreign file", func(s *stage) error { return read(filepath.Join(s.Foreign, "f")) }},
	{"write foreign file", func(s *stage) error { return write(filepath.Join(s.Foreign, "f")) }},
	{"truncate foreign file", func(s *stage) error { return unix.Truncate(filepath.Join(s.Foreign, "f"), 0) }},
	{"make foreign file", func(s *stage) error { return write(filepath.Join(s.Foreign, "new")) }},
	{"link foreign file here", func(s *stage) error { return os.Link(filepath.Join(s.Foreign, "f"), filepath.Join(s.Own, "l")) }},
	{"make device", func(s *stage) error {
		return unix.Mknod(filepath.Join(s.Own, "d"), unix.S_IFCHR|0o600, int(unix.Mkdev(1, 3)))
	}},
	{"change mode", func(s *stage) error { return os.Chmod(filepath.Join(s.Own, "mine"), 0o640) }},
	{"set attribute", func(s *stage) error { return unix.Setxattr(filepath.Join(s.Own, "mine"), "user.x", []byte("y"), 0) }},
	{"read another process's descriptors", func(s *stage) error {
		_, err := os.Readlink("/proc/" + strconv.Itoa(s.Parent) + "/fd/1")
		return err
	}},
	{"exec", func(*stage) error { return unix.Exec("/bin/true", []string{"true"}, nil) }},
	{"exec itself", func(*stage) error { return unix.Exec("/proc/self/exe", []string{"x", "-test.run=^$"}, nil) }},
	{"start program", func(*stage) error {
		p, err := os.StartProcess("/bin/true", []string{"true"}, &os.ProcAttr{})
		if err == nil {
			_, err = p.Wait()
		}
		return err
	}},
	{"map code", func(*stage) error {
		b, err := unix.Mmap(-1, 0, 4096, unix.PROT_READ|unix.PROT_EXEC, unix.MAP_PRIVATE|unix.MAP_ANON)
		if err == nil {
			_ = unix.Munmap(b)
		}
		return err
	}},
	{"make memory code", func(*stage) error {
		b, err := unix.Mmap(-1, 0, 4096, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON)
		if err == nil {
			err = unix.Mprotect(b, unix.PROT_READ|unix.PROT_EXEC)
		}
		return err
	}},
	{"listen on TCP", func(*stage) error { return listen("tcp4", "127.0.0.1:0") }},
	{"listen on own socket", func(s *stage) error { return listen("unix", s.Socket) }},
	{"dial broker port", func(s *stage) error { return dial(s.Port) }},
	{"dial other port", func(s *stage) error { return dial(s.OtherPort) }},
	{"dial abstract socket", func(s *stage) error { return dialUnix(s.Abstract) }},
	{"dial unix socket", func(s *stage) error { return dialUnix(s.PeerSocket) }},
	{"UDP socket", func(*stage) error { return makeSocket(unix.AF_INET, unix.SOCK_DGRAM, 0) }},
	{"TCP socket", func(*stage) error { return makeSocket(unix.AF_INET6, unix.SOCK_STREAM, 0) }},
	{"multipath TCP socket", func(*stage) error { return makeSocket(unix.AF_INET, unix.SOCK_STREAM, 262) }},
	{"raw socket", func(*stage) error { return makeSocket(unix.AF_INET, unix.SOCK_RAW, unix.IPPROTO_ICMP) }},
	{"packet socket", func(*stage) error { return makeSocket(unix.AF_PACKET, unix.SOCK_RAW, 0) }},
	{"CAN socket", func(*stage) error { return makeSocket(unix.AF_CAN, unix.SOCK_RAW, unix.CAN_RAW) }},
	{"sock_diag socket", func(*stage) error { return makeSocket(unix.AF_NETLINK, unix.SOCK_RAW, netlinkSockDiag) }},
	{"audit socket", func(*stage) error { return makeSocket(unix.AF_NETLINK, unix.SOCK_RAW, unix.NETLINK_AUDIT) }},
	{"signal another process", func(s *stage) error { return unix.Kill(s.Parent, 0) }},
	{"signal another thread", func(s *stage) error { return unix.Tgkill(s.Parent, s.Parent, 0) }},
	{"signal itself", func(*stage) error { return unix.Kill(os.Getpid(), 0) }},
	{"trace", func(s *stage) error {
		return unix.PtraceSeize(s.Parent + 1<<21) // no such process: nobody must be traced for real
	}},
	{"read memory", func(s *stage) error {
		b := make([]byte, 1)
		local := []unix.Iovec{{Base: &b[0], Len: 1}}
		_, err := unix.ProcessVMReadv(s.Parent, local, []unix.RemoteIovec{{Base: bad, Len: 1}}, 0)
		return err
	}},
	{"limit another process", func(s *stage) error {
		var l unix.Rlimit
		return unix.Prlimit(s.Parent, unix.RLIMIT_NOFILE, nil, &l)
	}},
	{"borrow a descriptor", func(s *stage) error {
		fd, err := unix.PidfdOpen(s.Parent, 0)
		if err == nil {
			_ = unix.Close(fd)
		}
		return err
	}},
	{"io_uring", func(*stage) error { return raw(unix.SYS_IO_URING_SETUP, 0, bad) }},
	{"bpf", func(*stage) error { return raw(unix.SYS_BPF, 9999, 0, 0) }},
	{"perf", func(*stage) error { return raw(unix.SYS_PERF_EVENT_OPEN, bad) }},
	{"userfaultfd", func(*stage) error { return raw(unix.SYS_USERFAULTFD, bad) }},
	{"mount", func(*stage) error { return raw(unix.SYS_MOUNT, bad, bad, bad, 0, 0) }},
	{"unmount", func(s *stage) error { return unix.Unmount(s.Own, unix.MNT_EXPIRE|unix.MNT_FORCE) }},
	{"change root", func(*stage) error { return raw(unix.SYS_CHROOT, bad) }},
	{"new namespace", func(*stage) error { return raw(unix.SYS_UNSHARE, 1) }},
	{"enter namespace", func(*stage) error { return raw(unix.SYS_SETNS, bad, 0) }},
	{"set clock", func(*stage) error { return raw(unix.SYS_CLOCK_SETTIME, 99, bad) }},
	{"load module", func(*stage) error { return raw(unix.SYS_INIT_MODULE, bad, 1<<40, bad) }},
	{"reboot", func(*stage) error { return raw(unix.SYS_REBOOT, 1, 2, 3, 4) }},
	{"become another user", func(*stage) error { return raw(unix.SYS_SETRESUID, uintptr(os.Getuid()), bad, bad) }},
	{"type into a terminal", func(*stage) error {
		b := byte('x')
		return raw(unix.SYS_IOCTL, 0, unix.TIOCSTI, uintptr(unsafe.Pointer(&b)))
	}},
	{"call of another architecture", func(*stage) error {
		if foreignNumbers == 0 {
			return syscall.EPERM // there are none
		}
		return raw(foreignNumbers|39, 0) // getpid of x32
	}},
	{"threads, files and clocks", ordinary},
}

// ordinary is what every role goes on doing behind its walls.
func ordinary(*stage) error {
	done := make(chan error, 32)
	for range 32 {
		go func() {
			var tx unix.Timex
			_, err := unix.Adjtimex(&tx)
			time.Sleep(time.Millisecond)
			done <- err
		}()
	}
	var err error
	for range 32 {
		err = errors.Join(err, <-done)
	}
	fd, merr := unix.MemfdCreate("x", unix.MFD_ALLOW_SEALING)
	if merr == nil {
		_ = unix.Close(fd)
	}
	_, perr := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET, 0)
	return errors.Join(err, merr, perr)
}
