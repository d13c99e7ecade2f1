package proc

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/netip"
	"os"

	"golang.org/x/sys/unix"
)

// A datagram names no connection. Who has its source port open now is taken for who sent it, if exactly one socket can
// have sent it; a process that takes the port over after another one is seen as itself at the next look.

// maxDatagrams bounds the sockets of one port that are told; two are one too many already.
const maxDatagrams = 16

// sender returns the one socket from which datagrams of the far end can come. It asks for the near end too, since a table
// that does not know it is another network's.
func (f *Finder) sender(p Pair, seen map[netip.AddrPort]datagrams) (Socket, Reason) {
	near, far := f.datagrams(p.Local, seen), f.datagrams(p.Remote, seen)
	switch {
	case near.err != nil || far.err != nil:
		return Socket{}, ReasonKernel
	case len(near.sockets) == 0:
		return Socket{}, ReasonNotSeen
	case len(far.sockets) == 0:
		return Socket{}, ReasonNoSocket
	case len(far.sockets) > 1:
		return Socket{}, ReasonAmbiguous
	case far.sockets[0].Inode == 0:
		return Socket{}, ReasonOrphan
	}
	return far.sockets[0], ReasonNone
}

// datagrams is what the kernel said of one source in this round: a participant of DDS has many topics and one source.
type datagrams struct {
	sockets []Socket
	err     error
}

func (f *Finder) datagrams(source netip.AddrPort, seen map[netip.AddrPort]datagrams) datagrams {
	d, ok := seen[source]
	if !ok {
		d.sockets, d.err = f.o.Sockets.Datagrams(source)
		seen[source] = d
	}
	return d
}

// maySend says whether a datagram with this source can have come from the socket: from its own address, or from any
// address of this computer where it is bound to none. An IPv6 socket sends over IPv4 as well unless it is told not to.
func (s *Socket) maySend(source netip.AddrPort) bool {
	bound := s.Local.Addr()
	switch {
	case s.Local.Port() != source.Port() || source.Port() == 0:
		return false
	case bound == source.Addr():
		return true
	case !bound.IsUnspecified():
		return false
	}
	return bound.Is4() == source.Addr().Is4() || bound.Is6() && !s.OnlyIPv6
}

// Datagrams implements [SocketTable].
func (k *kernelSockets) Datagrams(source netip.AddrPort) ([]Socket, error) {
	if !source.IsValid() || source.Port() == 0 {
		return nil, nil
	}
	families := []uint8{unix.AF_INET6}
	if source.Addr().Is4() {
		families = []uint8{unix.AF_INET, unix.AF_INET6}
	}
	var out []Socket
	for _, family := range families {
		if k.udpTables {
			return datagramsFromTables(k.root, source)
		}
		err := dump(portQuestion(family, source.Port()), func(answer []byte) error {
			s, err := parseSocket(answer)
			if err == nil && s.maySend(source) && len(out) < maxDatagrams {
				out = append(out, s)
			}
			return err
		})
		switch {
		case errors.Is(err, unix.ENOENT):
			k.udpTables = true // a kernel without the handler; one with it answers with an empty list
		case err != nil:
			return nil, fmt.Errorf("sock_diag: %w", err)
		}
	}
	if k.udpTables {
		return datagramsFromTables(k.root, source)
	}
	return out, nil
}

// portQuestion asks for all UDP sockets of one family that are bound to a port.
func portQuestion(family uint8, port uint16) []byte {
	b := question(netip.AddrPortFrom(netip.IPv4Unspecified(), port), netip.AddrPortFrom(netip.IPv4Unspecified(), 0),
		unix.NLM_F_REQUEST|unix.NLM_F_DUMP, allStates)
	r := b[unix.NLMSG_HDRLEN:]
	r[0], r[1] = family, unix.IPPROTO_UDP
	return b
}

// dump sends one question and calls f for the body of each answer.
func dump(q []byte, f func(answer []byte) error) error {
	fd, err := send(q)
	if err != nil {
		return err
	}
	defer func() { _ = unix.Close(fd) }()
	buf := make([]byte, 64<<10)
	for {
		b, err := receive(fd, buf)
		if err != nil {
			return err
		}
		for len(b) > 0 {
			size, kind, content, err := message(b)
			switch {
			case err != nil:
				return err
			case kind == unix.NLMSG_DONE:
				return nil
			}
			if err := f(content); err != nil {
				return err
			}
			b = b[min(len(b), (size+unix.NLMSG_ALIGNTO-1)&^(unix.NLMSG_ALIGNTO-1)):]
		}
	}
}

// onlyIPv6 reads the attribute INET_DIAG_SKV6ONLY behind struct inet_diag_msg. Where the kernel does not say, the socket
// may speak IPv4 too, and so makes more sockets possible, never fewer.
func onlyIPv6(attributes []byte) bool {
	const v6only = 11
	for len(attributes) >= unix.SizeofNlAttr {
		size := int(binary.NativeEndian.Uint16(attributes))
		if size < unix.SizeofNlAttr || size > len(attributes) {
			return false
		}
		if binary.NativeEndian.Uint16(attributes[2:]) == v6only && size > unix.SizeofNlAttr {
			return attributes[unix.SizeofNlAttr] != 0
		}
		attributes = attributes[min(len(attributes), (size+3)&^3):]
	}
	return false
}

// datagramsFromTables looks in /proc/net/udp and udp6, for kernels that answer no questions. They do not say whether an
// IPv6 socket speaks IPv4, so it may.
func datagramsFromTables(root string, source netip.AddrPort) ([]Socket, error) {
	names := []string{"udp6"}
	if source.Addr().Is4() {
		names = []string{"udp", "udp6"}
	}
	var out []Socket
	for _, name := range names {
		err := eachInTable(root+"/net/"+name, func(s *Socket) {
			if s.maySend(source) && len(out) < maxDatagrams {
				out = append(out, *s)
			}
		})
		if errors.Is(err, fs.ErrNotExist) && name == "udp6" {
			continue // a kernel without IPv6
		}
		if err != nil {
			return nil, err
		}
	}
	return out, nil
}

// eachInTable calls f for every line of a table of sockets.
func eachInTable(path string, f func(*Socket)) error {
	file, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("table of sockets: %w", err)
	}
	defer func() { _ = file.Close() }()
	lines := bufio.NewScanner(io.LimitReader(file, maxTable))
	lines.Scan() // the heading
	for lines.Scan() {
		s, err := parseLine(lines.Text())
		if err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		f(&s)
	}
	return lines.Err()
}
