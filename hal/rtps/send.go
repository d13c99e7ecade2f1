package rtps

import (
	"fmt"
	"net/netip"
	"syscall"

	"github.com/robowarden/robowarden/hal/rtps/reliable"
	"github.com/robowarden/robowarden/hal/rtps/wire"
)

const (
	// maxDatagram is the largest datagram that we send: what one Ethernet frame carries over IPv6, so that IP does not fragment, for
	// one lost fragment loses the whole and a kernel's reassembly can be poisoned.
	maxDatagram = 1452
	// fragment is how much of a sample one datagram of ours carries.
	fragment = maxDatagram - reliable.Overhead - 8
)

// mouth sends datagrams of one goroutine, or of one lock's holders, without waiting and without allocating. All mouths
// send from the one socket, so that we have one UDP source.
type mouth struct {
	p   *Participant
	raw syscall.RawConn
	fn  func(uintptr)
	buf []byte // a datagram under construction
	out []byte
	to  *dest
	err syscall.Errno

	user bool
}

func (p *Participant) newMouth(user bool) *mouth {
	m := &mouth{p: p, raw: p.meta.raw, buf: make([]byte, 0, 2*maxDatagram), user: user}
	m.fn = m.call
	return m
}

func (m *mouth) call(fd uintptr) {
	m.err = sendTo(fd, m.out, m.to)
}

// send hands b to the socket; false if it had no room, or refused it.
func (m *mouth) send(b []byte, to *dest) bool {
	if f := m.p.cfg.drop; f != nil && f(true, m.user, b) {
		return true
	}
	m.out, m.to, m.err = b, to, 0
	if err := m.raw.Control(m.fn); err != nil {
		return false
	}
	if m.err != 0 {
		m.p.sendFailures.Add(1)
		return false
	}
	m.p.sent.Add(1)
	return true
}

// begin starts a datagram for one participant.
func (m *mouth) begin(to wire.Prefix) []byte {
	return wire.AppendInfoDst(wire.AppendHeader(m.buf[:0], m.p.prefix), to)
}

// lowestPort is the lowest port that we send to. No participant hears on a privileged port, and many a service there
// answers whatever comes.
const lowestPort = 1024

// sendable tells whether we send to an address that somebody at source announces. Anybody could otherwise aim what we send
// at a third: the reflection that DDS implementations are known for. So the address has to be the announcement's own source
// (or one of this computer, if that is), or, if the operator has named both source and address in Config.Peers, another one
// of a computer with several.
func (p *Participant) sendable(a netip.AddrPort, source netip.Addr) bool {
	ip := a.Addr()
	if a.Port() < lowestPort || ip.IsMulticast() || ip.IsUnspecified() || ip.Is4() != p.cfg.Host.Is4() {
		return false
	}
	return ip == source.WithZone("") || p.sameComputer(ip, source) || p.peers[ip] && p.peers[source]
}

// reachable is the first of the addresses that we send to.
func (p *Participant) reachable(l *wire.Locators, source netip.Addr) (netip.AddrPort, bool) {
	for _, a := range l.Slice() {
		if a = unmap(a); p.sendable(a, source) {
			if zone := source.Zone(); zone != "" && a.Addr().IsLinkLocalUnicast() {
				a = netip.AddrPortFrom(a.Addr().WithZone(zone), a.Port())
			}
			return a, true
		}
	}
	return netip.AddrPort{}, false
}

// suspect says in words which address nobody has reason to announce, "" if there is none. A computer with several
// interfaces announces the private addresses of them all; those are passed over without a word.
func (p *Participant) suspect(source netip.Addr, lists ...*wire.Locators) string {
	for _, l := range lists {
		for _, a := range l.Slice() {
			a = unmap(a)
			ip := a.Addr()
			inside := ip.IsPrivate() || ip.IsLinkLocalUnicast() || ip.IsLoopback() || ip == source.WithZone("")
			if !inside || a.Port() < lowestPort {
				return fmt.Sprintf("it asks to send to %s; only its own address %s is sent to, at ports from %d", a, source, lowestPort)
			}
		}
	}
	return ""
}
