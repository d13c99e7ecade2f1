package rtps

import (
	"encoding/binary"
	"net"
	"net/netip"
	"os"
	"syscall"
	"unsafe"
)

// Datagrams are received and sent by system calls that do not wait, made without telling Go's scheduler; only waiting for a
// datagram is left to its poller. A call that is announced to the scheduler, as all of package net's are and most of package
// syscall's, wakes the runtime's monitor thread whenever the process was idle, and so before nearly every datagram: a futex
// on the way of each command, and a thread that then looks around for a while (BenchmarkRelay: a third of its naps, and four
// fifths of the processor's time).

// intake receives from one socket, on one goroutine. It points into itself and its ear, so it is not to be copied.
type intake struct {
	s       *socket
	fn      func(uintptr) bool
	receive func(uintptr)
	head    syscall.Msghdr
	vec     syscall.Iovec
	addr    syscall.RawSockaddrInet6 // or RawSockaddrInet4, which is shorter, by its family
	n       int
	errn    syscall.Errno // EAGAIN if there was nothing

	// zone is the name of the interface with the index scope, of the last link-local source.
	scope uint32
	zone  string
}

// read waits for a datagram, or for the socket's deadline, puts it into e.buf and notes when it came in.
func (s *socket) read(e *ear) (n int, from netip.AddrPort, err error) {
	in := &e.intake
	if in.fn == nil {
		in.fn, in.receive = in.look, in.call
		in.vec.Base, in.head.Iov, in.head.Iovlen = &e.buf[0], &in.vec, 1
		in.head.Name, in.head.Control = (*byte)(unsafe.Pointer(&in.addr)), &e.oob[0] //nolint:gosec // the kernel's way to say: an address
	}
	in.vec.SetLen(len(e.buf))
	in.s, e.arrived = s, 0
	if err := s.ready.Read(in.fn); err != nil {
		if s.closed.Load() {
			err = net.ErrClosed
		}
		return 0, netip.AddrPort{}, err
	}
	if in.errn != 0 {
		return 0, netip.AddrPort{}, os.NewSyscallError("recvmsg", in.errn)
	}
	e.arrived = arrival(e.oob[:in.head.Controllen])
	return in.n, in.source(), nil
}

// look tries to receive; false says that there is nothing.
func (in *intake) look(uintptr) bool {
	in.errn = syscall.EBADF
	_ = in.s.raw.Control(in.receive) // fails on a closed socket only, and that is told already
	return in.errn != syscall.EAGAIN
}

func (in *intake) call(fd uintptr) {
	for {
		in.head.Namelen = uint32(unsafe.Sizeof(in.addr))
		in.head.SetControllen(stampBytes)
		n, _, errno := syscall.RawSyscall(syscall.SYS_RECVMSG, fd, uintptr(unsafe.Pointer(&in.head)), syscall.MSG_DONTWAIT) //nolint:gosec // the kernel fills what it points to
		if errno != syscall.EINTR {
			in.n, in.errn = int(n), errno //nolint:gosec // at most the buffer's size
			return
		}
	}
}

// source is where the datagram comes from, IPv4 as such whatever the socket's family is.
func (in *intake) source() netip.AddrPort {
	if in.addr.Family == syscall.AF_INET {
		a := (*syscall.RawSockaddrInet4)(unsafe.Pointer(&in.addr)) //nolint:gosec // the family says that it is one
		return netip.AddrPortFrom(netip.AddrFrom4(a.Addr), swapped(a.Port))
	}
	ip := netip.AddrFrom16(in.addr.Addr).Unmap()
	if scope := in.addr.Scope_id; scope != 0 && ip.Is6() {
		if scope != in.scope {
			in.scope, in.zone = scope, zoneName(scope)
		}
		ip = ip.WithZone(in.zone)
	}
	return netip.AddrPortFrom(ip, swapped(in.addr.Port))
}

// zoneName is the name of the interface with the index, as package net gives it to addresses.
func zoneName(index uint32) string {
	i, err := net.InterfaceByIndex(int(index))
	if err != nil {
		return ""
	}
	return i.Name
}

// swapped turns a port from the network's order to ours or back.
func swapped(port uint16) uint16 {
	var b [2]byte
	binary.NativeEndian.PutUint16(b[:], port)
	return binary.BigEndian.Uint16(b[:])
}

// dest is where something is sent to, with the kernel's form of the address. It does not change.
type dest struct {
	addr netip.AddrPort
	raw  syscall.RawSockaddrInet6 // or RawSockaddrInet4, by its family
	size uintptr
}

func newDest(a netip.AddrPort) *dest {
	d := &dest{addr: a}
	if a.Addr().Is4() {
		*(*syscall.RawSockaddrInet4)(unsafe.Pointer(&d.raw)) = syscall.RawSockaddrInet4{ //nolint:gosec // it has room for one
			Family: syscall.AF_INET, Port: swapped(a.Port()), Addr: a.Addr().As4(),
		}
		d.size = syscall.SizeofSockaddrInet4
		return d
	}
	index, _ := zoneIndex(a.Addr())
	d.raw = syscall.RawSockaddrInet6{Family: syscall.AF_INET6, Port: swapped(a.Port()), Addr: a.Addr().As16(), Scope_id: index}
	d.size = syscall.SizeofSockaddrInet6
	return d
}

// sendTo hands a datagram to the kernel.
func sendTo(fd uintptr, b []byte, to *dest) syscall.Errno {
	_, _, errno := syscall.RawSyscall6(syscall.SYS_SENDTO, fd, uintptr(unsafe.Pointer(unsafe.SliceData(b))), uintptr(len(b)), //nolint:gosec // the kernel reads b
		syscall.MSG_DONTWAIT|syscall.MSG_NOSIGNAL, uintptr(unsafe.Pointer(&to.raw)), to.size) //nolint:gosec // and the address
	return errno
}
