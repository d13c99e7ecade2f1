package proc

import (
	"fmt"
	"net"
	"net/netip"
	"slices"
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
	// OnlyIPv6 is true for an IPv6 socket that does not speak IPv4, where the kernel says so.
	OnlyIPv6 bool
}

// SocketTable answers for the kernel's tables of sockets.
type SocketTable interface {
	// Lookup returns the established TCP socket with exactly these ends, and false if there is none.
	Lookup(local, remote netip.AddrPort) (Socket, bool, error)
	// Datagrams returns the UDP sockets that a datagram with this source, an address of this computer, can have come from.
	Datagrams(source netip.AddrPort) ([]Socket, error)
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
	seen := map[netip.AddrPort]datagrams{}
	own, err := f.o.Addresses()
	for i, p := range pairs {
		p.Local, p.Remote = plain(p.Local), plain(p.Remote)
		switch {
		case err != nil && !p.Remote.Addr().IsLoopback():
			facts[i].Why = ReasonKernel
		case !ours(p.Remote.Addr(), own):
			facts[i].Why = ReasonRemote
		case p.Datagrams:
			out[i], facts[i].Why = f.sender(p, seen)
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
	return slices.Contains(own, a)
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
