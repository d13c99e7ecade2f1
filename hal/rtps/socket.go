package rtps

import (
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"sync/atomic"
	"syscall"
	"time"
)

// socket is one bound UDP socket that Go's poller waits for.
//
// One that we send from is quiet: the poller sees it by way of an epoll instance of its own, which waits for input only. The
// poller itself would wait for room to send as well, and Linux tells that of a UDP socket each time that a receiver takes a
// datagram of ours. So each command woke this process a second time, and it was the receiver who had to do that, before it
// looked at the command. What is received only is waited for directly: the kernel then knows that who woke us is about to
// sleep, and need not wake another processor.
type socket struct {
	file   *os.File
	raw    syscall.RawConn
	wait   *os.File // what the poller knows: file, or if that is quiet, its epoll instance
	ready  syscall.RawConn
	local  netip.AddrPort
	closed atomic.Bool
}

// closing gives a descriptor back; there is nothing to do about an error.
func closing(c io.Closer) { c.Close() }

// newSocket takes over a connection of package net, which is closed.
func newSocket(pc net.PacketConn, quiet bool) (*socket, error) {
	defer closing(pc)
	c, ok := pc.(*net.UDPConn)
	if !ok {
		return nil, fmt.Errorf("%T is not a UDP socket", pc)
	}
	a, ok := c.LocalAddr().(*net.UDPAddr)
	if !ok {
		return nil, fmt.Errorf("%v is not a UDP address", c.LocalAddr())
	}
	s := &socket{local: unmap(a.AddrPort())}
	fd, err := duplicate(c)
	if err == nil {
		err = s.own(fd, quiet)
	}
	if err != nil {
		s.close()
		return nil, err
	}
	return s, nil
}

// duplicate is another descriptor of the same socket.
func duplicate(c *net.UDPConn) (fd int, err error) {
	from, err := c.SyscallConn()
	if err != nil {
		return 0, err
	}
	var errno syscall.Errno
	if err := from.Control(func(old uintptr) {
		var n uintptr
		n, _, errno = syscall.Syscall(syscall.SYS_FCNTL, old, syscall.F_DUPFD_CLOEXEC, 0)
		fd = int(n) //nolint:gosec // the kernel's are small
	}); err != nil {
		return 0, err
	}
	if errno != 0 {
		return 0, os.NewSyscallError("fcntl", errno)
	}
	return fd, nil
}

// own makes the descriptor the socket's, and what to wait with. Package os gives the poller what does not block.
func (s *socket) own(fd int, quiet bool) error {
	err := syscall.SetNonblock(fd, !quiet)
	s.file = os.NewFile(uintptr(fd), "udp") //nolint:gosec // not negative
	s.wait = s.file
	if err == nil && quiet {
		s.wait, err = inputOf(fd)
	}
	if err != nil {
		return os.NewSyscallError("udp", err)
	}
	if s.raw, err = s.file.SyscallConn(); err != nil {
		return err
	}
	if s.ready, err = s.wait.SyscallConn(); err != nil {
		return err
	}
	return s.wait.SetReadDeadline(time.Time{}) // fails if the poller does not take it
}

// inputOf is an epoll instance that is readable when fd is.
func inputOf(fd int) (*os.File, error) {
	ep, err := syscall.EpollCreate1(syscall.EPOLL_CLOEXEC)
	if err != nil {
		return nil, err
	}
	if err = syscall.SetNonblock(ep, true); err == nil {
		err = syscall.EpollCtl(ep, syscall.EPOLL_CTL_ADD, fd, &syscall.EpollEvent{Events: syscall.EPOLLIN, Fd: int32(fd)}) //nolint:gosec // small
	}
	f := os.NewFile(uintptr(ep), "udp input") //nolint:gosec // not negative
	if err != nil {
		closing(f)
		return nil, err
	}
	return f, nil
}

// close gives the socket back. Whoever waits for a datagram is told net.ErrClosed.
func (s *socket) close() {
	if s == nil || s.closed.Swap(true) {
		return
	}
	if s.wait != nil && s.wait != s.file {
		closing(s.wait)
	}
	if s.file != nil {
		closing(s.file)
	}
}

// deadline ends waiting for a datagram at a time; the zero time is never.
func (s *socket) deadline(at time.Time) { _ = s.wait.SetReadDeadline(at) } // fails on a closed socket only

// buffers asks the kernel for room. It gives what it allows; less is no fault, and loss is repaired or counted.
func (s *socket) buffers(size int, options ...int) {
	_ = s.raw.Control(func(fd uintptr) {
		for _, o := range options {
			_ = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, o, size)
		}
	})
}
