// Package modbus switches a relay by one coil of a Modbus device, over TCP or a serial line, and believes only what it
// reads back. It knows two functions of the protocol and no other, never waits beyond the deadline that it is given, and
// resolves no names.
package modbus

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"time"

	"github.com/robowarden/robowarden/hal/actuator"
)

// Config says which coil it is and what it does.
type Config struct {
	// Address is the device's on TCP; the zero value means that Serial is used.
	Address netip.AddrPort
	// Serial is the path of a serial port; Baud and Parity are its own. Frames have 8 data bits, and 1 stop bit with a
	// parity bit, 2 without.
	Serial string
	Baud   int
	Parity Parity
	// Unit is the device's number, Coil the coil's, from 0 as on the wire.
	Unit byte
	Coil uint16
	// StopOn is true if the coil stops the robot when it is on. Relays that let the robot run while they are on stop it
	// when power or wires fail as well.
	StopOn bool
}

// Parity of a serial line.
type Parity uint8

// Parities; the specification's own default is even.
const (
	Even Parity = iota
	Odd
	NoParity
)

// link is one connection to the device.
type link interface {
	io.ReadWriteCloser
	SetDeadline(t time.Time) error
}

// Relay is one coil. It is an [actuator.Device].
type Relay struct {
	cfg  Config
	name string
	dial func(ctx context.Context) (link, error)
	conn link
	// confirmed is the state that was read back last on this connection.
	confirmed   actuator.State
	transaction uint16
	buf         []byte
}

// New returns a relay that nobody has spoken to yet.
func New(c Config) *Relay {
	r := &Relay{cfg: c, buf: make([]byte, 0, 2*(mbapHeader+maxPDU))}
	if c.Address.IsValid() {
		r.name, r.dial = fmt.Sprintf("modbus %s coil %d", c.Address, c.Coil), r.dialTCP
		return r
	}
	r.name, r.dial = fmt.Sprintf("modbus %s coil %d", c.Serial, c.Coil), r.dialSerial
	return r
}

// Apply sets the coil and reads it back. A coil that is in the state already is only read: one that somebody else has
// switched is a mismatch first, and is set at the next call.
func (r *Relay) Apply(ctx context.Context, s actuator.State) error {
	err := r.apply(ctx, s)
	if err == nil {
		return nil
	}
	r.confirmed = actuator.Unset
	if actuator.FaultOf(err) != actuator.Mismatch {
		// What comes later on this connection may be the answer to a question of before.
		_ = r.drop()
	}
	return r.named(err)
}

func (r *Relay) apply(ctx context.Context, s actuator.State) error {
	if err := r.connect(ctx); err != nil {
		return err
	}
	on := (s == actuator.Stop) == r.cfg.StopOn
	if s != r.confirmed {
		if _, err := r.exchange(ctx, writeRequest(r.cfg.Coil, on)); err != nil {
			return err
		}
	}
	have, err := r.exchange(ctx, readRequest(r.cfg.Coil))
	if err != nil {
		return err
	}
	if have != on {
		return &actuator.Error{Fault: actuator.Mismatch, Err: fmt.Errorf("expected the coil %s, found it %s", word(on), word(have))}
	}
	r.confirmed = s
	return nil
}

func word(on bool) string {
	if on {
		return "on"
	}
	return "off"
}

// Close closes the connection; the coil stays as it is.
func (r *Relay) Close(bool) error { return r.drop() }

func (r *Relay) drop() error {
	if r.conn == nil {
		return nil
	}
	err := r.conn.Close()
	r.conn = nil
	return err
}

func (r *Relay) connect(ctx context.Context) error {
	if r.conn != nil {
		return nil
	}
	c, err := r.dial(ctx)
	if err != nil {
		return actuator.Fail(r.name, actuator.Gone, err)
	}
	r.conn, r.confirmed = c, actuator.Unset
	return nil
}

// exchange sends a request and reads its reply before ctx's deadline.
func (r *Relay) exchange(ctx context.Context, pdu []byte) (on bool, err error) {
	deadline, ok := ctx.Deadline()
	if !ok {
		return false, errors.New("an exchange needs a deadline")
	}
	if err := r.conn.SetDeadline(deadline); err != nil {
		return false, err
	}
	var reply []byte
	if r.cfg.Address.IsValid() {
		reply, err = r.exchangeTCP(pdu)
	} else {
		reply, err = r.exchangeRTU(ctx, pdu)
	}
	if err != nil {
		return false, err
	}
	return parseReply(pdu, reply)
}

func (r *Relay) exchangeTCP(pdu []byte) ([]byte, error) {
	r.transaction++
	if _, err := r.conn.Write(appendTCP(r.buf[:0], r.transaction, r.cfg.Unit, pdu)); err != nil {
		return nil, err
	}
	var head [mbapHeader]byte
	if _, err := io.ReadFull(r.conn, head[:]); err != nil {
		return nil, err
	}
	n, err := parseHeader(head[:], r.transaction, r.cfg.Unit)
	if err != nil {
		return nil, err
	}
	reply := r.buf[:n]
	_, err = io.ReadFull(r.conn, reply)
	return reply, err
}

// named puts the device's name on an error.
func (r *Relay) named(err error) error {
	var known *actuator.Error
	if errors.As(err, &known) {
		known.Device = r.name
		return known
	}
	// A peer that hangs up in between has not answered.
	return actuator.Fail(r.name, actuator.Silent, err)
}
