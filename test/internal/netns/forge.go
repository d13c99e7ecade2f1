package netns

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// Forger sends UDP datagrams from addresses that are not its own.
type Forger struct{ fd int }

// Forger opens a raw socket on the host, for the length of the test.
func (h *Host) Forger(t testing.TB) *Forger {
	t.Helper()
	f := &Forger{fd: -1}
	h.Do(t, func() (err error) {
		if f.fd, err = unix.Socket(unix.AF_INET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.IPPROTO_RAW); err != nil {
			return fmt.Errorf("netns: raw socket: %w", err)
		}
		// Multicast leaves by the address that it is given.
		a := netip.MustParseAddr(h.Address).As4()
		return unix.SetsockoptInet4Addr(f.fd, unix.IPPROTO_IP, unix.IP_MULTICAST_IF, a)
	})
	t.Cleanup(func() { _ = unix.Close(f.fd) })
	return f
}

// Send sends one datagram that seems to come from the address.
func (f *Forger) Send(t testing.TB, from, to netip.AddrPort, payload []byte) {
	t.Helper()
	if err := f.Try(from, to, payload); err != nil {
		t.Fatal(err)
	}
}

// Try is Send for other goroutines than the test's.
func (f *Forger) Try(from, to netip.AddrPort, payload []byte) error {
	n := 20 + 8 + len(payload)
	b := make([]byte, 28, n)
	b[0], b[8], b[9] = 4<<4|5, 64, syscall.IPPROTO_UDP // version and head, time to live, protocol
	binary.BigEndian.PutUint16(b[2:], uint16(n))
	src, dst := from.Addr().As4(), to.Addr().As4()
	copy(b[12:], src[:])
	copy(b[16:], dst[:])
	binary.BigEndian.PutUint16(b[20:], from.Port())
	binary.BigEndian.PutUint16(b[22:], to.Port())
	binary.BigEndian.PutUint16(b[24:], uint16(n-20)) // and no checksum, which UDP allows
	b = append(b, payload...)
	if err := unix.Sendto(f.fd, b, 0, &unix.SockaddrInet4{Addr: dst}); err != nil {
		return fmt.Errorf("netns: forge from %v to %v: %w", from, to, err)
	}
	return nil
}
