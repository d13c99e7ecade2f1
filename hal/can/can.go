// Package can stops a drive by a frame that is sent again and again on a CAN bus with one of two contents. A frame counts
// once the controller has put it onto the bus, and, where the drive answers, once it has said so. It configures no
// interface and resets no controller: that needs rights that the guard does not have.
package can

import (
	"context"
	"errors"
	"fmt"
	"syscall"
	"time"

	"github.com/robowarden/robowarden/hal/actuator"
)

// Config says what is sent.
type Config struct {
	// Interface is the network interface's name, ID the frame's identifier, of 29 bits if Extended.
	Interface string
	ID        uint32
	Extended  bool
	// Stop and Run are the two contents, at most 8 bytes each.
	Stop, Run []byte
	// AnswerID is the identifier of the drive's own frame if HasAnswer; it begins with AnswerStop while the drive is
	// stopped, and with something else while it may run.
	AnswerID   uint32
	HasAnswer  bool
	AnswerStop []byte
}

// bus is a CAN bus as one node has it.
type bus interface {
	send(f *frame) error
	// receive returns the next frame, and whether it is this node's own, which has come out on the bus.
	receive(deadline time.Time) (f frame, own bool, err error)
	Close() error
}

// Frame is the stop frame. It is an [actuator.Device].
type Frame struct {
	cfg      Config
	name     string
	id       uint32
	answerID uint32
	open     func(name string, ids []uint32) (bus, error)
	bus      bus
	// off is true since the controller said that it has left the bus, until it says that it is back or a frame comes out.
	off bool
}

// New returns a frame that nobody sends yet.
func New(c Config) *Frame {
	f := &Frame{cfg: c, name: fmt.Sprintf("can %s id %#x", c.Interface, c.ID), id: c.ID, answerID: c.AnswerID, open: openBus}
	if c.Extended {
		f.id |= extendedFlag
		f.answerID |= extendedFlag
	}
	return f
}

// Apply sends the frame once and waits until it is out on the bus, and answered where answers are expected.
func (f *Frame) Apply(ctx context.Context, s actuator.State) error {
	deadline, ok := ctx.Deadline()
	if !ok {
		return errors.New("an exchange needs a deadline")
	}
	if err := f.connect(); err != nil {
		return f.failed(err)
	}
	out := content(f.id, f.cfg.Stop)
	if s == actuator.Run {
		out = content(f.id, f.cfg.Run)
	}
	if err := f.bus.send(&out); err != nil {
		f.listen() // The controller may have said why.
		return f.failed(err)
	}
	if err := f.await(deadline, &out, s); err != nil {
		return f.failed(err)
	}
	return nil
}

func (f *Frame) connect() error {
	if f.bus != nil {
		return nil
	}
	ids := []uint32{f.id}
	if f.cfg.HasAnswer {
		ids = append(ids, f.answerID)
	}
	b, err := f.open(f.cfg.Interface, ids)
	if err != nil {
		return &actuator.Error{Fault: actuator.Gone, Err: err}
	}
	f.bus, f.off = b, false
	return nil
}

var errWrongAnswer = errors.New("the drive says otherwise")

// await reads until the frame has come out and the drive has answered as it should.
func (f *Frame) await(deadline time.Time, out *frame, s actuator.State) error {
	sent, answered, wrong := false, !f.cfg.HasAnswer, false
	for !sent || !answered {
		in, own, err := f.bus.receive(deadline)
		switch {
		case err != nil && wrong && sent:
			return &actuator.Error{Fault: actuator.Mismatch, Err: errWrongAnswer}
		case err != nil:
			return err
		case in.id&errorFlag != 0:
			if f.controller(&in); f.off {
				return &actuator.Error{Fault: actuator.BusOff, Err: errors.New("the controller has left the bus")}
			}
		case own && in == *out:
			sent, f.off = true, false
		case f.cfg.HasAnswer && in.id == f.answerID && sent:
			// What the drive said before the frame was out answers another.
			answered = in.begins(f.cfg.AnswerStop) == (s == actuator.Stop)
			wrong = !answered
		}
	}
	return nil
}

// controller takes what the controller says about itself.
func (f *Frame) controller(in *frame) {
	if in.id&errBusOff != 0 {
		f.off = true
	}
	if in.id&errRestarted != 0 {
		f.off = false
	}
}

// listen takes what has come in already, for a moment: a node that babbles must not keep the stop from being sent again.
func (f *Frame) listen() {
	until := time.Now().Add(time.Millisecond)
	for time.Now().Before(until) {
		in, _, err := f.bus.receive(until)
		if err != nil {
			return
		}
		if in.id&errorFlag != 0 {
			f.controller(&in)
		}
	}
}

// failed names the fault. A controller that has left the bus is not there for anything else; a queue that is full means
// that nobody on the bus takes frames.
func (f *Frame) failed(err error) error {
	var known *actuator.Error
	switch {
	case errors.As(err, &known):
		known.Device = f.name
		return known
	case f.off:
		return &actuator.Error{Fault: actuator.BusOff, Device: f.name, Err: err}
	}
	out := actuator.Fail(f.name, actuator.Silent, err)
	if errors.Is(err, syscall.ENOBUFS) {
		out = &actuator.Error{Fault: actuator.Silent, Device: f.name, Err: err}
	}
	if actuator.FaultOf(out) == actuator.Gone && f.bus != nil {
		_ = f.Close(false)
	}
	return out
}

// Close leaves the bus. A drive that stops on silence does so.
func (f *Frame) Close(bool) error {
	if f.bus == nil {
		return nil
	}
	err := f.bus.Close()
	f.bus = nil
	return err
}
