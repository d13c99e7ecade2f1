package agent

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"time"

	"github.com/rs/zerolog"
	"golang.org/x/sys/unix"
)

// The control socket is a unix socket of type SEQPACKET: one request and one answer per connection, each one packet.
// The first byte of a request is its type, the rest its body; an answer is a JSON object. A document larger than a
// packet comes as a sealed memfd (F_SEAL_WRITE and F_SEAL_SHRINK) beside an empty body.
const (
	// requestOrder carries a signed order; the answer is a Receipt.
	requestOrder = 'O'
	// requestStatus carries nothing; the answer is a guard.Status.
	requestStatus = 'S'

	maxPacket     = 60 << 10
	maxDocument   = 6 << 20
	maxClients    = 8
	clientTimeout = 5 * time.Second
)

// control answers the tools on the robot. It only ever carries signed orders and reads status: who may talk to it is
// decided by the socket's file mode and the peer's uid, what an order may do by its signature.
type control struct {
	path   string
	order  func(envelope []byte) Receipt
	status func() any
	log    zerolog.Logger
}

// run serves until ctx ends. Each client has a deadline, and there are at most maxClients of them.
func (c *control) run(ctx context.Context) error {
	if err := removeSocket(c.path); err != nil {
		return fmt.Errorf("control socket: %w", err)
	}
	old := unix.Umask(0o177) // The socket must never exist with a wider mode, not even for a moment.
	l, err := net.ListenUnix("unixpacket", &net.UnixAddr{Name: c.path, Net: "unixpacket"})
	unix.Umask(old)
	if err != nil {
		return fmt.Errorf("control socket: %w", err)
	}
	stop := context.AfterFunc(ctx, func() { _ = l.Close() })
	defer stop()
	var clients sync.WaitGroup
	defer clients.Wait()
	slots := make(chan struct{}, maxClients)
	for {
		conn, err := l.AcceptUnix()
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			// Descriptors may run out for a while; the socket must survive that.
			c.log.Warn().Err(err).Msg("control socket: accept failed")
			select {
			case <-ctx.Done():
				return nil
			case <-time.After(100 * time.Millisecond):
			}
			continue
		}
		select {
		case slots <- struct{}{}:
			clients.Go(func() {
				defer func() { <-slots }()
				c.serve(conn)
			})
		default:
			_ = conn.Close()
		}
	}
}

// removeSocket removes what an earlier run has left. A path that a typing error led to a file must not cost that file.
func removeSocket(path string) error {
	info, err := os.Lstat(path)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return nil
	case err != nil:
		return err
	case info.Mode()&os.ModeSocket == 0:
		return fmt.Errorf("%s: expected a socket or nothing, found %s; give another control_socket", path, info.Mode().Type())
	}
	return os.Remove(path)
}

func (c *control) serve(conn *net.UnixConn) {
	defer func() { _ = conn.Close() }()
	_ = conn.SetDeadline(time.Now().Add(clientTimeout))
	if err := trusted(conn); err != nil {
		c.log.Warn().Err(err).Msg("control socket: refused")
		return
	}
	kind, body, err := receive(conn)
	if err != nil {
		c.log.Warn().Err(err).Msg("control socket: bad request")
		return
	}
	var answer any
	switch kind {
	case requestOrder:
		answer = c.order(body)
	case requestStatus:
		answer = c.status()
	default:
		answer = Receipt{Reason: "unknown-request", Text: fmt.Sprintf("expected request 'O' or 'S', found %q", kind)}
	}
	out, err := json.Marshal(answer)
	if err != nil {
		c.log.Error().Err(err).Msg("control socket: answer")
		return
	}
	if _, err := conn.Write(out); err != nil {
		c.log.Warn().Err(err).Msg("control socket: answer not sent")
	}
}

// trusted admits root and the guard's own user.
func trusted(conn *net.UnixConn) error {
	raw, err := conn.SyscallConn()
	if err != nil {
		return err
	}
	var cred *unix.Ucred
	var inner error
	if err := raw.Control(func(fd uintptr) {
		cred, inner = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED)
	}); err != nil {
		return err
	}
	if inner != nil {
		return fmt.Errorf("peer credentials: %w", inner)
	}
	if uid := int(cred.Uid); uid != 0 && uid != os.Getuid() {
		return fmt.Errorf("expected uid 0 or %d, found uid %d (pid %d)", os.Getuid(), uid, cred.Pid)
	}
	return nil
}

// receive reads one request: a packet, or a sealed memfd beside it.
func receive(conn *net.UnixConn) (kind byte, body []byte, err error) {
	buf := make([]byte, maxPacket+1)
	oob := make([]byte, unix.CmsgSpace(4*4))
	n, oobn, flags, _, err := conn.ReadMsgUnix(buf, oob)
	if err != nil {
		return 0, nil, fmt.Errorf("read: %w", err)
	}
	files, err := passed(oob[:oobn])
	defer func() {
		for _, f := range files {
			_ = f.Close()
		}
	}()
	switch {
	case err != nil:
		return 0, nil, err
	case flags&(unix.MSG_TRUNC|unix.MSG_CTRUNC) != 0 || n > maxPacket:
		return 0, nil, fmt.Errorf("expected a packet of at most %d bytes; send larger documents as a sealed memfd", maxPacket)
	case n == 0:
		return 0, nil, errors.New("expected a request, found an empty packet")
	case len(files) == 0:
		return buf[0], buf[1:n], nil
	case len(files) > 1 || n > 1:
		return 0, nil, errors.New("expected either a body or one memfd")
	}
	body, err = sealed(files[0])
	return buf[0], body, err
}

func passed(oob []byte) ([]*os.File, error) {
	if len(oob) == 0 {
		return nil, nil
	}
	messages, err := unix.ParseSocketControlMessage(oob)
	if err != nil {
		return nil, fmt.Errorf("control message: %w", err)
	}
	var files []*os.File
	for i := range messages {
		fds, err := unix.ParseUnixRights(&messages[i])
		if err != nil {
			continue
		}
		for _, fd := range fds {
			unix.CloseOnExec(fd)
			files = append(files, os.NewFile(uintptr(fd), "document")) //nolint:gosec // a descriptor is not negative
		}
	}
	return files, nil
}

// sealed reads a memfd that nobody can change any more.
func sealed(f *os.File) ([]byte, error) {
	const need = unix.F_SEAL_WRITE | unix.F_SEAL_SHRINK
	seals, err := unix.FcntlInt(f.Fd(), unix.F_GET_SEALS, 0)
	if err != nil || seals&need != need {
		return nil, fmt.Errorf("expected a memfd sealed against writing and shrinking, found seals %#x (%v)", seals, err)
	}
	data, err := io.ReadAll(io.NewSectionReader(f, 0, maxDocument+1))
	if err != nil {
		return nil, fmt.Errorf("read document: %w", err)
	}
	if len(data) > maxDocument {
		return nil, fmt.Errorf("expected a document of at most %d bytes", maxDocument)
	}
	return data, nil
}
