package host

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Priority is the guard's real-time priority: above ordinary work, below the kernel's own threads at 50.
const Priority = 40

// leastNice is the niceness of a guard's ordinary threads: the least there is.
const leastNice = -20

// roundRobin is the guard's class, SCHED_RR in <sched.h>. It is SCHED_FIFO for whoever is alone at its priority. Beside
// others, SCHED_FIFO never ends a Go program's waiting: its runtime has a thread spin, without a word to the kernel, until
// another of its threads has swept, and where every processor spins so for a thread that is queued behind the spinner, all
// stand still until the kernel kills them. Here the turn passes on after a slice of 100 ms.
const roundRobin = 2

// How long a thread of the guard may compute without ever blocking, in microseconds. A spin that lasts longer is a fault: the
// kernel sends SIGXCPU and then kills, and a killed guard leaves the robot to its lock and base timeouts. A start reads and
// compiles documents, which takes a slow or busy computer a while; then nothing is guarded yet.
const (
	rtTimeSoft, rtTimeHard   = 500_000, 1_000_000
	startTimeSoft, startHard = 10_000_000, 20_000_000
)

// realtimeMark is set in the environment of the process that [Realtime] has become.
const realtimeMark = "ROBOWARDEN_REALTIME"

// Realtime puts the whole process under SCHED_RR with its memory locked, and returns nil once it is so. It has to be
// called before anything else runs: only the first thread can be changed from inside, so the program starts itself anew
// and every thread of the Go runtime inherits the class. Giving single threads of a Go program real-time priority would
// invert priorities against its others.
//
// Without the right to do so (CAP_SYS_NICE, CAP_IPC_LOCK) it returns an error and the process goes on as it was.
func Realtime() error {
	if os.Getenv(realtimeMark) != "" {
		return errors.Join(lockMemory(), checkClass())
	}
	// What changes is a thread, and what becomes the process is the thread that starts it anew: on a busy computer the
	// runtime may go on with this work on another one in between, and the guard would be an ordinary process.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if err := setThreadClass(0, roundRobin, Priority); err != nil {
		return fmt.Errorf("real-time scheduling: %w; the guard runs as an ordinary process and is late when the computer is busy", err)
	}
	// Where it cannot start anew, no thread of an ordinary process stays behind in that class.
	defer func() { _ = setThreadClass(0, ordinary, 0) }()
	// Niceness counts for the threads that leave the class again, see [Aside]: the others now and then wait for them. Whoever may
	// enter the class by a limit alone may not become less nice; the unit's CPUWeight has to do then.
	_ = unix.Setpriority(unix.PRIO_PROCESS, 0, leastNice)
	limit := unix.Rlimit{Cur: startTimeSoft, Max: startHard}
	if err := unix.Setrlimit(unix.RLIMIT_RTTIME, &limit); err != nil {
		return fmt.Errorf("limit of real-time spinning: %w", err)
	}
	self, err := os.Executable()
	if err != nil {
		return fmt.Errorf("real-time scheduling: %w", err)
	}
	// The mark comes first: a process that could not change its class must not start itself over and over.
	err = syscall.Exec(self, os.Args, append(os.Environ(), realtimeMark+"=1")) //nolint:gosec // the same program with the same arguments
	return fmt.Errorf("start anew: %w", err)
}

// BoundSpinning puts the limit of a running guard into force: a thread that computes for a second without blocking is killed
// with its process. It is called once the start is over; without real-time scheduling it means nothing.
//
// The kernel counts from when a thread was last woken, the start included: one that computed for longer than the new limit
// would be killed at its next tick. So this thread, which did the start's work, sleeps before.
func BoundSpinning() error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if err := unix.Nanosleep(&unix.Timespec{Nsec: int64(2 * time.Millisecond)}, nil); err != nil && !errors.Is(err, unix.EINTR) {
		return fmt.Errorf("limit of real-time spinning: %w", err)
	}
	limit := unix.Rlimit{Cur: rtTimeSoft, Max: rtTimeHard}
	if err := unix.Setrlimit(unix.RLIMIT_RTTIME, &limit); err != nil {
		return fmt.Errorf("limit of real-time spinning: %w", err)
	}
	return nil
}

type schedParam struct{ priority int32 }

// setThreadClass changes a thread of this process, 0 for the calling one, which the caller has locked.
func setThreadClass(tid int, class uintptr, priority int32) error {
	p := schedParam{priority}
	_, _, errno := unix.RawSyscall(unix.SYS_SCHED_SETSCHEDULER, uintptr(tid), class, uintptr(unsafe.Pointer(&p))) //nolint:gosec // the kernel reads one int
	if errno != 0 {
		return errno
	}
	return nil
}

// priority is the calling thread's. Where it may not be asked for, it is the guard's.
func priority() int32 {
	p := schedParam{Priority}
	_, _, _ = unix.RawSyscall(unix.SYS_SCHED_GETPARAM, 0, uintptr(unsafe.Pointer(&p)), 0) //nolint:gosec // the kernel writes one int
	return p.priority
}

// checkClass tells whether the class was really inherited.
func checkClass() error {
	policy, err := class(0)
	if err != nil {
		return fmt.Errorf("real-time scheduling: %w", err)
	}
	if policy != roundRobin {
		return fmt.Errorf("real-time scheduling: expected SCHED_RR (%d), found class %d", roundRobin, policy)
	}
	return nil
}

// lockMemory keeps pages in memory once they were touched, so that no decision waits for a disk.
func lockMemory() error {
	if err := unix.Mlockall(unix.MCL_CURRENT | unix.MCL_FUTURE | unix.MCL_ONFAULT); err != nil {
		return fmt.Errorf("lock memory: %w", err)
	}
	return nil
}
