package contract

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"syscall"
	"time"
)

// sendTimeout bounds how long a client waits for the guard to read. The guard reads at once or closes.
const sendTimeout = 5 * time.Second

// Conn is a client's lasting connection to the guard. Send may be called from many goroutines, Receive from one.
type Conn struct {
	conn *net.UnixConn
	buf  []byte
	mu   sync.Mutex // one deadline for writing
}

// Dial connects to the guard's socket, introduces the program and returns the guard's welcome. The error is a [*Failure]
// if the guard refuses.
func Dial(ctx context.Context, socket string, h Hello) (*Conn, Welcome, error) {
	hello, err := New(1, h)
	if err != nil {
		return nil, Welcome{}, err
	}
	conn, err := dial(ctx, socket)
	if err != nil {
		return nil, Welcome{}, err
	}
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	c := &Conn{conn: conn, buf: make([]byte, MaxPacket+1)}
	w, err := c.introduce(hello)
	if !stop() && err == nil {
		err = ctx.Err()
	}
	if err != nil {
		return nil, Welcome{}, errors.Join(fmt.Errorf("guard's socket %s: %w", socket, err), context.Cause(ctx), conn.Close())
	}
	return c, w, nil
}

func (c *Conn) introduce(hello Frame) (Welcome, error) {
	var w Welcome
	if err := WriteFrame(c.conn, hello, true); err != nil {
		return w, err
	}
	f, err := c.Receive()
	if err != nil {
		return w, err
	}
	if f.Type == FrameError {
		var failure Failure
		if err := f.Into(&failure); err != nil {
			return w, err
		}
		return w, &failure
	}
	if err := f.Into(&w); err != nil {
		return w, err
	}
	if w.Version < OldestVersion || w.Version > Version {
		return w, fmt.Errorf("expected a version from %d to %d, the guard welcomes with %d", OldestVersion, Version, w.Version)
	}
	return w, nil
}

// crowdPause is how long a client waits before it tries again where too many others wait to be let in.
const crowdPause = 5 * time.Millisecond

func dial(ctx context.Context, socket string) (*net.UnixConn, error) {
	var d net.Dialer
	conn, err := d.DialContext(ctx, "unixpacket", socket)
	for errors.Is(err, syscall.EAGAIN) && ctx.Err() == nil {
		select {
		case <-ctx.Done():
		case <-time.After(crowdPause):
			conn, err = d.DialContext(ctx, "unixpacket", socket)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("guard's socket %s: %w; is the guard running, and may this user talk to it?", socket, err)
	}
	return conn.(*net.UnixConn), nil //nolint:errcheck,forcetypeassert // a unixpacket dial gives nothing else
}

// Send writes one frame. It fails if the guard does not read for five seconds.
func (c *Conn) Send(f Frame) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.conn.SetWriteDeadline(time.Now().Add(sendTimeout)); err != nil {
		return err
	}
	return WriteFrame(c.conn, f, true)
}

// Receive waits for the next frame. Its body belongs to the caller. The end of the connection is [io.EOF].
func (c *Conn) Receive() (Frame, error) {
	f, err := ReadFrame(c.conn, c.buf)
	f.Body = append([]byte(nil), f.Body...)
	return f, err
}

// Close ends the connection; a Receive that waits returns.
func (c *Conn) Close() error { return c.conn.Close() }
