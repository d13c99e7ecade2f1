package rtps

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strconv"
	"syscall"
)

// Ports (9.6.1.1) of a domain and a participant index within it.
const (
	portBase, portPerDomain = 7400, 250
	portMeta, portUser      = 10, 11
	portPerIndex            = 2
	maxIndex                = 119 // the last whose ports stay within the domain's 250
)

func groupPort(domain int) uint16 { return uint16(portBase + portPerDomain*domain) }

func metaPort(domain, index int) uint16 {
	return groupPort(domain) + portMeta + uint16(portPerIndex*index)
}

func userPort(domain, index int) uint16 {
	return groupPort(domain) + portUser + uint16(portPerIndex*index)
}

// unmap makes IPv4 out of IPv4 in IPv6, so that addresses compare.
func unmap(a netip.AddrPort) netip.AddrPort { return netip.AddrPortFrom(a.Addr().Unmap(), a.Port()) }

// listen binds host:port, for this process alone; quiet is the one to send from.
func listen(host netip.Addr, port uint16, quiet bool) (*socket, error) {
	var lc net.ListenConfig
	pc, err := lc.ListenPacket(context.Background(), "udp", netip.AddrPortFrom(host, port).String())
	if err != nil {
		return nil, err
	}
	return newSocket(pc, quiet)
}

// pair is the two sockets of a participant at one address.
type pair struct{ meta, user *socket }

func (s *pair) close() {
	if s != nil {
		s.meta.close()
		s.user.close()
	}
}

func listenPair(host netip.Addr, domain, index int) (*pair, error) {
	meta, err := listen(host, metaPort(domain, index), true)
	if err != nil {
		return nil, err
	}
	user, err := listen(host, userPort(domain, index), false)
	if err != nil {
		meta.close()
		return nil, err
	}
	return &pair{meta, user}, nil
}

// listenPairs binds the ports of the lowest participant index that is free at all addresses, as every participant on a
// host does.
func listenPairs(hosts []netip.Addr, domain int) ([]*pair, error) {
	var err error
	for index := range maxIndex + 1 {
		pairs := make([]*pair, len(hosts))
		for i, host := range hosts {
			if pairs[i], err = listenPair(host, domain, index); err != nil {
				break
			}
		}
		if err == nil {
			return pairs, nil
		}
		for _, s := range pairs {
			s.close()
		}
		if !errors.Is(err, syscall.EADDRINUSE) {
			break
		}
	}
	return nil, fmt.Errorf(
		"rtps: domain %d: no free ports of %d to %d on %v (a robot has its own domain id, and at most 120 participants are on a host): %w",
		domain, metaPort(domain, 0), userPort(domain, maxIndex), hosts, err)
}

// Options that package syscall does not name (linux/in.h, linux/in6.h).
const (
	ipMulticastAll   = 49
	ipv6MulticastAll = 29
)

// listenGroup joins the group on host's interface. The port is shared with every other participant on this computer.
// Nothing that others joined on other interfaces is received (IP_MULTICAST_ALL off).
func listenGroup(group, host netip.Addr, port uint16) (*socket, error) {
	family := syscall.AF_INET
	if group.Is6() {
		family = syscall.AF_INET6
	}
	fd, err := syscall.Socket(family, syscall.SOCK_DGRAM|syscall.SOCK_CLOEXEC|syscall.SOCK_NONBLOCK, 0)
	if err != nil {
		return nil, os.NewSyscallError("socket", err)
	}
	f := os.NewFile(uintptr(fd), "group")
	defer f.Close()
	if err := joinGroup(fd, group, host, port); err != nil {
		return nil, fmt.Errorf("group %s on the interface of %s: %w", group, host, err)
	}
	pc, err := net.FilePacketConn(f)
	if err != nil {
		return nil, err
	}
	return newSocket(pc, false)
}

