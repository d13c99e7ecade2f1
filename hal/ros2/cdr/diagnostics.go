package cdr

import (
	"time"

	"github.com/robowarden/robowarden/hal/msg"
)

// Caps of a DiagnosticArray that is read.
const (
	// MaxStatus bounds the components in one DiagnosticArray.
	MaxStatus = 512
	// MaxStatusValues bounds the key-value pairs of one component.
	MaxStatusValues = 1024
)

// diagnosticDecoder reads diagnostic_msgs/DiagnosticArray.
type diagnosticDecoder struct {
	m     msg.Diagnostic
	frame lastText
	h     func(*msg.Diagnostic)
}

// NewDiagnostics reads bus.TypeDiagnosticArray and calls h for each status in it.
func NewDiagnostics(p *msg.Peer, h func(*msg.Diagnostic)) Decoder {
	d := &diagnosticDecoder{h: h}
	d.m.Peer = p
	return d
}

// statusMin is the size of a status with empty strings: level, four lengths.
const statusMin = 1 + 4*4

// Decode implements Decoder.
func (d *diagnosticDecoder) Decode(payload []byte, boot time.Duration, seq uint64) error {
	c := open(payload)
	m := &d.m
	frame := c.stdHeader(&m.Header)
	n := c.count(statusMin, MaxStatus)
	check := c
	for range n {
		d.one(&check)
	}
	if err := check.end(); err != nil {
		return err
	}
	m.Boot, m.Seq = boot, uint32(seq)
	m.Frame = d.frame.get(frame)
	for range n {
		d.one(&c)
		d.h(m)
	}
	m.Name, m.Message, m.HardwareID = nil, nil, nil
	return nil
}

// one reads a status; its texts point into the payload.
func (d *diagnosticDecoder) one(c *cursor) {
	m := &d.m
	m.Level = c.u8()
	m.Name, m.Message, m.HardwareID = c.str(), c.str(), c.str()
	m.Values = c.count(4+4, MaxStatusValues)
	for range m.Values {
		c.str()
		c.str()
	}
}
