package rtps

import (
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

// dest is where something is sent to. It is not shared between goroutines that send, for the kernel's form of the address
// is made anew within it at every call.
type dest struct {
	addr netip.AddrPort
	sa   syscall.Sockaddr
}

func newDest(a netip.AddrPort) *dest {
	if a.Addr().Is4() {
		return &dest{a, &syscall.SockaddrInet4{Port: int(a.Port()), Addr: a.Addr().As4()}}
	}
	index, _ := zoneIndex(a.Addr())
	return &dest{a, &syscall.SockaddrInet6{Port: int(a.Port()), ZoneId: index, Addr: a.Addr().As16()}}
}

// mouth sends datagrams of one goroutine, or of one lock's holders, without waiting and without allocating. All mouths
// send from the one socket, so that we have one UDP source.
type mouth struct {
	p   *Participant
	raw syscall.RawConn
	fn  func(uintptr)
	buf []byte // a datagram under construction
	out []byte
	to  *dest
	err error

	user bool
}

func (p *Participant) newMouth(user bool) *mouth {
	m := &mouth{p: p, raw: p.meta.raw, buf: make([]byte, 0, 2*maxDatagram), user: user}
	m.fn = m.call
	return m
}

func (m *mouth) call(fd uintptr) {
	m.err = syscall.Sendto(int(fd), m.out, syscall.MSG_DONTWAIT|syscall.MSG_NOSIGNAL, m.to.sa)
}

// send hands b to the socket; false if it had no room, or refused it.
func (m *mouth) send(b []byte, to *dest) bool {
	if f := m.p.cfg.drop; f != nil && f(true, m.user, b) {
		return true
	}
	m.out, m.to, m.err = b, to, nil
	if err := m.raw.Control(m.fn); err != nil {
		return false
	}
	if m.err != nil {
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
