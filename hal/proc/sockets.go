package proc

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// Socket is one entry of the kernel's socket table.
type Socket struct {
	// Local and Remote are its two ends, as this socket sees them.
	Local, Remote netip.AddrPort
	// State is the kernel's TCP state.
	State uint8
	// UID is the user whose process made it; Inode is 0 if no process has it.
	UID, Inode uint32
	// Cookie names the socket for as long as the computer runs.
	Cookie uint64
}

// SocketTable answers for the kernel's table of TCP sockets.
type SocketTable interface {
	// Lookup returns the established socket with exactly these ends, and false if there is none.
	Lookup(local, remote netip.AddrPort) (Socket, bool, error)
}

// socketID names a socket for good.
type socketID struct {
	cookie uint64
	inode  uint32
}

func (s *Socket) id() socketID { return socketID{s.Cookie, s.Inode} }

// TCP states of <net/tcp_states.h> in which the far end may still be sent to or read from.
const (
	tcpEstablished = 1
	tcpFinWait1    = 4
	tcpFinWait2    = 5
	tcpCloseWait   = 8
	tcpClosing     = 11
)

// sockets fills in, for each pair, the far end's socket, or the reason why there is none.
func (f *Finder) sockets(pairs []Pair, facts []Fact) []Socket {
	out := make([]Socket, len(pairs))
	own, err := f.o.Addresses()
	for i, p := range pairs {
		p.Local, p.Remote = plain(p.Local), plain(p.Remote)
		switch {
		case err != nil && !p.Remote.Addr().IsLoopback():
			facts[i].Why = ReasonKernel
		case !ours(p.Remote.Addr(), own):
			facts[i].Why = ReasonRemote
		default:
			out[i], facts[i].Why = f.farEnd(p)
		}
	}
	return out
}

// farEnd asks for both ends: the near one too, since a table that does not know it is another network's.
func (f *Finder) farEnd(p Pair) (Socket, Reason) {
	near, ok, err := f.o.Sockets.Lookup(p.Local, p.Remote)
	switch {
	case err != nil:
		return Socket{}, ReasonKernel
	case !ok || !alive(near.State):
		return Socket{}, ReasonNotSeen
	}
	far, ok, err := f.o.Sockets.Lookup(p.Remote, p.Local)
	switch {
	case err != nil:
		return Socket{}, ReasonKernel
	case !ok || !alive(far.State):
		return Socket{}, ReasonNoSocket
	case far.Inode == 0:
		return far, ReasonOrphan
	}
	return far, ReasonNone
}

func alive(state uint8) bool {
	switch state {
	case tcpEstablished, tcpFinWait1, tcpFinWait2, tcpCloseWait, tcpClosing:
		return true
	}
	return false
}

// plain undoes IPv4 written as IPv6, and drops zones: a link-local address with a zone is compared without it.
func plain(a netip.AddrPort) netip.AddrPort {
	return netip.AddrPortFrom(a.Addr().Unmap().WithZone(""), a.Port())
}

func ours(a netip.Addr, own []netip.Addr) bool {
	if a.IsLoopback() {
		return true
	}
	for _, o := range own {
		if o == a {
			return true
		}
	}
	return false
}

// interfaceAddresses asks the kernel for all addresses of this network namespace.
func interfaceAddresses() ([]netip.Addr, error) {
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		return nil, fmt.Errorf("this computer's addresses: %w", err)
	}
	out := make([]netip.Addr, 0, len(addrs))
	for _, a := range addrs {
		if n, ok := a.(*net.IPNet); ok {
			if ip, ok := netip.AddrFromSlice(n.IP); ok {
				out = append(out, ip.Unmap())
			}
		}
	}
	return out, nil
}

// kernelSockets asks with sock_diag(7). An exact question costs the same however many sockets there are.
type kernelSockets struct{}

// Sizes and offsets of <linux/inet_diag.h>.
const (
	diagRequest = 56 // struct inet_diag_req_v2
	diagMessage = 72 // struct inet_diag_msg
	diagByType  = 20 // SOCK_DIAG_BY_FAMILY
	allStates   = 0xffffffff
	diagTimeout = 500 * time.Millisecond
)

// Lookup implements [SocketTable].
func (kernelSockets) Lookup(local, remote netip.AddrPort) (Socket, bool, error) {
	if local.Addr().Is4() != remote.Addr().Is4() {
		return Socket{}, false, nil
	}
	answer, err := ask(question(local, remote))
	if errors.Is(err, unix.ENOENT) {
		return Socket{}, false, nil
	}
	if err != nil {
		return Socket{}, false, fmt.Errorf("sock_diag: %w", err)
	}
	s, err := parseSocket(answer)
	// The kernel also answers with a listener at that address; only exactly these two ends are the connection.
	if err != nil || s.Local != local || s.Remote != remote {
		return Socket{}, false, err
	}
	return s, true, nil
}

