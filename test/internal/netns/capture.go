package netns

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// Datagram is a UDP datagram that was seen on the wire.
type Datagram struct {
	From, To netip.AddrPort
	Payload  []byte
}

// Listen hands every UDP datagram that is sent or received at the host's interface to f, on one goroutine, until the end
// of the test. Datagrams in several IP fragments are left out.
func (h *Host) Listen(t testing.TB, f func(Datagram)) {
	t.Helper()
	var file *os.File
	h.Do(t, func() error {
		link, err := net.InterfaceByName(h.device)
		if err != nil {
			return fmt.Errorf("netns: %w", err)
		}
		// A socket for one protocol alone would not see what goes out.
		const all = syscall.ETH_P_ALL << 8 // in network order
		fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, all)
		if err != nil {
			return fmt.Errorf("netns: packet socket: %w", err)
		}
		if err := unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: all, Ifindex: link.Index}); err != nil {
			return fmt.Errorf("netns: packet socket: %w", err)
		}
		_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, 8<<20)
		file = os.NewFile(uintptr(fd), "packets")
		return nil
	})
	done := make(chan struct{})
	loopback := h.device == "lo"
	go func() {
		defer close(done)
		capture(file, loopback, f)
	}()
	t.Cleanup(func() {
		_ = file.Close()
		<-done
	})
}

func capture(file *os.File, loopback bool, f func(Datagram)) {
	conn, err := file.SyscallConn()
	if err != nil {
		return
	}
	buf := make([]byte, 1<<16)
	for {
		var n int
		var from unix.Sockaddr
		var failed error
		err := conn.Read(func(fd uintptr) bool {
			n, from, failed = unix.Recvfrom(int(fd), buf, 0)
			return !errors.Is(failed, unix.EAGAIN)
		})
		if err != nil || failed != nil {
			return
		}
		// The loopback shows every packet twice.
		if ll, ok := from.(*unix.SockaddrLinklayer); ok && loopback && ll.Pkttype == unix.PACKET_OUTGOING {
			continue
		}
		if d, ok := datagram(buf[:n]); ok {
			f(d)
		}
	}
}

func datagram(ip []byte) (d Datagram, ok bool) {
	if len(ip) < 20 || ip[0]>>4 != 4 || ip[9] != syscall.IPPROTO_UDP {
		return d, false
	}
	head := int(ip[0]&15) * 4
	const fragment = 0x3fff // more fragments, or an offset
	if len(ip) < head+8 || binary.BigEndian.Uint16(ip[6:])&fragment != 0 {
		return d, false
	}
	udp := ip[head:]
	n := int(binary.BigEndian.Uint16(udp[4:]))
	if n < 8 || n > len(udp) {
		return d, false
	}
	addr := func(ip, port []byte) netip.AddrPort {
		return netip.AddrPortFrom(netip.AddrFrom4([4]byte(ip)), binary.BigEndian.Uint16(port))
	}
	return Datagram{From: addr(ip[12:16], udp[:2]), To: addr(ip[16:20], udp[2:4]), Payload: append([]byte(nil), udp[8:n]...)}, true
}
