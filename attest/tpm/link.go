package tpm

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// headerBytes is the length of a command's or response's header: tag, size, code.
	headerBytes = 10
	// maxResponse is the most that a TPM may answer with (the kernel's TPM_BUFSIZE).
	maxResponse = 4096
)

// Response codes that ask for the same command again: nothing was done yet (TPM 2.0 Library, part 2, 6.6.3).
const (
	rcYielded       = 0x908
	rcTesting       = 0x90a
	rcNVRate        = 0x920
	rcRetry         = 0x922
	rcNVUnavailable = 0x923
)

// link carries whole commands and responses. It is used by one goroutine at a time.
type link interface {
	// exchange sends a command and returns the response, or fails at the deadline.
	exchange(command []byte, deadline time.Time) ([]byte, error)
	io.Closer
}

// dial is open, repeated while other programs have the TPM: /dev/tpm0 takes one at a time, and a software TPM's socket
// queues hardly more.
func dial(path string, deadline time.Time) (l link, direct bool, err error) {
	for {
		l, direct, err = open(path, deadline)
		if !errors.Is(err, unix.EAGAIN) && !errors.Is(err, unix.EBUSY) || time.Until(deadline) <= busyWait {
			return l, direct, err
		}
		time.Sleep(busyWait)
	}
}

// busyWait is the pause between tries to get at a TPM that somebody else has.
const busyWait = 3 * time.Millisecond

// open opens a TPM device or connects to the unix socket of a software TPM. direct says that no resource manager is in
// between: then every loaded object is the business of whoever connects.
func open(path string, deadline time.Time) (l link, direct bool, err error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, false, err
	}
	switch mode := info.Mode(); {
	case mode&os.ModeSocket != 0:
		d := net.Dialer{Deadline: deadline}
		c, err := d.Dial("unix", path)
		if err != nil {
			return nil, false, err
		}
		return &socketLink{c}, true, nil
	case mode&os.ModeCharDevice != 0:
		fd, err := unix.Open(path, unix.O_RDWR|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
		if err != nil {
			return nil, false, &os.PathError{Op: "open", Path: path, Err: err}
		}
		// /dev/tpm0 has one user at a time, /dev/tpmrm0 gives each its own objects: both may flush all that they see.
		return &deviceLink{fd}, false, nil
	default:
		return nil, false, fmt.Errorf("%s is neither a device nor a unix socket (%v); expected /dev/tpmrm0 or a software TPM's socket", path, mode)
	}
}

// socketLink speaks to a software TPM: the bare commands and responses, one after the other.
type socketLink struct{ c net.Conn }

func (l *socketLink) exchange(command []byte, deadline time.Time) ([]byte, error) {
	if err := l.c.SetDeadline(deadline); err != nil {
		return nil, err
	}
	if _, err := l.c.Write(command); err != nil {
		return nil, err
	}
	out := make([]byte, headerBytes, 512)
	if _, err := io.ReadFull(l.c, out); err != nil {
		return nil, fmt.Errorf("no response: %w", err)
	}
	size := binary.BigEndian.Uint32(out[2:])
	if size < headerBytes || size > maxResponse {
		return nil, fmt.Errorf("response claims %d bytes, expected %d to %d", size, headerBytes, maxResponse)
	}
	out = append(out, make([]byte, size-headerBytes)...)
	if _, err := io.ReadFull(l.c, out[headerBytes:]); err != nil {
		return nil, fmt.Errorf("response ends early: %w", err)
	}
	return out, nil
}

func (l *socketLink) Close() error { return l.c.Close() }

// deviceLink speaks to the kernel's driver. The descriptor is non-blocking, so that the kernel works on a command
// while this side waits in poll, with a time limit; a blocking write could not be given up.
type deviceLink struct{ fd int }

func (l *deviceLink) exchange(command []byte, deadline time.Time) ([]byte, error) {
	n, err := ignoringEINTR(func() (int, error) { return unix.Write(l.fd, command) })
	if err != nil {
		return nil, fmt.Errorf("write: %w", err)
	}
	if n != len(command) {
		return nil, fmt.Errorf("write: the driver took %d of %d bytes", n, len(command))
	}
	for {
		left := time.Until(deadline)
		if left <= 0 {
			return nil, os.ErrDeadlineExceeded
		}
		fds := []unix.PollFd{{Fd: int32(l.fd), Events: unix.POLLIN}}
		n, err := unix.Poll(fds, int(left/time.Millisecond)+1)
		if errors.Is(err, unix.EINTR) || err == nil && n == 0 {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("poll: %w", err)
		}
		break
	}
	out := make([]byte, maxResponse)
	n, err = ignoringEINTR(func() (int, error) { return unix.Read(l.fd, out) })
	if err != nil {
		return nil, fmt.Errorf("read: %w", err)
	}
	if n < headerBytes || uint64(n) != uint64(binary.BigEndian.Uint32(out[2:])) {
		return nil, fmt.Errorf("read: %d bytes are no whole response", n)
	}
	return out[:n], nil
}

func (l *deviceLink) Close() error { return unix.Close(l.fd) }

func ignoringEINTR(f func() (int, error)) (int, error) {
	for {
		n, err := f()
		if !errors.Is(err, unix.EINTR) {
			return n, err
		}
	}
}

// conn is one connection within one job. It is a transport.TPM.
type conn struct {
	link     link
	deadline time.Time
	// broken is set once the link failed: what is sent then reaches nobody.
	broken bool
}

// Send implements transport.TPM: the response, whatever its code, or an error of the link. It repeats commands that the
// TPM asks to see again, until the deadline.
func (c *conn) Send(command []byte) ([]byte, error) {
	if c.broken {
		return nil, errBroken
	}
	for wait := time.Millisecond; ; wait = min(2*wait, 100*time.Millisecond) {
		out, err := c.link.exchange(command, c.deadline)
		if err != nil {
			c.broken = true
			return nil, &linkError{err}
		}
		switch binary.BigEndian.Uint32(out[6:]) {
		case rcRetry, rcYielded, rcTesting, rcNVRate, rcNVUnavailable:
			if time.Until(c.deadline) <= wait {
				return nil, &linkError{os.ErrDeadlineExceeded}
			}
			time.Sleep(wait)
		default:
			return out, nil
		}
	}
}

// linkError is a failure to reach the TPM, as opposed to an answer of the TPM.
type linkError struct{ err error }

func (e *linkError) Error() string { return e.err.Error() }
func (e *linkError) Unwrap() error { return e.err }

var errBroken = &linkError{errors.New("the connection is broken")}
