package confine

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// Families and protocols of sockets, as in <linux/socket.h> and <linux/netlink.h>.
const (
	afUNIX, afINET, afINET6, afNETLINK = unix.AF_UNIX, unix.AF_INET, unix.AF_INET6, unix.AF_NETLINK
	afCAN                              = unix.AF_CAN
	netlinkRoute, netlinkSockDiag      = unix.NETLINK_ROUTE, unix.NETLINK_SOCK_DIAG
	socketType                         = 0xf // SOCK_TYPE_MASK: without SOCK_CLOEXEC and SOCK_NONBLOCK
)

// socketRule is one family of sockets that may be made.
type socketRule struct {
	family           uint32
	types, protocols []uint32
}

var unixSockets = socketRule{afUNIX, []uint32{unix.SOCK_STREAM, unix.SOCK_DGRAM, unix.SOCK_SEQPACKET}, []uint32{0}}

// canFrames are raw sockets of CAN, and none of its other protocols.
var canFrames = socketRule{afCAN, []uint32{unix.SOCK_RAW}, []uint32{unix.CAN_RAW}}

// streams are plain TCP. Multipath TCP would pass by Landlock, which knows TCP only; Go falls back by itself.
func streams(family uint32) socketRule {
	return socketRule{family, []uint32{unix.SOCK_STREAM}, []uint32{0, unix.IPPROTO_TCP}}
}

func datagrams(family uint32) socketRule {
	return socketRule{family, []uint32{unix.SOCK_DGRAM}, []uint32{0, unix.IPPROTO_UDP}}
}

func netlink(protocols ...uint32) socketRule {
	return socketRule{afNETLINK, []uint32{unix.SOCK_RAW, unix.SOCK_DGRAM}, protocols}
}

// seccomp installs a filter and notes its walls.
func (r *Report) seccomp(code []unix.SockFilter) error {
	err := install(code)
	w := Wall{Up: err == nil}
	if err != nil {
		w.Why = err.Error()
	}
	for _, name := range []string{WallExec, WallSockets, WallProcesses, WallKernel} {
		w.Name = name
		r.Walls = append(r.Walls, w)
	}
	// A kernel without seccomp is named in the report; a kernel that has it and refuses is a fault.
	if err != nil && !errors.Is(err, unix.ENOSYS) && !errors.Is(err, unix.EINVAL) {
		return fmt.Errorf("confine %s: %w", r.Role, err)
	}
	return nil
}

// program is a role's filter: everything is allowed but what a role never needs. A list of what is allowed would be
// stricter on paper, but the Go runtime's needs change with its version, and a guard that dies of a harmless call stops
// the robot; the units have such a list around it all the same.
func program(sockets []socketRule, modes bool) []unix.SockFilter {
	a := &assembler{}
	a.header()
	a.on(unix.SYS_CLONE3, func() { a.answer(absent) })
	a.on(unix.SYS_CLONE, func() { a.threadsOnly() })
	a.on(unix.SYS_SOCKET, func() { a.sockets(sockets) })
	for _, number := range []uintptr{unix.SYS_KILL, unix.SYS_TGKILL} {
		a.on(number, func() {
			a.argument(0)
			a.when(equal, uint32(os.Getpid()), func() { a.answer(allow) })
			a.answer(refuse)
		})
	}
	a.on(unix.SYS_PRLIMIT64, func() {
		a.argument(0)
		a.when(equal, 0, func() { a.answer(allow) })
		a.when(equal, uint32(os.Getpid()), func() { a.answer(allow) })
		a.answer(refuse)
	})
	for _, number := range []uintptr{unix.SYS_MMAP, unix.SYS_MPROTECT, unix.SYS_PKEY_MPROTECT} {
		a.on(number, func() {
			a.argument(2)
			a.when(anyBitOf, unix.PROT_EXEC, func() { a.answer(refuse) })
			a.answer(allow)
		})
	}
	a.on(unix.SYS_IOCTL, func() {
		a.argument(1)
		// Typing into somebody's terminal.
		a.when(equal, unix.TIOCSTI, func() { a.answer(refuse) })
		a.when(equal, unix.TIOCLINUX, func() { a.answer(refuse) })
		a.answer(allow)
	})
	a.refuse(denied)
	a.refuse(deniedHere)
	if modes {
		a.refuse(deniedModes)
		a.refuse(deniedModesHere)
	}
	a.answer(allow)
	return a.code
}

func (a *assembler) refuse(numbers []uintptr) {
	for _, n := range numbers {
		a.on(n, func() { a.answer(refuse) })
	}
}

// threadsOnly allows new threads of this process in its namespaces, and no new process.
func (a *assembler) threadsOnly() {
	const namespaces = unix.CLONE_NEWNS | unix.CLONE_NEWCGROUP | unix.CLONE_NEWUTS | unix.CLONE_NEWIPC | unix.CLONE_NEWUSER | unix.CLONE_NEWPID |
		unix.CLONE_NEWNET
	a.argument(0)
	a.when(anyBitOf, namespaces, func() { a.answer(refuse) })
	a.when(anyBitOf, unix.CLONE_THREAD, func() { a.answer(allow) })
	a.answer(refuse)
}

