// Package watchdog feeds a watchdog of the kernel's for as long as the robot may run, and starves it to stop. It switches
// the watchdog off only after an orderly end of a robot at rest: whatever else ends the process lets it bite.
package watchdog

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/robowarden/robowarden/hal/actuator"
)

// Config says which watchdog it is.
type Config struct {
	// Device is its path.
	Device string
	// Timeout is after how long without food it bites, Pretimeout how long before that it warns, both in whole seconds.
	Timeout, Pretimeout time.Duration
}

// dog is an open watchdog.
type dog interface {
	io.WriteCloser
	// command gives or asks for a number of seconds (ioctl with a pointer to int).
	command(request uint, seconds int) (int, error)
}

// Dog is a watchdog. It is an [actuator.Device].
type Dog struct {
	cfg  Config
	name string
	open func(path string) (dog, error)
	dog  dog
	// failed is why the last try to wake it failed: then nothing is running that would bite.
	failed error
}

// New returns a watchdog that nobody has woken yet.
func New(c Config) *Dog { return &Dog{cfg: c, name: "watchdog " + c.Device, open: openDog} }

// Requests (linux/watchdog.h).
const (
	keepAlive     = unix.WDIOC_KEEPALIVE
	setTimeout    = unix.WDIOC_SETTIMEOUT
	setPretimeout = unix.WDIOC_SETPRETIMEOUT
	timeLeft      = unix.WDIOC_GETTIMELEFT
)

// Apply feeds the watchdog, or does not. To open it is to start it, so Stop opens nothing.
func (d *Dog) Apply(_ context.Context, s actuator.State) error {
	if s == actuator.Stop {
		return d.starve()
	}
	if d.dog == nil {
		if d.failed = actuator.Fail(d.name, actuator.Gone, d.wake()); d.failed != nil {
			return d.failed
		}
	}
	if _, err := d.dog.command(keepAlive, 0); err != nil {
		// It runs on unfed, and is opened anew at the next try.
		_ = d.dog.Close()
		d.dog = nil
		return actuator.Fail(d.name, actuator.Gone, err)
	}
	return nil
}

// wake opens the watchdog with its times. One that would bite later than it was told is none that a ladder can reckon with.
func (d *Dog) wake() error {
	g, err := d.open(d.cfg.Device)
	if err != nil {
		return err
	}
	d.dog = g
	want := int(d.cfg.Timeout / time.Second)
	have, err := g.command(setTimeout, want)
	switch {
	case err != nil:
		return d.put(fmt.Errorf("timeout of %d s: %w", want, err))
	case have > want:
		return d.put(&actuator.Error{Fault: actuator.Mismatch, Device: d.name, Err: fmt.Errorf("expected a timeout of %d s, found %d s", want, have)})
	}
	if n := int(d.cfg.Pretimeout / time.Second); n > 0 {
		if _, err := g.command(setPretimeout, n); err != nil {
			return d.put(fmt.Errorf("pretimeout of %d s: %w", n, err))
		}
	}
	return nil
}

// put gives up a watchdog that cannot be used as the profile says. It was never trusted with anything, so it is switched
// off: else it would bite although its driver has said that it does not work.
func (d *Dog) put(err error) error {
	_ = d.Close(true)
	return err
}

// starve leaves the watchdog unfed. What it can show is that its time runs out; one that could not be woken stops nobody,
// and must not confirm that it does.
func (d *Dog) starve() error {
	if d.dog == nil {
		return d.failed
	}
	left, err := d.dog.command(timeLeft, 0)
	if err != nil {
		return nil //nolint:nilerr // not every watchdog can tell; not to feed it needs no answer
	}
	if limit := int(d.cfg.Timeout / time.Second); left > limit {
		return &actuator.Error{Fault: actuator.Mismatch, Device: d.name, Err: fmt.Errorf("expected at most %d s left, found %d s", limit, left)}
	}
	return nil
}

// Close closes the watchdog; after an orderly end it is switched off first (the "magic close" of the kernel's interface).
func (d *Dog) Close(settled bool) error {
	if d.dog == nil {
		return nil
	}
	var err error
	if settled {
		_, err = d.dog.Write([]byte("V"))
	}
	err = errors.Join(err, d.dog.Close())
	d.dog = nil
	return err
}

type device struct{ *os.File }

func openDog(path string) (dog, error) {
	f, err := os.OpenFile(path, os.O_WRONLY, 0) //nolint:gosec // the path is the profile's
	if err != nil {
		return nil, err
	}
	return device{f}, nil
}

func (d device) command(request uint, seconds int) (int, error) {
	v := int32(seconds)                                                                                //nolint:gosec // at most a minute
	_, _, errno := unix.Syscall(unix.SYS_IOCTL, d.Fd(), uintptr(request), uintptr(unsafe.Pointer(&v))) //nolint:gosec // the kernel reads and fills it
	runtime.KeepAlive(&v)
	if errno != 0 {
		return 0, errno
	}
	return int(v), nil
}
