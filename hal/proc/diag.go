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
	case diagByType, unix.NLMSG_DONE:
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
