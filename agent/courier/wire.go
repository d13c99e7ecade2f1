package courier

import (
	"errors"
	"fmt"
	"net"
)

// maxPacket is the largest MQTT packet that is read: the largest document the guard takes, in base64 or not, and its
// topic. The MQTT library would make room for 256 MiB if the broker announced so.
const maxPacket = 6<<20 + 64<<10

// errPacket ends a connection on which a packet is too large, or its length is written wrongly.
var errPacket = errors.New("expected an MQTT packet of at most 6 MiB")

// meter is a connection that looks at the lengths of the packets that come in before the library does.
type meter struct {
	net.Conn
	state int   // 0: type byte; 1 to 4: length byte; 5: content
	need  int   // content left, or the length so far
	err   error // once wrong, always wrong
}

// Read implements net.Conn.
func (m *meter) Read(p []byte) (int, error) {
	if m.err != nil {
		return 0, m.err
	}
	n, err := m.Conn.Read(p)
	if bad := m.walk(p[:n]); bad != nil {
		m.err = &linkError{ReasonProtocol, bad}
		_ = m.Close()
		return 0, m.err
	}
	return n, err
}

// walk follows fixed headers through a stream (MQTT 3.1.1, 2.2.3).
func (m *meter) walk(p []byte) error {
	for len(p) > 0 {
		switch m.state {
		case 0:
			m.state, m.need, p = 1, 0, p[1:]
		case 5:
			n := min(m.need, len(p))
			m.need, p = m.need-n, p[n:]
		default:
			m.need |= int(p[0]&0x7f) << (7 * (m.state - 1))
			switch {
			case p[0]&0x80 == 0:
				m.state = 5
			case m.state == 4:
				return fmt.Errorf("%w, found a length of more than four bytes", errPacket)
			default:
				m.state++
			}
			p = p[1:]
			if m.state == 5 && m.need > maxPacket {
				return fmt.Errorf("%w, found one of %d bytes", errPacket, m.need)
			}
		}
		if m.state == 5 && m.need == 0 {
			m.state = 0
		}
	}
	return nil
}