// question is struct nlmsghdr and struct inet_diag_req_v2.
func question(local, remote netip.AddrPort) []byte {
	b := make([]byte, unix.NLMSG_HDRLEN+diagRequest)
	binary.NativeEndian.PutUint32(b[0:], uint32(len(b)))
	binary.NativeEndian.PutUint16(b[4:], diagByType)
	binary.NativeEndian.PutUint16(b[6:], unix.NLM_F_REQUEST)
	r := b[unix.NLMSG_HDRLEN:]
	r[0], r[1] = unix.AF_INET6, unix.IPPROTO_TCP
	if local.Addr().Is4() {
		r[0] = unix.AF_INET
	}
	binary.NativeEndian.PutUint32(r[4:], allStates)
	binary.BigEndian.PutUint16(r[8:], local.Port())
	binary.BigEndian.PutUint16(r[10:], remote.Port())
	copy(r[12:28], local.Addr().AsSlice())
	copy(r[28:44], remote.Addr().AsSlice())
	binary.NativeEndian.PutUint64(r[48:], ^uint64(0)) // INET_DIAG_NOCOOKIE, twice
	return b
}

// ask sends one question and returns the body of the one answer.
func ask(q []byte) ([]byte, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_SOCK_DIAG)
	if err != nil {
		return nil, err
	}
	defer func() { _ = unix.Close(fd) }()
	limit := unix.NsecToTimeval(int64(diagTimeout))
	if err := unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &limit); err != nil {
		return nil, err
	}
	kernel := &unix.SockaddrNetlink{Family: unix.AF_NETLINK}
	if err := unix.Sendto(fd, q, 0, kernel); err != nil {
		return nil, err
	}
	buf := make([]byte, 4096)
	for {
		n, from, err := unix.Recvfrom(fd, buf, 0)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			return nil, err
		}
		// Another process may send to this socket's address as well; only the kernel's word counts.
		if nl, ok := from.(*unix.SockaddrNetlink); !ok || nl.Pid != 0 {
			continue
		}
		return body(buf[:n])
	}
}

// body takes the first message apart.
func body(b []byte) ([]byte, error) {
	if len(b) < unix.NLMSG_HDRLEN {
		return nil, fmt.Errorf("expected a netlink header, found %d bytes", len(b))
	}
	size := binary.NativeEndian.Uint32(b)
	if size < unix.NLMSG_HDRLEN || uint64(size) > uint64(len(b)) {
		return nil, fmt.Errorf("expected a netlink message of at most %d bytes, found %d", len(b), size)
	}
	content := b[unix.NLMSG_HDRLEN:size]
	switch kind := binary.NativeEndian.Uint16(b[4:]); kind {
	case diagByType:
		return content, nil
	case unix.NLMSG_ERROR:
		if len(content) < 4 {
			return nil, errors.New("expected an error number, found nothing")
		}
		code := int32(binary.NativeEndian.Uint32(content))
		if code >= 0 || code < -4095 {
			return nil, fmt.Errorf("expected a negative error number, found %d", code)
		}
		return nil, os.NewSyscallError("answer", unix.Errno(-code))
	default:
		return nil, fmt.Errorf("expected netlink message %d, found %d", diagByType, kind)
	}
}

// parseSocket reads struct inet_diag_msg.
func parseSocket(b []byte) (Socket, error) {
	if len(b) < diagMessage {
		return Socket{}, fmt.Errorf("expected %d bytes of inet_diag_msg, found %d", diagMessage, len(b))
	}
	var local, remote netip.Addr
	switch b[0] {
	case unix.AF_INET:
		local, remote = netip.AddrFrom4([4]byte(b[8:12])), netip.AddrFrom4([4]byte(b[24:28]))
	case unix.AF_INET6:
		local, remote = netip.AddrFrom16([16]byte(b[8:24])).Unmap(), netip.AddrFrom16([16]byte(b[24:40])).Unmap()
	default:
		return Socket{}, fmt.Errorf("expected address family %d or %d, found %d", unix.AF_INET, unix.AF_INET6, b[0])
	}
	return Socket{
		State: b[1],
		Local: netip.AddrPortFrom(local, binary.BigEndian.Uint16(b[4:])), Remote: netip.AddrPortFrom(remote, binary.BigEndian.Uint16(b[6:])),
		Cookie: binary.NativeEndian.Uint64(b[44:]),
		UID:    binary.NativeEndian.Uint32(b[64:]), Inode: binary.NativeEndian.Uint32(b[68:]),
	}, nil
}
