package fleet

import (
	"fmt"
	"net"
)

// limited is a connection that ends when the broker announces a packet larger than any that belongs here: the MQTT
// library would make room for 256 MiB on the broker's word.
type limited struct {
	net.Conn
	limit  int
	length int // of the packet, as far as its bytes have come
	shift  uint
	inside bool // behind the type byte, reading the length
	skip   int  // bytes of the packet still to come
}

// Read implements net.Conn.
func (l *limited) Read(p []byte) (int, error) {
	n, err := l.Conn.Read(p)
	if bad := l.pass(p[:n]); bad != nil {
		return 0, bad
	}
	return n, err
}

// pass follows the packets' lengths.
func (l *limited) pass(b []byte) error {
	for len(b) > 0 {
		if l.skip > 0 {
			n := min(l.skip, len(b))
			l.skip -= n
			b = b[n:]
			continue
		}
		c := b[0]
		b = b[1:]
		if !l.inside {
			l.inside, l.length, l.shift = true, 0, 0
			continue
		}
		l.length |= int(c&0x7f) << l.shift
		l.shift += 7
		switch {
		case c&0x80 == 0:
			l.inside, l.skip = false, l.length
		case l.shift > 21:
			return fmt.Errorf("the broker sends a packet whose length does not end")
		}
		if l.length > l.limit {
			return fmt.Errorf("the broker announces a packet of %d bytes: at most %d are read", l.length, l.limit)
		}
	}
	return nil
}
