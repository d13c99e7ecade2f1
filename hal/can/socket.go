package can

import (
	"errors"
	"fmt"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// socket is a raw socket of one interface.
type socket struct {
	file *os.File
	raw  syscall.RawConn
	buf  [frameLen]byte
}

// Options of a raw socket (linux/can/raw.h).
const (
	optFilter    = 1
	optErrFilter = 2
	optOwn       = 4
)

// openBus opens a raw socket that hears these identifiers, its own frames once they are out, and the controller.
func openBus(name string, ids []uint32) (bus, error) {
	fd, err := unix.Socket(unix.AF_CAN, unix.SOCK_RAW|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, unix.CAN_RAW)
	if err != nil {
		return nil, fmt.Errorf("socket: %w", err)
	}
	s := &socket{file: os.NewFile(uintptr(fd), name)}
	if err := s.setup(fd, name, ids); err != nil {
		return nil, errors.Join(err, s.file.Close())
	}
	return s, nil
}

func (s *socket) setup(fd int, name string, ids []uint32) error {
	// Filters are pairs of identifier and mask.
	filters := make([]byte, 0, 8*len(ids))
	for _, id := range ids {
		f := appendFrame(nil, &frame{id: id})[:4]
		m := appendFrame(nil, &frame{id: unix.CAN_EFF_MASK | unix.CAN_EFF_FLAG | unix.CAN_RTR_FLAG})[:4]
		filters = append(append(filters, f...), m...)
	}
	request, err := unix.NewIfreq(name)
	if err != nil {
		return err
	}
	if s.raw, err = s.file.SyscallConn(); err != nil {
		return err
	}
	// By ioctl: the guard may open no netlink socket.
	if err := unix.IoctlIfreq(fd, unix.SIOCGIFINDEX, request); err != nil {
		return fmt.Errorf("interface %s: %w", name, err)
	}
	if err := unix.SetsockoptString(fd, unix.SOL_CAN_RAW, optFilter, string(filters)); err != nil {
		return fmt.Errorf("filter: %w", err)
	}
	if err := unix.SetsockoptInt(fd, unix.SOL_CAN_RAW, optErrFilter, errTxTimeout|errNoAck|errBusOff|errRestarted); err != nil {
		return fmt.Errorf("error filter: %w", err)
	}
	if err := unix.SetsockoptInt(fd, unix.SOL_CAN_RAW, optOwn, 1); err != nil {
		return fmt.Errorf("own frames: %w", err)
	}
	return unix.Bind(fd, &unix.SockaddrCAN{Ifindex: int(request.Uint32())})
}

func (s *socket) send(f *frame) error {
	b := appendFrame(s.buf[:0], f)
	var failed error
	// Never waits: a full queue is an answer.
	err := s.raw.Control(func(fd uintptr) { _, failed = unix.Write(int(fd), b) })
	return errors.Join(err, failed)
}

func (s *socket) receive(deadline time.Time) (f frame, own bool, err error) {
	if err := s.file.SetReadDeadline(deadline); err != nil {
		return frame{}, false, err
	}
	var n, flags int
	var failed error
	err = s.raw.Read(func(fd uintptr) bool {
		n, _, flags, _, failed = unix.Recvmsg(int(fd), s.buf[:], nil, 0)
		return !errors.Is(failed, unix.EAGAIN)
	})
	if err = errors.Join(err, failed); err != nil {
		return frame{}, false, err
	}
	f, err = parseFrame(s.buf[:n])
	return f, flags&unix.MSG_CONFIRM != 0, err
}

func (s *socket) Close() error { return s.file.Close() }
