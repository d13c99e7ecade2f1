// Package actuator has what the devices that stop a robot past ROS have in common: what they can be asked for, their
// faults as data, and a runner that keeps their input and output off the enforcing path. It decides nothing, and whoever
// asks it for a state never waits.
package actuator

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"syscall"
)

// State is what a device is asked for.
type State uint8

// States.
const (
	// Unset is the zero value: nobody has asked yet. A runner begins at Stop.
	Unset State = iota
	// Stop takes the permit, opens the relay, sends the stop frame, stops feeding.
	Stop
	// Run gives the permit.
	Run
)

// String names the state.
func (s State) String() string {
	if s > Run {
		return "unknown"
	}
	return [...]string{"unset", "stop", "run"}[s]
}

// Fault is why a device does not do what it is asked.
type Fault uint8

// Faults. Their numbers are written to journals: new ones go to the end.
const (
	// None means that the device has confirmed the state.
	None Fault = iota
	// Gone means that the device, interface or address is not there, or may not be opened.
	Gone
	// Silent means that no answer came in time.
	Silent
	// Refused means that it answered with a refusal.
	Refused
	// Mismatch means that it reads back as something else than it was told.
	Mismatch
	// BusOff means that its controller has left the bus after too many errors.
	BusOff
	// Malformed means that its answer cannot be understood, or is no answer to what was asked.
	Malformed
	// NumFaults is the number of faults.
	NumFaults
)

// String names the fault.
func (f Fault) String() string {
	if f >= NumFaults {
		return "unknown"
	}
	return [NumFaults]string{"none", "gone", "silent", "refused", "mismatch", "bus-off", "malformed"}[f]
}

// Device is one device. Its methods are called by one goroutine at a time and may wait, for at most as long as ctx lives.
type Device interface {
	// Apply asks for Stop or Run and returns nil once the device has confirmed it by what it can show. It opens the device
	// when needed, and can be called again and again: what has to be refreshed, it refreshes. The error is an *Error.
	Apply(ctx context.Context, s State) error
	// Close gives the device up. settled is true after an orderly end of a robot at rest; only then may a watchdog be
	// switched off.
	Close(settled bool) error
}

// Error says which fault a device has.
type Error struct {
	Fault Fault
	// Device names it for people: an address, a path, a line.
	Device string
	Err    error
}

// Error tells people.
func (e *Error) Error() string { return fmt.Sprintf("%s: %s: %v", e.Device, e.Fault, e.Err) }

// Unwrap gives the cause.
func (e *Error) Unwrap() error { return e.Err }

// Fail returns an *Error with the fault that the cause shows, and otherwise the given one.
func Fail(device string, otherwise Fault, err error) error {
	var known *Error
	switch {
	case err == nil:
		return nil
	case errors.As(err, &known):
		return err
	}
	return &Error{Fault: faultOf(err, otherwise), Device: device, Err: err}
}

// faultOf reads the kernel's own words.
func faultOf(err error, otherwise Fault) Fault {
	var network net.Error
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, context.DeadlineExceeded), errors.As(err, &network) && network.Timeout():
		return Silent
	case errors.Is(err, os.ErrNotExist), errors.Is(err, os.ErrPermission), errors.Is(err, syscall.ENODEV), errors.Is(err, syscall.ENXIO),
		errors.Is(err, syscall.EIO), errors.Is(err, syscall.ECONNREFUSED), errors.Is(err, syscall.ENETDOWN), errors.Is(err, syscall.ENETUNREACH),
		errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.EBUSY):
		return Gone
	}
	return otherwise
}

// FaultOf returns the fault of an error by Apply, None for nil.
func FaultOf(err error) Fault {
	var known *Error
	switch {
	case err == nil:
		return None
	case errors.As(err, &known):
		return known.Fault
	}
	return faultOf(err, Silent)
}