// sockets allows what the rules say, several for one family included. Every block loads the argument that it needs.
func (a *assembler) sockets(rules []socketRule) {
	for _, rule := range rules {
		a.argument(0)
		a.when(equal, rule.family, func() {
			for _, kind := range rule.types {
				a.argument(1)
				a.and(socketType)
				a.when(equal, kind, func() {
					a.argument(2)
					for _, p := range rule.protocols {
						a.when(equal, p, func() { a.answer(allow) })
					}
				})
			}
		})
	}
	a.answer(refuse)
}

// denied are calls that no role needs, whoever it is. Each group has its wall.
var denied = []uintptr{
	// exec: no program is started.
	unix.SYS_EXECVE, unix.SYS_EXECVEAT, unix.SYS_USERFAULTFD, unix.SYS_PERSONALITY,
	// processes: nobody is signalled, traced, read or borrowed from.
	unix.SYS_PTRACE, unix.SYS_PROCESS_VM_READV, unix.SYS_PROCESS_VM_WRITEV, unix.SYS_PROCESS_MADVISE, unix.SYS_PROCESS_MRELEASE, unix.SYS_KCMP,
	unix.SYS_TKILL, unix.SYS_RT_SIGQUEUEINFO, unix.SYS_RT_TGSIGQUEUEINFO, unix.SYS_PIDFD_OPEN, unix.SYS_PIDFD_GETFD, unix.SYS_PIDFD_SEND_SIGNAL,
	unix.SYS_MIGRATE_PAGES, unix.SYS_MOVE_PAGES,
	// sockets: asynchronous requests would pass by every rule about calls.
	unix.SYS_IO_URING_SETUP, unix.SYS_IO_URING_ENTER, unix.SYS_IO_URING_REGISTER,
	unix.SYS_SHMGET, unix.SYS_SHMAT, unix.SYS_SHMCTL, unix.SYS_SEMGET, unix.SYS_SEMCTL, unix.SYS_MSGGET, unix.SYS_MSGCTL, unix.SYS_MQ_OPEN, unix.SYS_MQ_UNLINK,
	// kernel: the computer stays as it is.
	unix.SYS_BPF, unix.SYS_PERF_EVENT_OPEN, unix.SYS_INIT_MODULE, unix.SYS_FINIT_MODULE, unix.SYS_DELETE_MODULE, unix.SYS_KEXEC_LOAD,
	unix.SYS_REBOOT, unix.SYS_SWAPON, unix.SYS_SWAPOFF, unix.SYS_ACCT, unix.SYS_QUOTACTL, unix.SYS_QUOTACTL_FD, unix.SYS_SYSLOG, unix.SYS_VHANGUP,
	unix.SYS_SETHOSTNAME, unix.SYS_SETDOMAINNAME, unix.SYS_SETTIMEOFDAY, unix.SYS_CLOCK_SETTIME, unix.SYS_CLOCK_ADJTIME,
	unix.SYS_ADD_KEY, unix.SYS_REQUEST_KEY, unix.SYS_KEYCTL, unix.SYS_LOOKUP_DCOOKIE, unix.SYS_NFSSERVCTL,
	unix.SYS_MOUNT, unix.SYS_UMOUNT2, unix.SYS_PIVOT_ROOT, unix.SYS_CHROOT, unix.SYS_OPEN_TREE, unix.SYS_MOVE_MOUNT, unix.SYS_FSOPEN, unix.SYS_FSCONFIG,
	unix.SYS_FSMOUNT, unix.SYS_FSPICK, unix.SYS_MOUNT_SETATTR, unix.SYS_UNSHARE, unix.SYS_SETNS, unix.SYS_OPEN_BY_HANDLE_AT, unix.SYS_FANOTIFY_INIT,
	unix.SYS_MKNODAT, unix.SYS_SETXATTR, unix.SYS_LSETXATTR, unix.SYS_FSETXATTR, unix.SYS_REMOVEXATTR, unix.SYS_LREMOVEXATTR, unix.SYS_FREMOVEXATTR,
	unix.SYS_SETUID, unix.SYS_SETGID, unix.SYS_SETREUID, unix.SYS_SETREGID, unix.SYS_SETRESUID, unix.SYS_SETRESGID, unix.SYS_SETFSUID, unix.SYS_SETFSGID,
	unix.SYS_SETGROUPS, unix.SYS_CAPSET,
}

// deniedModes change owners and modes of files, which Landlock does not know. The guard opens its socket to the other
// roles' users this way; they need none of it.
var deniedModes = []uintptr{unix.SYS_FCHMODAT, unix.SYS_FCHMODAT2, unix.SYS_FCHMOD, unix.SYS_FCHOWNAT, unix.SYS_FCHOWN}
