package host

import (
	"runtime"

	"golang.org/x/sys/unix"
)

// ordinary is SCHED_OTHER in <sched.h>, idle SCHED_IDLE.
const ordinary, idle = 0, 5

// Aside does work that takes long, such as reading and compiling a policy, on a thread of its own in the ordinary
// scheduling class, and returns its error when it has ended. In a guard's real-time class it would hold up the others on
// its processor for as long as a slice, 100 ms, and be killed for spinning after a second.
//
// The thread ends with the work: the goroutine never unlocks it, so the runtime throws it away, and its class with it.
// Threads that the runtime needs meanwhile come from a thread whose class nobody has changed.
//
// Work must take none of the locks that the path takes: the path would then wait for an ordinary thread. The runtime's own
// locks cannot be kept from it, so these threads are as little nice as can be, see [Realtime], and share the processors by the
// unit's CPUWeight, the greatest there is. And in a real-time process no garbage is collected beside them: while it is, they
// have the class of the others again, see garbage.go.
func Aside(work func() error) error {
	done := make(chan error, 1)
	now, err := class(0)
	realtime := err == nil && now == roundRobin
	if realtime {
		garbage.hold()
		defer garbage.release()
	}
	go func() {
		runtime.LockOSThread()
		// Everybody may become ordinary; a program that is less stays what it is. Where the kernel refuses all the same, what
		// the work brings is still wanted.
		switch {
		case realtime:
			tid := garbage.leave()
			err := work()
			garbage.back(tid)
			done <- err
			return
		case err != nil || now != idle:
			_ = setThreadClass(0, ordinary, 0)
		}
		done <- work()
	}()
	return <-done
}

// SpareProcessor lets one more goroutine run at a time than there are processors. Without it, work aside would take one of
// these places from the path for up to 10 ms, the runtime's own slice, although the kernel lets the path's threads run
// first. It is called at the start, since it stops the program for a moment.
func SpareProcessor() { runtime.GOMAXPROCS(runtime.GOMAXPROCS(0) + 1) }

// class is that of a thread of this process, 0 for the calling one.
func class(tid int) (int, error) {
	c, _, errno := unix.RawSyscall(unix.SYS_SCHED_GETSCHEDULER, uintptr(tid), 0, 0)
	if errno != 0 {
		return 0, errno
	}
	return int(c), nil
}
