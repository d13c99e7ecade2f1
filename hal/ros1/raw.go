package ros1

import (
	"syscall"
	"unsafe"
)

// The bytes of topics are received and sent by system calls that do not wait, made without telling Go's scheduler; only
// waiting for them is left to its poller. A call that is announced to the scheduler, as all of package net's and most of
// package syscall's are, wakes the runtime's monitor thread whenever the process was idle, and so before nearly every
// message: a futex on the way of each command, and a thread that then looks around for a while on a processor that the
// robot's other programs could have (hal/rtps/raw.go has the same for datagrams).

// receive takes what a socket has, without waiting: 0 bytes and no error are the end of the stream. b is not empty.
func receive(fd uintptr, b []byte) (int, syscall.Errno) {
	for {
		n, _, errno := syscall.RawSyscall6(syscall.SYS_RECVFROM, fd, uintptr(unsafe.Pointer(unsafe.SliceData(b))), uintptr(len(b)), //nolint:gosec // the kernel fills b
			syscall.MSG_DONTWAIT, 0, 0)
		if errno == 0 {
			return int(n), 0 //nolint:gosec // at most len(b)
		}
		if errno != syscall.EINTR {
			return 0, errno
		}
	}
}

// send hands bytes to a socket, without waiting, and returns how many it took.
func send(fd uintptr, b []byte) (int, syscall.Errno) {
	for {
		n, _, errno := syscall.RawSyscall6(syscall.SYS_SENDTO, fd, uintptr(unsafe.Pointer(unsafe.SliceData(b))), uintptr(len(b)), //nolint:gosec // the kernel reads b
			syscall.MSG_DONTWAIT|syscall.MSG_NOSIGNAL, 0, 0)
		if errno == 0 {
			return int(n), 0 //nolint:gosec // at most len(b)
		}
		if errno != syscall.EINTR {
			return 0, errno
		}
	}
}
