package attest

import (
	"fmt"
	"net"
)

// limited is a connection that ends when an MQTT packet comes that is larger than any we read: the library would make
// room for 256 MiB if the broker announced so.
type limited struct {
	net.Conn
	digits int // Bytes of a length seen so far, 0 before the type byte.
	need   int // The length so far, or what is left of the packet.
	inside bool
	err    error // Once wrong, always wrong.
}

// maxPacket leaves room for a topic around the largest message.
const maxPacket = maxMessage + 1<<10

// Read implements net.Conn.
func (l *limited) Read(p []byte) (int, error) {
	if l.err != nil {
		return 0, l.err
	}
	n, err := l.Conn.Read(p)
	if l.err = l.follow(p[:n]); l.err != nil {
		l.Conn.Close()
		return 0, l.err
	}
	return n, err
}

// follow walks through fixed headers: one byte of type, then the length in one to four bytes of seven bits each, least
// significant first (MQTT 3.1.1, section 2.2.3).
func (l *limited) follow(p []byte) error {
	for len(p) > 0 {
		if l.inside {
			n := min(l.need, len(p))
			l.need, p = l.need-n, p[n:]
			l.inside = l.need > 0
			continue
		}
		b := p[0]
		p = p[1:]
		if l.digits++; l.digits == 1 {
			continue // The type.
		}
		l.need |= int(b&0x7f) << (7 * (l.digits - 2))
		if b&0x80 != 0 && l.digits < 5 {
			continue
		}
		if b&0x80 != 0 || l.need > maxPacket {
			return fmt.Errorf("the broker announces a packet of %d bytes or more: expected at most %d", l.need, maxPacket)
		}
		l.digits, l.inside = 0, l.need > 0
	}
	return nil
}
