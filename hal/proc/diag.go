package proc

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// kernelSockets asks with sock_diag(7). An exact question costs the same however many sockets there are. Where the kernel
// has no such answers, it reads the tables of proc(5).
type kernelSockets struct {
	root   string
	asked  bool
	tables bool
	// udpTables is true once the kernel is known not to answer for UDP.
	udpTables bool
}

// Sizes and offsets of <linux/inet_diag.h>.
const (
	diagRequest = 56 // struct inet_diag_req_v2
	diagMessage = 72 // struct inet_diag_msg
	diagByType  = 20 // SOCK_DIAG_BY_FAMILY
	allStates   = 0xffffffff
	diagTimeout = 500 * time.Millisecond
)

// Lookup implements [SocketTable].
func (k *kernelSockets) Lookup(local, remote netip.AddrPort) (Socket, bool, error) {
	if local.Addr().Is4() != remote.Addr().Is4() {
		return Socket{}, false, nil
	}
	if !k.asked {
		// A kernel without the handler gives the same answer as one without the socket, so it is asked for all in no state.
		_, err := ask(question(local, remote, unix.NLM_F_REQUEST|unix.NLM_F_DUMP, 0))
		k.asked, k.tables = true, err != nil
	}
	if k.tables {
		return fromTables(k.root, local, remote)
	}
	answer, err := ask(question(local, remote, unix.NLM_F_REQUEST, allStates))
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
func question(local, remote netip.AddrPort, flags uint16, states uint32) []byte {
	b := make([]byte, unix.NLMSG_HDRLEN+diagRequest)
	binary.NativeEndian.PutUint32(b[0:], uint32(len(b)))
	binary.NativeEndian.PutUint16(b[4:], diagByType)
	binary.NativeEndian.PutUint16(b[6:], flags)
	r := b[unix.NLMSG_HDRLEN:]
	r[0], r[1] = unix.AF_INET6, unix.IPPROTO_TCP
	if local.Addr().Is4() {
		r[0] = unix.AF_INET
	}
	binary.NativeEndian.PutUint32(r[4:], states)
	binary.BigEndian.PutUint16(r[8:], local.Port())
	binary.BigEndian.PutUint16(r[10:], remote.Port())
	copy(r[12:28], local.Addr().AsSlice())
	copy(r[28:44], remote.Addr().AsSlice())
	binary.NativeEndian.PutUint64(r[48:], ^uint64(0)) // INET_DIAG_NOCOOKIE, twice
	return b
}

// ask sends one question and returns the body of the one answer.
func ask(q []byte) ([]byte, error) {
	fd, err := send(q)
	if err != nil {
		return nil, err
	}
	defer func() { _ = unix.Close(fd) }()
	b, err := receive(fd, make([]byte, 4096))
	if err != nil {
		return nil, err
	}
	_, _, content, err := message(b)
	return content, err
}

// send opens a socket, which the caller closes, and sends one question.
func send(q []byte) (fd int, err error) {
	fd, err = unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_SOCK_DIAG)
	if err != nil {
		return 0, err
	}
	limit := unix.NsecToTimeval(int64(diagTimeout))
	err = unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &limit)
	if err == nil {
		err = unix.Sendto(fd, q, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK})
	}
	if err != nil {
		_ = unix.Close(fd)
	}
	return fd, err
}

// receive waits for the kernel's next answer.
func receive(fd int, buf []byte) ([]byte, error) {
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
		return buf[:n], nil
	}
}

// message takes the first message apart. An error that the kernel answers with is an error here.
func message(b []byte) (size int, kind uint16, content []byte, err error) {
	if len(b) < unix.NLMSG_HDRLEN {
		return 0, 0, nil, fmt.Errorf("expected a netlink header, found %d bytes", len(b))
	}
	length := binary.NativeEndian.Uint32(b)
	if length < unix.NLMSG_HDRLEN || uint64(length) > uint64(len(b)) {
		return 0, 0, nil, fmt.Errorf("expected a netlink message of at most %d bytes, found %d", len(b), length)
	}
	size, kind, content = int(length), binary.NativeEndian.Uint16(b[4:]), b[unix.NLMSG_HDRLEN:length]
	switch {
	case kind == diagByType:
		return size, kind, content, nil
	case kind == unix.NLMSG_DONE && (len(content) < 4 || binary.NativeEndian.Uint32(content) == 0):
		return size, kind, nil, nil
	case kind != unix.NLMSG_ERROR && kind != unix.NLMSG_DONE:
		return 0, 0, nil, fmt.Errorf("expected netlink message %d, found %d", diagByType, kind)
	case len(content) < 4:
		return 0, 0, nil, errors.New("expected an error number, found nothing")
	}
	// The end of a list tells how the list came to its end.
	code := int32(binary.NativeEndian.Uint32(content))
	if code >= 0 || code < -4095 {
		return 0, 0, nil, fmt.Errorf("expected a negative error number, found %d", code)
	}
	return 0, 0, nil, os.NewSyscallError("answer", unix.Errno(-code))
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
		OnlyIPv6: b[0] == unix.AF_INET6 && onlyIPv6(b[diagMessage:]),
	}, nil
}
