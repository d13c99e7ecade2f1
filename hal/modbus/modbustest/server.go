// Package modbustest is a small Modbus relay that behaves, and misbehaves on demand; nothing of the product imports it.
// It is written from the MODBUS Application Protocol 1.1b3, not from the client that it tests.
package modbustest

import (
	"encoding/binary"
	"io"
	"net"
	"net/netip"
	"sync"
	"time"
)

// Mood is how the relay behaves.
type Mood int

// Moods.
const (
	// Good does as it is told.
	Good Mood = iota
	// Mute reads and never answers.
	Mute
	// Refuses answers every request with an exception.
	Refuses
	// Lies echoes writes and leaves the coil as it is.
	Lies
	// Babbles answers with bytes that are no Modbus.
	Babbles
	// Stale answers with another transaction's number (TCP), or a wrong CRC (serial).
	Stale
)

// Relay is a device with 16 coils.
type Relay struct {
	mu    sync.Mutex
	coils [16]bool
	mood  Mood
	delay time.Duration
	unit  byte
	// listener and conns are those of TCP.
	listener net.Listener
	conns    map[net.Conn]bool
	loops    sync.WaitGroup
}

// New returns a relay of this unit.
func New(unit byte) *Relay { return &Relay{unit: unit, conns: map[net.Conn]bool{}} }

// Coil reads a coil as the robot's wiring sees it.
func (r *Relay) Coil(n int) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.coils[n]
}

// Force switches a coil by hand.
func (r *Relay) Force(n int, on bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.coils[n] = on
}

// Be changes the mood.
func (r *Relay) Be(m Mood) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.mood = m
}

// Delay makes every answer late.
func (r *Relay) Delay(d time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.delay = d
}

// Listen serves on this address of the loopback, port 0 for any, and returns it.
func (r *Relay) Listen(at string) (netip.AddrPort, error) {
	l, err := net.Listen("tcp", at)
	if err != nil {
		return netip.AddrPort{}, err
	}
	r.mu.Lock()
	r.listener = l
	r.mu.Unlock()
	r.loops.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			r.mu.Lock()
			r.conns[c] = true
			r.mu.Unlock()
			r.loops.Go(func() {
				r.serveTCP(c)
				_ = c.Close()
			})
		}
	})
	return netip.ParseAddrPort(l.Addr().String())
}

// Close ends listening and every connection.
func (r *Relay) Close() {
	r.mu.Lock()
	if r.listener != nil {
		_ = r.listener.Close()
	}
	for c := range r.conns {
		_ = c.Close()
	}
	clear(r.conns)
	r.mu.Unlock()
	r.loops.Wait()
}

func (r *Relay) serveTCP(c net.Conn) {
	for {
		head := make([]byte, 7)
		if _, err := io.ReadFull(c, head); err != nil {
			return
		}
		pdu := make([]byte, int(binary.BigEndian.Uint16(head[4:]))-1)
		if _, err := io.ReadFull(c, pdu); err != nil {
			return
		}
		reply, mood := r.answer(head[6], pdu)
		switch mood {
		case Mute:
			continue
		case Babbles:
			reply = []byte("HTTP/1.1 400 Bad Request\r\n")
		default:
			if mood == Stale {
				head[1]++
			}
			binary.BigEndian.PutUint16(head[4:], uint16(len(reply)+1)) //nolint:gosec // short
			reply = append(head, reply...)
		}
		if _, err := c.Write(reply); err != nil {
			return
		}
	}
}

// ServeSerial answers on a serial line until it ends. Every request has 8 bytes.
func (r *Relay) ServeSerial(line io.ReadWriter) {
	frame := make([]byte, 8)
	for {
		if _, err := io.ReadFull(line, frame); err != nil {
			return
		}
		reply, mood := r.answer(frame[0], frame[1:6])
		if mood == Mute || sum(frame[:6]) != binary.LittleEndian.Uint16(frame[6:]) {
			continue
		}
		out := append([]byte{frame[0]}, reply...)
		out = binary.LittleEndian.AppendUint16(out, sum(out))
		switch mood {
		case Babbles:
			out = []byte("~~~~~~~~~~~~")
		case Stale:
			out[len(out)-1] ^= 0xff
		default:
		}
		if _, err := line.Write(out); err != nil {
			return
		}
	}
}

// answer does what a request asks for, as the mood allows.
func (r *Relay) answer(unit byte, pdu []byte) ([]byte, Mood) {
	r.mu.Lock()
	delay := r.delay
	r.mu.Unlock()
	time.Sleep(delay) // A slow device.
	r.mu.Lock()
	defer r.mu.Unlock()
	if unit != r.unit {
		return nil, Mute
	}
	if r.mood == Refuses {
		return []byte{pdu[0] | 0x80, 4}, r.mood
	}
	n := int(binary.BigEndian.Uint16(pdu[1:]))
	switch {
	case n >= len(r.coils):
		return []byte{pdu[0] | 0x80, 2}, r.mood
	case pdu[0] == 5:
		if r.mood != Lies {
			r.coils[n] = pdu[3] == 0xff
		}
		return pdu, r.mood
	case pdu[0] == 1:
		value := byte(0)
		if r.coils[n] {
			value = 1
		}
		return []byte{1, 1, value}, r.mood
	}
	return []byte{pdu[0] | 0x80, 1}, r.mood
}

// sum is the serial line's CRC, by table as most devices compute it.
func sum(b []byte) uint16 {
	c := uint16(0xffff)
	for _, x := range b {
		c = c>>8 ^ table(byte(c)^x)
	}
	return c
}

func table(i byte) uint16 {
	v := uint16(i)
	for range 8 {
		if v&1 == 1 {
			v = v>>1 ^ 0xa001
		} else {
			v >>= 1
		}
	}
	return v
}
