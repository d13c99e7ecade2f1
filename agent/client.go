package agent

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os"

	"golang.org/x/sys/unix"
)

// SendOrder gives a signed order to the guard on this computer and returns its receipt.
func SendOrder(ctx context.Context, socket string, envelope []byte) (Receipt, error) {
	var r Receipt
	raw, err := request(ctx, socket, requestOrder, envelope)
	if err != nil {
		return r, err
	}
	if err := json.Unmarshal(raw, &r); err != nil {
		return r, fmt.Errorf("receipt: %w", err)
	}
	return r, nil
}

// ReadStatus returns the guard's status as JSON.
func ReadStatus(ctx context.Context, socket string) (json.RawMessage, error) {
	return request(ctx, socket, requestStatus, nil)
}

func request(ctx context.Context, socket string, kind byte, body []byte) ([]byte, error) {
	var d net.Dialer
	c, err := d.DialContext(ctx, "unixpacket", socket)
	if err != nil {
		return nil, fmt.Errorf("control socket %s: %w; is the guard running, and may this user talk to it?", socket, err)
	}
	conn := c.(*net.UnixConn) //nolint:errcheck,forcetypeassert // a unixpacket dial gives nothing else
	defer func() { _ = conn.Close() }()
	if deadline, ok := ctx.Deadline(); ok {
		_ = conn.SetDeadline(deadline)
	}
	if err := send(conn, kind, body); err != nil {
		return nil, fmt.Errorf("control socket %s: %w", socket, err)
	}
	buf := make([]byte, maxPacket<<2)
	n, err := conn.Read(buf)
	if err != nil {
		return nil, fmt.Errorf("control socket %s: no answer: %w", socket, err)
	}
	return buf[:n], nil
}

// send writes a small request as one packet and a large one as a sealed memfd.
func send(conn *net.UnixConn, kind byte, body []byte) error {
	if len(body) < maxPacket {
		_, err := conn.Write(append([]byte{kind}, body...))
		return err
	}
	fd, err := unix.MemfdCreate("robowarden-order", unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING)
	if err != nil {
		return fmt.Errorf("memfd: %w", err)
	}
	f := os.NewFile(uintptr(fd), "document") //nolint:gosec // a descriptor is not negative
	defer func() { _ = f.Close() }()
	if _, err := f.Write(body); err != nil {
		return fmt.Errorf("memfd: %w", err)
	}
	if _, err := unix.FcntlInt(f.Fd(), unix.F_ADD_SEALS, unix.F_SEAL_WRITE|unix.F_SEAL_SHRINK|unix.F_SEAL_GROW); err != nil {
		return fmt.Errorf("seal: %w", err)
	}
	_, _, err = conn.WriteMsgUnix([]byte{kind}, unix.UnixRights(fd), nil)
	return err
}