func joinGroup(fd int, group, host netip.Addr, port uint16) error {
	if err := syscall.SetsockoptInt(fd, syscall.SOL_SOCKET, syscall.SO_REUSEADDR, 1); err != nil {
		return os.NewSyscallError("setsockopt SO_REUSEADDR", err)
	}
	if group.Is4() {
		if err := syscall.SetsockoptInt(fd, syscall.IPPROTO_IP, ipMulticastAll, 0); err != nil {
			return os.NewSyscallError("setsockopt IP_MULTICAST_ALL", err)
		}
		if err := syscall.Bind(fd, &syscall.SockaddrInet4{Port: int(port), Addr: group.As4()}); err != nil {
			return os.NewSyscallError("bind", err)
		}
		return addMember(fd, group, host)
	}
	index, err := zoneIndex(host)
	if err != nil {
		return err
	}
	if err := syscall.SetsockoptInt(fd, syscall.IPPROTO_IPV6, ipv6MulticastAll, 0); err != nil {
		return os.NewSyscallError("setsockopt IPV6_MULTICAST_ALL", err)
	}
	if err := syscall.Bind(fd, &syscall.SockaddrInet6{Port: int(port), ZoneId: index, Addr: group.As16()}); err != nil {
		return os.NewSyscallError("bind", err)
	}
	return addMember(fd, group, host)
}

// addMember makes the socket a member of the group on host's interface; if it is one already, that is EADDRINUSE.
func addMember(fd int, group, host netip.Addr) error {
	if group.Is4() {
		err := syscall.SetsockoptIPMreq(fd, syscall.IPPROTO_IP, syscall.IP_ADD_MEMBERSHIP,
			&syscall.IPMreq{Multiaddr: group.As4(), Interface: host.As4()})
		return os.NewSyscallError("setsockopt IP_ADD_MEMBERSHIP", err)
	}
	index, err := zoneIndex(host)
	if err != nil {
		return err
	}
	err = syscall.SetsockoptIPv6Mreq(fd, syscall.IPPROTO_IPV6, syscall.IPV6_JOIN_GROUP,
		&syscall.IPv6Mreq{Multiaddr: group.As16(), Interface: index})
	return os.NewSyscallError("setsockopt IPV6_JOIN_GROUP", err)
}

// renewGroup joins again, for a network adapter that was unplugged comes back without its members.
func (p *Participant) renewGroup() error {
	var err error
	again := func(fd uintptr) { err = addMember(int(fd), p.cfg.Group, p.cfg.Host) }
	if cerr := p.group.raw.Control(again); cerr != nil {
		return cerr
	}
	if err != nil && !errors.Is(err, syscall.EADDRINUSE) {
		return err
	}
	return p.meta.sendToGroup(p.cfg.Host)
}

// sendToGroup makes a socket send multicast on host's interface only, no further than its network, and to ourselves too:
// others on this computer hear it that way.
func (s *socket) sendToGroup(host netip.Addr) error {
	var err error
	set := func(fd uintptr) { err = multicastFrom(int(fd), host) }
	if cerr := s.raw.Control(set); cerr != nil {
		return cerr
	}
	return err
}

func multicastFrom(fd int, host netip.Addr) error {
	if host.Is4() {
		return errors.Join(
			syscall.SetsockoptInet4Addr(fd, syscall.IPPROTO_IP, syscall.IP_MULTICAST_IF, host.As4()),
			syscall.SetsockoptInt(fd, syscall.IPPROTO_IP, syscall.IP_MULTICAST_TTL, 1),
			syscall.SetsockoptInt(fd, syscall.IPPROTO_IP, syscall.IP_MULTICAST_LOOP, 1))
	}
	index, err := zoneIndex(host)
	return errors.Join(err,
		syscall.SetsockoptInt(fd, syscall.IPPROTO_IPV6, syscall.IPV6_MULTICAST_IF, int(index)),
		syscall.SetsockoptInt(fd, syscall.IPPROTO_IPV6, syscall.IPV6_MULTICAST_HOPS, 1),
		syscall.SetsockoptInt(fd, syscall.IPPROTO_IPV6, syscall.IPV6_MULTICAST_LOOP, 1))
}

// zoneIndex is the index of the interface that an IPv6 address's zone names; without a zone the kernel's routes choose.
func zoneIndex(host netip.Addr) (uint32, error) {
	zone := host.Zone()
	if zone == "" {
		return 0, nil
	}
	if n, err := strconv.ParseUint(zone, 10, 32); err == nil {
		return uint32(n), nil
	}
	i, err := net.InterfaceByName(zone)
	if err != nil {
		return 0, fmt.Errorf("interface %q of %s: %w", zone, host, err)
	}
	return uint32(i.Index), nil
}
