package modbus

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

func (r *Relay) dialTCP(ctx context.Context) (link, error) {
	// Keep-alive is the refresh's business.
	d := net.Dialer{KeepAlive: -1}
	c, err := d.DialContext(ctx, "tcp", r.cfg.Address.String())
	if err != nil {
		return nil, err
	}
	return c, nil
}

func (r *Relay) dialSerial(context.Context) (link, error) {
	// Not blocking, so that the runtime waits for it with a deadline; no terminal of ours.
	f, err := os.OpenFile(r.cfg.Serial, os.O_RDWR|unix.O_NOCTTY|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	if err := setRaw(f, r.cfg.Baud, r.cfg.Parity); err != nil {
		return nil, errors.Join(fmt.Errorf("serial port: %w", err), f.Close())
	}
	return f, nil
}

// setRaw makes the port carry bytes as they are.
func setRaw(f *os.File, baud int, parity Parity) error {
	raw, err := f.SyscallConn()
	if err != nil {
		return err
	}
	t := unix.Termios{Cflag: unix.CS8 | unix.CREAD | unix.CLOCAL | unix.BOTHER, Ispeed: uint32(baud), Ospeed: uint32(baud)} //nolint:gosec // checked by the configuration
	switch parity {
	case Even:
		t.Cflag |= unix.PARENB
	case Odd:
		t.Cflag |= unix.PARENB | unix.PARODD
	case NoParity:
		t.Cflag |= unix.CSTOPB
	}
	t.Cc[unix.VMIN] = 1
	var failed error
	err = raw.Control(func(fd uintptr) {
		failed = errors.Join(unix.IoctlSetTermios(int(fd), unix.TCSETS2, &t), unix.IoctlSetInt(int(fd), unix.TCFLSH, unix.TCIOFLUSH))
	})
	return errors.Join(err, failed)
}

// quiet is the silence of three and a half characters of 11 bits that parts frames (section 2.5.1.1): 1.75 ms above
// 19 200 baud.
func (r *Relay) quiet() time.Duration {
	if r.cfg.Baud > 19200 || r.cfg.Baud <= 0 {
		return 1750 * time.Microsecond
	}
	return time.Duration(38500) * time.Millisecond / time.Duration(r.cfg.Baud)
}

func (r *Relay) exchangeRTU(ctx context.Context, pdu []byte) ([]byte, error) {
	pause := time.NewTimer(r.quiet())
	defer pause.Stop()
	select {
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-pause.C:
	}
	if _, err := r.conn.Write(appendRTU(r.buf[:0], r.cfg.Unit, pdu)); err != nil {
		return nil, err
	}
	frame := r.buf[:2]
	if _, err := io.ReadFull(r.conn, frame); err != nil {
		return nil, err
	}
	n := replyLen(frame[1])
	if n == 0 {
		return parseRTU(frame, r.cfg.Unit) // and so is refused as malformed
	}
	frame = r.buf[:n+rtuOverhead]
	if _, err := io.ReadFull(r.conn, frame[2:]); err != nil {
		return nil, err
	}
	return parseRTU(frame, r.cfg.Unit)
}
