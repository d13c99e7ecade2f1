//go:build linux

package main

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"

	"golang.org/x/sys/unix"

	"github.com/robowarden/robowarden/test/machine/wire"
)

// canPorts sets the controllers of the two CAN ports up, and lengthens the bus to the host over the second. A machine without
// them has none.
func canPorts() error {
	for _, name := range []string{wire.CANPort, wire.CANFar} {
		if _, err := net.InterfaceByName(name); err != nil {
			return nil //nolint:nilerr // not every machine has the cards
		}
		if err := bitrate(name, wire.CANBitrate); err != nil {
			return err
		}
		if err := linkUp(name, true); err != nil {
			return err
		}
	}
	bus, err := openCAN(wire.CANFar)
	if err != nil {
		return err
	}
	host, err := net.DialUDP("udp4", &net.UDPAddr{IP: wire.GuestIP[:], Port: wire.CANPortUDP}, &net.UDPAddr{IP: wire.HostIP[:], Port: wire.CANPortUDP})
	if err != nil {
		return err
	}
	go carry(bus.Read, host.Write)
	go carry(host.Read, bus.Write)
	return nil
}

// carry hands frames on as they are, for ever. One that nobody takes is lost, as on a cut cable.
func carry(from, to func([]byte) (int, error)) {
	frame := make([]byte, unix.CAN_MTU)
	for {
		n, err := from(frame)
		if errors.Is(err, os.ErrClosed) {
			return
		}
		if err == nil {
			_, _ = to(frame[:n])
		}
	}
}

// openCAN opens a raw socket of one interface.
func openCAN(name string) (*os.File, error) {
	i, err := net.InterfaceByName(name)
	if err != nil {
		return nil, fmt.Errorf("CAN %s: %w", name, err)
	}
	fd, err := unix.Socket(unix.AF_CAN, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.CAN_RAW)
	if err != nil {
		return nil, fmt.Errorf("CAN %s: %w", name, err)
	}
	if err := unix.Bind(fd, &unix.SockaddrCAN{Ifindex: i.Index}); err != nil {
		return nil, errors.Join(fmt.Errorf("CAN %s: %w", name, err), unix.Close(fd))
	}
	return os.NewFile(uintptr(fd), name), nil
}

// bitrate tells a controller how fast the bus is; what else there is to its timing the kernel reckons (linux/can/netlink.h).
func bitrate(name string, bits uint32) error {
	const kindInfo, dataInfo, bitTiming, timingLen = unix.IFLA_INFO_KIND, unix.IFLA_INFO_DATA, 1, 32
	i, err := net.InterfaceByName(name)
	if err != nil {
		return fmt.Errorf("CAN %s: %w", name, err)
	}
	timing := make([]byte, timingLen)
	binary.NativeEndian.PutUint32(timing, bits)
	body := make([]byte, unix.SizeofIfInfomsg)
	binary.NativeEndian.PutUint32(body[4:], uint32(i.Index))
	info := attribute(attribute(nil, kindInfo, []byte("can")), dataInfo, attribute(nil, bitTiming, timing))
	if err := setLink(attribute(body, unix.IFLA_LINKINFO, info), 0); err != nil {
		return fmt.Errorf("CAN %s: bit rate: %w", name, err)
	}
	return nil
}

// linkUp sets an interface up, or down.
func linkUp(name string, up bool) error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer func() { _ = unix.Close(fd) }()
	r, err := unix.NewIfreq(name)
	if err != nil {
		return err
	}
	if up {
		r.SetUint16(unix.IFF_UP | unix.IFF_RUNNING)
	}
	if err := unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, r); err != nil {
		return fmt.Errorf("set %s up %t: %w", name, up, err)
	}
	return nil
}

// busOff does what happens when a controller has left the bus, and when it is back: the driver tells all sockets by an error
// frame, and nothing comes out any more. The controllers of QEMU count no errors, so none leaves by itself: its interrupts are
// switched off behind its driver's back, which then waits for ever for the end of a transmission.
func busOff(r *http.Request) (wire.BusOff, error) {
	req, err := decode[wire.BusOff](r)
	if err != nil {
		return req, err
	}
	if !req.Off {
		// The driver sets the controller up anew.
		if err := errors.Join(linkUp(wire.CANPort, false), linkUp(wire.CANPort, true)); err != nil {
			return req, err
		}
		return req, errorFrame(unix.CAN_ERR_RESTARTED)
	}
	if err := errorFrame(unix.CAN_ERR_BUSOFF); err != nil {
		return req, err
	}
	registers, err := os.OpenFile("/sys/class/net/"+wire.CANPort+"/device/resource1", os.O_WRONLY, 0)
	if err != nil {
		return req, err
	}
	const interruptEnable = 4 // of an SJA1000
	_, err = registers.WriteAt([]byte{0}, interruptEnable)
	return req, errors.Join(err, registers.Close())
}

// errorFrame tells all sockets of the port what a driver would, and waits until they have been told. A driver's echo of what is
// sent carries it to them.
func errorFrame(class uint32) error {
	const errFilter, ownFrames = 2, 4 // CAN_RAW_ERR_FILTER, CAN_RAW_RECV_OWN_MSGS of linux/can/raw.h
	bus, err := openCAN(wire.CANPort)
	if err != nil {
		return err
	}
	defer func() { _ = bus.Close() }()
	fd := int(bus.Fd())
	if err := errors.Join(unix.SetsockoptInt(fd, unix.SOL_CAN_RAW, errFilter, int(class)), unix.SetsockoptInt(fd, unix.SOL_CAN_RAW, ownFrames, 1),
		unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Sec: 10})); err != nil {
		return err
	}
	frame := make([]byte, unix.CAN_MTU)
	binary.NativeEndian.PutUint32(frame, unix.CAN_ERR_FLAG|class)
	frame[4] = unix.CAN_MAX_DLEN
	if _, err := bus.Write(frame); err != nil {
		return fmt.Errorf("error frame: %w", err)
	}
	for {
		if _, err := bus.Read(frame); err != nil {
			return fmt.Errorf("error frame: nobody was told: %w", err)
		}
		if binary.NativeEndian.Uint32(frame) == unix.CAN_ERR_FLAG|class {
			return nil
		}
	}
}
